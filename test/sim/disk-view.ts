// Disk as one simulated process has it: the machine's SimDisk behind calls that take a little time now and then, before
// or after their effect, so that a kill lands between any two steps.
import { dirname, join } from 'node:path'
import type { Disk, FileStat, OpenFile } from '../../shared/world.ts'
import { type Inode, type SimDisk, systemError } from './sim-disk.ts'
import type { SimProcess } from './sim-process.ts'

/** One call in so many waits, for up to so long. Syncs wait more often and longer. */
const PAUSE_CHANCE = 0.06
const PAUSE_MS_MAX = 8
const SYNC_PAUSE_CHANCE = 0.4
const SYNC_PAUSE_MS_MAX = 60

export class DiskView implements Disk {
  readonly #disk: SimDisk
  readonly #process: SimProcess

  constructor(disk: SimDisk, process: SimProcess) {
    this.#disk = disk
    this.#process = process
  }

  open(path: string, mode: 'read' | 'append' | 'create'): Promise<OpenFile> {
    return this.#step(() => {
      const disk = this.#disk
      const isNew = mode === 'create' || (mode === 'append' && !disk.find(path))
      return new SimFile(disk, this.#process, isNew ? disk.create(path) : disk.file(path), mode !== 'read')
    })
  }

  readFile(path: string): Promise<Buffer> {
    return this.#step(() => this.#disk.bytes(this.#disk.file(path)))
  }

  async replaceFile(path: string, content: Buffer): Promise<void> {
    await this.#throughTemporary(path, content, temporary => this.#step(() => this.#disk.rename(temporary, path)))
    await this.syncFolder(dirname(path))
  }

  async createFile(path: string, content: Buffer): Promise<boolean> {
    const isMade = await this.#throughTemporary(path, content, async (temporary, inode) => {
      const isLinked = await this.#step(() => this.#disk.link(inode, path))
      await this.#step(() => this.#disk.unlink(temporary))
      return isLinked
    })
    await this.syncFolder(dirname(path))
    return isMade
  }

  list(folder: string): Promise<string[]> {
    return this.#step(() => {
      const found = this.#disk.find(folder)
      if (!found) return []
      if (found.kind === 'file') throw systemError('ENOTDIR', 'scandir', folder)
      return [...found.entries.keys()].filter(name => !TEMPORARY.test(name)).sort()
    })
  }

  stat(path: string): Promise<FileStat | undefined> {
    return this.#step(() => {
      const found = this.#disk.find(path)
      return found && this.#disk.stat(found)
    })
  }

  rename(from: string, to: string): Promise<void> {
    return this.#step(() => this.#disk.rename(from, to))
  }

  remove(path: string): Promise<void> {
    return this.#step(() => {
      if (this.#disk.find(path)) this.#disk.unlink(path)
    })
  }

  makeFolder(path: string): Promise<void> {
    return this.#step(() => this.#disk.makeFolder(path))
  }

  removeFolder(path: string): Promise<void> {
    return this.#step(() => {
      const found = this.#disk.find(path)
      if (!found) return
      for (const name of found.entries.keys()) if (TEMPORARY.test(name)) this.#disk.unlink(`${path}/${name}`)
      this.#disk.removeFolder(path)
    })
  }

  syncFolder(path: string): Promise<void> {
    return this.#step(() => {
      const folder = this.#disk.find(path)
      if (!folder) throw systemError('ENOENT', 'open', path)
      this.#disk.syncFolder(folder)
    }, true)
  }

  /** The same steps as shared/real-disk. */
  async #throughTemporary<T>(
    path: string,
    content: Buffer,
    publish: (temporary: string, inode: Inode) => Promise<T>,
  ): Promise<T> {
    const temporary = join(dirname(path), `.bucktail-tmp-${this.#disk.nextTemporary()}`)
    const inode = await this.#step(() => this.#disk.create(temporary))
    try {
      await this.#step(() => this.#disk.append(inode, content))
      await this.#step(() => this.#disk.sync(inode), true)
      return await publish(temporary, inode)
    } catch (error) {
      await this.remove(temporary)
      throw error
    }
  }

  #step<T>(effect: () => T, isSync = false): Promise<T> {
    return diskStep(this.#process, effect, isSync)
  }
}

const TEMPORARY = /^\.bucktail-tmp-\d+$/

class SimFile implements OpenFile {
  readonly #disk: SimDisk
  readonly #process: SimProcess
  readonly #inode: Inode
  readonly #isWritable: boolean
  #isOpen = true
  #lastChange: Promise<unknown> = Promise.resolve()

  constructor(disk: SimDisk, process: SimProcess, inode: Inode, isWritable: boolean) {
    this.#disk = disk
    this.#process = process
    this.#inode = inode
    this.#isWritable = isWritable
    disk.hold(inode)
    process.onDeath(this, () => this.#release())
  }

  read(into: Buffer, position: number): Promise<number> {
    return diskStep(this.#process, () => this.#opened('read') && this.#disk.read(this.#inode, into, position))
  }

  append(parts: Buffer[]): Promise<void> {
    return this.#change('write', () => this.#disk.append(this.#inode, Buffer.concat(parts)))
  }

  sync(): Promise<void> {
    return this.#change('fdatasync', () => this.#disk.sync(this.#inode), true)
  }

  truncate(size: number): Promise<void> {
    return this.#change('ftruncate', () => this.#disk.truncate(this.#inode, size))
  }

  stat(): Promise<FileStat> {
    return diskStep(this.#process, () => this.#opened('fstat') && this.#disk.stat(this.#inode))
  }

  close(): Promise<void> {
    return this.#change('close', () => {
      this.#process.forget(this)
      this.#release()
    })
  }

  #release(): void {
    this.#isOpen = false
    this.#disk.release(this.#inode)
  }

  #opened(call: string): true {
    if (!this.#isOpen) throw systemError('EBADF', call, `inode ${this.#inode.ino}`)
    return true
  }

  #change(call: string, effect: () => void, isSync = false): Promise<void> {
    const turn = this.#lastChange.then(() =>
      diskStep(
        this.#process,
        () => {
          this.#opened(call)
          if (call === 'write' || call === 'ftruncate') this.#writable(call)
          effect()
        },
        isSync,
      ),
    )
    this.#lastChange = turn.catch(() => undefined)
    return turn
  }

  #writable(call: string): void {
    if (!this.#isWritable) throw systemError('EBADF', call, `inode ${this.#inode.ino}, opened for reading`)
  }
}

/** Runs the effect with a pause before it, after it, or mostly neither. A dead process waits for ever. */
async function diskStep<T>(process: SimProcess, effect: () => T, isSync = false): Promise<T> {
  if (!process.isAlive) return process.never
  if (process.isInstant) return effect()
  const random = process.chance
  const chance = isSync ? SYNC_PAUSE_CHANCE : PAUSE_CHANCE
  const mostMs = isSync ? SYNC_PAUSE_MS_MAX : PAUSE_MS_MAX
  if (random.chance(chance)) await process.pause(random.span(mostMs))
  const result = effect()
  if (random.chance(chance)) await process.pause(random.span(mostMs))
  return result
}
