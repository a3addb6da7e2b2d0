// `node bench/history.ts [--mb 64] [--s3]`: what archive, history and archive search cost, in this one process: over a
// folder, and with --s3 over a bucket of S3Proxy (test/engines) on loopback. Wall and CPU of this process.
//
//   archive    packets of 1 MB into segments, committed: MB of text per second
//   history    all of it into an index of its own: MB of text and events per second
//   search     words and parts of words over all of it: MB of text per second, bytes and requests fetched
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { size, table } from '../bin/terminal.ts'
import { CopyJobs } from '../porter/history-copy.ts'
import type { Events } from '../shared/events.ts'
import { FolderStore } from '../shared/folder-store.ts'
import { encodePacket, type Packet } from '../shared/packet.ts'
import { parseQuery } from '../shared/query.ts'
import { realWorld } from '../shared/real-world.ts'
import { S3Store } from '../shared/s3/s3-store.ts'
import { SegmentStore } from '../shared/segment-store.ts'
import type { ObjectStore } from '../shared/stores.ts'
import { COMMON_WORD, makeLog, RARE_WORD, SUBSTRING } from './logs.ts'

const QUERIES = [
  ['rare word', RARE_WORD],
  ['the same again', RARE_WORD],
  ['part of a rare word', SUBSTRING],
  ['word of every tenth line', COMMON_WORD],
  ['absent word', 'nowhere9x'],
]
const PACKET_BYTES = 1024 * 1024
const ADD_BYTES = 64 * 1024 * 1024
const BUCKET = Date.parse('2026-03-01T00:00:00Z') / 1000
const TAILER = 'ab'.repeat(16)
const EPOCH = '1-00000000000000ab'

const { values } = parseArgs({ options: { mb: { type: 'string', default: '64' }, s3: { type: 'boolean' } } })
const world = realWorld({ log: { debug() {}, info() {}, warn: console.error, error: console.error } })
const dir = mkdtempSync(join(tmpdir(), 'bucktail-history-'))
const teardowns: (() => unknown)[] = []
const reads = { bytes: 0, calls: 0 }
let rssMax = 0
const watch = setInterval(() => {
  rssMax = Math.max(rssMax, process.memoryUsage().rss)
}, 50)
try {
  const log = join(dir, 'mixed.log')
  const made = makeLog(log, Number(values.mb) * 1e6, 1)
  const packets = packetsOf(readFileSync(log))
  const objects = counted(values.s3 ? await bucket() : new FolderStore(world.disk, join(dir, 'archive')))
  const archive = await SegmentStore.open(objects, { world, writer: 'bench' })
  const rows: (string | number)[][] = []
  const megabytes = made.bytes / 1e6
  const row = (name: string, { wall, cpu }: { wall: number; cpu: number }, more: string) =>
    rows.push([name, `${(megabytes / wall).toFixed(1)}`, `${(megabytes / cpu).toFixed(1)}`, more])

  const added = await timed(async () => {
    for (let at = 0; at < packets.length; at += ADD_BYTES / PACKET_BYTES) {
      await archive.add(packets.slice(at, at + ADD_BYTES / PACKET_BYTES), { manifests: [], gone: [] })
    }
  })
  packets.length = 0
  const summaries = await archive.summaries()
  const kept = summaries.reduce((sum, { bytes }) => sum + bytes, 0)
  row('archive', added, `${size(kept)} of ${size(made.bytes)}`)

  for (const [what, query] of QUERIES) {
    reads.bytes = reads.calls = 0
    let found = 0
    const took = await timed(async () => {
      for await (const _ of archive.search({ query: parseQuery(query), order: 'oldest' })) found++
    })
    row(`search, ${what}`, took, `${found} found, ${size(reads.bytes)} in ${reads.calls} reads`)
  }

  const target = await SegmentStore.open(new FolderStore(world.disk, join(dir, 'history')), {
    world,
    writer: 'bench',
    zstdLevel: 3,
  })
  const copies = new CopyJobs({
    index: archive,
    archive,
    world,
    openTarget: async () => target,
    dropTarget: async () => undefined,
  })
  rssMax = 0
  const task = {
    id: 'bench',
    kind: 'copy',
    createdMs: 0,
    by: 'bench',
    params: { from: 'archive', to: 'history', sinceNs: '0', untilNs: `${2n ** 62n}` },
    jobs: [{}, { sinceNs: '0', untilNs: `${2n ** 62n}` }],
  }
  const pass = { signal: new AbortController().signal, progress: () => undefined }
  const copied = await timed(() => copies.run(task as never, 1, pass))
  const events = (await target.totals()).reduce((sum, totals) => sum + totals.events, 0)
  if (events !== made.lines) throw new Error(`${events} events in the history, ${made.lines} lines in the log`)
  row('history', copied, `${Math.round(events / copied.wall)} events/s, ${size(rssMax)} at most in memory`)
  console.log(`${size(made.bytes)}, ${made.lines} lines, archive in ${values.s3 ? 'S3Proxy' : 'a folder'}\n`)
  console.log(table(['what', 'MB/s', 'MB per CPU s', ''], rows))
} finally {
  clearInterval(watch)
  for (const teardown of teardowns.reverse()) await teardown()
  rmSync(dir, { recursive: true, force: true })
}

async function timed(work: () => Promise<unknown>): Promise<{ wall: number; cpu: number }> {
  const startedAt = performance.now()
  const before = process.cpuUsage()
  await work()
  const { user, system } = process.cpuUsage(before)
  return { wall: (performance.now() - startedAt) / 1000, cpu: (user + system) / 1e6 }
}

function counted(inner: ObjectStore): ObjectStore {
  return {
    create: (key, content) => inner.create(key, content),
    put: (key, content) => inner.put(key, content),
    size: key => inner.size(key),
    list: prefix => inner.list(prefix),
    remove: key => inner.remove(key),
    get: async (key, range) => {
      const bytes = await inner.get(key, range)
      reads.calls++
      reads.bytes += bytes?.length ?? 0
      return bytes
    },
  }
}

async function bucket(): Promise<ObjectStore> {
  const { startS3Proxy } = await import('../test/engines/s3proxy.ts')
  const t = { teardown: (work: () => unknown) => teardowns.push(work), plan: () => undefined }
  const engine = await startS3Proxy(t as never)
  if (!engine) throw new Error('no S3Proxy here')
  await mkdir(join(engine.dataFolder, 'bench'))
  const { endpoint, region, accessKeyId, secretAccessKey } = engine
  return new S3Store({ endpoint, region, bucket: 'bench', credentials: { accessKeyId, secretAccessKey } }, world)
}

/** As a tailer cuts them, one line an event. */
function packetsOf(text: Buffer): Packet[] {
  const packets: Packet[] = []
  let from = 0
  for (let sequence = 1; from < text.length; sequence++) {
    const ends: number[] = []
    let to = from
    while (to < text.length && to - from < PACKET_BYTES) {
      const end = text.indexOf(10, to)
      to = end < 0 ? text.length : end + 1
      ends.push(to - from)
    }
    const count = ends.length
    const baseNs = BigInt(BUCKET + sequence) * 1_000_000_000n
    const run = { source: 'ab'.repeat(10), host: 'web1', path: '/var/log/mixed.log', app: 'mixed' }
    const events: Events = {
      runs: [{ ...run, from, to, start: 0, events: count }],
      bytes: text.subarray(from, to),
      ends: Uint32Array.from(ends),
      lines: new Uint16Array(count).fill(1),
      times: BigInt64Array.from(ends, (_, n) => baseNs + BigInt(n) * 50_000n),
      levels: new Uint8Array(count),
      flags: new Uint8Array(count),
      hosts: new Uint16Array(count),
      apps: new Uint16Array(count),
      names: [''],
    }
    const origin = { tailer: TAILER, epoch: EPOCH, sequence, bucket: BUCKET + Math.floor(sequence / 60) * 60 }
    packets.push(encodePacket(origin, events))
    from = to
  }
  return packets
}
