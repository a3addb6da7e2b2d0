// From what a line's clock shows to nanoseconds since 1970: zone, and the year or day that was not written.
import { daysSince1970, isDay, YEAR_MIN, yearOf, Zone } from './calendar.ts'
import type { TimeRead } from './clock-parts.ts'

/** How far into the read time's future a time without year may lie before it is taken as last year's: clocks differ. */
const FUTURE_SECONDS_MAX = 86_400
/** The same for a time without a day, and the time at which its file was last written. */
const CLOCK_FUTURE_SECONDS_MAX = 3_600
/** 29 February comes again after four years, or eight around 2100. */
const YEARS_BACK_MAX = 8
const DAY_SECONDS = 86_400

export class SettledTime {
  readonly #zone: Zone
  /** Whole seconds of the last time as nanoseconds: neighbours mostly share them, and BigInt sums are dear. */
  #seconds = Number.NaN
  #secondsNs = 0n
  #nanos = 0
  #ns = 0n

  /** @throws UnknownZoneError */
  constructor(zone: string) {
    this.#zone = new Zone(zone)
  }

  /** Of times that tell no zone. */
  get isUtc(): boolean {
    return this.#zone.isUtc
  }

  /**
   * Since 1970. Logs are read after they were written: what was not written is the latest that it can be by then.
   * @param near  for a time without a day: the latest that it can be, and the time before it, where that tells the day
   */
  nanoseconds(time: TimeRead, readSeconds: number, near?: { latest: number; before: number | undefined }): bigint {
    let { seconds } = time
    if (!time.hasYear && time.hasDay) seconds = this.#latestYear(time, readSeconds)
    else if (!time.hasYear) seconds = this.#nearestDay(time, near?.latest ?? readSeconds, near?.before)
    else if (!time.isUtc) seconds = this.#zone.toUtc(seconds)
    if (seconds === this.#seconds) {
      if (time.nanos === this.#nanos) return this.#ns
    } else {
      this.#seconds = seconds
      this.#secondsNs = BigInt(seconds) * 1_000_000_000n
    }
    this.#nanos = time.nanos
    this.#ns = time.nanos === 0 ? this.#secondsNs : this.#secondsNs + BigInt(time.nanos)
    return this.#ns
  }

  #latestYear({ month, day, secondsOfDay }: TimeRead, readSeconds: number): number {
    const newest = yearOf(readSeconds) + 1
    for (let year = newest; year >= Math.max(YEAR_MIN, newest - YEARS_BACK_MAX - 1); year--) {
      if (!isDay(year, month, day)) continue
      const seconds = this.#zone.toUtc(daysSince1970(year, month, day) * DAY_SECONDS + secondsOfDay)
      if (seconds <= readSeconds + FUTURE_SECONDS_MAX) return seconds
    }
    return readSeconds
  }

  /** That of the time before, or the next one past midnight; without it the latest day. */
  #nearestDay({ secondsOfDay }: TimeRead, latest: number, before: number | undefined): number {
    const latestDay = this.#latestDay(secondsOfDay, latest)
    if (before === undefined) return latestDay
    // The day whose time is nearest: never more than half a day away.
    let nearest = latestDay
    const today = Math.floor(before / DAY_SECONDS)
    for (let day = today - 2; day <= today + 2; day++) {
      const seconds = this.#zone.toUtc(day * DAY_SECONDS + secondsOfDay)
      if (Math.abs(seconds - before) < Math.abs(nearest - before)) nearest = seconds
    }
    return Math.min(nearest, latestDay)
  }

  #latestDay(secondsOfDay: number, latest: number): number {
    const today = Math.floor(latest / DAY_SECONDS)
    // The furthest zones are 14 hours from UTC: one of these is it.
    for (let day = today + 1; day >= today - 2; day--) {
      const seconds = this.#zone.toUtc(day * DAY_SECONDS + secondsOfDay)
      if (seconds <= latest + CLOCK_FUTURE_SECONDS_MAX) return seconds
    }
    return latest
  }
}
