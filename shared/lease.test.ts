import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { type Test, test } from 'tap'
import { FolderStore } from './folder-store.ts'
import { Lease } from './lease.ts'
import { realWorld } from './real-world.ts'
import type { ObjectStore } from './stores.ts'
import type { Clock, Log, World } from './world.ts'

const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

/** A clock whose two times the test sets; sleepers wake when their monotonic time has come. */
class HandClock implements Clock {
  wallMs = 1_700_000_000_000
  #monotonicMs = 0
  readonly #sleepers: { atMs: number; wake: () => void }[] = []
  readonly #idle: () => Promise<void>

  /** @param idle  resolves when what woke has come to rest */
  constructor(idle: () => Promise<void>) {
    this.#idle = idle
  }

  now(): number {
    return this.wallMs
  }

  monotonic(): number {
    return this.#monotonicMs
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
      this.#sleepers.push({ atMs: this.#monotonicMs + ms, wake: resolve })
    })
  }

  /** In small steps; what woke is done with its file operations before the next. */
  async advance(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 1000) {
      this.#monotonicMs += Math.min(1000, left)
      this.wallMs += Math.min(1000, left)
      for (const sleeper of this.#sleepers.splice(0)) {
        if (sleeper.atMs <= this.#monotonicMs) sleeper.wake()
        else this.#sleepers.push(sleeper)
      }
      await this.#idle()
    }
  }
}

async function open(t: Test) {
  const folder = await mkdtemp(join(tmpdir(), 'bucktail-lease-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const { disk, random } = realWorld({ log: silent })
  let inHand = 0
  const counting: ObjectStore = new Proxy(new FolderStore(disk, folder), {
    get: (target, key) => {
      const method = Reflect.get(target, key).bind(target)
      return async (...args: unknown[]) => {
        inHand++
        try {
          return await method(...args)
        } finally {
          inHand--
        }
      }
    },
  })
  /** Whoever goes on after one operation begins the next in the same turn. */
  const idle = async () => {
    do for (let turns = 0; turns < 3; turns++) await turn()
    while (inHand > 0)
  }
  return { objects: counting, random, idle }
}

interface Holder {
  lease: Lease
  clock: HandClock
  works: number
  end: AbortController
  done: Promise<void>
}

function contend(
  place: { objects: ObjectStore; random: World['random']; idle: () => Promise<void> },
  name: string,
  clock = new HandClock(place.idle),
): Holder {
  const { objects, random } = place
  const lease = new Lease(objects, { name, leaseMs: 15_000 }, { clock, random, log: silent })
  const end = new AbortController()
  const holder: Holder = { lease, clock, works: 0, end, done: Promise.resolve() }
  holder.done = lease.hold(end.signal, async held => {
    holder.works++
    await new Promise(resolve => held.addEventListener('abort', resolve, { once: true }))
  })
  return holder
}

test('one holds, the other watches; an orderly stop hands over with the next term', async t => {
  const place = await open(t)
  const a = contend(place, 'a')
  await place.idle()
  t.match(a.lease.status(), { term: 1, holder: 'a', isHeld: true })
  const b = contend(place, 'b')
  await b.clock.advance(10_000)
  t.match(b.lease.status(), { term: 1, holder: 'a', isHeld: false })
  a.end.abort()
  await a.done
  await b.clock.advance(6_000)
  t.match(b.lease.status(), { term: 2, holder: 'b', isHeld: true })
  b.end.abort()
  await b.done
})

test('a holder that renews is never taken for dead, and renewals leave no more than two objects', async t => {
  const place = await open(t)
  const clock = new HandClock(place.idle)
  const a = contend(place, 'a', clock)
  await place.idle()
  const b = contend(place, 'b', clock)
  await clock.advance(60_000)
  t.ok(a.lease.isHeld)
  t.equal(b.works, 0)
  t.same(await place.objects.list('lease/'), ['lease/000000000001', 'lease/000000000001-beat'])
  a.end.abort()
  b.end.abort()
  await a.done
  await b.done
})

test('unchanged for leaseMs by the watcher’s own monotonic clock: taken over; steps of any wall clock do nothing', async t => {
  const place = await open(t)
  const a = contend(place, 'a')
  await place.idle()
  const b = contend(place, 'b')
  await place.idle()
  b.clock.wallMs += 100_000_000
  await b.clock.advance(6_000)
  b.clock.wallMs -= 300_000_000
  await b.clock.advance(6_000)
  t.equal(b.works, 0, 'only 12 s passed')
  // The process of a stands still: its clock does not move, it renews nothing.
  await b.clock.advance(10_000)
  t.match(b.lease.status(), { term: 2, holder: 'b', isHeld: true })
  t.equal(b.works, 1)
  // a goes on: it believed itself the holder until its next renewal.
  t.ok(a.lease.isHeld)
  await a.clock.advance(6_000)
  await a.done
  t.match(a.lease.status(), { term: 2, holder: 'b', isHeld: false })
  t.same(await place.objects.list('lease/'), ['lease/000000000002', 'lease/000000000002-beat'])
  b.end.abort()
  await b.done
})

test('a holder whose store is gone gives up when its renewal is too old, before a watcher could take over', async t => {
  const place = await open(t)
  let isGone = false
  const objects: ObjectStore = new Proxy(place.objects, {
    get: (target, key) => {
      const method = Reflect.get(target, key).bind(target)
      return (...args: unknown[]) => (isGone ? Promise.reject(new Error('no route to the store')) : method(...args))
    },
  })
  const a = contend({ ...place, objects }, 'a')
  await place.idle()
  isGone = true
  await a.clock.advance(9_000)
  t.ok(a.lease.isHeld, 'two renewals missed')
  await a.clock.advance(7_000)
  t.notOk(a.lease.isHeld)
  await a.clock.advance(5_000)
  await a.done
})

test('after a crash the same name takes over at once', async t => {
  const place = await open(t)
  contend(place, 'a') // never renews, never ends: its clock stands still
  await place.idle()
  const again = contend(place, 'a')
  await place.idle()
  t.match(again.lease.status(), { term: 2, holder: 'a', isHeld: true })
  again.end.abort()
  await again.done
})

test('of many who try at once one holds', async t => {
  const place = await open(t)
  const clock = new HandClock(place.idle)
  const all = Array.from({ length: 8 }, (_, i) => contend(place, `porter-${i}`, clock))
  await place.idle()
  t.equal(all.filter(({ lease }) => lease.isHeld).length, 1)
  for (const { end } of all) end.abort()
  await Promise.all(all.map(({ done }) => done))
})

test('an object that is not ours keeps nobody out for ever', async t => {
  const place = await open(t)
  await place.objects.create('lease/000000000041', Buffer.from('\xff not json'))
  await place.objects.create('lease/readme', Buffer.from('left by somebody'))
  const a = contend(place, 'a')
  await a.clock.advance(21_000)
  t.match(a.lease.status(), { term: 42, isHeld: true })
  a.end.abort()
  await a.done
})
