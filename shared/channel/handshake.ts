// The NaCl handshake: the message pattern and key schedule of Noise XX, with X25519 (shared/keys.ts) and secretbox.
// docs/formats/channel.md compares it with Noise XX, line by line.
//
//   dialler                                                     listener
//     hello (hello.ts), with e                          ─────▶
//                                                       ◀─────  e, ee, s, es, identity
//     s, se, identity                                   ─────▶
//                                     both: one key per direction
//
//   message 2    e (32) │ sealed s (32 + 16) │ sealed identity (n + 16)
//   message 3            sealed s (32 + 16) │ sealed identity (n + 16)
//   e, s         the sender's ephemeral and static X25519 public key
//   ee es se     X25519 of two keys; the first letter is the dialler's key. An all-zero result is refused
//   identity     what identity.ts packs: signing key and pass
//   sealed       secretbox, nonce 0, key = HMAC-SHA-256(k, h): secretbox has no associated data, so the hash of all that
//                was said before is in the key; h differs each time, so each key seals once
// The hash h begins with the protocol's name and the prologue: version, mode, environment, both roles.
import { createHash, createHmac, hkdfSync } from 'node:crypto'
import { agreedSecret, type BoxKey } from '../keys.ts'
import type { Role } from '../link.ts'
import { KEY_BYTES, NONCE_BYTES, secretbox, TAG_BYTES } from './secretbox.ts'
import { UntrustedPeerError } from './untrusted-peer.ts'

const PROTOCOL = 'bucktail XX 25519 XSalsa20Poly1305 SHA256 1'
const NONCE = Buffer.alloc(NONCE_BYTES)
const SEALED_KEY_BYTES = KEY_BYTES + TAG_BYTES

export interface Prologue {
  environment: string
  dialler: Role
  listener: Role
}

export interface DirectionKeys {
  send: Buffer
  receive: Buffer
}

/** What the other side's message holds, once opened. */
export interface Shown {
  boxKey: Buffer
  identity: Buffer
}

/** Steps are called once each, in the order of their declaration. All that read throw UntrustedPeerError('damaged'). */
export class DiallerHandshake {
  readonly #own: BoxKey
  readonly #ephemeral: BoxKey
  readonly #state: KeySchedule
  #theirEphemeral: Buffer | undefined

  constructor(own: BoxKey, ephemeral: BoxKey, prologue: Prologue, hello: Buffer) {
    this.#own = own
    this.#ephemeral = ephemeral
    this.#state = new KeySchedule(prologue, hello)
  }

  readSecond(message: Buffer): Shown {
    if (message.length < KEY_BYTES + SEALED_KEY_BYTES + TAG_BYTES) throw damaged()
    const theirEphemeral = message.subarray(0, KEY_BYTES)
    this.#theirEphemeral = theirEphemeral
    this.#state.mixHash(theirEphemeral)
    this.#state.mixKey(agree(this.#ephemeral, theirEphemeral)) // ee
    const boxKey = this.#state.open(message.subarray(KEY_BYTES, KEY_BYTES + SEALED_KEY_BYTES))
    this.#state.mixKey(agree(this.#ephemeral, boxKey)) // es
    const identity = this.#state.open(message.subarray(KEY_BYTES + SEALED_KEY_BYTES))
    return { boxKey, identity }
  }

  writeThird(identity: Buffer): Buffer {
    const sealedKey = this.#state.seal(this.#own.publicKey)
    this.#state.mixKey(agree(this.#own, this.#theirEphemeral!)) // se
    return Buffer.concat([sealedKey, this.#state.seal(identity)])
  }

  keys(): DirectionKeys {
    const [toListener, toDialler] = this.#state.split()
    return { send: toListener, receive: toDialler }
  }
}

/** Steps are called once each, in the order of their declaration. All that read throw UntrustedPeerError('damaged'). */
export class ListenerHandshake {
  readonly #own: BoxKey
  readonly #ephemeral: BoxKey
  readonly #theirEphemeral: Buffer
  readonly #state: KeySchedule

  constructor(own: BoxKey, ephemeral: BoxKey, prologue: Prologue, hello: Buffer, theirEphemeral: Buffer) {
    this.#own = own
    this.#ephemeral = ephemeral
    this.#theirEphemeral = theirEphemeral
    this.#state = new KeySchedule(prologue, hello)
  }

  writeSecond(identity: Buffer): Buffer {
    this.#state.mixHash(this.#ephemeral.publicKey)
    this.#state.mixKey(agree(this.#ephemeral, this.#theirEphemeral)) // ee
    const sealedKey = this.#state.seal(this.#own.publicKey)
    this.#state.mixKey(agree(this.#own, this.#theirEphemeral)) // es
    return Buffer.concat([this.#ephemeral.publicKey, sealedKey, this.#state.seal(identity)])
  }

  readThird(message: Buffer): Shown {
    if (message.length < SEALED_KEY_BYTES + TAG_BYTES) throw damaged()
    const boxKey = this.#state.open(message.subarray(0, SEALED_KEY_BYTES))
    this.#state.mixKey(agree(this.#ephemeral, boxKey)) // se
    const identity = this.#state.open(message.subarray(SEALED_KEY_BYTES))
    return { boxKey, identity }
  }

  keys(): DirectionKeys {
    const [toListener, toDialler] = this.#state.split()
    return { send: toDialler, receive: toListener }
  }
}

/** Noise's symmetric state: `#hash` of all that was said, `#chain` of all that was agreed, `#key` out of the last of it. */
class KeySchedule {
  #hash: Buffer
  #chain: Buffer
  #key: Buffer | undefined

  constructor({ environment, dialler, listener }: Prologue, hello: Buffer) {
    this.#hash = createHash('sha256').update(PROTOCOL).digest()
    this.#chain = this.#hash
    this.mixHash(Buffer.from(JSON.stringify([environment, dialler, listener])))
    this.mixHash(hello) // version, mode and the dialler's e are in it
  }

  mixHash(bytes: Buffer): void {
    this.#hash = createHash('sha256').update(this.#hash).update(bytes).digest()
  }

  mixKey(agreed: Buffer): void {
    const [chain, key] = twoKeys(agreed, this.#chain)
    this.#chain = chain
    this.#key = key
  }

  seal(message: Buffer): Buffer {
    const sealed = secretbox.seal(message, NONCE, this.#keyHere())
    this.mixHash(sealed)
    return sealed
  }

  open(sealed: Buffer): Buffer {
    const message = secretbox.open(sealed, NONCE, this.#keyHere())
    if (!message) throw damaged()
    this.mixHash(sealed)
    return message
  }

  split(): [Buffer, Buffer] {
    return twoKeys(Buffer.alloc(0), this.#chain)
  }

  #keyHere(): Buffer {
    return createHmac('sha256', this.#key!).update(this.#hash).digest()
  }
}

/** HKDF as Noise uses it: salt is the chain, no info. */
function twoKeys(input: Buffer, chain: Buffer): [Buffer, Buffer] {
  const both = Buffer.from(hkdfSync('sha256', input, chain, Buffer.alloc(0), 2 * KEY_BYTES))
  return [both.subarray(0, KEY_BYTES), both.subarray(KEY_BYTES)]
}

function agree(own: BoxKey, theirs: Buffer): Buffer {
  const agreed = agreedSecret(own, theirs)
  if (agreed === undefined) throw damaged()
  return agreed
}

function damaged(): UntrustedPeerError {
  return new UntrustedPeerError(
    'damaged',
    'its handshake does not authenticate: bytes were changed on the way, or something in between is not a plain TCP relay',
  )
}
