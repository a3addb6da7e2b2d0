// One column: the values of one variable of one template, in the order of its lines. Described by a kind byte and what
// belongs to it (varints in the descriptor stream):
//
//   0 constant    its text in ENTRIES
//   1 integer     width (of zero padding, 0 none) · form = delta | planes << 1 · if delta: first value · if planes is 7: bytes
//                 values in INTEGERS: `planes` byte planes (all low bytes, then the next …), or varints; a delta is zigzag
//   2 dictionary  entries; their texts in ENTRIES, ids in ENTRY_IDS: one byte plane up to 256 entries, two up to 65 536, else three
//   3 text        prefix bytes · prefix · bytes; the rest of each value in TEXTS
//   4 digits      high digits; if not 0 an integer body of the digits before the last 9; an integer body
//   5 prefixed    prefix bytes · prefix · then as kind 4
//
//   A later time stamp is two integer columns (kind 1): seconds, then fraction. Texts end with a line feed each.

import { firstVariable } from './lines.ts'
import { div, equal, type i32, leadingZeros, load8, load32, mul, store32, storePlane, zero } from './memory.ts'
import {
  aligned,
  CLASSES,
  DESCRIPTORS,
  DIGIT,
  ENTRIES,
  ENTRY_IDS,
  INTEGERS,
  POWERS,
  powerOfTwo,
  TEXTS,
} from './places.ts'
import {
  placeStream,
  putDescriptor,
  putEntry,
  putText,
  putVarint,
  setStreamEnd,
  streamEnd,
  varintBytes,
} from './streams.ts'
import { LATER, LENGTH_MASK, NUMBER, STAMP, VARIABLE_BYTES, zigzag } from './variables.ts'
import { addTokens } from './words.ts'

export const KIND_CONSTANT: i32 = 0
export const KIND_INTEGER: i32 = 1
export const KIND_DICTIONARY: i32 = 2
export const KIND_TEXT: i32 = 3
export const KIND_NUMERAL: i32 = 4
export const KIND_PREFIXED: i32 = 5
/** Instead of a number of planes. */
export const VARINTS: i32 = 7

/** A dictionary pays if its entries are fewer than a third of the values, of numbers a fifth; never under so many. */
const TEXTS_PER_ENTRY: i32 = 3
const NUMBERS_PER_ENTRY: i32 = 5
const ENTRIES_MIN: i32 = 4
const PREFIX_BYTES_MAX: i32 = 255
/** Digits of a value of kind 4: two integers of 9. */
const NUMERAL_DIGITS_MAX: i32 = 18

/** Of the column at hand, a word per value: where its text lies, length and flags, its integer (variables.ts). */
let starts: i32 = 0
let shapes: i32 = 0
let integers: i32 = 0
/** Of each value its entry, of each entry a value that has it. Then the dictionary's. */
let entryIds: i32 = 0
let entries: i32 = 0
let slots: i32 = 0
let slotMask: i32 = 0
/** Slots of an older generation are empty: nothing has to be cleared between columns. */
let generation: i32 = 0

/** Columns of one template, those of `gathered` on, as `gatherColumns` lays them out. */
let planes: i32 = 0
let planesMax: i32 = 0
let gathered: i32 = 0
let gatheredEnd: i32 = 0
let isTelling: i32 = 0

/** Room for columns of up to `lines` values, of several columns at once as far as `bytesMax` goes; the place behind. */
export function placeColumns(at: i32, lines: i32, bytesMax: i32): i32 {
  const bytes = aligned(lines * 4 + 4)
  entryIds = at
  entries = at + bytes
  slots = at + 2 * bytes
  slotMask = powerOfTwo(lines) - 1
  planes = aligned(slots + (slotMask + 1) * 8)
  planesMax = bytesMax > lines * VARIABLE_BYTES ? bytesMax : lines * VARIABLE_BYTES
  return aligned(planes + planesMax)
}

export function clearColumns(): void {
  zero(slots, (slotMask + 1) * 8)
  generation = 0
}

/**
 * The columns of the lines at `order`, `count` of them. Their variables lie in memory line by line, all templates mixed:
 * to read one column there would be to walk through all of it. So it is walked once, for as many columns as there is
 * room, and each of these then lies in one piece.
 * @param tellsTokens  whether tokens of what is not the same in all lines are collected
 */
export function putColumns(order: i32, count: i32, variableTotal: i32, tellsTokens: i32): void {
  gatheredEnd = 0
  isTelling = tellsTokens
  for (let index: i32 = 0; index < variableTotal; index++) {
    if (index >= gatheredEnd) gatherColumns(order, count, index, variableTotal)
    const at = planes + mul(count, (index - gathered) * VARIABLE_BYTES)
    starts = at
    shapes = at + count * 4
    integers = at + count * 8
    putColumn(count)
  }
}

/** From column `index` on: of each column first all starts, then all shapes, then all values. */
function gatherColumns(order: i32, count: i32, index: i32, variableTotal: i32): void {
  const room = div(planesMax, count * VARIABLE_BYTES)
  gathered = index
  gatheredEnd = variableTotal - index < room ? variableTotal : index + room
  const bytes = count * 4
  const from = index * VARIABLE_BYTES
  const end = gatheredEnd * VARIABLE_BYTES
  for (let k: i32 = 0; k < count; k++) {
    const first = firstVariable(load32(order + k * 4))
    let to = planes + k * 4
    for (let at = first + from; at < first + end; at += VARIABLE_BYTES) {
      store32(to, load32(at))
      store32(to + bytes, load32(at + 4))
      store32(to + 2 * bytes, load32(at + 8))
      to += 3 * bytes
    }
  }
}

/** The column at `starts`, `shapes` and `integers`. */
function putColumn(count: i32): void {
  const modelShape = load32(shapes)
  if ((modelShape & LATER) !== 0) {
    putDescriptor(KIND_INTEGER)
    measureIntegers(count)
    putIntegers(count, 0)
    return
  }
  if ((modelShape & STAMP) !== 0) return

  const modelStart = load32(starts)
  const modelLength = modelShape & LENGTH_MASK
  const modelValue = load32(integers)
  let isConstant: i32 = 1
  let isNumber: i32 = 1
  let isEqualLong: i32 = 1
  let hasZeros: i32 = 0
  let leastLength = modelLength
  for (let k: i32 = 0; k < count; k++) {
    const shape = load32(shapes + k * 4)
    const value = load32(integers + k * 4)
    const length = shape & LENGTH_MASK
    if ((shape & NUMBER) === 0) isNumber = 0
    else if (length > 1 && value < load32(POWERS + length * 4 - 4)) hasZeros = 1
    if (length !== modelLength) {
      isEqualLong = 0
      isConstant = 0
      if (length < leastLength) leastLength = length
    } else if (isConstant !== 0) {
      if (value !== modelValue || isSame(shape, starts + k * 4, modelShape, starts) === 0) isConstant = 0
    }
  }
  if (isConstant !== 0) {
    putDescriptor(KIND_CONSTANT)
    putEntry(ENTRIES, modelStart, modelLength)
    return
  }
  const isInteger: i32 = isNumber !== 0 && (hasZeros === 0 || isEqualLong !== 0) ? 1 : 0
  const width: i32 = hasZeros !== 0 ? modelLength : 0
  if (isInteger !== 0) measureIntegers(count)
  if (isInteger !== 0 && areSmall(count) !== 0) {
    putDescriptor(KIND_INTEGER)
    putIntegers(count, width)
    return
  }
  if (tryDictionary(count, div(count, isInteger !== 0 ? NUMBERS_PER_ENTRY : TEXTS_PER_ENTRY)) !== 0) return
  if (isInteger !== 0) {
    putDescriptor(KIND_INTEGER)
    putIntegers(count, width)
    return
  }
  const prefix = commonPrefix(count, modelStart, leastLength)
  if (tryNumeral(count, prefix, modelStart, modelLength, isEqualLong) !== 0) return
  putDescriptor(KIND_TEXT)
  putPrefix(modelStart, prefix)
  let bytes: i32 = 0
  for (let k: i32 = 0; k < count; k++) bytes += (load32(shapes + k * 4) & LENGTH_MASK) - prefix + 1
  putDescriptor(bytes)
  for (let k: i32 = 0; k < count; k++) {
    putEntry(TEXTS, load32(starts + k * 4) + prefix, (load32(shapes + k * 4) & LENGTH_MASK) - prefix)
  }
  if (isTelling !== 0) for (let k: i32 = 0; k < count; k++) addValue(k * 4)
}

/**
 * 1 if two values of one length and one value or hash are the same. Numbers are by that alone; other texts are compared,
 * and looking at them again is dear: they lie all over the block.
 */
function isSame(shape: i32, start: i32, otherShape: i32, otherStart: i32): i32 {
  if ((shape & otherShape & NUMBER) !== 0) return 1
  return equal(load32(start), load32(otherStart), shape & LENGTH_MASK)
}

/** Numbers are no tokens. */
function addValue(at: i32): void {
  const shape = load32(shapes + at)
  if ((shape & NUMBER) === 0) addTokens(load32(starts + at), load32(starts + at) + (shape & LENGTH_MASK))
}

function putPrefix(start: i32, length: i32): void {
  putDescriptor(length)
  putText(DESCRIPTORS, start, length)
}

/** Of the integers at hand: bits of all of them, of all differences, which bits there are, bytes of these as varints. */
let bits: i32 = 0
let deltaBits: i32 = 0
let all: i32 = 0
let allDeltas: i32 = 0
let deltaBytes: i32 = 0

function measureIntegers(count: i32): void {
  let bitsSum: i32 = 0
  let deltaBitsSum: i32 = 0
  let bytesSum: i32 = 0
  let any: i32 = 0
  let anyDelta: i32 = 0
  let former = load32(integers)
  for (let k: i32 = 0; k < count; k++) {
    const value = load32(integers + k * 4)
    const delta = zigzag((value - former) | 0)
    former = value
    bitsSum += 32 - leadingZeros(value)
    deltaBitsSum += 32 - leadingZeros(delta)
    bytesSum += varintBytes(delta)
    any |= value
    anyDelta |= delta
  }
  bits = bitsSum
  deltaBits = deltaBitsSum
  deltaBytes = bytesSum
  all = any
  allDeltas = anyDelta
}

/** 1 if the integers, measured, take little as they are: under 1.3 bytes as varints of deltas, or all below 256. */
function areSmall(count: i32): i32 {
  return (all & -256) === 0 || deltaBytes * 10 < count * 13 ? 1 : 0
}

/** The body of an integer column, measured before. */
function putIntegers(count: i32, width: i32): void {
  const first = load32(integers)
  let former = first
  const isDelta: i32 = (all < 256 ? deltaBits * 4 < bits * 3 : deltaBits < bits) ? 1 : 0
  let planes = (39 - leadingZeros(isDelta !== 0 ? allDeltas : all)) >> 3
  if (planes > 1 && (isDelta !== 0 ? deltaBits : bits) < count * 7) planes = VARINTS
  putDescriptor(width)
  putDescriptor(isDelta | (planes << 1))
  if (isDelta !== 0) {
    putDescriptor(first)
    former = first
    for (let k: i32 = 0; k < count; k++) {
      const value = load32(integers + k * 4)
      store32(integers + k * 4, zigzag((value - former) | 0))
      former = value
    }
  }
  let at = streamEnd(INTEGERS)
  if (planes === VARINTS) {
    const begin = at
    for (let k: i32 = 0; k < count; k++) at = putVarint(at, load32(integers + k * 4))
    putDescriptor(at - begin)
    setStreamEnd(INTEGERS, at)
    return
  }
  for (let plane: i32 = 0; plane < planes; plane++) {
    storePlane(at, integers, count, plane * 8)
    at += count
  }
  setStreamEnd(INTEGERS, at)
}

/** 1 if there are few different texts: then the column is written. */
function tryDictionary(count: i32, share: i32): i32 {
  let max = share < ENTRIES_MIN ? ENTRIES_MIN : share
  if (max > slotMask >> 1) max = slotMask >> 1
  generation++
  let entryCount: i32 = 0
  for (let k: i32 = 0; k < count; k++) {
    const shape = load32(shapes + k * 4)
    const length = shape & LENGTH_MASK
    const value = load32(integers + k * 4)
    let slot = mul(value ^ length, -1640531535)
    slot = (slot ^ (slot >>> 16)) & slotMask
    let id: i32 = -1
    while (load32(slots + slot * 8) === generation) {
      const candidate = load32(slots + slot * 8 + 4)
      const other = load32(entries + candidate * 4)
      if (load32(integers + other) === value) {
        const otherShape = load32(shapes + other)
        if ((otherShape & LENGTH_MASK) === length && isSame(shape, starts + k * 4, otherShape, starts + other) !== 0) {
          id = candidate
          break
        }
      }
      slot = (slot + 1) & slotMask
    }
    if (id < 0) {
      if (entryCount === max) return 0
      id = entryCount++
      store32(slots + slot * 8, generation)
      store32(slots + slot * 8 + 4, id)
      store32(entries + id * 4, k * 4)
    }
    store32(entryIds + k * 4, id)
  }
  putDescriptor(KIND_DICTIONARY)
  putDescriptor(entryCount)
  for (let id: i32 = 0; id < entryCount; id++) {
    const k = load32(entries + id * 4)
    putEntry(ENTRIES, load32(starts + k), load32(shapes + k) & LENGTH_MASK)
    if (isTelling !== 0) addValue(k)
  }
  let at = streamEnd(ENTRY_IDS)
  const planes: i32 = idPlanes(entryCount)
  for (let plane: i32 = 0; plane < planes; plane++) {
    storePlane(at, entryIds, count, plane * 8)
    at += count
  }
  setStreamEnd(ENTRY_IDS, at)
  return 1
}

/** Byte planes of the ids of a dictionary. */
export function idPlanes(entryCount: i32): i32 {
  return entryCount <= 256 ? 1 : entryCount <= 65536 ? 2 : 3
}

/** Bytes that all values begin with, not ending in a digit; 0 where it would save little. */
function commonPrefix(count: i32, modelStart: i32, leastLength: i32): i32 {
  let prefix = leastLength < PREFIX_BYTES_MAX ? leastLength : PREFIX_BYTES_MAX
  for (let k: i32 = 0; k < count && prefix > 0; k++) {
    const start = load32(starts + k * 4)
    let same: i32 = 0
    while (same < prefix && load8(start + same) === load8(modelStart + same)) same++
    prefix = same
  }
  while (prefix > 0 && (load8(CLASSES + load8(modelStart + prefix - 1)) & DIGIT) !== 0) prefix--
  return prefix < 2 ? 0 : prefix
}

/** 1 if all values are the prefix and digits that an integer can hold: then the column is written. */
function tryNumeral(count: i32, prefix: i32, modelStart: i32, modelLength: i32, isEqualLong: i32): i32 {
  for (let k: i32 = 0; k < count; k++) {
    const start = load32(starts + k * 4) + prefix
    const digits = (load32(shapes + k * 4) & LENGTH_MASK) - prefix
    if (digits < 1 || digits > NUMERAL_DIGITS_MAX) return 0
    if (isEqualLong === 0 && (digits > 9 || (digits > 1 && load8(start) === 48))) return 0
    for (let i: i32 = 0; i < digits; i++) if ((load8(CLASSES + load8(start + i)) & DIGIT) === 0) return 0
  }
  if (prefix > 0) {
    putDescriptor(KIND_PREFIXED)
    putPrefix(modelStart, prefix)
    if (isTelling !== 0) for (let k: i32 = 0; k < count; k++) addValue(k * 4)
  } else putDescriptor(KIND_NUMERAL)
  const digits = modelLength - prefix
  const high: i32 = isEqualLong !== 0 && digits > 9 ? digits - 9 : 0
  putDescriptor(high)
  if (high > 0) {
    takeDigits(count, prefix, high)
    putIntegers(count, high)
  }
  takeDigits(count, prefix + high, 0)
  putIntegers(count, isEqualLong !== 0 ? digits - high : 0)
  return 1
}

/** The number in the digits behind `skip` bytes of each value, measured; `digits` 0: all of them. */
function takeDigits(count: i32, skip: i32, digits: i32): void {
  for (let k: i32 = 0; k < count; k++) {
    const begin = load32(starts + k * 4)
    const start = begin + skip
    const end = digits > 0 ? start + digits : begin + (load32(shapes + k * 4) & LENGTH_MASK)
    let value: i32 = 0
    for (let at = start; at < end; at++) value = mul(value, 10) + load8(at) - 48
    store32(integers + k * 4, value)
  }
  measureIntegers(count)
}

/** Upper bounds of what `putColumn` writes, for `variableTotal` values of `textBytes` bytes in all. */
export function placeColumnStreams(at: i32, variableTotal: i32, textBytes: i32): i32 {
  // Planes are at most 4 bytes a value (kind 4: two integers for at least 10 bytes of text), ids 3.
  placeStream(INTEGERS, at)
  let next = aligned(at + variableTotal * 5 + textBytes + 64)
  placeStream(ENTRY_IDS, next)
  next = aligned(next + variableTotal * 3 + 64)
  placeStream(ENTRIES, next)
  next = aligned(next + variableTotal + textBytes + 64)
  placeStream(TEXTS, next)
  return aligned(next + variableTotal + textBytes + 64)
}
