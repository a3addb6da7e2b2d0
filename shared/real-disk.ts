// Disk over node:fs (contract: shared/world.ts). Files that are being written under another name carry TEMPORARY; a crash
// leaves them. `list` does not name them, `makeFolder` and `removeFolder` clear them away.
import { randomBytes } from 'node:crypto'
import { constants, fstatSync, readSync, type Stats, watch } from 'node:fs'
import * as fs from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import { makeFolder } from './real-folder.ts'
import { isOnLocal, statAll } from './stat-all.ts'
import type { Disk, FileStat, OpenFile } from './world.ts'

const TEMPORARY = /^\.bucktail-tmp-[0-9a-f]{24}$/
/** A temporary file as old as this belongs to a writer that died. A live one needs minutes at most. */
const TEMPORARY_AGE_MS = 24 * 60 * 60 * 1000

/** Less the process's umask, which says what others may read (bin/private-files.ts). */
const FILE_MODE = 0o666
const SECRET_MODE = 0o600

/** Heads and tails of files; what is longer leaves others their turn. */
const QUICK_BYTES_MAX = 1024

const FLAGS = {
  // Without O_NONBLOCK a pipe that took the file's name would hold a thread for ever.
  read: constants.O_RDONLY | constants.O_NONBLOCK,
  append: constants.O_RDWR | constants.O_APPEND | constants.O_CREAT,
  create: constants.O_RDWR | constants.O_APPEND | constants.O_CREAT | constants.O_EXCL,
}

export const realDisk: Disk = {
  async open(path, mode) {
    const handle = await fs.open(path, FLAGS[mode])
    try {
      const stat = await handle.stat()
      if (stat.isDirectory()) throw systemError('EISDIR', 'open', path)
      return new RealFile(handle, path, stat.isFile() && (await isOnLocal(path, stat.dev)))
    } catch (error) {
      await handle.close()
      throw error
    }
  },

  readFile: path => fs.readFile(path),

  async replaceFile(path, content, isSecret = false) {
    const mode = isSecret ? SECRET_MODE : FILE_MODE
    await throughTemporary(path, content, mode, temporary => fs.rename(temporary, path))
    await syncFolder(dirname(path))
  },

  async createFile(path, content) {
    const isMade = await throughTemporary(path, content, FILE_MODE, async temporary => {
      const isLinked = await fs.link(temporary, path).then(
        () => true,
        error => unless(error, 'EEXIST', false),
      )
      await fs.unlink(temporary)
      return isLinked
    })
    // Also when it was there: the caller builds on a file whose maker may not have synced the folder yet.
    await syncFolder(dirname(path))
    return isMade
  },

  async list(folder) {
    const names = await fs.readdir(folder).catch(error => unless(error, 'ENOENT', []))
    return names.filter(name => !TEMPORARY.test(name)).sort()
  },

  stat: path => fs.stat(path).then(fileStat, error => unless(error, ['ENOENT', 'ENOTDIR'], undefined)),

  statAll: async (paths, onError) => (await statAll(paths, onError)).map(stat => stat && fileStat(stat)),

  rename: (from, to) => fs.rename(from, to),

  async remove(path) {
    await fs.unlink(path).catch(error => unless(error, 'ENOENT', undefined))
  },

  async makeFolder(path) {
    const first = await makeFolder(path)
    if (first === undefined) return clearTemporaries(path, Date.now() - TEMPORARY_AGE_MS)
    // A folder is an entry of the one above: from `path` up to the first that was made.
    const top = dirname(resolve(first))
    let at = resolve(path)
    do {
      at = dirname(at)
      await syncFolder(at)
    } while (at.length > top.length)
  },

  async removeFolder(path) {
    await clearTemporaries(path, Number.POSITIVE_INFINITY)
    await fs.rmdir(path).catch(error => unless(error, 'ENOENT', undefined))
  },

  syncFolder,

  watch(folder, { changed, renamed, ended }) {
    const watcher = watch(folder, { persistent: false }, (kind, name) => {
      if (kind === 'change') changed(name ?? undefined)
      else renamed()
    })
    watcher.on('error', error => ended(error))
    return watcher
  },
}

class RealFile implements OpenFile {
  readonly #handle: fs.FileHandle
  readonly #path: string
  readonly #isLocal: boolean
  #lastChange: Promise<unknown> = Promise.resolve()

  constructor(handle: fs.FileHandle, path: string, isLocal: boolean) {
    this.#handle = handle
    this.#path = path
    this.#isLocal = isLocal
  }

  /** On a disk of this machine a short call takes less than the way to a thread and back. -1: it is closed. */
  get #isQuick(): boolean {
    return this.#isLocal && this.#handle.fd >= 0
  }

  async read(into: Buffer, position: number): Promise<number> {
    let filled = 0
    if (this.#isQuick && into.length <= QUICK_BYTES_MAX) {
      while (filled < into.length) {
        const got = readSync(this.#handle.fd, into, filled, into.length - filled, position + filled)
        if (got === 0) break
        filled += got
      }
      return filled
    }
    while (filled < into.length) {
      const { bytesRead } = await this.#handle.read(into, filled, into.length - filled, position + filled)
      if (bytesRead === 0) break
      filled += bytesRead
    }
    return filled
  }

  append(parts: Buffer[]): Promise<void> {
    return this.#inTurn(async () => {
      let left = parts.filter(part => part.length > 0)
      while (left.length > 0) {
        const { bytesWritten } = await this.#handle.writev(left)
        if (bytesWritten === 0) throw systemError('EIO', 'write', this.#path)
        left = after(left, bytesWritten)
      }
    })
  }

  sync(): Promise<void> {
    return this.#inTurn(() => this.#handle.datasync())
  }

  truncate(size: number): Promise<void> {
    return this.#inTurn(() => this.#handle.truncate(size))
  }

  async stat(): Promise<FileStat> {
    return fileStat(this.#isQuick ? fstatSync(this.#handle.fd) : await this.#handle.stat())
  }

  close(): Promise<void> {
    return this.#inTurn(() => this.#handle.close())
  }

  // The thread pool takes calls in any order, and a short write would let another append in between.
  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    const turn = this.#lastChange.then(step)
    this.#lastChange = turn.catch(() => undefined)
    return turn
  }
}

async function throughTemporary<T>(
  path: string,
  content: Buffer,
  mode: number,
  publish: (temporary: string) => Promise<T>,
): Promise<T> {
  const temporary = join(dirname(path), `.bucktail-tmp-${randomBytes(12).toString('hex')}`)
  try {
    const handle = await fs.open(temporary, 'wx', mode)
    try {
      await handle.writeFile(content)
      await handle.sync()
    } finally {
      await handle.close()
    }
    return await publish(temporary)
  } catch (error) {
    await realDisk.remove(temporary)
    throw error
  }
}

async function syncFolder(path: string): Promise<void> {
  const handle = await fs.open(path, constants.O_RDONLY | constants.O_DIRECTORY)
  try {
    // Some file systems know no sync of a folder: they keep names and data in one order.
    await handle.sync().catch(error => unless(error, ['EINVAL', 'ENOTSUP'], undefined))
  } finally {
    await handle.close()
  }
}

async function clearTemporaries(folder: string, beforeMs: number): Promise<void> {
  const names = await fs.readdir(folder).catch(error => unless(error, 'ENOENT', []))
  for (const name of names) {
    if (!TEMPORARY.test(name)) continue
    const path = join(folder, name)
    const stat = await realDisk.stat(path)
    if (stat && stat.mtimeMs < beforeMs) await realDisk.remove(path)
  }
}

function after(parts: Buffer[], bytes: number): Buffer[] {
  let skip = bytes
  let i = 0
  while (i < parts.length && skip >= parts[i].length) skip -= parts[i++].length
  return skip === 0 ? parts.slice(i) : [parts[i].subarray(skip), ...parts.slice(i + 1)]
}

function fileStat(stat: Stats): FileStat {
  const kind = stat.isFile() ? 'file' : stat.isDirectory() ? 'folder' : 'other'
  return { size: stat.size, dev: stat.dev, ino: stat.ino, mtimeMs: stat.mtimeMs, kind }
}

/** `value` if the error has this code; else the error goes on. */
function unless<T>(error: NodeJS.ErrnoException, codes: string | string[], value: T): T {
  if ([codes].flat().includes(error.code ?? '')) return value
  throw error
}

function systemError(code: string, syscall: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${syscall} '${path}'`), { code, syscall, path })
}
