// What this place holds, as far as its marks say: read once, then kept up to date by asking only for what is new.
//
//   survey    one question over all indexes: per index the number of marks, their check sum; and how many events there are
//   read      an index whose sums are others than those known: its marks behind the last one read, in one snapshot; if
//             the sums still differ (marks went, came out of order, the index is another), all of its marks anew
import type { ElasticConnection } from './connection.ts'
import { ElasticError, IndexMissingError } from './errors.ts'
import { DayMarks, type MarkSource, STATE_MARKS } from './marks.ts'
import { type ElasticNames, IS_EVENT } from './names.ts'

/** A mark with many source ranges is some KB. */
const PAGE_MARKS = 1000
const INDEXES_MAX = 10_000
const KEEP_ALIVE = '2m'
const IS_STATE = { terms: { 'bucktail.mark': [...STATE_MARKS] } }

interface Sums {
  count: number
  check: number
}

interface Response {
  error?: unknown
  hits?: { total: { value: number } }
  aggregations?: {
    index: { buckets: { key: string; doc_count: number; check: { value: number } }[] }
  }
}

interface MarksAnswer {
  hits: { hits: { _id: string; _source: { bucktail: MarkSource }; sort: unknown[] }[] }
  aggregations?: { check: { value: number }; count: { value: number } }
}

export class Holdings {
  readonly days = new Map<string, DayMarks>()
  /** Events that are there, marked or not, at the last survey. */
  eventsThere = 0
  readonly #connection: ElasticConnection
  readonly #names: ElasticNames

  constructor(connection: ElasticConnection, names: ElasticNames) {
    this.#connection = connection
    this.#names = names
  }

  /** Events that the marks promise. */
  get eventsMarked(): number {
    let sum = 0
    for (const day of this.days.values()) sum += day.events
    return sum
  }

  async refresh(signal?: AbortSignal): Promise<void> {
    const sums = await this.#survey(signal)
    for (const day of this.days.keys()) if (!sums.has(day)) this.days.delete(day)
    for (const [day, { count, check }] of sums) {
      const known = this.days.get(day)
      if (known?.count === count && known.check === check) continue
      await this.#read(day, signal).catch((error: unknown) => {
        // Deleted since the survey: the next one will say so.
        if (!(error instanceof IndexMissingError)) throw error
        this.days.delete(day)
      })
    }
  }

  /** A mark of our own, just written. */
  learn(day: string, id: string, mark: MarkSource): void {
    let marks = this.days.get(day)
    if (!marks) {
      marks = new DayMarks()
      this.days.set(day, marks)
    }
    marks.learn(id, mark)
  }

  async #survey(signal: AbortSignal | undefined): Promise<Map<string, Sums>> {
    const header = JSON.stringify({
      index: this.#names.all,
      ignore_unavailable: true,
      allow_partial_search_results: false,
    })
    const marks = {
      size: 0,
      track_total_hits: false,
      query: IS_STATE,
      aggs: {
        index: {
          terms: { field: '_index', size: INDEXES_MAX },
          aggs: { check: { sum: { field: 'bucktail.check' } } },
        },
      },
    }
    const events = { size: 0, track_total_hits: true, query: IS_EVENT }
    const { responses } = await this.#connection.ask<{ responses: Response[] }>({
      what: 'not asked what it holds',
      path: '_msearch',
      bulk: `${header}\n${JSON.stringify(marks)}\n${header}\n${JSON.stringify(events)}\n`,
      ...(signal && { signal }),
    })
    const [ofMarks, ofEvents] = responses
    for (const { error } of responses) {
      if (error)
        throw new ElasticError(`not all shards answered what they hold: ${JSON.stringify(error).slice(0, 300)}`)
    }
    const sums = new Map<string, Sums>()
    for (const { key, doc_count, check } of ofMarks.aggregations?.index.buckets ?? []) {
      const day = this.#names.dayOf(key)
      if (day !== undefined) sums.set(day, { count: doc_count, check: check.value })
    }
    this.eventsThere = ofEvents.hits?.total.value ?? 0
    return sums
  }

  async #read(day: string, signal: AbortSignal | undefined): Promise<void> {
    const { id } = await this.#connection.ask<{ id: string }>({
      what: 'marks not read',
      path: `${this.#names.index(day)}/_pit`,
      query: { keep_alive: KEEP_ALIVE },
      ...(signal && { signal }),
    })
    try {
      const known = this.days.get(day)
      if (known && (await this.#readInto(known, id, signal))) return
      const anew = new DayMarks()
      await this.#readInto(anew, id, signal)
      this.days.set(day, anew)
    } finally {
      await this.#connection
        .ask({ what: 'snapshot not closed', method: 'DELETE', path: '_pit', body: { id } })
        .catch(() => undefined) // it closes by itself
    }
  }

  /** False: what was known is not all there any more. */
  async #readInto(marks: DayMarks, pit: string, signal: AbortSignal | undefined): Promise<boolean> {
    let after = marks.readUpTo
    for (let isFirst = true, expected = { count: 0, check: 0 }; ; isFirst = false) {
      const answer = await this.#connection.ask<MarksAnswer>({
        what: 'marks not read',
        path: '_search',
        body: {
          pit: { id: pit, keep_alive: KEEP_ALIVE },
          size: PAGE_MARKS,
          track_total_hits: false,
          query: IS_STATE,
          // After the query, so that the sums are over all marks.
          post_filter: { range: { _seq_no: { gt: after } } },
          sort: [{ _seq_no: 'asc' }],
          ...(isFirst && {
            aggs: { check: { sum: { field: 'bucktail.check' } }, count: { value_count: { field: 'bucktail.check' } } },
          }),
        },
        ...(signal && { signal }),
      })
      if (answer.aggregations)
        expected = { count: answer.aggregations.count.value, check: answer.aggregations.check.value }
      const { hits } = answer.hits
      for (const { _id, _source } of hits) marks.learn(_id, _source.bucktail)
      if (hits.length > 0) after = Number(hits[hits.length - 1].sort[0])
      if (hits.length < PAGE_MARKS) {
        marks.readUpTo = after
        return marks.count === expected.count && marks.check === expected.check
      }
    }
  }
}
