// Which words occur in a block, as a filter that is asked before the block is read.
//
//   0       1        4
//   ┌───────┬────────┬──────────────────────────────┐
//   │ scope │ 0  u24 │ fuse filter of token hashes  │   drawn in shared/binary-fuse
//   └───────┴────────┴──────────────────────────────┘
//   scope    what the filter knows: 1 tokens without a digit, 2 also those with letters and digits
//
// A token is the longest run of ASCII letters, digits and `_` within one event, letters in lower case. Every byte that is
// none of these ends it, also those of other scripts: text of a query is folded so that ASCII meets ASCII only
// (shared/query/letters), so a run between two other characters is such a run in the line too.
// - Not in the filter: tokens of digits only (columns of integers tell them better), and pieces of time stamps (`05T04`,
//   `123Z`: there can be one per line). Of them the answer is always "could be".
// - At the ends of a query's text a run counts only if a word has to begin or end there.
import { encodeFuse, FUSE_KEYS_MAX, FuseFilter, fuseBytes } from './binary-fuse.ts'
import type { Tokens } from './columns/codec.ts'
import type { Events } from './events.ts'

const HEADER_BYTES = 4
const SCOPE_WORDS = 1
const SCOPE_ALL = 2
/** Of the compressed block: above the first, fingerprints get narrower; above the second, tokens are left out. */
const SHARE_WANTED = 0.03
const SHARE_MAX = 0.08
/** 1 of 256 and 1 of 32 blocks is read in vain. */
const WIDTH_MAX = 8
const WIDTH_MIN = 5

/** Word bytes in lower case, 0 for all others. Digits are below 0x40, letters and `_` above. */
const WORD = Uint8Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte)
  return /[0-9a-z_]/.test(character) ? byte : /[A-Z]/.test(character) ? byte + 32 : 0
})
const LETTER = 0x40
const STAMP_PIECE = /^\d+(?:z|t\d*)$|^t\d+$/

/** Open addressing; 0 is an empty place, so the hash 0 is stored as 1: two tokens more that look alike. */
class HashSet {
  #table: Int32Array
  size = 0

  /** @param table  of another such set; it is copied */
  constructor(table?: Int32Array) {
    this.#table = table ? new Int32Array(table) : new Int32Array(1024)
    if (table) for (const key of table) if (key !== 0) this.size++
  }

  add(hash: number): void {
    const key = hash === 0 ? 1 : hash
    const mask = this.#table.length - 1
    let at = key & mask
    for (;;) {
      const found = this.#table[at]
      if (found === key) return
      if (found === 0) break
      at = (at + 1) & mask
    }
    this.#table[at] = key
    if (++this.size * 2 > this.#table.length) this.#grow()
  }

  with(other: HashSet): HashSet {
    const all = new HashSet(this.#table)
    for (const key of other.#table) if (key !== 0) all.add(key)
    return all
  }

  values(): Int32Array {
    const keys = new Int32Array(this.size)
    let count = 0
    for (const key of this.#table) if (key !== 0) keys[count++] = key
    return keys
  }

  #grow(): void {
    const keys = this.values()
    this.#table = new Int32Array(this.#table.length * 2)
    this.size = 0
    for (const key of keys) this.add(key)
  }
}

/** The tokens of a block, as hashes. */
export class TokenSet {
  /** Undefined: too many. */
  readonly #words: HashSet | undefined
  readonly #mixed: HashSet | undefined

  private constructor(tokens?: Tokens) {
    if (!tokens || tokens.plain) this.#words = new HashSet(tokens?.plain)
    if (!tokens || tokens.mixed) this.#mixed = new HashSet(tokens?.mixed)
  }

  /**
   * Events whose bytes do not end a line (pieces of a long one, the last of a file) end their tokens too.
   * @param tokens  of the bytes, where the codec told them (core/words.ts); else all bytes are looked at
   */
  static of(events: Pick<Events, 'bytes' | 'ends'>, tokens?: Tokens): TokenSet {
    const { bytes, ends } = events
    const set = new TokenSet(tokens)
    let from = 0
    for (let i = 0; i < ends.length; i++) {
      const end = ends[i]
      if (end === 0 || bytes[end - 1] === 0x0a) continue
      if (tokens) set.#addBeside(bytes, end)
      else set.#add(bytes, from, end)
      from = end
    }
    if (!tokens) set.#add(bytes, from, bytes.length)
    return set
  }

  get size(): number {
    return (this.#words?.size ?? 0) + (this.#mixed?.size ?? 0)
  }

  /** Sorted. */
  get hashes(): number[] {
    return [...new Set([...(this.#words?.values() ?? []), ...(this.#mixed?.values() ?? [])])].sort((a, b) => a - b)
  }

  /** The token around `at`, as the two that it is cut into. */
  #addBeside(bytes: Uint8Array, at: number): void {
    let from = at
    let to = at
    while (from > 0 && WORD[bytes[from - 1]] !== 0) from--
    while (to < bytes.length && WORD[bytes[to]] !== 0) to++
    this.#add(bytes, from, at)
    this.#add(bytes, at, to)
  }

  #add(bytes: Uint8Array, from: number, to: number): void {
    let hash = 0
    let kinds = 0
    let start = from
    for (let i = from; i <= to; i++) {
      const byte = i < to ? WORD[bytes[i]] : 0
      if (byte !== 0) {
        hash = Math.imul(hash ^ byte, 0x9e3779b1)
        hash ^= hash >>> 15
        kinds |= byte < LETTER ? 1 : 2
        continue
      }
      if (kinds >= 2) {
        if (kinds === 2) this.#words?.add(hash)
        else if (!isStampPiece(bytes, start, i)) this.#mixed?.add(hash)
      }
      hash = 0
      kinds = 0
      start = i + 1
    }
  }

  /** @param bodyBytes  of the compressed block that it stands for. Undefined: no filter is small enough. */
  encode(bodyBytes: number): Buffer | undefined {
    if (!this.#words) return undefined
    // A token may hash like one of the other kind.
    const all = this.#mixed && encodeScope(SCOPE_ALL, this.#words.with(this.#mixed).values(), bodyBytes)
    return all ?? encodeScope(SCOPE_WORDS, this.#words.values(), bodyBytes)
  }
}

function encodeScope(scope: number, keys: Int32Array, bodyBytes: number): Buffer | undefined {
  if (keys.length > FUSE_KEYS_MAX) return undefined
  let width = WIDTH_MAX
  while (width > WIDTH_MIN && fuseBytes(keys.length, width) > bodyBytes * SHARE_WANTED) width--
  if (HEADER_BYTES + fuseBytes(keys.length, width) > bodyBytes * SHARE_MAX) return undefined
  const fuse = encodeFuse(keys, width)
  return fuse && Buffer.concat([Buffer.from([scope, 0, 0, 0]), fuse])
}

/** Digits, with a `T` or `Z` as ISO 8601 has them. */
function isStampPiece(bytes: Uint8Array, from: number, to: number): boolean {
  let letters = 0
  for (let i = from; i < to; i++) {
    const byte = WORD[bytes[i]]
    if (byte < LETTER) continue
    if (byte !== 0x74 && (byte !== 0x7a || i !== to - 1)) return false
    if (byte === 0x7a && i === from) return false
    letters++
  }
  return letters === 1
}

/** A token that a block must hold, ready to be asked for. */
export interface SoughtToken {
  hash: number
  hasDigit: boolean
}

/**
 * Tokens of every event in which `text` occurs, as `createNeedle(text, startsWord, endsWord)` finds it. Fewer than there
 * are: those that no filter knows are left out.
 */
export function tokensSought(text: string, startsWord: boolean, endsWord: boolean): SoughtToken[] {
  const sought: SoughtToken[] = []
  for (const { 0: run, index } of text.matchAll(/[0-9A-Za-z_]+/g)) {
    if (index === 0 && !startsWord) continue
    if (index + run.length === text.length && !endsWord) continue
    const token = run.toLowerCase()
    if (/^\d+$/.test(token) || STAMP_PIECE.test(token)) continue
    let hash = 0
    for (let i = 0; i < token.length; i++) {
      hash = Math.imul(hash ^ token.charCodeAt(i), 0x9e3779b1)
      hash ^= hash >>> 15
    }
    sought.push({ hash: hash === 0 ? 1 : hash, hasDigit: /\d/.test(token) })
  }
  return sought
}

/** Of one block. Holds the bytes it was made from and nothing else. */
export class TokenFilter {
  readonly #scope: number
  readonly #fuse: FuseFilter

  private constructor(scope: number, fuse: FuseFilter) {
    this.#scope = scope
    this.#fuse = fuse
  }

  /** Undefined: not a filter that this program knows; then nothing can be said of the block. */
  static decode(bytes: Buffer): TokenFilter | undefined {
    if (bytes.length < HEADER_BYTES) return undefined
    const scope = bytes.readUInt8(0)
    const fuse = FuseFilter.decode(bytes.subarray(HEADER_BYTES))
    return fuse && (scope === SCOPE_WORDS || scope === SCOPE_ALL) ? new TokenFilter(scope, fuse) : undefined
  }

  /** False: no event of the block has this token. */
  couldHold({ hash, hasDigit }: SoughtToken): boolean {
    return (hasDigit && this.#scope === SCOPE_WORDS) || this.#fuse.couldHold(hash)
  }
}
