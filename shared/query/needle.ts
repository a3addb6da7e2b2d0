// Literal text in the bytes of a line: letters of either case alike, word boundaries where asked for.
// Pure ASCII, the usual case, is sought in the bytes as they are (Horspool: looks at about every m-th byte).
import { ASCII_FOLD, ASCII_JOINS, fold, isAscii, joins } from './letters.ts'

export interface Needle {
  /** Whether it occurs in bytes [0, end). */
  occursIn(bytes: Buffer, end: number): boolean
  /** No occurrence begins before the answer and at or after `from`; -1: none begins at all. Boundaries are not looked at. */
  nextCandidate(bytes: Buffer, from: number): number
  /** The longer, the rarer: which of several to scan a block for. 0: `nextCandidate` knows nothing. */
  scanBytes: number
  /** What can be sought in columns (shared/search); undefined where nothing is sure to be in the bytes. */
  sought?: Sought
}

/** Bytes, lower case; a line without them, in either case, does not match. */
export interface Sought {
  bytes: Buffer
  /** They are the whole needle: where they are, and borders are fine, the line matches. */
  isWhole: boolean
  /** No character that joins on may stand in front, or behind. Only if whole. */
  checksStart: boolean
  checksEnd: boolean
}

/** @param text  at least one character */
export function createNeedle(text: string, startsWord: boolean, endsWord: boolean): Needle {
  // A lone surrogate cannot be in UTF-8: it stands for U+FFFD, as everywhere in JavaScript.
  const folded = fold(text.toWellFormed())
  return isAscii(folded) ? asciiNeedle(folded, startsWord, endsWord) : wideNeedle(folded, startsWord, endsWord)
}

function asciiNeedle(folded: string, startsWord: boolean, endsWord: boolean): Needle {
  const needle = Buffer.from(folded, 'latin1')
  const length = needle.length
  const last = length - 1
  const checksStart = startsWord && ASCII_JOINS[needle[0]] === 1
  const checksEnd = endsWord && ASCII_JOINS[needle[last]] === 1

  // How far to move when this byte is under the needle's last; 0 where it fits.
  const moves = new Uint32Array(256).fill(length)
  for (let i = 0; i < last; i++) moves[needle[i]] = last - i
  const moveAfterHit = moves[needle[last]]
  moves[needle[last]] = 0
  for (let byte = 0x41; byte <= 0x5a; byte++) moves[byte] = moves[byte + 32]

  function find(bytes: Buffer, from: number, end: number): number {
    let at = from + last
    while (at < end) {
      const move = moves[bytes[at]]
      if (move !== 0) {
        at += move
        continue
      }
      let i = last - 1
      const start = at - last
      while (i >= 0 && ASCII_FOLD[bytes[start + i]] === needle[i]) i--
      if (i < 0) return start
      at += moveAfterHit
    }
    return -1
  }

  function occursIn(bytes: Buffer, end: number): boolean {
    let at = find(bytes, 0, end)
    while (at >= 0) {
      const startIsFine = !checksStart || at === 0 || !joinsBefore(bytes, at)
      if (startIsFine && (!checksEnd || at + length >= end || !joinsAfter(bytes, at + length, end))) return true
      at = find(bytes, at + 1, end)
    }
    return false
  }

  return {
    occursIn,
    nextCandidate: (bytes, from) => find(bytes, from, bytes.length),
    scanBytes: length,
    sought: { bytes: needle, isWhole: true, checksStart, checksEnd },
  }
}

/** Whether the character that ends before `at` joins on. Bytes that are not UTF-8 do not. */
function joinsBefore(bytes: Buffer, at: number): boolean {
  const byte = bytes[at - 1]
  if (byte < 0x80) return ASCII_JOINS[byte] === 1
  let start = at - 1
  while (start > 0 && at - start < 4 && (bytes[start] & 0xc0) === 0x80) start--
  return joins([...bytes.toString('utf8', start, at)].pop() ?? '')
}

function joinsAfter(bytes: Buffer, at: number, end: number): boolean {
  const byte = bytes[at]
  if (byte < 0x80) return ASCII_JOINS[byte] === 1
  return joins([...bytes.toString('utf8', at, Math.min(at + 4, end))][0] ?? '')
}

/** Text beyond ASCII: the line is decoded, but only if the needle's part that looks the same in either case is there. */
function wideNeedle(folded: string, startsWord: boolean, endsWord: boolean): Needle {
  const scan = scanFor(folded)
  const characters = [...folded]
  const checksStart = startsWord && joins(characters[0])
  const checksEnd = endsWord && joins(characters[characters.length - 1])

  function occursIn(bytes: Buffer, end: number): boolean {
    if (scan.bytes > 0) {
      const at = scan.next(bytes, 0)
      if (at < 0 || at >= end) return false
    }
    const line = fold(bytes.toString('utf8', 0, end))
    for (let at = line.indexOf(folded); at >= 0; at = line.indexOf(folded, at + 1)) {
      const after = at + folded.length
      if (checksStart && at > 0 && joins([...line.slice(Math.max(0, at - 2), at)].pop() ?? '')) continue
      if (checksEnd && after < line.length && joins(String.fromCodePoint(line.codePointAt(after) ?? 0))) continue
      return true
    }
    return false
  }

  const sought = { bytes: scan.sought, isWhole: false, checksStart: false, checksEnd: false }
  return { occursIn, nextCandidate: scan.next, scanBytes: scan.bytes, ...(scan.bytes > 0 && { sought }) }
}

interface Scan {
  next(bytes: Buffer, from: number): number
  bytes: number
  sought: Buffer
}

/** The longest run of characters that are all ASCII, or all of one form: that is sought in the bytes before decoding. */
function scanFor(folded: string): Scan {
  let best: Scan = { next: (_, from) => from, bytes: 0, sought: Buffer.alloc(0) }
  let run = ''
  let runIs = ''
  for (const character of [...folded, '']) {
    const is = isAscii(character) ? 'ascii' : hasOneForm(character) ? 'one form' : 'several forms'
    if (is !== runIs || character === '') {
      const bytes = Buffer.from(run)
      if (runIs !== 'several forms' && bytes.length > best.bytes) {
        const next = runIs === 'ascii' ? asciiNeedle(run, false, false).nextCandidate : occurrence(bytes)
        best = { next, bytes: bytes.length, sought: bytes }
      }
      run = ''
      runIs = is
    }
    run += character
  }
  return best
}

function occurrence(sought: Buffer): Scan['next'] {
  return (bytes, from) => bytes.indexOf(sought, from)
}

/** No other character folds to it. U+FFFD is what any broken byte decodes to, so its own three bytes prove nothing. */
function hasOneForm(character: string): boolean {
  return character !== '\ufffd' && character.toUpperCase() === character && character.toLowerCase() === character
}
