// The sources of index and archive as REST and the command show them: what of each is where, and when a tailer last named it.
//
// A tailer's words name also what no event shows: a file without a byte, and an end whose packets are nowhere.
import type { Manifest } from '../shared/manifest.ts'
import type { SourceName } from '../shared/messages.ts'
import type { RangeSet } from '../shared/ranges.ts'
import type { EventStore, SourceTotals } from '../shared/stores.ts'

export interface SourceEntry {
  source: SourceName
  host: string
  path: string
  app?: string
  start: number
  /** The source that holds its bytes before `start`: it is a fork of that one. */
  parent?: SourceName
  recent?: SourceSums
  archive?: SourceSums
  /** By the tailers' words; none if no word names it. */
  told?: {
    /** The last bucket and, in it, the greatest epoch count that name it: the greater, the newer the incarnation. */
    bucket: number
    epochCount: number
    /** Offset up to which it was read and packed. */
    to: number
  }
}

export interface SourceSums {
  ranges: RangeSet
  events: number
  lines: number
  bytes: number
}

interface Stores {
  index: EventStore
  archive: EventStore
}

export async function listSources({ index, archive }: Stores): Promise<SourceEntry[]> {
  const sources = new Map<SourceName, SourceEntry>()
  const add = (where: 'recent' | 'archive', totals: SourceTotals) => {
    const { source, host, path, app, start, parent, ranges, events, lines, bytes } = totals
    const entry = sources.get(source) ?? { source, host, path, app, start, parent }
    entry[where] = { ranges, events, lines, bytes }
    sources.set(source, entry)
  }
  for (const totals of await index.totals()) add('recent', totals)
  for (const totals of await archive.totals()) add('archive', totals)
  for (const { epoch, bucket, sources: parts } of await manifestsOf({ index, archive })) {
    const epochCount = countOf(epoch)
    for (const { source, host, path, start, to } of parts) {
      const entry = sources.get(source) ?? { source, host, path, start }
      const told = entry.told ?? { bucket, epochCount, to }
      if (bucket > told.bucket || (bucket === told.bucket && epochCount > told.epochCount)) {
        Object.assign(told, { bucket, epochCount })
      }
      told.to = Math.max(told.to, to)
      entry.told = told
      sources.set(source, entry)
    }
  }
  return [...sources.values()]
}

/** SHA-256, hex, of the steps of a source. Where two epochs tell different ones, the later saw the file last. */
export async function stepHashes(stores: Stores, source: SourceName): Promise<Map<number, string>> {
  const hashes = new Map<number, string>()
  const manifests = await manifestsOf(stores)
  for (const manifest of manifests.sort((a, b) => countOf(a.epoch) - countOf(b.epoch))) {
    for (const part of manifest.sources) {
      if (part.source !== source) continue
      for (const { step, sha256 } of part.steps) hashes.set(step, Buffer.from(sha256).toString('hex'))
    }
  }
  return hashes
}

async function manifestsOf({ index, archive }: Stores): Promise<Manifest[]> {
  return [...(await index.words()).manifests, ...(await archive.words()).manifests]
}

/** `<count>-<random>`: one more with each start of a tailer. */
function countOf(epoch: string): number {
  return Number.parseInt(epoch, 10)
}
