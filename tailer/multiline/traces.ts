// Which lines belong to the record before them, by the shapes that Java, .NET, Node, Python, Go, Ruby and PHP give their
// traces. The first byte decides for nearly every line of a log without traces.
//
//   plain ──header──▶ frames ──frame, indented──▶ frames          Java, .NET, Node, PHP, Ruby: any indented line goes on
//     │ Traceback ──▶ python ──indented──▶ python ──Name: …──▶ pythonEnd ──"", During handling …──▶ python
//     │ panic: ─────▶ go ──"", goroutine, name(…), \t──▶ go
//     │ /path.js:7 ─▶ frames (source line, ^, "", Error: …)
//     │ __CURSOR= ──▶ journal ──any──▶ journal ──""──▶ closed
//     ◀──── whatever fits nowhere begins the next record, as do a log line with its time, an unindented sentence …
//
// A header (java.lang.X: …, TypeError: …, Traceback …) is a part of the line before it if that one tells a time and it does
// not itself: then it is the line that logged it. Else it begins a record.
import { isDigit, isLetter, isWordByte } from '../parse/words.ts'

export type TraceState = 'plain' | 'frames' | 'python' | 'pythonEnd' | 'go' | 'journal' | 'closed'

/** What the rules ask of a line. Asked of few: it takes the whole parser. */
export interface LineAsk {
  hasTime(b: Buffer, start: number, end: number): boolean
}

export class Traces {
  state: TraceState = 'plain'
  readonly #ask: LineAsk
  /** In an entry of the journal: up to here the bytes are one value, whatever they look like. */
  #valueEnd = 0
  /** The line before was empty, and belongs to the trace because of the one at hand. */
  #isBehindBlank = false

  constructor(ask: LineAsk) {
    this.#ask = ask
  }

  /** The next line begins a record, whatever it is; offsets have no meaning any more. */
  reset(): void {
    this.state = 'plain'
    this.#valueEnd = 0
    this.#isBehindBlank = false
  }

  /**
   * Whether the line [at, end) belongs to the record of the line before it, which began at `before`.
   * @param at      first byte of what the writer wrote: behind a container's time
   * @param end     after its last byte, without the line end
   * @param next    where the text of the line after it begins, as far as there is one before `limit`
   * @param before  undefined: it is not known; the answer is whether the line can be no record's first
   */
  continues(b: Buffer, at: number, end: number, next: number, limit: number, before: Place | undefined): boolean {
    if (this.state === 'journal') return this.#inJournal(b, at, end, next, limit)
    if (this.state === 'closed') this.state = 'plain'
    if (at >= end) {
      this.#isBehindBlank = this.#blank(b, next, limit)
      return this.#isBehindBlank
    }
    const goesOn = this.#text(b, at, end, next, limit, before)
    this.#isBehindBlank = false
    return goesOn
  }

  #text(b: Buffer, at: number, end: number, next: number, limit: number, before: Place | undefined): boolean {
    const c = b[at]
    if (isIndented(b, at, end)) return this.#indented(b, at, end)
    if (isLetter(c)) return this.#word(b, at, end, before)
    return this.#other(b, at, end, next, limit)
  }

  #indented(b: Buffer, at: number, end: number): boolean {
    // Behind the end of a Python trace too: notes, and a message of several lines.
    if (this.state !== 'plain') return true
    const text = indentEnd(b, at, end)
    switch (b[text]) {
      case 0x61: // at
        if (!startsWith(AT, b, text, end)) return false
        break
      case 0x66: // from
        if (!startsWith(FROM, b, text, end)) return false
        break
      case 0x2e: // ... 12 more
        if (!startsWith(DOTS, b, text, end)) return false
        break
      case 0x2d: // ---> System.X, --- End of …
        if (!startsWith(DASHES, b, text, end)) return false
        break
      case 0x43:
        if (!startsWith(CAUSED_BY, b, text, end)) return false
        break
      case 0x53:
        if (!startsWith(SUPPRESSED, b, text, end)) return false
        break
      case 0x46: // File "x.py", line 1
        if (!startsWith(FILE, b, text, end)) return false
        this.state = 'python'
        return true
      default:
        return false
    }
    this.state = 'frames'
    return true
  }

  #word(b: Buffer, at: number, end: number, before: Place | undefined): boolean {
    const { state } = this
    switch (b[at]) {
      case 0x43: // C
        if (startsWith(CAUSED_BY, b, at, end)) {
          this.state = 'frames'
          return true
        }
        break
      case 0x44: // D
        if (state === 'pythonEnd' && startsWith(DURING, b, at, end)) {
          this.state = 'python'
          return true
        }
        break
      case 0x45: // E
        if (startsWith(EXCEPTION_IN, b, at, end)) {
          this.state = 'frames'
          return false
        }
        break
      case 0x4e: // N
        if (state === 'frames' && startsWith(NODE, b, at, end)) return true
        break
      case 0x53: // S
        if (startsWith(STACK_TRACE, b, at, end)) {
          this.state = 'frames'
          return true
        }
        break
      case 0x54: // T
        if (state === 'pythonEnd' && startsWith(THE_ABOVE, b, at, end)) {
          this.state = 'python'
          return true
        }
        if (startsWith(TRACEBACK, b, at, end)) {
          const goesOn = state === 'python' || this.#isLoggedBy(b, before, state)
          this.state = 'python'
          return goesOn
        }
        break
      case 0x55: // U
        if (startsWith(UNHANDLED, b, at, end)) {
          this.state = 'frames'
          return false
        }
        break
      case 0x63: // c
        if (state === 'go' && startsWith(CREATED_BY, b, at, end)) return true
        break
      case 0x65: // e
        if (state === 'go' && startsWith(EXIT_STATUS, b, at, end)) return true
        break
      case 0x66: // f
        if (startsWith(FATAL_ERROR, b, at, end)) {
          this.state = 'go'
          return false
        }
        break
      case 0x67: // g
        if (startsWith(GOROUTINE, b, at, end)) {
          const goesOn = state === 'go'
          this.state = 'go'
          return goesOn
        }
        break
      case 0x70: // p
        if (startsWith(PANIC, b, at, end)) {
          this.state = 'go'
          return false
        }
    }
    if (state === 'go' && isGoCall(b, at, end)) return true
    const name = nameEnd(b, at, end)
    if (state === 'python' && (isErrorLine(b, name, end) || isRubyPlace(b, name, end))) {
      this.state = 'pythonEnd'
      return true
    }
    if (isErrorName(b, at, name) && isErrorLine(b, name, end)) {
      const goesOn = state === 'python' || this.#isBehindBlank || this.#isLoggedBy(b, before, state)
      this.state = 'frames'
      return goesOn
    }
    if (isRubyPlace(b, name, end)) {
      const goesOn = !isRubyHeader(b, name, end) && (state === 'frames' || this.#isLoggedBy(b, before, state))
      this.state = 'frames'
      return goesOn
    }
    this.state = 'plain'
    return false
  }

  /** Neither letter nor space: digits and brackets of a log line mostly. */
  #other(b: Buffer, at: number, end: number, next: number, limit: number): boolean {
    const { state } = this
    switch (b[at]) {
      case 0x23: // #0 /srv/x.php(12): f()
        if (state === 'frames' && at + 2 < end && isDigit(b[at + 1])) return true
        break
      case 0x28: // (*T).method(…) of Go
        if (state === 'go' && isGoCall(b, at, end)) return true
        break
      case 0x2d: // --- End of stack trace from previous location ---
        if (state === 'frames' && startsWith(DASHES, b, at, end)) return true
        break
      case 0x2f: {
        // /srv/app.js:7, then the source line, then ^: Node tells where before it tells what. And Ruby's places.
        if (isRubyPlace(b, nameEnd(b, at, end), end)) return this.#word(b, at, end, undefined)
        if (endsInLineNumber(b, at, end) && isCaretAfter(b, next, limit)) {
          this.state = 'frames'
          return false
        }
        break
      }
      case 0x5b: // [signal SIGSEGV: …]
        if (state === 'go' && startsWith(SIGNAL, b, at, end)) return true
        break
      case 0x5e: // ^ under a source line that is not indented
      case 0x7d: // } behind what Node tells of an error
        if (state === 'frames') return true
        break
      case 0x5f:
        if (startsWith(CURSOR, b, at, end) || startsWith(REALTIME, b, at, end)) {
          this.state = 'journal'
          this.#valueEnd = 0
          return false
        }
    }
    this.state = 'plain'
    return false
  }

  /** An empty line belongs to a trace only if the trace goes on behind it. */
  #blank(b: Buffer, next: number, limit: number): boolean {
    switch (this.state) {
      case 'pythonEnd':
        return startsWith(DURING, b, next, limit) || startsWith(THE_ABOVE, b, next, limit)
      case 'python':
        return startsWith(TRACEBACK, b, next, limit)
      case 'go':
        return startsWith(GOROUTINE, b, next, limit) || startsWith(SIGNAL, b, next, limit)
      case 'frames': {
        if (startsWith(NODE, b, next, limit)) return true
        const end = nameEnd(b, next, limit)
        return (isErrorName(b, next, end) && isErrorLine(b, end, limit)) || isRubyPlace(b, end, limit)
      }
      default:
        this.state = 'plain'
        return false
    }
  }

  #inJournal(b: Buffer, at: number, end: number, next: number, limit: number): boolean {
    if (at < this.#valueEnd) return true
    if (at >= end) this.state = 'closed'
    else if (b.indexOf(0x3d, at) > end || b.indexOf(0x3d, at) < 0) {
      // A name alone: eight bytes of length, the lowest first, then the value.
      if (next + 8 <= limit) this.#valueEnd = next + 8 + b.readUIntLE(next, 6)
    }
    return true
  }

  /** The line before, a plain one, tells a time: it is the one that logged what follows. */
  #isLoggedBy(b: Buffer, before: Place | undefined, state: TraceState): boolean {
    if (state !== 'plain') return false
    return before !== undefined && this.#ask.hasTime(b, before.start, before.end)
  }
}

/**
 * Whether a line could be a part of a trace, or begin one, whatever was before it: most lines are passed over by this
 * alone. What only a trace that has begun can have (empty lines, `goroutine 1`'s calls) need not be seen here.
 */
export function maybeTrace(b: Buffer, at: number, end: number): boolean {
  const c = b[at]
  if (isDigit(c) || c === 0x5b || c === 0x7b || at >= end) return false
  if (isIndented(b, at, end)) return true
  if (c === 0x2f) return true
  if (c === 0x5f) return startsWith(CURSOR, b, at, end) || startsWith(REALTIME, b, at, end)
  if (c === 0x2d) return startsWith(DASHES, b, at, end)
  if (!isLetter(c)) return false
  const words = FIRST_WORDS[c]
  // Loops by index: this is asked for lines by the million, and iterators are objects.
  if (words !== undefined) for (let w = 0; w < words.length; w++) if (startsWith(words[w], b, at, end)) return true
  const name = nameEnd(b, at, end)
  if (name < end && b[name] !== 0x3a && b[name] !== 0x20 && b[name] !== 0x0a && b[name] !== 0x0d) return false
  return isErrorName(b, at, name) || isRubyPlace(b, name, end)
}

/**
 * Whether a line begins a record whatever was before it, but for an entry of the journal (`mayHoldEntry`). Most lines of logs
 * that have traces do: the last record is found without looking at all of them.
 */
export function surelyBegins(b: Buffer, at: number, end: number): boolean {
  const c = b[at]
  if (isDigit(c) || c === 0x7b || c === 0x3c) return true
  if (c === 0x5b) return !startsWith(SIGNAL, b, at, end)
  // `Mon dd`: no word of a trace has three letters, a space and a digit, and no call a space in its name.
  if (end - at < 6 || !isLetter(c) || !isLetter(b[at + 1]) || !isLetter(b[at + 2]) || b[at + 3] !== 0x20) return false
  return isDigit(b[at + 5]) && (b[at + 4] === 0x20 || isDigit(b[at + 4]))
}

/** Whether an entry of the journal may begin in [at, end), where `at` begins a line. */
export function mayHoldEntry(b: Buffer, at: number, end: number): boolean {
  return (b[at] === 0x5f && b[at + 1] === 0x5f) || b.subarray(at, end).includes(LINE_OF_ENTRY)
}

/** How far `maybeTrace` looks, at most, where it says no. */
export function traceSeenTo(b: Buffer, at: number, end: number): number {
  if (!isLetter(b[at])) return at + DASHES.length + REALTIME.length
  return Math.max(at + FIRST_WORD_BYTES_MAX, digitsEnd(b, nameEnd(b, at, end) + 1, end) + RUBY_IN.length)
}

/** By space or tab, or by a tab as JSON writes it (within Docker's lines). */
function isIndented(b: Buffer, at: number, end: number): boolean {
  const c = b[at]
  return c === 0x20 || c === 0x09 || (c === 0x5c && at + 1 < end && b[at + 1] === 0x74)
}

function indentEnd(b: Buffer, at: number, end: number): number {
  let next = at
  while (next < end && isIndented(b, next, end)) next += b[next] === 0x5c ? 2 : 1
  return next
}

export interface Place {
  start: number
  end: number
}

const text = (name: string) => Buffer.from(name)
const AT = text('at ')
const FROM = text('from ')
const DOTS = text('... ')
const DASHES = text('---')
const CAUSED_BY = text('Caused by: ')
const SUPPRESSED = text('Suppressed: ')
const FILE = text('File "')
const EXCEPTION_IN = text('Exception in thread ')
const UNHANDLED = text('Unhandled exception')
const STACK_TRACE = text('Stack trace:')
const TRACEBACK = text('Traceback (most recent call last)')
const DURING = text('During handling of the above exception')
const THE_ABOVE = text('The above exception was')
const NODE = text('Node.js v')
const PANIC = text('panic: ')
const FATAL_ERROR = text('fatal error: ')
const GOROUTINE = text('goroutine ')
const SIGNAL = text('[signal ')
const CREATED_BY = text('created by ')
const EXIT_STATUS = text('exit status ')
const CURSOR = text('__CURSOR=')
const REALTIME = text('__REALTIME_TIMESTAMP=')
/** Both begin so, behind a line end. */
const LINE_OF_ENTRY = text('\n__')
/** Those of them that can stand where no trace has begun yet, by their first byte. */
const FIRST_WORDS: Buffer[][] = []
for (const word of [CAUSED_BY, EXCEPTION_IN, UNHANDLED, STACK_TRACE, TRACEBACK, PANIC, FATAL_ERROR, GOROUTINE]) {
  FIRST_WORDS[word[0]] ??= []
  FIRST_WORDS[word[0]].push(word)
}
const FIRST_WORD_BYTES_MAX = Math.max(...FIRST_WORDS.flat().map(word => word.length))
const ENDINGS = ['Exception', 'Error', 'Throwable', 'Interrupt', 'Failure'].map(text)

function startsWith(name: Buffer, b: Buffer, at: number, end: number): boolean {
  if (end - at < name.length) return false
  for (let i = 0; i < name.length; i++) if (b[at + i] !== name[i]) return false
  return true
}

/** Of a name with points: java.lang.IllegalStateException, Foo::BarError, TypeError, app/models/x.rb */
function nameEnd(b: Buffer, at: number, end: number): number {
  let next = at
  while (next < end && (isWordByte(b[next]) || isNameMark(b, next, end))) next++
  return next
}

function isNameMark(b: Buffer, at: number, end: number): boolean {
  const c = b[at]
  if (c === 0x2e || c === 0x24 || c === 0x5f || c === 0x2f || c === 0x2d || c >= 0x80) return true
  return c === 0x3a && at + 1 < end && (b[at + 1] === 0x3a || b[at - 1] === 0x3a)
}

function isErrorName(b: Buffer, at: number, end: number): boolean {
  for (let e = 0; e < ENDINGS.length; e++) {
    const ending = ENDINGS[e]
    if (end - at >= ending.length && startsWith(ending, b, end - ending.length, end)) return true
  }
  return false
}

/** Behind the name: nothing, `: what`, ` [CODE]: what` (Node), ` (what):` (Rails). */
function isErrorLine(b: Buffer, name: number, end: number): boolean {
  if (name >= end || b[name] === 0x0a || b[name] === 0x0d) return true
  if (b[name] === 0x3a) return true
  return b[name] === 0x20 && (b[name + 1] === 0x5b || b[name + 1] === 0x28)
}

/** `x.rb:12:in ` with the name read up to `.rb`. */
function isRubyPlace(b: Buffer, name: number, end: number): boolean {
  if (b[name] !== 0x3a || b[name - 1] !== 0x62 || b[name - 2] !== 0x72 || b[name - 3] !== 0x2e) return false
  const after = digitsEnd(b, name + 1, end)
  return after > name + 1 && startsWith(RUBY_IN, b, after, end)
}

const RUBY_IN = text(':in ')

/** `x.rb:12:in 'y': what (SomeError)` is the first line of a trace, `x.rb:12:in 'y'` a frame. */
function isRubyHeader(b: Buffer, name: number, end: number): boolean {
  for (let i = name + 1; i + 1 < end; i++) {
    if ((b[i] === 0x27 || b[i] === 0x60) && b[i + 1] === 0x3a) return true
  }
  return false
}

/** `main.(*T).method(0xc000…, {…})` */
function isGoCall(b: Buffer, at: number, end: number): boolean {
  if (b[end - 1] !== 0x29) return false
  for (let i = at; i < end; i++) {
    if (b[i] === 0x20) return false
    if (b[i] === 0x28) return true
  }
  return false
}

function endsInLineNumber(b: Buffer, at: number, end: number): boolean {
  let digits = end
  while (digits > at && isDigit(b[digits - 1])) digits--
  return digits < end && digits > at + 1 && b[digits - 1] === 0x3a
}

/** The second line from `at` on has nothing but ^ in it. */
function isCaretAfter(b: Buffer, at: number, limit: number): boolean {
  const source = b.indexOf(0x0a, at)
  if (source < 0 || source >= limit) return false
  let next = source + 1
  while (next < limit && (b[next] === 0x20 || b[next] === 0x09)) next++
  return next < limit && b[next] === 0x5e
}

function digitsEnd(b: Buffer, at: number, end: number): number {
  let next = at
  while (next < end && isDigit(b[next])) next++
  return next
}
