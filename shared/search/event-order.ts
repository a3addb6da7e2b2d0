// The orders that a search can give events in, and the merge of several streams that are each in that order.
import { compareFound, type FoundEvent } from '../events.ts'
import type { SearchRequest } from '../stores.ts'

export type Compare = (a: FoundEvent, b: FoundEvent) => number

export const COMPARE: Record<SearchRequest['order'], Compare> = {
  oldest: compareFound,
  newest: (a, b) => compareFound(b, a),
  offset: (a, b) => (a.source !== b.source ? (a.source < b.source ? -1 : 1) : a.from - b.from),
}

/** As COMPARE, and of several contents of one place the one with the smaller bytes first, from the end if `newest`. */
export function compareWhole(order: SearchRequest['order']): Compare {
  const compare = COMPARE[order]
  const direction = order === 'newest' ? -1 : 1
  return (a, b) => compare(a, b) || direction * Buffer.compare(a.bytes, b.bytes)
}

/** A stream that need not be begun before an event that comes at `first` could be next. */
export interface LaterStream {
  first: FoundEvent
  open(): AsyncGenerator<FoundEvent>
}

/** A key that no event of this time comes before. */
export function firstOf(timeNs: bigint, order: 'oldest' | 'newest'): FoundEvent {
  const place = order === 'oldest' ? { source: '', from: -1 } : { source: '\uffff', from: Number.MAX_SAFE_INTEGER }
  return { ...place, timeNs, bytes: Buffer.alloc(0) } as FoundEvent
}

/** Of equal events, that of the earlier stream comes first. Streams are ended when the merge is, however it ends. */
export async function* mergeOrdered(
  streams: (AsyncGenerator<FoundEvent> | LaterStream)[],
  compare: Compare,
): AsyncGenerator<FoundEvent> {
  const opened = streams.map(stream => ('open' in stream ? undefined : stream))
  try {
    const heads = await Promise.all(
      streams.map((stream, k) => opened[k]?.next() ?? { done: false, value: (stream as LaterStream).first }),
    )
    for (;;) {
      let least = -1
      for (const [k, head] of heads.entries()) {
        if (!head.done && (least < 0 || compare(head.value, heads[least].value as FoundEvent) < 0)) least = k
      }
      if (least < 0) return
      const stream = opened[least]
      if (stream) yield heads[least].value as FoundEvent
      else opened[least] = (streams[least] as LaterStream).open()
      heads[least] = await opened[least]!.next()
    }
  } finally {
    // One that was not read to its end holds files open, or a thread at work.
    await Promise.all(opened.map(stream => stream?.return(undefined)))
  }
}
