// What a power cut leaves of logs beside what was read of them: a truncation undone, inodes taken again. Whatever becomes
// of the files afterwards, no line comes twice. Real files, real bucks; the cut is another boot, and what it did to a log.
import { appendFile, copyFile, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { test } from 'tap'
import { until } from '../shared/until.test-support.ts'
import { type Bench, bench, gaveUpOf, lines, textsOf } from './tailer.test-support.ts'

const holesOf = async (b: Bench) => (await gaveUpOf(b)).filter(({ kind }) => kind === 'hole')

/** What becomes of a log that was renamed or copied away while nobody looked. */
const fates: [string, (from: string, to: string) => Promise<void>, string][] = [
  ['copied', copyFile, ''],
  [
    'copied and compressed',
    async (from, to) => {
      await writeFile(`${to}.gz`, gzipSync(await readFile(from)))
    },
    '.gz',
  ],
]

test('a copy with the inode of a log that had no lines yet is read on as what it is a copy of', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  const empty = join(b.logFolder, 'other.log')
  const files = [{ path: `${path}*` }, { path: empty }]
  await writeFile(empty, '')
  await writeFile(path, lines(0, 500))
  const first = await b.start({ files })
  await until('read', () => first.tailer.status().linesRead === 500 && first.tailer.status().sources.length === 2)
  await first.stop()
  await appendFile(path, lines(500, 510))
  await rename(empty, `${path}.1`)
  await writeFile(`${path}.1`, await readFile(path))
  await writeFile(path, lines(600, 610))
  const second = await b.start({ files }, { boot: 'boot-2' })
  await until('read on', () => second.tailer.status().linesRead === 20)
  await until('nothing is open', () => second.tailer.status().undecided === 0)
  await second.stop()
  t.same(await textsOf(b), [lines(0, 510), lines(600, 610)].sort())
  t.same(await holesOf(b), [])
})

/** Of a log that was copied and truncated a power cut undid the truncation, and ten lines more are read of it. */
async function undone(b: Bench) {
  const path = join(b.logFolder, 'app.log')
  const files = [{ path: `${path}*` }]
  await writeFile(path, lines(0, 500))
  const first = await b.start({ files })
  await until('read', () => first.tailer.status().linesRead === 500)
  await copyFile(path, `${path}.1`)
  await truncate(path, 0)
  await until('found in the copy', () => first.tailer.status().sources.length === 2)
  await until('nothing is open', () => first.tailer.status().undecided === 0)
  await first.stop()
  await writeFile(path, lines(0, 510))
  const second = await b.start({ files }, { boot: 'boot-2' })
  await until('read on', () => second.tailer.status().linesRead === 10)
  await until('nothing is open', () => second.tailer.status().undecided === 0)
  await second.stop()
  return { path, files }
}

for (const [[fate, put, ending], isReused] of fates.flatMap(one => [[one, false] as const, [one, true] as const]))
  test(`a log with what a truncation had taken from it, ${fate} later${isReused ? ' to the inode of the first copy' : ''}: no line twice`, async t => {
    const b = await bench(t)
    const { path, files } = await undone(b)
    if (isReused) await rename(`${path}.1`, `${path}.2${ending}`)
    await put(path, `${path}.2`)
    await rm(`${path}.1`, { force: true })
    await writeFile(path, lines(600, 610))
    const { tailer, stop } = await b.start({ files }, { boot: 'boot-2' })
    await until('read on', () => tailer.status().linesRead >= 10)
    await until('nothing is open', () => tailer.status().undecided === 0)
    await b.looks(5)
    await stop()
    t.equal(tailer.status().linesRead, 10, 'only what is new')
    t.same(await textsOf(b), [lines(0, 500), lines(500, 510), lines(600, 610)].sort())
    t.same(await holesOf(b), [])
  })

for (const [fate, put] of fates)
  test(`… ${fate} beside it, once its first lines’ own file is done with: no line twice`, async t => {
    const b = await bench(t)
    const { path, files } = await undone(b)
    // Another inode.
    await writeFile(`${path}.new`, lines(0, 490))
    await rename(`${path}.new`, `${path}.1`)
    const third = await b.start({ files }, { boot: 'boot-2' })
    await b.looks(5)
    await until('nothing is open', () => third.tailer.status().undecided === 0)
    await third.stop()
    // Into the file at the same inode, or beside it.
    await put(path, `${path}.1`)
    const fourth = await b.start({ files }, { boot: 'boot-2' })
    await b.looks(10)
    await appendFile(path, lines(510, 515))
    await until('read on', () => fourth.tailer.status().linesRead >= 5)
    await fourth.stop()
    t.equal(fourth.tailer.status().linesRead, 5, 'only what is new')
    t.same(await textsOf(b), [lines(0, 500), lines(500, 515)].sort())
    t.same(await holesOf(b), [])
  })

for (const [fate, put] of fates)
  test(`… ${fate} beside it, in place of the copy that has its first lines: no line twice`, async t => {
    const b = await bench(t)
    const { path, files } = await undone(b)
    await put(path, `${path}.2`)
    await rm(`${path}.1`)
    const { tailer, stop } = await b.start({ files }, { boot: 'boot-2' })
    await b.looks(10)
    await appendFile(path, lines(510, 515))
    await until('read on', () => tailer.status().linesRead >= 5)
    await b.looks(5)
    await stop()
    t.equal(tailer.status().linesRead, 5, 'only what is new')
    t.same(await textsOf(b), [lines(0, 500), lines(500, 515)].sort())
  })
