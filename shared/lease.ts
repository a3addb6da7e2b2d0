// Who is porter now, with a term: two kinds of small objects beside the archive, made with nothing but create-only
// writes, so that a folder and S3 serve alike.
//
//   <prefix>000000000007        {"term":7,"name":"porter-a","id":"9f…"}   create-only: who made it holds term 7
//   <prefix>000000000007-beat   {"beats":41}                              overwritten by that holder only, every third of leaseMs
//                               {"beats":42,"isReleased":true}            its last word on an orderly stop
//
//   watching ── the lease did not change for leaseMs, or was released ──▶ takes term + 1 ──▶ holding
//       ▲                                                                                      │
//       └── a greater term is there, or no renewal succeeded for leaseMs ◀─────────────────────┘
//
// - Age is what the watcher's own monotonic clock measured since it last saw the lease change. No two clocks are compared.
// - A holder that was stopped (SIGSTOP, a frozen VM) knows by the same clock that its renewal is too old.
// - A restart under the same name takes over at once: that name's former process is taken for dead. If it is not, it
//   sees the greater term and stands by. Two porters at once do no harm: the lease only spares work and guards deletion.
// - The holder removes the objects of former terms: there are never more than a few.
import type { ObjectStore } from './stores.ts'
import type { World } from './world.ts'

export interface LeaseConfig {
  /** Of this installation: kept over restarts, different on every machine that may run a porter. */
  name: string
  /** Unchanged for so long: the holder is taken for dead. */
  leaseMs?: number
  prefix?: string
}

export interface LeaseStatus {
  term: number
  /** Name of the holder last seen; undefined before the first look and after a release. */
  holder?: string
  isHeld: boolean
}

export const LEASE_MS = 15_000
const TERM_DIGITS = 12

interface Seen {
  term: number
  name?: string
  id?: string
  isReleased: boolean
  /** Everything read, as text: another text is a sign of life. */
  mark: string
}

export class Lease {
  readonly #objects: ObjectStore
  readonly #name: string
  readonly #leaseMs: number
  readonly #prefix: string
  readonly #world: Pick<World, 'clock' | 'random' | 'log'>
  #seen: Seen | undefined
  /** Monotonic time at which `#seen.mark` was first seen. */
  #seenMs = 0
  /** Present while this process believes that it holds the lease. */
  #own: { term: number; id: string; beats: number; renewedMs: number } | undefined
  #hasHeld = false
  #isStoreMissing = false

  constructor(objects: ObjectStore, config: LeaseConfig, world: Pick<World, 'clock' | 'random' | 'log'>) {
    this.#objects = objects
    this.#name = config.name
    this.#leaseMs = config.leaseMs ?? LEASE_MS
    this.#prefix = config.prefix ?? 'lease/'
    this.#world = world
  }

  /** True only while the last renewal is younger than the lease. Ask again before every deletion. */
  get isHeld(): boolean {
    return this.#own !== undefined && this.#world.clock.monotonic() - this.#own.renewedMs < this.#leaseMs
  }

  status(): LeaseStatus {
    const isHeld = this.isHeld
    const holder = isHeld ? this.#name : this.#seen?.isReleased ? undefined : this.#seen?.name
    return { term: this.#own?.term ?? this.#seen?.term ?? 0, ...(holder !== undefined && { holder }), isHeld }
  }

  /**
   * Waits until this process holds the lease, then runs `work`; its signal aborts when the lease is lost or `signal`
   * aborts. Resolves when the work has ended (or `signal` aborted before it began); the lease is released then.
   */
  async hold(signal: AbortSignal, work: (held: AbortSignal) => Promise<void>): Promise<void> {
    while (!(await this.#tryTurn())) {
      if (!(await this.#pause(signal))) return
    }
    const tenure = new AbortController()
    const end = () => tenure.abort(signal.reason)
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
    const renewing = this.#renewUntil(tenure)
    try {
      await work(tenure.signal)
    } finally {
      signal.removeEventListener('abort', end)
      tenure.abort(new Error('the work has ended'))
      await renewing
      await this.#release()
    }
  }

  async #renewUntil(tenure: AbortController): Promise<void> {
    while (await this.#pause(tenure.signal)) {
      await this.#tryTurn()
      if (this.isHeld || tenure.signal.aborted) continue
      this.#world.log.warn('lease lost', { term: this.#own?.term ?? this.#seen?.term, holder: this.#seen?.name })
      this.#own = undefined
      tenure.abort(new Error('the lease is lost'))
    }
  }

  /** False when `signal` aborted. */
  async #pause(signal: AbortSignal): Promise<boolean> {
    try {
      await this.#world.clock.sleep(this.#leaseMs / 3, signal)
    } catch (error) {
      if (!signal.aborted) throw error
    }
    return !signal.aborted
  }

  /** One step; trouble of the store is told once and means: nothing new is known. */
  async #tryTurn(): Promise<boolean> {
    try {
      await this.#turn()
      this.#isStoreMissing = false
    } catch (error) {
      if (!this.#isStoreMissing) this.#world.log.warn('lease not readable or not writable', { error })
      this.#isStoreMissing = true
    }
    return this.isHeld
  }

  /** Looks; renews what is held; takes what is free. */
  async #turn(): Promise<void> {
    const { clock } = this.#world
    const beganMs = clock.monotonic()
    const seen = await this.#look()
    if (this.#own) {
      if (seen && (seen.term > this.#own.term || (seen.term === this.#own.term && seen.id !== this.#own.id))) {
        this.#own = undefined
        this.#note(seen)
        return
      }
      this.#own.beats++
      await this.#objects.put(`${this.#key(this.#own.term)}-beat`, json({ beats: this.#own.beats }))
      this.#own.renewedMs = beganMs
      return
    }
    const isFirstLook = this.#seen === undefined
    this.#note(seen)
    const isUnchanged = clock.monotonic() - this.#seenMs >= this.#leaseMs
    const isOwnFormer = isFirstLook && !this.#hasHeld && seen?.name === this.#name
    if (!seen || seen.isReleased || isUnchanged || isOwnFormer) await this.#take((seen?.term ?? 0) + 1)
  }

  #note(seen: Seen | undefined): void {
    const next = seen ?? { term: 0, isReleased: true, mark: '' }
    if (this.#seen?.mark !== next.mark) this.#seenMs = this.#world.clock.monotonic()
    this.#seen = next
  }

  async #take(term: number): Promise<void> {
    const { clock, random, log } = this.#world
    const beganMs = clock.monotonic()
    const id = random.bytes(8).toString('hex')
    if (!(await this.#objects.create(this.#key(term), json({ term, name: this.#name, id })))) return
    const terms = await this.#terms()
    // A taker that slept since its look may have made a term whose objects were removed long ago.
    if (terms.some(other => other > term)) {
      await this.#objects.remove(this.#key(term))
      return
    }
    this.#own = { term, id, beats: 0, renewedMs: beganMs }
    this.#hasHeld = true
    log.info('lease taken', { term, name: this.#name })
    for (const former of terms.filter(other => other < term)) {
      await this.#objects.remove(`${this.#key(former)}-beat`)
      await this.#objects.remove(this.#key(former))
    }
  }

  async #release(): Promise<void> {
    if (!this.isHeld || !this.#own) return
    const { term, beats } = this.#own
    this.#own = undefined
    try {
      await this.#objects.put(`${this.#key(term)}-beat`, json({ beats: beats + 1, isReleased: true }))
    } catch (error) {
      // The next one waits leaseMs instead.
      this.#world.log.warn('lease not released', { term, error })
    }
  }

  async #look(): Promise<Seen | undefined> {
    const term = (await this.#terms()).at(-1)
    if (term === undefined) return undefined
    const holder = await this.#objects.get(this.#key(term))
    const beat = await this.#objects.get(`${this.#key(term)}-beat`)
    const { name, id } = parsed(holder)
    return {
      term,
      ...(typeof name === 'string' && { name }),
      ...(typeof id === 'string' && { id }),
      isReleased: parsed(beat).isReleased === true,
      mark: `${term} ${holder} ${beat}`,
    }
  }

  /** Rising. Keys of another form are not ours and are left alone. */
  async #terms(): Promise<number[]> {
    const keys = await this.#objects.list(this.#prefix)
    return keys
      .map(key => key.slice(this.#prefix.length))
      .filter(name => /^\d+$/.test(name) && name.length === TERM_DIGITS)
      .map(Number)
  }

  #key(term: number): string {
    return `${this.#prefix}${String(term).padStart(TERM_DIGITS, '0')}`
  }
}

function json(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}

/** What is not our JSON says nothing: such a holder is replaced once it does not change any more. */
function parsed(content: Buffer | undefined): Record<string, unknown> {
  try {
    const value: unknown = content === undefined ? {} : JSON.parse(content.toString())
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
