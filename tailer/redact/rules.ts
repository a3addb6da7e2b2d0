// What is to be hidden, each rule by a name. A rule calls `hide(from, to)` for what it finds in [at, end): lines, the last one
// with or without its end. What it finds never reaches over the end of a line.
import { RE2JS } from 're2js'
import { isDigit, isLetter, isWordByte } from '../parse/words.ts'

export interface RedactRule {
  name: string
  /** @returns how many it found */
  find(bytes: Buffer, at: number, end: number, hide: Hide): number
}

export type Hide = (from: number, to: number) => void

const NEWLINE = 0x0a

export const NAMED_RULES = ['cards', 'emails', 'bearer'] as const
export type NamedRule = (typeof NAMED_RULES)[number]

export function namedRule(name: NamedRule): RedactRule {
  switch (name) {
    case 'cards':
      return cards
    case 'emails':
      return emails
    case 'bearer':
      return bearer
  }
}

/**
 * An own pattern (RE2: its time is linear in the line). With groups the groups are hidden, else all of the match.
 * @throws PatternError of shared/query/pattern.ts is what the settings throw before; here it is known to compile
 */
export function patternRule(name: string, source: string): RedactRule {
  const pattern = RE2JS.compile(source)
  return {
    name,
    find(bytes, at, end, hide) {
      let found = 0
      for (let start = at; start < end; ) {
        const newline = bytes.indexOf(NEWLINE, start)
        const next = newline < 0 || newline >= end ? end : newline + 1
        found += findInLine(pattern, bytes, start, textEnd(bytes, start, next), hide)
        start = next
      }
      return found
    },
  }
}

function findInLine(pattern: RE2JS, bytes: Buffer, at: number, end: number, hide: Hide): number {
  const line = bytes.subarray(at, end)
  // Asked of the text first: that takes a third of the time.
  if (!pattern.test(line.toString('utf8'))) return 0
  let found = 0
  const matcher = pattern.matcher(line)
  const groups = matcher.groupCount()
  while (matcher.find()) {
    found++
    if (groups === 0) hide(at + matcher.start(), at + matcher.end())
    for (let group = 1; group <= groups; group++) {
      if (matcher.start(group) >= 0) hide(at + matcher.start(group), at + matcher.end(group))
    }
  }
  return found
}

/** Before the line end of a line [at, end). */
function textEnd(bytes: Buffer, at: number, end: number): number {
  let last = end
  if (last > at && bytes[last - 1] === NEWLINE) last--
  if (last > at && bytes[last - 1] === 0x0d) last--
  return last
}

const CARD_DIGITS_MIN = 13
const CARD_DIGITS_MAX = 19

/**
 * 13 to 19 digits, with single spaces or hyphens between them or not, that begin as issuers begin theirs (2 to 6), have
 * Luhn's check digit, and are no part of a longer word or number. The digits are hidden, the marks between them stay.
 */
const cards: RedactRule = {
  name: 'cards',
  find(b, at, end, hide) {
    let found = 0
    for (let i = at; i < end; i++) {
      if (!isDigit(b[i])) continue
      const before = i > at ? b[i - 1] : 0x20
      const isApart = !isWordByte(before) && before !== 0x5f && !(before === 0x2e && i - 1 > at && isDigit(b[i - 2]))
      let next = i
      let digits = 0
      // The longest that fits is taken; a number of more digits is no card.
      let last = i
      while (next < end && digits <= CARD_DIGITS_MAX) {
        if (isDigit(b[next])) {
          digits++
          last = ++next
        } else if ((b[next] === 0x20 || b[next] === 0x2d) && next + 1 < end && isDigit(b[next + 1])) next++
        else break
      }
      const after = last < end ? b[last] : 0x20
      const isWhole =
        !isWordByte(after) && after !== 0x5f && !(after === 0x2e && last + 1 < end && isDigit(b[last + 1]))
      const isIssued = b[i] >= 0x32 && b[i] <= 0x36
      if (isApart && isIssued && isWhole) {
        const cardEnd = cardIn(b, i, last)
        if (cardEnd > 0) {
          found++
          for (let d = i; d < cardEnd; d++) if (isDigit(b[d])) hide(d, d + 1)
          i = cardEnd - 1
          continue
        }
      }
      // On behind this run of digits; a card may begin behind the next mark ("12 4111 1111 1111 1111").
      while (i + 1 < end && isDigit(b[i + 1])) i++
    }
    return found
  },
}

/** Where a card that begins at `at` ends: at the end of a group of digits, the furthest that has Luhn's sum; 0 if none. */
function cardIn(b: Buffer, at: number, end: number): number {
  let found = 0
  let digits = 0
  for (let next = at; next < end; next++) {
    if (!isDigit(b[next])) continue
    digits++
    if (digits > CARD_DIGITS_MAX) break
    const endsGroup = next + 1 >= end || !isDigit(b[next + 1])
    if (endsGroup && digits >= CARD_DIGITS_MIN && hasLuhn(b, at, next + 1)) found = next + 1
  }
  return found
}

function hasLuhn(b: Buffer, at: number, end: number): boolean {
  let sum = 0
  let isSecond = false
  for (let i = end - 1; i >= at; i--) {
    if (!isDigit(b[i])) continue
    let digit = b[i] - 0x30
    if (isSecond) {
      digit *= 2
      if (digit > 9) digit -= 9
    }
    sum += digit
    isSecond = !isSecond
  }
  return sum % 10 === 0
}

const AT = 0x40

/** name@host.tld. The name and the host are hidden, the @ stays. */
const emails: RedactRule = {
  name: 'emails',
  find(b, at, end, hide) {
    let found = 0
    for (let mark = indexIn(b, AT, at, end); mark >= 0; mark = indexIn(b, AT, mark + 1, end)) {
      let from = mark
      while (from > at && isLocalByte(b[from - 1])) from--
      let to = mark + 1
      let lastDot = -1
      while (to < end && (isWordByte(b[to]) || b[to] === 0x2d || b[to] === 0x2e || b[to] >= 0x80)) {
        if (b[to] === 0x2e) lastDot = to
        to++
      }
      // A stop that ends the sentence.
      if (lastDot === to - 1) {
        to--
        lastDot = b.lastIndexOf(0x2e, to - 1)
      }
      const isHost = lastDot > mark + 1 && to - lastDot > 2 && (isLetter(b[lastDot + 1]) || b[lastDot + 1] >= 0x80)
      if (from === mark || !isHost) continue
      found++
      hide(from, mark)
      hide(mark + 1, to)
    }
    return found
  },
}

function isLocalByte(c: number): boolean {
  return isWordByte(c) || c === 0x2e || c === 0x5f || c === 0x25 || c === 0x2b || c === 0x2d || c >= 0x80
}

const EARER = Buffer.from('earer')
const JWT = Buffer.from('eyJ')

/** `Bearer <token>` in any case, and tokens that are known by themselves: JSON Web Tokens, eyJ….eyJ….… */
const bearer: RedactRule = {
  name: 'bearer',
  find(b, at, end, hide) {
    let found = 0
    for (let i = at; i < end; i++) {
      const c = b[i]
      if ((c | 0x20) === 0x62 && end - i > EARER.length + 2 && isEarer(b, i + 1)) {
        let from = i + 1 + EARER.length
        const word = from
        while (from < end && (b[from] === 0x20 || b[from] === 0x3a || b[from] === 0x3d)) from++
        if (from === word) continue
        const to = tokenEnd(b, from, end)
        // Shorter is a word of a sentence: "the bearer of this".
        if (to - from >= 8) {
          found++
          hide(from, to)
        }
        i = Math.max(i, to - 1)
      } else if (c === 0x65 && b[i + 1] === JWT[1] && b[i + 2] === JWT[2] && (i === at || !isTokenByte(b[i - 1]))) {
        const to = tokenEnd(b, i, end)
        let dots = 0
        for (let d = i; d < to; d++) if (b[d] === 0x2e) dots++
        if (dots >= 2) {
          found++
          hide(i, to)
        }
        i = to - 1
      }
    }
    return found
  },
}

function isEarer(b: Buffer, at: number): boolean {
  for (let i = 0; i < EARER.length; i++) if ((b[at + i] | 0x20) !== EARER[i]) return false
  return true
}

function tokenEnd(b: Buffer, at: number, end: number): number {
  let next = at
  while (next < end && isTokenByte(b[next])) next++
  return next
}

/** RFC 6750's b64token. */
function isTokenByte(c: number): boolean {
  return isWordByte(c) || c === 0x2d || c === 0x2e || c === 0x5f || c === 0x7e || c === 0x2b || c === 0x2f || c === 0x3d
}

function indexIn(b: Buffer, byte: number, at: number, end: number): number {
  const found = b.indexOf(byte, at)
  return found < 0 || found >= end ? -1 : found
}
