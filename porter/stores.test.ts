// The porter over the real stores: segments and a catalogue in folders, as on one machine.
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { FolderStore } from '../shared/folder-store.ts'
import { Lease } from '../shared/lease.ts'
import { computeLedger } from '../shared/ledger.ts'
import { gatherLedgerInputs } from '../shared/ledger-gather.ts'
import { parseQuery } from '../shared/query.ts'
import { SegmentStore } from '../shared/segment-store.ts'
import { until } from '../shared/until.test-support.ts'
import { Porter, type PorterConfig } from './porter.ts'
import { SmallFleet, TestTailer } from './small-fleet.test-support.ts'

const BUCKET = Math.floor(Date.now() / 10_000) * 10

async function open(fleet: SmallFleet, name: string): Promise<SegmentStore> {
  const objects = new FolderStore(fleet.world.disk, join(fleet.folder, name))
  return SegmentStore.open(objects, { world: fleet.world, writer: 'test' })
}

async function start(fleet: SmallFleet, name: string, more: Partial<PorterConfig> = {}) {
  const { world } = fleet
  const index = await open(fleet, 'index')
  const archive = await open(fleet, 'archive')
  // Everyone a lease of its own: the worst case.
  const lease = new Lease(new FolderStore(world.disk, join(fleet.folder, `lease-${name}`)), { name }, world)
  const config = {
    name,
    bucks: fleet.addresses,
    bucketSeconds: 10,
    indexAfterMs: 0,
    archiveAfterMs: 0,
    pollMs: 10,
    wantEveryMs: 40,
    fleetTimes: { backOffBaseMs: 10, backOffCapMs: 50 },
    ...more,
  }
  const porter = new Porter(config, { world, dialer: fleet.dialer('porter'), index, archive, lease })
  const end = new AbortController()
  const running = porter.run(end.signal)
  const stop = () => {
    end.abort()
    return running
  }
  fleet.stopFirst.push(stop)
  return { porter, index, archive, stop }
}

async function textOf(store: SegmentStore): Promise<string> {
  const pieces: Buffer[] = []
  for await (const event of store.search({ query: parseQuery(''), order: 'offset' })) pieces.push(event.bytes)
  return Buffer.concat(pieces).toString()
}

test('two porters that stop and start at any time: every line once in index and archive, and the ledger says so', async t => {
  const fleet = await SmallFleet.start(t, 3)
  const tailer = new TestTailer(fleet)
  const running = [await start(fleet, 'a'), await start(fleet, 'b')]
  let text = ''
  for (let i = 0; i < 80; i++) {
    text += `line ${i}\n`
    await tailer.send(tailer.pack(BUCKET, `line ${i}\n`), `buck${i % 3}`, `buck${(i + 1) % 3}`)
    if (i % 20 !== 10) continue
    const k = (i / 10) % 2 === 1 ? 0 : 1
    await running[k].stop()
    running[k] = await start(fleet, k === 0 ? 'a' : 'b')
  }
  await tailer.sendManifest(tailer.manifest(BUCKET, 1, 80), ...fleet.addresses)
  const { index, archive } = running[0]
  await until('all there', async () => (await textOf(index)) === text && (await textOf(archive)) === text)
  await until('the manifest too', async () => (await archive.words()).manifests.length > 0)
  const links = await Promise.all(fleet.addresses.map(address => fleet.dialer('archie').dial(address)))
  const ledger = computeLedger(await gatherLedgerInputs({ links, index, archive, log: fleet.world.log }))
  const size = Buffer.byteLength(text)
  t.match(ledger.rows, [{ read: size, packed: size, heldTwice: size, indexed: size, archived: size, lines: 80 }])
  t.match(ledger, { openHoles: 0, buckets: [], completeBuckets: 1, rows: [{ state: 'complete' }] })
})

test('the folder of the index is removed: it is filled again from bucks and archive', async t => {
  const fleet = await SmallFleet.start(t, 2)
  const tailer = new TestTailer(fleet)
  await tailer.send(tailer.pack(BUCKET, 'one\n'), 'buck0')
  await tailer.send(tailer.pack(BUCKET, 'two\n'), 'buck1')
  const first = await start(fleet, 'a')
  await until('archived', async () => (await textOf(first.archive)) === 'one\ntwo\n')
  await until('settled', () => first.porter.status().bucks.every(buck => buck.toArchive === 0))
  await first.stop()
  await rm(join(fleet.folder, 'index'), { recursive: true })
  await fleet.stopBuck('buck0')
  await fleet.startBuck('buck0', 'a new disk')
  const again = await start(fleet, 'a')
  await until('filled', async () => (await textOf(again.index)) === 'one\ntwo\n')
  t.equal(await textOf(again.archive), 'one\ntwo\n')
  t.equal(again.porter.status().counts.refilledEvents, 1)
})

test('only the index has it: the archive gets it from there, and a gone word names what is a hole', async t => {
  const fleet = await SmallFleet.start(t, 1)
  const tailer = new TestTailer(fleet)
  await tailer.send(tailer.pack(BUCKET, 'one\n'), 'buck0')
  await tailer.send(tailer.pack(BUCKET, 'two\n'), 'buck0')
  tailer.pack(BUCKET, 'three, lost with the journal\n')
  await tailer.send(tailer.pack(BUCKET, 'four\n'), 'buck0')
  await tailer.sendManifest(tailer.manifest(BUCKET, 1, 4), 'buck0')
  for (const sequence of [1, 2, 3, 4]) tailer.lost.add(sequence)
  const { index, archive } = await start(fleet, 'a', { archiveAfterMs: 3_600_000 })
  await until('indexed', async () => (await textOf(index)) === 'one\ntwo\nfour\n')
  await fleet.stopBuck('buck0')
  await fleet.startBuck('buck0', 'a new disk')
  await until('connected again', () =>
    tailer.connect('buck0').then(
      () => true,
      () => false,
    ),
  )
  await until('rescued', async () => (await textOf(archive)) === 'one\ntwo\nfour\n')
  const ledger = computeLedger(await gatherLedgerInputs({ links: [], index, archive, log: fleet.world.log }))
  t.match(ledger.holes, [
    { host: 'web1', path: '/var/log/app.log', from: 8, to: 37, sequences: [[3, 4]], state: 'open' },
  ])
})
