import { type Events, LEVELS, type Run } from '../events.ts'
import type { Question } from './question.ts'
import { Rows } from './rows.ts'
import type { EventFields, SearchedBlock, Texts } from './searched-block.ts'
import { shapeId, shapeOf } from './shape.ts'
import type { Verdict } from './verdict.ts'

const COLUMN_BYTES = 20

/** A block of lines: inflated, every event that the query's own scan does not rule out is read. */
export class LinesBlock<R extends Run> implements SearchedBlock<R> {
  readonly #events: Events
  readonly runs: readonly R[]

  constructor(events: Events, runs: R[]) {
    this.#events = events
    this.runs = runs
  }

  get events(): number {
    return this.#events.ends.length
  }

  get names(): readonly string[] {
    return this.#events.names
  }

  get fields(): EventFields {
    return this.#events
  }

  get ends(): Uint32Array {
    return this.#events.ends
  }

  get heldBytes(): number {
    return this.#events.bytes.length + this.events * COLUMN_BYTES
  }

  judge(question: Question): Verdict {
    const scope = question.scopeOf(this)
    const { query } = question
    const nothing = new Rows(this.events)
    if (query.isEverything) return { yes: scope ?? Rows.all(this.events), maybe: nothing }
    const yes = new Rows(this.events)
    const { bytes, ends, names } = this.#events
    if (!query.couldMatch(bytes)) return { yes, maybe: nothing }
    const look = { bytes, host: '', app: '', level: '', path: '' }
    let firstOfRun = 0
    let candidate = -1
    for (const run of this.runs) {
      const endOfRun = firstOfRun + run.events
      for (let i = firstOfRun; i < endOfRun; i++) {
        const start = i === 0 ? 0 : ends[i - 1]
        if (candidate < start) {
          candidate = query.nextCandidate(bytes, start)
          if (candidate < 0) return { yes, maybe: nothing }
        }
        if (ends[i] <= candidate) {
          i = firstEndingAfter(ends, candidate, i, endOfRun) - 1
          continue
        }
        if (scope && !scope.has(i)) continue
        look.host = names[this.#events.hosts[i]] || run.host
        look.app = names[this.#events.apps[i]] || run.app
        look.bytes = bytes.subarray(start, ends[i])
        look.level = LEVELS[this.#events.levels[i]] ?? ''
        look.path = run.path
        if (query.matches(look)) yes.add(i)
      }
      firstOfRun = endOfRun
    }
    return { yes, maybe: nothing }
  }

  linesOf(events: Rows): number {
    return events.list().reduce((sum, event) => sum + this.#events.lines[event], 0)
  }

  textOf(events: Uint32Array): Texts {
    const { bytes, ends } = this.#events
    const parts: Buffer[] = []
    let end = 0
    const own = Uint32Array.from(events, event => {
      const start = event === 0 ? 0 : ends[event - 1]
      parts.push(bytes.subarray(start, ends[event]))
      end += ends[event] - start
      return end
    })
    return { bytes: Buffer.concat(parts), ends: own }
  }

  countShapes(events: Rows, count: (id: string, events: number, text: string) => void): void {
    const { bytes, ends } = this.#events
    for (const i of events.list()) {
      const shape = shapeOf(bytes.subarray(i === 0 ? 0 : ends[i - 1], ends[i]))
      count(shapeId(shape), 1, shape.toString())
    }
  }
}

/** First event of [low, high) that ends after `position`; `high` if none does. */
function firstEndingAfter(ends: Uint32Array, position: number, low: number, high: number): number {
  let from = low
  let to = high
  while (from < to) {
    const middle = (from + to) >>> 1
    if (ends[middle] <= position) from = middle + 1
    else to = middle
  }
  return from
}
