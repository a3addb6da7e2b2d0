// Levels, flags, hosts and applications of events: lists 4 to 7 of event-columns.ts. A value is told from the former one
// of the template, or, where a *teller* names a variable of the template, from the former one of that variable's value.
import { readGaps } from './exceptions.ts'
import type { VariableIds } from './variable-ids.ts'
import type { VarintReader } from './varints.ts'

type Column = Uint8Array | Uint16Array

/** Where events begin. */
export interface EventPlaces {
  firstLines: Uint32Array
  /** Of these lines; 0 for none. */
  templates: Uint32Array
  /** Numbers go up to it. */
  templateCount: number
}

/** Which variable tells the value of a template's lines. */
interface Teller {
  template: number
  part: number
}

const TELLERS_MAX = 64

/** @throws CorruptBlockError */
export function decodeLabels(reader: VarintReader, column: Column, places: EventPlaces, variables: VariableIds): void {
  const tellers: Teller[] = []
  for (let left = reader.next('tellers', TELLERS_MAX); left > 0; left--) {
    const template = reader.next('template of a teller', places.templateCount)
    tellers.push({ template, part: reader.next('part of a teller', 65_535) })
  }
  const former = new FormerValues(places, variables, tellers)
  const exceptions = readGaps(reader, 'values', column.length)
  // All are 0, as they are.
  if (exceptions.length === 0) return
  const max = column.BYTES_PER_ELEMENT === 1 ? 0xff : 0xffff
  const { values } = former
  let k = 0
  for (let i = 0; i < column.length; i++) {
    const place = former.place(i)
    if (i === exceptions[k]) {
      k++
      values[place] = reader.next('value', max)
    }
    column[i] = values[place]
  }
}

/** The former value of a template, or of each value of its teller. */
class FormerValues {
  readonly values: Uint16Array
  readonly #places: EventPlaces
  /** Where the values of each template begin. */
  readonly #base: Uint32Array
  readonly #idsOf: (Uint32Array | undefined)[] = []
  readonly #rankOf: Uint32Array | undefined

  /** @throws CorruptBlockError if a teller cannot be one */
  constructor(places: EventPlaces, variables: VariableIds, tellers: Teller[]) {
    this.#places = places
    this.#base = Uint32Array.from({ length: places.templateCount + 1 }, (_, template) => template)
    let end = places.templateCount + 1
    for (const { template, part } of tellers) {
      this.#base[template] = end
      this.#idsOf[template] = variables.idsOf(template, part)
      end += variables.valueCount(template, part)
    }
    this.values = new Uint16Array(end)
    this.#rankOf = tellers.length > 0 ? variables.rankOf : undefined
  }

  /** Index into `values` for an event. */
  place(event: number): number {
    const template = this.#places.templates[event]
    if (this.#rankOf === undefined) return template
    const ids = this.#idsOf[template]
    if (ids === undefined) return this.#base[template]
    return this.#base[template] + ids[this.#rankOf[this.#places.firstLines[event]]]
  }
}
