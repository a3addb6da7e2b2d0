// `node bench/queries.ts --log FILE [--index FOLDER] [--runs 9] [--block-mb 4] [--only rare,common]`: how long searches of an index folder
// take, warm: every query is asked once before it is measured. Made of FILE if it is not there yet; a rare word is planted
// every 8 MB. CPU milliseconds of the whole process, so that nothing runs aside unnoticed; `taskset -c 0` gives it one core.
// --threads N: searched in N threads, as archie does; --wall: milliseconds that somebody waits.
import { existsSync, mkdtempSync, openSync, readSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { table } from '../bin/terminal.ts'
import type { Events } from '../shared/events.ts'
import { FolderStore } from '../shared/folder-store.ts'
import { encodePacket, type Packet } from '../shared/packet.ts'
import { parseQuery } from '../shared/query.ts'
import { realWorld } from '../shared/real-world.ts'
import { SearchThreads } from '../shared/search-threads/search-threads.ts'
import { SegmentStore } from '../shared/segment-store.ts'
import { LineParser } from '../tailer/parse/line-parser.ts'
import { RARE_WORD, SUBSTRING } from './logs.ts'

const PACKET_BYTES = 1_000_000
const PACKETS_PER_ADD = 64
const RARE_EVERY_BYTES = 8 * 1024 * 1024
const NEWEST = 100
const BUCKET = 1_680_000_000

const QUERIES: Record<string, string> = {
  rare: RARE_WORD,
  absent: 'wombat9z',
  common: 'info',
  phrase: '"authentication failure"',
  substring: '*lock*',
  'rare substring': SUBSTRING,
  'absent substring': '*ombat9*',
  'within words': '*ssio*',
  'regular expression': '/child \\d+ in scoreboard/',
  'two words': 'failed password',
  'word less word': 'info -block',
  number: '24200',
  level: 'level:error',
  everything: '',
}

const { values } = parseArgs({
  options: {
    log: { type: 'string' },
    index: { type: 'string' },
    runs: { type: 'string', default: '9' },
    'block-mb': { type: 'string' },
    only: { type: 'string' },
    threads: { type: 'string' },
    wall: { type: 'boolean', default: false },
    extra: { type: 'string' },
  },
})
const runs = Number(values.runs)
const folder = values.index ?? mkdtempSync(join(tmpdir(), 'bucktail-queries-'))
const world = realWorld({ log: { debug() {}, info() {}, warn() {}, error() {} } })
const threads = values.threads ? new SearchThreads({ threads: Number(values.threads) }) : undefined
try {
  const isThere = existsSync(join(folder, 'catalogue'))
  const store = await SegmentStore.open(new FolderStore(world.disk, folder), {
    world,
    writer: 'bench',
    ...(threads && { searcher: objects => threads.searcherOf(objects) }),
    ...(values['block-mb'] && { blockBytes: Number(values['block-mb']) * 1024 * 1024 }),
  })
  if (!isThere) {
    if (!values.log) throw new Error('--log FILE: bench/grow.ts makes a long one')
    await fill(store, values.log)
  }
  const only = values.only?.split(',')
  const queries = Object.entries({ ...QUERIES, ...(values.extra !== undefined && { extra: values.extra }) })
  const rows: string[][] = []
  for (const [name, text] of queries.filter(([name]) => !only || only.includes(name))) {
    const query = parseQuery(text)
    const cold = await measure(1, async () => void (await store.summarise({ query })))
    let found = 0
    const count = await measure(runs, async () => {
      found = (await store.summarise({ query })).events
    })
    const newest = await measure(runs, async () => {
      for await (const _ of store.search({ query, order: 'newest', limit: NEWEST }));
    })
    const volume = await measure(3, async () => {
      await store.summarise({ query, volume: true, tops: ['hosts', 'apps', 'levels', 'paths'] })
    })
    const shapes = await measure(2, async () => void (await store.summarise({ query, tops: ['templates'] })))
    rows.push([name, text, `${found}`, ...[cold, count, newest, volume, shapes].map(ms => ms.toFixed(1))])
  }
  console.log(
    table(['query', '', 'found', 'cold', 'count', 'newest 100', 'volume and tops', 'templates'], rows),
    `\n${values.wall ? 'wall' : 'CPU'} ms, median; ${(process.memoryUsage.rss() / 1e6).toFixed(0)} MB resident`,
  )
} finally {
  await threads?.close()
  if (!values.index) rmSync(folder, { recursive: true, force: true })
}

async function measure(times: number, work: () => Promise<void>): Promise<number> {
  const spent: number[] = []
  if (times > 1) await work()
  for (let n = 0; n < times; n++) {
    const before = process.cpuUsage()
    const startMs = performance.now()
    await work()
    const { user, system } = process.cpuUsage(before)
    spent.push(values.wall ? performance.now() - startMs : (user + system) / 1000)
  }
  return spent.sort((a, b) => a - b)[times >> 1]
}

async function fill(store: SegmentStore, path: string): Promise<void> {
  const handle = openSync(path, 'r')
  const { size } = statSync(path)
  const parser = new LineParser({})
  const run = { source: 'ab'.repeat(10), host: 'web1', path: '/var/log/mixed.log', app: 'bench', start: 0 }
  let packets: Packet[] = []
  let sequence = 0
  let rest = Buffer.alloc(0)
  let from = 0
  let planted = 0
  for (let at = 0; at < size; at += PACKET_BYTES) {
    const read = Buffer.alloc(Math.min(PACKET_BYTES, size - at))
    readSync(handle, read, 0, read.length, at)
    let text = Buffer.concat([rest, read])
    const end = text.lastIndexOf(10) + 1
    rest = text.subarray(end)
    text = text.subarray(0, end)
    if (at >= (planted + 0.5) * RARE_EVERY_BYTES) {
      text = Buffer.concat([text, Buffer.from(`2005-12-04 04:47:55 WARN seen a ${RARE_WORD} in the hall\n`)])
      planted++
    }
    const events = eventsOf(text, { ...run, from, to: from + text.length }, parser)
    packets.push(
      encodePacket(
        { tailer: 'aa'.repeat(16), epoch: '1-00000000000000aa', sequence: ++sequence, bucket: BUCKET },
        events,
      ),
    )
    from += text.length
    if (packets.length < PACKETS_PER_ADD && at + PACKET_BYTES < size) continue
    await store.add(packets, { manifests: [], gone: [] })
    packets = []
  }
}

function eventsOf(bytes: Buffer, run: Omit<Events['runs'][number], 'events'>, parser: LineParser): Events {
  const ends: number[] = []
  const times: bigint[] = []
  const levels: number[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf(10, at) + 1
    parser.parse(bytes, at, end, Date.UTC(2026, 2, 1))
    ends.push(end)
    times.push(parser.timeNs)
    levels.push(parser.level)
    at = end
  }
  const count = ends.length
  return {
    runs: [{ ...run, events: count }],
    bytes,
    ends: Uint32Array.from(ends),
    lines: new Uint16Array(count).fill(1),
    times: BigInt64Array.from(times),
    levels: Uint8Array.from(levels),
    flags: new Uint8Array(count),
    hosts: new Uint16Array(count),
    apps: new Uint16Array(count),
    names: [''],
  }
}
