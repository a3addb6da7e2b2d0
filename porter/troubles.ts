// What goes wrong outside (a buck away, a store that refuses) is logged once per cause and counted ever after: a store
// that is down for a week must not fill the log.
import type { World } from '../shared/world.ts'

/** The same cause is logged again after so long. */
const REPEAT_MS = 600_000
/** Causes remembered; the oldest makes room. */
const CAUSES_MAX = 1000

export class Troubles {
  readonly #world: Pick<World, 'clock' | 'log'>
  readonly #causes = new Map<string, { count: number; loggedMs: number }>()
  #total = 0
  #last: string | undefined

  constructor(world: Pick<World, 'clock' | 'log'>) {
    this.#world = world
  }

  /** @param cause  names what failed and where, without changing details */
  note(cause: string, error: unknown, fields: Record<string, unknown> = {}): void {
    const nowMs = this.#world.clock.monotonic()
    const known = this.#causes.get(cause)
    this.#total++
    this.#last = `${cause}: ${error instanceof Error ? error.message : String(error)}`
    if (known && nowMs - known.loggedMs < REPEAT_MS) {
      known.count++
      return
    }
    const count = (known?.count ?? 0) + 1
    this.#world.log.warn(cause, { ...fields, count, error })
    this.#causes.delete(cause)
    this.#causes.set(cause, { count, loggedMs: nowMs })
    const oldest = this.#causes.keys().next().value
    if (this.#causes.size > CAUSES_MAX && oldest !== undefined) this.#causes.delete(oldest)
  }

  /** It works again: the next failure is news. */
  clear(cause: string): void {
    this.#causes.delete(cause)
  }

  get total(): number {
    return this.#total
  }

  get last(): string | undefined {
    return this.#last
  }
}
