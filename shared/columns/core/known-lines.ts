// Lines whose time, level, host and application are known from another one, its *model*: the loops of
// tailer/known-lines.ts, which says what a model is and why this is a proof. Who learns them is the host; here lines are held
// against them, and rows of events written.
//
//   memory:  … streams │ table │ youngest models of templates │ misses │ heads of formats │ words of levels │ models │ rows, a column each
//   table:   words of KNOWN_…, addresses and counts for the host
//   model:   MODEL_WORDS words, MODEL_…; numbers of 64 bits in two halves, the lower one first
//
// A line is first asked about the youngest models of its template, then about those of all lines whose first time stamp is
// written alike: these tell by how the line begins (known-heads.ts).

import {
  isClient,
  isHead,
  isOrigin,
  isPlain,
  LEVEL_WORDS_BYTES,
  originLookedTo,
  originText,
  placeLevelWords,
} from './known-heads.ts'
import {
  firstVariable,
  formatOfLine,
  lineStampFractions,
  lineStampSeconds,
  lineStart,
  lineTemplates,
  NO_FORMAT,
  variableCount,
} from './lines.ts'
import { equal, type i32, load8, load32, mul, reserve, SLACK_BYTES, store8, store32, zero } from './memory.ts'
import { aligned, FORMATS_MAX, HEAP, RESULT, STREAM_COUNT } from './places.ts'
import { streamEnd } from './streams.ts'
import { LATER, LENGTH_MASK, NUMBER, STAMP, VARIABLE_BYTES } from './variables.ts'

/** Of one packet; beyond it lines are parsed. */
export const MODELS_MAX: i32 = 8192
/** Models of its template that are tried for a line, the youngest first; and of its time stamp's format. */
const TRIES_MAX: i32 = 8
export const HEAD_TRIES_MAX: i32 = 32

/** Words of the table. */
export const KNOWN_YOUNGEST: i32 = 0
export const KNOWN_MISSES: i32 = 1
export const KNOWN_HEADS: i32 = 2
/** Where the next model is written, and where there is no room for one. */
export const KNOWN_NEXT_MODEL: i32 = 3
export const KNOWN_MODELS_END: i32 = 4
export const KNOWN_ROWS: i32 = 5
export const KNOWN_TIMES: i32 = 6
export const KNOWN_ENDS: i32 = 7
export const KNOWN_LINES: i32 = 8
export const KNOWN_HOSTS: i32 = 9
export const KNOWN_APPS: i32 = 10
export const KNOWN_LEVELS: i32 = 11
export const KNOWN_FLAGS: i32 = 12
/** For the host to fill (known-heads.ts). */
export const KNOWN_LEVEL_WORDS: i32 = 13
const TABLE_BYTES: i32 = 64
/** Of a row in all columns; and what rounding up their places takes. */
const ROW_BYTES: i32 = 20
const ROOM_BYTES: i32 = 1024

/** Words of a model. The next one to try, 0: there is none. */
export const MODEL_NEXT: i32 = 0
export const MODEL_KIND: i32 = 1
export const MODEL_SPAN: i32 = 2
/** Seconds of stamps for which the time is sure. */
export const MODEL_SECONDS_LEAST: i32 = 3
export const MODEL_SECONDS_GREATEST: i32 = 4
/** What the time is ahead of the stamp, in nanoseconds, and nanoseconds of one in its fraction. */
export const MODEL_OFFSET_LOW: i32 = 5
export const MODEL_OFFSET_HIGH: i32 = 6
export const MODEL_UNIT: i32 = 7
export const MODEL_LEVEL: i32 = 8
export const MODEL_HOST: i32 = 9
export const MODEL_APP: i32 = 10
/** Of kind VARIABLES: the line's first variable; which one is the stamp. */
export const MODEL_FIRST: i32 = 11
export const MODEL_STAMP: i32 = 12
/** Variables, counted, before this one must be the same; before the next one numbers have as many digits; before the last one any. */
export const MODEL_SAME: i32 = 13
export const MODEL_DIGITS: i32 = 14
export const MODEL_LENGTHS: i32 = 15
/** From this one on any text without a word that tells a level. */
export const MODEL_TEXTS: i32 = 16
/** Of other kinds: the line, where its stamp ends, and how many bytes behind that are asked about. */
export const MODEL_LINE: i32 = 11
export const MODEL_TEXT: i32 = 12
export const MODEL_BYTES: i32 = 13
/** Of kind HEAD: so many bytes behind the stamp numbers may have other digits. */
export const MODEL_NUMBERS: i32 = 14
export const MODEL_WORDS: i32 = 17

/** Alike in variables; up to a place; in host and application, as syslog writes them; in a client's time and its zone. */
export const VARIABLES: i32 = 0
export const HEAD: i32 = 1
export const ORIGIN: i32 = 2
export const CLIENT: i32 = 3

/** With so many more lines without a model than with one a template gets no more of them: looking costs, too. */
export const MISSES_MAX: i32 = 24
/** A text that begins further in reaches what is not looked at. */
const TEXT_AT_MAX: i32 = 256
/** A level is looked for so much further than it counts. */
export const SHIFT_BYTES_MAX: i32 = 32
/** Of a number, as variables are told. */
export const DIGITS_MAX: i32 = 9
const BILLION_LOW: i32 = 0xca00
const BILLION_HIGH: i32 = 0x3b9a
const SIGN: i32 = -2147483648

let table: i32 = 0
let lineBytesMax: i32 = 0

/**
 * Room for the rows of all lines of the text that was encoded last, and `more`, and for models: none yet.
 * @param bytesMax  longer lines are never known
 * @returns where the table is
 */
export function placeKnown(more: i32, bytesMax: i32): i32 {
  const rows = load32(RESULT) + more
  const templates = load32(RESULT + 4) + 1
  let place: i32 = 0
  for (let stream: i32 = 0; stream < STREAM_COUNT; stream++) {
    const end = streamEnd(stream)
    if (end > place) place = end
  }
  lineBytesMax = bytesMax
  table = aligned(place + SLACK_BYTES)
  reserve(
    table +
      TABLE_BYTES +
      LEVEL_WORDS_BYTES +
      MODELS_MAX * MODEL_WORDS * 4 +
      templates * 8 +
      rows * ROW_BYTES +
      ROOM_BYTES,
  )
  place = table + TABLE_BYTES
  setTable(KNOWN_YOUNGEST, place)
  place = aligned(place + templates * 4)
  setTable(KNOWN_MISSES, place)
  place = aligned(place + templates * 4)
  setTable(KNOWN_HEADS, place)
  const levelWords = place + FORMATS_MAX * 4
  place = aligned(levelWords + LEVEL_WORDS_BYTES)
  setTable(KNOWN_NEXT_MODEL, place)
  place += MODELS_MAX * MODEL_WORDS * 4
  setTable(KNOWN_MODELS_END, place)
  setTable(KNOWN_ROWS, rows)
  place = placeColumn(KNOWN_TIMES, place, rows * 8)
  place = placeColumn(KNOWN_ENDS, place, rows * 4)
  place = placeColumn(KNOWN_LINES, place, rows * 2)
  place = placeColumn(KNOWN_HOSTS, place, rows * 2)
  place = placeColumn(KNOWN_APPS, place, rows * 2)
  place = placeColumn(KNOWN_LEVELS, place, rows)
  place = placeColumn(KNOWN_FLAGS, place, rows)
  zero(load32(table), levelWords - load32(table))
  setTable(KNOWN_LEVEL_WORDS, levelWords)
  placeLevelWords(levelWords)
  return table
}

function placeColumn(word: i32, place: i32, bytes: i32): i32 {
  setTable(word, place)
  return aligned(place + bytes)
}

function setTable(word: i32, value: i32): void {
  store32(table + word * 4, value)
}

function field(model: i32, word: i32): i32 {
  return load32(model + word * 4)
}

/**
 * Writes rows for the lines from `from` on, up to the first that must be parsed.
 * @param to    the line behind the last that may be asked for: all are whole
 * @param row   the first to be written
 * @param span  whose models may be asked
 * @returns the line it stopped at
 */
export function fillKnown(from: i32, to: i32, row: i32, span: i32): i32 {
  const times = load32(table + KNOWN_TIMES * 4) + (row - from) * 8
  const ends = load32(table + KNOWN_ENDS * 4) + (row - from) * 4
  const lines = load32(table + KNOWN_LINES * 4) + (row - from) * 2
  const hosts = load32(table + KNOWN_HOSTS * 4) + (row - from) * 2
  const apps = load32(table + KNOWN_APPS * 4) + (row - from) * 2
  const levels = load32(table + KNOWN_LEVELS * 4) + row - from
  const flags = load32(table + KNOWN_FLAGS * 4) + row - from
  const misses = load32(table + KNOWN_MISSES * 4)
  let at = lineStart(from)
  for (let line = from; line < to; line++) {
    const end = lineStart(line + 1)
    if (end - at > lineBytesMax) return line
    const model = modelOf(line, HEAP + at, HEAP + end, span)
    if (model === 0) return line
    putTime(times + line * 8, line, model)
    store32(ends + line * 4, end)
    putShort(lines + line * 2, 1)
    putShort(hosts + line * 2, field(model, MODEL_HOST))
    putShort(apps + line * 2, field(model, MODEL_APP))
    store8(levels + line, field(model, MODEL_LEVEL))
    store8(flags + line, 0)
    const missed = misses + load32(lineTemplates + line * 4) * 4
    if (load32(missed) > 0) store32(missed, load32(missed) - 1)
    at = end
  }
  return to
}

function putShort(at: i32, value: i32): void {
  store8(at, value)
  store8(at + 1, value >>> 8)
}

/** 0: there is none. */
function modelOf(line: i32, at: i32, end: i32, span: i32): i32 {
  const youngest = load32(table + KNOWN_YOUNGEST * 4) + load32(lineTemplates + line * 4) * 4
  const seconds = load32(lineStampSeconds + line * 4)
  let model = load32(youngest)
  for (let tries: i32 = 0; model !== 0 && tries < TRIES_MAX; tries++) {
    if (isSure(model, seconds, span) !== 0) {
      if (field(model, MODEL_KIND) === VARIABLES) {
        if (isAlike(model, line, at, end) !== 0) return model
      } else if (beginsAlike(model, line, at, end) !== 0) return model
    }
    model = field(model, MODEL_NEXT)
  }
  const format = formatOfLine(line)
  if (format === NO_FORMAT) return 0
  model = load32(load32(table + KNOWN_HEADS * 4) + format * 4)
  for (let tries: i32 = 0; model !== 0 && tries < HEAD_TRIES_MAX; tries++) {
    if (isSure(model, seconds, span) !== 0 && beginsAlike(model, line, at, end) !== 0) {
      if (field(model, MODEL_KIND) === ORIGIN) learnOrigin(model, line, at)
      else if (load32(youngest) === 0) store32(youngest, copied(model))
      return model
    }
    model = field(model, MODEL_NEXT)
  }
  return 0
}

function isSure(model: i32, seconds: i32, span: i32): i32 {
  if (field(model, MODEL_SPAN) !== span) return 0
  return seconds >= field(model, MODEL_SECONDS_LEAST) && seconds <= field(model, MODEL_SECONDS_GREATEST) ? 1 : 0
}

/** For one template, of which it is the first; 0 where there is no room. */
function copied(model: i32): i32 {
  const copy = load32(table + KNOWN_NEXT_MODEL * 4)
  if (copy === load32(table + KNOWN_MODELS_END * 4)) return 0
  setTable(KNOWN_NEXT_MODEL, copy + MODEL_WORDS * 4)
  for (let word: i32 = 0; word < MODEL_WORDS; word++) store32(copy + word * 4, field(model, word))
  store32(copy + MODEL_NEXT * 4, 0)
  return copy
}

/**
 * The line was just known as one of this host and name: so are others of its template with the same variables up to the name,
 * numbers where it has some up to its text, and in that any words but those that tell a level.
 */
function learnOrigin(head: i32, line: i32, at: i32): void {
  const template = load32(lineTemplates + line * 4) * 4
  const misses = load32(table + KNOWN_MISSES * 4) + template
  if (originText - at > TEXT_AT_MAX || load32(misses) > MISSES_MAX) return
  const model = copied(head)
  if (model === 0) return
  store32(misses, load32(misses) + 1)
  const youngest = load32(table + KNOWN_YOUNGEST * 4) + template
  const nameEnd =
    load32(firstVariable(line)) + (load32(firstVariable(line) + 4) & LENGTH_MASK) + field(head, MODEL_BYTES)
  const same = variablesTo(line, nameEnd)
  setField(model, MODEL_NEXT, load32(youngest))
  setField(model, MODEL_KIND, VARIABLES)
  setField(model, MODEL_FIRST, firstVariable(line))
  setField(model, MODEL_STAMP, 0)
  setField(model, MODEL_SAME, same)
  setField(model, MODEL_DIGITS, same)
  setField(model, MODEL_LENGTHS, variablesTo(line, originLookedTo))
  setField(model, MODEL_TEXTS, variablesTo(line, originText))
  store32(youngest, model)
}

/** How many variables of the line begin before a place. */
function variablesTo(line: i32, place: i32): i32 {
  const count = variableCount(line)
  let at = firstVariable(line)
  let k: i32 = 0
  while (k < count && load32(at) < place) {
    k++
    at += VARIABLE_BYTES
  }
  return k
}

function setField(model: i32, word: i32, value: i32): void {
  store32(model + word * 4, value)
}

/** 1 if the line begins as a model of its format says. */
function beginsAlike(model: i32, line: i32, at: i32, end: i32): i32 {
  let stamp = firstVariable(line)
  const last = stamp + variableCount(line) * VARIABLE_BYTES
  while (stamp < last && (load32(stamp + 4) & (STAMP | LATER)) !== STAMP) stamp += VARIABLE_BYTES
  if (stamp === last) return 0
  const stampAt = load32(stamp)
  const stampEnd = stampAt + (load32(stamp + 4) & LENGTH_MASK)
  const likeLine = field(model, MODEL_LINE)
  const text = field(model, MODEL_TEXT)
  const bytes = field(model, MODEL_BYTES)
  const kind = field(model, MODEL_KIND)
  if (kind === HEAD) {
    return isHead(likeLine, text, bytes, field(model, MODEL_NUMBERS), at, stampAt, stampEnd, end)
  }
  if (kind === ORIGIN) return isOrigin(text, bytes, at, stampAt, stampEnd, end)
  return isClient(text, bytes, at, stampAt, stampEnd, end)
}

/** 1 if in as much of the line as was looked at in the model's all variables are alike. */
function isAlike(model: i32, line: i32, at: i32, end: i32): i32 {
  const stamp = field(model, MODEL_STAMP)
  const same = field(model, MODEL_SAME)
  const digits = field(model, MODEL_DIGITS)
  const count = field(model, MODEL_LENGTHS)
  const texts = field(model, MODEL_TEXTS)
  let shift: i32 = 0
  let a = firstVariable(line)
  let b = field(model, MODEL_FIRST)
  for (let k: i32 = 0; k < count; k++, a += VARIABLE_BYTES, b += VARIABLE_BYTES) {
    const shape = load32(a + 4)
    const other = load32(b + 4)
    if (shape !== other) {
      if (k < digits) return 0
      if ((shape & other & NUMBER) === 0 && isFree(a, b, k < texts ? 0 : 1, 0, at, end) === 0) return 0
      shift += (shape & LENGTH_MASK) - (other & LENGTH_MASK)
    } else if ((shape & NUMBER) !== 0) {
      // Numbers of one length and value are the same.
      if (k < same && load32(a + 8) !== load32(b + 8)) return 0
    } else if (k !== stamp) {
      // A hash is no proof.
      const isEqual: i32 = load32(a + 8) === load32(b + 8) ? equal(load32(a), load32(b), shape & LENGTH_MASK) : 0
      if (isEqual === 0 && (k < same || isFree(a, b, k < texts ? 0 : 1, k < digits ? 1 : 0, at, end) === 0)) return 0
    }
  }
  return shift >= -SHIFT_BYTES_MAX && shift <= SHIFT_BYTES_MAX ? 1 : 0
}

/** 1 if what differs in two variables cannot count. `isText`: only a level would. */
function isFree(a: i32, b: i32, isText: i32, isAsLong: i32, at: i32, end: i32): i32 {
  if (isText === 0) return areJoinedAlike(a, b, isAsLong)
  return isPlain(load32(a), load32(a) + (load32(a + 4) & LENGTH_MASK), at, end)
}

/** 1 if two variables are numbers joined alike: to the parser they are words of digits. `isAsLong`: of as many digits. */
function areJoinedAlike(a: i32, b: i32, isAsLong: i32): i32 {
  let i = load32(a)
  let j = load32(b)
  const iEnd = i + (load32(a + 4) & LENGTH_MASK)
  const jEnd = j + (load32(b + 4) & LENGTH_MASK)
  while (i < iEnd && j < jEnd) {
    const iFrom = i
    const jFrom = j
    while (i < iEnd && isDigit(load8(i)) !== 0) i++
    while (j < jEnd && isDigit(load8(j)) !== 0) j++
    const digits = i - iFrom
    if (digits === 0 || j === jFrom || digits > DIGITS_MAX || j - jFrom > DIGITS_MAX) return 0
    if (isAsLong !== 0 && digits !== j - jFrom) return 0
    if (i === iEnd || j === jEnd) return i === iEnd && j === jEnd ? 1 : 0
    const joiner = load8(i++)
    if (joiner !== load8(j++) || (joiner !== 46 && joiner !== 58 && joiner !== 45)) return 0
  }
  return 0
}

function isDigit(byte: i32): i32 {
  return byte >= 48 && byte <= 57 ? 1 : 0
}

/** Of the stamp that was asked for last, without its fraction: lines that follow each other mostly have the same. */
let baseSeconds: i32 = 0
let baseLow: i32 = 0
let baseHigh: i32 = 0

/** The time of the line, in two halves: its stamp, moved by what the model's was. */
function putTime(at: i32, line: i32, model: i32): void {
  const seconds = load32(lineStampSeconds + line * 4)
  if (seconds !== baseSeconds) {
    baseSeconds = seconds
    // Products of 16 bits each, for a number has 32.
    const upper = seconds >> 16
    const lower = seconds & 0xffff
    const high = mul(lower, BILLION_HIGH)
    const low = mul(lower, BILLION_LOW)
    const sum = (low + (high << 16)) | 0
    const cross = mul(upper, BILLION_LOW)
    baseLow = (sum + (cross << 16)) | 0
    baseHigh = mul(upper, BILLION_HIGH) + (high >>> 16) + (cross >> 16) + carried(sum, low) + carried(baseLow, sum)
  }
  const nanos = mul(load32(lineStampFractions + line * 4), field(model, MODEL_UNIT))
  const stamp = (baseLow + nanos) | 0
  const low = (stamp + field(model, MODEL_OFFSET_LOW)) | 0
  store32(at, low)
  store32(at + 4, (baseHigh + field(model, MODEL_OFFSET_HIGH) + carried(stamp, baseLow) + carried(low, stamp)) | 0)
}

/** 1 if a sum of 32 bits without sign came to be less than what was added to. */
function carried(sum: i32, former: i32): i32 {
  return (sum ^ SIGN) < (former ^ SIGN) ? 1 : 0
}
