// What is not kept by decision: named in the ledger, asked for no more, and the bucks may forget it.
import { join } from 'node:path'
import { test } from 'tap'
import { FolderStore } from '../shared/folder-store.ts'
import { Lease } from '../shared/lease.ts'
import { computeLedger } from '../shared/ledger.ts'
import { gatherLedgerInputs } from '../shared/ledger-gather.ts'
import { BUCKET as SPRING, sourceName, testManifest, testPacket } from '../shared/packets.test-support.ts'
import { Releases } from '../shared/releases.ts'
import { SegmentStore } from '../shared/segment-store.ts'
import { all, texts } from '../shared/stores.contract.ts'
import { until } from '../shared/until.test-support.ts'
import { Porter } from './porter.ts'
import { expireArchive } from './retention.ts'
import { SmallFleet, TestTailer } from './small-fleet.test-support.ts'

const NOW = Math.floor(Date.now() / 10_000) * 10

async function stores(fleet: SmallFleet) {
  const { world } = fleet
  const open = (name: string) =>
    SegmentStore.open(new FolderStore(world.disk, join(fleet.folder, name)), { world, writer: 'test' })
  const beside = new FolderStore(world.disk, join(fleet.folder, 'archive'))
  return { index: await open('index'), archive: await open('archive'), releases: new Releases(beside), beside }
}

test('excluded buckets are neither indexed nor archived, are told as settled, and are released in the ledger', async t => {
  const fleet = await SmallFleet.start(t, 2)
  const tailer = new TestTailer(fleet)
  const excluded = NOW - 1000
  await tailer.send(tailer.pack(excluded, 'a flood\n'), 'buck0', 'buck1')
  await tailer.send(tailer.pack(excluded, 'of lines\n'), 'buck1')
  await tailer.sendManifest(tailer.manifest(excluded, 1, 2), 'buck0', 'buck1')
  await tailer.send(tailer.pack(NOW, 'wanted\n'), 'buck0', 'buck1')
  await tailer.sendManifest(tailer.manifest(NOW, 3, 3), 'buck0', 'buck1')
  const { index, archive, releases, beside } = await stores(fleet)
  const porter = new Porter(
    {
      ...{ name: 'porter-a', bucks: fleet.addresses, bucketSeconds: 10, pollMs: 10, wantEveryMs: 40 },
      ...{ indexAfterMs: 0, archiveAfterMs: 0 },
    },
    {
      ...{ world: fleet.world, dialer: fleet.dialer('porter'), index, archive, releases },
      lease: new Lease(beside, { name: 'porter-a', leaseMs: 600 }, fleet.world),
      isExcluded: bucket => bucket === excluded,
    },
  )
  const end = new AbortController()
  const running = porter.run(end.signal)
  fleet.stopFirst.push(() => {
    end.abort()
    return running
  })
  await until('the others are archived', async () => texts(await all(archive)).join('') === 'wanted\n')
  await until('all is settled', () => porter.status().bucks.every(buck => buck.toIndex + buck.toArchive === 0))
  t.same(texts(await all(index)), ['wanted\n'])
  t.equal(porter.status().counts.fetched, 1, 'what is excluded is not even fetched')
  for (const address of fleet.addresses) {
    const told = () => fleet.told.filter(one => one.address === address).flatMap(({ runs }) => runs)
    await until(`${address} may forget it`, () => told().some(run => run.first === 1))
  }
  await new Promise(resolve => setTimeout(resolve, 300))
  t.equal(porter.status().wantsOpen, 0, 'nobody is asked for it')
  const [release, ...more] = await releases.list()
  t.match(release, { kind: 'excluded', sources: [{ path: '/var/log/app.log', ranges: [[0, 17]] }] })
  t.same(more, [])
  const inputs = { links: [], index, archive, releases: await releases.list(), log: fleet.world.log }
  const ledger = computeLedger(await gatherLedgerInputs(inputs))
  t.match(ledger, { openHoles: 0, rows: [{ state: 'complete', note: /^17 bytes: excluded .*porter.exclude/ }] })
})

test('what leaves the archive by its age is expired in the ledger, not missing', async t => {
  const fleet = await SmallFleet.start(t, 1)
  const { archive, index, releases } = await stores(fleet)
  const day = 86_400
  const manifest = testManifest(SPRING)
  await archive.add([testPacket([{ lines: ['old\n', 'older\n'] }], { sequence: 1 })], {
    manifests: [manifest],
    gone: [],
  })
  const young = testPacket(
    [
      { from: 10, lines: ['young\n'] },
      { source: sourceName('other'), path: '/other', lines: ['x\n'] },
    ],
    { sequence: 2, bucket: SPRING + 3 * day },
  )
  await archive.add([young], { manifests: [], gone: [] })
  const expiry = { before: SPRING + 2 * day, why: 'archive.keep is 2 days', who: 'porter-a', nowMs: Date.now() }
  t.equal(await expireArchive(archive, releases, expiry), 2)
  t.equal(await expireArchive(archive, releases, expiry), 0)
  t.equal((await releases.list()).length, 1, 'noted once')
  const read = async (noted: boolean) => {
    const more = noted ? { releases: await releases.list() } : {}
    return computeLedger(await gatherLedgerInputs({ links: [], index, archive, log: fleet.world.log, ...more }))
  }
  t.match(
    (await read(false)).rows.find(row => row.path !== '/other'),
    { state: 'waiting' },
    'without the note it would look lost',
  )
  t.match(
    (await read(true)).rows.find(row => row.path !== '/other'),
    { state: 'complete', note: /^10 bytes: expired .*archive.keep/ },
  )

  t.equal(await expireArchive(archive, releases, { ...expiry, before: SPRING + 9 * day }), 2)
  t.match((await read(true)).rows, [{ state: 'expired' }, { state: 'expired' }])
  t.equal((await read(true)).openHoles, 0)
})
