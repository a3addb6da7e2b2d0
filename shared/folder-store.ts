// Objects as files below one folder; the key is the path. What S3 is at scale.
import { dirname, join } from 'node:path'
import type { ObjectStore } from './stores.ts'
import type { Disk } from './world.ts'

/** Longer names are refused by common file systems. */
const NAME_BYTES_MAX = 200
const KEY_NAMES_MAX = 8
// A name never begins with a dot: no `..`, and no clash with files that the disk is just writing.
const NAME = /^[A-Za-z0-9_-][A-Za-z0-9_.=+@-]*$/

/** The key could leave the folder, or not be a file name everywhere. A bug of the caller. */
export class InvalidKeyError extends Error {
  override readonly name = 'InvalidKeyError'
}

export class FolderStore implements ObjectStore {
  readonly #disk: Disk
  readonly #folder: string
  /** Folders known to exist: an object costs one file, not a check of its whole path. */
  readonly #made = new Set<string>()

  constructor(disk: Disk, folder: string) {
    this.#disk = disk
    this.#folder = folder
  }

  async create(key: string, content: Buffer): Promise<boolean> {
    const path = this.#path(key)
    return this.#inFolder(dirname(path), () => this.#disk.createFile(path, content))
  }

  async put(key: string, content: Buffer): Promise<void> {
    const path = this.#path(key)
    await this.#inFolder(dirname(path), () => this.#disk.replaceFile(path, content))
  }

  async get(key: string, range?: [from: number, to: number]): Promise<Buffer | undefined> {
    const path = this.#path(key)
    try {
      return range ? await this.#readRange(path, ...range) : await this.#disk.readFile(path)
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }

  async size(key: string): Promise<number | undefined> {
    const stat = await this.#disk.stat(this.#path(key))
    return stat?.kind === 'file' ? stat.size : undefined
  }

  async list(prefix: string): Promise<string[]> {
    const slash = prefix.lastIndexOf('/') + 1
    const folderKey = prefix.slice(0, slash)
    if (folderKey) this.#path(folderKey.slice(0, -1))
    const keys: string[] = []
    await this.#collect(folderKey, prefix.slice(slash), keys)
    return keys.sort()
  }

  async remove(key: string): Promise<void> {
    await this.#disk.remove(this.#path(key))
  }

  async #collect(folderKey: string, namePrefix: string, into: string[]): Promise<void> {
    const folder = join(this.#folder, folderKey)
    for (const name of await this.#disk.list(folder)) {
      // Other names are no object of ours: something else put a file there.
      if (!name.startsWith(namePrefix) || !NAME.test(name)) continue
      const stat = await this.#disk.stat(join(folder, name))
      if (stat?.kind === 'folder') await this.#collect(`${folderKey}${name}/`, '', into)
      else if (stat?.kind === 'file') into.push(folderKey + name)
    }
  }

  async #readRange(path: string, from: number, to: number): Promise<Buffer> {
    const file = await this.#disk.open(path, 'read')
    try {
      const size = (await file.stat()).size
      const into = Buffer.allocUnsafe(Math.max(0, Math.min(to, size) - from))
      let filled = 0
      while (filled < into.length) {
        const got = await file.read(into.subarray(filled), from + filled)
        if (got === 0) break
        filled += got
      }
      return into.subarray(0, filled)
    } finally {
      await file.close()
    }
  }

  async #inFolder<T>(folder: string, write: () => Promise<T>): Promise<T> {
    if (!this.#made.has(folder)) {
      await this.#disk.makeFolder(folder)
      this.#made.add(folder)
    }
    try {
      return await write()
    } catch (error) {
      if (!isMissing(error)) throw error
      // Somebody removed the folder since.
      await this.#disk.makeFolder(folder)
      return write()
    }
  }

  #path(key: string): string {
    const names = key.split('/')
    if (names.length > KEY_NAMES_MAX || names.some(name => name.length > NAME_BYTES_MAX || !NAME.test(name))) {
      throw new InvalidKeyError(`"${key.slice(0, 300)}" is no key: up to ${KEY_NAMES_MAX} plain names joined by "/"`)
    }
    return join(this.#folder, ...names)
  }
}

function isMissing(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code
  return code === 'ENOENT' || code === 'ENOTDIR'
}
