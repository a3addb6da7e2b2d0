import { appendFile, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { realWorld } from '../../shared/real-world.ts'
import { until } from '../../shared/until.test-support.ts'
import { bench, silent } from '../tailer.test-support.ts'
import { Quotas } from './quotas.ts'

const lines = (count: number) =>
  Array.from({ length: count }, (_, i) => `2026-01-02T03:04:05Z web1 app: ${i}\n`).join('')

test('what was taken of a day is known after a restart, and a day begins anew', async t => {
  const folder = t.testdir()
  let now = 86_400_000 * 20_000 + 5
  const { disk, clock } = realWorld({ log: silent })
  const parts = { disk, clock: { ...clock, now: () => now }, log: silent }
  const quota = { bytesPerDay: 100 }
  const first = await Quotas.open(parts, folder)
  first.take('/a.log', 60, quota)
  await first.write()
  first.take('/a.log', 30, quota)
  const second = await Quotas.open(parts, folder)
  t.equal(second.taken('/a.log'), 60, 'but for the last seconds')
  now += 86_400_000
  t.equal(second.taken('/a.log'), 0)
  second.take('/a.log', 7, quota)
  t.equal(second.taken('/a.log'), 7)
  now -= 2 * 86_400_000
  t.equal(second.taken('/a.log'), 0, 'a clock that was set back stops nothing')
  for (const content of ['', '{', 'null', '[]', '{"/a.log":{"day":"x","bytes":1}}', '{"/a.log":3}']) {
    await writeFile(join(folder, 'quotas.json'), content)
    t.equal((await Quotas.open(parts, folder)).taken('/a.log'), 0, content)
  }
})

test('over its quota the rest of a log waits in the file, also in its next generation and after a restart', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, lines(20_000))
  const files = [{ path, quota: { bytesPerDay: 1000 } }]
  const first = await b.start({ files })
  await until('some is read', () => first.tailer.status().linesRead > 0)
  await new Promise(resolve => setTimeout(resolve, 200))
  const read = first.tailer.status().bytesRead
  t.ok(read <= 128 * 1024, `one read: ${read}`)
  t.same(first.tailer.status().quotaLeft, [[path, 0]])
  await first.stop()
  t.match(JSON.parse(await readFile(join(b.folder, 'tailer', 'quotas.json'), 'utf8')), { [path]: { bytes: read } })
  await rename(path, `${path}.1`)
  await writeFile(path, lines(10))
  const second = await b.start({ files })
  await until('both are seen', () => second.tailer.status().sources.length === 2)
  await new Promise(resolve => setTimeout(resolve, 200))
  t.equal(second.tailer.status().bytesRead, 0)
  second.tailer.follow({ files: [{ path }] })
  await until('without a quota all is read', () => second.tailer.status().sources.every(one => one.read === one.size))
  await second.stop()
  const texts = [...(await b.contents()).values()].map(source => source.bytes.toString())
  t.same(texts.sort(), [lines(10), lines(20_000)].sort())
})

test('a quota that discards drops what is over it, record by record, and counts it', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  const text = lines(100)
  const length = lines(1).length
  await writeFile(path, text)
  const run = await b.start({ files: [{ path, quota: { bytesPerDay: 10 * length, over: 'discard' } }] })
  await until('all is read', () => run.tailer.status().bytesRead === text.length)
  await appendFile(path, 'one more\n')
  await until('all is read', () => run.tailer.status().linesRead === 101)
  t.match(run.tailer.status().dropped, [{ rule: 'quota', lines: 91 }])
  await run.stop()
  const [source] = (await b.contents()).values()
  t.equal(
    source.bytes.toString(),
    lines(100).slice(0, 10 * length) + `${text.slice(10 * length)}one more\n`.replace(/[^\n]/g, '*'),
  )
})
