// From a connected socket to two ciphers and a peer that may speak. Both sides read from top to bottom:
//
//   dialler    hello ▸ read message 2 ▸ is it a listener of mine? ▸ message 3 ▸ read welcome or refusal
//   listener   read hello ▸ same mode, environment, roles? ▸ message 2 ▸ read message 3 ▸ may it come in? ▸ welcome
//
// The welcome is the first sealed frame: it proves the keys, and tells the dialler that its pass is good. Either side says
// why it refuses (a code, hello.ts), so that the other's log names what to do; an attacker on the line could forge such a
// refusal before message 3, as he could cut the line.
import { type BoxKey, boxKeyFromSecret } from '../keys.ts'
import type { Peer, Role } from '../link.ts'
import type { World } from '../world.ts'
import { type Cipher, NaclCipher, plainCipher } from './cipher.ts'
import type { ChannelConfig } from './config.ts'
import { decodeHeader, encodeFrame, HEADER_BYTES, packBody, unpackBody } from './frame.ts'
import { DiallerHandshake, type DirectionKeys, ListenerHandshake, type Shown } from './handshake.ts'
import {
  decodeEnvelope,
  decodeHello,
  decodeRefusal,
  ENVELOPE_BYTES,
  encodeEnvelope,
  encodeHello,
  encodeRefusal,
  environmentTag,
  HELLO_BYTES,
  MESSAGE_BYTES_MAX,
} from './hello.ts'
import { checkIdentity, encodeIdentity } from './identity.ts'
import type { Inbox } from './inbox.ts'
import type { Outbox } from './outbox.ts'
import { secretbox } from './secretbox.ts'
import { UntrustedPeerError, type UntrustedReason } from './untrusted-peer.ts'

export interface Line {
  inbox: Inbox
  outbox: Outbox
}

export interface Greeted {
  peer: Peer
  send: Cipher
  receive: Cipher
}

const KEY_BYTES = 32

/** Rejects with UntrustedPeerError, or InboxEndedError where the line ends first. */
export async function greetAsDialler(
  line: Line,
  config: ChannelConfig,
  wanted: Role,
  world: Pick<World, 'clock' | 'random'>,
): Promise<Greeted> {
  const { mode, role, environment, keys } = config
  const ephemeral = boxKeyFromSecret(world.random.bytes(KEY_BYTES))
  const hello = encodeHello(mode, role, wanted, environment, ephemeral.publicKey)
  const steps =
    mode === 'nacl'
      ? new DiallerHandshake(keys.box, ephemeral, { environment, dialler: role, listener: wanted }, hello)
      : plainSteps(keys.box)

  line.outbox.push([hello])
  const shown = steps.readSecond(await takeMessage(line, 2))
  const peer = orRefuse(line, () => checkIdentity(shown, [wanted], config, world.clock.now()))
  line.outbox.push([encodeEnvelope(3, steps.writeThird(encodeIdentity(config)))])
  const { send, receive } = ciphersOf(config, steps.keys())
  await takeWelcome(line, receive)
  return { peer, send, receive }
}

/** Rejects as greetAsDialler does; the dialler was told why. */
export async function greetAsListener(
  line: Line,
  config: ChannelConfig,
  accepts: readonly Role[],
  world: Pick<World, 'clock' | 'random'>,
): Promise<Greeted> {
  const { mode, role, environment, keys } = config
  const helloBytes = await line.inbox.take(HELLO_BYTES)
  const hello = orRefuse(line, () => {
    const said = decodeHello(helloBytes)
    checkHello(said, config, accepts)
    return said
  })
  const ephemeral = boxKeyFromSecret(world.random.bytes(KEY_BYTES))
  const prologue = { environment, dialler: hello.role, listener: role }
  const steps =
    mode === 'nacl'
      ? orRefuse(line, () => new ListenerHandshake(keys.box, ephemeral, prologue, helloBytes, hello.ephemeral))
      : plainSteps(keys.box)

  line.outbox.push([
    encodeEnvelope(
      2,
      orRefuse(line, () => steps.writeSecond(encodeIdentity(config))),
    ),
  ])
  const shown = steps.readThird(await takeMessage(line, 3))
  const { send, receive } = ciphersOf(config, steps.keys())
  let peer: Peer
  try {
    peer = checkIdentity(shown, [hello.role], config, world.clock.now())
  } catch (error) {
    if (error instanceof UntrustedPeerError) line.outbox.push(encodeFrame(send, 'refusal', 0, packBody(error.reason)))
    throw error
  }
  line.outbox.push(encodeFrame(send, 'welcome', 0, Buffer.alloc(0)))
  return { peer, send, receive }
}

function checkHello(hello: ReturnType<typeof decodeHello>, config: ChannelConfig, accepts: readonly Role[]): void {
  const { mode, role, environment } = config
  if (hello.mode !== mode) {
    throw new UntrustedPeerError(
      'mode',
      `its channel mode is ${hello.mode}, here it is ${mode}: set the same on every node of the environment`,
    )
  }
  if (!hello.environmentTag.equals(environmentTag(environment, hello.ephemeral))) {
    throw new UntrustedPeerError(
      'environment',
      `it is of another environment, here it is "${environment}": check its list of addresses and the environment settings`,
    )
  }
  if (hello.wanted !== role) {
    throw new UntrustedPeerError(
      'role',
      `it looks for a ${hello.wanted}, this is a ${role}: check its list of addresses`,
    )
  }
  if (!accepts.includes(hello.role)) {
    throw new UntrustedPeerError('role', `it is a ${hello.role}; who may come in here: ${accepts.join(', ')}`)
  }
}

/** What a refusal by the other side means for the one who reads our log. */
const TOLD: Record<UntrustedReason, string> = {
  'not-bucktail': 'it does not take this for a bucktail channel: run the same version on both sides',
  version: 'it speaks another version of the channel: run the same version on both sides',
  mode: 'its channel mode is another one: set the same (nacl or plain) on every node of the environment',
  role: 'it is not of the role that was expected, or does not let this role in: check the address',
  environment: 'it is of another environment: check the address and the environment setting',
  pass: "it does not take the pass: make one with `bucktail keygen`, with this environment's key and for this node",
  expired: 'it finds that the pass has ended: make a new pass with `bucktail keygen`, or set the clock of one side',
  revoked: 'it was told that this node is revoked: give it new keys and a pass for them',
  damaged: 'what it got does not authenticate: bytes were changed on the way',
}

function refusedByPeer(reason: UntrustedReason): UntrustedPeerError {
  return new UntrustedPeerError(reason, `it refused: ${TOLD[reason]}`)
}

/** Tells the other side, in the clear, why it is refused. */
function orRefuse<T>(line: Line, step: () => T): T {
  try {
    return step()
  } catch (error) {
    // A stranger gets no answer: it would not understand it, and a scanner need not learn what listens here.
    const isPeer = error instanceof UntrustedPeerError && error.reason !== 'not-bucktail'
    if (isPeer) line.outbox.push([encodeRefusal(error.reason)])
    throw error
  }
}

async function takeMessage(line: Line, kind: 2 | 3): Promise<Buffer> {
  const { length, isRefusal } = decodeEnvelope(await line.inbox.take(ENVELOPE_BYTES), kind)
  const message = await line.inbox.take(length)
  if (isRefusal) throw refusedByPeer(decodeRefusal(message[0]!))
  return message
}

async function takeWelcome(line: Line, receive: Cipher): Promise<void> {
  const headerBytes = receive.open(await line.inbox.take(HEADER_BYTES + receive.overhead))
  const header = headerBytes && decodeHeader(headerBytes, receive)
  if (!header || header.bodyBytes > MESSAGE_BYTES_MAX || header.payloadBytes > 0) throw damagedWelcome()
  const body = receive.open(await line.inbox.take(header.bodyBytes + receive.overhead))
  if (!body) throw damagedWelcome()
  if (header.kind === 'welcome') return
  const reason = unpackBody(body)
  throw refusedByPeer(
    typeof reason === 'string' && Object.hasOwn(TOLD, reason) ? (reason as UntrustedReason) : 'damaged',
  )
}

function damagedWelcome(): UntrustedPeerError {
  return new UntrustedPeerError('damaged', 'its welcome does not authenticate: bytes were changed on the way')
}

function ciphersOf(config: ChannelConfig, keys: DirectionKeys | undefined): { send: Cipher; receive: Cipher } {
  if (!keys) return { send: plainCipher, receive: plainCipher }
  const box = config.secretbox ?? secretbox
  return { send: new NaclCipher(box, keys.send), receive: new NaclCipher(box, keys.receive) }
}

/** Mode plain: the same messages without a cipher: static key, then identity. Nothing is proven. */
function plainSteps(own: BoxKey) {
  const write = (identity: Buffer) => Buffer.concat([own.publicKey, identity])
  const read = (message: Buffer): Shown => {
    if (message.length < KEY_BYTES)
      throw new UntrustedPeerError('damaged', 'its handshake is cut short: update one side')
    return { boxKey: message.subarray(0, KEY_BYTES), identity: message.subarray(KEY_BYTES) }
  }
  return { readSecond: read, readThird: read, writeSecond: write, writeThird: write, keys: () => undefined }
}
