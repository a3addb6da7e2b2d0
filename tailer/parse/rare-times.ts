// Rarer ways a time is written at the start of a line. Each function answers the offset after the time, or -1; what
// `TimeRead` holds then means nothing.
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
import { isDigit, isWordByte } from './words.ts'

/**
 * A day that is written in another order than year, month, day. Which of 1/2 is the month nobody can tell but by ` AM` or
 * ` PM` behind the clock (the month is first then), so slashes without these are no time.
 *
 *   02-Jan-2024 03:04:05.678 (Tomcat, BIND, PHP)   02 Jan 2024 03:04:05,678 (Redis, log4j)   02.01.2024 03:04:05
 *   1/2/2024 3:04:05 AM (Windows)                  02/Jan/2024 03:04:05
 */
export function readDayFirst(b: Buffer, at: number, end: number, time: TimeRead): number {
  if (end - at < 17) return -1
  const digits = isDigit(b[at + 1]) ? 2 : 1
  const first = digits === 2 ? two(b, at) : digit(b, at)
  const mark = b[at + digits]
  if (mark !== 0x2d && mark !== 0x20 && mark !== 0x2f && mark !== 0x2e) return -1
  let next = at + digits + 1
  let month: number
  const isNamed = !isDigit(b[next])
  if (isNamed) {
    month = monthAt(b, next)
    next += 3
  } else {
    if (mark !== 0x2e && mark !== 0x2f) return -1
    const length = isDigit(b[next + 1]) ? 2 : 1
    month = length === 2 ? two(b, next) : digit(b, next)
    next += length
  }
  if (b[next] !== mark) return -1
  const year = two(b, next + 1) * 100 + two(b, next + 3)
  next += 5
  const isUs = !isNamed && mark === 0x2f
  if (!setDay(time, year, isUs ? first : month, isUs ? month : first)) return -1
  if (next < end && b[next] === 0x2c) next++
  if (next >= end || (b[next] !== 0x20 && b[next] !== 0x3a)) return -1
  next++
  const clockEnd = readLooseClock(b, next, end, time)
  if (clockEnd < 0) return -1
  // ` AM` or ` PM` ends in M.
  if (isUs && (b[clockEnd - 1] | 0x20) !== 0x6d) return -1
  return readZone(b, readFraction(b, clockEnd, end, time), end, time)
}

/** Tue, 02 Jan 2024 03:04:05 GMT (RFC 2822), Tue Jan … is readAsctime's; Jan 02, 2024 3:04:05 AM (java.util.logging) */
export function readNamedDay(b: Buffer, at: number, end: number, time: TimeRead): number {
  if (end - at < 20) return -1
  if (b[at + 3] === 0x2c && b[at + 4] === 0x20) return isWeekday(b, at) ? readDayFirst(b, at + 5, end, time) : -1
  if (b[at + 3] !== 0x20) return -1
  const month = monthAt(b, at)
  if (month < 0) return -1
  let next = at + 4
  const digits = isDigit(b[next + 1]) ? 2 : 1
  const day = digits === 2 ? two(b, next) : digit(b, next)
  next += digits
  if (b[next] !== 0x2c || b[next + 1] !== 0x20) return -1
  if (!setDay(time, two(b, next + 2) * 100 + two(b, next + 4), month, day)) return -1
  next += 6
  if (b[next] === 0x2c) next++
  if (b[next] !== 0x20) return -1
  next = readLooseClock(b, next + 1, end, time)
  return next < 0 ? -1 : readZone(b, readFraction(b, next, end, time), end, time)
}

/**
 * A year and no marks in the day, or marks that ISO 8601 does not have:
 *
 *   20240102T030405.678Z   20240102 03:04:05.678   20240102-03:04:05:678   20240102030405 is not known (an id may look so)
 *   2024-01-02-03.04.05.678901 (Db2)   2024.01.02 03:04:05   2024-01-02_03:04:05
 */
export function readCompact(b: Buffer, at: number, end: number, time: TimeRead): number {
  if (end - at < 15) return -1
  const year = two(b, at) * 100 + two(b, at + 2)
  const mark = b[at + 4]
  if (isDigit(mark)) {
    if (!setDay(time, year, two(b, at + 4), two(b, at + 6))) return -1
    const t = b[at + 8]
    if (t !== 0x54 && t !== 0x20 && t !== 0x2d && t !== 0x5f) return -1
    let next = at + 9
    if (isDigit(b[next]) && b[next + 2] === 0x3a) {
      next = readClock(b, next, end, time)
      if (next < 0) return -1
    } else {
      if (t !== 0x54 || !setClock(time, two(b, next), two(b, next + 2), two(b, next + 4))) return -1
      next += 6
    }
    return readZone(b, readFraction(b, next, end, time), end, time)
  }
  if ((mark !== 0x2d && mark !== 0x2e) || b[at + 7] !== mark || end - at < 19) return -1
  if (!setDay(time, year, two(b, at + 5), two(b, at + 8))) return -1
  const t = b[at + 10]
  if (mark === 0x2d && t === 0x2d && b[at + 13] === 0x2e && b[at + 16] === 0x2e) {
    if (!setClock(time, two(b, at + 11), two(b, at + 14), two(b, at + 17))) return -1
    return readZone(b, readFraction(b, at + 19, end, time), end, time)
  }
  if (t !== 0x20 && t !== 0x5f && t !== 0x2d) return -1
  const next = readClock(b, at + 11, end, time)
  return next < 0 ? -1 : readZone(b, readFraction(b, next, end, time), end, time)
}

/** 01-02 03:04:05.678 (Android's logcat): no year. */
export function readLogcatTime(b: Buffer, at: number, end: number, time: TimeRead): number {
  if (end - at < 18 || b[at + 2] !== 0x2d || b[at + 5] !== 0x20) return -1
  if (!setDayOfYear(time, two(b, at), two(b, at + 3))) return -1
  const clockEnd = readClock(b, at + 6, end, time)
  if (clockEnd < 0 || b[clockEnd] !== 0x2e) return -1
  time.hasYear = false
  time.isUtc = false
  return readFraction(b, clockEnd, end, time)
}

/**
 * Behind a letter that is the level: 0102 03:04:05.678901 (klog, glog; no year), 20240102 03:04:05.678901 (newer glog),
 * 240102 03:04:05 (Tornado).
 */
export function readLetterTime(b: Buffer, at: number, end: number, time: TimeRead): number {
  let digits = 0
  while (at + digits < end && digits < 9 && isDigit(b[at + digits])) digits++
  if (b[at + digits] !== 0x20) return -1
  time.seconds = 0
  if (digits === 4) {
    if (!setDayOfYear(time, two(b, at), two(b, at + 2))) return -1
  } else if (digits === 6) {
    if (!setDay(time, 2000 + two(b, at), two(b, at + 2), two(b, at + 4))) return -1
  } else if (digits === 8) {
    if (!setDay(time, two(b, at) * 100 + two(b, at + 2), two(b, at + 4), two(b, at + 6))) return -1
  } else return -1
  const next = readClock(b, at + digits + 1, end, time)
  if (next < 0) return -1
  time.hasYear = digits !== 4
  time.isUtc = false
  return readFraction(b, next, end, time)
}

/** 03:04:05.678 (logback's and log4j's default): the day is not written. */
export function readClockOnly(b: Buffer, at: number, end: number, time: TimeRead): number {
  time.seconds = 0
  const next = readClock(b, at, end, time)
  if (next < 0) return -1
  time.hasYear = false
  time.hasDay = false
  time.isUtc = false
  return readFraction(b, next, end, time)
}

/** TAI is ahead of UTC by this since 2017; svscan's multilog and s6 write labels with 10 s and no leap seconds at all. */
const TAI_AHEAD_SECONDS = 10

/** @4000000065937b2f075bcd15 (TAI64N: multilog, s6) */
export function readTai(b: Buffer, at: number, end: number, time: TimeRead): number {
  if (end - at < 25 || b[at] !== 0x40 || b[at + 1] !== 0x34) return -1
  let seconds = 0
  let nanos = 0
  for (let i = 1; i <= 24; i++) {
    const value = hexDigit(b[at + i])
    if (value < 0) return -1
    // The first is 2 to the 62, that of 1970; the four after it are centuries ahead.
    if (i > 1 && i <= 16) seconds = seconds * 16 + value
    else if (i > 16) nanos = nanos * 16 + value
  }
  if (at + 25 < end && isWordByte(b[at + 25])) return -1
  seconds -= TAI_AHEAD_SECONDS
  if (seconds < 0 || seconds > 9_000_000_000 || nanos > 999_999_999) return -1
  time.seconds = seconds
  time.nanos = nanos
  time.isUtc = true
  time.hasYear = true
  return at + 25
}

function hexDigit(c: number): number {
  if (isDigit(c)) return c - 0x30
  const letter = c | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}
