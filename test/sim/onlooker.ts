// What all bucks hold together, asked for over links as a porter does: every packet once.

import { eventBytes, walkEvents } from '../../shared/events.ts'
import type { Link } from '../../shared/link.ts'
import { type PacketId, SUM_BYTES } from '../../shared/messages.ts'
import { decodePackets, packetEvents, packetKey } from '../../shared/packet.ts'
import { type Found, noteEvent, sorted } from './checks.ts'

export async function collectFromBucks(links: Link[]): Promise<Found> {
  const found: Found = { places: new Map(), sources: new Map() }
  const seen = new Set<string>()
  for (const link of links) {
    const { body } = await link.ask('changes', { logId: '', after: 0, waitMs: 0 })
    for (const bucket of body.buckets) {
      const { tailers } = (await link.ask('inventory', { bucket })).body
      let ids = tailers.flatMap(({ tailer, runs }) =>
        runs.flatMap(({ epoch, first, sums }) =>
          Array.from({ length: sums.length / SUM_BYTES }, (_, i): PacketId => {
            const sum = sums.toString('hex', i * SUM_BYTES, (i + 1) * SUM_BYTES)
            return { tailer, epoch, sequence: first + i, sum }
          }),
        ),
      )
      ids = ids.filter(id => !seen.has(packetKey(id)))
      while (ids.length > 0) {
        const before = ids.length
        const { payload } = await link.ask('fetch', { ids }, undefined, 60_000)
        for (const packet of decodePackets(payload ?? Buffer.alloc(0))) {
          seen.add(packetKey(packet.header.id))
          const events = packetEvents(packet)
          for (const { i, run, from } of walkEvents(events)) {
            noteEvent(found, { ...run, from, bytes: eventBytes(events, i) })
          }
        }
        ids = ids.filter(id => !seen.has(packetKey(id)))
        if (ids.length === before) throw new Error(`${link.address} does not give what it lists`)
      }
    }
  }
  return sorted(found)
}
