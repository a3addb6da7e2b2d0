// The one module that differs between the two forms of the codec. Here: plain JavaScript on typed arrays. For WebAssembly
// the build puts memory.as in its place, where the same names are single instructions. All other modules of this folder
// know numbers of 32 bits and addresses only.
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

/** Not for overlapping places. The WebAssembly form writes up to 8 bytes too many. */
export function copy(to: i32, from: i32, count: i32): void {
  if (count < 64) for (let i = 0; i < count; i++) bytes[to + i] = bytes[from + i]
  else bytes.copyWithin(to, from, from + count)
}

/** Where the next line feed stands, from `from` on: the caller has put one behind whatever may lack it. */
export function lineEnd(from: i32): i32 {
  let at = from
  while (bytes[at] !== 10) at++
  return at
}
