// The numbered log of "bucket T grew". Only the last number of each bucket is kept: a reader that was away reads each
// bucket once, however often it grew. The log id is random and new at each start, so a cursor from before a restart
// (when the end of a file may have been lost) is answered with everything.
import type { Bucket } from '../shared/messages.ts'
import type { Clock, Random } from '../shared/world.ts'

/** Readers that wait at once. A porter and an archie, two of each during a take-over; more are answered at once. */
const WAITERS_MAX = 64

export interface Changes {
  logId: string
  number: number
  buckets: Bucket[]
}

export class ChangeLog {
  readonly logId: string
  readonly #clock: Clock
  /** Bucket → its last number, in the order of the numbers. */
  readonly #numbers = new Map<Bucket, number>()
  readonly #waiters = new Set<AbortController>()
  #number = 0
  #isClosed = false

  constructor(clock: Clock, random: Random) {
    this.#clock = clock
    this.logId = random.bytes(8).toString('hex')
  }

  get number(): number {
    return this.#number
  }

  grew(bucket: Bucket): number {
    this.#number++
    this.#numbers.delete(bucket)
    this.#numbers.set(bucket, this.#number)
    for (const waiter of this.#waiters) waiter.abort()
    return this.#number
  }

  /** All of its files are dropped: there is nothing to read any more. */
  forget(bucket: Bucket): void {
    this.#numbers.delete(bucket)
  }

  /** The buckets that grew after the cursor; waits up to `waitMs` while there are none. */
  async after(logId: string, after: number, waitMs: number): Promise<Changes> {
    // A number ahead of the log cannot be ours: as good as an unknown log id.
    const from = logId === this.logId && after <= this.#number ? after : 0
    const isOwn = logId === this.logId
    if (isOwn && from === this.#number && waitMs > 0 && this.#waiters.size < WAITERS_MAX && !this.#isClosed) {
      await this.#growth(waitMs)
    }
    const buckets: Bucket[] = []
    for (const [bucket, number] of this.#numbers) if (number > from) buckets.push(bucket)
    return { logId: this.logId, number: this.#number, buckets }
  }

  close(): void {
    this.#isClosed = true
    for (const waiter of this.#waiters) waiter.abort()
  }

  async #growth(waitMs: number): Promise<void> {
    const waiter = new AbortController()
    this.#waiters.add(waiter)
    try {
      await this.#clock.sleep(waitMs, waiter.signal)
    } catch (error) {
      if (!waiter.signal.aborted) throw error
    } finally {
      this.#waiters.delete(waiter)
    }
  }
}
