// Compressed generations: handed over in the middle of reading, seen for the first time, kept beside the plain file, torn,
// damaged, bombs. Real files, real bucks.
import { execFileSync, spawnSync } from 'node:child_process'
import { appendFile, copyFile, mkdir, readFile, rename, rm, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { constants, gunzipSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { test } from 'tap'
import { until } from '../shared/until.test-support.ts'
import { type Bench, bench, gaveUpOf, lines, textsOf } from './tailer.test-support.ts'

const holesOf = async (b: Bench) => (await gaveUpOf(b)).filter(({ kind }) => kind === 'hole')

const hasXz = spawnSync('xz', ['--version']).status === 0
if (!hasXz) console.error('NOT TESTED: xz. The program `xz` is not installed (package xz-utils).')
const packers: [string, (content: Buffer) => Buffer][] = [
  ['gz', content => gzipSync(content)],
  ['zst', content => zstdCompressSync(content)],
  ...(hasXz
    ? [['xz', content => execFileSync('xz', ['-c'], { input: content })] as [string, (c: Buffer) => Buffer]]
    : []),
]

/** As gzip does: the new file beside the old one, then the old one goes. */
async function compress(path: string, ending = 'gz', pack: (content: Buffer) => Buffer = gzipSync): Promise<void> {
  await writeFile(`${path}.${ending}`, pack(await readFile(path)))
  await rm(path)
}

for (const [ending, pack] of packers) {
  for (const pattern of ['app.log', 'app.log*']) {
    test(`${ending}, ${pattern}: rotated and compressed while the tailer is down: read on inside, no line twice`, async t => {
      const b = await bench(t)
      const path = join(b.logFolder, 'app.log')
      const files = [{ path: join(b.logFolder, pattern) }]
      await writeFile(path, lines(0, 5000))
      const first = await b.start({ files })
      await until('read', () => first.tailer.status().linesRead === 5000)
      await first.stop()
      await appendFile(path, lines(5000, 9000))
      await rename(path, `${path}.1`)
      await compress(`${path}.1`, ending, pack)
      await writeFile(path, lines(9000, 9100))
      await rename(`${path}.1.${ending}`, `${path}.2.${ending}`)
      await rename(path, `${path}.1`)
      await writeFile(path, lines(9100, 9150))
      const second = await b.start({ files })
      await until('read on', () => second.tailer.status().linesRead === 4150)
      await second.stop()
      const third = await b.start({ files })
      await new Promise(resolve => setTimeout(resolve, 150))
      await third.stop()
      t.equal(third.tailer.status().linesRead, 0, 'nothing again after a restart')
      t.same(await textsOf(b), [lines(0, 9000), lines(9000, 9100), lines(9100, 9150)].sort())
      t.same(await holesOf(b), [])
    })
  }
}

test('compressed while it is being read: read to its end through the open handle, the compressed one not at all', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  const files = [{ path: join(b.logFolder, 'app.log*') }]
  await writeFile(path, lines(0, 60_000))
  const first = await b.start({ files })
  await until('begun', () => first.tailer.status().linesRead > 0)
  await rename(path, `${path}.1`)
  await compress(`${path}.1`)
  await writeFile(path, lines(60_000, 60_010))
  await until('all read', () => first.tailer.status().linesRead === 60_010)
  await new Promise(resolve => setTimeout(resolve, 300))
  await rename(`${path}.1.gz`, `${path}.2.gz`)
  await new Promise(resolve => setTimeout(resolve, 100))
  await first.stop()
  const second = await b.start({ files })
  await new Promise(resolve => setTimeout(resolve, 300))
  await second.stop()
  t.equal(first.tailer.status().linesRead + second.tailer.status().linesRead, 60_010)
  t.same(await textsOf(b), [lines(0, 60_000), lines(60_000, 60_010)].sort())
  t.same(await holesOf(b), [])
})

test('compressed a day later, when the journal has forgotten it: known again by its ends and its size', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  const files = [{ path: join(b.logFolder, 'app.log*') }]
  await writeFile(`${path}.1`, lines(0, 100))
  await writeFile(path, lines(100, 110))
  const first = await b.start({ files, bucketSeconds: 1, forgetAfterMs: 500 })
  await until(
    'read',
    () => first.tailer.status().linesRead === 110 && first.tailer.status().underReplicatedPackets === 0,
  )
  await b.archiveAll()
  await until('journal empty', () => first.tailer.status().packets === 0)
  const journal = join(b.folder, 'tailer', 'buckets', '0')
  await until('bucket files removed', async () => (await b.world.disk.list(journal)).length <= 2)
  await compress(`${path}.1`)
  await rename(`${path}.1.gz`, `${path}.2.gz`)
  await rename(path, `${path}.1`)
  await writeFile(path, lines(110, 115))
  await until('the new file', () => first.tailer.status().linesRead === 115)
  await new Promise(resolve => setTimeout(resolve, 200))
  await first.stop()
  const second = await b.start({ files })
  await new Promise(resolve => setTimeout(resolve, 200))
  await second.stop()
  t.equal(first.tailer.status().linesRead + second.tailer.status().linesRead, 115)
  t.same(
    (await gaveUpOf(b)).filter(({ kind }) => kind !== 'excluded'),
    [],
  )
})

test('a compressed file that nobody saw plain is read once, as its own source', async t => {
  const b = await bench(t)
  const files = [{ path: join(b.logFolder, 'app.log*') }]
  await writeFile(join(b.logFolder, 'app.log-20260101.gz'), gzipSync(lines(0, 1000)))
  await writeFile(join(b.logFolder, 'app.log-20260102.zst'), zstdCompressSync(lines(1000, 1500)))
  await writeFile(join(b.logFolder, 'app.log'), lines(1500, 1600))
  const first = await b.start({ files })
  await until('all read', () => first.tailer.status().linesRead === 1600)
  await first.stop()
  const second = await b.start({ files })
  await new Promise(resolve => setTimeout(resolve, 200))
  await second.stop()
  t.equal(second.tailer.status().linesRead, 0)
  t.same(await textsOf(b), [lines(0, 1000), lines(1000, 1500), lines(1500, 1600)].sort())
})

test('once: plain and compressed copy of one generation side by side are read once', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(`${path}.1`, lines(0, 30_000))
  await writeFile(`${path}.1.gz`, gzipSync(lines(0, 30_000)))
  await writeFile(`${path}.2.gz`, gzipSync(lines(40_000, 41_000)))
  const { tailer, done } = await b.start({ files: [{ path: `${path}*` }], once: true })
  await until('read', () => tailer.status().linesRead === 31_000 && tailer.status().underReplicatedPackets === 0)
  await b.archiveAll()
  await done
  t.same(await textsOf(b), [lines(0, 30_000), lines(40_000, 41_000)].sort())
})

test('copied, truncated, and the copy compressed at once: its rest is read', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, lines(0, 100))
  const first = await b.start()
  await until('read', () => first.tailer.status().linesRead === 100)
  await first.stop()
  await appendFile(path, lines(100, 150))
  await copyFile(path, `${path}.1`)
  await truncate(path, 0)
  await compress(`${path}.1`)
  await appendFile(path, lines(150, 160))
  const second = await b.start()
  await until('read on', () => second.tailer.status().linesRead === 60)
  await second.stop()
  t.same(await textsOf(b), [lines(0, 150), lines(150, 160)].sort())
  const gaveUp = (await b.held()).manifests.flatMap(manifest => manifest.gaveUp)
  t.match(
    gaveUp,
    [{ kind: 'alarm', reason: /if it was copied and truncated/ }],
    'what was lost between the two is named',
  )
})

for (const isCut of [false, true])
  test(`${isCut ? 'copied, cut' : 'renamed'} and compressed while the tailer is down: ${isCut ? 'an alarm' : 'no alarm'}`, async t => {
    const b = await bench(t)
    const path = join(b.logFolder, 'app.log')
    await writeFile(path, lines(0, 500))
    const first = await b.start()
    await until('read', () => first.tailer.status().linesRead === 500)
    await first.stop()
    await appendFile(path, lines(500, 600))
    if (isCut) {
      await copyFile(path, `${path}.1`)
      await truncate(path, 0)
    } else await rename(path, `${path}.1`)
    await appendFile(path, lines(600, 610))
    await compress(`${path}.1`)
    const second = await b.start()
    await until('read on', () => second.tailer.status().linesRead === 110)
    await second.stop()
    t.same(await textsOf(b), [lines(0, 600), lines(600, 610)].sort())
    const told = new Set((await gaveUpOf(b)).map(({ kind }) => kind))
    t.same(told, new Set(isCut ? ['alarm'] : []))
  })

test('a compressed file that is still being written waits for its end', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'old.log.gz')
  const packed = gzipSync(lines(0, 3000))
  await writeFile(path, packed.subarray(0, packed.length / 2))
  const { tailer, stop } = await b.start({ files: [{ path: join(b.logFolder, '*') }] })
  await new Promise(resolve => setTimeout(resolve, 300))
  t.equal(tailer.status().linesRead, 0)
  await appendFile(path, packed.subarray(packed.length / 2))
  await until('read', () => tailer.status().linesRead === 3000)
  await stop()
  t.same(await textsOf(b), [lines(0, 3000)])
  t.same(await holesOf(b), [])
})

test('one whose end never comes is read as far as it goes, and the hole is named', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'old.log.gz')
  const whole = lines(0, 30_000)
  const packed = gzipSync(whole)
  await writeFile(path, packed.subarray(0, packed.length - 100))
  const { tailer, stop } = await b.start({ files: [{ path: join(b.logFolder, '*') }], holdBackMs: 200 })
  const prefix = gunzipSync(packed.subarray(0, packed.length - 100), { finishFlush: constants.Z_SYNC_FLUSH })
  await until('all before the damage is read', () => tailer.status().bytesRead === prefix.length)
  await until('the rest is given up', () => tailer.figures().some(row => row.givenUpRanges > 0))
  await stop()
  const [text] = await textsOf(b)
  t.ok(text.length < whole.length && whole.startsWith(text))
  const holes = await holesOf(b)
  t.match(holes, [{ path, from: text.length, to: undefined, reason: /damage.*unexpected end/ }])
})

test('a bomb is not read, and the ledger says why', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'old.log.zst')
  const frame = zstdCompressSync(Buffer.alloc(64 * 1024 * 1024))
  await writeFile(path, Buffer.concat(Array.from({ length: 100 }, () => frame)))
  await writeFile(join(b.logFolder, 'app.log'), lines(0, 10))
  const { tailer, stop } = await b.start({ files: [{ path: join(b.logFolder, '*') }] })
  await until('told', () => tailer.status().linesRead === 10)
  await until('the bomb is given up', () => tailer.figures().some(row => row.givenUpRanges > 0))
  await stop()
  t.same(await textsOf(b), [lines(0, 10)])
  t.match(await holesOf(b), [{ path, from: 0, reason: /500 times its size/ }])
})

test('compressed siblings from before the first look are not read; an inode taken again by the live log is', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(`${path}.1.gz`, gzipSync(lines(500, 600)))
  await writeFile(`${path}.1`, lines(600, 700))
  const past = new Date(Date.now() - 60_000)
  await utimes(`${path}.1.gz`, past, past)
  await utimes(`${path}.1`, past, past)
  await writeFile(path, lines(0, 10))
  const { tailer, stop } = await b.start()
  await until('read', () => tailer.status().linesRead === 10)
  // The file system gives the live log the inode of the generation that went: the same file, with other content.
  await rename(path, `${path}.2`)
  await truncate(`${path}.1`, 0)
  await rename(`${path}.1`, path)
  await appendFile(path, lines(10, 300))
  await until('the new content', () => tailer.status().linesRead === 300)
  await stop()
  t.same(await textsOf(b), [lines(0, 10), lines(10, 300)].sort())
})

test('an unknown compression is passed over, a folder with a compressed name too', async t => {
  const b = await bench(t)
  await writeFile(join(b.logFolder, 'app.log.1.bz2'), 'BZh9 whatever')
  await mkdir(join(b.logFolder, 'app.log.3.gz'))
  await writeFile(join(b.logFolder, 'app.log'), lines(0, 10))
  const { tailer, stop } = await b.start({ files: [{ path: join(b.logFolder, '*') }] })
  await until('read', () => tailer.status().linesRead === 10)
  await stop()
  t.same(await textsOf(b), [lines(0, 10)])
})
