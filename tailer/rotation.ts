// Which files are generations of one log: `app.log`, `app.log.1`, `app.log.2.gz`, `app.log-20260101`, `app-2026-01-01.log`.
// Content is only ever compared among members of one rotation set: an equal copy under an unrelated name is a file of
// its own.
import { basename, dirname, join } from 'node:path'

const COMPRESSED = /\.(gz|zst|xz|bz2|lz4)$/
const DATE = /[.\-_](19|20)\d\d[-_.]?(0\d|1[0-2])[-_.]?[0-3]\d([-_.T]?[0-2]\d([-_.:]?[0-5]\d){0,2})?(?=$|[.\-_])/
const NUMBER = /[.\-_]\d{1,12}$/
const OLD = /\.(old|bak|prev|orig)$/

/** Every look asks for every file. */
const REMEMBERED_MAX = 100_000
const remembered = new Map<string, string>()

/** The name that all generations share, with their folder: the key of the rotation set. */
export function rotationSet(path: string): string {
  let set = remembered.get(path)
  if (set === undefined) {
    set = setOf(path)
    if (remembered.size >= REMEMBERED_MAX) remembered.clear()
    remembered.set(path, set)
  }
  return set
}

function setOf(path: string): string {
  let name = basename(path)
  for (let before = ''; before !== name; ) {
    before = name
    for (const part of [COMPRESSED, DATE, NUMBER, OLD]) {
      const shorter = name.replace(part, '')
      if (shorter.length > 0) name = shorter
    }
  }
  // `app.1.log`: log4j puts the number before the ending.
  const inner = /^(.+)[.\-_]\d{1,4}(\.[A-Za-z]+)$/.exec(name)
  if (inner) name = inner[1] + inner[2]
  return join(dirname(path), name)
}

/** The name under which the program writes, as against that of a rotated generation. */
export function isActiveName(path: string): boolean {
  return rotationSet(path) === path
}

/** Whether `path` is a generation of exactly `active`: its name and something appended. */
export function isGenerationOf(path: string, active: string): boolean {
  return (
    path !== active &&
    path.startsWith(active) &&
    /^[.\-_]/.test(path.slice(active.length)) &&
    rotationSet(path) === active
  )
}

export function isCompressed(path: string): boolean {
  return COMPRESSED.test(path)
}
