import { join } from 'node:path'
import { test } from 'tap'
import { eventAt, eventBytes, walkEvents } from './events.ts'
import { Heap } from './heap.ts'
import {
  BUCKET,
  EPOCH,
  seededRandom,
  sourceName,
  TAILER,
  type TestRun,
  testEvents,
  testSeed,
} from './packets.test-support.ts'
import { realDisk } from './real-disk.ts'
import {
  encodeFooter,
  ownHeadDamage,
  readDirectory,
  readFilters,
  readSegmentBlock,
  type SegmentFile,
} from './segment.ts'
import { catSegment, verifySegment } from './segment-file.ts'
import { describeSegment, encodeSegmentManifest } from './segment-manifest.ts'
import { tokensSought } from './segment-tokens.ts'
import { SegmentWriter, type WrittenSegment } from './segment-writer.ts'
import type { Damage } from './stores.ts'

const origin = { tailer: TAILER, epoch: EPOCH, sequence: 3, bucket: BUCKET }

test('a footer is these bytes', t => {
  const directory = Buffer.from('directory')
  t.equal(
    encodeFooter(2, 0x01020304, directory).toString('hex'),
    '4254534602000000000000020102030400000009467844dac4c17f51',
  )
  t.end()
})

// One block, its directory, the footer: as version 1 wrote it.
const GOLDEN = Buffer.from(
  [
    '4254534201000041000000000000005f0000003b00000002000000020000000817508f1956a8000017508f1956a800005a77',
    '80329fe97e804479772a28b52ffd2079b50200d404949194d92061b2312d30616103ce6422c4009195b46361393738313132',
    '636131626264636166616332a477656231b02f7661722f6c6f672f6170702e6c6f67a3617070009195000000080291a00200',
    'e0200d2802020000000800000028b52ffd2030550100140204000000040000000000a856198f50170001000100060000006f',
    '6e650a74776f0a020080901958024254534201000041000000000000005f0000003b00000002000000020000000817508f19',
    '56a8000017508f1956a800005a7780329fe97e804479772a28b52ffd2079b50200d404949194d92061b2312d30616103ce64',
    '22c4009195b46361393738313132636131626264636166616332a477656231b02f7661722f6c6f672f6170702e6c6f67a361',
    '7070009195000000080291a00200e0200d2802425453460100000000000001000000d60000009be65d8269d34e02c7',
  ].join(''),
  'hex',
)

test('a segment of version 1 is read for ever', async t => {
  const file = inMemory(GOLDEN)
  const blocks = await readDirectory(file, fail)
  const time = BigInt(BUCKET) * 1_000_000_000n
  t.match(blocks, [
    { position: 0, bytes: 214, events: 2, lines: 2, rawBytes: 8, leastNs: time, greatestNs: time, levels: 0b1000001 },
  ])
  const events = await readSegmentBlock(file, blocks[0])
  t.equal(events.bytes.toString(), 'one\ntwo\n')
  t.same([...events.levels], [6, 0])
  const where = { source: sourceName('a'), host: 'web1', path: '/var/log/app.log', app: 'app', start: 0 }
  t.same(events.runs, [{ ...where, origin, from: 0, to: 8, events: 2 }])
})

test('what is written now is laid out like that', t => {
  const { content } = write([{ lines: [{ text: 'one\n', level: 'error' }, 'two\n'] }])
  // What zstd makes of meta and body may change with the library: the fixed fields may not.
  for (const [from, to] of [
    [0, 12],
    [20, 48],
  ])
    t.equal(content.toString('hex', from, to), GOLDEN.toString('hex', from, to))
  const metaBytes = content.readUInt32BE(12)
  const end = content.length - 28
  t.same(
    content.subarray(end - 8 - 60 - metaBytes, end - 8),
    content.subarray(0, 60 + metaBytes),
    'the directory repeats the head',
  )
  t.equal(content.toString('hex', end - 8, end), '0000000000000000', 'and says that two short lines have no filter')
  t.end()
})

test('what was written is read, run by run, with the packets it came in', async t => {
  const b = ['one\r\n', { text: 'two\n', host: 'relayed', app: 'cron', level: 'warn' as const, timeNs: -5n }]
  const a = Array.from({ length: 50 }, (_, i) => `line ${i}\n`)
  const { content, sources, hosts, apps } = write(
    [
      { source: sourceName('b'), path: '/b', from: 7, start: 7, lines: b },
      { source: sourceName('a'), path: '/a', lines: a },
    ],
    100,
  )
  const file = inMemory(content)
  const texts: Record<string, string> = { '/a': '', '/b': '' }
  const blocks = await readDirectory(file, fail)
  t.ok(blocks.length > 3)
  for (const block of blocks) {
    const events = await readSegmentBlock(file, block)
    for (const { i, run, from } of walkEvents(events)) {
      if (run.path === '/a') t.equal(from, texts['/a'].length)
      texts[run.path] += eventBytes(events, i)
      t.same(events.runs.find(other => other === run)?.origin, origin)
      if (i === 1 && run.path === '/b')
        t.match(eventAt(events, i, run, from), { host: 'relayed', app: 'cron', level: 'warn', timeNs: -5n })
    }
  }
  t.same(texts, { '/a': a.join(''), '/b': 'one\r\ntwo\n' })
  t.same([...(sources.find(({ path }) => path === '/b')?.ranges ?? [])], [[7, 16]])
  t.same(
    [hosts?.sort(), apps?.sort()],
    [
      ['relayed', 'web1'],
      ['app', 'cron'],
    ],
  )
})

test('least and greatest time are those of a plain comparison', t => {
  const edges = [
    0n,
    1n,
    -1n,
    2n ** 31n,
    2n ** 32n - 1n,
    2n ** 32n,
    -(2n ** 32n),
    2n ** 40n + 5n,
    -(2n ** 62n),
    2n ** 62n,
  ]
  for (let n = 0; n < 200; n++) {
    const random = seededRandom(n)
    const times = Array.from({ length: 1 + (n % 5) }, () => edges[Math.floor(random() * edges.length)])
    const { leastNs, greatestNs } = write([{ lines: times.map(timeNs => ({ text: 'a line\n', timeNs })) }])
    const sorted = times.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0))
    if (leastNs !== sorted[0] || greatestNs !== sorted.at(-1)) t.fail(`${times}: ${leastNs} to ${greatestNs}`)
  }
  t.end()
})

test('every cut is found and named, and whole blocks before it are served', async t => {
  const { content, blocks } = write(someRuns(), 300)
  t.ok(blocks.length >= 4)
  for (let size = 0; size < content.length; size++) {
    const damages: Damage[] = []
    const bytes = await readAll(inMemory(content.subarray(0, size)), damages)
    const whole = blocks.filter(({ position, bytes }) => position + bytes <= size).length
    if (damages.length === 0 || bytes.length !== whole) {
      t.fail(`cut to ${size}: ${bytes.length} of ${whole} whole blocks, ${damages.length} damages named`)
    }
  }
  t.pass(`${content.length} cuts`)
  t.end()
})

test('every flipped byte is found and named, and costs its own block at most', async t => {
  const { content } = write(someRuns(), 300)
  const whole = await readAll(inMemory(content), [])
  const blocks = await readDirectory(inMemory(content), fail)
  for (const block of blocks) t.equal(await ownHeadDamage(inMemory(content), block), undefined)
  for (let at = 0; at < content.length; at++) {
    const flipped = Buffer.from(content)
    flipped[at] ^= 1 << (at % 8)
    const damages: Damage[] = []
    const bytes = await readAll(inMemory(flipped), damages)
    const hit = blocks.findIndex(({ position, bytes }) => at >= position && at < position + bytes)
    const expected = whole.filter((_, n) => n !== hit)
    const isHeadOnly = hit >= 0 && bytes.length === whole.length
    // The directory repeats head and meta: with it a block is served although its own copy of them is damaged.
    if (!isHeadOnly && !sameBytes(bytes, expected))
      t.fail(`flip at ${at}: ${bytes.length} blocks instead of ${expected.length}`)
    if (isHeadOnly && !sameBytes(bytes, whole)) t.fail(`flip at ${at}: other bytes are served`)
    if (isHeadOnly && !(await ownHeadDamage(inMemory(flipped), blocks[hit]))) t.fail(`flip at ${at}: goes unseen`)
    if (!isHeadOnly && damages.length === 0) t.fail(`flip at ${at}: no damage named`)
  }
  t.pass(`${content.length} flips`)
  t.end()
})

test('the filters say which blocks have no such word; a damaged one is named and says nothing', async t => {
  const words = ['apple', 'banana', 'cherry']
  const lines = (word: string) => Array.from({ length: 400 }, (_, i) => `${word} ${i} ${(i * 7919).toString(36)}\n`)
  const runs = words.map(word => ({ source: sourceName(word), path: `/${word}`, lines: lines(word) }))
  const { content, blocks: records } = write(runs, 16 * 1024)
  const file = inMemory(content)
  const blocks = await readDirectory(file, fail)
  t.equal(blocks.length, 3, 'a block per file: each is long enough')
  const filters = await readFilters(file, blocks, fail)
  for (const word of words) {
    const [token] = tokensSought(word, true, true)
    t.same(
      filters.map(filter => filter?.couldHold(token)),
      words.map(other => other === word),
      word,
    )
  }
  const from = records[2].position + records[2].bytes
  const first = blocks[0].filter?.position
  t.equal(first, from)
  const bytes = blocks.reduce((sum, { filter }) => sum + (filter?.bytes ?? 0), 0)
  t.ok(bytes <= content.length * 0.08, `${bytes} of ${content.length}`)
  for (let at = from; at < from + bytes; at++) {
    const flipped = Buffer.from(content)
    flipped[at] ^= 1 << (at % 8)
    const damages: Damage[] = []
    const read = await readFilters(inMemory(flipped), await readDirectory(inMemory(flipped), fail), damage =>
      damages.push(damage),
    )
    const hit = blocks.findIndex(({ filter }) => filter && at >= filter.position && at < filter.position + filter.bytes)
    if (damages.length !== 1 || read[hit] || read.filter(filter => filter).length !== 2) t.fail(`flip at ${at}`)
  }
})

test('verifying finds every flipped byte of segment and manifest', async t => {
  const folder = t.testdir()
  const written = write(someRuns(), 300)
  const manifest = encodeSegmentManifest(
    describeSegment(written, {
      span: BUCKET,
      firstBucket: BUCKET,
      lastBucket: BUCKET,
      packets: [],
      words: { manifests: [], gone: [] },
      writer: 'test',
      wallMs: 1,
    }),
  )
  const segmentPath = join(folder, 'a.seg')
  const manifestPath = join(folder, 'a.json')
  await realDisk.replaceFile(segmentPath, written.content)
  await realDisk.replaceFile(manifestPath, manifest)
  const report = await verifySegment(realDisk, segmentPath)
  t.match(report, {
    blocks: written.blocks.length,
    events: written.events,
    lines: written.lines,
    bytes: written.rawBytes,
    hasManifest: true,
    damages: [],
  })
  t.equal(report.damages.length, 0)

  const seed = testSeed('SEGMENT_SEED')
  t.comment(`SEGMENT_SEED=${seed}`)
  const random = seededRandom(seed)
  for (const [path, content] of [
    [segmentPath, written.content],
    [manifestPath, manifest],
  ] as const) {
    for (let n = 0; n < 60; n++) {
      const damaged = Buffer.from(content)
      const at = Math.floor(random() * damaged.length)
      damaged[at] ^= 1 << Math.floor(random() * 8)
      await realDisk.replaceFile(path, n % 10 === 0 ? content.subarray(0, at) : damaged)
      const { damages } = await verifySegment(realDisk, path === segmentPath ? path : segmentPath)
      if (damages.length === 0) t.fail(`${path}: a change at ${at} was not found`)
      if (!damages[0].where.includes(path)) t.fail(`${damages[0].where} does not name ${path}`)
    }
    await realDisk.replaceFile(path, content)
  }
  t.same((await verifySegment(realDisk, segmentPath)).damages, [])
})

test('cat gives the exact lines, and goes on behind damage if it may tell it', async t => {
  const folder = t.testdir()
  const path = join(folder, 'a.seg')
  const written = write(someRuns(), 300)
  await realDisk.replaceFile(path, written.content)
  const whole = await collect(catSegment(realDisk, path))
  const events = testEvents(someRuns())
  t.same([...Buffer.concat(whole).toString().split('\n')].sort(), [...events.bytes.toString().split('\n')].sort())

  const damaged = Buffer.from(written.content)
  damaged[written.blocks[1].position + written.blocks[1].bytes - 1] ^= 1
  await realDisk.replaceFile(path, damaged)
  await t.rejects(collect(catSegment(realDisk, path)), { name: 'CorruptSegmentError' })
  const damages: Damage[] = []
  t.same(
    await collect(catSegment(realDisk, path, damage => damages.push(damage))),
    whole.filter((_, n) => n !== 1),
  )
  t.match(damages, [{ where: `${path} block at ${written.blocks[1].position}`, reason: 'body checksum is wrong' }])
})

test('a heap gives the least first, also after a cut', t => {
  const random = seededRandom(1)
  const heap = new Heap<number>((a, b) => a - b)
  const numbers = Array.from({ length: 500 }, () => Math.floor(random() * 100))
  for (const number of numbers) heap.push(number)
  const sorted = numbers.toSorted((a, b) => a - b)
  t.same(heap.cut(300), sorted.slice(300))
  heap.push(-1)
  t.same(
    Array.from({ length: 301 }, () => heap.pop()),
    [-1, ...sorted.slice(0, 300)],
  )
  t.equal(heap.pop(), undefined)
  t.end()
})

function write(runs: TestRun[], blockBytes = 1 << 20): WrittenSegment {
  const events = testEvents(runs)
  const writer = new SegmentWriter({ blockBytes, level: 1 })
  let first = 0
  for (const run of events.runs) {
    writer.append({ events, first, end: first + run.events, run, from: run.from, to: run.to, origin })
    first += run.events
  }
  return writer.finish()!
}

function someRuns(): TestRun[] {
  const random = seededRandom(42)
  return ['a', 'b'].map(word => ({
    source: sourceName(word),
    path: `/${word}`,
    lines: Array.from({ length: 40 }, (_, i) => `${i} ${word} ${Math.floor(random() * 2 ** 40).toString(36)}\n`),
  }))
}

function inMemory(content: Buffer): SegmentFile {
  return { name: 'test.seg', size: content.length, read: async (from, to) => content.subarray(from, to) }
}

async function readAll(file: SegmentFile, damages: Damage[]): Promise<Buffer[]> {
  const out: Buffer[] = []
  for (const block of await readDirectory(file, damage => damages.push(damage))) {
    try {
      out.push((await readSegmentBlock(file, block)).bytes)
    } catch (error) {
      const { where, reason } = error as Damage
      damages.push({ where, reason })
    }
  }
  return out
}

async function collect(parts: AsyncIterable<Buffer>): Promise<Buffer[]> {
  const out: Buffer[] = []
  for await (const part of parts) out.push(part)
  return out
}

function sameBytes(a: Buffer[], b: Buffer[]): boolean {
  return a.length === b.length && a.every((bytes, n) => bytes.equals(b[n]))
}

function fail(damage: Damage): never {
  throw new Error(`${damage.where}: ${damage.reason}`)
}
