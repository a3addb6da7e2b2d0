// What a round of the porter would take now, without taking it: inventories of all bucks ▸ union ▸ what the stores lack.
// Reads only; needs no lease, and a porter may be at work meanwhile.
import type { Dialer, Link } from '../shared/link.ts'
import { LinkLostError } from '../shared/link.ts'
import type { Bucket, PacketId } from '../shared/messages.ts'
import { packetKey } from '../shared/packet.ts'
import { manifestKey } from '../shared/segment-manifest.ts'
import type { EventStore } from '../shared/stores.ts'
import { epochKey, openInventory } from './inventory.ts'

const ASK_MS = 30_000

export interface PreviewParts {
  dialer: Dialer
  bucks: string[]
  index: Pick<EventStore, 'lacking'>
  archive: Pick<EventStore, 'lacking'>
  isExcluded(bucket: Bucket): boolean
}

export interface BucketPreview {
  bucket: Bucket
  tailers: number
  /** Different ones, whoever holds them. */
  packets: number
  /** Held by one buck only. */
  heldOnce: number
  toIndex: number
  toArchive: number
  /** Of text, by the manifests; a lower bound where a tailer's is not there yet. */
  bytes: number
  isByManifests: boolean
  isExcluded: boolean
}

export interface Preview {
  buckets: BucketPreview[]
  /** Bucks that could not be asked, with the reason: what only they have is not counted. */
  gaps: string[]
}

export async function preview({ dialer, bucks, index, archive, isExcluded }: PreviewParts): Promise<Preview> {
  const gaps: string[] = []
  const links: { address: string; link: Link; buckets: Set<Bucket> }[] = []
  try {
    for (const address of new Set(bucks)) {
      try {
        const link = await dialer.dial(address)
        link.serve(async type => {
          if (type === 'ping') return { body: {} as never }
          throw new LinkLostError(`a preview answers no ${type}`)
        })
        const { body } = await link.ask('changes', { logId: '', after: 0, waitMs: 0 }, undefined, ASK_MS)
        links.push({ address, link, buckets: new Set(body.buckets) })
      } catch (error) {
        gaps.push(`buck ${address}: ${(error as Error).message}`)
      }
    }
    const order = [...new Set(links.flatMap(({ buckets }) => [...buckets]))].sort((a, b) => a - b)
    const buckets: BucketPreview[] = []
    for (const bucket of order) {
      const holders = links.filter(one => one.buckets.has(bucket))
      buckets.push(await previewOf(bucket, holders, { index, archive }, isExcluded(bucket), gaps))
    }
    return { buckets, gaps }
  } finally {
    for (const { link } of links) link.close('preview done')
  }
}

async function previewOf(
  bucket: Bucket,
  holders: { address: string; link: Link }[],
  { index, archive }: Pick<PreviewParts, 'index' | 'archive'>,
  isExcluded: boolean,
  gaps: string[],
): Promise<BucketPreview> {
  const copies = new Map<string, { id: PacketId; count: number }>()
  const told = new Set<string>()
  const manifests = new Set<string>()
  let bytes = 0
  for (const { address, link } of holders) {
    try {
      const inventory = await openInventory(link, bucket)
      for (const id of inventory.ids) {
        const known = copies.get(packetKey(id)) ?? { id, count: 0 }
        known.count++
        copies.set(packetKey(id), known)
      }
      for (const manifest of inventory.manifests) {
        const key = manifestKey(manifest)
        if (manifest.bucket !== bucket || manifests.has(key)) continue
        manifests.add(key)
        told.add(epochKey(manifest))
        for (const { from, to } of manifest.sources) bytes += to - from
      }
    } catch (error) {
      gaps.push(`bucket ${bucket} of buck ${address}: ${(error as Error).message}`)
    }
  }
  const ids = [...copies.values()].map(({ id }) => id)
  return {
    bucket,
    tailers: new Set(ids.map(({ tailer }) => tailer)).size,
    packets: ids.length,
    heldOnce: [...copies.values()].filter(({ count }) => count === 1).length,
    toIndex: isExcluded ? 0 : (await index.lacking(ids)).length,
    toArchive: isExcluded ? 0 : (await archive.lacking(ids)).length,
    bytes,
    isByManifests: ids.every(id => told.has(epochKey(id))),
    isExcluded,
  }
}
