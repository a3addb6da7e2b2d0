// AssemblyScript in the place of memory.ts when the WebAssembly form is built (build-wasm.ts): the same names, one
// instruction each. Not TypeScript: `load<u8>` and its like exist for that compiler only.
export const SLACK_BYTES: i32 = 64

export function reserve(end: i32): void {
  const pages = (end + SLACK_BYTES + 65535) >>> 16
  const more = pages - memory.size()
  if (more > 0 && memory.grow(more) < 0) unreachable()
}

@inline export function load8(at: i32): i32 {
  return <i32>load<u8>(<usize>at)
}

@inline export function load32(at: i32): i32 {
  return load<i32>(<usize>at)
}

@inline export function store8(at: i32, value: i32): void {
  store<u8>(<usize>at, <u8>value)
}

@inline export function store32(at: i32, value: i32): void {
  store<i32>(<usize>at, value)
}

@inline export function mul(a: i32, b: i32): i32 {
  return a * b
}

@inline export function div(a: i32, b: i32): i32 {
  return a / b
}

@inline export function leadingZeros(value: i32): i32 {
  return clz(value)
}

@inline export function zero(at: i32, count: i32): void {
  memory.fill(<usize>at, 0, <usize>count)
}

export function equal(a: i32, b: i32, count: i32): i32 {
  let i: i32 = 0
  for (; count - i >= 8; i += 8) {
    if (load<i64>(<usize>(a + i)) != load<i64>(<usize>(b + i))) return 0
  }
  if (i >= count) return 1
  // The bytes behind the last ones are shifted out.
  const shift: i64 = (8 - <i64>(count - i)) << 3
  return ((load<i64>(<usize>(a + i)) ^ load<i64>(<usize>(b + i))) << shift) == 0 ? 1 : 0
}

@inline export function copy(to: i32, from: i32, count: i32): void {
  let i: i32 = 0
  do {
    store<i64>(<usize>(to + i), load<i64>(<usize>(from + i)))
    i += 8
  } while (i < count)
}

export function lineEnd(from: i32): i32 {
  let at = from
  let found = lineFeedsOf(load<i64>(<usize>at))
  while (found == 0) {
    at += 8
    found = lineFeedsOf(load<i64>(<usize>at))
  }
  return at + <i32>(ctz(found) >> 3)
}

/** Line feeds become 0; the first of them is where the lowest bit is left. */
@inline function lineFeedsOf(bytes: i64): i64 {
  const x: i64 = bytes ^ 0x0a0a0a0a0a0a0a0a
  return (x - 0x0101010101010101) & ~x & <i64>0x8080808080808080
}
