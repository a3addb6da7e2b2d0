// Words of the text being encoded: where they begin, where they end, what they are. The second module that differs between
// the two forms: for WebAssembly the build puts scan.as in its place. Here a byte is looked at when it is asked for.
import { type i32, load8, mul, store32 } from './memory.ts'
import { CLASSES, DIGIT, FIELD, FIELD_MARK, FORBIDDEN, JOINER, WORD } from './places.ts'
import { NUMBER, VARIABLE_BYTES } from './variables.ts'

const HASH_SEED: i32 = -2128831035
const HASH_FACTOR: i32 = -1640531535
const DIGIT_FIELD: i32 = DIGIT | FIELD
const JOINING: i32 = JOINER | FIELD | FIELD_MARK

let isJoining: i32 = 0

/** @param isJoined  1: words are joined over `.` `:` `-` */
export function beginScan(isJoined: i32): void {
  isJoining = isJoined
}

/** 1 if the bytes have one that marks something in templates. */
export function isForbidden(from: i32, end: i32): i32 {
  for (let at = from; at < end; at++) if ((load8(CLASSES + load8(at)) & FORBIDDEN) !== 0) return 1
  return 0
}

/** The first digit from `from` on; what is not before `end` if there is none. */
export function digitFrom(from: i32, end: i32): i32 {
  let at = from
  while (at < end && (load8(CLASSES + load8(at)) & DIGIT) === 0) at++
  return at
}

/** Where the word begins that has a digit at `digit`; nothing before `from` belongs to it. */
export function wordStart(digit: i32, from: i32): i32 {
  let at = digit
  while (at > from && (load8(CLASSES + load8(at - 1)) & WORD) !== 0) at--
  return at
}

/** Where the variable ends that has a digit of its first word at `digit`. */
export function variableEnd(digit: i32): i32 {
  let at = digit
  for (;;) {
    while ((load8(CLASSES + load8(at)) & WORD) !== 0) at++
    if (isJoining === 0 || load8(CLASSES + load8(at)) !== JOINING) return at
    if ((load8(CLASSES + load8(at + 1)) & WORD) === 0) return at
    at++
  }
}

/** Where the variable ends that begins at `start`; 0 if none does, for the word there has no digit. */
export function variableAt(start: i32): i32 {
  let at = start
  for (let kind = load8(CLASSES + load8(at)); (kind & WORD) !== 0; kind = load8(CLASSES + load8(++at))) {
    if ((kind & DIGIT) !== 0) return variableEnd(at)
  }
  return 0
}

/** How long the word at `start` is if it is nothing but digits; else 0. Also 0, or not, if it is 32 bytes long or more. */
export function digitWord(start: i32): i32 {
  let at = start
  while ((load8(CLASSES + load8(at)) & DIGIT) !== 0) at++
  return (load8(CLASSES + load8(at)) & WORD) === 0 ? at - start : 0
}

/** Equal for equal bytes; each form has its own. */
export function hashOf(from: i32, to: i32): i32 {
  let hash: i32 = HASH_SEED
  for (let at = from; at < to; at++) hash = mul(hash ^ load8(at), HASH_FACTOR)
  return hash ^ (hash >>> 15)
}

/** Writes the variable [start, end), which is no time stamp; the place after it. */
export function putWord(at: i32, start: i32, end: i32): i32 {
  const length = end - start
  let hash: i32 = HASH_SEED
  let value: i32 = 0
  let kinds: i32 = 0
  for (let i = start; i < end; i++) {
    const byte = load8(i)
    kinds |= load8(CLASSES + byte)
    hash = mul(hash ^ byte, HASH_FACTOR)
    value = mul(value, 10) + byte - 48
  }
  const isNumber = kinds === DIGIT_FIELD && length < 10
  store32(at, start)
  store32(at + 4, isNumber ? length | NUMBER : length)
  store32(at + 8, isNumber ? value : hash ^ (hash >>> 15))
  return at + VARIABLE_BYTES
}

/**
 * How many digits the variable at `start` has if it is a number and what follows leaves no doubt; 0 if it may still be one:
 * `variableAt` knows.
 */
export function numberAt(start: i32): i32 {
  let at = start
  let kind = load8(CLASSES + load8(at))
  while (kind === DIGIT_FIELD && at - start < 10) kind = load8(CLASSES + load8(++at))
  return at - start < 10 && (kind & (isJoining !== 0 ? WORD | JOINER : WORD)) === 0 ? at - start : 0
}

/** Writes the number of `length` digits at `start`; the place after it. */
export function putNumber(at: i32, start: i32, length: i32): i32 {
  let value: i32 = 0
  for (let i = start; i < start + length; i++) value = mul(value, 10) + load8(i) - 48
  store32(at, start)
  store32(at + 4, length | NUMBER)
  store32(at + 8, value)
  return at + VARIABLE_BYTES
}

/** Writes a variable that never is a number: what stood in quotes, the rest of a line. */
export function putQuoted(at: i32, start: i32, end: i32): i32 {
  store32(at, start)
  store32(at + 4, end - start)
  store32(at + 8, hashOf(start, end))
  return at + VARIABLE_BYTES
}

/** Where the field ends that begins at `start`: there, if none does. */
export function fieldEnd(start: i32): i32 {
  let at = start
  while ((load8(CLASSES + load8(at)) & FIELD) !== 0) at++
  return at
}
