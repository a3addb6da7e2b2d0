// How much and of what kind, over the recent days: the index's sums, and those of what the bucks hold and the index lacks.
//
//   fresh packets now ▸ which of them does the index lack? ▸ its sums ▸ and now? ─ the same ─▶ its sums + those packets'
//                      └──────────────── not the same: the porter was at work; once more ◀┘
// A packet that the index lacked before and after is in none of its sums; one that it had before is in all of them. Lines of
// it may all the same be there, from another packet: which of its sources' bytes the index has is asked too (sum-fresh.ts).
import { packetKey } from '../shared/packet.ts'
import { Tally } from '../shared/search/tally.ts'
import type { Damage, EventStore, Summary, SummaryRequest } from '../shared/stores.ts'
import type { FreshPacket, FreshSource } from './fresh-source.ts'
import { REFRESH_MS_MAX } from './search.ts'
import { sumFresh } from './sum-fresh.ts'

/** A porter at work adds about once a second. After so many tries a packet may be counted twice or not at all. */
const TRIES_MAX = 4

export async function summariseRecent(
  parts: { index: Pick<EventStore, 'summarise' | 'lacking' | 'rangesOf' | 'search'>; fresh: FreshSource },
  request: SummaryRequest,
  onDamage: (damage: Damage) => void,
): Promise<Summary> {
  await parts.fresh.refreshWithin(REFRESH_MS_MAX)
  for (const gap of parts.fresh.gaps()) onDamage(gap)
  let lacking = await lackingOf(parts.index, parts.fresh.packets())
  for (let tries = 1; ; tries++) {
    const held = await parts.index.rangesOf(new Set(lacking.flatMap(({ runs }) => runs.map(run => run.source))))
    const indexed = await parts.index.summarise(request, onDamage)
    const stillLacking = await lackingOf(parts.index, lacking)
    const isExact = stillLacking.length === lacking.length
    lacking = stillLacking
    if (!isExact && tries < TRIES_MAX) continue
    const tally = new Tally(request)
    tally.merge(indexed)
    tally.isComplete &&= isExact
    // What the index cannot rank is not ranked for the last seconds only.
    const tops = request.tops?.filter(field => indexed.tops[field] !== undefined)
    tally.merge((await sumFresh({ ...parts, held }, lacking, { ...request, tops }, onDamage)).result())
    const sum = tally.result()
    for (const field of request.tops ?? []) if (indexed.tops[field] === undefined) delete sum.tops[field]
    return sum
  }
}

async function lackingOf(index: Pick<EventStore, 'lacking'>, packets: FreshPacket[]): Promise<FreshPacket[]> {
  if (packets.length === 0) return packets
  const lacking = new Set((await index.lacking(packets.map(({ id }) => id))).map(packetKey))
  return packets.filter(({ id }) => lacking.has(packetKey(id)))
}
