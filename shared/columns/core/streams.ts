// The streams being written: bytes, varints, text. Room is made by the encoder beforehand, so nothing here checks.
import { copy, type i32, leadingZeros, load32, mul, store8, store32 } from './memory.ts'
import { DESCRIPTORS, STREAMS } from './places.ts'

export function streamBegin(stream: i32): i32 {
  return load32(STREAMS + stream * 8)
}

export function streamEnd(stream: i32): i32 {
  return load32(STREAMS + stream * 8 + 4)
}

export function setStreamEnd(stream: i32, end: i32): void {
  store32(STREAMS + stream * 8 + 4, end)
}

/** Begins a stream at `at`. */
export function placeStream(stream: i32, at: i32): void {
  store32(STREAMS + stream * 8, at)
  store32(STREAMS + stream * 8 + 4, at)
}

/** Seven bits a byte, low ones first, all but the last with the high bit; `value` is taken as unsigned. */
export function putVarint(to: i32, value: i32): i32 {
  let at = to
  let rest = value
  while ((rest & -128) !== 0) {
    store8(at++, (rest & 127) | 128)
    rest = rest >>> 7
  }
  store8(at++, rest)
  return at
}

export function putDescriptor(value: i32): void {
  setStreamEnd(DESCRIPTORS, putVarint(streamEnd(DESCRIPTORS), value))
}

/** Bytes of a varint: one for each seven bits that were begun. */
export function varintBytes(value: i32): i32 {
  return (mul(31 - leadingZeros(value | 1), 9) + 73) >> 6
}

export function putText(stream: i32, from: i32, count: i32): void {
  const at = streamEnd(stream)
  copy(at, from, count)
  setStreamEnd(stream, at + count)
}

/** With a line feed behind. */
export function putEntry(stream: i32, from: i32, count: i32): void {
  const at = streamEnd(stream)
  copy(at, from, count)
  store8(at + count, 10)
  setStreamEnd(stream, at + count + 1)
}
