// When the next look at the files is due, and how long nothing is done until then. Where folders tell of changes it waits
// for these, and looks all the same from time to time: seldom if there are many files, so that idle ones cost little.
import type { Clock } from '../shared/world.ts'

/** A look is followed by so many times its own length without one: a half per cent of a core, or ten while names change. */
const IDLE_PAUSES = 200
const STIRRED_PAUSES = 9
/** A slow look at few files is a busy machine's: they are looked at soon again. */
const PAUSE_MS_PER_FILE = 5
const LOOK_PAUSE_MS_MAX = 30_000
/** Buckets end and settings change in the meantime. */
const REST_MS_MAX = 1_000

/** After the last look. */
export interface Seen {
  /** Folders tell of changes; and have told of names since. */
  isTold: boolean
  areNamesChanged: boolean
  /** Files and sources of which it is not known yet what becomes of them. */
  undecided: number
  files: number
}

export class LookTimes {
  readonly #clock: Clock
  readonly #seen: () => Seen
  #lookedAt = Number.NEGATIVE_INFINITY
  #lookTookMs = 0
  /** A folder told of something since the last rest; ends the one that is. */
  #isStirred = false
  #onStir: () => void = () => undefined

  constructor(clock: Clock, seen: () => Seen) {
    this.#clock = clock
    this.#seen = seen
  }

  /** A look ended now. */
  looked(startedAt: number): void {
    this.#lookedAt = this.#clock.monotonic()
    this.#lookTookMs = this.#lookedAt - startedAt
  }

  /** The next one is due at once. */
  hurry(): void {
    this.#lookedAt = Number.NEGATIVE_INFINITY
  }

  stir(): void {
    this.#isStirred = true
    this.#onStir()
  }

  isDue(now: number, lookMs: number): boolean {
    return now - this.#lookedAt >= this.#pauseMs(lookMs)
  }

  #pauseMs(lookMs: number): number {
    const { isTold, areNamesChanged, undecided, files } = this.#seen()
    if (!isTold || undecided > 0) return lookMs
    if (areNamesChanged) return Math.max(lookMs, this.#lookTookMs * STIRRED_PAUSES)
    const pauseMs = Math.min(this.#lookTookMs * IDLE_PAUSES, files * PAUSE_MS_PER_FILE)
    return Math.max(lookMs, Math.min(LOOK_PAUSE_MS_MAX, pauseMs))
  }

  /** When it was nobody's turn: until a folder tells of a change, a look is due, or so long. */
  async rest(pollMs: number, lookMs: number, signal: AbortSignal): Promise<void> {
    const untilLookMs = this.#pauseMs(lookMs) - (this.#clock.monotonic() - this.#lookedAt)
    const moreMs = this.#seen().isTold ? Math.min(REST_MS_MAX, untilLookMs) - pollMs : 0
    const stirred = new AbortController()
    try {
      // Never less than a poll: folders may be full of changes that are none of ours.
      await this.#clock.sleep(pollMs, signal)
      this.#onStir = () => stirred.abort()
      if (!this.#isStirred && moreMs > 0) await this.#clock.sleep(moreMs, AbortSignal.any([signal, stirred.signal]))
    } catch (error) {
      if (!signal.aborted && !stirred.signal.aborted) throw error
    } finally {
      this.#onStir = () => undefined
      this.#isStirred = false
    }
  }
}
