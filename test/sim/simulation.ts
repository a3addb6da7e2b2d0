// A world of machines from one seed: time, network, disks, chance. The same seed, the same story, to the last event.
import { createHash } from 'node:crypto'
import { SeededRandom } from './seeded-random.ts'
import { SimNetwork } from './sim-network.ts'
import { Machine, type Trace } from './sim-process.ts'
import { Timeline } from './timeline.ts'

/** The end of a story is what explains a failure. */
const STORY_LINES_MAX = 100_000

export interface SimulationOptions {
  /** Remembers what happens; costs about as much time as the rest. */
  isTraced?: boolean
  onLine?: (line: string) => void
}

export class Simulation {
  readonly seed: number | string
  readonly timeline = new Timeline()
  readonly random: SeededRandom
  readonly network: SimNetwork
  readonly machines = new Map<string, Machine>()
  readonly trace: Trace | undefined
  readonly #story: string[] = []
  readonly #hash = createHash('sha256')

  constructor(seed: number | string, options: SimulationOptions = {}) {
    this.seed = seed
    this.random = new SeededRandom(seed)
    this.network = new SimNetwork(this.timeline, this.random.fork('network'))
    if (options.isTraced) {
      this.trace = (who, what) => {
        const line = `${this.timeline.nowMs.toFixed(3).padStart(12)} ${who.padEnd(10)} ${what}`
        this.#hash.update(line)
        this.#story.push(line)
        if (this.#story.length > 2 * STORY_LINES_MAX) this.#story.splice(0, STORY_LINES_MAX)
        options.onLine?.(line)
      }
    }
  }

  machine(name: string): Machine {
    let machine = this.machines.get(name)
    if (!machine) {
      machine = new Machine(name, this.timeline, this.random.fork(name), this.trace)
      this.machines.set(name, machine)
    }
    return machine
  }

  /** The last lines of the story. */
  story(lines: number): string[] {
    return this.#story.slice(-lines)
  }

  /** Of every line so far. */
  storyHash(): string {
    return this.#hash.copy().digest('hex')
  }
}
