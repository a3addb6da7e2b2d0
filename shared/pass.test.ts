import { test } from 'tap'
import { signingKeyFromSeed } from './keys.ts'
import { checkPass, decodePass, encodePass, encodePassBytes, type Pass, signPass } from './pass.ts'

const key = signingKeyFromSeed(Buffer.alloc(32, 1))
const terms = { environment: 'live', role: 'tailer', node: 'a'.repeat(32), notAfterMs: 1_800_000_000_000 } as const
const pass = signPass(key, terms)
const check = {
  environmentKey: key.publicKey,
  environment: 'live',
  roles: ['tailer'],
  node: 'a'.repeat(32),
  nowMs: 1_700_000_000_000,
} as const

test('golden text: a pass is the same line as ever', t => {
  t.equal(
    encodePass(pass),
    'bucktail-pass-1.lgGkbGl2ZaZ0YWlsZXLZIGFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFhy0J6MYXFAAAAxEBUsgi0jCabvCK8-uxoxXbwz-kL8NplBj3qPKbiHw82zPGJJ4WpgV08U8Gi-HsgUTpk0raxECRmh1XyAZTI1RsN',
  )
  t.end()
})

test('a pass comes back from its text as it was, also with space around it', t => {
  t.same(decodePass(encodePass(pass)), pass)
  t.same(decodePass(`  ${encodePass(pass)}\n`), pass)
  checkPass(decodePass(encodePass(pass)), check)
  t.end()
})

test('a pass holds until its last millisecond, for its node only, or for any', t => {
  checkPass(pass, { ...check, nowMs: terms.notAfterMs - 1 })
  t.throws(() => checkPass(pass, { ...check, nowMs: terms.notAfterMs }), {
    name: 'UntrustedPeerError',
    reason: 'expired',
  })
  t.throws(() => checkPass(pass, { ...check, nowMs: Number.NaN }), { name: 'UntrustedPeerError', reason: 'expired' })
  t.throws(() => checkPass(pass, { ...check, node: 'b'.repeat(32) }), { name: 'UntrustedPeerError', reason: 'pass' })
  checkPass(signPass(key, { ...terms, node: 'any' }), { ...check, node: 'b'.repeat(32) })
  t.throws(() => checkPass(pass, { ...check, roles: ['buck', 'porter'] }), {
    name: 'UntrustedPeerError',
    reason: 'role',
  })
  t.throws(() => checkPass(pass, { ...check, environment: 'test' }), {
    name: 'UntrustedPeerError',
    reason: 'environment',
  })
  t.throws(() => checkPass(pass, { ...check, revoked: [terms.node] }), {
    name: 'UntrustedPeerError',
    reason: 'revoked',
  })
  t.end()
})

test('a pass with any field changed is not the word of the environment', t => {
  const changed: Pass[] = [
    { ...pass, environment: 'live2' },
    { ...pass, role: 'buck' },
    { ...pass, node: 'any' },
    { ...pass, notAfterMs: pass.notAfterMs + 1 },
    { ...pass, signature: Buffer.alloc(64) },
    { ...pass, signature: pass.signature.subarray(1) },
  ]
  for (const forged of changed) {
    const { environment, role, node } = forged
    const lenient = { ...check, environment, roles: [role], node: node === 'any' ? check.node : node }
    t.throws(() => checkPass(forged, lenient), { name: 'UntrustedPeerError', reason: 'pass' }, JSON.stringify(forged))
  }
  t.throws(() => checkPass(pass, { ...check, environmentKey: signingKeyFromSeed(Buffer.alloc(32, 2)).publicKey }))
  t.end()
})

test('text with any byte flipped or cut is no pass, or not a signed one', t => {
  const bytes = encodePassBytes(pass)
  const fails = (text: string) => {
    try {
      const decoded = decodePass(text)
      checkPass(decoded, { ...check, roles: ['tailer', 'buck', 'porter', 'archie'], node: decoded.node })
      return false
    } catch (error) {
      return ['BadPassError', 'UntrustedPeerError'].includes((error as Error).name)
    }
  }
  for (let at = 0; at < bytes.length; at++) {
    const flipped = Buffer.from(bytes)
    flipped[at]! ^= 1 << (at % 8)
    if (!fails(`bucktail-pass-1.${flipped.toString('base64url')}`)) t.fail(`byte ${at} flipped`)
    if (!fails(`bucktail-pass-1.${bytes.subarray(0, at).toString('base64url')}`)) t.fail(`cut to ${at}`)
  }
  for (const text of ['', 'hello', 'bucktail-pass-1.', 'bucktail-pass-2.xx', `bucktail-pass-1.${'A'.repeat(10_000)}`]) {
    t.ok(fails(text), text.slice(0, 30))
  }
  t.end()
})

test('terms that make no sense are not signed', t => {
  t.throws(() => signPass(key, { ...terms, environment: '' }), RangeError)
  t.throws(() => signPass(key, { ...terms, environment: 'x'.repeat(65) }), RangeError)
  t.throws(() => signPass(key, { ...terms, node: 'everybody' }), RangeError)
  t.end()
})
