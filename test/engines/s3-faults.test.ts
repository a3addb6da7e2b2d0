// What a store in S3 promises when the store, the net, the keys or the clock are bad.
import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { CreateMultipartUploadCommand, ListMultipartUploadsCommand, S3Client } from '@aws-sdk/client-s3'
import { type Test, test } from 'tap'
import { quiet, world } from '../../shared/objects.test-support.ts'
import { seededRandom, testSeed } from '../../shared/packets.test-support.ts'
import { S3Store, type S3StoreOptions } from '../../shared/s3/s3-store.ts'
import type { World } from '../../shared/world.ts'
import { type Fault, type FaultyProxy, faultyProxy } from './faulty-proxy.test-support.ts'
import type { S3Engine } from './s3-engine.ts'
import { startS3Proxy } from './s3proxy.ts'

const BUCKET = 'archive'
/** Waits between attempts are a tenth of those in earnest. */
const hasty: World = { ...world, log: quiet, clock: { ...world.clock, sleep: ms => world.clock.sleep(ms / 10) } }

test('an archive in S3', async t => {
  const engine = await startS3Proxy(t)
  if (!engine) return
  await mkdir(join(engine.dataFolder, BUCKET))
  const proxy = await faultyProxy(t, engine.endpoint)
  const open = (t: Test, more: Partial<S3StoreOptions> = {}, of: World = hasty) => openAt(t, engine, proxy, more, of)
  t.beforeEach(() => {
    proxy.fault = () => undefined
    proxy.onHead = () => undefined
    proxy.seen.length = 0
  })

  await t.test('500, 503, resets, lost and halved answers: nothing is lost, twice, or changed', async t => {
    const seed = testSeed('S3_SEED')
    t.comment(`S3_SEED=${seed}`)
    const random = seededRandom(seed)
    const faults: Fault[] = [500, 503, 'reset', 'lose', 'half']
    // Never so often that all attempts of one call fail.
    let inARow = 0
    proxy.fault = () => {
      const isFault = random() < 0.35 && inARow < 4
      inARow = isFault ? inARow + 1 : 0
      return isFault ? faults[Math.floor(random() * faults.length)] : undefined
    }
    const objects = open(t, { prefix: 'faults/', multipartBytes: 20_000 })
    const model = new Map<string, Buffer>()
    for (let n = 0; n < 120; n++) {
      const key = `k/${Math.floor(random() * 15)}`
      const content = randomBytes(Math.floor(random() * 30_000))
      const held = model.get(key)
      const action = Math.floor(random() * 5)
      if (action === 0) {
        t.equal(await objects.create(key, content), held === undefined, `${n} create ${key}`)
        if (held === undefined) model.set(key, content)
      } else if (action === 1) {
        await objects.put(key, content)
        model.set(key, content)
      } else if (action === 2) {
        t.ok(isSame(await objects.get(key), held), `${n} get ${key}`)
      } else if (action === 3) {
        t.ok(isSame(await objects.get(key, [10, 5000]), held?.subarray(10, 5000)), `${n} get a range of ${key}`)
      } else {
        await objects.remove(key)
        model.delete(key)
      }
    }
    t.same(await objects.list(''), [...model.keys()].sort())
    t.ok(
      objects.counts.attempts > objects.counts.calls,
      `${objects.counts.attempts - objects.counts.calls} tried again`,
    )
    t.equal(objects.trouble, undefined)
  })

  await t.test('a store that does not answer is given up in time, told, and used again when it is back', async t => {
    const objects = open(t, { timeoutMs: 150 })
    proxy.fault = () => 'stall'
    await t.rejects(objects.put('x', Buffer.from('x')), {
      name: 'S3Error',
      kind: 'unreachable',
      message: /cannot write x in bucket "archive" at http:\/\/127.*no answer within 150 ms.*it is tried again/,
    })
    t.match(objects.trouble, /no answer/)
    proxy.fault = () => undefined
    await objects.put('x', Buffer.from('x'))
    t.equal(objects.trouble, undefined)
  })

  await t.test('wrong keys: one clear sentence, and no second attempt', async t => {
    for (const credentials of [
      { accessKeyId: 'stranger', secretAccessKey: 'x' },
      { accessKeyId: engine.accessKeyId, secretAccessKey: 'wrong' },
    ]) {
      const objects = open(t, { credentials })
      await t.rejects(objects.list(''), {
        kind: 'denied',
        message: /check archive\.access_key and archive\.secret_key/,
      })
      t.equal(objects.counts.attempts, 1)
      t.match(objects.trouble, /access_key/)
    }
  })

  await t.test('no bucket: told as such by every call, never taken for an object that is missing', async t => {
    const objects = open(t, { bucket: 'nowhere' })
    const isTold = { kind: 'bucket', message: /there is no such bucket; make it, or correct archive\.bucket/ }
    await t.rejects(objects.get('x'), isTold)
    await t.rejects(objects.size('x'), isTold)
    await t.rejects(objects.list(''), isTold)
    await t.rejects(objects.create('x', Buffer.from('x')), isTold)
  })

  await t.test(
    'a read-only bucket: reading goes on, writing says why it does not, and goes on when it may',
    async t => {
      const objects = open(t, { prefix: 'readonly/' })
      await objects.put('there', Buffer.from('there'))
      proxy.fault = ({ method }) => (method === 'GET' || method === 'HEAD' ? undefined : 403)
      await t.rejects(objects.create('new', Buffer.from('x')), { kind: 'denied', message: /AccessDenied, 403/ })
      await t.rejects(objects.remove('there'), { kind: 'denied', message: /AccessDenied/ })
      t.equal((await objects.get('there'))?.toString(), 'there')
      t.match(objects.trouble, /cannot remove there/, 'reading does not hide that writing fails')
      proxy.fault = () => undefined
      t.equal(await objects.create('new', Buffer.from('x')), true)
      t.equal(objects.trouble, undefined)
    },
  )

  await t.test(
    'a clock that is 20 minutes off: work goes on with the store’s time, and the difference is known',
    async t => {
      const ahead: World = { ...hasty, clock: { ...hasty.clock, now: () => Date.now() + 20 * 60_000 } }
      const objects = open(t, {}, ahead)
      await objects.put('clock', Buffer.from('x'))
      t.ok(objects.counts.attempts > 1, 'the store refused it first')
      t.ok(Math.abs((objects.clockAheadMs ?? 0) - 20 * 60_000) < 30_000, `${objects.clockAheadMs} ms ahead`)
    },
  )

  await t.test('bytes changed on the way back are noticed', async t => {
    const objects = open(t)
    await objects.put('sum', Buffer.from('right'))
    proxy.onHead = headers => {
      headers['x-amz-meta-sha256'] = 'AAAA'
    }
    await t.rejects(objects.get('sum'), { kind: 'damaged', message: /SHA-256/ })
  })

  await t.test('storage class, encryption and tags go with what they are for', async t => {
    const objects = open(t, {
      prefix: 'p/',
      storageClass: 'STANDARD_IA',
      encryption: 'aws:kms',
      kmsKey: 'key-1',
      tags: { team: 'logs', 'cost centre': '4&2' },
    })
    proxy.fault = () => 403
    await t.rejects(objects.create('segments/1/a.seg', Buffer.from('x')))
    await t.rejects(objects.put('catalogue/1.json', Buffer.from('x')))
    const [segment, catalogue] = proxy.seen
    t.equal(segment.url.split('?')[0], '/archive/p/segments/1/a.seg')
    t.match(segment.headers, {
      'if-none-match': '*',
      'x-amz-storage-class': 'STANDARD_IA',
      'x-amz-server-side-encryption': 'aws:kms',
      'x-amz-server-side-encryption-aws-kms-key-id': 'key-1',
      'x-amz-tagging': 'team=logs&cost+centre=4%262',
      'x-amz-checksum-sha256': /^[A-Za-z0-9+/]{43}=$/,
    })
    t.equal(catalogue.headers['x-amz-storage-class'], undefined)
    t.equal(catalogue.headers['x-amz-server-side-encryption'], 'aws:kms')
  })

  await t.test('uploads that a dead writer left are found and removed, young ones are left alone', async t => {
    const client = new S3Client({ ...connection(engine), forcePathStyle: true })
    t.teardown(() => client.destroy())
    const target = { Bucket: BUCKET, Key: 'orphans/segments/1/dead.seg' }
    await client.send(new CreateMultipartUploadCommand(target))
    const left = async () =>
      (await client.send(new ListMultipartUploadsCommand({ Bucket: BUCKET, Prefix: 'orphans/' }))).Uploads ?? []
    t.equal((await left()).length, 1)
    const objects = open(t, { prefix: 'orphans/' })
    t.equal(await objects.removeOrphans(), 0)
    t.equal(await open(t, { prefix: 'others/' }).removeOrphans(-60_000), 0, 'those of others are theirs')
    t.equal(await objects.removeOrphans(-60_000), 1)
    t.equal((await left()).length, 0)
  })
})

function openAt(t: Test, engine: S3Engine, proxy: FaultyProxy, more: Partial<S3StoreOptions>, of: World): S3Store {
  const store = new S3Store({ ...connection(engine), endpoint: proxy.endpoint, bucket: BUCKET, ...more }, of)
  t.teardown(() => store.close())
  return store
}

function connection({ endpoint, region, accessKeyId, secretAccessKey }: S3Engine) {
  return { endpoint, region, credentials: { accessKeyId, secretAccessKey } }
}

function isSame(found: Buffer | undefined, held: Buffer | undefined): boolean {
  return found === undefined || held === undefined ? found === held : found.equals(held)
}
