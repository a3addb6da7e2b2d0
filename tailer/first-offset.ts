// Where reading begins in a file that is seen for the first time: at its beginning, at its end, or with the first line that
// is no older than some age. Lines of a log are taken to be in the order of their times; where no time is found nothing is
// skipped.
import type { OpenFile } from '../shared/world.ts'
import type { FoundFile } from './find-files.ts'
import { LineParser } from './parse/line-parser.ts'
import { readAt } from './source.ts'

/** Looked through at each place for a line with a time. */
const PROBE_BYTES = 64 * 1024

export async function firstOffset(handle: OpenFile, file: FoundFile, nowMs: number): Promise<number> {
  const { rule, stat, packed } = file
  if (rule.from === undefined || rule.from === 'beginning') return 0
  if (rule.from === 'end') return stat.size
  const notBeforeMs = nowMs - rule.from.ageMs
  if (stat.mtimeMs < notBeforeMs) return stat.size
  // A compressed file is only gone through forwards: it is read as a whole or not at all.
  if (packed !== undefined) return 0
  const parser = new LineParser({ zone: rule.zone })
  // What begins before `low` is too old, what begins behind `high` is not.
  let low = 0
  let high = stat.size
  while (high - low > 1) {
    const middle = low + Math.floor((high - low) / 2)
    const line = await timedLine(handle, parser, middle, high)
    if (line === undefined) {
      high = middle
      continue
    }
    if (line.timeMs < notBeforeMs) low = line.end
    else high = middle
  }
  // Probes see lines that begin behind them: the one at `low` itself is left.
  const first = await timedLine(handle, parser, low, stat.size, true)
  return first !== undefined && first.timeMs < notBeforeMs ? first.end : low
}

/** The first line that begins after `from` (or there), before `end`, and tells its time. */
async function timedLine(
  handle: OpenFile,
  parser: LineParser,
  from: number,
  end: number,
  isStart = false,
): Promise<{ timeMs: number; end: number } | undefined> {
  const bytes = await readAt(handle, from, Math.min(end, from + PROBE_BYTES))
  let at = isStart || from === 0 ? 0 : bytes.indexOf(0x0a) + 1
  if (at === 0 && !isStart && from > 0) return undefined
  while (at < bytes.length) {
    const newline = bytes.indexOf(0x0a, at)
    const next = newline < 0 ? bytes.length : newline + 1
    parser.parse(bytes, at, next, 0)
    if (!parser.timeIsGuessed) return { timeMs: Number(parser.timeNs / 1_000_000n), end: from + next }
    at = next
  }
  return undefined
}
