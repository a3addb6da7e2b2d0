// What a model test puts between a tailer and its machine: a disk and links that a kill takes away at any step, a power
// cut that takes what was not synced, and a clock that runs faster than ours.
import { truncate } from 'node:fs/promises'
import { dirname } from 'node:path'
import { realDisk } from '../shared/real-disk.ts'
import { realClock } from '../shared/real-world.ts'
import type { Clock, Disk, OpenFile } from '../shared/world.ts'
import type { SeededRandom } from '../test/sim/seeded-random.ts'

/** Runs `speed` times as fast as ours, so that seconds of waiting are milliseconds. */
export function quickClock(speed: number, isAlive: () => boolean = () => true): Clock {
  const startedAt = Date.now()
  const monotonic = () => (performance.now() % 1e9) * speed
  const first = monotonic()
  return {
    monotonic,
    now: () => startedAt + (monotonic() - first),
    async sleep(ms, signal) {
      await realClock.sleep(ms / speed, signal)
      if (!isAlive()) await never()
    },
  }
}

/** Which bytes of the files below `folder` are on the device. Outlives the processes that wrote them. */
export class Device {
  readonly #folder: string
  readonly #written = new Map<string, number>()
  readonly #synced = new Map<string, number>()

  constructor(folder: string) {
    this.#folder = folder
  }

  wrote(path: string, size: number): void {
    if (path.startsWith(this.#folder)) this.#written.set(path, size)
  }

  synced(path: string, size: number): void {
    this.#synced.set(path, Math.max(size, this.#synced.get(path) ?? 0))
  }

  removed(path: string): void {
    this.#written.delete(path)
    this.#synced.delete(path)
  }

  /** Of every file a part of what was not synced is gone. Answers the bytes. */
  async powerCut(random: SeededRandom): Promise<number> {
    let lost = 0
    for (const [path, size] of this.#written) {
      const kept = random.integer(this.#synced.get(path) ?? 0, size)
      if (kept === size) continue
      await truncate(path, kept)
      lost += size - kept
      this.#written.set(path, kept)
    }
    for (const [path, size] of this.#written) this.#synced.set(path, size)
    return lost
  }
}

/** A process's disk: after `kill` nothing that it waits for comes, and nothing that it does has an effect. */
export class MortalDisk implements Disk {
  isAlive = true
  /** Folders listed so far: each look at the files lists them. */
  listings = 0
  readonly #device: Device
  readonly #stall: () => number
  readonly #open = new Set<OpenFile>()
  readonly #running = new Set<Promise<unknown>>()

  /** @param stall  how many ms a step of the disk waits now, as on a busy machine: files change in the middle of a look */
  constructor(device: Device, stall: () => number = () => 0) {
    this.#device = device
    this.#stall = stall
  }

  /** Resolves when the kernel has ended what was under way, and closed its files. */
  async kill(): Promise<void> {
    this.isAlive = false
    await Promise.allSettled(this.#running)
    await Promise.allSettled([...this.#open].map(file => file.close()))
  }

  open(path: string, mode: 'read' | 'append' | 'create'): Promise<OpenFile> {
    return this.#do(async () => {
      const file = await realDisk.open(path, mode)
      this.#open.add(file)
      const size = (await file.stat()).size
      if (mode !== 'read') this.#device.wrote(path, size)
      return this.#mortal(file, path)
    })
  }

  readFile(path: string): Promise<Buffer> {
    return this.#do(() => realDisk.readFile(path))
  }

  replaceFile(path: string, content: Buffer, isSecret?: boolean): Promise<void> {
    return this.#do(async () => {
      await realDisk.replaceFile(path, content, isSecret)
      this.#device.removed(path)
      this.#device.wrote(path, content.length)
      this.#device.synced(path, content.length)
    })
  }

  createFile(path: string, content: Buffer): Promise<boolean> {
    return this.#do(() => realDisk.createFile(path, content))
  }

  list(folder: string): Promise<string[]> {
    this.listings++
    return this.#do(() => realDisk.list(folder))
  }

  stat(path: string) {
    return this.#do(() => realDisk.stat(path))
  }

  rename(from: string, to: string): Promise<void> {
    return this.#do(() => realDisk.rename(from, to))
  }

  remove(path: string): Promise<void> {
    return this.#do(async () => {
      await realDisk.remove(path)
      this.#device.removed(path)
    })
  }

  makeFolder(path: string): Promise<void> {
    return this.#do(() => realDisk.makeFolder(path))
  }

  removeFolder(path: string): Promise<void> {
    return this.#do(() => realDisk.removeFolder(path))
  }

  syncFolder(path: string): Promise<void> {
    // The names are taken for durable: syncing for real would only make the test slow.
    return this.#do(async () => void dirname(path))
  }

  #mortal(file: OpenFile, path: string): OpenFile {
    return {
      read: (into, position) => this.#do(() => file.read(into, position)),
      append: parts =>
        this.#do(async () => {
          await file.append(parts)
          this.#device.wrote(path, (await file.stat()).size)
        }),
      sync: () => this.#do(async () => this.#device.synced(path, (await file.stat()).size)),
      truncate: size => this.#do(() => file.truncate(size)),
      stat: () => this.#do(() => file.stat()),
      close: () =>
        this.#do(async () => {
          this.#open.delete(file)
          await file.close()
        }),
    }
  }

  async #do<T>(step: () => Promise<T>): Promise<T> {
    if (!this.isAlive) await never()
    const before = this.#stall()
    if (before > 0) await realClock.sleep(before)
    if (!this.isAlive) await never()
    const running = step()
    this.#running.add(running)
    try {
      const done = await running
      if (!this.isAlive) await never()
      return done
    } catch (error) {
      if (!this.isAlive) await never()
      throw error
    } finally {
      this.#running.delete(running)
    }
  }
}

function never(): Promise<never> {
  return new Promise(() => undefined)
}
