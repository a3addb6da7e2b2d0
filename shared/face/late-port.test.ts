import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { type Test, test } from 'tap'
import { type Answering, openLatePort } from './late-port.ts'

const HERE = { host: '127.0.0.1', port: 0 }

/** Counts how often it is loaded; `fails` so often before it works. */
async function late(t: Test, { fails = 0, until = Promise.resolve() as Promise<unknown> } = {}) {
  const seen = { loads: 0, closes: 0, troubles: [] as unknown[] }
  const load = async (): Promise<Answering> => {
    seen.loads++
    await until
    if (seen.loads <= fails) throw new Error('no such module')
    const server = createServer(async (request, response) => {
      if (request.url === '/never') return
      let bytes = 0
      for await (const chunk of request) bytes += chunk.length
      response.end(`${request.method} ${request.url} ${bytes}`)
    })
    const close = async () => {
      seen.closes++
      if (server.listening) await new Promise(resolve => server.close(resolve))
    }
    return { server, close }
  }
  const port = await openLatePort(HERE, load, error => seen.troubles.push(error))
  t.teardown(() => port.close())
  return { port, seen, ask: async (path: string, more?: RequestInit) => fetch(`http://${port.address}${path}`, more) }
}

test('nothing is loaded until somebody asks; then once, for all who ask, and all of a request arrives', async t => {
  const { seen, ask } = await late(t)
  t.equal(seen.loads, 0)
  const body = Buffer.alloc(3_000_000, 'x')
  const asked = Array.from({ length: 20 }, (_, i) => ask(`/${i}`, i % 2 ? { method: 'POST', body } : undefined))
  const answers = await Promise.all((await Promise.all(asked)).map(response => response.text()))
  t.same(
    answers,
    answers.map((_, i) => (i % 2 ? `POST /${i} 3000000` : `GET /${i} 0`)),
  )
  t.equal(await (await ask('/later', { headers: { connection: 'close' } })).text(), 'GET /later 0')
  t.equal(seen.loads, 1)
})

test('what cannot be loaded is told, and tried again for the next one', async t => {
  const { seen, ask } = await late(t, { fails: 2 })
  await t.rejects(ask('/'))
  await t.rejects(ask('/'))
  t.equal(await (await ask('/')).text(), 'GET / 0')
  t.equal(seen.loads, 3)
  t.equal(seen.troubles.length, 2)
})

test('a port that is taken is refused', async t => {
  const { port } = await late(t)
  const taken = Number(port.address.split(':')[1])
  const again = openLatePort(
    { ...HERE, port: taken },
    async () => t.fail() as never,
    () => t.fail(),
  )
  await t.rejects(again, { code: 'EADDRINUSE' })
})

test('its end comes although nobody asked, or somebody asks for ever, and the port is free then', async t => {
  for (const path of [undefined, '/never']) {
    const { port, seen, ask } = await late(t)
    const asked = path === undefined ? undefined : t.rejects(ask(path), path)
    if (path !== undefined) t.equal(await (await ask('/')).text(), 'GET / 0')
    await port.close()
    await asked
    t.equal(seen.closes, path === undefined ? 0 : 1)
    await t.rejects(ask('/'), 'free')
  }
})

test('its end comes while it is being loaded', async t => {
  let go: (value?: unknown) => void = () => undefined
  const { port, seen } = await late(t, { until: new Promise(resolve => (go = resolve)) })
  const [host, number] = port.address.split(':')
  const socket = connect(Number(number), host)
  socket.on('error', () => undefined)
  const hungUp = once(socket, 'close')
  await once(socket, 'connect')
  while (seen.loads === 0) await new Promise(setImmediate)
  const closed = port.close()
  await hungUp
  go()
  await closed
  t.equal(seen.closes, 1)
  t.same(seen.troubles, [])
})

test('who leaves before it is loaded harms nobody', async t => {
  let go: (value?: unknown) => void = () => undefined
  const { port, seen, ask } = await late(t, { until: new Promise(resolve => (go = resolve)) })
  const [host, number] = port.address.split(':')
  const socket = connect(Number(number), host)
  await once(socket, 'connect')
  while (seen.loads === 0) await new Promise(setImmediate)
  socket.resetAndDestroy()
  const answer = ask('/')
  go()
  t.equal(await (await answer).text(), 'GET / 0')
})
