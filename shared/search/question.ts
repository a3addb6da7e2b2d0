// What a search asks, compiled once: of a segment, then of a block, then of its rows, the cheaper question first.
import { asksForDropped, mayHoldDropped } from '../dropped.ts'
import { pathMatcher } from '../event-filter.ts'
import { DROPPED, LEVELS, type Run } from '../events.ts'
import type { Query } from '../query.ts'
import type { RangeSet } from '../ranges.ts'
import type { TokenFilter } from '../segment-tokens.ts'
import type { EventQuestion } from '../stores.ts'
import { Plan } from './plan.ts'
import { Rows } from './rows.ts'
import type { SearchedBlock } from './searched-block.ts'

interface Bounds {
  leastNs: bigint
  greatestNs: bigint
  /** Bit i: there is an event of level i. */
  levels: number
}

export class Question {
  readonly query: Query
  readonly plan: Plan
  readonly #request: EventQuestion
  readonly #isPath: ((path: string) => boolean) | undefined
  readonly #level: number
  readonly #isDroppedShown: boolean

  constructor(request: EventQuestion) {
    this.#request = request
    this.query = request.query
    this.plan = new Plan(request.query)
    this.#isPath = request.file ? pathMatcher(request.file) : undefined
    this.#level = request.level ? LEVELS.indexOf(request.level) : -1
    this.#isDroppedShown = asksForDropped(request)
  }

  couldHold(
    summary: Bounds & {
      events: number
      hosts?: string[]
      apps?: string[]
      sources: { source: string; path: string; ranges: RangeSet }[]
    },
  ): boolean {
    const { host, app } = this.#request
    return (
      summary.events > 0 &&
      this.#couldHoldTimes(summary) &&
      this.#couldHoldLevel(summary.levels) &&
      (!host || !summary.hosts || summary.hosts.includes(host)) &&
      (!app || !summary.apps || summary.apps.includes(app)) &&
      summary.sources.some(part => this.isRun(part) && this.#reachesAny(part))
    )
  }

  couldHoldBlock(block: Bounds & { runs: readonly Run[]; names: readonly string[] }): boolean {
    return this.#couldHoldTimes(block) && this.#couldHoldLevel(block.levels) && this.couldHoldRuns(block)
  }

  couldHoldRuns({ runs, names }: { runs: readonly Run[]; names: readonly string[] }): boolean {
    const { host, app } = this.#request
    return (
      (!host || names.includes(host) || runs.some(run => run.host === host)) &&
      (!app || names.includes(app) || runs.some(run => run.app === app)) &&
      runs.some(run => this.isRun(run) && this.#reaches(run))
    )
  }

  /** False: surely no event of the block matches. */
  couldMatch(filter: TokenFilter | undefined): boolean {
    return filter === undefined || this.plan.couldMatch(filter)
  }

  couldHoldTimes({ leastNs, greatestNs }: { leastNs: bigint; greatestNs: bigint }): boolean {
    return this.#couldHoldTimes({ leastNs, greatestNs })
  }

  /** Source and path. */
  isRun({ source, path }: { source: string; path: string }): boolean {
    return (!this.#request.source || this.#request.source === source) && (!this.#isPath || this.#isPath(path))
  }

  /** What all but source, path and query lets through. */
  admits(timeNs: bigint, level: number, host: string, app: string): boolean {
    const { sinceNs, untilNs, host: wantedHost, app: wantedApp } = this.#request
    return (
      (sinceNs === undefined || timeNs >= sinceNs) &&
      (untilNs === undefined || timeNs < untilNs) &&
      (this.#level < 0 || level === this.#level) &&
      (!wantedHost || host === wantedHost) &&
      (!wantedApp || app === wantedApp)
    )
  }

  /** The events that all but the query lets through; undefined: all of them. Columns are read only where they decide. */
  scopeOf(block: SearchedBlock): Rows | undefined {
    let rows = this.#runScope(block)
    if (rows?.isEmpty) return rows
    const { sinceNs, untilNs } = this.#request
    if (sinceNs !== undefined || untilNs !== undefined) {
      const { times } = block.fields
      rows = filtered(rows, times.length, i => {
        return (sinceNs === undefined || times[i] >= sinceNs) && (untilNs === undefined || times[i] < untilNs)
      })
    }
    if (this.#level >= 0) {
      const { levels } = block.fields
      rows = filtered(rows, levels.length, i => levels[i] === this.#level)
    } else if (!this.#isDroppedShown && mayHoldDropped(block.names)) {
      const { levels } = block.fields
      rows = filtered(rows, levels.length, i => levels[i] !== DROPPED)
    }
    return rows
  }

  #runScope(block: SearchedBlock): Rows | undefined {
    const { host, app } = this.#request
    const { runs, names } = block
    const hasOwnNames = names.length > 1
    const isWhole = (run: Run) =>
      this.isRun(run) && (!host || (!hasOwnNames && run.host === host)) && (!app || (!hasOwnNames && run.app === app))
    if (runs.every(isWhole)) return undefined
    const rows = new Rows(block.events)
    let from = 0
    for (const run of runs) {
      const to = from + run.events
      if (isWhole(run)) rows.addRange(from, to)
      else if (this.isRun(run) && hasOwnNames) {
        const { hosts, apps } = block.fields
        for (let i = from; i < to; i++) {
          if ((!host || (names[hosts[i]] || run.host) === host) && (!app || (names[apps[i]] || run.app) === app)) {
            rows.add(i)
          }
        }
      }
      from = to
    }
    return rows
  }

  #reachesAny({ ranges }: { ranges: RangeSet }): boolean {
    const { source, offsets } = this.#request
    return !source || !offsets || ranges.overlaps(...offsets)
  }

  #reaches({ from, to }: Run): boolean {
    const { source, offsets } = this.#request
    return !source || !offsets || (from < offsets[1] && to > offsets[0])
  }

  #couldHoldTimes({ leastNs, greatestNs }: { leastNs: bigint; greatestNs: bigint }): boolean {
    const { sinceNs, untilNs } = this.#request
    return (sinceNs === undefined || greatestNs >= sinceNs) && (untilNs === undefined || leastNs < untilNs)
  }

  #couldHoldLevel(levels: number): boolean {
    return this.#level < 0 || (levels & (1 << this.#level)) !== 0
  }
}

function filtered(rows: Rows | undefined, size: number, isWanted: (row: number) => boolean): Rows {
  const kept = new Rows(size)
  for (let row = 0; row < size; row++) if ((!rows || rows.has(row)) && isWanted(row)) kept.add(row)
  return kept
}
