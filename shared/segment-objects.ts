// Segments as objects of a store, read by ranges. Directories that were read lately are kept.
import { segmentKey } from './catalogue-commit.ts'
import {
  CorruptSegmentError,
  readDirectory,
  readFilters,
  readSegmentBlock,
  readSegmentBody,
  type SegmentFile,
} from './segment.ts'
import type { SegmentBlock, SegmentEvents } from './segment-block.ts'
import type { TokenFilter } from './segment-tokens.ts'
import type { Damage, ObjectStore } from './stores.ts'
import { WeightedCache } from './weighted-cache.ts'

/** Runs in all directories kept: about 100 bytes each. */
const RUNS_KEPT_MAX = 500_000
/** Filters kept, as stored: those of about a GB of compressed blocks. */
const FILTER_BYTES_KEPT_MAX = 32 * 1024 * 1024

export interface OpenSegment {
  name: string
  file: SegmentFile
  blocks: SegmentBlock[]
}

/** The file is not there: lost, or tidied away by another process. */
export class MissingSegmentError extends CorruptSegmentError {
  readonly segment: string
  constructor(segment: string) {
    super(segmentKey(segment), 'is missing')
    this.segment = segment
  }
}

export class SegmentObjects {
  readonly #objects: Pick<ObjectStore, 'get' | 'size'>
  readonly #opened = new WeightedCache<OpenSegment>(RUNS_KEPT_MAX)
  readonly #filters = new WeightedCache<(TokenFilter | undefined)[]>(FILTER_BYTES_KEPT_MAX)

  constructor(objects: Pick<ObjectStore, 'get' | 'size'>) {
    this.#objects = objects
  }

  /** Throws MissingSegmentError. */
  async open(name: string, onDamage: (damage: Damage) => void): Promise<OpenSegment> {
    const kept = this.#opened.get(name)
    if (kept) return kept
    const key = segmentKey(name)
    const size = await this.#objects.size(key)
    if (size === undefined) throw new MissingSegmentError(name)
    const read = async (from: number, to: number) => {
      const bytes = await this.#objects.get(key, [from, to])
      if (!bytes) throw new MissingSegmentError(name)
      return bytes
    }
    const file = { name: key, size, read }
    let isWhole = true
    const blocks = await readDirectory(file, damage => {
      isWhole = false
      onDamage(damage)
    })
    const opened = { name, file, blocks }
    // A damaged one is read again each time, so that each reader is told.
    if (isWhole) this.#opened.set(name, opened, blocks.length + blocks.reduce((sum, { runs }) => sum + runs.length, 0))
    return opened
  }

  /** Throws CorruptSegmentError. */
  readBlock(segment: OpenSegment, block: SegmentBlock): Promise<SegmentEvents> {
    return readSegmentBlock(segment.file, block)
  }

  /** As it is stored, for those who look into its columns. Throws CorruptSegmentError. */
  readBody(segment: OpenSegment, block: SegmentBlock): Promise<Buffer> {
    return readSegmentBody(segment.file, block)
  }

  /** One per block of the segment; undefined where nothing can be said: the block has to be read. */
  async filters(segment: OpenSegment, onDamage: (damage: Damage) => void): Promise<(TokenFilter | undefined)[]> {
    const kept = this.#filters.get(segment.name)
    if (kept) return kept
    let isWhole = true
    const filters = await readFilters(segment.file, segment.blocks, damage => {
      isWhole = false
      onDamage(damage)
    })
    const bytes = segment.blocks.reduce((sum, { filter }) => sum + (filter?.bytes ?? 0), 0)
    if (isWhole) this.#filters.set(segment.name, filters, bytes + segment.blocks.length)
    return filters
  }

  forget(name: string): void {
    this.#opened.delete(name)
    this.#filters.delete(name)
  }
}
