// The porter with its archive in a bucket, killed, doubled, and with a bucket that it may not write for a while.
import { once } from 'node:events'
import { appendFileSync, writeFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { stringify } from 'yaml'
import { testFolder } from '../../shared/test-folder.test-support.ts'
import { until } from '../../shared/until.test-support.ts'
import { pidOf, run, start, startUp } from '../command.ts'
import { type FaultyProxy, faultyProxy } from './faulty-proxy.test-support.ts'
import { startS3Proxy } from './s3proxy.ts'

const BUCKET = 'logs'
const KILLS = 10
const MS_MAX = 200_000

test('an archive in a bucket', { timeout: 900_000 }, async t => {
  const engine = await startS3Proxy(t)
  if (!engine) return
  await mkdir(join(engine.dataFolder, BUCKET))
  const proxy = await faultyProxy(t, engine.endpoint)

  /** A fleet whose lines are archived after a second or two. */
  async function openFleet(t: Test, prefix: string) {
    const dir = testFolder(t)
    const data = join(dir, 'data')
    const file = join(dir, 'app.log')
    writeFileSync(file, '')
    const config = join(dir, 'bucktail.yaml')
    const { region, accessKeyId, secretAccessKey } = engine!
    const keys = { access_key: accessKeyId, secret_key: secretAccessKey }
    const archive = { kind: 's3', bucket: BUCKET, prefix, endpoint: proxy.endpoint, region, span: '1m', ...keys }
    writeFileSync(config, stringify({ data, bucket_time: '1s', porter: { archive_after: '1s' }, archive }))
    const up = await startUp(t, ['--config', config, file])
    let written = 0
    const write = (count: number) => {
      const lines = Array.from({ length: count }, () => `line ${written++}\n`)
      appendFileSync(file, lines.join(''))
    }
    const archived = async () =>
      (await run(['search', '--config', config, '--in', 'archive', '--raw'])).stdout.toString()
    const readiness = async () => {
      const answer = await fetch(`http://127.0.0.1:${Number(new URL(up.url).port) + 5}/readyz`).catch(() => undefined)
      return answer ? `${answer.status} ${await answer.text()}` : 'away'
    }
    const isWhole = async () => (await archived()).split('\n').length - 1 >= written
    const expected = () => Array.from({ length: written }, (_, n) => `line ${n}`)
    return { up, data, config, write, archived, readiness, isWhole, expected }
  }

  await t.test('a porter killed ten times, and two at once, archive every line once', async t => {
    const fleet = await openFleet(t, 'kills/')
    // The second one has the keys of another porter: none of the two is the other's former life.
    const second = join(fleet.data, '..', 'second.yaml')
    const settings = await import('yaml').then(async ({ parse }) =>
      parse((await import('node:fs')).readFileSync(join(fleet.data, 'run', 'porter.yaml'), 'utf8')),
    )
    await run(['keygen', '--out', join(fleet.data, 'keys'), '--environment', 'default', 'porter2:porter'])
    const http = `127.0.0.1:${Number(new URL(fleet.up.url).port) + 6}`
    writeFileSync(
      second,
      stringify({
        ...settings,
        data: join(fleet.data, '..', 'second'),
        index: { folder: join(fleet.data, 'index') },
        channel: { ...settings.channel, name: 'porter2' },
        porter: { ...settings.porter, http },
      }),
    )
    const other = start(['porter', '--config', second])
    t.teardown(async () => {
      if (other.exitCode !== null || other.signalCode !== null) return
      other.kill('SIGINT')
      await once(other, 'close')
    })
    for (let kill = 0; kill < KILLS; kill++) {
      fleet.write(200)
      await new Promise(resolve => setTimeout(resolve, 400 + 137 * kill))
      try {
        process.kill(pidOf(fleet.data, 'porter'), 'SIGKILL')
      } catch {
        // It is just being started again.
      }
    }
    fleet.write(200)
    await until('all is archived', fleet.isWhole, MS_MAX)
    t.same((await fleet.archived()).trimEnd().split('\n'), fleet.expected())
    other.kill('SIGINT')
  })

  await t.test(
    'a read-only bucket: not ready, with the reason; what came meanwhile is archived when it may',
    async t => {
      const fleet = await openFleet(t, 'readonly/')
      fleet.write(50)
      await until('the first are archived', fleet.isWhole, MS_MAX)
      refuseWrites(proxy)
      fleet.write(50)
      await until('it says so', async () => (await fleet.readiness()).startsWith('503'), MS_MAX)
      t.match(await fleet.readiness(), /cannot .* in bucket .*AccessDenied.*they may read, write, list and delete/)
      proxy.fault = () => undefined
      await until('the rest is archived', fleet.isWhole, MS_MAX)
      t.same((await fleet.archived()).trimEnd().split('\n'), fleet.expected())
      await until('it is ready', async () => (await fleet.readiness()).startsWith('200'), MS_MAX)
    },
  )
})

function refuseWrites(proxy: FaultyProxy): void {
  proxy.fault = ({ method }) => (method === 'GET' || method === 'HEAD' ? undefined : 403)
}
