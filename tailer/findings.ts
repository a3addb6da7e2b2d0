// The files that one look found, and which of them have their source by now.
import type { FoundFile } from './find-files.ts'
import { isActiveName, isCompressed, rotationSet } from './rotation.ts'
import type { Source } from './source.ts'

export class Findings {
  readonly files: ReadonlyMap<string, FoundFile>
  readonly #byInode = new Map<string, FoundFile>()
  readonly #bySet = new Map<string, FoundFile[]>()
  readonly #taken = new Set<FoundFile>()
  readonly #reserved = new Set<FoundFile>()
  readonly #pending: ReadonlySet<string>

  /** @param pending rotation sets with compressed files of which it is not known yet what is in them */
  constructor(files: ReadonlyMap<string, FoundFile>, pending: ReadonlySet<string> = new Set()) {
    this.files = files
    this.#pending = pending
    for (const file of files.values()) {
      this.#byInode.set(inodeKey(file.stat), file)
      const set = rotationSet(file.path)
      const members = this.#bySet.get(set)
      if (members === undefined) this.#bySet.set(set, [file])
      else members.push(file)
    }
  }

  /** The file at a source's inode. */
  at(source: Source): FoundFile | undefined {
    return this.#byInode.get(inodeKey(source))
  }

  take(file: FoundFile): void {
    this.#taken.add(file)
  }

  isTaken(file: FoundFile): boolean {
    return this.#taken.has(file)
  }

  /** Nobody begins with it in this look; known content may be found in it all the same: its inode may be taken again. */
  reserve(file: FoundFile): void {
    this.#reserved.add(file)
  }

  isPending(set: string): boolean {
    return this.#pending.has(set)
  }

  get isAnyPending(): boolean {
    return this.#pending.size > 0
  }

  /** All of a rotation set: the active name first, compressed ones last. */
  ofSet(set: string): FoundFile[] {
    const rank = (file: FoundFile) => (isActiveName(file.path) ? 0 : isCompressed(file.path) ? 2 : 1)
    const members = this.#bySet.get(set) ?? []
    return members.sort((a, b) => rank(a) - rank(b) || (a.path < b.path ? -1 : 1))
  }

  /** Those without a source, oldest first. */
  get rest(): FoundFile[] {
    return [...this.files.values()]
      .filter(file => !this.#taken.has(file) && !this.#reserved.has(file))
      .sort((a, b) => a.stat.mtimeMs - b.stat.mtimeMs)
  }
}

function inodeKey({ dev, ino }: { dev: number; ino: number }): string {
  return `${dev}:${ino}`
}
