// The ways a time is written, read from bytes at a given place. Each function answers the offset after the time, or -1
// if there is none there (what `TimeRead` holds then means nothing). Nothing is allocated.
import { daysSince1970, isDay, YEAR_MAX, YEAR_MIN } from './calendar.ts'
import { isDigit, isWordByte } from './words.ts'

/** What was read: on the clock of a zone unless `isUtc`. One per parser, overwritten by every read. */
export class TimeRead {
  /** Since 1970, in the zone named, or on the local clock. */
  seconds = 0
  nanos = 0
  isUtc = false
  /** Month, day and seconds of the day, for a time without a year: `seconds` is not set. */
  month = 0
  day = 0
  secondsOfDay = 0
  hasYear = true
}

/** More digits of a fraction are passed over, up to this many. */
const FRACTION_DIGITS_MAX = 32

/** 2024-01-02T03:04:05.678+01:00, 2024-01-02 03:04:05,678, 2024/01/02 03:04:05; the zone may follow a space. */
export function readIso(b: Buffer, at: number, end: number, time: TimeRead): number {
  if (end - at < 19) return -1
  const mark = b[at + 4]
  if ((mark !== 0x2d && mark !== 0x2f) || b[at + 7] !== mark) return -1
  const t = b[at + 10]
  if (t !== 0x54 && t !== 0x20 && t !== 0x74) return -1
  const year = two(b, at) * 100 + two(b, at + 2)
  if (!setDay(time, year, two(b, at + 5), two(b, at + 8))) return -1
  let next = readClock(b, at + 11, end, time)
  if (next < 0) return -1
  next = readFraction(b, next, end, time)
  return readZone(b, next, end, time)
}

/** 10/Oct/2000:13:55:36 -0700 */
export function readAccessTime(b: Buffer, at: number, end: number, time: TimeRead): number {
  if (end - at < 20 || b[at + 2] !== 0x2f || b[at + 6] !== 0x2f || b[at + 11] !== 0x3a) return -1
  const year = two(b, at + 7) * 100 + two(b, at + 9)
  if (!setDay(time, year, monthAt(b, at + 3), two(b, at))) return -1
  const next = readClock(b, at + 12, end, time)
  return next < 0 ? -1 : readZone(b, readFraction(b, next, end, time), end, time)
}

/** Sun Dec 04 04:47:44 2005, with a fraction in Apache 2.4 */
export function readAsctime(b: Buffer, at: number, end: number, time: TimeRead): number {
  if (end - at < 24 || b[at + 3] !== 0x20 || !isWeekday(b, at)) return -1
  const clock = readMonthAndDay(b, at + 4, end, time)
  if (clock < 0) return -1
  let next = readClock(b, clock, end, time)
  if (next < 0) return -1
  next = readFraction(b, next, end, time)
  if (end - next < 5 || b[next] !== 0x20) return -1
  if (!setDay(time, two(b, next + 1) * 100 + two(b, next + 3), time.month, time.day)) return -1
  time.seconds += time.secondsOfDay
  time.isUtc = false
  return next + 5
}

/** Oct 11 22:14:15, Oct  1 …, Oct 11 2024 22:14:15 */
export function readSyslogTime(b: Buffer, at: number, end: number, time: TimeRead): number {
  let next = readMonthAndDay(b, at, end, time)
  if (next < 0) return -1
  let year = -1
  if (end - next > 5 && b[next + 4] === 0x20) {
    year = two(b, next) * 100 + two(b, next + 2)
    next += 5
  }
  next = readClock(b, next, end, time)
  if (next < 0) return -1
  next = readFraction(b, next, end, time)
  time.isUtc = false
  if (year === -1) {
    time.hasYear = false
    return next
  }
  if (!setDay(time, year, time.month, time.day)) return -1
  time.seconds += time.secondsOfDay
  return next
}

/** 081109 203615 (HDFS) and 17/06/09 20:10:40 (Spark): year, month, day of two digits each. */
export function readShortTime(b: Buffer, at: number, end: number, time: TimeRead): number {
  if (end - at < 13) return -1
  const hasMarks = b[at + 2] === 0x2f
  if (hasMarks && b[at + 5] !== 0x2f) return -1
  const step = hasMarks ? 3 : 2
  const yy = two(b, at)
  if (yy < 0 || !setDay(time, yy < 70 ? 2000 + yy : 1900 + yy, two(b, at + step), two(b, at + 2 * step))) return -1
  let next = at + 2 * step + 2
  if (b[next++] !== 0x20) return -1
  if (hasMarks) {
    next = readClock(b, next, end, time)
    if (next < 0) return -1
    next = readFraction(b, next, end, time)
  } else {
    if (!setClock(time, two(b, next), two(b, next + 2), two(b, next + 4))) return -1
    next += 6
    time.nanos = 0
  }
  time.isUtc = false
  return next
}

/**
 * Seconds since 1970, with or without a fraction, or milli-, micro-, nanoseconds: told apart by how many digits there
 * are. Nine digits at least: the year 1973.
 */
export function readEpoch(b: Buffer, at: number, end: number, time: TimeRead): number {
  let next = at
  while (next < end && next - at < 20 && isDigit(b[next])) next++
  const digits = next - at
  if (digits < 9 || digits > 19) return -1
  const fractionDigits = digits <= 11 ? 0 : digits <= 14 ? 3 : digits <= 17 ? 6 : 9
  let seconds = 0
  let i = at
  for (; i < next - fractionDigits; i++) seconds = seconds * 10 + b[i] - 0x30
  if (seconds > daysSince1970(YEAR_MAX, 12, 31) * 86_400) return -1
  let nanos = 0
  let scale = 100_000_000
  for (; i < next; i++, scale /= 10) nanos += (b[i] - 0x30) * scale
  if (next + 1 < end && b[next] === 0x2e && isDigit(b[next + 1])) {
    const fractionEnd = Math.min(end, next + 1 + FRACTION_DIGITS_MAX)
    for (next++; next < fractionEnd && isDigit(b[next]); next++, scale /= 10) {
      if (scale >= 1) nanos += (b[next] - 0x30) * scale
    }
  }
  time.seconds = seconds
  time.nanos = nanos
  time.isUtc = true
  time.hasYear = true
  return next
}

/** The offset of the clock after "Oct 11 ", with month and day set. */
function readMonthAndDay(b: Buffer, at: number, end: number, time: TimeRead): number {
  if (end - at < 14 || b[at + 3] !== 0x20) return -1
  const month = monthAt(b, at)
  if (month < 0) return -1
  let next = at + 4
  if (b[next] === 0x20) next++
  let day = digit(b, next++)
  if (isDigit(b[next])) day = day * 10 + digit(b, next++)
  // 29 February is a day of some year; which one is not known yet.
  if (b[next] !== 0x20 || !isDay(2000, month, day)) return -1
  time.month = month
  time.day = day
  return next + 1
}

/** hh:mm:ss, added to the day that is set. */
function readClock(b: Buffer, at: number, end: number, time: TimeRead): number {
  if (end - at < 8 || b[at + 2] !== 0x3a || b[at + 5] !== 0x3a) return -1
  if (!setClock(time, two(b, at), two(b, at + 3), two(b, at + 6))) return -1
  const next = at + 8
  return next < end && isDigit(b[next]) ? -1 : next
}

/** `.` or `,` and digits, kept to nanoseconds. */
function readFraction(b: Buffer, at: number, end: number, time: TimeRead): number {
  time.nanos = 0
  if (at + 1 >= end || (b[at] !== 0x2e && b[at] !== 0x2c) || !isDigit(b[at + 1])) return at
  let next = at + 1
  const last = Math.min(end, next + FRACTION_DIGITS_MAX)
  let nanos = 0
  let digits = 0
  for (; next < last && isDigit(b[next]); next++) {
    if (digits >= 9) continue
    nanos = nanos * 10 + b[next] - 0x30
    digits++
  }
  for (; digits < 9; digits++) nanos *= 10
  time.nanos = nanos
  return next
}

/** Z, UTC, GMT, ±hh:mm, ±hhmm, right there or after a space; none of them: the clock is local. */
function readZone(b: Buffer, at: number, end: number, time: TimeRead): number {
  time.isUtc = false
  let next = at
  if (next < end && b[next] === 0x20) next++
  if (next >= end) return at
  const c = b[next]
  if (c === 0x5a || c === 0x7a) {
    if (next !== at || (next + 1 < end && isWordByte(b[next + 1]))) return at
    time.isUtc = true
    return next + 1
  }
  if (c === 0x55 || c === 0x47) {
    const isUtc = b[next + 1] === 0x54 && b[next + 2] === 0x43
    const isGmt = b[next + 1] === 0x4d && b[next + 2] === 0x54
    if (end - next < 3 || !(isUtc || isGmt) || (next + 3 < end && isWordByte(b[next + 3]))) return at
    time.isUtc = true
    return next + 3
  }
  if ((c !== 0x2b && c !== 0x2d) || end - next < 5) return at
  const hours = two(b, next + 1)
  const hasColon = b[next + 3] === 0x3a
  if (hasColon && end - next < 6) return at
  const minutes = two(b, next + (hasColon ? 4 : 3))
  const after = next + (hasColon ? 6 : 5)
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59 || (after < end && isDigit(b[after]))) return at
  time.seconds += (c === 0x2d ? 1 : -1) * (hours * 3600 + minutes * 60)
  time.isUtc = true
  return after
}

function setDay(time: TimeRead, year: number, month: number, day: number): boolean {
  if (year < YEAR_MIN || year > YEAR_MAX || !isDay(year, month, day)) return false
  time.seconds = daysSince1970(year, month, day) * 86_400
  time.hasYear = true
  return true
}

/** A leap second (60) counts as the first of the next minute. */
function setClock(time: TimeRead, hour: number, minute: number, second: number): boolean {
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) return false
  time.secondsOfDay = hour * 3600 + minute * 60 + second
  time.seconds += time.secondsOfDay
  return true
}

/** Two digits; a large negative number if they are not. Past the end of the buffer: the same. */
function two(b: Buffer, at: number): number {
  const high = b[at] - 0x30
  const low = b[at + 1] - 0x30
  return high >= 0 && high <= 9 && low >= 0 && low <= 9 ? high * 10 + low : -100_000
}

function digit(b: Buffer, at: number): number {
  return isDigit(b[at]) ? b[at] - 0x30 : -100_000
}

/** 1–12, or -1. The key is three letters in one number. */
function monthAt(b: Buffer, at: number): number {
  switch ((b[at] << 16) | (b[at + 1] << 8) | b[at + 2]) {
    case 0x4a616e: // Jan
      return 1
    case 0x466562: // Feb
      return 2
    case 0x4d6172: // Mar
      return 3
    case 0x417072: // Apr
      return 4
    case 0x4d6179: // May
      return 5
    case 0x4a756e: // Jun
      return 6
    case 0x4a756c: // Jul
      return 7
    case 0x417567: // Aug
      return 8
    case 0x536570: // Sep
      return 9
    case 0x4f6374: // Oct
      return 10
    case 0x4e6f76: // Nov
      return 11
    case 0x446563: // Dec
      return 12
    default:
      return -1
  }
}

function isWeekday(b: Buffer, at: number): boolean {
  switch ((b[at] << 16) | (b[at + 1] << 8) | b[at + 2]) {
    case 0x4d6f6e: // Mon
    case 0x547565: // Tue
    case 0x576564: // Wed
    case 0x546875: // Thu
    case 0x467269: // Fri
    case 0x536174: // Sat
    case 0x53756e: // Sun
      return true
    default:
      return false
  }
}
