// How grave a line says it is: an index into LEVELS of shared/events.ts, 0 for none.
import { LEVELS, type Level } from '../../shared/events.ts'
import { afterColour, isDigit, isLetter, isWordByte } from './words.ts'

/** How far behind the time (or the start) a level is looked for, in bytes. */
export const LEVEL_WINDOW_BYTES = 96

/** How far behind a word, or behind the window for one that begins in it, bytes are looked at. */
const LEVEL_AHEAD_BYTES = 32

/** Nothing at or behind this offset was looked at by the last `findLevel`. */
export let levelSeenTo = 0
/** Where the word stands that it found, or the key before that. */
export let levelAt = 0

const LEVEL_WORD_BYTES_MIN = 3
const LEVEL_WORD_BYTES_MAX = 13

/** Lower case; what the word means. */
const LEVEL_WORDS: Partial<Record<Level, string[]>> = {
  '': [],
  trace: ['trace', 'finest', 'finer', 'verbose', 'vrb', 'trce'],
  debug: ['debug', 'fine', 'dbg', 'dbug'],
  info: ['info', 'information', 'informational', 'inf'],
  notice: ['notice'],
  warn: ['warn', 'warning', 'wrn'],
  error: ['error', 'err', 'severe'],
  critical: ['critical', 'crit'],
  alert: ['alert'],
  fatal: ['fatal', 'emerg', 'emergency', 'panic', 'ftl'],
}

/**
 * Of these at least one stands, as a word of letters in either case, wherever `findLevel` finds a level: the words of levels,
 * the keys before them, and what `levelOfIdiom` knows.
 */
export const LEVEL_TELLING_WORDS: readonly string[] = [
  ...Object.values(LEVEL_WORDS).flat(),
  ...['level', 'lvl', 'severity'],
  ...['fail', 'note'],
]

/** Words by length, each as its bytes and its level: found without making a string. */
const WORDS_OF_LENGTH: { bytes: Uint8Array; level: number }[][] = Array.from(
  { length: LEVEL_WORD_BYTES_MAX + 1 },
  () => [],
)
LEVELS.forEach((name, level) => {
  for (const word of LEVEL_WORDS[name] ?? []) WORDS_OF_LENGTH[word.length].push({ bytes: Buffer.from(word), level })
})

/** The level that the bytes [at, end) name, in either case; 0 if they do not. */
export function levelOfWord(b: Buffer, at: number, end: number): number {
  const length = end - at
  if (length < LEVEL_WORD_BYTES_MIN || length > LEVEL_WORD_BYTES_MAX) return 0
  const words = WORDS_OF_LENGTH[length]
  for (let w = 0; w < words.length; w++) {
    const { bytes, level } = words[w]
    let i = 0
    while (i < length && (b[at + i] | 0x20) === bytes[i]) i++
    if (i === length) return level
  }
  return 0
}

const LETTERS: Record<string, Level> = {
  V: 'trace',
  T: 'trace',
  D: 'debug',
  I: 'info',
  N: 'notice',
  W: 'warn',
  E: 'error',
  C: 'critical',
  F: 'fatal',
  A: 'fatal',
}
const LEVEL_OF_LETTER = Uint8Array.from({ length: 128 }, (_, c) =>
  LEVELS.indexOf(LETTERS[String.fromCharCode(c)] ?? ''),
)

/** One letter in upper case, where a format has its level there (klog, logcat, Ruby); D1 to D5 of MongoDB. */
export function levelOfLetter(b: Buffer, at: number, end: number): number {
  if (end - at === 2 && b[at] === 0x44 && isDigit(b[at + 1])) return LEVEL_OF_LETTER[0x44]
  return end - at === 1 && b[at] < 128 ? LEVEL_OF_LETTER[b[at]] : 0
}

const EMERGENCY_TO_DEBUG = (['fatal', 'alert', 'critical', 'error', 'warn', 'notice', 'info', 'debug'] as const).map(
  name => LEVELS.indexOf(name),
)

/** @param severity  0–7 of syslog */
export function levelOfSeverity(severity: number): number {
  return EMERGENCY_TO_DEBUG[severity]
}

/** Numbers of JSON logs: 0–7 are syslog's severities (GELF), 10–60 those of Bunyan and pino. */
export function levelOfNumber(number: number): number {
  if (number >= 0 && number <= 7) return levelOfSeverity(number)
  switch (number) {
    case 10:
      return LEVELS.indexOf('trace')
    case 20:
      return LEVELS.indexOf('debug')
    case 30:
      return LEVELS.indexOf('info')
    case 40:
      return LEVELS.indexOf('warn')
    case 50:
      return LEVELS.indexOf('error')
    case 60:
      return LEVELS.indexOf('fatal')
    default:
      return 0
  }
}

/**
 * The first level named within a short way of `from`. Counted are: an upper-case word (INFO), a word of any case that
 * fills brackets or ends them ([error], [core:error], <info>), stands between tabs or bars, or right behind a comma; one at
 * `from` with a colon behind it (error: …, PHP Warning: …); the value of level, lvl or severity (level=info, "level":"warn").
 */
export function findLevel(b: Buffer, from: number, end: number, window = LEVEL_WINDOW_BYTES): number {
  levelSeenTo = from + window + LEVEL_AHEAD_BYTES
  const limit = Math.min(end, from + window)
  let isFirst = true
  let at = from
  let aheadTo = 0
  while (at < limit) {
    if (!isLetter(b[at])) {
      // Letters behind a digit, as in 0xINFO, begin no word.
      if (isDigit(b[at])) while (at < limit && isWordByte(b[at])) at++
      else at = b[at] === 0x1b ? afterColour(b, at, limit) : at + 1
      continue
    }
    const start = at
    while (at < end && at - start <= LEVEL_WORD_BYTES_MAX && isWordByte(b[at])) at++
    const length = at - start
    const isWhole = length <= LEVEL_WORD_BYTES_MAX
    while (at < limit && isWordByte(b[at])) at++
    if (!isWhole || length < LEVEL_WORD_BYTES_MIN) {
      isFirst = false
      continue
    }
    if (isLevelKey(b, start, at)) {
      aheadTo = at + LEVEL_AHEAD_BYTES
      const level = levelOfValue(b, at, end)
      if (level > 0) return seen(level, start, aheadTo)
    }
    const after = at < end ? b[at] : 0x20
    if (isUpper(b, start, at) || stands(b, from, start, after, isFirst)) {
      const level = levelOfWord(b, start, at)
      if (level > 0) return seen(level, start, Math.max(at + 1, aheadTo))
    }
    if (isFirst && (length === 3 || length === 4 || length === 5)) {
      aheadTo = Math.max(aheadTo, at + LEVEL_AHEAD_BYTES)
      const level = levelOfIdiom(b, start, at, end, after)
      if (level > 0) return seen(level, start, aheadTo)
      // PHP's level is the word behind it.
      if (isWord(PHP, b, start, at)) continue
    }
    isFirst = false
  }
  return 0
}

function seen(level: number, at: number, to: number): number {
  levelAt = at
  levelSeenTo = to
  return level
}

/** The word fills its place in a way in which a level does, whatever its case. */
function stands(b: Buffer, from: number, start: number, after: number, isFirst: boolean): boolean {
  if (isFirst && after === 0x3a) return true
  if (start === from) return false
  const before = b[start - 1]
  switch (after) {
    case 0x5d: // ] > )
    case 0x3e:
    case 0x29:
      return before === 0x5b || before === 0x3c || before === 0x28 || before === 0x3a
    case 0x09: // tab, bar
    case 0x7c:
      return before === 0x09 || before === 0x7c
    default:
      // `2016-09-28 04:30:30, Info   CBS …`
      return isFirst && b[from] === 0x2c && (before === 0x20 || before === 0x2c)
  }
}

const PHP = Buffer.from('PHP')
const FAIL = Buffer.from('fail')
const FATAL = Buffer.from('Fatal')
const ERROR_BEHIND = Buffer.from(' error:')
const NOTE = Buffer.from('Note')

/** `fail:` (.NET), `Fatal error:` (PHP), `[Note]` (MySQL). */
function levelOfIdiom(b: Buffer, at: number, end: number, limit: number, after: number): number {
  if (after === 0x3a && isWord(FAIL, b, at, end)) return LEVELS.indexOf('error')
  if (after === 0x5d && b[at - 1] === 0x5b && isWord(NOTE, b, at, end)) return LEVELS.indexOf('notice')
  const last = end + ERROR_BEHIND.length
  return isWord(FATAL, b, at, end) && last <= limit && isWord(ERROR_BEHIND, b, end, last) ? LEVELS.indexOf('fatal') : 0
}

function isWord(word: Buffer, b: Buffer, at: number, end: number): boolean {
  if (word.length !== end - at) return false
  for (let i = 0; i < word.length; i++) if (b[at + i] !== word[i]) return false
  return true
}

function isUpper(b: Buffer, at: number, end: number): boolean {
  for (let i = at; i < end; i++) if (b[i] > 0x5a) return false
  return true
}

const LEVEL_KEYS = ['level', 'lvl', 'severity'].map(key => Buffer.from(key))

export function isLevelKey(b: Buffer, at: number, end: number): boolean {
  const first = b[at] | 0x20
  if (first !== 0x6c && first !== 0x73) return false
  for (const key of LEVEL_KEYS) {
    if (key.length !== end - at) continue
    let i = 0
    while (i < key.length && (b[at + i] | 0x20) === key[i]) i++
    if (i === key.length) return true
  }
  return false
}

/** `=info`, `="info"`, `":"info"`, `: info`, and `\":\"info\"` within a text of JSON */
function levelOfValue(b: Buffer, at: number, end: number): number {
  let start = at
  if (b[start] === 0x5c) start++
  if (b[start] === 0x22) start++
  if (b[start] !== 0x3d && b[start] !== 0x3a) return 0
  start++
  const last = Math.min(end, start + 3)
  while (start < last && (b[start] === 0x20 || b[start] === 0x22 || b[start] === 0x5c)) start++
  let stop = start
  while (stop < end && stop - start <= LEVEL_WORD_BYTES_MAX && isLetter(b[stop])) stop++
  return levelOfWord(b, start, stop)
}
