import { test } from 'tap'
import type { Link, Reply } from '../shared/link.ts'
import type { Asks } from '../shared/messages.ts'
import { testFolder } from '../shared/test-folder.test-support.ts'
import { SmallSite } from '../test/small-site.test-support.ts'
import { FolderHolder } from './folder-holder.ts'
import { type LedgerHolder, LedgerReader } from './ledger.ts'

test('the ledger knows what bucks, index and archive hold, and names a buck that cannot be asked', async t => {
  const folder = testFolder(t)
  const site = await SmallSite.start(folder, { bucks: 3 })
  t.teardown(() => site.close())
  const packets = [1, 2, 3].map(n => site.pack([{ text: `line ${n}` }]))
  for (const packet of packets) await site.send(packet, [0, 1])
  const ledger = new LedgerReader(() => site.holders(), site)

  const before = await ledger.read()
  t.match(before, { openHoles: 0, unreachable: [] })
  t.match(before.buckets, [{ packets: 3, missing: 0, state: 'waiting' }])

  await site.index.add(packets, { manifests: [], gone: [] })
  t.match((await ledger.read()).rows, [{ path: '/var/log/shop.log', indexed: 21, archived: 0, lines: 3 }])
  await site.archive.add(packets, { manifests: [], gone: [] })
  t.match((await ledger.read()).rows, [{ indexed: 21, archived: 21, state: 'complete' }])

  // Only what grew is asked for again: new packets are seen.
  await site.write([{ text: 'line 4' }], [1, 2])
  t.match((await ledger.read()).buckets, [{ packets: 4 }])
  await site.stopBuck(2)
  const after = await ledger.read()
  t.match(after.unreachable, [/^buck2: not reachable/])
  t.match(after.buckets, [{ packets: 4 }])
  const [one, two] = await Promise.all([ledger.read(), ledger.read()])
  t.equal(one, two, 'who asks at the same time shares the answer')
})

test('what a buck dropped counts as held no more; forged words and answers that are none count for nothing', async t => {
  const site = await SmallSite.start(testFolder(t), { bucks: 1 })
  t.teardown(() => site.close())
  await site.send(site.pack([{ text: 'line 1' }], 1_772_323_200), [0, 0])
  await site.send(site.pack([{ text: 'line 2' }], 1_772_323_210), [0, 0])
  const holder = site.holders()[0].holder as Link
  const dropped = new Set<number>()
  let isMad = false
  const ask = (async (...asked: Parameters<Link['ask']>) => {
    const { body } = (await holder.ask(...asked)) as Reply<unknown>
    if (isMad) return { body: null }
    const [type] = asked
    if (type === 'changes') {
      const changes = body as Asks['changes']['answer']
      return { body: { ...changes, buckets: changes.buckets.filter(bucket => !dropped.has(bucket)) } }
    }
    if (type !== 'inventory') return { body }
    const forged = { tailer: site.keys.id, epoch: site.epoch, sequence: 2, signature: Buffer.alloc(64) }
    return { body: { ...(body as Asks['inventory']['answer']), gone: [forged, null], manifests: [{ last: 9 }] } }
  }) as LedgerHolder['ask']
  const ledger = new LedgerReader(() => [{ name: 'buck0', holder: { ask } }], site)
  t.match((await ledger.read()).buckets, [{ packets: 1 }, { packets: 1 }])
  dropped.add(1_772_323_200)
  const after = await ledger.read()
  t.match(after, { unreachable: [] })
  t.same(
    after.buckets.map(({ bucket }) => bucket),
    [1_772_323_210],
  )
  isMad = true
  t.match((await ledger.read()).unreachable, [/^buck0: .*not of its form/])
})

test('the folders of bucks that do not run give the same figures', async t => {
  const folder = testFolder(t)
  const site = await SmallSite.start(folder, { bucks: 2 })
  for (let i = 0; i < 20; i++) await site.send(site.pack([{ text: `line ${i}` }], 1_772_323_200 + (i % 4) * 10))
  const online = await new LedgerReader(() => site.holders(), site).read()
  await site.close()
  const damages: unknown[] = []
  const holders = await Promise.all(
    ['buck0', 'buck1'].map(async name => ({
      name,
      holder: await FolderHolder.open(site.world.disk, `${folder}/${name}`, damage => damages.push(damage)),
    })),
  )
  const offline = await new LedgerReader(() => holders, site).read()
  t.same(damages, [])
  const figures = ({ buckets }: typeof online) =>
    buckets.map(({ bucket, packets, missing }) => [bucket, packets, missing])
  t.same(figures(offline), figures(online))
  t.equal(offline.buckets.length, 4)
})
