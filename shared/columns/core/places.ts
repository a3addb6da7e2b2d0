// Where things lie in memory: small tables at fixed addresses, everything else from HEAP on, placed anew for each block.
import { div, type i32, mul, store8, store32 } from './memory.ts'

/** A class byte for each byte value (classes.ts). */
export const CLASSES: i32 = 1024
/** Powers of ten, 1 to 10⁹. */
export const POWERS: i32 = 1280
/** Days of months 1 to 12. */
export const MONTH_DAYS: i32 = 1344
/** Time stamp formats (stamps.ts). */
export const FORMATS: i32 = 1408
export const FORMATS_MAX: i32 = 16
export const FORMAT_BYTES: i32 = 16
/** Of each stream: where it begins, where it ends (the place to write next). */
export const STREAMS: i32 = 1664
export const STREAM_COUNT: i32 = 9
/** What the host reads after a call, 32-bit each (encode.ts, decode.ts). */
export const RESULT: i32 = 1792
/** Sets of tokens (words.ts): those without a digit, those with both. */
export const SETS: i32 = 1920
export const SET_BYTES: i32 = 16
export const PLAIN: i32 = SETS
export const MIXED: i32 = 1936
/** Where the name of a month is written out to be hashed. */
export const MONTH_NAME: i32 = 1968
/** Of each byte value: letters in lower case, digits and `_` as they are, 0 for what ends a token. */
export const FOLDED: i32 = 2048
/** Of each format the time stamp that was written last (stamps.ts). */
export const STAMP_TEXTS: i32 = 2304
export const STAMP_TEXT_BYTES: i32 = 48
/** 00 to 99. */
export const PAIRS: i32 = 3072

export const HEAP: i32 = 4096

/** The nine streams; docs/formats/columns.md says what each holds. */
export const TEMPLATES: i32 = 0
export const DESCRIPTORS: i32 = 1
export const IDS: i32 = 2
export const STAMPS: i32 = 3
export const INTEGERS: i32 = 4
export const ENTRY_IDS: i32 = 5
export const ENTRIES: i32 = 6
export const TEXTS: i32 = 7
export const RAW: i32 = 8

/** In template text: a variable; a time stamp, followed by 32 + its format. Lines with such bytes are kept raw. */
export const VARIABLE_MARK: i32 = 0x11
export const STAMP_MARK: i32 = 0x12

/** Letters, `_` and bytes from 128 on. */
export const LETTER: i32 = 1
export const DIGIT: i32 = 2
export const WORD: i32 = 3
/** `.` `:` `-`: join words with digits to one variable in mode "joined". */
export const JOINER: i32 = 8
/** 0x10 to 0x13: a line that holds one stays raw. */
export const FORBIDDEN: i32 = 16
/** What a field of mode "fields" is made of. */
export const FIELD: i32 = 32
/** In a field, but not in a word. */
export const FIELD_MARK: i32 = 64

let isPrepared: i32 = 0

function classOf(byte: i32): i32 {
  if (byte >= 48 && byte <= 57) return DIGIT | FIELD
  if ((byte >= 65 && byte <= 90) || (byte >= 97 && byte <= 122) || byte === 95 || byte >= 128) return LETTER | FIELD
  if (byte === 46 || byte === 58 || byte === 45) return JOINER | FIELD | FIELD_MARK
  if (byte >= 0x10 && byte <= 0x13) return FORBIDDEN
  // / \ % + & ? ~ @ # $ * ! '
  if (byte === 47 || byte === 92 || byte === 37 || byte === 43 || byte === 38 || byte === 63 || byte === 126)
    return FIELD | FIELD_MARK
  if (byte === 64 || byte === 35 || byte === 36 || byte === 42 || byte === 33 || byte === 39) return FIELD | FIELD_MARK
  return 0
}

function foldedOf(byte: i32): i32 {
  if (byte >= 65 && byte <= 90) return byte + 32
  return (byte >= 48 && byte <= 57) || (byte >= 97 && byte <= 122) || byte === 95 ? byte : 0
}

/** Fills the tables, once per memory. */
export function prepareTables(): void {
  if (isPrepared !== 0) return
  isPrepared = 1
  for (let byte: i32 = 0; byte < 256; byte++) {
    store8(CLASSES + byte, classOf(byte))
    store8(FOLDED + byte, foldedOf(byte))
  }
  let power: i32 = 1
  for (let i: i32 = 0; i < 10; i++) {
    store32(POWERS + i * 4, power)
    power = mul(power, 10)
  }
  for (let pair: i32 = 0; pair < 100; pair++) {
    const tens = div(pair, 10)
    store8(PAIRS + pair * 2, 48 + tens)
    store8(PAIRS + pair * 2 + 1, 48 + pair - tens * 10)
  }
  for (let month: i32 = 1; month <= 12; month++) {
    store8(MONTH_DAYS + month, month === 2 ? 29 : month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31)
  }
}

/** After the memory was given back. */
export function forgetTables(): void {
  isPrepared = 0
}

/** The next multiple of 16. */
export function aligned(address: i32): i32 {
  return (address + 15) & -16
}

/** The smallest power of two that is at least `count`. */
export function powerOfTwo(count: i32): i32 {
  let size: i32 = 64
  while (size < count) size <<= 1
  return size
}
