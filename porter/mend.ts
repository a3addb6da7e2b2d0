// Where one store lacks what the other has and no buck can give it.
//
//   rescue   a packet is in the index only, and no tailer will send it again: the archive takes its events from there
//   refill   the index was emptied, restored from yesterday, or is new: what is archived and recent goes into it again
//
// Rescue adds all events of a sequence in one add: its sequence counts as archived from then on. Refill is too large for
// that; a crash in the middle of it is found by the ranges of the sources, which are compared once in every tenure.
import type { Bucket } from '../shared/messages.ts'
import type { Packet } from '../shared/packet.ts'
import { RangeSet } from '../shared/ranges.ts'
import type { EventStore } from '../shared/stores.ts'
import { copyOf, type Gap, rangesLacking } from './copy.ts'
import { epochKey } from './inventory.ts'
import type { Troubles } from './troubles.ts'
import type { Sequences } from './wants.ts'

/** A packet's text (tailers cut at 1 MB): how many sequences fit into one rescue. */
const PACKET_TEXT_BYTES = 1024 * 1024
const NONE = new RangeSet()

export class Mend {
  readonly #index: EventStore
  readonly #archive: EventStore
  readonly #troubles: Troubles
  readonly #batchBytes: number
  /** Looked for and not to be had from the other store (expired, or its events are there under another packet's name). */
  readonly #settledIndex: Sequences = new Map()
  readonly #settledArchive: Sequences = new Map()
  #isCompared = false
  #floor: Bucket = 0
  readonly counts = { rescuedEvents: 0, refilledEvents: 0 }

  constructor(parts: { index: EventStore; archive: EventStore; troubles: Troubles; batchBytes: number }) {
    this.#index = parts.index
    this.#archive = parts.archive
    this.#troubles = parts.troubles
    this.#batchBytes = parts.batchBytes
  }

  /** @param lost  sequences that nobody will send again */
  async rescue(lost: Sequences, index: Sequences, signal: AbortSignal): Promise<void> {
    const wanted: Sequences = new Map()
    for (const [key, ranges] of lost) {
      const found = ranges.common(index.get(key) ?? NONE).without(this.#settledArchive.get(key) ?? NONE)
      if (found.size > 0) wanted.set(key, found)
    }
    if (wanted.size === 0) return
    const sources = rangesLacking(await this.#index.totals(), await this.#archive.totals())
    for (const slice of slicesOf(wanted, Math.max(1, Math.floor(this.#batchBytes / PACKET_TEXT_BYTES)))) {
      const packets: Packet[] = []
      const isWanted = (origin: { tailer: string; epoch: string; sequence: number }) =>
        slice.get(epochKey(origin))?.has(origin.sequence) ?? false
      for await (const packet of copyOf(this.#index, this.#request(sources, isWanted, 'index', signal))) {
        packets.push(packet)
      }
      if (signal.aborted) return
      if (packets.length > 0) {
        const added = await this.#archive.add(packets, { manifests: [], gone: [] }, { signal })
        this.counts.rescuedEvents += added.events
      }
      for (const [key, ranges] of slice) settle(this.#settledArchive, key, ranges)
    }
  }

  /** @param floor  buckets before this one do not belong into the index any more */
  async refill(index: Sequences, archive: Sequences, floor: Bucket, signal: AbortSignal): Promise<void> {
    // The clock was ahead when things were settled as too old: they are looked at again.
    if (floor < this.#floor) this.indexLost()
    this.#floor = floor
    const lacking: Sequences = new Map()
    for (const [key, ranges] of archive) {
      const left = ranges.without(index.get(key) ?? NONE).without(this.#settledIndex.get(key) ?? NONE)
      if (left.size > 0) lacking.set(key, left)
    }
    if (lacking.size === 0 && this.#isCompared) return
    const sources = await this.#recent(rangesLacking(await this.#archive.totals(), await this.#index.totals()), floor)
    const isWanted = (origin: { bucket: Bucket }) => origin.bucket >= floor
    let batch: Packet[] = []
    let bytes = 0
    const flush = async () => {
      if (batch.length === 0) return
      const added = await this.#index.add(batch, { manifests: [], gone: [] }, { signal })
      this.counts.refilledEvents += added.events
      batch = []
      bytes = 0
    }
    for await (const packet of copyOf(this.#archive, this.#request(sources, isWanted, 'archive', signal))) {
      batch.push(packet)
      bytes += packet.header.rawBytes
      if (bytes >= this.#batchBytes) await flush()
    }
    if (signal.aborted) return
    await flush()
    for (const [key, ranges] of lacking) settle(this.#settledIndex, key, ranges)
    this.#isCompared = true
  }

  /** The index lost something: whatever was settled is looked at again. */
  indexLost(): void {
    this.#settledIndex.clear()
    this.#isCompared = false
  }

  /** Left the index by retention: not to be filled in again. */
  expired(sequences: Sequences): void {
    for (const [key, ranges] of sequences) settle(this.#settledIndex, key, ranges)
  }

  /** Without the ranges that manifests put into buckets before `floor`: years of archive are not read for nothing. */
  async #recent(gaps: Gap[], floor: Bucket): Promise<Gap[]> {
    if (gaps.length === 0 || floor === 0) return gaps
    const old = new Map<string, RangeSet>()
    for (const manifest of (await this.#archive.words()).manifests) {
      if (manifest.bucket >= floor) continue
      for (const { source, from, to } of manifest.sources) {
        const ranges = old.get(source) ?? new RangeSet()
        ranges.add(from, to)
        old.set(source, ranges)
      }
    }
    return gaps.flatMap(({ totals, ranges }) => {
      const left = ranges.without(old.get(totals.source) ?? NONE)
      return left.size > 0 ? [{ totals, ranges: left }] : []
    })
  }

  #request(sources: Gap[], isWanted: Parameters<typeof copyOf>[1]['isWanted'], from: string, signal: AbortSignal) {
    return {
      sources,
      isWanted,
      signal,
      onDamage: (damage: { where: string; reason: string }) =>
        this.#troubles.note(`${from} damaged at ${damage.where}`, new Error(damage.reason)),
    }
  }
}

function settle(settled: Sequences, key: string, ranges: RangeSet): void {
  settled.set(key, new RangeSet([...(settled.get(key) ?? NONE), ...ranges]))
}

/** At most `count` sequences each. */
function* slicesOf(sequences: Sequences, count: number): Generator<Sequences> {
  for (const [key, ranges] of sequences) {
    for (const [from, to] of ranges) {
      for (let at = from; at < to; at += count) yield new Map([[key, new RangeSet([[at, Math.min(to, at + count)]])]])
    }
  }
}
