// The text of a columns block laid out to be searched: templates as rows of parts, a part being static bytes and the
// variable behind them, all parts of all templates side by side. Constants and common prefixes are static bytes too.
import type { ColumnsView, Part } from '../columns/view.ts'

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

export type Variable = Exclude<Part, { kind: 'static' }>

const LINE_FEED = 10

export class ColumnParts {
  readonly view: ColumnsView
  readonly templates: number
  /** Parts of template t, from 1: from firstPart[t] to before firstPart[t + 1]. The last one of each has kind END. */
  readonly firstPart: Uint32Array
  /** All static bytes, line ends not among them. Those of part p: staticEnd[p - 1] to staticEnd[p]. */
  readonly statics: Buffer
  readonly staticEnd: Uint32Array
  readonly kinds: Uint8Array
  /** By part; undefined for kind END. */
  readonly variables: (Variable | undefined)[] = []
  /** Parts with dictionaries, and with texts, in the order of their streams. */
  readonly dictionaryParts: number[] = []
  readonly textParts: number[] = []
  /** Parts with integers, numerals, time stamps. */
  readonly numberParts: number[] = []

  constructor(view: ColumnsView) {
    this.view = view
    this.templates = view.templates.length
    this.firstPart = new Uint32Array(this.templates + 2)
    const statics: Buffer[] = []
    const ends: number[] = []
    const kinds: number[] = []
    let end = 0
    const put = (bytes: Buffer) => {
      if (bytes.length === 0) return
      statics.push(bytes)
      end += bytes.length
    }
    const close = (kind: number, variable: Variable | undefined) => {
      ends.push(end)
      kinds.push(kind)
      this.variables.push(variable)
    }
    for (const { number, parts } of view.templates) {
      this.firstPart[number] = kinds.length
      for (const [i, part] of parts.entries()) {
        if (part.kind === 'static') {
          const { bytes } = part
          const isLast = i === parts.length - 1 && bytes[bytes.length - 1] === LINE_FEED
          put(isLast ? bytes.subarray(0, -1) : bytes)
          continue
        }
        if (part.kind === 'text' || part.kind === 'numeral') put(part.prefix)
        const kind = kindOf(part)
        if (kind === DICTIONARY) this.dictionaryParts.push(kinds.length)
        else if (kind === TEXT) this.textParts.push(kinds.length)
        else this.numberParts.push(kinds.length)
        close(kind, part)
      }
      close(END, undefined)
    }
    this.firstPart[this.templates + 1] = kinds.length
    this.statics = Buffer.concat(statics)
    this.staticEnd = Uint32Array.from(ends)
    this.kinds = Uint8Array.from(kinds)
  }

  /** What it takes beside the view. */
  get heldBytes(): number {
    return this.statics.length + this.kinds.length * 24
  }

  staticStart(part: number): number {
    return part === 0 ? 0 : this.staticEnd[part - 1]
  }

  countOf(template: number): number {
    return this.view.templates[template - 1].count
  }

  /** The template that a part belongs to. */
  templateOfPart(part: number): number {
    return lastAtMost(this.firstPart, part, 1, this.templates)
  }
}

function kindOf(part: Variable): number {
  switch (part.kind) {
    case 'integer':
      return INTEGER
    case 'dictionary':
      return DICTIONARY
    case 'text':
      return TEXT
    case 'numeral':
      return part.high === undefined ? INTEGER : NUMERAL
    case 'stamp':
      return STAMP
    case 'laterStamp':
      return LATER_STAMP
  }
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
