// An immutable block of events of one tailer: what is stored, sent, acknowledged and de-duplicated. Integers big-endian.
//
//     0        4         5       6         8             12            16            32              44
//     ┌────────┬─────────┬───────┬─────────┬─────────────┬─────────────┬─────────────┬───────────────┬──────────────┐
//     │ "BTPK" │ version │ kind  │ 0   u16 │ meta    u32 │ body    u32 │ tailer id   │ epoch u32 + 8 │ sequence u32 │
//     └────────┴─────────┴───────┴─────────┴─────────────┴─────────────┴─────────────┴───────────────┴──────────────┘
//     48           52           56          60              64               72                 80       112     116
//     ┌────────────┬────────────┬───────────┬───────────────┬────────────────┬──────────────────┬────────┬───────┬──────┬──────┐
//     │ bucket u32 │ events u32 │ lines u32 │ raw bytes u32 │ least time i64 │ greatest time i64│ sha256 │ crc32 │ meta │ body │
//     └────────────┴────────────┴───────────┴───────────────┴────────────────┴──────────────────┴────────┴───────┴──────┴──────┘
//   kind      0: lines (shared/block) · 1: columns (shared/columns/columns-block). Either decodes to the same events.
//   epoch     the tailer's count of starts, then 64 random bits
//   sequence  from 1, without gaps within tailer and epoch
//   bucket    start of the bucket, seconds since 1970 by the tailer's clock
//   times     nanoseconds since 1970, of the events; both 0 without events
//   sha256    over meta and body; its first 8 bytes are the packet's "sum"
//   crc32     IEEE, over all of the header before it: a length is believed only after this was checked
//   meta      msgpack: [runs, names], a run being [source, host, path, app, from, to, start, events, parent]; parent '' for none
import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { pack, unpack } from 'msgpackr'
import { CorruptBlockError, decodeBlock, encodeBlock } from './block.ts'
import type { Encoded } from './columns/codec.ts'
import { decodeColumnsBlock, finishColumnsBlock } from './columns/columns-block.ts'
import type { Events, Run } from './events.ts'
import { type Bucket, type Epoch, type PacketId, SUM_BYTES, type TailerId } from './messages.ts'

export const PACKET_HEADER_BYTES = 116
export const PACKET_META_BYTES_MAX = 4 * 1024 * 1024
export const PACKET_BODY_BYTES_MAX = 36 * 1024 * 1024
const MAGIC = 0x4254504b
const VERSION = 1
const KIND_LINES = 0
const KIND_COLUMNS = 1

export interface PacketHeader {
  id: PacketId
  kind: 'lines' | 'columns'
  bucket: Bucket
  events: number
  lines: number
  rawBytes: number
  leastNs: bigint
  greatestNs: bigint
  sha256: Buffer
  metaBytes: number
  bodyBytes: number
}

/** A whole packet, hash checked, meta read, body still packed. */
export interface Packet {
  header: PacketHeader
  runs: Run[]
  names: string[]
  /** All of it, as stored and sent. */
  bytes: Buffer
}

/** Not a packet, or one with a flipped bit. Retrying cannot help: another copy can. */
export class CorruptPacketError extends Error {
  override readonly name = 'CorruptPacketError'
}

/** A packet of a version or kind that this program does not know: it is kept, not read. */
export class UnknownPacketVersionError extends Error {
  override readonly name = 'UnknownPacketVersionError'
}

/**
 * @param options.columns  what the codec made of the events' bytes: the body is columns then, unless these do not
 *   give the text back; else lines
 * @param options.level    of zstd
 */
export function encodePacket(
  origin: { tailer: TailerId; epoch: Epoch; sequence: number; bucket: Bucket },
  events: Events,
  { level = 1, columns }: { level?: number; columns?: Encoded } = {},
): Packet {
  const meta = pack([
    events.runs.map(r => [r.source, r.host, r.path, r.app, r.from, r.to, r.start, r.events, r.parent ?? '']),
    events.names,
  ])
  const inColumns = columns && finishColumnsBlock(events, columns, level)
  const body = inColumns?.bytes ?? encodeBlock(events, level)
  const sha256 = createHash('sha256').update(meta).update(body).digest()
  const { lines, leastNs, greatestNs } = inColumns ?? sumsOf(events)

  const bytes = Buffer.allocUnsafe(PACKET_HEADER_BYTES + meta.length + body.length)
  bytes.writeUInt32BE(MAGIC, 0)
  bytes.writeUInt8(VERSION, 4)
  bytes.writeUInt8(inColumns === undefined ? KIND_LINES : KIND_COLUMNS, 5)
  bytes.writeUInt16BE(0, 6)
  bytes.writeUInt32BE(meta.length, 8)
  bytes.writeUInt32BE(body.length, 12)
  bytes.write(origin.tailer, 16, 'hex')
  writeEpoch(bytes, origin.epoch, 32)
  bytes.writeUInt32BE(origin.sequence, 44)
  bytes.writeUInt32BE(origin.bucket, 48)
  bytes.writeUInt32BE(events.ends.length, 52)
  bytes.writeUInt32BE(lines, 56)
  bytes.writeUInt32BE(events.bytes.length, 60)
  bytes.writeBigInt64BE(leastNs, 64)
  bytes.writeBigInt64BE(greatestNs, 72)
  sha256.copy(bytes, 80)
  bytes.writeUInt32BE(crc32(bytes.subarray(0, 112)), 112)
  meta.copy(bytes, PACKET_HEADER_BYTES)
  body.copy(bytes, PACKET_HEADER_BYTES + meta.length)
  return { header: decodePacketHeader(bytes), runs: events.runs, names: events.names, bytes }
}

/** Reads and checks the first PACKET_HEADER_BYTES. Throws CorruptPacketError, UnknownPacketVersionError. */
export function decodePacketHeader(bytes: Buffer): PacketHeader {
  if (bytes.length < PACKET_HEADER_BYTES) throw new CorruptPacketError(`${bytes.length} bytes are no packet header`)
  if (bytes.readUInt32BE(0) !== MAGIC) throw new CorruptPacketError('does not begin with BTPK')
  if (bytes.readUInt32BE(112) !== crc32(bytes.subarray(0, 112)))
    throw new CorruptPacketError('header checksum is wrong')
  const version = bytes.readUInt8(4)
  const kind = bytes.readUInt8(5)
  if (version !== VERSION || (kind !== KIND_LINES && kind !== KIND_COLUMNS)) {
    throw new UnknownPacketVersionError(`version ${version}, kind ${kind}: this program reads version 1, kinds 0 and 1`)
  }
  const metaBytes = bytes.readUInt32BE(8)
  const bodyBytes = bytes.readUInt32BE(12)
  if (metaBytes > PACKET_META_BYTES_MAX || bodyBytes > PACKET_BODY_BYTES_MAX) {
    throw new CorruptPacketError(`meta of ${metaBytes} and body of ${bodyBytes} bytes are over the bounds`)
  }
  const sha256 = Buffer.from(bytes.subarray(80, 112))
  return {
    id: {
      tailer: bytes.toString('hex', 16, 32),
      epoch: readEpoch(bytes, 32),
      sequence: bytes.readUInt32BE(44),
      sum: sha256.toString('hex', 0, SUM_BYTES),
    },
    kind: kind === KIND_LINES ? 'lines' : 'columns',
    bucket: bytes.readUInt32BE(48),
    events: bytes.readUInt32BE(52),
    lines: bytes.readUInt32BE(56),
    rawBytes: bytes.readUInt32BE(60),
    leastNs: bytes.readBigInt64BE(64),
    greatestNs: bytes.readBigInt64BE(72),
    sha256,
    metaBytes,
    bodyBytes,
  }
}

export function packetBytes(header: PacketHeader): number {
  return PACKET_HEADER_BYTES + header.metaBytes + header.bodyBytes
}

/** The packet at the head of `bytes` (more may follow). Checks header, hash and meta. */
export function decodePacket(bytes: Buffer): Packet {
  const header = decodePacketHeader(bytes)
  const length = packetBytes(header)
  if (bytes.length < length) throw new CorruptPacketError(`${bytes.length} bytes of a packet of ${length}`)
  const own = bytes.subarray(0, length)
  const sha256 = createHash('sha256').update(own.subarray(PACKET_HEADER_BYTES)).digest()
  if (!sha256.equals(header.sha256)) throw new CorruptPacketError('content does not have the hash of the header')
  const { runs, names } = decodeMeta(own.subarray(PACKET_HEADER_BYTES, PACKET_HEADER_BYTES + header.metaBytes))
  return { header, runs, names, bytes: own }
}

/** All packets of a payload, end to end. */
export function* decodePackets(bytes: Buffer): Generator<Packet> {
  for (let at = 0; at < bytes.length; ) {
    const packet = decodePacket(bytes.subarray(at))
    yield packet
    at += packet.bytes.length
  }
}

export function packetBody({ header, bytes }: Packet): Buffer {
  return bytes.subarray(PACKET_HEADER_BYTES + header.metaBytes)
}

/** Inflates the body. Throws CorruptPacketError. */
export function packetEvents(packet: Packet): Events {
  const { header, runs, names } = packet
  const body = packetBody(packet)
  try {
    return header.kind === 'lines' ? decodeBlock(body, runs, names) : decodeColumnsBlock(body, runs, names)
  } catch (cause) {
    if (cause instanceof CorruptBlockError) throw new CorruptPacketError(cause.message, { cause })
    throw cause
  }
}

/** `tailer/epoch/sequence#sum`: one id with two sums is two packets. */
export function packetKey(id: PacketId): string {
  return `${id.tailer}/${id.epoch}/${id.sequence}#${id.sum}`
}

export function epochCount(epoch: Epoch): number {
  return Number(epoch.slice(0, epoch.indexOf('-')))
}

function writeEpoch(bytes: Buffer, epoch: Epoch, at: number): void {
  bytes.writeUInt32BE(epochCount(epoch), at)
  bytes.write(epoch.slice(epoch.indexOf('-') + 1), at + 4, 'hex')
}

function readEpoch(bytes: Buffer, at: number): Epoch {
  return `${bytes.readUInt32BE(at)}-${bytes.toString('hex', at + 4, at + 12)}`
}

function decodeMeta(meta: Buffer): { runs: Run[]; names: string[] } {
  let value: unknown
  try {
    value = unpack(meta)
  } catch (cause) {
    throw new CorruptPacketError('meta is not msgpack', { cause })
  }
  if (!Array.isArray(value) || !Array.isArray(value[0]) || !isTexts(value[1])) {
    throw new CorruptPacketError('meta is not [runs, names]')
  }
  return { runs: value[0].map(decodeRun), names: value[1] }
}

function decodeRun(value: unknown): Run {
  if (
    !Array.isArray(value) ||
    !isTexts(value.slice(0, 4)) ||
    !value.slice(4, 8).every(n => Number.isSafeInteger(n) && n >= 0)
  ) {
    throw new CorruptPacketError('a run is not [source, host, path, app, from, to, start, events]')
  }
  const [source, host, path, app, from, to, start, events, parent] = value
  const run: Run = { source, host, path, app, from, to, start, events }
  if (typeof parent === 'string' && parent !== '') run.parent = parent
  return run
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every(text => typeof text === 'string')
}

/** For kind lines, which small packets are: of columns the codec has told it on its way. */
function sumsOf({ lines, times }: Events): { lines: number; leastNs: bigint; greatestNs: bigint } {
  let sum = 0
  for (const count of lines) sum += count
  let leastNs = times.length > 0 ? times[0] : 0n
  let greatestNs = leastNs
  for (const time of times) {
    if (time < leastNs) leastNs = time
    if (time > greatestNs) greatestNs = time
  }
  return { lines: sum, leastNs, greatestNs }
}
