import { readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { test } from 'tap'
import { readContacts, readSources } from '../shared/contacts.ts'
import { readInventory } from '../shared/inventory.ts'
import type { Link, Server } from '../shared/link.ts'
import { type Asks, FETCH_BYTES_MAX } from '../shared/messages.ts'
import { decodePackets } from '../shared/packet.ts'
import { testFolder } from '../shared/test-folder.test-support.ts'
import { until } from '../shared/until.test-support.ts'
import {
  BUCKET,
  connect,
  connectTailer,
  EPOCH,
  EPOCH_2,
  goneOf,
  keysOf,
  manifestOf,
  OTHER_TAILER,
  openBuck,
  packetOf,
  runOf,
  send,
  TAILER,
} from './buck.test-support.ts'
import type { Buck } from './buck.ts'
import { readBuckFolder } from './folder.ts'
import { idsOfRun } from './holdings.ts'
import { SourceTable } from './sources.ts'

const PORTER = keysOf(9)
const FILE = `buckets/0/${BUCKET}/buck0`

async function inventory(porter: Link, bucket = BUCKET): Promise<Asks['inventory']['answer']> {
  return (await porter.ask('inventory', { bucket })).body
}

/** As a porter does that read the inventory and wrote its words into the archive. */
async function wordsArchived(buck: Buck, porter: Link, { number }: { number: number }): Promise<void> {
  await porter.ask('wordsArchived', { logId: buck.status().logId, buckets: [{ bucket: BUCKET, number }] })
}

async function fetchTexts(porter: Link, ...packets: { header: { id: Asks['fetch']['ask']['ids'][0] } }[]) {
  const { payload } = await porter.ask('fetch', { ids: packets.map(packet => packet.header.id) })
  return [...decodePackets(payload ?? Buffer.alloc(0))].map(packet => packet.header.id.sequence)
}

test('a packet is acknowledged when it is in the bucket file, and found by inventory and fetch', async t => {
  const folder = testFolder(t)
  const { buck, world } = await openBuck(folder)
  const tailer = await connectTailer(buck, world)
  const porter = connect(buck, world, 'porter', PORTER)
  const packets = [1, 2, 3].map(sequence => packetOf(sequence))
  await Promise.all(packets.map(packet => send(tailer, packet)))
  const file = await readFile(`${folder}/${FILE}`)
  for (const packet of packets) t.ok(file.includes(packet.bytes))
  t.same(await inventory(porter), {
    tailers: [{ tailer: TAILER.id, runs: [runOf(...packets)] }],
    manifests: [],
    number: 3,
    gone: [],
  })
  t.same(await fetchTexts(porter, ...packets), [1, 2, 3])
  t.same(await fetchTexts(porter, packetOf(7)), [])
  t.equal(buck.status().packets, 3)
  await buck.close()
})

test('the same packet again, also at the same time, is acknowledged and stored once', async t => {
  const folder = testFolder(t)
  const { buck, world } = await openBuck(folder)
  const tailer = await connectTailer(buck, world)
  const packet = packetOf(1)
  await Promise.all([send(tailer, packet), send(tailer, packet, 'second'), send(tailer, packet, 'repair')])
  const { size } = await stat(`${folder}/${FILE}`)
  await send(tailer, packet)
  t.equal((await stat(`${folder}/${FILE}`)).size, size)
  t.equal(buck.status().packets, 1)
  await buck.close()
})

test('after a restart inventory, words and fetch are the same, and the log id is another one', async t => {
  const folders = [testFolder(t, { a: {}, b: {} })].flatMap(root => [`${root}/a`, `${root}/b`])
  const { buck, world } = await openBuck(folders)
  const porter = connect(buck, world, 'porter', PORTER)
  const packets = []
  for (const keys of [1, 2, 3, 4, 5, 6, 7, 8].map(keysOf)) {
    const tailer = await connectTailer(buck, world, { keys })
    for (let sequence = 1; sequence < 6; sequence++) {
      const packet = packetOf(sequence, { keys })
      packets.push(packet)
      await send(tailer, packet)
    }
    await tailer.ask('manifest', { manifest: manifestOf({ keys }) })
  }
  const before = await inventory(porter)
  const { logId } = buck.status()
  await buck.close()

  const again = await openBuck(folders, {}, world)
  const porterAgain = connect(again.buck, world, 'porter', PORTER)
  const sorted = (answer: Asks['inventory']['answer']) => ({
    tailers: [...answer.tailers].sort((a, b) => (a.tailer < b.tailer ? -1 : 1)),
    manifests: answer.manifests.map(manifest => manifest.signature.toString('hex')).sort(),
  })
  t.same(sorted(await inventory(porterAgain)), sorted(before))
  t.equal((await fetchTexts(porterAgain, ...packets)).length, 40)
  t.not(again.buck.status().logId, logId)
  const used = await Promise.all(folders.map((folder, i) => readdir(`${folder}/buckets/${i}`)))
  t.ok(
    used.every(names => names.length === 1),
    'both disks are used',
  )
  await again.buck.close()
})

test('a torn end and a damaged middle are named at start; whole packets are served, missing ones are wanted', async t => {
  const folder = testFolder(t)
  const { buck, world } = await openBuck(folder)
  const packets = [1, 2, 3, 4].map(sequence => packetOf(sequence))
  const tailer = await connectTailer(buck, world)
  for (const packet of packets) await send(tailer, packet)
  await buck.close()

  const path = `${folder}/${FILE}`
  const bytes = await readFile(path)
  const second = bytes.indexOf(packets[1].bytes)
  bytes[second + 130] ^= 0x10
  await writeFile(path, bytes)
  await truncate(path, bytes.length - 5)

  const again = await openBuck(folder, {}, world)
  const status = again.buck.status()
  t.equal(status.packets, 2)
  t.equal(status.damaged, 2)
  t.equal(status.torn, 1)
  t.match(status.damages, [
    { path, position: second - 20, reason: /checksum/, torn: false },
    { path, torn: true },
  ])
  const back = await connectTailer(again.buck, world)
  const { body } = await back.ask('offer', { bucket: BUCKET, runs: [runOf(...packets)] })
  t.same(
    body.want.map(one => one.sequence),
    [2, 4],
  )
  await send(back, packets[1], 'repair')
  await send(back, packets[3], 'repair')
  await again.buck.close()
  const third = await openBuck(folder, {}, world)
  t.equal(third.buck.status().packets, 4)
  await third.buck.close()

  const read: string[] = []
  for await (const item of readBuckFolder(world.disk, folder)) read.push(item.kind)
  t.same(read.sort(), ['damage', 'damage', 'packet', 'packet', 'packet', 'packet'])
})

test('damage that is found while serving makes the packet "not held", is named, and is announced as a change', async t => {
  const folder = testFolder(t)
  const { buck, world } = await openBuck(folder)
  const tailer = await connectTailer(buck, world)
  const porter = connect(buck, world, 'porter', PORTER)
  const packets = [packetOf(1), packetOf(2)]
  for (const packet of packets) await send(tailer, packet)
  const { body: seen } = await porter.ask('changes', { logId: '', after: 0, waitMs: 0 })

  const path = `${folder}/${FILE}`
  const bytes = await readFile(path)
  bytes[bytes.length - 1] ^= 1
  await writeFile(path, bytes)
  t.same(await fetchTexts(porter, ...packets), [1])
  t.match(buck.status(), { damaged: 1, packets: 1, damages: [{ path, reason: /checksum/ }] })
  const { body: changes } = await porter.ask('changes', { logId: seen.logId, after: seen.number, waitMs: 0 })
  t.same(changes.buckets, [BUCKET])
  await send(tailer, packets[1], 'repair')
  t.same(await fetchTexts(porter, ...packets), [1, 2])
  await buck.close()
})

test('one id with two contents: both are stored, listed, fetched and counted, also after a restart', async t => {
  const folder = testFolder(t)
  const { buck, world } = await openBuck(folder)
  const tailer = await connectTailer(buck, world)
  const one = packetOf(1, { text: 'this\n' })
  const other = packetOf(1, { text: 'that\n' })
  await send(tailer, one)
  const offered = await tailer.ask('offer', { bucket: BUCKET, runs: [runOf(other)] })
  t.same(offered.body.want, [{ epoch: EPOCH, sequence: 1 }], 'another sum is not held')
  await send(tailer, other)
  t.equal(buck.status().sameIdOtherContent, 1)
  await buck.close()
  const again = await openBuck(folder, {}, world)
  t.equal(again.buck.status().sameIdOtherContent, 1)
  const porter = connect(again.buck, world, 'porter', PORTER)
  const { tailers } = await inventory(porter)
  t.same(
    tailers[0].runs.map(run => run.sums.toString('hex')).sort(),
    [one, other].map(packet => packet.header.id.sum).sort(),
  )
  t.same(await fetchTexts(porter, one, other), [1, 1])
  await again.buck.close()
})

test('what is archived is not wanted, also by id and sum after a restart; its file goes, its sources stay', async t => {
  const folder = testFolder(t)
  const { buck, world } = await openBuck(folder, { dropArchived: true })
  const told: unknown[] = []
  const server = (async (type, body) => {
    told.push([type, body])
    return { body: {} }
  }) as Server
  const tailer = await connectTailer(buck, world, { server })
  const porter = connect(buck, world, 'porter', PORTER)
  const packets = [packetOf(1, { from: 0, text: 'the first line\n' }), packetOf(2, { from: 15, text: 'the last\n' })]
  const other = packetOf(2, { text: 'another content\n' })
  for (const packet of packets) await send(tailer, packet)
  await tailer.ask('manifest', { manifest: manifestOf() })
  await wordsArchived(buck, porter, await inventory(porter))
  await porter.ask('archived', { tailer: TAILER.id, runs: [runOf(...packets)] })
  await until('the tailer is told', () => told.length > 0)
  t.match(told, [['archived', { tailer: TAILER.id }]])
  const offered = await tailer.ask('offer', { bucket: BUCKET, runs: [runOf(...packets), runOf(other)] })
  t.same(
    offered.body.archived.map(one => one.sequence),
    [1, 2],
  )
  t.same(
    offered.body.want.map(one => one.sequence),
    [2],
  )

  await world.clock.pass(2_000)
  t.match(buck.status(), { packets: 0, bytes: 0, archivedKnown: 2 })
  t.same(await readdir(`${folder}/buckets/0`), [])
  await send(tailer, packets[0], 'repair')
  t.equal(buck.status().packets, 0, 'archived already: acknowledged, not stored')
  await buck.close()

  const again = await openBuck(folder, { dropArchived: true }, world)
  const back = connect(again.buck, world, 'tailer')
  const { body } = await back.ask('open', {
    epoch: EPOCH_2,
    last: 0,
    former: [],
    machine: 'm1',
    host: 'web1',
    wantSources: true,
  })
  t.match(body.sources, [
    {
      tailer: TAILER.id,
      machine: 'm1',
      path: '/log/a',
      to: 24,
      ranges: [[0, 24]],
      head: Buffer.from('the first line\n'),
      tail: Buffer.from('the last\n'),
    },
  ])
  const reoffered = await back.ask('offer', { bucket: BUCKET, runs: [runOf(...packets)] })
  t.same(reoffered.body, { want: [], archived: [1, 2].map(sequence => ({ epoch: EPOCH, sequence })) })
  await again.buck.close()
})

test('an archived copy is kept for its time unless it may be dropped; prune drops it, but nothing that is not archived', async t => {
  const { buck, world } = await openBuck(testFolder(t), { keepSeconds: 20 })
  const tailer = await connectTailer(buck, world)
  const porter = connect(buck, world, 'porter', PORTER)
  const [old, mixed, kept] = [packetOf(1), packetOf(2, { bucket: BUCKET + 10 }), packetOf(3, { bucket: BUCKET + 10 })]
  const late = packetOf(4, { bucket: BUCKET + 20 })
  for (const packet of [old, mixed, kept, late]) await send(tailer, packet)
  await porter.ask('archived', { tailer: TAILER.id, runs: [runOf(old, mixed)] })
  await porter.ask('archived', { tailer: TAILER.id, runs: [runOf(late)] })
  await world.clock.pass(10_000)
  t.equal(buck.status().packets, 4)
  await world.clock.pass(15_000)
  t.equal(buck.status().packets, 3, 'the first bucket is over its time')
  const { body } = await porter.ask('prune', { before: BUCKET + 1000 })
  t.equal(body.packets, 1)
  t.ok(body.bytes > 0)
  t.same((await inventory(porter, BUCKET + 10)).tailers[0].runs, [runOf(mixed, kept)])
  await buck.close()
})

test('a manifest that came after the inventory was read keeps its file', async t => {
  const { buck, world } = await openBuck(testFolder(t), { dropArchived: true })
  const tailer = await connectTailer(buck, world)
  const porter = connect(buck, world, 'porter', PORTER)
  const packet = packetOf(1)
  await send(tailer, packet)
  const before = await inventory(porter)
  await tailer.ask('manifest', { manifest: manifestOf() })
  await porter.ask('archived', { tailer: TAILER.id, runs: [runOf(packet)] })
  await wordsArchived(buck, porter, before)
  await world.clock.pass(3_000)
  const after = await inventory(porter)
  t.equal(after.manifests.length, 1)
  await wordsArchived(buck, porter, after)
  await world.clock.pass(2_000)
  t.equal(buck.status().packets, 0)
  await buck.close()
})

test('a file with words only stays, however old, until a porter has archived them; so after a restart', async t => {
  const folder = testFolder(t)
  const gaveUp = [{ source: 'ab', host: 'web1', path: '/log/a', from: 0, to: 9, reason: 'gone', kind: 'hole' as const }]
  const { buck, world } = await openBuck(folder, { keepSeconds: 20 })
  const tailer = await connectTailer(buck, world)
  await tailer.ask('manifest', { manifest: manifestOf({ first: 0, last: 0, gaveUp }) })
  await world.clock.pass(60_000)
  const later = Math.floor(world.clock.now() / 1000)
  await send(tailer, packetOf(1, { bucket: later })) // the clock is right
  await world.clock.pass(3_000)
  const porter = connect(buck, world, 'porter', PORTER)
  t.equal((await porter.ask('prune', { before: later })).body.bytes, 0)
  t.equal((await inventory(porter)).manifests.length, 1)
  await buck.close()

  const again = await openBuck(folder, { dropArchived: true }, world)
  const back = connect(again.buck, world, 'porter', PORTER)
  await world.clock.pass(3_000)
  const read = await inventory(back)
  t.equal(read.manifests.length, 1)
  await wordsArchived(buck, back, read)
  await world.clock.pass(3_000)
  t.equal((await inventory(back)).manifests.length, 1, 'what was read of a former life does not count')
  await wordsArchived(again.buck, back, read)
  await world.clock.pass(3_000)
  t.equal(again.buck.status().buckets, 1)
  t.equal((await inventory(back)).manifests.length, 0)
  await again.buck.close()
})

test('an inventory too long for one message is read in pages, and is the same whole', async t => {
  const folder = testFolder(t)
  const { buck, world } = await openBuck(folder, { pageBytes: 400 })
  const porter = connect(buck, world, 'porter', PORTER)
  for (const keys of [1, 2, 3].map(keysOf)) {
    const tailer = await connectTailer(buck, world, { keys })
    // Every third is missing, as with three bucks; one has two contents.
    for (let n = 1; n < 40; n++) if (n % 3 > 0) await send(tailer, packetOf(n, { keys }))
    await send(tailer, packetOf(20, { keys, text: 'another content\n' }))
    for (let n = 1; n < 4; n++) await tailer.ask('manifest', { manifest: manifestOf({ keys, first: n, last: n }) })
  }
  let pages = 0
  const counted: Pick<Link, 'ask'> = {
    ask: (...asked) => {
      pages++
      return porter.ask(...asked)
    },
  }
  const paged = await readInventory(counted, BUCKET, 1000)
  t.ok(pages > 10, `${pages} pages`)
  await buck.close()

  const other = await openBuck(folder, {}, world)
  const whole = await readInventory(connect(other.buck, world, 'porter', PORTER), BUCKET, 1000)
  const told = ({ tailers, manifests }: typeof whole) => ({
    ids: tailers.flatMap(({ tailer, runs }) =>
      runs.flatMap(run => [...idsOfRun(run)].map(id => `${tailer} ${id.sequence} ${id.sum}`)),
    ),
    manifests: manifests.map(manifest => manifest.signature.toString('hex')),
  })
  t.same(told(paged).ids.sort(), told(whole).ids.sort())
  t.same(told(paged).manifests, told(whole).manifests)
  t.equal(told(whole).ids.length, 3 * 27)
  await other.buck.close()
})

test('buckets of 1970 and 2036 are accepted, and their age counts from their arrival', async t => {
  const { buck, world } = await openBuck(testFolder(t), { keepSeconds: 20 })
  const tailer = await connectTailer(buck, world)
  const porter = connect(buck, world, 'porter', PORTER)
  const packets = [packetOf(1, { bucket: 10 }), packetOf(2, { bucket: 2_082_758_400 })]
  for (const packet of packets) await send(tailer, packet)
  await porter.ask('archived', { tailer: TAILER.id, runs: [runOf(...packets)] })
  t.same((await porter.ask('prune', { before: BUCKET - 86_400 })).body, { packets: 0, bytes: 0 })
  await world.clock.pass(10_000)
  t.equal(buck.status().packets, 2)
  // Somebody who says what time it is.
  await send(tailer, packetOf(3))
  await world.clock.pass(15_000)
  t.equal(buck.status().packets, 1)
  await buck.close()
})

test('a wall clock that stepped, or that no tailer confirms, drops nothing by age', async t => {
  const folder = testFolder(t)
  const { buck, world } = await openBuck(folder, { keepSeconds: 3600 })
  const tailer = await connectTailer(buck, world)
  const porter = connect(buck, world, 'porter', PORTER)
  const [first, second] = [packetOf(1), packetOf(2)]
  await send(tailer, first)
  await send(tailer, second)
  await porter.ask('archived', { tailer: TAILER.id, runs: [runOf(first, second)] })
  world.clock.step(10 * 365 * 86_400_000)
  await world.clock.pass(5_000)
  t.equal(buck.status().packets, 2, 'ten years ahead')
  await buck.close()

  const again = await openBuck(folder, { keepSeconds: 3600 }, world)
  await world.clock.pass(5_000)
  t.equal(again.buck.status().packets, 2, 'started with a wrong clock')
  const back = await connectTailer(again.buck, world)
  await send(back, packetOf(3, { bucket: Math.floor(world.clock.now() / 1000) }))
  await world.clock.pass(2_000)
  t.equal(again.buck.status().packets, 1, 'a tailer says that it is so late')
  await again.buck.close()
})

test('changes tell each bucket that grew once, wait for growth, and answer a cursor of another start with everything', async t => {
  const folder = testFolder(t)
  const { buck, world } = await openBuck(folder)
  const tailer = await connectTailer(buck, world)
  const porter = connect(buck, world, 'porter', PORTER)
  const changes = async (link: Link, logId: string, after: number, waitMs = 0) =>
    (await link.ask('changes', { logId, after, waitMs }, undefined, 60_000)).body
  const start = await changes(porter, 'no such log', 0)
  t.same(start.buckets, [])
  const waiting = changes(porter, start.logId, start.number, 30_000)
  for (let sequence = 1; sequence < 5; sequence++) await send(tailer, packetOf(sequence))
  t.same((await waiting).buckets, [BUCKET])
  await send(tailer, packetOf(5, { bucket: BUCKET + 10 }))
  const all = await changes(porter, start.logId, start.number)
  t.same(all.buckets, [BUCKET, BUCKET + 10])
  t.same((await changes(porter, start.logId, all.number)).buckets, [])
  t.same((await changes(porter, start.logId, all.number + 1000)).buckets, [BUCKET, BUCKET + 10], 'not our number')
  const timedOut = changes(porter, start.logId, all.number, 999_999)
  await world.clock.pass(31_000)
  t.same(await timedOut, { logId: start.logId, number: all.number, buckets: [] })
  await buck.close()

  const again = await openBuck(folder, {}, world)
  const link = connect(again.buck, world, 'porter', PORTER)
  const restarted = await changes(link, all.logId, all.number)
  t.not(restarted.logId, all.logId)
  t.same(restarted.buckets, [BUCKET, BUCKET + 10])
  await again.buck.close()
})

test('manifests: forged and foreign ones are refused, several of one bucket are kept, the same one once', async t => {
  const { buck, world } = await openBuck(testFolder(t))
  const tailer = await connectTailer(buck, world)
  const porter = connect(buck, world, 'porter', PORTER)
  const manifest = manifestOf()
  await Promise.all([tailer.ask('manifest', { manifest }), tailer.ask('manifest', { manifest })])
  await tailer.ask('manifest', { manifest })
  await tailer.ask('manifest', { manifest: manifestOf({ first: 4, last: 5 }) })
  await t.rejects(tailer.ask('manifest', { manifest: { ...manifest, last: 99 } }), { code: 'bad-request' })
  await t.rejects(tailer.ask('manifest', { manifest: manifestOf({ keys: OTHER_TAILER }) }), { code: 'forbidden' })
  const impostor = { ...manifestOf({ keys: OTHER_TAILER }), tailer: TAILER.id }
  await t.rejects(tailer.ask('manifest', { manifest: impostor }), { code: 'bad-request' })
  const { manifests } = await inventory(porter)
  t.same(
    manifests.map(one => one.last),
    [3, 5],
  )
  await buck.close()
})

test('a clone is refused while the first answers; a silent first link is closed; the same epoch replaces at once', async t => {
  const { buck, world } = await openBuck(testFolder(t))
  const opening = (epoch: string) => ({
    epoch,
    last: 0,
    former: [],
    machine: 'm1',
    host: 'web1',
    wantSources: false,
  })
  const alive = await connectTailer(buck, world, { epoch: EPOCH })
  const clone = connect(buck, world, 'tailer')
  await t.rejects(clone.ask('open', opening(EPOCH_2)), { code: 'clone' })
  await t.rejects(send(clone, packetOf(1)), { code: 'bad-request' }, 'no packets without an opening')
  await send(alive, packetOf(1))

  const sameEpoch = connect(buck, world, 'tailer', TAILER, (() => new Promise(() => undefined)) as Server)
  await sameEpoch.ask('open', opening(EPOCH))
  await alive.closed
  t.pass('a connection of the same epoch replaces the former')

  const restarted = connect(buck, world, 'tailer')
  const opened = restarted.ask('open', opening(EPOCH_2))
  await world.clock.pass(4_000)
  await opened
  await sameEpoch.closed
  await send(restarted, packetOf(1, { epoch: EPOCH_2 }))
  t.match(buck.status(), { clones: 1, connectedTailers: 1 })
  await buck.close()
})

test('an opening is told what is here beyond its statement, and of a higher sequence in its own epoch', async t => {
  const { buck, world } = await openBuck(testFolder(t))
  const tailer = await connectTailer(buck, world)
  const packets = [1, 2, 3, 4].map(sequence => packetOf(sequence))
  for (const packet of packets) await send(tailer, packet)
  const porter = connect(buck, world, 'porter', PORTER)
  await porter.ask('archived', { tailer: TAILER.id, runs: [runOf(packets[2])] })
  tailer.close('power cut')
  const back = connect(buck, world, 'tailer')
  const open = { machine: 'm1', host: 'web1', wantSources: false }
  const { body } = await back.ask('open', { ...open, epoch: EPOCH_2, last: 0, former: [{ epoch: EPOCH, last: 1 }] })
  t.same(body, {
    beyond: packets.slice(1).map(packet => ({ ...packet.header.id, bucket: BUCKET })),
    formerHighest: [{ epoch: EPOCH, highest: 4 }],
    sources: [],
  })
  t.same(await fetchTexts(back, packets[1], packets[3]), [2, 4], 'and may fetch it')
  await t.rejects(fetchTexts(back, packetOf(1, { keys: OTHER_TAILER })), { code: 'forbidden' })
  const rolledBack = connect(buck, world, 'tailer')
  const { body: higher } = await rolledBack.ask('open', { ...open, epoch: EPOCH_2, last: 0, former: [] })
  t.equal(higher.higher, undefined)
  back.close('done')
  await send(rolledBack, packetOf(7, { epoch: EPOCH_2 }))
  const older = await rolledBack.ask('open', { ...open, epoch: EPOCH_2, last: 5, former: [] })
  t.equal(older.body.higher, 7)
  await buck.close()
})

test('a want reaches a connected tailer at once, an absent one at its next opening; gone is kept and not asked again', async t => {
  const folder = testFolder(t)
  const { buck, world } = await openBuck(folder)
  const porter = connect(buck, world, 'porter', PORTER)
  const asked: number[][] = []
  const server = (async (type: string, body: { sequences: number[] }) => {
    if (type !== 'want') return { body: {} }
    asked.push(body.sequences)
    const forged = { ...goneOf(2), sequence: 3 }
    return { body: { gone: [goneOf(2), forged, goneOf(99), goneOf(4, OTHER_TAILER)] } }
  }) as unknown as Server
  const want = { tailer: TAILER.id, epoch: EPOCH, sequences: [2, 3, 4] }
  t.same((await porter.ask('want', want)).body.gone, [])
  t.equal(buck.status().wantsWaiting, 3)
  const tailer = await connectTailer(buck, world, { server })
  const changed = async () => (await porter.ask('changes', { logId: '', after: 0, waitMs: 0 })).body.buckets
  await until('what the tailer answered is kept', async () => (await changed()).length > 0)
  t.same(asked, [[2, 3, 4]])
  t.equal(buck.status().wantsWaiting, 0)
  const { gone } = (await porter.ask('want', want)).body
  t.same(
    gone.map(one => one.sequence),
    [2],
    'forged, foreign and unasked ones do not count',
  )
  t.same(asked.at(-1), [3, 4])
  t.same(
    (await inventory(porter)).gone.map(one => one.sequence),
    [2],
  )
  tailer.close('gone')
  await buck.close()
  const again = await openBuck(folder, {}, world)
  const link = connect(again.buck, world, 'porter', PORTER)
  t.same(
    (await link.ask('want', want)).body.gone.map(one => one.sequence),
    [2],
  )
  await again.buck.close()
})

test('fetch answers at most FETCH_BYTES_MAX, and at least one packet', async t => {
  const { buck, world } = await openBuck(testFolder(t))
  const tailer = await connectTailer(buck, world)
  const porter = connect(buck, world, 'porter', PORTER)
  // Random digits do not compress to less than a third.
  const digits = (n: number) =>
    Array.from({ length: 60_000 }, (_, i) => Math.imul(i * 7919 + n, 2654435761) >>> 0).join('')
  const packets = Array.from({ length: 30 }, (_, i) => packetOf(i + 1, { text: digits(i).slice(0, 65_000) }))
  for (const packet of packets) await send(tailer, packet)
  const { payload } = await porter.ask('fetch', { ids: packets.map(packet => packet.header.id) })
  t.ok(payload && payload.length <= FETCH_BYTES_MAX)
  t.equal([...decodePackets(payload!)].length, 30)
  await buck.close()
})

test('contacts name every tailer ever heard of, with report, machine and silence', async t => {
  const folder = testFolder(t)
  const { buck, world } = await openBuck(folder)
  const tailer = await connectTailer(buck, world)
  await send(tailer, packetOf(1))
  const report = {
    host: 'web1',
    epoch: EPOCH,
    bucketSeconds: 10,
    sources: [{ source: 'ab', path: '/log/a', start: 0, size: 10, read: 5 }],
    underReplicatedPackets: 1,
    underReplicatedBytes: 5,
  }
  t.same((await tailer.ask('report', report)).body, {})
  await world.clock.pass(5_000)
  const porter = connect(buck, world, 'porter', PORTER)
  const { body } = await porter.ask('contacts', {})
  t.match(body.tailers, [{ tailer: TAILER.id, machine: 'm1', report, connected: true, silentMs: 5_000 }])
  t.match(await readSources(porter, 1000), [{ path: '/log/a', host: 'web1', app: 'nginx', to: 107 }])
  const bare = await porter.ask('contacts', { withoutReports: true })
  t.equal(bare.body.tailers[0].report, undefined)
  await buck.close()
  const again = await openBuck(folder, {}, world)
  const link = connect(again.buck, world, 'porter', PORTER)
  t.match((await link.ask('contacts', {})).body.tailers, [{ tailer: TAILER.id, machine: 'm1', connected: false }])
  await again.buck.close()
})

test('contacts and sources too long for one message go in pages', async t => {
  const { buck, world } = await openBuck(testFolder(t), { pageBytes: 1000 })
  const sources: string[] = []
  for (const keys of [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12].map(keysOf)) {
    const tailer = await connectTailer(buck, world, { keys })
    const source = keys.id.slice(0, 20)
    sources.push(source)
    await send(tailer, packetOf(1, { keys, source }))
  }
  const porter = connect(buck, world, 'porter', PORTER)
  t.ok((await porter.ask('contacts', {})).body.next)
  t.ok((await porter.ask('sources', {})).body.next)
  t.equal(new Set((await readContacts(porter, 1000)).map(({ tailer }) => tailer)).size, 12)
  t.same(
    (await readSources(porter, 1000)).map(({ source }) => source),
    sources,
  )
  await buck.close()
})

test('an opening is told the newest source of each path first, and no more than one answer holds', async t => {
  const table = new SourceTable()
  const record = (source: string, path: string) => ({
    ...{ source, tailer: TAILER.id, machine: 'm1', host: 'web1', path, app: 'nginx', dev: 0, ino: 0, start: 0, to: 9 },
    ...{ head: Buffer.alloc(256), tail: Buffer.alloc(256) },
  })
  for (const source of ['a1', 'a2', 'a3']) table.restore(record(source, '/log/a'))
  table.restore(record('b1', '/log/b'))
  table.restore(record('a4', '/log/a'))
  const told = async (bounds?: { records: number; bytes: number }) =>
    (await table.recordsOf({ tailer: TAILER.id, machine: '' }, async () => undefined, bounds)).map(one => one.source)
  t.same(await told(), ['a4', 'b1', 'a3', 'a2', 'a1'])
  t.same(await told({ records: 3, bytes: 10_000 }), ['a4', 'b1', 'a3'])
  t.same(await told({ records: 5, bytes: 2_000 }), ['a4', 'b1'])
})
