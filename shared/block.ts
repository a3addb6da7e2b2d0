// Events as bytes, kind "lines": columns of fixed width beside a blob of text, in one zstd frame. Packets carry one such
// block as their body, segments many. Integers little-endian (the columns are typed arrays).
//
//   0              4               8
//   ┌──────────────┬───────────────┬──────────────────────────────────────────────┐
//   │ events   u32 │ text     u32  │ zstd frame of:                               │
//   └──────────────┴───────────────┤  lengths u32[] · times i64[] (deltas)        │
//                                  │  lines u16[] · hosts u16[] · apps u16[]      │
//                                  │  levels u8[] · flags u8[] · text             │
//                                  └──────────────────────────────────────────────┘
//   Runs and names travel beside it, in the meta of the packet or the directory of the segment: they are read without
//   inflating anything.
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { EVENT_BYTES_MAX, type Events, LEVELS, type Run } from './events.ts'

/** Bytes of the columns per event: 4 + 8 + 2 + 2 + 2 + 1 + 1. */
const COLUMN_BYTES = 20
const HEADER_BYTES = 8
/** Text of one block. A packet is about 1 MB, a segment's block 4 MB; no one has a reason to send more. */
export const BLOCK_TEXT_BYTES_MAX = 32 * 1024 * 1024
/** Allocated at once on the word of a header that may be wrong. */
const CHUNK_BYTES_MAX = 8 * 1024 * 1024
export const BLOCK_EVENTS_MAX = 4 * 1024 * 1024

/** The bytes are not a block, or not of these runs. Nothing was allocated beyond the bounds above. */
export class CorruptBlockError extends Error {
  override readonly name = 'CorruptBlockError'
}

/** @param level zstd's: 1 for packets (the tailer's time is dear), 9 for segments (read for years). */
export function encodeBlock(events: Events, level: number): Buffer {
  const count = events.ends.length
  const columns = Buffer.allocUnsafe(count * COLUMN_BYTES)
  let at = 0
  let before = 0
  for (let i = 0; i < count; i++, at += 4) {
    columns.writeUInt32LE(events.ends[i] - before, at)
    before = events.ends[i]
  }
  let timeBefore = 0n
  for (let i = 0; i < count; i++, at += 8) {
    columns.writeBigInt64LE(BigInt.asIntN(64, events.times[i] - timeBefore), at)
    timeBefore = events.times[i]
  }
  for (const column of [events.lines, events.hosts, events.apps]) {
    for (let i = 0; i < count; i++, at += 2) columns.writeUInt16LE(column[i], at)
  }
  columns.set(events.levels, at)
  columns.set(events.flags, at + count)
  const raw = Buffer.concat([columns, events.bytes])
  const frame = zstdCompressSync(raw, { params: { [constants.ZSTD_c_compressionLevel]: level } })
  const header = Buffer.allocUnsafe(HEADER_BYTES)
  header.writeUInt32LE(count, 0)
  header.writeUInt32LE(events.bytes.length, 4)
  return Buffer.concat([header, frame])
}

/** Throws CorruptBlockError. */
export function decodeBlock(block: Buffer, runs: Run[], names: string[]): Events {
  if (block.length < HEADER_BYTES) throw new CorruptBlockError(`a block of ${block.length} bytes has no header`)
  const count = block.readUInt32LE(0)
  const textBytes = block.readUInt32LE(4)
  if (count > BLOCK_EVENTS_MAX) throw new CorruptBlockError(`${count} events are over ${BLOCK_EVENTS_MAX}`)
  if (textBytes > BLOCK_TEXT_BYTES_MAX)
    throw new CorruptBlockError(`${textBytes} bytes are over ${BLOCK_TEXT_BYTES_MAX}`)
  const rawBytes = count * COLUMN_BYTES + textBytes
  const raw = inflate(block.subarray(HEADER_BYTES), rawBytes)
  if (raw.length !== rawBytes) throw new CorruptBlockError(`inflated to ${raw.length} bytes instead of ${rawBytes}`)

  const ends = new Uint32Array(count)
  const times = new BigInt64Array(count)
  let at = 0
  let end = 0
  for (let i = 0; i < count; i++, at += 4) {
    const length = raw.readUInt32LE(at)
    if (length > EVENT_BYTES_MAX)
      throw new CorruptBlockError(`event ${i} of ${length} bytes is over ${EVENT_BYTES_MAX}`)
    end += length
    ends[i] = end
  }
  if (end !== textBytes) throw new CorruptBlockError(`events of ${end} bytes in a text of ${textBytes}`)
  let time = 0n
  for (let i = 0; i < count; i++, at += 8) {
    time = BigInt.asIntN(64, time + raw.readBigInt64LE(at))
    times[i] = time
  }
  const short = () => {
    const column = new Uint16Array(count)
    for (let i = 0; i < count; i++, at += 2) column[i] = raw.readUInt16LE(at)
    return column
  }
  const lines = short()
  const hosts = short()
  const apps = short()
  const levels = new Uint8Array(raw.subarray(at, at + count))
  const flags = new Uint8Array(raw.subarray(at + count, at + 2 * count))
  const events = { runs, bytes: raw.subarray(at + 2 * count), ends, lines, times, levels, flags, hosts, apps, names }
  checkColumns(events)
  return events
}

function inflate(frame: Buffer, bytesMax: number): Buffer {
  try {
    // One chunk for all of it, where it is not huge: zlib's default is 16 KB, and joining them takes as long as inflating.
    const chunkSize = Math.max(64, Math.min(bytesMax + 1, CHUNK_BYTES_MAX))
    return zstdDecompressSync(frame, { maxOutputLength: Math.max(1, bytesMax), chunkSize })
  } catch (cause) {
    throw new CorruptBlockError(`does not inflate: ${(cause as Error).message}`, { cause })
  }
}

function checkColumns(events: Events): void {
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
  for (let n = 0; n < ends.length; n++) {
    if (events.hosts[n] >= names.length || events.apps[n] >= names.length || events.levels[n] >= LEVELS.length) {
      throw new CorruptBlockError(`event ${n} names what is not in the lists`)
    }
  }
}
