// Which files the settings name right now: exact paths and globs, and the rotated generations that lie beside an exact path.
import { dirname, normalize } from 'node:path'
import picomatch from 'picomatch'
import type { Disk, FileStat } from '../shared/world.ts'
import type { Durability } from './durability.ts'
import type { Measured } from './inflate/measure.ts'
import type { LineSettings } from './line-way.ts'
import { isGenerationOf } from './rotation.ts'

export interface FileRule extends LineSettings {
  /** Absolute path, or a glob (`*`, `**`, `?`, `{a,b}`, `[…]`). */
  path: string
  /** Application of lines that name none; default: the file's name without endings. */
  app?: string
  /** Host of lines that name none; default: this machine's. */
  host?: string
  /** IANA zone of times without one; default UTC. */
  zone?: string
  /**
   * Where the first sight of a file starts: what is skipped is in the ledger. `ageMs`: with the first line that is no
   * older. Default: beginning.
   */
  from?: From
  /** What must have acknowledged its packets before they may be forgotten; default: archived. */
  durability?: Durability
  /** Ours: lines that came from no file (tailer/spool). Found although it lies in a folder of ours. */
  isSpool?: boolean
}

export type From = 'beginning' | 'end' | { ageMs: number }

export interface FoundFile {
  path: string
  /** Of a compressed file once it was measured: with the size of what is in it. */
  stat: FileStat
  packed?: Measured
  rule: FileRule
  /** Beside an exact path, not named itself: read only where it continues what is known, or came after it. */
  isSibling: boolean
}

/** Folders below a `**` that are looked at, at most: a mistaken `/**` must not walk a whole machine for ever. */
const FOLDERS_MAX = 20_000

/** Folders of our own: what we write ourselves, a glob must not find, or we would tail our own logs in a loop. */
export function isBelow(path: string, folder: string): boolean {
  return path === folder || path.startsWith(folder.endsWith('/') ? folder : `${folder}/`)
}

export interface FinderParts {
  disk: Disk
  /** A path that cannot be looked at (no permission, a loop of links): passed over. */
  onTrouble(path: string, error: unknown): void
  /** A glob came upon a folder of ours, and left it. */
  onOwn(folder: string): void
}

/** Knows which names the settings mean, and looks for them again and again. */
export class FileFinder {
  readonly #rules: { rule: FileRule; base: string; isDeep: boolean; matches: ((path: string) => boolean) | undefined }[]
  readonly #isExcluded: (path: string) => boolean
  readonly #ownFolders: string[]
  readonly #parts: FinderParts
  /** Those that the last look listed. */
  folders: string[] = []

  /**
   * @param ownFolders globs find nothing in them; an exact path does
   * @param excluded   globs of what is never read, however it is named
   */
  constructor(rules: FileRule[], ownFolders: string[], excluded: string[], parts: FinderParts) {
    this.#ownFolders = ownFolders
    this.#parts = parts
    this.#isExcluded = excluded.length === 0 ? () => false : picomatch(excluded, { dot: true })
    this.#rules = rules.map(rule => {
      const { glob, base } = picomatch.scan(rule.path)
      const matches = glob === '' ? undefined : picomatch(rule.path, { dot: false })
      return { rule, base: normalize(base || '/'), isDeep: glob.includes('/') || glob.includes('**'), matches }
    })
  }

  /** Whether the settings name a path, be there a file or not. */
  names(path: string): boolean {
    if (this.#isExcluded(path)) return false
    return this.#rules.some(({ rule, base, matches }) =>
      matches === undefined
        ? path === rule.path || isGenerationOf(path, rule.path)
        : matches(path) && !this.#isOutOfReach(path, rule, base),
    )
  }

  /** No glob comes to what lies in a folder of ours, or in an excluded one. */
  #isOutOfReach(path: string, rule: FileRule, base: string): boolean {
    if (!rule.isSpool && this.#ownFolders.some(folder => isBelow(path, folder))) return true
    for (let folder = dirname(path); folder !== base && isBelow(folder, base); folder = dirname(folder)) {
      if (this.#isExcluded(folder)) return true
    }
    return false
  }

  /** Regular files by path, each once; the first rule that names it counts. */
  async find(): Promise<Map<string, FoundFile>> {
    const look = new FileLook(this.#parts)
    for (const { rule, base, isDeep, matches } of this.#rules) {
      if (matches === undefined) {
        if (!this.#isExcluded(rule.path)) look.take(rule.path, rule, await look.stat(rule.path), false)
        continue
      }
      const folders = [base]
      for (let i = 0; i < folders.length && folders.length <= FOLDERS_MAX; i++) {
        const paths: string[] = []
        for (const name of await look.list(folders[i])) {
          const path = within(folders[i], name)
          const own = rule.isSpool ? undefined : this.#ownFolders.find(folder => isBelow(path, folder))
          if (own !== undefined) this.#parts.onOwn(own)
          else if ((isDeep || matches(path)) && !this.#isExcluded(path)) paths.push(path)
        }
        for (const [n, stat] of (await look.statAll(paths)).entries()) {
          if (!isDeep || matches(paths[n])) look.take(paths[n], rule, stat, false)
          if (isDeep && stat?.kind === 'folder') folders.push(paths[n])
        }
      }
    }
    // What a rule names itself is no sibling, whichever rule comes first.
    for (const { rule, matches } of this.#rules) {
      if (matches !== undefined) continue
      const folder = dirname(rule.path)
      const paths = (await look.list(folder))
        .map(name => within(folder, name))
        .filter(path => isGenerationOf(path, rule.path) && !look.found.has(path) && !this.#isExcluded(path))
      for (const [n, stat] of (await look.statAll(paths)).entries()) look.take(paths[n], rule, stat, true)
    }
    this.folders = look.folders
    return look.found
  }
}

/** One look: every folder is listed once. */
class FileLook {
  readonly found = new Map<string, FoundFile>()
  readonly #parts: FinderParts
  /** A file renamed between two stats, or with two names, is one file. */
  readonly #inodes = new Set<string>()
  readonly #listings = new Map<string, string[]>()

  constructor(parts: FinderParts) {
    this.#parts = parts
  }

  get folders(): string[] {
    return [...this.#listings.keys()]
  }

  async list(folder: string): Promise<string[]> {
    let names = this.#listings.get(folder)
    if (names === undefined) {
      names = await this.#parts.disk.list(folder).catch(error => {
        this.#parts.onTrouble(folder, error)
        return []
      })
      this.#listings.set(folder, names)
    }
    return names
  }

  async stat(path: string): Promise<FileStat | undefined> {
    try {
      return await this.#parts.disk.stat(path)
    } catch (error) {
      this.#parts.onTrouble(path, error)
      return undefined
    }
  }

  async statAll(paths: string[]): Promise<(FileStat | undefined)[]> {
    const { disk, onTrouble } = this.#parts
    if (disk.statAll !== undefined) return await disk.statAll(paths, onTrouble)
    const stats: (FileStat | undefined)[] = []
    for (const path of paths) stats.push(await this.stat(path))
    return stats
  }

  take(path: string, rule: FileRule, stat: FileStat | undefined, isSibling: boolean): void {
    if (stat?.kind !== 'file' || this.found.has(path)) return
    const inode = `${stat.dev}:${stat.ino}`
    if (this.#inodes.has(inode)) return
    this.#inodes.add(inode)
    this.found.set(path, { path, stat, rule, isSibling })
  }
}

/** A listed name is one step down, and nothing to normalise: of a thousand files, several times a second, that was dear. */
function within(folder: string, name: string): string {
  return folder.endsWith('/') ? folder + name : `${folder}/${name}`
}
