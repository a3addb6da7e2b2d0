// A block of text into nine streams (docs/formats/columns.md). Steps: read every line into template and variables; read
// the lines of rare templates again, by fields; number the templates that are left by falling frequency, the rest is raw;
// then ids and first time stamps in the order of lines, and template by template its text and its columns.
//
//   memory:  HEAP │ text │ lines │ templates │ variables … (grows) │ order │ columns' work │ streams

import { clearColumns, placeColumnStreams, placeColumns, putColumns } from './columns.ts'
import { beginJumps, clearJumps, learnJump, placeJumps } from './jumps.ts'
import {
  firstVariable,
  formatOfLine,
  keepRaw,
  keepShape,
  lineShapes,
  lineStampFractions,
  lineStampSeconds,
  lineStart,
  lineStarts,
  lineTemplates,
  lineVariables,
  NO_FORMAT,
  placeLines,
  setTemplate,
  variableCount,
} from './lines.ts'
import {
  copy,
  lineEnd as endOfLine,
  type i32,
  leadingZeros,
  load8,
  load32,
  mul,
  reserve,
  SLACK_BYTES,
  store8,
  store32,
} from './memory.ts'
import {
  aligned,
  DESCRIPTORS,
  FORMAT_BYTES,
  FORMATS,
  HEAP,
  IDS,
  POWERS,
  prepareTables,
  RAW,
  RESULT,
  STAMP_MARK,
  STAMPS,
  TEMPLATES,
  TEXTS,
  VARIABLE_MARK,
} from './places.ts'
import { guessed, predictFields, predictWords } from './prediction.ts'
import { beginScan } from './scan.ts'
import { forgetFormats, formatCount, fractionDigits } from './stamps.ts'
import { placeStream, putDescriptor, putVarint, setStreamEnd, streamBegin, streamEnd } from './streams.ts'
import {
  clearTemplates,
  countOf,
  findTemplate,
  firstInOrder,
  followerOf,
  keepPrefixes,
  numberOf,
  placeTemplates,
  representative,
  setCount,
  setFirstInOrder,
  setFollower,
  setNumber,
  templateCount,
} from './templates.ts'
import { isRaw, placePrefixes, readFields, readWords } from './tokens.ts'
import {
  LATER,
  LENGTH_MASK,
  nextVariable,
  STAMP,
  setNextVariable,
  VARIABLE_BYTES,
  VARIABLES_PER_LINE_MAX,
  zigzag,
} from './variables.ts'
import { addMonths, addTokens, beginCollecting, isCollecting, standAlone, stopCollecting, tokensEnd } from './words.ts'

export const MODE_WORDS: i32 = 0
export const MODE_JOINED: i32 = 1
export const MODE_FIELDS: i32 = 2
const MODE_MASK: i32 = 3
/** Beside the mode: the tokens of the text are wanted, too. */
export const WITH_TOKENS: i32 = 4

/** A template of fewer lines is read again, by fields; one of fewer after that stays raw. */
const LINES_MIN: i32 = 6
const LINES_MIN_BY_FIELDS: i32 = 3
/** Fields of a line in mode fields, and of a rare line. */
const FIELDS_MAX: i32 = 30
const RARE_FIELDS_MAX: i32 = 8
/** Bytes of text per line, and per variable, under which columns do not pay. */
const LINE_BYTES_MIN_SHIFT: i32 = 4
const VARIABLE_TEXT_SHIFT: i32 = 2
/** For short blocks. */
const LINES_AT_LEAST: i32 = 4096
const VARIABLES_AT_LEAST: i32 = 8192
/** Reserved ahead for variables. */
const ROOM_BYTES: i32 = 65536
/** What one variable of a template may take in the descriptors, its prefix apart. */
const DESCRIPTOR_BYTES_MAX: i32 = 40

let lineCount: i32 = 0
let lineMax: i32 = 0
let variables: i32 = 0
let variableMax: i32 = 0
/** Up to here a line may begin with its variables: memory for them is reserved. */
let roomEnd: i32 = 0
let order: i32 = 0
let byNumber: i32 = 0
let keptCount: i32 = 0
let predicted: i32 = 0
let rareTemplatesFrom: i32 = 0

/** Where the host puts `bytes` of text before `encode`. */
export function placeText(bytes: i32): i32 {
  reserve(HEAP + bytes + SLACK_BYTES)
  return HEAP
}

/**
 * 1: the streams are written (STREAMS, RESULT, SETS); 0: columns do not pay, or the text does not fit.
 * @param options  the mode, and WITH_TOKENS
 */
export function encode(bytes: i32, options: i32): i32 {
  const mode = options & MODE_MASK
  prepareTables()
  stopCollecting()
  forgetFormats()
  const end = HEAP + bytes
  const lacksLineEnd: i32 = bytes > 0 && load8(end - 1) === 10 ? 0 : 1
  reserve(end + SLACK_BYTES)
  // Readers look ahead: line ends stop them all.
  for (let i: i32 = 0; i < SLACK_BYTES; i++) store8(end + i, 10)
  lineMax = (bytes >> LINE_BYTES_MIN_SHIFT) + LINES_AT_LEAST
  let place = placeLines(aligned(end + SLACK_BYTES), lineMax + 2)
  place = placePrefixes(placeJumps(placeTemplates(place, bytes)))
  variables = aligned(place)
  variableMax = (bytes >> VARIABLE_TEXT_SHIFT) + VARIABLES_AT_LEAST
  // About what most logs need: growing later means copying in the plain form.
  reserve(variables + bytes * 2)
  clearTemplates()
  clearJumps()
  setNextVariable(variables)
  roomEnd = 0

  beginScan(mode === MODE_JOINED ? 1 : 0)
  if (readLines(end, mode) === 0) return 0
  rareTemplatesFrom = templateCount
  if (readRareLines() === 0) return 0
  numberTemplates()
  placeAndWrite(bytes, lacksLineEnd, options & WITH_TOKENS)
  return 1
}

/** Where so many bytes have room that leave streams, lines and tokens alone. What was read of the lines is spent then. */
export function spentPlace(bytes: i32): i32 {
  if (variables + bytes <= streamBegin(TEMPLATES)) return variables
  const at = isCollecting !== 0 ? tokensEnd() : aligned(streamEnd(TEXTS) + SLACK_BYTES)
  reserve(at + bytes)
  return at
}

/** Room for one line more; 0 if there are too many variables. */
function makeRoom(): i32 {
  if (nextVariable <= roomEnd) return 1
  if (nextVariable - variables > mul(variableMax, VARIABLE_BYTES)) return 0
  roomEnd = nextVariable + ROOM_BYTES
  const last = variables + mul(variableMax, VARIABLE_BYTES)
  if (roomEnd > last) roomEnd = last
  reserve(roomEnd + (VARIABLES_PER_LINE_MAX + 8) * (VARIABLE_BYTES + 4))
  return 1
}

function readLines(end: i32, mode: i32): i32 {
  let at: i32 = HEAP
  let former: i32 = 0
  let line: i32 = 0
  predicted = 0
  store32(lineStarts, at)
  while (at < end) {
    if (line >= lineMax || makeRoom() === 0) return 0
    store32(lineVariables + line * 4, nextVariable)
    let template: i32 = 0
    let lineEnd: i32 = 0
    beginJumps()
    if (former !== 0) {
      template = followerOf(former)
      if (template !== 0) lineEnd = predict(at, template, mode)
      // Jumps lead there, too, if it is not by fields.
      if (lineEnd === 0 && template !== former && (template === 0 || mode === MODE_FIELDS)) {
        lineEnd = predict(at, former, mode)
      }
    }
    if (lineEnd !== 0) {
      template = guessed
      keepShape(line)
      setTemplate(line, template)
      setCount(template, countOf(template) + 1)
      setFollower(former, template)
      former = template
      predicted++
    } else {
      if (mode === MODE_FIELDS) {
        lineEnd = endOfLine(at)
        readFields(at, lineEnd, FIELDS_MAX)
      } else lineEnd = readWords(at)
      store32(lineStarts + line * 4 + 4, lineEnd + 1)
      if (isRaw !== 0) {
        keepRaw(line)
        setNextVariable(firstVariable(line))
      } else {
        const known = templateCount
        findTemplate(line, lineEnd)
        template = load32(lineTemplates + line * 4)
        if (templateCount !== known && mode !== MODE_FIELDS) keepPrefixes(line)
        if (former !== 0) setFollower(former, template)
        if (template !== 0) learnJump(template)
        former = template
      }
    }
    at = lineEnd + 1
    line++
    store32(lineStarts + line * 4, at)
  }
  lineCount = line
  return 1
}

function predict(at: i32, template: i32, mode: i32): i32 {
  if (mode === MODE_FIELDS) return predictFields(at, template, FIELDS_MAX)
  return predictWords(at, template)
}

function readRareLines(): i32 {
  let former: i32 = 0
  for (let line: i32 = 0; line < lineCount; line++) {
    let template = load32(lineTemplates + line * 4)
    if (template === 0 || countOf(template) >= LINES_MIN) continue
    if (makeRoom() === 0) return 0
    store32(lineVariables + line * 4, nextVariable)
    if (former !== 0 && predictRare(lineStart(line), former) !== 0) {
      template = guessed
      keepShape(line)
      setTemplate(line, template)
      setCount(template, countOf(template) + 1)
    } else {
      const lineEnd = lineStart(line + 1) - 1
      readFields(lineStart(line), lineEnd, RARE_FIELDS_MAX)
      if (isRaw !== 0) {
        keepRaw(line)
        continue
      }
      findTemplate(line, lineEnd)
      template = load32(lineTemplates + line * 4)
      if (template === 0) continue
    }
    if (former !== 0) setFollower(former, template)
    former = template
  }
  return 1
}

/** By the template that followed the former rare line's last time, or by that one itself. */
function predictRare(at: i32, former: i32): i32 {
  const follower = followerOf(former)
  const lineEnd: i32 = follower === 0 ? 0 : predictFields(at, follower, RARE_FIELDS_MAX)
  return lineEnd !== 0 || follower === former ? lineEnd : predictFields(at, former, RARE_FIELDS_MAX)
}

/** Numbers from 1 by falling count, to the power of two; rare templates get 0. */
function numberTemplates(): void {
  keptCount = 0
  for (let bits: i32 = 31; bits >= 0; bits--) {
    for (let template: i32 = 1; template <= templateCount; template++) {
      const count = countOf(template)
      if (31 - leadingZeros(count) !== bits) continue
      const min: i32 = template <= rareTemplatesFrom ? LINES_MIN : LINES_MIN_BY_FIELDS
      setNumber(template, count >= min ? ++keptCount : 0)
    }
  }
}

function placeAndWrite(bytes: i32, lacksLineEnd: i32, withTokens: i32): void {
  byNumber = aligned(nextVariable + SLACK_BYTES)
  order = aligned(byNumber + keptCount * 4 + 16)
  let place = placeColumns(aligned(order + lineCount * 4 + keptCount * 8 + 16), lineCount, bytes >> 1)
  reserve(place)
  clearColumns()

  let inOrder: i32 = 0
  let templateBytes: i32 = 0
  let staticBytes: i32 = 0
  let variableTotal: i32 = 0
  let descriptorBytes: i32 = 64 + formatCount * 10
  for (let template: i32 = 1; template <= templateCount; template++) {
    const number = numberOf(template)
    if (number !== 0) store32(byNumber + number * 4, template)
  }
  for (let number: i32 = 1; number <= keptCount; number++) {
    const template = load32(byNumber + number * 4)
    const model = representative(template)
    setFirstInOrder(template, inOrder)
    inOrder += countOf(template)
    const bytes = lineStart(model + 1) - lineStart(model)
    const count = variableCount(model)
    templateBytes += bytes + count * 2
    descriptorBytes += bytes + 8 + mul(count, DESCRIPTOR_BYTES_MAX)
    variableTotal += mul(count, countOf(template))
    staticBytes += mul(staticBytesOf(model), countOf(template))
  }
  let rawBytes: i32 = 0
  // What does not lie in templates.
  let textBytes: i32 = -staticBytes
  for (let line: i32 = 0; line < lineCount; line++) {
    const bytes = lineStart(line + 1) - lineStart(line)
    if (numberOf(load32(lineTemplates + line * 4)) === 0) rawBytes += bytes
    else textBytes += bytes
  }
  placeStream(TEMPLATES, place)
  place = aligned(place + templateBytes + SLACK_BYTES)
  placeStream(DESCRIPTORS, place)
  place = aligned(place + descriptorBytes + SLACK_BYTES)
  placeStream(IDS, place)
  place = aligned(place + lineCount * 3 + SLACK_BYTES)
  placeStream(STAMPS, place)
  place = aligned(place + lineCount * 11 + SLACK_BYTES)
  placeStream(RAW, place)
  place = aligned(place + rawBytes + SLACK_BYTES)
  place = placeColumnStreams(place, variableTotal, textBytes)
  reserve(place)
  if (withTokens !== 0) beginCollecting(place, bytes)

  writeLines()
  putDescriptor(lineCount)
  putDescriptor(lacksLineEnd)
  putDescriptor(formatCount)
  for (let format: i32 = 0; format < formatCount; format++) {
    putDescriptor(load32(FORMATS + format * FORMAT_BYTES))
    putDescriptor(load32(FORMATS + format * FORMAT_BYTES + 4))
  }
  putDescriptor(keptCount)
  for (let number: i32 = 1; number <= keptCount; number++) writeTemplate(load32(byNumber + number * 4))
  if (isCollecting !== 0) addMonths()
  writeResult(variableTotal, bytes)
}

/** Of a line, and so of all lines of its template: what is in no variable but in time stamps, which take no room. */
function staticBytesOf(line: i32): i32 {
  let bytes = lineStart(line + 1) - lineStart(line)
  const from = firstVariable(line)
  const end = from + variableCount(line) * VARIABLE_BYTES
  for (let at = from; at < end; at += VARIABLE_BYTES) {
    const shape = load32(at + 4)
    if ((shape & (STAMP | LATER)) === 0) bytes -= shape & LENGTH_MASK
  }
  return bytes
}

/** Ids, first time stamps, raw lines; the lines into the order of their templates. */
function writeLines(): void {
  for (let format: i32 = 0; format < formatCount; format++) {
    store32(FORMATS + format * FORMAT_BYTES + 8, 0)
    store32(FORMATS + format * FORMAT_BYTES + 12, 0)
  }
  let ids = streamEnd(IDS)
  let stamps = streamEnd(STAMPS)
  let raw = streamEnd(RAW)
  for (let line: i32 = 0; line < lineCount; line++) {
    const template = load32(lineTemplates + line * 4)
    const number = numberOf(template)
    ids = putVarint(ids, number)
    // From here on the host's: the number in the block.
    setTemplate(line, number)
    if (number === 0) {
      const from = lineStart(line)
      const length = lineStart(line + 1) - from
      copy(raw, from, length)
      raw += length
      if (isCollecting !== 0) addTokens(from, from + length)
      store32(lineShapes + line * 4, NO_FORMAT)
      continue
    }
    const index = firstInOrder(template)
    store32(order + index * 4, line)
    setFirstInOrder(template, index + 1)
    const format = formatOfLine(line)
    if (format !== NO_FORMAT) stamps = writeStampOf(stamps, line, format)
  }
  setStreamEnd(IDS, ids)
  setStreamEnd(STAMPS, stamps)
  setStreamEnd(RAW, raw)
}

/** As the difference in ticks of the fraction to the former one of its format, if that is under 10⁹; else 0 and both parts. */
function writeStampOf(to: i32, line: i32, format: i32): i32 {
  const state = FORMATS + format * FORMAT_BYTES
  const seconds = load32(lineStampSeconds + line * 4)
  const fraction = load32(lineStampFractions + line * 4)
  const digits = fractionDigits(format)
  const elapsed = (seconds - load32(state + 8)) | 0
  const limit = load32(POWERS + (9 - digits) * 4)
  const formerFraction = load32(state + 12)
  store32(state + 8, seconds)
  store32(state + 12, fraction)
  if (elapsed > -limit && elapsed < limit) {
    const ticks = (mul(elapsed, load32(POWERS + digits * 4)) + fraction - formerFraction) | 0
    return putVarint(to, (zigzag(ticks) + 1) | 0)
  }
  store8(to, 0)
  return putVarint(putVarint(to + 1, seconds), fraction)
}

function writeTemplate(template: i32): void {
  const count = countOf(template)
  const model = representative(template)
  const variableTotal = variableCount(model)
  let to = streamEnd(TEMPLATES)
  let at = lineStart(model)
  let variable = firstVariable(model)
  for (let i: i32 = 0; i < variableTotal; i++, variable += VARIABLE_BYTES) {
    const start = load32(variable)
    const shape = load32(variable + 4)
    if ((shape & LATER) !== 0 && (shape & STAMP) === 0) continue
    copy(to, at, start - at)
    to += start - at
    at = start + (shape & LENGTH_MASK)
    if ((shape & STAMP) !== 0) {
      store8(to++, STAMP_MARK)
      store8(to++, 32 + ((shape >>> 24) & 15))
    } else store8(to++, VARIABLE_MARK)
  }
  const end = lineStart(model + 1)
  copy(to, at, end - at)
  setStreamEnd(TEMPLATES, to + end - at)
  putDescriptor(count)
  const first = order + (firstInOrder(template) - count) * 4
  let tellsTokens: i32 = isCollecting
  if (isCollecting !== 0) {
    if (standAlone(model) === 0) {
      tellsTokens = 0
      for (let k: i32 = 0; k < count; k++) {
        const line = load32(first + k * 4)
        addTokens(lineStart(line), lineStart(line + 1))
      }
    } else addTokens(lineStart(model), end)
  }
  putColumns(first, count, variableTotal, tellsTokens)
}

/** What the host reads (codec.ts). */
function writeResult(variableTotal: i32, bytes: i32): void {
  for (let line: i32 = 0; line <= lineCount; line++) {
    const offset = lineStart(line) - HEAP
    store32(lineStarts + line * 4, offset > bytes ? bytes : offset)
  }
  store32(RESULT, lineCount)
  store32(RESULT + 4, keptCount)
  store32(RESULT + 8, variableTotal)
  store32(RESULT + 12, lineStarts)
  store32(RESULT + 16, lineTemplates)
  store32(RESULT + 20, lineVariables)
  store32(RESULT + 24, lineStampSeconds)
  store32(RESULT + 28, lineStampFractions)
  store32(RESULT + 32, lineShapes)
  store32(RESULT + 36, formatCount)
  store32(RESULT + 40, predicted)
  // `order` is spent: representative and count of the templates by number.
  for (let number: i32 = 1; number <= keptCount; number++) {
    const template = load32(byNumber + number * 4)
    store32(order + number * 8 - 8, representative(template))
    store32(order + number * 8 - 4, countOf(template))
  }
  store32(RESULT + 44, order)
}
