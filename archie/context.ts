// The lines around an event in its source. Searched in growing spans of time around it, because a source may be years long.
import type { FoundEvent } from '../shared/events.ts'
import { parseQuery } from '../shared/query.ts'
import type { SearchRequest } from '../shared/stores.ts'

const MINUTE_NS = 60_000_000_000n
/** Undefined: all of the source, for lines whose times jump. */
const SPANS_NS = [10n * MINUTE_NS, 24n * 60n * MINUTE_NS, undefined]

export interface Context {
  before: FoundEvent[]
  event: FoundEvent
  after: FoundEvent[]
}

/** Undefined if the text is no event id. */
export function parseEventId(id: string): { source: string; offset: number } | undefined {
  const parts = /^([0-9a-f]{1,64})-(\d{1,16})-[0-9a-f]{16}$/.exec(id)
  return parts ? { source: parts[1], offset: Number(parts[2]) } : undefined
}

/**
 * Undefined if the event is not found.
 * @param nearNs the event's time, if the caller knows it
 */
export async function contextOf(
  search: (request: SearchRequest) => AsyncGenerator<FoundEvent>,
  asked: { id: string; source: string; offset: number; before: number; after: number; nearNs?: bigint },
  signal: AbortSignal,
): Promise<Context | undefined> {
  const spans = asked.nearNs === undefined ? [undefined] : SPANS_NS
  for (const span of spans) {
    const { nearNs } = asked
    const range = span === undefined || nearNs === undefined ? {} : { sinceNs: nearNs - span, untilNs: nearNs + span }
    const everything = parseQuery('')
    const request: SearchRequest = { query: everything, source: asked.source, order: 'offset', signal, ...range }
    const context = await around(search(request), asked)
    const isWhole = context && context.before.length === asked.before && context.after.length === asked.after
    if (isWhole || span === undefined) return context
  }
  return undefined
}

async function around(
  events: AsyncGenerator<FoundEvent>,
  { id, offset, before, after }: { id: string; offset: number; before: number; after: number },
): Promise<Context | undefined> {
  let former: FoundEvent[] = []
  let context: Context | undefined
  for await (const event of events) {
    if (context) {
      if (context.after.length >= after) return context
      context.after.push(event)
      if (context.after.length >= after) return context
    } else if (event.id === id) {
      context = { before: before === 0 ? [] : former.slice(-before), event, after: [] }
      if (after === 0) return context
    } else if (event.from > offset) {
      return undefined
    } else {
      former.push(event)
      // Cut now and then, not each time: a source has millions of events.
      if (former.length > before + 1000) former = before === 0 ? [] : former.slice(-before)
    }
  }
  return context
}
