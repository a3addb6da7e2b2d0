// What keeps a store of segments small in number: merging, expiry, removal of what nothing names.
import type { Catalogue, Draft } from './catalogue.ts'
import { manifestKeyOf, segmentKey } from './catalogue-commit.ts'
import type { LiveSegment } from './catalogue-state.ts'
import { HeldPackets } from './held-packets.ts'
import type { Bucket } from './messages.ts'
import type { Piece } from './pieces.ts'
import { CorruptSegmentError } from './segment.ts'
import { type BatchOptions, writeBatch } from './segment-batch.ts'
import type { SegmentManifest, SegmentSummary } from './segment-manifest.ts'
import { mergedContents } from './segment-merge.ts'
import type { SegmentObjects } from './segment-objects.ts'
import { SHARE_OF_ONE_PATH } from './segment-writer.ts'
import type { ObjectStore, StorePass } from './stores.ts'

/**
 * A span that still grows is merged when so many small segments have come together: an event is then rewritten a few
 * times at most, not with each call.
 */
const MERGE_LEAST = 8
/** Blocks' worth of text in packets that were taken over: it is merged whatever else there is. */
const PIECES_LEAST = 4
/** Text in one merge; the rest is left for the next one. */
const MERGE_RAW_BYTES_MAX = 1024 * 1024 * 1024
const NAME = /^segments\/((?:\d+|expired)\/(\d+)-[A-Za-z0-9_-]+-[0-9a-f]{8})\.(?:seg|json)$/

export interface TidyingParts extends BatchOptions {
  objects: ObjectStore
  catalogue: Catalogue
  segments: SegmentObjects
  tidyBelowBytes: number
  graceMs: number
  spanSeconds: number
  isPinned(name: string): boolean
}

type Small = LiveSegment & { summary: SegmentSummary }

export class Tidying {
  readonly #parts: TidyingParts
  /** When this process first saw that a segment is retired, by the monotonic clock: wall clocks may have been wrong. */
  readonly #retiredSeenMs = new Map<string, number>()
  /** Written by a merge of this process: if they are in pieces, they cannot be had otherwise. */
  #merged = new Set<string>()
  #nextSweepMs = Number.NEGATIVE_INFINITY

  constructor(parts: TidyingParts) {
    this.#parts = parts
  }

  async tidy(pass: StorePass): Promise<void> {
    await this.#parts.catalogue.refreshWhole()
    for (const small of this.#mergeable()) {
      pass.signal?.throwIfAborted()
      await this.#merge(small, pass)
    }
    await this.#removeOrphans()
    await this.#removeRetired()
  }

  /** One commit removes the segments and adds a manifest with the ids of their packets and the gone-words. */
  async expire(before: Bucket): Promise<number> {
    const { catalogue } = this.#parts
    for (;;) {
      await catalogue.refreshWhole()
      const old = [...catalogue.state.segments.values()].filter(isSmallOf(summary => summary.lastBucket < before))
      if (!old.some(({ summary }) => summary.span !== undefined)) return 0
      const contents = await this.#contents(old)
      // Somebody else merged or expired them meanwhile.
      if (!contents) continue
      const { packets, manifests } = contents
      const words = { manifests: [], gone: manifests.flatMap(manifest => manifest.words.gone) }
      const buckets = old.flatMap(({ summary }) => [summary.firstBucket, summary.lastBucket])
      const { drafts } = await writeBatch(
        catalogue,
        this.#parts,
        { span: undefined, packets, words, buckets },
        noPieces(),
      )
      if (await this.#replace(old, drafts, before)) return old.reduce((sum, { summary }) => sum + summary.events, 0)
    }
  }

  /** Per span the small segments that are worth it, oldest span first. */
  #mergeable(): Small[][] {
    const { catalogue, tidyBelowBytes, spanSeconds, world } = this.#parts
    const spans = new Map<number, Small[]>()
    for (const segment of catalogue.state.segments.values()) {
      const { summary } = segment
      if (summary?.span === undefined) continue
      if (summary.bytes >= tidyBelowBytes && !this.#isInPieces(segment.name, summary)) continue
      const small = spans.get(summary.span) ?? []
      small.push({ ...segment, summary })
      spans.set(summary.span, small)
    }
    const merges: Small[][] = []
    for (const [span, small] of [...spans].sort((a, b) => a[0] - b[0])) {
      small.sort((a, b) => a.summary.bytes - b.summary.bytes)
      // Over for a whole span: few late packets are still to come.
      const isOver = world.clock.now() / 1000 >= span + 2 * spanSeconds
      const inPieces = small.filter(({ name, summary }) => this.#isInPieces(name, summary))
      const piecesBytes = inPieces.reduce((sum, { summary }) => sum + summary.rawBytes, 0)
      const isWorthIt = piecesBytes >= PIECES_LEAST * this.#parts.blockBytes
      const least = isWorthIt || (isOver && inPieces.length > 0) ? 1 : isOver ? 2 : MERGE_LEAST
      // What was merged before stays out until what came since is worth rewriting it.
      while (!isOver && !isWorthIt && small.length > 1 && small.at(-1)!.summary.bytes > sumOf(small.slice(0, -1)))
        small.pop()
      const taken: Small[] = []
      let rawBytes = 0
      for (const segment of small) {
        rawBytes += segment.summary.rawBytes
        if (rawBytes > MERGE_RAW_BYTES_MAX && taken.length > 1) break
        taken.push(segment)
      }
      if (taken.length >= least) merges.push(taken)
    }
    return merges
  }

  /** Of packets that were taken over: in far more blocks than their text needs. */
  #isInPieces(name: string, { blocks, rawBytes }: SegmentSummary): boolean {
    if (this.#merged.has(name)) return false
    return blocks > 2 * Math.ceil(rawBytes / (this.#parts.blockBytes * SHARE_OF_ONE_PATH))
  }

  async #merge(small: Small[], pass: StorePass): Promise<void> {
    const { catalogue, segments, world } = this.#parts
    // In order of their buckets, so that the offsets of a source come in order from group to group.
    const ordered = small.toSorted((a, b) => a.summary.firstBucket - b.summary.firstBucket || a.commit - b.commit)
    const told = await this.#contents(ordered)
    if (!told) return
    const { packets, manifests } = told
    const words = {
      manifests: manifests.flatMap(manifest => manifest.words.manifests),
      gone: manifests.flatMap(manifest => manifest.words.gone),
    }
    const buckets = ordered.flatMap(({ summary }) => [summary.firstBucket, summary.lastBucket])
    const batch = { span: ordered[0].summary.span, packets, words, buckets }
    const contents = mergedContents(ordered, segments, pass, this.#parts.blockBytes)
    let drafts: Draft[]
    try {
      drafts = (await writeBatch(catalogue, this.#parts, batch, contents)).drafts
    } catch (error) {
      if (!(error instanceof CorruptSegmentError)) throw error
      if (!(await this.#areLive(ordered))) return
      // As it is, its whole blocks are still served and the damage is still told by each search.
      world.log.warn('small segments are not merged: one is damaged', { where: error.where, reason: error.reason })
      return
    }
    if (await this.#replace(ordered, drafts, 0)) {
      const { segments: live } = catalogue.state
      this.#merged = new Set([...this.#merged, ...drafts.map(({ name }) => name)].filter(name => live.has(name)))
      world.log.debug('segments merged', { span: batch.span, from: ordered.length, to: drafts.length })
    }
  }

  async #replace(old: Small[], drafts: Draft[], lowWater: Bucket): Promise<boolean> {
    const { catalogue, segments } = this.#parts
    const removed = old.map(({ name }) => name)
    const fits = () => this.#areStillNamed(old)
    const isDone = await catalogue.commit({ added: drafts, removed, lowWater, fits })
    if (isDone) for (const name of removed) segments.forget(name)
    return isDone
  }

  /** Undefined: one of them is not live any more. */
  async #contents(old: Small[]): Promise<{ packets: HeldPackets; manifests: SegmentManifest[] } | undefined> {
    const packets = new HeldPackets()
    const manifests: SegmentManifest[] = []
    for (const { name } of old) {
      const manifest = await this.#parts.catalogue.readManifest(name)
      if ('reason' in manifest) {
        if (!(await this.#areLive(old))) return undefined
        throw new Error(`${manifest.where} ${manifest.reason}: nothing was removed. Put it back from a copy`)
      }
      packets.addRuns(manifest.packets)
      manifests.push(manifest)
    }
    return { packets, manifests }
  }

  async #areLive(segments: Small[]): Promise<boolean> {
    await this.#parts.catalogue.refresh()
    return this.#areStillNamed(segments)
  }

  #areStillNamed(segments: Small[]): boolean {
    return segments.every(({ name }) => this.#parts.catalogue.state.segments.has(name))
  }

  /** Segments that were merged or expired, after the grace time. */
  async #removeRetired(): Promise<void> {
    const { objects, catalogue, graceMs, world, isPinned } = this.#parts
    const now = world.clock.now()
    const seenMs = world.clock.monotonic()
    for (const [name, retiredMs] of [...catalogue.state.retired]) {
      const firstSeenMs = this.#retiredSeenMs.get(name) ?? seenMs
      this.#retiredSeenMs.set(name, firstSeenMs)
      const isDue = now - retiredMs >= graceMs || seenMs - firstSeenMs >= graceMs
      if (!isDue || isPinned(name)) continue
      for (const key of [segmentKey(name), manifestKeyOf(name)]) await objects.remove(key)
      this.#forgetRetired(name)
    }
  }

  /**
   * Objects that no commit ever named were left by a writer that died, or belong to one that is about to name them: a
   * commit declares them void first, so nobody can. They take a listing of everything to find: once per grace time.
   */
  async #removeOrphans(): Promise<void> {
    const { objects, catalogue, graceMs, world } = this.#parts
    const seenMs = world.clock.monotonic()
    if (seenMs < this.#nextSweepMs) return
    const listed = new Map<string, { keys: string[]; wallMs: number }>()
    for (const key of await objects.list('segments/')) {
      const [, name, wallMs] = NAME.exec(key) ?? []
      // Not a name of ours: whoever put it there knows why.
      if (name === undefined) continue
      const object = listed.get(name) ?? { keys: [], wallMs: Number(wallMs) }
      object.keys.push(key)
      listed.set(name, object)
    }
    await catalogue.refreshWhole()
    const { segments, retired } = catalogue.state
    // Another process removed them.
    for (const name of [...retired.keys()]) if (!listed.has(name)) this.#forgetRetired(name)
    const now = world.clock.now()
    const orphans = [...listed.keys()].filter(name => {
      const isOld = now - (listed.get(name)?.wallMs ?? now) >= graceMs
      return isOld && !segments.has(name) && !retired.has(name) && !catalogue.isDraft(name)
    })
    const fits = () => orphans.every(name => !catalogue.state.segments.has(name))
    if (orphans.length > 0 && (await catalogue.commit({ void: orphans, fits }))) {
      world.log.info('orphaned segments removed', { segments: orphans.length })
      for (const name of orphans) for (const key of listed.get(name)?.keys ?? []) await objects.remove(key)
    }
    this.#nextSweepMs = seenMs + graceMs
  }

  #forgetRetired(name: string): void {
    this.#parts.catalogue.state.retired.delete(name)
    this.#retiredSeenMs.delete(name)
  }
}

async function* noPieces(): AsyncGenerator<Piece[]> {}

function isSmallOf(isOld: (summary: SegmentSummary) => boolean): (segment: LiveSegment) => segment is Small {
  return (segment): segment is Small => segment.summary !== undefined && isOld(segment.summary)
}

function sumOf(small: Small[]): number {
  return small.reduce((sum, { summary }) => sum + summary.bytes, 0)
}
