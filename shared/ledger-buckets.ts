// The buckets of a ledger: per tailer and bucket, which packets exist and where they are.
import type { BucketRow, Hole, Sequences } from './ledger.ts'
import { addTo, type Books, compare, epochKey, NONE } from './ledger-books.ts'
import { type Bucket, SUM_BYTES, type TailerId } from './messages.ts'
import { RangeSet } from './ranges.ts'

interface Known {
  tailer: TailerId
  bucket: Bucket
  /** By manifests; by inventories. */
  named: Sequences
  listed: Sequences
  hasManifest: boolean
}

/** Those that are not complete, and how many are. */
export function bucketRows(books: Books, holes: Hole[]): { buckets: BucketRow[]; complete: number } {
  const known = new Map<string, Known>()
  const at = (tailer: TailerId, bucket: Bucket): Known => {
    const key = `${tailer} ${bucket}`
    const own = known.get(key) ?? { tailer, bucket, named: new Map(), listed: new Map(), hasManifest: false }
    known.set(key, own)
    return own
  }
  for (const manifest of books.manifests) {
    const own = at(manifest.tailer, manifest.bucket)
    own.hasManifest = true
    if (manifest.last > 0) addTo(own.named, epochKey(manifest), manifest.first, manifest.last + 1)
  }
  for (const { bucket, tailers } of books.inputs.inventories) {
    for (const { tailer, runs } of tailers) {
      const own = at(tailer, bucket)
      for (const { epoch, first, sums } of runs) {
        addTo(own.listed, epochKey({ tailer, epoch }), first, first + sums.length / SUM_BYTES)
      }
    }
  }
  const buckets: BucketRow[] = []
  let complete = 0
  for (const own of known.values()) {
    const row = bucketRow(books, holes, own)
    if (row.state === 'complete') complete++
    else buckets.push(row)
  }
  return { buckets: buckets.sort((a, b) => a.bucket - b.bucket || compare(a.tailer, b.tailer)), complete }
}

function bucketRow(books: Books, holes: Hole[], of: Known): BucketRow {
  const { tailer, bucket, named, listed, hasManifest } = of
  let packets = 0
  let missing = 0
  let gone = 0
  let unindexed = 0
  const own: Hole[] = []
  for (const key of new Set([...named.keys(), ...listed.keys()])) {
    const all = new RangeSet([...(named.get(key) ?? NONE), ...(listed.get(key) ?? NONE)])
    const unstored = all.without(books.storedOf(key))
    const nowhere = unstored.without(books.held.get(key) ?? NONE)
    packets += all.total
    unindexed += unstored.total
    missing += nowhere.total
    gone += nowhere.common(books.gone.get(key) ?? NONE).total
    own.push(
      ...holes.filter(hole => isOf(hole, key) && hole.sequences?.some(([from, to]) => nowhere.overlaps(from, to))),
    )
  }
  const row = { tailer, host: books.hostOf.get(tailer) ?? '', bucket, packets, missing }
  const whom = books.nameOf(tailer)
  if (missing > 0 && (gone === missing || books.isLost(tailer))) {
    const note = `${missing} packets that nobody has`
    if (own.some(hole => hole.state === 'open')) return { ...row, state: 'hole', note }
    if (own.length > 0) return { ...row, state: 'accepted', note }
    // Their bytes came under other sequences.
    return { ...row, state: 'complete', note: '' }
  }
  if (missing > 0) return { ...row, state: 'waiting', note: `${missing} packets: waiting for ${whom}` }
  if (!hasManifest) return { ...row, state: 'waiting', note: `no manifest yet: waiting for ${whom}` }
  if (unindexed > 0)
    return { ...row, state: 'waiting', note: `${unindexed} packets not indexed: waiting for the porter` }
  return { ...row, state: 'complete', note: '' }
}

function isOf(hole: Hole, key: string): boolean {
  return hole.tailer !== undefined && hole.epoch !== undefined && `${hole.tailer}/${hole.epoch}` === key
}
