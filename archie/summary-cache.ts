// Answers of the last seconds, by what was asked: a page asks for volume and tops, which one pass makes.
import type { Damage, Summary } from '../shared/stores.ts'

export interface ToldSummary extends Summary {
  /** What could not be read or asked. */
  damages: Damage[]
}

export class SummaryCache {
  readonly #monotonic: () => number
  readonly #answers = new Map<string, { atMs: number; answer: Promise<ToldSummary> }>()
  static readonly ageMsMax = 3_000
  static readonly answersMax = 32

  constructor(monotonic: () => number) {
    this.#monotonic = monotonic
  }

  get(key: string, make: () => Promise<ToldSummary>): Promise<ToldSummary> {
    const nowMs = this.#monotonic()
    for (const [old, { atMs }] of this.#answers) {
      if (nowMs - atMs > SummaryCache.ageMsMax || this.#answers.size > SummaryCache.answersMax) {
        this.#answers.delete(old)
      }
    }
    const known = this.#answers.get(key)
    if (known) return known.answer
    const answer = make()
    this.#answers.set(key, { atMs: nowMs, answer })
    answer.catch(() => this.#answers.delete(key)) // those who asked get the error; the next one tries again
    return answer
  }
}
