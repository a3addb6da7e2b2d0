// Search: candidates from Elasticsearch, page by page in one snapshot, each decided by the matcher itself.
//
// Order: time, source, offset as everywhere; of several contents at one place those with the smaller bytes first. One
// event that two porters put into two days at the same moment stands side by side then, and is given out once.
import { requestFilter } from '../event-filter.ts'
import type { FoundEvent } from '../events.ts'
import type { EventQuestion, SearchRequest } from '../stores.ts'
import type { ElasticConnection } from './connection.ts'
import { type EventSource, eventOfDocument } from './document.ts'
import { IndexMissingError } from './errors.ts'
import { IS_EVENT } from './names.ts'
import { candidatesOf } from './query-dsl.ts'

/** Events of 64 KB at most: 64 MB, mostly some hundred KB. */
const PAGE_EVENTS_MAX = 1000
/** Somebody who reads slowly finds the same snapshot. */
const KEEP_ALIVE = '5m'
const SEARCH_MS_MAX = 300_000

interface Hit {
  _id: string
  _index: string
  _source: EventSource
  sort: unknown[]
}

export async function* searchElastic(
  connection: ElasticConnection,
  alias: string,
  request: SearchRequest,
): AsyncGenerator<FoundEvent> {
  const { limit = Number.POSITIVE_INFINITY, order } = request
  if (limit <= 0) return
  let left = limit
  // Those at one place in the order: they wait until the place is complete.
  let tied: FoundEvent[] = []
  for await (const event of matchingEvents(connection, alias, request, { sort: sortOf(order), limit })) {
    if (tied.length > 0 && !isSamePlace(tied[0], event)) {
      for (const settled of settle(tied, order)) {
        yield settled
        if (--left === 0) return
      }
      tied = []
    }
    tied.push(event)
  }
  for (const settled of settle(tied, order)) {
    yield settled
    if (--left === 0) return
  }
}

/** Candidates from Elasticsearch, each decided here. @param limit  nobody takes more: where all candidates match, the size of a page */
export async function* matchingEvents(
  connection: ElasticConnection,
  alias: string,
  question: EventQuestion,
  { limit = Number.POSITIVE_INFINITY, ...asked }: { sort: unknown[]; limit?: number; isAhead?: boolean },
): AsyncGenerator<FoundEvent> {
  const { signal, sinceNs, untilNs, source } = question
  signal?.throwIfAborted()
  const { query, isExact } = candidatesOf(question)
  const matches = requestFilter(question)
  const pageMax = isExact ? Math.min(PAGE_EVENTS_MAX, limit) : PAGE_EVENTS_MAX
  for await (const { _id, _source } of hitsOf(connection, alias, { ...asked, query, pageMax, signal })) {
    signal?.throwIfAborted()
    const event = eventOfDocument(_id, _source)
    if (sinceNs !== undefined && event.timeNs < sinceNs) continue
    if (untilNs !== undefined && event.timeNs >= untilNs) continue
    if (source !== undefined && event.source !== source) continue
    if (matches(event)) yield event
  }
}

/** Every document that the query finds, in order. Nothing if there is no index. */
export async function* hitsOf(
  connection: ElasticConnection,
  alias: string,
  asked: {
    query: Record<string, unknown>
    sort: unknown[]
    pageMax?: number
    signal?: AbortSignal
    /** False: marks, too. */
    eventsOnly?: boolean
    sourceFields?: string[] | boolean
    /** Asks for a page while the one before is looked at: for who takes all. */
    isAhead?: boolean
  },
): AsyncGenerator<Hit> {
  const { query, sort, pageMax = PAGE_EVENTS_MAX, signal, eventsOnly = true, sourceFields, isAhead = false } = asked
  const what = 'search failed'
  let pit: string
  try {
    const opened = await connection.ask<{ id: string }>({
      what,
      path: `${alias}/_pit`,
      query: { keep_alive: KEEP_ALIVE },
      ...(signal && { signal }),
    })
    pit = opened.id
  } catch (error) {
    if (error instanceof IndexMissingError) return
    throw error
  }
  const pageAfter = async (after?: unknown[]): Promise<Hit[]> => {
    const answer = await connection.ask<{ hits: { hits: Hit[] }; pit_id?: string }>({
      what,
      path: '_search',
      query: { filter_path: 'pit_id,hits.hits._id,hits.hits._index,hits.hits._source,hits.hits.sort' },
      body: {
        pit: { id: pit, keep_alive: KEEP_ALIVE },
        size: pageMax,
        track_total_hits: false,
        query: eventsOnly ? { bool: { filter: [IS_EVENT, query] } } : query,
        sort,
        ...(sourceFields !== undefined && { _source: sourceFields }),
        ...(after && { search_after: after }),
      },
      timeoutMs: SEARCH_MS_MAX,
      ...(signal && { signal }),
    })
    pit = answer.pit_id ?? pit
    return answer.hits?.hits ?? []
  }
  let ahead: Promise<Hit[]> | undefined
  try {
    for (let hits = await pageAfter(); ; ) {
      const after = hits.at(-1)?.sort
      const isLast = hits.length < pageMax
      if (isAhead && !isLast) {
        ahead = pageAfter(after)
        ahead.catch(() => undefined) // told when it is its turn
      }
      yield* hits
      if (isLast) return
      hits = await (ahead ?? pageAfter(after))
    }
  } finally {
    await ahead?.catch(() => undefined)
    await connection
      .ask({ what: 'snapshot not closed', method: 'DELETE', path: '_pit', body: { id: pit } })
      .catch(() => undefined) // it closes by itself
  }
}

export function sortOf(order: SearchRequest['order']): unknown[] {
  const place = (direction: 'asc' | 'desc') => [
    { 'bucktail.source': { order: direction, unmapped_type: 'keyword' } },
    { 'log.offset': { order: direction, unmapped_type: 'long' } },
  ]
  if (order === 'offset') return place('asc')
  const direction = order === 'oldest' ? 'asc' : 'desc'
  const time = { order: direction, format: 'strict_date_optional_time_nanos', unmapped_type: 'date_nanos' }
  return [{ '@timestamp': time }, ...place(direction)]
}

function isSamePlace(a: FoundEvent, b: FoundEvent): boolean {
  return a.from === b.from && a.source === b.source && a.timeNs === b.timeNs
}

function settle(tied: FoundEvent[], order: SearchRequest['order']): FoundEvent[] {
  if (tied.length < 2) return tied
  const once = [...new Map(tied.map(event => [event.id, event])).values()]
  const direction = order === 'newest' ? -1 : 1
  return once.sort((a, b) => direction * Buffer.compare(a.bytes, b.bytes))
}
