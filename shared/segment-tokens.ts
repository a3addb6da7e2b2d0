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
import type { Analysis } from './columns/codec.ts'
import { HEAP } from './columns/core/places.ts'
import { LENGTH_MASK, NUMBER, STAMP, VARIABLE_BYTES } from './columns/core/variables.ts'
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
  #table = new Int32Array(1024)
  size = 0

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

/** What the codec found: lines of one template are equal but for their variables (shared/columns/codec). */
type LineAnalysis = Pick<
  Analysis,
  'lines' | 'lineEnds' | 'templateOf' | 'templates' | 'words' | 'firstVariable' | 'variableCount'
>

const WORDS_PER_VARIABLE = VARIABLE_BYTES / 4
/** Texts remembered by where they stand: those of variables come again and again. */
const KNOWN_TEXTS = 1 << 12
const MONTHS = Buffer.from('jan feb mar apr may jun jul aug sep oct nov dec')
/** Shorter time stamps have no separator that may be a letter; of longer ones it is one of these bytes. */
const LONG_STAMP_BYTES = 19
const STAMP_SEPARATORS = [4, 7, 10, 13, 16]

function isSameText(bytes: Uint8Array, a: number, b: number, length: number): boolean {
  // The end too: what goes on there is another word.
  if (WORD[bytes[a + length]] !== 0 || (a > 0 && WORD[bytes[a - 1]] !== 0)) return false
  for (let i = 0; i < length; i++) if (bytes[a + i] !== bytes[b + i]) return false
  return true
}

/** The tokens of a block, as hashes. */
export class TokenSet {
  readonly #words = new HashSet()
  readonly #mixed = new HashSet()
  #hasMonths = false

  /**
   * Events whose bytes do not end a line (pieces of a long one, the last of a file) end their tokens too.
   * @param analysis  of the bytes, where there is one: then most of them need not be looked at
   */
  static of(events: Pick<Events, 'bytes' | 'ends'>, analysis?: LineAnalysis): TokenSet {
    const { bytes, ends } = events
    const tokens = new TokenSet()
    if (analysis) tokens.#addLines(bytes, analysis)
    let from = 0
    for (let i = 0; i < ends.length; i++) {
      const end = ends[i]
      if (end === 0 || bytes[end - 1] === 0x0a) continue
      if (analysis) tokens.#addBeside(bytes, end)
      else tokens.#add(bytes, from, end)
      from = end
    }
    if (!analysis) tokens.#add(bytes, from, bytes.length)
    return tokens
  }

  get size(): number {
    return this.#words.size + this.#mixed.size
  }

  /** Sorted. */
  get hashes(): number[] {
    return [...new Set([...this.#words.values(), ...this.#mixed.values()])].sort((a, b) => a - b)
  }

  /** Of each template one line; of all others what touches a variable, and that only once. */
  #addLines(bytes: Uint8Array, analysis: LineAnalysis): void {
    const { lines, lineEnds, templateOf, templates, words } = analysis
    const known = new Int32Array(KNOWN_TEXTS)
    const hashes = new Int32Array(KNOWN_TEXTS)
    for (let line = 0, start = 0; line < lines; line++) {
      const end = lineEnds[line]
      const template = templateOf[line]
      if (template === 0 || templates[template - 1].line === line) {
        this.#add(bytes, start, end)
        start = end
        continue
      }
      const first = analysis.firstVariable(line)
      const last = first + analysis.variableCount(line) * WORDS_PER_VARIABLE
      let done = start
      for (let at = first; at < last; at += WORDS_PER_VARIABLE) {
        let from = words[at] - HEAP
        const shape = words[at + 1]
        let to = from + (shape & LENGTH_MASK)
        if (to === from) continue
        if ((from === start || WORD[bytes[from - 1]] === 0) && (to === end || WORD[bytes[to]] === 0)) {
          if (shape & NUMBER || (shape & STAMP && this.#isPlainStamp(bytes, from, to))) continue
          // A text that came before: compared, because a hash proves nothing.
          const hash = words[at + 2]
          const place = hash & (KNOWN_TEXTS - 1)
          if (hashes[place] === hash && isSameText(bytes, known[place], from, to - from)) continue
          hashes[place] = hash
          known[place] = from
        } else {
          while (from > done && WORD[bytes[from - 1]] !== 0) from--
          while (to < end && WORD[bytes[to]] !== 0) to++
          if (to <= done) continue
        }
        this.#add(bytes, Math.max(from, done), to)
        done = to
      }
      start = end
    }
  }

  /** Nothing but digits, separators, a `T` between them, and names of months: those are tokens from the first on. */
  #isPlainStamp(bytes: Uint8Array, from: number, to: number): boolean {
    if (WORD[bytes[from]] >= LETTER || WORD[bytes[from + 3]] >= LETTER) {
      if (!this.#hasMonths) this.#add(MONTHS, 0, MONTHS.length)
      this.#hasMonths = true
      return true
    }
    if (to - from < LONG_STAMP_BYTES) return true
    for (const at of STAMP_SEPARATORS) {
      const byte = WORD[bytes[from + at]]
      if (byte >= LETTER && byte !== 0x74) return false
    }
    return true
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
        if (kinds === 2) this.#words.add(hash)
        else if (!isStampPiece(bytes, start, i)) this.#mixed.add(hash)
      }
      hash = 0
      kinds = 0
      start = i + 1
    }
  }

  /** @param bodyBytes  of the compressed block that it stands for. Undefined: no filter is small enough. */
  encode(bodyBytes: number): Buffer | undefined {
    const words = this.#words.values()
    // A token may hash like one of the other kind.
    const all = new HashSet()
    for (const hash of words) all.add(hash)
    for (const hash of this.#mixed.values()) all.add(hash)
    return encodeScope(SCOPE_ALL, all.values(), bodyBytes) ?? encodeScope(SCOPE_WORDS, words, bodyBytes)
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
