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

  at(event: number): number {
    const high = this.#halves[2 * event + HIGH] - this.#baseHigh
    return high * TWO_32 + (this.#halves[2 * event + LOW] >>> 0) - this.#baseLow
  }
}

/** `events` (ascending) by time; events of one time by number. */
export function byTime(times: BigInt64Array, events: Uint32Array): Uint32Array {
  if (events.length === 0) return events
  const relative = new RelativeTimes(times, times[events[0]])
  const keys = new Float64Array(events.length)
  let isSorted = true
  for (let k = 0; k < events.length; k++) {
    keys[k] = relative.at(events[k])
    // Two that look alike could be of different times.
    if (k > 0 && (keys[k] < keys[k - 1] || (keys[k] === keys[k - 1] && Math.abs(keys[k]) >= 2 ** 53))) isSorted = false
  }
  if (isSorted) return events
  const order = Uint32Array.from(events, (_, k) => k)
  order.sort((a, b) => {
    if (keys[a] !== keys[b]) return keys[a] - keys[b]
    const [timeA, timeB] = [times[events[a]], times[events[b]]]
    return timeA < timeB ? -1 : timeA > timeB ? 1 : a - b
  })
  return order.map(k => events[k])
}
