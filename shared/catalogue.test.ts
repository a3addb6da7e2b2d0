import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'tap'
import { DamagedCatalogueError } from './catalogue.ts'
import { FolderStore } from './folder-store.ts'
import { Counting, line, NO_WORDS, openStore, Wrapped, Yielding } from './objects.test-support.ts'
import { encodePacket, type Packet, packetEvents } from './packet.ts'
import { BUCKET, seededRandom, TAILER, testManifest, testPacket, testSeed } from './packets.test-support.ts'
import { realDisk } from './real-disk.ts'
import { all, ids, picture, randomPackets, texts } from './stores.contract.ts'
import type { Damage } from './stores.ts'

test('two processes that add the same packets, merge and remove at the same time add each event once', async t => {
  const folder = join(t.testdir(), 'shared')
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
  const alone = await openStore(new FolderStore(realDisk, join(folder, '..', 'alone')))
  await alone.add(packets, NO_WORDS)
  const store = await openStore(new FolderStore(realDisk, folder))
  t.same(
    (await all(store)).map(({ id }) => id),
    (await all(alone)).map(({ id }) => id),
  )
  t.same(await store.lacking(ids(packets)), [])
})

test('writers that take turns between any two steps add each event once', async t => {
  const seed = testSeed('CATALOGUE_SEED')
  t.comment(`CATALOGUE_SEED=${seed}`)
  const folder = t.testdir()
  for (let round = 0; round < 4; round++) {
    const random = seededRandom(seed + round)
    const objects = new FolderStore(realDisk, join(folder, `${round}`))
    const packets = randomPackets(seededRandom(seed + round), 20)
    // Half of the packets are cut anew by another epoch: same events, other ids.
    const cutAnew = packets.map(packet => reissued(packet, '2-00000000000000bb'))
    let events = 0
    const writer = async (name: string) => {
      const store = await openStore(new Yielding(objects, random), {
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
    const store = await openStore(objects)
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
  const store = await openStore(objects)
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
    const store = await openStore(objects)
    await store.add([line(0)], NO_WORDS)
    objects.create = async (key, content) => {
      if (key.includes(failAt)) throw Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' })
      return objects.inner.create(key, content)
    }
    await t.rejects(store.add([line(1)], NO_WORDS), { code: 'ENOSPC' })
    t.equal((await all(store)).length, 1)
    objects.create = (key, content) => objects.inner.create(key, content)
    t.match(await store.add([line(0), line(1)], NO_WORDS), { packets: 1, events: 1 })
    t.equal((await all(await openStore(objects.inner))).length, 2)
  }
})

test('a damaged or missing commit or manifest: nothing is decided, what is whole is found, and put back it goes on', async t => {
  const seed = testSeed('CATALOGUE_SEED')
  t.comment(`CATALOGUE_SEED=${seed}`)
  const random = seededRandom(seed)
  const objects = new FolderStore(realDisk, t.testdir())
  const store = await openStore(objects)
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
      const reopened = await openStore(objects)
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
  const store = await openStore(objects, { blockBytes: 30, zstdLevel: 1 })
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
    const found = await all(await openStore(objects), { order: 'offset' }, damage => damages.push(damage))
    if (found.length < 17) t.fail(`flip at ${at}: ${20 - found.length} lines of 20 lost`)
    if (found.length < 20 && !damages[0]?.where.startsWith(key)) t.fail(`flip at ${at}: not named`)
  }
  await objects.remove(key)
  const damages: Damage[] = []
  t.same(await all(await openStore(objects), {}, damage => damages.push(damage)), [])
  t.match(damages, [{ where: key, reason: 'is missing' }])
})

test('a snapshot spares reading the log; without it, or damaged, all is the same', async t => {
  const objects = new Counting(new FolderStore(realDisk, t.testdir()))
  const store = await openStore(objects, { snapshotCommits: 10 })
  for (let n = 0; n < 35; n++) await store.add([line(n)], { manifests: [testManifest(BUCKET + 60 * n)], gone: [] })
  const before = await picture(store)
  const snapshots = await objects.list('snapshots/')
  t.ok(snapshots.length >= 1 && snapshots.length <= 2)
  objects.calls = 0
  t.same(await (await openStore(objects)).lacking(ids([line(0), line(34), line(35)])), ids([line(35)]))
  t.ok(objects.calls < 40, `${objects.calls} calls`)
  t.same(await picture(await openStore(objects)), before)
  for (const key of snapshots) {
    const damaged = Buffer.from((await objects.get(key)) ?? '')
    damaged[damaged.length - 3] ^= 4
    await objects.put(key, damaged)
    t.same(await picture(await openStore(objects)), before)
  }
  for (const key of snapshots) await objects.remove(key)
  t.same(await picture(await openStore(objects)), before)
})

test('an add costs the same whether the store holds ten segments or hundreds', async t => {
  const objects = new Counting(new FolderStore(realDisk, t.testdir()))
  const store = await openStore(objects, { snapshotCommits: 1_000_000 })
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

function reissued(packet: Packet, epoch: string): Packet {
  const { id, bucket } = packet.header
  return encodePacket({ tailer: TAILER, epoch, sequence: id.sequence, bucket }, packetEvents(packet))
}
