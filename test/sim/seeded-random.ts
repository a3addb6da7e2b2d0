// Chance from a seed: the same seed, the same bytes, on every machine. Generator: sfc32 (Chris Doty-Humphrey's PractRand).
import type { Random } from '../../shared/world.ts'

export class SeededRandom implements Random {
  #a: number
  #b: number
  #c: number
  #count = 1

  constructor(seed: number | string) {
    // FNV-1a twice, with two starts, spreads short seeds over the state.
    const text = String(seed)
    this.#a = hash(text, 0x811c9dc5)
    this.#b = hash(text, 0x9e3779b9)
    this.#c = this.#a ^ Math.imul(this.#b, 0x85ebca6b)
    for (let i = 0; i < 15; i++) this.#next()
  }

  /** An independent stream: what is drawn from one does not move the other. */
  fork(name: string): SeededRandom {
    return new SeededRandom(`${this.#a} ${this.#b} ${this.#c} ${name}`)
  }

  /** Draws the same from here on. */
  copy(): SeededRandom {
    const copy = new SeededRandom('')
    copy.#a = this.#a
    copy.#b = this.#b
    copy.#c = this.#c
    copy.#count = this.#count
    return copy
  }

  fraction(): number {
    return this.#next() / 2 ** 32
  }

  bytes(count: number): Buffer {
    const out = Buffer.allocUnsafe(count)
    for (let i = 0; i < count; i += 4) {
      const word = this.#next()
      for (let j = i; j < Math.min(i + 4, count); j++) out[j] = (word >>> ((j - i) * 8)) & 0xff
    }
    return out
  }

  /** Whole number in [least, most]. */
  integer(least: number, most: number): number {
    return least + Math.floor(this.fraction() * (most - least + 1))
  }

  chance(probability: number): boolean {
    return this.fraction() < probability
  }

  pick<T>(list: readonly T[]): T {
    return list[this.integer(0, list.length - 1)]
  }

  /** Mostly short, now and then long: up to `most`, a tenth of it on average. */
  span(most: number): number {
    return most * this.fraction() ** 8
  }

  #next(): number {
    const sum = (this.#a + this.#b + this.#count++) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = ((this.#c << 21) | (this.#c >>> 11)) + sum
    this.#c |= 0
    return sum >>> 0
  }
}

function hash(text: string, start: number): number {
  let value = start
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193)
  return value
}
