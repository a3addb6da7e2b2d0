// May this process delete by its wall clock? There is no clock of the store to compare with when the store is a folder;
// so two signs are asked for, both cheap:
//
//   steady     the wall clock did not step against the monotonic one within the last hour
//   witnessed  some tailer filled a bucket of about now within the last ten minutes
//
// A clock that is wrong together with all tailers' (one machine alone) is not found out. That loses nothing: what leaves
// the index too early is archived or still held by the bucks, and is filled in again when the clock is right; and bucks
// drop only what is archived.
import type { Bucket } from './messages.ts'
import type { Clock } from './world.ts'

export const CLOCK_TOLERANCE_MS = 60_000
const STEADY_MS = 3_600_000
const WITNESS_MS = 600_000

export class ClockCheck {
  readonly #clock: Pick<Clock, 'now' | 'monotonic'>
  readonly #bucketMs: number
  /** Wall minus monotonic, when last looked. */
  #distanceMs: number
  #steppedMs: number | undefined
  #witnessedMs: number | undefined

  constructor(clock: Pick<Clock, 'now' | 'monotonic'>, bucketSeconds: number) {
    this.#clock = clock
    this.#bucketMs = bucketSeconds * 1000
    this.#distanceMs = clock.now() - clock.monotonic()
  }

  /** Buckets that just grew. */
  saw(buckets: Bucket[]): void {
    const nowMs = this.#clock.now()
    const reachMs = 2 * this.#bucketMs + CLOCK_TOLERANCE_MS
    if (buckets.some(bucket => Math.abs(nowMs - bucket * 1000) <= reachMs)) this.#witnessedMs = this.#clock.monotonic()
  }

  get isSteady(): boolean {
    const monotonicMs = this.#clock.monotonic()
    const distanceMs = this.#clock.now() - monotonicMs
    if (Math.abs(distanceMs - this.#distanceMs) > CLOCK_TOLERANCE_MS) {
      this.#steppedMs = monotonicMs
      this.#witnessedMs = undefined
    }
    this.#distanceMs = distanceMs
    return this.#steppedMs === undefined || monotonicMs - this.#steppedMs >= STEADY_MS
  }

  /** Steady and witnessed: it may delete. */
  get isSane(): boolean {
    if (!this.isSteady || this.#witnessedMs === undefined) return false
    return this.#clock.monotonic() - this.#witnessedMs < WITNESS_MS
  }
}
