// Back-pressure of a buck: an operator's word, and its own while its disks are nearly full. It always expires, so that a
// forgotten one does not stop an environment.
import type { Throttle } from '../shared/messages.ts'
import type { Clock } from '../shared/world.ts'

/** An operator's throttle holds at most so long, and so long if only an interval was given. */
export const THROTTLE_SECONDS_MAX = 3600
export const THROTTLE_SECONDS_DEFAULT = 600
/** Full to this share of `bytesMax`, the buck throttles by itself, for so long at a time. */
const PRESSURE_SHARE = 0.9
const PRESSURE_SECONDS = 10

export interface ThrottleInForce extends Throttle {
  /** 'none': go on. */
  by: 'none' | 'operator' | 'pressure'
}

export class ThrottleState {
  readonly #clock: Clock
  #untilMs = 0
  #leastIntervalMs: number | undefined
  #isUnderPressure = false

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** @param seconds 0 lifts it. With `leastIntervalMs` tailers go on, at most one packet in that time. */
  set(seconds: number, leastIntervalMs?: number): void {
    const asked = seconds === 0 && leastIntervalMs ? THROTTLE_SECONDS_DEFAULT : seconds
    this.#untilMs = this.#clock.monotonic() + Math.min(asked, THROTTLE_SECONDS_MAX) * 1000
    this.#leastIntervalMs = leastIntervalMs
  }

  /** @param fill share of `bytesMax` in use. True if what is in force changed. */
  feel(fill: number): boolean {
    const before = this.#isUnderPressure
    this.#isUnderPressure = fill > PRESSURE_SHARE
    return before !== this.#isUnderPressure
  }

  inForce(): ThrottleInForce {
    const seconds = Math.max(0, (this.#untilMs - this.#clock.monotonic()) / 1000)
    if (this.#isUnderPressure) return { by: 'pressure', seconds: Math.max(PRESSURE_SECONDS, seconds) }
    if (seconds === 0) return { by: 'none', seconds: 0 }
    return this.#leastIntervalMs === undefined
      ? { by: 'operator', seconds }
      : { by: 'operator', seconds, leastIntervalMs: this.#leastIntervalMs }
  }
}
