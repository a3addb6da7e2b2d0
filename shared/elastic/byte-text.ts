// Text put together as bytes, end to end in one buffer that grows: for bodies of megabytes, of which making strings first
// would cost as much as all the rest.
const GROWTH = 2
const ZERO = 0x30
const QUOTE = 0x22
const BACKSLASH = 0x5c
const SPACE = 0x20
const HEX = Buffer.from('0123456789abcdef')
const SHORT_ESCAPES = new Map([
  [0x08, 0x62],
  [0x09, 0x74],
  [0x0a, 0x6e],
  [0x0c, 0x66],
  [0x0d, 0x72],
])
/** By byte: may it stand in a JSON string as it is (0), does it need an escape (NEEDS_ESCAPE), is it no ASCII (IS_HIGH)? */
const NEEDS_ESCAPE = 1
const IS_HIGH = 2
const CLASSES = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte >= 0x80 ? IS_HIGH : byte < SPACE || byte === QUOTE || byte === BACKSLASH ? NEEDS_ESCAPE : 0,
)
/** Of one byte in a JSON string. */
const ESCAPED_BYTES_MAX = 6
const DIGITS_MAX = 20
const UTF8_BYTES_MAX = 3

export class ByteText {
  #buffer: Buffer
  length = 0

  constructor(capacity: number) {
    this.#buffer = Buffer.allocUnsafeSlow(capacity)
  }

  bytes(from = 0, to = this.length): Buffer {
    return this.#buffer.subarray(from, to)
  }

  append(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#buffer.set(bytes, this.length)
    this.length += bytes.length
  }

  /** @param text  ASCII only */
  ascii(text: string, length = text.length): void {
    this.#reserve(length)
    this.length += this.#buffer.write(text, this.length, length, 'latin1')
  }

  utf8(text: string): void {
    this.#reserve(text.length * UTF8_BYTES_MAX)
    this.length += this.#buffer.write(text, this.length, 'utf8')
  }

  /** @param digits  zeroes in front up to so many */
  integer(value: number, digits = 1): void {
    if (value < 0 || value > 0x7fff_ffff) {
      this.ascii(String(value).padStart(digits, '0'))
      return
    }
    this.#reserve(DIGITS_MAX)
    let size = 1
    for (let rest = value; rest >= 10; rest = (rest / 10) | 0) size++
    if (size < digits) size = digits
    const buffer = this.#buffer
    let rest = value | 0
    for (let at = this.length + size - 1; at >= this.length; at--) {
      const next = (rest / 10) | 0
      buffer[at] = ZERO + (rest - next * 10)
      rest = next
    }
    this.length += size
  }

  /**
   * What stands between the quotes of a JSON string. The bytes have to be UTF-8, which is not looked at.
   * @returns whether all of it is ASCII
   */
  jsonString(bytes: Buffer, from: number, to: number): boolean {
    this.#reserve(to - from)
    let seen = 0
    for (let i = from; i < to; i++) seen |= CLASSES[bytes[i]]
    if ((seen & NEEDS_ESCAPE) !== 0) this.#escaped(bytes, from, to)
    else this.length += bytes.copy(this.#buffer, this.length, from, to)
    return (seen & IS_HIGH) === 0
  }

  #escaped(bytes: Buffer, from: number, to: number): void {
    this.#reserve((to - from) * ESCAPED_BYTES_MAX)
    const buffer = this.#buffer
    let at = this.length
    for (let i = from; i < to; i++) {
      const byte = bytes[i]
      if (CLASSES[byte] !== NEEDS_ESCAPE) {
        buffer[at++] = byte
        continue
      }
      buffer[at++] = BACKSLASH
      const short = byte < SPACE ? SHORT_ESCAPES.get(byte) : byte
      if (short !== undefined) {
        buffer[at++] = short
        continue
      }
      buffer[at++] = 0x75
      buffer[at++] = ZERO
      buffer[at++] = ZERO
      buffer[at++] = HEX[byte >> 4]
      buffer[at++] = HEX[byte & 15]
    }
    this.length = at
  }

  /** Room for so many bytes to be written from `length` on, by whoever then moves `length` on. */
  room(bytes: number): Buffer {
    this.#reserve(bytes)
    return this.#buffer
  }

  #reserve(bytes: number): void {
    const needed = this.length + bytes
    if (needed <= this.#buffer.length) return
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * GROWTH))
    this.#buffer.copy(larger, 0, 0, this.length)
    this.#buffer = larger
  }
}
