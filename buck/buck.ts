// A buck: receives packets of tailers, stores them, acknowledges, publishes, and answers porters and archies.
//
//   open ─▶ scan of all disks ─▶ accept(link)… ─▶ close: take nothing new ─▶ finish appends ─▶ sync ─▶ close links
//                                     └ in the background, every second: sync what is over, drop what may go, feel the fill
import { type Link, LinkLostError } from '../shared/link.ts'
import type { TailerContact } from '../shared/messages.ts'
import type { World } from '../shared/world.ts'
import { ChangeLog } from './changes.ts'
import type { FoundDamage } from './damages.ts'
import type { DiskState } from './disk-folder.ts'
import { Sessions } from './session.ts'
import { Store, type StoreConfig } from './store.ts'
import { type Listener, Subscribers } from './subscribers.ts'
import { TailerLinks } from './tailer-links.ts'
import { type ThrottleInForce, ThrottleState } from './throttle.ts'
import { Wants } from './wants.ts'

export type BuckConfig = StoreConfig

/** Between two looks at what is to be synced or may go. */
export const TEND_MS = 1_000
/** Requests that are not answered by then are cut off with their link. */
const DRAIN_MS = 5_000

export interface BuckStatus {
  id: string
  name: string
  logId: string
  packets: number
  bytes: number
  bytesMax: number
  buckets: number
  disks: { folder: string; state: DiskState['name']; reason?: string; unsyncedFiles: number; syncsFailed: number }[]
  /** Refused for want of room or a working disk, since the start. */
  refused: number
  damaged: number
  torn: number
  damages: FoundDamage[]
  sameIdOtherContent: number
  clones: number
  archivedKnown: number
  wantsWaiting: number
  /** Wants for absent tailers that were not kept because too many wait; porters ask again. */
  wantsNotKept: number
  /** Bucket files of other bucks in our folders: their packets are not served from here. */
  foreignFiles: number
  listeners: number
  /** Packets that slow listeners did not get. */
  listenersDropped: number
  connectedTailers: number
  tailers: TailerContact[]
  throttle: ThrottleInForce
  isClosing: boolean
}

export class Buck {
  readonly id: string
  readonly #world: World
  readonly #config: BuckConfig
  readonly #store: Store
  readonly #changes: ChangeLog
  readonly #tailers: TailerLinks
  readonly #throttle: ThrottleState
  readonly #subscribers: Subscribers
  readonly #wants: Wants
  readonly #sessions: Sessions
  readonly #links = new Set<Link>()
  /** Requests that are being answered; `close` waits for them. */
  readonly #running = new Set<Promise<unknown>>()
  readonly #stop = new AbortController()
  readonly #tending: Promise<void>
  #closed: Promise<void> | undefined

  private constructor(world: World, config: BuckConfig, id: string, store: Store, changes: ChangeLog) {
    this.id = id
    this.#world = world
    this.#config = config
    this.#store = store
    this.#changes = changes
    this.#tailers = new TailerLinks(world.clock)
    this.#throttle = new ThrottleState(world.clock)
    this.#subscribers = new Subscribers(world)
    this.#wants = new Wants(world, store)
    this.#sessions = new Sessions({
      world,
      store,
      changes,
      tailers: this.#tailers,
      wants: this.#wants,
      throttle: this.#throttle,
      subscribers: this.#subscribers,
      isClosing: () => this.#closed !== undefined,
    })
    this.#throttle.feel(store.fill)
    this.#tending = this.#tend()
  }

  /** Resolves when every bucket file was read. Rejects if a folder cannot be read at all. */
  static async open(config: BuckConfig, { world, id }: { world: World; id: string }): Promise<Buck> {
    if (config.folders.length === 0) throw new Error(`buck ${config.name} has no folder: set at least one`)
    if (!/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(config.name)) {
      throw new Error(`'${config.name}' cannot be a buck's name: it names files; use letters, digits, '.', '_', '-'`)
    }
    const changes = new ChangeLog(world.clock, world.random)
    const store = await Store.open(world, config, changes)
    const { packets, bytes } = store.holdings
    world.log.info('buck opened', { name: config.name, packets, bytes, damaged: store.damages.count })
    return new Buck(world, config, id, store, changes)
  }

  accept(link: Link): void {
    if (this.#closed) {
      link.close('the buck is stopping')
      return
    }
    this.#links.add(link)
    const server = this.#sessions.server(link)
    link.serve((type, body, payload) => {
      const answer = server(type, body, payload)
      const done = answer.then(
        () => undefined,
        () => undefined, // the link tells the asker
      )
      this.#running.add(done)
      void done.then(() => this.#running.delete(done))
      return answer
    })
    void link.closed.then(() => this.#links.delete(link))
  }

  /**
   * Packets of `first` and `second` deliveries, after their append, in a later turn.
   * @returns ends it
   */
  subscribe(listener: Listener): () => void {
    return this.#subscribers.add(listener)
  }

  /**
   * Asks all tailers to hold back for `seconds` (at most an hour), or with `leastIntervalMs` to send no faster.
   * Negative: only tells what is in force. 0 lifts it.
   */
  throttle(seconds: number, leastIntervalMs?: number): ThrottleInForce {
    if (seconds >= 0) {
      this.#throttle.set(seconds, leastIntervalMs)
      this.#tellThrottle()
    }
    return this.#throttle.inForce()
  }

  status(): BuckStatus {
    const { holdings, damages, sources } = this.#store
    const machineOf = (tailer: string) => sources.opening(tailer)?.machine ?? ''
    return {
      id: this.id,
      name: this.#config.name,
      logId: this.#changes.logId,
      packets: holdings.packets,
      bytes: holdings.bytes,
      bytesMax: this.#config.bytesMax,
      buckets: holdings.buckets().length,
      disks: this.#store.disks.map(({ folder, state, unsyncedFiles, syncsFailed }) => ({
        folder,
        state: state.name,
        ...(state.name !== 'fine' && { reason: state.reason }),
        unsyncedFiles,
        syncsFailed,
      })),
      refused: this.#store.refused,
      damaged: damages.count,
      torn: damages.torn,
      damages: [...damages.latest],
      sameIdOtherContent: holdings.sameIdOtherContent,
      clones: this.#tailers.clones,
      archivedKnown: this.#store.archivedCount,
      wantsWaiting: this.#wants.waiting,
      wantsNotKept: this.#wants.notKept,
      foreignFiles: this.#store.foreignFiles,
      listeners: this.#subscribers.count,
      listenersDropped: this.#subscribers.dropped,
      connectedTailers: this.#tailers.links().length,
      tailers: this.#tailers.contacts(holdings.tailers(), machineOf),
      throttle: this.#throttle.inForce(),
      isClosing: this.#closed !== undefined,
    }
  }

  /** Takes nothing new, finishes what was begun, syncs, then closes the links. */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    this.#stop.abort()
    this.#changes.close()
    this.#subscribers.close()
    await this.#tending
    await this.#drain()
    await this.#store.close()
    for (const link of this.#links) link.close('the buck is stopping')
    this.#world.log.info('buck closed', { name: this.#config.name })
  }

  /** Waits for what is being answered, but not for ever: a want may wait for a tailer that does not answer. */
  async #drain(): Promise<void> {
    const drained = new AbortController()
    const tooLong = this.#world.clock.sleep(DRAIN_MS, drained.signal).catch(() => undefined) // aborted: all is answered
    await Promise.race([Promise.all(this.#running), tooLong])
    // A timer left behind would keep the process for as long.
    drained.abort()
  }

  async #tend(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      try {
        await this.#world.clock.sleep(TEND_MS, signal)
      } catch (error) {
        if (!signal.aborted) this.#world.log.error('the clock failed; nothing is synced or dropped any more', { error })
        return
      }
      try {
        await this.#store.sync()
        await this.#store.sweep()
      } catch (error) {
        this.#world.log.error('syncing or dropping bucket files failed; tried again in a second', { error })
      }
      if (this.#throttle.feel(this.#store.fill)) this.#tellThrottle()
    }
  }

  #tellThrottle(): void {
    const { by: _, ...throttle } = this.#throttle.inForce()
    for (const link of this.#tailers.links()) {
      // One that does not hear it now gets it with the answer to its next report.
      link.ask('throttle', throttle).catch((error: unknown) => {
        if (error instanceof LinkLostError) return
        this.#world.log.warn('a tailer refused the throttle', { tailer: link.peer.id, error })
      })
    }
  }
}
