import { appendFile, mkdir, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { until } from '../shared/until.test-support.ts'
import { type Bench, bench, lines, textsOf } from './tailer.test-support.ts'

/** What the manifests say was not read. */
async function wordsOf(b: Bench) {
  // Every buck has every manifest.
  const manifests = new Map((await b.held()).manifests.map(one => [one.signature.toString('hex'), one]))
  return [...manifests.values()]
    .flatMap(manifest => manifest.gaveUp)
    .map(({ path, from, to, kind, reason }) => ({ path: path.slice(b.logFolder.length + 1), from, to, kind, reason }))
}

const NOT_NAMED = 'no setting names it any more'
const quiet = () => new Promise(resolve => setTimeout(resolve, 300))

test('settings that name other files: the new ones are read, the old ones no more, and no offset is lost', async t => {
  const b = await bench(t)
  const [one, two] = [join(b.logFolder, 'one.log'), join(b.logFolder, 'two.log')]
  await writeFile(one, lines(0, 5))
  await writeFile(two, lines(100, 103))
  const { tailer, stop } = await b.start({ files: [{ path: one }] })
  await until('one is read', () => tailer.status().linesRead === 5)

  tailer.follow({ files: [{ path: two }] })
  await until('two is read', () => tailer.status().linesRead === 8)
  await appendFile(one, lines(5, 7))
  await quiet()
  t.equal(tailer.status().linesRead, 8, 'what no setting names is not read')
  t.same(
    tailer.status().sources.map(({ path }) => path),
    [two],
  )

  tailer.follow({ files: [{ path: one }, { path: two }] })
  await until('read on at the offset', () => tailer.status().linesRead === 10)
  await stop()
  t.same(await textsOf(b), [lines(0, 7), lines(100, 103)])
  const from = lines(0, 5).length
  t.same(await wordsOf(b), [{ path: 'one.log', from, to: undefined, kind: 'excluded', reason: NOT_NAMED }])
})

test('a restart with fewer files: no hole but an exclusion, told once; with all of them again it goes on at the offset', async t => {
  const b = await bench(t)
  const [one, two] = [join(b.logFolder, 'one.log'), join(b.logFolder, 'two.log')]
  const files = [{ path: one }, { path: two }]
  await writeFile(one, lines(0, 5))
  await writeFile(two, lines(100, 103))
  const first = await b.start({ files })
  await until('both are read', () => first.tailer.status().linesRead === 8)
  await first.stop()
  await appendFile(one, lines(5, 6))

  for (let i = 0; i < 2; i++) {
    const { tailer, stop } = await b.start({ files: [{ path: two }] })
    await appendFile(two, lines(103 + i, 104 + i))
    await until('two is read on', () => tailer.status().linesRead === 1)
    await quiet()
    await stop()
  }
  await appendFile(one, lines(6, 8))
  const last = await b.start({ files })
  await until('one is read on', () => last.tailer.status().linesRead === 3)
  await last.stop()
  t.same(await textsOf(b), [lines(0, 8), lines(100, 105)])
  const from = lines(0, 5).length
  t.same(await wordsOf(b), [{ path: 'one.log', from, to: undefined, kind: 'excluded', reason: NOT_NAMED }])
})

test('named no more, and rotated meanwhile: named again, the rest of the rotated file is read and the new one from 0', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, lines(0, 5))
  const { tailer, stop } = await b.start({ files: [{ path }] })
  await until('read', () => tailer.status().linesRead === 5)
  tailer.follow({ files: [] })
  await until('left', () => tailer.status().sources.length === 0)
  await appendFile(path, lines(5, 8))
  await rename(path, `${path}.1`)
  await writeFile(path, lines(8, 10))
  tailer.follow({ files: [{ path }] })
  await until('read on', () => tailer.status().linesRead === 10)
  await stop()
  t.same(await textsOf(b), [lines(0, 8), lines(8, 10)])
})

test('named no more, and gone or overwritten when it is named again: excluded it was, a hole it is not', async t => {
  const b = await bench(t)
  const [one, two] = [join(b.logFolder, 'one.log'), join(b.logFolder, 'two.log')]
  const files = [{ path: one }, { path: two }]
  await writeFile(one, lines(0, 5))
  await writeFile(two, lines(100, 105))
  const { tailer, stop } = await b.start({ files })
  await until('read', () => tailer.status().linesRead === 10)
  tailer.follow({ files: [] })
  await until('left', () => tailer.status().sources.length === 0)
  await appendFile(one, lines(5, 6))
  await rm(one)
  await truncate(two, 0)
  await appendFile(two, lines(200, 201))
  tailer.follow({ files })
  await until('the new content is read', () => tailer.status().linesRead === 11)
  await until('all is decided', () => tailer.status().undecided === 0)
  await stop()
  t.same(await textsOf(b), [lines(0, 5), lines(100, 105), lines(200, 201)])
  t.same(
    (await wordsOf(b)).map(({ path, kind, reason }) => [path, kind, reason]),
    [
      ['one.log', 'excluded', NOT_NAMED],
      ['two.log', 'excluded', NOT_NAMED],
    ],
  )
})

test('an excluded folder takes effect while it runs, and a log moved to where the new settings look keeps its source', async t => {
  const b = await bench(t)
  const [a, c] = [join(b.logFolder, 'a'), join(b.logFolder, 'c')]
  await mkdir(a)
  await writeFile(join(a, 'x.log'), lines(0, 4))
  const { tailer, stop } = await b.start({ files: [{ path: join(b.logFolder, '**/*.log') }] })
  await until('read', () => tailer.status().linesRead === 4)
  tailer.follow({ files: [{ path: join(b.logFolder, '**/*.log') }], exclude: [a] })
  await until('left', () => tailer.status().sources.length === 0)
  await appendFile(join(a, 'x.log'), lines(4, 6))
  await rename(a, c)
  await until('read on', () => tailer.status().linesRead === 6)
  await stop()
  t.same(await textsOf(b), [lines(0, 6)])
})

test('zone, multi-line and redaction of a rule change for the next lines; counts of what was hidden go on', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, '2026-01-02 03:04:05 app: from joe@example.org\n')
  const { tailer, stop } = await b.start({ files: [{ path, redact: ['emails'] }] })
  await until('read', () => tailer.status().linesRead === 1)
  tailer.follow({ files: [{ path, zone: 'Asia/Tokyo', multiline: { start: '^#' }, redact: [] }] })
  await b.looks()
  await appendFile(path, '#2026-01-02 03:04:05 app: from joe@example.org\nand more\n')
  await until('read on', () => tailer.status().linesRead === 3)
  tailer.follow({ files: [{ path, redact: ['emails'] }] })
  await b.looks()
  await appendFile(path, '2026-01-02 03:04:05 app: from ann@example.org\n')
  await until('read on', () => tailer.status().linesRead === 4)
  t.same(tailer.status().redacted, { emails: 2 })
  t.equal(tailer.status().eventsRead, 3)
  await stop()
  const [text] = await textsOf(b)
  t.match(text.split('\n')[1], 'joe@example.org')
  t.notMatch(text.split('\n')[0], 'joe@example.org')
  t.notMatch(text.split('\n')[3], 'ann@example.org')
})

test('settings that cannot be used change nothing', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, lines(0, 2))
  const { tailer, stop } = await b.start({ files: [{ path }] })
  await until('read', () => tailer.status().linesRead === 2)
  t.throws(() => tailer.follow({ files: [{ path, zone: 'Mars/Olympus' }] }), { name: 'UnknownZoneError' })
  await appendFile(path, lines(2, 3))
  await until('read on', () => tailer.status().linesRead === 3)
  await stop()
})

test('`from: end` is for files that are there when a glob is first looked at; what comes later is read whole', async t => {
  const b = await bench(t)
  const files = [{ path: join(b.logFolder, '*.log'), from: 'end' as const }]
  await writeFile(join(b.logFolder, 'a.log'), lines(0, 3))
  const first = await b.start({ files })
  await until('seen', () => first.tailer.status().sources.length === 1)
  await writeFile(join(b.logFolder, 'b.log'), lines(10, 12))
  await until('read', () => first.tailer.status().linesRead === 2)
  await first.stop()
  await writeFile(join(b.logFolder, 'c.log'), lines(20, 24))
  const second = await b.start({ files })
  await until('what came while nobody looked, too', () => second.tailer.status().linesRead === 4)

  // Another glob: what is there already is not read.
  await mkdir(join(b.logFolder, 'd'))
  await writeFile(join(b.logFolder, 'd', 'd.log'), lines(30, 35))
  second.tailer.follow({ files: [...files, { path: join(b.logFolder, 'd', '*.log'), from: 'end' }] })
  await until('seen', () => second.tailer.status().sources.length === 4)
  await writeFile(join(b.logFolder, 'd', 'e.log'), lines(40, 41))
  await until('read', () => second.tailer.status().linesRead === 5)
  await second.stop()
  t.same(await textsOf(b), [lines(10, 12), lines(20, 24), lines(40, 41)])
})
