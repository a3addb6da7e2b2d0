import { test } from 'tap'
import { seededFraction } from '../bin/samples.ts'
import { encodeFuse, FUSE_KEYS_MAX, FuseFilter, fuseBytes } from './binary-fuse.ts'

const SEED = Number(process.env.BUCKTAIL_SEED ?? 20_261_124)
const GOLDEN = '030000000000000008000000800080008f0083838601821e7d028d078403840c73c59f050000'

function drawKeys(count: number, random: () => number): Int32Array {
  const keys = new Set<number>()
  while (keys.size < count) keys.add(Math.floor(random() * 2 ** 32) | 0)
  return Int32Array.from(keys)
}

test('the bytes of a small filter stay what they are', async t => {
  t.equal(encodeFuse(Int32Array.of(1, -2, 3), 8)?.toString('hex'), GOLDEN)
})

for (const count of [0, 1, 2, 3, 10, 100, 5000, 60_000]) {
  for (const width of [5, 8]) {
    test(`${count} keys of ${width} bits: each key is found, others about as seldom as the width says`, async t => {
      const random = seededFraction(SEED + count)
      const keys = drawKeys(count, random)
      const bytes = encodeFuse(keys, width)
      if (!bytes) throw new Error('no seed fits')
      t.equal(bytes.length, fuseBytes(count, width))
      const filter = FuseFilter.decode(bytes)
      if (!filter) throw new Error('does not decode')
      t.equal(
        keys.findIndex(key => !filter.couldHold(key)),
        -1,
        `every key, seed ${SEED}`,
      )
      const known = new Set(keys)
      let wrong = 0
      const asked = 50_000
      for (let i = 0; i < asked; i++) {
        const key = Math.floor(random() * 2 ** 32) | 0
        if (!known.has(key) && filter.couldHold(key)) wrong++
      }
      const expected = count === 0 ? 0 : asked / 2 ** width
      t.ok(wrong <= expected * 1.4 + 200, `${wrong} of ${asked} wrong, ${expected} expected, seed ${SEED}`)
    })
  }
}

test('what is cut, longer or says something impossible is no filter', async t => {
  const bytes = encodeFuse(drawKeys(300, seededFraction(SEED)), 8)!
  for (let length = 0; length < bytes.length; length++) {
    if (FuseFilter.decode(bytes.subarray(0, length))) t.fail(`cut to ${length}`)
  }
  t.equal(FuseFilter.decode(Buffer.concat([bytes, Buffer.alloc(1)])), undefined)
  for (const [at, value] of [
    [0, 0xffffffff],
    [0, FUSE_KEYS_MAX],
    [8, 0],
    [8, 9],
  ]) {
    const wrong = Buffer.from(bytes)
    wrong.writeUInt32LE(value, at)
    t.equal(FuseFilter.decode(wrong), undefined, `${value} at ${at}`)
  }
  t.throws(() => encodeFuse(new Int32Array(FUSE_KEYS_MAX + 1), 8), RangeError)
})
