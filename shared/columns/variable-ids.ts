// Variables of few values as the event columns use them, where a host, a level or an application is told by a variable: a
// dictionary, whose values are its entries, or an integer column of one plane without deltas, whose values are 0 to 255.
// Nothing is read before it is asked for: most blocks never ask.
import { CorruptBlockError } from '../block.ts'
import type { Part, TemplateTable } from './template-view.ts'

const BYTE_VALUES = 256

export class VariableIds {
  readonly #readTable: () => TemplateTable
  readonly #entryIds: Uint8Array
  readonly #integers: Uint8Array
  readonly #templateOf: Uint32Array
  #table: TemplateTable | undefined
  #rankOf: Uint32Array | undefined
  readonly #ids = new Map<Part, Uint32Array>()

  /** @param entryIds, integers  streams 5 and 4 */
  constructor(readTable: () => TemplateTable, entryIds: Uint8Array, integers: Uint8Array, templateOf: Uint32Array) {
    this.#readTable = readTable
    this.#entryIds = entryIds
    this.#integers = integers
    this.#templateOf = templateOf
  }

  /** Of every line: which of the lines of its template it is, from 0. */
  get rankOf(): Uint32Array {
    if (this.#rankOf === undefined) {
      const templateOf = this.#templateOf
      const next = new Uint32Array(this.#templates.length + 1)
      const ranks = new Uint32Array(templateOf.length)
      for (let line = 0; line < ranks.length; line++) ranks[line] = next[templateOf[line]]++
      this.#rankOf = ranks
    }
    return this.#rankOf
  }

  /** How many values the part can have. @throws CorruptBlockError if it cannot tell */
  valueCount(template: number, part: number): number {
    return valuesOf(this.#part(template, part))
  }

  /** The value of each line of the template, in order. @throws CorruptBlockError */
  idsOf(template: number, index: number): Uint32Array {
    const part = this.#part(template, index)
    let ids = this.#ids.get(part)
    if (ids === undefined) {
      ids = this.#read(part, this.#templates[template - 1].count)
      this.#ids.set(part, ids)
    }
    return ids
  }

  #read(part: Part, count: number): Uint32Array {
    const ids = new Uint32Array(count)
    if (part.kind === 'integer') {
      ids.set(this.#integers.subarray(part.body.at, part.body.at + count))
    } else if (part.kind === 'dictionary') {
      for (let plane = 0; plane < part.planes; plane++) {
        const from = part.idsAt + plane * count
        for (let k = 0; k < count; k++) ids[k] |= this.#entryIds[from + k] << (8 * plane)
      }
      const entries = valuesOf(part)
      for (let k = 0; k < count; k++)
        if (ids[k] >= entries) throw new CorruptBlockError(`entry ${ids[k]} of ${entries}`)
    }
    return ids
  }

  get #templates(): TemplateTable['templates'] {
    this.#table ??= this.#readTable()
    return this.#table.templates
  }

  #part(template: number, index: number): Part {
    const part = this.#templates[template - 1]?.parts[index]
    if (part === undefined || valuesOf(part) === 0) {
      throw new CorruptBlockError(`part ${index} of template ${template} tells nothing`)
    }
    return part
  }
}

/** 0 for a part that cannot tell. */
function valuesOf(part: Part): number {
  if (part.kind === 'dictionary') return part.entries.starts.length - 1
  return part.kind === 'integer' && part.body.planes === 1 && !part.body.isDelta ? BYTE_VALUES : 0
}
