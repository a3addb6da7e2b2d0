// Streams 0, 1 and 6 as templates: static bytes and variables in the order of the line, and where in the other streams
// each variable's values lie. Nothing of the values is read.
import { CorruptBlockError } from '../block.ts'
import type { StampFormat } from './codec.ts'
import {
  idPlanes,
  KIND_CONSTANT,
  KIND_DICTIONARY,
  KIND_INTEGER,
  KIND_NUMERAL,
  KIND_PREFIXED,
  KIND_TEXT,
  VARINTS,
} from './core/columns.ts'
import { FORMATS_MAX, STAMP_MARK, VARIABLE_MARK } from './core/places.ts'
import { VarintReader } from './varints.ts'

const LINE_FEED = 0x0a
/** Bytes planes or varints of an integer column in stream 4. */
export interface IntegerBody {
  at: number
  bytes: number
  /** 0: all are 0 (or the first, with deltas); VARINTS: varints of so many bytes. */
  planes: number
  isDelta: boolean
  first: number
  /** Zero padding to so many digits; 0 for none. */
  width: number
}

/** Texts end to end, each with a line feed behind: text k is bytes [starts[k], starts[k + 1] - 1). */
export interface Texts {
  bytes: Buffer
  starts: Uint32Array
}

/** What a line of the template consists of, one after the other. */
export type Part =
  /** The same bytes in every line. `isVariable`: a variable that happens to have one value in this block. */
  | { kind: 'static'; bytes: Buffer; isVariable: boolean }
  /** The line's first time stamp. */
  | { kind: 'stamp'; format: number }
  | { kind: 'laterStamp'; format: number; seconds: IntegerBody; fraction: IntegerBody }
  | { kind: 'integer'; body: IntegerBody }
  /** Every entry is the value of at least one line. */
  | { kind: 'dictionary'; entries: Texts; idsAt: number; planes: number }
  /** `prefix`, then a text of stream 7. */
  | { kind: 'text'; prefix: Buffer; at: number; bytes: number }
  /** `prefix`, then digits: `high` of `highDigits`, if there are more than 9, and `low`. */
  | { kind: 'numeral'; prefix: Buffer; highDigits: number; high: IntegerBody | undefined; low: IntegerBody }

export interface Template {
  /** From 1, as in `templateOf`. */
  number: number
  /** Lines of it. */
  count: number
  parts: Part[]
  /** Static bytes with a mark (core/places.ts) for each variable; the line feed at the end. */
  text: Buffer
  /** Index into formats of its first time stamp, NO_STAMP for none. */
  format: number
}

export interface TemplateTable {
  lines: number
  lacksLineEnd: boolean
  formats: StampFormat[]
  /** As core/stamps.ts has them. */
  formatKeys: { key: number; fraction: number }[]
  templates: Template[]
}

interface Streams {
  templates: Buffer
  descriptors: Buffer
  entries: Buffer
  /** Bytes of streams 4, 5 and 7. */
  integerBytes: number
  idBytes: number
  textBytes: number
  /** Of the text: as many lines and values can there be at most. */
  linesMax: number
}

/** @throws CorruptBlockError */
export function readTemplates(streams: Streams): TemplateTable {
  return new TemplateReader(streams).read()
}

class TemplateReader {
  readonly #streams: Streams
  readonly #descriptors: VarintReader
  #integerAt = 0
  #idAt = 0
  #textAt = 0
  #entryAt = 0

  constructor(streams: Streams) {
    this.#streams = streams
    this.#descriptors = new VarintReader(streams.descriptors)
  }

  read(): TemplateTable {
    const { templates: text, linesMax } = this.#streams
    const lines = this.#number('lines', linesMax)
    const lacksLineEnd = this.#number('flag', 1) === 1
    const formatKeys = Array.from({ length: this.#number('formats', FORMATS_MAX) }, () => ({
      key: this.#number('format', 2 ** 31 - 1),
      fraction: this.#number('fraction', 0xfff),
    }))
    const templates: Template[] = []
    let at = 0
    let left = lines
    const count = this.#number('templates', text.length)
    for (let number = 1; number <= count; number++) {
      const end = text.indexOf(LINE_FEED, at) + 1
      if (end === 0) throw new CorruptBlockError(`template ${number} does not end`)
      const template = this.#template(number, text.subarray(at, end), left, formatKeys.length)
      left -= template.count
      templates.push(template)
      at = end
    }
    if (at !== text.length || !this.#descriptors.isAtEnd || this.#entryAt !== this.#streams.entries.length) {
      throw new CorruptBlockError('templates, descriptors or entries go on behind their end')
    }
    const formats = formatKeys.map(({ key, fraction }) => ({ kind: key & 7, digits: fraction & 15 }))
    if (formats.some(({ kind, digits }) => kind === 0 || digits > 9)) throw new CorruptBlockError('a format is wrong')
    return { lines, lacksLineEnd, formats, formatKeys, templates }
  }

  #number(what: string, max: number): number {
    return this.#descriptors.next(what, max)
  }

  #template(number: number, text: Buffer, linesLeft: number, formats: number): Template {
    const count = this.#number('lines of a template', linesLeft)
    const template: Template = { number, count, parts: [], text, format: 255 }
    let from = 0
    const endStatic = (at: number) => {
      if (at > from) template.parts.push({ kind: 'static', bytes: text.subarray(from, at), isVariable: false })
    }
    for (let at = 0; at < text.length; at++) {
      if (text[at] === VARIABLE_MARK) {
        endStatic(at)
        template.parts.push(this.#column(count))
        from = at + 1
      } else if (text[at] === STAMP_MARK) {
        endStatic(at)
        const format = text[++at] - 32
        if (!(format >= 0 && format < formats)) throw new CorruptBlockError(`template ${number} has no such format`)
        template.parts.push(this.#stamp(template, format, count))
        from = at + 1
      }
    }
    endStatic(text.length)
    return template
  }

  #stamp(template: Template, format: number, count: number): Part {
    if (template.format === 255) {
      template.format = format
      return { kind: 'stamp', format }
    }
    if (this.#number('kind', 255) !== KIND_INTEGER) throw new CorruptBlockError('a later time stamp is no integer')
    const seconds = this.#integers(count)
    if (this.#number('kind', 255) !== KIND_INTEGER) throw new CorruptBlockError('a later time stamp is no integer')
    return { kind: 'laterStamp', format, seconds, fraction: this.#integers(count) }
  }

  #column(count: number): Part {
    const kind = this.#number('kind', 255)
    switch (kind) {
      case KIND_CONSTANT: {
        const { bytes, starts } = this.#entries(1)
        return { kind: 'static', bytes: bytes.subarray(starts[0], starts[1] - 1), isVariable: true }
      }
      case KIND_INTEGER:
        return { kind: 'integer', body: this.#integers(count) }
      case KIND_DICTIONARY: {
        const entries = this.#entries(this.#number('entries', this.#streams.entries.length))
        const planes = idPlanes(entries.starts.length - 1)
        const idsAt = this.#idAt
        this.#idAt = this.#behind(idsAt, planes * count, this.#streams.idBytes)
        return { kind: 'dictionary', entries, idsAt, planes }
      }
      case KIND_TEXT: {
        const prefix = this.#prefix()
        const bytes = this.#number('bytes of texts', this.#streams.textBytes)
        const at = this.#textAt
        this.#textAt = this.#behind(at, bytes, this.#streams.textBytes)
        return { kind: 'text', prefix, at, bytes }
      }
      case KIND_NUMERAL:
      case KIND_PREFIXED: {
        const prefix = kind === KIND_PREFIXED ? this.#prefix() : Buffer.alloc(0)
        const highDigits = this.#number('digits', 9)
        const high = highDigits > 0 ? this.#integers(count) : undefined
        return { kind: 'numeral', prefix, highDigits, high, low: this.#integers(count) }
      }
      default:
        throw new CorruptBlockError(`a column of kind ${kind}`)
    }
  }

  #prefix(): Buffer {
    const length = this.#number('prefix', this.#streams.descriptors.length)
    const at = this.#descriptors.at
    this.#descriptors.skip(length)
    return this.#streams.descriptors.subarray(at, at + length)
  }

  #integers(count: number): IntegerBody {
    const width = this.#number('width', 9)
    const form = this.#number('form', 15)
    const isDelta = (form & 1) === 1
    const planes = form >> 1
    if (planes > 4 && planes !== VARINTS) throw new CorruptBlockError(`integers of ${planes} planes`)
    const first = isDelta ? this.#number('first value', 2 ** 32 - 1) | 0 : 0
    const bytes = planes === VARINTS ? this.#number('bytes', this.#streams.integerBytes) : planes * count
    const at = this.#integerAt
    this.#integerAt = this.#behind(at, bytes, this.#streams.integerBytes)
    return { at, bytes, planes, isDelta, first, width }
  }

  #behind(at: number, bytes: number, max: number): number {
    if (bytes > max - at) throw new CorruptBlockError(`a column of ${bytes} bytes where ${max - at} are left`)
    return at + bytes
  }

  #entries(count: number): Texts {
    const { entries } = this.#streams
    const texts = splitTexts(entries, this.#entryAt, entries.length, count)
    this.#entryAt = texts.starts[count]
    return texts
  }
}

/** `count` texts from `at` on. @throws CorruptBlockError */
export function splitTexts(bytes: Buffer, at: number, end: number, count: number): Texts {
  if (count > end - at) throw new CorruptBlockError(`${count} texts in ${end - at} bytes`)
  const starts = new Uint32Array(count + 1)
  let next = at
  for (let k = 0; k < count; k++) {
    starts[k] = next
    while (next < end && bytes[next] !== LINE_FEED) next++
    if (next++ >= end) throw new CorruptBlockError(`text ${k} of ${count} does not end`)
  }
  starts[count] = next
  return { bytes, starts }
}
