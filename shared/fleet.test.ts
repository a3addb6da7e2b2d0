import { setImmediate as turn } from 'node:timers/promises'
import { test } from 'tap'
import { createDialer } from './channel/dial.ts'
import { nodeOf, startRelay, testWorld } from './channel/fixture.ts'
import { listenChannel } from './channel/listen.ts'
import { UntrustedPeerError } from './channel/untrusted-peer.ts'
import { Fleet, type FleetTimes } from './fleet.ts'
import { type Link, LinkLostError, RefusedError } from './link.ts'
import { until } from './until.test-support.ts'

/** A clock that moves only when told to, a dialer whose answers the test decides. */
function startWorld() {
  let nowMs = 0
  let sleepers: { atMs: number; wake: () => void }[] = []
  const said: string[] = []
  const say = (level: string) => (fact: string) => void said.push(`${level} ${fact}`)
  const world = {
    clock: {
      now: () => nowMs,
      monotonic: () => nowMs,
      sleep: (ms: number, signal?: AbortSignal) =>
        new Promise<void>((wake, reject) => {
          if (signal?.aborted) return reject(signal.reason)
          sleepers.push({ atMs: nowMs + ms, wake })
          signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
        }),
    },
    random: { bytes: (n: number) => Buffer.alloc(n), fraction: () => 0.999_999 },
    log: { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') },
  }
  /** In steps, so that what wakes may sleep again on the way. */
  const pass = async (ms: number) => {
    const endMs = nowMs + ms
    for (;;) {
      await turn()
      const next = sleepers.filter(s => s.atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0]
      if (!next) break
      nowMs = next.atMs
      sleepers = sleepers.filter(s => s !== next)
      next.wake()
    }
    nowMs = endMs
    await turn()
  }
  return { world, said, pass, now: () => nowMs }
}

function makeLink(address: string, answerPing: () => Promise<void> = async () => {}) {
  let lose: () => void = () => {}
  const closed = new Promise<void>(resolve => {
    lose = resolve
  })
  const reasons: string[] = []
  const link: Link = {
    peer: { role: 'buck', id: 'b'.repeat(32), signKey: Buffer.alloc(32) },
    address,
    ask: async () => {
      await answerPing()
      return { body: {} as never }
    },
    serve: () => {},
    closed,
    close: reason => {
      reasons.push(reason)
      lose()
    },
  }
  return { link, lose: () => lose(), reasons }
}

const NO_PING: Partial<FleetTimes> = { pingEveryMs: 1e9 }

test('an address that cannot be reached is dialled again, ever later up to the cap, until it can', async t => {
  const { world, pass, now, said } = startWorld()
  const dials: number[] = []
  const { link } = makeLink('a')
  const dialer = {
    dial: async () => {
      dials.push(now())
      if (dials.length < 10) throw new Error('refused')
      return link
    },
  }
  const fleet = new Fleet(['a'], dialer, world, { onLink: () => {} }, NO_PING)
  const stop = new AbortController()
  const ran = fleet.run(stop.signal)
  await pass(120_000)
  const gaps = dials.slice(1).map((at, i) => Math.round(at - dials[i]!))
  t.same(gaps, [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000, 10_000])
  t.same(fleet.open(), [link])
  t.match(fleet.status(), [{ address: 'a', state: 'open', peer: link.peer.id }])
  t.equal(said.filter(s => s === 'warn no link').length, 1, 'one line for a row of failures')
  stop.abort()
  await ran
  t.match(fleet.status(), [{ state: 'closed' }])
})

test('a link is open only when onLink finished, and gone from open() when it is lost', async t => {
  const { world, pass } = startWorld()
  const links = [makeLink('a'), makeLink('a')]
  let dials = 0
  let finish = () => {}
  const lost: Link[] = []
  const hooks = {
    onLink: () =>
      new Promise<void>(resolve => {
        finish = resolve
      }),
    onLost: (link: Link) => void lost.push(link),
  }
  const fleet = new Fleet(['a'], { dial: async () => links[dials++]!.link }, world, hooks, NO_PING)
  const stop = new AbortController()
  const ran = fleet.run(stop.signal)
  await pass(0)
  t.same(fleet.open(), [])
  t.match(fleet.status(), [{ state: 'greeting' }])
  finish()
  await pass(0)
  t.same(fleet.open(), [links[0]!.link])
  links[0]!.lose()
  await pass(0)
  t.same(fleet.open(), [])
  t.same(lost, [links[0]!.link])
  await pass(200)
  t.match(fleet.status(), [{ state: 'greeting' }])
  stop.abort()
  finish()
  await ran
  t.same(links[1]!.reasons[0], 'the process stops')
  t.equal(lost.length, 2)
})

test('an onLink that rejects closes its link, and the address is dialled again', async t => {
  const { world, pass } = startWorld()
  const links = [makeLink('a'), makeLink('a')]
  let dials = 0
  const hooks = {
    onLink: async () => {
      if (dials === 1) throw new RefusedError('clone', 'another one is there')
    },
  }
  const fleet = new Fleet(['a'], { dial: async () => links[dials++]!.link }, world, hooks, NO_PING)
  const stop = new AbortController()
  const ran = fleet.run(stop.signal)
  await pass(0)
  t.equal(links[0]!.reasons.length, 1)
  t.match(fleet.status(), [{ state: 'waiting', error: 'another one is there' }])
  await pass(200)
  t.same(fleet.open(), [links[1]!.link])
  t.equal(fleet.status()[0]!.error, undefined)
  stop.abort()
  await ran
})

test('a link whose peer does not answer pings is closed; one that refuses them is kept', async t => {
  const { world, pass } = startWorld()
  const silent = makeLink('silent', async () => {
    throw new LinkLostError('no answer')
  })
  const grumpy = makeLink('grumpy', async () => {
    throw new RefusedError('forbidden', 'no')
  })
  const fleet = new Fleet(
    ['silent', 'grumpy'],
    { dial: async address => (address === 'silent' ? silent.link : grumpy.link) },
    world,
    { onLink: () => {} },
  )
  const stop = new AbortController()
  const ran = fleet.run(stop.signal)
  await pass(3_000)
  t.equal(silent.reasons[0], 'no answer to a ping within 9000 ms')
  await pass(30_000)
  t.same(grumpy.reasons, [])
  stop.abort()
  await ran
})

test('a peer that is not trusted is logged once, as an error, and tried again once a minute', async t => {
  const { world, pass, said } = startWorld()
  let dials = 0
  const dialer = {
    dial: async () => {
      dials++
      throw new UntrustedPeerError('environment', 'it is of "test", this is "live"')
    },
  }
  const fleet = new Fleet(['a'], dialer, world, { onLink: () => {} })
  const stop = new AbortController()
  const ran = fleet.run(stop.signal)
  await pass(59_000)
  t.equal(dials, 1)
  await pass(130_000)
  t.equal(dials, 4)
  t.equal(said.filter(s => s === 'error peer not trusted').length, 1)
  stop.abort()
  await ran
})

test('a link that opens after the abort is closed again', async t => {
  const { world, pass } = startWorld()
  const { link, reasons } = makeLink('a')
  let reached = (_: Link) => {}
  const dialer = {
    dial: () =>
      new Promise<Link>(resolve => {
        reached = resolve
      }),
  }
  const fleet = new Fleet(['a'], dialer, world, { onLink: () => {} })
  const stop = new AbortController()
  const ran = fleet.run(stop.signal)
  await pass(0)
  stop.abort()
  reached(link)
  await ran
  t.equal(reasons[0], 'the process stops')
})

const QUICK: Partial<FleetTimes> = { backOffBaseMs: 10, backOffCapMs: 50, pingEveryMs: 20, pingTimeoutMs: 500 }

test('over real sockets: a buck that comes back on its port is linked again, by itself', async t => {
  const start = (port: number) =>
    listenChannel(
      nodeOf('buck'),
      { host: '127.0.0.1', port },
      ['tailer'],
      link => link.serve(async () => ({ body: {} as never })),
      testWorld('far'),
    )
  let listener = await start(0)
  const dialer = createDialer(nodeOf('tailer'), testWorld('near'), 'buck')
  const fleet = new Fleet([listener.address], dialer, testWorld('fleet'), { onLink: () => {} }, QUICK)
  const stop = new AbortController()
  const ran = fleet.run(stop.signal)
  await until('linked', () => fleet.open().length === 1)
  await listener.close()
  await until('the loss is seen', () => fleet.open().length === 0)
  listener = await start(Number(listener.address.split(':')[1]))
  t.teardown(() => listener.close())
  await until('linked', () => fleet.open().length === 1)
  t.match(fleet.status(), [{ state: 'open', peer: nodeOf('buck').keys.id }])
  await fleet.open()[0]!.ask('ping', {})
  stop.abort()
  await ran
  t.match(fleet.status(), [{ state: 'closed' }])
  await until('the buck saw it close', () => listener.status().links === 0)
})

test('over real sockets: a connection that goes silent is closed by its pings, and dialled again', async t => {
  const at = { host: '127.0.0.1', port: 0 }
  const serve = (link: Link) => link.serve(async () => ({ body: {} as never }))
  const listener = await listenChannel(nodeOf('buck'), at, ['tailer'], serve, testWorld('far'))
  t.teardown(() => listener.close())
  let isSilent = false
  const relay = await startRelay(listener.address, chunk => (isSilent ? [] : [chunk]))
  t.teardown(() => relay.close())
  const dialer = createDialer({ ...nodeOf('tailer'), handshakeMs: 1_000 }, testWorld('near'), 'buck')
  const lost: Link[] = []
  const hooks = { onLink: () => {}, onLost: (link: Link) => void lost.push(link) }
  const fleet = new Fleet([relay.address], dialer, testWorld('fleet'), hooks, QUICK)
  const stop = new AbortController()
  const ran = fleet.run(stop.signal)
  await until('linked', () => fleet.open().length === 1)
  isSilent = true
  await until('the pings tell', () => lost.length > 0)
  isSilent = false
  await until('linked again', () => fleet.open().length === 1)
  stop.abort()
  await ran
})
