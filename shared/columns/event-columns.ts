// What `Events` says beyond the text, told from what the columns of the text know anyway; only where that is wrong is
// something written. Seven lists, end to end, each:
//
//   ┌─────────────────────────────┬───────────────┬─────────────────────────────────────────┬────────────────────────┐
//   │ lists 4 to 7: tellers, then │ count  varint │ gaps: events since the exception before │ values, one each       │
//   │ template · part of each     │               │ (the first: since event 0); varints     │                        │
//   └─────────────────────────────┴───────────────┴─────────────────────────────────────────┴────────────────────────┘
//     list      told from                                            value of an exception
//   1 extents   from where the former ended to the end of that line  lines crossed, then 0: ends with a line, or 1 + bytes
//   2 lines     line starts in it                                    the count
//   3 times     the first time stamp of its first line + an offset   difference to the former event's (the first: to 0),
//               of the format (0 at first, then that of the last     zigzag, 64 bits; the format's offset becomes the time
//               exception); without a stamp: the former event's      less the stamp
//   4 levels    the former value of the template of its first line   the value
//   5 flags     (0 at first); where a *teller* names one of the
//   6 hosts     template's variables: the former value of the
//   7 apps      line's entry or number in it (variable-ids.ts)
//
//   A stamp in nanoseconds is seconds · 10⁹ + fraction · 10^(9 - digits). Arithmetic is modulo 2^64. Parts of a template are
//   counted from 0, its static bytes too; a variable with one value in the block is a part of its own.
import { CorruptBlockError } from '../block.ts'
import type { Events } from '../events.ts'
import type { LineStamps } from './codec.ts'
import { NO_STAMP } from './codec.ts'
import type { VariableIds } from './variable-ids.ts'
import { VarintReader, VarintWriter } from './varints.ts'

/** Columns of events without their ends, which need the lengths of lines. */
export interface EventColumns {
  /** The line in which each event begins. */
  firstLines: Uint32Array
  extents: Extents
  lines: Uint16Array
  times: BigInt64Array
  levels: Uint8Array
  flags: Uint8Array
  hosts: Uint16Array
  apps: Uint16Array
}

/** Events that are not the rest of one line. */
interface Extents {
  events: number[]
  /** Line ends in it, the one at its end included. */
  crossed: number[]
  /** Bytes of it; -1: it ends with a line. */
  bytes: number[]
}

const BILLION = 1_000_000_000
const TWO_32 = 2 ** 32
const LITTLE = new Uint8Array(new Uint32Array([1]).buffer)[0]
/** Halves of a 64-bit number in an Int32Array. */
const LOW = LITTLE ? 0 : 1
const HIGH = LITTLE ? 1 : 0
const UNITS = Array.from({ length: 10 }, (_, digits) => 10 ** (9 - digits))

/** A list of exceptions being written. */
class Exceptions {
  count = 0
  #last = 0
  readonly #gaps = new VarintWriter()
  readonly values = new VarintWriter()

  add(event: number): void {
    this.#gaps.put(event - this.#last)
    this.#last = event
    this.count++
  }

  get parts(): Buffer[] {
    const count = new VarintWriter()
    count.put(this.count)
    return [count.bytes, this.#gaps.bytes, this.values.bytes]
  }
}

/** The stamp of a line in nanoseconds, in two halves. One per pass. */
export class StampTime {
  low = 0
  high = 0
  readonly #lines: LineStamps
  #seconds = -1
  #baseLow = 0
  #baseHigh = 0

  constructor(lines: LineStamps) {
    this.#lines = lines
  }

  /** @param format  of the line's template, not NO_STAMP */
  read(line: number, format: number): void {
    const seconds = this.#lines.stampSeconds[line]
    if (seconds !== this.#seconds) {
      this.#seconds = seconds
      // 16 bits at a time, so that every product is exact.
      const upper = (seconds >> 16) * BILLION
      const lower = (seconds & 0xffff) * BILLION + (upper % 65536) * 65536
      this.#baseLow = lower % TWO_32
      this.#baseHigh = Math.floor(upper / 65536) + Math.floor(lower / TWO_32)
    }
    const low = this.#baseLow + this.#lines.stampFractions[line] * UNITS[this.#lines.formats[format].digits]
    this.low = low | 0
    this.high = (this.#baseHigh + Math.floor(low / TWO_32)) | 0
  }
}

function carry(a: number, b: number): number {
  return (a >>> 0) + (b >>> 0) >= TWO_32 ? 1 : 0
}

function borrow(a: number, b: number): number {
  return a >>> 0 < b >>> 0 ? 1 : 0
}

export function encodeEventColumns(
  events: Events,
  lineEnds: Uint32Array,
  stamps: LineStamps,
  variables: VariableIds,
): Buffer {
  const { firstLines, list, lines } = encodeExtents(events, lineEnds)
  const parts = [list, lines, encodeTimes(events, firstLines, stamps)].flatMap(column => column.parts)
  for (const column of [events.levels, events.flags, events.hosts, events.apps]) {
    parts.push(...encodeByTemplate(column, firstLines, stamps, variables))
  }
  return Buffer.concat(parts)
}

function encodeExtents(events: Events, lineEnds: Uint32Array) {
  const { ends } = events
  const list = new Exceptions()
  const lines = new Exceptions()
  const firstLines = new Uint32Array(ends.length)
  let line = 0
  let start = 0
  let isLineStart = 1
  for (let i = 0; i < ends.length; i++) {
    const end = ends[i]
    const first = line
    firstLines[i] = Math.min(first, lineEnds.length - 1)
    let starts = isLineStart
    if (end === lineEnds[line]) {
      line++
      isLineStart = 1
    } else {
      while (line < lineEnds.length && lineEnds[line] <= end) line++
      const isWhole = line > first && lineEnds[line - 1] === end
      starts = isLineStart + line - first - (isWhole ? 1 : 0)
      // An empty event at a line's start begins no line yet.
      if (end === start) starts = 0
      list.add(i)
      list.values.put(line - first)
      list.values.put(isWhole ? 0 : 1 + end - start)
      isLineStart = isWhole || (end === start && isLineStart === 1) ? 1 : 0
    }
    if (events.lines[i] !== starts) {
      lines.add(i)
      lines.values.put(events.lines[i])
    }
    start = end
  }
  return { firstLines, list, lines }
}

function encodeTimes(events: Events, firstLines: Uint32Array, stamps: LineStamps): Exceptions {
  const list = new Exceptions()
  const { times } = events
  const halves = new Int32Array(times.buffer, times.byteOffset, times.length * 2)
  const offsets = new Int32Array(stamps.formats.length * 2)
  const stamp = new StampTime(stamps)
  let formerLow = 0
  let formerHigh = 0
  for (let i = 0; i < times.length; i++) {
    const low = halves[2 * i + LOW]
    const high = halves[2 * i + HIGH]
    const line = firstLines[i]
    const format = stamps.formatOf[stamps.templateOf[line]]
    let toldLow = formerLow
    let toldHigh = formerHigh
    if (format !== NO_STAMP) {
      stamp.read(line, format)
      toldLow = (stamp.low + offsets[2 * format]) | 0
      toldHigh = (stamp.high + offsets[2 * format + 1] + carry(stamp.low, offsets[2 * format])) | 0
    }
    if (low !== toldLow || high !== toldHigh) {
      list.add(i)
      list.values.put64((low - formerLow) | 0, (high - formerHigh - borrow(low, formerLow)) | 0)
      if (format !== NO_STAMP) {
        offsets[2 * format] = (low - stamp.low) | 0
        offsets[2 * format + 1] = (high - stamp.high - borrow(low, stamp.low)) | 0
      }
    }
    formerLow = low
    formerHigh = high
  }
  return list
}

function encodeByTemplate(
  column: Uint8Array | Uint16Array,
  firstLines: Uint32Array,
  stamps: LineStamps,
  variables: VariableIds,
): Buffer[] {
  const tellers = chooseTellers(column, firstLines, stamps, variables)
  const head = new VarintWriter()
  head.put(tellers.length)
  for (const { template, part } of tellers) {
    head.put(template)
    head.put(part)
  }
  const list = new Exceptions()
  const former = new FormerValues(stamps, variables, tellers)
  for (let i = 0; i < column.length; i++) {
    const place = former.place(firstLines[i])
    const value = column[i]
    if (value === former.values[place]) continue
    former.values[place] = value
    list.add(i)
    list.values.put(value)
  }
  return [head.bytes, ...list.parts]
}

/** Which variable tells the value of a template's lines. */
interface Teller {
  template: number
  part: number
}

/** A template with fewer exceptions than this, or than this share of its events, needs no teller. */
const EXCEPTIONS_MIN = 8
const EXCEPTION_SHARE_MIN = 1 / 64
const TELLERS_MAX = 64

/** For templates whose former value is often wrong: the variable whose values do at least twice as well. */
function chooseTellers(
  column: Uint8Array | Uint16Array,
  firstLines: Uint32Array,
  { templateOf, formatOf }: LineStamps,
  variables: VariableIds,
): Teller[] {
  const last = new Uint16Array(formatOf.length)
  const wrong = new Uint32Array(formatOf.length)
  const all = new Uint32Array(formatOf.length)
  for (let i = 0; i < column.length; i++) {
    const template = templateOf[firstLines[i]]
    all[template]++
    if (column[i] !== last[template]) wrong[template]++
    last[template] = column[i]
  }
  const tellers: Teller[] = []
  for (let template = 1; template < wrong.length && tellers.length < TELLERS_MAX; template++) {
    if (wrong[template] < EXCEPTIONS_MIN || wrong[template] < all[template] * EXCEPTION_SHARE_MIN) continue
    let least = wrong[template] / 2
    let best: number | undefined
    for (const part of variables.tellingParts(template)) {
      const exceptions = exceptionsWith(column, firstLines, templateOf, template, part, variables)
      if (exceptions >= least) continue
      least = exceptions
      best = part
    }
    if (best !== undefined) tellers.push({ template, part: best })
  }
  return tellers
}

function exceptionsWith(
  column: Uint8Array | Uint16Array,
  firstLines: Uint32Array,
  templateOf: Uint32Array,
  template: number,
  part: number,
  variables: VariableIds,
): number {
  const ids = variables.idsOf(template, part)
  const { rankOf } = variables
  const last = new Uint16Array(variables.valueCount(template, part))
  let exceptions = 0
  for (let i = 0; i < column.length; i++) {
    const line = firstLines[i]
    if (templateOf[line] !== template) continue
    const id = ids[rankOf[line]]
    if (column[i] !== last[id]) exceptions++
    last[id] = column[i]
  }
  return exceptions
}

/** The former value of a template, or of each value of its teller. */
class FormerValues {
  readonly values: Uint16Array
  readonly #templateOf: Uint32Array
  /** Where the values of each template begin. */
  readonly #base: Uint32Array
  readonly #idsOf: (Uint32Array | undefined)[] = []
  readonly #rankOf: Uint32Array | undefined

  /** @throws CorruptBlockError if a teller cannot be one */
  constructor({ templateOf, formatOf }: LineStamps, variables: VariableIds, tellers: Teller[]) {
    this.#templateOf = templateOf
    this.#base = Uint32Array.from(formatOf.keys())
    let end = formatOf.length
    for (const { template, part } of tellers) {
      this.#base[template] = end
      this.#idsOf[template] = variables.idsOf(template, part)
      end += variables.valueCount(template, part)
    }
    this.values = new Uint16Array(end)
    this.#rankOf = tellers.length > 0 ? variables.rankOf : undefined
  }

  /** Index into `values` for an event that begins in this line. */
  place(line: number): number {
    const template = this.#templateOf[line]
    if (this.#rankOf === undefined) return template
    const ids = this.#idsOf[template]
    return ids === undefined ? this.#base[template] : this.#base[template] + ids[this.#rankOf[line]]
  }
}

/** @throws CorruptBlockError */
export function decodeEventColumns(
  bytes: Uint8Array,
  count: number,
  stamps: LineStamps,
  variables: VariableIds,
): EventColumns {
  const reader = new VarintReader(bytes)
  const lineCount = stamps.templateOf.length
  const columns: EventColumns = {
    firstLines: new Uint32Array(count),
    extents: { events: [], crossed: [], bytes: [] },
    lines: new Uint16Array(count),
    times: new BigInt64Array(count),
    levels: new Uint8Array(count),
    flags: new Uint8Array(count),
    hosts: new Uint16Array(count),
    apps: new Uint16Array(count),
  }
  decodeExtents(reader, count, lineCount, columns)
  for (const i of readGaps(reader, 'lines', count)) columns.lines[i] = reader.next('lines of an event', 0xffff)
  decodeTimes(reader, columns, stamps)
  decodeByTemplate(reader, columns.levels, columns.firstLines, stamps, variables, 0xff)
  decodeByTemplate(reader, columns.flags, columns.firstLines, stamps, variables, 0xff)
  decodeByTemplate(reader, columns.hosts, columns.firstLines, stamps, variables, 0xffff)
  decodeByTemplate(reader, columns.apps, columns.firstLines, stamps, variables, 0xffff)
  if (!reader.isAtEnd) throw new CorruptBlockError('event columns go on behind their end')
  return columns
}

function readGaps(reader: VarintReader, what: string, events: number): Uint32Array {
  const count = reader.next(`exceptions of ${what}`, events)
  const list = new Uint32Array(count)
  let event = 0
  for (let k = 0; k < count; k++) {
    const gap = reader.next(`event of ${what}`, events)
    event += gap
    if (event >= events || (k > 0 && gap === 0)) throw new CorruptBlockError(`${what} of event ${event} of ${events}`)
    list[k] = event
  }
  return list
}

function decodeExtents(reader: VarintReader, count: number, lineCount: number, columns: EventColumns): void {
  const { extents, firstLines, lines } = columns
  const exceptions = readGaps(reader, 'extents', count)
  let k = 0
  let line = 0
  let isLineStart = 1
  for (let i = 0; i < count; i++) {
    firstLines[i] = Math.min(line, lineCount - 1)
    if (k < exceptions.length && exceptions[k] === i) {
      k++
      const crossed = reader.next('lines crossed', lineCount - line)
      const bytes = reader.next('bytes of an event', 2 ** 32) - 1
      if (bytes < 0 && crossed === 0) throw new CorruptBlockError(`event ${i} ends with no line`)
      extents.events.push(i)
      extents.crossed.push(crossed)
      extents.bytes.push(bytes)
      lines[i] = bytes === 0 ? 0 : isLineStart + crossed - (bytes < 0 ? 1 : 0)
      if (bytes !== 0) isLineStart = bytes < 0 ? 1 : 0
      line += crossed
      continue
    }
    if (line >= lineCount) throw new CorruptBlockError(`event ${i} begins behind the last line`)
    lines[i] = isLineStart
    isLineStart = 1
    line++
  }
}

function decodeTimes(reader: VarintReader, columns: EventColumns, stamps: LineStamps): void {
  const { times, firstLines } = columns
  const exceptions = readGaps(reader, 'times', times.length)
  const halves = new Int32Array(times.buffer)
  const offsets = new Int32Array(stamps.formats.length * 2)
  const stamp = new StampTime(stamps)
  let k = 0
  let low = 0
  let high = 0
  for (let i = 0; i < times.length; i++) {
    const line = firstLines[i]
    const format = stamps.formatOf[stamps.templateOf[line]]
    if (format !== NO_STAMP) stamp.read(line, format)
    if (k < exceptions.length && exceptions[k] === i) {
      k++
      reader.next64('time')
      high = (high + reader.high + carry(low, reader.low)) | 0
      low = (low + reader.low) | 0
      if (format !== NO_STAMP) {
        offsets[2 * format] = (low - stamp.low) | 0
        offsets[2 * format + 1] = (high - stamp.high - borrow(low, stamp.low)) | 0
      }
    } else if (format !== NO_STAMP) {
      high = (stamp.high + offsets[2 * format + 1] + carry(stamp.low, offsets[2 * format])) | 0
      low = (stamp.low + offsets[2 * format]) | 0
    }
    halves[2 * i + LOW] = low
    halves[2 * i + HIGH] = high
  }
}

function decodeByTemplate(
  reader: VarintReader,
  column: Uint8Array | Uint16Array,
  firstLines: Uint32Array,
  stamps: LineStamps,
  variables: VariableIds,
  max: number,
): void {
  const tellers: Teller[] = []
  for (let left = reader.next('tellers', TELLERS_MAX); left > 0; left--) {
    const template = reader.next('template of a teller', stamps.formatOf.length - 1)
    tellers.push({ template, part: reader.next('part of a teller', 65_535) })
  }
  const former = new FormerValues(stamps, variables, tellers)
  const exceptions = readGaps(reader, 'values', column.length)
  let k = 0
  for (let i = 0; i < column.length; i++) {
    const place = former.place(firstLines[i])
    if (k < exceptions.length && exceptions[k] === i) {
      k++
      former.values[place] = reader.next('value', max)
    }
    column[i] = former.values[place]
  }
}

/**
 * @param lineEnds  of all lines, in the text
 * @throws CorruptBlockError
 */
export function endsOf(columns: EventColumns, lineEnds: Uint32Array): Uint32Array {
  const { extents, firstLines } = columns
  const ends = new Uint32Array(firstLines.length)
  let k = 0
  let end = 0
  for (let i = 0; i < ends.length; i++) {
    const line = firstLines[i]
    if (k < extents.events.length && extents.events[k] === i) {
      const bytes = extents.bytes[k]
      const last = line + extents.crossed[k]
      // `last` is the line that a partial event ends in; what is crossed lies before, the line's end behind.
      if (bytes >= 0) {
        end += bytes
        const least = last === 0 ? 0 : lineEnds[last - 1]
        if (end < least || (last < lineEnds.length ? end >= lineEnds[last] && bytes > 0 : end > least)) {
          throw new CorruptBlockError(`event ${i} does not end in line ${last}`)
        }
      } else end = lineEnds[last - 1]
      k++
    } else end = lineEnds[line]
    ends[i] = end
  }
  return ends
}
