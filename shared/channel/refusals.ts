// Counts connections that were turned away, and logs one line per address and minute of them: a scanner, or a tailer with
// an old pass that tries again for days, must not fill the log.
import type { World } from '../world.ts'
import type { UntrustedReason } from './untrusted-peer.ts'

export type RefusalReason = UntrustedReason | 'timeout' | 'ended' | 'crowded'

const QUIET_MS = 60_000
/** Addresses whose last line is remembered; the oldest is forgotten first, and may then get a line too many. */
const ADDRESSES_MAX = 1_000

export class Refusals {
  readonly #world: Pick<World, 'clock' | 'log'>
  readonly #lastLines = new Map<string, { atMs: number; unsaid: number }>()
  readonly counts: Partial<Record<RefusalReason, number>> = {}

  constructor(world: Pick<World, 'clock' | 'log'>) {
    this.#world = world
  }

  /** @param host without the port, which changes with each attempt */
  add(host: string, reason: RefusalReason, text: string): void {
    this.counts[reason] = (this.counts[reason] ?? 0) + 1
    const nowMs = this.#world.clock.monotonic()
    const last = this.#lastLines.get(host)
    if (last && nowMs - last.atMs < QUIET_MS) {
      last.unsaid++
      return
    }
    this.#lastLines.delete(host)
    this.#lastLines.set(host, { atMs: nowMs, unsaid: 0 })
    if (this.#lastLines.size > ADDRESSES_MAX) this.#lastLines.delete(this.#lastLines.keys().next().value!)
    this.#world.log.warn('connection refused', {
      from: host,
      reason,
      text,
      ...(last && last.unsaid > 0 && { unsaidBefore: last.unsaid }),
    })
  }
}
