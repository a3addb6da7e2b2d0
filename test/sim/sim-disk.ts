// The disk of a simulated machine, as the operating system sees it: synchronous, instantly visible to everyone on the
// machine, and with a memory of what the device really has.
//
//   file     bytes  [0 … common … size]   now           `common`: the first bytes that are the same now and on the device
//                   [0 … common] + durableTail   on the device
//   folder   entries now, entries on the device; `pending`: the operations between the two, in order, each atomic
//
// sync makes a file's bytes durable, syncFolder the entries of a folder. writeBack is what the kernel does on its own.
// powerCut keeps what is durable, and of the rest what chance leaves: a prefix of the appended bytes (perhaps followed by
// zeros or garbage up to the old size), some of the pending operations.
import { basename, dirname, normalize } from 'node:path'
import type { FileStat } from '../../shared/world.ts'
import type { SeededRandom } from './seeded-random.ts'

export interface Inode {
  readonly ino: number
  readonly kind: 'file' | 'folder'
  content: Buffer
  size: number
  common: number
  durableTail: Buffer
  mtimeMs: number
  /** Entries that name it now, open handles, entries on the device or pending that name it. */
  names: number
  handles: number
  durableNames: number
  /** Its number may be taken again; once. */
  isFreed: boolean
  entries: Map<string, Inode>
  durable: Map<string, Inode>
}

interface Change {
  folder: Inode
  name: string
  to: Inode | undefined
}

/** Everything that is visible at one moment, as an image of a virtual machine has it. */
export interface DiskImage {
  dev: number
  nextIno: number
  root: Inode
}

export interface PowerCutOptions {
  /** Unsynced bytes may come back as zeros or garbage instead of being gone. */
  garbage: boolean
}

const EMPTY = Buffer.alloc(0)

export class SimDisk {
  readonly #random: SeededRandom
  readonly #nowMs: () => number
  #dev: number
  #root: Inode
  #nextIno = 2
  #freed: Inode[] = []
  #pending: Change[][] = []
  #dirty = new Set<Inode>()
  #usedBytes = 0
  #temporaries = 0
  /** Bytes of all files that fit; a write beyond is cut short with ENOSPC. */
  capacityBytes = Number.POSITIVE_INFINITY
  /** Chance that a write or sync fails with EIO. */
  writeErrorChance = 0
  /** Told of every name that is taken from a file, before it is. */
  onUnlink: ((path: string, bytes: () => Buffer) => void) | undefined

  constructor(random: SeededRandom, nowMs: () => number) {
    this.#random = random
    this.#nowMs = nowMs
    this.#dev = random.integer(1, 60_000)
    this.#root = this.#inode('folder')
  }

  get usedBytes(): number {
    return this.#usedBytes
  }

  /** Never the same twice: for names of files that are being made. */
  nextTemporary(): number {
    return ++this.#temporaries
  }

  find(path: string): Inode | undefined {
    let at: Inode | undefined = this.#root
    for (const name of parts(path)) at = at?.entries.get(name)
    return at
  }

  /** An existing file. */
  file(path: string): Inode {
    const found = this.find(path)
    if (!found) throw systemError('ENOENT', 'open', path)
    if (found.kind === 'folder') throw systemError('EISDIR', 'open', path)
    return found
  }

  create(path: string): Inode {
    const folder = this.#folderOf(path)
    if (folder.entries.has(basename(path))) throw systemError('EEXIST', 'open', path)
    const inode = this.#inode('file')
    this.#change([{ folder, name: basename(path), to: inode }])
    return inode
  }

  append(inode: Inode, bytes: Buffer): void {
    this.#mayFail('write')
    const fits = Math.max(0, Math.min(bytes.length, this.capacityBytes - this.#usedBytes))
    if (inode.size + fits > inode.content.length) {
      const grown = Buffer.allocUnsafe(Math.max(256, 2 * (inode.size + fits)))
      inode.content.copy(grown, 0, 0, inode.size)
      inode.content = grown
    }
    bytes.copy(inode.content, inode.size, 0, fits)
    inode.size += fits
    inode.mtimeMs = this.#nowMs()
    this.#usedBytes += fits
    this.#dirty.add(inode)
    if (fits < bytes.length) throw systemError('ENOSPC', 'write', `inode ${inode.ino}`)
  }

  read(inode: Inode, into: Buffer, position: number): number {
    if (position >= inode.size) return 0
    return inode.content.copy(into, 0, position, Math.min(inode.size, position + into.length))
  }

  bytes(inode: Inode): Buffer {
    return Buffer.from(inode.content.subarray(0, inode.size))
  }

  truncate(inode: Inode, size: number): void {
    this.#mayFail('ftruncate')
    const grownBytes = size - inode.size
    if (grownBytes > 0) this.append(inode, Buffer.alloc(grownBytes))
    if (size < inode.common) {
      inode.durableTail = Buffer.concat([inode.content.subarray(size, inode.common), inode.durableTail])
      inode.common = size
    }
    if (grownBytes < 0) this.#usedBytes += grownBytes
    inode.size = size
    inode.mtimeMs = this.#nowMs()
    this.#dirty.add(inode)
  }

  rename(from: string, to: string): void {
    const moved = this.find(from)
    if (!moved) throw systemError('ENOENT', 'rename', from)
    const folder = this.#folderOf(to)
    const there = folder.entries.get(basename(to))
    if (there === moved) return
    if (there?.kind === 'folder') {
      if (moved.kind === 'file') throw systemError('EISDIR', 'rename', to)
      if (there.entries.size > 0) throw systemError('ENOTEMPTY', 'rename', to)
    }
    this.#change([
      { folder: this.#folderOf(from), name: basename(from), to: undefined },
      { folder, name: basename(to), to: moved },
    ])
  }

  /** A second name; false if it is taken. */
  link(inode: Inode, to: string): boolean {
    const folder = this.#folderOf(to)
    if (folder.entries.has(basename(to))) return false
    this.#change([{ folder, name: basename(to), to: inode }])
    return true
  }

  unlink(path: string): void {
    const found = this.find(path)
    if (!found) throw systemError('ENOENT', 'unlink', path)
    if (found.kind === 'folder') throw systemError('EISDIR', 'unlink', path)
    this.onUnlink?.(path, () => this.bytes(found))
    this.#change([{ folder: this.#folderOf(path), name: basename(path), to: undefined }])
  }

  /** As copying programs do: a new file, written from the start. */
  copy(from: string, to: string): void {
    const source = this.file(from)
    if (this.find(to)) this.unlink(to)
    this.append(this.create(to), this.bytes(source))
  }

  /** Durable at once, with the folders above it. */
  makeFolder(path: string): void {
    let at = this.#root
    for (const name of parts(path)) {
      const below = at.entries.get(name)
      if (below?.kind === 'file') throw systemError('ENOTDIR', 'mkdir', path)
      const next = below ?? this.#inode('folder')
      if (!below) this.#change([{ folder: at, name, to: next }])
      this.syncFolder(at)
      at = next
    }
  }

  removeFolder(path: string): void {
    const found = this.find(path)
    if (!found) throw systemError('ENOENT', 'rmdir', path)
    if (found.kind === 'file') throw systemError('ENOTDIR', 'rmdir', path)
    if (found.entries.size > 0) throw systemError('ENOTEMPTY', 'rmdir', path)
    this.#change([{ folder: this.#folderOf(path), name: basename(path), to: undefined }])
  }

  stat(inode: Inode): FileStat {
    return { size: inode.size, dev: this.#dev, ino: inode.ino, mtimeMs: inode.mtimeMs, kind: inode.kind }
  }

  /** Counts an open handle: the inode lives as long as there is one. */
  hold(inode: Inode): void {
    inode.handles++
  }

  release(inode: Inode): void {
    inode.handles--
    this.#freeIfUnnamed(inode)
  }

  sync(inode: Inode): void {
    this.#mayFail('fdatasync')
    inode.common = inode.size
    inode.durableTail = EMPTY
    this.#dirty.delete(inode)
  }

  syncFolder(folder: Inode): void {
    this.#mayFail('fsync')
    this.#commit(operation => operation.some(change => change.folder === folder))
  }

  /** Everything to the device: an orderly shutdown, or the kernel's writing back after some seconds. */
  writeBack(): void {
    for (const inode of this.#dirty) {
      inode.common = inode.size
      inode.durableTail = EMPTY
    }
    this.#dirty.clear()
    this.#commit(() => true)
  }

  /** No handle survives; the caller has killed the processes. */
  powerCut(options: PowerCutOptions = { garbage: false }): void {
    const random = this.#random
    // A journal keeps the order of operations; file systems without one lose any of them.
    const kept = random.chance(0.7) ? random.integer(0, this.#pending.length) : -1
    let index = 0
    this.#commit(() => (kept >= 0 ? index++ < kept : random.chance(0.5)))
    for (const change of this.#pending.flat()) if (change.to) change.to.durableNames--
    this.#pending = []
    this.#usedBytes = 0
    const seen = new Set<Inode>()
    const settle = (inode: Inode) => {
      const isSeen = seen.has(inode)
      if (!isSeen) {
        seen.add(inode)
        inode.names = 0
        inode.handles = 0
      }
      inode.names++
      if (isSeen) return
      if (inode.kind === 'file') {
        this.#settleContent(inode, options)
        this.#usedBytes += inode.size
      }
      inode.entries = new Map(inode.durable)
      for (const below of inode.entries.values()) settle(below)
    }
    settle(this.#root)
    this.#dirty.clear()
  }

  /** The disk is lost; an empty one takes its place. The caller has killed the processes. */
  wipe(): void {
    this.#dev = this.#dev + 1
    this.#pending = []
    this.#dirty.clear()
    this.#freed = []
    this.#usedBytes = 0
    this.#root = this.#inode('folder')
  }

  image(): DiskImage {
    return { dev: this.#dev, nextIno: this.#nextIno, root: copyOf(this.#root, new Map()) }
  }

  /** The disk is put back to an image, which stays as it is. The caller has killed the processes. */
  restore(image: DiskImage): void {
    this.wipe()
    this.#dev = image.dev
    this.#nextIno = image.nextIno
    const copies = new Map<Inode, Inode>()
    this.#root = copyOf(image.root, copies)
    for (const inode of copies.values()) if (inode.kind === 'file') this.#usedBytes += inode.size
  }

  /** The medium changes one bit. */
  flip(inode: Inode, at: number, bit: number): void {
    inode.content[at] ^= 1 << bit
  }

  #settleContent(inode: Inode, options: PowerCutOptions): void {
    const random = this.#random
    const isChanged = inode.common < inode.size || inode.durableTail.length > 0
    if (!isChanged) return
    if (inode.durableTail.length > 0 && random.chance(0.5)) {
      // The truncation never reached the device, nor what was appended after it.
      inode.content = Buffer.concat([inode.content.subarray(0, inode.common), inode.durableTail])
      inode.size = inode.content.length
    } else {
      const whole = inode.size
      inode.size = random.chance(0.2) ? whole : random.integer(inode.common, whole)
      if (options.garbage && inode.size < whole && random.chance(0.4)) {
        const tail = random.chance(0.5) ? Buffer.alloc(whole - inode.size) : random.bytes(whole - inode.size)
        tail.copy(inode.content, inode.size)
        inode.size = whole
      }
    }
    inode.common = inode.size
    inode.durableTail = EMPTY
  }

  #inode(kind: Inode['kind']): Inode {
    const free = this.#freed.length > 0 && this.#random.chance(0.5) ? this.#freed.shift() : undefined
    // A number is taken again only when not even the device names its former owner.
    const ino = free && free.durableNames === 0 && free.names === 0 && free.handles === 0 ? free.ino : this.#nextIno++
    return {
      ino,
      kind,
      content: EMPTY,
      size: 0,
      common: 0,
      durableTail: EMPTY,
      mtimeMs: this.#nowMs(),
      names: 0,
      handles: 0,
      durableNames: 0,
      isFreed: false,
      entries: new Map(),
      durable: new Map(),
    }
  }

  #folderOf(path: string): Inode {
    const folder = this.find(dirname(path))
    if (!folder) throw systemError('ENOENT', 'open', path)
    if (folder.kind === 'file') throw systemError('ENOTDIR', 'open', path)
    return folder
  }

  #change(operation: Change[]): void {
    this.#mayFail('write')
    for (const { folder, name, to } of operation) {
      const before = folder.entries.get(name)
      if (to) {
        to.names++
        to.durableNames++
        folder.entries.set(name, to)
      } else folder.entries.delete(name)
      if (before) {
        before.names--
        this.#freeIfUnnamed(before)
      }
    }
    this.#pending.push(operation)
  }

  #freeIfUnnamed(inode: Inode): void {
    if (inode.names > 0 || inode.handles > 0 || inode.kind === 'folder' || inode.isFreed) return
    inode.isFreed = true
    this.#usedBytes -= inode.size
    this.#dirty.delete(inode)
    this.#freed.push(inode)
  }

  #commit(isChosen: (operation: Change[]) => boolean): void {
    let rest: Change[][] = []
    for (const operation of this.#pending) {
      if (!isChosen(operation)) {
        rest.push(operation)
        continue
      }
      for (const { folder, name, to } of operation) {
        const before = folder.durable.get(name)
        if (before) before.durableNames--
        if (to) folder.durable.set(name, to)
        else folder.durable.delete(name)
        // What came before on the same name must not come back over it.
        rest = rest.map(earlier =>
          earlier.filter(change => {
            const isSame = change.folder === folder && change.name === name
            if (isSame && change.to) change.to.durableNames--
            return !isSame
          }),
        )
      }
    }
    this.#pending = rest.filter(operation => operation.length > 0)
  }

  #mayFail(call: string): void {
    if (this.writeErrorChance > 0 && this.#random.chance(this.writeErrorChance)) {
      throw systemError('EIO', call, 'the simulated disk')
    }
  }
}

/** The inode and all below it, durable, without open handles. */
function copyOf(inode: Inode, copies: Map<Inode, Inode>): Inode {
  const known = copies.get(inode)
  if (known) {
    known.names++
    known.durableNames++
    return known
  }
  const content = Buffer.from(inode.content.subarray(0, inode.size))
  const copy: Inode = {
    ...inode,
    content,
    common: inode.size,
    durableTail: EMPTY,
    names: 1,
    handles: 0,
    durableNames: 1,
    entries: new Map(),
    durable: new Map(),
  }
  copies.set(inode, copy)
  for (const [name, below] of inode.entries) copy.entries.set(name, copyOf(below, copies))
  copy.durable = new Map(copy.entries)
  return copy
}

function parts(path: string): string[] {
  return normalize(path).split('/').filter(Boolean)
}

export function systemError(code: string, call: string, path: string): NodeJS.ErrnoException {
  // Errors of files are everyday news; a stack for each would take a tenth of all time.
  const { stackTraceLimit } = Error
  Error.stackTraceLimit = 0
  const error = Object.assign(new Error(`${code}: ${call} '${path}'`), { code, syscall: call, path })
  Error.stackTraceLimit = stackTraceLimit
  return error
}
