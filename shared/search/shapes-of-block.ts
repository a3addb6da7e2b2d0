// Shapes of the events of a columns block (shape.ts), most of them without their text: all lines of a template have one
// shape, if what its variables hold is all of one kind, and that is looked at first.
import type { ColumnsView, Part, Template } from '../columns/view.ts'
import { shapeId, shapeOf } from './shape.ts'

export interface NamedShape {
  id: string
  text: string
}

const UNKNOWN = 0xffffffff
const WORD = 1
const DIGIT = 2
const JOINT = 4
const CLASSES = Uint8Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte)
  if (byte >= 0x80 || /[A-Za-z_]/.test(character)) return WORD
  if (/[0-9]/.test(character)) return WORD | DIGIT
  return /[.:-]/.test(character) ? JOINT : 0
})

export class ShapesOfBlock {
  readonly shapes: NamedShape[] = []
  readonly #view: ColumnsView
  readonly #numbers = new Map<string, number>()
  /** By template: the shape of all its lines; UNKNOWN: not asked yet, or they differ. */
  readonly #ofTemplate: Uint32Array
  /** By template: the shape of each of its lines. */
  readonly #ofLines = new Map<number, Uint32Array>()

  constructor(view: ColumnsView) {
    this.#view = view
    this.#ofTemplate = new Uint32Array(view.templates.length + 1).fill(UNKNOWN)
  }

  get heldBytes(): number {
    let bytes = this.#ofTemplate.byteLength + this.shapes.length * 400
    for (const lines of this.#ofLines.values()) bytes += lines.byteLength
    return bytes
  }

  /** Index into `shapes` of the line. */
  ofLine(line: number): number {
    const template = this.#view.templateOf[line]
    if (this.#ofTemplate[template] !== UNKNOWN) return this.#ofTemplate[template]
    let lines = this.#ofLines.get(template)
    if (lines === undefined) {
      lines = this.#read(template)
      if (lines === undefined) return this.#ofTemplate[template]
      this.#ofLines.set(template, lines)
    }
    return lines[this.#view.rankOf[line]]
  }

  /** Of an event that is not whole lines. */
  ofText(bytes: Buffer): number {
    const shape = shapeOf(bytes)
    const id = shapeId(shape)
    const known = this.#numbers.get(id)
    if (known !== undefined) return known
    const number = this.shapes.push({ id, text: shape.toString() }) - 1
    this.#numbers.set(id, number)
    return number
  }

  /** Undefined: it has one shape, which stands in `#ofTemplate` now. */
  #read(number: number): Uint32Array | undefined {
    const lines = this.#view.linesOf(number)
    const template = this.#view.templates[number - 1]
    if (template && this.#isUniform(template)) {
      this.#ofTemplate[number] = this.ofText(this.#view.textOf(lines.subarray(0, 1)).bytes)
      return undefined
    }
    const { bytes, ends } = this.#view.textOf(lines)
    const shapes = new Uint32Array(lines.length)
    for (let k = 0; k < lines.length; k++) shapes[k] = this.ofText(bytes.subarray(k === 0 ? 0 : ends[k - 1], ends[k]))
    return shapes
  }

  #isUniform({ parts, count }: Template): boolean {
    return parts.every(part => this.#isMark(part, count))
  }

  /** Whether each value becomes one mark, whatever stands beside it. Numbers and time stamps of one format always do. */
  #isMark(part: Part, count: number): boolean {
    if (part.kind !== 'dictionary' && part.kind !== 'text') return true
    const { bytes, starts } = part.kind === 'dictionary' ? part.entries : this.#view.textsOf(part, count)
    // A common prefix is static, and what follows it may lack the digit: then the lines are looked at one by one.
    for (let k = 0; k + 1 < starts.length; k++) if (!isMark(bytes, starts[k], starts[k + 1] - 1)) return false
    return true
  }
}

/** A word with a digit, then words after single joints. */
function isMark(bytes: Uint8Array, from: number, to: number): boolean {
  let at = from
  let seen = 0
  while (at < to && (CLASSES[bytes[at]] & WORD) !== 0) seen |= CLASSES[bytes[at++]]
  if ((seen & DIGIT) === 0) return false
  while (at < to) {
    if (CLASSES[bytes[at++]] !== JOINT) return false
    const start = at
    while (at < to && (CLASSES[bytes[at]] & WORD) !== 0) at++
    if (at === start) return false
  }
  return true
}
