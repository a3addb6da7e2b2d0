// Sums per source: ranges as the marks say, events, lines and bytes as they are counted.
import type { SourceName } from '../messages.ts'
import { RangeSet } from '../ranges.ts'
import type { SourceTotals } from '../stores.ts'
import type { ElasticConnection } from './connection.ts'
import type { SourcePart } from './marks.ts'

const PAGE_SOURCES = 2000
const SUM_MS_MAX = 300_000

interface Answer {
  aggregations?: {
    sources: {
      after_key?: { source: string }
      buckets: { key: { source: string }; doc_count: number; lines: { value: number }; bytes: { value: number } }[]
    }
  }
}

export async function totalsOf(
  connection: ElasticConnection,
  alias: string,
  sources: Map<SourceName, SourcePart>,
): Promise<SourceTotals[]> {
  const totals = new Map<SourceName, SourceTotals>()
  for (const [name, part] of sources) {
    totals.set(name, { ...part, ranges: new RangeSet(part.ranges), events: 0, lines: 0, bytes: 0 })
  }
  let after: { source: string } | undefined
  do {
    const { aggregations } = await connection.ask<Answer>({
      what: 'sources not summed up',
      path: `${alias}/_search`,
      query: { ignore_unavailable: true },
      body: {
        size: 0,
        track_total_hits: false,
        aggs: {
          sources: {
            composite: {
              size: PAGE_SOURCES,
              sources: [{ source: { terms: { field: 'bucktail.source' } } }],
              ...(after && { after }),
            },
            aggs: { lines: { sum: { field: 'bucktail.lines' } }, bytes: { sum: { field: 'bucktail.bytes' } } },
          },
        },
      },
      timeoutMs: SUM_MS_MAX,
    })
    for (const { key, doc_count, lines, bytes } of aggregations?.sources.buckets ?? []) {
      const sum = totals.get(key.source)
      // Without a mark: of an add that is not done.
      if (sum) Object.assign(sum, { events: doc_count, lines: lines.value, bytes: bytes.value })
    }
    after = aggregations?.sources.after_key
  } while (after)
  return [...totals.values()].sort((a, b) => (a.source < b.source ? -1 : 1))
}
