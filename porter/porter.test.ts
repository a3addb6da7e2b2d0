import { join } from 'node:path'
import { test } from 'tap'
import { FolderStore } from '../shared/folder-store.ts'
import { Lease } from '../shared/lease.ts'
import { packetKey } from '../shared/packet.ts'
import { until } from '../shared/until.test-support.ts'
import { MemoryStore } from './memory-store.test-support.ts'
import { Porter, type PorterConfig } from './porter.ts'
import { SmallFleet, TestTailer } from './small-fleet.test-support.ts'

const FAST = {
  bucketSeconds: 10,
  indexAfterMs: 0,
  archiveAfterMs: 0,
  pollMs: 10,
  wantEveryMs: 40,
  leaseMs: 600,
  fleetTimes: { backOffBaseMs: 10, backOffCapMs: 50 },
}

interface Running {
  porter: Porter
  index: MemoryStore
  archive: MemoryStore
  stop(): Promise<void>
}

function start(
  fleet: SmallFleet,
  options: Partial<PorterConfig> & { index?: MemoryStore; archive?: MemoryStore; leaseName?: string } = {},
): Running {
  const { index = new MemoryStore(), archive = new MemoryStore(), leaseName = 'shared', ...config } = options
  const { world } = fleet
  const objects = new FolderStore(world.disk, join(fleet.folder, leaseName))
  const name = config.name ?? 'porter-a'
  const lease = new Lease(objects, { name, leaseMs: FAST.leaseMs }, world)
  const parts = { world, dialer: fleet.dialer('porter'), index, archive, lease }
  const porter = new Porter({ ...FAST, name, bucks: fleet.addresses, ...config }, parts)
  const end = new AbortController()
  const running = porter.run(end.signal)
  const stop = () => {
    end.abort()
    return running
  }
  fleet.stopFirst.push(stop)
  return { porter, index, archive, stop }
}

const now = () => Math.floor(Date.now() / 10_000) * 10

test('a packet at two bucks is fetched once, indexed once, archived once, and every buck hears of it', async t => {
  const fleet = await SmallFleet.start(t, 3)
  const tailer = new TestTailer(fleet)
  const bucket = now()
  await tailer.send(tailer.pack(bucket, 'one\n'), 'buck0', 'buck1')
  await tailer.send(tailer.pack(bucket, 'two\n'), 'buck1', 'buck2')
  await tailer.send(tailer.pack(bucket, 'two\n'), 'buck2', 'buck0')
  const manifest = tailer.manifest(bucket, 1, 3)
  await tailer.sendManifest(manifest, ...fleet.addresses)
  const { porter, index, archive } = start(fleet)
  await until('archived everywhere', () => new Set(fleet.told.map(told => told.address)).size === 3)
  await until('the manifest is kept', () => archive.kept.manifests.length === 1 && index.kept.manifests.length === 1)
  t.equal(index.text(), 'one\ntwo\ntwo\n', 'two equal lines are two lines')
  t.equal(archive.text(), 'one\ntwo\ntwo\n')
  t.equal(porter.status().counts.fetched, 3)
  t.equal(fleet.fetched, 3)
  t.equal(porter.status().counts.repeated, 0)
  await until('nothing is left to do', () => porter.status().bucks.every(buck => buck.toArchive === 0))
})

test('words without packets leave a buck only when a porter has archived them', async t => {
  const fleet = await SmallFleet.start(t, 1)
  const tailer = new TestTailer(fleet)
  const bucket = now() - 100
  await tailer.sendManifest(tailer.manifest(bucket, 0, 0), 'buck0')
  const link = await fleet.dialer('porter').dial('buck0')
  t.teardown(() => link.close('done'))
  const isThere = async () => {
    await link.ask('prune', { before: bucket + 1 })
    return (await link.ask('inventory', { bucket })).body.manifests.length === 1
  }
  t.ok(await isThere())
  const { archive } = start(fleet)
  await until('the buck is told', async () => !(await isThere()))
  t.equal(archive.kept.manifests.length, 1)
})

test('what one buck alone has is carried while another cannot be reached', async t => {
  const fleet = await SmallFleet.start(t, 3)
  const tailer = new TestTailer(fleet)
  fleet.cut('buck1')
  await tailer.send(tailer.pack(now(), 'alone\n'), 'buck2')
  const { porter, index } = start(fleet)
  await until('indexed', () => index.text() === 'alone\n')
  t.equal(porter.status().bucks.filter(buck => buck.isReachable).length, 2)
  t.match(porter.status().bucks[1], { isReachable: false, error: /not there/ })
})

test('a buck that was away when a packet was archived is told when it is back', async t => {
  const fleet = await SmallFleet.start(t, 2)
  const tailer = new TestTailer(fleet)
  await tailer.send(tailer.pack(now(), 'line\n'), 'buck0', 'buck1')
  fleet.cut('buck1')
  const { archive } = start(fleet)
  await until(
    'archived and told',
    () => archive.packets.size === 1 && fleet.told.some(told => told.address === 'buck0'),
  )
  t.notOk(fleet.told.some(told => told.address === 'buck1'))
  fleet.heal('buck1')
  await until('the other is told', () => fleet.told.some(told => told.address === 'buck1'))
  t.match(
    fleet.told.find(told => told.address === 'buck1'),
    { tailer: tailer.id, runs: [{ first: 1 }] },
  )
})

test('a damaged copy is passed over: the other holder has it whole', async t => {
  const fleet = await SmallFleet.start(t, 2)
  const tailer = new TestTailer(fleet)
  const lines = Array.from({ length: 6 }, (_, i) => `line ${i}\n`)
  for (const line of lines) await tailer.send(tailer.pack(now(), line), 'buck0', 'buck1')
  // One flips a byte of every packet's body, or cuts the header of the first.
  let calls = 0
  fleet.tamper = (address, payload) => {
    if (address === 'buck1') return payload
    const bad = Buffer.from(payload)
    if (calls++ % 2 === 0) bad[bad.length - 1] ^= 1
    else bad[0] ^= 1
    return bad
  }
  const { porter, index, archive } = start(fleet)
  await until('all there', () => index.events.size === 6 && archive.events.size === 6)
  t.equal(index.text(), lines.join(''))
  t.equal(porter.status().packetsDamagedEverywhere, 0)
})

test('damaged at every holder: the tailer is asked, and sends it again', async t => {
  const fleet = await SmallFleet.start(t, 2)
  const tailer = new TestTailer(fleet)
  await tailer.send(tailer.pack(now(), 'good\n'), 'buck0')
  await tailer.send(tailer.pack(now(), 'rotten\n'), 'buck0')
  fleet.tamper = (address, payload) => {
    const bad = Buffer.from(payload)
    if (address === 'buck0') bad[bad.length - 1] ^= 1
    return bad
  }
  await tailer.connect('buck1')
  const { index } = start(fleet)
  await until('both there', () => index.text() === 'good\nrotten\n')
  t.ok(tailer.wants > 0)
})

test('a buck that starts anew with another log id is read again, and what it lost is wanted', async t => {
  const fleet = await SmallFleet.start(t, 2)
  const tailer = new TestTailer(fleet)
  const bucket = now()
  await tailer.send(tailer.pack(bucket, 'kept\n'), 'buck0')
  await tailer.send(tailer.pack(bucket, 'lost with its disk\n'), 'buck1')
  // Not archived yet: so it must stay somewhere else than in the index.
  const { porter, index, archive } = start(fleet, { archiveAfterMs: 3_600_000 })
  await until('indexed', () => index.events.size === 2)
  const logId = porter.status().bucks[1].logId
  await fleet.stopBuck('buck1')
  await fleet.startBuck('buck1', 'a new disk')
  await until('read again', () => porter.status().bucks[1].logId !== logId)
  await until('asked for', () => tailer.wants > 0)
  await until('held again', () => porter.status().wantsOpen === 0)
  t.equal(index.text(), 'kept\nlost with its disk\n')
  t.equal(archive.events.size, 0)
})

test('a sequence that no buck has is wanted, sent again and indexed; one that is gone is asked for once', async t => {
  const fleet = await SmallFleet.start(t, 2)
  const tailer = new TestTailer(fleet)
  const bucket = now()
  await tailer.send(tailer.pack(bucket, 'one\n'), 'buck0')
  tailer.pack(bucket, 'two, only in the journal\n')
  tailer.pack(bucket, 'three, of which nothing is left\n')
  tailer.lost.add(3)
  // Nobody but the manifest knows that the epoch ends with 3.
  await tailer.sendManifest(tailer.manifest(bucket, 1, 3), 'buck0')
  const { porter, index, archive } = start(fleet)
  await until('two came', () => index.events.size === 2 && archive.events.size === 2)
  await until('gone is kept', () => archive.kept.gone.length === 1 && index.kept.gone.length === 1)
  await until('nothing open', () => porter.status().wantsOpen === 0)
  const { wants } = tailer
  const { rounds } = porter.status()
  await until('many rounds later', () => porter.status().rounds > rounds + 20)
  t.equal(tailer.wants, wants, 'not asked again')
  t.equal(index.text(), 'one\ntwo, only in the journal\n')
})

test('a late bucket, and one of 2036, take the same road', async t => {
  const fleet = await SmallFleet.start(t, 1)
  const tailer = new TestTailer(fleet)
  const { index, archive } = start(fleet, { bucketSeconds: 1, indexAfterMs: 200, archiveAfterMs: 500 })
  await tailer.send(tailer.pack(now() - 86_400, 'late\n'), 'buck0')
  await until('late one there', () => index.text() === 'late\n')
  await tailer.send(tailer.pack(2_082_758_400, 'from the future\n'), 'buck0')
  await until('both there', () => index.text() === 'late\nfrom the future\n')
  await until('both archived', () => archive.text() === 'late\nfrom the future\n')
})

test('two porters at once, each without a lease of the other: every line once', async t => {
  const fleet = await SmallFleet.start(t, 3)
  const tailer = new TestTailer(fleet)
  const index = new MemoryStore()
  const archive = new MemoryStore()
  for (const store of [index, archive]) store.pause = () => new Promise(resolve => setTimeout(resolve, 5))
  const a = start(fleet, { index, archive, name: 'a', leaseName: 'lease-a' })
  const b = start(fleet, { index, archive, name: 'b', leaseName: 'lease-b' })
  let text = ''
  for (let i = 0; i < 60; i++) {
    text += `line ${i}\n`
    await tailer.send(tailer.pack(now(), `line ${i}\n`), `buck${i % 3}`, `buck${(i + 1) % 3}`)
  }
  await until('all there', () => index.events.size === 60 && archive.events.size === 60)
  t.equal(index.text(), text)
  t.equal(archive.text(), text)
  t.ok(a.porter.status().lease.isHeld && b.porter.status().lease.isHeld)
})

test('with one lease, the second stands by and takes over when the first is gone', async t => {
  const fleet = await SmallFleet.start(t, 1)
  const tailer = new TestTailer(fleet)
  const index = new MemoryStore()
  const archive = new MemoryStore()
  const a = start(fleet, { index, archive, name: 'a' })
  await until('a works', () => a.porter.status().state === 'working')
  const b = start(fleet, { index, archive, name: 'b' })
  await tailer.send(tailer.pack(now(), 'one\n'), 'buck0')
  await until('indexed', () => index.events.size === 1)
  t.equal(b.porter.status().state, 'watching')
  await a.stop()
  t.equal(a.porter.status().state, 'stopped')
  await tailer.send(tailer.pack(now(), 'two\n'), 'buck0')
  await until('b indexed', () => index.text() === 'one\ntwo\n')
  t.match(b.porter.status(), { state: 'working', lease: { holder: 'b', isHeld: true } })
})

test('an index that was emptied is filled from the bucks, and from the archive what they no longer have', async t => {
  const fleet = await SmallFleet.start(t, 2)
  const tailer = new TestTailer(fleet)
  const bucket = now()
  await tailer.send(tailer.pack(bucket, 'archived\n'), 'buck0')
  const { index, archive, porter, stop } = start(fleet)
  await until('archived', () => archive.events.size === 1)
  await until('done', () => porter.status().bucks.every(buck => buck.toArchive === 0))
  await stop()
  // A disk later: the bucks have it no more.
  await fleet.stopBuck('buck0')
  await fleet.startBuck('buck0', 'a new disk')
  const again = start(fleet, { index, archive, archiveAfterMs: 3_600_000 })
  await tailer.connect('buck0')
  await tailer.send(tailer.pack(bucket, 'young\n'), 'buck1')
  await until('young one there', () => index.events.size === 2)
  index.empty()
  await until('filled', () => index.events.size === 2)
  t.equal(index.text(), 'archived\nyoung\n')
  t.equal(again.porter.status().counts.refilledEvents, 1)
  t.equal(archive.events.size, 1)
})

test('only the index has it any more: the archive takes it from there, once', async t => {
  const fleet = await SmallFleet.start(t, 1)
  const tailer = new TestTailer(fleet)
  const bucket = now()
  for (const line of ['one\n', 'two\n', 'three\n']) await tailer.send(tailer.pack(bucket, line), 'buck0')
  const late = { archiveAfterMs: 3_600_000, holeAfterMs: 200 }
  const { index, archive, porter } = start(fleet, late)
  await until('indexed', () => index.events.size === 3)
  tailer.lost.add(2)
  tailer.disconnect()
  await fleet.stopBuck('buck0')
  await fleet.startBuck('buck0', 'a new disk')
  await until('archived from the index, all three: the tailer is silent', () => archive.events.size === 3)
  t.equal(archive.text(), 'one\ntwo\nthree\n')
  t.same([...archive.events.keys()].sort(), [...index.events.keys()].sort(), 'the same events, by identity')
  t.equal(porter.status().counts.rescuedEvents, 3)
  // The first copy turns up again: a second packet of the same id, whose event is there already.
  await tailer.send(tailer.cut[0], 'buck0')
  const again = start(fleet, { index, archive, name: 'again', leaseName: 'other' })
  await until('kept too', () => archive.packets.has(packetKey(tailer.cut[0].header.id)))
  t.equal(archive.events.size, 3)
  await until('counted', () => again.porter.status().counts.repeated === 1)
})

test('an index that is down does not hold up the archive; it is filled when it is back', async t => {
  const fleet = await SmallFleet.start(t, 1)
  const tailer = new TestTailer(fleet)
  const index = new MemoryStore()
  index.down = new Error('no route to the index')
  const { archive, porter } = start(fleet, { index })
  await tailer.send(tailer.pack(now(), 'line\n'), 'buck0')
  await until('archived', () => archive.events.size === 1)
  t.match(porter.status(), { lastError: /no route to the index/, bucks: [{ toIndex: 1 }] })
  index.down = undefined
  await until('indexed', () => index.events.size === 1)
})

test('a packet whose body cannot be read stops nothing, and is never told as archived', async t => {
  const fleet = await SmallFleet.start(t, 1)
  const tailer = new TestTailer(fleet)
  const { index, archive, porter } = start(fleet)
  const good = tailer.pack(now(), 'good\n')
  const bad = tailer.packBroken(now(), 'never to be read\n')
  await tailer.send(bad, 'buck0')
  await tailer.send(good, 'buck0')
  await until('the good one is there', () => index.events.size === 1 && archive.events.size === 1)
  await until('counted', () => porter.status().counts.unreadable === 1)
  await until('told', () => fleet.told.length > 0)
  t.notOk(fleet.told.some(told => told.runs.some(run => run.first <= 2 && run.first + run.sums.length / 8 > 2)))
})

test('what left the index by age is not put into it again; a clock that nobody confirms deletes nothing', async t => {
  const fleet = await SmallFleet.start(t, 1)
  const tailer = new TestTailer(fleet)
  const old = now() - 3600
  await tailer.send(tailer.pack(old, 'old\n'), 'buck0')
  const { index, archive, porter } = start(fleet, { recentMs: 600_000, tidyEveryMs: 30 })
  await until('there', () => index.events.size === 1 && archive.events.size === 1)
  const { rounds } = porter.status()
  await until('many rounds later', () => porter.status().rounds > rounds + 20)
  t.match(porter.status(), { clockIsSane: true, clockIsConfirmed: false })
  t.equal(index.events.size, 1, 'no tailer confirms what time it is')
  await tailer.send(tailer.pack(now(), 'young\n'), 'buck0')
  await until('the old one left', () => index.text() === 'young\n')
  const { rounds: later } = porter.status()
  await until('many rounds later', () => porter.status().rounds > later + 20)
  t.equal(index.text(), 'young\n')
  t.equal(archive.text(), 'old\nyoung\n')
})

test('one id with two contents is two packets: both are indexed and archived', async t => {
  const fleet = await SmallFleet.start(t, 2)
  const tailer = new TestTailer(fleet)
  await tailer.send(tailer.pack(now(), 'before the machine was put back\n', 1), 'buck0')
  await tailer.send(tailer.pack(now(), 'after\n', 1), 'buck1')
  const { index, archive } = start(fleet)
  await until('both', () => index.packets.size === 2 && archive.packets.size === 2)
  t.equal(archive.text(), 'before the machine was put back\nafter\n')
})

test('a buck that answers nonsense is passed over, counted, and asked again', async t => {
  const fleet = await SmallFleet.start(t, 2)
  const tailer = new TestTailer(fleet)
  await tailer.send(tailer.pack(now(), 'line\n'), 'buck0')
  await tailer.send(tailer.pack(now(), 'only there\n'), 'buck1')
  let isMad = true
  fleet.distort = (address, type, body) => {
    if (address !== 'buck1' || !isMad || type !== 'inventory') return body
    return { tailers: [{ tailer: '../..', runs: [{ epoch: 7, first: -1, sums: 'x' }] }], manifests: 0, gone: null }
  }
  const { index, porter } = start(fleet)
  await until('the other is carried', () => index.text() === 'line\n')
  await until('counted', () => porter.status().failures > 0)
  t.match(porter.status().lastError, /inventory of buck1/)
  isMad = false
  await until('both', () => index.events.size === 2)
})

test('a forged word of a tailer counts for nothing', async t => {
  const fleet = await SmallFleet.start(t, 1)
  const tailer = new TestTailer(fleet)
  await tailer.send(tailer.pack(now(), 'line\n'), 'buck0')
  fleet.distort = (_, type, body) => {
    if (type !== 'inventory') return body
    const manifest = { ...tailer.manifest(now(), 1, 1), last: 1_000_000 }
    const gone = { ...tailer.gone(2), sequence: 1 }
    return { ...(body as object), manifests: [manifest], gone: [gone] }
  }
  const { index, archive, porter } = start(fleet)
  await until('archived', () => archive.events.size === 1)
  const { rounds } = porter.status()
  await until('many rounds later', () => porter.status().rounds > rounds + 20)
  t.equal(porter.status().wantsOpen, 0)
  t.same([...index.kept.manifests, ...archive.kept.manifests, ...archive.kept.gone], [])
})

test('more than one answer, batch and round can hold: bounded, and all of it', async t => {
  const fleet = await SmallFleet.start(t, 2)
  const tailer = new TestTailer(fleet)
  const long = 'x'.repeat(20_000)
  for (let i = 0; i < 600; i++) {
    await tailer.send(tailer.pack(now() - (i % 100) * 10, `${i} ${long}\n`), `buck${i % 2}`)
  }
  const { index, archive, porter } = start(fleet, { indexBatchBytes: 1_000_000, archiveBatchBytes: 2_000_000 })
  await until('all there', () => index.events.size === 600 && archive.events.size === 600)
  t.equal(porter.status().counts.fetched, 600)
  t.ok(index.adds >= 6, 'in several adds')
})
