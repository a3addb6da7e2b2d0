// A payload (packets, end to end) is sealed once with a random key, however many connections it goes to: the cipher is
// the dear part of sending a packet to two bucks. Each connection's own box carries the key and the SHA-256 of the
// sealed bytes. The hash matters: all who got the payload know the key, so the tag alone would let one of them change it
// on its way to another.
import { createHash } from 'node:crypto'
import type { Random } from '../world.ts'
import { KEY_BYTES, NONCE_BYTES, type Secretbox } from './secretbox.ts'

export const PAYLOAD_SECRET_BYTES = KEY_BYTES + 32

export interface SealedPayload {
  sealed: Buffer
  /** Key, then SHA-256 of `sealed`; PAYLOAD_SECRET_BYTES. */
  secret: Buffer
}

/** The key is random and used once, so its nonce need not differ. */
const NONCE = Buffer.alloc(NONCE_BYTES)

/** Sealed forms live as long as the payload's Buffer does; whoever sends a Buffer must not change it afterwards. */
const sealedBefore = new WeakMap<Buffer, SealedPayload>()

export function sealPayload(payload: Buffer, box: Secretbox, random: Random): SealedPayload {
  const known = sealedBefore.get(payload)
  if (known) return known
  const key = random.bytes(KEY_BYTES)
  const sealed = box.seal(payload, NONCE, key)
  const made = { sealed, secret: Buffer.concat([key, sha256(sealed)]) }
  sealedBefore.set(payload, made)
  return made
}

/** Undefined if the bytes are not those that were sealed. */
export function openPayload(sealed: Buffer, secret: Buffer, box: Secretbox): Buffer | undefined {
  if (!sha256(sealed).equals(secret.subarray(KEY_BYTES))) return undefined
  return box.open(sealed, NONCE, secret.subarray(0, KEY_BYTES))
}

function sha256(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest()
}
