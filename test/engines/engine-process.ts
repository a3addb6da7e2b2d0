// A server that a test started: up, killed, up again on the same folder and port, and gone with the test.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { statfsSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'

const START_MS_MAX = 120_000
const POLL_MS = 100
/** The end of what it printed, for the message if it does not start. */
const SAID_BYTES_MAX = 8_000
// A test process that is killed must not leave a server behind, nor what it keeps: when its end of the pipe closes, the
// whole group goes, and somebody outside of it removes the folder.
const WITH_PARENT =
  '("$@" </dev/null; kill -9 0) & cat >/dev/null; ' +
  '[ -z "$ENGINE_FOLDER" ] || setsid -f sh -c \'sleep 1; rm -rf "$ENGINE_FOLDER"\'; sleep 0.1; kill -9 0'

export interface EngineOptions {
  name: string
  file: string
  args: string[]
  env?: Record<string, string>
  /** Goes with a test process that is killed. */
  folder?: string
  /** True once it answers. May throw: not yet. */
  isUp(): Promise<boolean>
}

export class EngineProcess {
  readonly #options: EngineOptions
  #child: ChildProcess | undefined
  #said = ''

  constructor(t: Test, options: EngineOptions) {
    this.#options = options
    t.teardown(() => this.kill())
  }

  /** Resolves when it answers. */
  async start(): Promise<void> {
    const { name, file, args, env, folder } = this.#options
    const child = spawn('/bin/sh', ['-c', WITH_PARENT, 'sh', file, ...args], {
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, ...env, ...(folder !== undefined && { ENGINE_FOLDER: folder }) },
    })
    this.#child = child
    this.#said = ''
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.#said = (this.#said + chunk).slice(-SAID_BYTES_MAX)
      })
    }
    for (let waitedMs = 0; ; waitedMs += POLL_MS) {
      const isGone = child.exitCode !== null || child.signalCode !== null
      if (isGone || waitedMs > START_MS_MAX) {
        await this.kill()
        throw new Error(`${name} ${isGone ? 'ended' : 'did not answer'} while starting. It said:\n${this.#said}`)
      }
      if (await this.#options.isUp().catch(() => false)) return
      await sleep(POLL_MS)
    }
  }

  /** kill -9: nothing is flushed, nothing is closed. */
  async kill(): Promise<void> {
    const child = this.#child
    this.#child = undefined
    if (!child?.pid || child.exitCode !== null || child.signalCode !== null) return
    // Not `exit`: the shell is gone before the server has let go of its files.
    const gone = once(child, 'close')
    process.kill(-child.pid, 'SIGKILL')
    await gone
  }

  /** For tests of what a server that stalls does to us. */
  pause(): void {
    if (this.#child?.pid) process.kill(-this.#child.pid, 'SIGSTOP')
  }

  resume(): void {
    if (this.#child?.pid) process.kill(-this.#child.pid, 'SIGCONT')
  }
}

/** A server of a short test is done before its code is worth the second compiler, which takes more than it gives. */
export const JAVA_ARGS = process.env.BUCKTAIL_TEST_LONG === undefined ? ['-XX:TieredStopAtLevel=1'] : []

/** For what syncs all the time and is thrown away: memory, where there is plenty of it. */
export function quickPlace(): string {
  try {
    const { bavail, bsize } = statfsSync(MEMORY_FOLDER)
    return bavail * bsize >= MEMORY_FREE_BYTES ? MEMORY_FOLDER : tmpdir()
  } catch {
    return tmpdir()
  }
}

const MEMORY_FOLDER = '/dev/shm'
const MEMORY_FREE_BYTES = 6 * 1024 ** 3

/** Removed with the test. */
export async function temporaryFolder(t: Test, name: string, place = tmpdir()): Promise<string> {
  const folder = await mkdtemp(join(place, `bucktail-${name}-`))
  t.teardown(() => rm(folder, { recursive: true, force: true, maxRetries: 5 }))
  return folder
}
