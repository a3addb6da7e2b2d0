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
//
// Of some lines it is enough how they begin, whatever their template is (core/known-heads.ts):
//   - the parser looked at a few bytes behind the time, and they are the same but for digits of numbers, as is all before it;
//   - of syslog's it asks for host and name, and looks for a level: they are the same, and no word is there that tells one;
//   - of web servers' (parse/access-line.ts) it asks for the time only, and for the request behind it.
//
// A hash is never taken for proof. What is not known so is parsed: the parser stays the truth (known-lines.test.ts). Models
// are learned here; lines are held against them, and their rows written, in the codec (core/known-lines.ts).
import { type Analysis, NO_STAMP } from '../shared/columns/codec.ts'
import {
  CLIENT,
  DIGITS_MAX,
  HEAD,
  HEAD_TRIES_MAX,
  KNOWN_HEADS,
  KNOWN_LEVEL_WORDS,
  KNOWN_MISSES,
  KNOWN_MODELS_END,
  KNOWN_NEXT_MODEL,
  KNOWN_YOUNGEST,
  MISSES_MAX,
  MODEL_APP,
  MODEL_BYTES,
  MODEL_DIGITS,
  MODEL_FIRST,
  MODEL_HOST,
  MODEL_KIND,
  MODEL_LENGTHS,
  MODEL_LEVEL,
  MODEL_LINE,
  MODEL_NEXT,
  MODEL_NUMBERS,
  MODEL_OFFSET_HIGH,
  MODEL_OFFSET_LOW,
  MODEL_SAME,
  MODEL_SECONDS_GREATEST,
  MODEL_SECONDS_LEAST,
  MODEL_SPAN,
  MODEL_STAMP,
  MODEL_TEXT,
  MODEL_TEXTS,
  MODEL_UNIT,
  MODEL_WORDS,
  ORIGIN,
  VARIABLES,
} from '../shared/columns/core/known-lines.ts'
import { FORMATS_MAX, HEAP } from '../shared/columns/core/places.ts'
import { LENGTH_MASK, VARIABLE_BYTES } from '../shared/columns/core/variables.ts'
import { StampTime } from '../shared/columns/event-times.ts'
import type { KnownMemory } from '../shared/columns/known-memory.ts'
import type { EventRows } from './event-rows.ts'
import { traceSeenTo } from './multiline/traces.ts'
import { clientTimeAt, isRequest } from './parse/access-line.ts'
import { LEVEL_TELLING_WORDS } from './parse/level.ts'
import { HEAD_BYTES, type LineParser, type TimeForm } from './parse/line-parser.ts'
import { isAppByte, isDigit, isHostName, isWordByte, wordEnd } from './parse/words.ts'
import { sureSeconds } from './sure-seconds.ts'

/** A template of fewer lines has no use for a model. */
const TEMPLATE_LINES_MIN = 3
/** Models look no further than this into a line, so that the parser's own limit does not count. */
const SEEN_BYTES_MAX = 400
/** Lines are known by how they begin if the parser looked no further behind the time. */
const HEAD_SEEN_BYTES_MAX = 48
const VARIABLE_WORDS = VARIABLE_BYTES / 4
const NOTHING = new Int32Array(0)

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

interface LearnedLine {
  line: number
  format: number
  start: number
  end: number
  /** Its first time stamp. */
  stampAt: number
  stampEnd: number
  /** As in the rows. */
  host: number
  app: number
}

/** As core/known-heads.ts asks for them. */
const levelWords = wordTable(LEVEL_TELLING_WORDS)

export class KnownLines {
  #analysis: Analysis | undefined
  #memory: KnownMemory | undefined
  #bytes: Buffer = Buffer.alloc(0)
  #stamps: StampTime | undefined
  /** All of the codec's memory; models, and what is told by template, are asked for by their place in it. */
  #words: Int32Array = NOTHING
  #youngest = 0
  #misses = 0
  #heads = 0
  /** Of each format. */
  readonly #headCounts = new Uint8Array(FORMATS_MAX)
  /** Models are good for lines of one source, with its names, read in the same second. */
  #span = 0
  #spans = 0
  readonly #spanOf = new Map<LineParser, { span: number; label: object; readSeconds: number }>()
  #readSeconds = 0

  /** @param analysis  of exactly these bytes */
  begin(analysis: Analysis, memory: KnownMemory, bytes: Buffer): void {
    this.#analysis = analysis
    this.#memory = memory
    this.#bytes = bytes
    this.#stamps = new StampTime(analysis)
    const { words, table } = memory
    this.#words = words
    this.#youngest = words[table + KNOWN_YOUNGEST] >> 2
    this.#misses = words[table + KNOWN_MISSES] >> 2
    this.#heads = words[table + KNOWN_HEADS] >> 2
    words.set(levelWords, words[table + KNOWN_LEVEL_WORDS] >> 2)
    this.#headCounts.fill(0)
    this.#span = 0
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
    if (of.span !== this.#span) this.#forgetHeads()
    this.#span = of.span
    this.#readSeconds = readSeconds
  }

  /** Nothing of the codec's memory is held any more: it may have to go. */
  end(): void {
    this.#analysis = undefined
    this.#memory = undefined
    this.#stamps = undefined
    this.#words = NOTHING
    this.#spanOf.clear()
  }

  /**
   * Writes rows for the lines from `line` on, up to the first that must be parsed.
   * @param to    the line behind the last that may be asked for: all are whole
   * @param rows  the codec's, with room for them
   * @returns the line it stopped at
   */
  fill(line: number, to: number, rows: EventRows): number {
    const stop = this.#memory!.fill(line, to, rows.count, this.#span)
    rows.count += stop - line
    return stop
  }

  /**
   * The line was parsed, and makes a record alone: whatever is like it is known from now on.
   * @param host, app  as in the rows
   */
  learn(line: number, start: number, end: number, parser: LineParser, host: number, app: number): void {
    const analysis = this.#analysis!
    const template = analysis.templateOf[line]
    if (template === 0 || parser.timeIsGuessed) return
    const { count, variables: all, stampVariable: stamp } = analysis.templates[template - 1]
    const format = analysis.formatOf[template]
    if (stamp < 0 || format === NO_STAMP || !KINDS[parser.timeForm].includes(analysis.formats[format].kind)) return
    const words = this.#words
    const first = analysis.firstVariables[line] >> 2
    const stampAt = words[first + stamp * VARIABLE_WORDS] - HEAP
    const stampEnd = stampAt + (words[first + stamp * VARIABLE_WORDS + 1] & LENGTH_MASK)
    if (stampAt < parser.timeAt || stampEnd > parser.timeEnd) return
    if (this.#learnHead({ line, format, start, end, stampAt, stampEnd, host, app }, parser)) return

    const misses = this.#misses + template
    if (parser.seenTo - start > SEEN_BYTES_MAX || words[misses] > MISSES_MAX || count < TEMPLATE_LINES_MIN) return
    if (words[misses]++ === MISSES_MAX) words[this.#youngest + template] = 0
    const seenTo = Math.max(parser.seenTo, traceSeenTo(this.#bytes, start, end))
    if (seenTo - start > SEEN_BYTES_MAX) return
    const lengths = this.#variablesTo(first, all, seenTo)
    const digits = parser.isLevelSteady ? this.#variablesTo(first, lengths, parser.lengthsFrom) : lengths
    const at = this.#model(VARIABLES, line, format, parser, host, app)
    if (at < 0) return
    words[at + MODEL_FIRST] = first << 2
    words[at + MODEL_STAMP] = stamp
    words[at + MODEL_SAME] = Math.min(digits, Math.max(stamp + 1, this.#variablesTo(first, digits, parser.digitsFrom)))
    words[at + MODEL_DIGITS] = digits
    words[at + MODEL_LENGTHS] = lengths
    words[at + MODEL_TEXTS] = all
    words[at + MODEL_NEXT] = words[this.#youngest + template]
    words[this.#youngest + template] = at << 2
  }

  /** One model more, with all that is not told from its text. @returns where it is; -1 if its time is not sure */
  #model(kind: number, line: number, format: number, parser: LineParser, host: number, app: number): number {
    const words = this.#words
    const { table } = this.#memory!
    if (words[table + KNOWN_NEXT_MODEL] >= words[table + KNOWN_MODELS_END]) return -1
    const analysis = this.#analysis!
    const stamps = this.#stamps!
    stamps.read(line, format)
    const offset = parser.timeNs - ((BigInt(stamps.high) << 32n) | BigInt(stamps.low >>> 0))
    const sure = sureSeconds(analysis.stampSeconds[line], offset, parser, this.#readSeconds)
    if (sure === undefined) return -1
    const at = words[table + KNOWN_NEXT_MODEL] >> 2
    words[table + KNOWN_NEXT_MODEL] += MODEL_WORDS * 4
    words[at + MODEL_KIND] = kind
    words[at + MODEL_SPAN] = this.#span
    words[at + MODEL_SECONDS_LEAST] = sure.least
    words[at + MODEL_SECONDS_GREATEST] = sure.greatest
    words[at + MODEL_OFFSET_LOW] = Number(BigInt.asIntN(32, offset))
    words[at + MODEL_OFFSET_HIGH] = Number(BigInt.asIntN(32, offset >> 32n))
    words[at + MODEL_UNIT] = 10 ** (9 - analysis.formats[format].digits)
    words[at + MODEL_LEVEL] = parser.level
    words[at + MODEL_HOST] = host
    words[at + MODEL_APP] = app
    return at
  }

  /** @returns whether lines like this one are known by how they begin from now on */
  #learnHead(of: LearnedLine, parser: LineParser): boolean {
    switch (parser.timeForm) {
      case 'access':
        return this.#isClient(of, parser) && this.#addHead(CLIENT, of, parser, parser.timeEnd)
      case 'syslog': {
        const nameEnd = this.#nameEnd(of, parser)
        return nameEnd > 0 && !this.#hasHead(of, nameEnd) && this.#addHead(ORIGIN, of, parser, nameEnd)
      }
      default:
        return this.#learnBeginning(of, parser)
    }
  }

  /** The parser looked a little further than the time: lines are the same up to there, but for numbers. */
  #learnBeginning(of: LearnedLine, parser: LineParser): boolean {
    const { start, end, stampEnd } = of
    const bytes = this.#bytes
    // Neither digit nor bracket begins a trace (multiline/traces.ts).
    const isTraceless = isDigit(bytes[start]) || bytes[start] === 0x5b
    const seenTo = Math.max(stampEnd, parser.seenTo, isTraceless ? 0 : traceSeenTo(bytes, start, end))
    if (seenTo > end || seenTo - stampEnd > HEAD_SEEN_BYTES_MAX) return false
    const digitsFrom = Math.max(parser.timeEnd, parser.digitsFrom)
    // Other digits differ from line to line: templates tell which are alike then.
    for (let i = parser.timeEnd; i < seenTo; i++) {
      if (!isDigit(bytes[i])) continue
      const to = numberEnd(bytes, i)
      if (i < digitsFrom || to < 0 || to > seenTo) return false
      i = to
    }
    if (!this.#addHead(HEAD, of, parser, seenTo)) return false
    this.#words[(this.#words[this.#heads + of.format] >> 2) + MODEL_NUMBERS] = Math.min(seenTo, digitsFrom) - stampEnd
    return true
  }

  /** @param to  as far behind the stamp lines have to be the same */
  #addHead(kind: number, of: LearnedLine, parser: LineParser, to: number): boolean {
    const { line, format, start, stampEnd, host, app } = of
    const at = this.#model(kind, line, format, parser, host, app)
    if (at < 0) return false
    const words = this.#words
    const head = this.#heads + format
    // More are not tried: what is written most often is soon learned again.
    if (this.#headCounts[format]++ === HEAD_TRIES_MAX) {
      this.#headCounts[format] = 1
      words[head] = 0
    }
    // What level there is was not found in what is asked about.
    if (kind === ORIGIN) words[at + MODEL_LEVEL] = 0
    words[at + MODEL_LINE] = start + HEAP
    words[at + MODEL_TEXT] = stampEnd + HEAP
    words[at + MODEL_BYTES] = to - stampEnd
    words[at + MODEL_NEXT] = words[head]
    words[head] = at << 2
    return true
  }

  #forgetHeads(): void {
    this.#headCounts.fill(0)
    this.#words.fill(0, this.#heads, this.#heads + FORMATS_MAX)
  }

  /** Of lines that begin with a client the parser tells the time, and neither level nor names. */
  #isClient({ start, end, stampAt }: LearnedLine, parser: LineParser): boolean {
    const limit = Math.min(end, start + HEAD_BYTES)
    if (parser.timeBasis !== 'fixed' || !isDigit(this.#bytes[start])) return false
    return clientTimeAt(this.#bytes, start, limit) === stampAt && isRequest(this.#bytes, parser.timeEnd, limit)
  }

  /** Where the name ends in ` host name[pid]: `, right behind the time of syslog that the line begins with; -1: it does not. */
  #nameEnd({ start, end, stampAt, stampEnd }: LearnedLine, parser: LineParser): number {
    const bytes = this.#bytes
    if (stampAt !== start || stampEnd !== parser.timeEnd || parser.app === '' || bytes[stampEnd] !== 0x20) return -1
    const limit = Math.min(end, start + HEAD_BYTES)
    const hostEnd = wordEnd(bytes, stampEnd + 1, limit)
    if (hostEnd === stampEnd + 1 || bytes[hostEnd - 1] === 0x3a || !isHostName(bytes, stampEnd + 1, hostEnd)) return -1
    let at = hostEnd + 1
    while (at < limit && isAppByte(bytes[at])) at++
    return at
  }

  /** Whether lines with this one's host and name are known already: it may tell a level. */
  #hasHead({ line, format, stampEnd }: LearnedLine, nameEnd: number): boolean {
    const words = this.#words
    const bytes = this.#bytes
    const seconds = this.#analysis!.stampSeconds[line]
    for (let at = words[this.#heads + format] >> 2; at !== 0; at = words[at + MODEL_NEXT] >> 2) {
      if (words[at + MODEL_BYTES] !== nameEnd - stampEnd) continue
      if (seconds < words[at + MODEL_SECONDS_LEAST] || seconds > words[at + MODEL_SECONDS_GREATEST]) continue
      const text = words[at + MODEL_TEXT] - HEAP
      if (bytes.compare(bytes, text, text + nameEnd - stampEnd, stampEnd, nameEnd) === 0) return true
    }
    return false
  }

  /** How many of the variables from `first` on, of `all`, begin before a place of the text. */
  #variablesTo(first: number, all: number, place: number): number {
    let k = 0
    while (k < all && this.#words[first + k * VARIABLE_WORDS] - HEAP < place) k++
    return k
  }
}

/** Behind the number at `at`, of as many digits as one may have that the parser does not ask for; -1: it is none, but a part of a word. */
function numberEnd(bytes: Buffer, at: number): number {
  let end = at
  while (isDigit(bytes[end])) end++
  return end - at > DIGITS_MAX || isOfWord(bytes[at - 1]) || isOfWord(bytes[end]) ? -1 : end
}

/** As the codec takes words. */
function isOfWord(byte: number): boolean {
  return isWordByte(byte) || byte === 0x5f || byte >= 0x80
}

/** By first letter which lengths there are, then of each word its first four letters and its length. */
function wordTable(words: readonly string[]): Int32Array {
  const table = new Int32Array(26 + 2 * words.length + 2)
  words.forEach((word, k) => {
    table[word.charCodeAt(0) - 0x61] |= 1 << word.length
    table[26 + 2 * k] = Buffer.from(`${word.slice(0, 4)}\0`).readInt32LE(0)
    table[27 + 2 * k] = word.length
  })
  return table
}
