import { type Test, test } from 'tap'
import type { FoundEvent } from '../events.ts'
import { FolderStore } from '../folder-store.ts'
import { NO_WORDS, openStore, Wrapped, world } from '../objects.test-support.ts'
import { BUCKET, sourceName, testPacket } from '../packets.test-support.ts'
import { parseQuery } from '../query.ts'
import type { SegmentStore } from '../segment-store.ts'
import { testEventStore } from '../stores.contract.ts'
import { type Damage, type ObjectStore, type SearchRequest, TOP_FIELDS } from '../stores.ts'
import { packBatch, unpackBatch } from './event-batch.ts'
import { SearchThreadLostError, SearchThreads } from './search-threads.ts'

const SEGMENTS = 12
const LINES = 400

function threadsOf(t: Test, options: ConstructorParameters<typeof SearchThreads>[0] = {}): SearchThreads {
  const threads = new SearchThreads({ threads: 2, ...options })
  t.teardown(() => threads.close())
  return threads
}

/** Twelve segments of two sources, whose times overlap. */
async function filled(
  t: Test,
  threads: SearchThreads,
  wrap = (objects: ObjectStore) => objects,
): Promise<SegmentStore> {
  const objects = new FolderStore(world.disk, t.testdir())
  const writer = await openStore(objects, { blockBytes: 4_000, zstdLevel: 1 })
  let from = 0
  for (let sequence = 1; sequence <= SEGMENTS; sequence++) {
    const lines = Array.from({ length: LINES }, (_, k) => ({
      text: `${sequence}/${k} ${k % 50 === 0 ? 'rare' : 'common'} ${'words '.repeat(k % 7)}\n`,
      timeNs: BigInt(BUCKET) * 1_000_000_000n + BigInt((k * 7919 + sequence * 31) % 1000) * 1_000_000_000n,
    }))
    const packet = testPacket([{ source: sourceName(sequence % 2 ? 'a' : 'b'), from, lines }], { sequence })
    from += packet.header.rawBytes
    await writer.add([packet], NO_WORDS)
  }
  return openStore(wrap(objects), { searcher: objects => threads.searcherOf(objects) })
}

async function all(events: AsyncIterable<FoundEvent>): Promise<FoundEvent[]> {
  const found: FoundEvent[] = []
  for await (const event of events) found.push(event)
  return found
}

const question = (request: Partial<SearchRequest> = {}): SearchRequest => ({
  query: parseQuery(''),
  order: 'newest',
  ...request,
})

test('a store that is searched in threads holds to what every store does', t => {
  t.jobs = 1
  const threads = threadsOf(t, { heldBytesMax: 4_000 })
  testEventStore(t, async t => {
    const folder = t.testdir()
    let number = 0
    return () =>
      openStore(new FolderStore(world.disk, folder), {
        writer: `test${number++}`,
        blockBytes: 1_000,
        searcher: objects => threads.searcherOf(objects),
      })
  })
  t.end()
})

test('threads give what the asking thread itself would find, in every order, with limits and sums', async t => {
  const threads = threadsOf(t)
  const store = await filled(t, threads)
  const here = await openStore(new FolderStore(world.disk, t.testdirName))
  for (const order of ['oldest', 'newest', 'offset'] as const) {
    for (const request of [
      {},
      { limit: 1 },
      { limit: 333 },
      { query: parseQuery('rare') },
      { source: sourceName('b') },
    ]) {
      const asked = question({ order, ...request })
      t.same(
        await all(store.search(asked)),
        await all(here.search(asked)),
        `${order} ${JSON.stringify(Object.keys(request))}`,
      )
    }
  }
  const asked = { ...question(), volume: true, tops: TOP_FIELDS }
  t.same(await store.summarise(asked), await here.summarise(asked))
})

test('progress goes up to all blocks, over all threads', async t => {
  const store = await filled(t, threadsOf(t))
  const told: { blocks: number; ofBlocks: number }[] = []
  await all(store.search(question({ onProgress: done => told.push(done) })))
  const last = told.at(-1)
  t.ok(last && last.blocks === last.ofBlocks && last.ofBlocks > SEGMENTS, JSON.stringify(last))
  t.same(
    told.map(({ blocks }) => blocks),
    told.map(({ blocks }) => blocks).sort((a, b) => a - b),
    'never down',
  )
})

test('who stops reading, or aborts, stops the threads at their next block', async t => {
  let reads = 0
  let gate: Promise<void> | undefined
  class Counted extends Wrapped {
    override get = async (key: string, range?: [number, number]) => {
      // The catalogue is read whole, by the asking thread.
      if (range) {
        reads++
        await gate
      }
      return this.inner.get(key, range)
    }
  }
  const threads = threadsOf(t, { inflatedBytesMax: 0 })
  const store = await filled(t, threads, objects => new Counted(objects))
  const whole = await countReads(() => all(store.search(question({ query: parseQuery('nothing*') }))))
  t.ok(whole > 0 && threads.running === 0)

  /** Until no thread is at work. */
  async function countReads(work: () => Promise<unknown>): Promise<number> {
    reads = 0
    await work()
    while (threads.running > 0) await world.clock.sleep(5)
    return reads
  }
  const left = await countReads(async () => {
    for await (const _ of store.search(question({ limit: undefined }))) break
  })
  t.ok(left < whole, `${left} reads of ${whole}, when the reader went away`)

  let open = () => {}
  gate = new Promise(resolve => {
    open = resolve
  })
  for (const work of [
    (signal: AbortSignal): Promise<unknown> => all(store.search(question({ signal }))),
    (signal: AbortSignal): Promise<unknown> => store.summarise({ ...question(), signal }),
  ]) {
    const stop = new AbortController()
    const refused = t.rejects(work(stop.signal), /enough/)
    while (threads.running === 0) await world.clock.sleep(5)
    stop.abort(new Error('enough'))
    await refused
  }
  open()
  gate = undefined
  const stopped = await countReads(async () => undefined)
  t.ok(stopped <= 4, `${stopped} reads after the abort: of each search and thread the block that it waited for`)
})

test('whatever the result, few batches wait for a slow reader', async t => {
  const threads = threadsOf(t)
  const store = await filled(t, threads)
  let found = 0
  for await (const event of store.search(question())) {
    if (found++ % 1000 === 0) await world.clock.sleep(5)
    t.ok(event.bytes.buffer.byteLength <= 512 * 1024, 'an event holds no more than its batch') || t.bailout()
  }
  t.equal(found, SEGMENTS * LINES)
})

test('damage, and objects that cannot be read, are told as they are without threads', async t => {
  const threads = threadsOf(t)
  const objects = new FolderStore(world.disk, t.testdir())
  const writer = await openStore(objects)
  for (const sequence of [1, 2]) {
    const run = { source: sourceName(`${sequence}`), lines: [`line ${sequence}\n`] }
    await writer.add([testPacket([run], { sequence })], NO_WORDS)
  }
  const [first] = (await objects.list('segments/')).filter(key => key.endsWith('.seg') || !key.endsWith('.json'))
  await objects.put(first, Buffer.from('not a segment'))
  const toldBy = async (store: SegmentStore) => {
    const damages: Damage[] = []
    t.equal((await all(store.search(question(), damage => damages.push(damage)))).length, 1)
    await store.summarise(question(), damage => damages.push(damage))
    return damages
  }
  const store = await openStore(objects, { searcher: objects => threads.searcherOf(objects) })
  const told = await toldBy(store)
  t.ok(told.length > 0)
  t.same(told, await toldBy(await openStore(objects)))

  class Broken extends Wrapped {
    override get = async (key: string, range?: [number, number]) => {
      if (range) throw new Error('the disk hums')
      return this.inner.get(key, range)
    }
  }
  const broken = await openStore(new Broken(objects), { searcher: objects => threads.searcherOf(objects) })
  await t.rejects(all(broken.search(question())), /the disk hums/)
  await t.rejects(broken.summarise(question()), /the disk hums/)
  await objects.remove(first)
  t.match(await toldBy(await openStore(objects, { searcher: objects => threads.searcherOf(objects) })), [
    { reason: /missing/ },
    { reason: /missing/ },
  ])
})

test('a closed set of threads refuses what comes later, and those that wait get an error', async t => {
  const threads = threadsOf(t)
  const store = await filled(t, threads)
  const events = store.search(question())
  t.notOk((await events.next()).done)
  const rest = t.rejects(all(events), SearchThreadLostError)
  await threads.close()
  await rest
  await t.rejects(all(store.search(question())), SearchThreadLostError)
})

test('a batch brings back the events that it was made of', async t => {
  const store = await filled(t, threadsOf(t))
  const events = await all(store.search(question({ limit: 100 })))
  events[3] = { ...events[3], isContinued: true }
  events[4] = { ...events[4], isRedacted: true }
  const { batch, transfer } = packBatch(events)
  t.same(unpackBatch(structuredClone(batch, { transfer })), events)
})
