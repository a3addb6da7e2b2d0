// Times of events, told from the first time stamp of their line: the third list of event-columns.ts. Arithmetic is that
// of 64 bits in two halves: numbers of JavaScript's are exact to 53.
import type { LineStamps } from './codec.ts'
import { NO_STAMP } from './codec.ts'
import { readGaps } from './exceptions.ts'
import type { VarintReader } from './varints.ts'

const BILLION = 1_000_000_000
const TWO_32 = 2 ** 32
const LITTLE = new Uint8Array(new Uint32Array([1]).buffer)[0]
/** Halves of a 64-bit number in an Int32Array. */
const LOW = LITTLE ? 0 : 1
const HIGH = LITTLE ? 1 : 0
const UNITS = Array.from({ length: 10 }, (_, digits) => 10 ** (9 - digits))

/** The stamp of a line in nanoseconds, in two halves. One per pass. */
export class StampTime {
  low = 0
  high = 0
  readonly #stamps: Int32Array
  readonly #fractions: Int32Array
  /** By format. */
  readonly #units: Float64Array
  #seconds = -1
  #baseLow = 0
  #baseHigh = 0

  constructor({ stampSeconds, stampFractions, formats }: LineStamps) {
    this.#stamps = stampSeconds
    this.#fractions = stampFractions
    this.#units = Float64Array.from(formats, ({ digits }) => UNITS[digits])
  }

  /** @param format  of the line's template, not NO_STAMP */
  read(line: number, format: number): void {
    const seconds = this.#stamps[line]
    if (seconds !== this.#seconds) {
      this.#seconds = seconds
      // 16 bits at a time, so that every product is exact. A remainder of doubles would take longer than all of it.
      const upper = (seconds >> 16) * BILLION
      const upperHigh = Math.floor(upper / 65536)
      const lower = (seconds & 0xffff) * BILLION + (upper - upperHigh * 65536) * 65536
      const lowerHigh = Math.floor(lower / TWO_32)
      this.#baseLow = lower - lowerHigh * TWO_32
      this.#baseHigh = (upperHigh + lowerHigh) | 0
    }
    const low = this.#baseLow + this.#fractions[line] * this.#units[format]
    this.low = low | 0
    this.high = low >= 0 && low < TWO_32 ? this.#baseHigh : (this.#baseHigh + Math.floor(low / TWO_32)) | 0
  }
}

function carry(a: number, b: number): number {
  return (a >>> 0) + (b >>> 0) >= TWO_32 ? 1 : 0
}

function borrow(a: number, b: number): number {
  return a >>> 0 < b >>> 0 ? 1 : 0
}

/**
 * @param templates, firstLines  of each event the template and the line where it begins
 * @throws CorruptBlockError
 */
export function decodeTimes(
  reader: VarintReader,
  times: BigInt64Array,
  firstLines: Uint32Array,
  templates: Uint32Array,
  stamps: LineStamps,
): void {
  const exceptions = readGaps(reader, 'times', times.length)
  const halves = new Int32Array(times.buffer, times.byteOffset, times.length * 2)
  const offsets = new Int32Array(stamps.formats.length * 2)
  const stamp = new StampTime(stamps)
  const { formatOf } = stamps
  let k = 0
  let low = 0
  let high = 0
  for (let i = 0; i < templates.length; i++) {
    const format = formatOf[templates[i]]
    if (format !== NO_STAMP) stamp.read(firstLines[i], format)
    if (i === exceptions[k]) {
      k++
      reader.next64('time')
      high = (high + reader.high + carry(low, reader.low)) | 0
      low = (low + reader.low) | 0
      if (format !== NO_STAMP) {
        offsets[2 * format] = (low - stamp.low) | 0
        offsets[2 * format + 1] = (high - stamp.high - borrow(low, stamp.low)) | 0
      }
    } else if (format !== NO_STAMP) {
      high = (stamp.high + offsets[2 * format + 1] + carry(stamp.low, offsets[2 * format])) | 0
      low = (stamp.low + offsets[2 * format]) | 0
    }
    halves[2 * i + LOW] = low
    halves[2 * i + HIGH] = high
  }
}
