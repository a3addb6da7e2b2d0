// From the bucks into the stores: buckets that grew, several at a time.
//
//   inventories of all reachable bucks ─▶ union by id and sum ─▶ what index and archive lack ─▶ fetch each once ─▶ add
//                                                                          archive: verify ─▶ tell all bucks "archived",
//                                                                                   each the words it gave, too
//
// - Nothing is decided by looking at text: only ids and sums are compared here; the stores compare events.
// - Nothing waits for completeness. What fails is named, stays marked as grown, and is tried again later; the rest goes on.
// - A crash anywhere leaves packets added or not added; the next porter compares again. Two at once add each once.
import type { Link } from '../shared/link.ts'
import type { Bucket, PacketId } from '../shared/messages.ts'
import { CorruptPacketError, type Packet, packetEvents, packetKey } from '../shared/packet.ts'
import { RangeSet } from '../shared/ranges.ts'
import type { Releases } from '../shared/releases.ts'
import type { Added, EventStore } from '../shared/stores.ts'
import type { World } from '../shared/world.ts'
import { fetchOnce, type Need } from './fetch.ts'
import { epochKey, idRuns } from './inventory.ts'
import {
  type Errand,
  type Located,
  type Reading,
  type ReadingParts,
  rangesOf,
  readInventories,
  union,
} from './readings.ts'
import { type CarryJob, cutRound, partOf } from './round-cut.ts'
import type { Sequences } from './wants.ts'
import type { SignedWords, StoreName } from './words.ts'

/** Ids in one `archived` message: 80 KB of sums. */
const TOLD_IDS_MAX = 10_000
/** Packets remembered as not readable or as held by no buck in good state; the oldest makes room and is tried again. */
const REMEMBERED_MAX = 10_000
/** After a round in which nobody helped, the next ones are carried alone for so long: every task is a hundred requests. */
const ALONE_MS = 300_000

export interface CarryCounts {
  fetched: number
  indexedPackets: number
  indexedEvents: number
  archivedPackets: number
  archivedEvents: number
  /** Events that a store had already, from another packet. */
  repeated: number
  unreadable: number
}

/** One store, during one run. */
interface Lane {
  name: StoreName
  store: EventStore
  buckets: Set<Bucket>
  ids: PacketId[]
  lacking: Set<string>
  /** Words not added yet. */
  words: SignedWords
  hasFailed: boolean
}

export interface CarryParts extends ReadingParts {
  index: EventStore
  archive: EventStore
  world: Pick<World, 'clock' | 'random' | 'log'>
  indexBatchBytes: number
  archiveBatchBytes: number
  releases?: Pick<Releases, 'add' | 'sequences'>
  isExcluded?(bucket: Bucket): boolean
  /** Others may help with what is a lot. */
  sharing?: { spanSeconds: number; share(jobs: CarryJob[], signal: AbortSignal): Promise<boolean> }
}

export class Carry {
  readonly counts: CarryCounts = {
    fetched: 0,
    indexedPackets: 0,
    indexedEvents: 0,
    archivedPackets: 0,
    archivedEvents: 0,
    repeated: 0,
    unreadable: 0,
  }
  /** Listed in inventories, but no buck gave a whole copy: for the wants. By packet key; until it came or is archived. */
  readonly spoiled = new Map<string, PacketId>()
  /** What the index was seen to hold in this tenure: if one is missing there later, the index lost something. */
  indexed: Sequences = new Map()
  /** Whole, but not for this program (newer version, undecodable body): kept by the bucks, never told as archived. */
  readonly #unreadable = new Map<string, true>()
  readonly #parts: CarryParts
  #aloneUntilMs = Number.NEGATIVE_INFINITY

  constructor(parts: CarryParts) {
    this.#parts = parts
  }

  async run(all: Errand[], signal: AbortSignal): Promise<void> {
    const { isExcluded } = this.#parts
    const excluded = isExcluded ? all.filter(({ bucket }) => isExcluded(bucket)) : []
    if (excluded.length > 0) await this.#release(excluded)
    const errands = excluded.length > 0 ? all.filter(errand => !excluded.includes(errand)) : all
    if (errands.length === 0 || signal.aborted) return
    const readings = await readInventories(this.#parts, errands)
    if (signal.aborted) return
    const located = union(readings)
    const index = await this.#openLane('index', readings, located)
    const archive = await this.#openLane('archive', readings, located)
    await this.#share(errands, located, index, archive, signal)
    if (signal.aborted) return
    const failed: Need[] = []
    await this.#haul(index, archive, located, failed, signal)
    if (signal.aborted) return
    const told = await this.#tellArchived(archive, located, readings)
    this.#settle(readings, located, failed, index, archive, told)
  }

  /**
   * A part of a round: adds packets, tells nobody, and leaves the tailers' words to the holder of the lease. Rejects if a
   * store refuses. Packets that no buck can give now are left to the holder, too.
   */
  async haul(
    { errands, part, parts }: CarryJob,
    signal: AbortSignal,
  ): Promise<{ indexedEvents: number; archivedEvents: number }> {
    const before = { ...this.counts }
    const readings = await readInventories(this.#parts, errands)
    signal.throwIfAborted()
    const located = union(readings)
    for (const [key, { id }] of located) if (partOf(id.tailer, parts) !== part) located.delete(key)
    const lanes = [
      await this.#openLane('index', readings, located, false),
      await this.#openLane('archive', readings, located, false),
    ] as const
    if (!lanes.some(lane => lane.hasFailed)) await this.#haul(...lanes, located, [], signal)
    signal.throwIfAborted()
    const broken = lanes.find(lane => lane.hasFailed)
    if (broken) throw new Error(`${broken.name} not written: ${this.#parts.troubles.last}`)
    return {
      indexedEvents: this.counts.indexedEvents - before.indexedEvents,
      archivedEvents: this.counts.archivedEvents - before.archivedEvents,
    }
  }

  /** Whatever comes of it, what is lacking is asked of the stores anew. */
  async #share(
    errands: Errand[],
    located: Map<string, Located>,
    index: Lane,
    archive: Lane,
    signal: AbortSignal,
  ): Promise<void> {
    const { sharing, troubles, world } = this.#parts
    if (!sharing || world.clock.monotonic() < this.#aloneUntilMs) return
    const lacking = [...located.values()].filter(({ id }) => {
      const key = packetKey(id)
      return index.lacking.has(key) || archive.lacking.has(key)
    })
    const jobs = cutRound(errands, lacking, sharing.spanSeconds)
    if (jobs.length < 2) return
    const cause = 'a round not shared'
    let wasHelped = false
    try {
      wasHelped = await sharing.share(jobs, signal)
      troubles.clear(cause)
    } catch (error) {
      troubles.note(cause, error)
    }
    if (!wasHelped) this.#aloneUntilMs = world.clock.monotonic() + ALONE_MS
    for (const lane of [index, archive]) if (!signal.aborted) await this.#askLacking(lane)
  }

  /**
   * Buckets that are not to be kept: their packets are named for the ledger, the tailers' words on them are kept, and the
   * bucks may forget them as if they were archived.
   */
  async #release(errands: Errand[]): Promise<void> {
    const { releases, world } = this.#parts
    const asArchive = errands.map(errand => ({ ...errand, forArchive: true }))
    const readings = await readInventories(this.#parts, asArchive)
    const located = union(readings)
    const lane = await this.#openLane('archive', readings, located)
    const known = (await releases?.sequences()) ?? new Map<string, RangeSet>()
    const sequences: Sequences = new Map()
    for (const { id } of located.values()) {
      const key = epochKey(id)
      if (!lane.lacking.has(packetKey(id)) || known.get(key)?.has(id.sequence)) continue
      const ranges = sequences.get(key) ?? new RangeSet()
      ranges.add(id.sequence, id.sequence + 1)
      sequences.set(key, ranges)
    }
    if (lane.hasFailed) return
    if (sequences.size > 0) {
      await releases?.add({
        kind: 'excluded',
        why: 'porter.history_start or porter.exclude',
        who: 'porter',
        atMs: Math.floor(world.clock.now()),
        sources: rangesOf(readings),
        sequences: Object.fromEntries([...sequences].map(([key, ranges]) => [key, [...ranges]])),
      })
    }
    await this.#add(lane, [])
    if (lane.hasFailed) return
    const told = await this.#tellArchived(lane, located, readings, new Set())
    const nowMs = world.clock.monotonic()
    for (const { view, errand, version } of readings) {
      view.done(errand.bucket, version, 'indexed')
      if ([...told].some(reading => reading.view === view && reading.errand === errand)) {
        view.done(errand.bucket, version, 'archived')
      } else view.failed(errand.bucket, nowMs)
    }
  }

  async #openLane(
    name: StoreName,
    readings: Reading[],
    located: Map<string, Located>,
    withWords = true,
  ): Promise<Lane> {
    const { words, troubles } = this.#parts
    const store = this.#parts[name]
    const isMine = (errand: Errand) => (name === 'index' ? errand.forIndex : errand.forArchive)
    const mine = readings.filter(reading => isMine(reading.errand))
    const lane: Lane = {
      name,
      store,
      buckets: new Set(mine.map(reading => reading.errand.bucket)),
      ids: [],
      lacking: new Set(),
      words: { manifests: [], gone: [] },
      hasFailed: false,
    }
    if (mine.length === 0) return lane
    for (const { id, bucket } of located.values()) if (lane.buckets.has(bucket)) lane.ids.push(id)
    if (withWords) {
      try {
        await words.load(name, store)
        lane.words = words.lacking(name, {
          manifests: mine.flatMap(reading => reading.words.manifests),
          gone: mine.flatMap(reading => reading.words.gone),
        })
      } catch (error) {
        troubles.note(`${name} not asked what it lacks`, error)
        lane.hasFailed = true
        return lane
      }
    }
    await this.#askLacking(lane)
    return lane
  }

  async #askLacking(lane: Lane): Promise<void> {
    if (lane.buckets.size === 0 || lane.hasFailed) return
    try {
      lane.lacking = new Set((await lane.store.lacking(lane.ids)).map(packetKey))
      for (const key of this.#unreadable.keys()) lane.lacking.delete(key)
    } catch (error) {
      this.#parts.troubles.note(`${lane.name} not asked what it lacks`, error)
      lane.hasFailed = true
    }
  }

  /** Fetches what at least one lane lacks and adds it, in batches bounded by the bytes of their text. */
  async #haul(
    index: Lane,
    archive: Lane,
    located: Map<string, Located>,
    failed: Need[],
    signal: AbortSignal,
  ): Promise<void> {
    const { indexBatchBytes, archiveBatchBytes } = this.#parts
    const needs: Need[] = []
    for (const [key, { id, holders }] of located) {
      if (index.lacking.has(key) || archive.lacking.has(key)) needs.push({ id, key, holders: [...holders] })
    }
    const batchBytes = archive.lacking.size > 0 ? archiveBatchBytes : indexBatchBytes
    let batch: Packet[] = []
    let bytes = 0
    const flush = async () => {
      await this.#add(index, batch)
      await this.#add(archive, batch)
      batch = []
      bytes = 0
    }
    for await (const packets of fetchOnce(needs, failed, this.#parts, signal)) {
      this.counts.fetched += packets.length
      for (const packet of packets) {
        this.spoiled.delete(packetKey(packet.header.id))
        batch.push(packet)
        bytes += packet.header.rawBytes + packet.bytes.length
        if (bytes >= batchBytes) await flush()
      }
      // Both stores refuse: fetching on would be for nothing.
      if ((index.hasFailed || index.lacking.size === 0) && (archive.hasFailed || archive.lacking.size === 0)) break
    }
    if (!signal.aborted) await flush()
  }

  async #add(lane: Lane, batch: Packet[]): Promise<void> {
    const { words, troubles } = this.#parts
    const packets = batch.filter(packet => lane.lacking.has(packetKey(packet.header.id)))
    const ownWords = lane.words
    if (lane.hasFailed || (packets.length === 0 && ownWords.manifests.length + ownWords.gone.length === 0)) return
    const cause = `${lane.name} not written`
    try {
      const added = await this.#addReadable(lane, packets, ownWords)
      words.added(lane.name, ownWords)
      lane.words = { manifests: [], gone: [] }
      for (const packet of packets) lane.lacking.delete(packetKey(packet.header.id))
      this.counts.repeated += added.repeated
      if (lane.name === 'index') {
        this.counts.indexedPackets += added.packets
        this.counts.indexedEvents += added.events
      } else {
        this.counts.archivedPackets += added.packets
        this.counts.archivedEvents += added.events
      }
      troubles.clear(cause)
    } catch (error) {
      troubles.note(cause, error)
      lane.hasFailed = true
    }
  }

  /** A body that does not decode refuses the whole batch: then each is tried, and the bad ones are set aside by name. */
  async #addReadable(lane: Lane, packets: Packet[], words: SignedWords): Promise<Added> {
    try {
      return await lane.store.add(packets, words)
    } catch (error) {
      if (!(error instanceof CorruptPacketError)) throw error
      const readable = packets.filter(packet => this.#isReadable(packet))
      if (readable.length === packets.length) throw error
      return await lane.store.add(readable, words)
    }
  }

  #isReadable(packet: Packet): boolean {
    try {
      packetEvents(packet)
      return true
    } catch (error) {
      this.#parts.troubles.note(`packet ${packetKey(packet.header.id)} cannot be read`, error)
      this.#setAside(packetKey(packet.header.id))
      return false
    }
  }

  #setAside(key: string): void {
    if (!this.#unreadable.has(key)) this.counts.unreadable++
    remember(this.#unreadable, key, true)
  }

  /** The buckets of which every reachable buck, holder or not, now knows what is archived; with the bucks told. */
  async #tellArchived(
    lane: Lane,
    located: Map<string, Located>,
    readings: Reading[],
    excluded?: Set<string>,
  ): Promise<Set<Reading>> {
    const { troubles } = this.#parts
    const told = new Set<Reading>()
    if (lane.hasFailed || lane.buckets.size === 0) return told
    let lacking: Set<string>
    try {
      // Asked of the store itself, not concluded from what was added.
      lacking = excluded ?? new Set((await lane.store.lacking(lane.ids)).map(packetKey))
    } catch (error) {
      troubles.note('archive not asked what it lacks', error)
      lane.hasFailed = true
      return told
    }
    const perTailer = new Map<string, PacketId[]>()
    for (const [key, { id, bucket }] of located) {
      if (!lane.buckets.has(bucket) || lacking.has(key)) continue
      this.spoiled.delete(key)
      const ids = perTailer.get(id.tailer)
      if (ids) ids.push(id)
      else perTailer.set(id.tailer, [id])
    }
    await Promise.all(
      this.#parts.reachable().map(async view => {
        const cause = `${view.address} not told what is archived`
        try {
          // From the first word on the buck may drop what it names: fewer packets are no loss then.
          for (const bucket of lane.buckets) {
            const growth = view.buckets.get(bucket)
            if (growth) growth.packets = 0
          }
          for (const [tailer, ids] of perTailer) {
            for (let at = 0; at < ids.length; at += TOLD_IDS_MAX) {
              const runs = idRuns(ids.slice(at, at + TOLD_IDS_MAX))
              await view.link?.ask('archived', { tailer, runs }, undefined, 30_000)
            }
          }
          if (!view.link) return
          const own = readings.filter(reading => reading.view === view && reading.errand.forArchive)
          await tellWords(view.link, view.logId, own)
          for (const reading of own) told.add(reading)
          troubles.clear(cause)
        } catch (error) {
          troubles.note(cause, error)
        }
      }),
    )
    return told
  }

  #settle(
    readings: Reading[],
    located: Map<string, Located>,
    failed: Need[],
    index: Lane,
    archive: Lane,
    told: Set<Reading>,
  ): void {
    const nowMs = this.#parts.world.clock.monotonic()
    const unsettled = new Set<Bucket>()
    for (const need of failed) {
      if (need.failure === 'unreadable') this.#setAside(need.key)
      else unsettled.add(located.get(need.key)?.bucket as Bucket)
      if (need.failure === 'refuted') remember(this.spoiled, need.key, need.id)
    }
    if (!index.hasFailed) {
      for (const id of index.ids) {
        const key = packetKey(id)
        if (index.lacking.has(key) || this.#unreadable.has(key)) continue
        const ranges = this.indexed.get(epochKey(id)) ?? new RangeSet()
        ranges.add(id.sequence, id.sequence + 1)
        this.indexed.set(epochKey(id), ranges)
      }
    }
    for (const reading of readings) {
      const { view, errand, version } = reading
      const isIndexed = !errand.forIndex || (!index.hasFailed && !unsettled.has(errand.bucket))
      const isArchived =
        !errand.forArchive || (!archive.hasFailed && !unsettled.has(errand.bucket) && told.has(reading))
      if (errand.forIndex && isIndexed) view.done(errand.bucket, version, 'indexed')
      if (errand.forArchive && isArchived) view.done(errand.bucket, version, 'archived')
      if (!isIndexed || !isArchived) view.failed(errand.bucket, nowMs)
    }
  }
}

/** The lane added them before anything is told. Without this word the buck keeps its files, words and all. */
async function tellWords(link: Link, logId: string, readings: Reading[]): Promise<void> {
  const ofThisLife = readings.filter(reading => reading.logId === logId)
  if (ofThisLife.length === 0) return
  const buckets = ofThisLife.map(({ errand, number }) => ({ bucket: errand.bucket, number }))
  await link.ask('wordsArchived', { logId, buckets }, undefined, 30_000)
}

function remember<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key)
  map.set(key, value)
  const oldest = map.keys().next().value
  if (map.size > REMEMBERED_MAX && oldest !== undefined) map.delete(oldest)
}
