// What one call of add comes to: which packets and words are not there yet, in which span, and whether that still holds.
import type { CatalogueState } from './catalogue-state.ts'
import type { Contested } from './contested.ts'
import type { Origin } from './events.ts'
import { HeldPackets } from './held-packets.ts'
import type { Bucket, PacketId } from './messages.ts'
import { epochCount, type Packet, packetBody, packetEvents, packetKey } from './packet.ts'
import type { Piece } from './pieces.ts'
import { RangeSet } from './ranges.ts'
import { GROUP_BYTES, inflatedBytes } from './segment-batch.ts'
import { goneKey, manifestKey, type Words } from './segment-manifest.ts'
import type { TakenPacket } from './segment-writer.ts'
import type { StorePass } from './stores.ts'
import type { World } from './world.ts'

interface SpanPlan {
  /** Whose events are to be stored. */
  kept: Packet[]
  packets: HeldPackets
  words: Words
  buckets: Bucket[]
}

export interface AddPlan {
  spans: Map<number, SpanPlan>
  ids: PacketId[]
  kept: Packet[]
  packets: number
  expired: number
}

/** What of a call is not there yet, by span. */
export function planAdd(
  state: CatalogueState,
  packets: Packet[],
  words: Words,
  { spanSeconds, world }: { spanSeconds: number; world: World },
): AddPlan {
  const plan: AddPlan = { spans: new Map(), ids: [], kept: [], packets: 0, expired: 0 }
  const partOf = (bucket: Bucket) => {
    const span = Math.floor(bucket / spanSeconds) * spanSeconds
    const part = plan.spans.get(span) ?? {
      kept: [],
      packets: new HeldPackets(),
      words: { manifests: [], gone: [] },
      buckets: [],
    }
    plan.spans.set(span, part)
    part.buckets.push(bucket)
    return part
  }
  const met = new Set<string>()
  for (const packet of packets.toSorted(comparePackets)) {
    const { id, bucket } = packet.header
    const key = packetKey(id)
    if (met.has(key) || state.packets.has(id)) continue
    met.add(key)
    const part = partOf(bucket)
    part.packets.add(id)
    plan.ids.push(id)
    if (bucket < state.lowWater) {
      plan.expired++
      continue
    }
    plan.packets++
    plan.kept.push(packet)
    part.kept.push(packet)
  }
  for (const manifest of words.manifests) {
    const key = manifestKey(manifest)
    if (met.has(key) || state.wordKeys.has(key)) continue
    met.add(key)
    partOf(manifest.bucket).words.manifests.push(manifest)
  }
  for (const gone of words.gone) {
    const key = goneKey(gone)
    if (met.has(key) || state.wordKeys.has(key)) continue
    met.add(key)
    // It names no bucket: with what comes along, else with what is of now.
    const bucket = plan.spans.values().next().value?.buckets[0] ?? Math.floor(world.clock.now() / 1000)
    partOf(bucket).words.gone.push(gone)
  }
  return plan
}

/** Nobody added one of these packets, or to one of these ranges, since. */
export function isUntouched(state: CatalogueState, plannedAt: number, plan: AddPlan): boolean {
  if (state.number === plannedAt) return true
  if (plan.ids.some(id => state.packets.has(id))) return false
  if (plan.kept.some(({ header }) => header.bucket < state.lowWater)) return false
  const fresh = state.addedAfter(plannedAt)
  if (!fresh) return false
  const ranges = new Map<string, RangeSet>()
  for (const { summary } of fresh) {
    for (const part of summary?.sources ?? []) {
      const sum = ranges.get(part.source) ?? new RangeSet()
      for (const [from, to] of part.ranges) sum.add(from, to)
      ranges.set(part.source, sum)
    }
  }
  return !plan.kept.some(({ runs }) => runs.some(run => ranges.get(run.source)?.overlaps(run.from, run.to)))
}

/**
 * Events of packets, inflated a group at a time; large packets of which nothing is held as they are. Those were decoded
 * too: what is stored can be read. Throws CorruptPacketError.
 */
export async function* groupsOf(
  packets: Packet[],
  contested: Contested,
  takeOverBytes: number,
  pass: StorePass,
): AsyncGenerator<Piece[] | TakenPacket> {
  let group: Piece[] = []
  let bytes = 0
  for (const packet of packets) {
    pass.signal?.throwIfAborted()
    const { id, bucket } = packet.header
    const origin: Origin = { tailer: id.tailer, epoch: id.epoch, sequence: id.sequence, bucket }
    const events = packetEvents(packet)
    const { kind, rawBytes } = packet.header
    if (rawBytes >= takeOverBytes && events.ends.length > 0 && !contested.touches(packet)) {
      const runs = events.runs.map(run => ({ ...run, origin }))
      yield { events: { ...events, runs }, kind, body: packetBody(packet) }
      continue
    }
    let first = 0
    for (const run of events.runs) {
      const end = first + run.events
      group.push(...contested.pieces({ events, first, end, run, from: run.from, to: run.to, origin }))
      first = end
    }
    bytes += inflatedBytes(packet.header)
    if (bytes < GROUP_BYTES) continue
    yield group
    group = []
    bytes = 0
  }
  yield group
}

/** So that of equal events the one sent first stays, and a source's offsets come in order. */
function comparePackets({ header: { id: a } }: Packet, { header: { id: b } }: Packet): number {
  if (a.tailer !== b.tailer) return a.tailer < b.tailer ? -1 : 1
  return (
    epochCount(a.epoch) - epochCount(b.epoch) ||
    (a.epoch < b.epoch ? -1 : a.epoch > b.epoch ? 1 : 0) ||
    a.sequence - b.sequence
  )
}
