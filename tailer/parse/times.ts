// The common ways a time is written, read from bytes at a given place. Each function answers the offset after the time, or
// -1 if there is none there (what `TimeRead` holds then means nothing). Nothing is allocated. Rarer ways: rare-times.ts.
import { daysSince1970, YEAR_MAX } from './calendar.ts'
import {
  digit,
  isWeekday,
  monthAt,
  readClock,
  readFraction,
  readLooseClock,
  readZone,
  setClock,
  setDay,
  setDayOfYear,
  type TimeRead,
  two,
} from './clock-parts.ts'
import { isDigit } from './words.ts'

const EPOCH_FRACTION_DIGITS_MAX = 32

/**
 * 2024-01-02T03:04:05.678+01:00, 2024-01-02 03:04:05,678, 2024/01/02 03:04:05, to the minute (2024-01-02T03:04Z), with a tab
 * or two spaces before the clock; the zone may follow a space.
 */
export function readIso(b: Buffer, at: number, end: number, time: TimeRead): number {
  if (end - at < 16) return -1
  const mark = b[at + 4]
  if ((mark !== 0x2d && mark !== 0x2f) || b[at + 7] !== mark) return -1
  const t = b[at + 10]
  if (t !== 0x54 && t !== 0x20 && t !== 0x74 && t !== 0x09) return -1
  const year = two(b, at) * 100 + two(b, at + 2)
  if (!setDay(time, year, two(b, at + 5), two(b, at + 8))) return -1
  let next = readClock(b, at + 11, end, time)
  if (next < 0) {
    next = b[at + 11] === 0x20 ? readLooseClock(b, at + 12, end, time) : readMinute(b, at + 11, end, time)
    if (next < 0) return -1
  }
  next = readFraction(b, next, end, time)
  return readZone(b, next, end, time)
}

/** hh:mm, and nothing behind it that would be a part of a time. */
function readMinute(b: Buffer, at: number, end: number, time: TimeRead): number {
  if (end - at < 5 || b[at + 2] !== 0x3a) return -1
  if (at + 5 < end && (b[at + 5] === 0x3a || isDigit(b[at + 5]))) return -1
  return setClock(time, two(b, at), two(b, at + 3), 0) ? at + 5 : -1
}

/** 10/Oct/2000:13:55:36 -0700 */
export function readAccessTime(b: Buffer, at: number, end: number, time: TimeRead): number {
  if (end - at < 20 || b[at + 2] !== 0x2f || b[at + 6] !== 0x2f || b[at + 11] !== 0x3a) return -1
  const year = two(b, at + 7) * 100 + two(b, at + 9)
  if (!setDay(time, year, monthAt(b, at + 3), two(b, at))) return -1
  const next = readClock(b, at + 12, end, time)
  return next < 0 ? -1 : readZone(b, readFraction(b, next, end, time), end, time)
}

/** Sun Dec 04 04:47:44 2005, with a fraction in Apache 2.4; Sun Dec  4 04:47:44 CET 2005 as date(1) writes it. */
export function readAsctime(b: Buffer, at: number, end: number, time: TimeRead): number {
  if (end - at < 24 || b[at + 3] !== 0x20 || !isWeekday(b, at)) return -1
  const clock = readMonthAndDay(b, at + 4, end, time)
  if (clock < 0) return -1
  let next = readClock(b, clock, end, time)
  if (next < 0) return -1
  next = readFraction(b, next, end, time)
  time.seconds = 0
  next = readZone(b, next, end, time)
  const zoneSeconds = time.seconds
  if (end - next < 5 || b[next] !== 0x20) return -1
  if (!setDay(time, two(b, next + 1) * 100 + two(b, next + 3), time.month, time.day)) return -1
  time.seconds += time.secondsOfDay + zoneSeconds
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

/** 081109 203615 (HDFS) and 17/06/09 20:10:40 (Spark): year, month, day of two digits each; 081109 20:36:15 too. */
export function readShortTime(b: Buffer, at: number, end: number, time: TimeRead): number {
  if (end - at < 13) return -1
  const hasMarks = b[at + 2] === 0x2f
  if (hasMarks && b[at + 5] !== 0x2f) return -1
  const step = hasMarks ? 3 : 2
  const yy = two(b, at)
  if (yy < 0 || !setDay(time, yy < 70 ? 2000 + yy : 1900 + yy, two(b, at + step), two(b, at + 2 * step))) return -1
  let next = at + 2 * step + 2
  if (b[next++] !== 0x20) return -1
  if (!hasMarks && b[next] === 0x20) {
    // MySQL before 5.7: 240102  3:04:05
    next = readLooseClock(b, next + 1, end, time)
    if (next < 0) return -1
    time.nanos = 0
  } else if (hasMarks || b[next + 2] === 0x3a) {
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
    const fractionEnd = Math.min(end, next + 1 + EPOCH_FRACTION_DIGITS_MAX)
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
  if (b[next] !== 0x20 || !setDayOfYear(time, month, day)) return -1
  return next + 1
}
