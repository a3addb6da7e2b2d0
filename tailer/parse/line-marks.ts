// Marks by which the parser knows kinds of lines, and what stands around a time: pure looks at bytes.
import { levelOfLetter, levelOfSeverity, levelOfWord } from './level.ts'
import { isDigit, isLetter, skipSpace } from './words.ts'

/** A word of letters only, but for a stop behind it, that is no level: the line has begun to talk. */
export function isProse(b: Buffer, at: number, end: number): boolean {
  let i = at
  while (i < end && isLetter(b[i])) i++
  if (i === at) return false
  if (i < end - 1 || (i === end - 1 && b[i] !== 0x2c && b[i] !== 0x2e && b[i] !== 0x3a && b[i] !== 0x3b)) return false
  return levelOfWord(b, at, i) === 0
}

/** ` stdout F ` or ` stderr P `, as the runtimes of Kubernetes write it behind their time. */
export function isContainerLine(b: Buffer, after: number, end: number): boolean {
  if (
    end - after < 10 ||
    b[after] !== 0x20 ||
    b[after + 1] !== 0x73 ||
    b[after + 2] !== 0x74 ||
    b[after + 3] !== 0x64
  ) {
    return false
  }
  const isStream = (b[after + 4] === 0x6f && b[after + 6] === 0x74) || (b[after + 4] === 0x65 && b[after + 6] === 0x72)
  return isStream && b[after + 7] === 0x20 && (b[after + 8] === 0x46 || b[after + 8] === 0x50)
}

/** Words of letters that stand before a time all the same: `web  | 2024-…` (docker compose), `app: 2024/01/02 …` (Go), `https 2024-…T…` (AWS). */
export function isLabel(b: Buffer, at: number, wordEnd: number, end: number, isFirst: boolean): boolean {
  const next = skipSpace(b, wordEnd, end)
  if (b[next] === 0x7c) return true
  if (!isFirst || end - next < 19) return false
  if (b[wordEnd - 1] === 0x3a) return b[next + 4] === 0x2f && b[next + 7] === 0x2f && b[next + 10] === 0x20
  return b[at] === 0x68 && wordEnd - at >= 4 && wordEnd - at <= 5 && b[at + 1] === 0x74 && b[next + 10] === 0x54
}

/** `1234:M 02 Jan 2024 03:04:05.678 * Ready` */
export function redisLevel(b: Buffer, start: number, at: number, after: number, end: number): number {
  if (!isDigit(b[start]) || at - start < 4 || b[at - 3] !== 0x3a || after + 2 >= end || b[after + 2] !== 0x20) return 0
  switch (b[after + 1]) {
    case 0x23: // #
      return levelOfSeverity(4)
    case 0x2a: // *
      return levelOfSeverity(5)
    case 0x2d: // -
      return levelOfSeverity(6)
    case 0x2e: // .
      return levelOfSeverity(7)
    default:
      return 0
  }
}

/** ` I NETWORK  [conn1] …`: a letter, then a word in upper case. */
export function mongoLevel(b: Buffer, after: number, end: number): number {
  if (end - after < 6 || b[after] !== 0x20 || b[after + 2] !== 0x20) return 0
  for (let i = after + 3; i < after + 6; i++) if (b[i] < 0x41 || b[i] > 0x5a) return 0
  return levelOfLetter(b, after + 1, after + 2)
}
