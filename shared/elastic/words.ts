// The words of a line, prepared for Elasticsearch: what the query language calls a word (shared/query/letters.ts), lower
// case, with one space between them, so that the `whitespace` analyzer gives exactly them. Elasticsearch's own
// analyzers cut elsewhere ("auth.failed" is one word to them), and could not find what the query language finds.
import { ASCII_FOLD, ASCII_JOINS, fold, joins } from '../query/letters.ts'
import type { ByteText } from './byte-text.ts'

/** Longer ones (base64, keys) are no words: the document is flagged, and is always a candidate. In UTF-16 units. */
export const WORD_LENGTH_MAX = 200

const SPACE = 0x20
const WORD_BYTES = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte < 128 && ASCII_JOINS[byte] === 1 ? ASCII_FOLD[byte] : SPACE,
)
/** A character that counts as a letter but joins on to nothing is a word by itself (Chinese, Thai). */
const LETTER = /[\p{L}\p{N}\p{M}_]/u

export interface Words {
  text: string
  /** Some are left out: longer than WORD_LENGTH_MAX. */
  isWide: boolean
}

/** Of text that is all ASCII. @returns whether some are left out: longer than WORD_LENGTH_MAX */
export function appendAsciiWords(into: ByteText, bytes: Buffer, from: number, to: number): boolean {
  const room = into.room(to - from + 1)
  const start = into.length
  let at = start
  let wordAt = at
  let isWide = false
  for (let i = from; i < to; i++) {
    const byte = WORD_BYTES[bytes[i]]
    room[at] = byte
    if (byte !== SPACE) at++
    else if (at > wordAt) {
      if (at - wordAt > WORD_LENGTH_MAX) {
        isWide = true
        at = wordAt
      } else wordAt = ++at
    }
  }
  if (at - wordAt > WORD_LENGTH_MAX) {
    isWide = true
    at = wordAt
  }
  // Without the space behind the last one.
  into.length = at === wordAt && at > start ? at - 1 : at
  return isWide
}

export function wordsOf(text: string): Words {
  let words = ''
  let isWide = false
  for (const { word } of runsOf(fold(text))) {
    if (word.length > WORD_LENGTH_MAX) isWide = true
    else words += words === '' ? word : ` ${word}`
  }
  return { text: words, isWide }
}

/** The words within folded text, each with where it begins. */
export function runsOf(folded: string): { word: string; at: number }[] {
  const runs: { word: string; at: number }[] = []
  let word = ''
  let start = 0
  const end = () => {
    if (word !== '') runs.push({ word, at: start })
    word = ''
  }
  let at = 0
  for (const character of folded) {
    if (joins(character)) {
      if (word === '') start = at
      word += character
    } else {
      end()
      if (LETTER.test(character)) runs.push({ word: character, at })
    }
    at += character.length
  }
  end()
  return runs
}
