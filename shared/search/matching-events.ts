// The events of a block that match, one after the other: for copies and erasing, which read every event of a block anyway.
// Searches look into columns instead (rows first: sought-rows.ts). Dropped lines are among them, whatever is asked.
import { LEVELS } from '../events.ts'
import type { SegmentEvents, SegmentRun } from '../segment-block.ts'
import type { Question } from './question.ts'

/** The query looks at the text of the whole block at once and names the events worth a look. */
export function* matchingEvents(
  question: Question,
  events: SegmentEvents,
): Generator<{ i: number; run: SegmentRun; from: number }> {
  const { query } = question
  const { ends, bytes, names, times, levels } = events
  const isEverything = query.isEverything
  if (!isEverything && !query.couldMatch(bytes)) return
  const look = { bytes, host: '', app: '', level: '', path: '' }
  let firstOfRun = 0
  let candidate = -1
  for (const run of events.runs) {
    const endOfRun = firstOfRun + run.events
    const runStart = firstOfRun === 0 ? 0 : ends[firstOfRun - 1]
    const isWanted = question.isRun(run)
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
      look.host = names[events.hosts[i]] || run.host
      look.app = names[events.apps[i]] || run.app
      if (!question.admits(times[i], levels[i], look.host, look.app)) continue
      if (!isEverything) {
        look.bytes = bytes.subarray(start, ends[i])
        look.level = LEVELS[levels[i]] ?? ''
        look.path = run.path
        if (!query.matches(look)) continue
      }
      yield { i, run, from: run.from + start - runStart }
    }
    firstOfRun = endOfRun
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
