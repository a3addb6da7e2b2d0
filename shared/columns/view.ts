// A block of columns for search: its templates and dictionaries without decoding a line, its columns one by one, its rows
// a few at a time. Frame B is inflated when first asked for. Damage is found when what is damaged is read: every method
// may throw CorruptBlockError.
import { CorruptBlockError } from '../block.ts'
import type { LineStamps } from './codec.ts'
import { NO_STAMP } from './codec.ts'
import { type ColumnsHeader, inflateFrame, readColumnsHeader } from './columns-block.ts'
import { VARINTS } from './core/columns.ts'
import { decodeEventColumns, type EventColumns, endsOf } from './event-columns.ts'
import { type Rows, RowWriter } from './rows.ts'
import {
  type IntegerBody,
  type Part,
  readTemplates,
  splitTexts,
  type Template,
  type TemplateTable,
  type Texts,
} from './template-view.ts'
import { VariableIds } from './variable-ids.ts'
import { VarintReader } from './varints.ts'

export type { Part, Template, Texts } from './template-view.ts'

/** @throws CorruptBlockError */
export function openColumns(block: Buffer): ColumnsView {
  return new ColumnsView(readColumnsHeader(block))
}

/** Which template each line has, and which of its lines it is. */
interface LinePlaces {
  templateOf: Uint32Array
  /** Index of the line among those of its template (or among the raw lines). */
  rankOf: Uint32Array
}

interface FrameB {
  ids: Buffer
  stamps: Buffer
  entryIds: Buffer
  integers: Buffer
  events: Buffer
}

export class ColumnsView {
  readonly events: number
  readonly textBytes: number
  /** By number - 1, the commonest first. */
  readonly templates: readonly Template[]
  readonly lines: number
  /** All lines without a template, end to end, as they are. */
  readonly rawText: Buffer
  readonly #header: ColumnsHeader
  readonly #table: TemplateTable
  /** Of all templates: objects that are held. */
  readonly #parts: number
  readonly #texts: Buffer
  #frameB: FrameB | undefined
  #places: LinePlaces | undefined
  #lineLists: Uint32Array[] | undefined
  #stamps: LineStamps | undefined
  #eventColumns: EventColumns | undefined
  #lineEnds: Uint32Array | undefined
  #eventEnds: Uint32Array | undefined
  #rawStarts: Uint32Array | undefined
  readonly #values = new Map<object, Int32Array | Uint32Array | Uint8Array | Texts>()

  constructor(header: ColumnsHeader) {
    this.#header = header
    const [templates, descriptors, entries, raw, texts] = inflateFrame(header, 'A')
    this.events = header.events
    this.textBytes = header.textBytes
    this.rawText = raw
    this.#texts = texts
    this.#table = readTemplates({
      templates,
      descriptors,
      entries,
      integerBytes: header.streamBytes[4],
      idBytes: header.streamBytes[5],
      textBytes: texts.length,
      linesMax: Math.min(header.textBytes + 1, header.streamBytes[2]),
    })
    this.templates = this.#table.templates
    this.#parts = this.templates.reduce((sum, { parts }) => sum + parts.length, 0)
    this.lines = this.#table.lines
  }

  /** About how many bytes it holds now; it grows with what is asked. */
  get heldBytes(): number {
    const { streamBytes } = this.#header
    const a = streamBytes[0] + streamBytes[1] + streamBytes[6] + streamBytes[7] + streamBytes[8]
    const b =
      this.#frameB === undefined
        ? 0
        : streamBytes[2] + streamBytes[3] + streamBytes[4] + streamBytes[5] + streamBytes[9]
    let held = a + b + this.#parts * 200 + this.templates.length * 300 + 1024
    if (this.#places !== undefined) held += this.lines * 8
    if (this.#lineLists !== undefined) held += this.lines * 4
    if (this.#stamps !== undefined) held += this.lines * 8
    if (this.#lineEnds !== undefined) held += this.lines * 4
    if (this.#eventColumns !== undefined) held += ownBytes(this.#eventColumns)
    if (this.#eventEnds !== undefined && this.#eventEnds !== this.#lineEnds) held += this.events * 4
    for (const value of this.#values.values())
      held += value instanceof Object && 'starts' in value ? value.starts.byteLength : value.byteLength
    return held
  }

  /** Of every line: number of its template; 0 for none. */
  get templateOf(): Uint32Array {
    return this.#linePlaces().templateOf
  }

  /** Of every line: which of the lines of its template it is, from 0: index into their columns. */
  get rankOf(): Uint32Array {
    return this.#linePlaces().rankOf
  }

  /** The lines of a template in order; of number 0, the raw ones. Row k of each of its columns is the k-th of them. */
  linesOf(number: number): Uint32Array {
    if (this.#lineLists === undefined) {
      const { templateOf } = this.#linePlaces()
      const lists = [new Uint32Array(this.rawCount), ...this.templates.map(({ count }) => new Uint32Array(count))]
      const next = new Uint32Array(lists.length)
      for (let line = 0; line < templateOf.length; line++) {
        const template = templateOf[line]
        lists[template][next[template]++] = line
      }
      this.#lineLists = lists
    }
    return this.#lineLists[number]
  }

  get rawCount(): number {
    return this.templates.reduce((rest, { count }) => rest - count, this.lines)
  }

  /** Raw line k is rawText [starts[k], starts[k + 1]), line feed included. */
  get rawStarts(): Uint32Array {
    this.#rawStarts ??= splitTexts(this.rawText, 0, this.rawText.length, this.rawCount).starts
    return this.#rawStarts
  }

  /** The integers of a column, one per line of its template. */
  integersOf(body: IntegerBody, count: number): Int32Array {
    const held = this.#values.get(body)
    if (held !== undefined) return held as Int32Array
    const values = readIntegers(this.#b().integers, body, count)
    this.#values.set(body, values)
    return values
  }

  /** Which entry each line of the template has. */
  entryIdsOf(part: Part & { kind: 'dictionary' }, count: number): Uint8Array | Uint32Array {
    const { entryIds } = this.#b()
    const at = part.idsAt
    if (part.planes === 1) return entryIds.subarray(at, at + count)
    const held = this.#values.get(part)
    if (held !== undefined) return held as Uint32Array
    const ids = new Uint32Array(count)
    for (let k = 0; k < count; k++) {
      ids[k] = entryIds[at + k] | (entryIds[at + count + k] << 8)
      if (part.planes === 3) ids[k] |= entryIds[at + 2 * count + k] << 16
    }
    this.#values.set(part, ids)
    return ids
  }

  /** The texts of a column, without its prefix. */
  textsOf(part: Part & { kind: 'text' }, count: number): Texts {
    const held = this.#values.get(part)
    if (held !== undefined) return held as Texts
    const texts = splitTexts(this.#texts, part.at, part.at + part.bytes, count)
    this.#values.set(part, texts)
    return texts
  }

  /** All bytes of a text column at once, a line feed behind each text: to look for something in all of them. */
  textBytesOf(part: Part & { kind: 'text' }): Buffer {
    return this.#texts.subarray(part.at, part.at + part.bytes)
  }

  /** All text columns, end to end: one scan looks into all of them. Column `part` begins at `part.at`. */
  get allTexts(): Buffer {
    return this.#texts
  }

  /** How time stamps are written, as core/stamps.ts has it; by index of their format. */
  get formatKeys(): readonly { key: number; fraction: number }[] {
    return this.#table.formatKeys
  }

  /** Each event is one whole line: event k is line k. Told without reading any other event column. */
  get areEventsLines(): boolean {
    if (this.events !== this.lines) return false
    // Exceptions of extents come first, then those of lines, the count of them in front.
    const { events } = this.#b()
    return events[0] === 0 && events[1] === 0
  }

  /** Values of columns that were read are kept until then. */
  forgetValues(): void {
    this.#values.clear()
  }

  /** First time stamps of all lines, as they are written. */
  get stamps(): LineStamps {
    this.#stamps ??= this.#readStamps()
    return this.#stamps
  }

  /** Times, levels, hosts … of the events; without text. */
  get eventColumns(): EventColumns {
    if (this.#eventColumns === undefined) {
      const { entryIds, integers, events } = this.#b()
      const variables = new VariableIds(() => this.#table, entryIds, integers, this.templateOf)
      this.#eventColumns = compact(decodeEventColumns(events, this.events, this.stamps, variables))
    }
    return this.#eventColumns
  }

  /** Where each line ends in the text of the block: told from the lengths of its parts, no text is made. */
  get lineEnds(): Uint32Array {
    this.#lineEnds ??= this.#rowWriter().lineEnds()
    return this.#lineEnds
  }

  /** Where each event ends in the text of the block. */
  get eventEnds(): Uint32Array {
    this.#eventEnds ??= this.areEventsLines ? this.lineEnds : endsOf(this.eventColumns, this.lineEnds)
    return this.#eventEnds
  }

  /** The exact bytes of chosen lines, in the order given. */
  textOf(lines: ArrayLike<number>): Rows {
    return this.#rowWriter().write(lines)
  }

  /** The exact bytes of chosen events, in the order given. */
  textOfEvents(events: ArrayLike<number>): Rows {
    const { firstLines, extents } = this.eventColumns
    if (extents.events.length === 0) return this.textOf(events)
    const { lineEnds, eventEnds } = this
    // All lines that are touched, in one go; then the pieces of them.
    const lines: number[] = []
    const firstOf = new Uint32Array(events.length)
    for (let k = 0; k < events.length; k++) {
      firstOf[k] = lines.length
      let line = firstLines[events[k]]
      lines.push(line)
      while (lineEnds[line] < eventEnds[events[k]]) lines.push(++line)
    }
    const rows = this.textOf(lines)
    const parts: Buffer[] = []
    const ends = new Uint32Array(events.length)
    let end = 0
    for (let k = 0; k < events.length; k++) {
      const from = events[k] === 0 ? 0 : eventEnds[events[k] - 1]
      const bytes = eventEnds[events[k]] - from
      const line = lines[firstOf[k]]
      const skipped = from - (line === 0 ? 0 : lineEnds[line - 1])
      const at = (firstOf[k] === 0 ? 0 : rows.ends[firstOf[k] - 1]) + skipped
      parts.push(rows.bytes.subarray(at, at + bytes))
      end += bytes
      ends[k] = end
    }
    return { bytes: Buffer.concat(parts), ends }
  }

  #rowWriter(): RowWriter {
    return new RowWriter(this, this.#table)
  }

  #b(): FrameB {
    if (this.#frameB === undefined) {
      const [ids, stamps, entryIds, integers, events] = inflateFrame(this.#header, 'B')
      this.#frameB = { ids, stamps, entryIds, integers, events }
    }
    return this.#frameB
  }

  #linePlaces(): LinePlaces {
    if (this.#places !== undefined) return this.#places
    const { ids } = this.#b()
    const templateOf = new Uint32Array(this.lines)
    const rankOf = new Uint32Array(this.lines)
    const counts = Uint32Array.from([this.rawCount, ...this.templates.map(({ count }) => count)])
    const used = new Uint32Array(counts.length)
    const reader = new VarintReader(ids)
    let at = 0
    for (let line = 0; line < this.lines; line++) {
      // Nearly all are one byte.
      let template = ids[at]
      if (template < 128) at++
      else {
        reader.seek(at)
        template = reader.next('template', this.templates.length)
        at = reader.at
      }
      if (!(used[template] < counts[template]))
        throw new CorruptBlockError(`line ${line} of template ${template} is too many`)
      templateOf[line] = template
      rankOf[line] = used[template]++
    }
    if (at !== ids.length) throw new CorruptBlockError('template ids go on behind the last line')
    this.#places = { templateOf, rankOf }
    return this.#places
  }

  #readStamps(): LineStamps {
    const { templateOf } = this.#linePlaces()
    const { formats } = this.#table
    const stampSeconds = new Int32Array(this.lines)
    const stampFractions = new Int32Array(this.lines)
    const formatOf = Uint8Array.from([NO_STAMP, ...this.templates.map(({ format }) => format)])
    const units = formats.map(({ digits }) => 10 ** digits)
    const seconds = new Int32Array(formats.length)
    const fractions = new Int32Array(formats.length)
    const reader = new VarintReader(this.#b().stamps)
    for (let line = 0; line < this.lines; line++) {
      const format = formatOf[templateOf[line]]
      if (format === NO_STAMP) continue
      const code = reader.next('time stamp', 2 ** 32)
      if (code === 0) {
        seconds[format] = reader.next('seconds', 2 ** 31 - 1)
        fractions[format] = reader.next('fraction', BILLION)
      } else {
        const zigzag = code - 1
        const ticks = zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2
        const fraction = fractions[format] + ticks
        const elapsed = Math.floor(fraction / units[format])
        seconds[format] += elapsed
        fractions[format] = fraction - elapsed * units[format]
      }
      stampSeconds[line] = seconds[format]
      stampFractions[line] = fractions[format]
    }
    if (!reader.isAtEnd) throw new CorruptBlockError('time stamps go on behind the last line')
    return { templateOf, stampSeconds, stampFractions, formatOf, formats }
  }
}

const BILLION = 1_000_000_000

/** What many columns are, once for all views: 0, 1, and 0 1 2 3 … */
let zeroBytes = new Uint8Array(0)
let zeros = new Uint16Array(0)
let ones = new Uint16Array(0)
let numbers = new Uint32Array(0)

/** Columns that are the same in most blocks are not kept for each of them. */
function compact(columns: EventColumns): EventColumns {
  const events = columns.times.length
  if (numbers.length < events) {
    zeroBytes = new Uint8Array(events)
    zeros = new Uint16Array(events)
    ones = new Uint16Array(events).fill(1)
    numbers = Uint32Array.from({ length: events }, (_, k) => k)
  }
  const { flags, hosts, apps, lines, firstLines } = columns
  if (flags.every(value => value === 0)) columns.flags = zeroBytes.subarray(0, events)
  if (hosts.every(value => value === 0)) columns.hosts = zeros.subarray(0, events)
  if (apps.every(value => value === 0)) columns.apps = zeros.subarray(0, events)
  if (lines.every(value => value === 1)) columns.lines = ones.subarray(0, events)
  if (firstLines.every((value, k) => value === k)) columns.firstLines = numbers.subarray(0, events)
  return columns
}

function ownBytes(columns: EventColumns): number {
  const { times, levels, flags, hosts, apps, lines, firstLines } = columns
  let bytes = times.byteLength + levels.byteLength
  for (const [column, shared] of [
    [flags, zeroBytes],
    [hosts, zeros],
    [apps, zeros],
    [lines, ones],
    [firstLines, numbers],
  ]) {
    if (column.buffer !== shared.buffer) bytes += column.byteLength
  }
  return bytes
}

function readIntegers(bytes: Buffer, body: IntegerBody, count: number): Int32Array {
  const values = new Int32Array(count)
  const { at, planes } = body
  if (planes === VARINTS) {
    const reader = new VarintReader(bytes.subarray(at, at + body.bytes))
    for (let k = 0; k < count; k++) values[k] = reader.next('integer', 2 ** 32 - 1) | 0
    if (!reader.isAtEnd) throw new CorruptBlockError('integers go on behind the last')
  } else {
    for (let plane = 0; plane < planes; plane++) {
      const from = at + plane * count
      for (let k = 0; k < count; k++) values[k] |= bytes[from + k] << (8 * plane)
    }
  }
  if (!body.isDelta) return values
  let value = body.first
  for (let k = 0; k < count; k++) {
    const delta = values[k]
    value = (value + ((delta >>> 1) ^ -(delta & 1))) | 0
    values[k] = value
  }
  return values
}
