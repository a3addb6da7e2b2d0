// Labels of events that a variable of the line tells (event-columns.ts, lists 4 to 7): which variable of which template,
// and what is told wrong then. Most blocks never ask.
//
//   a teller:   template · part · where its values lie · byte planes · lines of the template · how many values; 32 bits each
//   memory:     tellers │ of each template its teller or 0 │ of each where its former values begin │ of each line which of its
//               template's it is │ label and line of the events of one template │ former values
import { addException, putHead, putValue } from './exceptions.ts'
import { lineTemplates } from './lines.ts'
import { type i32, load8, load16, load32, mul, store32, zero } from './memory.ts'
import {
  BYTE_VALUES,
  beginParts,
  beginTemplate,
  nextPart,
  part,
  partAt,
  partPlanes,
  partValues,
  templateLines,
} from './parts.ts'
import { RESULT } from './places.ts'

/** A template with fewer exceptions than this, or than this share of its events, needs no teller: finding one costs more. */
const EXCEPTIONS_MIN: i32 = 8
const EXCEPTION_SHARE_SHIFT: i32 = 6
const TELLERS_MAX: i32 = 64
const TELLER_BYTES: i32 = 24

let eventCount: i32 = 0
let lineCount: i32 = 0
let templateCount: i32 = 0
let firstLines: i32 = 0
let tellers: i32 = 0
let tellerCount: i32 = 0
let tellerOf: i32 = 0
let formersOf: i32 = 0
let ranks: i32 = 0
let areRanksKnown: i32 = 0
let values: i32 = 0
let formers: i32 = 0

export function tellingBytes(events: i32, lines: i32, templates: i32): i32 {
  // Entries of the dictionaries are no more than lines.
  return TELLERS_MAX * (TELLER_BYTES + BYTE_VALUES * 4) + (templates + 1) * 12 + lines * 8 + events * 8 + 256
}

/** @param lines  of each event the one in which it begins */
export function placeTelling(at: i32, events: i32, lines: i32): void {
  eventCount = events
  lineCount = load32(RESULT)
  templateCount = load32(RESULT + 4)
  firstLines = lines
  areRanksKnown = 0
  tellers = at
  tellerOf = tellers + TELLERS_MAX * TELLER_BYTES
  formersOf = tellerOf + (templateCount + 1) * 4
  ranks = formersOf + (templateCount + 1) * 4
  values = ranks + lineCount * 4
  formers = values + events * 8
}

/**
 * For templates whose former label is often wrong: the variable whose values do at least twice as well.
 * @param column, bytes  the labels, and bytes of each
 * @param wrong, stride  how often the former one of the template was wrong: of template 0, and from one to the next
 * @returns how many
 */
export function chooseTellers(column: i32, bytes: i32, wrong: i32, stride: i32): i32 {
  tellerCount = 0
  beginParts()
  for (let template: i32 = 1; template <= templateCount && tellerCount < TELLERS_MAX; template++) {
    const exceptions = load32(wrong + mul(template, stride))
    if (exceptions < EXCEPTIONS_MIN) {
      beginTemplate()
      while (nextPart() !== 0) {}
    } else chooseTeller(template, column, bytes, exceptions)
  }
  return tellerCount
}

function chooseTeller(template: i32, column: i32, bytes: i32, exceptions: i32): void {
  if (areRanksKnown === 0) rankLines()
  const count = gatherEvents(template, column, bytes)
  const isWorth: i32 = exceptions << EXCEPTION_SHARE_SHIFT >= count ? 1 : 0
  const teller = tellers + tellerCount * TELLER_BYTES
  let hasTeller: i32 = 0
  let leastTwice = exceptions
  beginTemplate()
  while (nextPart() !== 0) {
    if (isWorth === 0 || partValues === 0) continue
    const twice = exceptionsWith(count, leastTwice) << 1
    if (twice >= leastTwice) continue
    leastTwice = twice
    hasTeller = 1
    store32(teller, template)
    store32(teller + 4, part)
    store32(teller + 8, partAt)
    store32(teller + 12, partPlanes)
    store32(teller + 16, templateLines)
    store32(teller + 20, partValues)
  }
  tellerCount += hasTeller
}

/** Of every line which of the lines of its template it is, from 0. */
function rankLines(): void {
  areRanksKnown = 1
  // Not in use yet: the next one of each template.
  zero(formersOf, (templateCount + 1) * 4)
  for (let line: i32 = 0; line < lineCount; line++) {
    const next = formersOf + load32(lineTemplates + line * 4) * 4
    const rank = load32(next)
    store32(ranks + line * 4, rank)
    store32(next, rank + 1)
  }
}

/** Labels and ranks of the events of one template, in order, to `values`; answers how many. */
function gatherEvents(template: i32, column: i32, bytes: i32): i32 {
  let to = values
  for (let i: i32 = 0; i < eventCount; i++) {
    const line = load32(firstLines + i * 4)
    if (load32(lineTemplates + line * 4) !== template) continue
    store32(to, bytes === 1 ? load8(column + i) : load16(column + i * 2))
    store32(to + 4, load32(ranks + line * 4))
    to += 8
  }
  return (to - values) >> 3
}

/** How often the part at hand tells the gathered events wrong; twice that need not be more than `mostTwice`. */
function exceptionsWith(count: i32, mostTwice: i32): i32 {
  const end = values + count * 8
  let exceptions: i32 = 0
  zero(formers, partValues * 4)
  for (let at = values; at < end && exceptions << 1 < mostTwice; at += 8) {
    const former = formers + valueAt(partAt, partPlanes, templateLines, load32(at + 4)) * 4
    const label = load32(at)
    if (load32(former) === label) continue
    store32(former, label)
    exceptions++
  }
  return exceptions
}

/** Head and exceptions of a list, told by the tellers that were chosen last; its count is put behind the head by the caller. */
export function putTold(list: i32, column: i32, bytes: i32): void {
  let next = formers
  for (let template: i32 = 0; template <= templateCount; template++, next += 4) {
    store32(tellerOf + template * 4, 0)
    store32(formersOf + template * 4, next)
  }
  putHead(list, tellerCount)
  for (let k: i32 = 0; k < tellerCount; k++) {
    const teller = tellers + k * TELLER_BYTES
    const template = load32(teller)
    putHead(list, template)
    putHead(list, load32(teller + 4))
    store32(tellerOf + template * 4, teller)
    store32(formersOf + template * 4, next)
    next += load32(teller + 20) * 4
  }
  zero(formers, next - formers)
  for (let i: i32 = 0; i < eventCount; i++) {
    const line = load32(firstLines + i * 4)
    const template = load32(lineTemplates + line * 4)
    const teller = load32(tellerOf + template * 4)
    let former = load32(formersOf + template * 4)
    if (teller !== 0) {
      former += valueAt(load32(teller + 8), load32(teller + 12), load32(teller + 16), load32(ranks + line * 4)) * 4
    }
    const label: i32 = bytes === 1 ? load8(column + i) : load16(column + i * 2)
    if (load32(former) === label) continue
    store32(former, label)
    addException(list, i)
    putValue(list, label)
  }
}

/** Row `k` of `planes` byte planes of so many lines. */
function valueAt(at: i32, planes: i32, lines: i32, k: i32): i32 {
  let value = load8(at + k)
  if (planes > 1) value |= load8(at + lines + k) << 8
  if (planes > 2) value |= load8(at + 2 * lines + k) << 16
  return value
}
