// Packets that tailers signed for and that are nowhere: what a history lacks although nothing that was read failed. The
// ledger's question, asked of the time of a history.
import type { CopyResult } from '../shared/copy-task.ts'
import type { Gone, Manifest } from '../shared/manifest.ts'
import type { Bucket, PacketId } from '../shared/messages.ts'
import { RangeSet } from '../shared/ranges.ts'
import { epochKey } from './inventory.ts'
import type { Sequences } from './wants.ts'

/** A line is packed after its time, but for clocks that differ. */
const CLOCKS_DIFFER_SECONDS = 3600

export class Promised {
  readonly #from: Bucket
  readonly #promised: Sequences = new Map()
  readonly #there: Sequences = new Map()

  /** @param sinceNs  of the event times that are asked for: they came in buckets from then on */
  constructor(sinceNs: bigint) {
    this.#from = Number(sinceNs / 1_000_000_000n) - CLOCKS_DIFFER_SECONDS
  }

  told({ manifests, gone }: { manifests: Manifest[]; gone: Gone[] }): void {
    for (const manifest of manifests) {
      if (manifest.bucket < this.#from || manifest.last === 0) continue
      add(this.#promised, epochKey(manifest), manifest.first, manifest.last + 1)
    }
    // The ledger names these as holes; nobody will bring them.
    for (const one of gone) add(this.#there, epochKey(one), one.sequence, one.sequence + 1)
  }

  held(ids: PacketId[]): void {
    for (const id of ids) add(this.#there, epochKey(id), id.sequence, id.sequence + 1)
  }

  settled(sequences: Sequences): void {
    for (const [key, ranges] of sequences) for (const [from, to] of ranges) add(this.#there, key, from, to)
  }

  /** How many. */
  get missing(): number {
    let count = 0
    for (const [key, ranges] of this.#promised) count += ranges.without(this.#there.get(key) ?? new RangeSet()).total
    return count
  }

  /** For the board. */
  toJson(): NonNullable<CopyResult['promised']> {
    const plain = (of: Sequences) => Object.fromEntries([...of].map(([key, ranges]) => [key, [...ranges]]))
    return { promised: plain(this.#promised), there: plain(this.#there) }
  }

  add({ promised, there }: NonNullable<CopyResult['promised']>): void {
    for (const [into, of] of [
      [this.#promised, promised],
      [this.#there, there],
    ] as const) {
      for (const [key, ranges] of Object.entries(of)) for (const [from, to] of ranges) add(into, key, from, to)
    }
  }
}

function add(to: Sequences, key: string, from: number, end: number): void {
  const ranges = to.get(key) ?? new RangeSet()
  to.set(key, ranges)
  ranges.add(from, end)
}
