// The bytes of the handshake and of the frames, with fixed randomness: a change here is a new version of the channel.
import { createHash } from 'node:crypto'
import { test } from 'tap'
import { boxKeyFromSecret } from '../keys.ts'
import { NaclCipher, plainCipher } from './cipher.ts'
import { nodeOf, seededRandom } from './fixture.ts'
import {
  BadFrameError,
  BODY_BYTES_MAX,
  decodeHeader,
  encodeFrame,
  PAYLOAD_BYTES_MAX,
  packBody,
  unpackBody,
} from './frame.ts'
import { DiallerHandshake, ListenerHandshake } from './handshake.ts'
import { decodeHello, encodeHello, HELLO_BYTES } from './hello.ts'
import { encodeIdentity } from './identity.ts'
import { openPayload, sealPayload } from './payload.ts'
import { secretbox, tweetnaclBox } from './secretbox.ts'
import { UntrustedPeerError } from './untrusted-peer.ts'

const tailer = nodeOf('tailer')
const buck = nodeOf('buck')
const prologue = { environment: 'test', dialler: 'tailer', listener: 'buck' } as const
const nearEphemeral = boxKeyFromSecret(Buffer.alloc(32, 1))
const farEphemeral = boxKeyFromSecret(Buffer.alloc(32, 2))
const hello = encodeHello('nacl', 'tailer', 'buck', 'test', nearEphemeral.publicKey)

const startDialler = (change = {}) =>
  new DiallerHandshake(tailer.keys.box, nearEphemeral, { ...prologue, ...change }, hello)
const startListener = (helloBytes = hello) =>
  new ListenerHandshake(buck.keys.box, farEphemeral, prologue, helloBytes, helloBytes.subarray(24))

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** Each byte in turn, one bit of it changed. */
function* flips(bytes: Buffer): Generator<[number, Buffer]> {
  for (let at = 0; at < bytes.length; at++) {
    const changed = Buffer.from(bytes)
    changed[at]! ^= 1 << (at % 8)
    yield [at, changed]
  }
}

test('golden bytes: hello, both messages, both keys', t => {
  const near = startDialler()
  const far = startListener()
  const second = far.writeSecond(encodeIdentity(buck))
  const shownByFar = near.readSecond(second)
  const third = near.writeThird(encodeIdentity(tailer))
  const shownByNear = far.readThird(third)
  t.same(shownByFar, { boxKey: buck.keys.box.publicKey, identity: encodeIdentity(buck) })
  t.same(shownByNear, { boxKey: tailer.keys.box.publicKey, identity: encodeIdentity(tailer) })
  t.same(near.keys(), { send: far.keys().receive, receive: far.keys().send })
  t.notSame(near.keys().send, near.keys().receive)
  t.equal(
    hello.toString('hex'),
    '42544348010100019735156667b864c8a7f75e707f616795a4e09292b651c278b9772c569f5fa9bb13d906b46ab68c9df9dc2b4409f8a209',
  )
  t.equal(sha256(second), '2c56343d959eb994db91236bf05a56311fed76dedbb002261c08d8644ce3572d')
  t.equal(sha256(third), '1668cfe9daf9e2600c35158f96baac4061e0b599a8dc43cb5578f8972a6e0e9d')
  t.equal(near.keys().send.toString('hex'), '43b239bcfa31fe865026f891454a120500b514e3fdea65b669f3fef9306f20ad')
  t.equal(near.keys().receive.toString('hex'), 'efd5896ce45ce8e71a5512abba98b6bdc196b7fe34711e49ef5a4f2dbc69eb25')
  t.end()
})

test('a hello comes back as it went out; every cut of the magic, version and names is refused', t => {
  t.equal(hello.length, HELLO_BYTES)
  t.match(decodeHello(hello), { mode: 'nacl', role: 'tailer', wanted: 'buck', ephemeral: nearEphemeral.publicKey })
  for (const at of [0, 1, 2, 3, 4, 5, 6, 7]) {
    const changed = Buffer.from(hello)
    changed[at] = 0xee
    t.throws(() => decodeHello(changed), { name: 'UntrustedPeerError' }, `byte ${at}`)
  }
  t.end()
})

test('a byte that is flipped anywhere in the hello makes message 2 unreadable', t => {
  for (const [at, changed] of flips(hello)) {
    const second = startListener(changed).writeSecond(encodeIdentity(buck))
    t.throws(() => startDialler().readSecond(second), UntrustedPeerError, `byte ${at}`)
  }
  t.end()
})

test('a byte that is flipped, or cut off, anywhere in message 2 makes it unreadable', t => {
  const second = startListener().writeSecond(encodeIdentity(buck))
  for (const [at, changed] of flips(second)) {
    // The top bit of an X25519 key is ignored by the curve, but not by the hash.
    if (!isRefused(() => startDialler().readSecond(changed))) t.fail(`byte ${at}`)
  }
  for (const length of [0, 31, 32, 79, 80, 95, 96, second.length - 1]) {
    t.ok(
      isRefused(() => startDialler().readSecond(second.subarray(0, length))),
      `cut to ${length}`,
    )
  }
  t.end()
})

test('a byte that is flipped, or cut off, anywhere in message 3 makes it unreadable', t => {
  const near = startDialler()
  near.readSecond(startListener().writeSecond(encodeIdentity(buck)))
  const third = near.writeThird(encodeIdentity(tailer))
  for (const [at, changed] of flips(third)) {
    const far = startListener()
    far.writeSecond(encodeIdentity(buck))
    if (!isRefused(() => far.readThird(changed))) t.fail(`byte ${at}`)
  }
  for (const length of [0, 47, 48, 63, 64, third.length - 1]) {
    const far = startListener()
    far.writeSecond(encodeIdentity(buck))
    t.ok(
      isRefused(() => far.readThird(third.subarray(0, length))),
      `cut to ${length}`,
    )
  }
  t.end()
})

test('environment and roles are in the keys: a peer with others reads nothing', t => {
  const second = startListener().writeSecond(encodeIdentity(buck))
  for (const change of [{ environment: 'tes' }, { dialler: 'porter' }, { listener: 'tailer' }]) {
    t.ok(
      isRefused(() => startDialler(change).readSecond(second)),
      JSON.stringify(change),
    )
  }
  t.end()
})

test('a listener without the static key it shows cannot write message 2', t => {
  const thief = { ...buck.keys.box, secretKey: Buffer.alloc(32, 99) }
  const far = new ListenerHandshake(thief, farEphemeral, prologue, hello, nearEphemeral.publicKey)
  t.ok(isRefused(() => startDialler().readSecond(far.writeSecond(encodeIdentity(buck)))))
  t.end()
})

test('a dialler without the static key it shows cannot write message 3', t => {
  const thief = { ...tailer.keys.box, secretKey: Buffer.alloc(32, 99) }
  const near = new DiallerHandshake(thief, nearEphemeral, prologue, hello)
  const far = startListener()
  near.readSecond(far.writeSecond(encodeIdentity(buck)))
  t.ok(isRefused(() => far.readThird(near.writeThird(encodeIdentity(tailer)))))
  t.end()
})

function isRefused(step: () => unknown): boolean {
  try {
    step()
    return false
  } catch (error) {
    if (error instanceof UntrustedPeerError && error.reason === 'damaged') return true
    throw error
  }
}

test('golden bytes: a frame in mode plain', t => {
  const frame = encodeFrame(plainCipher, 'ask', 7, packBody(['prune', { before: 5 }]), {
    sealed: Buffer.from('payload'),
  })
  t.equal(
    Buffer.concat(frame).toString('hex'),
    '0100000000000007000000120000000792a57072756e65de0001a66265666f7265057061796c6f6164',
  )
  t.end()
})

test('golden bytes: two frames in mode nacl, the second with a payload', t => {
  const cipher = new NaclCipher(secretbox, Buffer.alloc(32, 3))
  const payload = sealPayload(Buffer.from('payload'), secretbox, seededRandom('golden'))
  const frames = [
    encodeFrame(cipher, 'welcome', 0, Buffer.alloc(0)),
    encodeFrame(cipher, 'answer', 7, packBody({}), payload),
  ]
  t.equal(
    Buffer.concat(frames[0]!).toString('hex'),
    '9eb5f3b7337bc57d948c37f6b485540067f8ef1c9691d3833b28f4a9d8f5f2c3c4560fa492d3525134816f3a7a6cf0ce',
  )
  t.equal(
    Buffer.concat(frames[1]!).toString('hex'),
    '1ffed58e4d355fc35327ddb72087a65e9313e46c3861ceb96082bc674406029ddc315c610b562f17cffd08107ffa863f1f926e23b25797c34c4503c65315fad2d62986400ab45da24969c559b178d867c30a84e79dd24df589c5d0596641e1685388d5c9d1ba75c9b7badffab8a659b5e5697cbecc1d7c2d0f3c4e10cf3ceea505db0ffdda65b070b86a',
  )

  const reader = new NaclCipher(tweetnaclBox, Buffer.alloc(32, 3))
  const [header, body] = frames[0]!.map(part => reader.open(part)!)
  t.same(decodeHeader(header!, reader), { kind: 'welcome', id: 0, bodyBytes: 0, payloadBytes: 0 })
  t.same(body, Buffer.alloc(0))
  t.equal(reader.open(frames[0]![0]!), undefined, 'the same box does not open again')
  t.end()
})

test('a header with a kind or length that cannot be is refused', t => {
  const header = (kind: number, body: number, payload: number, zero = 0) => {
    const bytes = Buffer.alloc(16)
    bytes[0] = kind
    bytes[1] = zero
    bytes.writeUInt32BE(body, 8)
    bytes.writeUInt32BE(payload, 12)
    return bytes
  }
  const cipher = new NaclCipher(secretbox, Buffer.alloc(32))
  const wrong: [string, Buffer][] = [
    ['kind 0', header(0, 0, 0)],
    ['kind 6', header(6, 0, 0)],
    ['second byte', header(1, 0, 0, 1)],
    ['body', header(1, BODY_BYTES_MAX + 65, 0)],
    ['largest body', header(1, 0xffffffff, 0)],
    ['payload', header(1, 64, PAYLOAD_BYTES_MAX + 17)],
    ['largest payload', header(1, 64, 0xffffffff)],
    ['payload without secret', header(1, 63, 100)],
    ['payload under its tag', header(1, 64, 15)],
    ['bye with payload', header(4, 64, 100)],
  ]
  for (const [title, bytes] of wrong) t.throws(() => decodeHeader(bytes, cipher), BadFrameError, title)
  t.end()
})

test('a body that is not msgpack is refused', t => {
  t.throws(() => unpackBody(Buffer.from([0x93, 1])), BadFrameError, 'cut')
  t.throws(() => unpackBody(Buffer.from([0xdd, 0xff, 0xff, 0xff, 0xff])), BadFrameError, 'an array of 4 billion')
  t.throws(() => unpackBody(Buffer.from([0xc6, 0xff, 0xff, 0xff, 0xff])), BadFrameError, 'bytes that are not there')
  t.end()
})

test('a payload that was changed, or whose key or hash was, is not opened', t => {
  const random = seededRandom('payload')
  const { sealed, secret } = sealPayload(Buffer.from('what was sent'), secretbox, random)
  t.same(openPayload(sealed, secret, secretbox), Buffer.from('what was sent'))
  for (const [at, changed] of flips(sealed)) t.equal(openPayload(changed, secret, secretbox), undefined, `byte ${at}`)
  for (const [at, changed] of flips(secret)) t.equal(openPayload(sealed, changed, secretbox), undefined, `secret ${at}`)
  // Another receiver knows the key, and makes another payload with it.
  const forged = secretbox.seal(Buffer.from('what was not!'), Buffer.alloc(24), secret.subarray(0, 32))
  t.equal(openPayload(forged, secret, secretbox), undefined)
  t.end()
})
