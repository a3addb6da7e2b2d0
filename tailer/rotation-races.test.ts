// Files that change between two steps of a look, or of a read: each step is held, the change is made, the step goes on.
// Found by the model test with a disk that stalls (model.test.ts).
import { appendFile, copyFile, mkdir, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { packetEvents } from '../shared/packet.ts'
import { until } from '../shared/until.test-support.ts'
import type { Disk } from '../shared/world.ts'
import { type Bench, bench, gaveUpOf, lines, textsOf } from './tailer.test-support.ts'

const quiet = (ms = 200) => new Promise(resolve => setTimeout(resolve, ms))

/** What happens before or after a step of the tailer's disk. */
function stepwise(
  b: Bench,
  steps: {
    read?(path: string, position: number): Promise<void>
    open?(path: string): Promise<void>
    statted?(path: string): Promise<void>
  },
) {
  const { disk } = b.world
  b.world.disk = {
    ...disk,
    list: async folder => (await disk.list(folder)).sort(),
    statAll: undefined,
    async stat(path) {
      const stat = await disk.stat(path)
      await steps.statted?.(path)
      return stat
    },
    async open(path, mode) {
      await steps.open?.(path)
      const file = await disk.open(path, mode)
      const read = file.read.bind(file)
      file.read = async (into, position) => {
        if (mode === 'read') await steps.read?.(path, position)
        return await read(into, position)
      }
      return file
    },
  } satisfies Disk
}

test('a file that is cut and grows past the offset between comparing and reading is not read under its former name', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, lines(0, 10))
  const offset = lines(0, 10).length
  let isArmed = false
  stepwise(b, {
    async read(of, position) {
      if (!isArmed || of !== path || position !== offset) return
      isArmed = false
      await truncate(path, 0)
      await appendFile(path, lines(100, 140))
    },
  })
  const { tailer, stop } = await b.start()
  await until('read', () => tailer.status().linesRead === 10)
  isArmed = true
  await appendFile(path, lines(10, 12))
  await until('the new content', () => tailer.status().linesRead >= 50)
  await quiet()
  await stop()
  t.equal(isArmed, false)
  t.same(await textsOf(b), [lines(0, 10), lines(100, 140)].sort())
})

test('a copy that two looks miss, for it is renamed while they list, is read on under the name of its source', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, lines(0, 30))
  const { disk } = b.world
  let hidden = true
  // As a chain that is rotated again and again: each look finds the name gone that was listed.
  b.world.disk = {
    ...disk,
    statAll: undefined,
    stat: async of => (hidden && of.startsWith(`${path}.`) ? undefined : await disk.stat(of)),
  }
  const { tailer, stop } = await b.start({ files: [{ path: `${path}*` }], holdBackMs: 200, partialMs: 60_000 })
  await until('read', () => tailer.status().linesRead === 30)
  // What comes last is not read before the copy is made.
  await appendFile(path, lines(30, 31).slice(0, -1))
  await copyFile(path, `${path}.1`)
  await appendFile(`${path}.1`, `\n${lines(31, 40)}`)
  await truncate(path, 0)
  await appendFile(path, lines(50, 52))
  await until('given up', () => tailer.status().linesRead >= 32)
  await rename(`${path}.1`, `${path}.2`)
  hidden = false
  await until('the rest is read', () => tailer.status().linesRead >= 42)
  await quiet(500)
  await stop()
  t.same(await textsOf(b), [lines(0, 40), lines(50, 52)].sort())
  t.ok(
    (await gaveUpOf(b)).some(({ kind }) => kind !== 'excluded'),
    'it was told',
  )
})

test('a quiet log whose folder is moved while a look lists it is not read again in its new place', async t => {
  const b = await bench(t)
  const [before, after] = [join(b.logFolder, 'a'), join(b.logFolder, 'b')]
  await mkdir(before)
  await writeFile(join(before, 'app.log'), lines(0, 10))
  const { disk } = b.world
  let isArmed = false
  b.world.disk = {
    ...disk,
    async list(of) {
      const names = await disk.list(of)
      if (isArmed && of === before) {
        isArmed = false
        await rename(before, after)
      }
      return names
    },
  }
  const { tailer, stop } = await b.start({ files: [{ path: join(b.logFolder, '**', '*.log') }], settleMs: 0 })
  await until('read', () => tailer.status().linesRead === 10)
  isArmed = true
  await until('moved', () => !isArmed)
  await b.looks()
  await appendFile(join(after, 'app.log'), lines(10, 12))
  await until('read on', () => tailer.status().linesRead >= 12)
  await stop()
  t.same(await textsOf(b), [lines(0, 12)])
})

test('a file that is new after a power cut, and copied and cut before it is read, is read from the copy', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  const files = [{ path: `${path}*` }]
  await (await b.start({ files })).stop()
  await writeFile(path, lines(0, 30))
  let opened = 0
  stepwise(b, {
    async open(of) {
      // First by the look that finds it, then to be read.
      if (of !== path || ++opened !== 2) return
      await copyFile(path, `${path}.1`)
      await truncate(path, 0)
    },
  })
  const { tailer, stop } = await b.start({ files }, { boot: 'boot-2' })
  await until('read', () => tailer.status().linesRead === 30)
  await appendFile(path, lines(30, 33))
  await until('read on', () => tailer.status().linesRead === 33)
  await until('nothing is open', () => tailer.status().undecided === 0)
  await stop()
  t.same(await textsOf(b), [lines(0, 30), lines(30, 33)].sort())
})

/** What buckets and journal have under one name must be one content, also where a power cut took the journal's end. */
async function oneContentEach(t: Test, b: Bench) {
  const begins = new Map<string, string[]>()
  for (const packet of (await b.held()).packets) {
    let at = 0
    for (const { source, from, to } of packet.runs) {
      const text = packetEvents(packet).bytes.toString('latin1', at, at + to - from)
      at += to - from
      if (from === 0) begins.set(source, [...(begins.get(source) ?? []), text.slice(0, lines(0, 1).length)])
    }
  }
  t.equal(begins.size, 2)
  for (const lines of begins.values()) t.equal(new Set(lines).size, 1, 'one content under one name')
}

for (const isBornEmpty of [true, false])
  test(`a file that was born ${isBornEmpty ? 'empty' : 'with lines'} is known again after a power cut took what the journal had of it`, async t => {
    const b = await bench(t)
    const path = join(b.logFolder, 'app.log')
    const files = [{ path: `${path}*` }]
    await writeFile(path, isBornEmpty ? '' : lines(0, 10))
    const { tailer, stop } = await b.start({ files })
    await until('born', () => tailer.status().sources.length === 1)
    if (isBornEmpty) await appendFile(path, lines(0, 10))
    await until('read', () => tailer.status().linesRead === 10)
    await until('at two bucks', () => tailer.status().underReplicatedPackets === 0)
    await stop()
    await copyFile(path, `${path}.1`)
    await truncate(path, 0)
    if (isBornEmpty) await appendFile(path, lines(10, 30))
    await rm(join(b.folder, 'tailer', 'buckets'), { recursive: true })
    // Nobody says in time what was sent.
    for (const k of [0, 1, 2]) b.cut(k, true)
    const second = await b.start({ files, openingWaitMs: 50 }, { boot: 'boot-2' })
    await until('looked at', () => second.tailer.status().sources.length === 2)
    if (!isBornEmpty) await appendFile(path, lines(10, 30))
    await until('read again', () => second.tailer.status().linesRead === 30)
    for (const k of [0, 1, 2]) b.cut(k, false)
    await until('at two bucks', () => second.tailer.status().underReplicatedPackets === 0)
    await second.stop()
    await oneContentEach(t, b)
  })

test('a copy that gets the inode of a file that was replaced before anything was seen of it is no file of its own', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, '')
  const files = [{ path: `${path}*` }]
  const first = await b.start({ files })
  await until('born', () => first.tailer.status().sources.length === 1)
  await first.stop()
  // Out of sight, to come back with the same inode.
  await rename(path, join(b.logFolder, 'elsewhere~'))
  await writeFile(path, lines(0, 10))
  await writeFile(join(b.logFolder, 'elsewhere~'), lines(0, 10))
  await rename(join(b.logFolder, 'elsewhere~'), `${path}.1`)
  const { tailer, stop } = await b.start({ files })
  await until('read', () => tailer.status().linesRead >= 10)
  await quiet()
  await truncate(path, 0)
  await appendFile(path, lines(10, 14))
  await until('read on', () => tailer.status().linesRead >= 14)
  await quiet()
  await stop()
  t.same(await textsOf(b), [lines(0, 10), lines(10, 14)].sort())
})

test('a file that is new, and copied and cut in the look that finds it, is not read beside its copy', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, lines(0, 30))
  await writeFile(`${path}.1`, '')
  const done = new Set<string>()
  stepwise(b, {
    async statted(of) {
      if (of !== path || done.has('copied')) return
      done.add('copied')
      await copyFile(path, `${path}.1`)
    },
    async open(of) {
      if (of !== `${path}.1` || done.has('cut')) return
      done.add('cut')
      await truncate(path, 0)
    },
  })
  const { tailer, stop } = await b.start({ files: [{ path: `${path}*` }] })
  await until('read', () => tailer.status().linesRead === 30)
  await appendFile(path, lines(30, 33))
  await until('read on', () => tailer.status().linesRead >= 33)
  // Found again by its head, if it is read beside the copy.
  await rename(`${path}.1`, `${path}.2`)
  await quiet(300)
  await stop()
  t.same(done, new Set(['copied', 'cut']))
  t.same(await textsOf(b), [lines(0, 30), lines(30, 33)].sort())
})
