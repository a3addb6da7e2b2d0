import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { FolderStore } from '../../shared/folder-store.ts'
import { encodePacket, type Packet } from '../../shared/packet.ts'
import { realDisk } from '../../shared/real-disk.ts'
import { realWorld } from '../../shared/real-world.ts'
import { SegmentStore } from '../../shared/segment-store.ts'
import { textLog } from '../../shared/text-log.ts'
import { run } from '../../test/command.ts'

const PATH = '/var/log/app.log'
const [FIRST, SECOND, THIRD] = ['11', '22', '33'].map(pair => pair.repeat(10))
const world = realWorld({ log: textLog(process.stderr, 'error') })
let sequence = 0

/** One line per packet. */
function packetsOf(source: string, start: number, text: string, parent?: string): Packet[] {
  let from = start
  return text.match(/.*\n/g)!.map(line => {
    const bytes = Buffer.from(line)
    const run = { source, host: 'web1', path: PATH, app: 'app', from, to: from + bytes.length, start, events: 1 }
    from += bytes.length
    return encodePacket(
      { tailer: 'ab'.repeat(16), epoch: '1-00000000000000aa', sequence: ++sequence, bucket: 1_700_000_000 },
      {
        runs: [{ ...run, ...(parent !== undefined && { parent }) }],
        bytes,
        ends: Uint32Array.of(bytes.length),
        lines: Uint16Array.of(1),
        times: BigInt64Array.of(1_700_000_000_000_000_000n + BigInt(sequence)),
        levels: Uint8Array.of(3),
        flags: Uint8Array.of(0),
        hosts: Uint16Array.of(0),
        apps: Uint16Array.of(0),
        names: [''],
      },
    )
  })
}

async function dataFolder(t: Test, ...packets: Packet[][]): Promise<string> {
  const data = join(t.testdir({}), 'data')
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
