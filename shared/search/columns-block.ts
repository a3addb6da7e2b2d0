import { CorruptBlockError } from '../block.ts'
import type { ColumnsView } from '../columns/view.ts'
import { LEVELS, type Run } from '../events.ts'
import type { Needle } from '../query/needle.ts'
import type { QueryField } from '../query/syntax.ts'
import { ColumnParts } from './column-parts.ts'
import type { FieldTest, JudgedBlock } from './plan.ts'
import type { Question } from './question.ts'
import { Rows } from './rows.ts'
import type { EventFields, SearchedBlock, Texts } from './searched-block.ts'
import { ShapesOfBlock } from './shapes-of-block.ts'
import { SoughtRows } from './sought-rows.ts'
import { noneOf, type Verdict } from './verdict.ts'

/** Events where some are not one whole line each: records of several lines, pieces of a long one. */
interface Crossings {
  /** The last line that an event has bytes of. */
  lastLines: Uint32Array
  /** Events that begin or end within a line: they may lack what it has, and have words that it has not. */
  pieces: Rows
}

/** A block of columns: lines are found in them, and only those that are shown are written out. */
export class ColumnsBlock<R extends Run> implements SearchedBlock<R>, JudgedBlock {
  readonly runs: readonly R[]
  readonly names: readonly string[]
  readonly #view: ColumnsView
  #parts: ColumnParts | undefined
  #shapes: ShapesOfBlock | undefined
  #crossings: Crossings | undefined
  #areNamesChecked = false

  constructor(view: ColumnsView, runs: R[], names: string[]) {
    this.#view = view
    this.runs = runs
    this.names = names
    const events = runs.reduce((sum, run) => sum + run.events, 0)
    if (events !== view.events) throw new CorruptBlockError(`runs of ${events} events in a block of ${view.events}`)
  }

  get events(): number {
    return this.#view.events
  }

  get fields(): EventFields {
    const fields = this.#view.eventColumns
    if (!this.#areNamesChecked) {
      for (let i = 0; i < this.events; i++) {
        const isNamed = fields.hosts[i] < this.names.length && fields.apps[i] < this.names.length
        if (!isNamed || fields.levels[i] >= LEVELS.length) {
          throw new CorruptBlockError(`event ${i} names what is not in the lists`)
        }
      }
      this.#areNamesChecked = true
    }
    return fields
  }

  get ends(): Uint32Array {
    return this.#view.eventEnds
  }

  get heldBytes(): number {
    const crossings = this.#crossings ? 5 * this.events : 0
    return this.#view.heldBytes + (this.#parts?.heldBytes ?? 0) + (this.#shapes?.heldBytes ?? 0) + crossings
  }

  judge(question: Question): Verdict {
    const scope = question.scopeOf(this)
    if (scope?.isEmpty) return noneOf(this.events)
    const { yes, maybe } = question.plan.verdict(this)
    this.#view.forgetValues()
    return scope ? { yes: yes.and(scope), maybe: maybe.and(scope) } : { yes, maybe }
  }

  withText(needle: Needle): Verdict {
    this.#parts ??= new ColumnParts(this.#view)
    return this.#ofEvents(SoughtRows.find(this.#parts, needle))
  }

  withField(field: QueryField, test: FieldTest): Verdict {
    const verdict = noneOf(this.events)
    const { yes } = verdict
    const isOfRun = field === 'file' || (field !== 'level' && this.names.length <= 1)
    let from = 0
    for (const run of this.runs) {
      const to = from + run.events
      const look = { host: run.host, app: run.app, level: '', path: run.path }
      if (isOfRun) {
        if (test(look)) yes.addRange(from, to)
      } else {
        const { hosts, apps, levels } = this.fields
        for (let i = from; i < to; i++) {
          look.host = this.names[hosts[i]] || run.host
          look.app = this.names[apps[i]] || run.app
          look.level = LEVELS[levels[i]]
          if (test(look)) yes.add(i)
        }
      }
      from = to
    }
    return verdict
  }

  ofTemplate(id: string): Verdict {
    const verdict = noneOf(this.events)
    this.#eachShape(undefined, (event, shape) => {
      if (shape.id === id) verdict.yes.add(event)
    })
    return verdict
  }

  linesOf(events: Rows): number {
    if (this.#view.areEventsLines) return events.count
    const { lines } = this.fields
    return events.list().reduce((sum, event) => sum + lines[event], 0)
  }

  textOf(events: Uint32Array): Texts {
    const texts = this.#view.textOfEvents(events)
    this.#view.forgetValues()
    return texts
  }

  countShapes(events: Rows, count: (id: string, events: number, text: string) => void): void {
    const counts = new Map<{ id: string; text: string }, number>()
    this.#eachShape(events, (_, shape) => counts.set(shape, (counts.get(shape) ?? 0) + 1))
    for (const [{ id, text }, n] of counts) count(id, n, text)
  }

  #eachShape(events: Rows | undefined, each: (event: number, shape: { id: string; text: string }) => void): void {
    this.#shapes ??= new ShapesOfBlock(this.#view)
    const shapes = this.#shapes
    const areLines = this.#view.areEventsLines
    const pieces = areLines ? undefined : this.#crossed().pieces
    const { firstLines } = areLines ? { firstLines: undefined } : this.#view.eventColumns
    for (let event = 0; event < this.events; event++) {
      if (events && !events.has(event)) continue
      const number = pieces?.has(event)
        ? shapes.ofText(this.#view.textOfEvents([event]).bytes)
        : shapes.ofLine(firstLines ? firstLines[event] : event)
      each(event, shapes.shapes[number])
    }
    this.#view.forgetValues()
  }

  /** What is said of lines, said of events. */
  #ofEvents(lines: Verdict): Verdict {
    if (this.#view.areEventsLines) return lines
    const verdict = noneOf(this.events)
    const { firstLines } = this.#view.eventColumns
    const { lastLines, pieces } = this.#crossed()
    for (let event = 0; event < this.events; event++) {
      let isYes = false
      let isMaybe = false
      for (let line = firstLines[event]; line <= lastLines[event]; line++) {
        isYes ||= lines.yes.has(line)
        isMaybe ||= lines.maybe.has(line)
      }
      if (pieces.has(event)) verdict.maybe.add(event)
      else if (isYes) verdict.yes.add(event)
      else if (isMaybe) verdict.maybe.add(event)
    }
    return verdict
  }

  #crossed(): Crossings {
    if (this.#crossings) return this.#crossings
    const { firstLines, extents } = this.#view.eventColumns
    const lastLines = firstLines.slice()
    const pieces = new Rows(this.events)
    for (const [k, event] of extents.events.entries()) {
      const isPiece = extents.bytes[k] >= 0
      const last = firstLines[event] + extents.crossed[k] - (isPiece ? 0 : 1)
      lastLines[event] = Math.min(last, this.#view.lines - 1)
      if (!isPiece) continue
      pieces.add(event)
      // Its end is the beginning of the next one.
      if (event + 1 < this.events) pieces.add(event + 1)
    }
    this.#crossings = { lastLines, pieces }
    return this.#crossings
  }
}
