// Links between simulated processes, with the habits of TCP: what is sent on one link arrives in order or not at all;
// while the way is cut it waits, and arrives when the way heals, unless a side gave the link up before; a peer that was
// killed is noticed soon, one without power only when somebody loses patience.
import { pack, unpack } from 'msgpackr'
import {
  type Dialer,
  type Link,
  LinkLostError,
  type Listener,
  type Peer,
  RefusedError,
  type Reply,
  type Role,
  type Server,
} from '../../shared/link.ts'
import type { Asks } from '../../shared/messages.ts'
import type { SeededRandom } from './seeded-random.ts'
import type { Machine, SimProcess } from './sim-process.ts'
import type { Timed, Timeline } from './timeline.ts'

const ASK_TIMEOUT_MS = 10_000
const DIAL_TIMEOUT_MS = 5_000
/** The operating system gives up on a peer that does not answer for so long. */
const PATIENCE_MS = [15_000, 120_000] as const
/** Latency of one message: usually well below, now and then all of it. */
const LATENCY_MS_MAX = 40

type Message =
  | { kind: 'ask'; number: number; type: keyof Asks; body: Buffer; payload?: Buffer; sentAtMs: number }
  | { kind: 'answer'; number: number; body: Buffer; payload?: Buffer }
  | { kind: 'refused'; number: number; code: RefusedError['code']; text: string }
  | { kind: 'close'; reason: string }

interface Listening {
  process: SimProcess
  peer: Peer
  accepts: Role[]
  onLink(link: Link): void
}

export class SimNetwork {
  readonly timeline: Timeline
  readonly random: SeededRandom
  readonly links = new Set<LinkEnd>()
  /** Messages that were delivered, by type of the request; for figures. */
  readonly delivered = new Map<string, number>()
  /** Told of every request as it arrives. */
  onRequest: ((type: keyof Asks, body: unknown, sentAtMs: number) => void) | undefined
  readonly #listening = new Map<string, Listening>()
  readonly #cut = new Set<string>()
  readonly #slow = new Map<string, number>()

  constructor(timeline: Timeline, random: SeededRandom) {
    this.timeline = timeline
    this.random = random
  }

  listen(process: SimProcess, peer: Peer, address: string, accepts: Role[], onLink: (link: Link) => void): Listener {
    if (this.#listening.get(address)?.process.isAlive) throw new Error(`EADDRINUSE: ${address}`)
    const listening = { process, peer, accepts, onLink }
    this.#listening.set(address, listening)
    return {
      address,
      close: async () => {
        if (this.#listening.get(address) === listening) this.#listening.delete(address)
      },
    }
  }

  dialer(process: SimProcess, peer: Peer, expects: Role): Dialer {
    return { dial: (address, signal) => this.#dial(process, peer, expects, address, signal) }
  }

  cut(a: Machine, b: Machine): void {
    this.#cut.add(way(a, b))
    for (const link of this.links) if (link.way === way(a, b)) link.losePatience()
  }

  heal(a: Machine, b: Machine): void {
    if (!this.#cut.delete(way(a, b))) return
    for (const link of this.links) if (link.way === way(a, b)) link.resume()
  }

  healAll(): void {
    this.#cut.clear()
    this.#slow.clear()
    for (const link of this.links) link.resume()
  }

  /** Bytes per millisecond from now on. */
  slow(a: Machine, b: Machine, bytesPerMs: number): void {
    this.#slow.set(way(a, b), bytesPerMs)
  }

  /** Both ends notice; what is under way is lost, answers too. */
  reset(isMeant: (link: LinkEnd) => boolean): void {
    for (const link of [...this.links]) if (link.isOpen && isMeant(link)) link.lose('connection reset')
  }

  isCut(key: string): boolean {
    return this.#cut.has(key)
  }

  delays(key: string, bytes: number): { latencyMs: number; transmissionMs: number } {
    const bytesPerMs = this.#slow.get(key)
    const latencyMs = 0.1 + this.random.span(LATENCY_MS_MAX)
    return { latencyMs, transmissionMs: bytesPerMs ? bytes / bytesPerMs : 0 }
  }

  #dial(process: SimProcess, peer: Peer, expects: Role, address: string, signal?: AbortSignal): Promise<Link> {
    if (!process.isAlive) return process.never
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const attempt = (ms: number, run: () => void) => {
        const timed = process.after(ms, () => {
          signal?.removeEventListener('abort', onAbort)
          run()
        })
        const onAbort = () => {
          timed.run = undefined
          if (process.isAlive) reject(signal?.reason)
        }
        signal?.addEventListener('abort', onAbort, { once: true })
      }
      const to = this.#listening.get(address)
      const key = to && way(process.machine, to.process.machine)
      if (!to || !key || this.isCut(key) || !to.process.machine.isUp) {
        const error = new LinkLostError(`no answer from ${address} within ${DIAL_TIMEOUT_MS} ms`)
        return attempt(DIAL_TIMEOUT_MS, () => reject(error))
      }
      attempt(3 * this.delays(key, 0).latencyMs, () => {
        const isThere = to.process.isAlive && this.#listening.get(address) === to
        if (!isThere || !to.accepts.includes(peer.role) || to.peer.role !== expects) {
          return reject(new LinkLostError(`${address} refused the connection`))
        }
        const here = new LinkEnd(this, process, to.peer, address)
        const there = new LinkEnd(this, to.process, peer, `${process.machine.name}:${process.name}`)
        here.join(there)
        there.join(here)
        to.onLink(there)
        resolve(here)
      })
    })
  }
}

interface Waiting {
  resolve(reply: Reply<unknown>): void
  reject(error: Error): void
  timed: Timed
}

export class LinkEnd implements Link {
  readonly peer: Peer
  readonly address: string
  readonly closed: Promise<void>
  readonly process: SimProcess
  way = ''
  readonly #network: SimNetwork
  #other: LinkEnd | undefined
  #isOpen = true
  #server: Server | undefined
  #waiting = new Map<number, Waiting>()
  #nextNumber = 1
  #resolveClosed: () => void = () => undefined
  /** What this end sent and the other has not received yet, in order. */
  #sent: Message[] = []
  /** So many of them should have arrived while the way was cut. */
  #overdue = 0
  /** When the last of them arrives: nothing arrives before what was sent before. */
  #arrivesAtMs = 0
  #patience: Timed | undefined

  constructor(network: SimNetwork, process: SimProcess, peer: Peer, address: string) {
    this.#network = network
    this.process = process
    this.peer = peer
    this.address = address
    this.closed = new Promise(resolve => {
      this.#resolveClosed = resolve
    })
  }

  join(other: LinkEnd): void {
    this.#other = other
    this.way = way(this.process.machine, other.process.machine)
    this.#network.links.add(this)
    this.process.onDeath(this, cause => this.#die(cause))
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  serve(server: Server): void {
    this.#server = server
  }

  ask<K extends keyof Asks>(
    type: K,
    body: Asks[K]['ask'],
    payload?: Buffer,
    timeoutMs = ASK_TIMEOUT_MS,
  ): Promise<Reply<Asks[K]['answer']>> {
    if (!this.process.isAlive) return this.process.never
    if (!this.#isOpen) return Promise.reject(new LinkLostError(`link to ${this.address} is closed`))
    return new Promise((resolve, reject) => {
      const number = this.#nextNumber++
      const timed = this.process.after(timeoutMs, () => {
        this.#waiting.delete(number)
        reject(new LinkLostError(`no answer to ${type} from ${this.address} within ${timeoutMs} ms`))
      })
      this.#waiting.set(number, { resolve: resolve as Waiting['resolve'], reject, timed })
      const sentAtMs = this.#network.timeline.nowMs
      this.#send({ kind: 'ask', number, type, body: pack(body), payload: payload && Buffer.from(payload), sentAtMs })
    })
  }

  close(reason: string): void {
    if (!this.#isOpen || !this.process.isAlive) return
    this.#send({ kind: 'close', reason })
    this.#end(`link to ${this.address} was closed: ${reason}`)
  }

  /** Both ends notice at once; what is under way is lost. */
  lose(reason: string): void {
    for (const end of [this, this.#other]) end?.drop(reason)
  }

  drop(reason: string): void {
    this.#sent = []
    this.#end(reason)
  }

  /** The other side does not answer any more: this end gives up after a time of its own. */
  losePatience(): void {
    if (!this.#isOpen || this.#patience?.run) return
    const [least, most] = PATIENCE_MS
    const ms = least + this.#network.random.fraction() * (most - least)
    this.#patience = this.process.after(ms, () => this.#end(`no sign of ${this.address} for ${Math.round(ms)} ms`))
  }

  /** The way is whole again. */
  resume(): void {
    const isSilent = !this.#other?.process.isAlive
    if (this.#patience && !isSilent) this.#patience.run = undefined
    const overdue = this.#overdue
    this.#overdue = 0
    for (let i = 0; i < overdue; i++) this.#scheduleArrival(0)
  }

  #die(cause: 'kill' | 'power'): void {
    this.#isOpen = false
    this.#network.links.delete(this)
    if (cause === 'power') {
      this.#sent = []
      this.#other?.losePatience()
      return
    }
    // The operating system closes the sockets of the dead: what was sent still arrives, or is reset with the rest.
    if (this.#network.random.chance(0.5)) this.#other?.lostSoon()
    else this.#carry({ kind: 'close', reason: 'the peer is gone' })
  }

  lostSoon(): void {
    this.#network.timeline.after(
      this.#network.delays(this.way, 0).latencyMs,
      () => {
        if (this.#network.isCut(this.way)) this.losePatience()
        else this.#end('connection reset')
      },
      () => this.#isOpen,
    )
  }

  #end(reason: string): void {
    if (!this.#isOpen) return
    this.#isOpen = false
    this.#network.links.delete(this)
    this.process.forget(this)
    if (this.#patience) this.#patience.run = undefined
    const error = new LinkLostError(reason)
    for (const { reject, timed } of this.#waiting.values()) {
      timed.run = undefined
      reject(error)
    }
    this.#waiting.clear()
    this.#resolveClosed()
  }

  #send(message: Message): void {
    if (!this.process.isAlive || !this.#isOpen) return
    this.#carry(message)
  }

  #carry(message: Message): void {
    this.#sent.push(message)
    this.#scheduleArrival('body' in message ? message.body.length + (message.payload?.length ?? 0) : 0)
  }

  #scheduleArrival(bytes: number): void {
    const { timeline } = this.#network
    const { latencyMs, transmissionMs } = this.#network.delays(this.way, bytes)
    this.#arrivesAtMs = Math.max(this.#arrivesAtMs, timeline.nowMs + latencyMs) + transmissionMs
    timeline.after(this.#arrivesAtMs - timeline.nowMs, () => this.#arrive())
  }

  #arrive(): void {
    const other = this.#other
    if (!other || this.#sent.length === 0) return
    if (this.#network.isCut(this.way)) {
      this.#overdue++
      return
    }
    const message = this.#sent.shift() as Message
    if (!other.process.machine.isUp) this.losePatience()
    // A machine that knows nothing of the connection answers with a reset.
    else if (!other.process.isAlive || !other.#isOpen) this.lostSoon()
    else other.#receive(message)
  }

  #receive(message: Message): void {
    if (message.kind === 'close') {
      this.#end(`the peer closed the link: ${message.reason}`)
      return
    }
    if (message.kind === 'ask') {
      void this.#answer(message)
      return
    }
    const waiting = this.#waiting.get(message.number)
    if (!waiting) return
    this.#waiting.delete(message.number)
    waiting.timed.run = undefined
    if (message.kind === 'refused') waiting.reject(new RefusedError(message.code, message.text))
    else waiting.resolve({ body: unpack(message.body), payload: message.payload })
  }

  async #answer({ number, type, body, payload, sentAtMs }: Extract<Message, { kind: 'ask' }>): Promise<void> {
    this.#network.delivered.set(type, (this.#network.delivered.get(type) ?? 0) + 1)
    try {
      if (!this.#server) throw new RefusedError('bad-request', `nobody answers ${type} here`)
      const asked = unpack(body)
      this.#network.onRequest?.(type, asked, sentAtMs)
      const reply = await this.#server(type, asked, payload)
      this.#send({
        kind: 'answer',
        number,
        body: pack(reply.body),
        payload: reply.payload && Buffer.from(reply.payload),
      })
    } catch (error) {
      const code = error instanceof RefusedError ? error.code : 'failed'
      this.#send({ kind: 'refused', number, code, text: (error as Error).message })
    }
  }
}

function way(a: Machine, b: Machine): string {
  return a.name < b.name ? `${a.name} ${b.name}` : `${b.name} ${a.name}`
}
