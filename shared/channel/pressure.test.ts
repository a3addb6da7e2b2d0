// Bounds: a peer that does not read blocks whoever asks it, a peer that floods waits itself, a slow line is not a dead one.
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Test, test } from 'tap'
import { type Link, LinkLostError, type Server } from '../link.ts'
import { until } from '../until.test-support.ts'
import { IN_HAND_REQUESTS_MAX } from './channel-link.ts'
import { createDialer } from './dial.ts'
import { nodeOf, startRelay, testWorld } from './fixture.ts'
import { listenChannel } from './listen.ts'
import { UNSENT_BYTES_MAX } from './outbox.ts'
import { secretbox } from './secretbox.ts'

const MB = 1024 * 1024

async function startFar(t: Test, server: Server) {
  const at = { host: '127.0.0.1', port: 0 }
  const listener = await listenChannel(nodeOf('buck'), at, ['tailer'], link => link.serve(server), testWorld('far'))
  t.teardown(() => listener.close())
  return listener.address
}

async function dialNear(t: Test, address: string, config = nodeOf('tailer')): Promise<Link> {
  const link = await createDialer(config, testWorld('near'), 'buck').dial(address)
  t.teardown(() => link.close('the test is over'))
  return link
}

/** Waits until `figure` stays the same for a while. */
async function settled(figure: () => number): Promise<number> {
  for (let before = -1; ; ) {
    await sleep(100)
    if (figure() === before) return before
    before = figure()
  }
}

test('a peer that does not read makes asks wait; nothing is lost or reordered when it reads again', async t => {
  const seen: number[] = []
  const address = await startFar(t, async (_type, body) => {
    seen.push((body as { before: number }).before)
    return { body: {} as never }
  })
  const relay = await startRelay(address, chunk => [chunk])
  t.teardown(() => relay.close())
  let sealedBytes = 0
  const counting = {
    ...secretbox,
    seal: (message: Buffer, nonce: Buffer, key: Buffer) => {
      sealedBytes += message.length
      return secretbox.seal(message, nonce, key)
    },
  }
  const near = await dialNear(t, relay.address, { ...nodeOf('tailer'), secretbox: counting })
  for (const socket of relay.sockets) socket.pause()
  const count = 45
  const asks = Array.from({ length: count }, (_, i) => near.ask('prune', { before: i }, Buffer.alloc(MB, i)))
  await until('much is taken on', () => sealedBytes > UNSENT_BYTES_MAX)
  const stuckAt = await settled(() => sealedBytes)
  // The kernel's own buffers hold some as well, on both sides of the relay.
  t.ok(stuckAt < 40 * MB, `${stuckAt} bytes were taken on`)
  await t.rejects(near.ask('ping', {}, undefined, 100), { name: 'LinkLostError', message: /no answer to ping/ })
  for (const socket of relay.sockets) socket.resume()
  await Promise.all(asks)
  t.same(
    seen,
    Array.from({ length: count }, (_, i) => i),
    'the one that gave up while it waited was never sent',
  )
})

test('a link that is closed while asks wait rejects them all', async t => {
  const address = await startFar(t, async () => ({ body: {} as never }))
  const relay = await startRelay(address, chunk => [chunk])
  t.teardown(() => relay.close())
  const near = await dialNear(t, relay.address)
  for (const socket of relay.sockets) socket.pause()
  const asks = Array.from({ length: 40 }, () =>
    near.ask('packet', { delivery: 'first' }, Buffer.alloc(MB)).catch(e => e),
  )
  await sleep(100)
  near.close('enough')
  for (const error of await Promise.all(asks)) t.ok(error instanceof LinkLostError)
  await near.closed
})

const floods: { title: string; ask: (link: Link) => Promise<unknown>; count: number; most: number }[] = [
  { title: 'requests', ask: link => link.ask('ping', {}), count: 300, most: IN_HAND_REQUESTS_MAX },
  {
    title: 'bytes',
    ask: link => link.ask('packet', { delivery: 'first' }, Buffer.alloc(4 * MB)),
    count: 12,
    most: 8,
  },
  { title: 'requests for large answers', ask: link => link.ask('fetch', { ids: [] }), count: 30, most: 4 },
]

for (const { title, ask, count, most } of floods) {
  test(`a peer that floods with ${title} is read no further than the bound, and all are answered in the end`, async t => {
    let inHand = 0
    let peak = 0
    const finish: (() => void)[] = []
    let isOpen = false
    const address = await startFar(t, async () => {
      inHand++
      peak = Math.max(peak, inHand)
      if (!isOpen) await new Promise<void>(resolve => finish.push(resolve))
      inHand--
      return { body: {} as never }
    })
    const near = await dialNear(t, address)
    const asks = Array.from({ length: count }, () => ask(near))
    await until('the bound is reached', () => peak >= most)
    t.equal(await settled(() => peak), most)
    isOpen = true
    for (const go of finish) go()
    await Promise.all(asks)
  })
}

test('answers that the peer does not read are bounded: no further requests are taken on', async t => {
  let served = 0
  const address = await startFar(t, async () => {
    served++
    return { body: {} as never, payload: Buffer.alloc(8 * MB) }
  })
  const relay = await startRelay(address, chunk => [chunk])
  t.teardown(() => relay.close())
  const near = await dialNear(t, relay.address)
  const sockets = [...relay.sockets] // the dialler's side first
  sockets[1]!.pause()
  const asks = Array.from({ length: 10 }, () => near.ask('fetch', { ids: [] }))
  const stuckAt = await settled(() => served)
  t.ok(stuckAt < 8, `${stuckAt} answers of 8 MiB were made`)
  sockets[1]!.resume()
  await Promise.all(asks)
  t.equal(served, 10)
})

/** Passes on 64 KiB every few milliseconds: some 4 MB/s. */
function slowDown(socket: Socket) {
  socket.on('data', () => {
    socket.pause()
    setTimeout(() => socket.resume(), 15)
  })
}

test('an answer that takes longer to come than the time-out is not given up while it comes', async t => {
  const large = Buffer.alloc(8 * MB, 5)
  const address = await startFar(t, async () => ({ body: {} as never, payload: large }))
  const relay = await startRelay(address, chunk => [chunk])
  t.teardown(() => relay.close())
  const near = await dialNear(t, relay.address)
  for (const socket of relay.sockets) slowDown(socket)
  const startMs = performance.now()
  const reply = await near.ask('fetch', { ids: [] }, undefined, 1_200)
  t.ok(reply.payload?.equals(large))
  t.comment(`took ${Math.round(performance.now() - startMs)} ms, the time-out was 1,200 ms`)
})

test('an ask behind much that goes out slowly is not given up while that moves', async t => {
  const address = await startFar(t, async () => ({ body: {} as never }))
  const relay = await startRelay(address, chunk => [chunk])
  t.teardown(() => relay.close())
  const near = await dialNear(t, relay.address)
  for (const socket of relay.sockets) slowDown(socket)
  const packets = Array.from({ length: 14 }, (_, i) => near.ask('packet', { delivery: 'first' }, Buffer.alloc(MB, i)))
  const startMs = performance.now()
  t.same(await near.ask('ping', {}, undefined, 1_200), { body: {} })
  t.comment(`took ${Math.round(performance.now() - startMs)} ms, the time-out was 1,200 ms`)
  await Promise.all(packets)
})

test('an ask that the peer has come to is given up in time, whatever else it answers', async t => {
  const address = await startFar(t, async type => {
    if (type === 'prune') await new Promise(() => {})
    return { body: {} as never }
  })
  const near = await dialNear(t, address)
  let isOver = false
  const pings = (async () => {
    while (!isOver) await near.ask('ping', {})
  })()
  const error = await near.ask('prune', { before: 1 }, undefined, 100).catch(e => e)
  isOver = true
  await pings
  t.ok(error instanceof LinkLostError)
})

test('a link whose peer went silent is closed when an ask times out; one that still says something is not', async t => {
  const at = { host: '127.0.0.1', port: 0 }
  const links: Link[] = []
  const onLink = (link: Link) => void links.push(link)
  const listener = await listenChannel({ ...nodeOf('buck'), silentMs: 1_000 }, at, ['tailer'], onLink, testWorld('far'))
  t.teardown(() => listener.close())
  let isSilent = false
  const relay = await startRelay(listener.address, chunk => (isSilent ? [] : [chunk]))
  t.teardown(() => relay.close())
  const near = await dialNear(t, relay.address)
  near.serve(() => new Promise(() => {}))
  const [far] = links as [Link]
  const talk = setInterval(() => near.ask('ping', {}).catch(() => {}), 20) // refused, but heard
  await t.rejects(far.ask('throttle', { seconds: 1 }, undefined, 1_200), LinkLostError)
  await t.rejects(far.ask('throttle', { seconds: 1 }, undefined, 50), { message: /no answer to throttle/ })
  isSilent = true
  await t.rejects(far.ask('throttle', { seconds: 1 }, undefined, 1_200), { message: /no answer to throttle/ })
  await far.closed
  await t.rejects(far.ask('ping', {}), { message: /nothing came for 1000 ms/ })
  clearInterval(talk)
})
