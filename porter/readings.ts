// What the bucks say they have of some buckets, and where each packet can be fetched.
import type { Bucket, PacketId } from '../shared/messages.ts'
import { packetKey } from '../shared/packet.ts'
import { RangeSet } from '../shared/ranges.ts'
import type { Release } from '../shared/releases.ts'
import type { World } from '../shared/world.ts'
import type { BuckView } from './buck-view.ts'
import { epochKey, openInventory } from './inventory.ts'
import type { Troubles } from './troubles.ts'
import type { SignedWords, Words } from './words.ts'

/** Inventories asked for at a time: keeps the answers waiting in memory few. */
const INVENTORIES_AT_ONCE = 24

export interface Errand {
  bucket: Bucket
  forIndex: boolean
  forArchive: boolean
}

export interface Reading {
  view: BuckView
  errand: Errand
  version: number
  ids: PacketId[]
  words: SignedWords
  /** Of the buck's log, when the inventory was read. */
  logId: string
  number: number
}

export interface Located {
  id: PacketId
  bucket: Bucket
  holders: BuckView[]
}

export interface ReadingParts {
  /** All reachable bucks. */
  reachable(): BuckView[]
  words: Words
  troubles: Troubles
  world: Pick<World, 'clock'>
}

/** Of all bucks that can be reached; those that cannot be asked are named, and asked again later. */
export async function readInventories(parts: ReadingParts, errands: Errand[]): Promise<Reading[]> {
  const { troubles, words, world } = parts
  const asks = errands.flatMap(errand =>
    parts.reachable().flatMap(view => {
      const growth = view.buckets.get(errand.bucket)
      return growth ? [{ view, errand, version: growth.version }] : []
    }),
  )
  const readings: Reading[] = []
  for (let at = 0; at < asks.length; at += INVENTORIES_AT_ONCE) {
    const batch = asks.slice(at, at + INVENTORIES_AT_ONCE)
    await Promise.all(
      batch.map(async ({ view, errand, version }) => {
        const { link, address, logId } = view
        const cause = `inventory of ${address} not read`
        try {
          if (!link) throw new Error('the link is gone')
          const inventory = await openInventory(link, errand.bucket)
          // Another life of the buck: what it said belongs to beliefs that are void by now.
          if (view.logId !== logId) return
          troubles.clear(cause)
          if (!isBelieved(troubles, view, errand.bucket, inventory.ids)) return
          const { ids, number } = inventory
          readings.push({ view, errand, version, ids, logId, number, words: words.genuine(inventory, address) })
        } catch (error) {
          troubles.note(cause, error)
          view.failed(errand.bucket, world.clock.monotonic())
        }
      }),
    )
  }
  return readings
}

/** False: the buck has less than before and not because it may; everything about it is asked anew. */
function isBelieved(troubles: Troubles, view: BuckView, bucket: Bucket, ids: PacketId[]): boolean {
  const growth = view.buckets.get(bucket)
  if (growth && growth.archived === 0 && ids.length < growth.packets) {
    troubles.note(
      `buck ${view.address} lost packets while it ran`,
      new Error(`bucket ${bucket} had ${growth.packets} packets and has ${ids.length}: its inventories are read again`),
    )
    view.forget()
    return false
  }
  if (growth) {
    growth.packets = ids.length
    growth.isRead = true
  }
  for (const id of ids) view.hold(epochKey(id), id.sequence, 1)
  return true
}

/** What the manifests say of the buckets: packets are not fetched for it. */
export function rangesOf(readings: Reading[]): Release['sources'] {
  const sources = new Map<string, { source: string; host: string; path: string; start: number; ranges: RangeSet }>()
  for (const { words, errand } of readings) {
    for (const manifest of words.manifests) {
      if (manifest.bucket !== errand.bucket) continue
      for (const { source, host, path, start, from, to } of manifest.sources) {
        const known = sources.get(source) ?? { source, host, path, start, ranges: new RangeSet() }
        sources.set(source, known)
        known.ranges.add(from, to)
      }
    }
  }
  return [...sources.values()].map(part => ({ ...part, ranges: [...part.ranges] }))
}

/** Every packet once, with all that have it. */
export function union(readings: Reading[]): Map<string, Located> {
  const located = new Map<string, Located>()
  for (const { view, errand, ids } of readings) {
    for (const id of ids) {
      const key = packetKey(id)
      const known = located.get(key)
      if (known) known.holders.push(view)
      else located.set(key, { id, bucket: errand.bucket, holders: [view] })
    }
  }
  return located
}
