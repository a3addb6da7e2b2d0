// Found events as columns again: for a packet that takes them into another store.
import { type Events, type FoundEvent, flagsOf, LEVELS, type Origin, type Run } from './events.ts'
import type { SourceTotals } from './stores.ts'

/** A packet is cut at this, like a tailer's. */
export const PACKET_TEXT_BYTES = 1024 * 1024
export const PACKET_EVENTS_MAX = 32_768

export function originOf(event: FoundEvent): Origin | undefined {
  const { tailer, epoch, sequence, bucket } = event
  if (tailer === undefined || epoch === undefined || sequence === undefined || bucket === undefined) return undefined
  return { tailer, epoch, sequence, bucket }
}

export function isSameOrigin(a: Origin, b: Origin): boolean {
  return a.sequence === b.sequence && a.epoch === b.epoch && a.tailer === b.tailer && a.bucket === b.bucket
}

/** Columns of events of one source, in order of offset. */
export function eventsOf(source: Labels, found: FoundEvent[]): Events {
  const runs: Run[] = []
  const names: string[] = ['']
  const numbers = new Map<string, number>()
  const nameOf = (name: string, own: string): number => {
    if (name === own) return 0
    let number = numbers.get(name)
    if (number === undefined) {
      number = names.push(name) - 1
      numbers.set(name, number)
    }
    return number
  }
  const events: Events = {
    runs,
    bytes: Buffer.concat(found.map(event => event.bytes)),
    ends: new Uint32Array(found.length),
    lines: Uint16Array.from(found, event => event.lines),
    times: BigInt64Array.from(found, event => event.timeNs),
    levels: Uint8Array.from(found, event => LEVELS.indexOf(event.level)),
    flags: Uint8Array.from(found, flagsOf),
    hosts: Uint16Array.from(found, event => nameOf(event.host, source.host)),
    apps: Uint16Array.from(found, event => nameOf(event.app, source.app)),
    names,
  }
  let end = 0
  found.forEach((event, i) => {
    end += event.bytes.length
    events.ends[i] = end
    const run = runs.at(-1)
    if (run && run.to === event.from && run.path === event.path) {
      run.to = event.to
      run.events++
    } else {
      const { host, app, start, parent } = source
      const { from, to, path } = event
      runs.push({
        ...{ source: source.source, host, path, app, from, to, start, events: 1 },
        ...(parent !== undefined && { parent }),
      })
    }
  })
  return events
}

export type Labels = Pick<SourceTotals, 'source' | 'host' | 'app' | 'start' | 'parent'>
