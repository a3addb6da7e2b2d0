// Host and application names out of bytes. The same few come again in every line: a string is made once per name.

/** A longer name is no name; neither is one with control characters. */
export const NAME_BYTES_MAX = 255
/** Shared by all sources: one of their own for each idle file would cost kilobytes. */
const SLOTS = 1024

export class Names {
  readonly #bytes: (Buffer | undefined)[] = new Array(SLOTS).fill(undefined)
  readonly #names: string[] = new Array(SLOTS).fill('')

  /** The name in bytes [at, end), as UTF-8; '' if there is none. */
  get(b: Buffer, at: number, end: number): string {
    const length = end - at
    if (length <= 0 || length > NAME_BYTES_MAX) return ''
    let hash = length
    for (let i = at; i < end; i++) {
      if (b[i] < 0x20 || b[i] === 0x7f) return ''
      hash = (Math.imul(hash, 31) + b[i]) | 0
    }
    const slot = (hash ^ (hash >>> 8) ^ (hash >>> 16)) & (SLOTS - 1)
    const known = this.#bytes[slot]
    if (known !== undefined && known.length === length && isSame(known, b, at)) return this.#names[slot]
    // A copy: the line's buffer is written over by the next read.
    this.#bytes[slot] = Buffer.from(b.subarray(at, end))
    this.#names[slot] = b.toString('utf8', at, end)
    return this.#names[slot]
  }
}

export const hostNames = new Names()
export const appNames = new Names()

function isSame(known: Buffer, b: Buffer, at: number): boolean {
  for (let i = 0; i < known.length; i++) if (known[i] !== b[at + i]) return false
  return true
}
