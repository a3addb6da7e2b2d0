// Two ends of one link inside one process, for tests and the simulation: bodies and answers go through msgpack, so that
// only what can cross a real channel crosses this one. Requests are delivered in the order of the calls.
import { pack, unpack } from 'msgpackr'
import { type Link, LinkLostError, type Peer, RefusedError, type Reply, type Server } from './link.ts'
import type { Asks } from './messages.ts'
import type { Clock } from './world.ts'

const ASK_TIMEOUT_MS = 10_000

/** What lies between the two ends: a simulation delays, stops or loses here. */
export interface Wire {
  /** Resolves when a message may arrive; never, if it is lost (the asker's time-out tells). */
  pass(): Promise<void>
}

/** Delivers in a later microtask. */
export const directWire: Wire = { pass: () => Promise.resolve() }

/**
 * The two ends. `first.peer` is who sits at the second end, and the other way round.
 * @param clock measures the time-outs
 */
export function linkPair(
  first: Peer,
  second: Peer,
  clock: Clock,
  wire: Wire = directWire,
): { first: Link; second: Link } {
  const a = new PairEnd(second, `pair:${second.role}`, clock, wire)
  const b = new PairEnd(first, `pair:${first.role}`, clock, wire)
  a.join(b)
  b.join(a)
  return { first: a, second: b }
}

class PairEnd implements Link {
  readonly peer: Peer
  readonly address: string
  readonly closed: Promise<void>
  readonly #clock: Clock
  readonly #wire: Wire
  readonly #abort = new AbortController()
  #other!: PairEnd
  #server: Server | undefined
  /** Requests wait here for their turn on the wire, so that none overtakes another. */
  #sent: Promise<void> = Promise.resolve()
  #markClosed!: () => void

  constructor(peer: Peer, address: string, clock: Clock, wire: Wire) {
    this.peer = peer
    this.address = address
    this.#clock = clock
    this.#wire = wire
    this.closed = new Promise(resolve => {
      this.#markClosed = resolve
    })
  }

  join(other: PairEnd): void {
    this.#other = other
  }

  serve(server: Server): void {
    this.#server = server
  }

  async ask<K extends keyof Asks>(
    type: K,
    body: Asks[K]['ask'],
    payload?: Buffer,
    timeoutMs = ASK_TIMEOUT_MS,
  ): Promise<Reply<Asks[K]['answer']>> {
    if (this.#abort.signal.aborted) throw new LinkLostError('the link is closed')
    const packed = pack(body)
    const bytes = payload && Buffer.from(payload)
    const asked = this.#sent.then(() => this.#wire.pass())
    this.#sent = asked
    const answered = asked.then(() => this.#other.answer(type, packed, bytes))
    const settled = new AbortController()
    const stop = AbortSignal.any([this.#abort.signal, settled.signal])
    const lost = this.#clock.sleep(timeoutMs, stop).then(
      () => {
        throw new LinkLostError(`no answer to ${type} in ${timeoutMs} ms`)
      },
      () => {
        throw new LinkLostError('the link was closed')
      },
    )
    try {
      const answer = await Promise.race([answered, lost])
      if (this.#abort.signal.aborted) throw new LinkLostError('the link was closed')
      if ('refused' in answer) throw new RefusedError(answer.refused, answer.why)
      return { body: unpack(answer.body), payload: answer.payload }
    } finally {
      settled.abort()
      lost.catch(() => undefined) // decided above
    }
  }

  async answer<K extends keyof Asks>(
    type: K,
    packed: Buffer,
    payload: Buffer | undefined,
  ): Promise<{ body: Buffer; payload?: Buffer } | { refused: RefusedError['code']; why: string }> {
    // A lost request never comes back: the asker's time-out or the end of the link decides.
    if (this.#abort.signal.aborted || !this.#server) return new Promise(() => undefined)
    try {
      const reply = await this.#server(type, unpack(packed), payload)
      await this.#wire.pass()
      return { body: pack(reply.body), payload: reply.payload && Buffer.from(reply.payload) }
    } catch (error) {
      await this.#wire.pass()
      if (error instanceof RefusedError) return { refused: error.code, why: error.message }
      return { refused: 'failed', why: String(error) }
    }
  }

  close(reason: string): void {
    if (this.#abort.signal.aborted) return
    this.#abort.abort(new LinkLostError(reason))
    this.#markClosed()
    this.#other.close(reason)
  }
}
