// Time stamps as the columns mean them, written out again; and where in such a text something could be at all.
import {
  DAY_SECONDS,
  KIND_ACCESS,
  KIND_CLOCK,
  KIND_EPOCH,
  KIND_ISO,
  KIND_SHORT,
  KIND_SYSLOG,
} from '../columns/core/stamps.ts'
import type { StampFormat } from './column-parts.ts'
import { writeNumber } from './column-values.ts'

/** The longest: a date, a time, a separator, nine digits; numbers that no calendar has may be a little longer. */
export const STAMP_BYTES_MAX = 64

const MONTHS = Buffer.from('JanFebMarAprMayJunJulAugSepOctNovDec')
const COLON = 58
const SLASH = 47
const SPACE = 32

let dayKnown = Number.NaN
let year = 0
let month = 0
let date = 0

/** Gregorian, from days since 1970: days are counted from 1 March of the year 0, so that the leap day is a year's last. */
function toCivil(day: number): void {
  if (day === dayKnown) return
  dayKnown = day
  const shifted = day + 719_468
  const era = Math.floor(shifted / 146_097)
  const dayOfEra = shifted - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153)
  date = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1
  month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
  year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
}

function two(into: Uint8Array, at: number, value: number): number {
  into[at] = 48 + Math.floor(value / 10)
  into[at + 1] = 48 + (value % 10)
  return at + 2
}

function clock(into: Uint8Array, at: number, seconds: number, separator: number): number {
  const minutes = Math.floor(seconds / 60)
  let to = two(into, at, Math.floor(minutes / 60))
  if (separator !== 0) into[to++] = separator
  to = two(into, to, minutes % 60)
  if (separator !== 0) into[to++] = separator
  return two(into, to, seconds % 60)
}

function monthName(into: Uint8Array, at: number): number {
  for (let i = 0; i < 3; i++) into[at + i] = MONTHS[(month - 1) * 3 + i]
  return at + 3
}

/** Answers the place behind. `into` has room for STAMP_BYTES_MAX. */
export function writeStamp(
  into: Uint8Array,
  from: number,
  format: StampFormat,
  seconds: number,
  fraction: number,
): number {
  let at = from
  const { kind, a, b, c } = format
  if (kind === KIND_EPOCH) at = writeNumber(into, at, seconds >>> 0, 10)
  else if (kind === KIND_CLOCK) at = clock(into, at, seconds, COLON)
  else {
    const day = Math.trunc(seconds / DAY_SECONDS)
    const ofDay = seconds - day * DAY_SECONDS
    toCivil(day)
    if (kind === KIND_ISO) {
      at = two(into, two(into, at, Math.floor(year / 100)), year % 100)
      into[at++] = a
      at = two(into, at, month)
      into[at++] = a
      at = two(into, at, date)
      into[at++] = b
      at = clock(into, at, ofDay, c)
    } else if (kind === KIND_SYSLOG) {
      at = monthName(into, at)
      into[at++] = SPACE
      if (date < 10) {
        into[at++] = SPACE
        into[at++] = 48 + date
      } else at = two(into, at, date)
      into[at++] = SPACE
      at = clock(into, at, ofDay, COLON)
    } else if (kind === KIND_ACCESS) {
      at = two(into, at, date)
      into[at++] = SLASH
      at = monthName(into, at)
      into[at++] = SLASH
      at = two(into, two(into, at, Math.floor(year / 100)), year % 100)
      into[at++] = COLON
      at = clock(into, at, ofDay, COLON)
    } else if (kind === KIND_SHORT) {
      at = two(into, at, year - 2000)
      into[at++] = SLASH
      at = two(into, at, month)
      into[at++] = SLASH
      at = two(into, at, date)
      into[at++] = SPACE
      at = clock(into, at, ofDay, COLON)
    } else {
      at = two(into, two(into, two(into, at, year - 2000), month), date)
      into[at++] = SPACE
      at = clock(into, at, ofDay, 0)
    }
  }
  if (format.digits > 0) {
    if (format.separator !== 0) into[at++] = format.separator
    at = writeNumber(into, at, fraction, format.digits)
  }
  return at
}

const samples = new Map<string, Buffer>()

/** A time stamp of this format: all others have digits and letters where it has them, and the same bytes elsewhere. */
export function sampleStamp(format: StampFormat): Buffer {
  const key = Object.values(format).join(' ')
  let sample = samples.get(key)
  if (!sample) {
    const into = Buffer.alloc(STAMP_BYTES_MAX)
    // 11 November 2011: digits everywhere, also where a date under 10 has a space.
    sample = into.subarray(0, writeStamp(into, 0, format, format.kind === KIND_CLOCK ? 0 : 1_321_000_000, 0))
    if (samples.size < 1000) samples.set(key, sample)
  }
  return sample
}

/** Whether `bytes` (lower case) could stand at `offset` of a stamp that looks like `sample`, as far as both reach. */
export function couldStandIn(sample: Buffer, offset: number, bytes: Uint8Array, from: number, length: number): boolean {
  for (let i = 0; i < length; i++) {
    const there = sample[offset + i]
    const sought = bytes[from + i]
    if (there >= 48 && there <= 57) {
      // A space: the first digit of a day may be one.
      if ((sought < 48 || sought > 57) && sought !== SPACE) return false
    } else if (isLetter(there) ? !isLetter(sought) && (there | 32) !== sought : there !== sought) return false
  }
  return true
}

function isLetter(byte: number): boolean {
  return (byte | 32) >= 97 && (byte | 32) <= 122
}
