import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { test } from 'tap'
import { DamagedCatalogueError } from './catalogue.ts'
import { FolderStore, InvalidKeyError } from './folder-store.ts'
import { encodePacket, type Packet, packetEvents } from './packet.ts'
import { BUCKET, seededRandom, TAILER, testManifest, testPacket, testSeed } from './packets.test-support.ts'
import { parseQuery } from './query.ts'
import { realDisk } from './real-disk.ts'
import { realWorld } from './real-world.ts'
import { SegmentStore, type SegmentStoreOptions } from './segment-store.ts'
import { all, ids, picture, randomPackets, texts } from './stores.contract.ts'
import type { Damage, ObjectStore } from './stores.ts'
import type { Log, World } from './world.ts'

const NO_WORDS = { manifests: [], gone: [] }
const quiet: Log = { debug() {}, info() {}, warn() {}, error() {} }
const world = realWorld({ log: quiet })
const line = (n: number) =>
  testPacket([{ from: 10 * n, lines: [`line ${String(n).padStart(4)}\n`] }], { sequence: n + 1 })

function open(objects: ObjectStore, options: Partial<SegmentStoreOptions> = {}): Promise<SegmentStore> {
  return SegmentStore.open(objects, { world, writer: 'test', ...options })
}

test('two processes that add the same packets, merge and remove at the same time add each event once', async t => {
  const folder = t.testdir()
  const seed = testSeed('CATALOGUE_SEED')
  t.comment(`CATALOGUE_SEED=${seed}`)
  const script = fileURLToPath(new URL('./adder.test-support.ts', import.meta.url))
  const run = async (writer: string, order: number) => {
    const child = spawn(process.execPath, [script, folder, writer, String(seed), String(order)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    let output = ''
    child.stdout.on('data', text => {
      output += text
    })
    const [code] = await once(child, 'close')
    t.equal(code, 0)
    return Number(output)
  }
  const counts = await Promise.all([run('one', seed + 1), run('two', seed + 2)])
  const packets = randomPackets(seededRandom(seed), 60)
  const events = packets.reduce((sum, { header }) => sum + header.events, 0)
  t.equal(counts[0] + counts[1], events, 'each event is counted by one of them')
  const alone = await open(new FolderStore(realDisk, t.testdir({ sub: {} })), {})
  await alone.add(packets, NO_WORDS)
  const store = await open(new FolderStore(realDisk, folder))
  t.same(
    (await all(store)).map(({ id }) => id),
    (await all(alone)).map(({ id }) => id),
  )
  t.same(await store.lacking(ids(packets)), [])
})

test('writers that take turns between any two steps add each event once', async t => {
  const seed = testSeed('CATALOGUE_SEED')
  t.comment(`CATALOGUE_SEED=${seed}`)
  for (let round = 0; round < 4; round++) {
    const random = seededRandom(seed + round)
    const objects = new FolderStore(realDisk, join(t.testdir({}), `${round}`))
    const packets = randomPackets(seededRandom(seed + round), 20)
    // Half of the packets are cut anew by another epoch: same events, other ids.
    const cutAnew = packets.map(packet => reissued(packet, '2-00000000000000bb'))
    let events = 0
    const writer = async (name: string) => {
      const store = await open(new Yielding(objects, random), {
        writer: name,
        graceMs: random() < 0.5 ? 0 : 1000,
        snapshotCommits: 3,
      })
      const left = [...packets, ...cutAnew].filter(() => random() < 0.9)
      while (left.length > 0) {
        const some = left.splice(Math.floor(random() * left.length), 1 + Math.floor(random() * 4))
        const added = await store.add(some, { manifests: [testManifest(some[0].header.bucket)], gone: [] })
        events += added.events
        if (random() < 0.2) await store.tidy()
      }
    }
    await Promise.all(['a', 'b', 'c'].map(writer))
    const store = await open(objects)
    const left = await store.add([...packets, ...cutAnew], NO_WORDS)
    const total = packets.reduce((sum, { header }) => sum + header.events, 0)
    t.equal(events + left.events, total, `seed ${seed + round}`)
    const found = await all(store)
    t.equal(found.length, total)
    t.equal(new Set(found.map(({ id }) => id)).size, total)
  }
})

test('a commit whose answer was lost counts once', async t => {
  const objects = new Wrapped(new FolderStore(realDisk, t.testdir()))
  const store = await open(objects)
  objects.create = async (key, content) => {
    const isMade = await objects.inner.create(key, content)
    // A client that asks again after a lost answer is told that something is there already.
    return key.startsWith('catalogue/') ? false : isMade
  }
  t.match(await store.add([line(0)], NO_WORDS), { packets: 1, events: 1 })
  objects.create = async (key, content) => {
    await objects.inner.create(key, content)
    if (key.startsWith('catalogue/')) throw new Error('connection lost')
    return true
  }
  await t.rejects(store.add([line(1)], NO_WORDS), { message: 'connection lost' })
  objects.create = (key, content) => objects.inner.create(key, content)
  t.match(await store.add([line(1)], NO_WORDS), { packets: 0, events: 0 })
  t.equal((await all(store)).length, 2)
})

test('a store that is full takes nothing, and everything once there is room', async t => {
  for (const failAt of ['.seg', '.json', 'catalogue/']) {
    const objects = new Wrapped(new FolderStore(realDisk, t.testdir()))
    const store = await open(objects)
    await store.add([line(0)], NO_WORDS)
    objects.create = async (key, content) => {
      if (key.includes(failAt)) throw Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' })
      return objects.inner.create(key, content)
    }
    await t.rejects(store.add([line(1)], NO_WORDS), { code: 'ENOSPC' })
    t.equal((await all(store)).length, 1)
    objects.create = (key, content) => objects.inner.create(key, content)
    t.match(await store.add([line(0), line(1)], NO_WORDS), { packets: 1, events: 1 })
    t.equal((await all(await open(objects.inner))).length, 2)
  }
})

test('a damaged or missing commit or manifest: nothing is decided, what is whole is found, and put back it goes on', async t => {
  const seed = testSeed('CATALOGUE_SEED')
  t.comment(`CATALOGUE_SEED=${seed}`)
  const random = seededRandom(seed)
  const objects = new FolderStore(realDisk, t.testdir())
  const store = await open(objects)
  for (let n = 0; n < 5; n++) await store.add([line(n)], { manifests: [testManifest(BUCKET + 60 * n)], gone: [] })
  const keys = [
    ...(await objects.list('catalogue/')),
    ...(await objects.list('segments/')).filter(key => key.endsWith('.json')),
  ]
  t.equal(keys.length, 10)
  for (const key of keys) {
    const whole = (await objects.get(key)) ?? Buffer.alloc(0)
    const flip = Buffer.from(whole)
    flip[Math.floor(random() * flip.length)] ^= 1 << Math.floor(random() * 8)
    for (const damaged of [flip, whole.subarray(0, Math.floor(random() * whole.length)), undefined]) {
      // The last commit missing is the store as it was before it.
      if (damaged === undefined && key.endsWith('005.json')) continue
      if (damaged) await objects.put(key, damaged)
      else await objects.remove(key)
      const reopened = await open(objects)
      for (const decide of [
        () => reopened.lacking(ids([line(0)])),
        () => reopened.add([line(9)], NO_WORDS),
        () => reopened.expire(1),
        () => reopened.tidy(),
      ]) {
        await t.rejects(async () => void (await decide()), DamagedCatalogueError)
      }
      t.match(
        (await reopened.damages()).map(({ where }) => where),
        [key],
      )
      const damages: Damage[] = []
      const found = texts(await all(reopened, {}, damage => damages.push(damage)))
      if (key.startsWith('segments/')) t.equal(found.length, 5, 'the segment itself is whole')
      else t.equal(found.length, 4)
      t.equal(damages[0].where, key)
      await objects.put(key, whole)
      t.same(await reopened.lacking(ids([line(0), line(9)])), ids([line(9)]), 'put back, it goes on')
    }
  }
})

test('damage in a segment costs its own block, is named, and does not stop a search', async t => {
  const objects = new FolderStore(realDisk, t.testdir())
  const store = await open(objects, { blockBytes: 30, zstdLevel: 1 })
  await store.add(
    [testPacket([{ lines: Array.from({ length: 20 }, (_, n) => `line ${String(n).padStart(4)}\n`) }], { sequence: 1 })],
    NO_WORDS,
  )
  const [key] = (await objects.list('segments/')).filter(key => key.endsWith('.seg'))
  const whole = (await objects.get(key)) ?? Buffer.alloc(0)
  for (let at = 0; at < whole.length; at += 23) {
    const damaged = Buffer.from(whole)
    damaged[at] ^= 0x10
    await objects.put(key, damaged)
    const damages: Damage[] = []
    const found = await all(await open(objects), { order: 'offset' }, damage => damages.push(damage))
    if (found.length < 17) t.fail(`flip at ${at}: ${20 - found.length} lines of 20 lost`)
    if (found.length < 20 && !damages[0]?.where.startsWith(key)) t.fail(`flip at ${at}: not named`)
  }
  await objects.remove(key)
  const damages: Damage[] = []
  t.same(await all(await open(objects), {}, damage => damages.push(damage)), [])
  t.match(damages, [{ where: key, reason: 'is missing' }])
})

test('a snapshot spares reading the log; without it, or damaged, all is the same', async t => {
  const objects = new Counting(new FolderStore(realDisk, t.testdir()))
  const store = await open(objects, { snapshotCommits: 10 })
  for (let n = 0; n < 35; n++) await store.add([line(n)], { manifests: [testManifest(BUCKET + 60 * n)], gone: [] })
  const before = await picture(store)
  const snapshots = await objects.list('snapshots/')
  t.ok(snapshots.length >= 1 && snapshots.length <= 2)
  objects.calls = 0
  t.same(await (await open(objects)).lacking(ids([line(0), line(34), line(35)])), ids([line(35)]))
  t.ok(objects.calls < 40, `${objects.calls} calls`)
  t.same(await picture(await open(objects)), before)
  for (const key of snapshots) {
    const damaged = Buffer.from((await objects.get(key)) ?? '')
    damaged[damaged.length - 3] ^= 4
    await objects.put(key, damaged)
    t.same(await picture(await open(objects)), before)
  }
  for (const key of snapshots) await objects.remove(key)
  t.same(await picture(await open(objects)), before)
})

test('an add costs the same whether the store holds ten segments or hundreds', async t => {
  const objects = new Counting(new FolderStore(realDisk, t.testdir()))
  const store = await open(objects, { snapshotCommits: 1_000_000 })
  const costs: number[] = []
  for (let n = 0; n < 200; n++) {
    objects.calls = 0
    await store.lacking(ids([line(n)]))
    await store.add([line(n)], NO_WORDS)
    costs.push(objects.calls)
  }
  t.equal(Math.max(...costs.slice(1)), Math.min(...costs.slice(1)))
  t.ok(costs[199] <= 6, `${costs[199]} calls: segment, manifest, commit, and a look for news three times`)
})

test('many small segments of a span become one, and what nothing names goes after the grace time', async t => {
  const { clocked, clock } = withClock()
  const objects = new FolderStore(realDisk, t.testdir())
  const store = await open(objects, { world: clocked, graceMs: 1000 })
  for (let n = 0; n < 10; n++) await store.add([line(n)], { manifests: [testManifest(BUCKET + 60 * n)], gone: [] })
  const before = await picture(store)
  const segments = async () => (await objects.list('segments/')).filter(key => key.endsWith('.seg')).length
  await store.tidy()
  t.equal(await segments(), 11, 'the ten are still there for those who are reading them')
  clock.ms += 1001
  const search = store.search({ query: parseQuery(''), order: 'oldest' })
  await store.tidy()
  t.equal(await segments(), 1)
  t.same(await picture(store), before)
  t.same(await picture(await open(objects)), before)
  await search.return(undefined)
  const commits = (await objects.list('catalogue/')).length
  await store.tidy()
  t.equal((await objects.list('catalogue/')).length, commits, 'nothing is left to do')
})

test('a span that still grows is not rewritten with every tidying', async t => {
  const { clocked } = withClock()
  const objects = new FolderStore(realDisk, t.testdir())
  const store = await open(objects, { world: clocked, graceMs: 0 })
  let rewritten = 0
  for (let n = 0; n < 100; n++) {
    await store.add([line(n)], NO_WORDS)
    const before = (await objects.list('catalogue/')).length
    await store.tidy()
    rewritten += (await objects.list('catalogue/')).length - before
  }
  t.ok(rewritten < 20, `${rewritten} merges for 100 adds`)
  const left = (await objects.list('segments/')).length / 2
  t.ok(left < 20, `${left} segments left`)
  t.equal((await all(store)).length, 100)
})

test('what a dead writer left is removed; one that was only slow writes it again', async t => {
  const { clocked, clock } = withClock()
  const objects = new Wrapped(new FolderStore(realDisk, t.testdir()))
  const slow = await open(objects, { writer: 'slow', world: clocked, graceMs: 0 })
  const tidy = await open(objects.inner, { writer: 'tidy', world: clocked, graceMs: 1000 })
  await tidy.add([line(0)], NO_WORDS)
  let isFirst = true
  objects.create = async (key, content) => {
    if (key.startsWith('catalogue/') && isFirst) {
      isFirst = false
      clock.ms += 2000
      await tidy.tidy()
      t.equal((await objects.inner.list('segments/')).length, 2, 'taken for an orphan')
    }
    return objects.inner.create(key, content)
  }
  t.match(await slow.add([line(1)], NO_WORDS), { packets: 1, events: 1 })
  t.equal((await all(await open(objects.inner))).length, 2)

  objects.create = async (key, content) => {
    if (key.startsWith('catalogue/')) throw new Error('killed')
    return objects.inner.create(key, content)
  }
  await t.rejects(slow.add([line(2)], NO_WORDS), { message: 'killed' })
  t.equal((await objects.list('segments/')).length, 6)
  await tidy.tidy()
  t.equal((await objects.list('segments/')).length, 6, 'too young')
  clock.ms += 1001
  await tidy.tidy()
  t.equal((await objects.list('segments/')).length, 4)
  t.equal((await all(tidy)).length, 2)
})

test('a segment that is read is not removed by its own process, and another one is told to search again', async t => {
  const objects = new FolderStore(realDisk, t.testdir())
  const store = await open(objects, { graceMs: 0, zstdLevel: 1 })
  const other = await open(objects, { writer: 'other', graceMs: 0 })
  for (let n = 0; n < 10; n++)
    await store.add(
      [testPacket([{ from: 10 * n, lines: [{ text: 'some line\n', timeNs: BigInt(n) }] }], { sequence: n + 1 })],
      NO_WORDS,
    )
  const request = { query: parseQuery(''), order: 'oldest' as const }
  const own = store.search(request)
  await own.next()
  await store.tidy()
  let rest = 0
  for await (const _ of own) rest++
  t.equal(rest, 9)

  await store.add([line(100)], NO_WORDS)
  await store.add([line(101)], NO_WORDS)
  const foreign = other.search(request)
  await foreign.next()
  await store.tidy()
  await store.tidy()
  await t.rejects(async () => {
    for await (const _ of foreign);
  }, /search again/)
})

test('gone-words and ids outlive what expires', async t => {
  const objects = new FolderStore(realDisk, t.testdir())
  const store = await open(objects, { snapshotCommits: 2 })
  const keys = { boxKey: Buffer.alloc(32), signKey: Buffer.alloc(32), signature: Buffer.alloc(64) }
  const gone = { tailer: 'bb'.repeat(16), epoch: '1-00000000000000aa', sequence: 4, ...keys }
  for (let day = 0; day < 4; day++) {
    const packet = testPacket([{ from: 10 * day, lines: ['some line\n'] }], {
      sequence: day + 1,
      bucket: BUCKET + day * 86_400,
    })
    await store.add([packet], { manifests: [testManifest(BUCKET + day * 86_400)], gone: day === 0 ? [gone] : [] })
  }
  for (let day = 1; day < 4; day++) t.equal(await store.expire(BUCKET + day * 86_400), 1)
  for (const handle of [store, await open(objects)]) {
    t.same((await handle.words()).gone, [gone])
    t.equal((await handle.words()).manifests.length, 1)
    t.same(
      [...(await handle.sequences()).values()].map(set => [...set]),
      [[[1, 5]]],
    )
    t.equal((await all(handle)).length, 1)
  }
  t.same([...(await store.totals())[0].ranges], [[30, 40]])
})

test('a big search takes little memory', async t => {
  const objects = new FolderStore(realDisk, t.testdir())
  const store = await open(objects, { zstdLevel: 1, heldBytesMax: 16 * 1024 * 1024, blockBytes: 1024 * 1024 })
  let at = 0
  let count = 0
  for (let n = 0; n < 20; n++) {
    // Every packet spans the whole time: nothing can be given out before all of it was looked at.
    const lines = Array.from({ length: 10_000 }, (_, i) => ({
      text: `event ${count++} of many\n`,
      timeNs: BigInt(i * 1000 + n),
    }))
    await store.add([testPacket([{ from: at, lines }], { sequence: n + 1 })], NO_WORDS)
    at += lines.reduce((sum, { text }) => sum + text.length, 0)
  }
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  collectGarbage()
  const before = process.memoryUsage().heapUsed
  let most = 0
  let found = 0
  let last = -1n
  for await (const { timeNs } of store.search({ query: parseQuery('many'), order: 'oldest' })) {
    if (timeNs < last) t.fail(`${timeNs} after ${last}`)
    last = timeNs
    if (found++ % 20_000 !== 0) continue
    collectGarbage()
    most = Math.max(most, process.memoryUsage().heapUsed - before)
  }
  t.equal(found, 200_000)
  t.ok(most < 40 * 1024 * 1024, `${Math.round(most / 1e6)} MB`)
})

test('no key leaves the folder', async t => {
  const objects = new FolderStore(realDisk, t.testdir({ out: 'x' }))
  for (const key of [
    '../out',
    'a/../../out',
    '/etc/passwd',
    '',
    'a//b',
    '.hidden',
    'a/.',
    'a\\b',
    'a\0b',
    'x'.repeat(300),
    'a/b/c/d/e/f/g/h/i',
  ]) {
    await t.rejects(objects.create(key, Buffer.alloc(0)), InvalidKeyError, JSON.stringify(key))
    await t.rejects(objects.get(key), InvalidKeyError)
  }
})

test('objects are made once, listed by prefix, read by range', async t => {
  const objects = new FolderStore(realDisk, t.testdir())
  t.equal(await objects.create('a/b/one', Buffer.from('12345')), true)
  t.equal(await objects.create('a/b/one', Buffer.from('other')), false)
  t.equal(await objects.create('a/two', Buffer.from('x')), true)
  t.equal((await objects.get('a/b/one'))?.toString(), '12345')
  t.equal((await objects.get('a/b/one', [1, 3]))?.toString(), '23')
  t.equal((await objects.get('a/b/one', [3, 99]))?.toString(), '45')
  t.equal((await objects.get('a/b/one', [9, 99]))?.length, 0)
  t.equal(await objects.get('a/b/none'), undefined)
  t.equal(await objects.get('a/two/below'), undefined)
  t.equal(await objects.size('a/b/one'), 5)
  t.equal(await objects.size('a/b'), undefined)
  t.same(await objects.list(''), ['a/b/one', 'a/two'])
  t.same(await objects.list('a/b'), ['a/b/one'])
  t.same(await objects.list('a/t'), ['a/two'])
  t.same(await objects.list('none/'), [])
  await objects.put('a/two', Buffer.from('yy'))
  t.equal(await objects.size('a/two'), 2)
  await objects.remove('a/two')
  await objects.remove('a/two')
  t.equal(await objects.size('a/two'), undefined)
})

function reissued(packet: Packet, epoch: string): Packet {
  const { id, bucket } = packet.header
  return encodePacket({ tailer: TAILER, epoch, sequence: id.sequence, bucket }, packetEvents(packet))
}

function withClock(): { clocked: World; clock: { ms: number } } {
  const clock = { ms: (BUCKET + 100) * 1000 }
  return { clock, clocked: { ...world, clock: { ...world.clock, now: () => clock.ms, monotonic: () => clock.ms } } }
}

class Wrapped implements ObjectStore {
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
class Yielding implements ObjectStore {
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

class Counting extends Wrapped {
  calls = 0
  override create = (key: string, content: Buffer) => this.#count(this.inner.create(key, content))
  override put = (key: string, content: Buffer) => this.#count(this.inner.put(key, content))
  override get = (key: string, range?: [number, number]) => this.#count(this.inner.get(key, range))
  #count<T>(result: T): T {
    this.calls++
    return result
  }
}
