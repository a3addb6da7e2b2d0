// One variable of a template against a piece of the text sought: for each of the template's lines, whether its value is,
// begins with, ends with or holds the piece.

import { DAY_SECONDS, KIND_CLOCK } from '../columns/core/stamps.ts'
import type { ColumnsView } from '../columns/view.ts'
import { ASCII_FOLD, ASCII_JOINS } from '../query/letters.ts'
import type { ColumnParts } from './column-parts.ts'
import { StampText } from './stamp-text.ts'

/** What a test says of a row. */
export const NO = 0
export const MAYBE = 1
export const YES = 2

/** A character beside a place: whether it joins on to a word. MAYBE: it is not ASCII, or part of another variable. */
export type Joins = typeof NO | typeof MAYBE | typeof YES

export function joinsOn(byte: number): Joins {
  return byte >= 0x80 ? MAYBE : ASCII_JOINS[byte] === 1 ? YES : NO
}

/** What is wanted where no character may join on: the opposite of whether one does. */
export function unless(joins: Joins): number {
  return YES - joins
}

export interface ValueTest {
  how: 'is' | 'begins' | 'ends' | 'holds'
  /** Lower case. */
  bytes: Uint8Array
  /** The piece begins the text sought, which has to begin a word; or ends it, likewise. */
  checksStart: boolean
  checksEnd: boolean
  /** What stands before and behind the variable. */
  before: Joins
  behind: Joins
}

function isAt(text: Uint8Array, at: number, sought: Uint8Array): boolean {
  for (let i = 0; i < sought.length; i++) if (ASCII_FOLD[text[at + i]] !== sought[i]) return false
  return true
}

function borders(test: ValueTest, text: Uint8Array, from: number, to: number, at: number): number {
  let verdict: number = YES
  if (test.checksStart) verdict = unless(at > from ? joinsOn(text[at - 1]) : test.before)
  if (test.checksEnd && verdict !== NO) {
    const end = at + test.bytes.length
    verdict = Math.min(verdict, unless(end < to ? joinsOn(text[end]) : test.behind))
  }
  return verdict
}

/** A value is the bytes of `text` from `from` to `to`. */
export function testValue(test: ValueTest, text: Uint8Array, from: number, to: number): number {
  const { how, bytes } = test
  const spare = to - from - bytes.length
  if (spare < 0 || (how === 'is' && spare > 0)) return NO
  if (how !== 'holds') {
    const at = how === 'ends' ? to - bytes.length : from
    return isAt(text, at, bytes) ? borders(test, text, from, to, at) : NO
  }
  let best: number = NO
  for (let at = from; at <= from + spare && best !== YES; at++) {
    if (isAt(text, at, bytes)) best = Math.max(best, borders(test, text, from, to, at))
  }
  return best
}

let verdicts = new Uint8Array(4096)
const scratch = new Uint8Array(64)

/** One verdict for each line of the template, in order; valid until the next call. */
export function testColumn(parts: ColumnParts, part: number, template: number, test: ValueTest): Uint8Array {
  const count = parts.countOf(template)
  if (verdicts.length < count) verdicts = new Uint8Array(count * 2)
  const into = verdicts.subarray(0, count).fill(NO)
  const { view } = parts
  const variable = parts.variables[part]
  switch (variable?.kind) {
    case 'dictionary': {
      const { bytes, starts } = variable.entries
      const ofEntry = new Uint8Array(starts.length - 1)
      for (let e = 0; e < ofEntry.length; e++) ofEntry[e] = testValue(test, bytes, starts[e], starts[e + 1] - 1)
      if (ofEntry.every(verdict => verdict === NO)) break
      const ids = view.entryIdsOf(variable, count)
      for (let k = 0; k < count; k++) into[k] = ofEntry[ids[k]]
      break
    }
    case 'text': {
      const { bytes, starts } = view.textsOf(variable, count)
      for (let k = 0; k < count; k++) into[k] = testValue(test, bytes, starts[k], starts[k + 1] - 1)
      break
    }
    case 'integer':
      testIntegers(view.integersOf(variable.body, count), variable.body.width, test, into)
      break
    case 'numeral': {
      const low = view.integersOf(variable.low, count)
      if (variable.high === undefined) testIntegers(low, variable.low.width, test, into)
      else {
        const high = view.integersOf(variable.high, count)
        for (let k = 0; k < count; k++) {
          const middle = writeNumber(scratch, 0, high[k], variable.highDigits)
          into[k] = testValue(test, scratch, 0, writeNumber(scratch, middle, low[k], variable.low.width))
        }
      }
      break
    }
    case 'stamp': {
      const lines = view.linesOf(template)
      const { stampSeconds, stampFractions } = view.stamps
      const seconds = new Int32Array(count)
      const fractions = new Int32Array(count)
      for (let k = 0; k < count; k++) {
        seconds[k] = stampSeconds[lines[k]]
        fractions[k] = stampFractions[lines[k]]
      }
      testStamps(view, variable.format, seconds, fractions, test, into)
      break
    }
    case 'laterStamp': {
      const lines = view.linesOf(template)
      const { stampSeconds, stampFractions, formats } = view.stamps
      const isClock = formats[variable.format].kind === KIND_CLOCK
      const isRelative = formats[variable.format].digits === formats[view.templates[template - 1].format].digits
      const seconds = new Int32Array(count)
      const fractions = new Int32Array(count)
      const later = view.integersOf(variable.seconds, count)
      const laterFractions = view.integersOf(variable.fraction, count)
      for (let k = 0; k < count; k++) {
        const sum = (stampSeconds[lines[k]] + unzigzag(later[k])) | 0
        seconds[k] = isClock ? sum % DAY_SECONDS : sum
        fractions[k] = unzigzag(laterFractions[k]) + (isRelative ? stampFractions[lines[k]] : 0)
      }
      testStamps(view, variable.format, seconds, fractions, test, into)
    }
  }
  return into
}

function testIntegers(values: Int32Array, width: number, test: ValueTest, into: Uint8Array): void {
  const exact = test.how === 'is' ? numberIn(test.bytes, width) : undefined
  if (exact !== undefined) {
    const verdict = testValue(test, test.bytes, 0, test.bytes.length)
    for (let k = 0; k < values.length; k++) if (values[k] === exact) into[k] = verdict
    return
  }
  for (let k = 0; k < values.length; k++) {
    into[k] = testValue(test, scratch, 0, writeNumber(scratch, 0, values[k], width))
  }
}

function testStamps(
  view: ColumnsView,
  format: number,
  seconds: Int32Array,
  fractions: Int32Array,
  test: ValueTest,
  into: Uint8Array,
): void {
  const text = new StampText(view)
  let verdict: number = NO
  for (let k = 0; k < seconds.length; k++) {
    // Lines of one moment follow each other.
    if (k === 0 || seconds[k] !== seconds[k - 1] || fractions[k] !== fractions[k - 1]) {
      verdict = testValue(test, text.bytes, 0, text.write(format, seconds[k], fractions[k]))
    }
    into[k] = verdict
  }
}

function unzigzag(value: number): number {
  return (value >>> 1) ^ -(value & 1)
}

/** As columns write one; answers the place behind. */
function writeNumber(into: Uint8Array, at: number, value: number, width: number): number {
  let length = width
  if (width === 0) {
    length = 1
    for (let power = 10; value >= power; power *= 10) length++
  }
  let rest = value
  for (let i = at + length - 1; i >= at; i--) {
    const tenth = Math.floor(rest / 10)
    into[i] = 48 + rest - tenth * 10
    rest = tenth
  }
  return at + length
}

/** The integer that is written like this in a column of such width; undefined: none is, or it is not asked so simply. */
function numberIn(bytes: Uint8Array, width: number): number | undefined {
  if (bytes.length > 9 || bytes.length === 0) return undefined
  let value = 0
  for (const byte of bytes) {
    if (byte < 48 || byte > 57) return undefined
    value = value * 10 + byte - 48
  }
  const hasZero = bytes[0] === 48 && bytes.length > 1
  return bytes.length === width || (width === 0 && !hasZero) ? value : undefined
}
