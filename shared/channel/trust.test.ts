// Who may speak to whom: each wrong pair is refused with one error that names what to do, on both sides.
import { createServer } from 'node:net'
import { type Test, test } from 'tap'
import { signingKeyFromSeed } from '../keys.ts'
import { type Link, LinkLostError, type Role } from '../link.ts'
import { signPass } from '../pass.ts'
import { until } from '../until.test-support.ts'
import type { ChannelConfig } from './config.ts'
import { createDialer } from './dial.ts'
import { environmentKey, NOW_MS, nodeOf, testWorld } from './fixture.ts'
import { listenChannel } from './listen.ts'
import { UntrustedPeerError, type UntrustedReason } from './untrusted-peer.ts'

const DAY_MS = 86_400_000
const otherKey = signingKeyFromSeed(Buffer.alloc(32, 9))

interface Meeting {
  near?: ChannelConfig
  far?: ChannelConfig
  expects?: Role
  accepts?: Role[]
  nearOffsetMs?: number
  /** After the settings were checked at start: what only the peer can find. */
  later?: (near: ChannelConfig, far: ChannelConfig) => void
}

/** Lets the two meet; answers what the dialler was told, and what the listener logged. */
async function meet(t: Test, meeting: Meeting) {
  const near = { ...(meeting.near ?? nodeOf('tailer')) }
  const far = { ...(meeting.far ?? nodeOf('buck')) }
  const nearWorld = testWorld('near')
  const farWorld = testWorld('far')
  nearWorld.clock.offsetMs = meeting.nearOffsetMs ?? 0
  const links: Link[] = []
  const at = { host: '127.0.0.1', port: 0 }
  const listener = await listenChannel(
    far,
    at,
    meeting.accepts ?? ['tailer', 'porter'],
    link => links.push(link),
    farWorld,
  )
  t.teardown(() => listener.close())
  const dialer = createDialer(near, nearWorld, meeting.expects ?? 'buck')
  meeting.later?.(near, far)
  const error: unknown = await dialer.dial(listener.address).then(
    link => link.close('the test is over'),
    e => e,
  )
  // The listener's side of a refusal by the dialler comes a moment later.
  await until('the listener says why', () => farWorld.said.length > 0)
  t.same(links, [], 'nobody got a link')
  return { error, said: farWorld.said, status: listener.status() }
}

const wrongPairs: { title: string; reason: UntrustedReason; tells: RegExp; meeting: () => Meeting }[] = [
  {
    title: 'another environment',
    reason: 'environment',
    tells: /another environment: check the address and the environment setting/,
    meeting: () => ({ near: nodeOf('tailer', { environment: 'live' }) }),
  },
  {
    title: 'nacl dials plain',
    reason: 'mode',
    tells: /channel mode .* set the same/,
    meeting: () => ({ far: nodeOf('buck', { mode: 'plain' }) }),
  },
  {
    title: 'plain dials nacl',
    reason: 'mode',
    tells: /channel mode .* set the same/,
    meeting: () => ({ near: nodeOf('tailer', { mode: 'plain' }) }),
  },
  {
    title: 'a listener of another role than was looked for',
    reason: 'role',
    tells: /check the address/,
    meeting: () => ({ expects: 'archie' }),
  },
  {
    title: 'a dialler of a role that is not let in',
    reason: 'role',
    tells: /does not let this role in/,
    meeting: () => ({ near: nodeOf('archie') }),
  },
  {
    title: 'a listener whose pass is for another role',
    reason: 'role',
    tells: /its pass is for a tailer, expected is buck/,
    meeting: () => ({
      later: (_near, far) => {
        far.pass = signPass(environmentKey, { ...far.pass, role: 'tailer' })
      },
    }),
  },
  {
    title: 'a dialler whose pass is for another role',
    reason: 'role',
    tells: /it refused/,
    meeting: () => ({
      later: near => {
        near.pass = signPass(environmentKey, { ...near.pass, role: 'porter' })
      },
    }),
  },
  {
    title: 'a dialler whose pass has ended by the clock of the listener',
    reason: 'expired',
    tells: /the pass has ended: make a new pass with `bucktail keygen`, or set the clock/,
    meeting: () => ({
      nearOffsetMs: -2 * DAY_MS,
      near: nodeOf('tailer', { terms: { notAfterMs: NOW_MS - DAY_MS } }),
    }),
  },
  {
    title: 'a listener whose pass has ended by the clock of the dialler',
    reason: 'expired',
    tells: /its pass ended at 2026-05-02T12:00:00.000Z, the clock here says 2026-05-03/,
    meeting: () => ({
      nearOffsetMs: 2 * DAY_MS,
      near: nodeOf('tailer', { terms: { notAfterMs: NOW_MS + 9 * DAY_MS } }),
    }),
  },
  {
    title: 'a listener with a pass of another environment key',
    reason: 'pass',
    tells: /not signed by the key of this environment/,
    meeting: () => ({ far: nodeOf('buck', { signer: otherKey }) }),
  },
  {
    title: 'a dialler with a pass of another environment key',
    reason: 'pass',
    tells: /does not take the pass: make one with `bucktail keygen`/,
    meeting: () => ({
      later: near => {
        near.pass = signPass(otherKey, near.pass)
      },
    }),
  },
  {
    title: 'a dialler that shows the pass of another node',
    reason: 'pass',
    tells: /does not take the pass/,
    meeting: () => ({
      later: near => {
        near.pass = nodeOf('tailer', { seed: 'somebody else' }).pass
      },
    }),
  },
  {
    title: 'a revoked dialler, though its pass is for any node',
    reason: 'revoked',
    tells: /this node is revoked/,
    meeting: () => {
      const near = nodeOf('tailer', { terms: { node: 'any' } })
      return { near, far: { ...nodeOf('buck'), revoked: ['f'.repeat(32), near.keys.id] } }
    },
  },
  {
    title: 'a revoked listener',
    reason: 'revoked',
    tells: /is revoked: give it new keys/,
    meeting: () => ({ near: { ...nodeOf('tailer'), revoked: [nodeOf('buck').keys.id] } }),
  },
]

for (const { title, reason, tells, meeting } of wrongPairs) {
  test(`refused: ${title}`, async t => {
    const { error, said, status } = await meet(t, meeting())
    t.ok(error instanceof UntrustedPeerError, String(error))
    t.equal((error as UntrustedPeerError).reason, reason)
    t.match((error as Error).message, tells)
    t.match((error as Error).message, /at 127\.0\.0\.1:\d+: /)
    t.same(
      said.map(s => [s.level, s.fact, s.fields.reason]),
      [['warn', 'connection refused', reason]],
      'one line at the listener',
    )
    t.same(status, { links: 0, greeting: 0, refused: { [reason]: 1 } })
  })
}

test('in mode plain passes, roles and environments are compared as well', async t => {
  const plain = { mode: 'plain' } as const
  const far = nodeOf('buck', plain)
  const pairs: [UntrustedReason, Meeting][] = [
    ['environment', { far, near: nodeOf('tailer', { ...plain, environment: 'live' }) }],
    ['pass', { far, near: nodeOf('tailer', { ...plain, signer: otherKey }) }],
    ['role', { far, near: nodeOf('archie', plain) }],
    ['revoked', { far: { ...far, revoked: [nodeOf('tailer').keys.id] }, near: nodeOf('tailer', plain) }],
  ]
  for (const [reason, meeting] of pairs) {
    const { error } = await meet(t, meeting)
    t.equal((error as UntrustedPeerError).reason, reason)
  }
})

test('settings that every peer would refuse are refused at start', async t => {
  const world = testWorld('x')
  const good = nodeOf('tailer')
  const wrong: [RegExp, ChannelConfig][] = [
    [/tls is not built yet: set it to nacl/, { ...good, mode: 'tls' as 'nacl' }],
    [/mode "open" is unknown: set it to nacl or plain/, { ...good, mode: 'open' as 'nacl' }],
    [/public key has 31 bytes, not 32/, { ...good, environmentKey: Buffer.alloc(31) }],
    [/this tailer would be refused everywhere: its pass ended/, nodeOf('tailer', { terms: { notAfterMs: NOW_MS } })],
    [/its pass is for a buck/, nodeOf('tailer', { terms: { role: 'buck' } })],
    [/its pass is for environment "live"/, nodeOf('tailer', { terms: { environment: 'live' } })],
    [/not signed by the key of this environment/, { ...good, environmentKey: otherKey.publicKey }],
    [/is revoked/, { ...good, revoked: [good.keys.id] }],
  ]
  for (const [message, config] of wrong) {
    t.throws(() => createDialer(config, world, 'buck'), { name: 'ChannelConfigError', message })
    await t.rejects(
      listenChannel(config, { host: '127.0.0.1', port: 0 }, ['tailer'], () => {}, world),
      { name: 'ChannelConfigError', message },
    )
  }
})

test('a port in use is named, with what to do', async t => {
  const at = { host: '127.0.0.1', port: 0 }
  const first = await listenChannel(nodeOf('buck'), at, ['tailer'], () => {}, testWorld('a'))
  t.teardown(() => first.close())
  const port = Number(first.address.split(':')[1])
  await t.rejects(
    listenChannel(nodeOf('buck'), { ...at, port }, ['tailer'], () => {}, testWorld('b')),
    { name: 'ListenError', code: 'EADDRINUSE', message: /another process listens there; stop it or set another port/ },
  )
})

test('a program that is not bucktail is named as such', async t => {
  const server = createServer(socket => {
    socket.on('error', () => {})
    socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as { port: number }
  const dialer = createDialer(nodeOf('tailer'), testWorld('a'), 'buck')
  await t.rejects(dialer.dial(`127.0.0.1:${port}`), { name: 'UntrustedPeerError', reason: 'not-bucktail' })
})

test('one that accepts and says nothing, or hangs up, is not trusted less for it', async t => {
  const server = createServer(socket => {
    socket.on('error', () => {})
    sockets.push(socket)
    if (sockets.length === 1) socket.destroy()
  })
  const sockets: { destroy(): void }[] = []
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as { port: number }
  const dialer = createDialer({ ...nodeOf('tailer'), handshakeMs: 100 }, testWorld('a'), 'buck')
  await t.rejects(dialer.dial(`127.0.0.1:${port}`), LinkLostError)
  await t.rejects(dialer.dial(`127.0.0.1:${port}`), {
    name: 'LinkLostError',
    message: /no link to buck .* within 100 ms/,
  })
})

test('no log line and no error holds a key', async t => {
  const everything: string[] = []
  for (const { meeting } of wrongPairs) {
    const { error, said } = await meet(t, meeting())
    everything.push(String((error as Error).stack), JSON.stringify(said))
  }
  const text = everything.join('\n')
  for (const role of ['tailer', 'buck', 'archie'] as const) {
    const { box, signing } = nodeOf(role).keys
    for (const secret of [box.secretKey, signing.seed]) {
      for (const encoding of ['hex', 'base64', 'base64url'] as const) t.notOk(text.includes(secret.toString(encoding)))
    }
  }
})
