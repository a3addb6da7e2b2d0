// One disk of a buck: appends to `<folder>/buckets/<disk>/<ti>/<me>`, without syncing; what waits for the same file goes
// in one append. A file is synced in the background once its bucket is over, through a handle of its own, so that no
// acknowledgement waits for the device.
import { dirname } from 'node:path'
import { BucketFile, ENTRY_HEADER_BYTES, type EntryKind } from '../shared/bucket-file.ts'
import type { Bucket } from '../shared/messages.ts'
import type { World } from '../shared/world.ts'

/** Open files per disk, and files appended to at once. The least recently used is closed; more writers wait. */
const OPEN_FILES_MAX = 64
/** Of one append; what is more goes into the next. */
const BATCH_BYTES_MAX = 16 * 1024 * 1024
/** A disk that failed or was full is left alone for so long, then tried again with the next packet. */
const FAILING_MS = 30_000
const FULL_MS = 1_000

interface Pending {
  kind: EntryKind
  payload: Buffer
  /** Called in the turn in which the append is known to have succeeded. */
  onStored: (position: number, bytes: number) => void
  resolve: () => void
  reject: (error: unknown) => void
}

export type DiskState = { name: 'fine' } | { name: 'full' | 'failing'; untilMs: number; reason: string }

export interface DiskPlace {
  /** Index in the settings; the name of the folder below `buckets/`. */
  index: number
  folder: string
  /** The buck's name. */
  me: string
  /** From the first unsynced append of a file to its sync: the bucket's time and a grace. */
  syncAfterMs: number
}

export class DiskFolder {
  readonly index: number
  readonly folder: string
  readonly #place: DiskPlace
  readonly #world: World
  readonly #pending = new Map<string, Pending[]>()
  readonly #writers = new Map<string, Promise<void>>()
  /** Least recently used first. */
  readonly #open = new Map<string, BucketFile>()
  readonly #dropping = new Map<string, Promise<void>>()
  /** Path → when to sync it, by the monotonic clock. */
  readonly #unsynced = new Map<string, number>()
  readonly #waitingWriters: (() => void)[] = []
  #writing = 0
  #opening = 0
  #state: DiskState = { name: 'fine' }
  syncsFailed = 0

  constructor(world: World, place: DiskPlace) {
    this.#world = world
    this.#place = place
    this.index = place.index
    this.folder = place.folder
  }

  get state(): DiskState {
    return this.#state
  }

  get unsyncedFiles(): number {
    return this.#unsynced.size
  }

  /** Not full or failing, or long enough ago to try again. */
  get isTried(): boolean {
    return this.#state.name === 'fine' || this.#world.clock.monotonic() >= this.#state.untilMs
  }

  path(bucket: Bucket): string {
    return `${this.folder}/buckets/${this.index}/${bucket}/${this.#place.me}`
  }

  /** Resolves after the append, before any sync. Rejects with the disk's error; then nothing of the entry is left. */
  async append(bucket: Bucket, kind: EntryKind, payload: Buffer, onStored: Pending['onStored']): Promise<void> {
    const path = this.path(bucket)
    // No turn may pass between the last look and the queue: a drop in it would take the new entry with the file.
    while (this.#dropping.has(path)) await this.#dropping.get(path)
    return new Promise((resolve, reject) => {
      const pending = { kind, payload, onStored, resolve, reject }
      const queue = this.#pending.get(path)
      if (queue) queue.push(pending)
      else this.#pending.set(path, [pending])
      if (!this.#writers.has(path)) this.#writers.set(path, this.#write(path))
    })
  }

  /** Found unreadable at start: other disks take over. */
  fail(error: unknown): void {
    this.#note(error)
  }

  isBusy(path: string): boolean {
    return this.#writers.has(path) || this.#dropping.has(path)
  }

  /** Removes a file to which nothing is being appended. Appends that come meanwhile wait, then begin a new file. */
  async drop(path: string, onGone: () => void): Promise<void> {
    const dropped = this.#drop(path, onGone)
    const settled = dropped.catch(() => undefined) // the caller is told; appends only wait for the end
    this.#dropping.set(path, settled)
    try {
      await dropped
    } finally {
      this.#dropping.delete(path)
    }
  }

  async #drop(path: string, onGone: () => void): Promise<void> {
    await this.#close(path)
    await this.#world.disk.remove(path)
    this.#unsynced.delete(path)
    onGone()
    const folder = dirname(path)
    // Other bucks of this machine may have their files of this bucket beside ours.
    if ((await this.#world.disk.list(folder)).length > 0) return
    try {
      await this.#world.disk.removeFolder(folder)
    } catch (error) {
      // One of those files came just now.
      if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw error
    }
  }

  /** Syncs what is due; all that is unsynced, if `isAll`. A file that cannot be synced is tried again later. */
  async sync(isAll = false): Promise<void> {
    const nowMs = this.#world.clock.monotonic()
    for (const [path, dueMs] of [...this.#unsynced]) {
      if (dueMs > nowMs && !isAll) continue
      this.#unsynced.delete(path)
      try {
        await this.#syncFile(path)
      } catch (error) {
        if (this.#dropping.has(path) || (await this.#world.disk.stat(path)) === undefined) continue
        this.syncsFailed++
        this.#unsynced.set(path, nowMs + FAILING_MS)
        this.#world.log.error('bucket file could not be synced; its end may be lost in a power cut', { path, error })
      }
    }
  }

  /** Finishes the appends that were asked for, syncs, closes all files. */
  async close(): Promise<void> {
    while (this.#writers.size > 0) await Promise.all(this.#writers.values())
    await this.sync(true)
    for (const path of [...this.#open.keys()]) await this.#close(path)
  }

  async #syncFile(path: string): Promise<void> {
    const { disk } = this.#world
    // For reading: opening for append would make the file again if it was dropped meanwhile.
    const file = await disk.open(path, 'read')
    try {
      await file.sync()
    } finally {
      await file.close()
    }
    // Its name: without this a power cut may leave the bytes and take the file.
    await disk.syncFolder(dirname(path))
  }

  async #write(path: string): Promise<void> {
    await this.#writerTurn()
    try {
      for (;;) {
        const batch = takeBatch(this.#pending.get(path) ?? [])
        if (batch.length === 0) return
        await this.#appendBatch(path, batch)
      }
    } finally {
      this.#pending.delete(path)
      this.#writers.delete(path)
      this.#writing--
      this.#waitingWriters.shift()?.()
    }
  }

  async #appendBatch(path: string, batch: Pending[]): Promise<void> {
    try {
      const file = await this.#openFile(path)
      const positions = await file.append(batch)
      this.#state = { name: 'fine' }
      if (!this.#unsynced.has(path)) {
        this.#unsynced.set(path, this.#world.clock.monotonic() + this.#place.syncAfterMs)
      }
      batch.forEach((one, i) => {
        one.onStored(positions[i], ENTRY_HEADER_BYTES + one.payload.length)
        one.resolve()
      })
    } catch (error) {
      this.#note(error)
      for (const one of batch) one.reject(error)
      // Where the file ends now is not known for sure: it is opened anew, and asked.
      await this.#close(path).catch(closing => {
        this.#world.log.warn('bucket file could not be closed', { path, error: closing })
      })
    }
  }

  async #openFile(path: string): Promise<BucketFile> {
    const known = this.#open.get(path)
    if (known) {
      this.#open.delete(path)
      this.#open.set(path, known)
      return known
    }
    for (const other of [...this.#open.keys()]) {
      if (this.#open.size + this.#opening < OPEN_FILES_MAX) break
      if (!this.#writers.has(other)) await this.#close(other)
    }
    this.#opening++
    try {
      const file = await this.#makeFile(path)
      this.#open.set(path, file)
      return file
    } finally {
      this.#opening--
    }
  }

  async #makeFile(path: string): Promise<BucketFile> {
    try {
      return await BucketFile.open(this.#world.disk, path)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      await this.#world.disk.makeFolder(dirname(path))
      return BucketFile.open(this.#world.disk, path)
    }
  }

  async #close(path: string): Promise<void> {
    const file = this.#open.get(path)
    this.#open.delete(path)
    await file?.close()
  }

  async #writerTurn(): Promise<void> {
    this.#writing++
    if (this.#writing > OPEN_FILES_MAX) await new Promise<void>(resolve => this.#waitingWriters.push(resolve))
  }

  #note(error: unknown): void {
    const isFull = isNoSpace(error)
    const untilMs = this.#world.clock.monotonic() + (isFull ? FULL_MS : FAILING_MS)
    if (this.#state.name === 'fine') {
      this.#world.log.error(isFull ? 'disk is full' : 'disk failed; other disks take over', {
        folder: this.folder,
        error,
      })
    }
    this.#state = { name: isFull ? 'full' : 'failing', untilMs, reason: String(error) }
  }
}

export function isNoSpace(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException
  return code === 'ENOSPC' || code === 'EDQUOT'
}

function takeBatch(queue: Pending[]): Pending[] {
  let bytes = 0
  let count = 0
  while (count < queue.length && (count === 0 || bytes + queue[count].payload.length <= BATCH_BYTES_MAX)) {
    bytes += queue[count++].payload.length
  }
  return queue.splice(0, count)
}
