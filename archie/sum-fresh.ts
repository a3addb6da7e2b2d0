// Sums over fresh packets: from their columns; event by event where bytes of a source lie in two of them, or in one and in
// the index. A tailer that lost the end of its journal while no buck could tell it so cuts the same lines again, into
// other packets.
import type { FoundEvent } from '../shared/events.ts'
import type { SourceName } from '../shared/messages.ts'
import type { RangeSet } from '../shared/ranges.ts'
import { Question } from '../shared/search/question.ts'
import { sumBlock } from '../shared/search/sum-block.ts'
import { Tally } from '../shared/search/tally.ts'
import type { Damage, EventStore, SummaryRequest } from '../shared/stores.ts'
import type { FreshPacket } from './fresh-source.ts'
import { couldMatch, type FreshPackets, foundIn, once, withFresh } from './search.ts'

export type HeldRanges = Map<SourceName, RangeSet>

interface Parts {
  fresh: Pick<FreshPackets, 'load' | 'blocks'>
  index: Pick<EventStore, 'search'>
  /** What the index has of the packets' sources. */
  held: HeldRanges
}

/** @param packets  none of them is in the index; other packets with bytes of theirs may be */
export async function sumFresh(
  parts: Parts,
  packets: FreshPacket[],
  request: SummaryRequest,
  onDamage: (damage: Damage) => void,
): Promise<Tally> {
  const tally = new Tally(request)
  const question = new Question(request)
  const contested = contestedOf(packets, parts.held)
  for (const packet of packets) {
    request.signal?.throwIfAborted()
    if (contested.has(packet) || !couldMatch(packet, question)) continue
    await withFresh(parts.fresh, packet, onDamage, block => sumBlock(block, question, tally))
  }
  const events = eventsOf(parts, [...contested].sort(byPlace), request, question, onDamage)
  for await (const event of once(events)) tally.add(event)
  return tally
}

/** Those that the index does not have: equal ones in two of the packets come twice, near each other. */
async function* eventsOf(
  parts: Parts,
  packets: FreshPacket[],
  request: SummaryRequest,
  question: Question,
  onDamage: (damage: Damage) => void,
): AsyncGenerator<FoundEvent> {
  for (const packet of packets) {
    request.signal?.throwIfAborted()
    if (!couldMatch(packet, question)) continue
    const found = await withFresh(parts.fresh, packet, onDamage, block => foundIn(block, packet, question))
    const indexed = await indexedIds(parts, packet, request, onDamage)
    for (const event of found ?? []) if (!indexed.has(event.id)) yield event
  }
}

/** No more of them than a packet has events, but for other contents of the same places. */
async function indexedIds(
  { index, held }: Parts,
  { runs }: FreshPacket,
  request: SummaryRequest,
  onDamage: (damage: Damage) => void,
): Promise<Set<string>> {
  const ids = new Set<string>()
  for (const { source, from, to } of runs) {
    if (!held.get(source)?.overlaps(from, to)) continue
    const { volume: _, tops: __, onProgress: ___, ...question } = request
    const asked = { ...question, source, offsets: [from, to] as const, order: 'offset' as const }
    for await (const event of index.search(asked, onDamage)) {
      if (event.from >= to) break
      if (event.from >= from) ids.add(event.id)
    }
  }
  return ids
}

function contestedOf(packets: FreshPacket[], held: HeldRanges): Set<FreshPacket> {
  const contested = new Set<FreshPacket>()
  const runs = packets.flatMap(packet => packet.runs.map(({ source, from, to }) => ({ packet, source, from, to })))
  runs.sort((a, b) => (a.source !== b.source ? (a.source < b.source ? -1 : 1) : a.from - b.from))
  // The one that reaches furthest of those before, in the same source.
  let furthest = runs[0]
  for (const run of runs) {
    if (held.get(run.source)?.overlaps(run.from, run.to)) contested.add(run.packet)
    if (run === furthest) continue
    const isSame = run.source === furthest.source
    if (isSame && run.from < furthest.to) contested.add(run.packet).add(furthest.packet)
    if (!isSame || run.to > furthest.to) furthest = run
  }
  return contested
}

/** Packets of the same place one after the other. */
function byPlace({ runs: [a] }: FreshPacket, { runs: [b] }: FreshPacket): number {
  if (!a || !b) return (a ? 1 : 0) - (b ? 1 : 0)
  return a.source !== b.source ? (a.source < b.source ? -1 : 1) : a.from - b.from
}
