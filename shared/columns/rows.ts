// Rows of a block of columns as text: a second, plain decoder beside that of core/, for a few lines out of many.
import { CorruptBlockError } from '../block.ts'
import { load8 } from './core/memory.ts'
import { HEAP } from './core/places.ts'
import {
  addFormat,
  DAY_SECONDS,
  forgetFormats,
  KIND_ACCESS,
  KIND_CLOCK,
  KIND_DIGITS,
  KIND_EPOCH,
  KIND_ISO,
  KIND_SHORT,
  writeStamp,
} from './core/stamps.ts'
import type { Part, Template, TemplateTable, Texts } from './template-view.ts'
import type { ColumnsView } from './view.ts'

/** Row k is bytes [ends[k - 1], ends[k]). */
export interface Rows {
  bytes: Buffer
  ends: Uint32Array
}

const BYTES_AT_FIRST = 4096

export class RowWriter {
  readonly #view: ColumnsView
  readonly #table: TemplateTable
  #bytes = Buffer.allocUnsafe(BYTES_AT_FIRST)
  #used = 0

  constructor(view: ColumnsView, table: TemplateTable) {
    this.#view = view
    this.#table = table
  }

  write(lines: ArrayLike<number>): Rows {
    const { templateOf, rankOf, rawText, templates } = this.#view
    const { lacksLineEnd, formatKeys } = this.#table
    // The digits are written by the codec's own function, in the memory of its plain form.
    forgetFormats()
    for (const { key, fraction } of formatKeys) addFormat(key, fraction)
    this.#used = 0
    const ends = new Uint32Array(lines.length)
    for (let i = 0; i < lines.length; i++) {
      const line = lines[i]
      const number = templateOf[line]
      const rank = rankOf[line]
      if (number === 0) {
        const { rawStarts } = this.#view
        this.#put(rawText, rawStarts[rank], rawStarts[rank + 1])
      } else {
        const template = templates[number - 1]
        for (const part of template.parts) this.#putPart(template, part, line, rank)
      }
      if (lacksLineEnd && line === this.#view.lines - 1) this.#used--
      ends[i] = this.#used
    }
    return { bytes: Buffer.from(this.#bytes.subarray(0, this.#used)), ends }
  }

  /** Where every line ends in the whole text. */
  lineEnds(): Uint32Array {
    const view = this.#view
    const lengths = new Uint32Array(view.lines)
    if (view.rawCount > 0) {
      const { rawStarts } = view
      const lines = view.linesOf(0)
      for (let k = 0; k < lines.length; k++) lengths[lines[k]] = rawStarts[k + 1] - rawStarts[k]
    }
    for (const template of view.templates) {
      const lines = view.linesOf(template.number)
      let always = 0
      for (const part of template.parts) always += this.#addLengths(template, part, lines, lengths)
      for (let k = 0; k < lines.length; k++) lengths[lines[k]] += always
    }
    let end = 0
    for (let line = 0; line < lengths.length; line++) {
      end += lengths[line]
      lengths[line] = end
    }
    if (this.#table.lacksLineEnd && lengths.length > 0) lengths[lengths.length - 1]--
    if ((lengths.at(-1) ?? 0) !== view.textBytes)
      throw new CorruptBlockError(`lines of ${lengths.at(-1)} bytes in a text of ${view.textBytes}`)
    return lengths
  }

  /** Adds what differs from line to line; answers what all have. */
  #addLengths(template: Template, part: Part, lines: Uint32Array, lengths: Uint32Array): number {
    const view = this.#view
    const { count } = template
    switch (part.kind) {
      case 'static':
        return part.bytes.length
      case 'stamp':
      case 'laterStamp':
        return this.#stampBytes(part.format)
      case 'integer': {
        if (part.body.width > 0) return part.body.width
        addDigits(view.integersOf(part.body, count), lines, lengths)
        return 0
      }
      case 'numeral': {
        const before = part.prefix.length + part.highDigits
        if (part.low.width > 0) return before + part.low.width
        addDigits(view.integersOf(part.low, count), lines, lengths)
        return before
      }
      case 'dictionary': {
        const ids = view.entryIdsOf(part, count)
        const { starts } = part.entries
        for (let k = 0; k < lines.length; k++) lengths[lines[k]] += starts[ids[k] + 1] - starts[ids[k]] - 1
        return 0
      }
      case 'text': {
        const { starts } = view.textsOf(part, count)
        for (let k = 0; k < lines.length; k++) lengths[lines[k]] += starts[k + 1] - starts[k] - 1
        return part.prefix.length
      }
    }
  }

  #stampBytes(format: number): number {
    const { key, fraction } = this.#table.formatKeys[format]
    const digits = fraction & 15
    return clockBytes(key & 7) + (digits === 0 ? 0 : digits + (fraction >> 4 === 0 ? 0 : 1))
  }

  #putPart(template: Template, part: Part, line: number, rank: number): void {
    const view = this.#view
    const { count } = template
    switch (part.kind) {
      case 'static':
        this.#put(part.bytes, 0, part.bytes.length)
        break
      case 'stamp': {
        const { stampSeconds, stampFractions } = view.stamps
        this.#putStamp(part.format, stampSeconds[line], stampFractions[line])
        break
      }
      case 'laterStamp': {
        const { stampSeconds, stampFractions, formats } = view.stamps
        let seconds = stampSeconds[line] + unzigzag(view.integersOf(part.seconds, count)[rank])
        if (formats[part.format].kind === KIND_CLOCK) seconds %= DAY_SECONDS
        let fraction = unzigzag(view.integersOf(part.fraction, count)[rank])
        if (formats[part.format].digits === formats[template.format].digits) fraction += stampFractions[line]
        this.#putStamp(part.format, seconds, fraction)
        break
      }
      case 'integer':
        this.#putNumber(view.integersOf(part.body, count)[rank], part.body.width)
        break
      case 'numeral':
        this.#put(part.prefix, 0, part.prefix.length)
        if (part.high !== undefined) this.#putNumber(view.integersOf(part.high, count)[rank], part.highDigits)
        this.#putNumber(view.integersOf(part.low, count)[rank], part.low.width)
        break
      case 'dictionary': {
        const id = view.entryIdsOf(part, count)[rank]
        this.#putText(part.entries, id)
        break
      }
      case 'text':
        this.#put(part.prefix, 0, part.prefix.length)
        this.#putText(view.textsOf(part, count), rank)
    }
  }

  #putText(texts: Texts, k: number): void {
    if (!(k < texts.starts.length - 1))
      throw new CorruptBlockError(`a value has entry ${k} of ${texts.starts.length - 1}`)
    this.#put(texts.bytes, texts.starts[k], texts.starts[k + 1] - 1)
  }

  #put(from: Buffer, start: number, end: number): void {
    this.#makeRoom(end - start)
    // A call costs more than a few bytes.
    if (end - start < 24) for (let at = start; at < end; at++) this.#bytes[this.#used++] = from[at]
    else this.#used += from.copy(this.#bytes, this.#used, start, end)
  }

  #putNumber(value: number, width: number): void {
    this.#makeRoom(16)
    let digits = width
    if (digits === 0) digits = digitsOf(value)
    let rest = value
    for (let at = this.#used + digits - 1; at >= this.#used; at--) {
      const tenth = Math.floor(rest / 10)
      this.#bytes[at] = 48 + rest - tenth * 10
      rest = tenth
    }
    this.#used += digits
  }

  #putStamp(format: number, seconds: number, fraction: number): void {
    this.#makeRoom(40)
    const end = writeStamp(HEAP, format, seconds | 0, fraction | 0)
    for (let at = HEAP; at < end; at++) this.#bytes[this.#used++] = load8(at)
  }

  #makeRoom(more: number): void {
    if (this.#used + more <= this.#bytes.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#bytes.length * 2, this.#used + more))
    this.#bytes.copy(larger, 0, 0, this.#used)
    this.#bytes = larger
  }
}

function clockBytes(kind: number): number {
  if (kind === KIND_ISO) return 19
  if (kind === KIND_ACCESS) return 20
  if (kind === KIND_EPOCH) return 10
  if (kind === KIND_CLOCK) return 8
  if (kind === KIND_SHORT) return 17
  return kind === KIND_DIGITS ? 13 : 15
}

function unzigzag(value: number): number {
  return (value >>> 1) ^ -(value & 1)
}

function digitsOf(value: number): number {
  let digits = 1
  for (let power = 10; value >= power; power *= 10) digits++
  return digits
}

function addDigits(values: Int32Array, lines: Uint32Array, lengths: Uint32Array): void {
  for (let k = 0; k < lines.length; k++) lengths[lines[k]] += digitsOf(values[k])
}
