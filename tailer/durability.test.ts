import { appendFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import type { GivenUp } from '../shared/manifest.ts'
import { until } from '../shared/until.test-support.ts'
import { isDurable, isForDisk, lostWith } from './durability.ts'
import type { PacketRef } from './journal.ts'
import { type Bench, bench } from './tailer.test-support.ts'

const ref = (holders: number, runs: [source: string, from: number, to: number][]) =>
  ({
    holders: new Set(Array.from({ length: holders }, (_, i) => `b${i}`)),
    runs: runs.map(([source, from, to]) => ({ source, from, to })),
  }) as unknown as PacketRef

test('a packet is as durable as the log in it that asks for most', async t => {
  const levels = { a: 'archived', t: 'two', o: 'one', d: 'disk' } as const
  const level = (source: string) => levels[source as keyof typeof levels]
  const may = (holders: number, sources: string) => {
    const packet = ref(
      holders,
      [...sources].map((source): [string, number, number] => [source, 0, 1]),
    )
    return [isDurable(packet, level), isForDisk(packet, level)]
  }
  t.same(may(3, 'a'), [false, false])
  t.same(may(3, 'ta'), [false, false])
  t.same(may(1, 't'), [false, false])
  t.same(may(2, 't'), [true, true])
  t.same(may(1, 'o'), [true, true])
  t.same(may(1, 'ot'), [false, false])
  t.same(may(0, 'o'), [false, false])
  t.same(may(1, 'd'), [false, true])
  t.same(may(0, 'dd'), [false, true])
  t.same(may(0, 'do'), [false, false])
  t.same(
    lostWith([ref(0, [['a', 0, 5]]), ref(0, [['a', 5, 9]]), ref(1, [['a', 9, 12]]), ref(0, [['x', 3, 4]])], source =>
      source === 'a' ? { host: 'h', path: '/a' } : undefined,
    ).map(({ path, from, to, kind }) => [path, from, to, kind]),
    [
      ['/a', 0, 9, 'hole'],
      ['', 3, 4, 'hole'],
    ],
  )
})

const bucketFiles = async (b: Bench) => (await readdir(join(b.folder, 'tailer', 'buckets', '0'))).length
const settings = { bucketSeconds: 1, forgetAfterMs: 0 }

test('what two bucks acknowledged is forgotten without an archive where the settings say so, and only there', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, 'one\n')
  const files = [{ path, durability: 'two' as const }, { path: join(b.logFolder, 'other.log') }]
  const run = await b.start({ ...settings, files })
  await until('it is forgotten', () => run.tailer.status().packets === 0 && run.tailer.status().linesRead === 1)
  await appendFile(join(b.logFolder, 'other.log'), 'two\n')
  await until('it is read', () => run.tailer.status().linesRead === 2)
  await new Promise(resolve => setTimeout(resolve, 6_000))
  t.equal(run.tailer.status().packets, 1, 'the other one is kept')
  await run.stop()
  const again = await b.start({ ...settings, files })
  await appendFile(path, 'three\n')
  await until('read on', () => again.tailer.status().linesRead === 1)
  await again.stop()
  const texts = [...(await b.contents()).values()].map(source => source.bytes.toString()).sort()
  t.same(texts, ['one\nthree\n', 'two\n'], 'nothing is read twice for being forgotten')
})

test('at the disk limit the oldest buckets make room where the settings say so: each lost byte is named, the rest arrives', async t => {
  const b = await bench(t)
  for (let buck = 0; buck < 3; buck++) b.cut(buck, true)
  const path = join(b.logFolder, 'app.log')
  const noise = () =>
    Array.from({ length: 40 }, () => Array.from({ length: 1_000 }, () => String.fromCharCode(33 + Math.random() * 90)))
      .map(line => `${line.join('')}\n`)
      .join('')
  const run = await b.start({
    ...settings,
    files: [{ path }],
    diskBytesMax: 100_000,
    overDiskLimit: 'discard',
    openingWaitMs: 200,
  })
  let size = 0
  for (let i = 0; i < 12; i++) {
    const text = noise()
    size += text.length
    await appendFile(path, text)
    await new Promise(resolve => setTimeout(resolve, 300))
  }
  await until('all is read', () => run.tailer.status().bytesRead === size)
  await until('there is room', () => run.tailer.status().journalBytes <= 100_000)
  const row = run.tailer.figures()[0]
  t.ok(row.givenUpBytes > 0)
  for (let buck = 0; buck < 3; buck++) b.cut(buck, false)
  await until('the bucks are back', () => run.tailer.status().linksOpen === 3)
  await until('the rest is at two bucks', () => run.tailer.status().underReplicatedPackets === 0)
  await run.stop()
  const { manifests } = await b.held()
  const lost = manifests.flatMap(({ gaveUp }) => gaveUp)
  const byRange = new Map(lost.map((what): [string, GivenUp] => [`${what.from} ${what.to}`, what]))
  t.ok(
    [...byRange.values()].every(
      ({ kind, reason }) => kind === 'hole' && reason.startsWith('discarded at the disk limit'),
    ),
  )
  const lostBytes = [...byRange.values()].reduce((sum, { from, to }) => sum + to! - from, 0)
  const { packets } = await b.held()
  const heldBytes = packets.reduce((sum, { header }) => sum + header.rawBytes, 0)
  t.equal(lostBytes + heldBytes, size)
  t.equal(lostBytes, row.givenUpBytes)
  t.ok(
    manifests.some(({ first }) => first === 1),
    'the words on what was discarded arrive',
  )
  t.ok((await bucketFiles(b)) > 0)
  const again = await b.start({ ...settings, files: [{ path }] })
  await appendFile(path, 'more\n')
  await until('it reads on', () => again.tailer.status().linesRead === 1)
  t.equal(again.tailer.status().bytesRead, 5, 'what was discarded is not read again')
  await again.stop()
})
