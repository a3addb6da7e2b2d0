// For tests of stores: object stores that fail, yield or count, and a clock that is set by hand.

import type { Packet } from './packet.ts'
import { BUCKET, testPacket } from './packets.test-support.ts'
import { realWorld } from './real-world.ts'
import { SegmentStore, type SegmentStoreOptions } from './segment-store.ts'
import type { ObjectStore } from './stores.ts'
import type { Log, World } from './world.ts'

export const NO_WORDS = { manifests: [], gone: [] }
export const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} }
export const world = realWorld({ log: quiet })

/** The n-th line of one source, in a packet of its own. */
export function line(n: number): Packet {
  return testPacket([{ from: 10 * n, lines: [`line ${String(n).padStart(4)}\n`] }], { sequence: n + 1 })
}

export function openStore(objects: ObjectStore, options: Partial<SegmentStoreOptions> = {}): Promise<SegmentStore> {
  return SegmentStore.open(objects, { world, writer: 'test', ...options })
}

export function withClock(): { clocked: World; clock: { ms: number } } {
  const clock = { ms: (BUCKET + 100) * 1000 }
  return { clock, clocked: { ...world, clock: { ...world.clock, now: () => clock.ms, monotonic: () => clock.ms } } }
}

export class Wrapped implements ObjectStore {
  readonly inner: ObjectStore
  constructor(inner: ObjectStore) {
    this.inner = inner
  }
  create = (key: string, content: Buffer): Promise<boolean> => this.inner.create(key, content)
  put = (key: string, content: Buffer): Promise<void> => this.inner.put(key, content)
  get = (key: string, range?: [number, number]): Promise<Buffer | undefined> => this.inner.get(key, range)
  size = (key: string): Promise<number | undefined> => this.inner.size(key)
  list = (prefix: string): Promise<string[]> => this.inner.list(prefix)
  remove = (key: string): Promise<void> => this.inner.remove(key)
}

/** Lets others go first, as often as chance will have it, before and after every step. */
export class Yielding implements ObjectStore {
  readonly #inner: ObjectStore
  readonly #random: () => number
  constructor(inner: ObjectStore, random: () => number) {
    this.#inner = inner
    this.#random = random
  }
  async #step<T>(step: () => Promise<T>): Promise<T> {
    await this.#yield()
    const result = await step()
    await this.#yield()
    return result
  }
  async #yield(): Promise<void> {
    for (let n = Math.floor(this.#random() * 4); n > 0; n--) await new Promise(resolve => setImmediate(resolve))
  }
  create = (key: string, content: Buffer) => this.#step(() => this.#inner.create(key, content))
  put = (key: string, content: Buffer) => this.#step(() => this.#inner.put(key, content))
  get = (key: string, range?: [number, number]) => this.#step(() => this.#inner.get(key, range))
  size = (key: string) => this.#step(() => this.#inner.size(key))
  list = (prefix: string) => this.#step(() => this.#inner.list(prefix))
  remove = (key: string) => this.#step(() => this.#inner.remove(key))
}

export class Counting extends Wrapped {
  calls = 0
  override create = (key: string, content: Buffer) => this.#count(this.inner.create(key, content))
  override put = (key: string, content: Buffer) => this.#count(this.inner.put(key, content))
  override get = (key: string, range?: [number, number]) => this.#count(this.inner.get(key, range))
  #count<T>(result: T): T {
    this.calls++
    return result
  }
}
