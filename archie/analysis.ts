// Figures over what a search finds: how much over time, and which hosts, apps, levels, paths the most. One pass makes all
// of them, so that the page's two requests cost one (AnalysisCache).
import type { FoundEvent } from '../shared/events.ts'

/** Widths of a bar, in seconds; each a multiple of the one before, so bars can be joined while counting. */
const STEPS = [
  1, 5, 10, 30, 60, 300, 900, 3600, 10_800, 21_600, 43_200, 86_400, 604_800, 2_419_200, 9_676_800, 29_030_400,
]
/** From the first bar to the last, empty ones counted. */
const BARS_MAX = 120
/** Different values counted per field; what comes after is summed under `others`. */
const VALUES_MAX = 10_000
/** A pass stops here and says so (`complete` false). */
const EVENTS_MAX = 2_000_000
const PASS_MS_MAX = 8_000
const EVENTS_PER_CLOCK_LOOK = 256

export const TOP_FIELDS = ['hosts', 'apps', 'levels', 'paths'] as const
export type TopField = (typeof TOP_FIELDS)[number]

const SERIOUS = new Set(['error', 'critical', 'alert', 'fatal'])
const WARNINGS = new Set(['warn', 'notice'])

export interface Bar {
  /** Start, milliseconds since 1970. */
  atMs: number
  events: number
  /** Of them. */
  warnings: number
  errors: number
}

export interface Analysis {
  /** False: the pass stopped at a bound after the newest events; older ones are not counted. */
  complete: boolean
  events: number
  lines: number
  bytes: number
  stepSeconds: number
  bars: Bar[]
  tops: Record<TopField, { value: string; events: number }[]>
  others: Record<TopField, number>
}

/** @param events the newest first, so that a pass that stops early has the newest */
export async function analyse(events: AsyncIterable<FoundEvent>, monotonic: () => number): Promise<Analysis> {
  const endMs = monotonic() + PASS_MS_MAX
  const bars = new Bars()
  const counts: Record<TopField, Map<string, number>> = {
    hosts: new Map(),
    apps: new Map(),
    levels: new Map(),
    paths: new Map(),
  }
  const others: Record<TopField, number> = { hosts: 0, apps: 0, levels: 0, paths: 0 }
  const count = (field: TopField, value: string) => {
    const map = counts[field]
    const before = map.get(value)
    if (before === undefined && map.size >= VALUES_MAX) others[field]++
    else map.set(value, (before ?? 0) + 1)
  }
  const sums = { events: 0, lines: 0, bytes: 0 }
  let complete = true
  for await (const event of events) {
    sums.events++
    sums.lines += event.lines
    sums.bytes += event.to - event.from
    bars.add(Number(event.timeNs / 1_000_000n), event.level)
    count('hosts', event.host)
    count('apps', event.app)
    count('levels', event.level)
    count('paths', event.path)
    if (sums.events >= EVENTS_MAX || (sums.events % EVENTS_PER_CLOCK_LOOK === 0 && monotonic() > endMs)) {
      complete = false
      break
    }
  }
  const ranked = (field: TopField) =>
    [...counts[field]].map(([value, n]) => ({ value, events: n })).sort((a, b) => b.events - a.events)
  return {
    complete,
    ...sums,
    ...bars.result(),
    tops: { hosts: ranked('hosts'), apps: ranked('apps'), levels: ranked('levels'), paths: ranked('paths') },
    others,
  }
}

class Bars {
  #step = 0
  #bars = new Map<number, Bar>()
  #firstMs = Number.POSITIVE_INFINITY
  #lastMs = Number.NEGATIVE_INFINITY

  add(timeMs: number, level: string): void {
    this.#put(timeMs, 1, WARNINGS.has(level) ? 1 : 0, SERIOUS.has(level) ? 1 : 0)
    while (this.#lastMs - this.#firstMs >= BARS_MAX * STEPS[this.#step] * 1000 && this.#step < STEPS.length - 1) {
      const narrower = this.#bars
      this.#step++
      this.#bars = new Map()
      for (const bar of narrower.values()) this.#put(bar.atMs, bar.events, bar.warnings, bar.errors)
    }
  }

  result(): { stepSeconds: number; bars: Bar[] } {
    return { stepSeconds: STEPS[this.#step], bars: [...this.#bars.values()].sort((a, b) => a.atMs - b.atMs) }
  }

  #put(timeMs: number, events: number, warnings: number, errors: number): void {
    const stepMs = STEPS[this.#step] * 1000
    const atMs = Math.floor(timeMs / stepMs) * stepMs
    this.#firstMs = Math.min(this.#firstMs, atMs)
    this.#lastMs = Math.max(this.#lastMs, atMs)
    const bar = this.#bars.get(atMs)
    if (!bar) {
      this.#bars.set(atMs, { atMs, events, warnings, errors })
      return
    }
    bar.events += events
    bar.warnings += warnings
    bar.errors += errors
  }
}

/** Answers of the last seconds, by what was asked. */
export class AnalysisCache {
  readonly #monotonic: () => number
  readonly #answers = new Map<string, { atMs: number; answer: Promise<Analysis> }>()
  static readonly ageMsMax = 3_000
  static readonly answersMax = 32

  constructor(monotonic: () => number) {
    this.#monotonic = monotonic
  }

  get(key: string, make: () => Promise<Analysis>): Promise<Analysis> {
    const nowMs = this.#monotonic()
    for (const [old, { atMs }] of this.#answers) {
      if (nowMs - atMs > AnalysisCache.ageMsMax || this.#answers.size > AnalysisCache.answersMax)
        this.#answers.delete(old)
    }
    const known = this.#answers.get(key)
    if (known) return known.answer
    const answer = make()
    this.#answers.set(key, { atMs: nowMs, answer })
    answer.catch(() => this.#answers.delete(key)) // those who asked get the error; the next one tries again
    return answer
  }
}
