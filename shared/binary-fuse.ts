// A set of 32-bit keys that answers "surely not" or "probably": a binary fuse filter (Graf and Lemire, 2022) with
// fingerprints of few bits. About 1.13 to 1.25 places per key, so 8 bits are 9 to 10 bits per key with 1 of 256 wrong; a
// Bloom filter of that size is wrong four times as often. Asked with three reads; held as it is stored. Little-endian.
//
//   0          4          8       9       12
//   ┌──────────┬──────────┬───────┬───────┬──────────────────────────────────────┐
//   │ keys u32 │ seed u32 │ width │ 0 u24 │ fingerprints, width bits each, 0 u16 │
//   └──────────┴──────────┴───────┴───────┴──────────────────────────────────────┘
//   keys    how many there are; the number of fingerprints follows from it
//   width   bits of a fingerprint, 1 to 8; the first one in the lowest bits of the first byte
const HEADER_BYTES = 12
export const FUSE_KEYS_MAX = 1024 * 1024
/** Each draws a new seed; one in some hundred is needed more than twice. */
const SEEDS_MAX = 64
/** Of a place while solving: 62 keys, where 3 are usual. */
const COUNT_MAX = 62 << 2

/** Segments of the table: a key's three places lie in three neighbouring ones. */
interface Shape {
  segment: number
  starts: number
  places: number
}

function shapeFor(keys: number): Shape {
  if (keys === 0) return { segment: 0, starts: 0, places: 0 }
  const segment = keys < 2 ? 4 : 2 ** Math.min(16, Math.floor(Math.log(keys) / Math.log(3.33) + 2.25))
  const factor = keys < 2 ? 4 : Math.max(1.125, 0.875 + (0.25 * Math.log(1e6)) / Math.log(keys))
  const segments = Math.max(1, Math.ceil((keys * factor) / segment) - 2)
  return { segment, starts: segments * segment, places: (segments + 2) * segment }
}

/** Of a filter over so many keys. */
export function fuseBytes(keys: number, width: number): number {
  return HEADER_BYTES + Math.ceil((shapeFor(keys).places * width) / 8) + 2
}

/**
 * @param keys   distinct
 * @returns undefined only if no seed fits, which takes an adversary
 */
export function encodeFuse(keys: Uint32Array | Int32Array, width: number): Buffer | undefined {
  if (keys.length > FUSE_KEYS_MAX) throw new RangeError(`${keys.length} keys are over ${FUSE_KEYS_MAX}`)
  const shape = shapeFor(keys.length)
  for (let seed = 0; seed < SEEDS_MAX; seed++) {
    const fingerprints = solve(keys, seed, shape, (1 << width) - 1)
    if (!fingerprints) continue
    const bytes = Buffer.alloc(fuseBytes(keys.length, width))
    bytes.writeUInt32LE(keys.length, 0)
    bytes.writeUInt32LE(seed, 4)
    bytes.writeUInt8(width, 8)
    for (let i = 0, bit = 0; i < fingerprints.length; i++, bit += width) {
      const at = HEADER_BYTES + (bit >>> 3)
      const bits = fingerprints[i] << (bit & 7)
      bytes[at] |= bits
      bytes[at + 1] |= bits >>> 8
    }
    return bytes
  }
  return undefined
}

/** Places of a key, written here for each key: allocating three numbers each time would take longer than finding them. */
const place = new Int32Array(3)
let fingerprint = 0

function locate(key: number, seed: number, { segment, starts }: Shape): void {
  let a = Math.imul(key ^ Math.imul(seed + 1, 0x9e3779b1), 0x85ebca6b)
  a = Math.imul(a ^ (a >>> 13), 0xc2b2ae35)
  a ^= a >>> 16
  let b = Math.imul(a + 0x27d4eb2f, 0x165667b1)
  b = Math.imul(b ^ (b >>> 15), 0x2c1b3c6d)
  b ^= b >>> 12
  const mask = segment - 1
  const first = Math.floor(((a >>> 0) * starts) / 2 ** 32)
  place[0] = first
  place[1] = (first + segment) ^ ((b >>> 16) & mask)
  place[2] = (first + 2 * segment) ^ (b & mask)
  let c = Math.imul(b ^ key, 0x297a2d39)
  c ^= c >>> 15
  fingerprint = (c ^ (c >>> 8)) & 0xff
}

/**
 * Peels keys off that are alone in a place; then fills the places in the opposite order. A place knows how many keys it
 * has, which of their three places it is, and the keys, each folded into one word: who is alone can be read from that,
 * and three reads per key are spared.
 */
function solve(keys: Uint32Array | Int32Array, seed: number, shape: Shape, mask: number): Uint8Array | undefined {
  // Of each place keys << 2 ^ the numbers of the place in them: it overflows only where nothing could be solved anyway.
  const counts = new Uint8Array(shape.places)
  const folded = new Int32Array(shape.places)
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]
    locate(key, seed, shape)
    for (let k = 0; k < 3; k++) {
      const at = place[k]
      if (counts[at] >= COUNT_MAX) return undefined
      counts[at] = (counts[at] + 4) ^ k
      folded[at] ^= key
    }
  }
  // A place waits once at most: its count comes down to 1 once.
  const waiting = new Uint32Array(shape.places)
  let waits = 0
  for (let at = 0; at < shape.places; at++) if (counts[at] >> 2 === 1) waiting[waits++] = at
  const peeledKeys = new Int32Array(keys.length)
  const peeledAs = new Uint8Array(keys.length)
  let peeled = 0
  while (waits > 0) {
    const at = waiting[--waits]
    if (counts[at] >> 2 !== 1) continue
    const key = folded[at]
    const own = counts[at] & 3
    peeledKeys[peeled] = key
    peeledAs[peeled++] = own
    locate(key, seed, shape)
    for (let k = 0; k < 3; k++) {
      const other = place[k]
      folded[other] ^= key
      const left = (counts[other] - 4) ^ k
      counts[other] = left
      if (left >> 2 === 1) waiting[waits++] = other
    }
  }
  if (peeled < keys.length) return undefined
  // Places that no key needs hold what chance may give: with zeros there, one unlucky key would be in all small filters.
  const fingerprints = new Uint8Array(shape.places)
  for (let at = 0; at < shape.places; at++) fingerprints[at] = mixed(at ^ (keys[0] ?? 0)) & mask
  while (peeled-- > 0) {
    locate(peeledKeys[peeled], seed, shape)
    const own = place[peeledAs[peeled]]
    const all = fingerprints[place[0]] ^ fingerprints[place[1]] ^ fingerprints[place[2]]
    fingerprints[own] = (fingerprint ^ all ^ fingerprints[own]) & mask
  }
  return fingerprints
}

function mixed(value: number): number {
  const spread = Math.imul(value ^ (value >>> 16), 0x45d9f3b)
  return spread ^ (spread >>> 15)
}

export class FuseFilter {
  readonly #bytes: Uint8Array
  readonly #shape: Shape
  readonly #seed: number
  readonly #width: number
  readonly keys: number

  private constructor(bytes: Buffer, keys: number) {
    this.#bytes = bytes
    this.#shape = shapeFor(keys)
    this.#seed = bytes.readUInt32LE(4)
    this.#width = bytes.readUInt8(8)
    this.keys = keys
  }

  /** Undefined if the bytes are no filter. */
  static decode(bytes: Buffer): FuseFilter | undefined {
    if (bytes.length < HEADER_BYTES) return undefined
    const keys = bytes.readUInt32LE(0)
    const width = bytes.readUInt8(8)
    if (keys > FUSE_KEYS_MAX || width < 1 || width > 8 || bytes.length !== fuseBytes(keys, width)) return undefined
    return new FuseFilter(bytes, keys)
  }

  /** False: surely not. True: probably. */
  couldHold(key: number): boolean {
    if (this.keys === 0) return false
    locate(key, this.#seed, this.#shape)
    const value = this.#at(place[0]) ^ this.#at(place[1]) ^ this.#at(place[2])
    return ((value ^ fingerprint) & ((1 << this.#width) - 1)) === 0
  }

  #at(place: number): number {
    const bit = place * this.#width
    const at = HEADER_BYTES + (bit >>> 3)
    return (this.#bytes[at] | (this.#bytes[at + 1] << 8)) >>> (bit & 7)
  }
}
