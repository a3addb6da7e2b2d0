// Which template a line had that began like another one and then differed: what is tried next when a guess fails
// (prediction.ts). A cache: a jump that was overwritten costs time, one that is wrong is noticed by comparing.
//
//   0            4                    8                12
//   ┌────────────┬────────────────────┬────────────────┬──────────────┐
//   │ template   │ variable · byte    │ static bytes   │ template     │
//   └────────────┴────────────────────┴────────────────┴──────────────┘
//   from which,    behind which variable it differed, in which byte after how many static ones; which it was then
import { type i32, load32, mul, store32, zero } from './memory.ts'

const JUMPS: i32 = 4096
const JUMP_BYTES: i32 = 16
/** In the place of a byte: it differed because the line has no such variable there. */
export const NO_VARIABLE: i32 = 256

let table: i32 = 0
/** Where the last guess failed for good: the jump from there can be learned. */
let missedTemplate: i32 = 0
let missedByte: i32 = 0
let missedStatic: i32 = 0

/** The place behind. */
export function placeJumps(at: i32): i32 {
  table = at
  return at + JUMPS * JUMP_BYTES
}

export function clearJumps(): void {
  zero(table, JUMPS * JUMP_BYTES)
  missedTemplate = 0
}

export function forgetMiss(): void {
  missedTemplate = 0
}

function jumpAt(template: i32, byte: i32, statics: i32): i32 {
  const hash = mul(mul(mul(template, -1640531535) ^ byte, -2048144777) ^ statics, -1028477379)
  return table + ((hash >>> 15) & (JUMPS - 1)) * JUMP_BYTES
}

/** The template to try next, or 0. @param variable  how many lie before the place */
export function jumpFrom(template: i32, variable: i32, byte: i32, statics: i32): i32 {
  const where = (variable << 9) | byte
  const at = jumpAt(template, where, statics)
  if (load32(at) === template && load32(at + 4) === where && load32(at + 8) === statics) return load32(at + 12)
  return 0
}

export function miss(template: i32, variable: i32, byte: i32, statics: i32): void {
  missedTemplate = template
  missedByte = (variable << 9) | byte
  missedStatic = statics
}

/** The line that was missed last has this template. */
export function learnJump(to: i32): void {
  if (missedTemplate === 0 || to === missedTemplate) return
  const at = jumpAt(missedTemplate, missedByte, missedStatic)
  store32(at, missedTemplate)
  store32(at + 4, missedByte)
  store32(at + 8, missedStatic)
  store32(at + 12, to)
}
