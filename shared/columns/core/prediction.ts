// The cheap way to a line's template: guess it (the one that followed the former line's template last time), compare its
// static bytes by eights, and scan only the variables. Right for 20 to 99 % of the lines of a log.

import { firstVariable, lineStart, variableCount } from './lines.ts'
import { equal, type i32, load8, load32, mul, store32 } from './memory.ts'
import { CLASSES, DIGIT, FIELD, FORBIDDEN, WORD } from './places.ts'
import { formatKind, KIND_SYSLOG, readStamp, readSyslog, stampDigits, stampEnd, stampFormat } from './stamps.ts'
import { DIGIT_FIELD, HASH_FACTOR, HASH_SEED, JOINING, JSON_FIELDS_MAX } from './tokens.ts'
import {
  beginLine,
  LATER,
  LENGTH_MASK,
  NUMBER,
  nextVariable,
  putStamp,
  STAMP,
  setNextVariable,
  VARIABLE_BYTES,
} from './variables.ts'

/**
 * The line at `from` against the line `other` (words, not fields). Answers the place of its line end, its variables then
 * being written; or 0, and nothing has changed.
 */
export function predictWords(from: i32, other: i32, isJoined: i32): i32 {
  let at = from
  let variable = nextVariable
  let model = firstVariable(other)
  const modelEnd = model + variableCount(other) * VARIABLE_BYTES
  let staticAt = lineStart(other)
  beginLine()
  for (; model < modelEnd; model += VARIABLE_BYTES) {
    const modelStart = load32(model)
    const shape = load32(model + 4)
    const count = modelStart - staticAt
    if (equal(at, staticAt, count) === 0) return 0
    at += count
    staticAt = modelStart + (shape & LENGTH_MASK)
    if ((shape & (STAMP | LATER)) !== 0) {
      // The second half of a later stamp was written with the first.
      if ((shape & STAMP) === 0) continue
      const format = (shape >>> 24) & 15
      const isStamp = formatKind(format) === KIND_SYSLOG ? readSyslog(at) : readStamp(at, stampDigits(format))
      if (isStamp === 0 || stampFormat !== format) return 0
      variable = putStamp(variable, at)
      at = stampEnd
      continue
    }
    const start = at
    let hash: i32 = HASH_SEED
    let kinds: i32 = 0
    let value: i32 = 0
    let byte = load8(at)
    let kind = load8(CLASSES + byte)
    while ((kind & WORD) !== 0) {
      hash = mul(hash ^ byte, HASH_FACTOR)
      value = mul(value, 10) + byte - 48
      kinds |= kind
      at++
      byte = load8(at)
      kind = load8(CLASSES + byte)
    }
    if ((kinds & DIGIT) === 0) return 0
    if (isJoined !== 0) {
      while (kind === JOINING && (load8(CLASSES + load8(at + 1)) & WORD) !== 0) {
        kinds = 0
        do {
          hash = mul(hash ^ byte, HASH_FACTOR)
          at++
          byte = load8(at)
          kind = load8(CLASSES + byte)
        } while ((kind & WORD) !== 0)
      }
    }
    store32(variable, start)
    if (kinds === DIGIT_FIELD && at - start < 10) {
      store32(variable + 4, (at - start) | NUMBER)
      store32(variable + 8, value)
    } else {
      store32(variable + 4, at - start)
      store32(variable + 8, hash ^ (hash >>> 15))
    }
    variable += VARIABLE_BYTES
  }
  const rest = lineStart(other + 1) - staticAt
  if (equal(at, staticAt, rest) === 0) return 0
  setNextVariable(variable)
  return at + rest - 1
}

/** The same for fields; what stood in quotes in the other line must do so here, too. */
export function predictFields(from: i32, other: i32, fieldsMax: i32): i32 {
  let at = from
  let variable = nextVariable
  let model = firstVariable(other)
  const modelEnd = model + variableCount(other) * VARIABLE_BYTES
  let staticAt = lineStart(other)
  const max = load8(staticAt) === 123 ? JSON_FIELDS_MAX : fieldsMax
  let fields: i32 = 0
  beginLine()
  for (; model < modelEnd; model += VARIABLE_BYTES) {
    const modelStart = load32(model)
    const shape = load32(model + 4)
    const count = modelStart - staticAt
    if (equal(at, staticAt, count) === 0) return 0
    at += count
    staticAt = modelStart + (shape & LENGTH_MASK)
    if ((shape & (STAMP | LATER)) !== 0) {
      if ((shape & STAMP) === 0) continue
      const format = (shape >>> 24) & 15
      const isStamp = formatKind(format) === KIND_SYSLOG ? readSyslog(at) : readStamp(at, stampDigits(format))
      if (isStamp === 0 || stampFormat !== format) return 0
      variable = putStamp(variable, at)
      at = stampEnd
      continue
    }
    const start = at
    let hash: i32 = HASH_SEED
    let kinds: i32 = 0
    let value: i32 = 0
    let byte = load8(at)
    if (fields === max) {
      // All that is left of the line.
      for (; byte !== 10; byte = load8(at)) {
        kinds |= load8(CLASSES + byte)
        hash = mul(hash ^ byte, HASH_FACTOR)
        at++
      }
      if ((kinds & FORBIDDEN) !== 0) return 0
      kinds = 0
    } else if (load8(modelStart - 1) === 34 && load8(staticAt) === 34) {
      for (; byte !== 34; byte = load8(at)) {
        if (byte === 92) {
          hash = mul(hash ^ byte, HASH_FACTOR)
          byte = load8(++at)
        }
        if (byte === 10) return 0
        hash = mul(hash ^ byte, HASH_FACTOR)
        at++
      }
    } else {
      let kind = load8(CLASSES + byte)
      while ((kind & FIELD) !== 0) {
        hash = mul(hash ^ byte, HASH_FACTOR)
        value = mul(value, 10) + byte - 48
        kinds |= kind
        at++
        byte = load8(at)
        kind = load8(CLASSES + byte)
      }
      if (kinds === 0) return 0
    }
    store32(variable, start)
    if (kinds === DIGIT_FIELD && at - start < 10) {
      store32(variable + 4, (at - start) | NUMBER)
      store32(variable + 8, value)
    } else {
      store32(variable + 4, at - start)
      store32(variable + 8, hash ^ (hash >>> 15))
    }
    variable += VARIABLE_BYTES
    fields++
  }
  const rest = lineStart(other + 1) - staticAt
  if (equal(at, staticAt, rest) === 0) return 0
  setNextVariable(variable)
  return at + rest - 1
}
