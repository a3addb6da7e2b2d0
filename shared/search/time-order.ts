// Times of events without a BigInt for each: nanoseconds since a time of the block. Differences of up to 104 days are exact;
// beyond that equal numbers may stand for different times, but never in the wrong order.

const TWO_32 = 2 ** 32
const IS_LITTLE = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1
const LOW = IS_LITTLE ? 0 : 1
const HIGH = IS_LITTLE ? 1 : 0

export class RelativeTimes {
  readonly base: bigint
  readonly #halves: Int32Array
  readonly #baseHigh: number
  readonly #baseLow: number

  constructor(times: BigInt64Array, base: bigint) {
    this.base = base
    this.#halves = new Int32Array(times.buffer, times.byteOffset, times.length * 2)
    this.#baseHigh = Number(BigInt.asIntN(32, base >> 32n))
    this.#baseLow = Number(BigInt.asUintN(32, base))
  }

  /** Times `sign`. */
  of(events: Uint32Array, sign: 1 | -1): Float64Array {
    const all = new Float64Array(events.length)
    for (let k = 0; k < events.length; k++) all[k] = sign * this.at(events[k])
    return all
  }

  at(event: number): number {
    const high = this.#halves[2 * event + HIGH] - this.#baseHigh
    return high * TWO_32 + (this.#halves[2 * event + LOW] >>> 0) - this.#baseLow
  }
}

/**
 * Rows by falling or rising key, in parts: the first part has about `first` of them, each next one twice as many, and all
 * rows of one key are in one part. Within a part they are in no order. Costs a sort of numbers, but not of rows.
 */
export function* partsByKey(rows: Uint32Array, keys: Float64Array, first: number): Generator<Uint32Array> {
  if (rows.length <= first) {
    if (rows.length > 0) yield rows
    return
  }
  const sorted = keys.slice().sort()
  let above = Number.NEGATIVE_INFINITY
  for (let size = first, at = first; ; size *= 2, at += size) {
    const upTo = at >= sorted.length ? Number.POSITIVE_INFINITY : sorted[at - 1]
    if (upTo > above) {
      const part = rows.filter((_, k) => keys[k] > above && keys[k] <= upTo)
      if (part.length > 0) yield part
    }
    if (upTo === Number.POSITIVE_INFINITY) return
    above = upTo
  }
}
