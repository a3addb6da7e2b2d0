// Some events of many, as columns of their own: for packets that hold what matched.
import type { Events, Run } from './events.ts'

/** An event of `events`, in `run`, beginning at offset `from` of the source. */
export interface Place {
  i: number
  run: Run
  from: number
}

/** @param places in the order of the columns */
export function pickEvents(events: Events, places: Place[]): Events {
  const count = places.length
  const runs: Run[] = []
  const names: string[] = ['']
  const numbers = new Map<number, number>([[0, 0]])
  const nameOf = (number: number): number => {
    let own = numbers.get(number)
    if (own === undefined) {
      own = names.push(events.names[number]) - 1
      numbers.set(number, own)
    }
    return own
  }
  const picked: Events = {
    runs,
    bytes: Buffer.alloc(0),
    ends: new Uint32Array(count),
    lines: new Uint16Array(count),
    times: new BigInt64Array(count),
    levels: new Uint8Array(count),
    flags: new Uint8Array(count),
    hosts: new Uint16Array(count),
    apps: new Uint16Array(count),
    names,
  }
  const parts: Buffer[] = []
  // Neighbours are copied in one piece.
  let pieceFrom = 0
  let pieceTo = 0
  let end = 0
  let lastRun: Run | undefined
  places.forEach(({ i, run, from }, n) => {
    const start = i === 0 ? 0 : events.ends[i - 1]
    const length = events.ends[i] - start
    if (start !== pieceTo) {
      if (pieceTo > pieceFrom) parts.push(events.bytes.subarray(pieceFrom, pieceTo))
      pieceFrom = start
    }
    pieceTo = start + length
    end += length
    picked.ends[n] = end
    picked.lines[n] = events.lines[i]
    picked.times[n] = events.times[i]
    picked.levels[n] = events.levels[i]
    picked.flags[n] = events.flags[i]
    picked.hosts[n] = nameOf(events.hosts[i])
    picked.apps[n] = nameOf(events.apps[i])
    const open = runs.at(-1)
    if (open && lastRun === run && open.to === from) {
      open.to = from + length
      open.events++
    } else {
      const { source, host, path, app, start: runStart, parent } = run
      runs.push({
        ...{ source, host, path, app, from, to: from + length, start: runStart, events: 1 },
        ...(parent !== undefined && { parent }),
      })
      lastRun = run
    }
  })
  if (pieceTo > pieceFrom) parts.push(events.bytes.subarray(pieceFrom, pieceTo))
  picked.bytes = Buffer.concat(parts)
  return picked
}
