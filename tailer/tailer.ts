// One machine's tailer: watch ▸ read ▸ split ▸ parse ▸ pack ▸ own bucket file ▸ two bucks.
//
//   run:  open folder ─▶ hear the bucks (if the folder may know less than they) ─▶ rounds ─▶ farewell
//   a round:  look for files (now and then) · read what grew · cut · seal when the bucket is over · tidy
//
// One loop does all reading and cutting, so a packet is cut by nobody else. Links, deliveries and reports run beside it.
import { isDeepStrictEqual } from 'node:util'
import { droppedIn, withDropped } from '../shared/dropped.ts'
import { Fleet } from '../shared/fleet.ts'
import type { NodeKeys } from '../shared/keys.ts'
import { type Dialer, type Link, LinkLostError, RefusedError, type Server } from '../shared/link.ts'
import { type DroppedByRule, type GivenUp, type Gone, type Manifest, signGone } from '../shared/manifest.ts'
import type { Bucket, Epoch, TailerReport } from '../shared/messages.ts'
import { epochCount } from '../shared/packet.ts'
import { RangeSet } from '../shared/ranges.ts'
import type { World } from '../shared/world.ts'
import { PacketBuilder } from './builder.ts'
import { Delivery } from './delivery.ts'
import { Quotas } from './drop/quotas.ts'
import { isDurable, isForDisk, lostWith, oldestDiscardable } from './durability.ts'
import { EventDelays } from './event-delays.ts'
import type { FileRule } from './find-files.ts'
import { Hearing } from './hearing.ts'
import type { Machine } from './identity.ts'
import type { Journal, PacketRef } from './journal.ts'
import { checkRule, redactedBy } from './line-way.ts'
import { bucketAt, type Opened, openFolder, resumeOf, wordsOnFormerBuckets } from './opening.ts'
import { Packer } from './packer.ts'
import { Reader } from './reader.ts'
import { isActiveName } from './rotation.ts'
import { SealedBuckets } from './sealed-buckets.ts'
import type { Sealer } from './sealer.ts'
import { readAt, type Source } from './source.ts'
import { SourceFigures, type SourceRow } from './source-figures.ts'
import type { SourceLog, StoredSource } from './source-log.ts'
import { Sources } from './sources.ts'
import { StrayPackets } from './strays.ts'

export interface TailerConfig {
  folder: string
  host: string
  files: FileRule[]
  /** Where this program itself writes: globs find nothing there. */
  ownFolders?: string[]
  /** Globs of what is never read, however it is named. */
  exclude?: string[]
  /** Channel addresses, host:port. */
  bucks: string[]
  bucketSeconds: number
  /** A packet is cut at so much raw text, or when there is any and the one before is so old. */
  packetBytes: number
  packetMs: number
  /** Unarchived packets on this disk, in bytes; then reading stops: the log files are the buffer. */
  diskBytesMax: number
  /** Or the oldest buckets make room, held by a buck or not: what is lost is in the ledger. */
  overDiskLimit: 'stop' | 'discard'
  /**
   * Bucket files stay at least so long after their bucket was sealed: the kernel writes log files back within half a
   * minute, and until then a power cut can make them shorter than what was read. Then the journal says what was read.
   */
  forgetAfterMs: number
  pollMs: number
  lookMs: number
  /** A line whose end does not come is given out in parts after so long. */
  partialMs: number
  /** An event that may go on (a trace at the end of a file) is given out after so long. */
  recordMs: number
  holdBackMs: number
  settleMs: number
  missingMs: number
  /** How long bucks are waited for that may know more than this folder. */
  openingWaitMs: number
  /** How long an orderly stop waits for packets to reach two bucks. */
  drainMs: number
  /** Read all files to their ends, wait until all is archived, end. */
  once: boolean
}

export const TAILER_DEFAULTS = {
  bucketSeconds: 60,
  packetBytes: 3_000_000,
  packetMs: 250,
  diskBytesMax: 10_000_000_000,
  overDiskLimit: 'stop',
  forgetAfterMs: 120_000,
  pollMs: 100,
  lookMs: 250,
  partialMs: 5_000,
  recordMs: 200,
  holdBackMs: 600_000,
  settleMs: 10_000,
  missingMs: 10_000,
  openingWaitMs: 5_000,
  drainMs: 5_000,
  once: false,
} as const satisfies Partial<TailerConfig>

export interface TailerParts {
  world: World
  /** A dialler that speaks with these keys: they may be minted anew. */
  makeDialer(keys: NodeKeys): Dialer
  machine: Machine
}

export interface TailerStatus extends TailerReport {
  tailer: string
  packets: number
  journalBytes: number
  linksOpen: number
  eventsRead: number
  linesRead: number
  bytesRead: number
  heldBack: string[]
  /** Files and sources of which the last look could not say yet what becomes of them. */
  undecided: number
  /** In new files that could not be read when last looked at. */
  unbegunBytes: number
  /** Rotated files that are read to their ends, with all of them synced in the journal. */
  settled: string[]
  damagedEntries: number
  /** Places hidden since the start, by rule. */
  redacted: Record<string, number>
  /** Lines dropped by settings since the start, by rule, and their bytes. */
  dropped: DroppedByRule[]
  /** Bytes left of today's quotas, by log. */
  quotaLeft: [log: string, bytes: number][]
  /** Least time from an event's own time to its reading, by host, in the last minute or two. */
  eventDelaySeconds: Record<string, number>
  /** Once: everything is read, packed and archived. */
  isDone: boolean
}

/** A buck found another living tailer under this id. */
class CloneError extends Error {
  override readonly name = 'CloneError'
}

const REPORT_EVERY_MS = 2_000
/** To a buck that has the same one already: the more files are idle, the longer it is, and the more seldom it is told. */
const SAME_REPORT_MS_MIN = 10_000
const SAME_REPORT_MS_PER_FILE = 10
const SAME_REPORT_MS_MAX = 60_000
/** How often wanted packets without a buck are looked over, and bucket files that could go. */
const ASSIGN_EVERY_MS = 500
const TIDY_EVERY_MS = 5_000
const DISK_RETRY_MS = 1_000
/** Within a round: of more files than may be open, those that are read to their ends are closed on the way. */
const TURNS_BETWEEN_CLOSING = 500

/** What may change while it runs. */
export type FileSettings = Pick<TailerConfig, 'files' | 'exclude'>

export class Tailer {
  #config: TailerConfig
  readonly #parts: TailerParts
  #life: Life | undefined
  #isDone = false

  private constructor(config: TailerConfig, parts: TailerParts) {
    this.#config = config
    this.#parts = parts
  }

  /** Reads what the folder knows. Rejects if it cannot be used (IdentityError, errors of the disk). */
  static async open(config: TailerConfig, parts: TailerParts): Promise<Tailer> {
    const tailer = new Tailer(config, parts)
    tailer.#life = await Life.begin(config, parts, false)
    return tailer
  }

  /** Resolves once everything is archived (`once`), or when `signal` has aborted and the farewell is said. */
  async run(signal: AbortSignal): Promise<void> {
    for (;;) {
      try {
        await this.#life!.run(signal)
        this.#isDone = true
        return
      } catch (error) {
        if (!(error instanceof CloneError)) throw error
        this.#parts.world.log.error('another tailer lives under this id: minting a new one', { tailer: this.#life!.id })
        this.#life = await Life.begin(this.#config, this.#parts, true)
      }
    }
  }

  /**
   * Other files from the next look on; offsets stay, and a rule that is as it was goes on as it is. Throws, and changes
   * nothing, if they cannot be used.
   */
  follow({ files, exclude }: FileSettings): void {
    for (const rule of files) checkRule(rule)
    const known = this.#config.files
    const kept = files.map(rule => known.find(old => isDeepStrictEqual(old, rule)) ?? rule)
    this.#config = { ...this.#config, files: kept, exclude }
    this.#life!.follow(this.#config)
  }

  status(): TailerStatus {
    return { ...this.#life!.status(), isDone: this.#isDone }
  }

  /** Since the start, by path. */
  figures(): SourceRow[] {
    return this.#life!.figures()
  }
}

/** The tailer under one id: from the opening of an epoch to its farewell. */
class Life {
  #config: TailerConfig
  /** To be taken over before the next look. */
  #next: TailerConfig | undefined
  /** By rules that are followed no more. */
  #redactedBefore: Record<string, number> = {}
  readonly #world: World
  readonly #keys: NodeKeys
  readonly #machine: Machine
  readonly #fleet: Fleet
  readonly #journal: Journal
  readonly #sourceLog: SourceLog
  readonly #sealer: Sealer
  readonly #sources: Sources
  readonly #reader: Reader
  readonly #builder: PacketBuilder
  readonly #packer = new Packer()
  readonly #delivery: Delivery
  readonly #opened: Opened
  readonly #stop = new AbortController()
  /** The boot in which all files were looked at. */
  #boot: string
  #epoch: Epoch
  #sequence: number
  #bucket: Bucket
  /** Monotonic ms of the last packet. */
  #cutAt = Number.NEGATIVE_INFINITY
  /** Packets were cut because they were full, and not all has been read since. */
  #isBehind = false
  /** Told to stop: so long it may take. */
  #endAt: number | undefined
  #stopped: string | undefined
  #mustReopen = false
  /** Left because a former life had gone on in them: what it sent may have our sequences. */
  readonly #forked = new Set<Epoch>()
  #failure: unknown
  readonly #hearing: Hearing
  readonly #strays = new StrayPackets()
  readonly #sealed: SealedBuckets
  readonly #caughtUp = new WeakSet<Source>()
  readonly #delays = new EventDelays()
  readonly #figures: SourceFigures
  #births = 0
  /** Whose turn it was in the last round. */
  #turns = 0
  readonly #dropped: DroppedByRule[] = []
  readonly #quotas: Quotas
  #events = 0
  #lines = 0
  #bytes = 0

  private constructor(config: TailerConfig, parts: TailerParts, opened: Opened, quotas: Quotas) {
    this.#config = config
    this.#quotas = quotas
    this.#world = parts.world
    this.#machine = parts.machine
    this.#opened = opened
    this.#keys = opened.identity.keys
    this.#journal = opened.journal
    this.#sourceLog = opened.sourceLog
    this.#sealer = opened.sealer
    this.#boot = opened.boot
    this.#epoch = opened.epoch
    this.#sequence = opened.sequence
    this.#bucket = bucketAt(this.#world.clock.now(), config.bucketSeconds)
    this.#builder = new PacketBuilder(config.packetBytes)
    const journalBytes = (source: { name: string }, from: number, to: number) =>
      this.#journal.sourceBytes(source.name, from, to)
    this.#reader = new Reader(this.#world, config.partialMs, config.recordMs, journalBytes)
    this.#sources = new Sources(
      { ...config, rules: config.files },
      {
        ...this.#world,
        birth: sources => this.#birth(sources),
        giveUp: what => this.#giveUp(what),
        journalBytes,
        nextKnown: (source, from) => this.#journal.nextKnown(source.name, from),
        epochCount: () => epochCount(this.#epoch),
        setsKnown: sets => this.#untilWritten(() => this.#sourceLog.setsKnown(sets)),
      },
      opened,
      !opened.isSameBoot && !opened.identity.isFresh,
    )
    for (const ref of opened.journal.refs) {
      for (const run of ref.runs) this.#sources.get(run.source)?.cover(run.from, run.to, ref.id.epoch)
    }
    this.#figures = new SourceFigures(this.#world.clock)
    this.#delivery = new Delivery(
      opened.journal,
      this.#world,
      refs => this.#archived(refs),
      ref => this.#figures.heldTwice(ref, this.#pathOf),
    )
    this.#hearing = new Hearing(
      {
        tailer: this.#keys.id,
        journal: opened.journal,
        sources: this.#sources,
        log: this.#world.log,
        append: packet => this.#untilWritten(() => this.#journal.appendPacket(packet)),
      },
      opened.lasts,
    )
    this.#sealed = new SealedBuckets(this.#delivery, this.#world)
    for (const manifest of opened.journal.manifests) {
      if (manifest.tailer === this.#keys.id) this.#knowSealed(manifest)
    }
    this.#fleet = new Fleet(config.bucks, parts.makeDialer(this.#keys), this.#world, {
      onLink: link => this.#greet(link),
      onLost: link => this.#delivery.lost(link),
    })
  }

  static async begin(config: TailerConfig, parts: TailerParts, mintAnew: boolean): Promise<Life> {
    const opened = await openFolder(config, parts.world, parts.machine, mintAnew)
    return new Life(config, parts, opened, await Quotas.open(parts.world, config.folder))
  }

  get id(): string {
    return this.#keys.id
  }

  async run(signal: AbortSignal): Promise<void> {
    const toldToStop = () => {
      this.#endAt = this.#world.clock.monotonic() + this.#config.drainMs
    }
    signal.addEventListener('abort', toldToStop, { once: true })
    const beside = this.#stop.signal
    const tasks = [
      this.#fleet.run(beside),
      this.#ensureLoop(beside),
      this.#reportLoop(beside),
      this.#assignLoop(beside),
    ]
    try {
      if (this.#opened.needsWord) await this.#hearBucks(signal)
      else this.#hearing.skip()
      await this.#rounds(signal)
      if (!signal.aborted && this.#config.once) await this.#untilArchived(signal)
      if (signal.aborted) await this.#sayFarewell()
    } finally {
      signal.removeEventListener('abort', toldToStop)
      this.#stop.abort()
      await Promise.all(tasks)
      await this.#sources.close()
      for (const source of this.#sources.all) await source.closeFile()
      await this.#journal.close()
      await this.#sourceLog.close()
    }
  }

  status(): Omit<TailerStatus, 'isDone'> {
    return {
      ...this.#report(),
      tailer: this.#keys.id,
      packets: this.#journal.size,
      journalBytes: this.#journal.bytes,
      linksOpen: this.#fleet.open().length,
      eventsRead: this.#events,
      linesRead: this.#lines,
      bytesRead: this.#bytes,
      heldBack: this.#sources.heldBack,
      undecided: this.#sources.undecided,
      unbegunBytes: this.#sources.unbegunBytes,
      settled: [...this.#sources.all]
        .filter(({ isSettled, isFinished }) => isSettled && !isFinished)
        .map(source => source.path),
      damagedEntries: this.#journal.damages.length,
      redacted: summed(this.#redactedBefore, redactedBy(this.#config.files)),
      dropped: this.#dropped,
      quotaLeft: this.#quotas.left(),
      eventDelaySeconds: this.#delays.seconds(this.#world.clock.monotonic()),
    }
  }

  figures(): SourceRow[] {
    return this.#figures.rows(
      [...this.#sources.all].filter(({ isExcluded, isFinished, isLeft }) => !isExcluded && !isFinished && !isLeft),
    )
  }

  readonly #pathOf = (source: string) => this.#sources.get(source)?.path ?? 'other'

  // ── rounds ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  async #rounds(signal: AbortSignal): Promise<void> {
    const { clock } = this.#world
    const { once, pollMs, lookMs, missingMs } = this.#config
    let isWhole = false
    let takenAt = clock.monotonic()
    let nextTidy = clock.monotonic() + TIDY_EVERY_MS
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure
      if (this.#mustReopen) await this.#newEpoch()
      if (this.#next !== undefined) await this.#takeOver(this.#next)
      if (this.#strays.isAny) await this.#sealStrays()
      await this.#sealIfOver()
      const isFull = !(await this.#hasRoom())
      this.#stopped = isFull ? 'the disk limit is reached: reading goes on when packets are archived' : undefined
      const mustLook = this.#sources.isLookDue(clock.monotonic(), lookMs) || this.#isAnyLost()
      if (mustLook) {
        isWhole = await this.#sources.look(once)
        for (const source of this.#sources.all) this.#figures.look(source)
        if (isWhole && this.#boot !== this.#machine.boot) {
          await this.#untilWritten(() => this.#sourceLog.lookedAt(this.#machine.boot))
          this.#boot = this.#machine.boot
        }
      }
      const taken = isFull ? 0 : await this.#readAll(once)
      if (taken > 0) takenAt = clock.monotonic()
      // The first line after a quiet time goes at once; what follows is collected for as long as a packet may be apart.
      // So does the end of a backlog: it is not one more of many small packets.
      const isEnd = taken === 0 && (once || this.#isBehind)
      if (this.#isCutDue() || isEnd) await this.#cut()
      if (taken === 0) this.#isBehind = false
      if (clock.monotonic() >= nextTidy) {
        await this.#tidy()
        nextTidy = clock.monotonic() + TIDY_EVERY_MS
      }
      const isAllTaken = taken === 0 && mustLook && isWhole && !isFull && this.#builder.rawBytes === 0
      // A disk that does not read now may do so soon.
      if (once && isAllTaken && (!this.#isAnyUnread() || clock.monotonic() - takenAt >= missingMs)) return
      // Aborted: what is in the builder is cut and sealed by the farewell.
      if (signal.aborted) return
      if (once && taken === 0) await this.#pause(1, signal)
      else if (taken === 0 && (this.#turns > 0 || this.#builder.rawBytes > 0)) await this.#pause(pollMs, signal)
      else if (taken === 0) await this.#sources.rest(pollMs, lookMs, signal)
    }
  }

  follow(config: TailerConfig): void {
    this.#next = config
  }

  async #takeOver(next: TailerConfig): Promise<void> {
    this.#next = undefined
    // What was collected was read by the rules of then.
    await this.#cut()
    try {
      this.#sources.follow({ rules: next.files, exclude: next.exclude })
    } catch (error) {
      this.#world.log.error('settings for files cannot be followed: the old ones stay', { error })
      return
    }
    const gone = this.#config.files.filter(rule => !next.files.includes(rule))
    this.#redactedBefore = summed(this.#redactedBefore, redactedBy(gone))
    this.#config = next
  }

  #isAnyLost(): boolean {
    for (const source of this.#sources.all) if (source.isLost) return true
    return false
  }

  /** Something was seen that could not be read, or its file is looked for. */
  #isAnyUnread(): boolean {
    if (this.#sources.unbegunBytes > 0) return true
    for (const source of this.#sources.all) {
      if (source.isExcluded || source.isFinished || source.isLeft) continue
      if (source.isLost || source.size > source.offset) return true
    }
    return false
  }

  /** One quantum of every source that grew; answers the bytes taken. */
  async #readAll(isLast: boolean): Promise<number> {
    let taken = 0
    this.#turns = 0
    for (const source of this.#sources.turns()) {
      this.#turns++
      // Quotas are for what goes on; as rates, they do not hold up a run that ends.
      if (!isLast) this.#quotas.attach(source)
      await this.#catchUpSteps(source)
      const hiddenBefore = source.redactedPlaces
      const got = await this.#reader.read(source, this.#builder, isLast)
      taken += got
      this.#figures.read(source, got, source.redactedPlaces - hiddenBefore)
      this.#figures.look(source)
      const { isFull } = this.#builder
      if (isFull) this.#isBehind = true
      // Due, too: to open a thousand files takes longer than a line may wait.
      if (isFull || this.#isCutDue()) await this.#cut()
      if (got === 0) await this.#settle(source)
      // The next look would close them, too; so many may not be open by then.
      if (this.#turns % TURNS_BETWEEN_CLOSING === 0) await this.#sources.closeIdle()
    }
    return taken
  }

  #isCutDue(): boolean {
    return this.#builder.rawBytes > 0 && this.#world.clock.monotonic() - this.#cutAt >= this.#config.packetMs
  }

  /** A rotated file that was read to its end and is quiet is closed; one whose name is gone is done with. */
  async #settle(source: Source): Promise<void> {
    if (source.size > source.offset || source.isLost) return
    if (this.#world.clock.monotonic() - source.grewAt < this.#config.settleMs) return
    if (source.isUnlinked) {
      source.isFinished = true
      source.isSettled = true
      source.ino = 0
    } else if (!isActiveName(source.path) && !source.isSettled) {
      source.isSettled = true
    } else return
    await source.closeFile()
    await this.#birth([source])
  }

  /** After a restart the begun hash step is read once more, so that its hash becomes known. */
  async #catchUpSteps(source: Source): Promise<void> {
    if (this.#caughtUp.has(source) || source.file === undefined) return
    this.#caughtUp.add(source)
    const from = this.#sealer.stepLacksFrom(source.name, source.offset)
    if (from === undefined || !source.coverage.covers(from, source.offset)) return
    // What is hidden is not hidden in the file: then the journal has it, or the hash stays unknown.
    const bytes = source.isRedacted
      ? await this.#journal.sourceBytes(source.name, from, source.offset)
      : await readAt(source.file, from, source.offset)
    if (bytes !== undefined) this.#sealer.catchUpStep(source.name, from, bytes)
  }

  /** Packs what was collected and puts it into the journal, then on its way. Waits while the disk is full. */
  async #cut(): Promise<void> {
    // More than one packet only where lines name more hosts and applications than one can hold.
    while (this.#builder.rawBytes > 0) {
      this.#cutAt = this.#world.clock.monotonic()
      const { bytes, spans } = this.#builder.collected
      const sequence = this.#sequence + 1
      const origin = { tailer: this.#keys.id, epoch: this.#epoch, sequence, bucket: this.#bucket }
      const { packet, events } = this.#packer.pack(origin, bytes, spans)
      const ref = await this.#untilWritten(() => this.#journal.appendPacket(packet))
      this.#sequence = sequence
      for (const run of events.runs) this.#sources.get(run.source)?.cover(run.from, run.to, this.#epoch)
      await this.#wholeBirths(events.runs.map(run => run.source))
      this.#sealer.count(sequence, events)
      this.#delays.see(events, this.#world.clock.now(), this.#world.clock.monotonic())
      this.#events += packet.header.events
      this.#lines += packet.header.lines
      this.#bytes += packet.header.rawBytes
      this.#figures.packed(ref, this.#pathOf)
      for (const dropped of droppedIn(events).values()) withDropped(this.#dropped, dropped)
      this.#delivery.add(ref, packet.bytes)
      this.#builder.dropUntil(events.bytes.length)
    }
  }

  /** A full or failing disk stops the reading, not the process; one that is told to stop waits for it no longer than for bucks. */
  async #untilWritten<T>(write: () => Promise<T>): Promise<T> {
    for (let isTold = false; ; isTold = true) {
      try {
        const done = await write()
        if (isTold) this.#stopped = undefined
        return done
      } catch (error) {
        this.#stopped = `the tailer's disk does not take writes: ${(error as Error).message}`
        if (!isTold) this.#world.log.error('journal cannot be written: reading stops until it can', { error })
        if (this.#endAt !== undefined && this.#world.clock.monotonic() >= this.#endAt) {
          throw new Error(`${this.#stopped}; what was not written is read again at the next start`, { cause: error })
        }
        await this.#world.clock.sleep(DISK_RETRY_MS)
      }
    }
  }

  async #pause(ms: number, signal: AbortSignal): Promise<void> {
    await this.#world.clock.sleep(ms, signal).catch(ifAborted(signal))
  }

  // ── buckets ────────────────────────────────────────────────────────────────────────────────────────────────────────

  async #sealIfOver(): Promise<void> {
    const bucket = bucketAt(this.#world.clock.now(), this.#config.bucketSeconds)
    if (bucket === this.#bucket) return
    await this.#cut()
    await this.#seal(false)
    this.#bucket = bucket
  }

  async #seal(isFarewell: boolean): Promise<void> {
    const manifest = this.#sealer.seal(this.#epoch, this.#bucket, isFarewell)
    await this.#untilWritten(() => this.#journal.appendManifest(manifest))
    this.#knowSealed(manifest)
    this.#tellSealed([manifest])
  }

  #knowSealed(manifest: Manifest): void {
    this.#strays.sealed(manifest)
    this.#sealed.add(manifest)
  }

  /** Not waited for: a slow buck must not hold up the reading. Who missed it is told at its next opening. */
  #tellSealed(manifests: Manifest[]): void {
    for (const bucket of new Set(manifests.map(({ bucket }) => bucket)))
      for (const link of this.#fleet.open()) void this.#sealed.tell(link, bucket)
  }

  /** Whose packets are at bucks and not in our journal: nobody else can say that there is no more of that bucket. */
  async #sealStrays(): Promise<void> {
    const manifests: Manifest[] = []
    for (const run of this.#strays.take()) {
      const manifest = this.#sealer.sealFormer(run, [], [])
      await this.#untilWritten(() => this.#journal.appendManifest(manifest))
      this.#world.log.warn('sealed what only bucks have', { ...run })
      this.#knowSealed(manifest)
      manifests.push(manifest)
    }
    this.#tellSealed(manifests)
  }

  async #ensureLoop(signal: AbortSignal): Promise<void> {
    const pauseMs = this.#config.once ? 20 : Math.min(this.#config.bucketSeconds * 1000, 10_000) / 2
    while (!signal.aborted) {
      await this.#pause(pauseMs * (0.5 + this.#world.random.fraction()), signal)
      await this.#sealed.ensure(() => this.#fleet.open(), signal)
    }
  }

  /** Bucket files that are archived and told go, after everything that leans on them is in a synced resume record. */
  async #tidy(): Promise<void> {
    await this.#quotas.write()
    const isKept = (bucket: Bucket) =>
      bucket === this.#bucket || this.#sealed.isKept(bucket, this.#config.forgetAfterMs)
    if (!this.#config.once) this.#releaseDurable(isKept)
    if (!this.#journal.hasRemovable(isKept)) return
    await this.#cut()
    this.#sources.prune(source => this.#journal.hasSource(source.name))
    try {
      await this.#writeResume()
      await this.#journal.removeArchived(isKept)
      this.#sealed.forgetUnless(bucket => this.#journal.hasFile(bucket))
    } catch (error) {
      this.#world.log.error('bucket files cannot be tidied: tried again', { error })
    }
  }

  async #writeResume(): Promise<void> {
    await this.#journal.sync()
    await this.#sourceLog.replace(
      resumeOf(this.#openedNow(), this.#storedSources(), this.#sources.knownSets, this.#boot),
    )
  }

  /** Packets that the settings of their logs do not want kept until they are archived. */
  #releaseDurable(isKept: (bucket: Bucket) => boolean): void {
    for (const bucket of this.#journal.buckets) {
      if (isKept(bucket)) continue
      for (const ref of this.#journal.refsOf(bucket)) {
        if (!isDurable(ref, this.#levelOf)) continue
        this.#delivery.forget(ref)
        this.#journal.archived(ref)
      }
    }
  }

  /** Within the disk limit; if need be, where the settings want it so, after the oldest buckets made room. */
  async #hasRoom(): Promise<boolean> {
    const { diskBytesMax, overDiskLimit } = this.#config
    while (this.#journal.bytes > diskBytesMax) {
      const mayGo = (ref: PacketRef) => overDiskLimit === 'discard' || isForDisk(ref, this.#levelOf)
      const oldest = oldestDiscardable(this.#journal, this.#bucket, mayGo)
      if (oldest === undefined) return false
      const { bucket, refs } = oldest
      const lost = lostWith(refs, source => this.#sources.get(source))
      // In this order: what is gone is named, and nobody looks for its offsets in what is gone.
      await this.#giveUp(...lost)
      await this.#cut()
      try {
        await this.#writeResume()
        for (const ref of refs) this.#delivery.forget(ref)
        await this.#journal.discard(bucket)
      } catch (error) {
        this.#world.log.error('the disk limit is reached, and no room can be made', { error })
        return false
      }
      const bytes = refs.reduce((sum, ref) => sum + ref.bytes, 0)
      this.#world.log.warn('packets discarded at the disk limit', { bucket, packets: refs.length, bytes })
    }
    return true
  }

  readonly #levelOf = (source: string) => this.#sources.get(source)?.rule?.durability ?? 'archived'

  #openedNow(): Pick<Opened, 'epoch' | 'lasts' | 'archived' | 'sealer'> {
    const lasts = new Map(this.#opened.lasts)
    lasts.set(this.#epoch, this.#sequence)
    return { epoch: this.#epoch, lasts, archived: this.#opened.archived, sealer: this.#sealer }
  }

  #storedSources(): StoredSource[] {
    return [...this.#sources.all].map(source =>
      source.stored(this.#keys.id, this.#machine.identity, source.offset, source.tail),
    )
  }

  /** Synced before it resolves; what it says of offsets is synced in the journal before. */
  async #birth(sources: Source[]): Promise<void> {
    this.#births++
    await this.#cut()
    for (const source of sources) this.#noteIfEmpty(source)
    await this.#untilWritten(async () => {
      await this.#journal.sync()
      await this.#sourceLog.birth(
        sources.map(source => source.stored(this.#keys.id, this.#machine.identity, source.offset, source.tail)),
      )
    })
  }

  /**
   * Born empty, and the first packet of it is about to leave: after a power cut that takes the journal's end, a buck may
   * have it, and its name must not be given to what its file has become meanwhile.
   */
  async #wholeBirths(names: string[]): Promise<void> {
    const born = new Set(names.map(name => this.#sources.get(name)).filter(source => source?.isBirthWhole === false))
    if (born.size === 0) return
    const { id } = this.#keys
    const births = [...born].map(source => source!.stored(id, this.#machine.identity, source!.start, Buffer.alloc(0)))
    await this.#untilWritten(() => this.#sourceLog.birth(births))
    for (const source of born) source!.isBirthWhole = true
  }

  #noteIfEmpty(source: Source): void {
    const { name, host, path, start } = source
    if (source.isExcluded || source.size > start) return
    this.#sealer.noteEmpty({ source: name, host, path, start })
  }

  async #giveUp(...given: GivenUp[]): Promise<void> {
    for (const what of given) {
      this.#figures.gaveUp(what)
      const fields = { path: what.path, source: what.source, from: what.from, to: what.to, reason: what.reason }
      if (what.kind === 'excluded') this.#world.log.info('range excluded', fields)
      else this.#world.log.warn(what.kind === 'hole' ? 'lines lost' : 'cannot be proven', fields)
    }
    const notes = given.map(gaveUp => ({ epoch: this.#epoch, bucket: this.#bucket, gaveUp }))
    await this.#untilWritten(() => this.#journal.appendNotes(this.#keys.id, notes))
    for (const what of given) this.#sealer.giveUp(what)
  }

  /** A buck knows more of this epoch than we do: the machine was put back in time while it ran. */
  async #newEpoch(): Promise<void> {
    this.#mustReopen = false
    await this.#cut()
    await this.#seal(false)
    this.#opened.lasts.set(this.#epoch, this.#sequence)
    this.#forked.add(this.#epoch)
    const count = Number(this.#epoch.split('-')[0]) + 1
    this.#epoch = `${count}-${this.#world.random.bytes(8).toString('hex')}`
    this.#sequence = 0
    await this.#untilWritten(() => this.#sourceLog.opening(this.#epoch))
    this.#world.log.warn('epoch opened anew: a buck knew a higher sequence', { epoch: this.#epoch })
    // They say now what they have of the former one.
    for (const link of this.#fleet.open()) void this.#hear(link).catch(error => this.#notHeard(link, error))
  }

  #notHeard(link: Link, error: unknown): void {
    if (!(error instanceof LinkLostError)) this.#world.log.warn('opening not heard', { buck: link.address, error })
    link.close('the opening failed')
  }

  // ── bucks ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  async #greet(link: Link): Promise<void> {
    link.serve(this.#server(link))
    let epoch = this.#epoch
    await this.#hear(link)
    await this.#delivery.open(link)
    for (const bucket of this.#sealed.all) await this.#sealed.tell(link, bucket)
    // Another epoch was opened meanwhile.
    while (epoch !== this.#epoch) {
      epoch = this.#epoch
      await this.#hear(link)
    }
  }

  async #hear(link: Link): Promise<void> {
    const epoch = this.#epoch
    try {
      const { body } = await link.ask('open', {
        epoch,
        last: this.#sequence,
        former: [...this.#opened.lasts].map(([epoch, last]) => ({ epoch, last: this.#forked.has(epoch) ? 0 : last })),
        machine: this.#machine.identity,
        host: this.#config.host,
        wantSources: this.#opened.wantsSources,
      })
      // Of an epoch that was left meanwhile it is no news.
      if (epoch === this.#epoch && body.higher !== undefined && body.higher > this.#sequence) this.#mustReopen = true
      this.#hearing.hear(link, body)
      this.#strays.hear(body.beyond)
    } catch (error) {
      if (error instanceof RefusedError && error.code === 'clone') this.#failure = new CloneError(error.message)
      throw error
    }
  }

  #server(link: Link): Server {
    // The answer's type depends on the request's: one cast here instead of one per case.
    return (async (type: string, body: never) => {
      switch (type) {
        case 'ping':
          return { body: {} }
        case 'archived':
          return this.#onArchived(body)
        case 'want':
          return this.#onWant(link, body)
        case 'throttle':
          this.#delivery.throttle(
            link,
            (body as { seconds: number }).seconds,
            (body as { leastIntervalMs?: number }).leastIntervalMs,
          )
          return { body: {} }
        default:
          throw new RefusedError('bad-request', `a tailer does not answer ${type}`)
      }
    }) as unknown as Server
  }

  #onArchived({ tailer, runs }: { tailer: string; runs: { epoch: Epoch; first: number; sums: Buffer }[] }) {
    const refs: PacketRef[] = []
    for (const { epoch, first, sums } of runs) {
      for (let i = 0; i * 8 < sums.length; i++) {
        const ref = this.#journal.find(tailer, epoch, first + i)
        if (ref?.id.sum === sums.toString('hex', i * 8, i * 8 + 8)) refs.push(ref)
      }
    }
    this.#archived(refs)
    return { body: {} }
  }

  #archived(refs: PacketRef[]): void {
    for (const ref of refs) {
      this.#figures.heldTwice(ref, this.#pathOf)
      this.#delivery.forget(ref)
      this.#journal.archived(ref)
      let sequences = this.#opened.archived.get(ref.id.epoch)
      if (sequences === undefined) {
        sequences = new RangeSet()
        this.#opened.archived.set(ref.id.epoch, sequences)
      }
      sequences.add(ref.id.sequence, ref.id.sequence + 1)
    }
  }

  #onWant(link: Link, { tailer, epoch, sequences }: { tailer: string; epoch: Epoch; sequences: number[] }) {
    const gone: Gone[] = []
    const here: PacketRef[] = []
    if (tailer !== this.#keys.id) throw new RefusedError('bad-request', `this is tailer ${this.#keys.id}`)
    for (const sequence of sequences) {
      const ref = this.#journal.find(tailer, epoch, sequence)
      if (ref !== undefined) {
        // Nobody holds it, whatever was believed before.
        ref.holders.clear()
        here.push(ref)
      } else if (!this.#opened.archived.get(epoch)?.has(sequence)) {
        gone.push(signGone({ tailer, epoch, sequence }, this.#keys.box.publicKey, this.#keys.signing))
      }
    }
    if (here.length > 0) {
      void this.#delivery.bring(link, here).then(() => this.#delivery.wantAgain(here))
    }
    return { body: { gone } }
  }

  /** Waits for the bucks that may know more than this folder, for a limited time. */
  async #hearBucks(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#world
    const of = this.#config.bucks.length
    const deadline = clock.monotonic() + this.#config.openingWaitMs
    while (this.#hearing.bucks < of && clock.monotonic() < deadline && !signal.aborted) {
      if (this.#failure !== undefined) throw this.#failure
      await this.#pause(20, signal)
    }
    const heard = this.#hearing.bucks
    if (heard < of) {
      log.warn('not every buck was heard at the opening: what they may know more is compared later', { heard, of })
    }
    for (const { epoch, sequence } of await this.#hearing.conclude(heard >= of)) {
      this.#opened.lasts.set(epoch, Math.max(this.#opened.lasts.get(epoch) ?? 0, sequence))
    }
    // What was taken back lost the word on its bucket, too.
    for await (const manifest of wordsOnFormerBuckets(this.#journal, this.#sealer, this.#keys.id)) {
      await this.#untilWritten(() => this.#journal.appendManifest(manifest))
      this.#knowSealed(manifest)
    }
  }

  async #assignLoop(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.#pause(ASSIGN_EVERY_MS, signal)
      this.#delivery.assign()
    }
  }

  async #reportLoop(signal: AbortSignal): Promise<void> {
    const { clock } = this.#world
    const told = new WeakMap<Link, { mark: string; at: number }>()
    while (!signal.aborted) {
      await this.#pause(REPORT_EVERY_MS, signal)
      const mark = this.#reportMark()
      const now = clock.monotonic()
      const perFileMs = this.#sources.count * SAME_REPORT_MS_PER_FILE
      const sameEveryMs = Math.min(SAME_REPORT_MS_MAX, Math.max(SAME_REPORT_MS_MIN, perFileMs))
      const due = this.#fleet.open().filter(link => {
        const last = told.get(link)
        return last?.mark !== mark || now - last.at >= sameEveryMs
      })
      if (due.length === 0) continue
      const report = this.#report()
      for (const link of due) told.set(link, { mark, at: now })
      await Promise.all(due.map(link => this.#tellReport(link, report)))
    }
  }

  /** Another one when what the report says is another: every new name or end goes through a birth. */
  #reportMark(): string {
    let read = 0
    let size = 0
    for (const source of this.#sources.all) {
      read += source.offset
      size += source.size
    }
    const { underReplicatedPackets, underReplicatedBytes } = this.#delivery
    return [this.#epoch, this.#births, read, size, underReplicatedPackets, underReplicatedBytes, this.#stopped].join(
      ' ',
    )
  }

  async #tellReport(link: Link, report: TailerReport): Promise<void> {
    try {
      const { throttle } = (await link.ask('report', report)).body
      if (throttle !== undefined) this.#delivery.throttle(link, throttle.seconds, throttle.leastIntervalMs)
    } catch (error) {
      if (error instanceof LinkLostError) return
      this.#world.log.warn('buck did not take the report', { buck: link.address, error })
    }
  }

  #report(): TailerReport {
    return {
      host: this.#config.host,
      epoch: this.#epoch,
      bucketSeconds: this.#config.bucketSeconds,
      sources: [...this.#sources.all]
        .filter(source => !source.isExcluded && !source.isFinished && !source.isLeft)
        .map(({ name, path, start, size, offset }) => ({
          source: name,
          path,
          start,
          size: Math.max(size, offset),
          read: offset,
        })),
      underReplicatedPackets: this.#delivery.underReplicatedPackets,
      underReplicatedBytes: this.#delivery.underReplicatedBytes,
      stopped: this.#stopped,
    }
  }

  // ── ends ───────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Once: the bucket is sealed at once, with the farewell; then everything is waited for. */
  async #untilArchived(signal: AbortSignal): Promise<void> {
    await this.#seal(true)
    while ((this.#journal.size > 0 || !this.#sealed.isEveryEnsured) && !signal.aborted) {
      if (this.#failure !== undefined) throw this.#failure
      await this.#pause(20, signal)
    }
    if (!signal.aborted) await this.#tidy()
  }

  async #sayFarewell(): Promise<void> {
    await this.#cut()
    await this.#quotas.write()
    await this.#seal(true)
    const { clock } = this.#world
    const deadline = clock.monotonic() + this.#config.drainMs
    const isTold = () => this.#sealed.isEveryToldTo(Math.min(2, this.#config.bucks.length))
    const isDelivered = () => this.#fleet.open().length < 2 || (this.#delivery.underReplicatedPackets === 0 && isTold())
    while (!isDelivered() && clock.monotonic() < deadline) await clock.sleep(20)
    await this.#journal.sync()
  }
}

function summed(a: Record<string, number>, b: Record<string, number>): Record<string, number> {
  const sums = { ...a }
  for (const [name, count] of Object.entries(b)) sums[name] = (sums[name] ?? 0) + count
  return sums
}

/** For waits that a signal ends: the loop around them looks at the signal itself. */
function ifAborted(signal: AbortSignal): (error: unknown) => void {
  return error => {
    if (!signal.aborted) throw error
  }
}
