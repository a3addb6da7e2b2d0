import { request } from 'node:http'
import { test } from 'tap'
import type { EventJson } from '../shared/event-json.ts'
import { testFolder } from '../shared/test-folder.test-support.ts'
import { SmallSite, type TestLine } from '../test/small-site.test-support.ts'

const START_MS = Date.parse('2026-03-01T12:00:00Z')

interface Problem {
  title: string
  status: number
  detail: string
  hint?: string
  position?: number
}

async function get<T>(site: SmallSite, path: string, headers: Record<string, string> = {}) {
  const response = await fetch(site.url + path, { headers })
  return {
    status: response.status,
    type: response.headers.get('content-type') ?? '',
    body: (await response.json()) as T,
  }
}

/** fetch does not let a Host header through. */
function statusWith(url: string, headers: Record<string, string>): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request(url, { headers }, response => {
      response.resume()
      resolve(response.statusCode)
    })
      .on('error', reject)
      .end()
  })
}

test('archie', async t => {
  const site = await SmallSite.start(testFolder(t), { bucks: 2 })
  t.teardown(() => site.close())
  const lines = (from: number, count: number): TestLine[] =>
    Array.from({ length: count }, (_, i) => ({
      text: `line ${from + i} <b>${(from + i) % 10 === 0 ? 'failed' : 'fine'}</b>`,
      level: (from + i) % 10 === 0 ? 'error' : 'info',
      timeMs: START_MS + (from + i) * 1000,
    }))
  const indexed = site.pack(lines(0, 60), START_MS / 1000)
  await site.index.add([indexed], { manifests: [], gone: [] })
  await site.archive.add([indexed], { manifests: [], gone: [] })
  await site.write(lines(60, 40))
  await site.write([{ text: 'other', app: 'mail', host: 'web2', timeMs: START_MS + 200_000 }])

  t.test('search finds index and bucks as one, the newest first, and says when there is more', async t => {
    const { body } = await get<{ events: EventJson[]; more: boolean; damages: unknown[] }>(
      site,
      '/api/v1/search?limit=45',
    )
    t.same(body.damages, [])
    t.equal(body.more, true)
    t.equal(body.events[0].message, 'other')
    t.same(
      body.events.slice(1).map(({ message }) => Number(message.split(' ')[1])),
      Array.from({ length: 44 }, (_, i) => 99 - i),
    )
    const some = await get<{ events: EventJson[]; more: boolean }>(
      site,
      '/api/v1/search?q=failed&host=web1&level=error&file=*shop*&order=oldest',
    )
    t.equal(some.body.events.length, 10)
    t.equal(some.body.more, false)
    const range = await get<{ events: EventJson[] }>(
      site,
      '/api/v1/search?since=2026-03-01T12:00:10Z&until=2026-03-01T12:00:12.000000012Z&order=oldest',
    )
    t.same(
      range.body.events.map(({ message }) => message.split(' ')[1]),
      ['10', '11'],
    )
    const archived = await get<{ events: EventJson[] }>(site, '/api/v1/search?in=archive&limit=1000')
    t.equal(archived.body.events.length, 60)
  })

  t.test('NDJSON streams any number and ends with a line that proves it was not cut', async t => {
    const response = await fetch(`${site.url}/api/v1/search`, { headers: { accept: 'application/x-ndjson' } })
    t.match(response.headers.get('content-type'), /x-ndjson/)
    const rows = (await response.text())
      .trimEnd()
      .split('\n')
      .map(line => JSON.parse(line))
    t.equal(rows.length, 102)
    t.same(rows.at(-1), { end: { events: 101, more: false } })
    const limited = await (await fetch(`${site.url}/api/v1/search?format=ndjson&limit=3`)).text()
    t.same(JSON.parse(limited.trimEnd().split('\n')[3]), { end: { events: 3, more: true } })
    const told = await (await fetch(`${site.url}/api/v1/search?format=ndjson&in=archive&progress=true`)).text()
    // Between events where these were long in coming, else behind them.
    t.match(told, /^\{"progress":\{"blocks":1,"ofBlocks":1,"bytes":\d+\}\}$/m)
    t.match(told, /^\{"end".*\}\n$/m)
  })

  t.test('clients that go away leave nothing behind', async t => {
    for (let i = 0; i < 30; i++) {
      const gone = new AbortController()
      const asked = fetch(`${site.url}/api/v1/search?format=ndjson`, { signal: gone.signal })
      setTimeout(() => gone.abort(), i % 5)
      await asked.then(response => response.text()).catch(() => undefined) // aborted here
    }
    for (let i = 0; i < 20; i++) t.equal((await get(site, '/api/v1/search?limit=1')).status, 200)
  })

  t.test('a wrong request gets problem details with a place and a hint', async t => {
    const cases: [string, number, RegExp, Partial<Problem>][] = [
      ['/api/v1/search?q=(abc', 400, /character 1/, { title: 'Bad query', position: 0 }],
      ['/api/v1/search?since=gestern', 400, /since: "gestern" is no time/, { title: 'Bad time' }],
      ['/api/v1/search?since=1h&until=2h', 400, /not before/, { title: 'Bad time range' }],
      ['/api/v1/search?level=loud', 400, /level/, {}],
      ['/api/v1/search?limit=100000', 400, /limit/, { title: 'Limit too large' }],
      ['/api/v1/search?in=nowhere', 400, /in/, {}],
      ['/api/v1/top?by=colours', 400, /colours/, {}],
      ['/api/v1/top?unseen=1h', 400, /unseen is not before since/, { title: 'Bad time range' }],
      ['/api/v1/top?since=2h&unseen=1h', 400, /unseen is not before since/, { title: 'Bad time range' }],
      ['/api/v1/top?since=2h&unseen=gestern', 400, /gestern/, { title: 'Bad time' }],
      ['/api/v1/events/x/context', 400, /event id/, {}],
      [`/api/v1/events/ab-0-${'0'.repeat(16)}/context`, 404, /no event/, {}],
      ['/api/v1/nothing', 404, /There is no GET/, {}],
      ['/web/..%2f..%2fpackage.json', 404, /./, {}],
      [`/api/v1/search?q=${'a'.repeat(5000)}`, 400, /q/, {}],
    ]
    for (const [path, status, detail, parts] of cases) {
      const { status: got, type, body } = await get<Problem>(site, path)
      t.equal(got, status, path)
      t.match(type, /^application\/problem\+json/)
      t.match(body, { status, detail, ...parts }, path)
      t.notMatch(JSON.stringify(body), /node_modules|\.ts:/, 'no stack')
    }
  })

  t.test('volume and top count what search finds', async t => {
    const { body: volume } = await get<{
      complete: boolean
      events: number
      lines: number
      stepSeconds: number
      buckets: { events: number; errors: number }[]
    }>(site, '/api/v1/volume?app=shop')
    t.match(volume, { complete: true, events: 100, lines: 100 })
    t.equal(
      volume.buckets.reduce((sum, { events }) => sum + events, 0),
      100,
    )
    t.equal(
      volume.buckets.reduce((sum, { errors }) => sum + errors, 0),
      10,
    )
    const { body: top } = await get<{ top: Record<string, { values: unknown[]; others: number }> }>(
      site,
      '/api/v1/top?by=apps,hosts&limit=1',
    )
    t.same(top.top, {
      apps: { values: [{ value: 'shop', events: 100 }], others: 1 },
      hosts: { values: [{ value: 'web1', events: 100 }], others: 1 },
    })
    const { body: shapes } = await get<{
      top: { templates: { values: { value: string; text: string; events: number }[] } }
    }>(site, '/api/v1/top?by=templates&app=shop&limit=1')
    const [commonest] = shapes.top.templates.values
    t.match(commonest, { text: /^line <\*>/, events: Number })
    const { body: ofShape } = await get<{ events: EventJson[]; more: boolean }>(
      site,
      `/api/v1/search?app=shop&limit=1000&q=template:${commonest.value}`,
    )
    t.equal(ofShape.events.length, commonest.events)
    t.ok(ofShape.events.every(({ message }) => message.startsWith('line ')))
    const { body: none } = await get<{ events: number; buckets: unknown[] }>(site, '/api/v1/volume?q=nothinglikethis')
    t.match(none, { events: 0, buckets: [] })
  })

  t.test('the lines around an event come from index and bucks alike', async t => {
    const { body: found } = await get<{ events: EventJson[] }>(site, '/api/v1/search?q="line 59"')
    const [event] = found.events
    const { body } = await get<{ before: EventJson[]; event: EventJson; after: EventJson[] }>(
      site,
      `/api/v1/events/${event.id}/context?before=2&after=3`,
    )
    t.same(
      [...body.before, body.event, ...body.after].map(({ message }) => Number(message.split(' ')[1])),
      [57, 58, 59, 60, 61, 62],
    )
  })

  t.test('sources tell which bytes are where', async t => {
    const { body } = await get<{ sources: Record<string, unknown>[] }>(site, '/api/v1/sources')
    t.match(body.sources, [{ host: 'web1', path: '/var/log/shop.log', recent: { events: 60 }, archive: { lines: 60 } }])
    const { body: steps } = await get(site, `/api/v1/sources/${body.sources[0].source}/steps`)
    t.match(steps, { stepBytes: 1024 * 1024, steps: [] })
  })

  t.test('status names every buck, its state, and what is not indexed yet', async t => {
    const { body } = await get(site, '/api/v1/status')
    t.match(body, {
      environment: 'test',
      bucks: [
        { name: 'buck 0', link: 'open', status: { name: 'buck0', disks: [{ state: 'fine' }] } },
        { name: 'buck 1', link: 'open' },
      ],
      stores: { recent: { lines: 60 }, archive: { lines: 60 } },
      notIndexedYet: { packets: 2 },
    })
  })

  t.test('the OpenAPI document tells every route of the API', async t => {
    const { body } = await get<{ paths: Record<string, unknown> }>(site, '/openapi.json')
    t.same(Object.keys(body.paths).sort(), [
      '/api/v1/bucks',
      '/api/v1/events/{id}/context',
      '/api/v1/ledger',
      '/api/v1/search',
      '/api/v1/sources',
      '/api/v1/sources/{source}/steps',
      '/api/v1/status',
      '/api/v1/top',
      '/api/v1/volume',
    ])
  })

  t.test('health, readiness, metrics', async t => {
    t.match(await get(site, '/healthz'), { status: 200, body: { ok: true } })
    t.match(await get(site, '/readyz'), { status: 200, body: { ready: true } })
    const text = await (await fetch(`${site.url}/metrics`)).text()
    t.match(text, /bucktail_archie_bucks_connected 2\n/)
    t.match(text, /bucktail_archie_requests_total\{route="\/api\/v1\/search",status="4xx"\}/)
  })

  t.test('strangers are kept out, and pages may talk to archie and the bucks only', async t => {
    t.equal(await statusWith(site.url, { host: 'evil.example' }), 403)
    t.equal(await statusWith(`${site.url}/api/v1/search`, { origin: 'https://evil.example' }), 403)
    t.equal(await statusWith(site.url, { host: 'localhost' }), 200)
    const response = await fetch(site.url)
    const policy = response.headers.get('content-security-policy') ?? ''
    t.match(policy, /default-src 'none'/)
    t.notMatch(policy, /unsafe/)
    t.ok(policy.includes(site.buckUrl(0).replace('http', 'ws')))
    for (const path of ['/web/live.ts', '/web/style.css', '/web/socket.io.js']) {
      const asset = await fetch(site.url + path)
      t.equal(asset.status, 200, path)
      await asset.text()
    }
  })
})
