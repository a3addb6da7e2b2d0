// The index in Elasticsearch when things go wrong: the server dies, is put back, is full, refuses, is behind a bad line.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { cp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Test, test } from 'tap'
import type { ElasticAccess } from '../../shared/elastic/connection.ts'
import { ElasticStore, type ElasticStoreOptions } from '../../shared/elastic/elastic-store.ts'
import { NO_WORDS, quiet } from '../../shared/objects.test-support.ts'
import type { Packet } from '../../shared/packet.ts'
import { BUCKET, seededRandom, sourceName, testManifest, testPacket } from '../../shared/packets.test-support.ts'
import { parseQuery } from '../../shared/query.ts'
import { realClock, realWorld } from '../../shared/real-world.ts'
import { all, ids, picture, randomPackets, texts } from '../../shared/stores.contract.ts'
import { type Elasticsearch, startElasticsearch } from './elasticsearch.ts'
import { temporaryFolder } from './engine-process.ts'
import { startFront } from './front.ts'

const DAY = 86_400
/** What starts the server anew takes its time: `npm run test:engines`. */
const IS_LONG = process.env.BUCKTAIL_TEST_LONG !== undefined
let places = 0

function place(t: Test, url: string, folder: string) {
  const environment = `trouble-${++places}`
  return (more: Partial<ElasticStoreOptions> = {}, access: Partial<ElasticAccess> = {}): ElasticStore => {
    const store = new ElasticStore({
      world: realWorld({ log: quiet }),
      access: { nodes: [url], ...access },
      environment,
      place: 'recent',
      rejectsFolder: join(folder, environment),
      ...more,
    })
    t.teardown(() => store.close())
    return store
  }
}

async function send(url: string, method: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
  const answer = await fetch(`${url}/${path}`, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  return (await answer.json()) as Record<string, unknown>
}

async function addAll(store: ElasticStore, packets: Packet[], size = 7): Promise<void> {
  for (let at = 0; at < packets.length; at += size) await store.add(packets.slice(at, at + size), NO_WORDS)
}

/** As a porter does: what is lacking is added, until nothing is. */
async function addUntilHeld(store: ElasticStore, packets: Packet[]): Promise<number> {
  for (let failures = 0; ; ) {
    try {
      const lacking = new Set((await store.lacking(ids(packets))).map(id => id.sum))
      const left = packets.filter(packet => lacking.has(packet.header.id.sum))
      if (left.length === 0) return failures
      await store.add(left, NO_WORDS)
    } catch (error) {
      if (++failures > 2000) throw error
      await sleep(100)
    }
  }
}

test('Elasticsearch in trouble', { timeout: 600_000 }, async t => {
  const engine = await startElasticsearch(t)
  if (!engine) return
  const folder = await temporaryFolder(t, 'rejects')
  if (IS_LONG) {
    await t.test('kill -9 in the middle of adding: everything is there once', t => killed(t, engine, folder))
    await t.test('the folder of an hour ago: exactly what came since is lacking', t => putBack(t, engine, folder))
  }
  await t.test('an index that is deleted is filled again, marks and all', t => deleted(t, engine, folder))
  await t.test('events that vanish beside their marks are wanted again', t => vanished(t, engine, folder))
  await t.test('one event in two days at the same moment is found once, and later is there once', t =>
    twoDays(t, engine, folder),
  )
  await t.test('a document that Elasticsearch refuses is in the rejects file, and can be sent again', t =>
    refused(t, engine, folder),
  )
  await t.test('one host is erased: its events are gone, nothing is missed, nothing brings them back', t =>
    erased(t, engine, folder),
  )
  await t.test('an index that is not ours is not written to', t => foreign(t, engine, folder))
  await t.test('a full disk: a clear word, and it goes on by itself', t => full(t, engine, folder))
  await t.test('wrong credentials: a clear word; right ones, over TLS, to the one of two nodes that lives', t =>
    guarded(t, engine, folder),
  )
  await t.test('busy, cut off, answers lost: all is there once', t => badLine(t, engine, folder))
  await t.test('a clock that is wrong deletes nothing', t => wrongClock(t, engine, folder))
})

async function killed(t: Test, engine: Elasticsearch, folder: string): Promise<void> {
  const open = place(t, engine.url, folder)
  const packets = randomPackets(seededRandom(1), 60)
  const twin = open({ patienceMs: 500 })
  const store = open({ patienceMs: 500 })
  const working = Promise.all([addUntilHeld(store, packets), addUntilHeld(twin, packets.toReversed())])
  for (const waitMs of [400, 900]) {
    await sleep(waitMs)
    await engine.kill()
    await sleep(700)
    await engine.start()
  }
  await working
  await isExactly(t, open(), packets)
}

async function isExactly(t: Test, store: ElasticStore, packets: Packet[]): Promise<void> {
  const found = await all(store)
  const expected = packets.reduce((sum, { header }) => sum + header.events, 0)
  t.equal(found.length, expected)
  t.equal(new Set(found.map(({ id }) => id)).size, expected)
  t.same(await store.lacking(ids(packets)), [])
  const totals = await store.totals()
  t.equal(
    totals.reduce((sum, { events }) => sum + events, 0),
    expected,
  )
  t.ok(totals.every(({ bytes, ranges }) => bytes === ranges.total))
}

async function deleted(t: Test, engine: Elasticsearch, folder: string): Promise<void> {
  const open = place(t, engine.url, folder)
  const store = open()
  const reader = open()
  const packets = randomPackets(seededRandom(2), 30)
  await addAll(store, packets)
  t.same(await reader.lacking(ids(packets)), [])
  const before = await picture(store)
  const day = new Date(BUCKET * 1000).toISOString().slice(0, 10).replaceAll('-', '.')
  await send(engine.url, 'DELETE', `${store.alias}-${day}`)
  const lost = packets.filter(({ header }) => header.bucket < BUCKET + DAY)
  for (const handle of [store, reader]) t.same(await handle.lacking(ids(packets)), ids(lost))
  await store.add(packets, NO_WORDS)
  t.same(await picture(reader), before)
  const mapping = await send(engine.url, 'GET', `${store.alias}-${day}/_mapping`)
  t.match(JSON.stringify(mapping), '"dynamic":"false"')
}

async function putBack(t: Test, engine: Elasticsearch, folder: string): Promise<void> {
  const open = place(t, engine.url, folder)
  const store = open()
  const packets = randomPackets(seededRandom(3), 30)
  await addAll(store, packets.slice(0, 15))
  const copy = join(folder, 'copy')
  await engine.kill()
  await cp(engine.dataFolder, copy, { recursive: true })
  await engine.start()
  await addAll(store, packets.slice(15))
  t.same(await store.lacking(ids(packets)), [])
  await engine.kill()
  await rm(engine.dataFolder, { recursive: true })
  await cp(copy, engine.dataFolder, { recursive: true })
  await engine.start()
  t.same(await store.lacking(ids(packets)), ids(packets.slice(15)))
  await store.add(packets, NO_WORDS)
  await isExactly(t, open(), packets)
}

async function vanished(t: Test, engine: Elasticsearch, folder: string): Promise<void> {
  const open = place(t, engine.url, folder)
  const store = open()
  const packets = randomPackets(seededRandom(4), 12)
  await addAll(store, packets)
  const victims = (await all(store, { order: 'offset' })).filter(({ sequence }) => sequence === 3 || sequence === 11)
  for (const { id, bucket } of victims) {
    const day = new Date((bucket as number) * 1000).toISOString().slice(0, 10).replaceAll('-', '.')
    await send(engine.url, 'DELETE', `${store.alias}-${day}/_doc/${id}?refresh=true`)
  }
  await store.tidy()
  const lacking = (await store.lacking(ids(packets))).map(({ sequence }) => sequence)
  t.same(
    lacking.sort((a, b) => a - b),
    [...new Set(victims.map(({ sequence }) => sequence))].sort((a, b) => Number(a) - Number(b)),
  )
  await store.add(packets, NO_WORDS)
  await isExactly(t, open(), packets)
}

async function twoDays(t: Test, engine: Elasticsearch, folder: string): Promise<void> {
  const open = place(t, engine.url, folder)
  const lines = ['aaaa\n', 'bbbb\n', 'cccc\n']
  // The times are in the lines: the same whenever they are read.
  const timed = lines.map((text, i) => ({ text, timeNs: BigInt(BUCKET + i) * 1_000_000_000n }))
  const first = testPacket([{ lines: timed }], { sequence: 1 })
  const anew = testPacket([{ lines: timed }], { epoch: '2-00000000000000bb', sequence: 1, bucket: BUCKET + 3 * DAY })
  // Both plan before either has written: the second one's documents wait behind a front.
  const front = await startFront(t, engine.url)
  const slow = open({}, { nodes: [front.url] })
  front.decide = request => (request.url?.includes('_bulk') ? { delayMs: 1500 } : undefined)
  await Promise.all([slow.add([anew], NO_WORDS), sleep(700).then(() => open().add([first], NO_WORDS))])
  t.same(texts(await all(open())), lines, 'found once at once')
  const { count } = await send(engine.url, 'GET', `${slow.alias}/_count`)
  t.equal(count, 6, 'although it is there twice')
  await open().tidy()
  t.equal((await send(engine.url, 'GET', `${slow.alias}/_count`)).count, 3)
  t.same(await open().lacking(ids([first, anew])), ids([anew]))
  await open().add([first, anew], NO_WORDS)
  t.same(texts(await all(open())), lines)
  t.same(await open().lacking(ids([first, anew])), [])
}

async function refused(t: Test, engine: Elasticsearch, folder: string): Promise<void> {
  const open = place(t, engine.url, folder)
  const store = open()
  await store.add([], { manifests: [testManifest(BUCKET)], gone: [] })
  const day = new Date(BUCKET * 1000).toISOString().slice(0, 10).replaceAll('-', '.')
  const index = `${store.alias}-${day}`
  // An index of ours in which somebody made a field narrower than it was.
  const described = (await send(engine.url, 'GET', index)) as Record<string, { mappings: { properties: unknown } }>
  const { mappings } = described[index]
  const narrow = {
    ...mappings,
    properties: { ...(mappings.properties as object), log: { properties: { offset: { type: 'byte' } } } },
  }
  await send(engine.url, 'DELETE', index)
  await send(engine.url, 'PUT', index, { mappings: narrow })
  const packet = testPacket([{ lines: ['x'.repeat(125), 'fits\n', 'beyond 127\n'].map(text => ({ text })) }], {
    sequence: 1,
  })
  const added = await store.add([packet], NO_WORDS)
  t.match(added, { packets: 1, events: 2 })
  t.same(await store.lacking(ids([packet])), [])
  t.same([...(await store.totals())[0].ranges], [[0, 130]], 'what is refused is not told as held')
  const [reject, ...more] = await store.rejects.read()
  t.match(reject, { index: `${index}-write`, reason: /out of range/, document: { message: 'beyond 127' } })
  t.same(more, [])
  t.same(await store.replayRejects(), { indexed: 0, refused: 1 })
  await send(engine.url, 'DELETE', index)
  await store.add([testPacket([{ source: sourceName('b'), lines: ['other\n'] }], { sequence: 2 })], NO_WORDS)
  t.same(await store.replayRejects(), { indexed: 1, refused: 0 })
  t.same(texts(await all(store)).sort(), ['beyond 127\n', 'other\n'])
  t.same(await store.rejects.read(), [])
}

async function erased(t: Test, engine: Elasticsearch, folder: string): Promise<void> {
  const open = place(t, engine.url, folder)
  const store = open()
  const reader = open()
  const packets = randomPackets(seededRandom(8), 25)
  await addAll(store, packets)
  const before = await all(reader, { order: 'offset' })
  const left = before.filter(({ host }) => host !== 'web1')
  const question = { query: parseQuery(''), host: 'web1' }
  t.same(await store.erase(question), { events: before.length - left.length })
  t.same(await store.erase(question), { events: 0 }, 'and again')
  for (const handle of [store, reader, open()]) {
    t.same(await all(handle, { order: 'offset' }), left)
    t.same(await handle.lacking(ids(packets)), [])
    const totals = await handle.totals()
    t.equal(
      totals.reduce((sum, { events }) => sum + events, 0),
      left.length,
    )
    t.ok(totals.every(({ bytes, ranges }) => bytes === ranges.total))
  }
  await store.tidy()
  await store.add(packets, NO_WORDS)
  t.same(await all(store, { order: 'offset' }), left, 'tidying and adding bring nothing back')
}

async function foreign(t: Test, engine: Elasticsearch, folder: string): Promise<void> {
  const open = place(t, engine.url, folder)
  const store = open()
  const day = new Date(BUCKET * 1000).toISOString().slice(0, 10).replaceAll('-', '.')
  await send(engine.url, 'PUT', `${store.alias}-${day}`, { mappings: { properties: { message: { type: 'ip' } } } })
  const packet = testPacket([{ lines: ['x\n'] }], { sequence: 1 })
  await t.rejects(store.add([packet], NO_WORDS), { name: 'ForeignIndexError', message: /not with bucktail's mapping/ })
  t.match(store.trouble, /not with bucktail's mapping/)
  await send(engine.url, 'DELETE', `${store.alias}-${day}`)
  t.match(await store.add([packet], NO_WORDS), { packets: 1, events: 1 })
  t.equal(store.trouble, undefined)
}

async function full(t: Test, engine: Elasticsearch, folder: string): Promise<void> {
  const store = place(t, engine.url, folder)({ patienceMs: 300 })
  const packets = randomPackets(seededRandom(5), 8)
  await store.add(packets.slice(0, 4), NO_WORDS)
  const block = (value: boolean | null) =>
    send(engine.url, 'PUT', `${store.alias}-*/_settings`, { 'index.blocks.read_only_allow_delete': value })
  await block(true)
  await t.rejects(store.add(packets, NO_WORDS), { message: /its disk is full: free space/ })
  t.match(store.trouble, /its disk is full/)
  t.ok((await all(store)).length > 0, 'searching goes on')
  t.match(store.trouble, /its disk is full/, 'and does not hide it')
  await block(null)
  await store.add(packets, NO_WORDS)
  t.equal(store.trouble, undefined)
  await isExactly(t, store, packets)
}

async function guarded(t: Test, engine: Elasticsearch, folder: string): Promise<void> {
  const made = join(folder, 'tls')
  const [key, cert] = [`${made}.key`, `${made}.pem`]
  const asked = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  execFileSync(
    'openssl',
    [...asked, '-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', cert],
    { stdio: 'ignore' },
  )
  const ca = readFileSync(cert, 'utf8')
  const front = await startFront(t, engine.url, { key: readFileSync(key, 'utf8'), cert: ca })
  const good = [`Basic ${Buffer.from('porter:secret').toString('base64')}`, 'ApiKey a2V5']
  front.decide = ({ headers }) =>
    good.includes(headers.authorization ?? '')
      ? undefined
      : { status: 401, body: { error: { type: 'security_exception', reason: 'unable to authenticate' }, status: 401 } }
  const open = place(t, front.url, folder)
  const packet = testPacket([{ lines: ['x\n'] }], { sequence: 1 })
  for (const wrong of [{}, { apiKey: 'b3RoZXI=' }, { username: 'porter', password: 'no' }]) {
    const store = open({ patienceMs: 300 }, { ca, ...wrong })
    await t.rejects(store.add([packet], NO_WORDS), { message: /does not know these credentials.*index\.api_key/ })
    t.match(store.trouble, /does not know these credentials/)
  }
  await t.rejects(open({ patienceMs: 300 }, { apiKey: 'a2V5' }).lacking([]), {
    message: /no answer.*self-signed certificate/,
  })
  t.match(await open({}, { ca, username: 'porter', password: 'secret' }).add([packet], NO_WORDS), { packets: 1 })
  const dead = 'https://localhost:1'
  t.equal((await all(open({}, { ca, apiKey: 'a2V5', nodes: [dead, front.url] }))).length, 1)
  front.decide = () => ({
    status: 403,
    body: { error: { type: 'security_exception', reason: 'action [x] is unauthorized' }, status: 403 },
  })
  await t.rejects(open({}, { ca, apiKey: 'a2V5' }).lacking([]), {
    message: /does not permit it.*docs\/elasticsearch\.md/,
  })
}

async function badLine(t: Test, engine: Elasticsearch, folder: string): Promise<void> {
  const random = seededRandom(6)
  const front = await startFront(t, engine.url)
  const busy = { error: { type: 'es_rejected_execution_exception', reason: 'queue is full' }, status: 429 }
  front.decide = request => {
    if (!request.url?.includes('_bulk')) return undefined
    const chance = random()
    if (chance < 0.25) return { status: 429, body: busy }
    if (chance < 0.4) return { cut: 'before' }
    if (chance < 0.55) return { cut: 'after' }
    return chance < 0.6 ? { delayMs: 300 } : undefined
  }
  const open = place(t, front.url, folder)
  const packets = randomPackets(seededRandom(7), 40)
  const store = open()
  await addAll(store, packets)
  front.decide = () => undefined
  await isExactly(t, open(), packets)
}

async function wrongClock(t: Test, engine: Elasticsearch, folder: string): Promise<void> {
  const world = realWorld({ log: quiet })
  let offMs = 20 * 60_000
  const clock = { ...realClock, now: () => Date.now() + offMs }
  const open = place(t, engine.url, folder)
  const store = open({ world: { ...world, clock } })
  await store.add([testPacket([{ lines: ['x\n'] }], { sequence: 1 })], NO_WORDS)
  t.notOk(store.clockAgrees)
  t.match(store.trouble, /clock is 1[12]\d\d s from Elasticsearch's: nothing is deleted/)
  await t.rejects(store.expire(BUCKET + 3 * DAY), { message: /nothing is deleted by age/ })
  t.equal((await all(store)).length, 1)
  offMs = 0
  t.equal(await store.expire(BUCKET + 3 * DAY), 1)
  t.ok(store.clockAgrees)
  t.equal(store.trouble, undefined)
}
