import { appendFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { until } from '../shared/until.test-support.ts'
import { startTailerFace } from './face.ts'
import { PATHS_MAX, SourceFigures } from './source-figures.ts'
import { bench, lines, silent } from './tailer.test-support.ts'

test('/metrics tells by log what was read, packed, held twice, hidden, left out and given up', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  const old = join(b.logFolder, 'old.log')
  await writeFile(path, `${lines(0, 10)}2026-01-02T03:04:05Z web1 app[7]: from joe@example.org\n`)
  await writeFile(old, lines(0, 7))
  const { tailer, stop } = await b.start({
    files: [
      { path, redact: ['emails'] },
      { path: old, from: 'end' },
    ],
  })
  const row = (of: string) => tailer.figures().find(one => one.path === of)
  await until('held twice', () => (row(path)?.heldTwiceBytes ?? 0) > 0)
  const first = row(path)!
  t.match(first, { redacted: 1, behindBytes: 0, behindSeconds: 0, givenUpBytes: 0, excludedBytes: 0 })
  t.same([first.packedBytes, first.heldTwiceBytes], [first.readBytes, first.readBytes])
  t.match(row(old), { readBytes: 0, excludedBytes: lines(0, 7).length })

  await rename(path, `${path}.1`)
  await writeFile(path, lines(10, 12))
  await until('the rotated log has one row', () => row(path)?.readBytes === first.readBytes + lines(10, 12).length)
  t.equal(row(`${path}.1`), undefined)

  const made = { status: 0, figures: 0 }
  const face = await startTailerFace(
    { host: '127.0.0.1', port: 0 },
    {
      log: silent,
      status: () => {
        made.status++
        return tailer.status()
      },
      figures: () => {
        made.figures++
        return tailer.figures()
      },
    },
  )
  t.teardown(() => face.close())
  const answer = async () => (await fetch(`http://${face.address}/metrics`)).text()
  const bytesRead = (metrics: string) => Number(/^bucktail_tailer_read_bytes (\d+)$/m.exec(metrics)?.[1])
  const text = await answer()
  t.match(text, `bucktail_tailer_source_excluded_bytes{path="${old}"} ${lines(0, 7).length}`)
  t.match(text, `bucktail_tailer_source_redacted{path="${path}"} 1`)
  t.same(made, { status: 1, figures: 1 }, 'the figures of one answer are of one state')
  await appendFile(path, lines(12, 13))
  await until('an answer has the next state', async () => bytesRead(await answer()) > bytesRead(text))
  await stop()
})

test('behind: how much is unread, and for how long', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, lines(0, 3))
  const { tailer, stop } = await b.start({ partialMs: 600_000 })
  await until('read', () => tailer.status().linesRead === 3)
  await appendFile(path, 'a line without its end')
  await until('seen', () => (tailer.figures()[0]?.behindSeconds ?? 0) > 0)
  t.equal(tailer.figures()[0].behindBytes, 22)
  await appendFile(path, '\n')
  await until('read', () => tailer.figures()[0].behindBytes === 0)
  t.equal(tailer.figures()[0].behindSeconds, 0)
  await stop()
})

test('more logs than rows: the rest is summed as other, and nothing is left out', t => {
  const figures = new SourceFigures({ now: () => 0, monotonic: () => 0, sleep: async () => undefined })
  for (let i = 0; i < PATHS_MAX + 50; i++) {
    figures.gaveUp({ source: '', host: 'h', path: `/log/${i}/a.log`, from: 0, to: 10, reason: 'r', kind: 'hole' })
  }
  figures.gaveUp({ source: '', host: 'h', path: '/log/0/a.log', from: 0, reason: 'r', kind: 'hole' })
  const rows = figures.rows([])
  t.equal(rows.length, PATHS_MAX + 1)
  t.match(
    rows.find(({ path }) => path === 'other'),
    { givenUpBytes: 500, givenUpRanges: 50 },
  )
  t.equal(
    rows.reduce((sum, row) => sum + row.givenUpBytes, 0),
    (PATHS_MAX + 50) * 10,
  )
  t.match(rows[0], { givenUpBytes: 10, givenUpRanges: 2 })
  t.end()
})
