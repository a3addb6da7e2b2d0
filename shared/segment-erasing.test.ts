import { test } from 'tap'
import { FolderStore } from './folder-store.ts'
import { NO_WORDS, openStore, world } from './objects.test-support.ts'
import { seededRandom, testSeed } from './packets.test-support.ts'
import { parseQuery } from './query.ts'
import { all, ids, picture, randomPackets } from './stores.contract.ts'

test('what is erased is gone for good, all else is as it was, and nothing brings it back', async t => {
  const seed = testSeed('ERASE_SEED')
  t.comment(`ERASE_SEED=${seed}`)
  const folder = t.testdir()
  const objects = new FolderStore(world.disk, folder)
  const store = await openStore(objects, { blockBytes: 300 })
  const packets = randomPackets(seededRandom(seed), 60)
  for (let at = 0; at < packets.length; at += 8) await store.add(packets.slice(at, at + 8), NO_WORDS)
  const before = await all(store, { order: 'offset' })
  // Of its own sources, and of lines that name it although another host sent them.
  const isGone = ({ host }: { host: string }) => host === 'relayed1' || host === 'web1'
  let erased = 0
  for (const host of ['relayed1', 'web1']) {
    erased += (await store.erase({ query: parseQuery(''), host })).events
  }
  t.equal(erased, before.filter(isGone).length)
  t.ok(erased > 0)
  const other = await openStore(objects)
  for (const handle of [store, other]) {
    t.same(
      await all(handle, { order: 'offset' }),
      before.filter(event => !isGone(event)),
    )
  }
  t.same(await store.lacking(ids(packets)), [])
  t.match(await store.add(packets, NO_WORDS), { packets: 0, events: 0 })
  t.same(await store.erase({ query: parseQuery(''), host: 'web1' }), { segments: 0, events: 0 })
  const left = await picture(store)
  await store.tidy()
  t.same(await picture(store), left)
})

test('a segment of which nothing is left keeps the ids of its packets', async t => {
  const objects = new FolderStore(world.disk, t.testdir())
  const store = await openStore(objects)
  const packets = randomPackets(seededRandom(1), 10)
  await store.add(packets, NO_WORDS)
  const { events } = await store.erase({ query: parseQuery('') })
  t.equal(
    events,
    packets.reduce((sum, { header }) => sum + header.events, 0),
  )
  t.same(await all(await openStore(objects)), [])
  t.same(await (await openStore(objects)).lacking(ids(packets)), [])
})
