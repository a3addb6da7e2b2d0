// One of the two modules that differ between the forms of the codec; the other is scan.ts. Here: plain JavaScript on typed
// arrays. For WebAssembly the build puts memory.as in its place, where the same names are a few instructions. All other
// modules of this folder know numbers of 32 bits and addresses only.
export type i32 = number

const PAGE_BYTES = 65536
const PAGES_AT_LEAST = 16
/** Reads may run so far behind what is reserved, writes of `copy` too: nothing of value lies there. */
export const SLACK_BYTES: i32 = 64

// WebAssembly's kind of memory without WebAssembly's code: it grows in place. An ArrayBuffer that is copied into a larger
// one takes both while that goes on, and all the room that was only reserved.
let memory = new WebAssembly.Memory({ initial: 1 })
let bytes = new Uint8Array(memory.buffer)
let words = new Int32Array(memory.buffer)

/** Makes addresses below `end` usable, the bytes so far kept. Throws a RangeError if there is no memory. */
export function reserve(end: i32): void {
  if (end <= bytes.length) return
  memory.grow(Math.max(PAGES_AT_LEAST, Math.ceil((end - bytes.length) / PAGE_BYTES)))
  lookAgain()
}

function lookAgain(): void {
  bytes = new Uint8Array(memory.buffer)
  words = new Int32Array(memory.buffer)
}

/** Not for the modules of the core: the host's view. */
export function memoryBuffer(): ArrayBuffer {
  return memory.buffer
}

/** Not for the modules of the core: gives a large memory back. */
export function forgetMemory(): void {
  memory = new WebAssembly.Memory({ initial: 1 })
  lookAgain()
}

export function load8(at: i32): i32 {
  return bytes[at]
}

export function load16(at: i32): i32 {
  return bytes[at] | (bytes[at + 1] << 8)
}

export function load32(at: i32): i32 {
  return words[at >> 2]
}

export function store8(at: i32, value: i32): void {
  bytes[at] = value
}

export function store32(at: i32, value: i32): void {
  words[at >> 2] = value
}

export function mul(a: i32, b: i32): i32 {
  return Math.imul(a, b)
}

/** Towards zero. */
export function div(a: i32, b: i32): i32 {
  return (a / b) | 0
}

export function leadingZeros(value: i32): i32 {
  return Math.clz32(value)
}

export function zero(at: i32, count: i32): void {
  bytes.fill(0, at, at + count)
}

/** 1 if `count` bytes are equal. */
export function equal(a: i32, b: i32, count: i32): i32 {
  for (let i = 0; i < count; i++) if (bytes[a + i] !== bytes[b + i]) return 0
  return 1
}

/** How many of the first `count` bytes are equal, up to the first that is not. */
export function sameBytes(a: i32, b: i32, count: i32): i32 {
  let i: i32 = 0
  while (i < count && bytes[a + i] === bytes[b + i]) i++
  return i
}

/** Not for overlapping places. The WebAssembly form writes up to 16 bytes too many. */
export function copy(to: i32, from: i32, count: i32): void {
  if (count < 64) for (let i = 0; i < count; i++) bytes[to + i] = bytes[from + i]
  else bytes.copyWithin(to, from, from + count)
}

/** Of `count` words at `from` the byte that begins at bit `shift`. The WebAssembly form writes up to 15 bytes too many. */
export function storePlane(to: i32, from: i32, count: i32, shift: i32): void {
  for (let k = 0; k < count; k++) bytes[to + k] = words[(from >> 2) + k] >>> shift
}

/** Where the next line feed stands, from `from` on: the caller has put one behind whatever may lack it. */
export function lineEnd(from: i32): i32 {
  let at = from
  while (bytes[at] !== 10) at++
  return at
}

/** Seconds of the day at hh?mm?ss, or a negative number. */
export function clockAt(at: i32, separator: i32): i32 {
  if (bytes[at + 2] !== separator || bytes[at + 5] !== separator) return -1
  const hours = twoDigits(at)
  const minutes = twoDigits(at + 3)
  const seconds = twoDigits(at + 6)
  if ((hours | minutes | seconds) < 0 || hours > 23 || minutes > 59 || seconds > 59) return -1
  return hours * 3600 + minutes * 60 + seconds
}

function twoDigits(at: i32): i32 {
  const high = bytes[at] - 48
  const low = bytes[at + 1] - 48
  return (high | (9 - high) | low | (9 - low)) < 0 ? -1 : high * 10 + low
}

/** The last `count` decimal digits, 1 to 10, of a value that is not negative. The WebAssembly form writes some bytes too many. */
export function storeDigits(at: i32, value: i32, count: i32): void {
  let rest = value
  for (let i = at + count - 1; i >= at; i--) {
    const tenth = (rest / 10) | 0
    bytes[i] = 48 + rest - tenth * 10
    rest = tenth
  }
}
