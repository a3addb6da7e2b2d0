// Copying the events of a time range from one store into another: what a history is, and what the incident tools do. The
// task (shared/task-board) as archie and commands write it, and as porters and helpers read it.
//
//   job 0     what the bucks have and the archive lacks (histories only), and the tailers' words (all others)
//   job 1 …   one slice of event time each; begun when job 0 is done, so that what is archived meanwhile is seen by one
import type { Range } from './ranges.ts'
import type { SegmentSummary } from './segment-manifest.ts'
import type { Task } from './task-board.ts'

export type CopyPlace = 'archive' | 'index' | 'history' | 'folder'

export interface CopyParams {
  from: 'archive' | 'index'
  to: CopyPlace
  /** Of `to: 'folder'`: an archive of its own. */
  folder?: string
  /** Event time, nanoseconds since 1970 as text; `untilNs` is not included. */
  sinceNs: string
  untilNs: string
  host?: string
  app?: string
  file?: string
  q?: string
  /** What is made is removed so long after it is done. */
  keepMs?: number
  estimate: CopyEstimate
}

export interface CopyJob {
  /** Absent: job 0. */
  sinceNs?: string
  untilNs?: string
}

export type CopyTask = Task<CopyParams, CopyJob>

export const COPY_KIND = 'copy'

/** From the catalogue, before anything is read. A segment that lies partly in the range counts by its share of time. */
export interface CopyEstimate {
  segments: number
  /** Compressed; of text; events. */
  bytes: number
  rawBytes: number
  events: number
}

export interface CopyResult {
  /** Events that matched, were not there before, were there. */
  read: number
  added: number
  repeated: number
  bytes: number
  /** What could not be read: events may be missing because of it. */
  damages: string[]
  workMs: number
  /** Of job 0 of a history: what tailers signed for, and what of it the bucks have or was given up. By tailer/epoch. */
  promised?: { promised: Record<string, Range[]>; there: Record<string, Range[]> }
}

/** Text in one job: minutes of work, so that a kill costs little and several can share. */
const JOB_RAW_BYTES = 256 * 1024 * 1024
const SLICES_MAX = 5_000

export function estimateOf(summaries: Iterable<SegmentSummary>, sinceNs: bigint, untilNs: bigint): CopyEstimate {
  const estimate = { segments: 0, bytes: 0, rawBytes: 0, events: 0 }
  for (const { events, bytes, rawBytes, leastNs, greatestNs } of summaries) {
    if (events === 0 || greatestNs < sinceNs || leastNs >= untilNs) continue
    const low = leastNs > sinceNs ? leastNs : sinceNs
    const high = greatestNs < untilNs ? greatestNs : untilNs
    const length = Number(greatestNs - leastNs)
    const share = length === 0 ? 1 : Math.min(1, Math.max(0, Number(high - low) / length))
    estimate.segments++
    estimate.bytes += Math.round(bytes * share)
    estimate.rawBytes += Math.round(rawBytes * share)
    estimate.events += Math.round(events * share)
  }
  return estimate
}

/**
 * Slices of one length. Where there is nothing no slice is needed: the range is first cut down to what the archive has.
 * @param bounds  least and greatest time of what there is
 */
export function copyJobs(
  sinceNs: bigint,
  untilNs: bigint,
  rawBytes: number,
  bounds: { leastNs: bigint; greatestNs: bigint } | undefined,
): CopyJob[] {
  // Also where there is nothing now: what is archived while job 0 looks at the bucks has to be seen by one.
  const whole = [{}, { sinceNs: `${sinceNs}`, untilNs: `${untilNs}` }]
  if (!bounds) return whole
  const low = bounds.leastNs > sinceNs ? bounds.leastNs : sinceNs
  const high = bounds.greatestNs < untilNs ? bounds.greatestNs + 1n : untilNs
  if (low >= high) return whole
  const length = high - low
  const wanted = BigInt(Math.min(SLICES_MAX, Math.max(1, Math.ceil(rawBytes / JOB_RAW_BYTES))))
  const count = wanted < length ? wanted : length
  const jobs: CopyJob[] = [{}]
  for (let n = 0n; n < count; n++) {
    // The outer ones reach to the ends of the range: what comes into the archive meanwhile lies there.
    const from = n === 0n ? sinceNs : low + (length * n) / count
    const to = n === count - 1n ? untilNs : low + (length * (n + 1n)) / count
    jobs.push({ sinceNs: `${from}`, untilNs: `${to}` })
  }
  return jobs
}

/** Least and greatest time of what there is; undefined: nothing. */
export function boundsOf(summaries: SegmentSummary[]): { leastNs: bigint; greatestNs: bigint } | undefined {
  let bounds: { leastNs: bigint; greatestNs: bigint } | undefined
  for (const { events, leastNs, greatestNs } of summaries) {
    if (events === 0) continue
    bounds ??= { leastNs, greatestNs }
    if (leastNs < bounds.leastNs) bounds.leastNs = leastNs
    if (greatestNs > bounds.greatestNs) bounds.greatestNs = greatestNs
  }
  return bounds
}

/** `<when it was asked for>-<random>`: readable in a list, and different for each. */
export function newTaskId(nowMs: number, random: Buffer): string {
  const when = new Date(nowMs).toISOString().slice(0, 16).replace(/[-:]/g, '').toLowerCase()
  return `${when}-${random.toString('hex')}`
}

export function historyIndex(environment: string, id: string): string {
  return `bucktail-${environment}-history-${id}`
}
