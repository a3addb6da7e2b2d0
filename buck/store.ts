// What a buck stores: packets and signed words in bucket files on one or more disks, and what it remembers of those
// that are gone. Answers what it holds only from memory; bodies are never inflated on the way in.
//
//   put ──▶ archived? held? ──yes──▶ done
//    └ no ─▶ disk by hash of the tailer id (another one if that is full or failing) ─▶ append ─▶ holdings ─▶ change log
//   archived ─▶ log, synced ─▶ marked ─▶ (sweep) sources saved ─▶ file dropped
import { crc32 } from 'node:zlib'
import { pack, unpack } from 'msgpackr'
import { ClockCheck } from '../shared/clock-check.ts'
import { RefusedError } from '../shared/link.ts'
import type { Gone, Manifest } from '../shared/manifest.ts'
import type { Asks, Bucket, Epoch, IdRun, PacketId, TailerId } from '../shared/messages.ts'
import { type Packet, packetKey } from '../shared/packet.ts'
import type { World } from '../shared/world.ts'
import type { ChangeLog } from './changes.ts'
import { Damages } from './damages.ts'
import { DiskFolder } from './disk-folder.ts'
import { HeldReader } from './held-reader.ts'
import { type HeldFile, Holdings, idRuns, idsOfRun, type Word } from './holdings.ts'
import { inventoryPage } from './inventory.ts'
import { Remembered } from './remembered.ts'
import { type Scan, scanDisk } from './scan.ts'
import { goneShape, manifestShape } from './shapes.ts'
import { SourceTable } from './sources.ts'
import { goneKey, manifestKey } from './word-keys.ts'

/** Packets received and not yet on a disk. More are refused as 'throttled': the tailer tries another buck. */
const PENDING_BYTES_MAX = 128 * 1024 * 1024
/** Of one page of an answer; a message holds 16 MiB, and one item more may go in. */
const PAGE_BYTES = 8 * 1024 * 1024
/** A bucket time that is further from its first arrival is a wrong clock or an old file: its age counts from then. */
const PLAUSIBLE_MS = 24 * 60 * 60 * 1000

export interface StoreConfig {
  /** The buck's name: that of its files. Never changed, or its packets are not found. */
  name: string
  /** One folder per disk. The order may not matter to what is found, only to where new packets go. */
  folders: string[]
  /** Of all bucket files on all disks. */
  bytesMax: number
  bucketSeconds: number
  /** Drop a bucket file as soon as all in it is archived. Else only when it is older than `keepSeconds`, too. */
  dropArchived: boolean
  keepSeconds: number
  /** From the end of a bucket to the sync of its file. */
  syncAfterMs: number
  /** Of one page of an inventory, of contacts, of sources. Default 8 MiB. */
  pageBytes?: number
}

export class Store {
  readonly #world: World
  readonly #config: StoreConfig
  readonly #changes: ChangeLog
  readonly #disks: DiskFolder[]
  readonly #clockCheck: ClockCheck
  readonly #storing = new Map<string, Promise<void>>()
  #remembered!: Remembered
  #dropping: Promise<unknown> = Promise.resolve()
  #pendingBytes = 0
  readonly holdings = new Holdings()
  readonly sources = new SourceTable()
  readonly damages: Damages
  readonly reader: HeldReader
  refused = 0
  foreignFiles = 0

  private constructor(world: World, config: StoreConfig, changes: ChangeLog) {
    this.#world = world
    this.#config = config
    this.#changes = changes
    this.damages = new Damages(world.log)
    this.reader = new HeldReader({ world, holdings: this.holdings, changes, damages: this.damages })
    this.#clockCheck = new ClockCheck(world.clock, config.bucketSeconds)
    const syncAfterMs = config.bucketSeconds * 1000 + config.syncAfterMs
    this.#disks = config.folders.map(
      (folder, index) => new DiskFolder(world, { index, folder, me: config.name, syncAfterMs }),
    )
  }

  /** Reads every bucket file once. What is whole is served, what is not is named. */
  static async open(world: World, config: StoreConfig, changes: ChangeLog): Promise<Store> {
    const store = new Store(world, config, changes)
    store.#remembered = await Remembered.open(world, config.folders, config.name, {
      source: record => store.sources.restore(record),
      opening: opening => store.sources.noteOpening(opening),
      damage: (path, { position, bytes, reason, torn }) => store.damages.note({ path, position, bytes, reason, torn }),
    })
    const scan: Scan = {
      disk: world.disk,
      me: config.name,
      holdings: store.holdings,
      sources: store.sources,
      damages: store.damages,
      isArchived: id => store.isArchived(id),
      onOtherContent: id => store.#alarmOnOtherContent(id),
      onForeignFile: () => {
        store.foreignFiles++
      },
    }
    const scans = await Promise.allSettled(store.#disks.map(disk => scanDisk(scan, disk)))
    const failed = scans.filter(scan => scan.status === 'rejected')
    if (failed.length === scans.length) throw failed[0].reason
    for (const bucket of store.holdings.buckets()) changes.grew(bucket)
    for (const file of store.holdings.files()) if (file.words.size > 0) file.wordNumber = changes.number
    return store
  }

  get disks(): readonly DiskFolder[] {
    return this.#disks
  }

  get archivedCount(): number {
    return this.#remembered.archived.count
  }

  get pageBytes(): number {
    return this.#config.pageBytes ?? PAGE_BYTES
  }

  get fill(): number {
    return (this.holdings.bytes + this.#pendingBytes) / this.#config.bytesMax
  }

  isArchived(id: PacketId): boolean {
    return this.#remembered.archived.has(id)
  }

  /** Archived, or on a disk. */
  isKnown(id: PacketId): boolean {
    return this.isArchived(id) || this.holdings.find(id) !== undefined
  }

  highest(tailer: TailerId, epoch: Epoch): number {
    return Math.max(this.holdings.highest(tailer, epoch), this.#remembered.archived.highest(tailer, epoch))
  }

  /** Resolves after the append: true if it was not held or archived before. Rejects with RefusedError. */
  async put(packet: Packet): Promise<boolean> {
    const { id, bucket } = packet.header
    if (this.isKnown(id)) return false
    const key = packetKey(id)
    const storing = this.#storing.get(key)
    if (storing) {
      await storing
      return false
    }
    this.#checkRoom(packet.bytes.length)
    const stored = this.#append(id.tailer, bucket, 'packet', packet.bytes, (file, position) => {
      this.#alarmOnOtherContent(id)
      const held = this.holdings.add(id, file, position, packet.bytes.length, false)
      if (held) this.sources.note(packet, held)
    })
    this.#storing.set(key, stored)
    this.#pendingBytes += packet.bytes.length
    try {
      await stored
    } finally {
      this.#storing.delete(key)
      this.#pendingBytes -= packet.bytes.length
    }
    return true
  }

  async putManifest(manifest: Manifest): Promise<void> {
    await this.#putWord('manifest', manifestKey(manifest), manifest.bucket, manifest.tailer, pack(manifest))
  }

  /** Kept with the bucket of the sequence, if a packet of it is or was here, else with the current one. */
  async putGone(gone: Gone): Promise<void> {
    const held = this.holdings.sequence(gone.tailer, gone.epoch, gone.sequence)
    const seconds = this.#world.clock.now() / 1000
    const current = Math.floor(seconds / this.#config.bucketSeconds) * this.#config.bucketSeconds
    await this.#putWord('gone', goneKey(gone), held?.file.bucket ?? current, gone.tailer, pack(gone))
  }

  /** What the tailer once said of it. */
  async gone(tailer: TailerId, epoch: Epoch, sequence: number): Promise<Gone | undefined> {
    const word = this.holdings.word(goneKey({ tailer, epoch, sequence }))
    return word && this.reader.word(word, payload => goneShape.parse(unpack(payload)))
  }

  /** A page of what is here of a bucket. @param after `next` of the page before */
  async inventory(bucket: Bucket, after?: string): Promise<Asks['inventory']['answer']> {
    const number = this.#changes.number
    const { tailers, words, next } = inventoryPage(this.holdings.bucket(bucket), after, this.pageBytes)
    const manifests: Manifest[] = []
    const gone: Gone[] = []
    for (const word of words) {
      if (word.kind === 'manifest') {
        const manifest = await this.reader.word(word, payload => manifestShape.parse(unpack(payload)))
        if (manifest) manifests.push(manifest)
      } else {
        const one = await this.reader.word(word, payload => goneShape.parse(unpack(payload)))
        if (one) gone.push(one)
      }
    }
    return { tailers, manifests, gone, number, ...(next && { next }) }
  }

  /** Remembered durably when it resolves; the files go later. */
  async archive(tailer: TailerId, runs: IdRun[]): Promise<void> {
    const news: IdRun[] = []
    for (const run of runs) {
      const ids = [...idsOfRun(run)].filter(id => !this.isArchived({ tailer, ...id }))
      news.push(...idRuns(run.epoch, ids))
    }
    try {
      await this.#remembered.rememberArchived(tailer, news)
    } catch (error) {
      this.#world.log.error('archived ranges could not be written; the porter has to say it again', { error })
      throw new RefusedError('full', `the log of archived packets could not be written: ${(error as Error).message}`)
    }
    for (const run of runs) {
      for (const id of idsOfRun(run)) {
        const held = this.holdings.find({ tailer, ...id })
        if (held) this.holdings.markArchived(held)
      }
    }
  }

  /** Those in the files of `bucket` up to this change number, says a porter. */
  wordsArchived(bucket: Bucket, number: number): void {
    for (const file of this.holdings.bucket(bucket)) {
      file.wordsArchivedNumber = Math.max(file.wordsArchivedNumber, number)
    }
  }

  /** Drops every file that may go: all archived, and either old or not kept after archiving. */
  async sweep(): Promise<void> {
    for (const file of [...this.holdings.files()]) {
      if (this.#mayGo(file)) await this.#drop(file, () => this.#mayGo(file))
    }
  }

  /** Drops files of buckets before `before` in which all is archived, whatever their age. */
  async prune(before: Bucket): Promise<{ packets: number; bytes: number }> {
    const dropped = { packets: 0, bytes: 0 }
    const mayGo = (file: HeldFile) => isArchived(file) && ageFromMs(file) < before * 1000
    for (const file of [...this.holdings.files()]) {
      if (!mayGo(file)) continue
      const packets = file.packets.size
      const { bytes } = file
      if (!(await this.#drop(file, () => mayGo(file)))) continue
      dropped.packets += packets
      dropped.bytes += bytes
    }
    return dropped
  }

  async sync(): Promise<void> {
    await Promise.all(this.#disks.map(disk => disk.sync()))
    await this.#remembered.reserve()
  }

  async noteOpening(tailer: TailerId, machine: string, host: string): Promise<void> {
    const known = this.sources.opening(tailer)
    if (known?.machine === machine && known.host === host) return
    this.sources.noteOpening({ tailer, machine, host })
    try {
      await this.#remembered.rememberOpening({ tailer, machine, host })
    } catch (error) {
      // Only a tailer that loses its folder needs it, and it is said again at the next opening.
      this.#world.log.warn('machine of a tailer could not be written', { tailer, error })
    }
  }

  /** Finishes what was begun, syncs, closes. */
  async close(): Promise<void> {
    await this.#dropping
    await Promise.all(this.#disks.map(disk => disk.close()))
    await this.#remembered.close()
  }

  #checkRoom(bytes: number): void {
    if (this.holdings.bytes + this.#pendingBytes + bytes > this.#config.bytesMax) {
      this.refused++
      throw new RefusedError(
        'full',
        `buck ${this.#config.name} has reached its limit of ${this.#config.bytesMax} bytes`,
      )
    }
    if (this.#pendingBytes + bytes > PENDING_BYTES_MAX) {
      this.refused++
      throw new RefusedError('throttled', `${this.#pendingBytes} bytes wait for the disk; try another buck`)
    }
  }

  /** To the tailer's own disk, or to the next one that takes it. */
  async #append(
    tailer: TailerId,
    bucket: Bucket,
    kind: 'packet' | Word['kind'],
    payload: Buffer,
    onStored: (file: HeldFile, position: number) => void,
  ): Promise<void> {
    const own = crc32(tailer) % this.#disks.length
    let failure: unknown
    for (let i = 0; i < this.#disks.length; i++) {
      const disk = this.#disks[(own + i) % this.#disks.length]
      if (!disk.isTried) continue
      try {
        await disk.append(bucket, kind, payload, (position, bytes) => {
          const file = this.holdings.file(disk.path(bucket), disk.index, bucket, this.#world.clock.now())
          this.holdings.grow(file, bytes)
          onStored(file, position)
          this.#clockCheck.saw([bucket])
          const number = this.#changes.grew(bucket)
          if (kind !== 'packet') file.wordNumber = number
        })
        return
      } catch (error) {
        failure = error
      }
    }
    this.refused++
    const states = this.#disks.map(disk => `${disk.folder} is ${disk.state.name}`).join(', ')
    const isFull = this.#disks.some(disk => disk.state.name === 'full')
    const text = failure instanceof Error ? `${states}: ${failure.message}` : states
    throw new RefusedError(isFull ? 'full' : 'failed', `buck ${this.#config.name} cannot write: ${text}`)
  }

  async #putWord(kind: Word['kind'], key: string, bucket: Bucket, tailer: TailerId, payload: Buffer): Promise<void> {
    if (this.holdings.word(key)) return
    const storing = this.#storing.get(key)
    if (storing) return storing
    const stored = this.#append(tailer, bucket, kind, payload, (file, position) => {
      this.holdings.addWord({ kind, key, file, position, bytes: payload.length })
    })
    this.#storing.set(key, stored)
    try {
      await stored
    } finally {
      this.#storing.delete(key)
    }
  }

  #alarmOnOtherContent(id: PacketId): void {
    const isKnown =
      this.holdings.sequence(id.tailer, id.epoch, id.sequence) !== undefined ||
      this.#remembered.archived.hasSequence(id.tailer, id.epoch, id.sequence)
    if (!isKnown) return
    this.holdings.sameIdOtherContent++
    this.#world.log.error('one packet id with two contents: a cloned or rolled-back machine; both are kept', { ...id })
  }

  #mayGo(file: HeldFile): boolean {
    if (!isArchived(file)) return false
    const isEmpty = file.packets.size + file.words.size === 0
    return this.#isOld(file) || (this.#config.dropArchived && !isEmpty)
  }

  /** By a clock that did not step and that a tailer confirms: one that is wrong would drop everything at once. */
  #isOld(file: HeldFile): boolean {
    const ageMs = this.#world.clock.now() - ageFromMs(file)
    return ageMs > this.#config.keepSeconds * 1000 && this.#clockCheck.isSane
  }

  /** One at a time. False if something came into the file meanwhile. */
  #drop(file: HeldFile, mayStillGo: () => boolean): Promise<boolean> {
    const dropped = this.#dropping.then(async () => {
      const disk = this.#disks[file.disk]
      if (file.isDropped || disk.isBusy(file.path)) return false
      const { records, saved } = await this.sources.unsaved(file, held => this.reader.packet(held))
      await this.#remembered.rememberSources(records)
      saved()
      if (!mayStillGo() || disk.isBusy(file.path)) return false
      await disk.drop(file.path, () => {
        this.holdings.removeFile(file)
        if (this.holdings.bucket(file.bucket).length > 0) return
        this.#changes.forget(file.bucket)
      })
      this.#world.log.debug('bucket file dropped', { path: file.path })
      return true
    })
    this.#dropping = dropped.catch(() => undefined) // the caller is told
    return dropped
  }
}

/** Packets, and words: a hole may be named nowhere else, and a porter may be away for longer than the file is kept. */
function isArchived(file: HeldFile): boolean {
  return file.unarchived === 0 && (file.words.size === 0 || file.wordsArchivedNumber >= file.wordNumber)
}

/** From when the age of a file counts: its bucket's time, or its first arrival where that time is implausible. */
function ageFromMs(file: HeldFile): number {
  const bucketMs = file.bucket * 1000
  return Math.abs(file.firstArrivalMs - bucketMs) > PLAUSIBLE_MS ? file.firstArrivalMs : bucketMs
}
