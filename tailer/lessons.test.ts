// What users of other agents suffered from, each named after what it keeps from happening. The numbers are issues of their
// projects. Kills at any step: model.test.ts; compressed generations: compressed.test.ts.
import { readdirSync, readlinkSync } from 'node:fs'
import { appendFile, link, mkdir, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { test } from 'tap'
import { until } from '../shared/until.test-support.ts'
import { type Bench, bench, gaveUpOf, lines, textsOf } from './tailer.test-support.ts'

type Running = Awaited<ReturnType<Bench['start']>>
const read = ({ tailer }: Running, count: number) =>
  until(`${count} lines read`, () => tailer.status().linesRead === count)
const quiet = (ms = 150) => new Promise(resolve => setTimeout(resolve, ms))

test('vector 25079: another file with the same inode and the same heading is not taken for the known one', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  const heading = `#Fields: ${'date time c-ip cs-method cs-uri '.repeat(12)}\n`
  await writeFile(path, heading + lines(0, 10))
  const first = await b.start()
  await read(first, 11)
  await first.stop()
  // In place: the inode stays, the first 256 bytes too, and it is longer than the offset.
  await truncate(path, 0)
  await appendFile(path, heading + lines(100, 130))
  const second = await b.start()
  await read(second, 31)
  await second.stop()
  t.same(await textsOf(b), [heading + lines(0, 10), heading + lines(100, 130)].sort())
})

test('vector 26334: an offset beyond the end swallows nothing: the file is new, read from 0, and the loss is named', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, lines(0, 100))
  const first = await b.start()
  await read(first, 100)
  await first.stop()
  await writeFile(path, lines(200, 203))
  const second = await b.start()
  await read(second, 3)
  await second.stop()
  t.same(await textsOf(b), [lines(0, 100), lines(200, 203)].sort())
  t.match(await gaveUpOf(b), [{ path, from: lines(0, 100).length, kind: 'alarm' }])
})

test('beats 40197, vector 2701: small files are read at once, and equal small files are two', async t => {
  const b = await bench(t)
  await writeFile(join(b.logFolder, 'a.log'), 'x\n')
  await writeFile(join(b.logFolder, 'b.log'), 'x\n')
  await writeFile(join(b.logFolder, 'c.log'), '\n')
  const running = await b.start({ files: [{ path: join(b.logFolder, '*.log') }] })
  await read(running, 3)
  await running.stop()
  t.same(await textsOf(b), ['\n', 'x\n', 'x\n'])
})

test('vector 22954: a chain of four rotations while the agent was down is read as a whole, each once', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, lines(0, 10))
  const first = await b.start()
  await read(first, 10)
  await first.stop()
  await appendFile(path, lines(10, 20))
  for (let k = 1; k <= 4; k++) {
    for (let n = k; n >= 1; n--) await rename(n === 1 ? path : `${path}.${n - 1}`, `${path}.${n}`)
    await writeFile(path, lines(k * 20, k * 20 + 20))
  }
  const second = await b.start()
  await read(second, 90)
  await second.stop()
  t.same(await textsOf(b), [lines(0, 20), ...[1, 2, 3, 4].map(k => lines(k * 20, k * 20 + 20))].sort())
})

test('alloy 3193, otel 46105: a compressed file that turns up again under another name is not read again', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  const packed = gzipSync(lines(0, 500))
  await writeFile(`${path}.1.gz`, packed)
  const running = await b.start({ files: [{ path: `${path}*` }] })
  await read(running, 500)
  await quiet()
  await writeFile(`${path}.2.gz`, packed)
  await rm(`${path}.1.gz`)
  await writeFile(path, lines(500, 510))
  await read(running, 510)
  await quiet(300)
  await running.stop()
  t.equal(running.tailer.status().linesRead, 510)
})

test('fluent-bit 12361: a burst of 100,000 lines right before a rotation is read to its end', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, lines(0, 10))
  const running = await b.start()
  await read(running, 10)
  await appendFile(path, lines(10, 100_000))
  await rename(path, `${path}.1`)
  await writeFile(path, lines(100_000, 100_010))
  await read(running, 100_010)
  await running.stop()
  t.same(await textsOf(b), [lines(0, 100_000), lines(100_000, 100_010)].sort())
  t.same(await gaveUpOf(b), [])
})

test('loki 327: how far it is behind is told, in bytes', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, lines(0, 1000))
  const running = await b.start({ diskBytesMax: 1 })
  await until('it stops at its limit', () => running.tailer.status().stopped !== undefined)
  await appendFile(path, lines(1000, 3000))
  const behind = () => running.tailer.status().sources.reduce((sum, { size, read }) => sum + size - read, 0)
  await until('the backlog is told', () => behind() === lines(1000, 3000).length)
  await running.stop()
  t.match(running.tailer.status().stopped, /disk limit/)
})

test('fluent-bit 7461, graylog 2334: at the disk limit reading stops and nothing is dropped; it goes on by itself', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, lines(0, 1000))
  const running = await b.start({ diskBytesMax: 1 })
  await until('it stops', () => running.tailer.status().stopped !== undefined)
  await appendFile(path, lines(1000, 2000))
  await quiet()
  const before = running.tailer.status().linesRead
  t.ok(before < 2000, 'it does not read on')
  while (running.tailer.status().linesRead < 2000) {
    await until('all is at two bucks', () => running.tailer.status().underReplicatedPackets === 0)
    await b.archiveAll()
    await quiet(30)
  }
  await running.stop()
  t.same(await textsOf(b), [lines(0, 2000)])
})

test('syslog-ng 5714, otel 50102: stopped in good order while no peer was there, everything is delivered after the start', async t => {
  const b = await bench(t)
  for (const k of [0, 1, 2]) b.cut(k, true)
  await writeFile(join(b.logFolder, 'app.log'), lines(0, 1000))
  const first = await b.start({ openingWaitMs: 200, drainMs: 100 })
  await read(first, 1000)
  await first.stop()
  for (const k of [0, 1, 2]) b.cut(k, false)
  const second = await b.start()
  await until('all delivered', async () => (await textsOf(b))[0] === lines(0, 1000))
  await second.stop()
  t.equal(second.tailer.status().linesRead, 0, 'out of its own disk')
})

test('otel 15324: after an outage the oldest generation goes first, and other logs pass', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  const big = (n: number) => `${'x'.repeat(200)}${n}\n`.repeat(20_000)
  for (const n of [3, 2, 1]) await writeFile(`${path}.${n}`, `generation ${n}\n${big(n)}`)
  await writeFile(path, lines(0, 10))
  await writeFile(join(b.logFolder, 'live.log'), lines(0, 5))
  const running = await b.start({ files: [{ path: join(b.logFolder, '*') }] })
  await read(running, 60_018)
  await running.stop()
  const { packets } = await b.held()
  packets.sort((a, c) => a.header.id.sequence - c.header.id.sequence)
  const lastOf = new Map<string, number>()
  for (const { header, runs } of packets) for (const run of runs) lastOf.set(run.path, header.id.sequence)
  const last = (name: string) => lastOf.get(join(b.logFolder, name))!
  t.ok(last('app.log.3') <= last('app.log.2') && last('app.log.2') <= last('app.log.1'), 'oldest first')
  t.ok(last('live.log') <= last('app.log.3'), 'another log does not wait for it')
  t.ok(last('app.log') <= last('app.log.1'), 'nor do the lines at the end of this one')
})

test('vector 17644: a damaged journal is no dead end: what it lost is read again from the files, and counts once', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, lines(0, 100))
  const first = await b.start()
  await read(first, 100)
  await first.stop()
  const journal = join(b.folder, 'tailer', 'buckets', '0')
  for (const bucket of await b.world.disk.list(journal))
    for (const name of await b.world.disk.list(join(journal, bucket)))
      await writeFile(join(journal, bucket, name), 'no journal at all')
  await appendFile(path, lines(100, 110))
  const second = await b.start()
  await until('read on', async () => (await textsOf(b))[0] === lines(0, 110))
  await second.stop()
  t.same(await textsOf(b), [lines(0, 110)])
  t.ok(second.tailer.status().damagedEntries > 0)
})

test('vector 22847: equal lines are as many as were written', async t => {
  const b = await bench(t)
  await writeFile(join(b.logFolder, 'app.log'), 'the same line\n'.repeat(5000))
  const running = await b.start()
  await read(running, 5000)
  await running.stop()
  t.same(await textsOf(b), ['the same line\n'.repeat(5000)])
})

test('vector 8101: a deleted file is read to its end through its handle, which is then closed', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, lines(0, 10))
  const running = await b.start()
  await read(running, 10)
  await appendFile(path, lines(10, 20_000))
  await rm(path)
  await read(running, 20_000)
  const isOpen = () =>
    readdirSync('/proc/self/fd').some(fd => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).startsWith(path)
      } catch {
        return false // closed since it was listed
      }
    })
  await until('the handle is closed', () => !isOpen())
  await running.stop()
  t.same(await textsOf(b), [lines(0, 20_000)])
  t.same(await gaveUpOf(b), [])
})

test('a file that is replaced by another one of the same size is another source', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, lines(10, 20))
  const running = await b.start()
  await read(running, 10)
  await writeFile(`${path}.new~`, lines(20, 30))
  await rename(`${path}.new~`, path)
  await read(running, 20)
  await writeFile(path, lines(30, 40))
  await read(running, 30)
  await running.stop()
  t.same(await textsOf(b), [lines(10, 20), lines(20, 30), lines(30, 40)])
})

test('a hole that is named ends where the file was seen to end, not where its successor does', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, lines(0, 1000))
  const running = await b.start({ diskBytesMax: 1, packetBytes: 4096 })
  await until('it stops', () => running.tailer.status().stopped !== undefined)
  await quiet()
  const { read: readTo } = running.tailer.status().sources[0]
  await appendFile(path, lines(1000, 30_000))
  await until('the end is seen', () => running.tailer.status().sources[0].size === lines(0, 30_000).length)
  await truncate(path, 0)
  await appendFile(path, lines(50_000, 50_010))
  await until('the loss is seen', () =>
    running.tailer.status().sources.some(({ start, size }) => start === 0 && size < readTo),
  )
  await running.stop()
  t.match(await gaveUpOf(b), [{ path, from: readTo, to: lines(0, 30_000).length, kind: 'hole' }])
})

test('a link that is switched to a new file: the old one to its end, the new one from 0', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await mkdir(join(b.logFolder, 'real'))
  await writeFile(join(b.logFolder, 'real', '1'), lines(0, 10))
  await symlink(join(b.logFolder, 'real', '1'), path)
  const running = await b.start()
  await read(running, 10)
  await appendFile(join(b.logFolder, 'real', '1'), lines(10, 15))
  await writeFile(join(b.logFolder, 'real', '2'), lines(15, 30))
  await symlink(join(b.logFolder, 'real', '2'), `${path}.new~`)
  await rename(`${path}.new~`, path)
  await read(running, 30)
  await running.stop()
  t.same(await textsOf(b), [lines(0, 15), lines(15, 30)].sort())
})

test('a file with two names is one file; a folder that is moved keeps its sources', async t => {
  const b = await bench(t)
  const folder = join(b.logFolder, 'a')
  await mkdir(folder)
  await writeFile(join(folder, 'app.log'), lines(0, 10))
  await link(join(folder, 'app.log'), join(folder, 'same.log'))
  const running = await b.start({ files: [{ path: join(b.logFolder, '**', '*.log') }] })
  await read(running, 10)
  await rename(folder, join(b.logFolder, 'b'))
  await appendFile(join(b.logFolder, 'b', 'app.log'), lines(10, 20))
  await read(running, 20)
  await quiet()
  await running.stop()
  t.same(await textsOf(b), [lines(0, 20)])
})

test('a line without its end waits, is given out after a while, and what follows is no new line', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, 'one\ntwo, beg')
  const running = await b.start({ partialMs: 300 })
  await until('the first line', () => running.tailer.status().linesRead === 1)
  await until('the begun one', () => running.tailer.status().bytesRead === 12)
  await appendFile(path, 'un\nthree\n')
  await until('the rest', () => running.tailer.status().bytesRead === 21)
  await running.stop()
  const [source] = [...(await b.contents()).values()]
  t.equal(source.bytes.toString(), 'one\ntwo, begun\nthree\n')
  t.equal(source.lines, 3)
})

test('holes of NUL bytes, as a truncation under a writer leaves them, come back as they are', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, lines(0, 3))
  const running = await b.start()
  await read(running, 3)
  // Sparse: 300 KB of nothing, then a line.
  await truncate(path, lines(0, 3).length + 300_000)
  await appendFile(path, '\nafter the hole\n')
  const whole = `${lines(0, 3)}${'\0'.repeat(300_000)}\nafter the hole\n`
  await until('all', () => running.tailer.status().bytesRead === whole.length)
  await running.stop()
  t.same(await textsOf(b), [whole])
})

test('what `tailer.exclude` names is never read, however it is named', async t => {
  const b = await bench(t)
  await mkdir(join(b.logFolder, 'tmp'))
  await writeFile(join(b.logFolder, 'tmp', 'x.log'), lines(0, 5))
  await writeFile(join(b.logFolder, 'debug.log'), lines(0, 5))
  await writeFile(join(b.logFolder, 'app.log'), lines(5, 8))
  const files = [{ path: join(b.logFolder, '**', '*.log') }, { path: join(b.logFolder, 'debug.log') }]
  const exclude = [join(b.logFolder, 'tmp'), join(b.logFolder, 'debug*')]
  const running = await b.start({ files, exclude })
  await read(running, 3)
  await quiet()
  await running.stop()
  t.same(await textsOf(b), [lines(5, 8)])
})
