// The incident tools as a user runs them, over a data folder.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { stringify } from 'yaml'
import { FolderStore } from '../../shared/folder-store.ts'
import { NO_WORDS, world } from '../../shared/objects.test-support.ts'
import { seededRandom, sourceName, testPacket } from '../../shared/packets.test-support.ts'
import { SegmentStore } from '../../shared/segment-store.ts'
import { all, randomPackets } from '../../shared/stores.contract.ts'
import { testFolder } from '../../shared/test-folder.test-support.ts'
import { until } from '../../shared/until.test-support.ts'
import { run, startUp } from '../../test/command.ts'

async function place(t: Test) {
  const dir = testFolder(t)
  const data = join(dir, 'data')
  mkdirSync(data)
  writeFileSync(join(data, 'version'), '1\n')
  const config = join(dir, 'bucktail.yaml')
  writeFileSync(config, stringify({ environment: 'prod', data }))
  const open = (folder: string) => SegmentStore.open(new FolderStore(world.disk, folder), { world, writer: 'test' })
  const archive = await open(join(data, 'archive'))
  await archive.add(randomPackets(seededRandom(5), 40), NO_WORDS)
  const incident = (...args: string[]) => run(['incident', ...args, '--config', config])
  return { dir, data, archive, open, incident }
}

test('the index is filled from the archive, by two at once, and again without adding anything', async t => {
  const { data, archive, open, incident } = await place(t)
  const expected = await all(archive, { order: 'offset' })

  const tried = await incident('index', '--dry-run')
  t.match(tried, { code: 0, stderr: /about \d+ events in \d+ segment/ })
  t.same(await all(await open(join(data, 'index'))), [], 'a dry run does nothing')

  const both = await Promise.all([incident('index'), incident('index')])
  for (const { code, stdout, stderr } of both)
    t.match({ code, stdout: stdout.toString() }, { code: 0, stdout: /events read/ }, stderr)
  t.same(await all(await open(join(data, 'index')), { order: 'offset' }), expected)
  t.match(
    (await incident('index')).stdout.toString(),
    new RegExp(`${expected.length} events read, 0 new, ${expected.length} there already`),
  )
})

test('a range goes into an archive of its own', async t => {
  const { dir, archive, open, incident } = await place(t)
  const copy = join(dir, 'copy')
  const range = ['--since', '2023-03-29', '--until', '2023-03-30', '--host', 'web1']
  t.match(await incident('export', '--from', 'archive', '--to', copy, ...range), { code: 0 })
  const day = BigInt(Date.parse('2023-03-29T00:00:00Z')) * 1_000_000n
  const expected = await all(archive, {
    order: 'offset',
    sinceNs: day,
    untilNs: day + 86_400_000_000_000n,
    host: 'web1',
  })
  t.ok(expected.length > 0)
  t.same(await all(await open(copy), { order: 'offset' }), expected)
})

test('without a range everything is copied, whatever time its lines name', async t => {
  const { data, archive, open, incident } = await place(t)
  const lines = [-(2n ** 63n), -1n, 0n, BigInt(Date.now() + 400 * 86_400_000) * 1_000_000n, 2n ** 63n - 2n].map(
    timeNs => {
      return { text: `at ${timeNs}\n`, timeNs }
    },
  )
  await archive.add(
    [testPacket([{ source: sourceName('odd'), lines }], { epoch: '9-00000000000000aa', sequence: 1 })],
    NO_WORDS,
  )
  t.match(await incident('index'), { code: 0 })
  t.same(await all(await open(join(data, 'index')), { order: 'offset' }), await all(archive, { order: 'offset' }))
})

test('what a tailer dropped is copied and restored with the rest: blanks, at their place', async t => {
  const dir = testFolder(t, { 'shop.log': 'GET /cart\nGET /health\nGET /health\nPOST /order\n' })
  const file = join(dir, 'shop.log')
  const config = join(dir, 'bucktail.yaml')
  const files = [{ path: file, drop: ['GET /health'] }]
  writeFileSync(config, stringify({ data: join(dir, 'data'), tailer: { files } }))
  const blanked = 'GET /cart\n***********\n***********\nPOST /order\n'
  t.match(await run(['up', '--once', '--config', config]), { code: 0 })
  const restored = await run(['restore', '--config', config, '--file', file, '--out', '-'])
  t.equal(restored.stdout.toString(), blanked, restored.stderr)
  for (const from of ['archive', 'index']) {
    const copy = join(dir, from)
    t.match(await run(['incident', 'export', '--from', from, '--to', copy, '--config', config]), { code: 0 })
    const copied = join(dir, `${from}.yaml`)
    writeFileSync(copied, stringify({ data: join(dir, `no-${from}`), archive: { folder: copy } }))
    const again = await run(['restore', '--config', copied, '--file', file, '--out', '-'])
    t.equal(again.stdout.toString(), blanked, again.stderr)
  }
})

test('one host is erased: its lines are gone, the ledger says why, the others stay', async t => {
  const { data, archive, open, incident } = await place(t)
  const others = (await all(archive, { order: 'offset' })).filter(({ host }) => host !== 'web1')
  t.match(await incident('erase', '--host', 'web1'), { code: 2, stderr: /why\?/ })
  t.match(await incident('erase', '--host', 'web1', '--why', 'asked for', '--dry-run'), { code: 0 })
  t.ok((await all(archive, { host: 'web1' })).length > 0)
  const erased = await incident('erase', '--host', 'web1', '--why', 'asked for')
  t.equal(erased.code, 0, erased.stderr)
  t.same(await all(await open(join(data, 'archive')), { order: 'offset' }), others)
  const ledger = await run(['ledger', '--json', '--data', data])
  t.equal(ledger.code, 0, ledger.stderr)
  const { rows } = JSON.parse(ledger.stdout.toString()) as { rows: { state: string; note?: string }[] }
  t.ok(rows.some(({ note }) => /erased .*asked for/.test(note ?? '')))
  t.notOk(rows.some(({ state }) => state === 'waiting' || state === 'hole'))
})

test('a dry run of the porter tells what it would take, by bucket, and changes nothing', async t => {
  const dir = testFolder(t, { 'app.log': 'one\ntwo\nthree\n' })
  const file = join(dir, 'app.log')
  const config = join(dir, 'bucktail.yaml')
  const settings = { data: join(dir, 'data'), bucket_time: '1s', porter: { archive_after: '48h' } }
  writeFileSync(config, stringify(settings))
  const up = await startUp(t, ['--config', config, file])
  const bytes = 'one\ntwo\nthree\n'.length
  const porter = join(dir, 'data', 'run', 'porter.yaml')
  const look = async () => {
    const { stdout, stderr } = await run(['porter', '--dry-run', '--json', '--config', porter])
    t.equal(stderr, '')
    const { buckets } = JSON.parse(stdout.toString()) as {
      buckets: { packets: number; toIndex: number; toArchive: number; bytes: number; isArchiveDue: boolean }[]
    }
    return buckets
  }
  await until('the porter has indexed it', async () => (await look()).some(({ toIndex }) => toIndex === 0))
  const [bucket, ...more] = await look()
  t.same(more, [])
  t.match(bucket, { packets: 1, toIndex: 0, toArchive: 1, bytes, isArchiveDue: false })
  const told = await run(['porter', '--dry-run', '--config', porter])
  t.equal(told.code, 0, told.stderr)
  t.match(
    told.stdout.toString(),
    /nothing is changed\n(?:.*\n)*1 bucket with packets at the bucks: 0 packets would be indexed now, 0 archived now; later 0 and 1/,
  )
  t.same((await look())[0].toArchive, 1, 'and it is as it was')
  await up.stop()
  const away = await run(['porter', '--dry-run', '--config', porter])
  t.match(away, { code: 3, stderr: /not asked: buck / })
})

test('what is not meant is refused before anything is touched', async t => {
  const { incident } = await place(t)
  t.match(await incident('index', '--env', 'test'), { code: 2, stderr: /of the environment prod, not of test/ })
  t.match(await incident('index', '--since', 'nonsense'), { code: 2, stderr: /--since: "nonsense" is no time/ })
  t.match(await incident('index', '--since', '1d', '--until', '2d'), { code: 2, stderr: /nothing can be in between/ })
  t.match(await incident('export'), { code: 2, stderr: /--to names a folder/ })
  t.match(await incident('reject-replay'), { code: 2, stderr: /no index in Elasticsearch/ })
  t.match(await incident('prune'), { code: 2, stderr: /--until/ })
  t.match(await incident('prune', '--until', '1d'), { code: 1, stderr: /no pass of a porter/ })
})
