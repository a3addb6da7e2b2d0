// `bucktail up --once`: real logs, and files that are odd in every way we know.
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { type Test, test } from 'tap'
import { SAMPLE_KINDS, sampleRecord, seededFraction } from '../bin/samples.ts'
import type { EventJson } from '../shared/event-json.ts'
import { testFolder } from '../shared/test-folder.test-support.ts'
import { ended, run, start } from './command.ts'
import { freeFleetPort } from './ports.test-support.ts'

/** Real logs lie beside the project on the machines of its authors; elsewhere generated ones take their place. */
const REAL_LOGS = new URL('../../shared/data', import.meta.url).pathname

test('real logs and odd files: every line is found once, every file comes back, a second run adds nothing', {
  timeout: 300_000,
}, async t => {
  const dir = testFolder(t)
  const odd: Record<string, string | Buffer> = {
    'no-final-newline.log': 'one\ntwo\nthree',
    'crlf.log': 'one\r\ntwo\r\n\r\nthree\r\n',
    'lone-cr.log': 'progress 1 %\rprogress 2 %\rdone\nnext\n\r\n\r',
    'nul.log': Buffer.from('a\0b\0\n\0\0\0\nend\n'),
    'invalid-utf8.log': Buffer.from([0xff, 0xfe, 0x0a, 0xc3, 0x28, 0x0a, 0x80, 0x0a, 0xf0, 0x9f, 0x98, 0x0a]),
    'long-line.log': `before\n${'0123456789'.repeat(30_000)}\nafter\n`,
    'long-unfinished.log': 'x'.repeat(300_000),
    'empty-lines.log': '\n'.repeat(1000),
    'one-byte.log': 'x',
    'one-newline.log': '\n',
    'twin-a.log': 'the same content\nin two files\n',
    'twin-b.log': 'the same content\nin two files\n',
    'controls.log': '\x1b[31mred\x1b[0m\n\x07bell\n\u202eturned\n',
    'names [1] (2) {3} ünï.log': 'a name with everything\n',
    'size-0.log': '',
  }
  mkdirSync(join(dir, 'logs'))
  for (const [name, content] of Object.entries(odd)) writeFileSync(join(dir, 'logs', name), content)
  const odds = Object.keys(odd).map(name => join(dir, 'logs', name))
  mkdirSync(join(dir, 'real'))
  const files = [...odds, ...realOrGenerated(t, join(dir, 'real'))]
  await checkOnce(t, files, join(dir, 'data'))

  // What grew since is added, and nothing else.
  appendFileSync(odds[0], ' and more\nfour\n')
  const port = await freeFleetPort()
  const grown = await run(['up', '--once', '--data', join(dir, 'data'), '--port', String(port), ...files])
  t.equal(grown.code, 0, grown.stderr)
  await checkFiles(t, files, join(dir, 'data'))
})

test('files that only the settings name are read, and told in the report, like those of the command line', async t => {
  const dir = testFolder(t, {
    'a.log': 'one\ntwo\n',
    'a.log.1': 'zero\n',
    logs: { 'b.log': 'three\n', 'c.tmp': 'four\n' },
  })
  const settings = {
    tailer: { files: [join(dir, 'a.log'), { path: 'logs/*', app: 'b' }, 'none.log'], exclude: ['**/*.tmp'] },
  }
  writeFileSync(join(dir, 'bucktail.yaml'), JSON.stringify(settings))
  const args = ['up', '--once', '--data', 'd', '--config', 'bucktail.yaml', '--port', String(await freeFleetPort())]
  const { code, stdout, stderr } = await run(args, { cwd: dir })
  t.equal(code, 0, stderr)
  t.match(stdout.toString(), 'read 2 files, 3 lines')
  for (const path of ['a.log', 'logs/b.log']) t.match(stdout.toString(), join(dir, path))
  const again = await run([...args, 'a.log'], { cwd: dir })
  t.match(again.stdout.toString(), 'read 2 files, 3 lines', 'named twice, it is one file')
})

test('a glob over the folder in which the data folder lies never reads what we write ourselves', async t => {
  const dir = testFolder(t, { 'app.log': 'one\ntwo\n', deep: { 'other.log': 'three\n' } })
  const data = join(dir, 'data')
  const port = String(await freeFleetPort())
  for (const round of ['first', 'again, with our logs there']) {
    const { code, stdout, stderr } = await run(['up', '--once', '--data', data, '--port', port, join(dir, '**')])
    t.equal(code, 0, stderr)
    t.match(stdout.toString(), 'read 2 files, 3 lines', round)
    t.equal(stderr.match(/own data folder/g)?.length, 1, 'and says so once')
  }
  const found = await searchAll(data, 'archive')
  t.same([...new Set(found.map(event => event.path))].sort(), [join(dir, 'app.log'), join(dir, 'deep', 'other.log')])
  const log = readFileSync(join(data, 'log', 'tailer.log'), 'utf8')
  t.equal(log.match(/our own data folder/g)?.length, 2, 'the tailer says it once a start')

  // Without its bucks it waits for them, and is told to stop.
  const tailer = start(['tailer', '--once', '--config', join(data, 'run', 'tailer.yaml')])
  const end = ended(tailer)
  tailer.stderr!.on('data', part => String(part).includes('tailer started') && tailer.kill('SIGTERM'))
  const { code, stderr } = await end
  t.equal(code, 1, 'that is no success')
  t.match(stderr, 'told to stop before all was archived')
})

async function checkOnce(t: Test, files: string[], data: string): Promise<void> {
  const port = String(await freeFleetPort())
  const first = await run(['up', '--once', '--data', data, '--port', port, ...files])
  t.equal(first.code, 0, first.stderr)
  t.match(first.stdout.toString(), `read ${files.length} files`)
  const events = await checkFiles(t, files, data)

  const again = await run(['up', '--once', '--data', data, '--port', port, ...files])
  t.equal(again.code, 0, again.stderr)
  t.match(again.stdout.toString(), 'nothing of it was new')
  t.equal((await searchAll(data, 'recent')).length, events, 'the second run added nothing to the index')
  t.equal((await searchAll(data, 'archive')).length, events, 'nor to the archive')
}

/** Answers the number of events. */
async function checkFiles(t: Test, files: string[], data: string): Promise<number> {
  let events = 0
  for (const place of ['recent', 'archive']) {
    const found = await searchAll(data, place)
    events = found.length
    t.equal(new Set(found.map(event => event.id)).size, found.length, `${place}: no event is there twice`)
    const lines = new Map<string, number>()
    for (const event of found) lines.set(event.path, (lines.get(event.path) ?? 0) + event.lines)
    for (const file of files)
      t.equal(lines.get(file) ?? 0, linesOf(readFileSync(file)), `${place}: lines of ${basename(file)}`)
  }
  const ledger = await run(['ledger', '--data', data])
  t.equal(ledger.code, 0, `ledger: ${ledger.stderr}${ledger.stdout}`)
  for (const file of files) t.match(ledger.stdout.toString(), file, `ledger: a row of ${basename(file)}`)
  await checkRestored(t, files, data)
  return events
}

async function checkRestored(t: Test, files: string[], data: string): Promise<void> {
  for (const folder of new Set(files.map(dirname))) {
    const out = `${data}-restored`
    rmSync(out, { recursive: true, force: true })
    const end = await run(['restore', '--all', '--file', join(folder, '*'), '--data', data, '--out', out])
    t.equal(end.code, 0, end.code === 0 ? 'restore: exit code 0' : end.stderr)
    const restored = new Map(readdirSync(out).map(name => [name.slice(0, name.lastIndexOf('.')), join(out, name)]))
    for (const file of files.filter(file => dirname(file) === folder)) {
      const content = readFileSync(file)
      const path = restored.get(basename(file))
      t.ok(path !== undefined && readFileSync(path).equals(content), `${basename(file)} comes back byte for byte`)
    }
  }
}

async function searchAll(data: string, place: string): Promise<EventJson[]> {
  const { code, stdout, stderr } = await run(['search', '--json', '--data', data, '--in', place])
  if (code !== 0) throw new Error(stderr)
  return stdout
    .toString()
    .split('\n')
    .filter(line => line !== '')
    .map(line => JSON.parse(line) as EventJson)
}

/** What is after the last line end is a line too. */
function linesOf(bytes: Buffer): number {
  let lines = bytes.length > 0 && bytes.at(-1) !== 0x0a ? 1 : 0
  for (const byte of bytes) if (byte === 0x0a) lines++
  return lines
}

function realOrGenerated(t: Test, dir: string): string[] {
  if (existsSync(REAL_LOGS)) {
    return readdirSync(REAL_LOGS)
      .filter(name => name.endsWith('.log'))
      .map(name => join(REAL_LOGS, name))
  }
  t.comment(`${REAL_LOGS} is not here: generated logs take the place of real ones`)
  const random = seededFraction(1)
  return SAMPLE_KINDS.map(kind => {
    const file = join(dir, `${kind}.log`)
    writeFileSync(
      file,
      Array.from({ length: 5000 }, (_, i) => sampleRecord(kind, random, 1_772_366_400_000 + i * 10)).join(''),
    )
    return file
  })
}
