// Which buckets are due: that grew, and are over (index) or old (archive).
import type { Bucket } from '../shared/messages.ts'
import type { Clock } from '../shared/world.ts'
import type { BuckView, Growth } from './buck-view.ts'
import type { Errand } from './readings.ts'

/** Ids of the inventories compared at a time: some hundred bytes of memory each. */
const RUN_IDS_MAX = 100_000
const RUN_BUCKETS_MAX = 64
/** A bucket that claims to be further ahead than this has a wrong clock; it is archived by its age here. */
const PLAUSIBLE_AHEAD_MS = 3_600_000
const IMPLAUSIBLE_ARCHIVE_AFTER_MS = 3_600_000

export interface DueTimes {
  bucketSeconds: number
  indexAfterMs: number
  archiveAfterMs: number
  archiveSpanSeconds: number
}

export class Due {
  readonly #times: DueTimes
  readonly #clock: Pick<Clock, 'now' | 'monotonic'>
  /** Packets of the largest bucket read so far: the guess for one that was not. */
  #largestBucket = 1

  constructor(times: DueTimes, clock: Pick<Clock, 'now' | 'monotonic'>) {
    this.#times = times
    this.#clock = clock
  }

  /** Rising by bucket. Buckets that the index does not keep any more count as indexed. */
  errands(views: BuckView[], floor: Bucket): Errand[] {
    const nowMs = this.#clock.monotonic()
    const errands = new Map<Bucket, Errand>()
    for (const view of views) {
      for (const [bucket, growth] of view.buckets) {
        if (bucket < floor && growth.indexed < growth.version) view.done(bucket, growth.version, 'indexed')
        this.#largestBucket = Math.max(this.#largestBucket, growth.packets)
        if (!view.link || growth.retryMs > nowMs) continue
        const forIndex = growth.indexed < growth.version && this.isOver(bucket, growth)
        const forArchive = growth.archived < growth.version && this.#isOld(bucket, growth)
        if (!forIndex && !forArchive) continue
        const errand = errands.get(bucket) ?? { bucket, forIndex: false, forArchive: false }
        errand.forIndex ||= forIndex
        errand.forArchive ||= forArchive
        errands.set(bucket, errand)
      }
    }
    return [...errands.values()].sort((a, b) => a.bucket - b.bucket)
  }

  *batches(views: BuckView[], errands: Errand[]): Generator<Errand[]> {
    let batch: Errand[] = []
    let ids = 0
    for (const errand of errands) {
      const sizes = views.map(view => view.buckets.get(errand.bucket)?.packets ?? 0)
      const size = Math.max(...sizes) || this.#largestBucket
      if (batch.length > 0 && (ids + size > RUN_IDS_MAX || batch.length >= RUN_BUCKETS_MAX)) {
        yield batch
        batch = []
        ids = 0
      }
      batch.push(errand)
      ids += size
    }
    if (batch.length > 0) yield batch
  }

  /** Every reachable buck was asked for its log, and what is due was read once: else all would look missing. */
  isAllRead(views: BuckView[]): boolean {
    const reachable = views.filter(view => view.link)
    if (reachable.length === 0) return false
    return reachable.every(view => {
      if (view.logId === '') return false
      for (const [bucket, growth] of view.buckets) {
        if (growth.failures > 0) continue // tried: what it has is not known, and is asked for elsewhere
        if (!growth.isRead && (this.isOver(bucket, growth) || this.#isOld(bucket, growth))) return false
        if (growth.indexed === 0 && this.isOver(bucket, growth)) return false
      }
      return true
    })
  }

  /** By its own number, or, for a clock that is ahead, by how long it has been known here. */
  isOver(bucket: Bucket, growth: Growth): boolean {
    const { indexAfterMs, bucketSeconds } = this.#times
    if (indexAfterMs === 0) return true
    const lengthMs = bucketSeconds * 1000 + indexAfterMs
    return this.#isPast(bucket * 1000 + lengthMs, growth, lengthMs)
  }

  #isOld(bucket: Bucket, growth: Growth): boolean {
    const { archiveAfterMs, bucketSeconds, archiveSpanSeconds } = this.#times
    if (archiveAfterMs === 0) return true
    const spanSeconds = Math.max(bucketSeconds, archiveSpanSeconds)
    const spanEndMs = (Math.floor(bucket / spanSeconds) + 1) * spanSeconds * 1000
    const clock = this.#clock
    const isAhead = bucket * 1000 > clock.now() + PLAUSIBLE_AHEAD_MS
    const knownMs = Math.min(archiveAfterMs, isAhead ? IMPLAUSIBLE_ARCHIVE_AFTER_MS : archiveAfterMs)
    return this.#isPast(spanEndMs + archiveAfterMs, growth, knownMs + spanSeconds * 1000)
  }

  #isPast(wallMs: number, growth: Growth, knownMs: number): boolean {
    const clock = this.#clock
    return clock.now() >= wallMs || clock.monotonic() - growth.heardMs >= knownMs
  }
}
