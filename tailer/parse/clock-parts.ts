// The parts that every way of writing a time is made of: days, clocks, fractions, zones, names of months. Each reader
// answers the offset after what it read, or -1.
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
  /** Neither year nor day was written, the clock alone: `hasYear` is false too. */
  hasDay = true
}

/** More digits of a fraction are passed over, up to this many. */
const FRACTION_DIGITS_MAX = 32

/** hh:mm:ss, added to the day that is set. */
export function readClock(b: Buffer, at: number, end: number, time: TimeRead): number {
  if (end - at < 8 || b[at + 2] !== 0x3a || b[at + 5] !== 0x3a) return -1
  if (!setClock(time, two(b, at), two(b, at + 3), two(b, at + 6))) return -1
  const next = at + 8
  return next < end && isDigit(b[next]) ? -1 : next
}

/** h:mm:ss or hh:mm:ss, with ` AM` or ` PM` behind it where one stands there. */
export function readLooseClock(b: Buffer, at: number, end: number, time: TimeRead): number {
  const digits = at + 1 < end && b[at + 1] === 0x3a ? 1 : 2
  if (end - at < digits + 6 || b[at + digits] !== 0x3a || b[at + digits + 3] !== 0x3a) return -1
  let hour = digits === 1 ? digit(b, at) : two(b, at)
  let next = at + digits + 6
  if (next < end && isDigit(b[next])) return -1
  const half = halfOfDay(b, next, end)
  if (half >= 0) {
    if (hour < 1 || hour > 12) return -1
    hour = (hour % 12) + half * 12
  }
  if (!setClock(time, hour, two(b, at + digits + 1), two(b, at + digits + 4))) return -1
  if (half >= 0) next += 3
  return next
}

/** Of ` AM` and ` PM` (a narrow space is three bytes and not known): 0, 1; -1 for neither. */
function halfOfDay(b: Buffer, at: number, end: number): number {
  if (end - at < 3 || b[at] !== 0x20 || (b[at + 2] | 0x20) !== 0x6d || (at + 3 < end && isWordByte(b[at + 3])))
    return -1
  const letter = b[at + 1] | 0x20
  return letter === 0x61 ? 0 : letter === 0x70 ? 1 : -1
}

/** `.` or `,` and digits, or `:` and just three; kept to nanoseconds. */
export function readFraction(b: Buffer, at: number, end: number, time: TimeRead): number {
  time.nanos = 0
  if (at + 1 >= end || !isDigit(b[at + 1])) return at
  if (b[at] !== 0x2e && b[at] !== 0x2c) {
    if (b[at] !== 0x3a || end - at < 4 || (at + 4 < end && isWordByte(b[at + 4]))) return at
    const millis = two(b, at + 1) * 10 + digit(b, at + 3)
    if (millis < 0) return at
    time.nanos = millis * 1_000_000
    return at + 4
  }
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

/** Z, ±hh:mm, ±hhmm right there or after a space, ±hh right there, the name of a zone; none of them: the clock is local. */
export function readZone(b: Buffer, at: number, end: number, time: TimeRead): number {
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
  if (c >= 0x41 && c <= 0x5a) {
    const after = readZoneName(b, next, end, time)
    return after < 0 ? at : after
  }
  if ((c !== 0x2b && c !== 0x2d) || end - next < 3) return at
  const hours = two(b, next + 1)
  const colon = next + 3 < end && b[next + 3] === 0x3a ? 1 : 0
  let after = next + 5 + colon
  let minutes = after <= end ? two(b, next + 3 + colon) : -1
  if (minutes < 0 && colon === 0 && next === at && (next + 3 >= end || !isWordByte(b[next + 3]))) {
    // PostgreSQL: +00
    minutes = 0
    after = next + 3
  }
  if (hours < 0 || hours > 23 || minutes < 0 || minutes > 59 || (after < end && isDigit(b[after]))) return at
  time.seconds += (c === 0x2d ? 1 : -1) * (hours * 3600 + minutes * 60)
  time.isUtc = true
  return after
}

/**
 * Minutes east of Greenwich, of the abbreviations that mean one zone to most who read them. IST, BST, AST mean several:
 * a line with these is taken as local.
 */
const ZONE_NAMES: [name: string, minutes: number][] = [
  ['UTC', 0],
  ['GMT', 0],
  ['CET', 60],
  ['CEST', 120],
  ['EST', -300],
  ['EDT', -240],
  ['CST', -360],
  ['CDT', -300],
  ['MST', -420],
  ['MDT', -360],
  ['PST', -480],
  ['PDT', -420],
  ['WEST', 60],
  ['EET', 120],
  ['EEST', 180],
  ['MSK', 180],
  ['JST', 540],
  ['KST', 540],
  ['AEST', 600],
  ['AEDT', 660],
  ['NZST', 720],
  ['NZDT', 780],
]
const ZONES = ZONE_NAMES.map(([name, minutes]) => ({ bytes: Buffer.from(name), minutes }))

function readZoneName(b: Buffer, at: number, end: number, time: TimeRead): number {
  for (const { bytes, minutes } of ZONES) {
    const after = at + bytes.length
    if (b[at] !== bytes[0] || after > end || (after < end && isWordByte(b[after]))) continue
    let i = 1
    while (i < bytes.length && b[at + i] === bytes[i]) i++
    if (i < bytes.length) continue
    time.seconds -= minutes * 60
    time.isUtc = true
    return after
  }
  return -1
}

export function setDay(time: TimeRead, year: number, month: number, day: number): boolean {
  if (year < YEAR_MIN || year > YEAR_MAX || !isDay(year, month, day)) return false
  time.seconds = daysSince1970(year, month, day) * 86_400
  time.hasYear = true
  return true
}

/** A day of some year: 29 February too, which year is not known yet. */
export function setDayOfYear(time: TimeRead, month: number, day: number): boolean {
  if (!isDay(2000, month, day)) return false
  time.month = month
  time.day = day
  time.hasDay = true
  return true
}

/** A leap second (60) counts as the first of the next minute. */
export function setClock(time: TimeRead, hour: number, minute: number, second: number): boolean {
  if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) return false
  time.secondsOfDay = hour * 3600 + minute * 60 + second
  time.seconds += time.secondsOfDay
  return true
}

/** Two digits; a large negative number if they are not. Past the end of the buffer: the same. */
export function two(b: Buffer, at: number): number {
  const high = b[at] - 0x30
  const low = b[at + 1] - 0x30
  return high >= 0 && high <= 9 && low >= 0 && low <= 9 ? high * 10 + low : -100_000
}

export function digit(b: Buffer, at: number): number {
  return isDigit(b[at]) ? b[at] - 0x30 : -100_000
}

/** 1–12, or -1. The key is three letters in one number. */
export function monthAt(b: Buffer, at: number): number {
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

export function isWeekday(b: Buffer, at: number): boolean {
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
