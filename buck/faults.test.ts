import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { pack } from 'msgpackr'
import { test } from 'tap'
import type { Link } from '../shared/link.ts'
import type { Asks } from '../shared/messages.ts'
import { realDisk } from '../shared/real-disk.ts'
import { testFolder } from '../shared/test-folder.test-support.ts'
import { until } from '../shared/until.test-support.ts'
import type { Disk, OpenFile } from '../shared/world.ts'
import {
  BUCKET,
  connect,
  connectTailer,
  EPOCH,
  keysOf,
  MB,
  manifestOf,
  OTHER_TAILER,
  openBuck,
  packetOf,
  runOf,
  send,
  settle,
  TAILER,
  type TestWorld,
  testWorld,
} from './buck.test-support.ts'
import { readBuckFolder } from './folder.ts'

const PORTER = keysOf(9)

interface Faults {
  /** Appends below this path write half of their bytes, then fail with this code. */
  failing: Map<string, string>
  /** Reads and syncs below this path wait for it. */
  syncGate: Promise<void> | undefined
  /** No append succeeds while this file is there. */
  isFullWhile: string | undefined
  appends: number
  syncs: number
  open: number
  openMax: number
}

/** The real disk, with appends that fail half way and syncs that hang. */
function faultyDisk(): { disk: Disk; faults: Faults } {
  const faults: Faults = {
    failing: new Map(),
    syncGate: undefined,
    isFullWhile: undefined,
    appends: 0,
    syncs: 0,
    open: 0,
    openMax: 0,
  }
  const wrap = (path: string, file: OpenFile): OpenFile => ({
    read: (into, position) => file.read(into, position),
    async append(parts) {
      faults.appends++
      const isFull = faults.isFullWhile !== undefined && (await realDisk.stat(faults.isFullWhile)) !== undefined
      const code = isFull ? 'ENOSPC' : [...faults.failing].find(([below]) => path.startsWith(below))?.[1]
      if (!code) return file.append(parts)
      const bytes = Buffer.concat(parts)
      await file.append([bytes.subarray(0, bytes.length / 2)])
      throw Object.assign(new Error(`${code}: write`), { code })
    },
    async sync() {
      faults.syncs++
      await faults.syncGate
      await file.sync()
    },
    truncate: size => file.truncate(size),
    stat: () => file.stat(),
    async close() {
      faults.open--
      await file.close()
    },
  })
  const disk: Disk = {
    ...realDisk,
    async open(path, mode) {
      const file = await realDisk.open(path, mode)
      faults.open++
      faults.openMax = Math.max(faults.openMax, faults.open)
      return wrap(path, file)
    },
  }
  return { disk, faults }
}

/** The buck looks after its files each second of its clock. */
async function tended(world: TestWorld, isSo: () => boolean): Promise<void> {
  for (let seconds = 0; seconds < 20 && !isSo(); seconds++) await world.clock.pass(1_000)
}

test('a full disk refuses cleanly, leaves no half entry, and goes on when there is space', async t => {
  const folder = testFolder(t)
  const { disk, faults } = faultyDisk()
  const { buck, world } = await openBuck(folder, {}, testWorld(disk))
  const tailer = await connectTailer(buck, world)
  await send(tailer, packetOf(1))
  const path = `${folder}/buckets/0/${BUCKET}/buck0`
  const { size } = await stat(path)
  faults.failing.set(`${folder}/buckets`, 'ENOSPC')
  await t.rejects(send(tailer, packetOf(2)), { code: 'full' })
  await t.rejects(send(tailer, packetOf(3)), { code: 'full' })
  await t.rejects(tailer.ask('manifest', { manifest: manifestOf() }), { code: 'full' })
  t.equal((await stat(path)).size, size, 'the half entry is cut off')
  t.match(buck.status(), { packets: 1, disks: [{ state: 'full' }] })
  const porter = connect(buck, world, 'porter', PORTER)
  t.ok((await porter.ask('fetch', { ids: [packetOf(1).header.id] })).payload?.length, 'what it holds is served')

  faults.failing.clear()
  await world.clock.pass(2_000)
  await send(tailer, packetOf(2))
  t.match(buck.status(), { packets: 2, disks: [{ state: 'fine' }], damaged: 0 })
  await buck.close()
  const again = await openBuck(folder)
  t.match(again.buck.status(), { packets: 2, damaged: 0 })
  await again.buck.close()
})

test('a disk that is full to the last byte can still be told what is archived, and is emptied', async t => {
  const folder = testFolder(t)
  const { disk, faults } = faultyDisk()
  const { buck, world } = await openBuck(folder, { dropArchived: true }, testWorld(disk))
  const tailer = await connectTailer(buck, world)
  const porter = connect(buck, world, 'porter', PORTER)
  await send(tailer, packetOf(1))
  const reserve = `${folder}/reserve/buck0`
  await tended(world, () => existsSync(reserve))
  t.equal((await stat(reserve)).size, 128 * 1024)
  // Space comes only from giving the reserve up.
  faults.isFullWhile = reserve
  await t.rejects(send(tailer, packetOf(2)), { code: 'full' })
  await porter.ask('archived', { tailer: TAILER.id, runs: [runOf(packetOf(1))] })
  await tended(world, () => buck.status().packets === 0)
  t.match(buck.status(), { packets: 0, archivedKnown: 1 })
  await buck.close()
})

test('one of several disks cannot be read at start: the others serve', async t => {
  const root = testFolder(t, { a: {}, b: 'a file where a folder should be' })
  const { buck, world } = await openBuck([`${root}/a`, `${root}/b`])
  for (const n of [1, 2, 3, 4, 5, 6, 7, 8]) {
    const tailer = await connectTailer(buck, world, { keys: keysOf(n) })
    await send(tailer, packetOf(1, { keys: keysOf(n) }))
  }
  t.match(buck.status(), { packets: 8, disks: [{ state: 'fine' }, { state: 'failing' }] })
  await buck.close()
  await t.rejects(openBuck([`${root}/b`]))
})

test('a disk that fails or is full is passed over for another one; all its packets are found after a restart', async t => {
  const root = testFolder(t, { a: {}, b: {}, c: {} })
  const folders = ['a', 'b', 'c'].map(name => `${root}/${name}`)
  for (const code of ['EIO', 'ENOSPC']) {
    const { disk, faults } = faultyDisk()
    const { buck, world } = await openBuck(folders, {}, testWorld(disk))
    const before = buck.status().packets
    faults.failing.set(`${root}/a/`, code)
    faults.failing.set(`${root}/b/`, code)
    for (let n = 10; n < 20; n++) {
      const tailer = await connectTailer(buck, world, { keys: keysOf(n) })
      await send(tailer, packetOf(code === 'EIO' ? 1 : 2, { keys: keysOf(n) }))
    }
    t.equal(buck.status().packets, before + 10)
    await buck.close()
  }
  const again = await openBuck(folders)
  t.match(again.buck.status(), { packets: 20, damaged: 0 })
  await again.buck.close()
})

test('at its limit the buck refuses with "full", and throttles before that', async t => {
  const bytes = packetOf(1).bytes.length + 20
  const { buck, world } = await openBuck(testFolder(t), { bytesMax: bytes * 10 + 50 })
  const told: unknown[] = []
  const tailer = await connectTailer(buck, world, {
    server: async (type, body) => {
      if (type === 'throttle') told.push(body)
      return { body: {} as never }
    },
  })
  for (let sequence = 1; sequence <= 10; sequence++) {
    if (sequence === 10) t.equal(buck.throttle(-1).by, 'none')
    await send(tailer, packetOf(sequence))
  }
  await t.rejects(send(tailer, packetOf(11)), { code: 'full' })
  await send(tailer, packetOf(3))
  t.pass('what is held is acknowledged all the same')
  await tended(world, () => told.length > 0)
  t.match(buck.status(), { refused: 1, throttle: { by: 'pressure' } })
  t.match(told, [{ seconds: 10 }])
  const report = {
    host: 'h',
    epoch: EPOCH,
    bucketSeconds: 10,
    sources: [],
    underReplicatedPackets: 0,
    underReplicatedBytes: 0,
  }
  t.match((await tailer.ask('report', report)).body, { throttle: { seconds: 10 } })
  await buck.close()
})

test("an operator's throttle is told to tailers, can be read, is cut to an hour and expires", async t => {
  const { buck, world } = await openBuck(testFolder(t))
  const told: unknown[] = []
  await connectTailer(buck, world, {
    server: async (_type, body) => {
      told.push(body)
      return { body: {} as never }
    },
  })
  t.same(buck.throttle(-1), { by: 'none', seconds: 0 })
  t.same(buck.throttle(5), { by: 'operator', seconds: 5 })
  await until('the tailer is told', () => told.length > 0)
  t.same(told, [{ seconds: 5 }])
  await world.clock.pass(3_000)
  t.same(buck.throttle(-1), { by: 'operator', seconds: 2 })
  await world.clock.pass(3_000)
  t.same(buck.throttle(-1), { by: 'none', seconds: 0 })
  t.equal(buck.throttle(99_999).seconds, 3600)
  t.same(buck.throttle(0, 200), { by: 'operator', seconds: 600, leastIntervalMs: 200 })
  t.same(buck.throttle(0), { by: 'none', seconds: 0 })
  await buck.close()
})

test('packets that wait for one file go in one append, and no acknowledgement waits for a sync', async t => {
  const { disk, faults } = faultyDisk()
  const { buck, world } = await openBuck(testFolder(t), {}, testWorld(disk))
  const tailer = await connectTailer(buck, world)
  await send(tailer, packetOf(1))
  faults.appends = 0
  const [syncsBefore] = [faults.syncs]
  await Promise.all(Array.from({ length: 50 }, (_, i) => send(tailer, packetOf(i + 2))))
  t.ok(faults.appends < 10, `${faults.appends} appends for 50 packets`)
  t.equal(faults.syncs, syncsBefore, 'nothing is synced before the bucket is over')

  let release = () => {}
  faults.syncGate = new Promise(resolve => {
    release = resolve
  })
  await world.clock.pass(10_000)
  await world.clock.pass(3_000, { hangs: true })
  await until('the sync has begun, and hangs', () => faults.syncs > syncsBefore)
  await send(tailer, packetOf(99))
  t.pass('acknowledged meanwhile')
  release()
  await settle()
  await buck.close()
  t.equal(faults.open, 0, 'every file is closed')
})

test('many buckets at once keep the number of open files bounded', async t => {
  const { disk, faults } = faultyDisk()
  const { buck, world } = await openBuck(testFolder(t), {}, testWorld(disk))
  const tailer = await connectTailer(buck, world)
  const sending = Array.from({ length: 300 }, (_, i) => send(tailer, packetOf(i + 1, { bucket: BUCKET + i * 10 })))
  await Promise.all(sending)
  t.equal(buck.status().packets, 300)
  t.ok(faults.openMax <= 70, `${faults.openMax} open files`)
  await buck.close()
  t.equal(faults.open, 0)
})

test('listeners get first and second after the append, never repair, never twice; a slow or throwing one holds up nothing', async t => {
  const { buck, world } = await openBuck(testFolder(t))
  const tailer = await connectTailer(buck, world)
  const got: string[] = []
  buck.subscribe(() => {
    throw new Error('listener of the test')
  })
  buck.subscribe(() => new Promise(() => undefined))
  const end = buck.subscribe(({ packet, delivery, firstFailed }) => {
    got.push(`${delivery} ${firstFailed} ${packet.equals(packetOf(1).bytes) ? 1 : 'more'}`)
  })
  await send(tailer, packetOf(1))
  t.same(got, [], 'not before the acknowledgement')
  await until('it is published', () => got.length === 1)
  await send(tailer, packetOf(1), 'second')
  await tailer.ask('packet', { delivery: 'second', firstFailed: true }, packetOf(2).bytes)
  await send(tailer, packetOf(3), 'repair')
  await until('the second is published', () => got.length >= 2)
  await settle()
  t.same(got, ['first false 1', 'second true more'])
  t.ok(world.facts.includes('a listener failed on a packet; it goes on with the next'))
  end()
  await send(tailer, packetOf(4))
  await settle()
  t.equal(got.length, 2)
  await buck.close()
})

test('a listener that never returns loses its oldest packets, counted', async t => {
  const { buck, world } = await openBuck(testFolder(t), { bytesMax: 500 * MB })
  const tailer = await connectTailer(buck, world)
  buck.subscribe(() => new Promise(() => undefined))
  // Hex of random bytes is stored at half its length: packets of 8 MB.
  for (let n = 1; n <= 10; n++) await send(tailer, packetOf(n, { text: randomBytes(8 * MB).toString('hex') }))
  t.ok(buck.status().listenersDropped > 0)
  t.equal(buck.status().packets, 10)
  await buck.close()
})

test('each role may ask what is its own, and nothing else', async t => {
  const { buck, world } = await openBuck(testFolder(t))
  const tailer = await connectTailer(buck, world)
  const porter = connect(buck, world, 'porter', PORTER)
  const archie = connect(buck, world, 'archie', keysOf(8))
  await t.rejects(send(porter, packetOf(1)), { code: 'forbidden' })
  await t.rejects(send(tailer, packetOf(1, { keys: OTHER_TAILER })), { code: 'forbidden' })
  for (const type of [
    'inventory',
    'changes',
    'contacts',
    'sources',
    'prune',
    'archived',
    'wordsArchived',
    'want',
  ] as const) {
    await t.rejects(tailer.ask(type, {} as never), { code: 'forbidden' }, `tailer ${type}`)
  }
  for (const type of ['prune', 'archived', 'want', 'open', 'offer'] as const) {
    await t.rejects(archie.ask(type, {} as never), { code: 'forbidden' }, `archie ${type}`)
  }
  await archie.ask('contacts', {})
  for (const link of [tailer, porter, archie]) await link.ask('ping', {})
  await buck.close()
})

test('hostile bodies and payloads are refused as bad requests, and change nothing', async t => {
  const folder = testFolder(t)
  const { buck, world } = await openBuck(folder)
  const tailer = await connectTailer(buck, world)
  const porter = connect(buck, world, 'porter', PORTER)
  const run = runOf(packetOf(1))
  const whole = packetOf(1).bytes
  const flipped = (at: number) => {
    const bytes = Buffer.from(whole)
    bytes[at] ^= 1
    return bytes
  }
  const bad: [Link, keyof Asks, unknown, Buffer?][] = [
    [tailer, 'packet', { delivery: 'third' }, whole],
    [tailer, 'packet', { delivery: 'first' }],
    [tailer, 'packet', { delivery: 'first' }, Buffer.alloc(0)],
    [tailer, 'packet', { delivery: 'first' }, whole.subarray(0, -1)],
    [tailer, 'packet', { delivery: 'first' }, Buffer.concat([whole, whole])],
    [tailer, 'packet', { delivery: 'first' }, flipped(3)],
    [tailer, 'packet', { delivery: 'first' }, flipped(50)],
    [tailer, 'packet', { delivery: 'first' }, flipped(whole.length - 1)],
    [tailer, 'packet', { delivery: 'first' }, packetOf(0).bytes],
    [tailer, 'offer', { bucket: -1, runs: [run] }],
    [tailer, 'offer', { bucket: BUCKET, runs: 'all' }],
    [tailer, 'offer', { bucket: BUCKET, runs: [{ ...run, first: -1 }] }],
    [tailer, 'offer', { bucket: BUCKET, runs: [{ ...run, first: 2 ** 32 }] }],
    [tailer, 'offer', { bucket: BUCKET, runs: [{ ...run, first: 1.5 }] }],
    [tailer, 'offer', { bucket: BUCKET, runs: [{ ...run, sums: Buffer.alloc(7) }] }],
    [tailer, 'offer', { bucket: BUCKET, runs: [{ ...run, sums: Buffer.alloc(9 * MB) }] }],
    [tailer, 'offer', { bucket: BUCKET, runs: [{ ...run, epoch: '../../etc' }] }],
    [tailer, 'manifest', { manifest: null }],
    [tailer, 'manifest', { manifest: { ...manifestOf(), signature: Buffer.alloc(3) } }],
    [tailer, 'manifest', { manifest: { ...manifestOf(), bucket: 1e20 } }],
    [tailer, 'report', { host: 7 }],
    [tailer, 'open', { epoch: EPOCH }],
    [tailer, 'nonsense' as never, {}],
    [tailer, 'constructor' as never, {}],
    [tailer, 'throttle', { seconds: 3 }],
    [porter, 'archived', { tailer: 'x', runs: [run] }],
    [porter, 'archived', { tailer: TAILER.id, runs: [{ ...run, first: 2 ** 32 - 1, sums: Buffer.alloc(16) }] }],
    [porter, 'want', { tailer: TAILER.id, epoch: EPOCH, sequences: [-1] }],
    [porter, 'want', { tailer: TAILER.id, epoch: EPOCH, sequences: Array(100_001).fill(1) }],
    [porter, 'inventory', { bucket: Number.NaN }],
    [porter, 'inventory', null],
    [porter, 'fetch', { ids: [{ ...packetOf(1).header.id, sum: 'x' }] }],
    [porter, 'fetch', {}],
    [porter, 'changes', { logId: '', after: -5, waitMs: 0 }],
    [porter, 'changes', { logId: '', after: 0, waitMs: Number.POSITIVE_INFINITY }],
    [porter, 'prune', { before: 'all' }],
  ]
  for (const [link, type, body, payload] of bad) {
    await t.rejects(link.ask(type, body as never, payload), { code: 'bad-request' }, `${type} ${pack(body).length}`)
  }
  t.match(buck.status(), { packets: 0, bytes: 0, archivedKnown: 0 })
  t.same(await readdir(folder), ['sources'], 'only the opening was written')
  await buck.close()
})

test('an archived sequence of four thousand million does not allocate up to it', async t => {
  const { buck, world } = await openBuck(testFolder(t))
  const porter = connect(buck, world, 'porter', PORTER)
  const runs = [{ epoch: EPOCH, first: 4_000_000_000, sums: Buffer.alloc(16, 1) }]
  await porter.ask('archived', { tailer: TAILER.id, runs })
  t.equal(buck.status().archivedKnown, 2)
  await buck.close()
})

test('close finishes the appends that were asked for, then closes the links; later requests are refused', async t => {
  const folder = testFolder(t)
  const { buck, world } = await openBuck(folder)
  const tailer = await connectTailer(buck, world)
  const sent = Promise.allSettled(Array.from({ length: 20 }, (_, i) => send(tailer, packetOf(i + 1))))
  await new Promise(resolve => setImmediate(resolve))
  await buck.close()
  await tailer.closed
  const acknowledged = (await sent).filter(result => result.status === 'fulfilled').length
  let stored = 0
  for await (const item of readBuckFolder(world.disk, folder)) if (item.kind === 'packet') stored++
  t.ok(stored >= acknowledged)
  await t.rejects(send(tailer, packetOf(99)), { name: 'LinkLostError' })
})

test('a buck that is closed leaves no timer behind', async t => {
  const { buck, world } = await openBuck(testFolder(t))
  const link = await connectTailer(buck, world)
  await send(link, packetOf(1))
  await buck.close()
  await settle()
  t.equal(world.clock.sleeping, 0)
})

test('a name that would leave the folder, and no folder at all, are refused with a sentence', async t => {
  const folder = testFolder(t)
  await t.rejects(openBuck(folder, { name: '../x' }), { message: /cannot be a buck's name/ })
  await t.rejects(openBuck([]), { message: /set at least one/ })
})
