import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { test } from 'tap'
import { ENTRY_BYTES_MAX, JournalEntries } from './journal-entries.ts'

const JOURNALD = ['/usr/lib/systemd/systemd-journald', '/lib/systemd/systemd-journald'].find(path => existsSync(path))

function binaryField(name: string, value: string): Buffer {
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(value)))
  return Buffer.concat([Buffer.from(`${name}\n`), length, Buffer.from(`${value}\n`)])
}

const ENTRIES = [
  Buffer.from('__CURSOR=a;1\nPRIORITY=3\nMESSAGE=plain\n\n'),
  Buffer.concat([
    Buffer.from('__CURSOR=a;2\n'),
    binaryField('MESSAGE', 'forged:\n\n__CURSOR=evil\nX=1\n\n'),
    Buffer.from('\n'),
  ]),
  Buffer.concat([
    Buffer.from('__CURSOR=a;3\n'),
    binaryField('EMPTY', ''),
    binaryField('NUL', '\0\n'),
    Buffer.from('\n'),
  ]),
]

test('entries are given out whole, however the stream is cut; a value cannot forge a cursor', t => {
  const stream = Buffer.concat(ENTRIES)
  const cursors = ['a;1', 'a;2', 'a;3']
  for (let cut = 0; cut <= stream.length; cut++) {
    const entries = new JournalEntries()
    const first = Buffer.from(entries.push(stream.subarray(0, cut)))
    const ends = ENTRIES.map((_, i) => Buffer.concat(ENTRIES.slice(0, i + 1)).length)
    const whole = ends.filter(end => end <= cut)
    if (first.length !== (whole.at(-1) ?? 0)) t.fail(`cut at ${cut}: ${first.length} bytes`)
    if (entries.cursor !== cursors[whole.length - 1]) t.fail(`cut at ${cut}: cursor ${entries.cursor}`)
    const second = entries.push(stream.subarray(cut))
    if (!Buffer.concat([first, second]).equals(stream)) t.fail(`cut at ${cut}: not all is given out`)
    if (entries.cursor !== 'a;3') t.fail(`cut at ${cut}: cursor ${entries.cursor} at the end`)
  }
  t.pass(`${stream.length + 1} cuts`)
  t.end()
})

test('a value of any length is bounded in memory, and nothing of it is lost', t => {
  const value = 'x\n'.repeat(ENTRY_BYTES_MAX)
  const stream = Buffer.concat([
    Buffer.from('__CURSOR=b;1\n'),
    binaryField('MESSAGE', value),
    Buffer.from('\n'),
    ENTRIES[0],
  ])
  const entries = new JournalEntries()
  const parts: Buffer[] = []
  let most = 0
  for (let at = 0; at < stream.length; at += 65_536) {
    parts.push(Buffer.from(entries.push(stream.subarray(at, at + 65_536))))
    most = Math.max(most, parts.at(-1)!.length)
  }
  t.ok(Buffer.concat(parts).equals(stream))
  t.ok(most <= ENTRY_BYTES_MAX + 2 * 65_536, `${most} bytes at most at once`)
  t.equal(entries.cursor, 'a;1')
  t.end()
})

test('a real journal arrives entry by entry, and goes on where it was after a restart', t => {
  // A journal of its own in a mount namespace of its own: nothing of this machine's is touched.
  const canRun = JOURNALD !== undefined && process.getuid?.() === 0 && spawnSync('unshare', ['-m', 'true']).status === 0
  if (!canRun) {
    const what = 'NOT RUN: the journald test needs root, unshare, and systemd (apt-get install systemd)'
    if (process.env.CI === 'true') t.fail(what)
    else t.comment(what)
    return t.end()
  }
  const script = fileURLToPath(new URL('journald.test-support.ts', import.meta.url))
  const { status, stdout, stderr } = spawnSync(
    'unshare',
    [
      '-m',
      'sh',
      '-c',
      'mount -t tmpfs tmpfs /run && exec "$@"',
      'sh',
      process.execPath,
      script,
      JOURNALD,
      t.testdir({}),
    ],
    { encoding: 'utf8', timeout: 60_000 },
  )
  t.equal(status, 0, stderr)
  t.match(JSON.parse(stdout.trim().split('\n').at(-1) ?? ''), { missing: [], twice: [], entries: 60 })
  t.end()
})
