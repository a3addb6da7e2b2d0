// Lines that come from no file (standard input, HTTP, journald) become lines of files that are ours alone, and go the same
// road as any tailed line: so every promise about files holds for them too.
//
//   <folder>/spool/<app>/<random>.log     being written, by the one process that made it
//   <folder>/spool/<app>/<random>.log.1   finished: nobody writes to it any more (tailer/spool/sweep removes it)
//
// - A line is accepted (`append` resolves) once it is on the device. Those who wait at the same time share one sync.
// - A file is only ever written by the process that made it, so no two can mix their lines. A killed process may leave a
//   last line without its end: that one was not accepted.
import { join } from 'node:path'
import type { Clock, Disk, OpenFile, Random } from '../../shared/world.ts'

/** A file is finished at this size: what was archived can go, file by file. */
const FILE_BYTES_MAX = 64 * 1024 * 1024
/** Lines that wait for the device. Over it `append` waits first: that is the back-pressure. */
const WAITING_BYTES_MAX = 8 * 1024 * 1024
/** A file that gets nothing for so long is finished: a quiet process must not keep a file in mid-air for days. */
const IDLE_MS_MAX = 30_000
const IDLE_LOOK_MS = 5_000
/**
 * In the middle of a line neither counts, or the line would be two. But a line may never end, and the sweep takes a file that
 * is quiet for a day for one of a dead writer (tailer/spool/sweep).
 */
const LINE_FILE_BYTES_MAX = 1024 * 1024 * 1024
const LINE_IDLE_MS_MAX = 12 * 3600 * 1000
const NEWLINE = 0x0a
const APP = /^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$/

/** The name cannot be that of an application here. */
export class SpoolNameError extends Error {
  override readonly name = 'SpoolNameError'
}

export interface SpoolWorld {
  clock: Pick<Clock, 'monotonic'>
  random: Pick<Random, 'bytes'>
  disk: Pick<Disk, 'open' | 'rename' | 'makeFolder' | 'syncFolder'>
}

interface SpoolFile {
  open: OpenFile
  path: string
  bytes: number
  /** What was written last has no line end yet. */
  isMidLine: boolean
}

export class SpoolWriter {
  readonly #world: SpoolWorld
  readonly #folder: string
  #file: SpoolFile | undefined
  #waiting: Buffer[] = []
  #waitingBytes = 0
  /** The write that takes all that waits when it begins. */
  #next: Promise<void> | undefined
  #current: Promise<void> = Promise.resolve()
  #usedAt: number

  /** @param spool the folder of all applications. Throws SpoolNameError. */
  constructor(world: SpoolWorld, spool: string, app: string) {
    if (!APP.test(app)) {
      throw new SpoolNameError(
        `application ${JSON.stringify(app.slice(0, 80))}: letters, digits, "_", "-" and "." only, not "." at first, at most 64`,
      )
    }
    this.#world = world
    this.#folder = join(spool, app)
    this.#usedAt = world.clock.monotonic()
  }

  /**
   * Whole lines, each with its line end; of a long one its parts, one after the other: they stay one line. Resolves once they are on the device. A failing disk rejects: then none of them
   * is accepted, and they may be given again.
   */
  async append(lines: Buffer): Promise<void> {
    this.#usedAt = this.#world.clock.monotonic()
    while (this.#waitingBytes > WAITING_BYTES_MAX) await this.#next?.catch(() => undefined) // told to those who waited for it
    this.#waiting.push(lines)
    this.#waitingBytes += lines.length
    if (this.#next === undefined) {
      const former = this.#current
      const write = async () => {
        await former.catch(() => undefined) // told to those who waited for it
        this.#next = undefined
        await this.#write()
      }
      this.#next = write()
      this.#current = this.#next
    }
    return this.#next
  }

  /** Nothing waits and nothing came for a while: its file should be finished. */
  get isIdle(): boolean {
    const idleMs = this.#world.clock.monotonic() - this.#usedAt
    return this.#next === undefined && idleMs >= (this.#file?.isMidLine ? LINE_IDLE_MS_MAX : IDLE_MS_MAX)
  }

  /** From now on its file is finished whenever it is idle, until the answer is called. */
  finishWhenIdle(): () => void {
    const timer = setInterval(() => {
      if (this.isIdle) void this.finish().catch(() => undefined) // the next append meets the same disk, and tells
    }, IDLE_LOOK_MS)
    return () => clearInterval(timer)
  }

  /** What was given is written; the file is left to the tailer. The next line begins another one. */
  finish(): Promise<void> {
    // In line with the writes: none of them finds its file closed.
    const former = this.#current
    const close = async () => {
      await former.catch(() => undefined) // told to those who waited for it
      await this.#close()
    }
    this.#current = close()
    return this.#current
  }

  async #write(): Promise<void> {
    const lines = this.#waiting
    const bytes = this.#waitingBytes
    this.#waiting = []
    this.#waitingBytes = 0
    this.#file ??= await this.#open()
    const file = this.#file
    try {
      await file.open.append(lines)
      await file.open.sync()
      file.bytes += bytes
      if (bytes > 0) file.isMidLine = lines.findLast(part => part.length > 0)?.at(-1) !== NEWLINE
    } catch (error) {
      await this.#takeBack(file)
      throw error
    }
    if (file.bytes >= (file.isMidLine ? LINE_FILE_BYTES_MAX : FILE_BYTES_MAX)) await this.#close()
  }

  /** None of a batch that failed may stay: it will be given again. Where even that fails, the file is left as it is. */
  async #takeBack(file: SpoolFile): Promise<void> {
    try {
      await file.open.truncate(file.bytes)
    } catch {
      // Its last lines may then be there twice; the error that the caller gets is the disk's own.
      await this.#close().catch(() => undefined)
    }
  }

  async #open(): Promise<SpoolFile> {
    await this.#world.disk.makeFolder(this.#folder)
    const path = join(this.#folder, `${this.#world.random.bytes(8).toString('hex')}.log`)
    const open = await this.#world.disk.open(path, 'create')
    await this.#world.disk.syncFolder(this.#folder)
    return { open, path, bytes: 0, isMidLine: false }
  }

  async #close(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    if (file === undefined) return
    await file.open.close()
    await this.#world.disk.rename(file.path, `${file.path}.1`)
  }
}
