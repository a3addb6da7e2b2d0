import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { until } from '../shared/until.test-support.ts'
import { Allowance } from './rate-limit.ts'
import { bench } from './tailer.test-support.ts'

const lines = (count: number) =>
  Array.from({ length: count }, (_, i) => `2026-01-02T03:04:05.678Z web1 app[7]: line ${i}\n`).join('')

test('an allowance is a second at most, and what was taken over it is paid back', t => {
  const allowance = new Allowance({ per: 'lines', perSecond: 10 }, 0)
  t.notOk(allowance.isSpent(0))
  allowance.spend(Buffer.from('x\n'.repeat(30)))
  t.ok(allowance.isSpent(2_000))
  t.notOk(allowance.isSpent(2_001))
  allowance.spend(Buffer.from('half a line'))
  t.notOk(allowance.isSpent(60_000))
  allowance.spend(Buffer.from('x\n'.repeat(10)))
  t.ok(allowance.isSpent(60_000), 'a long quiet time saves nothing up')
  const bytes = new Allowance({ per: 'bytes', perSecond: 100 }, 0)
  bytes.spend(Buffer.alloc(100))
  t.ok(bytes.isSpent(0))
  t.end()
})

test('over its rate limit the rest waits in the file, other files go on; without a limit all of it comes', async t => {
  const b = await bench(t)
  const [hot, calm] = [join(b.logFolder, 'hot.log'), join(b.logFolder, 'calm.log')]
  await writeFile(hot, lines(20_000))
  await writeFile(calm, lines(10))
  const files = [{ path: hot, rateLimit: { per: 'lines', perSecond: 1 } as const }, { path: calm }]
  const { tailer, stop } = await b.start({ files })
  const row = (path: string) => tailer.figures().find(one => one.path === path)
  await until('calm is read', () => row(calm)?.readBytes === lines(10).length)
  await until('some of hot is read', () => (row(hot)?.readBytes ?? 0) > 0)
  await new Promise(resolve => setTimeout(resolve, 300))
  const waiting = row(hot)!
  // One read: the next one is hours away.
  t.ok(waiting.readBytes <= 128 * 1024, `read ${waiting.readBytes}`)
  t.equal(waiting.behindBytes, lines(20_000).length - waiting.readBytes)
  t.ok(waiting.behindSeconds > 0)
  tailer.follow({ files: [{ path: hot }, { path: calm }] })
  await until('all is read', () => tailer.status().linesRead === 20_010)
  await stop()
  const texts = [...(await b.contents()).values()].map(source => source.bytes.toString('latin1'))
  t.same(texts.sort(), [lines(10), lines(20_000)].sort())
})

test('a run that reads once and ends does not wait for a rate', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, lines(20_000))
  const run = await b.start({ once: true, files: [{ path, rateLimit: { per: 'bytes', perSecond: 1 } }] })
  await until('all is read', () => run.tailer.status().linesRead === 20_000)
  await run.stop()
  t.same(
    [...(await b.contents()).values()].map(source => source.bytes.toString('latin1')),
    [lines(20_000)],
  )
})
