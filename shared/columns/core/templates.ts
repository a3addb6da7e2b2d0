// Templates: lines of equal static bytes with variables at equal places. Found by hash, then compared byte by byte: the
// hash is weak and logs are hostile input.

import { firstVariable, keepRaw, keepShape, lineStart, setTemplate, variableCount } from './lines.ts'
import { copy, equal, type i32, load32, store32, zero } from './memory.ts'
import { aligned, powerOfTwo } from './places.ts'
import { hashA, hashB, prefixes } from './tokens.ts'
import { LATER, LENGTH_MASK, nextVariable, STAMP, setNextVariable, VARIABLE_BYTES } from './variables.ts'

/** Lines of a new template are kept raw from here on; in short blocks from one for each 64 bytes of text. */
export const TEMPLATES_MAX: i32 = 65000
const TEXT_BYTES_SHIFT: i32 = 6
const TEMPLATES_AT_LEAST: i32 = 1024

/** Number from 1; 0 is "raw". Of each: a line that stands for it, how many lines, number in the block, first in `order`. */
export let templateCount: i32 = 0
let countMax: i32 = 0
let table: i32 = 0
let tableMask: i32 = 0
let representatives: i32 = 0
let counts: i32 = 0
let numbers: i32 = 0
let firsts: i32 = 0
/** The template that followed this one last time. */
let followers: i32 = 0

/** Of each template the hashes it is found by: beside the table, which has to be cleared for each block. */
let hashesA: i32 = 0
let hashesB: i32 = 0

const ENTRY_BYTES: i32 = 4
const FORMAT_BITS: i32 = 0x0f000000

/** Room for the templates of a block of so many bytes of text; the place behind. */
export function placeTemplates(at: i32, bytes: i32): i32 {
  const max = templatesMax(bytes)
  const entries = powerOfTwo(max + (max >> 1))
  const column = aligned(max * 4 + 8)
  templateCount = 0
  countMax = max
  tableMask = entries - 1
  table = at
  representatives = aligned(table + entries * ENTRY_BYTES)
  counts = representatives + column
  numbers = counts + column
  firsts = numbers + column
  followers = firsts + column
  hashesA = followers + column
  hashesB = hashesA + column
  return hashesB + column
}

function templatesMax(bytes: i32): i32 {
  const max = TEMPLATES_AT_LEAST + (bytes >> TEXT_BYTES_SHIFT)
  return max < TEMPLATES_MAX ? max : TEMPLATES_MAX
}

export function clearTemplates(): void {
  zero(table, (tableMask + 1) * ENTRY_BYTES)
  store32(followers, 0)
  store32(counts, 0)
  store32(numbers, 0)
}

export function representative(template: i32): i32 {
  return load32(representatives + template * 4)
}

export function countOf(template: i32): i32 {
  return load32(counts + template * 4)
}

export function setCount(template: i32, count: i32): void {
  store32(counts + template * 4, count)
}

export function numberOf(template: i32): i32 {
  return load32(numbers + template * 4)
}

export function setNumber(template: i32, number: i32): void {
  store32(numbers + template * 4, number)
}

export function firstInOrder(template: i32): i32 {
  return load32(firsts + template * 4)
}

export function setFirstInOrder(template: i32, index: i32): void {
  store32(firsts + template * 4, index)
}

export function followerOf(template: i32): i32 {
  return load32(followers + template * 4)
}

export function setFollower(template: i32, follower: i32): void {
  store32(followers + template * 4, follower)
}

/** The template of a line that was just read into variables; a new one if there is none yet. */
export function findTemplate(line: i32, lineEnd: i32): void {
  keepShape(line)
  let slot = (hashA ^ (hashA >>> 15)) & tableMask
  for (;;) {
    const at = table + slot * ENTRY_BYTES
    const template = load32(at)
    if (template === 0) {
      if (templateCount === countMax || (templateCount + 1) * 4 > tableMask * 3) {
        keepRaw(line)
        return
      }
      templateCount++
      store32(at, templateCount)
      store32(hashesA + templateCount * 4, hashA)
      store32(hashesB + templateCount * 4, hashB)
      store32(representatives + templateCount * 4, line)
      setCount(templateCount, 1)
      setFollower(templateCount, 0)
      setTemplate(line, templateCount)
      return
    }
    if (hasHashes(template) !== 0 && isOf(line, lineEnd, representative(template)) !== 0) {
      setCount(template, countOf(template) + 1)
      setTemplate(line, template)
      return
    }
    slot = (slot + 1) & tableMask
  }
}

function hasHashes(template: i32): i32 {
  return load32(hashesA + template * 4) === hashA && load32(hashesB + template * 4) === hashB ? 1 : 0
}

/** Keeps with the template that was just made, of the line read last by words, the hashes of what lies before each variable. */
export function keepPrefixes(line: i32): void {
  const bytes = variableCount(line) * 4 + 4
  copy(nextVariable, prefixes, bytes)
  setNextVariable(nextVariable + aligned(bytes))
}

/** @param variablesEnd  of the line that stands for the template */
export function prefixHash(variablesEnd: i32, variable: i32): i32 {
  return load32(variablesEnd + variable * 4)
}

/** 1 if static bytes and kinds of variables of the line are those of `other`. */
function isOf(line: i32, lineEnd: i32, other: i32): i32 {
  const count = variableCount(line)
  if (count !== variableCount(other)) return 0
  let a = firstVariable(line)
  let b = firstVariable(other)
  let at = lineStart(line)
  let bt = lineStart(other)
  for (let i: i32 = 0; i < count; i++) {
    const startA = load32(a)
    const startB = load32(b)
    const shapeA = load32(a + 4)
    const shapeB = load32(b + 4)
    if (startA - at !== startB - bt) return 0
    if (((shapeA ^ shapeB) & (STAMP | LATER)) !== 0) return 0
    if ((shapeA & STAMP) !== 0 && ((shapeA ^ shapeB) & FORMAT_BITS) !== 0) return 0
    if (equal(at, bt, startA - at) === 0) return 0
    at = startA + (shapeA & LENGTH_MASK)
    bt = startB + (shapeB & LENGTH_MASK)
    a += VARIABLE_BYTES
    b += VARIABLE_BYTES
  }
  const rest = lineEnd - at
  return rest === lineStart(other + 1) - 1 - bt ? equal(at, bt, rest) : 0
}
