// What goes between the thread that asks and those that search.
//
//   asking thread                           searching thread
//     search | sums ─────────────────────────▶  blocks of its segments, one by one
//     ◀─────────────── get | size | missing     bytes of objects: only the asking thread reads files or S3
//     object ────────────────────────────────▶
//     ◀──────────── events | damage | progress   at most BATCHES_AHEAD_MAX batches of events that were not asked for
//     more ──────────────────────────────────▶
//     stop ──────────────────────────────────▶  at the next block
//     ◀───────────────────── sum | end | failed  the last word on a search, also on one that was stopped
//
// - All numbers of searches (`id`) and of asks (`ask`) are drawn by who sends them first; a number is used once per thread.
import type { SegmentSummary } from '../segment-manifest.ts'
import type { Damage, SearchRequest, Summary, SummaryRequest } from '../stores.ts'
import type { EventBatch } from './event-batch.ts'

/** So many batches may be on their way or wait in the asking thread, per search and thread. */
export const BATCHES_AHEAD_MAX = 4

/** What a request says; signals and functions stay where they are. */
type Plain<R extends SearchRequest | SummaryRequest> = Omit<R, 'query' | 'signal' | 'onProgress'> & { query: string }

/** What a search needs to know of a segment before it opens it. */
export interface SearchedSegment {
  name: string
  /** Absent: its manifest is damaged. */
  summary?: Pick<SegmentSummary, 'events' | 'blocks' | 'leastNs' | 'greatestNs' | 'levels'> & {
    /** Only those that the request asks for, and of them only one where the order is of time. */
    sources: { source: string; path: string; ranges: [from: number, to: number][] }[]
  }
}

export type ToSearcher =
  | {
      kind: 'search'
      id: number
      store: number
      segments: SearchedSegment[]
      request: Plain<SearchRequest>
      heldBytesMax: number
    }
  | { kind: 'sums'; id: number; store: number; segments: SearchedSegment[]; request: Plain<SummaryRequest> }
  | { kind: 'more'; id: number }
  | { kind: 'stop'; id: number }
  | { kind: 'object'; ask: number; bytes?: Uint8Array; size?: number; error?: string }

export type FromSearcher =
  | { kind: 'events'; id: number; batch: EventBatch }
  | { kind: 'sum'; id: number; summary: Summary }
  | { kind: 'damage'; id: number; damage: Damage }
  | { kind: 'progress'; id: number; done: { blocks: number; ofBlocks: number; bytes: number } }
  | { kind: 'end'; id: number }
  | { kind: 'failed'; id: number; reason: string }
  | { kind: 'get'; ask: number; store: number; key: string; range?: [from: number, to: number] }
  | { kind: 'size'; ask: number; store: number; key: string }
  /** The file of a segment is not there: is that a damage? Answered by an `object`, with an error if it is none. */
  | { kind: 'missing'; ask: number; id: number; segment: string }

export function plain<R extends SearchRequest | SummaryRequest>(request: R): Plain<R> {
  const { signal: _, onProgress: __, query, ...rest } = request
  return { ...rest, query: query.text } as unknown as Plain<R>
}
