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

/** @param events  of the text that the core encoded last; columns of theirs may lie in its memory already, behind the streams */
export function encodeEvents(core: Core, events: Events): EncodedEvents {
  const { times, ends, lines, hosts, apps, levels, flags } = events
  const columns = { [TIMES_AT]: times, [ENDS_AT]: ends, [LINES_AT]: lines, [HOSTS_AT]: hosts, [APPS_AT]: apps }
  const all = Object.entries({ ...columns, [LEVELS_AT]: levels, [FLAGS_AT]: flags }).map(([word, column]) => {
    const { buffer, byteOffset, byteLength } = column
    return { word: Number(word), column, address: buffer === core.memory ? byteOffset : undefined, byteLength }
  })
  // Before the memory can grow, which voids all views of it.
  const keptEnd = Math.max(
    0,
    ...all.map(({ address, byteLength }) => (address === undefined ? 0 : address + byteLength)),
  )
  const count = ends.length
  const table = core.placeEvents(count, keptEnd)
  const { memory } = core
  const bytes = new Uint8Array(memory)
  const words = new Int32Array(memory)
  for (const { word, column, address } of all) {
    if (address !== undefined) words[(table + word) >> 2] = address
    else bytes.set(new Uint8Array(column.buffer, column.byteOffset, column.byteLength), words[(table + word) >> 2])
  }
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
  return { parts, lines: words[(table + LINES_TOTAL_AT) >> 2] >>> 0, leastNs, greatestNs }
}
