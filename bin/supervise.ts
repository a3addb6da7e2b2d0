// One role as a child process, started again when it dies.
//
//   starting ─▶ running ─▶ died ─▶ (back-off) ─▶ starting          stop(): ─▶ stopping ─▶ stopped
//   starting ─▶ refused     it said itself that it cannot start, or died before it was ready for the first time
//
// A child stops when told to, or when its IPC channel closes: it never outlives its parent by more than its draining.
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync, writeFileSync } from 'node:fs'
import type { FromChild, OnceProgress } from './child-messages.ts'
import { CommandError, EXIT, type ExitCode } from './fail.ts'

const BACKOFF_MS_BASE = 300
const BACKOFF_MS_MAX = 10_000
/** Lived so long: the next death is a new story. */
const SETTLED_MS = 30_000
/** Draining: what is in memory goes to the disk and to the bucks. Then it is killed. */
const STOP_MS_MAX = 15_000
const READY_MS_MAX = 60_000

export interface ChildSpec {
  /** 'buck1', 'tailer'. */
  name: string
  /** Arguments of the command: ['buck', '--config', …]. */
  args: string[]
  /** For Node itself. */
  nodeArgs?: string[]
  environment: NodeJS.ProcessEnv
  /** Its error stream is appended here. */
  logFile: string
  /** Its process id is written here at each start, for whoever wants to look at it. */
  pidFile: string
}

export interface ChildHooks {
  onDeath(name: string, how: string, againInMs: number): void
  /** A tailer with --once. */
  onProgress?(progress: OnceProgress): void
  /** Ended by itself with exit code 0. */
  onDone?(name: string): void
  /** After it had been ready once: it says that it cannot go on. It is started again all the same. */
  onTrouble(name: string, message: string): void
}

export class Child {
  readonly name: string
  readonly #spec: ChildSpec
  readonly #hooks: ChildHooks
  #process: ChildProcess | undefined
  #failures = 0
  #isStopping = false
  #wasReady = false
  #restart: NodeJS.Timeout | undefined
  readonly #stopped = Promise.withResolvers<void>()
  readonly #ready = Promise.withResolvers<void>()
  #failed: { message: string; exitCode: ExitCode } | undefined

  constructor(spec: ChildSpec, hooks: ChildHooks) {
    this.name = spec.name
    this.#spec = spec
    this.#hooks = hooks
    // `start` hands it on; without one who waits, a refusal is no crash of ours.
    this.#ready.promise.catch(() => undefined)
  }

  /** Resolves when it serves; rejects with CommandError if it cannot. */
  async start(): Promise<void> {
    this.#spawn()
    const timer = setTimeout(
      () =>
        this.#ready.reject(
          new CommandError(
            EXIT.failed,
            `the ${this.name} is not ready after ${READY_MS_MAX / 1000} s; ${this.#spec.logFile} says why`,
          ),
        ),
      READY_MS_MAX,
    )
    try {
      await this.#ready.promise
    } finally {
      clearTimeout(timer)
    }
  }

  /** Drains, or is killed after STOP_MS_MAX. Resolves when it is gone. */
  async stop(): Promise<void> {
    this.#isStopping = true
    clearTimeout(this.#restart)
    const child = this.#process
    if (child === undefined) return
    if (child.connected) child.send({ type: 'stop' }, () => undefined)
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX)
    await this.#stopped.promise
    clearTimeout(timer)
  }

  /** At once. */
  kill(): void {
    this.#isStopping = true
    clearTimeout(this.#restart)
    this.#process?.kill('SIGKILL')
  }

  #spawn(): void {
    const log = openSync(this.#spec.logFile, 'a')
    const startedAt = performance.now()
    const child = spawn(
      process.execPath,
      [...process.execArgv, ...(this.#spec.nodeArgs ?? []), process.argv[1], ...this.#spec.args],
      {
        env: this.#spec.environment,
        stdio: ['ignore', 'ignore', log, 'ipc'],
        // Of its own process group: a Ctrl-C in the terminal reaches only us, and we stop them in order.
        detached: true,
      },
    )
    closeSync(log)
    this.#process = child
    this.#failed = undefined
    if (child.pid !== undefined) writeFileSync(this.#spec.pidFile, `${child.pid}\n`)
    child.on('message', (message: FromChild) => this.#onMessage(message))
    child.once('error', error => this.#onExit(`could not be started: ${error.message}`, null, startedAt))
    child.once('exit', (code, signal) => this.#onExit(signal ?? `exit code ${code}`, code, startedAt))
  }

  #onMessage(message: FromChild): void {
    if (message.type === 'ready') {
      this.#wasReady = true
      this.#ready.resolve()
    } else if (message.type === 'failed') {
      this.#failed = message
    } else {
      this.#hooks.onProgress?.(message.progress)
    }
  }

  #onExit(how: string, code: number | null, startedAt: number): void {
    this.#process = undefined
    if (this.#isStopping) {
      this.#stopped.resolve()
      return
    }
    if (code === 0) {
      this.#stopped.resolve()
      this.#ready.resolve()
      this.#hooks.onDone?.(this.name)
      return
    }
    if (!this.#wasReady) {
      const message = this.#failed?.message ?? `ended with ${how}; ${this.#spec.logFile} says why`
      this.#ready.reject(new CommandError(this.#failed?.exitCode ?? EXIT.failed, `${this.name}: ${message}`))
      return
    }
    if (this.#failed !== undefined) this.#hooks.onTrouble(this.name, this.#failed.message)
    if (performance.now() - startedAt > SETTLED_MS) this.#failures = 0
    const againInMs = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_BASE * 2 ** this.#failures++)
    this.#hooks.onDeath(this.name, how, againInMs)
    this.#restart = setTimeout(() => this.#spawn(), againInMs)
  }
}
