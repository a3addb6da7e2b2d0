// From collected bytes to events: where each ends, and its time, level, host and application. Columns as those of
// shared/events, kept from packet to packet and grown in place.
import type { Analysis } from '../shared/columns/codec.ts'
import { DROPPED_BY } from '../shared/dropped.ts'
import {
  DROPPED,
  EVENT_BYTES_MAX,
  type Events,
  IS_CONTINUED,
  IS_REDACTED,
  type Run,
  TIME_IS_GUESSED,
} from '../shared/events.ts'
import type { Span } from './builder.ts'
import { droppedEnd, linesBegun } from './drop/add-stretches.ts'
import { EventRows } from './event-rows.ts'
import { KnownLines } from './known-lines.ts'
import { beginsJournalEntry } from './parse/journal-export.ts'
import type { LineParser } from './parse/line-parser.ts'

/** The columns of a packet index names with 16 bits. */
const NAMES_MAX = 60_000
/** And its meta has a bound: names as strings of up to three bytes per character. */
const NAMES_BYTES_MAX = 1024 * 1024
const NEWLINE = 0x0a

export class EventColumns {
  readonly #rows = new EventRows()
  #runs: Run[] = []
  #names: string[] = []
  readonly #nameIds = new Map<string, number>()
  #nameBytes = 0
  /** The name found last, per column: neighbours mostly share it. */
  #lastHost = ''
  #lastHostId = 0
  #lastApp = ''
  #lastAppId = 0
  readonly #known = new KnownLines()
  /** Of all of the text, as the codec found them: lines of one source may end those of another, where one has no end. */
  #lineEnds: Uint32Array | undefined
  /** The line of the codec that holds the place come to. */
  #line = 0
  /** Behind the last line of the span that can be known. */
  #knownTo = 0
  /** Fields of the line at hand. */
  #level = 0
  #host = ''
  #app = ''
  #flag = 0
  #timeLow = 0
  #timeHigh = 0
  /** The last time of a parser, and its halves. */
  #timeNs = 0n
  #parsedLow = 0
  #parsedHigh = 0
  /** The first of the span's hidden places that no event has. */
  #nextHidden = 0
  /** The parser of the span does not know the time of the line before yet. */
  #isParserBehind = false

  /**
   * The events of all spans; of the first ones only, where a packet cannot hold more names: `bytes` of the answer tells
   * how far it came. The answer is a view of these columns and of `bytes`: it is good until the next call.
   * @param analysis  of exactly these bytes, if the codec took them: most lines are known from others then
   */
  fill(bytes: Buffer, spans: readonly Span[], analysis?: Analysis): Events {
    this.#rows.count = 0
    this.#rows.giveBack()
    this.#runs = []
    this.#names = ['']
    this.#nameIds.clear()
    this.#nameIds.set('', 0)
    this.#nameBytes = 0
    this.#lastHost = this.#lastApp = ''
    this.#lastHostId = this.#lastAppId = 0
    this.#lineEnds = analysis?.lineEnds
    this.#line = 0
    if (analysis?.known !== undefined) {
      this.#known.begin(analysis, analysis.known, bytes)
      this.#rows.borrow(analysis.known.rows)
    }
    let done = 0
    for (const span of spans) {
      done = this.#fillSpan(bytes, span)
      if (done < span.end) break
    }
    this.#known.end()
    this.#rows.giveBack()
    this.#lineEnds = undefined
    return { runs: this.#runs, bytes: bytes.subarray(0, done), names: this.#names, ...this.#rows.columns }
  }

  /** @returns where it stopped: the end of the span, unless the names are full */
  #fillSpan(bytes: Buffer, span: Span): number {
    const first = this.#rows.count
    const { parser, label } = span
    this.#nextHidden = 0
    parser.written = span.written
    const at = span.droppedBy === undefined ? this.#fillLines(bytes, span) : this.#fillDropped(bytes, span)
    this.#catchUp(parser)
    this.#addRun(label, span.offset, at - span.start, this.#rows.count - first)
    return at
  }

  /** A line is an event; a longer one is several, with the fields of its beginning; or it makes one with those behind it. */
  #fillLines(bytes: Buffer, span: Span): number {
    const { end, records } = span
    const mayKnow = this.#rows.isBorrowed && (records === undefined || records.isOfTraces)
    if (mayKnow) this.#beginKnown(bytes, span)
    let isMidLine = span.isMidLine
    let at = span.start
    let isSuspect = records?.maybeJoined(bytes, at, end) === true
    while (at < end && !this.#isFull) {
      if (mayKnow && !isSuspect && !isMidLine) {
        const next = this.#fillKnown(bytes, at, span)
        if (next === end) return next
        if (next > at) isSuspect = records?.maybeJoined(bytes, next, end) === true
        at = next
      }
      const lineEnd = this.#lineEndAt(bytes, at, end)
      const isNextSuspect = lineEnd < end && records?.maybeJoined(bytes, lineEnd, end) === true
      if ((isSuspect || isNextSuspect) && !isMidLine && this.#pushRecord(bytes, at, lineEnd, span)) {
        at = records!.end
        isSuspect = at < end && records!.maybeJoined(bytes, at, end)
        continue
      }
      this.#tell(bytes, at, lineEnd, span)
      if (mayKnow && !isSuspect && !isMidLine && lineEnd - at <= EVENT_BYTES_MAX) this.#pushAndLearn(at, lineEnd, span)
      else this.#pushLine(bytes, at, lineEnd, isMidLine, span)
      isSuspect = isNextSuspect
      isMidLine = false
      at = lineEnd
    }
    return at
  }

  /** One event, or several where it is longer than one may be. */
  #pushLine(bytes: Buffer, start: number, end: number, isRest: boolean, span: Span): void {
    let isMidLine = isRest
    let at = start
    for (; end - at > EVENT_BYTES_MAX; isMidLine = true) {
      at += pieceBytes(bytes, at)
      this.#push(at, isMidLine ? 0 : 1, span)
    }
    this.#push(end, isMidLine ? 0 : 1, span)
  }

  /** The line that was just parsed: others like it need not be. */
  #pushAndLearn(at: number, end: number, span: Span): void {
    this.#push(end, 1, span)
    const line = this.#line
    if (line >= this.#knownTo || this.#lineEnds![line] !== end || this.#startOf(line) !== at) return
    const { hosts, apps, count } = this.#rows
    this.#known.learn(line, at, end, span.parser, hosts[count - 1], apps[count - 1])
  }

  #beginKnown(bytes: Buffer, { start, end, parser, label, readMs }: Span): void {
    const lineEnds = this.#lineEnds!
    while (lineEnds[this.#line] <= start) this.#line++
    let to = this.#line
    for (let last = lineEnds.length; to < last; ) {
      const middle = (to + last) >>> 1
      if (lineEnds[middle] <= end) to = middle + 1
      else last = middle
    }
    // A line without its end is not quite like others of its template.
    this.#knownTo = to > this.#line && bytes[lineEnds[to - 1] - 1] !== NEWLINE ? to - 1 : to
    this.#known.beginSpan(parser, label, Math.floor(readMs / 1000))
  }

  /** Events of the lines from `at` on that are known without the parser. @returns the place behind them */
  #fillKnown(bytes: Buffer, at: number, { end, records, hidden }: Span): number {
    const lineEnds = this.#lineEnds!
    while (lineEnds[this.#line] <= at) this.#line++
    const line = this.#line
    if (this.#startOf(line) !== at) return at
    const rows = this.#rows
    // More events than lines: they are parsed.
    if (rows.count + this.#knownTo - line > rows.ends.length) rows.giveBack()
    if (!rows.isBorrowed) return at
    const first = rows.count
    let stop = this.#known.fill(line, this.#knownTo, rows)
    // The last one may make a record with the line behind it.
    if (stop > line && lineEnds[stop - 1] < end && records?.maybeJoined(bytes, lineEnds[stop - 1], end)) {
      stop--
      rows.count--
    }
    if (stop === line) return at
    const { halves, ends, flags, count } = rows
    if (hidden !== undefined) {
      for (let row = first; row < count; row++) if (this.#hasHidden(hidden, ends[row])) flags[row] = IS_REDACTED
    }
    this.#line = stop
    this.#timeLow = halves[2 * count - 2 + rows.low]
    this.#timeHigh = halves[2 * count - 2 + rows.high]
    this.#isParserBehind = true
    return ends[count - 1]
  }

  #startOf(line: number): number {
    return line === 0 ? 0 : this.#lineEnds![line - 1]
  }

  /** As few events as may be: their text tells nothing. The time is that of the event before. */
  #fillDropped(bytes: Buffer, span: Span): number {
    const { end, parser, isMidLine, readMs, droppedBy } = span
    this.#catchUp(parser)
    let at = span.start
    while (at < end && !this.#isFull) {
      const to = droppedEnd(bytes, at, end)
      this.#parse(bytes, at, at, parser, readMs)
      this.#level = DROPPED
      this.#host = ''
      this.#app = `${DROPPED_BY}${droppedBy}`
      this.#flag |= IS_REDACTED
      this.#push(to, linesBegun(bytes, at, to, isMidLine && at === span.start), span)
      at = to
    }
    return at
  }

  /** The record that begins with the line [at, lineEnd): its first line tells the fields. False: it is that line alone. */
  #pushRecord(bytes: Buffer, at: number, lineEnd: number, span: Span): boolean {
    const records = span.records!
    records.next(bytes, at, span.end)
    const { end, lines, isContinued } = records
    if ((lines === 1 && !isContinued) || end - at > EVENT_BYTES_MAX) return false
    this.#tell(bytes, at, beginsJournalEntry(bytes, at, end) ? end : lineEnd, span)
    if (isContinued) this.#flag |= IS_CONTINUED
    this.#push(end, lines, span)
    return true
  }

  /** Behind the end of the line that `at` is in, or `end` where it does not end before. */
  #lineEndAt(bytes: Buffer, at: number, end: number): number {
    const lineEnds = this.#lineEnds
    if (lineEnds === undefined) {
      const newline = bytes.indexOf(NEWLINE, at)
      return newline < 0 || newline >= end ? end : newline + 1
    }
    while (lineEnds[this.#line] <= at) this.#line++
    return Math.min(lineEnds[this.#line], end)
  }

  /** Time, level, host and application of the line [at, lineEnd), the one last found. */
  #tell(bytes: Buffer, at: number, lineEnd: number, { parser, readMs }: Span): void {
    this.#catchUp(parser)
    this.#parse(bytes, at, Math.min(lineEnd, at + EVENT_BYTES_MAX), parser, readMs)
  }

  #parse(bytes: Buffer, at: number, end: number, parser: LineParser, readMs: number): void {
    parser.parse(bytes, at, end, readMs)
    this.#level = parser.level
    this.#host = parser.host
    this.#app = parser.app
    this.#flag = parser.timeIsGuessed ? TIME_IS_GUESSED : 0
    if (parser.timeNs !== this.#timeNs) {
      this.#timeNs = parser.timeNs
      this.#parsedLow = Number(BigInt.asIntN(32, parser.timeNs))
      this.#parsedHigh = Number(BigInt.asIntN(32, parser.timeNs >> 32n))
    }
    this.#timeLow = this.#parsedLow
    this.#timeHigh = this.#parsedHigh
  }

  /** A line without a time has that of the line before it in its source, also if that was known without the parser. */
  #catchUp(parser: LineParser): void {
    if (!this.#isParserBehind) return
    this.#isParserBehind = false
    parser.inherit((BigInt(this.#timeHigh) << 32n) | BigInt(this.#timeLow >>> 0))
  }

  get #isFull(): boolean {
    return this.#names.length >= NAMES_MAX || this.#nameBytes >= NAMES_BYTES_MAX
  }

  #push(end: number, lines: number, { label, hidden }: Span): void {
    const rows = this.#rows
    rows.reserve(1)
    const i = rows.count++
    rows.ends[i] = end
    rows.halves[2 * i + rows.low] = this.#timeLow
    rows.halves[2 * i + rows.high] = this.#timeHigh
    rows.lines[i] = lines
    rows.levels[i] = this.#level
    rows.flags[i] = this.#flag | (hidden !== undefined && this.#hasHidden(hidden, end) ? IS_REDACTED : 0)
    const host = this.#host
    const app = this.#app
    if (host === '' || host === label.host) rows.hosts[i] = 0
    else {
      if (host !== this.#lastHost) {
        this.#lastHost = host
        this.#lastHostId = this.#nameId(host)
      }
      rows.hosts[i] = this.#lastHostId
    }
    if (app === '' || app === label.app) rows.apps[i] = 0
    else {
      if (app !== this.#lastApp) {
        this.#lastApp = app
        this.#lastAppId = this.#nameId(app)
      }
      rows.apps[i] = this.#lastAppId
    }
  }

  /** Whether bytes were hidden before `end` and behind the event before. */
  #hasHidden(hidden: number[], end: number): boolean {
    const before = this.#nextHidden
    while (hidden[this.#nextHidden] < end) this.#nextHidden++
    return this.#nextHidden > before
  }

  #addRun(label: Span['label'], offset: number, length: number, events: number): void {
    if (events === 0) return
    const run = this.#runs.at(-1)
    if (run !== undefined && run.source === label.source && run.to === offset && run.path === label.path) {
      run.to += length
      run.events += events
    } else {
      this.#runs.push({ ...label, from: offset, to: offset + length, events })
    }
  }

  #nameId(name: string): number {
    let id = this.#nameIds.get(name)
    if (id === undefined) {
      id = this.#names.length
      this.#names.push(name)
      this.#nameBytes += 3 * name.length
      this.#nameIds.set(name, id)
    }
    return id
  }
}

/** Length of a piece of a longer event: not through a UTF-8 sequence, where there is one. */
export function pieceBytes(bytes: Buffer, at: number): number {
  let length = EVENT_BYTES_MAX
  while (length > EVENT_BYTES_MAX - 3 && (bytes[at + length] & 0xc0) === 0x80) length--
  return length
}
