// AssemblyScript in the place of memory.ts when the WebAssembly form is built (build-wasm.ts): the same names, a
// few instructions each. Not TypeScript: `load<u8>` and its like exist for that compiler only.
export const SLACK_BYTES: i32 = 64

export function reserve(end: i32): void {
  const pages = (end + SLACK_BYTES + 65535) >>> 16
  const more = pages - memory.size()
  if (more > 0 && memory.grow(more) < 0) unreachable()
}

@inline export function load8(at: i32): i32 {
  return <i32>load<u8>(<usize>at)
}

@inline export function load16(at: i32): i32 {
  return <i32>load<u16>(<usize>at)
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

@inline export function equal(a: i32, b: i32, count: i32): i32 {
  if (count <= 16) return (equalsAt(a, b) | (-1 << count)) == -1 ? 1 : 0
  return sameBytes(a, b, count) == count ? 1 : 0
}

export function sameBytes(a: i32, b: i32, count: i32): i32 {
  let i: i32 = 0
  do {
    const equals = equalsAt(a + i, b + i)
    i += <i32>ctz(~equals)
    // All sixteen, of which some may lie behind.
    if (equals != 0xffff) return i < count ? i : count
  } while (i < count)
  return count
}

@inline export function copy(to: i32, from: i32, count: i32): void {
  v128.store(<usize>to, v128.load(<usize>from))
  for (let i: i32 = 16; i < count; i += 16) v128.store(<usize>(to + i), v128.load(<usize>(from + i)))
}

@inline function equalsAt(a: i32, b: i32): i32 {
  return i8x16.bitmask(i8x16.eq(v128.load(<usize>a), v128.load(<usize>b)))
}

export function storePlane(to: i32, from: i32, count: i32, shift: i32): void {
  const low = i32x4.splat(255)
  for (let k: i32 = 0; k < count; k += 16) {
    const at = <usize>(from + (k << 2))
    const a = i16x8.narrow_i32x4_u(
      v128.and(i32x4.shr_u(v128.load(at), shift), low),
      v128.and(i32x4.shr_u(v128.load(at, 16), shift), low),
    )
    const b = i16x8.narrow_i32x4_u(
      v128.and(i32x4.shr_u(v128.load(at, 32), shift), low),
      v128.and(i32x4.shr_u(v128.load(at, 48), shift), low),
    )
    v128.store(<usize>(to + k), i8x16.narrow_i16x8_u(a, b))
  }
}

export function lineEnd(from: i32): i32 {
  let at = from
  let found = lineFeedsAt(at)
  while (found == 0) {
    at += 16
    found = lineFeedsAt(at)
  }
  return at + ctz(found)
}

@inline function lineFeedsAt(at: i32): i32 {
  return i8x16.bitmask(i8x16.eq(v128.load(<usize>at), i8x16.splat(10)))
}

export function clockAt(at: i32, separator: i32): i32 {
  // Digits become 0 to 9, separators 0; what is more leaves bits, when six is added, too.
  const digits = load<i64>(<usize>at) ^ (0x3030003030003030 | (<i64>separator << 16) | (<i64>separator << 40))
  const others = (digits & <i64>0xf0f0fff0f0fff0f0) | ((digits + 0x0606000606000606) & <i64>0xf0f000f0f000f0f0)
  if (others != 0) return -1
  const pairs = digits * 10 + (digits >>> 8)
  const hours = <i32>pairs & 255
  const minutes = <i32>(pairs >>> 24) & 255
  const seconds = <i32>(pairs >>> 48) & 255
  return hours > 23 || minutes > 59 || seconds > 59 ? -1 : hours * 3600 + minutes * 60 + seconds
}

export function storeDigits(at: i32, value: i32, count: i32): void {
  let to = at
  let rest = value
  let left = count
  if (left > 8) {
    const high = rest / 100000000
    rest -= high * 100000000
    left -= 8
    // One or two.
    if (left == 2) {
      store<u8>(<usize>to, <u8>(48 + high / 10))
      to++
    }
    store<u8>(<usize>to, <u8>(48 + high % 10))
    to++
    left = 8
  } else if (rest >= 100000000) rest %= 100000000
  // Four digits in each half, two in each quarter, one in each byte; the first in the lowest.
  const fours = rest / 10000
  let x: i64 = <i64>fours | (<i64>(rest - fours * 10000) << 32)
  const hundreds: i64 = ((x * 10486) >>> 20) & 0x0000007f0000007f
  x = hundreds | ((x - hundreds * 100) << 16)
  const tens: i64 = ((x * 103) >>> 10) & 0x000f000f000f000f
  x = tens | ((x - tens * 10) << 8) | 0x3030303030303030
  store<i64>(<usize>to, x >>> ((8 - <i64>left) << 3))
}
