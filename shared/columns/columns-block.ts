// Events as bytes, kind "columns": what like lines share is written once, the rest column by column. Little-endian.
// docs/formats/columns.md draws all of it; the streams are those of core/ and event-columns.ts.
//
//   0           1             5               9
//   ┌───────────┬─────────────┬───────────────┬─────────────────────────────────────────────────┬─────────┬─────────┐
//   │ version 1 │ crc32   u32 │ text crc  u32 │ varints: events, text bytes,                     │ frame A │ frame B │
//   │           │             │               │ bytes of streams 0 to 9, bytes of frame A        │ zstd    │ zstd    │
//   └───────────┴─────────────┴───────────────┴─────────────────────────────────────────────────┴─────────┴─────────┘
//   crc32      IEEE, over all that follows it
//   text crc   over the text the block decodes to
//   frame A    streams 0 1 6 8 7, end to end: templates, descriptors, entries, raw lines, texts
//   frame B    streams 2 3 5 4 9: template ids, first time stamps, entry ids, integers, event columns
//   Like lies by like: two frames take 5 % less than one, and a search can do without B where A says no.
import { constants, crc32, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { BLOCK_EVENTS_MAX, CorruptBlockError } from '../block.ts'
import { EVENT_BYTES_MAX, type Events, LEVELS, type Run } from '../events.ts'
import {
  COLUMNS_TEXT_BYTES_MAX,
  columnsCodec,
  type Encoded,
  type LineStamps,
  MODES,
  type Mode,
  type Streams,
} from './codec.ts'
import { decodeEventColumns, endsOf } from './event-columns.ts'
import { readTemplates } from './template-view.ts'
import { VariableIds } from './variable-ids.ts'
import { VarintReader, VarintWriter } from './varints.ts'

const VERSION = 1
const VARINTS_AT = 9
/** Streams of the codec, and the event columns. */
const BLOCK_STREAMS = 10
const FRAME_A = [0, 1, 6, 8, 7]
const FRAME_B = [2, 3, 5, 4, 9]
const EVENT_STREAM = 9
/**
 * All three modes are tried on a packet as it is: one in BLOCKS_PER_CHOICE and more. Of a longer text, an archive's block, where
 * every one is a choice, on a 32nd of it: a tenth of its time.
 */
const SAMPLED_WHOLE_BYTES_MAX = 1024 * 1024
const SAMPLE_SHARE = 1 / 32
const SAMPLE_BYTES_MIN = 128 * 1024
/** After so many blocks the mode is chosen again; after twice as many each time that it was right, up to the most. */
const BLOCKS_PER_CHOICE = 64
const BLOCKS_PER_CHOICE_MAX = 1024
/**
 * Lines whose template is not guessed have to be read: of a text without any that was, 10 ms per MB by words, 17 by
 * fields. A millisecond is a tenth of what a merge takes: it has to save 4 % of the bytes. By fields nearly twice as much,
 * for samples flatter them: what they save is 8 to 15 % of 256 KB, and nothing to 8 % of 8 MB.
 */
const COST_OF_NOT_GUESSED: Record<Mode, number> = { words: 0.4, joined: 0.4, fields: 1.2 }
/**
 * Of a packet: a variable takes 25 ns to find, write and check. One more in each 40 bytes of text, that is 0.6 ms per MB; a
 * tailer, which takes eight for all it does, gives a twentieth of the bytes for that.
 */
const COST_OF_VARIABLE = 2
/** Longer texts are an archive's. */
const PACKET_BYTES_MAX = 4 * 1024 * 1024
/** Streams that take more of the text than this do not pay: lines and zstd do as well, and faster. */
const STREAM_SHARE_MAX = 0.75
/** Of an event in all lists of event columns: gaps, and values of up to ten bytes. */
const EVENT_COLUMN_BYTES_MAX = 48
/** Events of no bytes that a block may have beside one per byte of its text. */
const EMPTY_EVENTS_MAX = 65_536
/** Long texts are ids without order for the most part: matches of a few bytes in them cost more than they save (2 to 4 %). */
const TEXT_MATCH_MIN = 6
/** Up to here both are tried: it takes little. */
const TRIED_BYTES_MAX = 256 * 1024
/**
 * Longer texts that the fastest level does not bring below a third are taken for ids, digits without order, in which to
 * look for matches is in vain: unless it gains a hundredth in samples of an eighth of them.
 */
const ID_SHARE = 1 / 3
const SAMPLES = 8
const SAMPLES_SHARE = 1 / 8
const SAMPLES_GAIN = 1.01
/** Up to this level zstd looks for long matches only. */
const FAST_LEVEL_MAX = 3
/** Of smaller inputs zstd may make a little more. */
const ZSTD_SMALL_BYTES = 128 * 1024
/** Allocated at once on the word of a header that may be wrong. */
const CHUNK_BYTES_MAX = 8 * 1024 * 1024

/** Which mode did best for a source (or whatever is alike): one object per source, kept between blocks. */
export class ModeMemory {
  mode: Mode | undefined
  blocks = 0
  blocksPerChoice = BLOCKS_PER_CHOICE
}

/**
 * The first half of a columns block: what the text alone says. Times and levels can be told from its analysis.
 * @param tokens  whether those of the text are wanted
 * @returns undefined if columns do not pay or the text does not fit; good until the codec is used again
 */
export function analyseText(text: Buffer, memory: ModeMemory, tokens = false): Encoded | undefined {
  const mode = chooseMode(text, memory)
  const encoded = mode && columnsCodec().encode(text, { mode, tokens })
  if (encoded === undefined) return undefined
  const streamBytes = encoded.streams.reduce((sum, stream) => sum + stream.length, 0)
  return streamBytes > STREAM_SHARE_MAX * text.length ? undefined : encoded
}

/**
 * @param zstdLevel  1 for packets (the tailer's time is dear), 9 for segments (read for years)
 * @param memory     where the chosen mode is kept; without it every block is a choice of its own
 * @returns undefined if columns do not pay, the text does not fit or would not come back: use kind lines
 */
export function encodeColumnsBlock(events: Events, zstdLevel: number, memory = new ModeMemory()): Buffer | undefined {
  const encoded = analyseText(events.bytes, memory)
  return encoded && finishColumnsBlock(events, encoded, zstdLevel)?.bytes
}

/** A block, and what its events are together. */
export interface FinishedBlock {
  bytes: Buffer
  lines: number
  /** Both 0 without events. */
  leastNs: bigint
  greatestNs: bigint
}

/**
 * The second half: what the events say beyond their text, and compression. The streams are decoded again and compared:
 * a fault of the encoder must cost speed and size, never a line.
 * @param encoded  of these events' bytes; not good any more afterwards
 * @returns undefined if the block would not give back what it was made of: use kind lines
 */
export function finishColumnsBlock(events: Events, encoded: Encoded, zstdLevel: number): FinishedBlock | undefined {
  const count = events.ends.length
  if (count > BLOCK_EVENTS_MAX || count > events.bytes.length + EMPTY_EVENTS_MAX) return undefined
  const inCore = columnsCodec().encodeEvents(encoded, events)
  if (inCore === undefined) return undefined
  const { streams, parts, lines, leastNs, greatestNs } = inCore
  const all = [...streams, Buffer.concat(parts)]
  const textsRaw = Buffer.concat(FRAME_A.map(k => all[k]))
  const numbersRaw = Buffer.concat(FRAME_B.map(k => all[k]))
  const lengths = all.map(stream => stream.length)
  if (!givesBack(events.bytes, [...split(textsRaw, FRAME_A, lengths), ...split(numbersRaw, FRAME_B, lengths)])) {
    return undefined
  }
  const frameA = deflateTexts(textsRaw, zstdLevel)
  const frameB = deflate(numbersRaw, zstdLevel)

  const varints = new VarintWriter()
  varints.put(events.ends.length)
  varints.put(events.bytes.length)
  for (const length of lengths) varints.put(length)
  varints.put(frameA.length)
  const block = Buffer.concat([Buffer.alloc(VARINTS_AT), varints.bytes, frameA, frameB])
  block[0] = VERSION
  block.writeUInt32LE(crc32(events.bytes), 5)
  block.writeUInt32LE(crc32(block.subarray(5)), 1)
  return { bytes: block, lines, leastNs, greatestNs }
}

/** @param streams  with their numbers, in any order */
function givesBack(text: Buffer, streams: [number, Buffer][]): boolean {
  const inOrder: Streams = []
  for (const [k, stream] of streams) if (k !== EVENT_STREAM) inOrder[k] = stream
  try {
    if (columnsCodec().decode(inOrder, text.length).equals(text)) return true
  } catch (error) {
    if (!(error instanceof CorruptBlockError)) throw error
  }
  if (!wasFaultTold)
    process.emitWarning('columns did not give a text back and lines were written instead: please report it')
  wasFaultTold = true
  return false
}

let wasFaultTold = false

/** @throws CorruptBlockError */
export function decodeColumnsBlock(block: Buffer, runs: Run[], names: string[]): Events {
  const header = readColumnsHeader(block)
  const streams: Streams = []
  inflateFrame(header, 'A').forEach((stream, k) => {
    streams[FRAME_A[k]] = stream
  })
  inflateFrame(header, 'B').forEach((stream, k) => {
    streams[FRAME_B[k]] = stream
  })
  const decoded = columnsCodec().decodeAll(streams.slice(0, EVENT_STREAM), header.textBytes)
  if (crc32(decoded.text) !== header.textCrc)
    throw new CorruptBlockError('the text does not have the checksum of the header')
  const variables = variablesOf(streams, decoded)
  const columns = decodeEventColumns(streams[EVENT_STREAM], header.events, decoded, variables)
  const { lines, times, levels, flags, hosts, apps } = columns
  const ends = endsOf(columns, decoded.lineEnds)
  const events: Events = {
    runs,
    bytes: Buffer.from(decoded.text),
    ends,
    lines,
    times,
    levels,
    flags,
    hosts,
    apps,
    names,
  }
  checkEvents(events)
  return events
}

function variablesOf(streams: Streams, { templateOf }: LineStamps): VariableIds {
  const buffer = (k: number) => Buffer.from(streams[k].buffer, streams[k].byteOffset, streams[k].length)
  const readTable = () =>
    readTemplates({
      templates: buffer(0),
      descriptors: buffer(1),
      entries: buffer(6),
      integerBytes: streams[4].length,
      idBytes: streams[5].length,
      textBytes: streams[7].length,
      linesMax: templateOf.length,
    })
  return new VariableIds(readTable, streams[5], streams[4], templateOf)
}

export interface ColumnsHeader {
  events: number
  textBytes: number
  textCrc: number
  streamBytes: number[]
  frameA: Buffer
  frameB: Buffer
}

/** Checks version, checksum and bounds; inflates nothing. @throws CorruptBlockError */
export function readColumnsHeader(block: Buffer): ColumnsHeader {
  if (block.length < VARINTS_AT) throw new CorruptBlockError(`a block of ${block.length} bytes has no header`)
  if (block[0] !== VERSION) throw new CorruptBlockError(`columns of version ${block[0]}: this program reads 1`)
  if (block.readUInt32LE(1) !== crc32(block.subarray(5))) throw new CorruptBlockError('the checksum is wrong')
  const reader = new VarintReader(block, VARINTS_AT)
  const events = reader.next('events', BLOCK_EVENTS_MAX)
  const textBytes = reader.next('text bytes', COLUMNS_TEXT_BYTES_MAX)
  const streamBytes: number[] = []
  if (events > textBytes + EMPTY_EVENTS_MAX) throw new CorruptBlockError(`${events} events of ${textBytes} bytes`)
  let left = textBytes
  for (let k = 0; k < BLOCK_STREAMS; k++) {
    const bytes = reader.next(`bytes of stream ${k}`, k === EVENT_STREAM ? 64 + events * EVENT_COLUMN_BYTES_MAX : left)
    streamBytes.push(bytes)
    if (k !== EVENT_STREAM) left -= bytes
  }
  const frameBytes = reader.next('bytes of frame A', block.length - reader.at)
  const frameB = reader.at + frameBytes
  return {
    events,
    textBytes,
    textCrc: block.readUInt32LE(5),
    streamBytes,
    frameA: block.subarray(reader.at, frameB),
    frameB: block.subarray(frameB),
  }
}

/** The streams of a frame, in its order. @throws CorruptBlockError */
export function inflateFrame(header: ColumnsHeader, name: 'A' | 'B'): Buffer[] {
  const numbers = name === 'A' ? FRAME_A : FRAME_B
  const bytes = numbers.reduce((sum, k) => sum + header.streamBytes[k], 0)
  const frame = inflate(name === 'A' ? header.frameA : header.frameB, bytes)
  return split(frame, numbers, header.streamBytes).map(([, stream]) => stream)
}

/** Streams that lie end to end, with their numbers. */
function split(raw: Buffer, numbers: number[], lengths: number[]): [number, Buffer][] {
  let at = 0
  return numbers.map(k => {
    const from = at
    at += lengths[k]
    return [k, raw.subarray(from, at)]
  })
}

function inflate(frame: Buffer, bytes: number): Buffer {
  let raw: Buffer
  try {
    const chunkSize = Math.max(64, Math.min(bytes + 1, CHUNK_BYTES_MAX))
    raw = zstdDecompressSync(frame, { maxOutputLength: Math.max(1, bytes), chunkSize })
  } catch (cause) {
    throw new CorruptBlockError(`does not inflate: ${(cause as Error).message}`, { cause })
  }
  if (raw.length !== bytes) throw new CorruptBlockError(`inflated to ${raw.length} bytes instead of ${bytes}`)
  return raw
}

function deflateTexts(raw: Buffer, level: number): Buffer {
  if (level <= FAST_LEVEL_MAX) return deflate(raw, level)
  const long = (bytes: Buffer) => deflate(bytes, level, { [constants.ZSTD_c_minMatch]: TEXT_MATCH_MIN })
  if (raw.length > TRIED_BYTES_MAX) {
    const quick = deflate(raw, 1)
    if (quick.length < raw.length * ID_SHARE) return long(raw)
    const step = Math.floor(raw.length / SAMPLES)
    const samples = Buffer.concat(
      Array.from({ length: SAMPLES }, (_, k) => raw.subarray(k * step, k * step + step * SAMPLES_SHARE)),
    )
    return long(samples).length * SAMPLES_GAIN > deflate(samples, 1).length ? quick : long(raw)
  }
  const [tried, any] = [long(raw), deflate(raw, level)]
  return any.length < tried.length ? any : tried
}

function deflate(raw: Buffer, level: number, params: Record<number, number> = {}): Buffer {
  return zstdCompressSync(raw, {
    params: { [constants.ZSTD_c_compressionLevel]: level, ...params },
    chunkSize: chunkOf(raw),
  })
}

/**
 * Room for the largest result there can be (ZSTD_COMPRESSBOUND): then zstd reads the input where it lies and writes in one
 * go. With less it first takes memory for a window of its own and copies all of the input into that.
 */
function chunkOf({ length }: Buffer): number {
  const more = length < ZSTD_SMALL_BYTES ? (ZSTD_SMALL_BYTES - length) >> 11 : 0
  return Math.max(1024, Math.min(CHUNK_BYTES_MAX, length + (length >> 8) + more))
}

/** Undefined if no mode takes the text. */
function chooseMode(text: Buffer, memory: ModeMemory): Mode | undefined {
  if (memory.mode !== undefined && ++memory.blocks < memory.blocksPerChoice) return memory.mode
  const former = memory.mode
  memory.blocks = 0
  const sample = text.length > SAMPLED_WHOLE_BYTES_MAX ? middleOf(text) : text
  let least = Number.POSITIVE_INFINITY
  memory.mode = undefined
  for (const mode of MODES) {
    const encoded = columnsCodec().encode(sample, { mode })
    if (encoded === undefined) continue
    const { streams, analysis } = encoded
    const guessed = analysis.predicted / analysis.lines
    const bytes = [FRAME_A, FRAME_B].reduce((sum, numbers) => {
      return sum + deflate(Buffer.concat(numbers.filter(k => k < EVENT_STREAM).map(k => streams[k])), 1).length
    }, 0)
    const perByte = text.length <= PACKET_BYTES_MAX ? analysis.variables / sample.length : 0
    const cost = bytes * (1 + COST_OF_NOT_GUESSED[mode] * (1 - guessed)) * (1 + COST_OF_VARIABLE * perByte)
    if (cost >= least) continue
    least = cost
    memory.mode = mode
  }
  memory.blocksPerChoice =
    memory.mode === former ? Math.min(memory.blocksPerChoice * 2, BLOCKS_PER_CHOICE_MAX) : BLOCKS_PER_CHOICE
  return memory.mode
}

/** Whole lines. */
function middleOf(text: Buffer): Buffer {
  const bytes = Math.max(SAMPLE_BYTES_MIN, text.length * SAMPLE_SHARE)
  const from = text.indexOf(10, (text.length - bytes) >> 1) + 1
  const end = text.lastIndexOf(10, from + bytes) + 1
  return end > from ? text.subarray(from, end) : text
}

function checkEvents(events: Events): void {
  const { runs, names, ends } = events
  let i = 0
  for (const run of runs) {
    const start = i === 0 ? 0 : ends[i - 1]
    i += run.events
    if (i > ends.length || (run.events > 0 ? ends[i - 1] : start) - start !== run.to - run.from) {
      throw new CorruptBlockError(`run ${run.source} ${run.from}–${run.to} does not fit its ${run.events} events`)
    }
  }
  if (i !== ends.length) throw new CorruptBlockError(`runs of ${i} events in a block of ${ends.length}`)
  let start = 0
  for (let n = 0; n < ends.length; n++) {
    if (ends[n] - start > EVENT_BYTES_MAX) throw new CorruptBlockError(`event ${n} is over ${EVENT_BYTES_MAX} bytes`)
    if (events.hosts[n] >= names.length || events.apps[n] >= names.length || events.levels[n] >= LEVELS.length) {
      throw new CorruptBlockError(`event ${n} names what is not in the lists`)
    }
    start = ends[n]
  }
  if (start !== events.bytes.length)
    throw new CorruptBlockError(`events of ${start} bytes in a text of ${events.bytes.length}`)
}
