// What a catalogue's commits add up to: the segments that make up a store, and what follows from them. In memory.
import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { pack, unpack } from 'msgpackr'
import { HeldPackets, type HeldRun } from './held-packets.ts'
import type { Bucket, SourceName } from './messages.ts'
import { type Range, RangeSet } from './ranges.ts'
import { type SegmentManifest, type SegmentSummary, summaryOf } from './segment-manifest.ts'
import type { SourcePart } from './segment-writer.ts'
import type { Damage } from './stores.ts'

/** How many of the last added segments are remembered by commit; whoever is further behind looks at everything anew. */
const RECENT_MAX = 512
/** Inflated. About 8 bytes per packet and 100 per segment and source: some hundred million packets. */
const SNAPSHOT_BYTES_MAX = 2 ** 31 - 1
const SNAPSHOT_LEVEL = 3

export interface LiveSegment {
  /** `<span>/<wall ms>-<writer>-<random>`, below `segments/`. */
  name: string
  /** Number of the commit that added it. */
  commit: number
  /** Undefined: its manifest is damaged. The segment is searched all the same. */
  summary?: SegmentSummary
}

/** What some commits come to, with the manifests of what they leave behind. */
export interface Change {
  number: number
  hash: string | undefined
  added: { name: string; commit: number; manifest: SegmentManifest | undefined }[]
  removed: { name: string; wallMs: number }[]
  lowWater: Bucket
}

export class CatalogueState {
  /** Of the last commit read; 0: none. */
  number = 0
  /** SHA-256 of that commit; undefined where it is damaged or missing. */
  hash: string | undefined = ''
  lowWater: Bucket = 0
  readonly segments = new Map<string, LiveSegment>()
  readonly packets = new HeldPackets()
  readonly ranges = new Map<SourceName, RangeSet>()
  readonly wordKeys = new Set<string>()
  /** Segments that commits removed → wall clock of that commit, until their objects are gone too. */
  readonly retired = new Map<string, number>()
  /** Non-empty: what is held cannot be known, so nothing is decided. */
  readonly damages: Damage[] = []
  #recent: LiveSegment[] = []
  #recentFrom = 0

  apply(change: Change): void {
    const touched = new Set<SourceName>()
    for (const { name, wallMs } of change.removed) {
      const segment = this.segments.get(name)
      this.segments.delete(name)
      this.retired.set(name, wallMs)
      for (const part of segment?.summary?.sources ?? []) touched.add(part.source)
    }
    for (const { name, commit, manifest } of change.added) {
      const segment: LiveSegment = { name, commit, summary: manifest && summaryOf(manifest) }
      this.segments.set(name, segment)
      this.#recent.push(segment)
      if (!manifest) continue
      this.packets.addRuns(manifest.packets)
      for (const key of manifest.wordKeys) this.wordKeys.add(key)
      for (const part of manifest.sources) this.#addRanges(part)
    }
    if (touched.size > 0) this.#recount(touched)
    if (this.#recent.length > 2 * RECENT_MAX) {
      const cut = this.#recent.splice(0, this.#recent.length - RECENT_MAX)
      this.#recentFrom = cut.at(-1)?.commit ?? this.#recentFrom
    }
    this.number = change.number
    this.hash = change.hash
    this.lowWater = Math.max(this.lowWater, change.lowWater)
  }

  /** Commits up to this one are missing. */
  skipTo(number: number): void {
    this.number = number
    this.hash = undefined
  }

  /** Segments added by commits after this one; undefined: too many to be remembered. */
  addedAfter(commit: number): LiveSegment[] | undefined {
    if (commit < this.#recentFrom) return undefined
    let first = this.#recent.length
    while (first > 0 && this.#recent[first - 1].commit > commit) first--
    return this.#recent.slice(first)
  }

  encode(): Buffer {
    const segments = [...this.segments.values()].map(({ name, commit, summary }) => [name, commit, plain(summary!)])
    const value = {
      number: this.number,
      hash: this.hash,
      lowWater: this.lowWater,
      segments,
      packets: [...this.packets.runs()],
      words: [...this.wordKeys],
      retired: [...this.retired],
    }
    return zstdCompressSync(pack(value), { params: { [constants.ZSTD_c_compressionLevel]: SNAPSHOT_LEVEL } })
  }

  /** @param bytes of `encode`, hash checked. */
  static decode(bytes: Buffer): CatalogueState {
    const value = unpack(zstdDecompressSync(bytes, { maxOutputLength: SNAPSHOT_BYTES_MAX }))
    const state = new CatalogueState()
    state.number = value.number
    state.hash = value.hash
    state.lowWater = value.lowWater
    state.#recentFrom = value.number
    for (const [name, commit, summary] of value.segments) {
      const live = { name, commit, summary: unplain(summary) }
      state.segments.set(name, live)
      for (const part of live.summary.sources) state.#addRanges(part)
    }
    state.packets.addRuns(value.packets as HeldRun[])
    for (const key of value.words) state.wordKeys.add(key)
    for (const [name, wallMs] of value.retired) state.retired.set(name, wallMs)
    return state
  }

  #addRanges({ source, ranges }: SourcePart): void {
    let held = this.ranges.get(source)
    if (!held) {
      held = new RangeSet()
      this.ranges.set(source, held)
    }
    for (const [from, to] of ranges) held.add(from, to)
  }

  #recount(sources: Set<SourceName>): void {
    for (const source of sources) this.ranges.delete(source)
    for (const { summary } of this.segments.values()) {
      for (const part of summary?.sources ?? []) if (sources.has(part.source)) this.#addRanges(part)
    }
  }
}

type Plain = Omit<SegmentSummary, 'leastNs' | 'greatestNs' | 'sources'> & {
  leastNs: string
  greatestNs: string
  sources: (Omit<SourcePart, 'ranges'> & { ranges: Range[] })[]
}

function plain(summary: SegmentSummary): Plain {
  return {
    ...summary,
    leastNs: `${summary.leastNs}`,
    greatestNs: `${summary.greatestNs}`,
    sources: summary.sources.map(part => ({ ...part, ranges: part.ranges.toJSON() })),
  }
}

function unplain(summary: Plain): SegmentSummary {
  return {
    ...summary,
    leastNs: BigInt(summary.leastNs),
    greatestNs: BigInt(summary.greatestNs),
    sources: summary.sources.map(part => ({ ...part, ranges: new RangeSet(part.ranges) })),
  }
}
