// Which records are kept, by patterns of the settings: with `keep`, only those in which one of its patterns is found; of
// these, with `drop`, those in which none of its patterns is. Looked for in the whole record (all lines of a trace, as they
// are in the file, not redacted yet), without its last line end.
import { compilePattern } from '../../shared/query/pattern.ts'

/** An entry of `drop`. Without a name its pattern is its name. */
export type DropSetting = string | { name: string; pattern: string }

export interface FilterSettings {
  keep?: readonly string[]
  drop?: readonly DropSetting[]
}

/** What drops a record in which no pattern of `keep` is found. */
export const NOT_KEPT = 'keep'
const NAME_CHARACTERS_MAX = 60
const NEWLINE = 0x0a

export class Filter {
  readonly #keep: Finder[]
  readonly #drop: { name: string; finder: Finder }[]

  /** @throws PatternError */
  constructor({ keep = [], drop = [] }: FilterSettings) {
    this.#keep = keep.map(finderOf)
    this.#drop = drop.map(rule =>
      typeof rule === 'string'
        ? { name: rule.slice(0, NAME_CHARACTERS_MAX), finder: finderOf(rule) }
        : { name: rule.name, finder: finderOf(rule.pattern) },
    )
  }

  /** Other bytes are asked about from now on. */
  begin(): void {
    for (const finder of this.#keep) finder.begin()
    for (const { finder } of this.#drop) finder.begin()
  }

  /** What drops the record [at, end); undefined: it is kept. Records are asked about in their order. */
  drops(bytes: Buffer, at: number, end: number): string | undefined {
    const textEnd = withoutLineEnd(bytes, at, end)
    if (this.#keep.length > 0 && !this.#keep.some(finder => finder.isIn(bytes, at, textEnd))) return NOT_KEPT
    return this.#drop.find(({ finder }) => finder.isIn(bytes, at, textEnd))?.name
  }
}

interface Finder {
  begin(): void
  isIn(bytes: Buffer, at: number, end: number): boolean
}

function finderOf(pattern: string): Finder {
  return /[\\^$.|?*+()[\]{}]/.test(pattern) ? new PatternFinder(pattern) : new TextFinder(pattern)
}

/** Most patterns are a mere word: looked for once in all of the bytes, not once per record. */
class TextFinder implements Finder {
  readonly #text: Buffer
  /** Where it is next; -1: nowhere behind `#from`. */
  #next = 0
  #from = Number.POSITIVE_INFINITY

  constructor(text: string) {
    this.#text = Buffer.from(text)
  }

  begin(): void {
    this.#from = Number.POSITIVE_INFINITY
  }

  isIn(bytes: Buffer, at: number, end: number): boolean {
    if (at < this.#from || (this.#next >= 0 && this.#next < at)) {
      this.#next = bytes.indexOf(this.#text, at)
      this.#from = at
    }
    return this.#next >= 0 && this.#next + this.#text.length <= end
  }
}

class PatternFinder implements Finder {
  readonly #pattern: ReturnType<typeof compilePattern>

  constructor(pattern: string) {
    this.#pattern = compilePattern(pattern, false)
  }

  begin(): void {}

  isIn(bytes: Buffer, at: number, end: number): boolean {
    return this.#pattern.isIn(bytes.toString('utf8', at, end))
  }
}

function withoutLineEnd(bytes: Buffer, at: number, end: number): number {
  let last = end
  if (last > at && bytes[last - 1] === NEWLINE) last--
  if (last > at && bytes[last - 1] === 0x0d) last--
  return last
}
