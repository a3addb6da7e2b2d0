// Lines whose time, level, host and application are known from another one, without looking at them again.
//
// The codec has told templates and variables of all lines of a packet (shared/columns); the parser says how far it looked
// and where the time stands (parse/line-parser.ts). A line has the answer of a former one, its *model*, if in as much of
// it as was looked at
//   - the template and the places of all variables are the same, and so is the text between them;
//   - the variables are the same, but for the first time stamp, and for numbers of four and more digits behind the time
//     and its zone;
// and its time is its own stamp, moved by what the model's was: by zone, fraction or year, as far as that is sure.
// A hash is never taken for proof. What is not known so is parsed: the parser stays the truth (known-lines.test.ts).
import { type Analysis, NO_STAMP } from '../shared/columns/codec.ts'
import { HEAP } from '../shared/columns/core/places.ts'
import { LENGTH_MASK, NUMBER, VARIABLE_BYTES } from '../shared/columns/core/variables.ts'
import { StampTime } from '../shared/columns/event-times.ts'
import { type LineParser, type TimeForm, ZONE_AHEAD_BYTES } from './parse/line-parser.ts'

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
/** Shorter numbers may say something: a priority, a level. */
const FREE_DIGITS_MIN = 4
const VARIABLE_WORDS = VARIABLE_BYTES / 4

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
/** Index of its first variable in the codec's words, and where its line begins. */
const WORDS = 1
const START = 2
/** Variables within what was looked at, which of them is the stamp, and the first behind the time and its zone. */
const VARIABLES = 3
const STAMP = 4
const FIRST_FREE = 5
/** So long must a line be; exactly so, written as a negative number, if the parser saw all of it. */
const BYTES = 6
const PARSER = 7
const FORMAT = 8
/** What the time is ahead of the stamp, in nanoseconds. */
const OFFSET_LOW = 9
const OFFSET_HIGH = 10
const OFFSET_SECONDS = 11
const BASIS = 12
const STAMP_SECONDS = 13
const LEVEL = 14
const MODEL_WORDS = 15

const NOTHING = new Int32Array(0)
const BASES = ['fixed', 'local', 'yearless'] as const
const FIXED = 0
const LOCAL = 1

export class KnownLines {
  level = 0
  host = ''
  app = ''
  /** Halves of nanoseconds since 1970. */
  timeLow = 0
  timeHigh = 0

  #analysis: Analysis | undefined
  #bytes: Buffer = Buffer.alloc(0)
  #stamps: StampTime | undefined
  #words: Int32Array = NOTHING
  #templateOf = new Uint32Array(0) as Uint32Array
  #stampSeconds: Int32Array = NOTHING
  readonly #models = new Int32Array(MODELS_MAX * MODEL_WORDS)
  /** Of each model. */
  readonly #hosts: string[] = []
  readonly #apps: string[] = []
  readonly #parsers: LineParser[] = []
  #count = 0
  /** By template: 1 + its youngest model, and lines without a model less lines with one. */
  #youngest = new Int32Array(0)
  #misses = new Int16Array(0)

  /** @param analysis  of exactly these bytes */
  begin(analysis: Analysis, bytes: Buffer): void {
    this.#analysis = analysis
    this.#bytes = bytes
    this.#stamps = new StampTime(analysis)
    this.#words = analysis.words
    this.#templateOf = analysis.templateOf
    this.#stampSeconds = analysis.stampSeconds
    this.#youngest = new Int32Array(analysis.templates.length + 1)
    this.#misses = new Int16Array(analysis.templates.length + 1)
    this.#count = 0
    this.#parsers.length = 0
  }

  /** Nothing of the codec's memory is held any more: it may have to go. */
  end(): void {
    this.#analysis = undefined
    this.#stamps = undefined
    this.#words = this.#stampSeconds = NOTHING
    this.#templateOf = new Uint32Array(0)
  }

  /**
   * The answer for line number `line`, [start, end) of the bytes, in the fields; false if it must be parsed.
   * @param readSeconds  when it was read, for times without a year
   */
  find(line: number, start: number, end: number, parser: LineParser, readSeconds: number): boolean {
    const template = this.#templateOf[line]
    let model = this.#youngest[template] - 1
    if (model < 0 || this.#misses[template] > MISSES_MAX) return false
    const models = this.#models
    const first = this.#analysis!.firstVariable(line)
    const length = end - start
    for (let tries = 0; model >= 0 && tries < TRIES_MAX; tries++) {
      const at = model * MODEL_WORDS
      const bytes = models[at + BYTES]
      if (
        (bytes < 0 ? length === -bytes : length >= bytes) &&
        this.#isAlike(first, start, at) &&
        this.#parsers[models[at + PARSER]] === parser &&
        (models[at + BASIS] === FIXED || this.#isTimeSure(at, this.#stampSeconds[line], parser, readSeconds))
      ) {
        this.#takeTime(line, at)
        this.level = models[at + LEVEL]
        this.host = this.#hosts[model]
        this.app = this.#apps[model]
        if (this.#misses[template] > 0) this.#misses[template]--
        return true
      }
      model = models[at + NEXT]
    }
    return false
  }

  /** The line was parsed: whatever is like it is known from now on. */
  learn(line: number, start: number, end: number, parser: LineParser, readSeconds: number): void {
    const analysis = this.#analysis!
    const template = this.#templateOf[line]
    if (template === 0 || parser.timeIsGuessed || parser.seenTo - start > SEEN_BYTES_MAX) return
    const basis = BASES.indexOf(parser.timeBasis as (typeof BASES)[number])
    if (basis < 0 || this.#count >= MODELS_MAX) return
    const { count, variables: all, stampVariable: stamp } = analysis.templates[template - 1]
    const format = analysis.formatOf[template]
    if (count < TEMPLATE_LINES_MIN || stamp < 0 || format === NO_STAMP) return
    if (this.#misses[template]++ > MISSES_MAX) return
    if (!KINDS[parser.timeForm].includes(analysis.formats[format].kind)) return
    if (hasFreeDigits(parser.host) || hasFreeDigits(parser.app)) return

    const words = this.#words
    const first = analysis.firstVariable(line)
    const startOf = (k: number) => words[first + k * VARIABLE_WORDS] - HEAP
    const lengthOf = (k: number) => words[first + k * VARIABLE_WORDS + 1] & LENGTH_MASK
    if (startOf(stamp) < parser.timeAt || startOf(stamp) + lengthOf(stamp) > parser.timeEnd) return
    let firstFree = stamp + 1
    while (firstFree < all && startOf(firstFree) < parser.timeEnd + ZONE_AHEAD_BYTES) firstFree++
    let variables = firstFree
    while (variables < all && startOf(variables) < parser.seenTo) variables++

    const stamps = this.#stamps!
    stamps.read(line, format)
    const offset = parser.timeNs - ((BigInt(stamps.high) << 32n) | BigInt(stamps.low >>> 0))
    const models = this.#models
    const model = this.#count
    const at = model * MODEL_WORDS
    models[at + NEXT] = this.#youngest[template] - 1
    models[at + WORDS] = first
    models[at + START] = start
    models[at + VARIABLES] = variables
    models[at + STAMP] = stamp
    models[at + FIRST_FREE] = firstFree
    models[at + BYTES] = parser.seenTo > end ? start - end : parser.seenTo - start
    models[at + PARSER] = this.#numberOf(parser)
    models[at + FORMAT] = format
    models[at + OFFSET_LOW] = Number(BigInt.asIntN(32, offset))
    models[at + OFFSET_HIGH] = Number(BigInt.asIntN(32, offset >> 32n))
    models[at + OFFSET_SECONDS] = Number(offset / 1_000_000_000n)
    models[at + BASIS] = basis
    models[at + STAMP_SECONDS] = this.#stampSeconds[line]
    models[at + LEVEL] = parser.level
    this.#hosts[model] = parser.host
    this.#apps[model] = parser.app
    if (basis !== FIXED && !this.#isTimeSure(at, this.#stampSeconds[line], parser, readSeconds)) return
    this.#youngest[template] = model + 1
    this.#count++
  }

  #numberOf(parser: LineParser): number {
    const parsers = this.#parsers
    if (parsers.at(-1) !== parser) parsers.push(parser)
    return parsers.length - 1
  }

  #isAlike(first: number, start: number, at: number): boolean {
    const words = this.#words
    const models = this.#models
    const moved = start - models[at + START]
    const stamp = first + models[at + STAMP] * VARIABLE_WORDS
    const free = first + models[at + FIRST_FREE] * VARIABLE_WORDS
    const end = first + models[at + VARIABLES] * VARIABLE_WORDS
    for (let a = first, b = models[at + WORDS]; a < end; a += VARIABLE_WORDS, b += VARIABLE_WORDS) {
      const kind = words[a + 1]
      if (kind !== words[b + 1] || words[a] - words[b] !== moved) return false
      if (a === stamp) continue
      if (words[a + 2] !== words[b + 2]) {
        if (a >= free && (kind & NUMBER) !== 0 && (kind & LENGTH_MASK) >= FREE_DIGITS_MIN) continue
        return false
      }
      // Numbers of one length and value are the same; a hash is no proof.
      if ((kind & NUMBER) === 0 && !this.#hasSameBytes(words[a] - HEAP, words[b] - HEAP, kind & LENGTH_MASK))
        return false
    }
    return true
  }

  #hasSameBytes(a: number, b: number, length: number): boolean {
    const bytes = this.#bytes
    for (let i = 0; i < length; i++) if (bytes[a + i] !== bytes[b + i]) return false
    return true
  }

  #takeTime(line: number, at: number): void {
    const stamps = this.#stamps!
    const models = this.#models
    stamps.read(line, models[at + FORMAT])
    const low = (stamps.low >>> 0) + (models[at + OFFSET_LOW] >>> 0)
    this.timeLow = low | 0
    this.timeHigh = (stamps.high + models[at + OFFSET_HIGH] + (low > 0xffffffff ? 1 : 0)) | 0
  }

  /** The stamp lies where the model's offset holds. */
  #isTimeSure(at: number, stampSeconds: number, parser: LineParser, readSeconds: number): boolean {
    const models = this.#models
    const modelSeconds = models[at + STAMP_SECONDS]
    const isSameQuarter = Math.floor(stampSeconds / QUARTER_SECONDS) === Math.floor(modelSeconds / QUARTER_SECONDS)
    if (models[at + BASIS] === LOCAL) return isSameQuarter
    if (!parser.isZoneUtc && !isSameQuarter) return false
    const ahead = stampSeconds + models[at + OFFSET_SECONDS] - readSeconds - YEARLESS_AHEAD_SECONDS
    // A day's room, in which zones may differ, on either side.
    if (ahead > -DAY_SECONDS || ahead < -YEARLESS_SPAN_SECONDS + DAY_SECONDS) return false
    const isLeapDay = stampSeconds >= LEAP_DAY_SECONDS && stampSeconds < LEAP_DAY_SECONDS + DAY_SECONDS
    return !isLeapDay && stampSeconds < LEAP_DAY_SECONDS === modelSeconds < LEAP_DAY_SECONDS
  }
}

function hasFreeDigits(name: string): boolean {
  return /\d{4}/.test(name)
}
