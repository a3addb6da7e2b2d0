// A line into static bytes and variables. Both readers write the line's variables from `nextVariable` on, leave a hash
// of the static part in `hashA` and `hashB`, and in `isRaw` whether the line cannot be held by a template.
//   words   a variable is a word with a digit in it; joined: also what hangs on it by `.` `:` `-` (addresses, UUIDs)
//   fields  a variable is what stands between spaces or brackets, or in quotes, up to a number of them, then the rest

import { hashedUpTo } from './jumps.ts'
import { div, type i32, lineEnd, load8, mul, store32 } from './memory.ts'
import { CLASSES, DIGIT, FIELD, FORBIDDEN } from './places.ts'
import {
  digitFrom,
  digitWord,
  fieldEnd,
  hashOf,
  isForbidden,
  putQuoted,
  putWord,
  variableEnd,
  wordStart,
} from './scan.ts'
import { mayBeStamp, readStamp, readSyslog, stampEnd, stampFormat } from './stamps.ts'
import {
  beginLine,
  nextVariable,
  putStamp,
  setNextVariable,
  VARIABLE_BYTES,
  VARIABLES_PER_LINE_MAX,
} from './variables.ts'

export let hashA: i32 = 0
export let hashB: i32 = 0
export let isRaw: i32 = 0
/** Of the line that `readWords` read last: behind each variable the hash of what lies before (jumps.ts), four bytes for one. */
export let prefixes: i32 = 0

/** Of one variable or line of a template. */
const LINE_BYTES_MAX: i32 = 1 << 20
const PREFIXES_BYTES: i32 = (VARIABLES_PER_LINE_MAX + 4) * 4
/** A JSON line may have so many fields; another line has what the caller says. */
export const JSON_FIELDS_MAX: i32 = 400

const HASH_FACTOR: i32 = -1640531535
const DIGIT_FIELD: i32 = DIGIT | FIELD
/** What a variable adds to the hash of the static part. */
const OF_WORD: i32 = 0x100
const OF_QUOTED: i32 = 0x103
const OF_REST: i32 = 0x104
const OF_STAMP: i32 = 0x200

/** 1 if a month's name may begin here: A, D, F, J, M, N, O, S. */
function mayBeMonth(byte: i32): i32 {
  return byte >= 65 && byte <= 83 ? 1 : 0
}

/** The place behind. */
export function placePrefixes(at: i32): i32 {
  prefixes = at
  return at + PREFIXES_BYTES
}

/** The line that begins at `from`; answers the place of its line end. */
export function readWords(from: i32): i32 {
  const end = lineEnd(from)
  let a: i32 = 0x2545f491
  let b: i32 = 0
  let isTooLong: i32 = 0
  let variable = nextVariable
  const first = variable
  const limit = variable + VARIABLES_PER_LINE_MAX * VARIABLE_BYTES
  beginLine()
  let prefix: i32 = 0
  store32(prefixes, prefix)
  // Behind the variable that was read last.
  let at = from
  if (mayBeMonth(load8(at)) !== 0 && readSyslog(at) !== 0) {
    variable = putStamp(variable, at)
    at = stampEnd
    a = mul(a ^ (stampFormat + OF_STAMP), HASH_FACTOR)
    prefix = stampFormat + OF_STAMP
  }
  for (;;) {
    store32(prefixes + div(variable - first, VARIABLE_BYTES / 4), prefix)
    const digit = digitFrom(at, end)
    if (digit >= end) break
    const start = wordStart(digit, at)
    const hash = hashOf(at, start)
    a = mul(a ^ hash, HASH_FACTOR)
    prefix = hashedUpTo(prefix, at, start)
    b = (mul(b, 33) + hash + start - at) | 0
    if (variable >= limit) {
      isTooLong = 1
      variable = nextVariable
    }
    const digits: i32 = start === digit ? digitWord(start) : 0
    if (digits !== 0 && mayBeStamp(digits, load8(start + digits)) !== 0 && readStamp(start, digits) !== 0) {
      variable = putStamp(variable, start)
      at = stampEnd
      a = mul(a ^ (stampFormat + OF_STAMP), HASH_FACTOR)
      b = (mul(b, 33) + stampFormat + 7) | 0
      prefix = (prefix + stampFormat + OF_STAMP) | 0
      continue
    }
    at = variableEnd(digit)
    variable = putWord(variable, start, at)
    a = mul(a ^ OF_WORD, HASH_FACTOR)
    b = (mul(b, 33) + OF_WORD) | 0
  }
  setNextVariable(variable)
  const rest = hashOf(at, end)
  hashA = mul(a ^ rest, HASH_FACTOR)
  hashB = (mul(b, 33) + rest + end - at) | 0
  isRaw = isTooLong !== 0 || end - from > LINE_BYTES_MAX || isForbidden(from, end) !== 0 ? 1 : 0
  return end
}

/** How many digits begin at `at`, up to 20. */
function digitsAt(at: i32): i32 {
  let end = at
  while (end - at < 20 && load8(CLASSES + load8(end)) === DIGIT_FIELD) end++
  return end - at
}

/** The line [from, end), `end` being its line end. At most `fieldsMax` fields; what follows is one variable. */
export function readFields(from: i32, end: i32, fieldsMax: i32): void {
  let at = from
  let a: i32 = mul(0x1b873593, fieldsMax)
  let b: i32 = fieldsMax
  let fields: i32 = 0
  let seen: i32 = 0
  let variable = nextVariable
  const limit = variable + (VARIABLES_PER_LINE_MAX - JSON_FIELDS_MAX) * VARIABLE_BYTES
  beginLine()
  let byte = load8(at)
  const max = byte === 123 ? JSON_FIELDS_MAX : fieldsMax
  if (mayBeMonth(byte) !== 0 && readSyslog(at) !== 0) {
    variable = putStamp(variable, at)
    at = stampEnd
    a = mul(a ^ (stampFormat + OF_STAMP), HASH_FACTOR)
  }
  while (at < end) {
    byte = load8(at)
    const kind = load8(CLASSES + byte)
    if (variable >= limit) {
      // Time stamps are no fields: a line of thousands of them.
      seen |= FORBIDDEN
      variable = nextVariable
    }
    if (byte === 34) {
      const quote = closingQuote(at + 1, end)
      if (quote < end) {
        if (load8(quote + 1) === 58) {
          // A key of JSON is static.
          for (; at <= quote; at++) {
            const c = load8(at)
            seen |= load8(CLASSES + c)
            a = mul(a ^ c, HASH_FACTOR)
            b = (mul(b, 33) + c) | 0
          }
          continue
        }
        if (fields < max) {
          const digits = digitsAt(at + 1)
          if (digits > 0 && quote - at > 10 && mayBeStamp(digits, load8(at + 1 + digits)) !== 0) {
            if (readStamp(at + 1, digits) !== 0 && stampEnd <= quote) {
              variable = putStamp(variable, at + 1)
              a = mul(a ^ (stampFormat + OF_STAMP), HASH_FACTOR)
              b = (mul(b, 33) + stampFormat + 9) | 0
              // What is left of the quoted text is static: a zone.
              for (at = stampEnd; at <= quote; at++) {
                const c = load8(at)
                seen |= load8(CLASSES + c)
                a = mul(a ^ c, HASH_FACTOR)
                b = (mul(b, 33) + c) | 0
              }
              continue
            }
          }
          variable = putQuoted(variable, at + 1, quote)
          fields++
          a = mul(a ^ OF_QUOTED, HASH_FACTOR)
          b = (mul(b, 33) + OF_QUOTED) | 0
          at = quote + 1
          continue
        }
      }
    }
    if ((kind & FIELD) !== 0) {
      if (fields >= max) {
        variable = putQuoted(variable, at, end)
        a = mul(a ^ OF_REST, HASH_FACTOR)
        b = (mul(b, 33) + OF_REST) | 0
        break
      }
      if ((kind & DIGIT) !== 0) {
        const digits = digitsAt(at)
        if (mayBeStamp(digits, load8(at + digits)) !== 0 && readStamp(at, digits) !== 0) {
          variable = putStamp(variable, at)
          a = mul(a ^ (stampFormat + OF_STAMP), HASH_FACTOR)
          at = stampEnd
          continue
        }
      }
      const start = at
      at = fieldEnd(at)
      variable = putWord(variable, start, at)
      fields++
      a = mul(a ^ OF_WORD, HASH_FACTOR)
      b = (mul(b, 33) + OF_WORD) | 0
      continue
    }
    seen |= kind
    a = mul(a ^ byte, HASH_FACTOR)
    b = (mul(b, 33) + byte) | 0
    at++
  }
  setNextVariable(variable)
  hashA = a
  hashB = b
  isRaw = (seen & FORBIDDEN) !== 0 || end - from > LINE_BYTES_MAX ? 1 : 0
}

/** `end` if there is none. */
function closingQuote(from: i32, end: i32): i32 {
  let at = from
  while (at < end) {
    const byte = load8(at)
    if (byte === 34) return at
    if (byte === 92) at++
    at++
  }
  return end
}
