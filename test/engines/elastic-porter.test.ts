// The porter over the real index in Elasticsearch and an archive in a folder: whatever happens to the index, every line is
// in it once in the end, from the bucks or, where these have it no more, from the archive.
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { Porter, type PorterConfig } from '../../porter/porter.ts'
import { SmallFleet, TestTailer } from '../../porter/small-fleet.test-support.ts'
import { ElasticStore } from '../../shared/elastic/elastic-store.ts'
import { FolderStore } from '../../shared/folder-store.ts'
import { Lease } from '../../shared/lease.ts'
import { parseQuery } from '../../shared/query.ts'
import { SegmentStore } from '../../shared/segment-store.ts'
import type { EventStore } from '../../shared/stores.ts'
import { until } from '../../shared/until.test-support.ts'
import { type Elasticsearch, startElasticsearch } from './elasticsearch.ts'

const BUCKET = Math.floor(Date.now() / 10_000) * 10
const LINES = 60
const IS_LONG = process.env.BUCKTAIL_TEST_LONG !== undefined

test('the porter and Elasticsearch', { timeout: 900_000 }, async t => {
  const engine = await startElasticsearch(t)
  if (!engine) return
  if (IS_LONG) {
    await t.test('killed in the middle of indexing, by two porters at once', t => killed(t, engine))
    await t.test('put back to before the last lines', t => putBack(t, engine))
  }
  await t.test('deleted, when the bucks have new disks: filled from bucks and archive', t => deleted(t, engine))
  await t.test('down from the start: the archive goes on, the porter says why it is not ready', t => down(t, engine))
})

interface Running {
  porter: Porter
  index: ElasticStore
  archive: EventStore
  stop(): Promise<void>
}

async function start(fleet: SmallFleet, url: string, name: string, more: Partial<PorterConfig> = {}): Promise<Running> {
  const { world } = fleet
  const index = new ElasticStore({
    world,
    access: { nodes: [url] },
    environment: fleet.folder.split('-').at(-1)!.toLowerCase(),
    place: 'recent',
    rejectsFolder: join(fleet.folder, 'rejects'),
    patienceMs: 300,
  })
  const objects = new FolderStore(world.disk, join(fleet.folder, 'archive'))
  const archive = await SegmentStore.open(objects, { world, writer: name })
  // Everyone a lease of its own: the worst case.
  const lease = new Lease(new FolderStore(world.disk, join(fleet.folder, `lease-${name}`)), { name }, world)
  const config = {
    name,
    bucks: fleet.addresses,
    bucketSeconds: 10,
    indexAfterMs: 0,
    archiveAfterMs: 0,
    pollMs: 20,
    wantEveryMs: 100,
    fleetTimes: { backOffBaseMs: 10, backOffCapMs: 50 },
    ...more,
  }
  const storeTrouble = () => index.trouble
  const porter = new Porter(config, { world, dialer: fleet.dialer('porter'), index, archive, lease, storeTrouble })
  const end = new AbortController()
  const running = porter.run(end.signal)
  const stop = async () => {
    end.abort()
    await running
    await index.close()
  }
  fleet.stopFirst.push(stop)
  return { porter, index, archive, stop }
}

async function textOf(store: EventStore): Promise<string> {
  const pieces: Buffer[] = []
  for await (const event of store.search({ query: parseQuery(''), order: 'offset' })) pieces.push(event.bytes)
  return Buffer.concat(pieces).toString()
}

/** Also while the index cannot be asked: then it is not what was waited for. */
async function untilText(what: string, store: EventStore, text: string): Promise<void> {
  await until(what, async () => (await textOf(store).catch(() => '')) === text)
}

async function killed(t: Test, engine: Elasticsearch): Promise<void> {
  const fleet = await SmallFleet.start(t, 2)
  const tailer = new TestTailer(fleet)
  const { index, archive } = await start(fleet, engine.url, 'a')
  await start(fleet, engine.url, 'b')
  let text = ''
  for (let i = 0; i < LINES; i++) {
    text += `line ${i}\n`
    await tailer.send(tailer.pack(BUCKET + 10 * Math.floor(i / 10), `line ${i}\n`), `buck${i % 2}`)
    if (i % 20 !== 10) continue
    await engine.kill()
    await fleet.world.clock.sleep(500)
    await engine.start()
  }
  await untilText('all indexed', index, text)
  await untilText('all archived', archive, text)
  const [totals] = await index.totals()
  t.match(totals, { events: LINES, bytes: text.length })
}

async function putBack(t: Test, engine: Elasticsearch): Promise<void> {
  const fleet = await SmallFleet.start(t, 2)
  const tailer = new TestTailer(fleet)
  const { index } = await start(fleet, engine.url, 'a')
  await tailer.send(tailer.pack(BUCKET, 'one\n'), 'buck0')
  await untilText('one', index, 'one\n')
  const copy = join(fleet.folder, 'copy')
  await engine.kill()
  await cp(engine.dataFolder, copy, { recursive: true })
  await engine.start()
  await tailer.send(tailer.pack(BUCKET, 'two\n'), 'buck0')
  await tailer.send(tailer.pack(BUCKET, 'three\n'), 'buck1')
  await untilText('three', index, 'one\ntwo\nthree\n')
  await engine.kill()
  await rm(engine.dataFolder, { recursive: true })
  await cp(copy, engine.dataFolder, { recursive: true })
  await engine.start()
  await untilText('filled again', index, 'one\ntwo\nthree\n')
  t.equal((await index.totals())[0].events, 3)
}

async function deleted(t: Test, engine: Elasticsearch): Promise<void> {
  const fleet = await SmallFleet.start(t, 2)
  const tailer = new TestTailer(fleet)
  await tailer.send(tailer.pack(BUCKET, 'one\n'), 'buck0')
  await tailer.send(tailer.pack(BUCKET, 'two\n'), 'buck1')
  const first = await start(fleet, engine.url, 'a')
  await untilText('indexed', first.index, 'one\ntwo\n')
  await untilText('archived', first.archive, 'one\ntwo\n')
  await until('settled', () => first.porter.status().bucks.every(buck => buck.toArchive === 0 && buck.toIndex === 0))
  await fleet.stopBuck('buck0')
  await fleet.startBuck('buck0', 'a new disk')
  const { alias } = first.index
  const members = (await (await fetch(`${engine.url}/_alias/${alias}-all`)).json()) as Record<string, unknown>
  for (const name of Object.keys(members)) await fetch(`${engine.url}/${name}`, { method: 'DELETE' })
  await untilText('filled', first.index, 'one\ntwo\n')
  t.equal((await first.index.totals())[0].events, 2)
  t.ok(first.porter.status().counts.refilledEvents >= 1, 'what no buck has came from the archive')
}

async function down(t: Test, engine: Elasticsearch): Promise<void> {
  const fleet = await SmallFleet.start(t, 1)
  const tailer = new TestTailer(fleet)
  const dead = await start(fleet, 'http://127.0.0.1:1', 'a')
  await tailer.send(tailer.pack(BUCKET, 'one\n'), 'buck0')
  await untilText('archived', dead.archive, 'one\n')
  await until('said', () => dead.porter.status().storeTrouble !== undefined)
  t.match(dead.porter.status().storeTrouble, /no answer from Elasticsearch at 127\.0\.0\.1:1/)
  await dead.stop()
  const alive = await start(fleet, engine.url, 'b')
  await untilText('indexed', alive.index, 'one\n')
  t.equal(alive.porter.status().storeTrouble, undefined)
}
