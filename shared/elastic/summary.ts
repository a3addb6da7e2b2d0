// Sums by Elasticsearch's own aggregations where its candidates are exactly the matches; else by walking the matches.

import type { FoundEvent } from '../events.ts'
import { BARS_MAX, STEPS_SECONDS } from '../search/bars.ts'
import { Tally, VALUES_MAX } from '../search/tally.ts'
import type { Bar, SearchRequest, Summary, SummaryRequest, TopField } from '../stores.ts'
import type { World } from '../world.ts'
import type { ElasticConnection } from './connection.ts'
import { timeOf } from './document.ts'
import { IS_EVENT } from './names.ts'
import { candidatesOf, type Dsl } from './query-dsl.ts'

const SUM_MS_MAX = 300_000
const FIELDS: Partial<Record<TopField, string>> = {
  hosts: 'host.name',
  apps: 'service.name',
  levels: 'log.level',
  paths: 'log.file.path',
}

interface Terms {
  buckets: { key: string; doc_count: number }[]
  sum_other_doc_count: number
}
interface Answer {
  hits: { total: { value: number } }
  aggregations?: {
    lines: { value: number }
    first?: { value_as_string?: string }
    last?: { value_as_string?: string }
    bars?: {
      buckets: { key: number; doc_count: number; warnings: { doc_count: number }; errors: { doc_count: number } }[]
    }
  } & Partial<Record<TopField, Terms>>
}

export async function summariseElastic(
  parts: {
    connection: ElasticConnection
    alias: string
    clock: World['clock']
    search(request: SearchRequest): AsyncGenerator<FoundEvent>
  },
  request: SummaryRequest,
): Promise<Summary> {
  const { query, isExact } = candidatesOf(request)
  if (!isExact) return walk(parts, request)
  const { connection, alias } = parts
  const { volume = false, tops = [], signal } = request
  const filter = { bool: { filter: [IS_EVENT, query] } }
  const ask = (aggs: Record<string, unknown>) =>
    connection.ask<Answer>({
      what: 'not summed up',
      path: `${alias}/_search`,
      query: { ignore_unavailable: true },
      body: { size: 0, track_total_hits: true, query: filter, aggs },
      timeoutMs: SUM_MS_MAX,
      ...(signal && { signal }),
    })
  const fields = tops.filter(field => FIELDS[field] !== undefined)
  const answer = await ask({
    lines: { sum: { field: 'bucktail.lines' } },
    ...(volume && { first: { min: { field: '@timestamp' } }, last: { max: { field: '@timestamp' } } }),
    ...Object.fromEntries(
      fields.map(field => [field, { terms: { field: FIELDS[field], size: VALUES_MAX, missing: '' } }]),
    ),
  })
  const events = answer.hits.total.value
  const tally = new Tally({ volume, tops: fields })
  const step = volume ? stepFor(answer) : undefined
  const bars = step === undefined ? [] : await barsOf(ask, step)
  tally.merge({
    complete: true,
    events,
    lines: answer.aggregations?.lines.value ?? 0,
    ...(step !== undefined && { volume: { stepSeconds: step, bars } }),
    tops: Object.fromEntries(
      fields.map(field => {
        const terms = answer.aggregations?.[field]
        const values = (terms?.buckets ?? []).map(({ key, doc_count }) => ({ value: key, events: doc_count }))
        return [field, { values, others: terms?.sum_other_doc_count ?? 0 }]
      }),
    ),
  })
  return tally.result()
}

/** The newest first, as long as there is time. */
async function walk(
  { search, clock }: Parameters<typeof summariseElastic>[0],
  request: SummaryRequest,
): Promise<Summary> {
  const { workMsMax = Number.POSITIVE_INFINITY, tops = [] } = request
  const tally = new Tally({ ...request, tops: tops.filter(field => FIELDS[field] !== undefined) })
  const startedMs = clock.monotonic()
  for await (const event of search({ ...request, order: 'newest', limit: undefined })) {
    if (clock.monotonic() - startedMs > workMsMax) {
      tally.isComplete = false
      break
    }
    tally.add(event)
  }
  return tally.result()
}

/** As narrow as shared/search/bars.ts would make them; undefined without events. */
function stepFor({ aggregations }: Answer): number | undefined {
  const first = aggregations?.first?.value_as_string
  const last = aggregations?.last?.value_as_string
  if (first === undefined || last === undefined) return undefined
  const [from, to] = [first, last].map(text => Number(timeOf(text) / 1_000_000_000n))
  const start = (seconds: number, step: number) => Math.floor(seconds / step) * step
  return (
    STEPS_SECONDS.find(step => start(to, step) - start(from, step) < BARS_MAX * step) ??
    STEPS_SECONDS[STEPS_SECONDS.length - 1]
  )
}

async function barsOf(ask: (aggs: Dsl) => Promise<Answer>, step: number): Promise<Bar[]> {
  const levels = (...of: string[]) => ({ filter: { terms: { 'log.level': of } } })
  const { aggregations } = await ask({
    lines: { sum: { field: 'bucktail.lines' } },
    bars: {
      date_histogram: { field: '@timestamp', fixed_interval: `${step}s`, min_doc_count: 1 },
      aggs: { warnings: levels('warn', 'notice'), errors: levels('error', 'critical', 'alert', 'fatal') },
    },
  })
  return (aggregations?.bars?.buckets ?? []).map(({ key, doc_count, warnings, errors }) => ({
    atMs: key,
    events: doc_count,
    warnings: warnings.doc_count,
    errors: errors.doc_count,
  }))
}
