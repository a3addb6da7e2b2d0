// Documents per second into Elasticsearch: the store itself against a bare bulk loop over ready-made bodies, with the same
// client, documents, sizes of bodies and number of requests at once. Both measured on one server, in turns.
//
// Two ratios: of documents per second, which the other work of the machine disturbs; and of CPU seconds, of this process
// and the server's together, which it does not: what the first one would be if nothing but CPU counted.
//
//   node bench/elastic.ts [--url http://127.0.0.1:9200] [--lines 120000] [--rounds 3]
//
// Without --url it starts the server of the tests (JDK and Maven, test/engines).
import { parseArgs } from 'node:util'
import { Client } from '@elastic/elasticsearch'
import { SAMPLE_KINDS, sampleRecord } from '../bin/samples.ts'
import { BulkBody } from '../shared/elastic/bulk-body.ts'
import { DocumentMaker } from '../shared/elastic/document.ts'
import { ElasticStore } from '../shared/elastic/elastic-store.ts'
import { ElasticNames, mappingOf, settingsOf } from '../shared/elastic/names.ts'
import { type Events, walkEvents } from '../shared/events.ts'
import { encodePacket, type Packet, packetEvents } from '../shared/packet.ts'
import { realWorld } from '../shared/real-world.ts'
import { startElasticsearch } from '../test/engines/elasticsearch.ts'

const NS_OF_MS = 1_000_000n
const PACKET_BYTES = 1_000_000
const ADD_BYTES = 32 * 1024 * 1024
const AT_ONCE = 3
/** Else garbage that is not collected yet counts as use, and the server answers 429, which a bare loop does not survive. */
const NO_REAL_MEMORY = { 'indices.breaker.total.use_real_memory': 'false' }
const HEAP_MIB = 2048

const { values } = parseArgs({
  options: {
    url: { type: 'string' },
    lines: { type: 'string', default: '120000' },
    rounds: { type: 'string', default: '3' },
  },
})
const quiet = { debug() {}, info() {}, warn() {}, error() {} }
const ends: (() => unknown)[] = []
const t = { teardown: (end: () => unknown) => ends.unshift(end), plan: () => undefined }
const url = values.url ?? (await startElasticsearch(t as never, NO_REAL_MEMORY, HEAP_MIB))?.url
if (url === undefined) process.exit(1)

const packets = samplePackets(Number(values.lines))
const documents = packets.reduce((sum, { header }) => sum + header.events, 0)
const bytes = packets.reduce((sum, { header }) => sum + header.rawBytes, 0)
console.log(`${documents} documents, ${(bytes / 1e6).toFixed(1)} MB of log`)
const ratios: number[] = []
const cpuRatios: number[] = []
for (let round = 0; round <= Number(values.rounds); round++) {
  // In turns, so that neither always meets the warmer server. The first round warms it up.
  const order = round % 2 === 0 ? [bare, ours] : [ours, bare]
  const figures = new Map<unknown, Figures>()
  for (const way of order) figures.set(way, await measure(() => way(`bench-${process.pid}-${round}`)))
  if (round === 0) continue
  const [own, loop] = [figures.get(ours) as Figures, figures.get(bare) as Figures]
  ratios.push(loop.seconds / own.seconds)
  cpuRatios.push((loop.cpuSeconds + loop.serverSeconds) / (own.cpuSeconds + own.serverSeconds))
  const show = ({ seconds, cpuSeconds, serverSeconds }: Figures) =>
    `${Math.round(documents / seconds)} docs/s (CPU s: client ${cpuSeconds.toFixed(2)}, server ${serverSeconds.toFixed(2)})`
  const [last, lastCpu] = [ratios, cpuRatios].map(of => (of.at(-1) as number).toFixed(2))
  console.log(`round ${round}: store ${show(own)}, bare loop ${show(loop)}: ratio ${last}, of CPU ${lastCpu}`)
}
console.log(`median ratio ${median(ratios)}, of CPU ${median(cpuRatios)}`)
for (const end of ends) await end()

interface Figures {
  seconds: number
  /** Of this process; of the server. */
  cpuSeconds: number
  serverSeconds: number
}

function median(of: number[]): string {
  return of.length === 0 ? '-' : of.toSorted((a, b) => a - b)[of.length >>> 1].toFixed(2)
}

async function measure(work: () => Promise<() => Promise<void>>): Promise<Figures> {
  const run = await work()
  const serverStart = await serverSeconds()
  const started = performance.now()
  const cpu = process.cpuUsage()
  await run()
  const { user, system } = process.cpuUsage(cpu)
  return {
    seconds: (performance.now() - started) / 1000,
    cpuSeconds: (user + system) / 1e6,
    serverSeconds: (await serverSeconds()) - serverStart,
  }
}

async function serverSeconds(): Promise<number> {
  const answer = await fetch(`${url}/_nodes/stats/process?filter_path=nodes.*.process.cpu`)
  const { nodes } = (await answer.json()) as {
    nodes: Record<string, { process: { cpu: { total_in_millis: number } } }>
  }
  return Object.values(nodes).reduce((sum, node) => sum + node.process.cpu.total_in_millis, 0) / 1000
}

async function ours(name: string): Promise<() => Promise<void>> {
  const store = new ElasticStore({
    world: realWorld({ log: quiet }),
    access: { nodes: [url as string] },
    environment: `${name}-ours`,
    place: 'recent',
    rejectsFolder: `bench-rejects-${process.pid}`,
  })
  return async () => {
    for (const batch of batches()) await store.add(batch, { manifests: [], gone: [] })
    await store.drop()
    await store.close()
  }
}

/** Bodies made before the clock starts; into an index with the same settings; refreshed as often. */
async function bare(name: string): Promise<() => Promise<void>> {
  const client = new Client({ node: url as string, redaction: { type: 'remove' } })
  const names = new ElasticNames(`${name}-bare`, 'recent')
  const index = names.index('2026.03.01')
  const shape = { shards: 1, mode: 'standard' } as const
  const bodies = batches().map(bodiesOf)
  return async () => {
    await client.transport.request({
      method: 'PUT',
      path: `/${index}`,
      body: { settings: settingsOf(shape), mappings: mappingOf(shape) },
    })
    for (const batch of bodies) {
      const flying = new Set<Promise<unknown>>()
      for (const body of batch) {
        while (flying.size >= AT_ONCE) await Promise.race(flying)
        const querystring = { filter_path: 'errors,items.*.status,items.*.error' }
        const flight: Promise<unknown> = client.transport
          .request({ method: 'POST', path: `/${index}/_bulk`, bulkBody: body, querystring })
          .finally(() => flying.delete(flight))
        flying.add(flight)
      }
      await Promise.all(flying)
      await client.transport.request({ method: 'POST', path: `/${index}/_refresh` })
    }
    await client.transport.request({ method: 'DELETE', path: `/${index}` })
    await client.close()
  }
}

function batches(): Packet[][] {
  const out: Packet[][] = [[]]
  let size = 0
  for (const packet of packets) {
    if (size > ADD_BYTES) {
      out.push([])
      size = 0
    }
    out[out.length - 1].push(packet)
    size += packet.header.rawBytes
  }
  return out
}

/** As the store makes them. */
function bodiesOf(batch: Packet[]): Buffer[] {
  const out: Buffer[] = []
  let body = new BulkBody<undefined>('')
  const nowMs = Date.now()
  for (const packet of batch) {
    const events = packetEvents(packet)
    const maker = new DocumentMaker(events, { ...packet.header.id, bucket: packet.header.bucket }, nowMs)
    for (const { i, run, from } of walkEvents(events)) {
      body.putEvent(maker, maker.begin(i, run, from), undefined)
      if (!body.isFull) continue
      out.push(body.bytes)
      body = new BulkBody('')
    }
  }
  if (body.documents.length > 0) out.push(body.bytes)
  return out
}

function samplePackets(lines: number): Packet[] {
  const out: Packet[] = []
  let seed = 7
  const random = () => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
    return seed / 2 ** 32
  }
  const startMs = Date.parse('2026-03-01T00:00:00Z')
  let left = lines
  for (let sequence = 1; left > 0; sequence++) {
    const kind = SAMPLE_KINDS[sequence % SAMPLE_KINDS.length]
    const texts: Buffer[] = []
    for (let size = 0; size < PACKET_BYTES && left > 0; left--) {
      const text = Buffer.from(sampleRecord(kind, random, startMs + (lines - left) * 5))
      texts.push(text)
      size += text.length
    }
    out.push(packetOf(sequence, kind, texts, startMs))
  }
  return out
}

function packetOf(sequence: number, kind: string, texts: Buffer[], startMs: number): Packet {
  let end = 0
  const bytes = Buffer.concat(texts)
  const run = {
    source: `${sequence}`.padStart(20, '0'),
    host: 'web1',
    path: `/var/log/${kind}.log`,
    app: kind,
    from: 0,
    to: bytes.length,
    start: 0,
    events: texts.length,
  }
  const events: Events = {
    runs: [run],
    bytes,
    ends: Uint32Array.from(texts, text => (end += text.length)),
    lines: new Uint16Array(texts.length).fill(1),
    times: BigInt64Array.from(texts, (_, i) => BigInt(startMs + i * 5) * NS_OF_MS),
    levels: new Uint8Array(texts.length).fill(3),
    flags: new Uint8Array(texts.length),
    hosts: new Uint16Array(texts.length),
    apps: new Uint16Array(texts.length),
    names: [''],
  }
  return encodePacket(
    { tailer: 'bb'.repeat(16), epoch: '1-00000000000000bb', sequence, bucket: startMs / 1000 },
    events,
  )
}
