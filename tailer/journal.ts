// The tailer's own bucket files: every packet is here before it is sent, and where reading resumes is read back from
// here. Not synced before sending (bucks state at the next opening what a power cut took); synced before anything that
// leans on it is: a resume record.
//
//   <folder>/buckets/0/<ti>/<tailer id>     ti: start of the bucket, seconds
//
// A file is removed when its bucket is not the current one and every packet in it is archived.
import { dirname, join } from 'node:path'
import { pack, unpack } from 'msgpackr'
import { BucketFile, CorruptEntryError, encodeEntry, readEntry, scanBucketFile } from '../shared/bucket-file.ts'
import type { GivenUp, Manifest } from '../shared/manifest.ts'
import type { Bucket, Epoch, PacketId, TailerId } from '../shared/messages.ts'
import { CorruptPacketError, decodePacket, type Packet, packetEvents } from '../shared/packet.ts'
import { RangeSet } from '../shared/ranges.ts'
import type { Disk, Log } from '../shared/world.ts'

/** A packet that is not archived yet: where it lies and who is known to hold it. */
export interface PacketRef {
  id: PacketId
  bucket: Bucket
  path: string
  position: number
  bytes: number
  rawBytes: number
  runs: { source: string; from: number; to: number }[]
  /** Ids of the bucks known to hold it. */
  holders: Set<string>
}

export interface Note {
  epoch: Epoch
  bucket: Bucket
  gaveUp: GivenUp
}

export interface JournalDamage {
  path: string
  position: number
  bytes: number
  torn: boolean
  reason: string
}

export class Journal {
  readonly damages: JournalDamage[] = []
  readonly #disk: Disk
  readonly #folder: string
  readonly #log: Log
  /** By `tailer/epoch/sequence`: a journal cuts an id once. */
  readonly #refs = new Map<string, PacketRef>()
  /** By source, in the order of the journal; archived ones too, while their file is there. */
  readonly #bySource = new Map<string, Set<PacketRef>>()
  readonly #bucketOf = new Map<Bucket, Set<PacketRef>>()
  /** By bucket: in a file that is still there. */
  readonly #archived = new Map<Bucket, PacketRef[]>()
  /** Every bucket with a file, also those without a packet. */
  readonly #paths = new Map<Bucket, Set<string>>()
  readonly manifests: Manifest[] = []
  readonly notes: Note[] = []
  #current: BucketFile | undefined
  #currentOf: { bucket: Bucket; tailer: TailerId } | undefined
  /** The current file's entry in its folder is on the device. */
  #isNamed = false
  #bytes = 0

  private constructor(disk: Disk, folder: string, log: Log) {
    this.#disk = disk
    this.#folder = join(folder, 'buckets', '0')
    this.#log = log
  }

  /** Scans what is there. Damaged entries are named in `damages` and in the log; what they held is read anew from the files. */
  static async open(disk: Disk, folder: string, log: Log): Promise<Journal> {
    const journal = new Journal(disk, folder, log)
    await journal.#scan()
    return journal
  }

  /** Bytes of packets not archived. */
  get bytes(): number {
    return this.#bytes
  }

  get refs(): Iterable<PacketRef> {
    return this.#refs.values()
  }

  get size(): number {
    return this.#refs.size
  }

  get(id: PacketId): PacketRef | undefined {
    const ref = this.find(id.tailer, id.epoch, id.sequence)
    return ref?.id.sum === id.sum ? ref : undefined
  }

  find(tailer: TailerId, epoch: Epoch, sequence: number): PacketRef | undefined {
    return this.#refs.get(`${tailer}/${epoch}/${sequence}`)
  }

  /** Bytes [from, to) of a source, if packets of the journal have all of them. */
  async sourceBytes(source: string, from: number, to: number): Promise<Buffer | undefined> {
    const into = Buffer.alloc(to - from)
    const filled = new RangeSet()
    for (const ref of this.#bySource.get(source) ?? []) {
      if (!ref.runs.some(run => run.source === source && run.from < to && run.to > from)) continue
      const events = packetEvents(decodePacket(await this.readPacket(ref)))
      let at = 0
      for (const run of events.runs) {
        if (run.source === source && run.from < to && run.to > from) {
          const low = Math.max(run.from, from)
          const high = Math.min(run.to, to)
          events.bytes.copy(into, low - from, at + low - run.from, at + high - run.from)
          filled.add(low, high)
        }
        at += run.to - run.from
      }
    }
    return filled.covers(from, to) ? into : undefined
  }

  /** Buckets with packets that are not archived, oldest first. */
  get buckets(): Bucket[] {
    return [...this.#bucketOf.keys()].sort((a, b) => a - b)
  }

  refsOf(bucket: Bucket): PacketRef[] {
    return [...(this.#bucketOf.get(bucket) ?? [])]
  }

  /** Rejects with the disk's error (ENOSPC, EIO): then nothing of it is there and it may be tried again. */
  async appendPacket(packet: Packet): Promise<PacketRef> {
    const file = await this.#fileOf(packet.header.bucket, packet.header.id.tailer)
    const [position] = await file.append([{ kind: 'packet', payload: packet.bytes }])
    return this.#remember(packet, file.path, position)
  }

  async appendManifest(manifest: Manifest): Promise<void> {
    const file = await this.#fileOf(manifest.bucket, manifest.tailer)
    await file.append([{ kind: 'manifest', payload: pack(manifest) }])
    this.manifests.push(manifest)
  }

  /** What was given up must not be forgotten by a crash: synced. All of one bucket. */
  async appendNotes(tailer: TailerId, notes: Note[]): Promise<void> {
    if (notes.length === 0) return
    const file = await this.#fileOf(notes[0].bucket, tailer)
    await file.append(notes.map(note => ({ kind: 'note', payload: pack(note) })))
    await file.sync()
    this.notes.push(...notes)
  }

  /** The least offset of a source at or after `from` that a packet of the journal has; infinite if there is none. */
  nextKnown(source: string, from: number): number {
    let next = Number.POSITIVE_INFINITY
    for (const ref of this.#bySource.get(source) ?? []) {
      for (const run of ref.runs)
        if (run.source === source && run.to > from) next = Math.min(next, Math.max(run.from, from))
    }
    return next
  }

  /** The packet's bytes, hash checked. Throws CorruptEntryError when the disk does not give it back as it was. */
  async readPacket(ref: PacketRef): Promise<Buffer> {
    const file = await this.#disk.open(ref.path, 'read')
    try {
      return decodePacket((await readEntry(file, ref.position)).payload).bytes
    } catch (cause) {
      throw cause instanceof CorruptPacketError ? new CorruptEntryError(cause.message, { cause }) : cause
    } finally {
      await file.close()
    }
  }

  /** Archived: not offered to anyone any more. Its bytes still tell what was read, until its file goes. */
  archived(ref: PacketRef): void {
    if (!this.#withdraw(ref)) return
    const list = this.#archived.get(ref.bucket)
    if (list === undefined) this.#archived.set(ref.bucket, [ref])
    else list.push(ref)
  }

  /** The disk lost this packet, or it was cut anew under another id. */
  drop(ref: PacketRef): void {
    if (this.#withdraw(ref)) this.#forgetBytes(ref)
  }

  #withdraw(ref: PacketRef): boolean {
    if (!this.#refs.delete(keyOf(ref.id))) return false
    this.#bytes -= ref.bytes
    const set = this.#bucketOf.get(ref.bucket)
    set?.delete(ref)
    if (set?.size === 0) this.#bucketOf.delete(ref.bucket)
    return true
  }

  #forgetBytes(ref: PacketRef): void {
    for (const { source } of ref.runs) {
      const refs = this.#bySource.get(source)
      refs?.delete(ref)
      if (refs?.size === 0) this.#bySource.delete(source)
    }
  }

  async sync(): Promise<void> {
    const file = this.#current
    if (file === undefined) return
    await file.sync()
    if (this.#isNamed) return
    await this.#disk.syncFolder(dirname(file.path))
    this.#isNamed = true
  }

  /** Also what a former process wrote and a crash left to the page cache. Of a file that is clean this costs next to nothing. */
  async syncAll(): Promise<void> {
    await this.sync()
    for (const paths of this.#paths.values()) {
      for (const path of paths) {
        if (path === this.#current?.path) continue
        const file = await this.#disk.open(path, 'append')
        try {
          await file.sync()
        } finally {
          await file.close()
        }
        await this.#disk.syncFolder(dirname(path))
      }
    }
  }

  /** Whether a bucket file could go, now that its packets are archived. */
  hasRemovable(isKept: (bucket: Bucket) => boolean): boolean {
    for (const bucket of this.#paths.keys()) if (this.#isRemovable(bucket, isKept)) return true
    return false
  }

  /** Removes the files of buckets whose packets are all archived. A resume record must be synced before. */
  async removeArchived(isKept: (bucket: Bucket) => boolean): Promise<void> {
    for (const [bucket, paths] of [...this.#paths]) {
      if (!this.#isRemovable(bucket, isKept)) continue
      for (const path of paths) {
        if (this.#current?.path === path) await this.#closeCurrent()
        await this.#disk.remove(path)
      }
      await this.#disk.removeFolder(join(this.#folder, String(bucket)))
      this.#paths.delete(bucket)
      for (const ref of this.#archived.get(bucket) ?? []) this.#forgetBytes(ref)
      this.#archived.delete(bucket)
      this.#log.debug('bucket forgotten', { bucket })
    }
    const kept = this.manifests.filter(manifest => this.#paths.has(manifest.bucket))
    this.manifests.splice(0, this.manifests.length, ...kept)
  }

  /**
   * The packets of a bucket go, its words stay: who hears of the bucket hears what is missing. Not for the current bucket; a
   * resume record must be synced before.
   */
  async discard(bucket: Bucket): Promise<void> {
    for (const path of this.#paths.get(bucket) ?? []) {
      if (this.#current?.path === path) await this.#closeCurrent()
      const words: Buffer[] = []
      for await (const entry of scanBucketFile(this.#disk, path)) {
        if (entry.kind === 'manifest' || entry.kind === 'note') words.push(...encodeEntry(entry.kind, entry.payload))
      }
      await this.#disk.replaceFile(path, Buffer.concat(words))
    }
    for (const ref of [...this.refsOf(bucket), ...(this.#archived.get(bucket) ?? [])]) {
      this.#withdraw(ref)
      this.#forgetBytes(ref)
    }
    this.#archived.delete(bucket)
  }

  /** Packets that are not archived have bytes of it. */
  hasSource(source: string): boolean {
    return this.#bySource.has(source)
  }

  hasFile(bucket: Bucket): boolean {
    return this.#paths.has(bucket)
  }

  async close(): Promise<void> {
    await this.#closeCurrent()
  }

  #isRemovable(bucket: Bucket, isKept: (bucket: Bucket) => boolean): boolean {
    return !this.#bucketOf.has(bucket) && !isKept(bucket)
  }

  async #fileOf(bucket: Bucket, tailer: TailerId): Promise<BucketFile> {
    const of = this.#currentOf
    if (this.#current !== undefined && of?.bucket === bucket && of.tailer === tailer) return this.#current
    const folder = join(this.#folder, String(bucket))
    const path = join(folder, tailer)
    await this.#closeCurrent()
    await this.#disk.makeFolder(folder)
    this.#current = await BucketFile.open(this.#disk, path)
    this.#currentOf = { bucket, tailer }
    this.#isNamed = false
    this.#pathsOf(bucket).add(path)
    return this.#current
  }

  async #closeCurrent(): Promise<void> {
    const file = this.#current
    if (file === undefined) return
    // A file that is left is never written again in the usual case: syncing it now makes every resume record's lean on
    // it cheap, and it is one sync per bucket.
    await this.sync()
    this.#current = undefined
    await file.close()
  }

  #pathsOf(bucket: Bucket): Set<string> {
    let paths = this.#paths.get(bucket)
    if (paths === undefined) {
      paths = new Set()
      this.#paths.set(bucket, paths)
    }
    return paths
  }

  #remember(packet: Packet, path: string, position: number): PacketRef {
    const { id, bucket, rawBytes } = packet.header
    const ref: PacketRef = {
      id,
      bucket,
      path,
      position,
      bytes: packet.bytes.length,
      rawBytes,
      runs: packet.runs.map(({ source, from, to }) => ({ source, from, to })),
      holders: new Set(),
    }
    const key = keyOf(id)
    const known = this.#refs.get(key)
    if (known !== undefined) return known
    this.#refs.set(key, ref)
    this.#bytes += ref.bytes
    for (const { source } of ref.runs) {
      const refs = this.#bySource.get(source)
      if (refs === undefined) this.#bySource.set(source, new Set([ref]))
      else refs.add(ref)
    }
    const set = this.#bucketOf.get(bucket)
    if (set === undefined) this.#bucketOf.set(bucket, new Set([ref]))
    else set.add(ref)
    return ref
  }

  async #scan(): Promise<void> {
    for (const name of await this.#disk.list(this.#folder)) {
      const bucket = Number(name)
      if (!Number.isSafeInteger(bucket)) continue
      for (const tailer of await this.#disk.list(join(this.#folder, name))) {
        const path = join(this.#folder, name, tailer)
        this.#pathsOf(bucket).add(path)
        await this.#scanFile(path)
      }
    }
    this.#log.debug('journal scanned', { packets: this.#refs.size, bytes: this.#bytes })
  }

  async #scanFile(path: string): Promise<void> {
    for await (const entry of scanBucketFile(this.#disk, path)) {
      if (entry.kind === 'damaged') {
        this.#damaged(path, entry.position, entry.bytes, entry.torn, entry.reason)
        continue
      }
      try {
        if (entry.kind === 'packet') this.#remember(decodePacket(entry.payload), path, entry.position)
        else if (entry.kind === 'manifest') this.manifests.push(unpack(entry.payload))
        else if (entry.kind === 'note') this.notes.push(unpack(entry.payload))
      } catch (error) {
        this.#damaged(path, entry.position, entry.payload.length, false, (error as Error).message)
      }
    }
  }

  #damaged(path: string, position: number, bytes: number, torn: boolean, reason: string): void {
    this.damages.push({ path, position, bytes, torn, reason })
    this.#log.warn('journal entry damaged: its lines are read again', { path, position, bytes, torn, reason })
  }
}

function keyOf(id: PacketId): string {
  return `${id.tailer}/${id.epoch}/${id.sequence}`
}
