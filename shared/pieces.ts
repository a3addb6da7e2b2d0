// Consecutive events of one run, wherever they lie; and many of them as one block's events.
import type { Events, Origin, Run } from './events.ts'
import { runLabel, type SegmentEvents, type SegmentRun } from './segment-block.ts'

/** Consecutive events of one run: [first, end) in the columns, [from, to) in the source. */
export interface Piece {
  events: Events
  first: number
  end: number
  run: Run
  from: number
  to: number
  origin: Origin
}

/** @param into  at least as long as their text; the events are views of it */
export function joinPieces(pieces: Piece[], names: Map<string, number>, into: Buffer): SegmentEvents {
  const count = pieces.reduce((sum, { first, end }) => sum + end - first, 0)
  const joined = {
    runs: [] as SegmentRun[],
    bytes: joinTexts(pieces, into),
    ends: new Uint32Array(count),
    lines: new Uint16Array(count),
    times: new BigInt64Array(count),
    levels: new Uint8Array(count),
    flags: new Uint8Array(count),
    hosts: new Uint16Array(count),
    apps: new Uint16Array(count),
    names: [...names.keys()],
  }
  let at = 0
  let textAt = 0
  for (const { events, first, end, run, from, to, origin } of pieces) {
    const shift = textAt - (first === 0 ? 0 : events.ends[first - 1])
    const { ends } = events
    for (let i = first, to = at; i < end; i++, to++) joined.ends[to] = ends[i] + shift
    joined.lines.set(events.lines.subarray(first, end), at)
    joined.times.set(events.times.subarray(first, end), at)
    joined.levels.set(events.levels.subarray(first, end), at)
    joined.flags.set(events.flags.subarray(first, end), at)
    if (events.names.length > 1) {
      const numbers = events.names.map(name => names.get(name) ?? 0)
      for (let i = first; i < end; i++) {
        joined.hosts[at + i - first] = numbers[events.hosts[i]]
        joined.apps[at + i - first] = numbers[events.apps[i]]
      }
    }
    at += end - first
    textAt += to - from
    addRun(joined.runs, { ...run, from, to, events: end - first, origin })
  }
  return joined
}

/** Pieces of one packet that follow each other are one run. */
function addRun(runs: SegmentRun[], run: SegmentRun): void {
  const last = runs.at(-1)
  if (last && last.origin === run.origin && last.to === run.from && runLabel(last) === runLabel(run)) {
    last.to = run.to
    last.events += run.events
  } else runs.push(run)
}

export function textBetween(events: Events, first: number, end: number): Buffer {
  return events.bytes.subarray(first === 0 ? 0 : events.ends[first - 1], end === 0 ? 0 : events.ends[end - 1])
}

function joinTexts(pieces: Piece[], into: Buffer): Buffer {
  let at = 0
  for (const { events, first, end } of pieces) at += textBetween(events, first, end).copy(into, at)
  return into.subarray(0, at)
}
