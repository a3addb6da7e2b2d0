// The host's side of core/events.ts: the columns of the events go into the codec's memory, stream 9 comes out.
import type { Events } from '../events.ts'
import {
  APPS_AT,
  ENDS_AT,
  EVENT_LISTS,
  EVENT_LISTS_AT,
  FLAGS_AT,
  GREATEST_TIME_AT,
  HOSTS_AT,
  LEAST_TIME_AT,
  LEVELS_AT,
  LINES_AT,
  LINES_TOTAL_AT,
  TIMES_AT,
} from './core/events.ts'
import { GAPS_AT, HEAD_AT, LIST_BYTES, VALUES_AT } from './core/exceptions.ts'
import type { Core } from './target.ts'

/** What was told of the events on the way, too. */
export interface EncodedEvents {
  /** Views of the codec's memory, end to end: valid until its next call. */
  parts: Uint8Array[]
  /** Of all events together. */
  lines: number
  /** Both 0 without events. */
  leastNs: bigint
  greatestNs: bigint
}

/** @param events  of the text that the core encoded last, their columns outside of its memory */
export function encodeEvents(core: Core, events: Events): EncodedEvents {
  const { times, ends, lines, hosts, apps, levels, flags } = events
  const table = core.placeEvents(ends.length)
  const { memory } = core
  const addressAt = (word: number) => new Int32Array(memory, table + word, 1)[0]
  new BigInt64Array(memory, addressAt(TIMES_AT), times.length).set(times)
  new Uint32Array(memory, addressAt(ENDS_AT), ends.length).set(ends)
  new Uint16Array(memory, addressAt(LINES_AT), lines.length).set(lines)
  new Uint16Array(memory, addressAt(HOSTS_AT), hosts.length).set(hosts)
  new Uint16Array(memory, addressAt(APPS_AT), apps.length).set(apps)
  new Uint8Array(memory, addressAt(LEVELS_AT), levels.length).set(levels)
  new Uint8Array(memory, addressAt(FLAGS_AT), flags.length).set(flags)
  core.encodeEvents()

  const parts: Uint8Array[] = []
  for (let list = 0; list < EVENT_LISTS; list++) {
    for (const piece of [HEAD_AT, GAPS_AT, VALUES_AT]) {
      const [from, end] = new Int32Array(memory, table + EVENT_LISTS_AT + list * LIST_BYTES + piece, 2)
      if (end > from) parts.push(new Uint8Array(memory, from, end - from))
    }
  }
  const [leastNs] = new BigInt64Array(memory, table + LEAST_TIME_AT, 1)
  const [greatestNs] = new BigInt64Array(memory, table + GREATEST_TIME_AT, 1)
  return { parts, lines: addressAt(LINES_TOTAL_AT) >>> 0, leastNs, greatestNs }
}
