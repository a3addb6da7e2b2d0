// Which tokens a text holds, as hashes, for the filter of a segment's block: what a token is and how it is hashed is said
// in shared/segment-tokens.ts. Told while columns are written, so that no line is read for it a second time: of each
// template one line, of a dictionary its entries, of texts every value, of integers and time stamps nothing.
//
//   Two sets, tokens without a digit and those with letters and digits. Each is a table of open addressing, 0 an empty
//   place (a hash of 0 is kept as 1), at most half full; one that grows goes on behind all others.
//
//   SETS:  table u32 · mask u32 · count u32 · 1 if there were too many      twice

import { firstVariable, lineStart, variableCount } from './lines.ts'
import { type i32, load8, load32, mul, reserve, SLACK_BYTES, store32, zero } from './memory.ts'
import { FOLDED, MIXED, MONTH_NAME, PLAIN, SET_BYTES, SETS } from './places.ts'
import { formatCount, formatKind, KIND_ACCESS, KIND_SYSLOG, monthName } from './stamps.ts'
import { LATER, LENGTH_MASK, STAMP, VARIABLE_BYTES } from './variables.ts'

/**
 * A set takes one token for each 16 bytes of text: a filter of more would be larger than a filter may be, unless the text
 * cannot be compressed at all, and the set larger than the text.
 */
const TOKENS_SHIFT: i32 = 4
const TOKENS_AT_LEAST: i32 = 4096
const FIRST_PLACES: i32 = 1024
/** Folded bytes from here on are letters and `_`, below are digits. */
const LETTERS_FROM: i32 = 0x40
const LETTER_T: i32 = 0x74
const LETTER_Z: i32 = 0x7a

/** 1 while tokens are wanted. */
export let isCollecting: i32 = 0
let next: i32 = 0
let countMax: i32 = 0

export function stopCollecting(): void {
  isCollecting = 0
}

/** Of a text of so many bytes; from `at` on memory is free. */
export function beginCollecting(at: i32, bytes: i32): void {
  isCollecting = 1
  next = at
  countMax = TOKENS_AT_LEAST + (bytes >> TOKENS_SHIFT)
  for (let set: i32 = SETS; set < SETS + 2 * SET_BYTES; set += SET_BYTES) {
    store32(set + 8, 0)
    store32(set + 12, 0)
    placeTable(set, FIRST_PLACES)
  }
}

/** Behind both sets. */
export function tokensEnd(): i32 {
  return next
}

function placeTable(set: i32, places: i32): void {
  store32(set, next)
  store32(set + 4, places - 1)
  reserve(next + places * 4 + SLACK_BYTES)
  zero(next, places * 4)
  next += places * 4
}

function add(set: i32, token: i32): void {
  const hash: i32 = token === 0 ? 1 : token
  const table = load32(set)
  const mask = load32(set + 4)
  let place = hash & mask
  for (;;) {
    const found = load32(table + place * 4)
    if (found === hash) return
    if (found === 0) break
    place = (place + 1) & mask
  }
  const count = load32(set + 8)
  if (count === countMax) {
    store32(set + 12, 1)
    return
  }
  store32(table + place * 4, hash)
  store32(set + 8, count + 1)
  if ((count + 1) * 2 > mask) grow(set)
}

function grow(set: i32): void {
  const table = load32(set)
  const end = table + load32(set + 4) * 4 + 4
  placeTable(set, (load32(set + 4) + 1) * 2)
  const larger = load32(set)
  const mask = load32(set + 4)
  for (let at = table; at < end; at += 4) {
    const hash = load32(at)
    if (hash === 0) continue
    let place = hash & mask
    while (load32(larger + place * 4) !== 0) place = (place + 1) & mask
    store32(larger + place * 4, hash)
  }
}

/** The tokens of [from, to), which end there. */
export function addTokens(from: i32, to: i32): void {
  let at = from
  while (at < to) {
    let byte = load8(FOLDED + load8(at))
    if (byte === 0) {
      at++
      continue
    }
    const start = at
    let hash: i32 = 0
    let letters: i32 = 0
    do {
      hash = mul(hash ^ byte, -1640531535)
      hash ^= hash >>> 15
      if (byte >= LETTERS_FROM) letters++
      at++
      byte = at < to ? load8(FOLDED + load8(at)) : 0
    } while (byte !== 0)
    if (letters === 0) continue
    if (letters === at - start) add(PLAIN, hash)
    else if (letters > 1 || isStampPiece(start, at) === 0) add(MIXED, hash)
  }
}

/** Digits and one letter: a `T`, or a `Z` at their end. */
function isStampPiece(from: i32, to: i32): i32 {
  for (let at = from; at < to; at++) {
    const byte = load8(FOLDED + load8(at))
    if (byte >= LETTERS_FROM) return byte === LETTER_T || (byte === LETTER_Z && at === to - 1) ? 1 : 0
  }
  return 0
}

/** Names of all months, if a time stamp may hold one. */
export function addMonths(): void {
  let hasMonths: i32 = 0
  for (let format: i32 = 0; format < formatCount; format++) {
    const kind = formatKind(format)
    if (kind === KIND_SYSLOG || kind === KIND_ACCESS) hasMonths = 1
  }
  if (hasMonths === 0) return
  for (let month: i32 = 1; month <= 12; month++) {
    const name = monthName(month)
    store32(MONTH_NAME, ((name >> 16) & 255) | (name & 0xff00) | ((name & 255) << 16))
    addTokens(MONTH_NAME, MONTH_NAME + 3)
  }
}

/**
 * 1 if every variable of the line, and so of all lines of its template, stands between bytes that end tokens. A `Z`
 * behind a time stamp, as ISO 8601 has it, makes no token either.
 */
export function standAlone(line: i32): i32 {
  const end = lineStart(line + 1)
  let former = lineStart(line) - 1
  let at = firstVariable(line)
  for (let left = variableCount(line); left > 0; left--, at += VARIABLE_BYTES) {
    const shape = load32(at + 4)
    // The second half of a later stamp.
    if ((shape & LATER) !== 0 && (shape & STAMP) === 0) continue
    const start = load32(at)
    if (start === former) return 0
    if (start > lineStart(line) && load8(FOLDED + load8(start - 1)) !== 0) return 0
    former = start + (shape & LENGTH_MASK)
    if (former >= end) continue
    const byte = load8(FOLDED + load8(former))
    if (byte === 0) continue
    if ((shape & STAMP) === 0 || byte !== LETTER_Z || load8(FOLDED + load8(former + 1)) !== 0) return 0
    // What begins right behind is another variable, which may begin with anything.
    former++
  }
  return 1
}
