// The journal of systemd, through `journalctl`: its entries go into the spool as they are exported, and where to go on
// after a restart is read back from there: the cursor of the last whole entry.
//
//   journalctl --output=export --follow [--after-cursor=…] ──▶ whole entries ──▶ spool/journald/ ──▶ tailed like any file
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { Disk, World } from '../../shared/world.ts'
import { JournalEntries } from './journal-entries.ts'
import { SpoolWriter } from './spool-writer.ts'

export const JOURNALD_APP = 'journald'
const READ_BYTES = 1024 * 1024
/** journalctl ends when it is updated, or the journal is rotated away under it. */
const RESTART_MS = 1_000
const RESTART_MS_MAX = 30_000
const STDERR_BYTES_MAX = 2_000

export interface JournaldOptions {
  /** Folder of the spool. */
  spool: string
  /** Without a known cursor: the whole journal, or what comes from now on. */
  from: 'beginning' | 'end'
  /** Arguments before ours, for tests: `--directory=…`. */
  arguments?: string[]
}

/** Resolves when `signal` aborts. A journalctl that fails is started again, and told once. */
export async function followJournal(world: World, options: JournaldOptions, signal: AbortSignal): Promise<void> {
  const writer = new SpoolWriter(world, options.spool, JOURNALD_APP)
  let cursor = await lastCursor(world.disk, join(options.spool, JOURNALD_APP))
  let told: string | undefined
  let waitMs = RESTART_MS
  while (!signal.aborted) {
    const { reached, problem } = await followOnce(writer, options, cursor, signal)
    if (signal.aborted) break
    if (reached !== undefined) {
      cursor = reached
      waitMs = RESTART_MS
      told = undefined
    }
    if (problem !== told) world.log.warn('journalctl ended: it is started again', { reason: problem })
    told = problem
    await world.clock.sleep(waitMs, signal).catch(() => undefined) // aborted: the loop ends
    waitMs = Math.min(RESTART_MS_MAX, waitMs * 2)
  }
  await writer.finish()
}

/** One journalctl, from its start to its end. */
async function followOnce(
  writer: SpoolWriter,
  options: JournaldOptions,
  cursor: string | undefined,
  signal: AbortSignal,
): Promise<{ reached: string | undefined; problem: string }> {
  const where =
    cursor !== undefined ? [`--after-cursor=${cursor}`] : options.from === 'end' ? ['--lines=0'] : ['--no-tail']
  const child = spawn('journalctl', [...(options.arguments ?? []), '--output=export', '--all', '--follow', ...where], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const stop = () => child.kill()
  signal.addEventListener('abort', stop, { once: true })
  const stopFinishing = writer.finishWhenIdle()
  let stderr = ''
  child.stderr.on('data', part => {
    stderr = (stderr + part).slice(-STDERR_BYTES_MAX)
  })
  const closed = once(child, 'close')
  const entries = new JournalEntries()
  let reached: string | undefined
  try {
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
      const whole = entries.push(chunk)
      if (whole.length === 0) continue
      await writer.append(whole)
      reached = entries.cursor
    }
    const [code] = await closed
    return { reached, problem: stderr.trim() || `exit code ${code}` }
  } catch (error) {
    // The disk took nothing, or there is no journalctl: what was not appended is read again.
    return { reached, problem: (error as Error).message }
  } finally {
    stopFinishing()
    signal.removeEventListener('abort', stop)
    child.kill()
  }
}

/** Of the last whole entry in the spool; undefined if there is none. */
async function lastCursor(disk: Disk, folder: string): Promise<string | undefined> {
  const files: { path: string; mtimeMs: number }[] = []
  for (const name of await disk.list(folder)) {
    const path = join(folder, name)
    const stat = await disk.stat(path)
    if (stat?.kind === 'file') files.push({ path, mtimeMs: stat.mtimeMs })
  }
  files.sort((a, b) => b.mtimeMs - a.mtimeMs)
  for (const { path } of files) {
    const cursor = await cursorIn(disk, path)
    if (cursor !== undefined) return cursor
  }
  return undefined
}

async function cursorIn(disk: Disk, path: string): Promise<string | undefined> {
  const entries = new JournalEntries()
  const file = await disk.open(path, 'read')
  try {
    const buffer = Buffer.allocUnsafe(READ_BYTES)
    for (let at = 0; ; ) {
      const got = await file.read(buffer, at)
      if (got === 0) return entries.cursor
      entries.push(buffer.subarray(0, got))
      at += got
    }
  } finally {
    await file.close()
  }
}
