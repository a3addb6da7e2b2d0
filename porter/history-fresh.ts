// What the bucks have and the archive lacks, once each, for a history: read-only, beside the porter's own rounds.
//
//   dial every buck ─▶ its buckets ─▶ inventories ─▶ union by id and sum ─▶ what the archive lacks ─▶ fetch each once
import { type Dialer, LinkLostError } from '../shared/link.ts'
import type { Bucket, PacketId } from '../shared/messages.ts'
import { type Packet, packetKey } from '../shared/packet.ts'
import type { EventStore } from '../shared/stores.ts'
import type { World } from '../shared/world.ts'
import { BuckView } from './buck-view.ts'
import { fetchOnce, type Need } from './fetch.ts'
import { type OpenInventory, openInventory } from './inventory.ts'
import { Troubles } from './troubles.ts'

/** Buckets compared at a time: bounds the ids in memory. */
const BUCKETS_AT_ONCE = 64
const ASK_MS = 30_000

export interface FreshParts {
  dialer: Dialer
  bucks: string[]
  archive: Pick<EventStore, 'lacking'>
  world: Pick<World, 'clock' | 'random' | 'log'>
}

/**
 * @param onGap   a buck that could not be asked, packets that could not be had: lines may be missing because of it
 * @param onInventory  what one buck has of one bucket, archived or not
 */
export async function* freshPackets(
  { dialer, bucks, archive, world }: FreshParts,
  onGap: (sentence: string) => void,
  onInventory: (inventory: Pick<OpenInventory, 'ids' | 'manifests' | 'gone'>) => void,
  signal: AbortSignal,
): AsyncGenerator<Packet[]> {
  const views: BuckView[] = []
  const buckets = new Map<Bucket, BuckView[]>()
  try {
    for (const address of new Set(bucks)) {
      const view = new BuckView(address)
      try {
        view.link = await dialer.dial(address)
        views.push(view)
        view.link.serve(async type => {
          if (type === 'ping') return { body: {} as never }
          throw new LinkLostError(`a history answers no ${type}`)
        })
        const { body } = await view.link.ask('changes', { logId: '', after: 0, waitMs: 0 }, undefined, ASK_MS)
        for (const bucket of body.buckets) buckets.set(bucket, [...(buckets.get(bucket) ?? []), view])
      } catch (error) {
        onGap(`buck ${address}: ${(error as Error).message}: lines that only it has are missing`)
      }
    }
    const troubles = new Troubles(world)
    const order = [...buckets.keys()].sort((a, b) => a - b)
    for (let at = 0; at < order.length; at += BUCKETS_AT_ONCE) {
      signal.throwIfAborted()
      const located = new Map<string, { id: PacketId; holders: BuckView[] }>()
      for (const bucket of order.slice(at, at + BUCKETS_AT_ONCE)) {
        for (const view of buckets.get(bucket) ?? []) {
          try {
            if (!view.link) throw new LinkLostError('the link is gone')
            const inventory = await openInventory(view.link, bucket)
            onInventory(inventory)
            for (const id of inventory.ids) {
              const known = located.get(packetKey(id))
              if (known) known.holders.push(view)
              else located.set(packetKey(id), { id, holders: [view] })
            }
          } catch (error) {
            onGap(`bucket ${bucket} of buck ${view.address}: ${(error as Error).message}`)
          }
        }
      }
      const lacking = new Set((await archive.lacking([...located.values()].map(({ id }) => id))).map(packetKey))
      const needs: Need[] = []
      for (const [key, { id, holders }] of located) if (lacking.has(key)) needs.push({ id, key, holders: [...holders] })
      const failed: Need[] = []
      yield* fetchOnce(needs, failed, { world, troubles }, signal)
      // Archived meanwhile and dropped: then the archive gives them.
      const lost = await archive.lacking(failed.map(({ id }) => id))
      if (lost.length > 0) onGap(`${lost.length} packets that no buck could give now`)
    }
  } finally {
    for (const view of views) view.link?.close('history read')
  }
}
