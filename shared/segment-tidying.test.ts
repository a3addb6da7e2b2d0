import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { test } from 'tap'
import { FolderStore } from './folder-store.ts'
import { line, NO_WORDS, openStore, Wrapped, withClock } from './objects.test-support.ts'
import { packetBody } from './packet.ts'
import { BUCKET, testManifest, testPacket } from './packets.test-support.ts'
import { parseQuery } from './query.ts'
import { realDisk } from './real-disk.ts'
import { readDirectory, readStoredBlock } from './segment.ts'
import { all, picture } from './stores.contract.ts'

test('many small segments of a span become one, and what nothing names goes after the grace time', async t => {
  const { clocked, clock } = withClock()
  const objects = new FolderStore(realDisk, t.testdir())
  const store = await openStore(objects, { world: clocked, graceMs: 1000 })
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
  t.same(await picture(await openStore(objects)), before)
  await search.return(undefined)
  const commits = (await objects.list('catalogue/')).length
  await store.tidy()
  t.equal((await objects.list('catalogue/')).length, commits, 'nothing is left to do')
})

test('a merge takes over blocks that are full as they are, and says the same of them', async t => {
  const { clocked } = withClock()
  const objects = new FolderStore(realDisk, t.testdir())
  const store = await openStore(objects, { world: clocked, graceMs: 0, blockBytes: 4000 })
  const lines = (n: number, count: number) =>
    Array.from({ length: count }, (_, i) => ({
      text: `packet ${n} line ${i} ${(i * 7919 + n).toString(36)}\n`,
      ...(n % 3 === 0 && i % 7 === 0 && { host: `relayed${n}`, app: 'cron' }),
    }))
  for (let n = 0; n < 10; n++) {
    // One in two with a block that is full, all with one that is not; every third block of two files.
    const runs = [{ from: 100_000 * n, lines: lines(n, n % 2 === 0 ? 140 : 10) }]
    const other = { source: 'b'.repeat(16), path: '/other', from: 100_000 * n, lines: lines(n, 3) }
    await store.add([testPacket(n % 3 === 0 ? [...runs, other] : runs, { sequence: n + 1 })], NO_WORDS)
  }
  const bodiesOf = async () => {
    const bodies: string[] = []
    for (const key of await objects.list('segments/')) {
      if (!key.endsWith('.seg')) continue
      const content = (await objects.get(key))!
      const file = { name: key, size: content.length, read: async (a: number, b: number) => content.subarray(a, b) }
      for (const block of await readDirectory(file, fail)) {
        const { stored, filter } = (await readStoredBlock(file, block))!
        if (block.rawBytes < 2000) continue
        bodies.push(`${stored.toString('hex', block.bodyPosition - block.position)} ${filter?.toString('hex')}`)
      }
    }
    return bodies.sort()
  }
  const before = { picture: await picture(store), bodies: await bodiesOf(), summaries: await store.summaries() }
  t.ok(before.bodies.length >= 5, `${before.bodies.length} full blocks`)
  await store.tidy()
  const after = await openStore(objects)
  t.same(await picture(after), before.picture)
  t.same(
    (await bodiesOf()).filter(body => before.bodies.includes(body)),
    before.bodies,
  )
  const [merged] = await after.summaries()
  const all = <T>(of: (summary: (typeof before.summaries)[number]) => T[]) =>
    [...new Set(before.summaries.flatMap(of))].sort()
  t.same(
    merged.hosts?.toSorted(),
    all(({ hosts }) => hosts ?? []),
  )
  t.same(
    merged.apps?.toSorted(),
    all(({ apps }) => apps ?? []),
  )
  for (const sum of ['events', 'lines', 'rawBytes'] as const) {
    t.equal(
      merged[sum],
      before.summaries.reduce((total, summary) => total + summary[sum], 0),
      sum,
    )
  }
})

test('large packets are blocks at once, as they came; tidying merges them, once', async t => {
  const { clocked, clock } = withClock()
  const folder = t.testdir({ taken: {}, merged: {} })
  const objects = new FolderStore(realDisk, `${folder}/taken`)
  const options = { world: clocked, graceMs: 0, blockBytes: 16_000, takeOverBytes: 1000 }
  const store = await openStore(objects, options)
  const text = (n: number, count: number) =>
    Array.from({ length: count }, (_, i) => ({
      text: `packet ${n} line ${i} ${(i * 7919 + n).toString(36)}\n`,
      ...(i % 5 === 0 && { host: `relayed${n}`, level: 'warn' as const }),
    }))
  const packets = Array.from({ length: 40 }, (_, n) => {
    const runs = [{ from: 100_000 * n, lines: text(n, 80) }]
    const other = { source: 'b'.repeat(16), path: '/other', from: 100_000 * n, lines: text(n, 3) }
    return testPacket(n % 4 === 0 ? [...runs, other] : runs, { sequence: n + 1 })
  })
  const late = testPacket([{ from: 9_000_000, lines: text(99, 5) }], { sequence: 99 })
  const plain = await openStore(new FolderStore(realDisk, `${folder}/merged`), { ...options, takeOverBytes: Infinity })
  for (const each of [store, plain]) await each.add([...packets, late], NO_WORDS)
  const expected = await picture(plain)
  t.same(await picture(store), expected)

  const bodies = async () => {
    const all: string[] = []
    for (const key of await objects.list('segments/')) {
      if (!key.endsWith('.seg')) continue
      const content = (await objects.get(key))!
      const file = { name: key, size: content.length, read: async (a: number, b: number) => content.subarray(a, b) }
      for (const { bodyPosition, position, bytes } of await readDirectory(file, fail)) {
        all.push(content.toString('hex', bodyPosition, position + bytes))
      }
    }
    return all
  }
  const before = await bodies()
  for (const packet of packets) t.ok(before.includes(packetBody(packet).toString('hex')), 'a body as it came')
  await store.tidy()
  clock.ms += 1
  await store.tidy()
  t.same(await picture(store), expected)
  const after = await bodies()
  t.ok(after.length <= 40 / 3, `${after.length} blocks of ${before.length}`)
  const commits = (await objects.list('catalogue/')).length
  await store.tidy()
  t.equal((await objects.list('catalogue/')).length, commits, 'nothing is left to do')
})

test('a packet that does not decode is not taken over', async t => {
  const objects = new FolderStore(realDisk, t.testdir())
  const store = await openStore(objects, { takeOverBytes: 1 })
  const whole = testPacket([{ from: 0, lines: ['one line\n'] }], { sequence: 1 })
  // The hash is right: somebody wrote such a body.
  const bytes = Buffer.from(whole.bytes)
  const frameAt = bytes.length - packetBody(whole).length + 8
  bytes[frameAt] ^= 1
  await t.rejects(store.add([{ ...whole, bytes }], NO_WORDS), { name: 'CorruptPacketError' })
  t.equal((await objects.list('segments/')).length, 0)
})

test('a span that still grows is not rewritten with every tidying', async t => {
  const { clocked } = withClock()
  const objects = new FolderStore(realDisk, t.testdir())
  const store = await openStore(objects, { world: clocked, graceMs: 0 })
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
  const slow = await openStore(objects, { writer: 'slow', world: clocked, graceMs: 0 })
  const tidy = await openStore(objects.inner, { writer: 'tidy', world: clocked, graceMs: 1000 })
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
  t.equal((await all(await openStore(objects.inner))).length, 2)

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
  const store = await openStore(objects, { graceMs: 0, zstdLevel: 1 })
  const other = await openStore(objects, { writer: 'other', graceMs: 0 })
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
  t.equal((await all(other)).length, 12, 'searching again finds all')
})

test('gone-words and ids outlive what expires', async t => {
  const objects = new FolderStore(realDisk, t.testdir())
  const store = await openStore(objects, { snapshotCommits: 2 })
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
  for (const handle of [store, await openStore(objects)]) {
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
  const store = await openStore(objects, { zstdLevel: 1, heldBytesMax: 16 * 1024 * 1024, blockBytes: 1024 * 1024 })
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

function fail({ where, reason }: { where: string; reason: string }): never {
  throw new Error(`${where}: ${reason}`)
}
