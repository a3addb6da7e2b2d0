// Time stamps in text, both ways: kinds, separators and digits of the fraction are a *format*, of which a block has up to
// 16; what is left is seconds and a fraction.
//
//   kind 1  YYYY?MM?DD?hh?mm?ss   separators a (twice), b, c (twice)      kind 5  yy/mm/dd hh:mm:ss
//        2  dd/Mon/yyyy:hh:mm:ss                                          6  Mon dd hh:mm:ss   (the year is taken as 2000)
//        3  epoch: 10 digits, the first a 1                               7  yymmdd hhmmss
//        4  hh:mm:ss
//   then, except for kind 7, an optional `.` or `,` and 1 to 9 digits; for kind 3 also 3, 6 or 9 digits with nothing between.
//
//   format: key = kind | a << 3 | b << 11 | c << 19, fraction = digits | separator << 4, then two words of state:
//   seconds and fraction of the former first stamp of a line in this format.
import {
  clockAt,
  copy,
  div,
  equal,
  type i32,
  leadingZeros,
  load8,
  load32,
  mul,
  store8,
  store32,
  storeDigits,
} from './memory.ts'
import {
  CLASSES,
  DIGIT,
  FORMAT_BYTES,
  FORMATS,
  FORMATS_MAX,
  MONTH_DAYS,
  PAIRS,
  POWERS,
  prepareTables,
  STAMP_TEXT_BYTES,
  STAMP_TEXTS,
  WORD,
} from './places.ts'

export const KIND_ISO: i32 = 1
export const KIND_ACCESS: i32 = 2
export const KIND_EPOCH: i32 = 3
export const KIND_CLOCK: i32 = 4
export const KIND_SHORT: i32 = 5
export const KIND_SYSLOG: i32 = 6
export const KIND_DIGITS: i32 = 7

export const DAY_SECONDS: i32 = 86400
/** Seconds are signed 32 bits: later years stay plain variables. */
const YEAR_MAX: i32 = 2037
const NOT_A_NUMBER: i32 = -1000000

/** What `readStamp` and `readSyslog` found. */
export let stampEnd: i32 = 0
export let stampSeconds: i32 = 0
export let stampFraction: i32 = 0
export let stampFormat: i32 = 0
export let formatCount: i32 = 0

let dayKey: i32 = -1
let dayNumber: i32 = 0
/** The date that was read last: what kind, where it stands in the text, its day. */
let dateKind: i32 = 0
let dateAt: i32 = 0
let dateDays: i32 = 0

/** First of all: some who only write time stamps come here before anybody has prepared the tables. */
export function forgetFormats(): void {
  prepareTables()
  formatCount = 0
  stampFormat = 0
  dateKind = 0
}

/** For the decoder. */
export function addFormat(key: i32, fraction: i32): void {
  const at = FORMATS + formatCount * FORMAT_BYTES
  store32(at, key)
  store32(at + 4, fraction)
  store32(at + 8, 0)
  store32(at + 12, 0)
  store32(STAMP_TEXTS + formatCount * STAMP_TEXT_BYTES + 4, 0)
  formatCount++
}

export function formatKind(format: i32): i32 {
  return load32(FORMATS + format * FORMAT_BYTES) & 7
}

export function fractionDigits(format: i32): i32 {
  return load32(FORMATS + format * FORMAT_BYTES + 4) & 15
}

/** Digits that begin a time stamp of this format. */
export function stampDigits(format: i32): i32 {
  const kind = formatKind(format)
  if (kind === KIND_ISO) return 4
  if (kind === KIND_DIGITS) return 6
  if (kind !== KIND_EPOCH) return 2
  const fraction = load32(FORMATS + format * FORMAT_BYTES + 4)
  return fraction >> 4 === 0 ? 10 + (fraction & 15) : 10
}

/** Days since 1970; -1 for no day of the years 1970 to YEAR_MAX. */
function daysOf(year: i32, month: i32, day: i32): i32 {
  // Each has two digits at most: 2021-82-27, which is none, must not look like the day that was asked for before.
  const key = (year * 100 + month) * 100 + day
  if (key === dayKey) return dayNumber
  if (month < 1 || month > 12 || day < 1 || day > load8(MONTH_DAYS + month)) return -1
  if (year < 1970 || year > YEAR_MAX) return -1
  if (month === 2 && day === 29 && (year & 3) !== 0) return -1
  // Hinnant's days_from_civil; 2000 is a leap year and 2100 is beyond YEAR_MAX, so every fourth year is one.
  const y = month <= 2 ? year - 1 : year
  const dayOfYear = div(153 * (month + (month > 2 ? -3 : 9)) + 2, 5) + day - 1
  dayKey = key
  dayNumber = y * 365 + (y >> 2) - div(y, 100) + div(y, 400) + dayOfYear - 719468
  return dayNumber
}

function two(at: i32): i32 {
  const high = load8(at) - 48
  const low = load8(at + 1) - 48
  return (high | (9 - high) | low | (9 - low)) < 0 ? NOT_A_NUMBER : high * 10 + low
}

/** 1 to 12, 0 for no name of a month. */
function monthAt(at: i32): i32 {
  const name = (load8(at) << 16) | (load8(at + 1) << 8) | load8(at + 2)
  for (let month: i32 = 1; month <= 12; month++) if (monthName(month) === name) return month
  return 0
}

/** Its three letters as one number. */
export function monthName(month: i32): i32 {
  switch (month) {
    case 1:
      return 0x4a616e
    case 2:
      return 0x466562
    case 3:
      return 0x4d6172
    case 4:
      return 0x417072
    case 5:
      return 0x4d6179
    case 6:
      return 0x4a756e
    case 7:
      return 0x4a756c
    case 8:
      return 0x417567
    case 9:
      return 0x536570
    case 10:
      return 0x4f6374
    case 11:
      return 0x4e6f76
    default:
      return 0x446563
  }
}

function clockOf(hours: i32, minutes: i32, seconds: i32): i32 {
  if ((hours | minutes | seconds) < 0 || hours > 23 || minutes > 59 || seconds > 59) return -1
  return hours * 3600 + minutes * 60 + seconds
}

/** An optional fraction, then the number of the format; 0 if there are too many formats. */
function finish(end: i32, key: i32): i32 {
  let fraction: i32 = 0
  stampFraction = 0
  stampEnd = end
  const separator = load8(end)
  if (separator === 46 || separator === 44) {
    let at = end + 1
    let value: i32 = 0
    while (at - end <= 9) {
      const digit = load8(at) - 48
      if (digit < 0 || digit > 9) break
      value = mul(value, 10) + digit
      at++
    }
    if (at > end + 1 && (load8(CLASSES + load8(at)) & DIGIT) === 0) {
      fraction = (separator << 4) | (at - end - 1)
      stampFraction = value
      stampEnd = at
    }
  }
  return useFormat(key, fraction)
}

function useFormat(key: i32, fraction: i32): i32 {
  const last = FORMATS + stampFormat * FORMAT_BYTES
  if (stampFormat < formatCount && load32(last) === key && load32(last + 4) === fraction) return 1
  for (let format: i32 = 0; format < formatCount; format++) {
    const at = FORMATS + format * FORMAT_BYTES
    if (load32(at) === key && load32(at + 4) === fraction) {
      stampFormat = format
      return 1
    }
  }
  if (formatCount === FORMATS_MAX) return 0
  addFormat(key, fraction)
  stampFormat = formatCount - 1
  return 1
}

/** Whether digits of this number may begin a time stamp: a cheap question before `readStamp`. */
export function mayBeStamp(length: i32, after: i32): i32 {
  if (length === 2) return after === 58 || after === 47 ? 1 : 0
  if (length === 4) return after === 45 || after === 47 || after === 46 ? 1 : 0
  if (length === 6) return after === 32 ? 1 : 0
  return length === 10 || length === 13 || length === 16 || length === 19 ? 1 : 0
}

/** 1 if a time stamp begins at `at`, where a word of `length` digits and nothing else begins. */
export function readStamp(at: i32, length: i32): i32 {
  if (length === 4) return readIso(at)
  if (length === 2) {
    if (load8(at + 2) === 58) {
      stampSeconds = clockAt(at, 58)
      return stampSeconds < 0 ? 0 : finish(at + 8, KIND_CLOCK)
    }
    if (load8(at + 2) !== 47) return 0
    return load8(at + 6) === 47 && load8(at + 11) === 58 ? readAccess(at) : readShort(at)
  }
  if (length === 6) return readDigits(at)
  return readEpoch(at, length)
}

function setStamp(days: i32, clock: i32): void {
  stampSeconds = mul(days, DAY_SECONDS) + clock
}

/** Most have the date of the one before: 1 if it is that, separators and all. */
function hasDateOf(kind: i32, at: i32, count: i32): i32 {
  return dateKind === kind ? equal(at, dateAt, count) : 0
}

function keepDate(kind: i32, at: i32, days: i32): i32 {
  if (days < 0) return 0
  dateKind = kind
  dateAt = at
  dateDays = days
  return 1
}

function readIso(at: i32): i32 {
  const c = load8(at + 13)
  if (c !== 58 && c !== 46) return 0
  const clock = clockAt(at + 11, c)
  if (clock < 0 || (hasDateOf(KIND_ISO, at, 11) === 0 && readIsoDate(at) === 0)) return 0
  setStamp(dateDays, clock)
  return finish(at + 19, KIND_ISO | (load8(at + 4) << 3) | (load8(at + 10) << 11) | (c << 19))
}

function readIsoDate(at: i32): i32 {
  const a = load8(at + 4)
  if ((a !== 45 && a !== 47 && a !== 46) || load8(at + 7) !== a) return 0
  const b = load8(at + 10)
  if (b !== 32 && b !== 84 && b !== 45) return 0
  const month = two(at + 5)
  const day = two(at + 8)
  const year = two(at) * 100 + two(at + 2)
  return (year | month | day) < 0 ? 0 : keepDate(KIND_ISO, at, daysOf(year, month, day))
}

function readAccess(at: i32): i32 {
  const clock = clockAt(at + 12, 58)
  if (clock < 0 || (hasDateOf(KIND_ACCESS, at, 12) === 0 && readAccessDate(at) === 0)) return 0
  setStamp(dateDays, clock)
  return finish(at + 20, KIND_ACCESS)
}

/** The slashes before the year and the colon behind it were seen. */
function readAccessDate(at: i32): i32 {
  const month = monthAt(at + 3)
  const year = two(at + 7) * 100 + two(at + 9)
  const day = two(at)
  return month === 0 || (year | day) < 0 ? 0 : keepDate(KIND_ACCESS, at, daysOf(year, month, day))
}

function readShort(at: i32): i32 {
  if (load8(at + 5) !== 47 || load8(at + 8) !== 32) return 0
  const clock = clockAt(at + 9, 58)
  if (clock < 0 || (hasDateOf(KIND_SHORT, at, 9) === 0 && readShortDate(at) === 0)) return 0
  setStamp(dateDays, clock)
  return finish(at + 17, KIND_SHORT)
}

function readShortDate(at: i32): i32 {
  const year = two(at)
  const month = two(at + 3)
  const day = two(at + 6)
  return (year | month | day) < 0 ? 0 : keepDate(KIND_SHORT, at, daysOf(2000 + year, month, day))
}

function readDigits(at: i32): i32 {
  if (load8(at + 6) !== 32 || (load8(CLASSES + load8(at + 13)) & WORD) !== 0) return 0
  const year = two(at)
  const month = two(at + 2)
  const day = two(at + 4)
  const clock = clockOf(two(at + 7), two(at + 9), two(at + 11))
  if ((clock | year | month | day) < 0) return 0
  const days = daysOf(2000 + year, month, day)
  if (days < 0) return 0
  setStamp(days, clock)
  stampFraction = 0
  stampEnd = at + 13
  return useFormat(KIND_DIGITS, 0)
}

function readEpoch(at: i32, length: i32): i32 {
  if (load8(at) !== 49) return 0
  let value: i32 = 0
  for (let i: i32 = 0; i < 10; i++) {
    const digit = load8(at + i) - 48
    if (digit < 0 || digit > 9) return 0
    value = mul(value, 10) + digit
  }
  stampSeconds = value
  if (length === 10) return finish(at + 10, KIND_EPOCH)
  value = 0
  for (let i: i32 = 10; i < length; i++) {
    const digit = load8(at + i) - 48
    if (digit < 0 || digit > 9) return 0
    value = mul(value, 10) + digit
  }
  stampFraction = value
  stampEnd = at + length
  return useFormat(KIND_EPOCH, length - 10)
}

/** 1 if a line begins with `Mon dd hh:mm:ss`. */
export function readSyslog(at: i32): i32 {
  if (load8(at + 3) !== 32 || load8(at + 6) !== 32 || load8(at + 9) !== 58) return 0
  const clock = clockAt(at + 7, 58)
  if (clock < 0 || (hasDateOf(KIND_SYSLOG, at, 7) === 0 && readSyslogDate(at) === 0)) return 0
  setStamp(dateDays, clock)
  return finish(at + 15, KIND_SYSLOG)
}

function readSyslogDate(at: i32): i32 {
  const month = monthAt(at)
  const tens = load8(at + 4)
  const ones = load8(at + 5) - 48
  if (month === 0 || ones < 0 || ones > 9) return 0
  if (tens !== 32 && (tens < 49 || tens > 51)) return 0
  const day = tens === 32 ? ones : (tens - 48) * 10 + ones
  return keepDate(KIND_SYSLOG, at, daysOf(2000, month, day))
}

// ── Writing ──

let civilDay: i32 = -1
let civilYear: i32 = 0
let civilMonth: i32 = 0
let civilDate: i32 = 0

function toCivil(day: i32): void {
  if (day === civilDay) return
  civilDay = day
  const z = day + 719468
  const era = div(z, 146097)
  const dayOfEra = z - era * 146097
  const yearOfEra = div(dayOfEra - div(dayOfEra, 1460) + div(dayOfEra, 36524) - div(dayOfEra, 146096), 365)
  const dayOfYear = dayOfEra - (365 * yearOfEra + (yearOfEra >> 2) - div(yearOfEra, 100))
  const m = div(5 * dayOfYear + 2, 153)
  civilDate = dayOfYear - div(153 * m + 2, 5) + 1
  civilMonth = m < 10 ? m + 3 : m - 9
  civilYear = yearOfEra + era * 400 + (civilMonth <= 2 ? 1 : 0)
}

function writeTwo(at: i32, value: i32): void {
  // A damaged block may have any: wrong digits, but the same in both forms.
  const pair = PAIRS + (value >= 0 && value < 100 ? value * 2 : 0)
  store8(at, load8(pair))
  store8(at + 1, load8(pair + 1))
}

function writeClock(at: i32, seconds: i32, separator: i32): i32 {
  const hours = div(seconds, 3600)
  const minutes = div(seconds - hours * 3600, 60)
  writeTwo(at, hours)
  store8(at + 2, separator)
  writeTwo(at + 3, minutes)
  store8(at + 5, separator)
  writeTwo(at + 6, seconds - hours * 3600 - minutes * 60)
  return at + 8
}

function writeYear(at: i32): void {
  const century = div(civilYear, 100)
  writeTwo(at, century)
  writeTwo(at + 2, civilYear - century * 100)
}

function writeMonth(at: i32): void {
  const name = monthName(civilMonth)
  store8(at, name >> 16)
  store8(at + 1, (name >> 8) & 255)
  store8(at + 2, name & 255)
}

/** The longest is kind 1 with a fraction of 9 digits. */
export const STAMP_BYTES_MAX: i32 = 32

/**
 * The decimal digits of `value`, at least `width` of them with zeros before; `width` 0 for as many as there are. Only a
 * damaged block has negative ones: zeros.
 */
export function writeNumber(at: i32, value: i32, width: i32): i32 {
  const digits: i32 = width === 0 ? digitsOf(value) : width
  storeDigits(at, value < 0 ? 0 : value, digits)
  return at + digits
}

/** 1 to 10. */
function digitsOf(value: i32): i32 {
  // 1233 / 4096 is the logarithm of 2, as near as is needed.
  const guess = mul(32 - leadingZeros(value | 1), 1233) >> 12
  return (value | 1) < load32(POWERS + guess * 4) ? guess : guess + 1
}

/**
 * Most lines have the minute of a line before: what was written for it last is kept for each format, as its first second,
 * bytes, text. Values of a damaged block give wrong digits, never more than STAMP_BYTES_MAX.
 */
export function writeStamp(to: i32, format: i32, seconds: i32, fraction: i32): i32 {
  const former = STAMP_TEXTS + format * STAMP_TEXT_BYTES
  const bytes = load32(former + 4)
  const since = (seconds - load32(former)) | 0
  let at = to + bytes
  if (bytes > 0 && since >= 0 && since < 60) {
    copy(to, former + 8, bytes)
    writeTwo(at - 2, since)
  } else {
    at = writeSeconds(to, format, seconds)
    // Those of an epoch are no minutes and seconds.
    if (seconds >= 0 && formatKind(format) !== KIND_EPOCH) {
      store32(former, seconds - (seconds % 60))
      store32(former + 4, at - to)
      copy(former + 8, to, at - to)
    }
  }
  const rest = load32(FORMATS + format * FORMAT_BYTES + 4)
  const digits = rest & 15
  if (digits === 0) return at
  if (rest >> 4 !== 0) store8(at++, rest >> 4)
  return writeNumber(at, fraction, digits)
}

/** The longest is 20 bytes. */
function writeSeconds(to: i32, format: i32, seconds: i32): i32 {
  let at = to
  const key = load32(FORMATS + format * FORMAT_BYTES)
  const kind = key & 7
  if (kind === KIND_EPOCH) at = writeNumber(at, seconds, 10)
  else if (kind === KIND_CLOCK) at = writeClock(at, seconds, 58)
  else {
    const day = div(seconds, DAY_SECONDS)
    const clock = seconds - day * DAY_SECONDS
    toCivil(day)
    if (kind === KIND_ISO) {
      const a = (key >> 3) & 255
      writeYear(at)
      store8(at + 4, a)
      writeTwo(at + 5, civilMonth)
      store8(at + 7, a)
      writeTwo(at + 8, civilDate)
      store8(at + 10, (key >> 11) & 255)
      at = writeClock(at + 11, clock, (key >> 19) & 255)
    } else if (kind === KIND_SYSLOG) {
      writeMonth(at)
      store8(at + 3, 32)
      if (civilDate < 10) {
        store8(at + 4, 32)
        store8(at + 5, 48 + civilDate)
      } else writeTwo(at + 4, civilDate)
      store8(at + 6, 32)
      at = writeClock(at + 7, clock, 58)
    } else if (kind === KIND_ACCESS) {
      writeTwo(at, civilDate)
      store8(at + 2, 47)
      writeMonth(at + 3)
      store8(at + 6, 47)
      writeYear(at + 7)
      store8(at + 11, 58)
      at = writeClock(at + 12, clock, 58)
    } else if (kind === KIND_SHORT) {
      writeTwo(at, civilYear - 2000)
      store8(at + 2, 47)
      writeTwo(at + 3, civilMonth)
      store8(at + 5, 47)
      writeTwo(at + 6, civilDate)
      store8(at + 8, 32)
      at = writeClock(at + 9, clock, 58)
    } else {
      writeTwo(at, civilYear - 2000)
      writeTwo(at + 2, civilMonth)
      writeTwo(at + 4, civilDate)
      store8(at + 6, 32)
      const hours = div(clock, 3600)
      const minutes = div(clock - hours * 3600, 60)
      writeTwo(at + 7, hours)
      writeTwo(at + 9, minutes)
      writeTwo(at + 11, clock - hours * 3600 - minutes * 60)
      at += 13
    }
  }
  return at
}
