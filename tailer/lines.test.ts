// Events of several lines and hidden bytes, from real files to real bucks.

import { createHash } from 'node:crypto'
import { appendFile, copyFile, readdir, readFile, rename, truncate, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { eventAt, type FoundEvent, walkEvents } from '../shared/events.ts'
import { STEP_BYTES } from '../shared/manifest.ts'
import { packetEvents } from '../shared/packet.ts'
import { until } from '../shared/until.test-support.ts'
import { type Bench, bench } from './tailer.test-support.ts'

const LINE = '2026-01-02T03:04:05.678Z INFO x\n'
const ERROR = '2026-01-02T03:04:06.000Z ERROR failed\n'
const TRACE = 'java.lang.IllegalStateException: no\n\tat a.B.c(B.java:1)\n\tat a.B.d(B.java:2)\n'

/** All events at the bucks, by source and offset. */
async function events(b: Bench): Promise<FoundEvent[]> {
  const found: FoundEvent[] = []
  for (const packet of (await b.held()).packets) {
    const held = packetEvents(packet)
    for (const { i, run, from } of walkEvents(held)) found.push(eventAt(held, i, run, from))
  }
  return found.sort((x, y) => (x.source === y.source ? x.from - y.from : x.source < y.source ? -1 : 1))
}

const texts = (found: FoundEvent[]) => found.map(event => event.bytes.toString())

test('a trace written in parts is one event, with the time and level of the line that logged it', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, LINE)
  // Longer than a busy machine takes between two of the parts.
  const { tailer, stop } = await b.start({ recordMs: 1_500 })
  await until('the line', () => tailer.status().linesRead === 1)
  await appendFile(path, ERROR)
  for (const part of TRACE.match(/.{1,20}|\n/gs)!) {
    await appendFile(path, part)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
  await until('the trace, after a wait', () => tailer.status().linesRead === 5)
  await appendFile(path, LINE)
  await until('the next line, at once', () => tailer.status().linesRead === 6)
  await stop()
  const found = await events(b)
  t.same(texts(found), [LINE, ERROR + TRACE, LINE])
  t.match(found[1], { level: 'error', timeNs: 1767323046000000000n, lines: 4, timeIsGuessed: false })
})

test('traces are never broken by the end of a read or of a packet', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  const frame = '\tat a.very.long.Name.of.a.method.in.a.Class.somewhere(Class.java:12345)\n'
  const record = `${ERROR}java.lang.Error: x\n${frame.repeat(40)}`
  await writeFile(path, record.repeat(1000))
  const { tailer, stop } = await b.start({ packetBytes: 200_000 })
  await until('all', () => tailer.status().linesRead === 42_000)
  await stop()
  const found = await events(b)
  t.equal(found.length, 1000)
  t.ok(found.every(event => event.bytes.toString() === record && event.lines === 42))
  t.ok((await b.held()).packets.length > 10)
})

test('the end of a backlog does not wait for more', async t => {
  const b = await bench(t)
  await writeFile(join(b.logFolder, 'app.log'), `${'x'.repeat(99)}\n`.repeat(5500))
  const { tailer, stop } = await b.start({ packetBytes: 200_000, packetMs: 3_600_000 })
  await until('all is at the bucks', () => {
    const { linesRead, underReplicatedPackets } = tailer.status()
    return linesRead === 5500 && underReplicatedPackets === 0
  })
  const { packets } = await b.held()
  t.equal(packets.length, 3)
  await stop()
})

test('at a rotation the trace is closed; what the next file begins with is marked as continued', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  const [first, ...rest] = TRACE.split(/(?<=\n)/)
  await writeFile(path, ERROR + first + rest[0])
  const { tailer, stop } = await b.start({ recordMs: 50 })
  await until('begun', () => tailer.status().linesRead === 3)
  await rename(path, `${path}.1`)
  await writeFile(path, rest[1] + LINE)
  await until('both', () => tailer.status().linesRead === 5)
  await stop()
  const found = await events(b)
  t.same(texts(found).sort(), [ERROR + first + rest[0], rest[1], LINE].sort())
  t.same(
    found.filter(event => event.isContinued).map(event => event.bytes.toString()),
    [rest[1]],
  )
  t.equal(
    found.reduce((sum, event) => sum + event.lines, 0),
    5,
    'lines add up',
  )
})

test('a stop leaves a begun trace in the file: the next start has it whole', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, LINE + ERROR)
  const first = await b.start({ recordMs: 60_000 })
  await until('the line', () => first.tailer.status().linesRead === 1)
  await first.stop()
  await appendFile(path, TRACE + LINE)
  const second = await b.start({ recordMs: 50 })
  await until('the rest', () => second.tailer.status().linesRead === 5)
  await second.stop()
  t.same(texts(await events(b)), [LINE, ERROR + TRACE, LINE])
})

const CARD = '4111 1111 1111 1111'
const HIDDEN = '**** **** **** ****'
const secret = (n: number) => `2026-01-02T03:04:05.678Z INFO ${n} paid with ${CARD} by jane@example.com\n`
const hidden = (n: number) => `2026-01-02T03:04:05.678Z INFO ${n} paid with ${HIDDEN} by ****@***********\n`
const numbers = (of: (n: number) => string, from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => of(from + i)).join('')
const rule = (b: Bench) => ({
  files: [{ path: join(b.logFolder, 'app.log'), redact: ['cards', 'emails'] as const }],
  recordMs: 50,
})

/** Everything that tailer and bucks wrote. */
async function written(b: Bench): Promise<string> {
  const names = await readdir(b.folder, { recursive: true, withFileTypes: true })
  const files = names.filter(entry => entry.isFile() && !entry.parentPath.startsWith(b.logFolder))
  const bytes = await Promise.all(
    files.map(entry =>
      readFile(join(entry.parentPath, entry.name), 'latin1').catch((error: NodeJS.ErrnoException) => {
        // Written under another name meanwhile.
        if (error.code !== 'ENOENT') throw error
        return ''
      }),
    ),
  )
  return bytes.join('\n')
}

test('what is hidden is hidden in all that is sent and written; offsets and hashes are those of the hidden bytes', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  const most = Math.ceil((1.5 * STEP_BYTES) / secret(10_000).length)
  await writeFile(path, numbers(secret, 0, most))
  const { tailer, stop } = await b.start(rule(b))
  await until('read', () => tailer.status().linesRead === most)
  await stop()
  const [source] = [...(await b.contents()).values()]
  const expected = numbers(hidden, 0, most)
  t.ok(source.bytes.toString() === expected)
  t.strictSame(tailer.status().redacted, { cards: most, emails: most })
  const found = await events(b)
  t.ok(found.every(event => event.isRedacted))
  const { manifests } = await b.held()
  const steps = manifests.flatMap(({ sources }) => sources.flatMap(({ steps }) => steps))
  t.ok(steps.length >= 1 && steps.every(({ step }) => step === 0))
  t.equal(steps[0].sha256.toString('hex'), createHash('sha256').update(expected.slice(0, STEP_BYTES)).digest('hex'))
  const all = await written(b)
  t.notOk(all.includes(CARD) || all.includes('jane'), 'nowhere')
})

test('hidden bytes keep nothing from being found again: restart, rotation, copy and truncation', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, numbers(secret, 0, 20))
  const first = await b.start(rule(b))
  await until('read', () => first.tailer.status().linesRead === 20)
  await first.stop()
  await appendFile(path, numbers(secret, 20, 30))
  await rename(path, `${path}.1`)
  await writeFile(path, numbers(secret, 30, 40))
  const second = await b.start(rule(b))
  await until('the rest of the old one, and the new one', () => second.tailer.status().linesRead === 20)
  await copyFile(path, `${path}.2`)
  await truncate(path, 0)
  await appendFile(path, numbers(secret, 40, 45))
  await until('the next', () => second.tailer.status().linesRead === 25)
  await second.stop()
  // Hidden no more: what is known of the files has hidden bytes still.
  const third = await b.start({ files: [{ path }], recordMs: 50 })
  await appendFile(path, numbers(secret, 45, 50))
  await until('read on in the clear', () => third.tailer.status().linesRead === 5)
  await new Promise(resolve => setTimeout(resolve, 200))
  await third.stop()
  const contents = [...(await b.contents()).values()].map(({ bytes }) => bytes.toString()).sort()
  t.same(contents, [numbers(hidden, 0, 30), numbers(hidden, 30, 40), numbers(hidden, 40, 45) + numbers(secret, 45, 50)])
  t.notOk((await written(b)).includes(`0 paid with ${CARD}`))
})

test('a secret in a line without its end does not go out in parts', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  const long = 'x'.repeat(70_000)
  await writeFile(path, `${long} ${CARD.slice(0, 10)}`)
  const { tailer, stop } = await b.start({ ...rule(b), partialMs: 50 })
  await until('the piece that cannot hold it', () => tailer.status().bytesRead > 60_000)
  await new Promise(resolve => setTimeout(resolve, 200))
  await appendFile(path, `${CARD.slice(10)} jane@exam`)
  await new Promise(resolve => setTimeout(resolve, 200))
  await appendFile(path, 'ple.com\n')
  const text = `${long} ${HIDDEN} ****@***********\n`
  await until('all', () => tailer.status().bytesRead === text.length)
  await stop()
  t.ok([...(await b.contents()).values()][0].bytes.toString() === text)
  const all = await written(b)
  t.notOk(all.includes('4111') || all.includes('jane'), 'nowhere')
})

test('times without a day: what was there is dated by its file and over midnight, what comes by when it came', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  const line = (clock: string) => `${clock},123 INFO x\n`
  await writeFile(path, line('23:59:59') + line('00:00:01') + line('12:00:00'))
  const written = new Date('2025-03-05T12:00:00Z')
  await utimes(path, written, written)
  const { tailer, stop } = await b.start()
  await until('all is read', () => tailer.status().linesRead === 3)
  const now = new Date()
  await appendFile(path, line(now.toISOString().slice(11, 19)))
  await until('the new one is read', () => tailer.status().linesRead === 4)
  await stop()
  const found = (await events(b)).map(event => new Date(Number(event.timeNs / 1_000_000n)).toISOString().slice(0, 19))
  t.same(found, ['2025-03-04T23:59:59', '2025-03-05T00:00:01', '2025-03-05T12:00:00', now.toISOString().slice(0, 19)])
})
