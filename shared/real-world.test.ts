import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { test } from 'tap'
import { realDisk } from './real-disk.ts'
import { realClock, realRandom, realWorld } from './real-world.ts'
import { textLog } from './text-log.ts'
import { testClock, testDisk } from './world.contract.ts'

const live = <T>(promise: Promise<T>) => promise

test('the disk of a real machine', async t => testDisk(t, realDisk, t.testdir(), live))
test('the clock of a real machine', async t => testClock(t, realClock, live))

test('a temporary file of a writer that died is not listed, is in nobody’s way, and goes after a day', async t => {
  const folder = t.testdir()
  const dead = join(folder, '.bucktail-tmp-0123456789abcdef01234567')
  fs.writeFileSync(dead, 'half')
  t.same(await realDisk.list(folder), [])
  await realDisk.makeFolder(folder)
  t.ok(fs.existsSync(dead), 'a young one may belong to a live writer')
  const yesterday = new Date(Date.now() - 25 * 60 * 60 * 1000)
  fs.utimesSync(dead, yesterday, yesterday)
  await realDisk.makeFolder(folder)
  t.notOk(fs.existsSync(dead))
  fs.writeFileSync(dead, 'half')
  await realDisk.removeFolder(folder)
  t.notOk(fs.existsSync(folder), 'what list calls empty can be removed')
})

test('a secret is readable by its owner only, also where it replaces a file that others could read', async t => {
  const path = join(t.testdir({ key: 'old' }), 'key')
  fs.chmodSync(path, 0o644)
  await realDisk.replaceFile(path, Buffer.from('new'), true)
  t.equal(fs.statSync(path).mode & 0o777, 0o600)
})

test('a write that fails leaves the old file and no temporary one', async t => {
  const folder = t.testdir({ file: 'old', folder: {} })
  await t.rejects(realDisk.replaceFile(join(folder, 'folder'), Buffer.from('x')), { code: 'EISDIR' })
  t.same(fs.readdirSync(folder).sort(), ['file', 'folder'])
})

test('an append of more parts than one system call takes is written whole', async t => {
  const file = await realDisk.open(join(t.testdir(), 'many'), 'append')
  const parts = Array.from({ length: 5000 }, (_, i) => Buffer.from(`${i},`))
  await file.append(parts)
  const size = Buffer.concat(parts).length
  const into = Buffer.alloc(size + 1)
  t.equal(await file.read(into, 0), size)
  t.same(into.subarray(0, size), Buffer.concat(parts))
  await file.close()
})

test('a pipe in place of a file does not hold up its reader', async t => {
  const path = join(t.testdir(), 'pipe')
  if (spawnSync('mkfifo', [path]).status !== 0) return t.comment('no mkfifo here')
  t.equal((await realDisk.stat(path))?.kind, 'other')
  const file = await realDisk.open(path, 'read')
  await file.close()
})

test('random bytes and fractions are not the same twice', async t => {
  t.notSame(realRandom.bytes(16), realRandom.bytes(16))
  const fractions = Array.from({ length: 100 }, () => realRandom.fraction())
  t.ok(fractions.every(value => value >= 0 && value < 1))
  t.equal(new Set(fractions).size, 100)
})

function collected(isTTY: boolean): { stream: Writable & { isTTY: boolean }; lines(): string[] } {
  let text = ''
  const stream = new Writable({
    write(chunk, _, done) {
      text += chunk
      done()
    },
  })
  return { stream: Object.assign(stream, { isTTY }), lines: () => text.split('\n').slice(0, -1) }
}

test('a log is for eyes on a terminal and JSON lines elsewhere; errors show their message and cause', async t => {
  const error = new Error('cannot send', { cause: new Error('connect ECONNREFUSED') })
  const human = collected(true)
  textLog(human.stream).warn('link lost', { buck: 'a:1', failures: 3, text: 'two words', error })
  t.match(human.lines(), [
    /^\d\d:\d\d:\d\d\.\d{3} warn {2}link lost {2}buck=a:1 failures=3 text="two words" error="cannot send: connect ECONNREFUSED"$/,
  ])
  const json = collected(false)
  const { log } = realWorld({ log: textLog(json.stream) })
  log.error('link lost', { buck: 'a:1', big: 12n, bytes: Buffer.from('ab'), error })
  t.match(JSON.parse(json.lines()[0]), {
    level: 'error',
    fact: 'link lost',
    buck: 'a:1',
    big: '12',
    bytes: '6162',
    error: 'cannot send: connect ECONNREFUSED',
  })
})

test('a log line is one line, and nothing in it commands a terminal', async t => {
  for (const isTTY of [true, false]) {
    const { stream, lines } = collected(isTTY)
    textLog(stream).info('a\nb\x1b[2J', { path: '/x\r\ny\x9b31m\u202e', nested: { a: '\x07', b: [1n] } })
    t.equal(lines().length, 1)
    t.notMatch(lines()[0], /[\x00-\x1f\x7f-\x9f\u202e]/)
  }
})

test('a log shows its level and above, cuts what is huge, and outlives its reader', async t => {
  const { stream, lines } = collected(false)
  const log = textLog(stream, 'warn')
  log.info('no')
  log.debug('no')
  log.warn('yes', { huge: 'x'.repeat(1_000_000) })
  t.equal(lines().length, 1)
  t.ok(lines()[0].length < 5000)
  stream.destroy(new Error('EPIPE'))
  await new Promise(resolve => setImmediate(resolve))
  log.error('still here')
})
