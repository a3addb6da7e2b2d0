// Lines that are known by how they begin, whatever their template is: three ways to hold one against a model
// (known-lines.ts). `text` is where the model's stamp ends, `bytes` how many bytes from there on are asked about.
//
//   isHead     the same bytes before the stamp, and as far behind it as the parser looked; but digits of the numbers
//              there, of which the host made sure that the parser does not ask for them
//   isOrigin   `Mon dd hh:mm:ss host name[pid]: text` at the start: the same host and name, and no word in the text that
//              could tell a level. All that the parser asks of such a line: it begins with no word of a trace either.
//   isClient   `client ident user [time zone] "`: the same zone
import { equal, type i32, load8, load32 } from './memory.ts'

/** The parser looks no further into a line (tailer/parse/line-parser.ts), and no further for a level (level.ts). */
export const PARSED_BYTES_MAX: i32 = 512
export const LEVEL_BYTES_MAX: i32 = 128
/** `client - user [` and a time with its zone. */
const CLIENT_BYTES_MIN: i32 = 30

export function isHead(
  line: i32,
  text: i32,
  bytes: i32,
  numbers: i32,
  at: i32,
  stampAt: i32,
  stampEnd: i32,
  end: i32,
): i32 {
  // Two stamps of one format are equally long.
  if (end - stampEnd < bytes || text - line !== stampEnd - at || equal(at, line, stampAt - at) === 0) return 0
  if (equal(stampEnd, text, bytes) !== 0) return 1
  for (let i: i32 = 0; i < bytes; i++) {
    const byte = load8(stampEnd + i)
    const other = load8(text + i)
    if (byte !== other && (i < numbers || isDigit(byte) === 0 || isDigit(other) === 0)) return 0
  }
  return 1
}

function isDigit(byte: i32): i32 {
  return byte >= 48 && byte <= 57 ? 1 : 0
}

/** What `isOrigin` found: where the text begins that it looked at, and where it had to look no further. */
export let originText: i32 = 0
export let originLookedTo: i32 = 0

export function isOrigin(text: i32, bytes: i32, at: i32, stampAt: i32, stampEnd: i32, end: i32): i32 {
  if (stampAt !== at || end - stampEnd <= bytes || equal(stampEnd, text, bytes) === 0) return 0
  const limit = parsedEnd(at, end)
  let next = tagEnd(stampEnd + bytes, limit)
  if (next === 0) return 0
  while (next < limit && (load8(next) === 32 || load8(next) === 9)) next++
  originText = next
  originLookedTo = limit - next > LEVEL_BYTES_MAX ? next + LEVEL_BYTES_MAX : limit
  return mayHaveLevel(next, originLookedTo, limit) !== 0 ? 0 : 1
}

/** 1 if no word that tells a level stands in [from, end), which has its neighbours' letters to either side, up to a line's. */
export function isPlain(from: i32, end: i32, lineStart: i32, lineEnd: i32): i32 {
  let at = from
  let to = end
  while (at > lineStart && isLetter(load8(at - 1)) !== 0) at--
  while (to < lineEnd && isLetter(load8(to)) !== 0) to++
  return mayHaveLevel(at, to, to) !== 0 ? 0 : 1
}

export function isClient(text: i32, bytes: i32, at: i32, stampAt: i32, stampEnd: i32, end: i32): i32 {
  const limit = parsedEnd(at, end)
  if (clientTimeAt(at, limit) !== stampAt || equal(stampEnd, text, bytes) === 0) return 0
  const after = stampEnd + bytes
  if (after + 3 >= limit || load8(after) !== 93 || load8(after + 1) !== 32) return 0
  const quote = load8(after + 2)
  return quote === 34 || (quote === 92 && load8(after + 3) === 34) ? 1 : 0
}

function parsedEnd(at: i32, end: i32): i32 {
  return end - at > PARSED_BYTES_MAX ? at + PARSED_BYTES_MAX : end
}

/** Behind `(…)`, `[…]` and the colon that end a name; 0: it does not end there, or not so. */
function tagEnd(from: i32, limit: i32): i32 {
  let at = from
  if (at < limit && load8(at) === 40) {
    at = bracketEnd(at, limit, 41)
    if (at === 0) return 0
  }
  if (at < limit && load8(at) === 91) {
    at = bracketEnd(at, limit, 93)
    if (at === 0) return 0
  }
  return at < limit && load8(at) === 58 ? at + 1 : 0
}

function bracketEnd(from: i32, limit: i32, closing: i32): i32 {
  let at = from
  while (at < limit && load8(at) !== closing && load8(at) !== 32) at++
  return at < limit && load8(at) === closing ? at + 1 : 0
}

/** Where the time must begin of a line that begins with a client's address; 0: it does not. */
function clientTimeAt(from: i32, limit: i32): i32 {
  let at = from
  let dots: i32 = 0
  for (; at < limit; at++) {
    const byte = load8(at)
    if (byte === 46) dots++
    else if (byte < 48 || byte > 57) break
  }
  if (at === from || load8(from) === 46 || dots !== 3 || limit - at < CLIENT_BYTES_MIN) return 0
  if (load8(at) !== 32 || load8(at + 1) !== 45 || load8(at + 2) !== 32) return 0
  let user = at + 3
  while (user < limit && isSpace(load8(user)) === 0) user++
  return user + 2 >= limit || load8(user) !== 32 || load8(user + 1) !== 91 ? 0 : user + 2
}

function isSpace(byte: i32): i32 {
  return byte === 32 || byte === 9 || byte === 10 || byte === 13 ? 1 : 0
}

/** Words that tell a level, or stand before one, as the host put them here (tailer/known-lines.ts): where they are. */
let levelWords: i32 = 0
const LETTERS: i32 = 26
export const LEVEL_WORDS_BYTES: i32 = 1024
const LEVEL_WORD_BYTES_MIN: i32 = 3
const LEVEL_WORD_BYTES_MAX: i32 = 13
const A: i32 = 97
const ESCAPE: i32 = 27

export function placeLevelWords(at: i32): void {
  levelWords = at
}

/**
 * 0 if no word that tells a level begins in [from, limit), ending before `end`: wherever one stands between others than
 * letters, in either case, it may count, and the parser knows. Colours of terminals have letters that are no part of the word
 * behind them.
 */
function mayHaveLevel(from: i32, limit: i32, end: i32): i32 {
  let at = from
  while (at < limit) {
    const byte = load8(at)
    const letter = (byte | 32) - A
    if (letter < 0 || letter >= LETTERS) {
      if (byte === ESCAPE) return 1
      at++
      continue
    }
    const start = at++
    while (at < end && isLetter(load8(at)) !== 0) at++
    const length = at - start
    if (length < LEVEL_WORD_BYTES_MIN || length > LEVEL_WORD_BYTES_MAX) continue
    if (((load32(levelWords + letter * 4) >>> length) & 1) !== 0 && isLevelWord(start, length) !== 0) return 1
  }
  return 0
}

function isLetter(byte: i32): i32 {
  const letter = (byte | 32) - A
  return letter >= 0 && letter < LETTERS ? 1 : 0
}

/** 1 if a word of this length begins with these four letters. */
function isLevelWord(start: i32, length: i32): i32 {
  let key = load8(start) | (load8(start + 1) << 8) | (load8(start + 2) << 16)
  if (length > 3) key |= load8(start + 3) << 24
  key |= length > 3 ? 0x20202020 : 0x202020
  let at = levelWords + LETTERS * 4
  for (let word = load32(at); word !== 0; word = load32(at)) {
    if (word === key && load32(at + 4) === length) return 1
    at += 8
  }
  return 0
}
