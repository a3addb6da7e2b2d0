/** A binary heap: the least first, by the comparison given. */
export class Heap<T> {
  #items: T[] = []
  readonly #compare: (a: T, b: T) => number

  constructor(compare: (a: T, b: T) => number) {
    this.#compare = compare
  }

  get size(): number {
    return this.#items.length
  }

  peek(): T | undefined {
    return this.#items[0]
  }

  push(item: T): void {
    const items = this.#items
    let at = items.length
    items.push(item)
    while (at > 0) {
      const above = (at - 1) >>> 1
      if (this.#compare(items[above], item) <= 0) break
      items[at] = items[above]
      at = above
    }
    items[at] = item
  }

  pop(): T | undefined {
    const items = this.#items
    const first = items[0]
    const last = items.pop()
    if (items.length === 0 || last === undefined) return first
    let at = 0
    for (;;) {
      let below = 2 * at + 1
      if (below >= items.length) break
      if (below + 1 < items.length && this.#compare(items[below + 1], items[below]) < 0) below++
      if (this.#compare(last, items[below]) <= 0) break
      items[at] = items[below]
      at = below
    }
    items[at] = last
    return first
  }

  /** Keeps the `count` least; answers the others in order. */
  cut(count: number): T[] {
    // A sorted list is a heap.
    this.#items.sort(this.#compare)
    return this.#items.splice(count)
  }

  clear(): void {
    this.#items = []
  }
}
