// The cheap way to a line's template: guess it (the one that followed the former line's template last time), compare its
// static bytes by eights, and scan only the variables. Where the line differs, the template that another line had which
// differed there in the same byte is tried next, from there on.

import { jumpFrom, shortenJumps } from './jumps.ts'
import { firstVariable, lineStart, variableCount } from './lines.ts'
import { div, equal, type i32, lineEnd, load8, load32, sameBytes } from './memory.ts'
import { fieldEnd, isForbidden, numberAt, putNumber, putQuoted, putWord, variableAt } from './scan.ts'
import { formatKind, KIND_SYSLOG, readStamp, readSyslog, stampDigits, stampEnd, stampFormat } from './stamps.ts'
import { prefixHash, representative } from './templates.ts'
import { JSON_FIELDS_MAX } from './tokens.ts'
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

/** The template that the last guess ended with. */
export let guessed: i32 = 0

const FORMAT_BITS: i32 = 0x0f000000

/**
 * The line at `from` against lines of `template`, and of others that began like it before (words, not fields). Answers the
 * place of its line end, its variables then being written and `guessed` its template; or 0, and nothing has changed.
 */
export function predictWords(from: i32, template: i32): i32 {
  const first = nextVariable
  let other = representative(template)
  let at = from
  let variable = first
  let model = firstVariable(other)
  let modelEnd = model + variableCount(other) * VARIABLE_BYTES
  let staticAt = lineStart(other)
  beginLine()
  while (template !== 0) {
    const isEnd: i32 = model === modelEnd ? 1 : 0
    const modelStart: i32 = isEnd !== 0 ? lineStart(other + 1) : load32(model)
    const count = modelStart - staticAt
    let own: i32 = -1
    if (equal(at, staticAt, count) !== 0) {
      at += count
      if (isEnd !== 0) {
        setNextVariable(variable)
        guessed = template
        shortenJumps(template)
        return at - 1
      }
      const next = readVariable(at, variable, load32(model + 4))
      if (next !== 0) {
        const length = load32(model + 4) & LENGTH_MASK
        // Both halves of a later stamp were written.
        const halves: i32 = next - variable
        variable = next
        model += halves
        staticAt = modelStart + length
        at = variableEnd
        continue
      }
    } else {
      const same = sameBytes(at, staticAt, count)
      at += same
      own = load8(staticAt + same)
    }
    const before = div(variable - first, VARIABLE_BYTES)
    const segment = variable === first ? from : endOf(variable - VARIABLE_BYTES)
    const to = jumpFrom(template, prefixHash(modelEnd, before), before, segment, at, own)
    if (to === 0 || beginsAlike(template, to, before) === 0) return 0
    template = to
    other = representative(to)
    model = firstVariable(other) + (variable - first)
    modelEnd = firstVariable(other) + variableCount(other) * VARIABLE_BYTES
    staticAt = variable === first ? lineStart(other) : endOf(model - VARIABLE_BYTES)
    at = segment
  }
  return 0
}

function endOf(variable: i32): i32 {
  return load32(variable) + (load32(variable + 4) & LENGTH_MASK)
}

/** 1 if the first `count` variables of the templates are of the same kinds, with the same bytes before them. */
function beginsAlike(one: i32, other: i32, count: i32): i32 {
  const lineA = representative(one)
  const lineB = representative(other)
  if (variableCount(lineB) < count) return 0
  let a = firstVariable(lineA)
  let b = firstVariable(lineB)
  let at = lineStart(lineA)
  let bt = lineStart(lineB)
  for (let i: i32 = 0; i < count; i++, a += VARIABLE_BYTES, b += VARIABLE_BYTES) {
    const shapeA = load32(a + 4)
    const shapeB = load32(b + 4)
    const bytes = load32(a) - at
    if (((shapeA ^ shapeB) & (STAMP | LATER)) !== 0 || load32(b) - bt !== bytes) return 0
    if ((shapeA & STAMP) !== 0 && ((shapeA ^ shapeB) & FORMAT_BITS) !== 0) return 0
    if (equal(at, bt, bytes) === 0) return 0
    at = load32(a) + (shapeA & LENGTH_MASK)
    bt = load32(b) + (shapeB & LENGTH_MASK)
  }
  return 1
}

/** Where the variable that was read last ends. */
let variableEnd: i32 = 0

/** 1 if a time stamp of the format that `shape` has stands at `at`: it was read (stamps.ts). */
function isStampOf(at: i32, shape: i32): i32 {
  const format = (shape >>> 24) & 15
  const isStamp = formatKind(format) === KIND_SYSLOG ? readSyslog(at) : readStamp(at, stampDigits(format))
  return isStamp !== 0 && stampFormat === format ? 1 : 0
}

/** Writes the variable at `start`, of the kind that `shape` has; the place for the next one, or 0: there is none of that kind. */
function readVariable(start: i32, variable: i32, shape: i32): i32 {
  if ((shape & (STAMP | LATER)) !== 0) {
    if (isStampOf(start, shape) === 0) return 0
    variableEnd = stampEnd
    return putStamp(variable, start)
  }
  const digits: i32 = (shape & NUMBER) !== 0 ? numberAt(start) : 0
  if (digits !== 0) {
    variableEnd = start + digits
    return putNumber(variable, start, digits)
  }
  const end = variableAt(start)
  if (end === 0) return 0
  variableEnd = end
  return putWord(variable, start, end)
}

/** The same for fields; what stood in quotes in the other line must do so here, too. */
export function predictFields(from: i32, template: i32, fieldsMax: i32): i32 {
  const other = representative(template)
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
      if (isStampOf(at, shape) === 0) return 0
      variable = putStamp(variable, at)
      at = stampEnd
      continue
    }
    const start = at
    if (fields === max) {
      // All that is left of the line.
      at = lineEnd(at)
      if (isForbidden(start, at) !== 0) return 0
      variable = putQuoted(variable, start, at)
    } else if (load8(modelStart - 1) === 34 && load8(staticAt) === 34) {
      for (let byte = load8(at); byte !== 34; byte = load8(++at)) {
        if (byte === 92) byte = load8(++at)
        if (byte === 10) return 0
      }
      variable = putQuoted(variable, start, at)
    } else {
      at = fieldEnd(at)
      if (at === start) return 0
      variable = putWord(variable, start, at)
    }
    fields++
  }
  const rest = lineStart(other + 1) - staticAt
  if (equal(at, staticAt, rest) === 0) return 0
  setNextVariable(variable)
  guessed = template
  return at + rest - 1
}
