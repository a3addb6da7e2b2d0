// What `up --once` did: files, lines and bytes, before and after, and whether all of it is indexed and archived.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Ledger } from '../shared/ledger.ts'
import { isCompressed } from '../tailer/rotation.ts'
import { askArchie } from './archie-place.ts'
import type { PlaceSource } from './place.ts'
import { bold, COMMAND, counted, dim, escapeControls, size, table } from './terminal.ts'

const POLL_MS = 100
/** Nothing to carry at so many looks in a row: the porter hears of what grew within one of them. */
const QUIET_POLLS = 4
/** The tailer has heard that all is archived; the index is filled first. So long without any progress is a fault. */
const STANDSTILL_MS_MAX = 60_000
const FILES_SHOWN = 30

interface FileSums {
  lines: number
  bytes: number
  indexed: number
  archived: number
}

export interface OnceReport {
  files: (FileSums & { path: string; newLines: number; newBytes: number })[]
  /** Files whose bytes are not all indexed and archived. */
  missing: string[]
  holes: string[]
}

export async function sourcesSnapshot(url: string): Promise<PlaceSource[]> {
  return (await askArchie<{ sources: PlaceSource[] }>(url, '/api/v1/sources')).sources
}

/**
 * Waits until index and archive hold the same of every file, and the porter has nothing left to carry.
 * @param sizes  of the files before they were read: what is known must reach so far
 */
export async function waitUntilAllIsThere(
  urls: { archie: string; porter: string },
  paths: string[],
  before: PlaceSource[],
  sizes: ReadonlyMap<string, number> = new Map(),
): Promise<OnceReport> {
  let lastMark = ''
  let progressAt = performance.now()
  let quietPolls = 0
  for (;;) {
    const report = reportOf(paths, before, await sourcesSnapshot(urls.archie), sizes)
    const waiting = await bucketsWaiting(urls.porter)
    // What the tailer said last (the signed manifests) may just be on its way to the porter.
    quietPolls = report.missing.length === 0 && waiting === 0 ? quietPolls + 1 : 0
    const mark = JSON.stringify([waiting, report.files])
    if (mark !== lastMark) progressAt = performance.now()
    lastMark = mark
    if (quietPolls >= QUIET_POLLS || performance.now() - progressAt > STANDSTILL_MS_MAX) {
      return { ...report, holes: await openHoles(urls.archie) }
    }
    await sleep(POLL_MS)
  }
}

/** Buckets that grew and are not indexed or archived; undefined while the porter is being started again. */
async function bucketsWaiting(url: string): Promise<number | undefined> {
  try {
    const response = await fetch(`${url}/status`)
    const { bucks } = (await response.json()) as { bucks: { toIndex: number; toArchive: number }[] }
    return bucks.reduce((sum, { toIndex, toArchive }) => sum + toIndex + toArchive, 0)
  } catch {
    return undefined // asked again; STANDSTILL_MS_MAX bounds it
  }
}

async function openHoles(url: string): Promise<string[]> {
  const { holes } = await askArchie<Ledger>(url, '/api/v1/ledger')
  return holes.filter(hole => hole.state === 'open').map(hole => `${hole.path}: ${hole.reason}`)
}

export function reportOf(
  paths: string[],
  before: PlaceSource[],
  after: PlaceSource[],
  sizes: ReadonlyMap<string, number>,
): OnceReport {
  const files = paths.map(path => {
    const now = sumsOf(after, path)
    const then = sumsOf(before, path)
    return { path, ...now, newLines: now.lines - then.lines, newBytes: now.bytes - then.bytes }
  })
  return {
    files,
    missing: files
      .filter(
        ({ path, bytes, indexed, archived }) =>
          indexed < bytes || archived < bytes || isShort(after, path, sizes.get(path) ?? 0),
      )
      .map(({ path }) => path),
    holes: [],
  }
}

/**
 * A file of which something is known, but not to its end. Of one that is nowhere nothing is said: its lines may be under
 * another name, or settings leave it out. Offsets in a compressed one are those of what is in it.
 */
function isShort(sources: PlaceSource[], path: string, size: number): boolean {
  if (isCompressed(path)) return false
  const ends = sources
    .filter(source => source.path === path)
    .flatMap(({ recent, archive }) => [...(recent?.ranges ?? []), ...(archive?.ranges ?? [])].map(([, to]) => to))
  return ends.length > 0 && Math.max(...ends) < size
}

function sumsOf(sources: PlaceSource[], path: string): FileSums {
  const sums = { lines: 0, bytes: 0, indexed: 0, archived: 0 }
  for (const { path: other, recent, archive } of sources) {
    if (other !== path) continue
    sums.lines += Math.max(recent?.lines ?? 0, archive?.lines ?? 0)
    sums.bytes += Math.max(recent?.bytes ?? 0, archive?.bytes ?? 0)
    sums.indexed += recent?.bytes ?? 0
    sums.archived += archive?.bytes ?? 0
  }
  return sums
}

export function reportOnce({ files, missing, holes }: OnceReport, data: string): string {
  const total = (of: 'lines' | 'bytes' | 'newLines') => files.reduce((sum, file) => sum + file[of], 0)
  const rows = files
    .slice(0, FILES_SHOWN)
    .map(({ path, lines, bytes, newLines }) => [escapeControls(path), lines, bytes, newLines])
  const verdict =
    missing.length + holes.length === 0
      ? 'all of it is indexed and archived'
      : `not all of it is indexed and archived: ${[...missing, ...holes].map(escapeControls).join(', ')}`
  const example = files[0]?.path ?? 'FILE'
  return [
    table(['file', 'lines', 'bytes', 'new lines'], rows),
    ...(files.length > FILES_SHOWN ? [`and ${counted(files.length - FILES_SHOWN, 'more file')}`] : []),
    '',
    bold(
      `read ${counted(files.length, 'file')}, ${counted(total('lines'), 'line')}, ${size(total('bytes'))}; ${verdict}`,
    ),
    total('newLines') === 0 ? dim('nothing of it was new') : '',
    `  data      ${data} ${dim('(index/ and archive/)')}`,
    `  search    ${COMMAND} search error --data ${data}`,
    `  restore   ${COMMAND} restore --file ${escapeControls(example)} --data ${data} --out copy`,
    `  prove     ${COMMAND} ledger --data ${data}`,
    '',
  ]
    .filter((line, i) => line !== '' || i === 1 || i > 3)
    .join('\n')
}
