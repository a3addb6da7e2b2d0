// A block of a segment: events of many packets with a head and a meta that say all about them. Integers big-endian.
//
//   0        4         5      6            8              12         16           20          24          28
//   ┌────────┬─────────┬──────┬────────────┬──────────────┬──────────┬────────────┬───────────┬───────────┬──────────────┐
//   │ "BTSB" │ version │ kind │ levels u16 │ position u32 │ meta u32 │ body   u32 │ events u32│ lines  u32│ raw bytes u32│
//   └────────┴─────────┴──────┴────────────┴──────────────┴──────────┴────────────┴───────────┴───────────┴──────────────┘
//   32               40                  48             52             56             60       60 + meta
//   ┌────────────────┬───────────────────┬──────────────┬──────────────┬──────────────┬────────┬──────────┐
//   │ least time i64 │ greatest time i64 │ meta crc u32 │ body crc u32 │ head crc u32 │ meta   │ body     │
//   └────────────────┴───────────────────┴──────────────┴──────────────┴──────────────┴────────┴──────────┘
//   kind       of the body. 0: lines (shared/block), 1: columns (shared/columns/columns-block)
//   levels     bit i: an event has level i of LEVELS (shared/events)
//   position   of this block in the file: a head found by its magic elsewhere (in the directory, in a line) is none
//   times      nanoseconds since 1970
//   crc        IEEE; head crc over the 56 bytes before it: a length is believed only after this was checked
//   meta       zstd of msgpack [origins, sources, runs, names]
//                origin  [tailer, epoch, sequence, bucket]        source  [source, host, path, app, start, parent?]
//                run     [source index, origin index, from, to, events]; runs by path, host, source, offset
import { constants, crc32, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { pack, unpack } from 'msgpackr'
import { BLOCK_EVENTS_MAX, BLOCK_TEXT_BYTES_MAX, decodeBlock, encodeBlock } from './block.ts'
import { analyseText, decodeColumnsBlock, finishColumnsBlock, ModeMemory } from './columns/columns-block.ts'
import type { Events, Origin, Run } from './events.ts'
import { TokenSet } from './segment-tokens.ts'

export const BLOCK_HEAD_BYTES = 60
export const BLOCK_MAGIC = Buffer.from('BTSB', 'latin1')
/** Inflated. A run takes about 20 bytes, so a block of single-line packets stays far below. */
const META_BYTES_MAX = 32 * 1024 * 1024
const BODY_BYTES_MAX = 40 * 1024 * 1024
const VERSION = 1
const BODY_KINDS = ['lines', 'columns'] as const
/** The meta is small and repeats itself: more effort finds no more. */
const META_LEVEL = 3

/** A run that knows the packet it came in. */
export interface SegmentRun extends Run {
  origin: Origin
}

export interface SegmentEvents extends Events {
  runs: SegmentRun[]
}

export type BodyKind = (typeof BODY_KINDS)[number]

/** Where the token filter of a block lies in the file. */
export interface FilterPlace {
  position: number
  bytes: number
  crc: number
}

/** What head and meta of a block say, and the directory. */
export interface SegmentBlock {
  kind: BodyKind
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
  /** Undefined: none fitted, or the directory could not be read. */
  filter?: FilterPlace
}

export interface EncodedBlock {
  /** With the meta: what the directory repeats. */
  head: Buffer
  body: Buffer
  /** shared/segment-tokens */
  filter: Buffer | undefined
  block: SegmentBlock
}

/** Columns where they pay, else lines. */
export function encodeSegmentBlock(events: SegmentEvents, position: number, level: number): EncodedBlock {
  // The mode is chosen for each block anew: what is worth it for a packet is not yet for 16 MB.
  const encoded = analyseText(events.bytes, new ModeMemory(), true)
  // The analysis is a view of the codec's memory: first all that is made of it.
  let tokens = TokenSet.of(events, encoded?.analysis.tokens)
  const inColumns = encoded && finishColumnsBlock(events, encoded, level)?.bytes
  const kind = inColumns ? 'columns' : 'lines'
  // Columns that do not give the text back are not written, and list no words.
  if (encoded && !inColumns) tokens = TokenSet.of(events, undefined)
  const body = inColumns ?? encodeBlock(events, level)
  return sealBlock(events, kind, body, tokens.encode(body.length), position)
}

/** @param body  of these events; without their runs and names, which are in the meta */
export function sealBlock(
  events: SegmentEvents,
  kind: BodyKind,
  body: Buffer,
  filter: Buffer | undefined,
  position: number,
): EncodedBlock {
  const meta = encodeMeta(events)
  const { lines, levels, leastNs, greatestNs } = columnBounds(events)
  const head = Buffer.alloc(BLOCK_HEAD_BYTES)
  BLOCK_MAGIC.copy(head)
  head.writeUInt8(VERSION, 4)
  head.writeUInt8(BODY_KINDS.indexOf(kind), 5)
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
  const { metaBytes, bodyBytes, metaCrc, ...facts } = readFields(head)
  const block = { ...facts, runs: events.runs, names: events.names }
  return { head: Buffer.concat([head, meta]), body, filter, block }
}

/** A block for another place, without looking into its body. */
export function moveSegmentBlock(headAndMeta: Buffer, position: number): Buffer {
  const moved = Buffer.from(headAndMeta)
  moved.writeUInt32BE(position, 8)
  moved.writeUInt32BE(crc32(moved.subarray(0, 56)), 56)
  return moved
}

/** Throws CorruptBlockError. */
export function decodeBody(block: Pick<SegmentBlock, 'kind' | 'runs' | 'names'>, body: Buffer): SegmentEvents {
  const decode = block.kind === 'columns' ? decodeColumnsBlock : decodeBlock
  return { ...decode(body, block.runs, block.names), runs: block.runs }
}

export type BlockHead = Omit<SegmentBlock, 'runs' | 'names' | 'filter'> & {
  metaBytes: number
  bodyBytes: number
  metaCrc: number
}

/** The head at `at`, or why there is none. */
export function decodeBlockHead(bytes: Buffer, at: number): BlockHead | string {
  const head = bytes.subarray(at, at + BLOCK_HEAD_BYTES)
  if (head.length < BLOCK_HEAD_BYTES) return 'the head is cut short'
  if (!head.subarray(0, 4).equals(BLOCK_MAGIC)) return 'does not begin with BTSB'
  if (head.readUInt32BE(56) !== crc32(head.subarray(0, 56))) return 'head checksum is wrong'
  const version = head.readUInt8(4)
  const kind = head.readUInt8(5)
  if (version !== VERSION || kind >= BODY_KINDS.length) {
    return `version ${version}, kind ${kind}: this program reads version ${VERSION}, kinds 0 to ${BODY_KINDS.length - 1}`
  }
  const facts = readFields(head)
  if (facts.metaBytes > META_BYTES_MAX || facts.bodyBytes > BODY_BYTES_MAX) {
    return `meta of ${facts.metaBytes} and body of ${facts.bodyBytes} bytes are over the bounds`
  }
  return facts
}

function readFields(head: Buffer): BlockHead {
  const position = head.readUInt32BE(8)
  const metaBytes = head.readUInt32BE(12)
  const bodyBytes = head.readUInt32BE(16)
  return {
    kind: BODY_KINDS[head.readUInt8(5)],
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
    const { origin, source, host, path, app, start, parent } = run
    if (!origins.has(origin)) {
      origins.set(origin, originRows.push([origin.tailer, origin.epoch, origin.sequence, origin.bucket]) - 1)
    }
    const key = runLabel(run)
    const row = [source, host, path, app, start, ...(parent === undefined ? [] : [parent])]
    if (!sources.has(key)) sources.set(key, sourceRows.push(row) - 1)
    return [sources.get(key), origins.get(origin), run.from, run.to, run.events]
  })
  return zstdCompressSync(pack([originRows, sourceRows, runs, events.names]), {
    params: { [constants.ZSTD_c_compressionLevel]: META_LEVEL },
  })
}

/** Equal for runs that differ in offsets only. */
export function runLabel(run: Pick<Run, 'source' | 'host' | 'path' | 'app' | 'start' | 'parent'>): string {
  return JSON.stringify([run.source, run.host, run.path, run.app, run.start, run.parent])
}

/** All about the block, or why its meta cannot be read. */
export function decodeBlockMeta(head: BlockHead, bytes: Buffer): SegmentBlock | string {
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
    const [source, host, path, app, start, parent] = rows(row)
    const own = { source: text(source), host: text(host), path: text(path), app: text(app), start: whole(start) }
    return parent === undefined ? own : { ...own, parent: text(parent) }
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
  for (let i = 0; i < times.length; i++) {
    lines += events.lines[i]
    levels |= 1 << events.levels[i]
  }
  return { lines, levels, ...timeBounds(times) }
}

/** By halves: a BigInt for each time would take longer than all the rest. */
function timeBounds(times: BigInt64Array): { leastNs: bigint; greatestNs: bigint } {
  if (times.length === 0) return { leastNs: 0n, greatestNs: 0n }
  const halves = new Int32Array(times.buffer, times.byteOffset, times.length * 2)
  let least = 0
  let greatest = 0
  for (let i = 1; i < times.length; i++) {
    const high = halves[2 * i + 1]
    const low = halves[2 * i] >>> 0
    const leastHigh = halves[2 * least + 1]
    if (high < leastHigh || (high === leastHigh && low < halves[2 * least] >>> 0)) least = i
    const greatestHigh = halves[2 * greatest + 1]
    if (high > greatestHigh || (high === greatestHigh && low > halves[2 * greatest] >>> 0)) greatest = i
  }
  return { leastNs: times[least], greatestNs: times[greatest] }
}
