import { mkdirSync, mkdtempSync, readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { realDisk } from '../../shared/real-disk.ts'
import { realRandom } from '../../shared/real-world.ts'
import type { OpenFile } from '../../shared/world.ts'
import { SpoolNameError, SpoolWriter } from './spool-writer.ts'
import { sweepSpool } from './sweep.ts'

function folderOf(t: { teardown(work: () => unknown): void }): string {
  const dir = mkdtempSync(join(tmpdir(), 'bucktail-spool-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  return dir
}

/** The real disk, with files that do some things in another way. */
function diskWhere(otherwise: (file: OpenFile) => Partial<OpenFile>): typeof realDisk {
  const open = async (path: string, mode: 'read' | 'append' | 'create'): Promise<OpenFile> => {
    const file = await realDisk.open(path, mode)
    return {
      read: (into, position) => file.read(into, position),
      append: parts => file.append(parts),
      sync: () => file.sync(),
      truncate: size => file.truncate(size),
      stat: () => file.stat(),
      close: () => file.close(),
      ...otherwise(file),
    }
  }
  return { ...realDisk, open }
}

const contents = (folder: string) =>
  readdirSync(folder)
    .map(name => readFileSync(join(folder, name), 'utf8'))
    .join('')

test('lines are accepted once they are on the device, and those who wait together share a sync', async t => {
  const spool = folderOf(t)
  let syncs = 0
  const disk = diskWhere(file => ({
    sync: () => {
      syncs++
      return file.sync()
    },
  }))
  const writer = new SpoolWriter({ clock: { monotonic: () => 0 }, random: realRandom, disk }, spool, 'web')
  await Promise.all(Array.from({ length: 100 }, (_, i) => writer.append(Buffer.from(`line ${i}\n`))))
  t.ok(syncs <= 3, `${syncs} syncs for 100 lines given at once`)
  t.equal(contents(join(spool, 'web')), Array.from({ length: 100 }, (_, i) => `line ${i}\n`).join(''))
  await writer.finish()
  t.match(readdirSync(join(spool, 'web')), [/^[0-9a-f]{16}\.log\.1$/], 'a finished file has a rotated name')
  await writer.append(Buffer.from('after\n'))
  t.equal(readdirSync(join(spool, 'web')).length, 2, 'the next line begins another file')
  await writer.finish()
})

test('a disk that takes nothing: the lines are not accepted, nothing of them stays, and they may be given again', async t => {
  const spool = folderOf(t)
  let isFull = false
  const disk = diskWhere(file => ({
    append: async parts => {
      if (!isFull) return file.append(parts)
      await file.append([parts[0].subarray(0, 3)])
      throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' })
    },
  }))
  const writer = new SpoolWriter({ clock: { monotonic: () => 0 }, random: realRandom, disk }, spool, 'web')
  await writer.append(Buffer.from('one\n'))
  isFull = true
  await t.rejects(writer.append(Buffer.from('two\n')), { code: 'ENOSPC' })
  t.equal(contents(join(spool, 'web')), 'one\n')
  isFull = false
  await writer.append(Buffer.from('two\n'))
  t.equal(contents(join(spool, 'web')), 'one\ntwo\n')
  await writer.finish()
})

test('a line that comes in parts stays in one file, however late they come, and whatever its size', async t => {
  const spool = folderOf(t)
  let now = 0
  const writer = new SpoolWriter({ clock: { monotonic: () => now }, random: realRandom, disk: realDisk }, spool, 'web')
  await writer.append(Buffer.from('begun '))
  now += 40_000
  t.notOk(writer.isIdle)
  const part = Buffer.alloc(4 * 1024 * 1024, 'x')
  for (let i = 0; i < 17; i++) await writer.append(part)
  t.same(readdirSync(join(spool, 'web')).length, 1)
  await writer.append(Buffer.from(' ended\n'))
  t.match(readdirSync(join(spool, 'web')), [/\.log\.1$/], 'its end makes it over-long: finished')
  await writer.append(Buffer.from('next\nhalf'))
  t.equal(readdirSync(join(spool, 'web')).length, 2)
  now += 13 * 3600_000
  t.ok(writer.isIdle, 'a line that never ends is given up before the sweep takes its writer for dead')
  await writer.append(Buffer.from(' of it\n'))
  t.notOk(writer.isIdle)
  now += 40_000
  t.ok(writer.isIdle)
  await writer.finish()
})

test('an application’s name cannot lead out of the spool', t => {
  const world = { clock: { monotonic: () => 0 }, random: realRandom, disk: realDisk }
  for (const name of ['', '.', '..', '../x', 'a/b', 'a\0', '.hidden', 'x'.repeat(65)]) {
    t.throws(() => new SpoolWriter(world, '/nowhere', name), SpoolNameError, JSON.stringify(name))
  }
  t.end()
})

test('a finished file goes when the tailer has it safe; one of a dead writer is finished after a day', async t => {
  const spool = folderOf(t)
  const folder = join(spool, 'web')
  mkdirSync(folder)
  const path = (digit: string, ending: string) => join(folder, digit.repeat(16) + ending)
  for (const file of [path('a', '.log.1'), path('b', '.log.1'), path('c', '.log'), path('d', '.log')])
    writeFileSync(file, 'x\n')
  writeFileSync(join(folder, 'notes.txt'), 'of somebody else')
  utimesSync(path('d', '.log'), new Date(Date.now() - 2 * 86_400_000), new Date(Date.now() - 2 * 86_400_000))
  const parts = { disk: realDisk, clock: { now: () => Date.now() }, keepsNewest: () => false }
  t.equal(await sweepSpool(spool, { ...parts, isSafe: file => file === path('a', '.log.1') }), 1)
  t.same(readdirSync(folder), [
    `${'b'.repeat(16)}.log.1`,
    `${'c'.repeat(16)}.log`,
    `${'d'.repeat(16)}.log.1`,
    'notes.txt',
  ])
  t.equal(
    await sweepSpool(spool, { ...parts, keepsNewest: () => true, isSafe: () => true }),
    1,
    'the newest stays for its writer',
  )
})
