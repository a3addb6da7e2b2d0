// Histories in Elasticsearch, and the way back out of it: an archive made of the index gives the same bytes.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { stringify } from 'yaml'
import { SAMPLE_KINDS, sampleRecord, seededFraction } from '../../bin/samples.ts'
import { testFolder } from '../../shared/test-folder.test-support.ts'
import { until } from '../../shared/until.test-support.ts'
import { run, start, startUp } from '../command.ts'
import { startElasticsearch } from './elasticsearch.ts'

const LINES = 3_000

test('a history is an index of Elasticsearch; an export from Elasticsearch restores byte for byte', {
  timeout: 900_000,
}, async t => {
  const engine = await startElasticsearch(t)
  if (!engine) return
  const dir = testFolder(t)
  const random = seededFraction(5)
  const file = join(dir, 'mixed.log')
  const records = Array.from({ length: LINES }, (_, n) =>
    sampleRecord(SAMPLE_KINDS[n % 4], random, Date.now() - 60_000 + n),
  )
  writeFileSync(file, records.map(record => (record.endsWith('\n') ? record : `${record}\n`)).join(''))
  const data = join(dir, 'data')
  const config = join(dir, 'bucktail.yaml')
  writeFileSync(config, stringify({ data, bucket_time: '1s', index: { kind: 'elasticsearch', nodes: [engine.url] } }))
  const up = await startUp(t, ['--config', config, file])
  const archie = ['--archie', up.url]
  const count = async (index: string) => {
    await fetch(`${engine.url}/${index}/_refresh`, { method: 'POST' })
    const answer = await fetch(`${engine.url}/${index}/_count`)
    return answer.ok ? ((await answer.json()) as { count: number }).count : -1
  }
  const lines = readFileSync(file, 'utf8').split('\n').length - 1
  const refusals: string[] = []
  const sum = async () => {
    const answer = await fetch(`${up.url}/api/v1/sources`)
    if (!answer.ok) refusals.push(await answer.text())
    if (!answer.ok) return 0
    const { sources } = (await answer.json()) as { sources: { recent?: { lines: number } }[] }
    return sources.reduce((total, { recent }) => total + (recent?.lines ?? 0), 0)
  }
  await until('all is indexed', async () => (await sum()) === lines)
  t.same(refusals, [], 'sources are told from the first moment on, also while Elasticsearch has no index yet')

  const made = await run(['history', '1h', 'now', ...archie])
  t.equal(made.code, 0, made.stderr)
  const index = made.stdout.toString().trim()
  t.match(index, /^bucktail-default-history-/)
  t.equal(
    await count(index),
    await count('bucktail-default-recent'),
    'Elasticsearch counts as many as in the recent index',
  )
  const id = index.slice('bucktail-default-history-'.length)
  const found = await run(['search', '--in', `history-${id}`, '--raw', ...archie])
  t.equal(found.code, 0, found.stderr)
  t.equal(found.stdout.length, readFileSync(file).length)

  const copy = join(dir, 'copy')
  // Killed in the middle, wherever that is: started again it goes on.
  const killed = start(['incident', 'export', '--config', config, '--to', copy])
  await until('it has begun to write', () => existsSync(join(copy, 'segments')))
  killed.kill('SIGKILL')
  const exported = await run(['incident', 'export', '--config', config, '--to', copy])
  t.equal(exported.code, 0, exported.stderr)
  const copied = join(dir, 'copy.yaml')
  writeFileSync(copied, stringify({ data: join(dir, 'elsewhere'), archive: { folder: copy } }))
  const restored = await run(['restore', '--config', copied, '--file', file, '--out', '-'])
  t.equal(restored.code, 0, restored.stderr)
  t.ok(restored.stdout.equals(readFileSync(file)), 'byte for byte')

  const dropped = await run(['history', 'drop', id, ...archie])
  t.equal(dropped.code, 0, dropped.stderr)
  await until('its index is gone', async () => (await count(index)) === -1)
})
