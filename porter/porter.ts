// The porter: carries what the bucks hold into the recent index and, later, into the archive; asks for what is missing;
// tells what may be forgotten. One at a time holds the lease; two at once do no harm.
//
//   run:  wait for the lease ─▶ tenure ─▶ (lease lost, or told to stop) ─▶ …
//   tenure, side by side:
//     per buck   link kept by a Fleet ─▶ follow its change log ─▶ mark what grew            (follow.ts, buck-view.ts)
//     rounds     what grew and is over: index · what is old: archive, tell "archived"       (carry.ts)
//                look: what is missing? want, rescue, refill                                (wants.ts, mend.ts)
//                tidy: retention, prune, merging of segments; only with lease and sane clock (shared/clock-check.ts)
//
// All state is in memory and begins empty with every tenure: what is done is known from the stores themselves.
import { ClockCheck } from '../shared/clock-check.ts'
import { Fleet, type FleetTimes } from '../shared/fleet.ts'
import type { Lease } from '../shared/lease.ts'
import { type Dialer, type Link, RefusedError } from '../shared/link.ts'
import type { Gone } from '../shared/manifest.ts'
import type { Bucket } from '../shared/messages.ts'
import { RangeSet } from '../shared/ranges.ts'
import type { Releases } from '../shared/releases.ts'
import type { EventStore } from '../shared/stores.ts'
import type { World } from '../shared/world.ts'
import { BuckView } from './buck-view.ts'
import { Carry, type CarryCounts } from './carry.ts'
import { clearFormerRounds, type SharedRoundParts, shareRound } from './carry-jobs.ts'
import { Due } from './due.ts'
import { follow } from './follow.ts'
import { epochKey } from './inventory.ts'
import { Mend } from './mend.ts'
import type { Errand } from './readings.ts'
import { type Expiring, expireArchive } from './retention.ts'
import type { CarryJob } from './round-cut.ts'
import { Troubles } from './troubles.ts'
import { type Sequences, Wants } from './wants.ts'
import { Words } from './words.ts'

export interface PorterConfig {
  /** Of this installation; also the lease's. */
  name: string
  /** Addresses of the bucks. */
  bucks: string[]
  bucketSeconds: number
  /** After the bucket's end. Default one bucket_time. 0: whatever grew, at once (once mode). */
  indexAfterMs?: number
  /** After the end of the bucket's span. Default 48 h. 0: whatever grew, at once (once mode). */
  archiveAfterMs?: number
  /** Buckets of one span go into the archive together. Default 1 h, but never longer than archiveAfterMs. */
  archiveSpanSeconds?: number
  /** Text and packets held in memory for one add to the index. Default 16 MB. */
  indexBatchBytes?: number
  /** The same for the archive: larger segments, more memory. Default 16 MB. */
  archiveBatchBytes?: number
  /** A tailer not heard of for so long will not send again. Default 24 h. */
  holeAfterMs?: number
  /** Kept in the index. Default 7 days; 0: for ever. */
  recentMs?: number
  /** Kept in the archive. Default: for ever. */
  keepArchiveMs?: number
  /** Archived buckets older than this leave the bucks' disks. Default: never, the bucks' own retention decides. */
  pruneAfterMs?: number
  /** Between rounds, and least time between two asks of one buck. Default 1 s. */
  pollMs?: number
  /** Between two looks at what is missing. Default 30 s. */
  wantEveryMs?: number
  /** Between two tidyings. Default 10 min. */
  tidyEveryMs?: number
  fleetTimes?: Partial<FleetTimes>
}

export interface PorterParts {
  world: World
  dialer: Dialer
  index: EventStore
  archive: EventStore & Expiring
  lease: Lease
  /** Beside the archive: what left it by decision. */
  releases?: Releases
  /** Buckets that are neither indexed nor archived, by decision. */
  isExcluded?(bucket: Bucket): boolean
  /** What keeps index or archive from being used now, in a sentence. */
  storeTrouble?(): string | undefined
  /** False: the clock of a store says that ours is wrong. */
  clockAgrees?(): boolean
  /** Beside the archive: where rounds with much to do become jobs, in which others help. */
  sharing?: Pick<SharedRoundParts, 'board' | 'worker' | 'othersMsMax' | 'claimMs'>
}

export interface PorterStatus {
  name: string
  state: 'watching' | 'working' | 'stopped'
  lease: { term: number; holder?: string; isHeld: boolean }
  rounds: number
  bucks: {
    address: string
    isReachable: boolean
    logId: string
    number: number
    /** Buckets that grew and are not in the index; not in the archive. */
    toIndex: number
    toArchive: number
    error?: string
  }[]
  counts: CarryCounts & { rescuedEvents: number; refilledEvents: number }
  /** How long the bucket that waits longest has been known and due without being indexed. */
  lagSeconds: number
  wantsOpen: number
  /** Listed by a buck, but no whole copy was to be had. */
  packetsDamagedEverywhere: number
  /** False: the wall clock stepped within the last hour. */
  clockIsSane: boolean
  /** A tailer confirms what time it is. Nothing is deleted without that, or with a clock that is not sane. */
  clockIsConfirmed: boolean
  failures: number
  lastError?: string
  /** What keeps index or archive from being used now. */
  storeTrouble?: string
}

interface Tenure {
  fleet: Fleet
  views: BuckView[]
  words: Words
  carry: Carry
  wants: Wants
  mend: Mend
  nextLookMs: number
  nextTidyMs: number
}

export class Porter {
  readonly #config: Required<Omit<PorterConfig, 'pruneAfterMs' | 'keepArchiveMs' | 'fleetTimes'>> &
    Pick<PorterConfig, 'pruneAfterMs' | 'keepArchiveMs' | 'fleetTimes'>
  readonly #parts: PorterParts
  readonly #troubles: Troubles
  readonly #clockCheck: ClockCheck
  readonly #due: Due
  #state: PorterStatus['state'] = 'watching'
  #tenure: Tenure | undefined
  #rounds = 0
  #floor: Bucket = 0

  constructor(config: PorterConfig, parts: PorterParts) {
    const archiveAfterMs = config.archiveAfterMs ?? 48 * 3_600_000
    this.#config = {
      indexAfterMs: config.bucketSeconds * 1000,
      archiveSpanSeconds: Math.min(3600, Math.floor(archiveAfterMs / 1000)),
      indexBatchBytes: 16 * 1024 * 1024,
      archiveBatchBytes: 16 * 1024 * 1024,
      holeAfterMs: 24 * 3_600_000,
      recentMs: 7 * 24 * 3_600_000,
      pollMs: 1000,
      wantEveryMs: 30_000,
      tidyEveryMs: 600_000,
      ...config,
      archiveAfterMs,
    }
    this.#parts = parts
    this.#troubles = new Troubles(parts.world)
    this.#due = new Due(this.#config, parts.world.clock)
    this.#clockCheck = new ClockCheck(parts.world.clock, config.bucketSeconds)
  }

  /** Until `signal` aborts. Never rejects for trouble outside: that is logged, counted, and tried again. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#state = 'watching'
      await this.#parts.lease.hold(signal, held => this.#work(held))
    }
    this.#state = 'stopped'
  }

  status(): PorterStatus {
    const { name } = this.#config
    const tenure = this.#tenure
    const { clock } = this.#parts.world
    const members = new Map(tenure?.fleet.status().map(member => [member.address, member]))
    let waitingSinceMs = clock.monotonic()
    const bucks = (tenure?.views ?? []).map(view => {
      let toIndex = 0
      let toArchive = 0
      for (const [bucket, growth] of view.buckets) {
        if (growth.indexed < growth.version) toIndex++
        if (growth.archived < growth.version) toArchive++
        if (growth.indexed < growth.version && this.#due.isOver(bucket, growth)) {
          waitingSinceMs = Math.min(waitingSinceMs, growth.waitingMs)
        }
      }
      const { address, logId, number } = view
      const error = members.get(address)?.error
      return {
        address,
        isReachable: view.link !== undefined,
        logId,
        number,
        toIndex,
        toArchive,
        ...(error !== undefined && { error }),
      }
    })
    const lastError = this.#troubles.last
    const storeTrouble = this.#parts.storeTrouble?.()
    return {
      name,
      state: this.#state,
      lease: this.#parts.lease.status(),
      rounds: this.#rounds,
      bucks,
      counts: {
        ...(tenure?.carry.counts ?? NO_COUNTS),
        ...(tenure?.mend.counts ?? { rescuedEvents: 0, refilledEvents: 0 }),
      },
      lagSeconds: Math.round((clock.monotonic() - waitingSinceMs) / 1000),
      wantsOpen: tenure?.wants.count ?? 0,
      packetsDamagedEverywhere: tenure?.carry.spoiled.size ?? 0,
      clockIsSane: this.#clockCheck.isSteady,
      clockIsConfirmed: this.#clockCheck.isSane,
      failures: this.#troubles.total,
      ...(lastError !== undefined && { lastError }),
      ...(storeTrouble !== undefined && { storeTrouble }),
    }
  }

  async #work(held: AbortSignal): Promise<void> {
    const { world } = this.#parts
    const end = new AbortController()
    const signal = AbortSignal.any([held, end.signal])
    const tenure = this.#openTenure(signal)
    this.#tenure = tenure
    this.#state = 'working'
    const links = tenure.fleet.run(signal)
    try {
      const board = this.#parts.sharing?.board
      let isCleared = board === undefined
      while (!signal.aborted) {
        if (board && !isCleared) {
          isCleared = await this.#guarded('former rounds not cleared', () => clearFormerRounds(board))
        }
        const isMoreDue = await this.#round(tenure, signal)
        this.#rounds++
        if (!isMoreDue) await world.clock.sleep(this.#config.pollMs, signal).catch(() => undefined)
      }
    } finally {
      end.abort()
      await links
    }
  }

  #openTenure(held: AbortSignal): Tenure {
    const { world, dialer, index, archive, releases, isExcluded, sharing } = this.#parts
    const { bucks, pollMs, wantEveryMs, holeAfterMs, indexBatchBytes, archiveBatchBytes, fleetTimes } = this.#config
    const { archiveSpanSeconds } = this.#config
    const troubles = this.#troubles
    const views = [...new Set(bucks)].map(address => new BuckView(address))
    const onHeard = (buckets: Bucket[]) => this.#clockCheck.saw(buckets)
    const fleet = new Fleet(
      bucks,
      dialer,
      world,
      {
        onLink: link => {
          link.serve(answerPing)
          const view = views.find(candidate => candidate.address === link.address)
          if (!view) return
          view.link = link
          this.#followUntilLost(link, view, { world, troubles, pollMs, onHeard }, held)
        },
        onLost: link => {
          const view = views.find(candidate => candidate.link === link)
          if (view) view.link = undefined
        },
      },
      fleetTimes,
    )
    const words = new Words(troubles)
    const reachable = () => views.filter(view => view.link)
    const nowMs = world.clock.monotonic()
    const carry: Carry = new Carry({
      ...{ index, archive, reachable, words, troubles, world, indexBatchBytes, archiveBatchBytes },
      ...{ releases, isExcluded },
      ...(sharing && {
        sharing: {
          spanSeconds: Math.max(this.#config.bucketSeconds, archiveSpanSeconds),
          share: (jobs: CarryJob[], signal: AbortSignal) =>
            shareRound({ ...sharing, world, troubles, haul: (job, own) => carry.haul(job, own) }, jobs, signal),
        },
      }),
    })
    return {
      fleet,
      views,
      words,
      carry,
      wants: new Wants({ words, troubles, world, wantEveryMs, holeAfterMs }),
      mend: new Mend({ index, archive, troubles, batchBytes: indexBatchBytes }),
      nextLookMs: nowMs + wantEveryMs,
      nextTidyMs: nowMs + this.#config.tidyEveryMs,
    }
  }

  #followUntilLost(link: Link, view: BuckView, parts: Parameters<typeof follow>[2], held: AbortSignal): void {
    follow(link, view, parts, held).catch((error: unknown) => {
      // A mistake of ours: close the link, so that the fleet begins anew instead of a buck nobody follows.
      this.#troubles.note(`following ${view.address} failed`, error)
      link.close('following failed')
    })
  }

  /** True if more work is due at once. */
  async #round(tenure: Tenure, held: AbortSignal): Promise<boolean> {
    const { clock } = this.#parts.world
    this.#moveFloor()
    const errands = this.#due.errands(tenure.views, this.#floor)
    const forIndex = errands.filter(errand => errand.forIndex)
    for (const batch of this.#due.batches(tenure.views, forIndex)) await this.#carry(tenure, batch, held)
    // What is only to be archived can wait: one batch, then the index again.
    const forArchive = errands.filter(errand => !errand.forIndex)
    const batches = [...this.#due.batches(tenure.views, forArchive)]
    if (batches.length > 0) await this.#carry(tenure, batches[0], held)
    if (held.aborted) return false
    if (clock.monotonic() >= tenure.nextLookMs && this.#due.isAllRead(tenure.views)) {
      tenure.nextLookMs = clock.monotonic() + this.#config.wantEveryMs
      await this.#guarded('look at what is missing failed', () => this.#look(tenure, held))
    }
    if (clock.monotonic() >= tenure.nextTidyMs && !held.aborted) {
      tenure.nextTidyMs = clock.monotonic() + this.#config.tidyEveryMs
      await this.#tidy(tenure, held)
    }
    return batches.length > 1
  }

  async #carry(tenure: Tenure, errands: Errand[], held: AbortSignal): Promise<void> {
    if (held.aborted) return
    const isDone = await this.#guarded('carrying failed', () => tenure.carry.run(errands, held))
    if (isDone) return
    const nowMs = this.#parts.world.clock.monotonic()
    for (const { bucket } of errands) for (const view of tenure.views) view.failed(bucket, nowMs)
  }

  /** False if it failed; that is noted and never stops the rounds. */
  async #guarded(cause: string, step: () => Promise<unknown>): Promise<boolean> {
    try {
      await step()
      this.#troubles.clear(cause)
      return true
    } catch (error) {
      this.#troubles.note(cause, error)
      return false
    }
  }

  async #look(tenure: Tenure, held: AbortSignal): Promise<void> {
    const { archive, world } = this.#parts
    const { views, carry, wants, mend, words } = tenure
    await words.load('archive', archive)
    const archived = await archive.sequences()
    for (const [key, id] of carry.spoiled) if (archived.get(epochKey(id))?.has(id.sequence)) carry.spoiled.delete(key)
    // An index that is down must not keep the tailers from being asked for what is not archived.
    const indexed = await this.#indexedNow(tenure)
    if (indexed && isAnyLost(carry.indexed, indexed)) {
      world.log.warn('the index lost packets: it is filled again')
      mend.indexLost()
      for (const view of views) view.indexAgain()
      carry.indexed = indexed
      return // the next rounds read the bucks; what they no longer have is looked for after that
    }
    const reachable = views.filter(view => view.link)
    const settled = await this.#withReleased(archived)
    const { gone, lost } = await wants.look(reachable, carry.spoiled.values(), indexed ?? new Map(), settled)
    if (held.aborted) return
    if (gone.length > 0) await this.#keepGone(tenure, gone)
    if (!indexed) return
    await mend.rescue(lost, indexed, held)
    // Filling deletes nothing, so it takes the clock as it is.
    await mend.refill(indexed, archived, Math.max(this.#floor, this.#recentFrom()), held)
    carry.indexed = await this.#parts.index.sequences()
  }

  /** Nobody asks for what was excluded. */
  async #withReleased(archived: Sequences): Promise<Sequences> {
    const released = await this.#parts.releases?.sequences()
    if (!released || released.size === 0) return archived
    const settled: Sequences = new Map(archived)
    for (const [key, ranges] of released) settled.set(key, new RangeSet([...(archived.get(key) ?? []), ...ranges]))
    return settled
  }

  async #indexedNow(tenure: Tenure): Promise<Sequences | undefined> {
    const cause = 'index not asked what it holds'
    try {
      await tenure.words.load('index', this.#parts.index)
      const sequences = await this.#parts.index.sequences()
      this.#troubles.clear(cause)
      return sequences
    } catch (error) {
      this.#troubles.note(cause, error)
      return undefined
    }
  }

  /** A tailer says it once; so it is kept at once, in both stores. */
  async #keepGone(tenure: Tenure, gone: Gone[]): Promise<void> {
    for (const name of ['index', 'archive'] as const) {
      const words = tenure.words.lacking(name, { manifests: [], gone })
      if (words.gone.length === 0) continue
      await this.#parts[name].add([], words)
      tenure.words.added(name, words)
    }
  }

  /** The floor only moves with a clock that is to be trusted, and never back. */
  #moveFloor(): void {
    if (this.#clockCheck.isSane) this.#floor = Math.max(this.#floor, this.#recentFrom())
  }

  /** First bucket that the index keeps, by this clock. */
  #recentFrom(): Bucket {
    const { recentMs } = this.#config
    return recentMs === 0 ? 0 : this.#bucketBefore(recentMs)
  }

  #bucketBefore(ageMs: number): Bucket {
    const { bucketSeconds } = this.#config
    const seconds = Math.floor((this.#parts.world.clock.now() - ageMs) / 1000)
    return Math.max(0, Math.floor(seconds / bucketSeconds) * bucketSeconds)
  }

  async #tidy(tenure: Tenure, held: AbortSignal): Promise<void> {
    const { index, archive, lease, world } = this.#parts
    const { pruneAfterMs, keepArchiveMs } = this.#config
    const clockAgrees = () => this.#parts.clockAgrees?.() ?? true
    const mayDelete = () => lease.isHeld && this.#clockCheck.isSane && clockAgrees() && !held.aborted
    if (this.#floor > 0 && mayDelete()) {
      await this.#guarded('retention of the index failed', async () => {
        const before = await index.sequences()
        const events = await index.expire(this.#floor)
        if (events > 0) world.log.info('index expired', { before: this.#floor, events })
        const after = await index.sequences()
        const gone: Sequences = new Map()
        for (const [key, ranges] of before) gone.set(key, ranges.without(after.get(key) ?? new RangeSet()))
        tenure.mend.expired(gone)
        tenure.carry.indexed = after
      })
    }
    if (keepArchiveMs !== undefined && mayDelete()) {
      await this.#guarded('retention of the archive failed', async () => {
        const before = this.#bucketBefore(keepArchiveMs)
        const why = `archive.keep is ${Math.round(keepArchiveMs / 86_400_000)} days`
        const expiry = { before, why, who: this.#config.name, nowMs: world.clock.now() }
        const events = await expireArchive(archive, this.#parts.releases, expiry)
        if (events > 0) world.log.info('archive expired', { before, events })
      })
    }
    if (pruneAfterMs !== undefined && mayDelete()) {
      const before = this.#bucketBefore(pruneAfterMs)
      for (const view of tenure.views) {
        if (!view.link) continue
        await this.#guarded(`${view.address} not pruned`, async () =>
          view.link?.ask('prune', { before }, undefined, 60_000),
        )
      }
    }
    // Merging deletes what it replaced, by age; it has its own grace time.
    if (lease.isHeld && !held.aborted) {
      await this.#guarded('tidying the index failed', () => index.tidy({ signal: held }))
      await this.#guarded('tidying the archive failed', () => archive.tidy({ signal: held }))
    }
  }
}

const NO_COUNTS: CarryCounts = {
  fetched: 0,
  indexedPackets: 0,
  indexedEvents: 0,
  archivedPackets: 0,
  archivedEvents: 0,
  repeated: 0,
  unreadable: 0,
}

const answerPing: Parameters<Link['serve']>[0] = async type => {
  if (type !== 'ping') throw new RefusedError('bad-request', `a porter does not answer ${type}`)
  return { body: {} as never }
}

function isAnyLost(before: Sequences, now: Sequences): boolean {
  for (const [key, ranges] of before) if (ranges.without(now.get(key) ?? new RangeSet()).size > 0) return true
  return false
}
