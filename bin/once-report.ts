// What `up --once` did: files, lines and bytes, before and after, and whether all of it is indexed and archived.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Ledger } from '../shared/ledger.ts'
import { askArchie } from './archie-place.ts'
import type { PlaceSource } from './place.ts'
import { bold, counted, dim, escapeControls, size, table } from './terminal.ts'

const POLL_MS = 200
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

/** Waits until index and archive hold the same of every file. */
export async function waitUntilAllIsThere(url: string, paths: string[], before: PlaceSource[]): Promise<OnceReport> {
  let lastSum = -1
  let progressAt = performance.now()
  for (;;) {
    const report = reportOf(paths, before, await sourcesSnapshot(url))
    if (report.missing.length === 0) return { ...report, holes: await openHoles(url) }
    const sum = report.files.reduce((total, { indexed, archived }) => total + indexed + archived, 0)
    if (sum !== lastSum) progressAt = performance.now()
    lastSum = sum
    if (performance.now() - progressAt > STANDSTILL_MS_MAX) return { ...report, holes: await openHoles(url) }
    await sleep(POLL_MS)
  }
}

async function openHoles(url: string): Promise<string[]> {
  const { holes } = await askArchie<Ledger>(url, '/api/v1/ledger')
  return holes.filter(hole => hole.state === 'open').map(hole => `${hole.path}: ${hole.reason}`)
}

function reportOf(paths: string[], before: PlaceSource[], after: PlaceSource[]): OnceReport {
  const files = paths.map(path => {
    const now = sumsOf(after, path)
    const then = sumsOf(before, path)
    return { path, ...now, newLines: now.lines - then.lines, newBytes: now.bytes - then.bytes }
  })
  return {
    files,
    missing: files
      .filter(({ bytes, indexed, archived }) => indexed < bytes || archived < bytes)
      .map(({ path }) => path),
    holes: [],
  }
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
    `  search    bucktail search error --data ${data}`,
    `  restore   bucktail restore --file ${escapeControls(example)} --data ${data} --out copy`,
    `  prove     bucktail ledger --data ${data}`,
    '',
  ]
    .filter((line, i) => line !== '' || i === 1 || i > 3)
    .join('\n')
}
