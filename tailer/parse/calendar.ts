// From what a clock on the wall shows to seconds since 1970. Whole numbers, no Date: this runs for every line.

/** Nanoseconds since 1970 are kept in 64 bits: they end in 2262. */
export const YEAR_MIN = 1970
export const YEAR_MAX = 2261

const DAYS_IN_MONTH = [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
const DAY_SECONDS = 86_400

export function isLeapYear(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
}

export function isDay(year: number, month: number, day: number): boolean {
  if (month < 1 || month > 12 || day < 1) return false
  return day <= DAYS_IN_MONTH[month] || (month === 2 && day === 29 && isLeapYear(year))
}

/** Days from 1970-01-01 in the Gregorian calendar (Hinnant's days_from_civil, for years from 1970 on). */
export function daysSince1970(year: number, month: number, day: number): number {
  const y = month <= 2 ? year - 1 : year
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  return y * 365 + Math.floor(y / 4) - Math.floor(y / 100) + Math.floor(y / 400) + dayOfYear - 719_468
}

export function yearOf(secondsSince1970: number): number {
  let year = YEAR_MIN + Math.floor(secondsSince1970 / (365.2425 * DAY_SECONDS))
  if (daysSince1970(year, 1, 1) * DAY_SECONDS > secondsSince1970) year--
  else if (daysSince1970(year + 1, 1, 1) * DAY_SECONDS <= secondsSince1970) year++
  return year
}

/** The system's time zone data does not know this name. */
export class UnknownZoneError extends Error {
  override readonly name = 'UnknownZoneError'
}

/** Offsets change at quarters of an hour, at the finest; the offset is remembered per quarter. */
const QUARTER_SECONDS = 900
const QUARTERS_REMEMBERED_MAX = 1024

/** A time zone of the IANA database, as this machine knows it. */
export class Zone {
  /** Undefined is UTC, which needs no table. */
  readonly #format: Intl.DateTimeFormat | undefined
  readonly #offsets = new Map<number, number>()
  #lastQuarter = Number.NaN
  #lastOffset = 0

  /** @throws UnknownZoneError */
  constructor(name: string) {
    if (/^(utc|gmt|z|etc\/utc)$/i.test(name)) return
    try {
      this.#format = new Intl.DateTimeFormat('en-US', {
        timeZone: name,
        calendar: 'gregory',
        numberingSystem: 'latn',
        hourCycle: 'h23',
        year: 'numeric',
        month: 'numeric',
        day: 'numeric',
        hour: 'numeric',
        minute: 'numeric',
        second: 'numeric',
      })
    } catch (cause) {
      throw new UnknownZoneError(`There is no time zone "${name}". Write one like Europe/Berlin or UTC.`, { cause })
    }
  }

  get isUtc(): boolean {
    return this.#format === undefined
  }

  /**
   * An hour that happens twice (autumn) is taken as the first of the two; one that does not exist (spring) as if the
   * clock had not been moved yet.
   * @param local  what the clock showed, as seconds since 1970 on that clock
   * @returns seconds since 1970
   */
  toUtc(local: number): number {
    if (this.#format === undefined) return local
    const quarter = Math.floor(local / QUARTER_SECONDS)
    if (quarter !== this.#lastQuarter) {
      let offset = this.#offsets.get(quarter)
      if (offset === undefined) {
        offset = this.#findOffset(quarter * QUARTER_SECONDS)
        if (this.#offsets.size >= QUARTERS_REMEMBERED_MAX) this.#offsets.clear()
        this.#offsets.set(quarter, offset)
      }
      this.#lastQuarter = quarter
      this.#lastOffset = offset
    }
    return local - this.#lastOffset
  }

  #findOffset(local: number): number {
    const before = this.#offsetAt(local - DAY_SECONDS)
    const after = this.#offsetAt(local + DAY_SECONDS)
    if (before === after || this.#offsetAt(local - before) === before) return before
    return this.#offsetAt(local - after) === after ? after : before
  }

  #offsetAt(utc: number): number {
    const shown: Record<string, number> = {}
    for (const { type, value } of this.#format!.formatToParts(utc * 1000)) shown[type] = Number(value)
    const days = daysSince1970(shown.year, shown.month, shown.day)
    return days * DAY_SECONDS + shown.hour * 3600 + shown.minute * 60 + shown.second - utc
  }
}
