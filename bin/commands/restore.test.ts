import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { IS_REDACTED } from '../../shared/events.ts'
import { FolderStore } from '../../shared/folder-store.ts'
import type { Manifest, ManifestSource } from '../../shared/manifest.ts'
import { encodePacket, type Packet } from '../../shared/packet.ts'
import { testManifest } from '../../shared/packets.test-support.ts'
import { realDisk } from '../../shared/real-disk.ts'
import { realWorld } from '../../shared/real-world.ts'
import { SegmentStore } from '../../shared/segment-store.ts'
import { testFolder } from '../../shared/test-folder.test-support.ts'
import { textLog } from '../../shared/text-log.ts'
import { run } from '../../test/command.ts'

const PATH = '/var/log/app.log'
const [FIRST, SECOND, THIRD] = ['11', '22', '33'].map(pair => pair.repeat(10))
const world = realWorld({ log: textLog(process.stderr, 'error') })
let sequence = 0

/** One line per packet. */
function packetsOf(source: string, start: number, text: string, parent?: string, epochCount = 1, flags = 0): Packet[] {
  let from = start
  return text.match(/.*\n/g)!.map(line => {
    const bytes = Buffer.from(line)
    const run = { source, host: 'web1', path: PATH, app: 'app', from, to: from + bytes.length, start, events: 1 }
    from += bytes.length
    return encodePacket(
      { tailer: 'ab'.repeat(16), epoch: `${epochCount}-00000000000000aa`, sequence: ++sequence, bucket: 1_700_000_000 },
      {
        runs: [{ ...run, ...(parent !== undefined && { parent }) }],
        bytes,
        ends: Uint32Array.of(bytes.length),
        lines: Uint16Array.of(1),
        times: BigInt64Array.of(1_700_000_000_000_000_000n + BigInt(sequence)),
        levels: Uint8Array.of(3),
        flags: Uint8Array.of(flags),
        hosts: Uint16Array.of(0),
        apps: Uint16Array.of(0),
        names: [''],
      },
    )
  })
}

/** The tailer's word, in a bucket so many minutes later, that it read these bytes. */
function told(minute: number, ...sources: [source: string, to: number][]): Manifest {
  const parts = sources.map(
    ([source, to]): ManifestSource => ({
      source,
      host: 'web1',
      path: PATH,
      start: 0,
      from: 0,
      to,
      events: 0,
      lines: 0,
      steps: [],
    }),
  )
  return testManifest(1_700_000_000 + 60 * minute, { sources: parts, signature: Buffer.alloc(64, minute) })
}

async function keepWords(data: string, manifests: Manifest[]): Promise<void> {
  const archive = await SegmentStore.open(new FolderStore(realDisk, join(data, 'archive')), { world, writer: 'words' })
  await archive.add([], { manifests, gone: [] })
}

async function dataFolder(t: Test, ...packets: Packet[][]): Promise<string> {
  const data = join(testFolder(t), 'data')
  mkdirSync(data)
  writeFileSync(join(data, 'version'), '1\n')
  const archive = await SegmentStore.open(new FolderStore(realDisk, join(data, 'archive')), { world, writer: 'test' })
  for (const some of packets) await archive.add(some, { manifests: [], gone: [] })
  await archive.tidy()
  return data
}

// After two power cuts: each time the file kept less than was read of it, and went on in another way.
const before = packetsOf(FIRST, 0, 'one\ntwo\nthree\nlost in the first power cut\n')
const between = packetsOf(SECOND, 14, 'four\nfive\nlost in the second\n', FIRST)
const after = packetsOf(THIRD, 24, 'six\nseven\n', SECOND)

test('a file that forked in power cuts comes back whole: the bytes of its parents, then its own', async t => {
  const data = await dataFolder(t, after, before, between)
  const out = join(data, 'copy')
  const { code, stderr } = await run(['restore', '--file', PATH, '--data', data, '--out', out])
  t.equal(code, 0, stderr)
  t.equal(readFileSync(out, 'utf8'), 'one\ntwo\nthree\nfour\nfive\nsix\nseven\n')
  const middle = await run(['restore', '--source', SECOND, '--data', data, '--out', '-'])
  t.equal(middle.stdout.toString(), 'one\ntwo\nthree\nfour\nfive\nlost in the second\n')
  const all = await run(['restore', '--file', PATH, '--all', '--data', data, '--out', join(data, 'all')])
  t.equal(all.code, 0, all.stderr)
  t.equal(readFileSync(join(data, 'all', `app.log.${FIRST}`), 'utf8').split('\n').length, 5)
})

test('a fork whose parent is not held, or not all of it, is not whole: exit 3 and which bytes', async t => {
  const alone = await dataFolder(t, after)
  const orphan = await run(['restore', '--file', PATH, '--data', alone, '--out', join(alone, 'copy')])
  t.equal(orphan.code, 3)
  t.match(orphan.stderr, 'bytes 0–24 of web1:/var/log/app.log')
  t.test('part of a parent', async t => {
    const data = await dataFolder(t, before.slice(0, 2), between)
    const { code, stderr } = await run(['restore', '--file', PATH, '--data', data, '--out', join(data, 'copy')])
    t.equal(code, 3)
    t.match(stderr, 'bytes 8–14 of')
  })
})

test('without --source the incarnation that was tailed last comes back; --list shows it first', async t => {
  const old = packetsOf(THIRD, 0, 'the old file\n')
  const young = packetsOf(FIRST, 0, 'the new file\n')
  const restored = async (data: string) => {
    const { code, stdout, stderr } = await run(['restore', '--file', PATH, '--data', data, '--out', '-'])
    t.equal(code, 0, stderr)
    return stdout.toString()
  }
  const data = await dataFolder(t, young, old)
  await keepWords(data, [told(1, [THIRD, 13]), told(2, [FIRST, 13])])
  t.equal(await restored(data), 'the new file\n')
  const list = await run(['restore', '--file', PATH, '--data', data, '--list'])
  const rows = list.stdout.toString().split('\n')
  t.match(rows[1], FIRST)
  t.match(rows[1], '2023-11-14T22:15:20Z', 'with the time')
  t.match(rows[2], THIRD)

  t.test('both in one bucket: the lines tell', async t => {
    const data = await dataFolder(t, packetsOf(THIRD, 0, 'older\n'), packetsOf(FIRST, 0, 'newer\n'))
    await keepWords(data, [told(1, [THIRD, 6], [FIRST, 6])])
    t.equal(await restored(data), 'newer\n')
  })
})

test('of a file with redacted bytes these come back, and it is said', async t => {
  const data = await dataFolder(t, [
    ...packetsOf(FIRST, 0, 'one\n'),
    ...packetsOf(FIRST, 4, 'card ****\n', undefined, 1, IS_REDACTED),
  ])
  const { code, stdout, stderr } = await run(['restore', '--file', PATH, '--data', data, '--out', '-'])
  t.equal(code, 0, stderr)
  t.equal(stdout.toString(), 'one\ncard ****\n')
  t.match(stderr, /1 event of .*app\.log.* had bytes redacted on their machine/)
})

test('an empty file comes back empty', async t => {
  const data = await dataFolder(t)
  await keepWords(data, [told(1, [FIRST, 0])])
  const out = join(data, 'copy')
  const { code, stderr } = await run(['restore', '--file', PATH, '--data', data, '--out', out])
  t.equal(code, 0, stderr)
  t.equal(readFileSync(out).length, 0)
  t.match((await run(['restore', '--file', PATH, '--data', data, '--list'])).stdout.toString(), FIRST)
})

test('an end that the tailer told of and that nobody holds is missing: exit 3', async t => {
  const data = await dataFolder(t, packetsOf(FIRST, 0, 'one\n'))
  await keepWords(data, [told(1, [FIRST, 20])])
  const { code, stderr } = await run(['restore', '--file', PATH, '--data', data, '--out', join(data, 'copy')])
  t.equal(code, 3)
  t.match(stderr, 'bytes 4–20 of')
})

test('a range that two epochs hold differently comes back as the later one read it, and it is said', async t => {
  const earlier = packetsOf(FIRST, 0, 'one\ntwo\nlost\n')
  const later = packetsOf(FIRST, 8, 'kept\nnext\n', undefined, 2)
  for (const packets of [
    [earlier, later],
    [later, earlier],
  ]) {
    const data = await dataFolder(t, ...packets)
    const { code, stdout, stderr } = await run(['restore', '--file', PATH, '--data', data, '--out', '-'])
    t.equal(code, 0, stderr)
    t.equal(stdout.toString(), 'one\ntwo\nkept\nnext\n')
    t.match(stderr, 'bytes 8–13 of')
  }
})
