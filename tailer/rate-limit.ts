// So much of a file per second and no more: what is over it waits in the file, or is discarded (tailer/drop). What was read
// beyond the allowance is paid back by waiting longer, so the mean is exact, and a burst is at most a second's worth and
// one read; of what discards, one record.
export interface RateLimit {
  per: 'lines' | 'bytes'
  perSecond: number
  /** Default: wait. */
  over?: 'wait' | 'discard'
}

export class Allowance {
  readonly name = 'rate_limit'
  readonly rate: RateLimit
  #left: number
  /** Monotonic ms of the last reckoning. */
  #at: number | undefined

  /** @param now  undefined: it begins when it is first asked */
  constructor(rate: RateLimit, now?: number) {
    this.rate = rate
    this.#left = rate.perSecond
    this.#at = now
  }

  isSpent(now: number): boolean {
    const { perSecond } = this.rate
    this.#left = Math.min(perSecond, this.#left + (Math.max(0, now - (this.#at ?? now)) * perSecond) / 1000)
    this.#at = now
    return this.#left <= 0
  }

  spend(bytes: Buffer): void {
    this.#left -= this.rate.per === 'bytes' ? bytes.length : linesIn(bytes)
  }
}

/** Of a file whose rest waits. */
export function waitingLimit(rule: { rateLimit?: RateLimit } | undefined, now: number): Allowance | undefined {
  const rate = rule?.rateLimit
  return rate === undefined || rate.over === 'discard' ? undefined : new Allowance(rate, now)
}

function linesIn(bytes: Buffer): number {
  let lines = 0
  for (let at = bytes.indexOf(0x0a); at >= 0; at = bytes.indexOf(0x0a, at + 1)) lines++
  return lines
}
