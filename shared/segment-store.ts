// The embedded store: segments and a catalogue over an object store. Recent index and archive are both this.
//
//   add      packets ▸ what is new ▸ compare where source ranges overlap ▸ segments ▸ one commit
//            A commit of somebody else in between that touches the same packets or ranges: all of it once more.
//   expire   segments that lie wholly before a bucket ▸ one commit; the ids of their packets stay known
//   tidy     small segments of one span ▸ one, in one commit; objects that nothing names ▸ removed after a grace time
import { groupsOf, isUntouched, planAdd } from './add-plan.ts'
import { Catalogue, type Draft } from './catalogue.ts'
import type { LiveSegment } from './catalogue-state.ts'
import { Contested } from './contested.ts'
import type { FoundEvent } from './events.ts'
import type { Gone, Manifest } from './manifest.ts'
import type { Bucket, PacketId, SourceName } from './messages.ts'
import type { Packet } from './packet.ts'
import { RangeSet } from './ranges.ts'
import { type BatchOptions, writeBatch } from './segment-batch.ts'
import { type Erased, eraseFromSegments } from './segment-erasing.ts'
import { goneKey, manifestKey, type SegmentSummary, type Words } from './segment-manifest.ts'
import { SegmentObjects } from './segment-objects.ts'
import { segmentPackets } from './segment-packets.ts'
import { type SearchedSegments, type SegmentSearcher, searchHere } from './segment-searcher.ts'
import { Tidying } from './segment-tidying.ts'
import type {
  Added,
  Damage,
  EventQuestion,
  EventStore,
  ObjectStore,
  SearchRequest,
  SourceTotals,
  StorePass,
  Summary,
  SummaryRequest,
} from './stores.ts'
import { WeightedCache } from './weighted-cache.ts'
import type { World } from './world.ts'

export interface SegmentStoreOptions {
  world: World
  /** Who writes; part of object names. Letters, digits, `_`, `-`; at most 64. */
  writer: string
  /** Text of a block, at most 16 MB. */
  blockBytes?: number
  zstdLevel?: number
  /**
   * Packets of so much text become blocks as they are, at once, and are merged by `tidy` only: an event is encoded once
   * and nobody waits for it. Not given: they are merged when they are added.
   */
  takeOverBytes?: number
  /** A compressed segment below this is merged with others of its span. */
  tidyBelowBytes?: number
  /** What nothing names any more stays this long, for those who are still reading it. */
  graceMs?: number
  /** Segments never reach over two spans of buckets. */
  spanSeconds?: number
  /** A snapshot of the catalogue after this many commits at the earliest. */
  snapshotCommits?: number
  /** Memory for matches of one search that wait for their turn. */
  heldBytesMax?: number
  /** Memory for blocks that were searched lately, inflated. */
  inflatedBytesMax?: number
  /** Searches in other threads (search-threads/); not given: in the one that asks. */
  searcher?: (objects: Pick<ObjectStore, 'get' | 'size'>) => SegmentSearcher
  /** The place may not be reachable now: it is read with the first call that needs it. */
  isReadLater?: boolean
}

type FullOptions = Required<Omit<SegmentStoreOptions, 'searcher'>> & Pick<SegmentStoreOptions, 'searcher'>

const BLOCK_BYTES_MAX = 16 * 1024 * 1024
const WRITER = /^[A-Za-z0-9_-]{1,64}$/
/** Each means that another writer added to the same sources meanwhile. */
const ADD_TRIES_MAX = 100
/** Words read from manifests that are kept for the next call; about 1 KB each. */
const WORDS_KEPT_MAX = 10_000

export class SegmentStore implements EventStore {
  readonly #options: FullOptions
  readonly #catalogue: Catalogue
  readonly #segments: SegmentObjects
  readonly #searcher: SegmentSearcher
  readonly #tidying: Tidying
  readonly #words = new WeightedCache<Words>(WORDS_KEPT_MAX)
  /** Segments that searches of this process read just now → how many: they are not removed. */
  readonly #pinned = new Map<string, number>()

  private constructor(objects: ObjectStore, options: FullOptions, catalogue: Catalogue) {
    this.#options = options
    this.#catalogue = catalogue
    this.#segments = new SegmentObjects(objects)
    const { clock } = options.world
    this.#searcher = options.searcher?.(objects) ?? searchHere(this.#segments, options, () => clock.monotonic())
    this.#tidying = new Tidying({
      objects,
      catalogue,
      segments: this.#segments,
      ...options,
      isPinned: name => this.#pinned.has(name),
    })
  }

  /** A damaged catalogue does not keep it from opening: what is whole can be searched. */
  static async open(objects: ObjectStore, options: SegmentStoreOptions): Promise<SegmentStore> {
    const full = {
      blockBytes: 8 * 1024 * 1024,
      zstdLevel: 6,
      takeOverBytes: Number.POSITIVE_INFINITY,
      tidyBelowBytes: 8 * 1024 * 1024,
      graceMs: 60 * 60 * 1000,
      spanSeconds: 3600,
      snapshotCommits: 64,
      heldBytesMax: 64 * 1024 * 1024,
      // Of about 2 million lines.
      inflatedBytesMax: 192 * 1024 * 1024,
      isReadLater: false,
      ...options,
    }
    if (!WRITER.test(full.writer)) {
      throw new RangeError(`writer "${full.writer}": letters, digits, "_" and "-" only, at most 64`)
    }
    if (full.blockBytes < 1 || full.blockBytes > BLOCK_BYTES_MAX) {
      throw new RangeError(`blockBytes ${full.blockBytes}: from 1 to ${BLOCK_BYTES_MAX}`)
    }
    return new SegmentStore(objects, full, await Catalogue.open(objects, full))
  }

  /** What of the catalogue cannot be read: while there is any, nothing is added or removed. */
  async damages(): Promise<Damage[]> {
    await this.#catalogue.refresh()
    return [...this.#catalogue.state.damages]
  }

  async lacking(ids: PacketId[]): Promise<PacketId[]> {
    await this.#catalogue.refreshWhole()
    return ids.filter(id => !this.#catalogue.state.packets.has(id))
  }

  async add(packets: Packet[], words: { manifests: Manifest[]; gone: Gone[] }, pass: StorePass = {}): Promise<Added> {
    for (let tries = 0; tries < ADD_TRIES_MAX; tries++) {
      pass.signal?.throwIfAborted()
      await this.#catalogue.refreshWhole()
      const state = this.#catalogue.state
      const plan = planAdd(state, packets, words, this.#options)
      if (plan.spans.size === 0) return { packets: 0, events: 0, lines: 0, bytes: 0, repeated: 0 }
      const contested = new Contested(plan.kept, state.ranges)
      // No await since the refresh: what this plan was made of is exactly what lies up to this commit.
      const plannedAt = state.number
      await contested.readHeld([...state.segments.values()], this.#segments, this.#options.world.log)

      const drafts: Draft[] = []
      const added = { packets: plan.packets, events: 0, lines: 0, bytes: 0, repeated: 0 }
      try {
        for (const [span, part] of plan.spans) {
          const groups = groupsOf(part.kept, contested, this.#options.takeOverBytes, pass)
          const written = await writeBatch(this.#catalogue, this.#batchOptions, { span, ...part }, groups)
          drafts.push(...written.drafts)
          added.events += written.totals.events
          added.lines += written.totals.lines
          added.bytes += written.totals.bytes
        }
        pass.signal?.throwIfAborted()
      } catch (error) {
        await this.#catalogue.discard(drafts)
        throw error
      }
      added.repeated = contested.repeated
      const fits = () => isUntouched(this.#catalogue.state, plannedAt, plan)
      if (!(await this.#catalogue.commit({ added: drafts, fits }))) continue
      if (plan.expired > 0) {
        this.#options.world.log.info('packets older than what is kept were not stored', { packets: plan.expired })
      }
      return added
    }
    throw new Error(`nothing added: others added to the same sources ${ADD_TRIES_MAX} times meanwhile; try again later`)
  }

  async *search(request: SearchRequest, onDamage: (damage: Damage) => void = () => {}): AsyncGenerator<FoundEvent> {
    const live = await this.#pin(onDamage)
    try {
      yield* this.#searcher.search({ ...this.#searched(live, onDamage), request })
    } finally {
      this.#unpin(live)
    }
  }

  async *eventPackets(request: EventQuestion, onDamage: (damage: Damage) => void = () => {}): AsyncGenerator<Packet[]> {
    const live = await this.#pin(onDamage)
    try {
      yield* segmentPackets({ ...this.#searched(live, onDamage), objects: this.#segments, request })
    } finally {
      this.#unpin(live)
    }
  }

  /** Of the segments that there are now: enough to estimate what reading them costs. */
  async summaries(): Promise<SegmentSummary[]> {
    await this.#catalogue.refresh()
    return [...this.#catalogue.state.segments.values()].flatMap(({ summary }) => summary ?? [])
  }

  async summarise(request: SummaryRequest, onDamage: (damage: Damage) => void = () => {}): Promise<Summary> {
    const live = await this.#pin(onDamage)
    try {
      return await this.#searcher.summarise({ ...this.#searched(live, onDamage), request })
    } finally {
      this.#unpin(live)
    }
  }

  async totals(): Promise<SourceTotals[]> {
    await this.#catalogue.refresh()
    const totals = new Map<string, SourceTotals>()
    for (const { summary } of this.#catalogue.state.segments.values()) {
      for (const part of summary?.sources ?? []) {
        const sum = totals.get(part.source)
        if (!sum) {
          totals.set(part.source, { ...part, ranges: new RangeSet(part.ranges) })
          continue
        }
        // One source under two labels: the label of what was read last.
        if (part.ranges.end > sum.ranges.end) {
          Object.assign(sum, { host: part.host, path: part.path, app: part.app })
        }
        sum.start = Math.min(sum.start, part.start)
        sum.events += part.events
        sum.lines += part.lines
        sum.bytes += part.bytes
        for (const [from, to] of part.ranges) sum.ranges.add(from, to)
      }
    }
    return [...totals.values()].sort((a, b) => (a.source < b.source ? -1 : 1))
  }

  async rangesOf(sources: Iterable<SourceName>): Promise<Map<SourceName, RangeSet>> {
    await this.#catalogue.refresh()
    const ranges = new Map<SourceName, RangeSet>()
    for (const source of sources) {
      const held = this.#catalogue.state.ranges.get(source)
      if (held) ranges.set(source, new RangeSet(held))
    }
    return ranges
  }

  async words(): Promise<Words> {
    await this.#catalogue.refresh()
    const manifests = new Map<string, Manifest>()
    const gone = new Map<string, Gone>()
    for (const segment of [...this.#catalogue.state.segments.values()]) {
      const words = await this.#wordsOf(segment)
      // Two writers may have kept the same word at the same time.
      for (const manifest of words.manifests) manifests.set(manifestKey(manifest), manifest)
      for (const word of words.gone) gone.set(goneKey(word), word)
    }
    return { manifests: [...manifests.values()], gone: [...gone.values()] }
  }

  async sequences(): Promise<Map<string, RangeSet>> {
    await this.#catalogue.refresh()
    return this.#catalogue.state.packets.sequences()
  }

  /** Whole segments: what shares one with younger buckets goes with those, at most one span later. */
  expire(before: Bucket): Promise<number> {
    return this.#tidying.expire(before)
  }

  /** Takes these events out for good; their packets stay known. Not undone by anything. */
  erase(question: EventQuestion, pass: StorePass = {}): Promise<Erased> {
    const parts = { ...this.#batchOptions, catalogue: this.#catalogue, segments: this.#segments }
    return eraseFromSegments(parts, question, pass)
  }

  tidy(pass: StorePass = {}): Promise<void> {
    return this.#tidying.tidy(pass)
  }

  /** What there is now; none of it is removed by this process until `#unpin`. */
  async #pin(onDamage: (damage: Damage) => void): Promise<LiveSegment[]> {
    await this.#catalogue.refresh()
    const { segments, damages } = this.#catalogue.state
    for (const damage of [...damages]) onDamage(damage)
    const live = [...segments.values()]
    for (const { name } of live) this.#pinned.set(name, (this.#pinned.get(name) ?? 0) + 1)
    return live
  }

  #unpin(live: LiveSegment[]): void {
    for (const { name } of live) {
      const readers = (this.#pinned.get(name) ?? 1) - 1
      if (readers > 0) this.#pinned.set(name, readers)
      else this.#pinned.delete(name)
    }
  }

  #searched(segments: LiveSegment[], onDamage: (damage: Damage) => void): Omit<SearchedSegments<unknown>, 'request'> {
    return { segments, onDamage, assertNotTidied: name => this.#assertNotTidied(name) }
  }

  get #batchOptions(): BatchOptions {
    return this.#options
  }

  async #wordsOf({ name, summary }: LiveSegment): Promise<Words> {
    const none = { manifests: [], gone: [] }
    if (summary?.wordKeys.length === 0) return none
    const kept = this.#words.get(name)
    if (kept) return kept
    const manifest = await this.#catalogue.readManifest(name)
    if ('reason' in manifest) {
      this.#options.world.log.warn('words of tailers cannot be read', { ...manifest })
      return none
    }
    this.#words.set(name, manifest.words, manifest.wordKeys.length)
    return manifest.words
  }

  async #assertNotTidied(name: string): Promise<void> {
    await this.#catalogue.refresh()
    if (!this.#catalogue.state.segments.has(name)) {
      throw new Error(
        `segment ${name} was tidied away during the search, which took longer than the grace time: search again`,
      )
    }
  }
}
