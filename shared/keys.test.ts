import { createHash } from 'node:crypto'
import { test } from 'tap'
import nacl from 'tweetnacl'
import {
  agreedSecret,
  boxKeyFromSecret,
  mintNodeKeys,
  nodeId,
  nodeKeysFrom,
  sign,
  signingKeyFromSeed,
  verify,
} from './keys.ts'

// RFC 8032, 7.1, test 2: a message of one byte.
const RFC_SEED = '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb'
const RFC_PUBLIC = '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c'
const RFC_SIGNATURE =
  '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00'

test('signing keys and signatures are those of RFC 8032', t => {
  const key = signingKeyFromSeed(Buffer.from(RFC_SEED, 'hex'))
  t.equal(key.publicKey.toString('hex'), RFC_PUBLIC)
  t.equal(sign(key, Buffer.from([0x72])).toString('hex'), RFC_SIGNATURE)
  t.ok(verify(key.publicKey, Buffer.from([0x72]), Buffer.from(RFC_SIGNATURE, 'hex')))
  t.end()
})

test('box keys and what two of them agree on are those of tweetnacl', t => {
  for (let i = 0; i < 16; i++) {
    const [near, far] = [`secret ${i}`, `secret ${-i - 1}`].map(text => createHash('sha256').update(text).digest())
    const [nearKey, farKey] = [boxKeyFromSecret(near), boxKeyFromSecret(far)]
    t.same(nearKey.publicKey, Buffer.from(nacl.box.keyPair.fromSecretKey(near).publicKey))
    const agreed = Buffer.from(nacl.scalarMult(near, farKey.publicKey))
    t.same(agreedSecret(nearKey, farKey.publicKey), agreed)
    t.same(agreedSecret(farKey, nearKey.publicKey), agreed)
    // The curve ignores the top bit; a number over the prime is taken modulo it.
    const odd = Buffer.from(farKey.publicKey)
    odd[31] ^= 0x80
    t.same(agreedSecret(nearKey, odd), agreed)
    const over = Buffer.alloc(32, 0xff)
    over[0] = 0xf0 + (i % 13)
    t.same(agreedSecret(nearKey, over), agreedOf(near, over), `2^255 - 19 + ${3 + (i % 13)}`)
  }
  t.end()
})

test('with a point of low order nothing is agreed on', t => {
  const own = boxKeyFromSecret(createHash('sha256').update('own').digest())
  for (const point of [
    '0000000000000000000000000000000000000000000000000000000000000000',
    '0100000000000000000000000000000000000000000000000000000000000000',
    'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
    '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  ]) {
    t.equal(agreedSecret(own, Buffer.from(point, 'hex')), undefined, point)
  }
  t.end()
})

/** By tweetnacl; undefined where it is zero. */
function agreedOf(secret: Buffer, theirs: Buffer): Buffer | undefined {
  const agreed = Buffer.from(nacl.scalarMult(secret, theirs))
  return agreed.every(byte => byte === 0) ? undefined : agreed
}

test('a signature holds for its key and message only', t => {
  const key = signingKeyFromSeed(Buffer.alloc(32, 1))
  const message = Buffer.from('a message')
  const signature = sign(key, message)
  t.ok(verify(key.publicKey, message, signature))
  t.notOk(verify(signingKeyFromSeed(Buffer.alloc(32, 2)).publicKey, message, signature))
  for (let at = 0; at < message.length; at++) t.notOk(verify(key.publicKey, flip(message, at), signature))
  for (let at = 0; at < signature.length; at++) {
    if (verify(key.publicKey, message, flip(signature, at))) t.fail(`signature byte ${at}`)
  }
  t.end()
})

test('what is no key and what is no signature is not genuine, and no crash', t => {
  const key = signingKeyFromSeed(Buffer.alloc(32, 1))
  const message = Buffer.from('a message')
  const signature = sign(key, message)
  for (const length of [0, 31, 33, 64]) t.notOk(verify(Buffer.alloc(length, 1), message, signature), `key of ${length}`)
  for (const length of [0, 63, 65])
    t.notOk(verify(key.publicKey, message, Buffer.alloc(length)), `signature of ${length}`)
  for (let i = 0; i < 256; i++) t.notOk(verify(createHash('sha256').update(`${i}`).digest(), message, signature))
  t.notOk(verify(Buffer.alloc(32), message, signature))
  t.notOk(verify(Buffer.alloc(32, 0xff), message, signature))
  t.end()
})

test('a node id follows from both public keys, each bit of them', t => {
  const keys = nodeKeysFrom(Buffer.alloc(32, 1), Buffer.alloc(32, 2))
  const { box, signing, id } = keys
  t.match(id, /^[0-9a-f]{32}$/)
  t.equal(id, nodeId(box.publicKey, signing.publicKey))
  const others = new Set<string>([id, nodeId(signing.publicKey, box.publicKey)])
  for (let at = 0; at < 32; at++) {
    others.add(nodeId(flip(box.publicKey, at), signing.publicKey))
    others.add(nodeId(box.publicKey, flip(signing.publicKey, at)))
  }
  t.equal(others.size, 66)
  t.end()
})

test('minted keys come from the randomness that was passed in', t => {
  let count = 0
  const random = { bytes: (n: number) => Buffer.alloc(n, ++count), fraction: () => 0 }
  t.same(mintNodeKeys(random).id, nodeKeysFrom(Buffer.alloc(32, 1), Buffer.alloc(32, 2)).id)
  t.end()
})

function flip(bytes: Buffer, at: number): Buffer {
  const changed = Buffer.from(bytes)
  changed[at]! ^= 1 << (at % 8)
  return changed
}
