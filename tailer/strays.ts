// Packets that bucks have under our name and our journal has not: a power cut or a rollback took them from here, together
// with the word on their bucket. What cannot be taken back into the journal is sealed by its ids alone: else the ledger
// would wait for that word for ever.
import type { Bucket, Epoch, PacketId } from '../shared/messages.ts'
import { RangeSet } from '../shared/ranges.ts'

/** Sealed buckets that are remembered, the youngest; a further manifest of an older one says nothing new. */
const BUCKETS_MAX = 2000

/** Consecutive sequences of one epoch in one bucket: what one manifest names. */
export interface StrayRun {
  epoch: Epoch
  bucket: Bucket
  first: number
  last: number
}

type Stray = Pick<PacketId, 'epoch' | 'sequence'> & { bucket: Bucket }

interface InBucket {
  epoch: Epoch
  bucket: Bucket
  sequences: RangeSet
}

export class StrayPackets {
  #heard: Stray[] = []
  readonly #sealed = new Map<string, InBucket>()

  /** @param beyond as a buck tells at an opening */
  hear(beyond: Iterable<Stray>): void {
    for (const stray of beyond) {
      const { epoch, bucket, sequence } = stray
      if (!this.#sealed.get(keyOf(stray))?.sequences.has(sequence)) this.#heard.push({ epoch, bucket, sequence })
    }
  }

  /** Named by a manifest. */
  sealed(run: StrayRun): void {
    if (run.last === 0) return
    bucketOf(this.#sealed, run).sequences.add(run.first, run.last + 1)
    const oldest = this.#sealed.keys().next().value
    if (this.#sealed.size > BUCKETS_MAX && oldest !== undefined) this.#sealed.delete(oldest)
  }

  get isAny(): boolean {
    return this.#heard.length > 0
  }

  /** What is to be sealed now; it is told once. */
  take(): StrayRun[] {
    const buckets = new Map<string, InBucket>()
    for (const stray of this.#heard) {
      if (this.#sealed.get(keyOf(stray))?.sequences.has(stray.sequence)) continue
      bucketOf(buckets, stray).sequences.add(stray.sequence, stray.sequence + 1)
    }
    this.#heard = []
    return [...buckets.values()].flatMap(({ epoch, bucket, sequences }) =>
      [...sequences].map(([first, end]) => ({ epoch, bucket, first, last: end - 1 })),
    )
  }
}

function bucketOf(buckets: Map<string, InBucket>, { epoch, bucket }: Pick<Stray, 'epoch' | 'bucket'>): InBucket {
  const key = keyOf({ epoch, bucket })
  const known = buckets.get(key) ?? { epoch, bucket, sequences: new RangeSet() }
  buckets.set(key, known)
  return known
}

function keyOf({ epoch, bucket }: Pick<Stray, 'epoch' | 'bucket'>): string {
  return `${epoch} ${bucket}`
}
