// Searching the index in Elasticsearch: the same events as everywhere, for generated queries over real lines; and what
// Kibana's Discover and the imported dashboard ask.
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { savedObjects } from '../../config/kibana/saved-objects.ts'
import { ElasticStore } from '../../shared/elastic/elastic-store.ts'
import { requestFilter } from '../../shared/event-filter.ts'
import { compareFound, type FoundEvent } from '../../shared/events.ts'
import { FolderStore } from '../../shared/folder-store.ts'
import { type Labels, labelsOf } from '../../shared/labels.ts'
import { NO_WORDS, openStore, quiet, world } from '../../shared/objects.test-support.ts'
import type { Packet } from '../../shared/packet.ts'
import {
  BUCKET,
  seededRandom,
  sourceName,
  type TestLine,
  testPacket,
  testSeed,
} from '../../shared/packets.test-support.ts'
import { QueryError } from '../../shared/query/syntax.ts'
import { parseQuery } from '../../shared/query.ts'
import { realWorld } from '../../shared/real-world.ts'
import { all } from '../../shared/stores.contract.ts'
import type { EventStore } from '../../shared/stores.ts'
import { RandomQueries } from '../random-query.test-support.ts'
import { sampleFiles } from '../real-lines.test-support.ts'
import { startElasticsearch } from './elasticsearch.ts'
import { temporaryFolder } from './engine-process.ts'

const IS_LONG = process.env.BUCKTAIL_TEST_LONG !== undefined
const QUERIES = IS_LONG ? 500 : 60
const FILE_BYTES = IS_LONG ? 120_000 : 40_000
const NS = 1_000_000_000n

test('searching in Elasticsearch', { timeout: 1_200_000 }, async t => {
  const engine = await startElasticsearch(t)
  if (!engine) return
  const store = new ElasticStore({
    world: realWorld({ log: quiet }),
    access: { nodes: [engine.url] },
    environment: 'search',
    place: 'recent',
    rejectsFolder: await temporaryFolder(t, 'rejects'),
  })
  t.teardown(() => store.close())
  const seed = testSeed('SEARCH_SEED')
  t.comment(`SEARCH_SEED=${seed}`)
  const random = seededRandom(seed)
  // As the embedded index has them, packets taken over as they are; and as an archive has them, merged.
  const folder = await temporaryFolder(t, 'embedded')
  const embedded = new FolderStore(world.disk, join(folder, 'index'))
  const others = {
    'embedded index': await openStore(embedded, { takeOverBytes: 64 * 1024 }),
    archive: await openStore(new FolderStore(world.disk, join(folder, 'archive'))),
  }
  const stores: EventStore[] = [store, ...Object.values(others)]
  await fill(t, stores, random)
  const odd = {
    source: sourceName('odd'),
    lines: [ODD_KEYS, ODD_KEYS.replace('" "', '"__proto__"'), 'a= =b c==d "e"=f\n'],
  }
  await addTo(stores, [testPacket([odd], { epoch: '7-00000000000000cc', sequence: 1 })])
  t.same(await store.rejects.read(), [], 'nothing is refused')
  await t.test(
    'generated queries over real lines: Elasticsearch, the embedded index and the archive give exactly what a plain scan gives',
    t => queries(t, store, others, random),
  )
  await t.test('documents carry what their lines are', t => documents(t, store, engine.url))
  await t.test('what Discover asks is answered', t => discover(t, engine.url, store.alias))
  await t.test('what the imported dashboard asks is answered', t => dashboard(t, engine.url, store.alias))
})

async function fill(t: Test, stores: EventStore[], random: () => number): Promise<void> {
  const { files, areReal } = sampleFiles(random, FILE_BYTES)
  if (!areReal) t.comment('no real logs at hand: generated ones only')
  const packets: Packet[] = []
  let sequence = 0
  for (const [n, file] of files.entries()) {
    const lines: TestLine[] = []
    let from = 0
    for (let at = 0; at < file.text.length; ) {
      const end = file.text.indexOf(0x0a, at) + 1 || file.text.length
      lines.push({
        text: file.text.subarray(at, end),
        timeNs: BigInt(BUCKET) * NS + BigInt(Math.floor(random() * 1e12)) * 100n,
        level: (['', 'info', 'warn', 'error'] as const)[Math.floor(random() * 4)],
        ...(random() < 0.02 && { host: 'Relay-Ä' }),
      })
      at = end
    }
    for (let at = 0; at < lines.length; at += 400) {
      const part = lines.slice(at, at + 400)
      const run = {
        source: sourceName(file.name),
        host: `web${n % 3}`,
        path: `/var/log/${file.name}`,
        app: `app${n % 4}`,
      }
      // Over two days, so that a search goes over several indexes.
      const bucket = BUCKET + (n % 2) * 86_400
      packets.push(testPacket([{ ...run, from, lines: part }], { sequence: ++sequence, bucket }))
      if (packets.length === ADD_PACKETS) await addTo(stores, packets.splice(0))
      from += part.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0)
    }
  }
  await addTo(stores, packets)
}

async function addTo(stores: EventStore[], packets: Packet[]): Promise<void> {
  for (const store of stores) await store.add(packets, NO_WORDS)
}

/** Several adds, so that there are several segments; not one for each packet. */
const ADD_PACKETS = 6

/** Keys that an index could stumble over. */
const ODD_KEYS = `${JSON.stringify({
  ...{
    '.': 2,
    'a.': 3,
    '.b': 4,
    'a..b': 5,
    '\0': 6,
    'x\0y': 7,
    ' ': 9,
    a: { b: 1 },
    'a.b': 2,
    z: 'v\0',
    é: ['1', '2'],
  },
})}\n`

async function queries(
  t: Test,
  store: ElasticStore,
  others: Record<string, EventStore>,
  random: () => number,
): Promise<void> {
  const everything = (await all(store)).sort(compareFound)
  const generator = new RandomQueries(everything, random)
  const pick = <T>(of: T[]) => of[Math.floor(random() * of.length)]
  let withResults = 0
  for (let n = 0; n < QUERIES; n++) {
    const text = generator.query()
    const sample = generator.event()
    const request = {
      query: parse(text),
      order: pick(['oldest', 'newest', 'offset'] as const),
      ...(random() < 0.2 && { sinceNs: sample.timeNs }),
      ...(random() < 0.2 && { untilNs: generator.event().timeNs }),
      ...(random() < 0.1 && { host: sample.host }),
      ...(random() < 0.1 && { level: sample.level || undefined }),
      ...(random() < 0.1 && { file: pick([sample.path, `*/${sample.path.slice(9)}`, 'log/A', '/var/**']) }),
      ...(random() < 0.4 && { limit: Math.floor(random() * 50) }),
    }
    const found = await all(store, request)
    const expected = scan(everything, request)
    if (expected.length > 0) withResults++
    const shown = JSON.stringify({ ...request, query: text }, (_, v) => (typeof v === 'bigint' ? `${v}` : v))
    const cut = expected.slice(0, request.limit)
    // Which of several at one place come before a limit is not told by their order alone.
    t.same(
      found.map(({ id }) => id),
      cut.map(({ id }) => id),
      shown,
    )
    for (const [name, other] of Object.entries(others)) {
      const same = (await all(other, request)).map(({ id }) => id)
      if (same.join() !== cut.map(({ id }) => id).join())
        t.same(
          same,
          cut.map(({ id }) => id),
          `${name}: ${shown}`,
        )
    }
    const sums = await store.summarise({ ...request, tops: [] })
    if (sums.events !== expected.length) t.equal(sums.events, expected.length, `sums of ${shown}`)
  }
  t.ok(withResults > QUERIES / 4, `${withResults} of ${QUERIES} queries found something`)
}

function scan(
  everything: FoundEvent[],
  request: Parameters<typeof requestFilter>[0] & { order: string },
): FoundEvent[] {
  const { sinceNs, untilNs, order } = request
  const matches = requestFilter(request)
  const found = everything.filter(
    event =>
      (sinceNs === undefined || event.timeNs >= sinceNs) &&
      (untilNs === undefined || event.timeNs < untilNs) &&
      matches(event),
  )
  if (order === 'newest') return found.reverse()
  if (order === 'oldest') return found
  return found.sort((a, b) => (a.source < b.source ? -1 : a.source > b.source ? 1 : a.from - b.from))
}

function parse(text: string) {
  try {
    return parseQuery(text)
  } catch (error) {
    if (error instanceof QueryError) return parseQuery('')
    throw error
  }
}

/** Field by field, as somebody sees them who knows nothing of bucktail. */
async function documents(t: Test, store: ElasticStore, url: string): Promise<void> {
  let compared = 0
  for await (const event of store.search({ query: parseQuery(''), order: 'oldest', limit: IS_LONG ? 10_000 : 300 })) {
    if (compared++ % 10 !== 0 && !IS_LONG) continue
    const day = new Date((event.bucket as number) * 1000).toISOString().slice(0, 10).replaceAll('-', '.')
    const answer = await ask(url, `${store.alias}-${day}/_doc/${event.id}`)
    const { _source: source } = answer as { _source: Record<string, never> }
    const text = event.bytes.toString('utf8').replace(/\r?\n$/, '')
    const isText = Buffer.from(event.bytes.toString('utf8')).equals(event.bytes)
    const expected = {
      message: text,
      host: { name: event.host },
      service: { name: event.app },
      log: { file: { path: event.path }, offset: event.from, ...(event.level && { level: event.level }) },
      ...(isText ? {} : { event: { original: event.bytes.toString('base64') } }),
    }
    const { message, host, service, log, labels = {} } = source
    if (JSON.stringify(labels) !== JSON.stringify(withoutZeroes(labelsOf(event.bytes, event.path)))) {
      t.same(labels, labelsOf(event.bytes, event.path), `labels of ${event.bytes}`)
    }
    const seen = {
      message,
      host,
      service,
      log,
      ...(isText ? {} : { event: { original: (source.event as { original: string }).original } }),
    }
    if (JSON.stringify(seen) !== JSON.stringify(expected)) t.same(seen, expected, event.id)
    if ((source.event as { original?: string }).original !== undefined && isText)
      t.fail(`${event.id} needs no original`)
  }
  t.ok(compared > 200)
}

function withoutZeroes(labels: Labels): Labels {
  return Object.fromEntries(Object.entries(labels).filter(([key, value]) => !`${key}${value}`.includes('\0')))
}

async function ask(url: string, path: string, body?: unknown): Promise<Record<string, unknown>> {
  const answer = await fetch(`${url}/${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { 'content-type': 'application/json' },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  const json = (await answer.json()) as Record<string, unknown>
  if (!answer.ok) throw new Error(`${path}: ${JSON.stringify(json).slice(0, 500)}`)
  return json
}

interface Found {
  hits: {
    total: { value: number }
    hits: { _id: string; sort: unknown[]; fields: Record<string, unknown[]>; highlight?: Record<string, string[]> }[]
  }
  aggregations?: Record<string, { buckets: { doc_count: number }[] }>
}

async function discover(t: Test, url: string, alias: string): Promise<void> {
  const { fields } = (await ask(url, `${alias}/_field_caps?fields=*&ignore_unavailable=true`, {})) as {
    fields: Record<string, Record<string, { searchable: boolean; aggregatable: boolean }>>
  }
  t.match(fields['@timestamp'], { date_nanos: { searchable: true, aggregatable: true } })
  t.match(fields.message, { text: { searchable: true, aggregatable: false } })
  for (const field of ['host.name', 'service.name', 'log.level', 'log.file.path']) {
    t.match(fields[field], { keyword: { searchable: true, aggregatable: true } }, field)
  }
  const range = {
    range: {
      '@timestamp': {
        format: 'strict_date_optional_time',
        gte: '2023-01-01T00:00:00.000Z',
        lte: '2024-01-01T00:00:00.000Z',
      },
    },
  }
  const kql = { bool: { should: [{ match_phrase: { message: 'error' } }], minimum_should_match: 1 } }
  const query = { bool: { must: [], filter: [kql, range], should: [], must_not: [] } }
  const sort = [
    { '@timestamp': { order: 'desc', format: 'strict_date_optional_time', unmapped_type: 'boolean' } },
    { _doc: { order: 'desc', unmapped_type: 'boolean' } },
  ]
  const page = {
    ...{
      size: 10,
      track_total_hits: true,
      query,
      sort,
      _source: false,
      stored_fields: ['*'],
      version: true,
      runtime_mappings: {},
      script_fields: {},
    },
    fields: [{ field: '*' }, { field: '@timestamp', format: 'date_time' }],
    highlight: {
      pre_tags: ['@kibana-highlighted-field@'],
      post_tags: ['@/kibana-highlighted-field@'],
      fields: { '*': {} },
      fragment_size: 2147483647,
    },
  }
  const first = (await ask(url, `${alias}/_search`, page)) as unknown as Found
  t.ok(first.hits.total.value > 10, `${first.hits.total.value} lines with "error"`)
  const [hit] = first.hits.hits
  t.match(hit.highlight?.message[0], '@kibana-highlighted-field@')
  t.match(hit.fields, { message: [String], 'host.name': [String], '@timestamp': [String], 'log.offset': [Number] })
  const histogram = (await ask(url, `${alias}/_search`, {
    ...{ size: 0, track_total_hits: true, query },
    aggs: {
      '2': {
        date_histogram: { field: '@timestamp', calendar_interval: '1h', time_zone: 'Europe/Berlin', min_doc_count: 1 },
      },
    },
  })) as unknown as Found
  const bars = histogram.aggregations?.['2'].buckets ?? []
  t.equal(
    bars.reduce((sum, bar) => sum + bar.doc_count, 0),
    first.hits.total.value,
  )
  // Surrounding documents: sorted by time with a tie-breaker, from one line on.
  const around = (await ask(url, `${alias}/_search`, {
    ...{ size: 5, query: { bool: { filter: [range] } }, _source: false, fields: ['message'] },
    sort: [{ '@timestamp': { order: 'asc', format: 'strict_date_optional_time_nanos' } }, { _doc: 'asc' }],
    search_after: hit.sort,
  })) as unknown as Found
  t.ok(around.hits.hits.length > 0)
}

async function dashboard(t: Test, url: string, alias: string): Promise<void> {
  interface Aggregation {
    type: string
    params: { field?: string; size?: number }
  }
  let asked = 0
  for (const { type, attributes, references } of savedObjects(alias)) {
    for (const { id } of references)
      t.ok(
        savedObjects(alias).some(other => other.id === id),
        `${id} is in the file`,
      )
    if (type !== 'visualization') continue
    const { aggs } = JSON.parse(attributes.visState as string) as { aggs: Aggregation[] }
    for (const { type, params } of aggs) {
      if (type === 'count') continue
      const body =
        type === 'terms'
          ? { terms: { field: params.field, size: params.size } }
          : { date_histogram: { field: params.field, fixed_interval: '1h', min_doc_count: 1 } }
      const answer = (await ask(url, `${alias}/_search`, { size: 0, aggs: { a: body } })) as unknown as Found
      t.ok((answer.aggregations?.a.buckets.length ?? 0) > 0, `${attributes.title} by ${params.field}`)
      asked++
    }
  }
  t.equal(asked, 5)

  // Search and dashboard leave out what was dropped: the filter is asked as Kibana asks it.
  const count = async (query: unknown) => {
    const answer = (await ask(url, `${alias}/_search`, { size: 0, track_total_hits: true, query })) as unknown as Found
    return answer.hits.total.value
  }
  const before = await count({ match_all: {} })
  const stretch = { '@timestamp': '2023-06-01T00:00:00Z', message: '****', log: { level: 'dropped' } }
  await ask(url, `${alias}-write/_doc/dropped?op_type=create&refresh=true`, stretch)
  t.equal(await count({ match_all: {} }), before + 1)
  const filtering = savedObjects(alias).filter(({ type }) => type === 'search' || type === 'dashboard')
  t.equal(filtering.length, 2)
  for (const { attributes, references } of filtering) {
    const { searchSourceJSON } = attributes.kibanaSavedObjectMeta as { searchSourceJSON: string }
    const [filter] = JSON.parse(searchSourceJSON).filter
    t.match(filter.meta, { negate: true, disabled: false }, `${attributes.title} has it switched on`)
    t.ok(references.some(({ name, id }) => name === filter.meta.indexRefName && id === alias))
    t.equal(await count({ bool: { must_not: [filter.query] } }), before)
  }
}
