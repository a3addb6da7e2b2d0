import { appendFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { computeLedger } from '../../shared/ledger.ts'
import { isManifestGenuine } from '../../shared/manifest.ts'
import { until } from '../../shared/until.test-support.ts'
import { bench } from '../tailer.test-support.ts'

const drop = [{ name: 'noise', pattern: 'DEBUG' }]
const text = (from: number, to: number) =>
  Array.from(
    { length: to - from },
    (_, i) => `2026-01-02T03:04:05Z web1 app: ${i % 3 ? 'INFO' : 'DEBUG'} ${from + i}\n`,
  )
const blanked = (lines: string[]) => lines.map(line => (line.includes('DEBUG') ? line.replace(/[^\n]/g, '*') : line))

test('dropped lines are counted by rule in status and manifests, and the offsets stay those of the file', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, text(0, 30).join(''))
  const run = await b.start({ files: [{ path, drop }] })
  await until('all is read', () => run.tailer.status().linesRead === 30)
  const bytes = text(0, 30)
    .filter(line => line.includes('DEBUG'))
    .join('').length
  t.same(run.tailer.status().dropped, [{ rule: 'noise', lines: 10, bytes }])
  await run.stop()
  const [source] = (await b.contents()).values()
  t.equal(source.bytes.toString(), blanked(text(0, 30)).join(''))
  t.equal(source.lines, 30)
  const { manifests } = await b.held()
  t.ok(manifests.every(isManifestGenuine))
  const empty = { totals: [], sequences: new Map() }
  const ledger = computeLedger({
    ...{ contacts: [], records: [], gone: [], inventories: [], index: empty, archive: empty, holeAfterMs: 1e9 },
    manifests,
  })
  t.same(
    ledger.rows.map(row => row.dropped),
    [[{ rule: 'noise', lines: 10, bytes }]],
  )
})

test('a file with dropped lines is known again after a restart and a rotation: nothing is read twice', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  const files = [{ path, drop }]
  // Mostly dropped, head and tail too.
  await writeFile(path, text(0, 30).join(''))
  const first = await b.start({ files })
  await until('all is read', () => first.tailer.status().linesRead === 30)
  await first.stop()
  await rename(path, `${path}.1`)
  await appendFile(`${path}.1`, text(30, 40).join(''))
  await writeFile(path, text(40, 50).join(''))
  const second = await b.start({ files })
  await until('the rest is read', () => second.tailer.status().linesRead === 20)
  await second.stop()
  t.same(
    [...(await b.contents()).values()].map(source => source.bytes.toString()).sort(),
    [blanked(text(0, 40)).join(''), blanked(text(40, 50)).join('')].sort(),
  )
})

test('other filters after SIGHUP hold for what is read from then on; a bad one changes nothing', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, text(0, 3).join(''))
  const run = await b.start({ files: [{ path, drop }] })
  await until('all is read', () => run.tailer.status().linesRead === 3)
  t.throws(() => run.tailer.follow({ files: [{ path, drop: ['(unclosed'] }] }), { name: 'PatternError' })
  await appendFile(path, text(3, 6).join(''))
  await until('more is read', () => run.tailer.status().linesRead === 6)
  run.tailer.follow({ files: [{ path, keep: ['INFO 7'] }] })
  await b.looks()
  await appendFile(path, text(6, 9).join(''))
  await until('the rest is read', () => run.tailer.status().linesRead === 9)
  t.same(
    run.tailer.status().dropped.map(({ rule, lines }) => [rule, lines]),
    [
      ['noise', 2],
      ['keep', 2],
    ],
  )
  await run.stop()
  const [source] = (await b.contents()).values()
  const last = text(6, 9).map(line => (line.includes('INFO 7') ? line : line.replace(/[^\n]/g, '*')))
  t.equal(source.bytes.toString(), [...blanked(text(0, 6)), ...last].join(''))
})
