// What of a search can be asked of a segment, then of a block, then of an event: the cheaper question first.
import { pathMatcher } from './event-filter.ts'
import { LEVELS } from './events.ts'
import type { SegmentBlock, SegmentEvents, SegmentRun } from './segment-block.ts'
import type { SegmentSummary } from './segment-manifest.ts'
import type { EventQuestion } from './stores.ts'

export class SegmentFilter {
  readonly #request: EventQuestion
  readonly #isPath: ((path: string) => boolean) | undefined
  readonly #level: number

  constructor(request: EventQuestion) {
    this.#request = request
    this.#isPath = request.file ? pathMatcher(request.file) : undefined
    this.#level = request.level ? LEVELS.indexOf(request.level) : -1
  }

  couldHold(summary: SegmentSummary): boolean {
    const { host, app } = this.#request
    return (
      summary.events > 0 &&
      this.#couldHoldTimes(summary) &&
      this.#couldHoldLevel(summary.levels) &&
      (!host || !summary.hosts || summary.hosts.includes(host)) &&
      (!app || !summary.apps || summary.apps.includes(app)) &&
      summary.sources.some(part => this.#isRun(part))
    )
  }

  couldHoldBlock(block: SegmentBlock): boolean {
    const { host, app } = this.#request
    return (
      this.#couldHoldTimes(block) &&
      this.#couldHoldLevel(block.levels) &&
      (!host || block.names.includes(host) || block.runs.some(run => run.host === host)) &&
      (!app || block.names.includes(app) || block.runs.some(run => run.app === app)) &&
      block.runs.some(run => this.#isRun(run))
    )
  }

  /** The query looks at the text of the whole block at once and names the events worth a look. */
  *matches(events: SegmentEvents): Generator<{ i: number; run: SegmentRun; from: number }> {
    const { query, sinceNs, untilNs, host, app } = this.#request
    const { ends, bytes, names } = events
    const isEverything = query.isEverything
    if (!isEverything && !query.couldMatch(bytes)) return
    const look = { bytes, host: '', app: '', level: '', path: '' }
    let firstOfRun = 0
    let candidate = -1
    for (const run of events.runs) {
      const endOfRun = firstOfRun + run.events
      const runStart = firstOfRun === 0 ? 0 : ends[firstOfRun - 1]
      const isWanted = this.#isRun(run)
      for (let i = firstOfRun; isWanted && i < endOfRun; i++) {
        const start = i === 0 ? 0 : ends[i - 1]
        if (!isEverything) {
          if (candidate < start) {
            candidate = query.nextCandidate(bytes, start)
            if (candidate < 0) return
          }
          if (ends[i] <= candidate) {
            i = firstEndingAfter(ends, candidate, i, endOfRun) - 1
            continue
          }
        }
        const timeNs = events.times[i]
        if (sinceNs !== undefined && timeNs < sinceNs) continue
        if (untilNs !== undefined && timeNs >= untilNs) continue
        if (this.#level >= 0 && events.levels[i] !== this.#level) continue
        look.host = names[events.hosts[i]] || run.host
        look.app = names[events.apps[i]] || run.app
        if ((host && look.host !== host) || (app && look.app !== app)) continue
        if (!isEverything) {
          look.bytes = bytes.subarray(start, ends[i])
          look.level = LEVELS[events.levels[i]] ?? ''
          look.path = run.path
          if (!query.matches(look)) continue
        }
        yield { i, run, from: run.from + start - runStart }
      }
      firstOfRun = endOfRun
    }
  }

  #isRun({ source, path }: { source: string; path: string }): boolean {
    return (!this.#request.source || this.#request.source === source) && (!this.#isPath || this.#isPath(path))
  }

  #couldHoldTimes({ leastNs, greatestNs }: { leastNs: bigint; greatestNs: bigint }): boolean {
    const { sinceNs, untilNs } = this.#request
    return (sinceNs === undefined || greatestNs >= sinceNs) && (untilNs === undefined || leastNs < untilNs)
  }

  #couldHoldLevel(levels: number): boolean {
    return this.#level < 0 || (levels & (1 << this.#level)) !== 0
  }
}

/** First event of [low, high) that ends after `position`; `high` if none does. */
function firstEndingAfter(ends: Uint32Array, position: number, low: number, high: number): number {
  while (low < high) {
    const middle = (low + high) >>> 1
    if (ends[middle] <= position) low = middle + 1
    else high = middle
  }
  return low
}
