// What was found damaged on this buck's disks since its start: counted, logged, the latest kept for `status`.
// The packets in it are not held any more, so have/want and the porter's wants bring them again.
import type { Log } from '../shared/world.ts'

/** Kept in memory; older ones are in the log. */
const LATEST_MAX = 100

export interface FoundDamage {
  path: string
  /** Bytes from the start of the file; 0 and 0 if all of the file is gone. */
  position: number
  bytes: number
  reason: string
  /** The end of a file, as a crash or a power cut leaves it. */
  torn: boolean
}

export class Damages {
  readonly #log: Log
  readonly latest: FoundDamage[] = []
  count = 0
  torn = 0

  constructor(log: Log) {
    this.#log = log
  }

  note(damage: FoundDamage): void {
    this.count++
    if (damage.torn) this.torn++
    this.latest.push(damage)
    if (this.latest.length > LATEST_MAX) this.latest.shift()
    this.#log.warn(damage.torn ? 'bucket file ends in a torn entry' : 'bucket file is damaged', { ...damage })
  }
}
