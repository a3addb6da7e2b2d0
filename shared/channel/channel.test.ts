import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Test, test } from 'tap'
import { type Link, LinkLostError, RefusedError, type Role, type Server } from '../link.ts'
import type { ChannelConfig } from './config.ts'
import { createDialer } from './dial.ts'
import { nodeOf, type Said, startRelay, testWorld } from './fixture.ts'
import { listenChannel } from './listen.ts'
import { chooseSecretbox, loadSodium, PROBED_BY_TWEETNACL, probe, sodiumBox, tweetnaclBox } from './secretbox.ts'

/** Both ends of one link, and what they need. All is closed when the test ends. */
async function connectPair(
  t: Test,
  options: { near?: ChannelConfig; far?: ChannelConfig; serveNear?: Server; serveFar?: Server; relay?: string } = {},
): Promise<{ near: Link; far: Link; farSaid: Said[]; nearSaid: Said[]; address: string }> {
  const nearWorld = testWorld('near')
  const farWorld = testWorld('far')
  let arrived = (_: Link) => {}
  const far = new Promise<Link>(resolve => {
    arrived = resolve
  })
  const listener = await listenChannel(
    options.far ?? nodeOf('buck'),
    { host: '127.0.0.1', port: 0 },
    ['tailer', 'porter'],
    link => {
      if (options.serveFar) link.serve(options.serveFar)
      arrived(link)
    },
    farWorld,
  )
  t.teardown(() => listener.close())
  const near = await createDialer(options.near ?? nodeOf('tailer'), nearWorld, 'buck').dial(
    options.relay ?? listener.address,
  )
  if (options.serveNear) near.serve(options.serveNear)
  t.teardown(() => near.close('the test is over'))
  return { near, far: await far, farSaid: farWorld.said, nearSaid: nearWorld.said, address: listener.address }
}

const sodium = (await loadSodium())!
const noSodium = sodium ? false : 'sodium-native is not there'
const acknowledge: Server = async () => ({ body: {} as never })
const never: Server = () => new Promise(() => {})
const echo: Server = async (type, body, payload) => ({ body: { type, body } as never, payload })

for (const mode of ['nacl', 'plain'] as const) {
  test(`${mode}: two ends that may speak ask and answer both ways`, async t => {
    const tailer = nodeOf('tailer', { mode })
    const buck = nodeOf('buck', { mode })
    const { near, far } = await connectPair(t, { near: tailer, far: buck, serveNear: echo, serveFar: echo })
    t.match(near.peer, { role: 'buck', id: buck.keys.id, signKey: buck.keys.signing.publicKey })
    t.match(far.peer, { role: 'tailer', id: tailer.keys.id, signKey: tailer.keys.signing.publicKey })
    const up = await near.ask('prune', { before: 7 }, Buffer.from('payload'))
    t.same(up, { body: { type: 'prune', body: { before: 7 } }, payload: Buffer.from('payload') })
    const down = await far.ask('throttle', { seconds: 3 })
    t.same(down, { body: { type: 'throttle', body: { seconds: 3 } } })
  })

  test(`${mode}: payloads of every size come as they were sent, side by side`, async t => {
    const { near } = await connectPair(t, {
      near: nodeOf('tailer', { mode }),
      far: nodeOf('buck', { mode }),
      serveFar: echo,
    })
    const sizes = [1, 15, 16, 17, 63, 64, 65, 4095, 65_536, 1_000_003, 9 * 1024 * 1024]
    await Promise.all(
      sizes.map(async size => {
        const payload = randomBytes(size)
        const reply = await near.ask('packet', { delivery: 'first' }, payload)
        t.ok(reply.payload?.equals(payload), `${size} bytes`)
      }),
    )
    t.same((await near.ask('ping', {}, Buffer.alloc(0))).payload, undefined, 'an empty payload is none')
  })
}

test('bytes in a body come as Buffers, numbers and undefined as they were', async t => {
  const { near } = await connectPair(t, { serveFar: echo })
  const body = {
    tailer: 'a'.repeat(32),
    runs: [{ epoch: '1-00', first: 2 ** 40, sums: randomBytes(24) }],
    more: undefined,
  }
  const reply = (await near.ask('archived', body)) as { body: unknown }
  t.same(reply.body, { type: 'archived', body })
})

test('a pass for any node lets in whatever keys hold it', async t => {
  const near = nodeOf('tailer', { terms: { node: 'any' } })
  const { far } = await connectPair(t, { near, serveFar: acknowledge })
  t.equal(far.peer.id, near.keys.id)
})

test('tweetnacl and sodium speak to each other', { skip: noSodium }, async t => {
  const { near } = await connectPair(t, {
    near: { ...nodeOf('tailer'), secretbox: tweetnaclBox },
    far: { ...nodeOf('buck'), secretbox: sodiumBox(sodium) },
    serveFar: echo,
  })
  const payload = randomBytes(100_001)
  t.ok((await near.ask('packet', { delivery: 'first' }, payload)).payload?.equals(payload))
})

test('a sodium that gives other bytes, or throws, is not chosen', { skip: noSodium }, async t => {
  t.equal(probe(tweetnaclBox), PROBED_BY_TWEETNACL)
  t.equal(chooseSecretbox(sodium).name, 'sodium')
  t.equal(chooseSecretbox(undefined).name, 'tweetnacl')
  const wrong = {
    ...sodium,
    crypto_secretbox_easy: (box: Buffer, message: Buffer, nonce: Buffer, key: Buffer) => {
      sodium.crypto_secretbox_easy(box, message, nonce, key)
      if (message.length === 4099) box[4000]! ^= 1
    },
  }
  t.equal(chooseSecretbox(wrong).name, 'tweetnacl')
  const trusting = { ...sodium, crypto_secretbox_open_easy: () => true }
  t.equal(chooseSecretbox(trusting).name, 'tweetnacl')
  const broken = {
    ...sodium,
    crypto_secretbox_easy: () => {
      throw new Error('no')
    },
  }
  t.equal(chooseSecretbox(broken).name, 'tweetnacl')
})

test('requests are delivered in the order of the calls, large ones among small ones', async t => {
  const seen: number[] = []
  const { near } = await connectPair(t, {
    serveFar: async (_type, body) => {
      seen.push((body as { before: number }).before)
      return { body: {} as never }
    },
  })
  const payload = randomBytes(3_000_000)
  const asks = Array.from({ length: 200 }, (_, i) =>
    near.ask('prune', { before: i }, i % 20 === 3 ? payload : undefined),
  )
  await Promise.all(asks)
  t.same(
    seen,
    Array.from({ length: 200 }, (_, i) => i),
  )
})

test('answers may overtake each other', async t => {
  let finishFirst = () => {}
  const { near } = await connectPair(t, {
    serveFar: async (_type, body) => {
      if ((body as { before: number }).before === 1) {
        await new Promise<void>(resolve => {
          finishFirst = resolve
        })
      }
      return { body: { packets: (body as { before: number }).before, bytes: 0 } as never }
    },
  })
  const order: number[] = []
  const first = near.ask('prune', { before: 1 }).then(r => order.push(r.body.packets))
  const second = near.ask('prune', { before: 2 }).then(r => order.push(r.body.packets))
  await second
  finishFirst()
  await first
  t.same(order, [2, 1])
})

test('a no comes with its code and text; a crash says nothing of its inside', async t => {
  const secret = 'a path and a stack'
  const { near, farSaid } = await connectPair(t, {
    serveFar: async type => {
      if (type === 'packet') throw new RefusedError('full', 'the disk is full'.padEnd(5000, '!'))
      throw new Error(secret)
    },
  })
  const no = (await near.ask('packet', { delivery: 'first' }).catch(error => error)) as RefusedError
  t.ok(no instanceof RefusedError)
  t.equal(no.code, 'full')
  t.match(no.message, /^the disk is full!/)
  t.equal(no.message.length, 1000)
  const crash = (await near.ask('ping', {}).catch(error => error)) as RefusedError
  t.ok(crash instanceof RefusedError)
  t.equal(crash.code, 'failed')
  t.notMatch(crash.message, secret)
  t.ok(
    farSaid.some(
      s => s.level === 'error' && s.fact === 'request failed' && (s.fields.error as Error).message === secret,
    ),
  )
  t.equal(
    (await near.ask('packet', { delivery: 'first' }).catch(e => e.code)) as string,
    'full',
    'and the link goes on',
  )
})

test('who serves nothing refuses requests', async t => {
  const { near } = await connectPair(t)
  await t.rejects(near.ask('ping', {}), { name: 'RefusedError', code: 'bad-request' })
})

test('a body or payload over the bound is refused before it is sent', async t => {
  const { near } = await connectPair(t, { serveFar: acknowledge })
  await t.rejects(near.ask('archived', { tailer: 'x'.repeat(17 * 1024 * 1024), runs: [] }), { code: 'bad-request' })
  await t.rejects(near.ask('packet', { delivery: 'first' }, Buffer.alloc(64 * 1024 * 1024 + 1)), {
    code: 'bad-request',
  })
  await near.ask('ping', {})
})

test('an ask without an answer in time rejects with LinkLostError, and its late answer does no harm', async t => {
  let finish = () => {}
  const { near } = await connectPair(t, {
    serveFar: async type => {
      if (type === 'prune') {
        await new Promise<void>(resolve => {
          finish = resolve
        })
      }
      return { body: {} as never }
    },
  })
  await t.rejects(near.ask('prune', { before: 1 }, undefined, 50), {
    name: 'LinkLostError',
    message: /no answer to prune/,
  })
  finish()
  t.same(await near.ask('ping', {}), { body: {} })
})

test('close reaches the other side: closed resolves on both, what waits rejects with LinkLostError', async t => {
  const { near, far, farSaid } = await connectPair(t, { serveFar: never, serveNear: never })
  const waiting = near.ask('ping', {})
  const theirs = far.ask('ping', {})
  theirs.catch(() => {})
  await sleep(20)
  near.close('enough')
  await t.rejects(waiting, { name: 'LinkLostError', message: /closed here: enough/ })
  await t.rejects(theirs, LinkLostError)
  await Promise.all([near.closed, far.closed])
  await t.rejects(near.ask('ping', {}), { name: 'LinkLostError' })
  await t.rejects(far.ask('ping', {}), { name: 'LinkLostError', message: /closed by the peer: enough/ })
  t.ok(farSaid.some(s => s.fact === 'link closed by the peer' && s.fields.reason === 'enough'))
})

test('an end of TCP without the goodbye is a loss, not a close', async t => {
  const farListener = await connectPair(t)
  const relay = await startRelay(farListener.address, chunk => [chunk])
  t.teardown(() => relay.close())
  const world = testWorld('third')
  const link = await createDialer(nodeOf('porter'), world, 'buck').dial(relay.address)
  await sleep(20)
  for (const socket of relay.sockets) socket.end()
  await link.closed
  t.ok(world.said.some(s => s.fact === 'link ended without a goodbye'))
  await t.rejects(link.ask('ping', {}), { name: 'LinkLostError' })
})

test('what was asked before a close is sent before the goodbye', async t => {
  const seen: string[] = []
  const { near, far } = await connectPair(t, {
    serveFar: async type => {
      seen.push(type)
      return { body: {} as never }
    },
  })
  const ask = near.ask('packet', { delivery: 'first' }, randomBytes(2_000_000)).catch(error => error)
  near.close('bye')
  t.ok((await ask) instanceof LinkLostError)
  await far.closed
  t.same(seen, ['packet'])
})

test('a payload that goes over two links is sealed once', async t => {
  let seals = 0
  const counting = {
    ...tweetnaclBox,
    seal: (message: Buffer, nonce: Buffer, key: Buffer) => {
      if (message.length === 50_000) seals++
      return tweetnaclBox.seal(message, nonce, key)
    },
  }
  const one = await connectPair(t, { near: { ...nodeOf('tailer'), secretbox: counting }, serveFar: echo })
  const two = await connectPair(t, { near: { ...nodeOf('tailer'), secretbox: counting }, serveFar: echo })
  const payload = randomBytes(50_000)
  const replies = await Promise.all([one, two].map(({ near }) => near.ask('packet', { delivery: 'first' }, payload)))
  for (const reply of replies) t.ok(reply.payload?.equals(payload))
  t.equal(seals, 1)
})

test('a listener that closes closes its links', async t => {
  const world = testWorld('far')
  const listener = await listenChannel(nodeOf('buck'), { host: '127.0.0.1', port: 0 }, ['tailer'], () => {}, world)
  const link = await createDialer(nodeOf('tailer'), testWorld('near'), 'buck').dial(listener.address)
  t.match(listener.status(), { links: 1, greeting: 0 })
  await listener.close()
  await link.closed
  await t.rejects(createDialer(nodeOf('tailer'), testWorld('near'), 'buck').dial(listener.address), {
    name: 'LinkLostError',
    message: /buck at 127.0.0.1:\d+ cannot be reached/,
  })
})

test('an onLink that throws costs its link only', async t => {
  const world = testWorld('far')
  let calls = 0
  const onLink = (link: Link) => {
    link.serve(acknowledge)
    if (calls++ === 0) throw new Error('not ready')
  }
  const listener = await listenChannel(nodeOf('buck'), { host: '127.0.0.1', port: 0 }, ['tailer'], onLink, world)
  t.teardown(() => listener.close())
  const dialer = createDialer(nodeOf('tailer'), testWorld('near'), 'buck')
  await (await dialer.dial(listener.address)).closed
  const link = await dialer.dial(listener.address)
  await link.ask('ping', {})
  link.close('done')
})

test('a dial that is aborted rejects with the reason, before and during the handshake', async t => {
  const dialer = createDialer(nodeOf('tailer'), testWorld('near'), 'buck' satisfies Role)
  const reason = new Error('stopped')
  await t.rejects(dialer.dial('127.0.0.1:1', AbortSignal.abort(reason)), reason)
  const relay = await startRelay('127.0.0.1:1', () => [])
  t.teardown(() => relay.close())
  const stop = new AbortController()
  const dialled = dialer.dial(relay.address, stop.signal)
  stop.abort(reason)
  await t.rejects(dialled, reason)
})

test('a name with several addresses, at none of which anybody listens, gives a reason', async t => {
  const dialer = createDialer(nodeOf('tailer'), testWorld('near'), 'buck')
  await t.rejects(dialer.dial('localhost:1'), {
    name: 'LinkLostError',
    message: /localhost:1 cannot be reached: .*ECONN/,
  })
})

test('a body cannot reach into the prototype of what is made from it', async t => {
  let got: Record<string, unknown> = {}
  const { near } = await connectPair(t, {
    serveFar: async (_type, body) => {
      got = body as Record<string, unknown>
      return { body: {} as never }
    },
  })
  await near.ask('ping', JSON.parse('{"__proto__": {"isAdmin": true}, "plain": 1}'))
  t.equal(got.isAdmin, undefined)
  t.equal(got.plain, 1)
})

test('an address that is none is named', async t => {
  const dialer = createDialer(nodeOf('tailer'), testWorld('near'), 'buck')
  for (const address of ['', 'web1', 'web1:', 'web1:0', 'web1:70000', '::1:7700', 'a b:1']) {
    await t.rejects(dialer.dial(address), { name: 'RangeError', message: /is no address/ }, address)
  }
})
