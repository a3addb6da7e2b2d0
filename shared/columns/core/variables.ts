// The variables of all lines, in the order of lines, 12 bytes each:
//
//   0          4                                            8
//   ┌──────────┬────────────────────────────────────────────┬─────────────────────────┐
//   │ start    │ length 24 bits · format 4 bits · flags     │ value or hash           │
//   └──────────┴────────────────────────────────────────────┴─────────────────────────┘
//   NUMBER          1 to 9 digits and nothing else; the value is the number
//   STAMP           the line's first time stamp; its seconds and fraction stand with the line
//   STAMP | LATER   a further one; the value is the difference of seconds to the first, zigzag
//   LATER           follows it, length 0; the value is the fraction, zigzag, less that of the first if of equal digits
//   otherwise       the value is a hash of the bytes
import { type i32, load32, store32 } from './memory.ts'
import {
  DAY_SECONDS,
  formatKind,
  fractionDigits,
  KIND_CLOCK,
  stampEnd,
  stampFormat,
  stampFraction,
  stampSeconds,
} from './stamps.ts'

export const VARIABLE_BYTES: i32 = 12
export const LENGTH_MASK: i32 = 0xffffff
export const NUMBER: i32 = 0x10000000
export const STAMP: i32 = 0x20000000
export const LATER: i32 = 0x40000000
/** Of one line; lines with more stay raw. */
export const VARIABLES_PER_LINE_MAX: i32 = 4096

/** Where the next variable is written. */
export let nextVariable: i32 = 0
/** Of the line being read: format of its first time stamp, or -1. */
export let lineFormat: i32 = -1
export let lineSeconds: i32 = 0
export let lineFraction: i32 = 0

export function setNextVariable(at: i32): void {
  nextVariable = at
}

export function beginLine(): void {
  lineFormat = -1
  lineSeconds = 0
  lineFraction = 0
}

export function zigzag(value: i32): i32 {
  return (value << 1) ^ (value >> 31)
}

export function unzigzag(value: i32): i32 {
  return (value >>> 1) ^ -(value & 1)
}

export function variableStart(at: i32): i32 {
  return load32(at)
}

export function variableLength(at: i32): i32 {
  return load32(at + 4) & LENGTH_MASK
}

/** Writes the time stamp that was just read, which begins at `start`; the place after it. */
export function putStamp(at: i32, start: i32): i32 {
  const length = (stampEnd - start) | (stampFormat << 24)
  store32(at, start)
  if (lineFormat < 0) {
    lineFormat = stampFormat
    lineSeconds = stampSeconds
    lineFraction = stampFraction
    store32(at + 4, length | STAMP)
    store32(at + 8, 0)
    return at + VARIABLE_BYTES
  }
  let seconds = (stampSeconds - lineSeconds) | 0
  if (formatKind(stampFormat) === KIND_CLOCK) {
    seconds = seconds % DAY_SECONDS
    if (seconds < 0) seconds += DAY_SECONDS
  }
  const fraction =
    fractionDigits(stampFormat) === fractionDigits(lineFormat) ? (stampFraction - lineFraction) | 0 : stampFraction
  store32(at + 4, length | STAMP | LATER)
  store32(at + 8, zigzag(seconds))
  store32(at + 12, stampEnd)
  store32(at + 16, LATER)
  store32(at + 20, zigzag(fraction))
  return at + 2 * VARIABLE_BYTES
}
