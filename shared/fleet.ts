// Keeps one link to each of a list of addresses: how a tailer, a porter, an archie hold on to the bucks.
//
//   waiting ─▶ dialing ─▶ greeting ─▶ open          any failure or loss ─▶ waiting (back-off with full jitter)
//      └────────── all, once the signal aborts ─────────▶ closed
//
//   greeting   the link is there and `onLink` runs (the opening exchange); not yet in `open()`
//   open       `onLink` finished
// At most one link per address at a time: the next dial waits until the former link is closed and its `onLink` settled
// (it does settle: what it asks on a closed link rejects).
import assert from 'node:assert'
import { UntrustedPeerError } from './channel/untrusted-peer.ts'
import { type Dialer, type Link, RefusedError } from './link.ts'
import type { World } from './world.ts'

export interface FleetTimes {
  /** Back-off: uniform in [0, base · 2^failures), never over the cap. */
  backOffBaseMs: number
  backOffCapMs: number
  /** A link that lived for so long clears the count of failures. */
  settledMs: number
  pingEveryMs: number
  /** Without an answer to a ping for so long the link is closed: three missed ones, a busy host may miss two. */
  pingTimeoutMs: number
  /** Until the settings of one side change, dialling an untrusted peer cannot help; somebody may change them, though. */
  untrustedRetryMs: number
}

export const FLEET_TIMES: FleetTimes = {
  backOffBaseMs: 200,
  backOffCapMs: 10_000,
  settledMs: 10_000,
  pingEveryMs: 3_000,
  pingTimeoutMs: 9_000,
  untrustedRetryMs: 60_000,
}

export interface FleetHooks {
  /** Called in the turn in which the link was made (so `link.serve` belongs here). Rejects: the link is closed. */
  onLink(link: Link): void | Promise<void>
  /** Once for each link that `onLink` was given, after the link is closed and `onLink` settled. Must not throw. */
  onLost?(link: Link): void
}

export interface MemberStatus {
  address: string
  state: 'waiting' | 'dialing' | 'greeting' | 'open' | 'closed'
  /** Id of the peer, while there is a link. */
  peer?: string
  /** Failures in a row. */
  failures: number
  /** What the last failure was, until the next link is open. */
  error?: string
}

interface Member {
  readonly address: string
  state: MemberStatus['state']
  /** Present while greeting or open. */
  link?: Link
  failures: number
  error?: string
  /** The untrusted peer was logged: once is enough until it is trusted again. */
  isUntrustedLogged: boolean
}

export class Fleet {
  readonly #members: Member[]
  readonly #dialer: Dialer
  readonly #world: Pick<World, 'clock' | 'random' | 'log'>
  readonly #hooks: FleetHooks
  readonly #times: FleetTimes
  #isRunning = false

  constructor(
    addresses: string[],
    dialer: Dialer,
    world: Pick<World, 'clock' | 'random' | 'log'>,
    hooks: FleetHooks,
    times: Partial<FleetTimes> = {},
  ) {
    this.#members = [...new Set(addresses)].map(address => ({
      address,
      state: 'waiting',
      failures: 0,
      isUntrustedLogged: false,
    }))
    this.#dialer = dialer
    this.#world = world
    this.#hooks = hooks
    this.#times = { ...FLEET_TIMES, ...times }
  }

  /** The links whose `onLink` finished, in the order of the addresses. */
  open(): Link[] {
    return this.#members.flatMap(m => (m.state === 'open' && m.link ? [m.link] : []))
  }

  status(): MemberStatus[] {
    return this.#members.map(({ address, state, link, failures, error }) => ({
      address,
      state,
      ...(link && { peer: link.peer.id }),
      failures,
      ...(error !== undefined && { error }),
    }))
  }

  /** Dials, and dials again, until `signal` aborts; resolves when all links are closed then. Called once. */
  async run(signal: AbortSignal): Promise<void> {
    assert(!this.#isRunning, 'a fleet runs once')
    this.#isRunning = true
    await Promise.all(this.#members.map(member => this.#keep(member, signal)))
  }

  async #keep(member: Member, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const waitMs = await this.#connectOnce(member, signal).then(
        () => this.#backOffMs(member),
        (error: unknown) => this.#afterFailure(member, error, signal),
      )
      if (signal.aborted) break
      member.state = 'waiting'
      await this.#sleep(waitMs, signal)
    }
    member.state = 'closed'
  }

  /** One link, from the dial to its end. Resolves after a link that was open is lost; rejects if it never was. */
  async #connectOnce(member: Member, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#world
    member.state = 'dialing'
    const link = await this.#dialer.dial(member.address, signal)
    const bornMs = clock.monotonic()
    const lifetime = new AbortController()
    const stop = () => link.close('the process stops')
    signal.addEventListener('abort', stop, { once: true })
    member.link = link
    member.state = 'greeting'
    try {
      // In this turn, before anything is awaited: the peer may ask at once.
      const greeted = this.#greet(link)
      if (signal.aborted) stop()
      const watched = this.#watch(link, lifetime.signal)
      await greeted
      member.state = 'open'
      member.error = undefined
      member.isUntrustedLogged = false
      log.info('link open', { address: member.address, peer: link.peer.id, role: link.peer.role })
      await link.closed
      if (clock.monotonic() - bornMs >= this.#times.settledMs) member.failures = 0
      if (!signal.aborted) log.warn('link lost', { address: member.address, peer: link.peer.id })
      lifetime.abort()
      await watched
    } finally {
      lifetime.abort()
      signal.removeEventListener('abort', stop)
      link.close('the opening failed') // no effect on one that is closed already
      await link.closed
      member.link = undefined
      member.state = 'waiting'
      this.#hooks.onLost?.(link)
    }
  }

  async #greet(link: Link): Promise<void> {
    await this.#hooks.onLink(link)
  }

  /** Pings until `lifetime` ends; closes the link when an answer is missing: a half-open connection shows no other sign. */
  async #watch(link: Link, lifetime: AbortSignal): Promise<void> {
    while (!lifetime.aborted) {
      await this.#sleep(this.#times.pingEveryMs, lifetime)
      if (lifetime.aborted) return
      try {
        await link.ask('ping', {}, undefined, this.#times.pingTimeoutMs)
      } catch (error) {
        if (error instanceof RefusedError) continue // it said no, so it lives
        link.close(`no answer to a ping within ${this.#times.pingTimeoutMs} ms`)
        return
      }
    }
  }

  /** Answers how long to wait before the next dial. */
  #afterFailure(member: Member, error: unknown, signal: AbortSignal): number {
    if (signal.aborted) return 0
    const { log } = this.#world
    member.error = error instanceof Error ? error.message : String(error)
    const fields = { address: member.address, failures: member.failures + 1, error }
    if (error instanceof UntrustedPeerError) {
      member.failures++
      if (!member.isUntrustedLogged) log.error('peer not trusted', fields)
      member.isUntrustedLogged = true
      return this.#times.untrustedRetryMs
    }
    // The first of a row is worth a line; the rest would fill the log while a buck is away for a day.
    if (member.failures === 0) log.warn('no link', fields)
    else log.debug('no link', fields)
    return this.#backOffMs(member)
  }

  /** Full jitter: when a buck restarts, its tailers must not all dial in the same moment. */
  #backOffMs(member: Member): number {
    const { backOffBaseMs, backOffCapMs } = this.#times
    const ceilingMs = Math.min(backOffCapMs, backOffBaseMs * 2 ** Math.min(member.failures, 30))
    member.failures++
    return this.#world.random.fraction() * ceilingMs
  }

  /** Ends early, without an error, when `signal` aborts. */
  async #sleep(ms: number, signal: AbortSignal): Promise<void> {
    try {
      await this.#world.clock.sleep(ms, signal)
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }
}
