// Levels, flags, hosts and applications of events: lists 4 to 7 of event-columns.ts. A value is told from the former one
// of the template, or, where a *teller* names a variable of the template, from the former one of that variable's value.
import { Exceptions, readGaps } from './exceptions.ts'
import type { VariableIds } from './variable-ids.ts'
import { type VarintReader, VarintWriter } from './varints.ts'

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

/** A template with fewer exceptions than this, or than this share of its events, needs no teller: finding one costs more. */
const EXCEPTIONS_MIN = 8
const EXCEPTION_SHARE_MIN = 1 / 64
/** The same of a whole column: a byte or two for one event of 32 is about a hundredth of a block. */
const COLUMN_SHARE_MIN = 1 / 32
const TELLERS_MAX = 64

export function encodeLabels(labels: Column, places: EventPlaces, variables: VariableIds): Buffer[] {
  const { templates, templateCount } = places
  // One kind of array for all: the loops are compiled for one, and take a third of the time.
  const column = labels instanceof Uint16Array ? labels : new Uint16Array(labels)
  const last = new Uint16Array(templateCount + 1)
  const wrong = new Uint32Array(templateCount + 1)
  const list = new Exceptions()
  for (let i = 0; i < column.length; i++) {
    const template = templates[i]
    const value = column[i]
    if (value === last[template]) continue
    last[template] = value
    wrong[template]++
    list.add(i)
    list.values.put(value)
  }
  const exceptionsMin = Math.max(EXCEPTIONS_MIN, column.length * COLUMN_SHARE_MIN)
  const tellers = list.count < exceptionsMin ? [] : chooseTellers(column, wrong, places, variables)
  const head = new VarintWriter()
  head.put(tellers.length)
  for (const { template, part } of tellers) {
    head.put(template)
    head.put(part)
  }
  return [head.bytes, ...(tellers.length === 0 ? list : exceptionsTold(column, tellers, places, variables)).parts]
}

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

/** For templates whose former value is often wrong: the variable whose values do at least twice as well. */
function chooseTellers(column: Column, wrong: Uint32Array, places: EventPlaces, variables: VariableIds): Teller[] {
  const tellers: Teller[] = []
  for (let template = 1; template < wrong.length && tellers.length < TELLERS_MAX; template++) {
    if (wrong[template] < EXCEPTIONS_MIN) continue
    const events = eventsOf(column, template, places, variables)
    if (wrong[template] < events.count * EXCEPTION_SHARE_MIN) continue
    let least = wrong[template] / 2
    let best: number | undefined
    for (const part of variables.tellingParts(template)) {
      const exceptions = exceptionsWith(events, { template, part }, variables, least)
      if (exceptions >= least) continue
      least = exceptions
      best = part
    }
    if (best !== undefined) tellers.push({ template, part: best })
  }
  return tellers
}

/** Of the events of one template, in order: what they have, and which of its lines they begin in. */
interface TemplateEvents {
  count: number
  values: Uint16Array
  ranks: Uint32Array
}

function eventsOf(
  column: Column,
  template: number,
  { templates, firstLines }: EventPlaces,
  { rankOf }: VariableIds,
): TemplateEvents {
  const values = new Uint16Array(templates.length)
  const ranks = new Uint32Array(templates.length)
  let count = 0
  for (let i = 0; i < templates.length; i++) {
    if (templates[i] !== template) continue
    values[count] = column[i]
    ranks[count++] = rankOf[firstLines[i]]
  }
  return { count, values, ranks }
}

/** Up to `most`: more need not be counted. */
function exceptionsWith(
  { count, values, ranks }: TemplateEvents,
  { template, part }: Teller,
  variables: VariableIds,
  most: number,
): number {
  const ids = variables.idsOf(template, part)
  const last = new Uint16Array(variables.valueCount(template, part))
  let exceptions = 0
  for (let k = 0; k < count && exceptions < most; k++) {
    const id = ids[ranks[k]]
    const value = values[k]
    if (value === last[id]) continue
    last[id] = value
    exceptions++
  }
  return exceptions
}

function exceptionsTold(column: Column, tellers: Teller[], places: EventPlaces, variables: VariableIds): Exceptions {
  const list = new Exceptions()
  const former = new FormerValues(places, variables, tellers)
  const { values } = former
  for (let i = 0; i < column.length; i++) {
    const place = former.place(i)
    const value = column[i]
    if (value === values[place]) continue
    values[place] = value
    list.add(i)
    list.values.put(value)
  }
  return list
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
