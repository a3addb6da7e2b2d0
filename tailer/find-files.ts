// Which files the settings name right now: exact paths and globs, and the rotated generations that lie beside an exact path.
import { dirname, join } from 'node:path'
import picomatch from 'picomatch'
import type { Disk, FileStat } from '../shared/world.ts'
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
  /** Where the first sight of a file starts: what is skipped is in the ledger. Default: beginning. */
  from?: 'beginning' | 'end'
  /** Ours: lines that came from no file (tailer/spool). Found although it lies in a folder of ours. */
  isSpool?: boolean
}

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

/**
 * Regular files by path, each once; the first rule that names it counts.
 * @param ownFolders globs find nothing in them; an exact path does
 * @param onTrouble  a path that cannot be looked at (no permission, a loop of links): passed over
 * @param onOwn      a glob came upon a folder of ours, and left it
 */
export async function findFiles(
  disk: Disk,
  rules: FileRule[],
  ownFolders: string[],
  onTrouble: (path: string, error: unknown) => void,
  onOwn: (folder: string) => void,
): Promise<Map<string, FoundFile>> {
  const found = new Map<string, FoundFile>()
  /** A file renamed between two stats, or with two names, is one file. */
  const inodes = new Set<string>()
  const siblings: FoundFile[] = []
  const listings = new Map<string, Promise<string[]>>()
  const list = (folder: string) => {
    let names = listings.get(folder)
    if (names === undefined) {
      names = disk.list(folder).catch(error => {
        onTrouble(folder, error)
        return []
      })
      listings.set(folder, names)
    }
    return names
  }
  const statOf = (path: string) =>
    disk.stat(path).catch(error => {
      onTrouble(path, error)
      return undefined
    })
  const take = async (path: string, rule: FileRule, isSibling: boolean) => {
    if (found.has(path)) return
    const stat = await statOf(path)
    if (stat?.kind !== 'file') return
    const inode = `${stat.dev}:${stat.ino}`
    if (inodes.has(inode)) return
    inodes.add(inode)
    const file = { path, stat, rule, isSibling }
    if (isSibling) siblings.push(file)
    else found.set(path, file)
  }

  for (const rule of rules) {
    const { glob, base } = picomatch.scan(rule.path)
    if (glob === '') {
      await take(rule.path, rule, false)
      const folder = dirname(rule.path)
      for (const name of await list(folder)) {
        const path = join(folder, name)
        if (isGenerationOf(path, rule.path)) await take(path, rule, true)
      }
      continue
    }
    const matches = picomatch(rule.path, { dot: false })
    const isDeep = glob.includes('/') || glob.includes('**')
    const folders = [base || '/']
    for (let i = 0; i < folders.length && folders.length <= FOLDERS_MAX; i++) {
      for (const name of await list(folders[i])) {
        const path = join(folders[i], name)
        const own = rule.isSpool ? undefined : ownFolders.find(folder => isBelow(path, folder))
        if (own !== undefined) {
          onOwn(own)
          continue
        }
        if (matches(path)) await take(path, rule, false)
        if (isDeep && (await statOf(path))?.kind === 'folder') folders.push(path)
      }
    }
  }
  for (const file of siblings) if (!found.has(file.path)) found.set(file.path, file)
  return found
}
