// The second channel: packets that are on the disk, for viewers, outputs and figures. A listener is called in a later
// turn, from a queue of its own; one that is slow loses its oldest packets, one that throws is told in the log. Neither
// can hold up the disk.
import type { World } from '../shared/world.ts'

/** Waiting for one listener. Over it the oldest are dropped and counted. */
const QUEUE_BYTES_MAX = 64 * 1024 * 1024
/** Given to a listener in one turn. */
const TURN_PACKETS_MAX = 32

export interface Published {
  packet: Buffer
  delivery: 'first' | 'second'
  /** With 'second': the first buck did not acknowledge, so outputs act on this one. */
  firstFailed: boolean
}

export type Listener = (published: Published) => void | Promise<void>

interface Subscriber {
  listener: Listener
  queue: Published[]
  bytes: number
  isRunning: boolean
  isGone: boolean
}

export class Subscribers {
  readonly #world: World
  readonly #all = new Set<Subscriber>()
  dropped = 0

  constructor(world: World) {
    this.#world = world
  }

  get count(): number {
    return this.#all.size
  }

  /** @returns ends it */
  add(listener: Listener): () => void {
    const subscriber: Subscriber = { listener, queue: [], bytes: 0, isRunning: false, isGone: false }
    this.#all.add(subscriber)
    return () => this.#end(subscriber)
  }

  publish(published: Published): void {
    for (const subscriber of this.#all) {
      subscriber.queue.push(published)
      subscriber.bytes += published.packet.length
      while (subscriber.bytes > QUEUE_BYTES_MAX && subscriber.queue.length > 1) {
        subscriber.bytes -= subscriber.queue.shift()!.packet.length
        this.dropped++
      }
      if (!subscriber.isRunning) void this.#run(subscriber)
    }
  }

  close(): void {
    for (const subscriber of this.#all) this.#end(subscriber)
  }

  #end(subscriber: Subscriber): void {
    subscriber.isGone = true
    subscriber.queue = []
    this.#all.delete(subscriber)
  }

  async #run(subscriber: Subscriber): Promise<void> {
    subscriber.isRunning = true
    try {
      while (subscriber.queue.length > 0) {
        // A turn of the event loop, so that acknowledgements and reads go first.
        await this.#world.clock.sleep(0)
        for (let i = 0; i < TURN_PACKETS_MAX; i++) {
          const published = subscriber.queue.shift()
          if (!published || subscriber.isGone) break
          subscriber.bytes -= published.packet.length
          await this.#give(subscriber, published)
        }
      }
    } catch (error) {
      this.#world.log.error('a listener is not served any more', { error })
      this.#end(subscriber)
    } finally {
      subscriber.isRunning = false
    }
  }

  async #give(subscriber: Subscriber, published: Published): Promise<void> {
    try {
      await subscriber.listener(published)
    } catch (error) {
      this.#world.log.error('a listener failed on a packet; it goes on with the next', { error })
    }
  }
}
