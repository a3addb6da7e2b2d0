import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { FolderStore } from '../../shared/folder-store.ts'
import { mintNodeKeys } from '../../shared/keys.ts'
import type { Ledger } from '../../shared/ledger.ts'
import { signManifest } from '../../shared/manifest.ts'
import { realDisk } from '../../shared/real-disk.ts'
import { realRandom, realWorld } from '../../shared/real-world.ts'
import { SegmentStore } from '../../shared/segment-store.ts'
import { testFolder } from '../../shared/test-folder.test-support.ts'
import { textLog } from '../../shared/text-log.ts'
import { run } from '../../test/command.ts'
import { ledgerText } from './ledger.ts'

const keys = mintNodeKeys(realRandom)
const world = realWorld({ log: textLog(process.stderr, 'error') })

/** The archive knows two holes and nothing else. */
async function dataFolder(folder: string): Promise<string> {
  const data = join(folder, 'data')
  mkdirSync(data)
  writeFileSync(join(data, 'version'), '1\n')
  const hole = { host: 'web1', from: 0, to: 9, reason: 'truncated before it was read', kind: 'hole' as const }
  const manifest = signManifest(
    {
      ...{ tailer: keys.id, epoch: '1-00000000000000aa', bucket: 1_700_000_000, bucketSeconds: 10, host: 'web1' },
      ...{ first: 0, last: 0, sources: [], farewell: true, previous: Buffer.alloc(32) },
      gaveUp: [
        { ...hole, source: '11'.repeat(10), path: '/log/a' },
        { ...hole, source: '22'.repeat(10), path: '/log/b' },
      ],
    },
    keys.box.publicKey,
    keys.signing,
  )
  const archive = await SegmentStore.open(new FolderStore(realDisk, join(data, 'archive')), { world, writer: 'test' })
  await archive.add([], { manifests: [manifest], gone: [] })
  return data
}

test('open holes of a data folder give exit 3, until each is accepted or its host retired', async t => {
  const data = await dataFolder(testFolder(t))
  const open = await run(['ledger', '--data', data])
  t.equal(open.code, 3)
  t.match(open.stdout.toString(), 'hole, open: web1 /log/a')
  const accepted = await run([
    ...['ledger', 'accept', '--host', 'web1', '--file', '/log/a', '--why', 'debug output', '--data', data],
  ])
  t.equal(accepted.code, 0, accepted.stderr)
  const half = await run(['ledger', '--json', '--data', data])
  t.equal(half.code, 3)
  t.match((JSON.parse(half.stdout.toString()) as Ledger).holes, [
    { path: '/log/a', state: 'accepted', decision: { why: 'debug output' } },
    { path: '/log/b', state: 'open' },
  ])
  t.equal((await run(['ledger', 'retire', 'web1', '--why', 'burnt', '--data', data])).code, 0)
  t.equal((await run(['ledger', '--data', data])).code, 0)
  t.equal((await run(['fsck', data])).code, 0, 'decisions carry their checksum')
})

test('a decision without a host, a reason or an archive is refused with what to write', async t => {
  const data = await dataFolder(testFolder(t))
  t.match(await run(['ledger', 'accept', '--why', 'x', '--data', data]), { code: 2, stderr: '--host' })
  t.match(await run(['ledger', 'accept', '--host', 'web1', '--data', data]), { code: 2, stderr: '--why' })
  t.match(await run(['ledger', 'retire', 'web1', '--why', 'x']), { code: 2, stderr: '--data' })
  t.match(await run(['ledger', 'retire', 'web1', '--why', 'x', '--data', join(data, 'no')]), {
    code: 1,
    stderr: 'is no data folder',
  })
  t.equal((await run(['ledger', '--data', data])).code, 3, 'nothing was decided')
})

test('the text tells every row, what is not complete, each hole with its range or packets, and is harmless on a terminal', t => {
  const sums = { size: 900, read: 300, packed: 300, heldTwice: 300, indexed: 300, archived: 0, lines: 3 }
  const text = ledgerText({
    rows: [{ ...sums, host: 'web1', path: '/var/log/\x1b[2Jx\n', source: 'c0ffee00c0ff', state: 'hole' }],
    totals: sums,
    holes: [
      { host: 'web1', path: '/log/a', from: 300, to: 900, reason: 'not delivered', state: 'open' },
      {
        host: 'web1',
        path: '',
        epoch: '1-aa',
        sequences: [
          [4, 5],
          [7, 10],
        ],
        reason: 'gone',
        state: 'open',
      },
    ],
    ...{
      buckets: [],
      completeBuckets: 7,
      alarms: ['look \x07here'],
      unreachable: ['b2:7720'],
      behindBytes: 0,
      openHoles: 2,
    },
  } as unknown as Ledger)
  t.match(text, /host +file +source +bytes +read/)
  t.match(text, /web1 +\/var\/log\/.* c0ffee00 +900 +300 +300/)
  t.match(text, '7 buckets complete')
  t.match(text, 'hole, open: web1 /log/a, bytes 300–900: not delivered')
  t.match(text, 'hole, open: web1, packets 4, 7–9 of epoch 1-aa: gone')
  t.match(text, 'not asked: b2:7720')
  t.match(text, '2 open holes')
  // Colours are ours.
  t.notMatch(text.replace(/\x1b\[\d*m/g, ''), /[\x00-\x09\x0b-\x1f]/)
  t.end()
})
