// What can be wrong from outside: one clear sentence with what to do, the documented exit code, no stack, nothing damaged.
import { once } from 'node:events'
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer } from 'node:net'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { testFolder } from '../shared/test-folder.test-support.ts'
import { until } from '../shared/until.test-support.ts'
import { type Ended, type RunOptions, run, startUp } from './command.ts'
import { freeFleetPort } from './ports.test-support.ts'

/** The command refuses: exit code, a sentence that matches, nothing on standard output, no stack. */
async function refused(
  t: Test,
  args: string[],
  code: number,
  sentence: RegExp,
  options: RunOptions = {},
): Promise<Ended> {
  const end = await run(args, options)
  const title = `bucktail ${args.join(' ').replaceAll(process.cwd(), '.')}`.slice(0, 120)
  t.equal(end.code, code, `${title}: exit code ${code}`)
  t.match(end.stderr, sentence, `${title}: says why`)
  t.notMatch(end.stderr, /^\s+at .*[(:]\d+/m, `${title}: no stack`)
  return end
}

test('wrong use: exit code 2 and what to write instead', async t => {
  const dir = testFolder(t, { 'a.log': 'x\n', logs: { 'b.log': 'y\n' } })
  const at = { cwd: dir }
  await refused(t, ['up'], 2, /which files\? For example .*--samples/, at)
  await refused(t, ['serch'], 2, /unknown command 'serch'[\s\S]*Did you mean search\?/)
  await refused(t, ['up', '--prot', '1'], 2, /unknown option '--prot'[\s\S]*--port/)
  await refused(t, ['up', '--port', 'x', 'a.log'], 2, /not a whole number/, at)
  await refused(t, ['up', '--port', '80', 'a.log'], 2, /80 ports below/, at)
  await refused(t, ['up', '--samples', '--once'], 2, /use one of them/, at)
  await refused(t, ['up', '--once', 'missing.log'], 2, /missing\.log does not exist/, at)
  await refused(
    t,
    ['up', '--once', 'logs'],
    2,
    /logs is a folder; name the files in it, for example 'logs\/\*\.log'/,
    at,
  )
  await refused(t, ['up', '--once', 'no*.log'], 2, /no\*\.log matches no file/, at)
  await refused(
    t,
    ['up', '--once', 'a.log', 'missing.log', 'logs'],
    2,
    /missing\.log does not exist[\s\S]*logs is a folder/,
    at,
  )
  await refused(t, ['search', 'x', '--archie', 'nowhere'], 2, /not an address/)
  await refused(t, ['restore', '--out', 'x'], 2, /which file\?/)
  await refused(t, ['restore', '--file', 'x'], 2, /where to\?/)
  await refused(t, ['keygen', 'bukc'], 2, /is not ROLE or NAME:ROLE/, at)
  if (process.getuid?.() === 0) t.comment('running as root: files without permission are not tried')
  else {
    chmodSync(join(dir, 'a.log'), 0)
    await refused(t, ['up', '--once', 'a.log'], 2, /cannot be read: permission denied/, at)
  }
  t.notOk(existsSync(join(dir, 'bucktail-data')), 'nothing was made')
})

test('wrong settings: exit code 78 with place and hint', async t => {
  const dir = testFolder(t, {
    'typo.yaml': 'tailer:\n  flies: [a.log]\n',
    'torn.yaml': 'tailer: [\n',
    'good.yaml': 'tailer:\n  files: [/nowhere/*.log]\n',
    'a.log': 'x\n',
  })
  const at = { cwd: dir }
  await refused(
    t,
    ['check', '--config', 'typo.yaml'],
    78,
    /typo\.yaml:2:3: `flies` is not a setting; did you mean `files`\?/,
    at,
  )
  await refused(t, ['tailer', '--config', 'torn.yaml'], 78, /torn\.yaml:\d+:\d+: /, at)
  await refused(t, ['buck', '--config', 'missing.yaml'], 78, /missing\.yaml: does not exist/, at)
  await refused(t, ['up', '--bucket-time', '3 parsecs', 'a.log'], 78, /--bucket-time: .*not a time/, at)
  await refused(t, ['check'], 78, /BUCKTAIL_BUCKS: /, { cwd: dir, env: { BUCKTAIL_BUCKS: 'nowhere' } })
  await refused(
    t,
    ['tailer', '--config', 'good.yaml'],
    78,
    /tailer\.pass, the pass of this tailer: it does not exist; `bucktail keygen` makes it/,
    at,
  )
  await refused(t, ['tailer'], 78, /tailer\.files: no file to tail/, at)
  const fine = await run(['check', '--offline', '--config', 'good.yaml'], at)
  t.equal(fine.code, 0, 'good settings pass')
  t.match(fine.stdout.toString(), /✓ settings: good\.yaml/)
})

test('places that cannot be used: exit code 1, and they stay as they are', async t => {
  const dir = testFolder(t, {
    'a.log': 'x\n',
    newer: { version: '99\n' },
    photos: { 'cat.jpg': 'miaow' },
    'a-file': '',
  })
  const at = { cwd: dir }
  await refused(
    t,
    ['up', '--once', '--data', 'newer', 'a.log'],
    1,
    /newer was written by a newer bucktail \(data version 99/,
    at,
  )
  t.same(readdirSync(join(dir, 'newer')), ['version'])
  await refused(t, ['up', '--once', '--data', 'photos', 'a.log'], 1, /holds other files \(cat\.jpg\)/, at)
  t.same(readdirSync(join(dir, 'photos')), ['cat.jpg'])
  await refused(t, ['up', '--once', '--data', 'a-file/below', 'a.log'], 1, /cannot make the data folder/, at)
  await refused(t, ['search', 'x', '--data', 'missing'], 1, /missing does not exist/, at)
  await refused(t, ['search', 'x', '--data', 'photos'], 1, /no data folder of bucktail/, at)
  await refused(t, ['cat', 'missing.seg'], 1, /cannot read missing\.seg/, at)
  await refused(t, ['fsck', 'missing'], 1, /cannot read missing/, at)
  await refused(
    t,
    ['search', 'x', '--archie', 'http://127.0.0.1:1025'],
    1,
    /cannot reach archie at http:\/\/127\.0\.0\.1:1025: nothing listens there; start it/,
  )

  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const { port } = taken.address() as AddressInfo
  t.teardown(() => taken.close())
  // The taken port is the tailer's, ten after archie's.
  await refused(
    t,
    ['up', '--once', '--data', 'd', '--port', String(Math.max(port - 10, 1104)), 'a.log'],
    1,
    /cannot listen on 127\.0\.0\.1:\d+ for the tailer: the port is in use; .*--port/,
    at,
  )
})

test('a running fleet: a second one on its folder, bad queries, strangers on the channel, foreign passes', {
  timeout: 600_000,
}, async t => {
  const dir = testFolder(t, { 'a.log': 'one line\n' })
  const data = join(dir, 'data')
  const up = await startUp(t, ['--data', data, join(dir, 'a.log')])
  const archie = ['--archie', up.url]

  await refused(
    t,
    ['up', '--once', '--data', data, join(dir, 'a.log')],
    1,
    /data is in use by another bucktail \(process \d+\)/,
  )
  await refused(t, ['search', 'x', '--data', data], 1, /bucktail runs on .*: ask it with --archie/)
  await refused(t, ['search', '"open', ...archie], 2, /./)
  await refused(t, ['search', 'x', '--since', 'yesterday-ish', ...archie], 2, /since/)
  await refused(t, ['search', 'x', '--since', '1h', '--until', '2h', ...archie], 2, /since is not before until/)
  await refused(t, ['tail', '(a', ...archie], 2, /the query cannot be read/)
  await refused(
    t,
    ['restore', '--file', 'missing.log', '--out', join(dir, 'x'), ...archie],
    1,
    /knows nothing of missing\.log/,
  )
  t.notOk(existsSync(join(dir, 'x')), 'nothing is written')

  const buckPort = Number(new URL(up.url).port) - 80
  for (const garbage of ['GET / HTTP/1.1\r\n\r\n', Buffer.alloc(100_000, 0xff), Buffer.from('BKT1'), '']) {
    await strangerIsTurnedAway(buckPort, garbage)
  }
  const health = await fetch(`http://127.0.0.1:${buckPort + 1}/healthz`)
  t.equal(health.status, 200, 'the buck lives on')

  // Keys of another environment: refused by the buck, told by check.
  const foreign = join(dir, 'foreign')
  mkdirSync(foreign)
  t.equal((await run(['keygen', '--out', foreign, 'tailer', 'porter', 'archie'])).code, 0)
  const settings = join(dir, 'foreign.yaml')
  writeFileSync(
    settings,
    `bucks: ['127.0.0.1:${buckPort}']\nchannel: { keys: ${foreign} }\ntailer: { files: ['${dir}/a.log'] }\n`,
  )
  const check = await run(['check', '--config', settings])
  t.equal(check.code, 1, 'check: exit code 1')
  t.match(check.stdout.toString(), /✗ buck 127\.0\.0\.1:\d+: .*pass/, 'check says that the passes do not fit')
  // A pass of one environment beside the public key of another: seen before anything is dialled.
  copyFileSync(join(data, 'keys', 'environment.pub'), join(foreign, 'environment.pub'))
  await refused(
    t,
    ['tailer', '--config', settings, '--data', join(dir, 'other')],
    78,
    /not signed by the key of this environment/,
  )

  await until('the line is there', async () => (await run(['search', 'one', ...archie])).stdout.includes('one line'))
  t.equal((await up.stop()).code, 0)
})

test('damage: what is cut or flipped is named, what is whole is served, nothing half is restored', {
  timeout: 600_000,
}, async t => {
  const dir = testFolder(t)
  const data = join(dir, 'data')
  const files = ['a.log', 'b.log'].map(name => join(dir, name))
  // Apart in the archive: two runs make two segments.
  for (const [i, file] of files.entries()) {
    writeFileSync(
      file,
      Array.from({ length: 1000 }, (_, n) => `2026-03-01T00:00:00Z INFO file ${i} line ${n}\n`).join(''),
    )
    const end = await run(['up', '--once', '--data', data, '--port', String(await freeFleetPort()), file])
    t.equal(end.code, 0, end.stderr)
  }
  t.equal((await run(['fsck', data])).code, 0, 'fsck finds nothing')

  const segments = ['index', 'archive'].map(store => {
    const folder = join(data, store, 'segments')
    const name = readdirSync(folder, { recursive: true, encoding: 'utf8' }).find(name => name.endsWith('.seg'))
    return join(folder, name!)
  })
  const flip = (where: (bytes: Buffer) => number) => {
    for (const path of segments) {
      const bytes = readFileSync(path)
      bytes[where(bytes)] ^= 1
      writeFileSync(path, bytes)
    }
  }
  const searchAll = () => run(['search', 'line', '--in', 'archive', '--json', '--data', data])

  // A block as drawn in shared/segment-block: head, meta of as many bytes as stand at 12, body of as many as at 16.
  const metaAt = 60
  flip(() => metaAt)
  const ofHeads = await run(['fsck', data])
  t.equal(ofHeads.code, 3, 'fsck: exit code 3')
  t.match(
    ofHeads.stdout.toString(),
    /damaged {2}archive\/segments\/.* own head: meta[\s\S]*damaged {2}index\/segments\/.* own head: meta/,
  )
  const spared = await searchAll()
  t.equal(spared.code, 0, 'the directory says the same again: nothing is missing')
  t.equal(spared.stdout.toString().trimEnd().split('\n').length, 2000)
  flip(() => metaAt)
  t.equal((await run(['fsck', data])).code, 0, 'as it was')

  flip(bytes => metaAt + bytes.readUInt32BE(12) + Math.floor(bytes.readUInt32BE(16) / 2))
  const fsck = await run(['fsck', data])
  t.equal(fsck.code, 3, 'fsck: exit code 3')
  t.match(fsck.stdout.toString(), /damaged {2}archive\/segments\/[\s\S]*damaged {2}index\/segments\//)

  const search = await searchAll()
  t.equal(search.code, 3, 'search: exit code 3')
  t.match(search.stderr, /not searched: /)
  t.ok(search.stdout.toString().split('\n').length > 500, 'what is whole is found')

  // In each store only one of the two files is damaged; restore never gives out half of one.
  let whole = 0
  for (const file of files) {
    const out = `${file}.restored`
    const end = await run(['restore', '--file', file, '--data', data, '--out', out])
    if (end.code === 0) {
      whole++
      t.ok(readFileSync(out).equals(readFileSync(file)), 'given back byte for byte')
    } else {
      t.equal(end.code, 3, end.stderr)
      t.match(end.stderr, /bytes .* are missing; nothing was written/)
      t.notOk(existsSync(out))
    }
  }
  t.ok(whole >= 1, 'the undamaged file comes back')
})

/** The connection ends from the other side. */
async function strangerIsTurnedAway(port: number, garbage: string | Buffer): Promise<void> {
  const socket = connect(port, '127.0.0.1')
  socket.on('error', () => undefined) // a reset is an answer too
  socket.write(garbage)
  socket.resume()
  await once(socket, 'close')
}
