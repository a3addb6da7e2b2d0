// Which lines make up one record, by the rule of their source. Pure: bytes in, ends out. A record is never longer than an
// event may be; what is beyond begins an event that is marked as continued.
import { EVENT_BYTES_MAX } from '../../shared/events.ts'
import { LineParser } from '../parse/line-parser.ts'
import { type LineAsk, maybeTrace, mayHoldEntry, type Place, surelyBegins, type TraceState, Traces } from './traces.ts'
import { isPartial, type Wrapper, writtenAt, writtenEnd } from './wrapper.ts'

/** An index counts lines of an event with 16 bits; a record of so many is a mistake of a rule. */
export const RECORD_LINES_MAX = 10_000
/** From error on a line may be the one that logged a trace: its next lines are waited for. */
const LEVEL_MAY_HAVE_TRACE = 6

/** How a source's lines are told apart; from settings. */
export type LineRule =
  /** Traces of common languages, entries of the journal. */
  | { kind: 'traces' }
  /** Every line is a record. */
  | { kind: 'lines' }
  /** A record begins with each line that tells a time of its own. */
  | { kind: 'time' }
  /** An indented line belongs to the one before. */
  | { kind: 'indented' }
  /** A record begins with a line in which the pattern is found. */
  | { kind: 'start'; isIn(line: string): boolean }
  /** A line in which the pattern is found belongs to the one before. */
  | { kind: 'continue'; isIn(line: string): boolean }

/** Looked back over for one that surely begins a record: a trace may be longer, but is seldom the end of what was read. */
const SURE_LINES_MAX = 8
/** What lines may have left behind that were not looked at. */
const STATES: TraceState[] = ['plain', 'frames', 'python', 'pythonEnd', 'go']
/** Patterns look no further into a line. */
const PATTERN_BYTES_MAX = 1024
const NEWLINE = 0x0a

/** One per source. The record last found is in its fields. */
export class Records {
  /** Offset after the record. */
  end = 0
  /** Offset after its first line: what time, level and names are read from. */
  headEnd = 0
  lines = 0
  /** It is no record of its own but more of the one before it, which was given out already. */
  isContinued = false
  /** It reaches the end of what is there, and what comes next may belong to it. */
  isOpen = false

  readonly #rule: LineRule
  readonly #wrapper: Wrapper
  readonly #traces: Traces
  readonly #ask: Ask
  readonly #before: Place = { start: 0, end: 0 }
  #isPartial = false

  constructor(rule: LineRule, wrapper: Wrapper, zone?: string) {
    this.#rule = rule
    this.#wrapper = wrapper
    this.#ask = new Ask(zone)
    this.#traces = new Traces(this.#ask)
  }

  /** Every line is a record: the caller need not ask. */
  get isTrivial(): boolean {
    return this.#rule.kind === 'lines' && this.#wrapper === 'none'
  }

  /** Lines make a record of more than themselves only where `maybeTrace` says so. */
  get isOfTraces(): boolean {
    return this.#rule.kind === 'traces' && this.#wrapper === 'none'
  }

  /**
   * Finds the record that begins at `at`, where a line begins.
   * @param limit  after the last whole line
   */
  next(b: Buffer, at: number, limit: number): void {
    this.#traces.reset()
    this.#isPartial = false
    let end = lineEnd(b, at, limit)
    this.isContinued = this.#continues(b, at, end, limit, undefined)
    this.headEnd = end
    this.lines = 1
    this.#before.start = at
    this.#before.end = end
    while (end < limit) {
      const next = lineEnd(b, end, limit)
      if (!this.#continues(b, end, next, limit, this.#before)) {
        this.end = end
        this.isOpen = false
        return
      }
      if (next - at > EVENT_BYTES_MAX || this.lines >= RECORD_LINES_MAX) {
        this.end = end
        this.isOpen = false
        return
      }
      this.#before.start = end
      this.#before.end = next
      this.lines++
      end = next
    }
    this.end = end
    this.isOpen = this.#mayGoOn(b, this.#before)
  }

  /**
   * Whether the line that begins at `at` may make a record of more than itself together with its neighbours. If not, it is
   * a record: nothing else need be asked.
   */
  maybeJoined(b: Buffer, at: number, limit: number): boolean {
    return !this.isOfTraces || maybeTrace(b, at, limit)
  }

  /**
   * The last record before `limit`: where it begins. `isOpen` and the rest are of this record.
   * @param start  where a line, and a record, begins
   */
  last(b: Buffer, start: number, limit: number): number {
    // Further back no record that is still going on can begin.
    let at = start
    if (limit - start > EVENT_BYTES_MAX) {
      const newline = b.indexOf(NEWLINE, limit - EVENT_BYTES_MAX)
      if (newline >= 0 && newline + 1 < limit) at = newline + 1
    }
    if (this.isOfTraces) at = this.#lastSure(b, at, limit)
    for (;;) {
      this.next(b, at, limit)
      if (this.end >= limit) return at
      at = this.end
    }
  }

  /** A line not far from `limit` where a record begins, whatever is between it and `start`, where one does, too; else `start`. */
  #lastSure(b: Buffer, start: number, limit: number): number {
    const lines = [limit]
    for (let at = limit; lines.length <= SURE_LINES_MAX && at > start; ) {
      at = at - 2 < start ? start : Math.max(start, b.lastIndexOf(NEWLINE, at - 2) + 1)
      lines.push(at)
      if (at > start && surelyBegins(b, at, limit)) return mayHoldEntry(b, start, at) ? start : at
    }
    const sure = this.#sureOf(b, lines.reverse(), limit)
    return sure === undefined || mayHoldEntry(b, start, sure) ? start : sure
  }

  /** The last of these lines where a record begins whatever the lines before them were, but for an entry of the journal. */
  #sureOf(b: Buffer, lines: number[], limit: number): number | undefined {
    const traces = this.#traces
    let sure: number | undefined
    let states: Iterable<TraceState> = STATES
    for (let i = 1; i < lines.length - 1; i++) {
      const [before, at, next] = lines.slice(i - 1, i + 2)
      const end = withoutEnd(b, at, next)
      let goesOn = false
      const after = new Set<TraceState>()
      for (const state of states) {
        traces.reset()
        traces.state = state
        if (!traces.continues(b, at, end, next, limit, { start: before, end: at })) continue
        goesOn = true
        after.add(traces.state)
      }
      // A record may also have begun because the one before was too long.
      traces.reset()
      traces.continues(b, at, end, next, limit, undefined)
      after.add(traces.state)
      // What a line means behind an empty one is more than a state.
      const isBehindBlank = withoutEnd(b, before, at) === before
      if (!goesOn && !isBehindBlank) sure = at
      states = isBehindBlank ? STATES : after
    }
    return sure
  }

  #continues(b: Buffer, start: number, end: number, limit: number, before: Place | undefined): boolean {
    if (this.#wrapper === 'none') return this.#belongs(b, start, end, end, limit, before)
    const wasPartial = this.#isPartial
    this.#isPartial = isPartial(this.#wrapper, b, start, end)
    if (wasPartial) return true
    const at = writtenAt(this.#wrapper, b, start, end)
    const next = end < limit ? writtenAt(this.#wrapper, b, end, lineEnd(b, end, limit)) : limit
    return this.#belongs(b, at, writtenEnd(this.#wrapper, b, start, end), next, limit, before)
  }

  /** @param next  where the text of the line after it begins */
  #belongs(b: Buffer, at: number, end: number, next: number, limit: number, before: Place | undefined): boolean {
    const rule = this.#rule
    switch (rule.kind) {
      case 'traces':
        return this.#traces.continues(b, at, withoutEnd(b, at, end), next, limit, before)
      case 'lines':
        return false
      case 'time':
        return !this.#ask.hasTime(b, at, end)
      case 'indented':
        return at < end && (b[at] === 0x20 || b[at] === 0x09)
      default: {
        const line = b.toString('utf8', at, Math.min(withoutEnd(b, at, end), at + PATTERN_BYTES_MAX))
        return rule.isIn(line) === (rule.kind === 'continue')
      }
    }
  }

  #mayGoOn(b: Buffer, last: Place): boolean {
    if (this.#isPartial) return true
    if (this.#rule.kind !== 'traces') return this.#rule.kind !== 'lines'
    const { state } = this.#traces
    if (state === 'plain') return this.#ask.level(b, last.start, last.end) >= LEVEL_MAY_HAVE_TRACE
    return state !== 'closed'
  }
}

class Ask implements LineAsk {
  readonly #parser: LineParser

  constructor(zone?: string) {
    this.#parser = new LineParser({ zone })
  }

  hasTime(b: Buffer, start: number, end: number): boolean {
    this.#parser.parse(b, start, end, 0)
    return !this.#parser.timeIsGuessed
  }

  level(b: Buffer, start: number, end: number): number {
    this.#parser.parse(b, start, end, 0)
    return this.#parser.level
  }
}

function lineEnd(b: Buffer, at: number, limit: number): number {
  const newline = b.indexOf(NEWLINE, at)
  return newline < 0 || newline >= limit ? limit : newline + 1
}

function withoutEnd(b: Buffer, at: number, end: number): number {
  let last = end
  if (last > at && b[last - 1] === NEWLINE) last--
  if (last > at && b[last - 1] === 0x0d) last--
  return last
}
