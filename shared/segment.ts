// A segment: events of many packets, written once, read by ranges. Integers big-endian; positions in bytes of the file.
//
//   ┌─────────┬─────────┬───┬─────────────┬───────────┬────────┐
//   │ block 0 │ block 1 │ … │ block n - 1 │ directory │ footer │
//   └─────────┴─────────┴───┴─────────────┴───────────┴────────┘
//   block
//   0        4         5      6            8              12         16           20          24          28
//   ┌────────┬─────────┬──────┬────────────┬──────────────┬──────────┬────────────┬───────────┬───────────┬──────────────┐
//   │ "BTSB" │ version │ kind │ levels u16 │ position u32 │ meta u32 │ body   u32 │ events u32│ lines  u32│ raw bytes u32│
//   └────────┴─────────┴──────┴────────────┴──────────────┴──────────┴────────────┴───────────┴───────────┴──────────────┘
//   32               40                  48             52             56             60     60 + meta   … + body
//   ┌────────────────┬───────────────────┬──────────────┬──────────────┬──────────────┬────────┬──────────┐
//   │ least time i64 │ greatest time i64 │ meta crc u32 │ body crc u32 │ head crc u32 │ meta   │ body     │
//   └────────────────┴───────────────────┴──────────────┴──────────────┴──────────────┴────────┴──────────┘
//   kind       0: the body is a block of shared/block
//   levels     bit i: an event has level i of LEVELS (shared/events)
//   position   of this block in the file: a head found by its magic elsewhere (in the directory, in a line) is none
//   times      nanoseconds since 1970
//   crc        IEEE; head crc over the 56 bytes before it: a length is believed only after this was checked
//   meta       zstd of msgpack [origins, sources, runs, names]
//                origin  [tailer, epoch, sequence, bucket]        source  [source, host, path, app, start]
//                run     [source index, origin index, from, to, events]; runs by path, host, source, offset
//   directory  the first 60 + meta bytes of every block again, end to end: enough to know what lies where
//   footer
//   0        4         5       8            12                       16                    20                  24        28
//   ┌────────┬─────────┬───────┬────────────┬────────────────────────┬─────────────────────┬───────────────────┬─────────┐
//   │ "BTSF" │ version │ 0 u24 │ blocks u32 │ directory position u32 │ directory bytes u32 │ directory crc u32 │ crc u32 │
//   └────────┴─────────┴───────┴────────────┴────────────────────────┴─────────────────────┴───────────────────┴─────────┘
// - A damaged block costs itself. A damaged directory or footer costs a scan: each block says what it holds.
import { constants, crc32, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { pack, unpack } from 'msgpackr'
import { BLOCK_EVENTS_MAX, BLOCK_TEXT_BYTES_MAX, CorruptBlockError, decodeBlock, encodeBlock } from './block.ts'
import type { Events, Origin, Run } from './events.ts'
import type { Damage } from './stores.ts'

export const BLOCK_HEAD_BYTES = 60
export const FOOTER_BYTES = 28
/** Inflated. A run takes about 20 bytes, so a block of single-line packets stays far below. */
const META_BYTES_MAX = 32 * 1024 * 1024
const BODY_BYTES_MAX = 40 * 1024 * 1024
const DIRECTORY_BYTES_MAX = 256 * 1024 * 1024
/** Read at the end of a file in the hope that the directory is in it; and per step of a scan. */
const TAIL_BYTES = 64 * 1024
const WINDOW_BYTES = 1024 * 1024
const VERSION = 1
const KIND_LINES = 0
const BLOCK_MAGIC = Buffer.from('BTSB', 'latin1')
const FOOTER_MAGIC = Buffer.from('BTSF', 'latin1')
/** The meta is small and repeats itself: more effort finds no more. */
const META_LEVEL = 3

/** Bytes of the file are not what was written. What is whole is still served; another copy has the rest. */
export class CorruptSegmentError extends Error {
  override readonly name = 'CorruptSegmentError'
  readonly where: string
  readonly reason: string
  constructor(where: string, reason: string, options?: ErrorOptions) {
    super(`${where}: ${reason}`, options)
    this.where = where
    this.reason = reason
  }
}

/** A run that knows the packet it came in. */
export interface SegmentRun extends Run {
  origin: Origin
}

export interface SegmentEvents extends Events {
  runs: SegmentRun[]
}

/** What head and meta of a block say. */
export interface SegmentBlock {
  position: number
  /** Head, meta and body. */
  bytes: number
  bodyPosition: number
  bodyCrc: number
  events: number
  lines: number
  rawBytes: number
  leastNs: bigint
  greatestNs: bigint
  levels: number
  runs: SegmentRun[]
  /** Hosts and applications that lines name themselves. */
  names: string[]
}

/** A file or object, however it is reached. `read` answers fewer bytes only where the file ends. */
export interface SegmentFile {
  name: string
  size: number
  read(from: number, to: number): Promise<Buffer>
}

/** Head, meta and body of one block; `head` is what the directory repeats. */
export function encodeSegmentBlock(
  events: SegmentEvents,
  position: number,
  level: number,
): { head: Buffer; body: Buffer; block: SegmentBlock } {
  const body = encodeBlock(events, level)
  const meta = encodeMeta(events)
  const { lines, levels, leastNs, greatestNs } = columnBounds(events)
  const head = Buffer.alloc(BLOCK_HEAD_BYTES)
  BLOCK_MAGIC.copy(head)
  head.writeUInt8(VERSION, 4)
  head.writeUInt8(KIND_LINES, 5)
  head.writeUInt16BE(levels, 6)
  head.writeUInt32BE(position, 8)
  head.writeUInt32BE(meta.length, 12)
  head.writeUInt32BE(body.length, 16)
  head.writeUInt32BE(events.ends.length, 20)
  head.writeUInt32BE(lines, 24)
  head.writeUInt32BE(events.bytes.length, 28)
  head.writeBigInt64BE(leastNs, 32)
  head.writeBigInt64BE(greatestNs, 40)
  head.writeUInt32BE(crc32(meta), 48)
  head.writeUInt32BE(crc32(body), 52)
  head.writeUInt32BE(crc32(head.subarray(0, 56)), 56)
  const { metaBytes, bodyBytes, metaCrc, ...facts } = decodeHead(head)
  const block = { ...facts, runs: events.runs, names: events.names }
  return { head: Buffer.concat([head, meta]), body, block }
}

export function encodeFooter(blocks: number, directoryPosition: number, directory: Buffer): Buffer {
  const footer = Buffer.alloc(FOOTER_BYTES)
  FOOTER_MAGIC.copy(footer)
  footer.writeUInt8(VERSION, 4)
  footer.writeUInt32BE(blocks, 8)
  footer.writeUInt32BE(directoryPosition, 12)
  footer.writeUInt32BE(directory.length, 16)
  footer.writeUInt32BE(crc32(directory), 20)
  footer.writeUInt32BE(crc32(footer.subarray(0, 24)), 24)
  return footer
}

/** All blocks of a file. A damaged directory is told and read from the blocks instead. */
export async function readDirectory(file: SegmentFile, onDamage: (damage: Damage) => void): Promise<SegmentBlock[]> {
  try {
    return await readWholeDirectory(file)
  } catch (error) {
    if (!(error instanceof CorruptSegmentError)) throw error
    onDamage({ where: error.where, reason: `${error.reason}; the blocks are looked for one by one` })
  }
  return scanBlocks(file, onDamage)
}

/** Inflates one block. Throws CorruptSegmentError. */
export async function readSegmentBlock(file: SegmentFile, block: SegmentBlock): Promise<SegmentEvents> {
  const where = `${file.name} block at ${block.position}`
  const end = block.position + block.bytes
  const body = await file.read(block.bodyPosition, end)
  if (body.length !== end - block.bodyPosition) throw new CorruptSegmentError(where, 'is cut short')
  if (crc32(body) !== block.bodyCrc) throw new CorruptSegmentError(where, 'body checksum is wrong')
  try {
    return { ...decodeBlock(body, block.runs, block.names), runs: block.runs }
  } catch (cause) {
    if (cause instanceof CorruptBlockError) throw new CorruptSegmentError(where, cause.message, { cause })
    throw cause
  }
}

async function readWholeDirectory(file: SegmentFile): Promise<SegmentBlock[]> {
  const tailAt = Math.max(0, file.size - TAIL_BYTES)
  const tail = await file.read(tailAt, file.size)
  const footer = decodeFooter(file, tail)
  const { position, bytes, blocks: count, crc } = footer
  const directory =
    position >= tailAt
      ? tail.subarray(position - tailAt, position - tailAt + bytes)
      : await file.read(position, position + bytes)
  const where = `${file.name} directory at ${position}`
  if (directory.length !== bytes || crc32(directory) !== crc) {
    throw new CorruptSegmentError(where, 'checksum is wrong')
  }
  const blocks: SegmentBlock[] = []
  let end = 0
  for (let at = 0; at < directory.length; ) {
    const head = headAt(directory, at)
    if (typeof head === 'string') throw new CorruptSegmentError(where, head)
    if (head.position !== end) throw new CorruptSegmentError(where, `block at ${head.position} instead of ${end}`)
    const metaAt = at + BLOCK_HEAD_BYTES
    const block = withMeta(head, directory.subarray(metaAt, metaAt + head.metaBytes))
    if (typeof block === 'string') throw new CorruptSegmentError(where, block)
    blocks.push(block)
    at = metaAt + head.metaBytes
    end += block.bytes
  }
  if (end !== position || blocks.length !== count) {
    throw new CorruptSegmentError(
      where,
      `names ${blocks.length} blocks of ${end} bytes instead of ${count} of ${position}`,
    )
  }
  return blocks
}

function decodeFooter(
  file: SegmentFile,
  tail: Buffer,
): { blocks: number; position: number; bytes: number; crc: number } {
  const footer = tail.subarray(Math.max(0, tail.length - FOOTER_BYTES))
  const where = `${file.name} footer at ${Math.max(0, file.size - FOOTER_BYTES)}`
  if (footer.length < FOOTER_BYTES || !footer.subarray(0, 4).equals(FOOTER_MAGIC)) {
    throw new CorruptSegmentError(where, 'is not there: the file is cut')
  }
  if (crc32(footer.subarray(0, 24)) !== footer.readUInt32BE(24)) {
    throw new CorruptSegmentError(where, 'checksum is wrong')
  }
  if (footer.readUInt8(4) !== VERSION) {
    throw new CorruptSegmentError(where, `version ${footer.readUInt8(4)}: this program reads version ${VERSION}`)
  }
  const position = footer.readUInt32BE(12)
  const bytes = footer.readUInt32BE(16)
  if (bytes > DIRECTORY_BYTES_MAX || position + bytes + FOOTER_BYTES !== file.size) {
    throw new CorruptSegmentError(where, `names a directory of ${bytes} bytes at ${position} in a file of ${file.size}`)
  }
  return { blocks: footer.readUInt32BE(8), position, bytes, crc: footer.readUInt32BE(20) }
}

/** Every block that can be found by its own head, in order of the file. One head and one meta at a time in memory. */
async function scanBlocks(file: SegmentFile, onDamage: (damage: Damage) => void): Promise<SegmentBlock[]> {
  const blocks: SegmentBlock[] = []
  for (let at = 0; at < file.size; ) {
    const head = headAt(await file.read(at, at + BLOCK_HEAD_BYTES), 0)
    if (typeof head === 'string' || head.position !== at) {
      const next = await findHead(file, at + 1)
      // A head that names an earlier position is the directory's: what is wrong with that is told already.
      const isDirectory = typeof head !== 'string' && head.position < at
      if (!isDirectory) {
        const reason = typeof head === 'string' ? head : `its head says position ${head.position}`
        onDamage({ where: `${file.name} from ${at} to ${next}`, reason: `no block: ${reason}` })
      }
      at = next
      continue
    }
    const metaAt = at + BLOCK_HEAD_BYTES
    const block = withMeta(head, await file.read(metaAt, metaAt + head.metaBytes))
    if (typeof block === 'string') onDamage({ where: `${file.name} block at ${at}`, reason: block })
    else blocks.push(block)
    at += head.bytes
  }
  return blocks
}

async function findHead(file: SegmentFile, from: number): Promise<number> {
  for (let at = from; at < file.size; ) {
    const window = await file.read(at, at + WINDOW_BYTES)
    if (window.length === 0) return file.size
    const found = window.indexOf(BLOCK_MAGIC)
    if (found < 0) {
      // The magic may lie across two windows.
      at += Math.max(1, window.length - (BLOCK_MAGIC.length - 1))
      continue
    }
    const head = headAt(await file.read(at + found, at + found + BLOCK_HEAD_BYTES), 0)
    if (typeof head !== 'string' && head.position === at + found) return at + found
    at += found + 1
  }
  return file.size
}

type Head = Omit<SegmentBlock, 'runs' | 'names'> & { metaBytes: number; bodyBytes: number; metaCrc: number }

function headAt(bytes: Buffer, at: number): Head | string {
  const head = bytes.subarray(at, at + BLOCK_HEAD_BYTES)
  if (head.length < BLOCK_HEAD_BYTES) return 'the head is cut short'
  if (!head.subarray(0, 4).equals(BLOCK_MAGIC)) return 'does not begin with BTSB'
  if (head.readUInt32BE(56) !== crc32(head.subarray(0, 56))) return 'head checksum is wrong'
  const version = head.readUInt8(4)
  const kind = head.readUInt8(5)
  if (version !== VERSION || kind !== KIND_LINES) {
    return `version ${version}, kind ${kind}: this program reads version ${VERSION}, kind ${KIND_LINES}`
  }
  const facts = decodeHead(head)
  if (facts.metaBytes > META_BYTES_MAX || facts.bodyBytes > BODY_BYTES_MAX) {
    return `meta of ${facts.metaBytes} and body of ${facts.bodyBytes} bytes are over the bounds`
  }
  return facts
}

function decodeHead(head: Buffer): Head {
  const position = head.readUInt32BE(8)
  const metaBytes = head.readUInt32BE(12)
  const bodyBytes = head.readUInt32BE(16)
  return {
    position,
    metaBytes,
    bodyBytes,
    bytes: BLOCK_HEAD_BYTES + metaBytes + bodyBytes,
    bodyPosition: position + BLOCK_HEAD_BYTES + metaBytes,
    levels: head.readUInt16BE(6),
    events: head.readUInt32BE(20),
    lines: head.readUInt32BE(24),
    rawBytes: head.readUInt32BE(28),
    leastNs: head.readBigInt64BE(32),
    greatestNs: head.readBigInt64BE(40),
    metaCrc: head.readUInt32BE(48),
    bodyCrc: head.readUInt32BE(52),
  }
}

function encodeMeta(events: SegmentEvents): Buffer {
  const origins = new Map<Origin, number>()
  const sources = new Map<string, number>()
  const originRows: unknown[] = []
  const sourceRows: unknown[] = []
  const runs = events.runs.map(run => {
    const { origin, source, host, path, app, start } = run
    if (!origins.has(origin)) {
      origins.set(origin, originRows.push([origin.tailer, origin.epoch, origin.sequence, origin.bucket]) - 1)
    }
    const key = runLabel(run)
    if (!sources.has(key)) sources.set(key, sourceRows.push([source, host, path, app, start]) - 1)
    return [sources.get(key), origins.get(origin), run.from, run.to, run.events]
  })
  return zstdCompressSync(pack([originRows, sourceRows, runs, events.names]), {
    params: { [constants.ZSTD_c_compressionLevel]: META_LEVEL },
  })
}

/** Equal for runs that differ in offsets only. */
export function runLabel(run: Pick<Run, 'source' | 'host' | 'path' | 'app' | 'start'>): string {
  return JSON.stringify([run.source, run.host, run.path, run.app, run.start])
}

function withMeta(head: Head, bytes: Buffer): SegmentBlock | string {
  const { metaBytes, bodyBytes, metaCrc, ...facts } = head
  if (bytes.length !== metaBytes || crc32(bytes) !== metaCrc) return 'meta checksum is wrong'
  try {
    const meta = unpack(zstdDecompressSync(bytes, { maxOutputLength: META_BYTES_MAX }))
    const [runs, names] = decodeMeta(meta)
    return { ...facts, runs, names }
  } catch (error) {
    return `meta cannot be read: ${(error as Error).message}`
  }
}

function decodeMeta(meta: unknown): [SegmentRun[], string[]] {
  const [originRows, sourceRows, runRows, names] = rows(meta)
  const origins: Origin[] = rows(originRows).map(row => {
    const [tailer, epoch, sequence, bucket] = rows(row)
    return { tailer: text(tailer), epoch: text(epoch), sequence: whole(sequence), bucket: whole(bucket) }
  })
  const sources = rows(sourceRows).map(row => {
    const [source, host, path, app, start] = rows(row)
    return { source: text(source), host: text(host), path: text(path), app: text(app), start: whole(start) }
  })
  const runs = rows(runRows).map(row => {
    const [sourceIndex, originIndex, from, to, events] = rows(row).map(whole)
    const source = sources[sourceIndex]
    const origin = origins[originIndex]
    if (!source || !origin) throw new TypeError('a run of a source or packet that is not listed')
    return { ...source, origin, from, to, events }
  })
  return [runs, rows(names).map(text)]
}

function rows(value: unknown): unknown[] {
  if (!Array.isArray(value)) throw new TypeError('no list where one should be')
  return value
}

function text(value: unknown): string {
  if (typeof value !== 'string') throw new TypeError('no text where one should be')
  return value
}

function whole(value: unknown): number {
  if (!Number.isSafeInteger(value) || (value as number) < 0) throw new TypeError('no whole number where one should be')
  return value as number
}

function columnBounds(events: Events): { lines: number; levels: number; leastNs: bigint; greatestNs: bigint } {
  const { times } = events
  if (times.length > BLOCK_EVENTS_MAX || events.bytes.length > BLOCK_TEXT_BYTES_MAX) {
    throw new RangeError(`${times.length} events of ${events.bytes.length} bytes are too many for one block`)
  }
  let lines = 0
  let levels = 0
  let leastNs = times.length > 0 ? times[0] : 0n
  let greatestNs = leastNs
  for (const count of events.lines) lines += count
  for (const level of events.levels) levels |= 1 << level
  for (const time of times) {
    if (time < leastNs) leastNs = time
    if (time > greatestNs) greatestNs = time
  }
  return { lines, levels, leastNs, greatestNs }
}
