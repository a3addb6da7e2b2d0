import { request } from 'node:http'
import { io, type Socket } from 'socket.io-client'
import { type Test, test } from 'tap'
import { mintLiveToken } from '../shared/face/live-token.ts'
import type { BuckToViewer, FilterAnswer, LiveBatch, LiveFilter, ViewerToBuck } from '../shared/live-messages.ts'
import { testFolder } from '../shared/test-folder.test-support.ts'
import { until } from '../shared/until.test-support.ts'
import { SmallSite } from '../test/small-site.test-support.ts'

type ViewerSocket = Socket<BuckToViewer, ViewerToBuck>

/** A page with patience: takes every batch, or none while `isSlow`. */
class TestViewer {
  readonly socket: ViewerSocket
  readonly batches: LiveBatch[] = []
  readonly refusals: string[] = []
  isSlow = false
  #waiting: (() => void)[] = []

  constructor(t: Test, url: string, token?: string) {
    this.socket = io(url, {
      transports: ['websocket'],
      auth: { token },
      reconnection: false,
      forceNew: true,
    })
    this.socket.on('events', (batch, taken) => {
      this.batches.push(batch)
      if (this.isSlow) this.#waiting.push(taken)
      else taken()
    })
    this.socket.on('connect_error', error => this.refusals.push(error.message))
    t.teardown(() => this.socket.disconnect())
  }

  async filter(filter: LiveFilter): Promise<FilterAnswer> {
    return this.socket.timeout(60_000).emitWithAck('filter', filter)
  }

  hurry(): void {
    this.isSlow = false
    for (const taken of this.#waiting.splice(0)) taken()
  }

  get texts(): string[] {
    return this.batches.flatMap(batch => batch.events.map(event => event.message))
  }

  sum(field: 'skipped' | 'limited' | 'unseen'): number {
    return this.batches.reduce((sum, batch) => sum + (batch[field] ?? 0), 0)
  }
}

async function start(t: Test, options = {}) {
  const site = await SmallSite.start(testFolder(t), { bucks: 1, ...options })
  t.teardown(() => site.close())
  const token = mintLiveToken(site.tokenKey, 'test', Date.now())
  const viewer = () => new TestViewer(t, site.buckUrl(0), token)
  return { site, token, viewer }
}

test('a viewer gets what matches its filter, and only that, in the order of the file', async t => {
  const { site, viewer } = await start(t)
  const [all, some, byField] = [viewer(), viewer(), viewer()]
  t.same(await all.filter({}), { ok: true })
  t.same(await some.filter({ q: 'failed OR "number 7"' }), { ok: true })
  t.same(await byField.filter({ host: 'web2', level: 'error', file: '*.log' }), { ok: true })
  const texts = Array.from({ length: 50 }, (_, i) => `number ${i} ${i % 10 === 0 ? 'failed' : ''}`)
  await site.write(
    texts.map(text => ({ text })),
    [0],
  )
  await site.write(
    [
      { text: 'bad', host: 'web2', level: 'error' },
      { text: 'good', host: 'web2' },
    ],
    [0],
  )
  await until('all lines', () => all.texts.length === 52)
  await until('the other', () => byField.texts.length === 1)
  t.same(all.texts, [...texts, 'bad', 'good'])
  t.same(
    some.texts,
    texts.filter(text => /failed|number 7 /.test(text)),
  )
  t.same(byField.texts, ['bad'])
  const [event] = all.batches[0].events
  t.match(event, {
    host: 'web1',
    app: 'shop',
    level: 'info',
    path: '/var/log/shop.log',
    offset: 0,
    id: /^[0-9a-f]{20}-0-[0-9a-f]{16}$/,
    time: /^\d{19}$/,
  })
})

test('a filter can be changed; a bad one shows nothing and says where it is wrong', async t => {
  const { site, viewer } = await start(t)
  const page = viewer()
  await page.filter({ q: 'one' })
  await site.write([{ text: 'one' }, { text: 'two' }], [0])
  await until('the first', () => page.texts.length === 1)
  t.match(await page.filter({ q: 'two (' }), { ok: false, error: /character 6/, position: 5 })
  await site.write([{ text: 'one again' }], [0])
  await page.filter({ q: 'two' })
  await site.write([{ text: 'two again' }], [0])
  await until('the second', () => page.texts.length === 2)
  t.same(page.texts, ['one', 'two again'])
  // biome-ignore lint/suspicious/noExplicitAny: what a hostile page may send
  for (const bad of [null, 7, 'x', { q: 7 }, { host: 'x'.repeat(5000) }] as any[]) {
    t.match(await page.filter(bad), { ok: false, error: /./ }, JSON.stringify(bad)?.slice(0, 20))
  }
})

test('a viewer that is too slow skips, is told how many, and holds up nobody', async t => {
  // Without a limit on the rate: what is left out here is for slowness alone.
  const { site, viewer } = await start(t, { eventsPerSecondMax: 1e9 })
  const [slow, quick] = [viewer(), viewer()]
  slow.isSlow = true
  await slow.filter({})
  await quick.filter({})
  const text = 'x'.repeat(1000)
  let written = 0
  for (let i = 0; i < 40; i++) {
    await site.write(
      Array.from({ length: 400 }, () => ({ text: `${written++} ${text}` })),
      [0],
    )
    await until('the quick one', () => quick.texts.length >= written)
  }
  t.equal(slow.batches.length, 4, 'batches in flight')
  slow.hurry()
  await until('the slow one', () => slow.texts.length + slow.sum('skipped') === written)
  t.ok(slow.sum('skipped') > 0)
  t.equal(quick.sum('skipped'), 0)
  t.equal(slow.texts.at(-1)?.split(' ')[0], quick.texts.at(-1)?.split(' ')[0], 'the newest are there')
})

test('a viewer gets at most its events per second, and is told of the rest', async t => {
  // So few that a machine would have to take half a minute over the three packets to get all of it through.
  const { site, viewer } = await start(t, { eventsPerSecondMax: 500 })
  const page = viewer()
  await page.filter({})
  for (let i = 0; i < 3; i++)
    await site.write(
      Array.from({ length: 5_000 }, (_, n) => ({ text: `${i} ${n}` })),
      [0],
    )
  await until('all accounted for', () => page.texts.length + page.sum('limited') === 15_000)
  t.ok(page.sum('limited') > 0)
})

test('without a viewer that set a filter nothing is decoded', async t => {
  const { site, viewer } = await start(t)
  const status = async () =>
    (await (await fetch(`${site.buckUrl(0)}/status`)).json()) as { listeners: number; live: { viewers: number } }
  t.match(await status(), { listeners: 0, live: { viewers: 0 } })
  const page = viewer()
  await until('connected', () => page.socket.connected)
  t.match(await status(), { listeners: 0, live: { viewers: 1 } })
  await page.filter({})
  t.match(await status(), { listeners: 1 })
  page.socket.disconnect()
  await until('the viewer is forgotten', async () => {
    const { listeners, live } = await status()
    return listeners + live.viewers === 0
  })
})

test('viewers without a token of archie, and pages of strangers, are refused', async t => {
  const { site } = await start(t)
  const url = site.buckUrl(0)
  const old = mintLiveToken(site.tokenKey, 'test', Date.now() - 3_600_000)
  for (const [wrong, reason] of [
    [undefined, /no live token/],
    [old, /too old/],
    ['x', /no live token/],
  ] as const) {
    const page = new TestViewer(t, url, wrong)
    await until('refused', () => page.refusals.length > 0)
    t.match(page.refusals[0], reason)
  }
  const strangers: Record<string, string>[] = [
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { host: 'evil.example' },
  ]
  for (const headers of strangers) t.equal(await upgrade(url, headers), 400, JSON.stringify(headers))
  t.equal(await upgrade(url, { origin: 'http://localhost:7780' }), 101)
})

/** Status of the answer to a WebSocket's first request; a client library would not let these headers through. */
function upgrade(url: string, headers: Record<string, string>): Promise<number | undefined> {
  const { host, port, hostname } = new URL(url)
  const handshake = {
    host,
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-key': Buffer.alloc(16).toString('base64'),
    ...headers,
  }
  return new Promise((resolve, reject) => {
    const asked = request({ hostname, port, path: '/socket.io/?EIO=4&transport=websocket', headers: handshake })
    asked.on('upgrade', (response, socket) => {
      socket.destroy()
      resolve(response.statusCode)
    })
    asked.on('response', response => {
      response.resume()
      resolve(response.statusCode)
    })
    asked.on('error', reject)
    asked.end()
  })
}

test('garbage on the live port harms nobody', async t => {
  const { site, viewer } = await start(t)
  const page = viewer()
  await page.filter({})
  const { port } = new URL(site.buckUrl(0))
  for (const path of [
    '/socket.io/',
    '/socket.io/?EIO=4&transport=polling',
    '/socket.io/?EIO=9&transport=websocket',
    '/%00',
    '/socket.io/?sid=x',
  ]) {
    await new Promise<void>(resolve => {
      const asked = request({ port, host: '127.0.0.1', path, method: 'POST' }, response =>
        response.resume().on('end', resolve),
      )
      asked.on('error', () => resolve())
      asked.end('x'.repeat(1000))
    })
  }
  // Events that are none of the protocol, and no function to answer with.
  const raw = page.socket as unknown as Socket
  raw.emit('filter')
  raw.emit('filter', {}, 'no function')
  raw.emit('unknown', { a: 1 })
  await site.write([{ text: 'still here' }], [0])
  await until('the line', () => page.texts.length > 0)
  t.same(page.texts, ['still here'])
})
