// The archive's place in S3, against two servers that have nothing in common but the protocol.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { testObjectStore } from '../../shared/objects.contract.ts'
import { openStore, world } from '../../shared/objects.test-support.ts'
import { S3Store, type S3StoreOptions } from '../../shared/s3/s3-store.ts'
import { testEventStore } from '../../shared/stores.contract.ts'
import type { S3Engine } from './s3-engine.ts'
import { startS3Proxy } from './s3proxy.ts'
import { startVersityGateway } from './versitygw.ts'

for (const [name, start] of [
  ['S3Proxy', startS3Proxy],
  ['the Versity gateway', startVersityGateway],
] as const) {
  test(`a bucket of ${name} as a place for objects`, async t => {
    const engine = await start(t)
    if (!engine) return
    await t.test('whole', async t => testObjectStore(t, bucketsOf(engine)))
    const inParts = bucketsOf(engine, { multipartBytes: 1 })
    await t.test('in parts', async t => testObjectStore(t, inParts, { hasLongList: false }))
  })

  test(`the embedded store in a bucket of ${name}`, async t => {
    const engine = await start(t)
    if (!engine) return
    // Snapshots at each commit and no grace: what differs from a folder is how objects come and go.
    await testEventStore(t, async t => {
      const open = await bucketsOf(engine)(t)
      let number = 0
      return () => openStore(open(), { writer: `test${number++}`, snapshotCommits: 1, graceMs: 0, zstdLevel: 1 })
    })
  })
}

let buckets = 0

function bucketsOf(engine: S3Engine, more: Partial<S3StoreOptions> = {}) {
  return async (t: Test) => {
    const bucket = `bucket${buckets++}`
    await mkdir(join(engine.dataFolder, bucket))
    return () => {
      const { endpoint, region, accessKeyId, secretAccessKey } = engine
      const credentials = { accessKeyId, secretAccessKey }
      const store = new S3Store({ endpoint, region, bucket, prefix: 'logs/', credentials, ...more }, world)
      t.teardown(() => store.close())
      return store
    }
  }
}
