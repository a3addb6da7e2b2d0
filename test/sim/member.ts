// One service of the simulated fleet: started, killed, and started again by somebody who watches it, as systemd would.
import type { SeededRandom } from './seeded-random.ts'
import type { Machine, SimProcess } from './sim-process.ts'

/** After its end a service is started again within so long; after many ends in a row no later. */
const RESTART_MS_MAX = 8_000

export class Member {
  readonly name: string
  readonly machine: Machine
  process: SimProcess | undefined
  /** What it died of by itself. */
  readonly failures: string[] = []
  /** Somebody keeps it from starting: it is late, or away. */
  isHeldDown = false
  readonly #body: (process: SimProcess) => Promise<void>

  /** @param body runs the service; rejects if it fails, resolves if it ends by itself */
  constructor(name: string, machine: Machine, body: (process: SimProcess) => Promise<void>) {
    this.name = name
    this.machine = machine
    this.#body = body
  }

  get isUp(): boolean {
    return this.process?.isAlive === true
  }

  /** @param random of a former process of this name: it was put back with its memory */
  start(random?: SeededRandom): void {
    if (this.isUp || this.isHeldDown || !this.machine.isUp) return
    const process = this.machine.start(this.name, random)
    this.process = process
    const ended = (how: string) => {
      if (!process.isAlive) return
      this.failures.push(how)
      this.machine.trace?.(this.name, how)
      process.die('kill')
      this.startLater()
    }
    this.#body(process).then(
      () => ended('ended by itself'),
      error => ended(`failed: ${(error as Error).stack ?? error}`),
    )
  }

  /** kill -9; it is back some seconds later. */
  kill(): void {
    this.process?.kill()
    this.startLater()
  }

  startLater(): void {
    const { timeline, random } = this.machine
    timeline.after(100 + random.span(RESTART_MS_MAX), () => this.start())
  }
}
