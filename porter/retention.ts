// What leaves the archive by its age: noted for the ledger first, then gone.
import type { Bucket } from '../shared/messages.ts'
import { RangeSet } from '../shared/ranges.ts'
import type { Release, Releases } from '../shared/releases.ts'
import type { SegmentSummary } from '../shared/segment-manifest.ts'
import type { EventStore } from '../shared/stores.ts'

/** Whole days, so that there is one note a day at most. */
const STEP_SECONDS = 86_400

export interface Expiring extends Pick<EventStore, 'expire'> {
  summaries?(): Promise<SegmentSummary[]>
}

export interface Expiry {
  before: Bucket
  why: string
  who: string
  nowMs: number
}

/** Answers how many events went. */
export async function expireArchive(
  archive: Expiring,
  releases: Pick<Releases, 'add'> | undefined,
  { before, why, who, nowMs }: Expiry,
): Promise<number> {
  const step = Math.floor(before / STEP_SECONDS) * STEP_SECONDS
  const going = ((await archive.summaries?.()) ?? []).filter(
    summary => summary.span !== undefined && summary.lastBucket < step,
  )
  const sources = sourcesOf(going)
  if (sources.length > 0) await releases?.add({ kind: 'expired', why, who, atMs: nowMs, sources })
  return archive.expire(step)
}

function sourcesOf(summaries: SegmentSummary[]): Release['sources'] {
  const sources = new Map<string, { source: string; host: string; path: string; start: number; ranges: RangeSet }>()
  for (const { sources: parts } of summaries) {
    for (const { source, host, path, start, ranges } of parts) {
      const known = sources.get(source) ?? { source, host, path, start, ranges: new RangeSet() }
      sources.set(source, known)
      known.start = Math.min(known.start, start)
      for (const [from, to] of ranges) known.ranges.add(from, to)
    }
  }
  return [...sources.values()].map(part => ({ ...part, ranges: [...part.ranges] }))
}
