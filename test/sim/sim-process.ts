// A machine and the processes on it. A machine has a disk that survives, a wall clock that may be set to anything, and a
// monotonic clock that starts anew with the power. A process has a World, until it is killed: then nothing it waits for
// ever comes, and nothing it does has an effect.
import type { Clock, Log, World } from '../../shared/world.ts'
import { DiskView } from './disk-view.ts'
import type { SeededRandom } from './seeded-random.ts'
import { type PowerCutOptions, SimDisk } from './sim-disk.ts'
import type { Timeline } from './timeline.ts'

/** Wall clock of every machine when the world begins, before its own offset: 2026-09-21. */
export const EPOCH_MS = 1_790_000_000_000
/** The kernel writes back what was not synced after so long. */
const WRITE_BACK_MS = 10_000

export type Trace = (who: string, what: string) => void

export class Machine {
  readonly name: string
  readonly disk: SimDisk
  readonly timeline: Timeline
  readonly random: SeededRandom
  readonly trace: Trace | undefined
  readonly processes = new Set<SimProcess>()
  /** How far this machine's wall clock is from the world's. */
  wallOffsetMs = 0
  #bootedAtMs = 0
  #boots = 1
  #starts = 0
  isUp = true
  /** What /etc/machine-id says: a clone may have the same, a moved disk another one. */
  identity: string

  constructor(name: string, timeline: Timeline, random: SeededRandom, trace: Trace | undefined) {
    this.name = name
    this.identity = name
    this.timeline = timeline
    this.random = random
    this.trace = trace
    this.disk = new SimDisk(random.fork('disk'), () => this.wallMs())
    const writeBack = () => {
      if (this.isUp) this.disk.writeBack()
      timeline.after(WRITE_BACK_MS, writeBack)
    }
    timeline.after(random.fraction() * WRITE_BACK_MS, writeBack)
  }

  wallMs(): number {
    return EPOCH_MS + this.timeline.nowMs + this.wallOffsetMs
  }

  monotonicMs(): number {
    return this.timeline.nowMs - this.#bootedAtMs
  }

  /** Another one after each power cut. */
  get boot(): string {
    return `${this.name}-boot-${this.#boots}`
  }

  /**
   * @param name for the trace, and of the stream of randomness together with the count of starts
   * @param random the stream of a former process: as it was put back with its memory, it draws the same again
   */
  start(name: string, random = this.random.fork(`${name} ${++this.#starts}`)): SimProcess {
    const process = new SimProcess(name, this, random)
    this.processes.add(process)
    this.trace?.(name, `starts on ${this.name}`)
    return process
  }

  powerCut(options?: PowerCutOptions): void {
    this.trace?.(this.name, 'power cut')
    for (const process of [...this.processes]) process.die('power')
    this.disk.powerCut(options)
    this.isUp = false
  }

  powerUp(): void {
    this.trace?.(this.name, 'power is back')
    this.isUp = true
    this.#boots++
    this.#bootedAtMs = this.timeline.nowMs
  }
}

export class SimProcess {
  readonly name: string
  readonly machine: Machine
  /** Of the simulation around the process: does not move what the process itself draws. */
  readonly chance: SeededRandom
  readonly world: World
  /** Resolves never. */
  readonly never: Promise<never> = new Promise(() => undefined)
  readonly facts = { warn: 0, error: 0 }
  /** As it was at the start. */
  readonly seed: SeededRandom
  /** Its calls of the disk take no time: it looks on and is no part of the story. */
  isInstant = false
  #isAlive = true
  #onDeath = new Map<object, (cause: 'kill' | 'power') => void>()

  constructor(name: string, machine: Machine, random: SeededRandom) {
    this.name = name
    this.machine = machine
    this.seed = random.copy()
    this.chance = random.fork('chance')
    const own = random.fork('own')
    this.world = {
      clock: this.#clock(),
      random: { bytes: count => own.bytes(count), fraction: () => own.fraction() },
      disk: new DiskView(machine.disk, this),
      log: this.#log(),
    }
  }

  get isAlive(): boolean {
    return this.#isAlive
  }

  /** A view of another machine's disk, such as a shared store: what this process began there stops with it. */
  diskOf(machine: Machine): DiskView {
    return new DiskView(machine.disk, this)
  }

  /** kill -9. */
  kill(): void {
    this.machine.trace?.(this.name, 'killed')
    this.die('kill')
  }

  die(cause: 'kill' | 'power'): void {
    if (!this.#isAlive) return
    this.#isAlive = false
    this.machine.processes.delete(this)
    for (const told of this.#onDeath.values()) told(cause)
    this.#onDeath.clear()
  }

  /** @param key what `forget` names */
  onDeath(key: object, told: (cause: 'kill' | 'power') => void): void {
    this.#onDeath.set(key, told)
  }

  forget(key: object): void {
    this.#onDeath.delete(key)
  }

  after(ms: number, run: () => void) {
    return this.machine.timeline.after(ms, run, () => this.#isAlive)
  }

  pause(ms: number): Promise<void> {
    return new Promise(resolve => this.after(ms, resolve))
  }

  #clock(): Clock {
    return {
      now: () => Math.floor(this.machine.wallMs()),
      monotonic: () => this.machine.monotonicMs(),
      sleep: (ms, signal) => {
        if (!this.#isAlive) return this.never
        return new Promise((resolve, reject) => {
          if (signal?.aborted) return reject(signal.reason)
          const onAbort = () => {
            timed.run = undefined
            if (this.#isAlive) reject(signal?.reason)
          }
          const timed = this.after(ms, () => {
            signal?.removeEventListener('abort', onAbort)
            resolve()
          })
          signal?.addEventListener('abort', onAbort, { once: true })
        })
      },
    }
  }

  #log(): Log {
    const write = (level: string, fact: string, fields?: Record<string, unknown>) => {
      if (level === 'warn' || level === 'error') this.facts[level]++
      if (!this.machine.trace || !this.#isAlive) return
      const shown = Object.entries(fields ?? {}).map(([name, value]) => `${name}=${shownValue(value)}`)
      this.machine.trace(this.name, `${level}: ${fact} ${shown.join(' ')}`)
    }
    return {
      debug: (fact, fields) => write('debug', fact, fields),
      info: (fact, fields) => write('info', fact, fields),
      warn: (fact, fields) => write('warn', fact, fields),
      error: (fact, fields) => write('error', fact, fields),
    }
  }
}

function shownValue(value: unknown): string {
  if (value instanceof Error) return `${value.name}: ${value.message}`
  return typeof value === 'object'
    ? JSON.stringify(value, (_, inner) => (typeof inner === 'bigint' ? `${inner}` : inner))
    : `${value}`
}
