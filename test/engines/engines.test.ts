// The engines themselves: the suites that lean on them would otherwise blame the product.
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { startElasticsearch } from './elasticsearch.ts'
import type { S3Engine } from './s3-engine.ts'
import { startS3Proxy } from './s3proxy.ts'
import { startVersityGateway } from './versitygw.ts'

test('Elasticsearch keeps what it acknowledged through kill -9 and a restart on the same folder', async t => {
  const engine = await startElasticsearch(t)
  if (!engine) return
  const put = await fetch(`${engine.url}/some/_doc/1`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: '{"message":"kept"}',
  })
  t.equal(put.status, 201)
  await engine.kill()
  await t.rejects(fetch(engine.url))
  await engine.start()
  const found = (await (await fetch(`${engine.url}/some/_doc/1`)).json()) as { _source: unknown }
  t.same(found._source, { message: 'kept' })
})

test('S3Proxy answers, refuses strangers, and comes back after kill -9', async t => {
  await isS3(t, await startS3Proxy(t))
})

test('the Versity gateway answers, refuses strangers, and comes back after kill -9', async t => {
  await isS3(t, await startVersityGateway(t))
})

async function isS3(t: Test, engine: S3Engine | undefined): Promise<void> {
  if (!engine) return
  await mkdir(join(engine.dataFolder, 'bucket'))
  for (const _ of ['at first', 'again']) {
    // A folder that all may read is a bucket that all may read: strangers are refused where they want to write.
    const answer: Response = await fetch(`${engine.endpoint}/bucket/key`, { method: 'PUT', body: 'x' })
    t.equal(answer.status, 403)
    t.match(await answer.text(), '<Code>AccessDenied</Code>')
    await engine.kill()
    await t.rejects(fetch(engine.endpoint))
    await engine.start()
  }
}
