// Blocks of segments, opened for search; those that were looked into lately are kept, so that the next search neither reads
// nor inflates them.
import { CorruptBlockError } from '../block.ts'
import { CorruptSegmentError } from '../segment.ts'
import type { SegmentBlock, SegmentRun } from '../segment-block.ts'
import type { OpenSegment, SegmentObjects } from '../segment-objects.ts'
import type { BlockCache } from './block-cache.ts'
import { openSearchedBlock, type SearchedBlock } from './searched-block.ts'

export class SearchedBlocks {
  readonly #objects: SegmentObjects
  readonly #kept: BlockCache<SearchedBlock<SegmentRun>>
  readonly #prefix: string

  /** @param prefix  of the keys in `kept`, where several stores share it */
  constructor(objects: SegmentObjects, kept: BlockCache<SearchedBlock<SegmentRun>>, prefix = '') {
    this.#objects = objects
    this.#kept = kept
    this.#prefix = prefix
  }

  /**
   * What `look` answers. It must not keep the block, nor wait for anything: what the block has grown to is counted after it.
   * Throws CorruptSegmentError.
   */
  async with<T>(segment: OpenSegment, block: SegmentBlock, look: (block: SearchedBlock<SegmentRun>) => T): Promise<T> {
    const key = `${this.#prefix}${segment.name} ${block.position}`
    try {
      const searched = this.#kept.get(key) ?? (await this.#open(segment, block))
      const answer = look(searched)
      this.#kept.set(key, searched)
      return answer
    } catch (cause) {
      if (!(cause instanceof CorruptBlockError)) throw cause
      throw new CorruptSegmentError(`${segment.file.name} block at ${block.position}`, cause.message, { cause })
    }
  }

  async #open(segment: OpenSegment, block: SegmentBlock): Promise<SearchedBlock<SegmentRun>> {
    const body = await this.#objects.readBody(segment, block)
    return openSearchedBlock(block.kind, body, block.runs, block.names)
  }
}
