// Search of the recent days: the index, and what the bucks hold and the index lacks, as one ordered stream without
// duplicates. Usable without HTTP (`bucktail search --data`).
//
//   fresh packets, opened when their first key comes up ─┐
//                                                        ├─▶ merge by order ─▶ once per event id ─▶ limit
//   index.search ────────────────────────────────────────┘
// The list of fresh packets is taken before the index is asked: one that is indexed in between is in both, never in none.
import { requestFilter } from '../shared/event-filter.ts'
import {
  compareFound,
  type Events,
  eventAt,
  eventBytes,
  type FoundEvent,
  LEVELS,
  walkEvents,
} from '../shared/events.ts'
import { packetEvents } from '../shared/packet.ts'
import type { Damage, EventStore, SearchRequest } from '../shared/stores.ts'
import type { FreshPacket, FreshSource } from './fresh-source.ts'

/** A search waits so long for the bucks to say what is new. */
export const REFRESH_MS_MAX = 1_500
/** Ids remembered to drop duplicates. Equal ids have equal times, or nearly: they come close to each other. */
const IDS_REMEMBERED = 200_000

export type Compare = (a: FoundEvent, b: FoundEvent) => number

export const COMPARE: Record<SearchRequest['order'], Compare> = {
  oldest: compareFound,
  newest: (a, b) => compareFound(b, a),
  offset: (a, b) => (a.source !== b.source ? (a.source < b.source ? -1 : 1) : a.from - b.from),
}

/** Index and bucks. Damage is told as it is met; what a buck could not give is told before the first event. */
export async function* searchRecent(
  parts: { index: Pick<EventStore, 'search'>; fresh: FreshSource },
  request: SearchRequest,
  onDamage: (damage: Damage) => void,
): AsyncGenerator<FoundEvent> {
  await parts.fresh.refreshWithin(REFRESH_MS_MAX)
  for (const gap of parts.fresh.gaps()) onDamage(gap)
  const fresh = searchFresh(parts.fresh, request, onDamage)
  const indexed = parts.index.search(request, onDamage)
  yield* limited(once(merge(fresh, indexed, COMPARE[request.order])), request.limit)
}

/** Only what the index lacks, in order. */
export async function* searchFresh(
  source: Pick<FreshSource, 'packets' | 'load'>,
  request: SearchRequest,
  onDamage: (damage: Damage) => void,
): AsyncGenerator<FoundEvent> {
  const compare = COMPARE[request.order]
  const matches = requestFilter(request)
  const waiting = source
    .packets()
    .filter(packet => couldMatch(packet, request))
    .map(packet => ({ packet, first: firstKey(packet, request) }))
    // The one to open next is last.
    .sort((a, b) => compare(b.first, a.first))
  // Opened packets: their matching events, the next one last.
  const open: FoundEvent[][] = []

  for (;;) {
    request.signal?.throwIfAborted()
    let best: FoundEvent[] | undefined
    for (const events of open) {
      if (best === undefined || compare(events[events.length - 1], best[best.length - 1]) < 0) best = events
    }
    const next = waiting.at(-1)
    if (next && (best === undefined || compare(next.first, best[best.length - 1]) <= 0)) {
      waiting.pop()
      const events = await matchesOf(next.packet)
      if (events.length > 0) open.push(events.sort((a, b) => compare(b, a)))
      continue
    }
    if (best === undefined) return
    yield best.pop() as FoundEvent
    if (best.length === 0) open.splice(open.indexOf(best), 1)
  }

  async function matchesOf(packet: FreshPacket): Promise<FoundEvent[]> {
    const where = `packet ${packet.id.epoch}/${packet.id.sequence} of tailer ${packet.id.tailer}`
    let events: Events
    try {
      const whole = await source.load(packet.id)
      // Indexed meanwhile and dropped here: the index was asked after this list was made, so it gives the events.
      if (whole === undefined) return []
      events = packetEvents(whole)
    } catch (error) {
      onDamage({ where, reason: (error as Error).message })
      return []
    }
    const { tailer, epoch, sequence } = packet.id
    const found: FoundEvent[] = []
    for (const { i, run, from } of walkEvents(events)) {
      if (request.source !== undefined && run.source !== request.source) continue
      const time = events.times[i]
      if (request.sinceNs !== undefined && time < request.sinceNs) continue
      if (request.untilNs !== undefined && time >= request.untilNs) continue
      const look = {
        bytes: eventBytes(events, i),
        host: events.names[events.hosts[i]] || run.host,
        app: events.names[events.apps[i]] || run.app,
        level: LEVELS[events.levels[i]],
        path: run.path,
      }
      if (matches(look))
        found.push({ ...eventAt(events, i, run, from), tailer, epoch, sequence, bucket: packet.bucket })
    }
    return found
  }
}

/** By the header and the runs alone: nothing is inflated. */
function couldMatch({ header, runs }: FreshPacket, { sinceNs, untilNs, source }: SearchRequest): boolean {
  if (sinceNs !== undefined && header.greatestNs < sinceNs) return false
  if (untilNs !== undefined && header.leastNs >= untilNs) return false
  return source === undefined || runs.some(run => run.source === source)
}

/** A key that no event of the packet comes before, in this order. */
function firstKey({ header, runs }: FreshPacket, { order }: SearchRequest): FoundEvent {
  const key = (timeNs: bigint, source: string, from: number) => ({ timeNs, source, from }) as FoundEvent
  if (order === 'oldest') return key(header.leastNs, '', 0)
  if (order === 'newest') return key(header.greatestNs, '\uffff', Number.MAX_SAFE_INTEGER)
  const keys = runs.map(run => key(0n, run.source, run.from)).sort(COMPARE.offset)
  return keys[0] ?? key(0n, '', 0)
}

async function* merge(
  a: AsyncGenerator<FoundEvent>,
  b: AsyncGenerator<FoundEvent>,
  compare: Compare,
): AsyncGenerator<FoundEvent> {
  try {
    let [nextA, nextB] = await Promise.all([a.next(), b.next()])
    while (!nextA.done || !nextB.done) {
      if (nextB.done || (!nextA.done && compare(nextA.value, nextB.value) <= 0)) {
        yield nextA.value as FoundEvent
        nextA = await a.next()
      } else {
        yield nextB.value
        nextB = await b.next()
      }
    }
  } finally {
    // The one that was not read to its end holds files open.
    await Promise.all([a.return(undefined), b.return(undefined)])
  }
}

/** Each event id once, among the last IDS_REMEMBERED. */
export async function* once(events: AsyncGenerator<FoundEvent>): AsyncGenerator<FoundEvent> {
  let current = new Set<string>()
  let former = new Set<string>()
  for await (const event of events) {
    if (current.has(event.id) || former.has(event.id)) continue
    current.add(event.id)
    if (current.size >= IDS_REMEMBERED / 2) {
      former = current
      current = new Set()
    }
    yield event
  }
}

async function* limited(events: AsyncGenerator<FoundEvent>, limit: number | undefined): AsyncGenerator<FoundEvent> {
  if (limit === undefined) return yield* events
  let left = limit
  if (left <= 0) return
  for await (const event of events) {
    yield event
    if (--left === 0) return
  }
}
