// AssemblyScript in the place of scan.ts when the WebAssembly form is built: the same answers, for sixteen bytes at a time.
// Their classes become a bit each, and where a word ends is told by counting bits.
import { CLASSES, JOINER, WORD } from './places'
import { NUMBER, VARIABLE_BYTES } from './variables'

const WORD_CLASSES: i32 = 0x8f
const JOINER_CLASSES: i32 = 0x30
const WINDOW: i32 = 16
const ALL: i32 = 0xffff

let isJoining: bool = false

export function beginScan(isJoined: i32): void {
  isJoining = isJoined != 0
}

// Of the low and the high half of a byte, the classes that it may be of: 80 digit; 01 02 04 08 letters, `_`, from 128 on;
// 10 `.` `-`; 20 `:`.
@inline function classesOf(at: i32): v128 {
  const text = v128.load(<usize>at)
  const low = v128.and(text, i8x16.splat(0x0f))
  const high = i8x16.shr_u(text, 4)
  return v128.and(
    i8x16.swizzle(i8x16(-118, -117, -117, -117, -117, -117, -117, -117, -117, -117, 0x2b, 9, 9, 0x19, 0x19, 0x0d), low),
    i8x16.swizzle(i8x16(0, 0, 0x10, -96, 1, 6, 1, 2, 8, 8, 8, 8, 8, 8, 8, 8), high),
  )
}

/** Bits of the bytes that are of one of the classes. */
@inline function bitsOf(classes: v128, mask: i32): i32 {
  return i8x16.bitmask(i8x16.eq(v128.and(classes, i8x16.splat(<i8>mask)), i8x16.splat(0))) ^ ALL
}

/** Bits of the digits. */
@inline function digitsAt(at: i32): i32 {
  return i8x16.bitmask(i8x16.lt_u(i8x16.sub(v128.load(<usize>at), i8x16.splat(48)), i8x16.splat(10)))
}

export function isForbidden(from: i32, end: i32): i32 {
  for (let at = from; at < end; at += WINDOW) {
    const found = i8x16.bitmask(i8x16.eq(v128.and(v128.load(<usize>at), i8x16.splat(<i8>0xfc)), i8x16.splat(0x10)))
    if (found != 0) return at + ctz(found) < end ? 1 : 0
  }
  return 0
}

export function digitFrom(from: i32, end: i32): i32 {
  for (let at = from; at < end; at += WINDOW) {
    const found = digitsAt(at)
    if (found != 0) return at + ctz(found)
  }
  return end
}

export function wordStart(digit: i32, from: i32): i32 {
  let at = digit
  do {
    // The sixteen bytes up to this one: their bits in the high half.
    const others = (bitsOf(classesOf(at - WINDOW + 1), WORD_CLASSES) ^ ALL) << 16
    if (others != 0) {
      at += 1 - clz(others)
      break
    }
    at -= WINDOW
  } while (at >= from)
  return at < from ? from : at
}

export function variableEnd(digit: i32): i32 {
  return isJoining ? joinedEnd(digit) : wordEnd(digit)
}

function wordEnd(from: i32): i32 {
  let at = from
  let others = bitsOf(classesOf(at), WORD_CLASSES) ^ ALL
  while (others == 0) {
    at += WINDOW
    others = bitsOf(classesOf(at), WORD_CLASSES) ^ ALL
  }
  return at + ctz(others)
}

/** Bits of the bytes that are no word and no joiner before one; of the last byte that is not known. */
@inline function endsOf(classes: v128, words: i32): i32 {
  return ~(words | (bitsOf(classes, JOINER_CLASSES) & (words >> 1))) & (ALL >> 1)
}

function joinedEnd(from: i32): i32 {
  let at = from
  for (;;) {
    const classes = classesOf(at)
    const ends = endsOf(classes, bitsOf(classes, WORD_CLASSES))
    if (ends != 0) {
      at += ctz(ends)
      break
    }
    at += WINDOW - 1
  }
  return at
}

export function variableAt(start: i32): i32 {
  const classes = classesOf(start)
  const words = bitsOf(classes, WORD_CLASSES)
  const length = ctz(~words)
  if ((i8x16.bitmask(classes) & ((1 << length) - 1)) == 0) {
    if (length < WINDOW) return 0
    const end = wordEnd(start)
    const digit = digitFrom(start, end)
    return digit < end ? variableEnd(digit) : 0
  }
  if (!isJoining) return length < WINDOW ? start + length : wordEnd(start)
  const ends = endsOf(classes, words)
  return ends != 0 ? start + ctz(ends) : joinedEnd(start + WINDOW - 1)
}

export function digitWord(start: i32): i32 {
  let length = ctz(~digitsAt(start))
  if (length == WINDOW) length += ctz(~digitsAt(start + WINDOW))
  if (length == 2 * WINDOW) return 0
  const next = <i32>load<u8>(<usize>(start + length))
  return (<i32>load<u8>(<usize>(CLASSES + next)) & WORD) == 0 ? length : 0
}

const FACTOR: i64 = -7046029254386353131
const OTHER_FACTOR: i64 = -3335678366873096957

export function hashOf(from: i32, to: i32): i32 {
  const length = to - from
  let hash: i64 = <i64>length * OTHER_FACTOR
  if (length >= 8) {
    const last = to - 8
    for (let at = from; at < last; at += 8) hash = rotl((hash ^ load<i64>(<usize>at)) * FACTOR, 29)
    hash = (hash ^ load<i64>(<usize>last)) * FACTOR
  } else if (length > 0) hash = (hash ^ (load<i64>(<usize>from) << (64 - (<i64>length << 3)))) * FACTOR
  hash ^= hash >>> 32
  return <i32>((hash * OTHER_FACTOR) >>> 32)
}

/** Up to eight digits, the last ones in the high bytes and zeros before the first. */
@inline function eightDigits(text: i64): i32 {
  let x = (text & 0x0f0f0f0f0f0f0f0f) * 2561 >>> 8
  x = (x & 0x00ff00ff00ff00ff) * 6553601 >>> 16
  return <i32>((x & 0x0000ffff0000ffff) * 42949672960001 >>> 32)
}

/** Of 1 to 9 digits. */
@inline function numberOf(start: i32, length: i32): i32 {
  if (length <= 8) return eightDigits(load<i64>(<usize>start) << (64 - (<i64>length << 3)))
  return eightDigits(load<i64>(<usize>start)) * 10 + <i32>load<u8>(<usize>(start + 8)) - 48
}

export function putWord(at: i32, start: i32, end: i32): i32 {
  const length = end - start
  store<i32>(<usize>at, start)
  if (length < 10 && ctz(~digitsAt(start)) >= length) {
    store<i32>(<usize>(at + 4), length | NUMBER)
    store<i32>(<usize>(at + 8), numberOf(start, length))
  } else {
    store<i32>(<usize>(at + 4), length)
    store<i32>(<usize>(at + 8), hashOf(start, end))
  }
  return at + VARIABLE_BYTES
}

export function numberAt(start: i32): i32 {
  const length = ctz(~digitsAt(start))
  const next = <i32>load<u8>(<usize>(CLASSES + <i32>load<u8>(<usize>(start + length))))
  return length < 10 && (next & (isJoining ? WORD | JOINER : WORD)) == 0 ? length : 0
}

export function putNumber(at: i32, start: i32, length: i32): i32 {
  store<i32>(<usize>at, start)
  store<i32>(<usize>(at + 4), length | NUMBER)
  store<i32>(<usize>(at + 8), numberOf(start, length))
  return at + VARIABLE_BYTES
}

export function putQuoted(at: i32, start: i32, end: i32): i32 {
  store<i32>(<usize>at, start)
  store<i32>(<usize>(at + 4), end - start)
  store<i32>(<usize>(at + 8), hashOf(start, end))
  return at + VARIABLE_BYTES
}

// Bits of the bytes that a field is made of. A class for each high half of a byte from 2 to 7, one for those from 8 on; of
// the low half, in which classes it is one: `!#$%&'*+-./`, digits `:` `?`, `@` and letters, letters `_` and the backslash,
// letters, letters `~`.
@inline function fieldsAt(at: i32): i32 {
  const text = v128.load(<usize>at)
  const low = v128.and(text, i8x16.splat(0x0f))
  const high = i8x16.shr_u(text, 4)
  const classes = v128.and(
    i8x16.swizzle(i8x16(110, 127, 126, 127, 127, 127, 127, 127, 126, 126, 127, 85, 92, 85, 117, 95), low),
    i8x16.swizzle(i8x16(0, 0, 1, 2, 4, 8, 16, 32, 64, 64, 64, 64, 64, 64, 64, 64), high),
  )
  return i8x16.bitmask(i8x16.eq(classes, i8x16.splat(0))) ^ ALL
}

export function fieldEnd(start: i32): i32 {
  let at = start
  let others = fieldsAt(at) ^ ALL
  while (others == 0) {
    at += WINDOW
    others = fieldsAt(at) ^ ALL
  }
  return at + ctz(others)
}
