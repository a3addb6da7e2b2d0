import { appendFile, copyFile, mkdir, rename, rm, symlink, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { walkEvents } from '../shared/events.ts'
import { isManifestGenuine, manifestDigest } from '../shared/manifest.ts'
import { packetEvents } from '../shared/packet.ts'
import { until } from '../shared/until.test-support.ts'
import { bench, gaveUpOf, lines, textsOf } from './tailer.test-support.ts'

test('a growing file is at two bucks, byte for byte', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, lines(0, 10))
  const { tailer, stop } = await b.start()
  await until(
    'first lines at two bucks',
    () => tailer.status().bytesRead > 0 && tailer.status().underReplicatedPackets === 0,
  )
  await appendFile(path, lines(10, 20))
  await until('the rest', () => tailer.status().linesRead === 20 && tailer.status().underReplicatedPackets === 0)
  const { holders } = await b.held()
  t.ok(
    [...holders.values()].every(count => count >= 2),
    'every packet at two bucks or more',
  )
  t.same(await textsOf(b), [lines(0, 20)])
  await stop()
})

test('an orderly stop seals the bucket with a farewell, and every manifest is genuine', async t => {
  const b = await bench(t)
  await writeFile(join(b.logFolder, 'app.log'), lines(0, 5))
  const { tailer, stop } = await b.start()
  await until('read', () => tailer.status().linesRead === 5)
  await stop()
  const { manifests } = await b.held()
  t.ok(manifests.some(manifest => manifest.farewell))
  t.ok(manifests.every(isManifestGenuine))
  const counted = manifests.find(manifest => manifest.sources.length > 0)!
  t.match(counted.sources[0], { events: 5, lines: 5, from: 0, to: lines(0, 5).length })
})

test('a restart goes on at the offset: nothing twice, nothing missing', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, lines(0, 10))
  const first = await b.start()
  await until('read', () => first.tailer.status().linesRead === 10)
  await first.stop()
  await appendFile(path, lines(10, 15))
  const second = await b.start()
  await until('read on', () => second.tailer.status().linesRead === 5)
  await second.stop()
  t.same(await textsOf(b), [lines(0, 15)])
})

test('rename rotation: the old file is read to its end, the new one from 0', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, lines(0, 10))
  const { tailer, stop } = await b.start()
  await until('read', () => tailer.status().linesRead === 10)
  await rename(path, `${path}.1`)
  await appendFile(`${path}.1`, lines(10, 12))
  await writeFile(path, lines(12, 20))
  await until('both', () => tailer.status().linesRead === 20)
  await stop()
  t.same(await textsOf(b), [lines(0, 12), lines(12, 20)].sort())
})

test('a file rotated twice while nobody looked is found again by content, and what came between is read from 0', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, lines(0, 10))
  const first = await b.start()
  await until('read', () => first.tailer.status().linesRead === 10)
  await first.stop()
  // A copy has another inode: only content can tell.
  await appendFile(path, lines(10, 13))
  await copyFile(path, `${path}.2`)
  await rm(path)
  await writeFile(`${path}.1`, lines(13, 17))
  await writeFile(path, lines(17, 20))
  const second = await b.start()
  await until('read on', () => second.tailer.status().linesRead === 10)
  await second.stop()
  t.same(await textsOf(b), [lines(0, 13), lines(13, 17), lines(17, 20)].sort())
})

test('copy and truncate: the copy is not sent again, its rest is read, the truncated file is a new source', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, lines(0, 10))
  const { tailer, stop } = await b.start({ files: [{ path: join(b.logFolder, 'app.log*') }] })
  await until('read', () => tailer.status().linesRead === 10)
  await copyFile(path, `${path}.1`)
  await until('held back', () => tailer.status().heldBack.length === 1)
  await truncate(path, 0)
  await appendFile(path, lines(10, 14))
  await until('new lines', () => tailer.status().linesRead === 14)
  await until('nothing held back any more', () => tailer.status().heldBack.length === 0)
  await stop()
  t.same(await textsOf(b), [lines(0, 10), lines(10, 14)].sort())
})

for (const [when, leastBytes] of [
  ['from its first sight', 0],
  ['when its beginning is known', 257],
] as const) {
  for (const failures of [3, Number.POSITIVE_INFINITY]) {
    const isRead = failures < 10
    const then = isRead ? 'for a moment is read all the same' : 'at all is left for the next run, and said to be unread'
    test(`a run that reads once and ends: a file that its disk, ${when}, does not read ${then}`, async t => {
      const b = await bench(t)
      const path = join(b.logFolder, 'app.log')
      const { disk } = b.world
      await writeFile(path, lines(0, 10))
      await writeFile(join(b.logFolder, 'other.log'), lines(10, 20))
      let left = failures
      b.world.disk = {
        ...disk,
        async open(of, mode) {
          const file = await disk.open(of, mode)
          if (of !== path || mode !== 'read') return file
          const read = file.read.bind(file)
          file.read = async (into, position) => {
            if (into.length >= leastBytes && left-- > 0) throw new Error('EIO: i/o error, read')
            return await read(into, position)
          }
          return file
        },
      }
      const files = [{ path }, { path: join(b.logFolder, 'other.log') }]
      const { tailer, done } = await b.start({ files, once: true, missingMs: isRead ? 60_000 : 300 })
      await until('all that can be read is', () => tailer.status().linesRead === (isRead ? 20 : 10))
      const archiving = setInterval(() => void b.archiveAll().catch(() => undefined), 50)
      await done.finally(() => clearInterval(archiving))
      t.same(await textsOf(b), isRead ? [lines(0, 10), lines(10, 20)] : [lines(10, 20)])
      const { sources, unbegunBytes } = tailer.status()
      const unread = sources.reduce((sum, { size, read }) => sum + size - read, unbegunBytes)
      t.equal(unread, isRead ? 0 : lines(0, 10).length)
    })
  }
}

test('a short copy that ends in the middle of a line is known by its whole lines, and never read beside its original', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, lines(0, 10))
  const { tailer, stop } = await b.start({ files: [{ path: join(b.logFolder, 'app.log*') }], holdBackMs: 1_000 })
  await until('read', () => tailer.status().linesRead === 10)
  await writeFile(`${path}.1`, lines(0, 3).slice(0, -40))
  await until('held back', () => tailer.status().heldBack.length === 1)
  await until('decided', () => tailer.status().heldBack.length === 0)
  await b.looks()
  await stop()
  t.same(await textsOf(b), [lines(0, 10)])
  t.match(await gaveUpOf(b), [{ kind: 'alarm', reason: /copy of what was read already/ }])
})

test('a copy that is made while a look lists the files is not read beside its original', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, lines(0, 10))
  await writeFile(`${path}.1`, '')
  const { disk } = b.world
  let isCopied = false
  b.world.disk = {
    ...disk,
    list: async folder => (await disk.list(folder)).sort(),
    statAll: undefined,
    async stat(of) {
      const stat = await disk.stat(of)
      if (of === path && !isCopied) {
        isCopied = true
        await appendFile(path, lines(10, 20))
        await copyFile(path, `${path}.1`)
      }
      return stat
    },
  }
  const { tailer, stop } = await b.start({ files: [{ path: join(b.logFolder, 'app.log*') }] })
  await until('held back', () => tailer.status().heldBack.length === 1)
  await until('read', () => tailer.status().linesRead === 20)
  await truncate(path, 0)
  await appendFile(path, lines(20, 22))
  await until('new lines', () => tailer.status().linesRead === 22)
  await stop()
  t.same(await textsOf(b), [lines(0, 20), lines(20, 22)].sort())
})

test('copy and truncate while the tailer is down: the rest of the copy is read as the same source', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, lines(0, 10))
  const first = await b.start()
  await until('read', () => first.tailer.status().linesRead === 10)
  await first.stop()
  await appendFile(path, lines(10, 12))
  await copyFile(path, `${path}.1`)
  await truncate(path, 0)
  await appendFile(path, lines(12, 30))
  const second = await b.start()
  await until('read on', () => second.tailer.status().linesRead === 20)
  await second.stop()
  t.same(await textsOf(b), [lines(0, 12), lines(12, 30)].sort())
})

test('rotated files that were there before the first look are not ours, later ones are', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(`${path}.1`, lines(100, 110))
  await writeFile(path, lines(0, 3))
  const { tailer, stop } = await b.start()
  await until('read', () => tailer.status().linesRead === 3)
  await rename(`${path}.1`, `${path}.2`)
  await rename(path, `${path}.1`)
  await writeFile(path, lines(3, 5))
  await until('read', () => tailer.status().linesRead === 5)
  await new Promise(resolve => setTimeout(resolve, 100))
  await stop()
  t.same(await textsOf(b), [lines(0, 3), lines(3, 5)].sort())
})

test('odd bytes come out as they went in: no last newline, CR LF, lone CR, NUL, invalid UTF-8, 300 KB line, empty lines', async t => {
  const b = await bench(t)
  const contents: Record<string, Buffer> = {
    'a.log': Buffer.from('one\ntwo without end'),
    'b.log': Buffer.from('one\r\ntwo\r\n'),
    'c.log': Buffer.from('one\rtwo\rthree\n'),
    'd.log': Buffer.from('nul \0 in\0side\n\0\0\0'),
    'e.log': Buffer.from([0xff, 0xfe, 0x0a, 0xc3, 0x28, 0x0a]),
    'f.log': Buffer.from(`${'x'.repeat(300_000)}\nshort\n`),
    'g.log': Buffer.from('\n\n\n\n'),
    'h.log': Buffer.from(''),
    'i.log': Buffer.from('twin\n'),
    'j.log': Buffer.from('twin\n'),
  }
  for (const [name, content] of Object.entries(contents)) await writeFile(join(b.logFolder, name), content)
  const total = Object.values(contents).reduce((sum, content) => sum + content.length, 0)
  const { tailer, stop } = await b.start({ files: [{ path: join(b.logFolder, '*.log') }] })
  await until('all read', () => tailer.status().bytesRead === total)
  await stop()
  const sources = [...(await b.contents()).values()]
  for (const [name, content] of Object.entries(contents)) {
    if (content.length === 0) continue
    const source = sources.find(source => source.path === join(b.logFolder, name))!
    t.ok(source.bytes.equals(content), name)
    const newlines = content.filter(byte => byte === 10).length
    t.equal(source.lines, newlines + (content.at(-1) === 10 ? 0 : 1), `lines of ${name}`)
  }
  t.equal(sources.length, 9)
})

test('a buck that is cut off gets nothing; what it lacks goes to others, and one buck alone keeps packets waiting', async t => {
  const b = await bench(t, 2)
  b.cut(1, true)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, lines(0, 10))
  const { tailer, stop } = await b.start({ openingWaitMs: 200 })
  await until('read', () => tailer.status().linesRead === 10)
  t.ok(tailer.status().underReplicatedPackets > 0)
  b.cut(1, false)
  await until('held twice', () => tailer.status().underReplicatedPackets === 0)
  await stop()
  t.same(await textsOf(b), [lines(0, 10)])
})

test('once: reads to the ends, waits for the archive, and a second run adds nothing', async t => {
  const b = await bench(t)
  await writeFile(join(b.logFolder, 'app.log'), lines(0, 100))
  const first = await b.start({ once: true })
  await until(
    'all at two bucks',
    () => first.tailer.status().linesRead === 100 && first.tailer.status().underReplicatedPackets === 0,
  )
  await b.archiveAll()
  await first.done
  const second = await b.start({ once: true })
  await until('done', () => second.tailer.status().isDone)
  t.equal(second.tailer.status().linesRead, 0)
  t.same(await textsOf(b), [lines(0, 100)])
})

test('archived packets leave the journal, and a restart still knows where it was', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, lines(0, 100))
  const first = await b.start({ bucketSeconds: 1, forgetAfterMs: 1000 })
  await until(
    'all at two bucks',
    () => first.tailer.status().linesRead === 100 && first.tailer.status().underReplicatedPackets === 0,
  )
  await b.archiveAll()
  await until('journal empty', () => first.tailer.status().packets === 0)
  const journal = join(b.folder, 'tailer', 'buckets', '0')
  await until('old bucket files removed', async () => (await b.world.disk.list(journal)).length <= 2)
  await first.stop()
  await appendFile(path, lines(100, 105))
  const second = await b.start()
  await until('read on', () => second.tailer.status().linesRead > 0)
  await second.stop()
  t.equal(second.tailer.status().linesRead, 5)
})

test('a tailer with an empty folder goes on where the bucks last saw its sources', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, lines(0, 10))
  const first = await b.start()
  await until(
    'read',
    () => first.tailer.status().linesRead === 10 && first.tailer.status().underReplicatedPackets === 0,
  )
  await first.stop()
  await rm(join(b.folder, 'tailer'), { recursive: true })
  await appendFile(path, lines(10, 12))
  const second = await b.start()
  await until('read on', () => second.tailer.status().linesRead > 0)
  await second.stop()
  t.equal(second.tailer.status().linesRead, 2)
  t.same(await textsOf(b), [lines(0, 12)])
})

test('after a power cut that took the journal’s end, what the bucks hold beyond it is taken back', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, lines(0, 10))
  const first = await b.start()
  await until(
    'read',
    () => first.tailer.status().linesRead === 10 && first.tailer.status().underReplicatedPackets === 0,
  )
  await first.stop()
  // The journal of the last bucket was not on the device; the source log was.
  await rm(join(b.folder, 'tailer', 'buckets'), { recursive: true })
  const log = join(b.folder, 'tailer', 'sources')
  t.ok((await b.world.disk.stat(log))!.size > 0)
  await appendFile(path, lines(10, 12))
  const second = await b.start({}, { boot: 'boot-2' })
  await until('read on', () => second.tailer.status().linesRead > 0)
  await second.stop()
  t.equal(second.tailer.status().linesRead, 2)
  t.same(await textsOf(b), [lines(0, 12)])
})

test('a file that vanished unread is a hole with its reason, signed', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, lines(0, 10))
  const first = await b.start()
  await until('read', () => first.tailer.status().linesRead === 10)
  await first.stop()
  await rm(path)
  const second = await b.start()
  await until('given up', () => second.tailer.figures().some(row => row.path === path && row.givenUpRanges > 0))
  await second.stop()
  const { manifests } = await b.held()
  const gaveUp = manifests.flatMap(manifest => manifest.gaveUp)
  t.match(gaveUp, [{ kind: 'hole', path, from: lines(0, 10).length, reason: /gone/ }])
})

test('an empty file is a source: its manifest names it', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, '')
  const { tailer, stop } = await b.start()
  await until('seen', () => tailer.status().sources.length === 1)
  await stop()
  const sources = (await b.held()).manifests.flatMap(manifest => manifest.sources)
  t.match(sources, [{ path, from: 0, to: 0, lines: 0 }])
})

test('links in a loop and folders without permission cost themselves only', async t => {
  const b = await bench(t)
  await symlink('self', join(b.logFolder, 'self'))
  await mkdir(join(b.logFolder, 'sub'))
  await writeFile(join(b.logFolder, 'sub', 'app.log'), lines(0, 3))
  const { tailer, stop } = await b.start({ files: [{ path: join(b.logFolder, '**', '*') }] })
  await until('read', () => tailer.status().linesRead === 3)
  await stop()
})

test('a file that is cut and grows past the offset between two rounds is not read on in the middle', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, lines(0, 10))
  const first = await b.start({ pollMs: 300, lookMs: 300 })
  await until('read', () => first.tailer.status().linesRead === 10)
  await truncate(path, 0)
  await appendFile(path, lines(500, 530))
  await until('the new content', () => first.tailer.status().linesRead === 40)
  await first.stop()
  t.same(await textsOf(b), [lines(0, 10), lines(500, 530)].sort())
})

test('manifests are chained over a restart', async t => {
  const b = await bench(t)
  await writeFile(join(b.logFolder, 'app.log'), lines(0, 3))
  const first = await b.start()
  await until('read', () => first.tailer.status().linesRead === 3)
  await first.stop()
  const second = await b.start()
  await until('looked at', () => second.tailer.status().sources.length === 1)
  await second.stop()
  const unique = new Map(
    (await b.held()).manifests.map(manifest => [manifestDigest(manifest).toString('hex'), manifest]),
  )
  const starts = [...unique.values()].filter(manifest => !unique.has(manifest.previous.toString('hex')))
  t.equal(starts.length, 1, 'one chain')
  t.ok(starts[0].previous.equals(Buffer.alloc(32)), 'that begins with zeroes')
})

test('what waits for a throttled buck goes to another one', async t => {
  const b = await bench(t)
  b.bucks[0].throttle(600)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, lines(0, 5))
  const { tailer, stop } = await b.start()
  await until('the throttle is known', async () => (await b.held()).packets.length > 0)
  for (let i = 1; i < 20; i++) {
    await appendFile(path, lines(i * 5, i * 5 + 5))
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  await until(
    'held twice all the same',
    () => tailer.status().linesRead === 100 && tailer.status().underReplicatedPackets === 0,
  )
  await stop()
})

test('told to stop while its disk takes no writes it ends, says so, and reads on from there at the next start', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, lines(0, 10))
  const { disk } = b.world
  let isFull = false
  const world = b.world as { disk: typeof disk }
  world.disk = {
    ...disk,
    async open(name, mode) {
      const file = await disk.open(name, mode)
      if (name.startsWith(join(b.folder, 'tailer'))) {
        const append = file.append.bind(file)
        file.append = parts => (isFull ? Promise.reject(new Error('ENOSPC: no space left on device')) : append(parts))
      }
      return file
    },
  }
  const first = await b.start({ drainMs: 100 })
  await until('first lines at two bucks', () => first.tailer.status().linesRead === 10)
  isFull = true
  await appendFile(path, lines(10, 20))
  await until('it does not read', () => first.tailer.status().stopped !== undefined)
  await t.rejects(first.stop(), { message: /does not take writes: ENOSPC.*read again at the next start/ })
  isFull = false
  const second = await b.start()
  await until(
    'the rest',
    () => second.tailer.status().linesRead === 10 && second.tailer.status().underReplicatedPackets === 0,
  )
  t.same(await textsOf(b), [lines(0, 20)])
  await second.stop()
})

test('after its folder was moved to another machine, a copied and truncated log is not read again by its former name', async t => {
  const b = await bench(t)
  const path = join(b.logFolder, 'app.log')
  await writeFile(path, lines(0, 40))
  const first = await b.start()
  await until('its first lines', () => first.tailer.status().linesRead === 40)
  await first.stop()
  const moved = await b.start({}, { identity: 'machine-2' })
  await appendFile(path, lines(40, 60))
  await until('the rest, as a fork', () => moved.tailer.status().linesRead === 20)
  await copyFile(path, `${path}.1`)
  // A few looks find the copy while the original is there.
  await b.looks(5)
  await truncate(path)
  await appendFile(path, lines(60, 62))
  await until('the new lines', () => moved.tailer.status().linesRead >= 22)
  await until('nothing is undecided', () => moved.tailer.status().undecided === 0)
  await moved.stop()
  // What was not delivered before the move is cut again, source and offset unchanged: it counts once.
  const found = new Map<string, string>()
  for (const packet of (await b.held()).packets) {
    const events = packetEvents(packet)
    for (const { i, run, from } of walkEvents(events)) {
      const line = events.bytes.toString('latin1', i === 0 ? 0 : events.ends[i - 1], events.ends[i])
      found.set(`${run.source}@${from}`, line)
    }
  }
  t.same(
    [...found.values()].sort().join(''),
    lines(0, 62)
      .split(/(?<=\n)/)
      .sort()
      .join(''),
  )
})
