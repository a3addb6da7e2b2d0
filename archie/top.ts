// Rankings: the commonest values, and of them those that are new, which did not occur in a time before.
import type { Summary, SummaryRequest, TopField, TopValues } from '../shared/stores.ts'
import type { ToldSummary } from './summary-cache.ts'

/** What the page asks for in one go, and what is cheap to count beside each other. */
export const USUAL_TOPS: readonly TopField[] = ['hosts', 'apps', 'levels', 'paths']

export interface Ranking {
  complete: boolean
  events: number
  /** Of the fields that the place can rank. */
  top: Partial<Record<TopField, TopValues>>
  damages: ToldSummary['damages']
}

/** @param limit  values of each field */
export function ranked(summary: ToldSummary, fields: readonly TopField[], limit: number): Ranking {
  const { complete, events, damages } = summary
  return { complete, events, damages, top: eachTop(summary, fields, all => cut(all, limit)) }
}

/**
 * Values of the request's range that did not occur from `unseenNs` up to its beginning, which must be given. Values beyond
 * those that are counted (VALUES_MAX) cannot be compared: then it is not complete.
 */
export async function rankNew(
  summarise: (request: SummaryRequest) => Promise<ToldSummary>,
  request: SummaryRequest & { sinceNs: bigint },
  { fields, unseenNs, limit }: { fields: readonly TopField[]; unseenNs: bigint; limit: number },
): Promise<Ranking> {
  const now = await summarise({ ...request, tops: fields })
  const before = await summarise({ ...request, tops: fields, sinceNs: unseenNs, untilNs: request.sinceNs })
  let complete = now.complete && before.complete
  const top = eachTop(now, fields, (all, field) => {
    const known = new Set(before.tops[field]?.values.map(({ value }) => value))
    complete &&= all.others === 0 && before.tops[field]?.others === 0
    return cut({ values: all.values.filter(({ value }) => !known.has(value)), others: 0 }, limit)
  })
  return { complete, events: now.events, top, damages: [...now.damages, ...before.damages] }
}

function eachTop(
  { tops }: Summary,
  fields: readonly TopField[],
  of: (all: TopValues, field: TopField) => TopValues,
): Ranking['top'] {
  const top: Ranking['top'] = {}
  for (const field of fields) {
    const all = tops[field]
    if (all) top[field] = of(all, field)
  }
  return top
}

function cut({ values, others }: TopValues, limit: number): TopValues {
  const rest = values.slice(limit).reduce((sum, { events }) => sum + events, 0)
  return { values: values.slice(0, limit), others: others + rest }
}
