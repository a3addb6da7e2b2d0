import { test } from 'tap'
import type { FoundEvent } from '../shared/events.ts'
import { parseQuery } from '../shared/query.ts'
import { COMPARE } from '../shared/search/event-order.ts'
import { Tally } from '../shared/search/tally.ts'
import { type Damage, type SearchRequest, type SummaryRequest, TOP_FIELDS } from '../shared/stores.ts'
import { testFolder } from '../shared/test-folder.test-support.ts'
import { SmallSite } from '../test/small-site.test-support.ts'
import { FolderHolder } from './folder-holder.ts'
import { FreshSource, type NamedHolder, type PacketHolder } from './fresh-source.ts'
import { searchFresh, searchRecent } from './search.ts'
import { summariseRecent } from './sums.ts'

async function collect(events: AsyncIterable<FoundEvent>): Promise<FoundEvent[]> {
  const all: FoundEvent[] = []
  for await (const event of events) all.push(event)
  return all
}

/** mulberry32: small, seeded, good enough to choose with. */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let x = Math.imul(state ^ (state >>> 15), 1 | state)
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x
    return ((x ^ (x >>> 14)) >>> 0) / 2 ** 32
  }
}

test('whatever part is indexed and whatever only bucks hold, every line is found once and in order', async t => {
  const seed = Number(process.env.SEARCH_SEED ?? Math.floor(Math.random() * 2 ** 31))
  t.comment(`SEARCH_SEED=${seed}`)
  const random = randomFrom(seed)
  const site = await SmallSite.start(testFolder(t), { bucks: 3 })
  t.teardown(() => site.close())

  const startMs = Date.parse('2026-03-01T00:00:00Z')
  let lines = 0
  for (let p = 0; p < 60; p++) {
    const count = Math.floor(random() * 20)
    const packet = site.pack(
      Array.from({ length: count + 1 }, () => ({
        text: `line ${lines++} ${random() < 0.3 ? 'rare' : 'common'}`,
        app: `app${Math.floor(p / 7) % 4}`,
        host: `web${p % 3}`,
        timeMs: startMs + Math.floor(random() * 5) * 1000 + p * 100,
      })),
      1_772_323_200 + Math.floor(p / 10) * 10,
    )
    const fate = random()
    if (fate < 0.6) await site.send(packet)
    // Held by bucks and indexed: while a porter works, most packets are.
    else if (fate < 0.8) {
      await site.send(packet)
      await site.index.add([packet], { manifests: [], gone: [] })
    } else await site.index.add([packet], { manifests: [], gone: [] })
  }

  const fresh = new FreshSource(() => site.holders(), site.index, site.world)
  const search = async (request: Partial<SearchRequest>) => {
    const damages: Damage[] = []
    const asked: SearchRequest = { query: parseQuery(''), order: 'oldest', ...request }
    const found = await collect(searchRecent({ index: site.index, fresh }, asked, damage => damages.push(damage)))
    t.same(damages, [])
    return found
  }
  const all = await search({})
  t.equal(all.length, lines)
  t.equal(new Set(all.map(event => event.id)).size, lines)

  for (const order of ['oldest', 'newest', 'offset'] as const) {
    const expected = all.toSorted(COMPARE[order]).map(event => event.id)
    t.same(
      (await search({ order })).map(event => event.id),
      expected,
      order,
    )
    for (const limit of [1, 7, lines - 1]) {
      t.same(
        (await search({ order, limit })).map(event => event.id),
        expected.slice(0, limit),
        `${order}, ${limit}`,
      )
    }
  }
  const rare = all.filter(event => event.bytes.includes('rare')).map(event => event.id)
  t.same(
    (await search({ query: parseQuery('rare') })).map(event => event.id),
    rare,
  )
  const ofHost = all.filter(event => event.host === 'web1' && event.app === 'app2').map(event => event.id)
  t.same(
    (await search({ host: 'web1', app: 'app2' })).map(event => event.id),
    ofHost,
  )
  const [sinceNs, untilNs] = [all[20].timeNs, all[lines - 20].timeNs]
  const between = all.filter(event => event.timeNs >= sinceNs && event.timeNs < untilNs).map(event => event.id)
  t.same(
    (await search({ sinceNs, untilNs })).map(event => event.id),
    between,
  )

  for (const request of [{}, { query: parseQuery('rare') }, { sinceNs, untilNs }, { host: 'web1' }]) {
    const asked: SummaryRequest = { query: parseQuery(''), volume: true, tops: TOP_FIELDS, ...request }
    const tally = new Tally(asked)
    for (const event of await search(request)) tally.add(event)
    t.same(await summariseRecent({ index: site.index, fresh }, asked, () => undefined), tally.result())
  }
})

test('what is indexed meanwhile is not kept, and what is written meanwhile is found by the next search', async t => {
  const site = await SmallSite.start(testFolder(t), { bucks: 2 })
  t.teardown(() => site.close())
  const fresh = new FreshSource(() => site.holders(), site.index, site.world)
  const texts = async () => {
    const request: SearchRequest = { query: parseQuery(''), order: 'oldest' }
    const found = await collect(searchRecent({ index: site.index, fresh }, request, () => undefined))
    return found.map(event => event.bytes.toString())
  }
  const first = site.pack([{ text: 'one' }])
  await site.send(first)
  t.same(await texts(), ['one\n'])
  t.equal(fresh.counts().packets, 1)
  await site.index.add([first], { manifests: [], gone: [] })
  await site.write([{ text: 'two' }])
  t.same(await texts(), ['one\n', 'two\n'])
  await site.world.clock.sleep(1_100) // entries are compared with the index once a second
  t.same(await texts(), ['one\n', 'two\n'])
  t.equal(fresh.counts().packets, 1)
})

test('a buck that cannot be reached, hangs or sends garbage is named, and the others answer', async t => {
  const site = await SmallSite.start(testFolder(t), { bucks: 3 })
  t.teardown(() => site.close())
  await site.write([{ text: 'held by 0 and 1' }], [0, 1])
  await site.write([{ text: 'held by 1 only' }], [1])
  const hanging: PacketHolder = { ask: () => new Promise(() => undefined) }
  const lying: PacketHolder = {
    ask: async (type, body) => {
      const reply = await site.holders()[1].holder?.ask(type, body)
      return { body: reply?.body as never, payload: type === 'fetch' ? Buffer.from('garbage') : undefined }
    },
  }
  const cases: [string, PacketHolder | undefined, RegExp, string[]][] = [
    ['away', undefined, /not reachable/, ['held by 0 and 1\n']],
    ['lying', lying, /not given by buck1/, ['held by 0 and 1\n']],
    ['hanging', hanging, /has not answered yet/, ['held by 0 and 1\n']],
  ]
  for (const [name, holder, reason, expected] of cases) {
    const members = (): NamedHolder[] => [site.holders()[0], { name: 'buck1', holder }, site.holders()[2]]
    const fresh = new FreshSource(members, site.index, site.world)
    const damages: Damage[] = []
    const request: SearchRequest = { query: parseQuery(''), order: 'oldest' }
    const found = await collect(searchRecent({ index: site.index, fresh }, request, damage => damages.push(damage)))
    t.same(
      found.map(event => event.bytes.toString()),
      expected,
      name,
    )
    t.ok(
      damages.some(damage => reason.test(damage.reason)),
      `${name}: ${JSON.stringify(damages)}`,
    )
  }
})

test('bucket files in a folder are searched without a buck', async t => {
  const folder = testFolder(t)
  const site = await SmallSite.start(folder, { bucks: 2 })
  for (let i = 0; i < 200; i++) await site.send(site.pack([{ text: `line ${i}` }], 1_772_323_200 + i * 10))
  await site.close()
  const { world, index } = site
  const damages: Damage[] = []
  // Beside bucket files there are others, which hold no entries.
  await world.disk.replaceFile(`${folder}/buck0/identity.json`, Buffer.from('{"name":"x"}'.repeat(10)))
  const holders = await Promise.all(
    ['buck0', 'buck1'].map(async name => ({
      name,
      holder: await FolderHolder.open(world.disk, `${folder}/${name}`, damage => damages.push(damage)),
    })),
  )
  const fresh = new FreshSource(() => holders, index, world)
  const request: SearchRequest = { query: parseQuery(''), order: 'offset' }
  const found = await collect(searchRecent({ index, fresh }, request, damage => damages.push(damage)))
  t.same(damages, [])
  t.same(
    found.map(event => event.bytes.toString()),
    Array.from({ length: 200 }, (_, i) => `line ${i}\n`),
  )
  const spoilt = `${folder}/buck0/buckets/0/spoilt`
  await world.disk.replaceFile(spoilt, Buffer.alloc(1000, 'x'))
  await FolderHolder.open(world.disk, `${folder}/buck0`, damage => damages.push(damage))
  t.match(damages, [{ where: `${spoilt} at 0` }])
})

test('lines that are indexed and lie in a fresh packet of another epoch too are summed once', async t => {
  const site = await SmallSite.start(testFolder(t), { bucks: 2 })
  t.teardown(() => site.close())
  const startMs = Date.parse('2026-03-01T00:00:00Z')
  const line = (k: number) => ({ text: `line ${k}`, host: 'web1', timeMs: startMs + 1000 * k })
  const source = '0123456789abcdef0123'
  // Read again from line 40 on by a process that did not know that the index has up to line 100.
  const first = site.packAt(
    source,
    0,
    Array.from({ length: 100 }, (_, k) => line(k)),
  )
  const again = site.packAt(
    source,
    first.offsetOf(40),
    Array.from({ length: 90 }, (_, k) => line(40 + k)),
  )
  // Other bytes at an offset that is taken: a different event, counted too.
  const differs = site.packAt(source, first.offsetOf(7), [{ ...line(7), text: 'LINE 7' }])
  await site.index.add([first.packet], { manifests: [], gone: [] })
  await site.send(again.packet)
  await site.send(differs.packet)
  const fresh = new FreshSource(() => site.holders(), site.index, site.world)
  const requests = [
    {},
    { query: parseQuery('"line 9"') },
    { host: 'web1' },
    { sinceNs: BigInt(startMs + 60_000) * 1_000_000n },
    { source },
  ]
  for (const request of requests) {
    const asked: SummaryRequest = { query: parseQuery(''), volume: true, tops: TOP_FIELDS, ...request }
    const tally = new Tally(asked)
    const found: SearchRequest = { query: parseQuery(''), order: 'oldest', ...request }
    for await (const event of searchRecent({ index: site.index, fresh }, found, () => undefined)) tally.add(event)
    const sum = await summariseRecent({ index: site.index, fresh }, asked, () => undefined)
    t.same(sum, tally.result())
    if (Object.keys(request).length === 0) t.equal(sum.events, 131)
  }
})

test('while thousands of packets that lie in memory are searched, others are heard', async t => {
  const site = await SmallSite.start(testFolder(t), { bucks: 2 })
  t.teardown(() => site.close())
  for (let p = 0; p < 300; p++) await site.write(Array.from({ length: 20 }, (_, k) => ({ text: `line ${p} ${k}` })))
  const fresh = new FreshSource(() => site.holders(), site.index, site.world)
  const asked = { query: parseQuery('*ine 7*'), order: 'oldest' } as const
  // Once for what is read and opened.
  await collect(searchRecent({ index: site.index, fresh }, asked, () => undefined))
  let heard = 0
  const heartbeat = setInterval(() => heard++, 1)
  const startMs = performance.now()
  let turns = 0
  while (performance.now() - startMs < 500 || turns < 10) {
    for await (const _ of searchFresh(fresh, asked, () => undefined));
    turns++
  }
  clearInterval(heartbeat)
  t.ok(heard >= 2, `heard ${heard} times within ${turns} searches that waited for nothing`)
})
