// Removes finished files of the spool that the tailer has read to their ends, and finishes those of writers that died.
import { join } from 'node:path'
import type { Clock, Disk } from '../../shared/world.ts'

/** A living writer finishes a quiet file within a minute, within half a day in the middle of a line: so long only that of a dead one stays unchanged. */
const DEAD_AFTER_MS = 24 * 60 * 60 * 1000
const ACTIVE = /^[0-9a-f]{16}\.log$/
const FINISHED = /^[0-9a-f]{16}\.log\.1$/

export interface SweepParts {
  disk: Pick<Disk, 'list' | 'stat' | 'rename' | 'remove'>
  clock: Pick<Clock, 'now'>
  /** The tailer has read this file to its end, and its own journal has all of it on the device. */
  isSafe(path: string): boolean
  /** The newest file of this application stays: who writes reads there where it was. */
  keepsNewest(app: string): boolean
}

/** Answers how many files went. */
export async function sweepSpool(spool: string, { disk, clock, isSafe, keepsNewest }: SweepParts): Promise<number> {
  let removed = 0
  for (const app of await disk.list(spool)) {
    const folder = join(spool, app)
    const finished: { path: string; mtimeMs: number }[] = []
    for (const name of await disk.list(folder)) {
      const path = join(folder, name)
      const stat = await disk.stat(path)
      if (stat === undefined) continue
      if (FINISHED.test(name)) finished.push({ path, mtimeMs: stat.mtimeMs })
      else if (ACTIVE.test(name) && clock.now() - stat.mtimeMs > DEAD_AFTER_MS) await disk.rename(path, `${path}.1`)
    }
    finished.sort((a, b) => a.mtimeMs - b.mtimeMs)
    if (keepsNewest(app)) finished.pop()
    for (const { path } of finished) {
      if (!isSafe(path)) continue
      await disk.remove(path)
      removed++
    }
  }
  return removed
}
