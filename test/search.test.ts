// The promise of every search: exactly what a plain scan of all lines with the matcher gives, in the order asked for.
import { type Test, test } from 'tap'
import { type FreshPackets, searchFresh } from '../archie/search.ts'
import { sumFresh } from '../archie/sum-fresh.ts'
import { MemoryStore } from '../porter/memory-store.test-support.ts'
import { analyseText, ModeMemory } from '../shared/columns/columns-block.ts'
import { requestFilter } from '../shared/event-filter.ts'
import { compareFound, type Events, eventAt, type FoundEvent, LEVELS, walkEvents } from '../shared/events.ts'
import { FolderStore } from '../shared/folder-store.ts'
import { NO_WORDS, openStore, world } from '../shared/objects.test-support.ts'
import { encodePacket, type Packet, packetKey } from '../shared/packet.ts'
import { BUCKET, EPOCH, seededRandom, sourceName, TAILER, testSeed } from '../shared/packets.test-support.ts'
import { QueryError } from '../shared/query/syntax.ts'
import { parseQuery } from '../shared/query.ts'
import { Tally } from '../shared/search/tally.ts'
import { SearchThreads } from '../shared/search-threads/search-threads.ts'
import type { SegmentStoreOptions } from '../shared/segment-store.ts'
import { type Damage, type EventStore, type ObjectStore, type SearchRequest, TOP_FIELDS } from '../shared/stores.ts'
import { testFolder } from '../shared/test-folder.test-support.ts'
import { WeightedCache } from '../shared/weighted-cache.ts'
import { RandomQueries } from './random-query.test-support.ts'
import { type SampleFile, sampleFiles } from './real-lines.test-support.ts'

const IS_LONG = process.env.BUCKTAIL_TEST_LONG !== undefined
const QUERIES = IS_LONG ? 4_000 : 80
const FILE_BYTES = IS_LONG ? 1_000_000 : 120_000
const PACKET_BYTES = 90_000

type Searched = Pick<EventStore, 'search' | 'summarise'>
type Place = (t: Test, packets: Packet[], random: () => number) => Promise<Searched>

const PLACES: Record<string, Place> = {
  'large blocks': inStore({ tidyBelowBytes: 64 * 1024 * 1024 }),
  'small blocks, and memory for few matches': inStore({ blockBytes: 60_000, zstdLevel: 1, heldBytesMax: 100_000 }),
  'packets that are not indexed yet': asFresh,
}

for (const [name, place] of Object.entries(PLACES)) {
  test(`a search gives exactly what a plain scan gives: ${name}`, { timeout: 1_800_000 }, async t => {
    const seed = testSeed('SEARCH_SEED')
    t.comment(`SEARCH_SEED=${seed}`)
    const random = seededRandom(seed)
    const { files, areReal } = sampleFiles(random, FILE_BYTES)
    if (!areReal) t.comment('no real logs at hand: generated ones only')
    const { packets, everything } = pack(files, random)
    const store = await place(t, packets, random)
    const queries = new RandomQueries(everything, random)
    const pick = <T>(of: T[]) => of[Math.floor(random() * of.length)]
    let withResults = 0
    for (let n = 0; n < QUERIES; n++) {
      const sample = queries.event()
      const times = [sample.timeNs, queries.event().timeNs].sort((a, b) => (a < b ? -1 : 1))
      const text = queries.query()
      const request: SearchRequest = {
        query: parse(text),
        order: pick(['oldest', 'newest', 'offset'] as const),
        ...(random() < 0.2 && { sinceNs: times[0] }),
        ...(random() < 0.2 && { untilNs: times[1] }),
        ...(random() < 0.1 && { host: sample.host }),
        ...(random() < 0.1 && { app: sample.app }),
        ...(random() < 0.1 && { level: sample.level || undefined }),
        ...(random() < 0.1 && { file: sample.path }),
        ...(random() < 0.1 && { source: sample.source }),
        ...(random() < 0.5 && { limit: Math.floor(random() * 200) }),
      }
      const shown = JSON.stringify({ seed, ...request, query: text }, (_, v) => (typeof v === 'bigint' ? `${v}` : v))
      const expected = scan(everything, request)
      const cut = request.limit === undefined ? expected : expected.slice(0, request.limit)
      if (expected.length > 0) withResults++
      await compare(t, store, request, cut, shown)
      const asked = { ...request, volume: random() < 0.5, tops: TOP_FIELDS.filter(() => random() < 0.4) }
      const tally = new Tally(asked)
      for (const event of expected) tally.add(event)
      const summary = await store.summarise(asked)
      const wanted = tally.result()
      if (JSON.stringify(summary) !== JSON.stringify(wanted)) t.same(summary, wanted, `sums of ${shown}`)
    }
    t.ok(withResults > QUERIES / 4, `${withResults} of ${QUERIES} queries found something`)
  })
}

function inStore(options: Partial<SegmentStoreOptions>): Place {
  return async (t, packets, random) => {
    // As archie has it, or as a command has it.
    const threads = random() < 0.5 ? new SearchThreads({ threads: 2, heldBytesMax: options.heldBytesMax }) : undefined
    t.teardown(() => threads?.close())
    const searcher = threads && ((objects: Pick<ObjectStore, 'get' | 'size'>) => threads.searcherOf(objects))
    const store = await openStore(new FolderStore(world.disk, testFolder(t)), { ...options, searcher })
    for (const packet of packets) await store.add([packet], NO_WORDS)
    if (random() < 0.5) await store.tidy()
    return store
  }
}

async function asFresh(_: Test, packets: Packet[]): Promise<Searched> {
  const known = packets.map(packet => ({ ...packet, id: packet.header.id, bucket: packet.header.bucket }))
  const byKey = new Map(packets.map(packet => [packetKey(packet.header.id), packet]))
  const source: FreshPackets = {
    packets: () => known,
    load: async id => byKey.get(packetKey(id)),
    blocks: new WeightedCache(500_000),
  }
  const alone = { fresh: source, index: new MemoryStore(), held: new Map() }
  const onDamage = ({ where, reason }: Damage) => {
    throw new Error(`${where}: ${reason}`)
  }
  return {
    async *search(request) {
      let left = request.limit ?? Number.POSITIVE_INFINITY
      for await (const event of searchFresh(source, request, onDamage)) {
        if (left-- <= 0) return
        yield event
      }
    },
    summarise: async request => (await sumFresh(alone, known, request, onDamage)).result(),
  }
}

/** One assertion only where something differs: thousands of equal lists tell nobody anything. */
async function compare(t: Test, store: Searched, request: SearchRequest, expected: FoundEvent[], shown: string) {
  let at = 0
  for await (const event of store.search(request)) {
    const wanted = expected[at++]
    if (event.id !== wanted?.id || !event.bytes.equals(wanted.bytes)) {
      t.same(`${event.id} ${event.bytes}`, `${wanted?.id} ${wanted?.bytes}`, `event ${at - 1} of ${shown}`)
      return
    }
    const { tailer, epoch, sequence, bucket, ...found } = event
    if (at % 97 === 1) t.same(found, wanted, shown)
  }
  if (at !== expected.length) t.equal(at, expected.length, `events of ${shown}: ${expected[at]?.bytes}`)
}

function scan(everything: FoundEvent[], request: SearchRequest): FoundEvent[] {
  const { sinceNs, untilNs, source, order } = request
  const matches = requestFilter(request)
  const found = everything.filter(
    event =>
      (sinceNs === undefined || event.timeNs >= sinceNs) &&
      (untilNs === undefined || event.timeNs < untilNs) &&
      (source === undefined || event.source === source) &&
      matches(event),
  )
  if (order === 'newest') return found.reverse()
  if (order === 'oldest') return found
  return found.sort((a, b) => (a.source < b.source ? -1 : a.source > b.source ? 1 : a.from - b.from))
}

/** A query that our generator wrote wrongly asks for everything. */
function parse(text: string) {
  try {
    return parseQuery(text)
  } catch (error) {
    if (error instanceof QueryError) return parseQuery('')
    throw error
  }
}

/** @returns packets of lines and of columns; all events by time */
function pack(files: SampleFile[], random: () => number): { packets: Packet[]; everything: FoundEvent[] } {
  const packets: Packet[] = []
  const everything: FoundEvent[] = []
  for (const [n, file] of files.entries()) {
    let timeNs = BigInt(BUCKET) * 1_000_000_000n
    for (let from = 0; from < file.text.length; ) {
      const near = file.text.indexOf(0x0a, from + Math.floor(random() * 2 * PACKET_BYTES)) + 1
      const to = near === 0 ? file.text.length : near
      const run = {
        source: sourceName(file.name),
        host: `web${n % 3}`,
        path: `/var/log/${file.name}`,
        app: `app${n % 4}`,
      }
      const events = cut(file.text.subarray(from, to), { ...run, from, to, start: 0 }, timeNs, random)
      timeNs = events.times[events.times.length - 1]
      for (const { i, run, from } of walkEvents(events)) everything.push(eventAt(events, i, run, from))
      const origin = { tailer: TAILER, epoch: EPOCH, sequence: packets.length + 1, bucket: BUCKET }
      const columns = random() < 0.7 ? analyseText(events.bytes, new ModeMemory()) : undefined
      packets.push(encodePacket(origin, events, { columns }))
      from = to
    }
  }
  return { packets, everything: everything.sort(compareFound) }
}

/** Lines, some of them joined to records of several; times that mostly go on, levels as words say, hosts now and then. */
function cut(bytes: Buffer, run: Omit<Events['runs'][number], 'events'>, timeNs: bigint, random: () => number): Events {
  const ends: number[] = []
  const lines: number[] = []
  for (let at = 0; at < bytes.length; ) {
    const found = bytes.indexOf(0x0a, at)
    at = found < 0 ? bytes.length : found + 1
    if (ends.length > 0 && random() < 0.02 && at - ends[ends.length - 1] < 1000) {
      ends[ends.length - 1] = at
      lines[lines.length - 1]++
      continue
    }
    ends.push(at)
    lines.push(1)
  }
  let now = timeNs
  const times = ends.map(() => {
    now += BigInt(Math.floor(random() * 2_000_000_000)) - (random() < 0.05 ? 5_000_000_000n : 0n)
    return random() < 0.7 ? now : (now / 1_000_000_000n) * 1_000_000_000n
  })
  const count = ends.length
  return {
    runs: [{ ...run, events: count }],
    bytes,
    ends: Uint32Array.from(ends),
    lines: Uint16Array.from(lines),
    times: BigInt64Array.from(times),
    levels: Uint8Array.from(ends, end => levelAt(bytes, end)),
    flags: Uint8Array.from(ends, () => (random() < 0.03 ? 1 : 0)),
    hosts: Uint16Array.from(ends, () => (random() < 0.02 ? 1 : 0)),
    apps: Uint16Array.from(ends, () => (random() < 0.02 ? 2 : 0)),
    names: ['', 'relayed', 'cron'],
  }
}

function levelAt(bytes: Buffer, end: number): number {
  const tail = bytes.toString('latin1', Math.max(0, end - 300), end).toLowerCase()
  const level = LEVELS.findIndex(name => name !== '' && tail.includes(name))
  return Math.max(0, level)
}
