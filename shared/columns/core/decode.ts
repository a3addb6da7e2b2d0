// Nine streams back into text. Input is not trusted: every read is checked against the end of its stream, every write
// against the end of the text, and a wrong count or kind ends the call with a negative number. What passes all checks and
// is still wrong is found by the CRC of the text.
//
//   1. templates are compiled to operations: static bytes to copy (constants and prefixes folded in), then one value
//   2. columns are expanded: integers to 32 bits each, dictionary ids to addresses of entries; text columns are read in place
//   3. line by line: copy, value, copy …
//
//   memory:  HEAP │ streams, each with a line feed and slack behind │ static bytes │ operations │ entries │ templates │ lines │
//            text │ values (grow)

import {
  idPlanes,
  KIND_CONSTANT,
  KIND_DICTIONARY,
  KIND_INTEGER,
  KIND_NUMERAL,
  KIND_PREFIXED,
  KIND_TEXT,
  VARINTS,
} from './columns.ts'
import {
  copy,
  div,
  type i32,
  lineEnd,
  load8,
  load32,
  mul,
  reserve,
  SLACK_BYTES,
  store8,
  store32,
  zero,
} from './memory.ts'
import {
  aligned,
  DESCRIPTORS,
  ENTRIES,
  ENTRY_IDS,
  FORMAT_BYTES,
  FORMATS,
  FORMATS_MAX,
  HEAP,
  IDS,
  INTEGERS,
  POWERS,
  prepareTables,
  RAW,
  RESULT,
  STAMP_MARK,
  STAMPS,
  STREAM_COUNT,
  STREAMS,
  TEMPLATES,
  TEXTS,
  VARIABLE_MARK,
} from './places.ts'
import {
  addFormat,
  DAY_SECONDS,
  forgetFormats,
  formatCount,
  formatKind,
  fractionDigits,
  KIND_CLOCK,
  writeNumber,
  writeStamp,
} from './stamps.ts'
import { streamBegin, streamEnd } from './streams.ts'
import { unzigzag } from './variables.ts'

/** One operation: static bytes (address, count), what follows them, and its arguments. */
const OPERATION_BYTES: i32 = 32
const OP_END: i32 = 0
const OP_INTEGER: i32 = 1
const OP_ENTRY: i32 = 2
const OP_TEXT: i32 = 3
const OP_NUMERAL: i32 = 4
const OP_STAMP: i32 = 5
const OP_LATER_STAMP: i32 = 6

/** What went wrong, for the message. */
const BAD_COUNT: i32 = -1
const BAD_TEMPLATE: i32 = -2
const BAD_COLUMN: i32 = -3
const BAD_LINE: i32 = -4
const BAD_LENGTH: i32 = -5

let problem: i32 = 0
let descriptor: i32 = 0
let integerAt: i32 = 0
let entryIdAt: i32 = 0
let entryAt: i32 = 0
let textAt: i32 = 0
let value: i32 = 0
let valuesLeft: i32 = 0
let staticAt: i32 = 0
let operation: i32 = 0
let entry: i32 = 0
let padding: i32 = 0
let templates: i32 = 0
let templateCount: i32 = 0
let lines: i32 = 0
let lineCount: i32 = 0
let output: i32 = 0

/** First operation, lines written so far, lines, format of the first time stamp (255: none). */
const TEMPLATE_BYTES: i32 = 16
const LINE_BYTES: i32 = 4

/** Where the host puts the streams; it has written their lengths to STREAMS + 8 · k + 4. */
export function placeStreams(): i32 {
  let at: i32 = HEAP
  for (let stream: i32 = 0; stream < STREAM_COUNT; stream++) {
    const bytes = load32(STREAMS + stream * 8 + 4)
    store32(STREAMS + stream * 8, at)
    store32(STREAMS + stream * 8 + 4, at + bytes)
    at = aligned(at + bytes + SLACK_BYTES)
  }
  reserve(at)
  return HEAP
}

function fail(what: i32): i32 {
  if (problem === 0) problem = what
  return 0
}

/** A varint of the descriptors. */
function next(): i32 {
  let result: i32 = 0
  let shift: i32 = 0
  const end = streamEnd(DESCRIPTORS)
  while (descriptor < end && shift <= 28) {
    const byte = load8(descriptor++)
    result |= (byte & 127) << shift
    if (byte < 128) return result
    shift += 7
  }
  return fail(BAD_COUNT)
}

/** Text of `bytes` at RESULT; answers how many or a negative number. */
export function decode(bytes: i32): i32 {
  prepareTables()
  forgetFormats()
  problem = 0
  const streamsEnd = aligned(streamEnd(STREAM_COUNT - 1) + SLACK_BYTES)
  // A text that lacks its line feed, and columns that end too early, stop here.
  for (let stream: i32 = 0; stream < STREAM_COUNT; stream++) {
    for (let i: i32 = 0; i < 16; i++) store8(streamEnd(stream) + i, 10)
  }
  descriptor = streamBegin(DESCRIPTORS)
  lineCount = next()
  const lacksLineEnd = next()
  const formats = next()
  // Every line has an id, and a byte of text: of the last one it may be the line feed that is lacking.
  if (lineCount > streamEnd(IDS) - streamBegin(IDS)) fail(BAD_COUNT)
  if (lineCount < 0 || lineCount > bytes + 1 || lacksLineEnd < 0 || lacksLineEnd > 1) fail(BAD_COUNT)
  if (formats < 0 || formats > FORMATS_MAX) fail(BAD_COUNT)
  for (let format: i32 = 0; format < formats && problem === 0; format++) {
    const key = next()
    const fraction = next()
    if (key < 0 || (key & 7) === 0 || fraction < 0 || (fraction & 15) > 9 || fraction >> 12 !== 0) fail(BAD_COUNT)
    else addFormat(key, fraction)
  }
  templateCount = next()
  const templateBytes = streamEnd(TEMPLATES) - streamBegin(TEMPLATES)
  if (templateCount < 0 || templateCount > templateBytes) fail(BAD_COUNT)
  if (problem !== 0) return problem

  const descriptorBytes = streamEnd(DESCRIPTORS) - streamBegin(DESCRIPTORS)
  const entryBytes = streamEnd(ENTRIES) - streamBegin(ENTRIES)
  staticAt = streamsEnd
  operation = aligned(staticAt + templateBytes + entryBytes + descriptorBytes + SLACK_BYTES)
  const operations = operation
  entry = aligned(operations + (templateBytes + 1) * OPERATION_BYTES)
  templates = aligned(entry + entryBytes * 8)
  lines = aligned(templates + (templateCount + 1) * TEMPLATE_BYTES)
  output = aligned(lines + lineCount * LINE_BYTES * 4)
  value = aligned(output + bytes + 2 * SLACK_BYTES)
  reserve(value)
  // Every value but the second half of a later time stamp has a byte of text, or stands in quotes.
  valuesLeft = bytes + 1
  integerAt = streamBegin(INTEGERS)
  entryIdAt = streamBegin(ENTRY_IDS)
  entryAt = streamBegin(ENTRIES)
  textAt = streamBegin(TEXTS)
  compileTemplates()
  if (problem !== 0) return problem
  if (integerAt !== streamEnd(INTEGERS) || entryIdAt !== streamEnd(ENTRY_IDS)) return BAD_COLUMN
  if (entryAt !== streamEnd(ENTRIES) || textAt !== streamEnd(TEXTS)) return BAD_COLUMN
  if (descriptor !== streamEnd(DESCRIPTORS)) return BAD_COLUMN

  const end = writeLines(output + bytes + lacksLineEnd)
  if (problem !== 0) return problem
  if (end - lacksLineEnd !== output + bytes) return BAD_LENGTH
  store32(RESULT, output)
  store32(RESULT + 4, lineCount)
  store32(RESULT + 8, lines)
  store32(RESULT + 12, templateCount)
  store32(RESULT + 16, formatCount)
  store32(RESULT + 20, templates)
  return bytes
}

function compileTemplates(): void {
  let at = streamBegin(TEMPLATES)
  const end = streamEnd(TEMPLATES)
  let linesLeft = lineCount
  for (let template: i32 = 1; template <= templateCount; template++) {
    const count = next()
    if (count < 1 || count > linesLeft) fail(BAD_COUNT)
    if (problem !== 0) return
    linesLeft -= count
    const slot = templates + template * TEMPLATE_BYTES
    store32(slot, operation)
    store32(slot + 4, 0)
    store32(slot + 8, count)
    store32(slot + 12, 255)
    let from = staticAt
    let hasStamp: i32 = 0
    for (;;) {
      if (at >= end) {
        fail(BAD_TEMPLATE)
        return
      }
      const byte = load8(at++)
      if (byte === VARIABLE_MARK) {
        compileColumn(count)
        if (problem !== 0) return
        // A constant has become static bytes.
        if (load32(operation + 8) === OP_END) continue
      } else if (byte === STAMP_MARK) {
        const format = load8(at++) - 32
        if (at > end || format < 0 || format >= formatCount) {
          fail(BAD_TEMPLATE)
          return
        }
        store32(operation + 24, format)
        if (hasStamp === 0) {
          store32(operation + 8, OP_STAMP)
          store32(slot + 12, format)
        } else {
          compileInteger(count)
          store32(operation + 12, value - count * 4)
          compileInteger(count)
          store32(operation + 16, value - count * 4)
          store32(operation + 8, OP_LATER_STAMP)
          if (problem !== 0) return
        }
        hasStamp = 1
      } else {
        store8(staticAt++, byte)
        if (byte !== 10) continue
        store32(operation + 8, OP_END)
      }
      store32(operation, from)
      store32(operation + 4, staticAt - from)
      operation += OPERATION_BYTES
      store32(operation + 8, OP_END)
      from = staticAt
      if (byte === 10) break
    }
  }
  if (at !== end) fail(BAD_TEMPLATE)
}

/** An integer column as a variable of a later time stamp: kind and body. */
function compileInteger(count: i32): void {
  if (next() !== KIND_INTEGER) fail(BAD_COLUMN)
  readIntegers(count)
}

/** Reads one column and sets kind and arguments of `operation`. */
function compileColumn(count: i32): void {
  store32(operation + 8, OP_END)
  const kind = next()
  if (problem !== 0) return
  if (kind === KIND_CONSTANT) {
    const end = entryEnd()
    if (problem !== 0) return
    const length = end - entryAt
    copy(staticAt, entryAt, length)
    staticAt += length
    entryAt = end + 1
    return
  }
  if (kind === KIND_INTEGER) {
    readIntegers(count)
    store32(operation + 8, OP_INTEGER)
    store32(operation + 12, value - count * 4)
    store32(operation + 20, padding)
    return
  }
  if (kind === KIND_DICTIONARY) {
    readDictionary(count)
    return
  }
  if (kind !== KIND_TEXT && kind !== KIND_NUMERAL && kind !== KIND_PREFIXED) {
    fail(BAD_COLUMN)
    return
  }
  if (kind !== KIND_NUMERAL) {
    const prefix = next()
    if (prefix < 0 || prefix > streamEnd(DESCRIPTORS) - descriptor) fail(BAD_COLUMN)
    if (problem !== 0) return
    copy(staticAt, descriptor, prefix)
    staticAt += prefix
    descriptor += prefix
  }
  if (kind === KIND_TEXT) {
    const bytes = next()
    if (bytes < count || bytes > streamEnd(TEXTS) - textAt) {
      fail(BAD_COLUMN)
      return
    }
    store32(operation + 8, OP_TEXT)
    store32(operation + 12, textAt)
    textAt += bytes
    store32(operation + 16, textAt)
    return
  }
  const high = next()
  if (high < 0 || high > 9) fail(BAD_COLUMN)
  if (problem !== 0) return
  store32(operation + 8, high > 0 ? OP_NUMERAL : OP_INTEGER)
  store32(operation + 24, high)
  if (high > 0) {
    readIntegers(count)
    store32(operation + 16, value - count * 4)
    if (problem !== 0) return
  }
  readIntegers(count)
  store32(operation + 12, value - count * 4)
  store32(operation + 20, padding)
}

/** The line feed that ends the entry at `entryAt`. */
function entryEnd(): i32 {
  // Behind the stream stands one.
  const at = lineEnd(entryAt)
  if (at >= streamEnd(ENTRIES)) fail(BAD_COLUMN)
  return at
}

/** Room for `count` values of 32 bits at `value`. */
function takeValues(count: i32): void {
  valuesLeft -= count
  if (valuesLeft < 0) {
    fail(BAD_COLUMN)
    return
  }
  reserve(value + count * 4 + SLACK_BYTES)
}

/** The body of an integer column, expanded behind the values so far; `padding` is its width. */
function readIntegers(count: i32): void {
  padding = next()
  const form = next()
  const planes = form >> 1
  const isDelta = form & 1
  let former: i32 = isDelta !== 0 ? next() : 0
  if (padding < 0 || padding > 9 || form < 0 || (planes > 4 && planes !== VARINTS)) fail(BAD_COLUMN)
  if (problem !== 0) return
  takeValues(count)
  const bytes = planes === VARINTS ? next() : mul(planes, count)
  if (bytes < 0 || bytes > streamEnd(INTEGERS) - integerAt) fail(BAD_COLUMN)
  if (problem !== 0) return
  const from = integerAt
  const to = value
  integerAt += bytes
  value += count * 4
  if (planes === VARINTS) {
    readVarints(from, integerAt, to, count)
    if (problem !== 0) return
  } else if (planes === 0) zero(to, count * 4)
  else if (planes === 1) for (let k: i32 = 0; k < count; k++) store32(to + k * 4, load8(from + k))
  else if (planes === 2) {
    for (let k: i32 = 0; k < count; k++) store32(to + k * 4, load8(from + k) | (load8(from + count + k) << 8))
  } else {
    for (let k: i32 = 0; k < count; k++) {
      let x = load8(from + k) | (load8(from + count + k) << 8) | (load8(from + 2 * count + k) << 16)
      if (planes === 4) x |= load8(from + 3 * count + k) << 24
      store32(to + k * 4, x)
    }
  }
  if (isDelta === 0) return
  for (let k: i32 = 0; k < count; k++) {
    former = (former + unzigzag(load32(to + k * 4))) | 0
    store32(to + k * 4, former)
  }
}

function readVarints(from: i32, end: i32, to: i32, count: i32): void {
  let at = from
  for (let k: i32 = 0; k < count; k++) {
    let x: i32 = 0
    let shift: i32 = 0
    for (;;) {
      if (at >= end || shift > 28) {
        fail(BAD_COLUMN)
        return
      }
      const byte = load8(at++)
      x |= (byte & 127) << shift
      if (byte < 128) break
      shift += 7
    }
    store32(to + k * 4, x)
  }
  if (at !== end) fail(BAD_COLUMN)
}

/** Values are addresses of entries: where the text lies, how long it is. */
function readDictionary(count: i32): void {
  const entryCount = next()
  if (entryCount < 1 || entryCount > streamEnd(ENTRIES) - entryAt) fail(BAD_COLUMN)
  takeValues(count)
  if (problem !== 0) return
  const first = entry
  for (let id: i32 = 0; id < entryCount; id++) {
    const end = entryEnd()
    if (problem !== 0) return
    store32(entry, entryAt)
    store32(entry + 4, end - entryAt)
    entry += 8
    entryAt = end + 1
  }
  const planes = idPlanes(entryCount)
  const from = entryIdAt
  if (mul(planes, count) > streamEnd(ENTRY_IDS) - from) {
    fail(BAD_COLUMN)
    return
  }
  entryIdAt += mul(planes, count)
  store32(operation + 8, OP_ENTRY)
  store32(operation + 12, value)
  for (let k: i32 = 0; k < count; k++) {
    let id = load8(from + k)
    if (planes > 1) id |= load8(from + count + k) << 8
    if (planes > 2) id |= load8(from + 2 * count + k) << 16
    if (id >= entryCount) {
      fail(BAD_COLUMN)
      return
    }
    store32(value, first + id * 8)
    value += 4
  }
}

/** All lines to `output`; answers the place behind the last. */
function writeLines(end: i32): i32 {
  let to = output
  let ids = streamBegin(IDS)
  const idsEnd = streamEnd(IDS)
  let stamps = streamBegin(STAMPS)
  const stampsEnd = streamEnd(STAMPS)
  let raw = streamBegin(RAW)
  const rawEnd = streamEnd(RAW)
  const bytes = lineCount * LINE_BYTES
  for (let line: i32 = 0; line < lineCount; line++) {
    // The line feeds behind the stream end a varint that is cut.
    let byte = load8(ids++)
    let template = byte & 127
    for (let shift: i32 = 7; byte >= 128 && shift < 28; shift += 7) {
      byte = load8(ids++)
      template |= (byte & 127) << shift
    }
    let seconds: i32 = 0
    let fraction: i32 = 0
    let firstFormat: i32 = 0
    if (ids > idsEnd || template > templateCount) return fail(BAD_LINE)
    if (template === 0) {
      const at = lineEnd(raw) + 1
      if (at > rawEnd || to + at - raw > end) return fail(BAD_LINE)
      copy(to, raw, at - raw)
      to += at - raw
      raw = at
    } else {
      const slot = templates + template * TEMPLATE_BYTES
      const index = load32(slot + 4)
      if (index >= load32(slot + 8)) return fail(BAD_LINE)
      store32(slot + 4, index + 1)
      const k = index * 4
      for (let op = load32(slot); ; op += OPERATION_BYTES) {
        const length = load32(op + 4)
        const kind = load32(op + 8)
        // The longest number is 18 digits, a time stamp STAMP_BYTES_MAX: there is slack for either behind the text.
        if (to + length > end) return fail(BAD_LINE)
        copy(to, load32(op), length)
        to += length
        if (kind === OP_END) break
        if (kind === OP_INTEGER) to = writeNumber(to, load32(load32(op + 12) + k), load32(op + 20))
        else if (kind === OP_ENTRY) {
          const entryOf = load32(load32(op + 12) + k)
          const entryLength = load32(entryOf + 4)
          if (to + entryLength > end) return fail(BAD_LINE)
          copy(to, load32(entryOf), entryLength)
          to += entryLength
        } else if (kind === OP_TEXT) {
          const from = load32(op + 12)
          const at = lineEnd(from)
          if (at >= load32(op + 16) || to + at - from > end) return fail(BAD_LINE)
          store32(op + 12, at + 1)
          copy(to, from, at - from)
          to += at - from
        } else if (kind === OP_NUMERAL) {
          to = writeNumber(to, load32(load32(op + 16) + k), load32(op + 24))
          to = writeNumber(to, load32(load32(op + 12) + k), load32(op + 20))
        } else {
          const format = load32(op + 24)
          if (kind === OP_STAMP) {
            const state = FORMATS + format * FORMAT_BYTES
            stamps = readStampDelta(stamps, state, fractionDigits(format))
            if (stamps > stampsEnd) return fail(BAD_LINE)
            seconds = load32(state + 8)
            fraction = load32(state + 12)
            firstFormat = format
            to = writeStamp(to, format, seconds, fraction)
          } else {
            let later = (seconds + unzigzag(load32(load32(op + 12) + k))) | 0
            let laterFraction = unzigzag(load32(load32(op + 16) + k))
            if (formatKind(format) === KIND_CLOCK) later = later % DAY_SECONDS
            if (fractionDigits(format) === fractionDigits(firstFormat)) laterFraction = (laterFraction + fraction) | 0
            to = writeStamp(to, format, later, laterFraction)
          }
        }
      }
    }
    const at = lines + line * LINE_BYTES
    store32(at, to - output)
    store32(at + bytes, template)
    store32(at + 2 * bytes, seconds)
    store32(at + 3 * bytes, fraction)
  }
  if (ids !== idsEnd || stamps !== stampsEnd || raw !== rawEnd) return fail(BAD_LINE)
  return to
}

/** Moves the state of a format on to the next first time stamp; answers the place behind it in STAMPS. */
function readStampDelta(from: i32, state: i32, digits: i32): i32 {
  let at = from
  let z = load8(at++)
  if (z === 0) {
    let seconds: i32 = 0
    let shift: i32 = 0
    let byte: i32 = 0
    do {
      byte = load8(at++)
      seconds |= (byte & 127) << shift
      shift += 7
    } while (byte >= 128 && shift < 35)
    let fraction: i32 = 0
    shift = 0
    do {
      byte = load8(at++)
      fraction |= (byte & 127) << shift
      shift += 7
    } while (byte >= 128 && shift < 35)
    store32(state + 8, seconds)
    store32(state + 12, fraction)
    return at
  }
  let shift: i32 = 7
  let last = z
  z &= 127
  while (last >= 128 && shift < 35) {
    last = load8(at++)
    z |= (last & 127) << shift
    shift += 7
  }
  const unit = load32(POWERS + digits * 4)
  let fraction = (load32(state + 12) + unzigzag((z - 1) | 0)) | 0
  let elapsed = div(fraction, unit)
  fraction -= mul(elapsed, unit)
  if (fraction < 0) {
    fraction += unit
    elapsed--
  }
  store32(state + 8, (load32(state + 8) + elapsed) | 0)
  store32(state + 12, fraction)
  return at
}
