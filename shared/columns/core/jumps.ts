// Which template a line had that began like others and then differed: what is tried next when a guess fails
// (prediction.ts). A tree of all templates in the form of a table: a branch is known by all that lies before it, whichever
// template one comes from. A cache: a jump that was overwritten costs time, one that is wrong is noticed by comparing.
//
//   0          4                                                         8
//   ┌──────────┬─────────────────────────────────────────────────────────┬──────────────┐
//   │ hash     │ variables 13 bits · static bytes 11 bits · byte 8 bits   │ template     │
//   └──────────┴─────────────────────────────────────────────────────────┴──────────────┘
//   of what lies before the branch: static bytes and kinds of variables; how much that is, and the line's next byte
import { type i32, load8, load32, mul, store32, zero } from './memory.ts'

const JUMPS: i32 = 8192
/** For one line. */
const JUMPS_MAX: i32 = 12
const JUMP_BYTES: i32 = 12
const HASH_FACTOR: i32 = -1640531535

let table: i32 = 0
/** Where the jumps stand that were taken for the line at hand. */
let trail: i32 = 0
let taken: i32 = 0
/** Where the last guess failed for good: the jump from there can be learned. */
let missedTemplate: i32 = 0
let missedHash: i32 = 0
let missedPlace: i32 = 0
/** What the template had there: a byte, or -1 for a variable. */
let missedByte: i32 = 0

/**
 * `prefix`, and the static bytes [from, to) behind it: their number and four of them. Which jumps there are decides what is
 * guessed, so both forms of the core have to have the same ones: their hashes of all bytes (scan.ts) differ.
 */
export function hashedUpTo(prefix: i32, from: i32, to: i32): i32 {
  const length = to - from
  const hash = mul(prefix ^ length, HASH_FACTOR)
  if (length === 0) return hash
  const ends = load8(from) | (load8(to - 1) << 8)
  const middle = (load8(from + (length >> 1)) << 16) | (load8(from + (length >> 2)) << 24)
  return mul(hash ^ (hash >>> 15) ^ ends ^ middle, HASH_FACTOR)
}

/** The place behind. */
export function placeJumps(at: i32): i32 {
  table = at
  trail = table + JUMPS * JUMP_BYTES
  return trail + JUMPS_MAX * 4
}

export function clearJumps(): void {
  zero(table, JUMPS * JUMP_BYTES)
  missedTemplate = 0
}

export function beginJumps(): void {
  missedTemplate = 0
  taken = 0
}

function jumpAt(hash: i32, place: i32): i32 {
  const slot = mul(hash ^ mul(place, -2048144777), -1028477379)
  return table + ((slot >>> 15) & (JUMPS - 1)) * JUMP_BYTES
}

/**
 * The template to try next for a line that is not like `template`, or 0: then a jump from here can be learned.
 * @param prefix    hash of static bytes and kinds of variables up to `from`
 * @param variable  how many variables lie before `from`
 * @param at        the first byte behind `from` that differs
 * @param own       what the template has in the place of that byte; -1 for a variable
 */
export function jumpFrom(template: i32, prefix: i32, variable: i32, from: i32, at: i32, own: i32): i32 {
  const hash = hashedUpTo(prefix, from, at)
  const place = (variable << 19) | (((at - from) & 0x7ff) << 8) | load8(at)
  const jump = jumpAt(hash, place)
  if (load32(jump) === hash && load32(jump + 4) === place && load32(jump + 8) !== 0) {
    if (taken === JUMPS_MAX) return 0
    store32(trail + taken * 4, jump)
    taken++
    return load32(jump + 8)
  }
  missedTemplate = template
  missedHash = hash
  missedPlace = place
  missedByte = own
  return 0
}

/** The line that was missed last has this template. Lines that differ from it there may be of the missed one again. */
export function learnJump(to: i32): void {
  shortenJumps(to)
  if (missedTemplate === 0 || to === missedTemplate) return
  putJump(missedPlace, to)
  if (missedByte >= 0) putJump((missedPlace & -256) | missedByte, missedTemplate)
}

/** The jumps that were taken ended at this template, where the next ones may as well lead at once. */
export function shortenJumps(to: i32): void {
  for (let k: i32 = 0; k < taken; k++) store32(load32(trail + k * 4) + 8, to)
}

function putJump(place: i32, to: i32): void {
  const jump = jumpAt(missedHash, place)
  store32(jump, missedHash)
  store32(jump + 4, place)
  store32(jump + 8, to)
}
