// One variable of a template against a piece of the text sought: for each of the template's lines, whether its value is,
// begins with, ends with or holds the piece.

import { ENTRIES, TEXTS } from '../columns/core/places.ts'
import { ASCII_FOLD, ASCII_JOINS } from '../query/letters.ts'
import { type ColumnParts, DICTIONARY, INTEGER, NUMERAL, STAMP, TEXT } from './column-parts.ts'
import {
  entryIdsOf,
  firstStampsOf,
  integersOf,
  laterStampOf,
  moreIntegersOf,
  textStartsOf,
  writeNumber,
} from './column-values.ts'
import { STAMP_BYTES_MAX, writeStamp } from './stamp-text.ts'

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
const scratch = new Uint8Array(2 * STAMP_BYTES_MAX)

/** One verdict for each line of the template, in order; valid until the next call. */
export function testColumn(parts: ColumnParts, part: number, template: number, test: ValueTest): Uint8Array {
  const column = parts.columns[part]
  const count = parts.counts[template]
  if (verdicts.length < count) verdicts = new Uint8Array(count * 2)
  const into = verdicts.subarray(0, count)
  if (column === undefined) return into.fill(NO)
  if (column.kind === DICTIONARY) {
    const entries = parts.stream(ENTRIES)
    const ofEntry = new Uint8Array(column.entries)
    let isAny = false
    for (let e = 0; e < column.entries; e++) {
      const entry = column.firstEntry + e
      ofEntry[e] = testValue(test, entries, parts.entryStart[entry], parts.entryStart[entry + 1] - 1)
      isAny ||= ofEntry[e] !== NO
    }
    if (!isAny) return into.fill(NO)
    const ids = entryIdsOf(parts, column.at, column.planes, count)
    for (let k = 0; k < count; k++) into[k] = ofEntry[ids[k]]
  } else if (column.kind === TEXT) {
    const texts = parts.stream(TEXTS)
    const starts = textStartsOf(texts, column.from, column.to, count)
    for (let k = 0; k < count; k++) into[k] = testValue(test, texts, starts[k], starts[k + 1] - 1)
  } else if (column.kind === INTEGER) {
    const { width } = column.body
    const values = integersOf(parts, column.body)
    const exact = test.how === 'is' ? numberIn(test.bytes, width) : undefined
    if (exact !== undefined) {
      const verdict = testValue(test, test.bytes, 0, test.bytes.length)
      for (let k = 0; k < count; k++) into[k] = values[k] === exact ? verdict : NO
    } else {
      for (let k = 0; k < count; k++) into[k] = testValue(test, scratch, 0, writeNumber(scratch, 0, values[k], width))
    }
  } else if (column.kind === NUMERAL) {
    const high = moreIntegersOf(parts, column.high)
    const low = integersOf(parts, column.body)
    for (let k = 0; k < count; k++) {
      const middle = writeNumber(scratch, 0, high[k], column.highDigits)
      into[k] = testValue(test, scratch, 0, writeNumber(scratch, middle, low[k], column.body.width))
    }
  } else {
    const lines = parts.linesOf(template)
    const { seconds, fractions } = column.kind === STAMP ? firstStampsOf(parts) : laterStampOf(parts, template, column)
    const isFirst = column.kind === STAMP
    const format = parts.formats[column.format]
    let formerSeconds = Number.NaN
    let formerFraction = Number.NaN
    let verdict: number = NO
    for (let k = 0; k < count; k++) {
      const i = isFirst ? lines[k] : k
      if (seconds[i] !== formerSeconds || fractions[i] !== formerFraction) {
        formerSeconds = seconds[i]
        formerFraction = fractions[i]
        verdict = testValue(test, scratch, 0, writeStamp(scratch, 0, format, formerSeconds, formerFraction))
      }
      into[k] = verdict
    }
  }
  return into
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
