// How much over time, counted without knowing from when to when: bars begin a second wide and are joined whenever there
// would be more than BARS_MAX.
import { LEVELS } from '../events.ts'
import type { Bar, Volume } from '../stores.ts'

/** Widths of a bar, in seconds; each a multiple of the one before (but for months and years), so bars can be joined. */
export const STEPS_SECONDS = [
  1, 5, 10, 30, 60, 300, 900, 3600, 10_800, 21_600, 43_200, 86_400, 604_800, 2_419_200, 9_676_800, 29_030_400,
]
/** From the first bar to the last, empty ones counted. */
export const BARS_MAX = 120

const WARNINGS = new Set(['warn', 'notice'])
const ERRORS = new Set(['error', 'critical', 'alert', 'fatal'])
/** By number of the level: 0 neither, 1 a warning, 2 an error. */
const SERIOUSNESS = Uint8Array.from(LEVELS, level => (ERRORS.has(level) ? 2 : WARNINGS.has(level) ? 1 : 0))

export class Bars {
  #step = 0
  #bars = new Map<number, Bar>()
  #first = Number.POSITIVE_INFINITY
  #last = Number.NEGATIVE_INFINITY
  /** The bar of the event before: most events follow each other closely. */
  #recent: Bar | undefined

  /** @param level index into LEVELS */
  add(timeNs: bigint, level: number): void {
    this.addAt(Math.floor(Number(timeNs / 1_000_000n) / 1000), level)
  }

  /** @param seconds since 1970, rounded down */
  addAt(seconds: number, level: number): void {
    const width = STEPS_SECONDS[this.#step]
    const recent = this.#recent
    const offset = recent === undefined ? -1 : seconds - recent.atMs / 1000
    const bar = offset >= 0 && offset < width ? (recent as Bar) : this.#at(seconds)
    bar.events++
    const serious = SERIOUSNESS[level]
    if (serious === 1) bar.warnings++
    else if (serious === 2) bar.errors++
    this.#recent = bar
    this.#widen()
  }

  merge({ stepSeconds, bars }: Volume): void {
    const step = STEPS_SECONDS.indexOf(stepSeconds)
    if (step < 0) throw new RangeError(`bars of ${stepSeconds} seconds are none of ours`)
    if (step > this.#step) this.#join(step)
    for (const bar of bars) this.#put(bar)
    this.#widen()
  }

  result(): Volume {
    const bars = [...this.#bars.values()].sort((a, b) => a.atMs - b.atMs)
    return { stepSeconds: STEPS_SECONDS[this.#step], bars: bars.map(bar => ({ ...bar })) }
  }

  #at(seconds: number): Bar {
    const width = STEPS_SECONDS[this.#step]
    const start = Math.floor(seconds / width) * width
    const known = this.#bars.get(start)
    if (known) return known
    const bar = { atMs: start * 1000, events: 0, warnings: 0, errors: 0 }
    this.#bars.set(start, bar)
    this.#first = Math.min(this.#first, start)
    this.#last = Math.max(this.#last, start)
    return bar
  }

  #put({ atMs, events, warnings, errors }: Bar): void {
    const bar = this.#at(atMs / 1000)
    bar.events += events
    bar.warnings += warnings
    bar.errors += errors
  }

  #widen(): void {
    while (this.#last - this.#first >= BARS_MAX * STEPS_SECONDS[this.#step] && this.#step < STEPS_SECONDS.length - 1) {
      this.#join(this.#step + 1)
    }
  }

  #join(step: number): void {
    const narrower = this.#bars
    this.#step = step
    this.#bars = new Map()
    this.#recent = undefined
    this.#first = Number.POSITIVE_INFINITY
    this.#last = Number.NEGATIVE_INFINITY
    for (const bar of narrower.values()) this.#put(bar)
  }
}
