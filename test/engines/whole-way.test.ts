// The whole way with real servers at its end: real lines through tailer, bucks and porter into Elasticsearch and S3. Ledger,
// index and archive count alike; documents are what their lines are; a second archive, made of the index, gives the same
// files.
//
//   WAY_LINES=2000000 npx tap --timeout=3000 test/engines/whole-way.test.ts       (`npm run test:engines` takes as many)
import { createHash } from 'node:crypto'
import { createReadStream, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Test, test } from 'tap'
import { stringify } from 'yaml'
import { type Lines, realKinds, sampleKinds } from '../../bench/grow.ts'
import { EVENT_BYTES_MAX, eventAt, walkEvents } from '../../shared/events.ts'
import { labelsOf } from '../../shared/labels.ts'
import { openStore, world } from '../../shared/objects.test-support.ts'
import { packetEvents } from '../../shared/packet.ts'
import { parseQuery } from '../../shared/query.ts'
import { S3Store } from '../../shared/s3/s3-store.ts'
import { testFolder } from '../../shared/test-folder.test-support.ts'
import { until } from '../../shared/until.test-support.ts'
import { pidOf, run, startUp } from '../command.ts'
import { startElasticsearch } from './elasticsearch.ts'
import { startS3Proxy } from './s3proxy.ts'

const IS_LONG = process.env.BUCKTAIL_TEST_LONG !== undefined
const LINES = Number(process.env.WAY_LINES ?? (IS_LONG ? 2_000_000 : 12_000))
const DOCUMENTS = Math.min(10_000, LINES / 4)
const BUCKET = 'logs'
const RECENT = 'bucktail-default-recent'
/** Not part of a clone: without them the project's own samples are grown alone. */
const REAL_LOGS = fileURLToPath(new URL('../../../shared/data', import.meta.url))
const PORTER_KB_MAX = 400 * 1024

interface Document {
  _id: string
  _source: {
    '@timestamp': string
    message: string
    host: { name: string }
    service: { name: string }
    log: { file: { path: string }; offset: number; level?: string }
    event: { id: string; original?: string }
    labels?: Record<string, unknown>
    bucktail: { source: string; bytes: number; lines: number; line_end?: string; sequence: number; guessed?: boolean }
  }
}

test('real lines through tailer, bucks and porter are in Elasticsearch and S3, and come back from a copy', {
  timeout: 3_000_000,
}, async t => {
  const elastic = await startElasticsearch(t)
  const s3 = elastic && (await startS3Proxy(t))
  if (!elastic || !s3) return
  await mkdir(join(s3.dataFolder, BUCKET))
  const dir = testFolder(t)
  const { files, lines, bytes } = grow(t, join(dir, 'logs'))
  const config = join(dir, 'bucktail.yaml')
  const data = join(dir, 'data')
  const { endpoint, region, accessKeyId, secretAccessKey } = s3
  const keys = { access_key: accessKeyId, secret_key: secretAccessKey }
  writeFileSync(
    config,
    stringify({
      ...{ data, bucket_time: '1s', porter: { archive_after: '1s' } },
      index: { kind: 'elasticsearch', nodes: [elastic.url] },
      archive: { kind: 's3', bucket: BUCKET, prefix: 'prod/', endpoint, region, span: '1m', ...keys },
    }),
  )
  const up = await startUp(t, ['--config', config, ...files])
  const archie = ['--archie', up.url]
  await until(
    'all is in the archive',
    async () =>
      (await sourcesOf(up.url)).every(({ recent, archive }) => recent && archive) && (await isIn(up.url, bytes)),
    2_000_000,
  )

  const ledger = await run(['ledger', '--json', ...archie])
  t.equal(ledger.code, 0, ledger.stderr)
  const { totals, holes } = JSON.parse(ledger.stdout.toString()) as {
    totals: Record<'read' | 'indexed' | 'archived' | 'events' | 'lines', number>
    holes: unknown[]
  }
  t.same(holes, [])
  t.match(totals, { read: bytes, indexed: bytes, archived: bytes, lines })
  const sources = await sourcesOf(up.url)
  const sum = (of: 'recent' | 'archive', what: 'events' | 'lines' | 'bytes') =>
    sources.reduce((total, source) => total + (source[of]?.[what] ?? 0), 0)
  const counted = (await (await fetch(`${elastic.url}/${RECENT}/_count`)).json()) as { count: number }
  t.comment(
    `${lines} lines, ${bytes} bytes, ${files.length} files: ledger ${totals.events} events, ${totals.lines} lines; Elasticsearch counts ${counted.count}; archive ${sum('archive', 'events')} events, ${sum('archive', 'lines')} lines`,
  )
  t.equal(counted.count, totals.events, 'Elasticsearch counts as the ledger does')
  for (const place of ['recent', 'archive'] as const) {
    t.equal(sum(place, 'events'), totals.events)
    t.equal(sum(place, 'lines'), lines)
    t.equal(sum(place, 'bytes'), bytes)
  }
  const porterKb = Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${pidOf(data, 'porter')}/status`, 'utf8'))?.[1])
  t.comment(`the porter took ${Math.round(porterKb / 1024)} MB at most`)
  t.ok(porterKb < PORTER_KB_MAX, 'the porter stays below 400 MB')
  await up.stop()

  await t.test(`${DOCUMENTS} documents are what their lines and the archive say`, async t => {
    const bucket = new S3Store(
      { endpoint, region, bucket: BUCKET, prefix: 'prod/', credentials: { accessKeyId, secretAccessKey } },
      world,
    )
    t.teardown(() => bucket.close())
    await compare(t, await drawn(elastic.url), files, await openStore(bucket, { writer: 'reader' }))
  })

  await t.test('an archive of its own, made of the index, gives the same files', async t => {
    const copy = join(dir, 'copy')
    const exported = await run(['incident', 'export', '--config', config, '--to', copy])
    t.equal(exported.code, 0, exported.stderr)
    t.comment(exported.stdout.toString().trim())
    const copied = join(dir, 'copy.yaml')
    writeFileSync(copied, stringify({ data: join(dir, 'elsewhere'), archive: { folder: copy } }))
    for (const file of files) {
      const out = join(dir, `restored-${basename(file)}`)
      const restored = await run(['restore', '--config', copied, '--file', file, '--out', out])
      t.equal(restored.code, 0, restored.stderr)
      t.equal(await sha256Of(out), await sha256Of(file), `${basename(file)}, byte for byte`)
    }
  })
})

function grow(t: Test, folder: string): { files: string[]; lines: number; bytes: number } {
  mkdirSync(folder)
  const real = realKinds(REAL_LOGS, 1)
  if (real.length === 0) t.comment('no real logs at hand: the samples alone are grown')
  const kinds: Lines[] = [...real, ...sampleKinds(1)]
  const made = { lines: 0, bytes: 0 }
  const files = kinds.map(kind => {
    const path = join(folder, `${kind.kind}.log`)
    let left = Math.ceil(LINES / kinds.length)
    let lineEnds = 0
    const next = () => {
      left--
      const text = kind.next()
      lineEnds += text.split('\n').length - 1
      return text
    }
    // It asks for text until it has enough bytes: enough is when the lines are out.
    const counted: Lines = { ...kind, next: () => (left > 0 ? next() : '') }
    made.bytes += writeAll(path, counted, () => left > 0)
    made.lines += lineEnds
    return path
  })
  return { files, ...made }
}

function writeAll(path: string, lines: Lines, hasMore: () => boolean): number {
  const parts: Buffer[] = []
  while (hasMore()) parts.push(Buffer.from(lines.next(), 'latin1'))
  writeFileSync(path, Buffer.concat(parts))
  return parts.reduce((sum, part) => sum + part.length, 0)
}

interface Source {
  recent?: { events: number; lines: number; bytes: number }
  archive?: { events: number; lines: number; bytes: number }
}

async function sourcesOf(url: string): Promise<Source[]> {
  const answer = await fetch(`${url}/api/v1/sources`)
  return answer.ok ? ((await answer.json()) as { sources: Source[] }).sources : []
}

async function isIn(url: string, bytes: number): Promise<boolean> {
  await new Promise(resolve => setTimeout(resolve, IS_LONG ? 3000 : 300))
  const sources = await sourcesOf(url)
  const sum = (of: 'recent' | 'archive') => sources.reduce((total, source) => total + (source[of]?.bytes ?? 0), 0)
  return sum('recent') >= bytes && sum('archive') >= bytes
}

/** Documents that chance picks, the same for the same index. */
async function drawn(url: string): Promise<Document[]> {
  const answer = await fetch(`${url}/${RECENT}/_search`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      size: DOCUMENTS,
      query: {
        function_score: { query: { exists: { field: '@timestamp' } }, random_score: { seed: 7, field: '_seq_no' } },
      },
    }),
  })
  return ((await answer.json()) as { hits: { hits: Document[] } }).hits.hits
}

async function compare(
  t: Test,
  documents: Document[],
  files: string[],
  archive: Awaited<ReturnType<typeof openStore>>,
): Promise<void> {
  t.equal(documents.length, DOCUMENTS)
  const texts = new Map(files.map(path => [path, readFileSync(path)]))
  const wanted = new Map(documents.map(document => [document._id, document]))
  for (const { _id, _source: seen } of documents) {
    const { offset, file } = seen.log
    const text = texts.get(file.path) as Buffer
    const bytes = text.subarray(offset, offset + seen.bucktail.bytes)
    const isText = Buffer.from(bytes.toString('utf8')).equals(bytes)
    const message = bytes.toString('utf8').replace(/\r?\n$/, '')
    const lineEnd = bytes.toString('latin1').slice(isText ? Buffer.byteLength(message) : undefined)
    const expected = {
      id: `${seen.bucktail.source}-${offset}-${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}`,
      message,
      labels: labelsOf(bytes, file.path),
      original: isText ? undefined : bytes.toString('base64'),
      ...(isText && { line_end: lineEnd }),
      isLine: offset === 0 || text[offset - 1] === 0x0a || bytes.length === EVENT_BYTES_MAX,
    }
    const found = {
      id: _id,
      message: seen.message,
      labels: seen.labels ?? {},
      original: seen.event.original,
      ...(isText && { line_end: seen.bucktail.line_end ?? '\n' }),
      isLine: true,
    }
    if (JSON.stringify(found) !== JSON.stringify(expected)) t.same(found, expected, _id)
    if (seen.event.id !== _id) t.equal(seen.event.id, _id)
  }
  let compared = 0
  for await (const packets of archive.eventPackets({ query: parseQuery('') }, ({ reason }) => t.fail(reason))) {
    for (const packet of packets) {
      const events = packetEvents(packet)
      for (const { i, run, from } of walkEvents(events)) {
        const event = eventAt(events, i, run, from)
        const document = wanted.get(event.id)
        if (!document) continue
        compared++
        wanted.delete(event.id)
        const { '@timestamp': time, host, service, log, bucktail } = document._source
        const found = [host?.name, service?.name, log.level ?? '', bucktail.lines, bucktail.guessed ?? false]
        const expected = [event.host, event.app, event.level, event.lines, event.timeIsGuessed]
        if (JSON.stringify(found) !== JSON.stringify(expected)) t.same(found, expected, event.id)
        if (nanoseconds(time) !== event.timeNs) t.equal(time, String(event.timeNs), event.id)
      }
    }
  }
  t.equal(compared, documents.length, 'each is in the archive, too')
}

function nanoseconds(time: string): bigint {
  return BigInt(Date.parse(`${time.slice(0, 19)}Z`)) * 1_000_000n + BigInt(time.slice(20, 29))
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const part of createReadStream(path)) hash.update(part as Buffer)
  return hash.digest('hex')
}
