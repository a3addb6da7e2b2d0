/** Keeps what was used last, up to a sum of weights. */
export class WeightedCache<T> {
  readonly #weightMax: number
  readonly #entries = new Map<string, { value: T; weight: number }>()
  #weight = 0

  constructor(weightMax: number) {
    this.#weightMax = weightMax
  }

  get(key: string): T | undefined {
    const entry = this.#entries.get(key)
    if (!entry) return undefined
    // A Map keeps the order of insertion: last used, last in line to go.
    this.#entries.delete(key)
    this.#entries.set(key, entry)
    return entry.value
  }

  /** What weighs more than all of the cache is not kept. */
  set(key: string, value: T, weight: number): void {
    this.delete(key)
    if (weight > this.#weightMax) return
    this.#entries.set(key, { value, weight })
    this.#weight += weight
    for (const oldest of this.#entries.keys()) {
      if (this.#weight <= this.#weightMax) break
      this.delete(oldest)
    }
  }

  delete(key: string): void {
    this.#weight -= this.#entries.get(key)?.weight ?? 0
    this.#entries.delete(key)
  }
}
