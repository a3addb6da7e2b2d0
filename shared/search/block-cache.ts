// Blocks kept in memory up to a sum of bytes. What has to go is drawn by lot: searches go through all blocks in the same
// order again and again, and where these take a little more than there is room for, dropping the one used longest ago
// would drop each of them just before it is needed.

export class BlockCache<T extends { readonly heldBytes: number }> {
  readonly #bytesMax: number
  readonly #random: () => number
  readonly #entries = new Map<string, { value: T; bytes: number }>()
  #bytes = 0

  constructor(bytesMax: number, random: () => number = Math.random) {
    this.#bytesMax = bytesMax
    this.#random = random
  }

  get bytes(): number {
    return this.#bytes
  }

  get(key: string): T | undefined {
    return this.#entries.get(key)?.value
  }

  /** Also for one that is kept and has grown. What is larger than all of the cache is not kept. */
  set(key: string, value: T): void {
    this.#delete(key)
    const bytes = value.heldBytes
    if (bytes > this.#bytesMax) return
    while (this.#bytes + bytes > this.#bytesMax) {
      const keys = [...this.#entries.keys()]
      this.#delete(keys[Math.floor(this.#random() * keys.length)])
    }
    this.#entries.set(key, { value, bytes })
    this.#bytes += bytes
  }

  #delete(key: string): void {
    this.#bytes -= this.#entries.get(key)?.bytes ?? 0
    this.#entries.delete(key)
  }
}
