// The lines of a block of columns in which a text occurs, found without decoding them.
//
//   text that lies wholly in   ▸ found by
//   static bytes               ▸ one scan of all templates' static bytes: all lines of the template
//   one entry, text, raw line  ▸ one scan of each stream: the lines whose entry or text it is
//   an integer, a time stamp   ▸ comparing, of those columns that could hold it
//   more than one part         ▸ across-parts.ts
// Every hit is a yes unless a character beside it, which decides whether a word begins or ends there, cannot be seen: then
// it is a maybe. The matcher (shared/query) has the last word on those.
import { ENTRIES, RAW, TEXTS } from '../columns/core/places.ts'
import type { Needle, Sought } from '../query/needle.ts'
import { acrossParts } from './across-parts.ts'
import {
  type ColumnParts,
  DICTIONARY,
  END,
  INTEGER,
  LATER_STAMP,
  lastAtMost,
  NUMERAL,
  STAMP,
  TEXT,
} from './column-parts.ts'
import { type Joins, joinsOn, MAYBE, NO, testColumn, unless, YES } from './column-tests.ts'
import { entryIdsOf } from './column-values.ts'
import { couldStandIn, sampleStamp } from './stamp-text.ts'
import { noneOf, unknown, type Verdict } from './verdict.ts'

const LINE_FEED = 10
const CARRIAGE_RETURN = 13

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
    this.#verdict = noneOf(parts.lines)
    this.#templates = new Uint8Array(parts.templates + 1)
  }

  static find(parts: ColumnParts, { sought, nextCandidate }: Needle): Verdict {
    // A line end in the text sought: lines are the wrong unit. Nothing sought in the bytes: every line must be read.
    if (!sought || sought.bytes.includes(LINE_FEED) || sought.bytes.includes(CARRIAGE_RETURN))
      return unknown(parts.lines)
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
      if (this.#templates[t] === YES) this.#verdict.yes.addAll(this.#parts.linesOf(t))
      else if (this.#templates[t] === MAYBE) this.#verdict.maybe.addAll(this.#parts.linesOf(t))
    }
    const { yes, maybe } = this.#verdict
    // Only a part of what the query asks for was sought.
    if (!this.#sought.isWhole) return { yes: noneOf(yes.size).yes, maybe: maybe.or(yes) }
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
    const { dictionaryParts, columns, entryStart, counts } = this.#parts
    if (dictionaryParts.length === 0) return
    const entries = this.#parts.stream(ENTRIES)
    let ofPart = -1
    let verdicts = new Uint8Array(0)
    const finish = () => {
      const column = columns[ofPart]
      if (column?.kind !== DICTIONARY) return
      const template = this.#parts.templateOfPart(ofPart)
      const count = counts[template]
      const ids = entryIdsOf(this.#parts, column.at, column.planes, count)
      const lines = this.#parts.linesOf(template)
      const { yes, maybe } = this.#verdict
      for (let k = 0; k < count; k++) {
        const verdict = verdicts[ids[k]]
        if (verdict === YES) yes.add(lines[k])
        else if (verdict === MAYBE) maybe.add(lines[k])
      }
    }
    const firstEntries = dictionaryParts.map(part => (columns[part] as { firstEntry: number }).firstEntry)
    for (let at = this.#find(entries, 0); at >= 0; at = this.#find(entries, at + 1)) {
      const entry = lastAtMost(entryStart, at, 0, entryStart.length - 2)
      const part = dictionaryParts[lastAtMost(firstEntries, entry, 0, firstEntries.length - 1)]
      const column = columns[part]
      if (column?.kind !== DICTIONARY) continue
      const index = entry - column.firstEntry
      // A constant: it is among the static bytes.
      if (index < 0 || index >= column.entries) continue
      if (this.#templates[this.#parts.templateOfPart(part)] === YES) continue
      if (part !== ofPart) {
        finish()
        ofPart = part
        verdicts = new Uint8Array(column.entries)
      }
      const verdict = this.#bordersIn(entries, part, entryStart[entry], entryStart[entry + 1] - 1, at)
      if (verdict > verdicts[index]) verdicts[index] = verdict
    }
    finish()
  }

  #inTexts(): void {
    const { textParts, columns } = this.#parts
    if (textParts.length === 0) return
    const texts = this.#parts.stream(TEXTS)
    const froms = textParts.map(part => (columns[part] as { from: number }).from)
    let ofPart = -1
    let row = 0
    let counted = 0
    let lines: Uint32Array = new Uint32Array(0)
    for (let at = this.#find(texts, 0); at >= 0; ) {
      const part = textParts[lastAtMost(froms, at, 0, froms.length - 1)]
      const column = columns[part]
      if (column?.kind !== TEXT) return
      const template = this.#parts.templateOfPart(part)
      if (this.#templates[template] === YES) {
        at = this.#find(texts, column.to)
        continue
      }
      if (part !== ofPart) {
        ofPart = part
        row = 0
        counted = column.from
        lines = this.#parts.linesOf(template)
      }
      for (; counted < at; counted++) if (texts[counted] === LINE_FEED) row++
      const from = texts.lastIndexOf(LINE_FEED, at) + 1
      const to = texts.indexOf(LINE_FEED, at)
      const verdict = this.#bordersIn(texts, part, Math.max(from, column.from), to, at)
      if (verdict === YES) this.#verdict.yes.add(lines[row])
      else if (verdict === MAYBE) this.#verdict.maybe.add(lines[row])
      at = this.#find(texts, verdict === YES ? to : at + 1)
    }
  }

  #inRawLines(): void {
    const raw = this.#parts.stream(RAW)
    if (raw.length === 0) return
    const length = this.#sought.bytes.length
    for (let at = this.#find(raw, 0); at >= 0; ) {
      const row = lastAtMost(this.#parts.rawStart, at, 0, this.#parts.rawStart.length - 2)
      const line = this.#parts.linesOf(0)[row]
      // A line feed joins to nothing.
      const verdict = this.#borders(
        () => (at === 0 ? NO : joinsOn(raw[at - 1])),
        () => joinsOn(raw[at + length]),
      )
      if (verdict === YES) this.#verdict.yes.add(line)
      else if (verdict === MAYBE) this.#verdict.maybe.add(line)
      at = this.#find(raw, verdict === YES ? this.#parts.rawStart[row + 1] : at + 1)
    }
  }

  /** Integers, numerals and time stamps are not text anywhere: their columns are asked, if they could hold it. */
  #inNumbers(): void {
    const { kinds, columns, formats } = this.#parts
    const { bytes, checksStart, checksEnd } = this.#sought
    const isDigits = bytes.every(byte => byte >= 48 && byte <= 57)
    const isStampLike = formats.map(format => couldHold(sampleStamp(format), bytes))
    if (!isDigits && !isStampLike.includes(true)) return
    for (let part = 0; part < kinds.length; part++) {
      const kind = kinds[part]
      const column = columns[part]
      if (column === undefined || kind === DICTIONARY || kind === TEXT) continue
      const template = this.#parts.templateOfPart(part)
      if (this.#templates[template] === YES) continue
      if (column.kind === INTEGER || column.kind === NUMERAL) {
        if (!isDigits || bytes.length > 18) continue
        // The width of padded numbers is that of all of them.
        if (column.kind === INTEGER && bytes.length > (column.body.width || 10)) continue
      } else if (column.kind === STAMP || column.kind === LATER_STAMP) {
        if (!isStampLike[column.format]) continue
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
    const lines = this.#parts.linesOf(template)
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

function couldHold(sample: Buffer, bytes: Uint8Array): boolean {
  for (let at = 0; at + bytes.length <= sample.length; at++) {
    if (couldStandIn(sample, at, bytes, 0, bytes.length)) return true
  }
  return false
}
