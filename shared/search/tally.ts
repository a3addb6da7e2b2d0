// Sums over what a search finds, as they grow: from events, from whole blocks, from other sums.
import { type FoundEvent, LEVELS } from '../events.ts'
import type { Summary, SummaryRequest, TopField, TopValues } from '../stores.ts'
import { Bars } from './bars.ts'
import { shapeId, shapeOf } from './shape.ts'

/** Different values counted per field; what comes after is summed under `others`. */
export const VALUES_MAX = 10_000

interface Ranking {
  counts: Map<string, number>
  texts: Map<string, string>
  others: number
}

export class Tally {
  events = 0
  lines = 0
  isComplete = true
  readonly bars: Bars | undefined
  readonly #rankings = new Map<TopField, Ranking>()

  constructor(request: Pick<SummaryRequest, 'volume' | 'tops'>) {
    if (request.volume) this.bars = new Bars()
    for (const field of request.tops ?? []) {
      this.#rankings.set(field, { counts: new Map(), texts: new Map(), others: 0 })
    }
  }

  add(event: FoundEvent): void {
    const level = (LEVELS as readonly string[]).indexOf(event.level)
    this.events++
    this.lines += event.lines
    this.bars?.add(event.timeNs, level)
    this.countLevel(level, 1)
    this.count('hosts', event.host, 1)
    this.count('apps', event.app, 1)
    this.count('paths', event.path, 1)
    if (!this.has('templates')) return
    const shape = shapeOf(event.bytes)
    this.count('templates', shapeId(shape), 1, shape.toString())
  }

  has(field: TopField): boolean {
    return this.#rankings.has(field)
  }

  /** @param text what the value is, where the value is only its name */
  count(field: TopField, value: string, events: number, text?: string): void {
    const ranking = this.#rankings.get(field)
    if (ranking === undefined || events === 0) return
    const before = ranking.counts.get(value)
    if (before === undefined && ranking.counts.size >= VALUES_MAX) {
      ranking.others += events
      return
    }
    ranking.counts.set(value, (before ?? 0) + events)
    if (before === undefined && text !== undefined) ranking.texts.set(value, text)
  }

  countLevel(level: number, events: number): void {
    this.count('levels', LEVELS[level] ?? '', events)
  }

  merge(summary: Summary): void {
    this.events += summary.events
    this.lines += summary.lines
    this.isComplete &&= summary.complete
    if (summary.volume) this.bars?.merge(summary.volume)
    for (const [field, { values, others }] of Object.entries(summary.tops) as [TopField, TopValues][]) {
      for (const { value, events, text } of values) this.count(field, value, events, text)
      const ranking = this.#rankings.get(field)
      if (ranking) ranking.others += others
    }
  }

  result(): Summary {
    const tops: Summary['tops'] = {}
    for (const [field, { counts, texts, others }] of this.#rankings) {
      const values = [...counts]
        .sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1))
        .map(([value, events]) => {
          const text = texts.get(value)
          return text === undefined ? { value, events } : { value, text, events }
        })
      tops[field] = { values, others }
    }
    const summary: Summary = { complete: this.isComplete, events: this.events, lines: this.lines, tops }
    const volume = this.bars?.result()
    return volume ? { ...summary, volume } : summary
  }
}
