// Events out of one store into packets for the other: when no buck has a packet any more, the archive takes its events
// from the index (protocol.md, story 6), and an index that was emptied is filled from the archive.
//
// The bytes of the first packet are gone with the bucks. The copy keeps tailer, epoch, sequence and bucket of the events'
// origin and gets the sum of its own bytes, mostly another one: one id with two sums is two packets, which every store
// takes as such, and should the first turn up again, its events are there already, by identity.
import type { FoundEvent, Origin } from '../shared/events.ts'
import {
  eventsOf,
  isSameOrigin,
  type Labels,
  originOf,
  PACKET_EVENTS_MAX,
  PACKET_TEXT_BYTES,
} from '../shared/found-packets.ts'
import type { SourceName } from '../shared/messages.ts'
import { encodePacket, type Packet } from '../shared/packet.ts'
import { parseQuery } from '../shared/query.ts'
import type { RangeSet } from '../shared/ranges.ts'
import type { Damage, EventQuestion, EventStore, SourceTotals } from '../shared/stores.ts'

export interface CopyRequest {
  /** Every source to look at, with the ranges to copy. */
  sources: Gap[]
  /** Which events; the origin is known. */
  isWanted(origin: Origin, event: FoundEvent): boolean
  signal: AbortSignal
  onDamage(damage: Damage): void
}

/** Packets in order of source and offset; the same events give the same packets, whoever copies. */
export async function* copyOf(store: EventStore, request: CopyRequest): AsyncGenerator<Packet> {
  const query = parseQuery('')
  for (const { totals, ranges } of request.sources) {
    let group: { origin: Origin; events: FoundEvent[]; bytes: number } | undefined
    const search = {
      ...{ query, source: totals.source, withDropped: true, order: 'offset' as const },
      signal: request.signal,
    }
    for await (const event of store.search(search, request.onDamage)) {
      if (request.signal.aborted) return
      const origin = originOf(event)
      if (!origin || !ranges.overlaps(event.from, event.to) || !request.isWanted(origin, event)) continue
      const isFull = group && (group.bytes >= PACKET_TEXT_BYTES || group.events.length >= PACKET_EVENTS_MAX)
      if (group && (isFull || !isSameOrigin(group.origin, origin))) {
        yield encodePacket(group.origin, eventsOf(totals, group.events))
        group = undefined
      }
      group ??= { origin, events: [], bytes: 0 }
      group.events.push(event)
      group.bytes += event.bytes.length
    }
    if (group) yield encodePacket(group.origin, eventsOf(totals, group.events))
  }
}

/** Everything that matches, of a store that has nothing better than its search. */
export async function* searchedPackets(
  store: EventStore,
  question: EventQuestion,
  onDamage: (damage: Damage) => void,
): AsyncGenerator<Packet[]> {
  const known = new Map((await store.totals()).map(totals => [totals.source, totals]))
  let group: { origin: Origin; totals: Labels; events: FoundEvent[]; bytes: number } | undefined
  for await (const event of store.search({ ...question, withDropped: true, order: 'offset' }, onDamage)) {
    const origin = originOf(event)
    if (!origin) {
      onDamage({ where: event.id, reason: 'its origin (tailer, epoch, sequence) is not known: it cannot be copied' })
      continue
    }
    const isFull = group && (group.bytes >= PACKET_TEXT_BYTES || group.events.length >= PACKET_EVENTS_MAX)
    if (group && (isFull || group.totals.source !== event.source || !isSameOrigin(group.origin, origin))) {
      yield [encodePacket(group.origin, eventsOf(group.totals, group.events))]
      group = undefined
    }
    const { source, host, app } = event
    group ??= { origin, totals: known.get(source) ?? { source, host, app, start: 0 }, events: [], bytes: 0 }
    group.events.push(event)
    group.bytes += event.bytes.length
  }
  if (group) yield [encodePacket(group.origin, eventsOf(group.totals, group.events))]
}

export interface Gap {
  totals: SourceTotals
  ranges: RangeSet
}

/**
 * Per source, the ranges that `full` has and `short` lacks. Where `full` holds two contents of one range (bytes over
 * ranges), ranges cannot tell what `short` lacks: then all of it is looked at, and identity decides.
 */
export function rangesLacking(full: SourceTotals[], short: SourceTotals[]): Gap[] {
  const shortOf = new Map<SourceName, SourceTotals>(short.map(totals => [totals.source, totals]))
  return full.flatMap(totals => {
    const other = shortOf.get(totals.source)
    const isTwofold = totals.bytes > totals.ranges.total && totals.bytes !== other?.bytes
    const ranges = other && !isTwofold ? totals.ranges.without(other.ranges) : totals.ranges
    return ranges.size > 0 ? [{ totals, ranges }] : []
  })
}
