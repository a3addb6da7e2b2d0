// Lines whose time, level, host and application are known from another one, without looking at them again.
//
// The codec has told templates and variables of all lines of a packet (shared/columns); the parser says how far it looked
// and where the time stands (parse/line-parser.ts). A line has the answer of a former one, its *model*, if in as much of
// it as was looked at, which is the same static text wherever the template is the same,
//   - the first time stamp is written alike;
//   - numbers behind the time and the names have as many digits; as many as they like where only a level was looked for,
//     and it would have been found even if the line were a little longer or shorter (SHIFT_BYTES_MAX);
//   - so have numbers that are joined by dots, colons and hyphens: addresses, clocks;
//   - all other variables are the same;
// and its time is its own stamp, moved by what the model's was: by zone, fraction or year, as far as that is sure.
// Of lines of web servers (parse/access-line.ts) the parser asks no more than how they begin, whatever their template is:
// one model does for all of them.
//
// A hash is never taken for proof. What is not known so is parsed: the parser stays the truth (known-lines.test.ts).
import { type Analysis, NO_STAMP } from '../shared/columns/codec.ts'
import { HEAP } from '../shared/columns/core/places.ts'
import { LENGTH_MASK, NUMBER, VARIABLE_BYTES } from '../shared/columns/core/variables.ts'
import { StampTime } from '../shared/columns/event-times.ts'
import { EVENT_BYTES_MAX } from '../shared/events.ts'
import type { EventRows } from './event-rows.ts'
import { traceSeenTo } from './multiline/traces.ts'
import { clientTimeAt, isRequest } from './parse/access-line.ts'
import { HEAD_BYTES, type LineParser, SHIFT_BYTES_MAX, type TimeForm } from './parse/line-parser.ts'
import { isDigit } from './parse/words.ts'

/** Of one packet; beyond it lines are parsed. */
const MODELS_MAX = 8192
/** Tried for a line, the youngest first. */
const TRIES_MAX = 8
/** A template of fewer lines has no use for a model. */
const TEMPLATE_LINES_MIN = 3
/** With so many more lines without a model than with one a template is given up: looking costs, too. */
const MISSES_MAX = 24
/** Models look no further than this into a line, so that the parser's own limit does not count. */
const SEEN_BYTES_MAX = 400
const VARIABLE_WORDS = VARIABLE_BYTES / 4
/** Of a number, as the codec takes them. */
const DIGITS_MAX = 9

/** Kinds of stamps (core/stamps.ts) that say what a time of this form says. */
const KINDS: Record<TimeForm, number[]> = {
  iso: [1],
  access: [2],
  epoch: [3],
  asctime: [4],
  short: [5, 7],
  syslog: [6],
  other: [],
}

const DAY_SECONDS = 86_400
/** Zones change their offsets at quarters of an hour. */
const QUARTER_SECONDS = 900
/** The codec takes a time without year as one of 2000: 29 February, and what lies before it, need a care of their own. */
const LEAP_DAY_SECONDS = Date.UTC(2000, 1, 29) / 1000
/** A time without a year is less than a day ahead of the read time, and less than a year behind that. */
const YEARLESS_AHEAD_SECONDS = DAY_SECONDS
const YEARLESS_SPAN_SECONDS = 364 * DAY_SECONDS

// A model is a row of numbers in one array: this is asked for every line.
const NEXT = 0
/** Its first variable in the codec's words. */
const WORDS = 1
/** Which variable is the stamp. */
const STAMP = 2
/** Variables, counted, before this one must be the same; before the next one numbers have as many digits; before the last one any. */
const SAME = 3
const DIGITS = 4
const LENGTHS = 5
const SPAN = 6
/** What the time is ahead of the stamp, in nanoseconds, and the seconds of stamps for which that is sure. */
const OFFSET_LOW = 7
const OFFSET_HIGH = 8
const SECONDS_LEAST = 9
const SECONDS_GREATEST = 10
const FORMAT = 11
const LEVEL = 12
const HOST = 13
const APP = 14
const MODEL_WORDS = 15

const NOTHING = new Int32Array(0)
const NO_LINES = new Uint32Array(0)
const SECONDS_MIN = -(2 ** 31)
const SECONDS_MAX = 2 ** 31 - 1

export class KnownLines {
  #analysis: Analysis | undefined
  #bytes: Buffer = Buffer.alloc(0)
  #stamps: StampTime | undefined
  #words: Int32Array = NOTHING
  #firsts: Int32Array = NOTHING
  #lineEnds: Uint32Array = NO_LINES
  #templateOf: Uint32Array = NO_LINES
  #stampSeconds: Int32Array = NOTHING
  readonly #models = new Int32Array(MODELS_MAX * MODEL_WORDS)
  #count = 0
  /** What isSureOf found. */
  #least = 0
  #greatest = 0
  /** Models are good for lines of one source, with its names, read in the same second. */
  #span = 0
  #spans = 0
  readonly #spanOf = new Map<LineParser, { span: number; label: object; readSeconds: number }>()
  #readSeconds = 0
  /** Where the model of lines that begin with a client is, and behind its time the zone; -1: there is none. */
  #client = -1
  #clientZoneAt = 0
  #clientZoneBytes = 0
  /** By template: 1 + its youngest model, and lines without a model less lines with one. */
  #youngest: Int32Array = NOTHING
  #misses = new Int16Array(0)

  /** @param analysis  of exactly these bytes */
  begin(analysis: Analysis, bytes: Buffer): void {
    this.#analysis = analysis
    this.#bytes = bytes
    this.#stamps = new StampTime(analysis)
    this.#words = analysis.words
    this.#firsts = analysis.firstVariables
    this.#lineEnds = analysis.lineEnds
    this.#templateOf = analysis.templateOf
    this.#stampSeconds = analysis.stampSeconds
    this.#youngest = new Int32Array(analysis.templates.length + 1)
    this.#misses = new Int16Array(analysis.templates.length + 1)
    this.#count = 0
    this.#client = -1
    this.#spans = 0
    this.#spanOf.clear()
  }

  /** @param readSeconds  when its lines were read, for times without a year */
  beginSpan(parser: LineParser, label: object, readSeconds: number): void {
    let of = this.#spanOf.get(parser)
    if (of === undefined || of.label !== label || of.readSeconds !== readSeconds) {
      of = { span: ++this.#spans, label, readSeconds }
      this.#spanOf.set(parser, of)
    }
    this.#span = of.span
    this.#readSeconds = readSeconds
  }

  /** Nothing of the codec's memory is held any more: it may have to go. */
  end(): void {
    this.#analysis = undefined
    this.#stamps = undefined
    this.#words = this.#firsts = this.#stampSeconds = NOTHING
    this.#lineEnds = this.#templateOf = NO_LINES
    this.#spanOf.clear()
  }

  /**
   * Writes rows for the lines from `line` on, up to the first that must be parsed.
   * @param to    the line behind the last that may be asked for: all are whole
   * @param rows  has room for them
   * @returns the line it stopped at
   */
  fill(line: number, to: number, rows: EventRows): number {
    // All in one function, of locals: every line comes through here.
    const bytes = this.#bytes
    const words = this.#words
    const templateOf = this.#templateOf
    const youngest = this.#youngest
    const lineEnds = this.#lineEnds
    const firsts = this.#firsts
    const models = this.#models
    const misses = this.#misses
    const stampSeconds = this.#stampSeconds
    const stamps = this.#stamps!
    const span = this.#span
    const { ends, halves, levels, hosts, apps, lines, flags, low, high } = rows
    let at = line === 0 ? 0 : lineEnds[line - 1]
    let row = rows.count
    next: for (; line < to; line++) {
      const template = templateOf[line]
      const end = lineEnds[line]
      if (end - at > EVENT_BYTES_MAX) break
      const seconds = stampSeconds[line]
      const first = firsts[line] >> 2
      let model = youngest[template] - 1
      let m = 0
      tried: for (let tries = 0; ; model = models[m + NEXT]) {
        if (model < 0 || tries++ === TRIES_MAX) {
          if (!this.#isClient(line, at, end)) break next
          m = this.#client
          break
        }
        m = model * MODEL_WORDS
        if (seconds < models[m + SECONDS_LEAST] || seconds > models[m + SECONDS_GREATEST]) continue
        if (models[m + SPAN] !== span) continue
        const stamp = models[m + STAMP]
        const same = models[m + SAME]
        const digits = models[m + DIGITS]
        const count = models[m + LENGTHS]
        let shift = 0
        let a = first
        let b = models[m + WORDS]
        for (let k = 0; k < count; k++, a += VARIABLE_WORDS, b += VARIABLE_WORDS) {
          const kind = words[a + 1]
          if (kind !== words[b + 1]) {
            if (k < digits) continue tried
            if ((kind & words[b + 1] & NUMBER) === 0 && !isAlike(bytes, words, a, b, false)) continue tried
            shift += (kind & LENGTH_MASK) - (words[b + 1] & LENGTH_MASK)
          } else if ((kind & NUMBER) !== 0) {
            // Numbers of one length and value are the same.
            if (k < same && words[a + 2] !== words[b + 2]) continue tried
          } else if (k !== stamp) {
            // A hash is no proof.
            const by = words[b] - HEAP
            const length = words[a + 2] === words[b + 2] ? kind & LENGTH_MASK : 0
            let equal = 0
            for (let i = words[a] - HEAP; equal < length && bytes[i + equal] === bytes[by + equal]; ) equal++
            if (equal < (kind & LENGTH_MASK) && (k < same || !isAlike(bytes, words, a, b, k < digits))) continue tried
          }
        }
        if (shift >= -SHIFT_BYTES_MAX && shift <= SHIFT_BYTES_MAX) break
      }
      stamps.read(line, models[m + FORMAT])
      const sum = (stamps.low >>> 0) + (models[m + OFFSET_LOW] >>> 0)
      halves[2 * row + low] = sum
      halves[2 * row + high] = stamps.high + models[m + OFFSET_HIGH] + (sum > 0xffffffff ? 1 : 0)
      ends[row] = end
      lines[row] = 1
      levels[row] = models[m + LEVEL]
      flags[row] = 0
      hosts[row] = models[m + HOST]
      apps[row] = models[m + APP]
      row++
      if (misses[template] > 0) misses[template]--
      at = end
    }
    rows.count = row
    return line
  }

  /**
   * The line was parsed, and makes a record alone: whatever is like it is known from now on.
   * @param host, app  as in the rows
   */
  learn(line: number, start: number, end: number, parser: LineParser, host: number, app: number): void {
    const analysis = this.#analysis!
    const template = this.#templateOf[line]
    if (template === 0 || parser.timeIsGuessed || this.#count >= MODELS_MAX) return
    const { count, variables: all, stampVariable: stamp } = analysis.templates[template - 1]
    const format = analysis.formatOf[template]
    if (stamp < 0 || format === NO_STAMP || !KINDS[parser.timeForm].includes(analysis.formats[format].kind)) return
    if (parser.timeForm === 'access' && this.#learnClient(line, start, end, parser)) return
    if (parser.seenTo - start > SEEN_BYTES_MAX || this.#misses[template] > MISSES_MAX) return
    if (count < TEMPLATE_LINES_MIN) return
    if (this.#misses[template]++ === MISSES_MAX) this.#youngest[template] = 0

    const bytes = this.#bytes
    const seenTo = Math.max(parser.seenTo, traceSeenTo(bytes, start, end))
    if (seenTo - start > SEEN_BYTES_MAX) return
    const words = this.#words
    const first = this.#firsts[line] >> 2
    const stampAt = words[first + stamp * VARIABLE_WORDS] - HEAP
    const stampEnd = stampAt + (words[first + stamp * VARIABLE_WORDS + 1] & LENGTH_MASK)
    if (stampAt < parser.timeAt || stampEnd > parser.timeEnd) return
    const lengths = this.#variablesTo(first, all, seenTo)
    const digits = parser.isLevelSteady ? this.#variablesTo(first, lengths, parser.lengthsFrom) : lengths

    const at = this.#model(line, format, parser)
    if (at < 0) return
    const models = this.#models
    models[at + NEXT] = this.#youngest[template] - 1
    models[at + WORDS] = first
    models[at + STAMP] = stamp
    models[at + SAME] = Math.min(digits, Math.max(stamp + 1, this.#variablesTo(first, digits, parser.digitsFrom)))
    models[at + DIGITS] = digits
    models[at + LENGTHS] = lengths
    models[at + HOST] = host
    models[at + APP] = app
    this.#youngest[template] = this.#count
  }

  /** One model more, with all that is not told from its variables. @returns where it is; -1 if its time is not sure */
  #model(line: number, format: number, parser: LineParser): number {
    const stamps = this.#stamps!
    stamps.read(line, format)
    const offset = parser.timeNs - ((BigInt(stamps.high) << 32n) | BigInt(stamps.low >>> 0))
    if (!this.#isSureOf(this.#stampSeconds[line], offset, parser)) return -1
    const models = this.#models
    const at = this.#count++ * MODEL_WORDS
    models[at + SPAN] = this.#span
    models[at + FORMAT] = format
    models[at + OFFSET_LOW] = Number(BigInt.asIntN(32, offset))
    models[at + OFFSET_HIGH] = Number(BigInt.asIntN(32, offset >> 32n))
    models[at + SECONDS_LEAST] = this.#least
    models[at + SECONDS_GREATEST] = this.#greatest
    models[at + LEVEL] = parser.level
    return at
  }

  /** Of lines that begin with a client the parser tells the time, and neither level nor names. */
  #learnClient(line: number, start: number, end: number, parser: LineParser): boolean {
    const stampEnd = this.#clientStampEnd(line, start, end)
    if (stampEnd < 0 || stampEnd > parser.timeEnd || parser.timeBasis !== 'fixed') return false
    if (!isRequest(this.#bytes, parser.timeEnd, Math.min(end, start + HEAD_BYTES))) return false
    const at = this.#model(line, this.#analysis!.formatOf[this.#templateOf[line]], parser)
    this.#models[at + HOST] = this.#models[at + APP] = 0
    this.#client = at
    this.#clientZoneAt = stampEnd
    this.#clientZoneBytes = parser.timeEnd - stampEnd
    return true
  }

  /** Whether the client's model is good for this line: its time is written alike, in the same zone, before a request. */
  #isClient(line: number, start: number, end: number): boolean {
    const bytes = this.#bytes
    const client = this.#client
    if (client < 0 || !isDigit(bytes[start]) || this.#models[client + SPAN] !== this.#span) return false
    if (this.#analysis!.formatOf[this.#templateOf[line]] !== this.#models[client + FORMAT]) return false
    const zoneAt = this.#clientStampEnd(line, start, end)
    if (zoneAt < 0) return false
    const zoneBytes = this.#clientZoneBytes
    for (let i = 0; i < zoneBytes; i++) if (bytes[zoneAt + i] !== bytes[this.#clientZoneAt + i]) return false
    return isRequest(bytes, zoneAt + zoneBytes, Math.min(end, start + HEAD_BYTES))
  }

  /** Behind the stamp of a line that begins with a client and its time; -1: it does not. */
  #clientStampEnd(line: number, start: number, end: number): number {
    const template = this.#templateOf[line]
    const stamp = template === 0 ? -1 : this.#analysis!.templates[template - 1].stampVariable
    if (stamp < 0) return -1
    const at = (this.#firsts[line] >> 2) + stamp * VARIABLE_WORDS
    const stampAt = this.#words[at] - HEAP
    if (clientTimeAt(this.#bytes, start, Math.min(end, start + HEAD_BYTES)) !== stampAt) return -1
    return stampAt + (this.#words[at + 1] & LENGTH_MASK)
  }

  /** How many of the variables from `first` on, of `all`, begin before a place of the text. */
  #variablesTo(first: number, all: number, place: number): number {
    let k = 0
    while (k < all && this.#words[first + k * VARIABLE_WORDS] - HEAP < place) k++
    return k
  }

  /** Whether the offset that was found for a stamp of these seconds is one for others: those from #least to #greatest. */
  #isSureOf(seconds: number, offset: bigint, parser: LineParser): boolean {
    const { timeBasis, isZoneUtc } = parser
    if (timeBasis === 'dayless') return false
    let least = SECONDS_MIN
    let greatest = SECONDS_MAX
    if (timeBasis === 'local' || (timeBasis === 'yearless' && !isZoneUtc)) {
      least = Math.floor(seconds / QUARTER_SECONDS) * QUARTER_SECONDS
      greatest = least + QUARTER_SECONDS - 1
    }
    if (timeBasis === 'yearless') {
      // A day's room, in which zones may differ, on either side.
      const ahead = this.#readSeconds + YEARLESS_AHEAD_SECONDS - Number(offset / 1_000_000_000n)
      greatest = Math.min(greatest, ahead - DAY_SECONDS)
      least = Math.max(least, ahead - YEARLESS_SPAN_SECONDS + DAY_SECONDS)
      if (seconds < LEAP_DAY_SECONDS) greatest = Math.min(greatest, LEAP_DAY_SECONDS - 1)
      else least = Math.max(least, LEAP_DAY_SECONDS + DAY_SECONDS)
    }
    this.#least = least
    this.#greatest = greatest
    return seconds >= least && seconds <= greatest
  }
}

/**
 * Whether two variables are numbers joined alike: to the parser they are words of digits.
 * @param isAsLong  they have to have as many digits
 */
function isAlike(bytes: Buffer, words: Int32Array, a: number, b: number, isAsLong: boolean): boolean {
  let i = words[a] - HEAP
  let j = words[b] - HEAP
  const iEnd = i + (words[a + 1] & LENGTH_MASK)
  const jEnd = j + (words[b + 1] & LENGTH_MASK)
  for (;;) {
    const iFrom = i
    const jFrom = j
    while (i < iEnd && isDigit(bytes[i])) i++
    while (j < jEnd && isDigit(bytes[j])) j++
    const digits = i - iFrom
    if (digits === 0 || j === jFrom || digits > DIGITS_MAX || j - jFrom > DIGITS_MAX) return false
    if (isAsLong && digits !== j - jFrom) return false
    if (i === iEnd || j === jEnd) return i === iEnd && j === jEnd
    const joiner = bytes[i++]
    if (joiner !== bytes[j++] || (joiner !== 0x2e && joiner !== 0x3a && joiner !== 0x2d)) return false
  }
}
