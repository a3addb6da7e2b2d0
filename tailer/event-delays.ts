// How much later than their own time events are read, per host: the least of the last minute or two. What is read as it is
// written has the difference of the clocks in it, and little else: below nothing, the host's clock is ahead of this one; a
// steady hour is a zone that nobody set. While a backlog is read it only tells how old that is.
import { type Events, TIME_IS_GUESSED } from '../shared/events.ts'

const WINDOW_MS = 60_000
/** Hosts that lines name, not machines: one that is new beyond this is not told. */
const HOSTS_MAX = 200

export class EventDelays {
  /** Milliseconds. The window at hand, and the one before it. */
  #least = new Map<string, number>()
  #former = new Map<string, number>()
  #windowSince = 0

  /** The last event of each run speaks for it. */
  see(events: Events, nowMs: number, monotonicMs: number): void {
    this.#turn(monotonicMs)
    let last = -1
    for (const run of events.runs) {
      last += run.events
      if (run.events === 0 || (events.flags[last] & TIME_IS_GUESSED) !== 0) continue
      const host = events.names[events.hosts[last]] || run.host
      const delayMs = nowMs - Number(events.times[last] / 1_000_000n)
      const known = this.#least.get(host)
      if (known === undefined && this.#least.size >= HOSTS_MAX) continue
      if (known === undefined || delayMs < known) this.#least.set(host, delayMs)
    }
  }

  seconds(monotonicMs: number): Record<string, number> {
    this.#turn(monotonicMs)
    const found = new Map(this.#former)
    for (const [host, ms] of this.#least) found.set(host, Math.min(ms, found.get(host) ?? ms))
    return Object.fromEntries([...found].map(([host, ms]) => [host, ms / 1000]))
  }

  #turn(monotonicMs: number): void {
    const passed = monotonicMs - this.#windowSince
    if (passed < WINDOW_MS) return
    this.#former = passed < 2 * WINDOW_MS ? this.#least : new Map()
    this.#least = new Map()
    this.#windowSince = monotonicMs
  }
}
