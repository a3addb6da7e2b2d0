import { pack, unpack } from 'msgpackr'
import { test } from 'tap'
import { nodeKeysFrom } from './keys.ts'
import {
  type Gone,
  isGoneGenuine,
  isManifestGenuine,
  type Manifest,
  manifestDigest,
  signGone,
  signManifest,
} from './manifest.ts'

const keys = nodeKeysFrom(Buffer.alloc(32, 1), Buffer.alloc(32, 2))
const thief = nodeKeysFrom(Buffer.alloc(32, 3), Buffer.alloc(32, 4))

const unsigned = {
  tailer: keys.id,
  epoch: '3-0123456789abcdef',
  bucket: 1_777_000_000,
  bucketSeconds: 10,
  host: 'web1',
  first: 5,
  last: 9,
  sources: [
    {
      source: 'a'.repeat(20),
      host: 'web1',
      path: '/var/log/app.log',
      start: 0,
      from: 100,
      to: 2_097_152,
      events: 7,
      lines: 8,
      steps: [
        { step: 0, sha256: Buffer.alloc(32, 5) },
        { step: 1, sha256: Buffer.alloc(32, 6) },
      ],
    },
  ],
  gaveUp: [
    { source: 'b'.repeat(20), host: 'web1', path: '/b', from: 0, to: 10, reason: 'truncated', kind: 'hole' as const },
    { source: 'c'.repeat(20), host: 'web1', path: '/c', from: 4, reason: 'vanished unread', kind: 'hole' as const },
  ],
  farewell: false,
  previous: Buffer.alloc(32, 7),
}
const manifest = signManifest(unsigned, keys.box.publicKey, keys.signing)
const gone = signGone({ tailer: keys.id, epoch: '3-0123456789abcdef', sequence: 7 }, keys.box.publicKey, keys.signing)

/** Every value that is `value` with one leaf changed, element dropped or doubled; with its path. */
function* changes(value: unknown, path = ''): Generator<[string, unknown]> {
  if (Buffer.isBuffer(value)) {
    for (const at of [0, value.length - 1]) {
      const changed = Buffer.from(value)
      changed[at]! ^= 1
      yield [`${path}[${at}]`, changed]
    }
    yield [`${path} cut`, value.subarray(1)]
  } else if (Array.isArray(value)) {
    yield [`${path} empty`, []]
    yield [`${path} doubled`, [...value, ...value]]
    yield [`${path} reversed`, value.length > 1 ? [...value].reverse() : [...value, value[0]]]
    for (const [i, item] of value.entries()) {
      for (const [where, changed] of changes(item, `${path}.${i}`)) yield [where, value.with(i, changed)]
    }
  } else if (value !== null && typeof value === 'object') {
    for (const [key, item] of Object.entries(value)) {
      for (const [where, changed] of changes(item, `${path}.${key}`)) yield [where, { ...value, [key]: changed }]
    }
  } else if (typeof value === 'number') {
    yield [path, value + 1]
  } else if (typeof value === 'boolean') {
    yield [path, !value]
  } else if (typeof value === 'string') {
    yield [path, value.startsWith('a') ? `b${value.slice(1)}` : `a${value.slice(1)}`]
    yield [`${path} longer`, `${value}0`]
  }
}

test('a manifest is genuine as it was signed, also after its way over a link', t => {
  t.ok(isManifestGenuine(manifest))
  t.ok(isManifestGenuine(unpack(pack(manifest)) as Manifest))
  t.end()
})

test('a manifest with any field changed is not genuine', t => {
  let count = 0
  for (const [where, changed] of changes(manifest)) {
    count++
    if (isManifestGenuine(changed as Manifest)) t.fail(where)
  }
  const withEnd = { ...manifest, gaveUp: manifest.gaveUp.map(g => ({ ...g, to: g.to ?? 4 })) }
  t.notOk(isManifestGenuine(withEnd), 'an end where none was known')
  t.ok(count > 60, `${count} changes`)
  t.end()
})

test('nobody can sign a manifest in the name of another tailer', t => {
  t.notOk(isManifestGenuine(signManifest(unsigned, thief.box.publicKey, thief.signing)), 'own keys, the id of another')
  t.notOk(isManifestGenuine(signManifest(unsigned, keys.box.publicKey, thief.signing)), 'box key of the other')
  const swapped = { ...signManifest(unsigned, thief.box.publicKey, thief.signing), signKey: keys.signing.publicKey }
  t.notOk(isManifestGenuine(swapped))
  t.end()
})

test('manifests chain: the digest depends on the one before', t => {
  const next = { ...unsigned, previous: manifestDigest(manifest) }
  t.notSame(manifestDigest(next), manifestDigest(unsigned))
  t.same(manifestDigest(manifest), manifestDigest(unsigned), 'the signature is not in it')
  t.equal(manifestDigest(unsigned).toString('hex'), 'e14ea4ef68f5580d98138bf61e9a58de3cc793d2b052a470443c664c3cd160ba')
  t.end()
})

test('a gone is genuine as it was signed, and with any field changed it is not', t => {
  t.ok(isGoneGenuine(gone))
  t.ok(isGoneGenuine(unpack(pack(gone)) as Gone))
  for (const [where, changed] of changes(gone)) t.notOk(isGoneGenuine(changed as Gone), where)
  t.notOk(isGoneGenuine(signGone(gone, thief.box.publicKey, thief.signing)))
  t.end()
})
