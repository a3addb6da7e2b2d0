// The text of a columns block as its streams have it, taken apart far enough to look into: templates as rows of parts, a
// part being static bytes and the variable behind them. Nothing is decoded; columns are read when a search asks for them
// (column-values.ts). Layout of the streams: docs/formats/columns.md. All of it is checked against its bounds, because
// a block may come from anywhere.
import { CorruptBlockError } from '../block.ts'
import {
  KIND_CONSTANT,
  KIND_DICTIONARY,
  KIND_INTEGER,
  KIND_NUMERAL,
  KIND_PREFIXED,
  KIND_TEXT,
  VARINTS,
} from '../columns/core/columns.ts'
import {
  DESCRIPTORS,
  ENTRIES,
  ENTRY_IDS,
  FORMATS_MAX,
  IDS,
  INTEGERS,
  RAW,
  STAMP_MARK,
  TEMPLATES,
  TEXTS,
  VARIABLE_MARK,
} from '../columns/core/places.ts'

/** What stands behind the static bytes of a part. */
export const END = 0
export const INTEGER = 1
export const DICTIONARY = 2
export const TEXT = 3
/** Digits: an integer of the high ones, then one of the low nine. */
export const NUMERAL = 4
/** The first time stamp of the line. */
export const STAMP = 5
/** A further one. */
export const LATER_STAMP = 6

const LINE_FEED = 10

/** An integer column: where its bytes lie in the stream. */
export interface IntegerBody {
  at: number
  bytes: number
  count: number
  /** Zero padding to so many digits; 0: none. */
  width: number
  isDelta: boolean
  /** Byte planes, or VARINTS. */
  planes: number
  first: number
}

export type Column =
  | { kind: typeof INTEGER; body: IntegerBody }
  | { kind: typeof NUMERAL; highDigits: number; high: IntegerBody; body: IntegerBody }
  | { kind: typeof DICTIONARY; firstEntry: number; entries: number; at: number; planes: number }
  | { kind: typeof TEXT; from: number; to: number }
  | { kind: typeof STAMP; format: number }
  | { kind: typeof LATER_STAMP; format: number; seconds: IntegerBody; fraction: IntegerBody }

export interface StampFormat {
  kind: number
  a: number
  b: number
  c: number
  digits: number
  /** Before the fraction; 0: none. */
  separator: number
}

export interface Stamps {
  seconds: Int32Array
  fractions: Int32Array
}

export class ColumnParts {
  readonly lines: number
  readonly lacksLineEnd: boolean
  readonly formats: StampFormat[] = []
  readonly templates: number
  /** Lines of template t, from 1; 0 are raw lines. */
  readonly counts: Uint32Array
  /** Parts of template t: from firstPart[t] to before firstPart[t + 1]. The last one of each has kind END. */
  readonly firstPart: Uint32Array
  /** All static bytes, constants and prefixes among them, line ends not. Those of part p: staticEnd[p - 1] to staticEnd[p]. */
  readonly statics: Buffer
  readonly staticEnd: Uint32Array
  readonly kinds: Uint8Array
  /** By part; undefined for kind END. */
  readonly columns: (Column | undefined)[] = []
  /** Parts with dictionaries, and with texts, in the order of their streams. */
  readonly dictionaryParts: number[] = []
  readonly textParts: number[] = []
  /** Constants and entries of dictionaries; entry e: from entryStart[e] to before entryStart[e + 1] - 1, the line feed. */
  readonly entryStart: Uint32Array
  /** Read by column-values.ts when a search needs them. */
  firstStamps: Stamps | undefined
  readonly #stream: (stream: number) => Buffer
  #order: Uint32Array | undefined
  #firstInOrder: Uint32Array | undefined
  #rawStart: Uint32Array | undefined

  /** @param stream the nine streams, inflated when asked for: 0, 1, 6, 7, 8 are those of the first frame */
  constructor(stream: (stream: number) => Buffer) {
    this.#stream = stream
    const descriptors = new Varints(stream(DESCRIPTORS))
    this.lines = descriptors.next()
    this.lacksLineEnd = descriptors.next() !== 0
    const formats = descriptors.next()
    if (formats > FORMATS_MAX) corrupt('more time stamp formats than there may be')
    for (let f = 0; f < formats; f++) {
      const key = descriptors.next()
      const fraction = descriptors.next()
      const [a, b, c] = [(key >>> 3) & 255, (key >>> 11) & 255, (key >>> 19) & 255]
      this.formats.push({ kind: key & 7, a, b, c, digits: fraction & 15, separator: (fraction >>> 4) & 255 })
    }
    const text = stream(TEMPLATES)
    this.templates = descriptors.next()
    if (this.templates > text.length) corrupt('more templates than bytes of them')
    this.entryStart = startsOfLines(stream(ENTRIES))
    let marks = 0
    for (let i = 0; i < text.length; i++) if (text[i] === VARIABLE_MARK || text[i] === STAMP_MARK) marks++
    const parts = marks + this.templates
    this.counts = new Uint32Array(this.templates + 1)
    this.firstPart = new Uint32Array(this.templates + 2)
    this.kinds = new Uint8Array(parts)
    this.staticEnd = new Uint32Array(parts)
    this.statics = Buffer.allocUnsafe(text.length + stream(ENTRIES).length + stream(DESCRIPTORS).length)
    const read = this.#readTemplates(text, descriptors)
    // Constants have become static bytes: there are fewer parts than marks.
    this.kinds = this.kinds.subarray(0, this.columns.length)
    this.staticEnd = this.staticEnd.subarray(0, this.columns.length)
    this.statics = Buffer.from(this.statics.subarray(0, read))
  }

  /** Bytes that stay in memory. */
  get bytes(): number {
    const part = 16
    const column = 100
    return (
      this.statics.length +
      this.kinds.length * part +
      this.columns.length * column +
      this.entryStart.byteLength +
      (this.#order?.byteLength ?? 0) +
      (this.#rawStart?.byteLength ?? 0) +
      (this.firstStamps ? 8 * this.lines : 0)
    )
  }

  stream(stream: number): Buffer {
    return this.#stream(stream)
  }

  staticStart(part: number): number {
    return part === 0 ? 0 : this.staticEnd[part - 1]
  }

  /** Lines of a template, ascending; of 0 those that are raw. */
  linesOf(template: number): Uint32Array {
    if (!this.#order || !this.#firstInOrder) this.#sortLines()
    const order = this.#order as Uint32Array
    const first = this.#firstInOrder as Uint32Array
    return order.subarray(first[template], first[template + 1])
  }

  /** Of the k-th raw line: where it begins in the stream. One more than there are. */
  get rawStart(): Uint32Array {
    this.#rawStart ??= startsOfLines(this.#stream(RAW))
    return this.#rawStart
  }

  /** The template that part belongs to. */
  templateOfPart(part: number): number {
    return lastAtMost(this.firstPart, part, 1, this.templates)
  }

  #readTemplates(text: Buffer, descriptors: Varints): number {
    const { statics, kinds, staticEnd } = this
    const entries = this.#stream(ENTRIES)
    let at = 0
    let out = 0
    let part = 0
    let linesLeft = this.lines
    let entry = 0
    let entryIds = 0
    let integers = 0
    let texts = 0
    const integerBody = (count: number): IntegerBody => {
      const width = descriptors.next()
      const form = descriptors.next()
      const planes = form >>> 1
      const first = (form & 1) !== 0 ? descriptors.next() | 0 : 0
      if (width > 9 || (planes > 4 && planes !== VARINTS)) corrupt('an integer column of no known form')
      const bytes = planes === VARINTS ? descriptors.next() : planes * count
      const body = { at: integers, bytes, count, width, isDelta: (form & 1) !== 0, planes, first }
      integers += bytes
      return body
    }
    const close = (column: Column | undefined) => {
      kinds[part] = column?.kind ?? END
      staticEnd[part] = out
      this.columns.push(column)
      part++
    }
    for (let template = 1; template <= this.templates; template++) {
      const count = descriptors.next()
      if (count < 1 || count > linesLeft) corrupt('a template of more lines than there are')
      linesLeft -= count
      this.counts[template] = count
      this.firstPart[template] = part
      let hasStamp = false
      for (;;) {
        if (at >= text.length) corrupt('a template without its end')
        const byte = text[at++]
        if (byte === LINE_FEED) {
          close(undefined)
          break
        }
        if (byte === STAMP_MARK) {
          const format = text[at++] - 32
          if (!(format >= 0 && format < this.formats.length)) corrupt('a time stamp of no known format')
          if (!hasStamp) close({ kind: STAMP, format })
          else {
            const seconds = laterBody()
            close({ kind: LATER_STAMP, format, seconds, fraction: laterBody() })
          }
          hasStamp = true
          continue
        }
        if (byte !== VARIABLE_MARK) {
          statics[out++] = byte
          continue
        }
        const kind = descriptors.next()
        if (kind === KIND_CONSTANT) {
          if (entry >= this.entryStart.length - 1) corrupt('a constant that is not there')
          out += entries.copy(statics, out, this.entryStart[entry], this.entryStart[entry + 1] - 1)
          entry++
        } else if (kind === KIND_INTEGER) close({ kind: INTEGER, body: integerBody(count) })
        else if (kind === KIND_DICTIONARY) {
          const size = descriptors.next()
          if (size < 1 || size > this.entryStart.length - 1 - entry) corrupt('a dictionary that is not there')
          const planes = size <= 256 ? 1 : size <= 65_536 ? 2 : 3
          this.dictionaryParts.push(part)
          close({ kind: DICTIONARY, firstEntry: entry, entries: size, at: entryIds, planes })
          entry += size
          entryIds += planes * count
        } else if (kind === KIND_TEXT) {
          out = this.#prefix(descriptors, out)
          const bytes = descriptors.next()
          this.textParts.push(part)
          close({ kind: TEXT, from: texts, to: texts + bytes })
          texts += bytes
        } else if (kind === KIND_NUMERAL || kind === KIND_PREFIXED) {
          if (kind === KIND_PREFIXED) out = this.#prefix(descriptors, out)
          const highDigits = descriptors.next()
          if (highDigits > 9) corrupt('a numeral of too many digits')
          if (highDigits === 0) close({ kind: INTEGER, body: integerBody(count) })
          else {
            const high = integerBody(count)
            close({ kind: NUMERAL, highDigits, high, body: integerBody(count) })
          }
        } else corrupt('a column of no known kind')
      }
      function laterBody(): IntegerBody {
        if (descriptors.next() !== KIND_INTEGER) corrupt('a time stamp that is no number')
        return integerBody(count)
      }
    }
    this.firstPart[this.templates + 1] = part
    this.counts[0] = linesLeft
    if (texts !== this.#stream(TEXTS).length) corrupt('texts of another length')
    this.#ends = { integers, entryIds }
    return out
  }

  #ends = { integers: 0, entryIds: 0 }

  #prefix(descriptors: Varints, out: number): number {
    const bytes = descriptors.take(descriptors.next())
    return out + bytes.copy(this.statics, out)
  }

  #sortLines(): void {
    const ids = this.#stream(IDS)
    if (this.#stream(INTEGERS).length !== this.#ends.integers) corrupt('integers of another length')
    if (this.#stream(ENTRY_IDS).length !== this.#ends.entryIds) corrupt('entry numbers of another length')
    const first = new Uint32Array(this.templates + 2)
    for (let t = 0; t <= this.templates; t++) first[t + 1] = first[t] + this.counts[t]
    const next = first.slice()
    const order = new Uint32Array(this.lines)
    let at = 0
    for (let line = 0; line < this.lines; line++) {
      let template = ids[at++]
      if (template >= 128) {
        template &= 127
        for (let shift = 7; ; shift += 7) {
          const byte = ids[at++]
          if (byte === undefined || shift > 21) corrupt('a line of no template')
          template |= (byte & 127) << shift
          if (byte < 128) break
        }
      }
      if (!(template <= this.templates) || next[template] === first[template + 1]) corrupt('lines of another template')
      order[next[template]++] = line
    }
    if (at !== ids.length) corrupt('more lines than there are')
    this.#order = order
    this.#firstInOrder = first
  }
}

/** Seven bits a byte, low ones first. */
export class Varints {
  readonly #bytes: Buffer
  at = 0

  constructor(bytes: Buffer) {
    this.#bytes = bytes
  }

  /** At most 32 bits, unsigned. */
  next(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.#bytes[this.at++]
      if (byte === undefined) corrupt('descriptors end too early')
      value |= (byte & 127) << shift
      if (byte < 128) return value >>> 0
    }
    return corrupt('a number of over 32 bits')
  }

  take(bytes: number): Buffer {
    if (bytes > this.#bytes.length - this.at) corrupt('descriptors end too early')
    this.at += bytes
    return this.#bytes.subarray(this.at - bytes, this.at)
  }
}

/** Where each line of text that ends with a line feed begins; one more than there are. */
export function startsOfLines(bytes: Buffer): Uint32Array {
  let count = 0
  for (let i = 0; i < bytes.length; i++) if (bytes[i] === LINE_FEED) count++
  const starts = new Uint32Array(count + 1)
  for (let i = 0, n = 0; i < bytes.length; i++) if (bytes[i] === LINE_FEED) starts[++n] = i + 1
  if (starts[count] !== bytes.length) corrupt('text without its line feed')
  return starts
}

/** The greatest index in [low, high] whose value is at most `value`; `values` ascend. */
export function lastAtMost(values: ArrayLike<number>, value: number, low: number, high: number): number {
  let from = low
  let to = high
  while (from < to) {
    const middle = (from + to + 1) >>> 1
    if (values[middle] <= value) from = middle
    else to = middle - 1
  }
  return from
}

export function corrupt(reason: string): never {
  throw new CorruptBlockError(`columns: ${reason}`)
}
