// How far the time of one line tells that of others: what was found for a stamp is good for those near it, as far as zone and
// year are sure to be the same.
import type { LineParser } from './parse/line-parser.ts'

const DAY_SECONDS = 86_400
/** Zones change their offsets at quarters of an hour. */
const QUARTER_SECONDS = 900
/** The codec takes a time without year as one of 2000: 29 February, and what lies before it, need a care of their own. */
const LEAP_DAY_SECONDS = Date.UTC(2000, 1, 29) / 1000
/** A time without a year is less than a day ahead of the read time, and less than a year behind that. */
const YEARLESS_AHEAD_SECONDS = DAY_SECONDS
const YEARLESS_SPAN_SECONDS = 364 * DAY_SECONDS

const SECONDS_MIN = -(2 ** 31)
const SECONDS_MAX = 2 ** 31 - 1

/**
 * @param seconds      the stamp as it is written, without zone; of a time without a year as one of 2000
 * @param offset       what the time is ahead of it, in nanoseconds
 * @param readSeconds  when the line was read
 * @returns for which seconds the offset is the same; undefined: not even for its own
 */
export function sureSeconds(
  seconds: number,
  offset: bigint,
  { timeBasis, isZoneUtc }: Pick<LineParser, 'timeBasis' | 'isZoneUtc'>,
  readSeconds: number,
): { least: number; greatest: number } | undefined {
  if (timeBasis === 'dayless') return undefined
  let least = SECONDS_MIN
  let greatest = SECONDS_MAX
  if (timeBasis === 'local' || (timeBasis === 'yearless' && !isZoneUtc)) {
    least = Math.floor(seconds / QUARTER_SECONDS) * QUARTER_SECONDS
    greatest = least + QUARTER_SECONDS - 1
  }
  if (timeBasis === 'yearless') {
    // A day's room, in which zones may differ, on either side.
    const ahead = readSeconds + YEARLESS_AHEAD_SECONDS - Number(offset / 1_000_000_000n)
    greatest = Math.min(greatest, ahead - DAY_SECONDS)
    least = Math.max(least, ahead - YEARLESS_SPAN_SECONDS + DAY_SECONDS)
    if (seconds < LEAP_DAY_SECONDS) greatest = Math.min(greatest, LEAP_DAY_SECONDS - 1)
    else least = Math.max(least, LEAP_DAY_SECONDS + DAY_SECONDS)
  }
  return seconds >= least && seconds <= greatest ? { least, greatest } : undefined
}
