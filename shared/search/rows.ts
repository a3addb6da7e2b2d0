/** A set of rows of a block (its lines, or its events), a bit each. */
export class Rows {
  readonly size: number
  readonly words: Uint32Array

  constructor(size: number, words = new Uint32Array((size + 31) >>> 5)) {
    this.size = size
    this.words = words
  }

  static all(size: number): Rows {
    const rows = new Rows(size)
    rows.addRange(0, size)
    return rows
  }

  has(row: number): boolean {
    return (this.words[row >>> 5] & (1 << (row & 31))) !== 0
  }

  add(row: number): void {
    this.words[row >>> 5] |= 1 << (row & 31)
  }

  remove(row: number): void {
    this.words[row >>> 5] &= ~(1 << (row & 31))
  }

  addAll(rows: Uint32Array): void {
    const { words } = this
    for (let i = 0; i < rows.length; i++) words[rows[i] >>> 5] |= 1 << (rows[i] & 31)
  }

  /** `to` is not included. */
  addRange(from: number, to: number): void {
    if (from >= to) return
    const { words } = this
    const first = from >>> 5
    const last = (to - 1) >>> 5
    const firstBits = 0xffffffff << (from & 31)
    const lastBits = 0xffffffff >>> (31 - ((to - 1) & 31))
    if (first === last) words[first] |= firstBits & lastBits
    else {
      words[first] |= firstBits
      words.fill(0xffffffff, first + 1, last)
      words[last] |= lastBits
    }
  }

  get isEmpty(): boolean {
    for (const word of this.words) if (word !== 0) return false
    return true
  }

  get count(): number {
    let count = 0
    for (const word of this.words) count += bitsIn(word)
    return count
  }

  /** Of [from, to). */
  countBetween(from: number, to: number): number {
    if (from >= to) return 0
    const { words } = this
    const first = from >>> 5
    const last = (to - 1) >>> 5
    const firstBits = 0xffffffff << (from & 31)
    const lastBits = 0xffffffff >>> (31 - ((to - 1) & 31))
    if (first === last) return bitsIn(words[first] & firstBits & lastBits)
    let count = bitsIn(words[first] & firstBits) + bitsIn(words[last] & lastBits)
    for (let i = first + 1; i < last; i++) count += bitsIn(words[i])
    return count
  }

  copy(): Rows {
    return new Rows(this.size, this.words.slice())
  }

  /** Keeps those that are in both. */
  and(other: Rows): this {
    for (let i = 0; i < this.words.length; i++) this.words[i] &= other.words[i]
    return this
  }

  or(other: Rows): this {
    for (let i = 0; i < this.words.length; i++) this.words[i] |= other.words[i]
    return this
  }

  without(other: Rows): this {
    for (let i = 0; i < this.words.length; i++) this.words[i] &= ~other.words[i]
    return this
  }

  invert(): this {
    for (let i = 0; i < this.words.length; i++) this.words[i] = ~this.words[i]
    // Bits behind the last row stay empty.
    if ((this.size & 31) !== 0) this.words[this.words.length - 1] &= (1 << (this.size & 31)) - 1
    return this
  }

  /** Ascending. */
  list(): Uint32Array {
    const rows = new Uint32Array(this.count)
    let at = 0
    for (let i = 0; i < this.words.length; i++) {
      for (let word = this.words[i]; word !== 0; word &= word - 1) {
        rows[at++] = (i << 5) + 31 - Math.clz32(word & -word)
      }
    }
    return rows
  }
}

function bitsIn(word: number): number {
  let bits = word - ((word >>> 1) & 0x55555555)
  bits = (bits & 0x33333333) + ((bits >>> 2) & 0x33333333)
  return Math.imul((bits + (bits >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}
