// The lines around an event in its source. A source may be years long, so only those of its bytes are looked at in which so
// many events must lie; only where some are missing there (a hole, an end) is the rest of that side looked at too.
import { EVENT_BYTES_MAX, type FoundEvent } from '../shared/events.ts'
import { parseQuery } from '../shared/query.ts'
import type { Range } from '../shared/ranges.ts'
import type { SearchRequest } from '../shared/stores.ts'

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

/** Undefined if the event is not found. */
export async function contextOf(
  search: (request: SearchRequest) => AsyncGenerator<FoundEvent>,
  asked: { id: string; source: string; offset: number; before: number; after: number },
  signal: AbortSignal,
): Promise<Context | undefined> {
  const { source, offset, before, after } = asked
  const query = parseQuery('')
  const within = (offsets: Range) => around(search({ query, source, offsets, order: 'offset', signal }), asked)
  const from = Math.max(0, offset - before * EVENT_BYTES_MAX)
  const to = offset + (after + 1) * EVENT_BYTES_MAX
  const context = await within([from, to])
  if (!context) return undefined
  const lacksBefore = context.before.length < before && from > 0
  const lacksAfter = context.after.length < after
  if (!lacksBefore && !lacksAfter) return context
  return (await within([lacksBefore ? 0 : from, lacksAfter ? Number.MAX_SAFE_INTEGER : to])) ?? context
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
