// Text that lies across parts of a template: it ends or begins within static bytes or a variable, and everything between is
// whole. Which ways there are follows from the static bytes; each way is a list of what variables must be, which their
// columns are asked.
//
//   sought  sshd[242        template  LabSZ sshd[ ● ]: Failed …      one way: ● begins with "242"
//   sought  root from 5.3   template  for ● from ● port ● ssh2       one way: ● ends with "root", ● begins with "5.3"
import { ASCII_FOLD } from '../query/letters.ts'
import type { Sought } from '../query/needle.ts'
import { type ColumnParts, DICTIONARY, END, INTEGER, NUMERAL, TEXT } from './column-parts.ts'
import { type Joins, joinsOn, MAYBE, NO, testColumn, unless, type ValueTest, YES } from './column-tests.ts'
import { beforeVariable, beginsWord, behindVariable, endsWord } from './sought-rows.ts'
import { couldStandIn, StampText } from './stamp-text.ts'

/** Ways looked at per template. Variables with nothing between them make many: then each of its lines may match. */
const WAYS_MAX = 64
const STEPS_MAX = 4096
/** Of a number. */
const DIGITS_MAX = 18

interface Step {
  part: number
  test: ValueTest
}

interface Way {
  steps: Step[]
  /** Of the borders that are static. */
  verdict: number
}

export function acrossParts(
  parts: ColumnParts,
  sought: Sought,
  templates: Uint8Array,
  mark: (template: number, verdicts: Uint8Array) => void,
): void {
  if (sought.bytes.length < 2) return
  new AcrossParts(parts, sought, templates, mark).run()
}

class AcrossParts {
  readonly #parts: ColumnParts
  readonly #sought: Sought
  readonly #bytes: Buffer
  readonly #templates: Uint8Array
  readonly #mark: (template: number, verdicts: Uint8Array) => void
  /** By byte, where it is in the text sought. */
  readonly #places: number[][] = Array.from({ length: 256 }, () => [])
  readonly #samples: Uint8Array[]
  #ways: Way[] = []
  #steps = 0

  constructor(
    parts: ColumnParts,
    sought: Sought,
    templates: Uint8Array,
    mark: (template: number, verdicts: Uint8Array) => void,
  ) {
    this.#parts = parts
    this.#sought = sought
    this.#bytes = sought.bytes
    this.#templates = templates
    this.#mark = mark
    const stamps = new StampText(parts.view)
    this.#samples = parts.view.formatKeys.map((_, format) => stamps.sample(format))
    for (const [at, byte] of this.#bytes.entries()) this.#places[byte].push(at)
  }

  run(): void {
    const { firstPart, templates } = this.#parts
    for (let template = 1; template <= templates; template++) {
      if (this.#templates[template] === YES) continue
      const end = firstPart[template + 1] - 1
      if (firstPart[template] === end) continue
      this.#ways = []
      this.#steps = 0
      for (let part = firstPart[template]; part < end; part++) {
        this.#fromStatic(part, template)
        this.#fromVariable(part, template)
      }
      if (this.#ways.length > 0) this.#ask(template)
    }
  }

  /** The text begins in the static bytes of `part` and goes on behind them. */
  #fromStatic(part: number, template: number): void {
    const { statics, staticEnd } = this.#parts
    const start = this.#parts.staticStart(part)
    const end = staticEnd[part]
    if (start === end) return
    for (const last of this.#places[ASCII_FOLD[statics[end - 1]]]) {
      const length = last + 1
      if (length >= this.#bytes.length || length > end - start) continue
      if (!this.#isStatic(end - length, 0, length)) continue
      const before =
        end - length > start
          ? joinsOn(statics[end - length - 1])
          : part === this.#parts.firstPart[template]
            ? NO
            : endsWord(this.#parts.kinds[part - 1])
      const verdict = this.#sought.checksStart ? unless(before) : YES
      if (verdict !== NO) this.#variable(part, template, length, [], verdict)
    }
  }

  /** The text begins within the variable of `part`, or with it, and goes on behind it. */
  #fromVariable(part: number, template: number): void {
    const { statics, staticEnd, kinds } = this.#parts
    const next = part + 1
    const isEmpty = staticEnd[next] === staticEnd[part]
    if (isEmpty && kinds[next] === END) return
    const borders = isEmpty ? undefined : this.#places[ASCII_FOLD[statics[staticEnd[part]]]]
    const count = borders?.length ?? this.#bytes.length
    for (let i = 0; i < count; i++) {
      const length = borders?.[i] ?? i
      if (length === 0 || !this.#couldEnd(part, length)) continue
      const test: ValueTest = {
        how: 'ends',
        bytes: this.#bytes.subarray(0, length),
        checksStart: this.#sought.checksStart,
        checksEnd: false,
        before: beforeVariable(this.#parts, part, template),
        behind: NO,
      }
      this.#static(next, template, length, [{ part, test }], YES)
    }
  }

  /** From `at` on, the text goes on with the static bytes of `part`. */
  #static(part: number, template: number, at: number, steps: Step[], verdict: number): void {
    if (++this.#steps > STEPS_MAX) return
    const { statics, staticEnd, kinds } = this.#parts
    const start = this.#parts.staticStart(part)
    const length = staticEnd[part] - start
    const rest = this.#bytes.length - at
    if (!this.#isStatic(start, at, Math.min(length, rest))) return
    if (rest > length) {
      if (kinds[part] !== END) this.#variable(part, template, at + length, steps, verdict)
      return
    }
    const behind: Joins =
      rest < length ? joinsOn(statics[start + rest]) : kinds[part] === END ? NO : beginsWord(kinds[part])
    const ends = this.#sought.checksEnd ? unless(behind) : YES
    if (ends !== NO) this.#ways.push({ steps, verdict: Math.min(verdict, ends) })
  }

  /** From `at` on, the text goes on with the variable of `part`: it ends in it, or the variable is a piece of it. */
  #variable(part: number, template: number, at: number, steps: Step[], verdict: number): void {
    if (++this.#steps > STEPS_MAX || this.#ways.length > WAYS_MAX) return
    const rest = this.#bytes.length - at
    const base = { checksStart: false, checksEnd: false, before: NO, behind: NO } as const
    if (this.#couldBegin(part, at, rest)) {
      const test: ValueTest = {
        ...base,
        how: 'begins',
        bytes: this.#bytes.subarray(at),
        checksEnd: this.#sought.checksEnd,
        behind: behindVariable(this.#parts, part),
      }
      this.#ways.push({ steps: [...steps, { part, test }], verdict })
    }
    const { statics, staticEnd, kinds } = this.#parts
    const isEmpty = staticEnd[part + 1] === staticEnd[part]
    if (isEmpty && kinds[part + 1] === END) return
    const border = isEmpty ? -1 : ASCII_FOLD[statics[staticEnd[part]]]
    for (let length = 0; length < rest; length++) {
      if (border >= 0 && this.#bytes[at + length] !== border) continue
      if (!this.#couldBe(part, at, length)) continue
      const test: ValueTest = { ...base, how: 'is', bytes: this.#bytes.subarray(at, at + length) }
      this.#static(part + 1, template, at + length, [...steps, { part, test }], verdict)
    }
  }

  #isStatic(from: number, at: number, length: number): boolean {
    const { statics } = this.#parts
    for (let i = 0; i < length; i++) if (ASCII_FOLD[statics[from + i]] !== this.#bytes[at + i]) return false
    return true
  }

  #couldEnd(part: number, length: number): boolean {
    const kind = this.#parts.kinds[part]
    if (kind === INTEGER || kind === NUMERAL) return length <= DIGITS_MAX && this.#areDigits(0, length)
    if (kind === DICTIONARY || kind === TEXT) return true
    const sample = this.#sampleOf(part)
    return length <= sample.length && couldStandIn(sample, sample.length - length, this.#bytes, 0, length)
  }

  #couldBegin(part: number, at: number, length: number): boolean {
    const kind = this.#parts.kinds[part]
    if (kind === INTEGER || kind === NUMERAL) return length <= DIGITS_MAX && this.#areDigits(at, length)
    if (kind === DICTIONARY || kind === TEXT) return true
    const sample = this.#sampleOf(part)
    return length <= sample.length && couldStandIn(sample, 0, this.#bytes, at, length)
  }

  #couldBe(part: number, at: number, length: number): boolean {
    const kind = this.#parts.kinds[part]
    if (kind === DICTIONARY || kind === TEXT) return true
    return length > 0 && this.#couldBegin(part, at, length)
  }

  #sampleOf(part: number): Uint8Array {
    const variable = this.#parts.variables[part]
    return variable?.kind === 'stamp' || variable?.kind === 'laterStamp'
      ? this.#samples[variable.format]
      : new Uint8Array(0)
  }

  #areDigits(at: number, length: number): boolean {
    for (let i = at; i < at + length; i++) if (this.#bytes[i] < 48 || this.#bytes[i] > 57) return false
    return true
  }

  #ask(template: number): void {
    const count = this.#parts.countOf(template)
    if (this.#ways.length > WAYS_MAX || this.#steps > STEPS_MAX) {
      this.#mark(template, new Uint8Array(count).fill(MAYBE))
      return
    }
    for (const { steps, verdict } of this.#ways) {
      const verdicts = new Uint8Array(count).fill(verdict)
      for (const { part, test } of steps) {
        const own = testColumn(this.#parts, part, template, test)
        let isAny = false
        for (let k = 0; k < count; k++) {
          if (own[k] < verdicts[k]) verdicts[k] = own[k]
          isAny ||= verdicts[k] !== NO
        }
        if (!isAny) break
      }
      this.#mark(template, verdicts)
    }
  }
}
