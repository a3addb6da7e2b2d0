// A set of byte offsets or sequences as disjoint half-open ranges in rising order: [from, to).

export type Range = readonly [from: number, to: number]

export class RangeSet {
  #ranges: [number, number][]

  constructor(ranges: Iterable<Range> = []) {
    this.#ranges = []
    for (const [from, to] of ranges) this.add(from, to)
  }

  add(from: number, to: number): void {
    if (to <= from) return
    const list = this.#ranges
    const last = list.at(-1)
    // The common case: growing at the end.
    if (last === undefined || from > last[1]) {
      list.push([from, to])
      return
    }
    const first = this.#firstEndingFrom(from)
    let end = first
    let low = from
    let high = to
    while (end < list.length && list[end][0] <= high) {
      low = Math.min(low, list[end][0])
      high = Math.max(high, list[end][1])
      end++
    }
    list.splice(first, end - first, [low, high])
  }

  has(value: number): boolean {
    const at = this.#firstEndingFrom(value + 1)
    return at < this.#ranges.length && this.#ranges[at][0] <= value
  }

  covers(from: number, to: number): boolean {
    if (to <= from) return true
    const at = this.#firstEndingFrom(to)
    return at < this.#ranges.length && this.#ranges[at][0] <= from
  }

  overlaps(from: number, to: number): boolean {
    if (to <= from) return false
    const at = this.#firstEndingFrom(from + 1)
    return at < this.#ranges.length && this.#ranges[at][0] < to
  }

  /** What of [from, to) is not in the set. */
  gaps(from: number, to: number): [number, number][] {
    const out: [number, number][] = []
    let at = from
    for (let i = this.#firstEndingFrom(from); i < this.#ranges.length && at < to; i++) {
      const [low, high] = this.#ranges[i]
      if (low > at) out.push([at, Math.min(low, to)])
      at = Math.max(at, high)
    }
    if (at < to) out.push([at, to])
    return out
  }

  /** End of the range that begins at or before `from` and reaches it; `from` itself if nothing joins it. */
  endFrom(from: number): number {
    const at = this.#firstEndingFrom(from)
    return at < this.#ranges.length && this.#ranges[at][0] <= from ? this.#ranges[at][1] : from
  }

  /** What is in this set and not in `other`. */
  without(other: RangeSet): RangeSet {
    const left = new RangeSet()
    for (const [from, to] of this.#ranges) for (const [low, high] of other.gaps(from, to)) left.add(low, high)
    return left
  }

  /** What is in both. */
  common(other: RangeSet): RangeSet {
    return this.without(this.without(other))
  }

  get total(): number {
    let sum = 0
    for (const [from, to] of this.#ranges) sum += to - from
    return sum
  }

  get size(): number {
    return this.#ranges.length
  }

  /** One past the greatest value; 0 if empty. */
  get end(): number {
    return this.#ranges.at(-1)?.[1] ?? 0
  }

  [Symbol.iterator](): IterableIterator<Range> {
    return this.#ranges[Symbol.iterator]()
  }

  toJSON(): Range[] {
    return this.#ranges
  }

  /** Index of the first range whose end is at or after `value`. */
  #firstEndingFrom(value: number): number {
    let low = 0
    let high = this.#ranges.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#ranges[middle][1] < value) low = middle + 1
      else high = middle
    }
    return low
  }
}
