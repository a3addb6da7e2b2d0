// The lines of a block of columns in which a text occurs, found without decoding them.
//
//   text that lies wholly in   ▸ found by
//   static bytes               ▸ one scan of all templates' static bytes: all lines of the template
//   one entry, text, raw line  ▸ one scan of each stream: the lines whose entry or text it is
//   an integer, a time stamp   ▸ comparing, of those columns that could hold it
//   more than one part         ▸ across-parts.ts
// Every hit is a yes unless a character beside it, which decides whether a word begins or ends there, cannot be seen: then
// it is a maybe. The matcher (shared/query) has the last word on those.
import type { Needle, Sought } from '../query/needle.ts'
import { acrossParts } from './across-parts.ts'
import { type ColumnParts, DICTIONARY, END, INTEGER, lastAtMost, NUMERAL, TEXT, type Variable } from './column-parts.ts'
import { type Joins, joinsOn, MAYBE, NO, testColumn, unless, YES } from './column-tests.ts'
import { couldStandWithin, StampText } from './stamp-text.ts'
import { maybeOnly, noneOf, unknown, type Verdict } from './verdict.ts'

const LINE_FEED = 10
const CARRIAGE_RETURN = 13
/** Of a numeral. */
const DIGITS_MAX = 18

export class SoughtRows {
  readonly #parts: ColumnParts
  readonly #sought: Sought
  readonly #find: Needle['nextCandidate']
  readonly #verdict: Verdict
  /** By template: YES once all of its lines match. */
  readonly #templates: Uint8Array

  private constructor(parts: ColumnParts, sought: Sought, find: Needle['nextCandidate']) {
    this.#parts = parts
    this.#sought = sought
    this.#find = find
    this.#verdict = noneOf(parts.view.lines)
    this.#templates = new Uint8Array(parts.templates + 1)
  }

  static find(parts: ColumnParts, { sought, nextCandidate }: Needle): Verdict {
    // A line end in the text sought: lines are the wrong unit. Nothing sought in the bytes: every line must be read.
    if (!sought || sought.bytes.includes(LINE_FEED) || sought.bytes.includes(CARRIAGE_RETURN))
      return unknown(parts.view.lines)
    const search = new SoughtRows(parts, sought, nextCandidate)
    return search.#run()
  }

  #run(): Verdict {
    this.#inStatics()
    this.#inEntries()
    this.#inTexts()
    this.#inRawLines()
    this.#inNumbers()
    acrossParts(this.#parts, this.#sought, this.#templates, (template, verdicts) => this.#mark(template, verdicts))
    for (let t = 1; t <= this.#parts.templates; t++) {
      if (this.#templates[t] === YES) this.#verdict.yes.addAll(this.#parts.view.linesOf(t))
      else if (this.#templates[t] === MAYBE) this.#verdict.maybe.addAll(this.#parts.view.linesOf(t))
    }
    const { yes, maybe } = this.#verdict
    // Only a part of what the query asks for was sought.
    if (!this.#sought.isWhole) return maybeOnly(this.#verdict)
    return { yes, maybe: maybe.without(yes) }
  }

  #inStatics(): void {
    const { statics, staticEnd, kinds } = this.#parts
    const length = this.#sought.bytes.length
    for (let at = this.#find(statics, 0); at >= 0; at = this.#find(statics, at + 1)) {
      // The first part that ends behind `at`.
      const part = staticEnd[0] > at ? 0 : lastAtMost(staticEnd, at, 0, staticEnd.length - 1) + 1
      const end = at + length
      if (end > staticEnd[part]) continue
      const template = this.#parts.templateOfPart(part)
      if (this.#templates[template] === YES) continue
      const start = this.#parts.staticStart(part)
      const verdict = this.#borders(
        () => (at > start ? joinsOn(statics[at - 1]) : this.#endOfVariable(part - 1, template)),
        () => (end < staticEnd[part] ? joinsOn(statics[end]) : kinds[part] === END ? NO : beginsWord(kinds[part])),
      )
      if (verdict > this.#templates[template]) this.#templates[template] = verdict
    }
  }

  #inEntries(): void {
    const { dictionaryParts, variables, view } = this.#parts
    const dictionaries = dictionaryParts.map(part => variables[part] as Variable & { kind: 'dictionary' })
    if (dictionaries.length === 0) return
    const entries = dictionaries[0].entries.bytes
    let ofPart = -1
    let verdicts = new Uint8Array(0)
    const finish = () => {
      const dictionary = variables[ofPart]
      if (dictionary?.kind !== 'dictionary') return
      const template = this.#parts.templateOfPart(ofPart)
      const ids = view.entryIdsOf(dictionary, this.#parts.countOf(template))
      const lines = view.linesOf(template)
      const { yes, maybe } = this.#verdict
      for (let k = 0; k < lines.length; k++) {
        const verdict = verdicts[ids[k]]
        if (verdict === YES) yes.add(lines[k])
        else if (verdict === MAYBE) maybe.add(lines[k])
      }
    }
    const froms = dictionaries.map(dictionary => dictionary.entries.starts[0])
    for (let at = this.#find(entries, 0); at >= 0; at = this.#find(entries, at + 1)) {
      const index = lastAtMost(froms, at, 0, froms.length - 1)
      const part = dictionaryParts[index]
      const { starts } = dictionaries[index].entries
      // Before, between and behind dictionaries lie constants: they are among the static bytes.
      if (at < starts[0] || at >= starts[starts.length - 1]) continue
      if (this.#templates[this.#parts.templateOfPart(part)] === YES) continue
      if (part !== ofPart) {
        finish()
        ofPart = part
        verdicts = new Uint8Array(starts.length - 1)
      }
      const entry = lastAtMost(starts, at, 0, starts.length - 2)
      const verdict = this.#bordersIn(entries, part, starts[entry], starts[entry + 1] - 1, at)
      if (verdict > verdicts[entry]) verdicts[entry] = verdict
    }
    finish()
  }

  #inTexts(): void {
    const { textParts, variables, view } = this.#parts
    const texts = view.allTexts
    const columns = textParts.map(part => variables[part] as Variable & { kind: 'text' })
    const froms = columns.map(column => column.at)
    let ofPart = -1
    let row = 0
    let counted = 0
    let lines: Uint32Array = new Uint32Array(0)
    for (let at = this.#find(texts, 0); at >= 0; ) {
      const index = lastAtMost(froms, at, 0, froms.length - 1)
      const part = textParts[index]
      const column = columns[index]
      const template = this.#parts.templateOfPart(part)
      if (this.#templates[template] === YES) {
        at = this.#find(texts, column.at + column.bytes)
        continue
      }
      if (part !== ofPart) {
        ofPart = part
        row = 0
        counted = column.at
        lines = this.#parts.view.linesOf(template)
      }
      for (; counted < at; counted++) if (texts[counted] === LINE_FEED) row++
      const from = texts.lastIndexOf(LINE_FEED, at) + 1
      const to = texts.indexOf(LINE_FEED, at)
      const verdict = this.#bordersIn(texts, part, Math.max(from, column.at), to, at)
      if (verdict === YES) this.#verdict.yes.add(lines[row])
      else if (verdict === MAYBE) this.#verdict.maybe.add(lines[row])
      at = this.#find(texts, verdict === YES ? to : at + 1)
    }
  }

  #inRawLines(): void {
    const { rawText: raw } = this.#parts.view
    if (raw.length === 0) return
    const { rawStarts } = this.#parts.view
    const length = this.#sought.bytes.length
    for (let at = this.#find(raw, 0); at >= 0; ) {
      const row = lastAtMost(rawStarts, at, 0, rawStarts.length - 2)
      const line = this.#parts.view.linesOf(0)[row]
      // A line feed joins to nothing.
      const verdict = this.#borders(
        () => (at === 0 ? NO : joinsOn(raw[at - 1])),
        () => joinsOn(raw[at + length]),
      )
      if (verdict === YES) this.#verdict.yes.add(line)
      else if (verdict === MAYBE) this.#verdict.maybe.add(line)
      at = this.#find(raw, verdict === YES ? rawStarts[row + 1] : at + 1)
    }
  }

  /** Integers, numerals and time stamps are not text anywhere: their columns are asked, if they could hold it. */
  #inNumbers(): void {
    const { kinds, variables, numberParts, view } = this.#parts
    const { bytes, checksStart, checksEnd } = this.#sought
    const isDigits = bytes.every(byte => byte >= 48 && byte <= 57)
    const stamps = new StampText(view)
    const couldBeIn = view.formatKeys.map((_, format) => couldStandWithin(stamps.sample(format), bytes))
    if (!isDigits && !couldBeIn.includes(true)) return
    for (const part of numberParts) {
      const kind = kinds[part]
      const variable = variables[part]
      const template = this.#parts.templateOfPart(part)
      if (this.#templates[template] === YES) continue
      if (variable?.kind === 'stamp' || variable?.kind === 'laterStamp') {
        if (!couldBeIn[variable.format]) continue
      } else {
        if (!isDigits || bytes.length > DIGITS_MAX) continue
        // The width of padded numbers is that of all of them.
        if (variable?.kind === 'integer' && bytes.length > (variable.body.width || 10)) continue
      }
      const before = this.#beforeVariable(part, template)
      const behind = this.#behindVariable(part)
      const isNumber = kind === INTEGER || kind === NUMERAL
      // Within a number digits join on to each other: a word is all of it, or its beginning, or its end.
      const how = !isNumber
        ? 'holds'
        : checksStart && checksEnd
          ? 'is'
          : checksStart
            ? 'begins'
            : checksEnd
              ? 'ends'
              : 'holds'
      this.#mark(
        template,
        testColumn(this.#parts, part, template, { how, bytes, checksStart, checksEnd, before, behind }),
      )
    }
  }

  #mark(template: number, verdicts: Uint8Array): void {
    const lines = this.#parts.view.linesOf(template)
    const { yes, maybe } = this.#verdict
    for (let k = 0; k < verdicts.length; k++) {
      if (verdicts[k] === YES) yes.add(lines[k])
      else if (verdicts[k] === MAYBE) maybe.add(lines[k])
    }
  }

  #bordersIn(text: Buffer, part: number, from: number, to: number, at: number): number {
    const end = at + this.#sought.bytes.length
    return this.#borders(
      () => (at > from ? joinsOn(text[at - 1]) : this.#beforeVariable(part, this.#parts.templateOfPart(part))),
      () => (end < to ? joinsOn(text[end]) : this.#behindVariable(part)),
    )
  }

  #borders(before: () => Joins, behind: () => Joins): number {
    const { checksStart, checksEnd } = this.#sought
    const start = checksStart ? unless(before()) : YES
    return start === NO || !checksEnd ? start : Math.min(start, unless(behind()))
  }

  #beforeVariable(part: number, template: number): Joins {
    return beforeVariable(this.#parts, part, template)
  }

  #behindVariable(part: number): Joins {
    return behindVariable(this.#parts, part)
  }

  /** `part` −1 of the template: its beginning. */
  #endOfVariable(part: number, template: number): Joins {
    return part < this.#parts.firstPart[template] ? NO : endsWord(this.#parts.kinds[part])
  }
}

/** What stands before the variable of a part. */
export function beforeVariable(parts: ColumnParts, part: number, template: number): Joins {
  const start = parts.staticStart(part)
  if (parts.staticEnd[part] > start) return joinsOn(parts.statics[parts.staticEnd[part] - 1])
  return part === parts.firstPart[template] ? NO : endsWord(parts.kinds[part - 1])
}

/** What stands behind it. */
export function behindVariable(parts: ColumnParts, part: number): Joins {
  const next = part + 1
  if (parts.staticEnd[next] > parts.staticEnd[part]) return joinsOn(parts.statics[parts.staticEnd[part]])
  return parts.kinds[next] === END ? NO : beginsWord(parts.kinds[next])
}

/** Numbers and time stamps begin and end with a digit (or a letter); of others nothing is known, they may even be empty. */
export function beginsWord(kind: number): Joins {
  return kind === DICTIONARY || kind === TEXT ? MAYBE : YES
}

export function endsWord(kind: number): Joins {
  return kind === DICTIONARY || kind === TEXT ? MAYBE : YES
}
