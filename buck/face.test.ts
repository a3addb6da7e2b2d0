import { test } from 'tap'
import { testFolder } from '../shared/test-folder.test-support.ts'
import { SmallSite } from '../test/small-site.test-support.ts'
import type { BuckStatus } from './buck.ts'
import { startBuckFace } from './face.ts'

const SILENT = { debug() {}, info() {}, warn() {}, error() {} }

async function get(url: string, headers: Record<string, string> = {}) {
  const response = await fetch(url, { headers })
  return { status: response.status, body: (await response.json()) as Record<string, unknown> }
}

test('a buck tells its state and figures, and obeys an operator', async t => {
  const site = await SmallSite.start(testFolder(t), { bucks: 1 })
  t.teardown(() => site.close())
  const url = site.buckUrl(0)
  await site.write([{ text: 'one' }], [0])

  t.match(await get(`${url}/healthz`), { status: 200, body: { ok: true } })
  t.match(await get(`${url}/readyz`), { status: 200, body: { ready: true } })
  t.match(await get(`${url}/status`), {
    body: { environment: 'test', name: 'buck0', packets: 1, live: { viewers: 0 } },
  })
  const figures = await (await fetch(`${url}/metrics`)).text()
  t.match(figures, /bucktail_buck_packets 1\n/)
  t.match(figures, /bucktail_buck_tailers_connected 1\n/)
  t.match(figures, /bucktail_buck_refused_total 0\n/)

  t.match(await get(`${url}/throttle?seconds=-1`), { body: { by: 'none' } })
  t.match(await get(`${url}/throttle?seconds=30`), { body: { by: 'operator' } })
  t.match(await get(`${url}/throttle?seconds=-1`), { body: { by: 'operator' } })
  t.match(await get(`${url}/throttle?seconds=0`), { body: { by: 'none' } })
  t.match(await get(`${url}/throttle?seconds=soon`), { status: 400, body: { detail: /seconds/ } })
  t.match(await get(`${url}/throttle`), { status: 400 })
  t.match(await get(`${url}/throttle?seconds=30`, { 'sec-fetch-site': 'cross-site' }), { status: 403 })
  t.match(await get(`${url}/throttle?seconds=-1`), { body: { by: 'none' } })
  t.match(await get(`${url}/nothing`), { status: 404, body: { hint: /docs/ } })
  t.match(await get(url, { origin: 'https://evil.example' }), { status: 403 })
})

test('a buck that could lose a packet is not ready, and says why', async t => {
  const fine = { isClosing: false, bytes: 1, bytesMax: 10, disks: [{ folder: '/d0', state: 'fine' }] }
  let status = fine
  const buck = {
    status: () => status as unknown as BuckStatus,
    subscribe: () => () => undefined,
    throttle: () => ({ by: 'none' as const, seconds: 0 }),
  }
  const clock = { now: () => 0, monotonic: () => 0, sleep: async () => undefined }
  const face = await startBuckFace(
    { host: '127.0.0.1', port: 0, environment: 'test', buckName: 'b' },
    { buck, world: { clock, log: SILENT } },
  )
  t.teardown(() => face.close())
  const ready = () => get(`http://${face.address}/readyz`)
  t.match(await ready(), { status: 200 })
  status = { ...fine, bytes: 10 }
  t.match(await ready(), { status: 503, body: { reason: /^full: 10 of 10/ } })
  status = { ...fine, disks: [{ folder: '/d0', state: 'failing' }] }
  t.match(await ready(), { status: 503, body: { reason: /\/d0 is failing/ } })
  status = {
    ...fine,
    disks: [
      { folder: '/d0', state: 'failing' },
      { folder: '/d1', state: 'fine' },
    ],
  }
  t.match(await ready(), { status: 200 })
  status = { ...fine, isClosing: true }
  t.match(await ready(), { status: 503, body: { reason: /stopping/ } })
})

test('a port in use is an error, not a crash later', async t => {
  const site = await SmallSite.start(testFolder(t), { bucks: 1 })
  t.teardown(() => site.close())
  const port = Number(new URL(site.buckUrl(0)).port)
  const buck = {
    status: () => ({}) as BuckStatus,
    subscribe: () => () => undefined,
    throttle: () => ({ by: 'none' as const, seconds: 0 }),
  }
  await t.rejects(
    startBuckFace({ host: '127.0.0.1', port, environment: 'test', buckName: 'b' }, { buck, world: site.world }),
    { code: 'EADDRINUSE' },
  )
})
