// Keys of a node: one pair that opens channels (X25519), one that signs (Ed25519). The node's id is a
// hash of both public keys, so nobody can speak in another's name.
import {
  createHash,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  type KeyObject,
  sign as signRaw,
  verify as verifyRaw,
} from 'node:crypto'
import type { Random } from './world.ts'

export interface SigningKey {
  /** 32 bytes, secret. */
  seed: Buffer
  /** 32 bytes. */
  publicKey: Buffer
  key: KeyObject
}

export interface BoxKey {
  /** 32 bytes, secret. */
  secretKey: Buffer
  publicKey: Buffer
}

export interface NodeKeys {
  id: string
  box: BoxKey
  signing: SigningKey
}

// The DER wrapping of RFC 8410 around 32 raw bytes: node:crypto takes these keys only in a container.
const PRIVATE_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')
const PUBLIC_PREFIX = Buffer.from('302a300506032b6570032100', 'hex')
const BOX_PRIVATE_PREFIX = Buffer.from('302e020100300506032b656e04220420', 'hex')
const BOX_PUBLIC_PREFIX = Buffer.from('302a300506032b656e032100', 'hex')

export function signingKeyFromSeed(seed: Buffer): SigningKey {
  const key = privateKey(PRIVATE_PREFIX, seed)
  return { seed, publicKey: publicBytes(key), key }
}

export function boxKeyFromSecret(secretKey: Buffer): BoxKey {
  return { secretKey, publicKey: publicBytes(privateKey(BOX_PRIVATE_PREFIX, secretKey)) }
}

/**
 * X25519: what only the owners of the two keys know. Undefined for 32 bytes that are a point of low order: the result would
 * not depend on our key.
 */
export function agreedSecret(own: BoxKey, theirPublicKey: Buffer): Buffer | undefined {
  const publicKey = createPublicKey({
    key: Buffer.concat([BOX_PUBLIC_PREFIX, theirPublicKey]),
    format: 'der',
    type: 'spki',
  })
  const secretKey = privateKey(BOX_PRIVATE_PREFIX, own.secretKey)
  try {
    const agreed = diffieHellman({ privateKey: secretKey, publicKey })
    return agreed.every(byte => byte === 0) ? undefined : agreed
  } catch {
    // OpenSSL looks for that itself.
    return undefined
  }
}

function privateKey(prefix: Buffer, secret: Buffer): KeyObject {
  return createPrivateKey({ key: Buffer.concat([prefix, secret]), format: 'der', type: 'pkcs8' })
}

function publicBytes(key: KeyObject): Buffer {
  return Buffer.from(createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32))
}

export function mintNodeKeys(random: Random): NodeKeys {
  return nodeKeysFrom(random.bytes(32), random.bytes(32))
}

/** @param boxSecret @param signSeed 32 bytes each */
export function nodeKeysFrom(boxSecret: Buffer, signSeed: Buffer): NodeKeys {
  const box = boxKeyFromSecret(boxSecret)
  const signing = signingKeyFromSeed(signSeed)
  return { id: nodeId(box.publicKey, signing.publicKey), box, signing }
}

/** 32 hex digits: SHA-256 of both public keys, cut to 16 bytes. */
export function nodeId(boxPublicKey: Buffer, signPublicKey: Buffer): string {
  return createHash('sha256')
    .update('bucktail node')
    .update(boxPublicKey)
    .update(signPublicKey)
    .digest('hex')
    .slice(0, 32)
}

export function sign(key: SigningKey, message: Buffer): Buffer {
  return signRaw(null, message, key.key)
}

/** False for a wrong signature and for a key that is none. */
export function verify(publicKey: Buffer, message: Buffer, signature: Buffer): boolean {
  if (publicKey.length !== 32 || signature.length !== 64) return false
  const key = createPublicKey({ key: Buffer.concat([PUBLIC_PREFIX, publicKey]), format: 'der', type: 'spki' })
  return verifyRaw(null, message, key, signature)
}
