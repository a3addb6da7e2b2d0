// From the text of a query to its tree. Recursive descent, one character of look-ahead, offsets in UTF-16 units.
import { LEVELS } from '../events.ts'
import { isShapeId } from '../search/shape.ts'
import { compilePattern, PATTERN_STEPS_MAX, PatternError } from './pattern.ts'

export const QUERY_BYTES_MAX = 4096
/** Parentheses within parentheses. */
export const QUERY_DEPTH_MAX = 64
export const QUERY_TERMS_MAX = 256

export type QueryField = 'host' | 'app' | 'file' | 'level'

export type QueryNode =
  | { kind: 'everything' }
  | { kind: 'all'; of: QueryNode[] }
  | { kind: 'any'; of: QueryNode[] }
  | { kind: 'not'; of: QueryNode }
  /** Literal text. `startsWord`: no letter, digit or `_` may join on to it in front; `endsWord`: nor behind. */
  | { kind: 'text'; text: string; startsWord: boolean; endsWord: boolean }
  /** The field's value is the parts in this order with anything between them; a single part is the whole value. */
  | { kind: 'field'; field: QueryField; parts: string[] }
  | { kind: 'regex'; source: string; ignoreCase: boolean }
  /** The event's first line has the shape of this name (shared/search/shape.ts). */
  | { kind: 'template'; id: string }

/** The text is not a query. `message` says where, what and what to write instead; it is fit to be shown to the user. */
export class QueryError extends Error {
  override readonly name = 'QueryError'
  /** Into the query's text, in UTF-16 units: where to put the caret. */
  readonly offset: number

  constructor(offset: number, reason: string, hint: string) {
    super(`Query, at character ${offset + 1}: ${reason}. ${hint}`)
    this.offset = offset
  }
}

/** @throws QueryError */
export function parseSyntax(text: string): QueryNode {
  if (Buffer.byteLength(text) > QUERY_BYTES_MAX) {
    throw new QueryError(0, `the query is longer than ${QUERY_BYTES_MAX} bytes`, 'Ask for less at once.')
  }
  return new Parser(text).parse()
}

/** What a level may be called besides its name in LEVELS. */
const LEVEL_ALIASES = new Map([
  ['warning', 'warn'],
  ['err', 'error'],
  ['crit', 'critical'],
  ['emerg', 'fatal'],
  ['panic', 'fatal'],
])

class Parser {
  readonly #text: string
  #at = 0
  #depth = 0
  #terms = 0
  #patternSteps = 0

  constructor(text: string) {
    this.#text = text
  }

  parse(): QueryNode {
    this.#skipSpace()
    if (this.#at === this.#text.length) return { kind: 'everything' }
    const root = this.#any()
    if (this.#at < this.#text.length) {
      this.#fail(this.#at, 'this ")" closes nothing', 'Remove it, or write \\) for the character itself.')
    }
    return root
  }

  #any(): QueryNode {
    const of = [this.#all()]
    while (this.#isOperator('OR')) {
      const at = this.#at
      this.#at += 2
      this.#skipSpace()
      if (this.#atEnd()) this.#fail(at, 'nothing follows OR', 'Write a term after it, or "OR" in quotes for the word.')
      of.push(this.#all())
    }
    return of.length === 1 ? of[0] : { kind: 'any', of }
  }

  #all(): QueryNode {
    const of: QueryNode[] = []
    while (!this.#atEnd() && !this.#isOperator('OR')) {
      for (const word of ['AND', 'NOT']) {
        if (!this.#isOperator(word)) continue
        const hint = word === 'AND' ? 'Leave it out: all terms must occur.' : 'Write -term for "not term".'
        this.#fail(this.#at, `${word} is not an operator`, `${hint} For the word itself write "${word}" in quotes.`)
      }
      of.push(this.#term())
      this.#skipSpace()
    }
    if (of.length === 0) this.#fail(this.#at, 'a term is missing here', 'For the characters themselves use quotes.')
    return of.length === 1 ? of[0] : { kind: 'all', of }
  }

  #term(): QueryNode {
    const at = this.#at
    if (this.#text[at] !== '-') return this.#positive()
    this.#at++
    if (this.#atEnd() || isSpace(this.#text[this.#at]) || this.#text[this.#at] === '-') {
      this.#fail(at, '"-" needs a term right after it', 'For the character itself use quotes: "-" or "--flag".')
    }
    return { kind: 'not', of: this.#positive() }
  }

  #positive(): QueryNode {
    const at = this.#at
    if (this.#text[at] === '(') return this.#group()
    if (++this.#terms > QUERY_TERMS_MAX) {
      this.#fail(at, `more than ${QUERY_TERMS_MAX} terms`, 'A regular expression may say it in one.')
    }
    if (this.#text[at] === '/') return this.#regex()
    if (this.#text.startsWith('template:', this.#at)) return this.#template()
    const field = /^(host|app|file|level):/.exec(this.#text.slice(at, at + 6))
    if (field) {
      this.#at += field[0].length
      return this.#field(field[1] as QueryField, at)
    }
    return this.#literal()
  }

  #group(): QueryNode {
    const at = this.#at++
    if (++this.#depth > QUERY_DEPTH_MAX) {
      this.#fail(at, `parentheses more than ${QUERY_DEPTH_MAX} deep`, 'Write the query flatter.')
    }
    this.#skipSpace()
    if (this.#text[this.#at] === ')') this.#fail(at, 'nothing in "()"', 'Write "()" in quotes for the characters.')
    const node = this.#any()
    if (this.#text[this.#at] !== ')') {
      this.#fail(at, 'this "(" is not closed', 'Add ")", or write \\( for the character itself.')
    }
    this.#at++
    this.#depth--
    return node
  }

  #regex(): QueryNode {
    const at = this.#at
    let end = at + 1
    while (end < this.#text.length && this.#text[end] !== '/') end += this.#text[end] === '\\' ? 2 : 1
    if (end >= this.#text.length) {
      this.#fail(at, 'a regular expression without its closing "/"', 'Add it; for a path use quotes: "/var/log".')
    }
    const source = this.#text.slice(at + 1, end).replaceAll('\\/', '/')
    if (source === '') this.#fail(at, 'an empty regular expression', 'For slashes themselves use quotes: "//".')
    this.#at = end + 1
    const ignoreCase = this.#text[this.#at] === 'i'
    if (ignoreCase) this.#at++
    const next = this.#text[this.#at]
    if (next !== undefined && !isSpace(next) && next !== ')') {
      const hint = 'For a path use quotes: "/var/log"; within a regular expression write \\/ for a slash.'
      this.#fail(this.#at, `"${next}" right after a regular expression; only the flag i is known`, hint)
    }
    try {
      this.#patternSteps += compilePattern(source, ignoreCase).steps
    } catch (error) {
      if (!(error instanceof PatternError)) throw error
      this.#fail(at, error.message, 'The syntax is that of RE2: no back references, no look-around.')
    }
    if (this.#patternSteps > PATTERN_STEPS_MAX) {
      const reason = `too big: ${this.#patternSteps} steps, ${PATTERN_STEPS_MAX} allowed for all regular expressions together`
      this.#fail(at, reason, 'Write smaller counts in {n,m}, or fewer alternatives.')
    }
    return { kind: 'regex', source, ignoreCase }
  }

  #field(field: QueryField, at: number): QueryNode {
    const { parts, isQuoted } = this.#pattern()
    if (parts.length === 1 && parts[0] === '' && !isQuoted) {
      const hint = `Write ${field}:value, or ${field}:"" for events without one; for the text itself use quotes.`
      this.#fail(at, `"${field}:" has no value`, hint)
    }
    if (field !== 'level' || parts.length > 1) return { kind: 'field', field, parts }
    const lower = parts[0].toLowerCase()
    const level = LEVEL_ALIASES.get(lower) ?? lower
    if (!(LEVELS as readonly string[]).includes(level)) {
      this.#fail(at, `there is no level "${parts[0]}"`, `Levels are ${LEVELS.slice(1).join(', ')}.`)
    }
    return { kind: 'field', field, parts: [level] }
  }

  #template(): QueryNode {
    const at = this.#at
    this.#at += 'template:'.length
    const { parts } = this.#pattern()
    const id = parts.join('*').toLowerCase()
    if (!isShapeId(id)) {
      const hint = 'Take it from the templates of a ranking (top?by=templates); for the text itself use quotes.'
      this.#fail(at, `"${id}" names no template: 16 hexadecimal digits do`, hint)
    }
    return { kind: 'template', id }
  }

  #literal(): QueryNode {
    const at = this.#at
    const { parts } = this.#pattern()
    const startsWord = parts[0] !== ''
    const endsWord = parts[parts.length - 1] !== ''
    const texts = parts.filter(part => part !== '')
    if (texts.length > 1) {
      this.#fail(at, '"*" in the middle of a word', 'Write two terms: a* *b; or \\* for the character itself.')
    }
    if (texts.length === 0) {
      if (parts.length > 1) return { kind: 'everything' }
      this.#fail(at, 'an empty term', 'Put something between the quotes, or leave them out.')
    }
    return { kind: 'text', text: texts[0], startsWord, endsWord }
  }

  /** A word or a quoted text, cut at its stars; a run of stars is one. A quote stands at the start or after a star. */
  #pattern(): { parts: string[]; isQuoted: boolean } {
    const parts = ['']
    let isQuoted = false
    let mayQuote = true
    let afterStar = false
    for (;;) {
      const c = this.#text[this.#at]
      if (c === undefined || isSpace(c) || c === '(' || c === ')') break
      if (c === '*') {
        if (!afterStar) parts.push('')
        this.#at++
        afterStar = true
        mayQuote = true
        continue
      }
      afterStar = false
      if (c === '"') {
        if (!mayQuote) {
          const hint = 'Put a space before it, put the whole in quotes, or write \\" for the character itself.'
          this.#fail(this.#at, 'a quote in the middle of a word', hint)
        }
        parts[parts.length - 1] += this.#quoted()
        isQuoted = true
        const next = this.#text[this.#at]
        if (next !== undefined && next !== '*' && next !== '(' && next !== ')' && !isSpace(next)) {
          const hint = 'Put a space after it, or write \\" for a quote within the quotes.'
          this.#fail(this.#at, `"${next}" right after a closing quote`, hint)
        }
      } else {
        parts[parts.length - 1] += this.#character()
        mayQuote = false
      }
    }
    return { parts, isQuoted }
  }

  #quoted(): string {
    const at = this.#at++
    let text = ''
    while (this.#text[this.#at] !== '"') {
      if (this.#at >= this.#text.length) {
        this.#fail(at, 'this quote is not closed', 'Add a closing ", or write \\" for the character itself.')
      }
      text += this.#character()
    }
    this.#at++
    return text
  }

  /** A backslash takes a special character as it is; before a letter or digit it is itself (C:\temp). */
  #character(): string {
    const c = this.#text[this.#at++]
    const next = this.#text[this.#at]
    if (c !== '\\' || next === undefined || /[\p{L}\p{N}]/u.test(next)) return c
    this.#at++
    return next
  }

  #isOperator(word: string): boolean {
    if (!this.#text.startsWith(word, this.#at)) return false
    const next = this.#text[this.#at + word.length]
    return next === undefined || isSpace(next) || next === '(' || next === ')'
  }

  #atEnd(): boolean {
    return this.#at >= this.#text.length || this.#text[this.#at] === ')'
  }

  #skipSpace(): void {
    while (this.#at < this.#text.length && isSpace(this.#text[this.#at])) this.#at++
  }

  #fail(offset: number, reason: string, hint: string): never {
    throw new QueryError(offset, reason, hint)
  }
}

function isSpace(c: string): boolean {
  return /\s/.test(c)
}
