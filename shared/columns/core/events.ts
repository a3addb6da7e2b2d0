// Stream 9: what events say beyond the text that was encoded last, told from its lines; event-columns.ts draws the lists.
// All of them are written in one walk over the events. Times are 64 bits in two halves.
//
//   memory:  table │ lists' bytes │ columns of the events, put there by the host │ first lines │ labels │ tellers' work
//   table:   addresses of the columns: times, ends, lines, hosts, apps, levels, flags · lines in all · least and greatest time ·
//            from EVENT_LISTS_AT on the lists (exceptions.ts)
import { spentPlace } from './encode.ts'
import {
  addException,
  clearList,
  exceptionCount,
  LIST_BYTES,
  placeList,
  putHead,
  putValue,
  putValue64,
} from './exceptions.ts'
import { formatOfLine, lineStampFractions, lineStampSeconds, lineStarts, lineTemplates, NO_FORMAT } from './lines.ts'
import { type i32, load8, load16, load32, mul, store32, zero } from './memory.ts'
import { aligned, FORMAT_BYTES, FORMATS, FORMATS_MAX, POWERS, RESULT } from './places.ts'
import { fractionDigits } from './stamps.ts'
import { chooseTellers, placeTelling, putTold, tellingBytes } from './tellers.ts'

/** Words of the table. */
export const TIMES_AT: i32 = 0
export const ENDS_AT: i32 = 4
export const LINES_AT: i32 = 8
export const HOSTS_AT: i32 = 12
export const APPS_AT: i32 = 16
export const LEVELS_AT: i32 = 20
export const FLAGS_AT: i32 = 24
export const LINES_TOTAL_AT: i32 = 28
export const LEAST_TIME_AT: i32 = 32
export const GREATEST_TIME_AT: i32 = 40
export const EVENT_LISTS_AT: i32 = 64
/** In their order. */
export const EVENT_LISTS: i32 = 7
const EXTENTS: i32 = EVENT_LISTS_AT
const LINES: i32 = EVENT_LISTS_AT + LIST_BYTES
const TIMES: i32 = EVENT_LISTS_AT + 2 * LIST_BYTES
const LABELS: i32 = EVENT_LISTS_AT + 3 * LIST_BYTES
const TABLE_BYTES: i32 = 512
/** Of an event: its columns, its first line, of each list the most that an exception takes, with a byte and a bit for its gap. */
const EVENT_BYTES: i32 = 66
const ROOM_BYTES: i32 = 8192
/** Labels: level and flags · host and application · how often each of the four was told wrong. */
const LABEL_BYTES: i32 = 24
const WRONG_AT: i32 = 8
/** A column of labels with fewer exceptions, or fewer for each event, has no tellers. */
const EXCEPTIONS_MIN: i32 = 8
const COLUMN_SHARE_SHIFT: i32 = 5
/** A billion, its halves: products of 64 bits are made of those of 32. */
const BILLION: i32 = 1000000000
const BILLION_LOW: i32 = 51712
const BILLION_HIGH: i32 = 15258
const SIGN: i32 = -2147483648

let eventCount: i32 = 0
let lineCount: i32 = 0
let templateCount: i32 = 0
let table: i32 = 0
let firstLines: i32 = 0
let labels: i32 = 0

/** Room for so many events of the text that was encoded last; answers the table. What was read of its lines is void. */
export function placeEvents(count: i32): i32 {
  eventCount = count
  lineCount = load32(RESULT)
  templateCount = load32(RESULT + 4)
  const labelBytes = (templateCount + 1) * LABEL_BYTES
  const bytes = TABLE_BYTES + count * EVENT_BYTES + labelBytes + tellingBytes(count, lineCount, templateCount)
  table = aligned(spentPlace(bytes + ROOM_BYTES))
  let place = table + TABLE_BYTES
  place = placeList(table + EXTENTS, place, count, 10)
  place = placeList(table + LINES, place, count, 3)
  place = placeList(table + TIMES, place, count, 10)
  for (let list: i32 = 0; list < 4; list++) {
    place = placeList(table + LABELS + list * LIST_BYTES, place, count, list < 2 ? 2 : 3)
  }
  place = placeColumn(TIMES_AT, place, count * 8)
  place = placeColumn(ENDS_AT, place, count * 4)
  place = placeColumn(LINES_AT, place, count * 2)
  place = placeColumn(HOSTS_AT, place, count * 2)
  place = placeColumn(APPS_AT, place, count * 2)
  place = placeColumn(LEVELS_AT, place, count)
  place = placeColumn(FLAGS_AT, place, count)
  firstLines = place
  labels = aligned(firstLines + count * 4)
  placeTelling(labels + labelBytes, count, firstLines)
  return table
}

function placeColumn(word: i32, at: i32, bytes: i32): i32 {
  store32(table + word, at)
  return aligned(at + bytes)
}

/** The lists of the events that the host has put there. */
export function encodeEvents(): void {
  const times = load32(table + TIMES_AT)
  const ends = load32(table + ENDS_AT)
  const lines = load32(table + LINES_AT)
  const hosts = load32(table + HOSTS_AT)
  const apps = load32(table + APPS_AT)
  const levels = load32(table + LEVELS_AT)
  const flags = load32(table + FLAGS_AT)
  const lineEnds = lineStarts + 4
  let line: i32 = 0
  let start: i32 = 0
  let isLineStart: i32 = 1
  let linesTotal: i32 = 0
  zero(labels, (templateCount + 1) * LABEL_BYTES)
  beginTimes(times)
  for (let i: i32 = 0; i < eventCount; i++) {
    const end = load32(ends + i * 4)
    // An event behind the last line counts as in it.
    const first: i32 = line < lineCount ? line : lineCount - 1
    store32(firstLines + i * 4, first)
    let starts: i32 = isLineStart
    if (line < lineCount && end === load32(lineEnds + line * 4)) {
      line++
      isLineStart = 1
    } else {
      const from = line
      while (line < lineCount && load32(lineEnds + line * 4) <= end) line++
      const isWhole: i32 = line > from && load32(lineEnds + line * 4 - 4) === end ? 1 : 0
      // An empty event at a line's start begins no line yet.
      starts = end === start ? 0 : isLineStart + line - from - isWhole
      addException(table + EXTENTS, i)
      putValue(table + EXTENTS, line - from)
      putValue(table + EXTENTS, isWhole !== 0 ? 0 : 1 + end - start)
      isLineStart = isWhole !== 0 || (end === start && isLineStart !== 0) ? 1 : 0
    }
    start = end
    const begun = load16(lines + i * 2)
    linesTotal += begun
    if (begun !== starts) {
      addException(table + LINES, i)
      putValue(table + LINES, begun)
    }
    putTime(i, load32(times + i * 8), load32(times + i * 8 + 4), first)
    const former = labels + mul(load32(lineTemplates + first * 4), LABEL_BYTES)
    const levelAndFlags = load8(levels + i) | (load8(flags + i) << 16)
    const names = load16(hosts + i * 2) | (load16(apps + i * 2) << 16)
    if (load32(former) !== levelAndFlags) putLabels(i, former, 0, levelAndFlags)
    if (load32(former + 4) !== names) putLabels(i, former, 2, names)
  }
  endTimes()
  store32(table + LINES_TOTAL_AT, linesTotal)
  for (let list: i32 = 0; list < 3; list++) putHead(listAt(list), exceptionCount(listAt(list)))
  tell(levels, 1, 0)
  tell(flags, 1, 1)
  tell(hosts, 2, 2)
  tell(apps, 2, 3)
}

function listAt(list: i32): i32 {
  return table + EVENT_LISTS_AT + list * LIST_BYTES
}

/** A pair of labels, one of which at least is not the former one of the template. @param label  the first: 0 or 2 */
function putLabels(event: i32, former: i32, label: i32, pair: i32): void {
  const differs = load32(former + label * 2) ^ pair
  store32(former + label * 2, pair)
  const list = table + LABELS + label * LIST_BYTES
  const wrong = former + WRONG_AT + label * 4
  if ((differs & 0xffff) !== 0) putLabel(event, list, pair & 0xffff, wrong)
  if (differs >>> 16 !== 0) putLabel(event, list + LIST_BYTES, pair >>> 16, wrong + 4)
}

function putLabel(event: i32, list: i32, value: i32, wrong: i32): void {
  store32(wrong, load32(wrong) + 1)
  addException(list, event)
  putValue(list, value)
}

// ── Times ──

let formerLow: i32 = 0
let formerHigh: i32 = 0
let leastLow: i32 = 0
let leastHigh: i32 = 0
let greatestLow: i32 = 0
let greatestHigh: i32 = 0
/** The second that was asked for last, in nanoseconds. */
let second: i32 = 0
let secondLow: i32 = 0
let secondHigh: i32 = 0

function beginTimes(times: i32): void {
  formerLow = 0
  formerHigh = 0
  second = 0
  secondLow = 0
  secondHigh = 0
  const count: i32 = eventCount
  leastLow = count > 0 ? load32(times) : 0
  leastHigh = count > 0 ? load32(times + 4) : 0
  greatestLow = leastLow
  greatestHigh = leastHigh
  // Of each format: what is added to its stamps.
  for (let format: i32 = 0; format < FORMATS_MAX; format++) {
    store32(FORMATS + format * FORMAT_BYTES + 8, 0)
    store32(FORMATS + format * FORMAT_BYTES + 12, 0)
  }
}

function endTimes(): void {
  store32(table + LEAST_TIME_AT, leastLow)
  store32(table + LEAST_TIME_AT + 4, leastHigh)
  store32(table + GREATEST_TIME_AT, greatestLow)
  store32(table + GREATEST_TIME_AT + 4, greatestHigh)
}

function putTime(event: i32, low: i32, high: i32, line: i32): void {
  const format = formatOfLine(line)
  if (format === NO_FORMAT) {
    if (low === formerLow && high === formerHigh) return
    putTimeException(event, low, high)
  } else {
    const seconds = load32(lineStampSeconds + line * 4)
    if (seconds !== second) setSecond(seconds)
    const state = FORMATS + format * FORMAT_BYTES
    const offset = load32(state + 8)
    const stampLow =
      (secondLow + mul(load32(lineStampFractions + line * 4), load32(POWERS + (9 - fractionDigits(format)) * 4))) | 0
    const stampHigh = (secondHigh + carry(stampLow, secondLow)) | 0
    const toldLow = (stampLow + offset) | 0
    const toldHigh = (stampHigh + load32(state + 12) + carry(toldLow, offset)) | 0
    if (low !== toldLow || high !== toldHigh) {
      putTimeException(event, low, high)
      store32(state + 8, (low - stampLow) | 0)
      store32(state + 12, (high - stampHigh - carry(low, stampLow)) | 0)
    }
    if (low === formerLow && high === formerHigh) return
  }
  formerLow = low
  formerHigh = high
  if (isLess(low, high, leastLow, leastHigh) !== 0) {
    leastLow = low
    leastHigh = high
  } else if (isLess(greatestLow, greatestHigh, low, high) !== 0) {
    greatestLow = low
    greatestHigh = high
  }
}

function putTimeException(event: i32, low: i32, high: i32): void {
  addException(table + TIMES, event)
  putValue64(table + TIMES, (low - formerLow) | 0, (high - formerHigh - carry(low, formerLow)) | 0)
}

/** 1 if `a` is under `b`, both without a sign: a sum under one that it is of, or a difference that has to borrow. */
function carry(a: i32, b: i32): i32 {
  return (a ^ SIGN) < (b ^ SIGN) ? 1 : 0
}

function isLess(low: i32, high: i32, otherLow: i32, otherHigh: i32): i32 {
  return high === otherHigh ? carry(low, otherLow) : high < otherHigh ? 1 : 0
}

function setSecond(seconds: i32): void {
  const upper = seconds >> 16
  const lower = seconds & 0xffff
  const middle = mul(upper, BILLION_LOW) + (mul(lower, BILLION_LOW) >>> 16)
  const rest = mul(lower, BILLION_HIGH) + (middle & 0xffff)
  second = seconds
  secondLow = mul(seconds, BILLION)
  secondHigh = mul(upper, BILLION_HIGH) + (middle >> 16) + (rest >> 16)
}

// ── Labels with tellers ──

/** The head of a list of labels; if it is long, and tellers do better, all of it anew. @param bytes  of a value in `column` */
function tell(column: i32, bytes: i32, label: i32): void {
  const list = table + LABELS + label * LIST_BYTES
  const count = exceptionCount(list)
  let tellers: i32 = 0
  if (count >= EXCEPTIONS_MIN && count << COLUMN_SHARE_SHIFT >= eventCount) {
    tellers = chooseTellers(column, bytes, labels + WRONG_AT + label * 4, LABEL_BYTES)
  }
  if (tellers !== 0) {
    clearList(list)
    putTold(list, column, bytes)
  } else putHead(list, 0)
  putHead(list, exceptionCount(list))
}
