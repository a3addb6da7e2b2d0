// Events on their way between threads: their text in one buffer that changes hands without being copied, the rest in
// columns. A copy of each event by itself would take longer than finding it.
import type { FoundEvent } from '../events.ts'

export interface EventBatch {
  /** Event i is bytes [ends[i - 1], ends[i]). */
  bytes: Uint8Array<ArrayBuffer>
  ends: Uint32Array<ArrayBuffer>
  times: BigInt64Array<ArrayBuffer>
  froms: Float64Array<ArrayBuffer>
  lines: Uint16Array<ArrayBuffer>
  /** Of each event, which of `kinds` it is. */
  kindOf: Uint16Array<ArrayBuffer>
  /** What most events of a batch have in common. */
  kinds: Kind[]
  /** The last 16 characters of the ids, end to end. */
  hashes: string
}

type Kind = Omit<FoundEvent, 'id' | 'timeNs' | 'from' | 'to' | 'lines' | 'bytes'>

const HASH_CHARACTERS = 16
/** `kindOf` has 16 bits. */
export const BATCH_EVENTS_MAX = 512

export function packBatch(events: FoundEvent[]): { batch: EventBatch; transfer: ArrayBuffer[] } {
  const count = events.length
  const batch: EventBatch = {
    bytes: new Uint8Array(events.reduce((sum, event) => sum + event.bytes.length, 0)),
    ends: new Uint32Array(count),
    times: new BigInt64Array(count),
    froms: new Float64Array(count),
    lines: new Uint16Array(count),
    kindOf: new Uint16Array(count),
    kinds: [],
    hashes: '',
  }
  const numbers = new Map<string, number>()
  let end = 0
  for (const [i, event] of events.entries()) {
    const { id, timeNs, from, to: _, lines, bytes, ...kind } = event
    batch.bytes.set(bytes, end)
    batch.ends[i] = end += bytes.length
    batch.times[i] = timeNs
    batch.froms[i] = from
    batch.lines[i] = lines
    batch.hashes += id.slice(-HASH_CHARACTERS)
    const key = JSON.stringify(kind)
    let number = numbers.get(key)
    if (number === undefined) {
      number = batch.kinds.push(kind) - 1
      numbers.set(key, number)
    }
    batch.kindOf[i] = number
  }
  const transfer = [batch.bytes, batch.ends, batch.times, batch.froms, batch.lines, batch.kindOf].map(
    ({ buffer }) => buffer,
  )
  return { batch, transfer }
}

export function unpackBatch(batch: EventBatch): FoundEvent[] {
  const text = Buffer.from(batch.bytes.buffer, batch.bytes.byteOffset, batch.bytes.byteLength)
  const events: FoundEvent[] = new Array(batch.ends.length)
  let start = 0
  for (let i = 0; i < events.length; i++) {
    const kind = batch.kinds[batch.kindOf[i]]
    const from = batch.froms[i]
    const bytes = text.subarray(start, batch.ends[i])
    start = batch.ends[i]
    const hash = batch.hashes.slice(i * HASH_CHARACTERS, (i + 1) * HASH_CHARACTERS)
    events[i] = {
      ...kind,
      id: `${kind.source}-${from}-${hash}`,
      timeNs: batch.times[i],
      from,
      to: from + bytes.length,
      lines: batch.lines[i],
      bytes,
    }
  }
  return events
}
