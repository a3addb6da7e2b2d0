// Where a store's segments are searched: in the thread that asks, or in threads of their own (search-threads/).
import type { LiveSegment } from './catalogue-state.ts'
import type { FoundEvent } from './events.ts'
import { BlockCache } from './search/block-cache.ts'
import { SearchedBlocks } from './search/searched-blocks.ts'
import type { SegmentObjects } from './segment-objects.ts'
import { searchSegments } from './segment-search.ts'
import { summariseSegments } from './segment-summary.ts'
import type { Damage, SearchRequest, Summary, SummaryRequest } from './stores.ts'

export interface SearchedSegments<R> {
  segments: LiveSegment[]
  request: R
  onDamage: (damage: Damage) => void
  /** The segment's file is not there. Rejects if that is no damage but a tidying. */
  assertNotTidied: (name: string) => Promise<void>
}

export interface SegmentSearcher {
  search(parts: SearchedSegments<SearchRequest>): AsyncGenerator<FoundEvent>
  summarise(parts: SearchedSegments<SummaryRequest>): Promise<Summary>
}

/** @param bounds  of memory: matches of one search that wait for their turn, and blocks kept inflated */
export function searchHere(
  objects: SegmentObjects,
  bounds: { heldBytesMax: number; inflatedBytesMax: number },
  monotonic: () => number,
): SegmentSearcher {
  const blocks = new SearchedBlocks(objects, new BlockCache(bounds.inflatedBytesMax))
  const { heldBytesMax } = bounds
  return {
    search: parts => searchSegments({ ...parts, objects, blocks, heldBytesMax }),
    summarise: parts => summariseSegments({ ...parts, objects, blocks, monotonic }),
  }
}
