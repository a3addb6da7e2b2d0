// The whole command with its archive in a bucket: what goes in comes back byte for byte, straight from there and from a copy.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'tap'
import { stringify } from 'yaml'
import { SAMPLE_KINDS, sampleRecord, seededFraction } from '../../bin/samples.ts'
import { testFolder } from '../../shared/test-folder.test-support.ts'
import { run } from '../command.ts'
import { freeFleetPort } from '../ports.test-support.ts'
import { faultyProxy } from './faulty-proxy.test-support.ts'
import { startS3Proxy } from './s3proxy.ts'

const LINES = 8_000
const BUCKET = 'logs'

test('lines go to a bucket through faults, and come back from it byte for byte', { timeout: 900_000 }, async t => {
  const engine = await startS3Proxy(t)
  if (!engine) return
  await mkdir(join(engine.dataFolder, BUCKET))
  const proxy = await faultyProxy(t, engine.endpoint)
  const dir = testFolder(t)
  const files = SAMPLE_KINDS.map((kind, n) => {
    const random = seededFraction(n + 1)
    const path = join(dir, `${kind}.log`)
    const lines = Array.from({ length: LINES / SAMPLE_KINDS.length }, (_, i) =>
      sampleRecord(kind, random, 1_785_000_000_000 + i * 50),
    )
    writeFileSync(path, lines.map(line => (line.endsWith('\n') ? line : `${line}\n`)).join(''))
    return path
  })
  const data = join(dir, 'data')
  const archive = {
    kind: 's3',
    bucket: BUCKET,
    prefix: 'prod/',
    endpoint: proxy.endpoint,
    region: engine.region,
    access_key: engine.accessKeyId,
    secret_key: engine.secretAccessKey,
  }
  const config = join(dir, 'bucktail.yaml')
  writeFileSync(config, stringify({ data, archive }))

  const checked = await run(['check', '--config', config])
  t.match(checked.stdout.toString(), /✓ archive: s3:\/\/logs\/prod\/ answers/)

  let n = 0
  proxy.fault = () => {
    n++
    return n % 7 === 0 ? 503 : n % 11 === 0 ? 'reset' : n % 13 === 0 ? 'lose' : undefined
  }
  const port = String(await freeFleetPort())
  const up = await run(['up', '--once', '--config', config, '--port', port, ...files])
  t.equal(up.code, 0, up.stderr)
  proxy.fault = () => undefined
  t.ok(readdirSync(join(engine.dataFolder, BUCKET, 'prod')).includes('segments'), 'it is in the bucket')

  const ledger = await run(['ledger', '--data', data])
  t.equal(ledger.code, 0, 'a data folder knows where its archive is')
  t.notMatch(ledger.stdout.toString(), /waiting/)

  for (const file of files) {
    const restored = await run(['restore', '--config', config, '--file', file, '--out', '-'])
    t.equal(restored.code, 0, restored.stderr)
    t.ok(restored.stdout.equals(readFileSync(file)), `${file} comes back from the bucket`)
  }
  const found = await run(['search', '--config', config, '--in', 'archive', '--raw'])
  t.equal(found.code, 0, found.stderr)
  t.equal(
    found.stdout.length,
    files.reduce((sum, file) => sum + readFileSync(file).length, 0),
  )

  const copy = join(dir, 'copy')
  const exported = await run(['incident', 'export', '--config', config, '--from', 'archive', '--to', copy])
  t.equal(exported.code, 0, exported.stderr)
  const copied = join(dir, 'copy.yaml')
  writeFileSync(copied, stringify({ data: join(dir, 'elsewhere'), archive: { folder: copy } }))
  for (const file of files) {
    const restored = await run(['restore', '--config', copied, '--file', file, '--out', '-'])
    t.equal(restored.code, 0, restored.stderr)
    t.ok(restored.stdout.equals(readFileSync(file)), `${file} comes back from the copy`)
  }

  const stranger = join(dir, 'stranger.yaml')
  writeFileSync(stranger, stringify({ data, archive: { ...archive, secret_key: 'wrong' } }))
  const refused = await run(['search', '--config', stranger, '--in', 'archive'])
  t.equal(refused.code, 1)
  t.match(
    refused.stderr,
    /^bucktail: cannot list .* in bucket "logs".*check archive\.access_key and archive\.secret_key/,
  )
})
