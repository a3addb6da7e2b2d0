// Which parts of the templates that were just written can tell a label (tellers.ts), and where their values lie in the
// streams: a dictionary's ids, or integers of one byte plane without differences. Read from the descriptors, part by part.
import { idPlanes, KIND_CONSTANT, KIND_DICTIONARY, KIND_INTEGER, KIND_PREFIXED, KIND_TEXT, VARINTS } from './columns.ts'
import { type i32, load8, mul } from './memory.ts'
import { DESCRIPTORS, ENTRY_IDS, INTEGERS, STAMP_MARK, TEMPLATES, VARIABLE_MARK } from './places.ts'
import { streamBegin } from './streams.ts'

/** Of integers that can tell. */
export const BYTE_VALUES: i32 = 256

let templateAt: i32 = 0
let descriptor: i32 = 0
let integerAt: i32 = 0
let entryIdAt: i32 = 0
/** Of the template at hand. */
export let templateLines: i32 = 0
let hasStamp: i32 = 0
let isAtEnd: i32 = 0
/** Its part: a number from 0, static bytes counted too; how many values it can have, 0 if it cannot tell; where they lie. */
export let part: i32 = 0
export let partValues: i32 = 0
export let partAt: i32 = 0
export let partPlanes: i32 = 0

/** Before the first template. */
export function beginParts(): void {
  templateAt = streamBegin(TEMPLATES)
  descriptor = streamBegin(DESCRIPTORS)
  integerAt = streamBegin(INTEGERS)
  entryIdAt = streamBegin(ENTRY_IDS)
  // Lines, whether the last line feed is lacking, formats.
  next()
  next()
  for (let formats = next(); formats > 0; formats--) {
    next()
    next()
  }
  // Templates.
  next()
}

function next(): i32 {
  let value: i32 = 0
  let shift: i32 = 0
  let byte: i32 = 128
  while (byte >= 128) {
    byte = load8(descriptor++)
    value |= (byte & 127) << shift
    shift += 7
  }
  return value
}

/** Goes to the next template: all parts of the one before were asked for. */
export function beginTemplate(): void {
  templateLines = next()
  hasStamp = 0
  isAtEnd = 0
  part = -1
}

/** 0 behind the last part of the template. */
export function nextPart(): i32 {
  if (isAtEnd !== 0) return 0
  part++
  partValues = 0
  let byte = load8(templateAt++)
  if (byte === VARIABLE_MARK) readColumn()
  else if (byte === STAMP_MARK) {
    templateAt++
    if (hasStamp !== 0) {
      readLaterStamp()
      readLaterStamp()
    }
    hasStamp = 1
  } else {
    while (byte !== 10 && byte !== VARIABLE_MARK && byte !== STAMP_MARK) byte = load8(templateAt++)
    if (byte === 10) isAtEnd = 1
    else templateAt--
  }
  return 1
}

function readLaterStamp(): void {
  next()
  readIntegers()
}

function readColumn(): void {
  const kind = next()
  if (kind === KIND_CONSTANT) return
  if (kind === KIND_INTEGER) {
    partAt = integerAt
    if (readIntegers() === 0) return
    partValues = BYTE_VALUES
    partPlanes = 1
  } else if (kind === KIND_DICTIONARY) {
    partValues = next()
    partPlanes = idPlanes(partValues)
    partAt = entryIdAt
    entryIdAt += mul(partPlanes, templateLines)
  } else {
    if (kind === KIND_TEXT || kind === KIND_PREFIXED) {
      const prefix = next()
      descriptor += prefix
    }
    if (kind === KIND_TEXT) next()
    else {
      if (next() > 0) readIntegers()
      readIntegers()
    }
  }
}

/** 1 if they are one byte plane, as they are. */
function readIntegers(): i32 {
  next()
  const form = next()
  const planes = form >> 1
  if ((form & 1) !== 0) next()
  integerAt += planes === VARINTS ? next() : mul(planes, templateLines)
  return form === 2 ? 1 : 0
}
