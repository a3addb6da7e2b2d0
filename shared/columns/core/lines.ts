// The lines of the block being encoded, a column each: where it begins, its template (0: raw), its first variable, how
// many it has, seconds, fraction and format of its first time stamp (255: none).
import { type i32, load32, store32 } from './memory.ts'
import { aligned } from './places.ts'
import { lineFormat, lineFraction, lineSeconds, nextVariable, VARIABLE_BYTES } from './variables.ts'

export const NO_FORMAT: i32 = 255

export let lineStarts: i32 = 0
export let lineTemplates: i32 = 0
export let lineVariables: i32 = 0
export let lineStampSeconds: i32 = 0
export let lineStampFractions: i32 = 0
/** variable count << 8 | format */
export let lineShapes: i32 = 0

/** Room for `lines` lines from `at` on; the place behind. */
export function placeLines(at: i32, lines: i32): i32 {
  const bytes = aligned(lines * 4 + 4)
  lineStarts = at
  lineTemplates = at + bytes
  lineVariables = at + 2 * bytes
  lineStampSeconds = at + 3 * bytes
  lineStampFractions = at + 4 * bytes
  lineShapes = at + 5 * bytes
  return at + 6 * bytes
}

export function lineStart(line: i32): i32 {
  return load32(lineStarts + line * 4)
}

/** Address of the line's first variable. */
export function firstVariable(line: i32): i32 {
  return load32(lineVariables + line * 4)
}

export function variableCount(line: i32): i32 {
  return load32(lineShapes + line * 4) >>> 8
}

export function formatOfLine(line: i32): i32 {
  return load32(lineShapes + line * 4) & 255
}

export function setTemplate(line: i32, template: i32): void {
  store32(lineTemplates + line * 4, template)
}

/** What the tokenizer left: the line's variables lie between its first and `nextVariable`. */
export function keepShape(line: i32): void {
  const count = (nextVariable - firstVariable(line)) / VARIABLE_BYTES
  store32(lineShapes + line * 4, (count << 8) | (lineFormat & 255))
  store32(lineStampSeconds + line * 4, lineSeconds)
  store32(lineStampFractions + line * 4, lineFraction)
}

export function keepRaw(line: i32): void {
  store32(lineTemplates + line * 4, 0)
  store32(lineShapes + line * 4, NO_FORMAT)
}
