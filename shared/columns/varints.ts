// Varints as the header and the event columns hold them: seven bits a byte, low ones first, all but the last with the
// high bit. Numbers to 2^53.
import { CorruptBlockError } from '../block.ts'

const BYTES_AT_FIRST = 256
const BYTES_PER_VARINT_MAX = 10

export class VarintWriter {
  #bytes = Buffer.allocUnsafe(BYTES_AT_FIRST)
  #used = 0

  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#used)
  }

  put(value: number): void {
    if (this.#used + BYTES_PER_VARINT_MAX > this.#bytes.length) this.#grow()
    let rest = value
    while (rest >= 128) {
      this.#bytes[this.#used++] = (rest % 128) | 128
      rest = Math.floor(rest / 128)
    }
    this.#bytes[this.#used++] = rest
  }

  #grow(): void {
    const larger = Buffer.allocUnsafe(this.#bytes.length * 2)
    this.#bytes.copy(larger, 0, 0, this.#used)
    this.#bytes = larger
  }
}

export class VarintReader {
  readonly #bytes: Uint8Array
  #at: number
  /** What `next64` read, zigzag undone: two's complement in two halves. */
  low = 0
  high = 0

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes
    this.#at = at
  }

  get at(): number {
    return this.#at
  }

  seek(at: number): void {
    this.#at = at
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#bytes.length
  }

  /** @throws CorruptBlockError at the end, or if the number is over `max` */
  next(what: string, max: number): number {
    let value = 0
    let factor = 1
    for (let byte = 128; byte >= 128; factor *= 128) {
      if (this.#at >= this.#bytes.length || factor > 2 ** 49) throw new CorruptBlockError(`${what}: no number`)
      byte = this.#bytes[this.#at++]
      value += (byte & 127) * factor
    }
    if (value > max) throw new CorruptBlockError(`${what}: ${value} is over ${max}`)
    return value
  }

  /** @throws CorruptBlockError if there are fewer */
  skip(bytes: number): void {
    if (bytes > this.#bytes.length - this.#at) throw new CorruptBlockError(`${bytes} bytes behind the end`)
    this.#at += bytes
  }

  next64(what: string): void {
    let lo = 0
    let hi = 0
    for (let byte = 128, shift = 0; byte >= 128; shift += 7) {
      if (this.#at >= this.#bytes.length || shift > 63) throw new CorruptBlockError(`${what}: no number`)
      byte = this.#bytes[this.#at++]
      const bits = byte & 127
      if (shift < 32) {
        lo |= bits << shift
        if (shift > 25) hi |= bits >>> (32 - shift)
      } else hi |= bits << (shift - 32)
    }
    const sign = -(lo & 1)
    this.low = ((lo >>> 1) | (hi << 31)) ^ sign
    this.high = (hi >>> 1) ^ sign
  }
}
