import { test } from 'tap'
import { seededRandom, testSeed } from '../packets.test-support.ts'
import { BlockCache } from './block-cache.ts'

test('the cache stays within its bytes, also when what it keeps grows', async t => {
  const seed = testSeed('SEARCH_SEED')
  t.comment(`SEARCH_SEED=${seed}`)
  const random = seededRandom(seed)
  const cache = new BlockCache<{ heldBytes: number }>(1000, random)
  const blocks = Array.from({ length: 40 }, () => ({ heldBytes: Math.floor(random() * 200) }))
  for (let n = 0; n < 2000; n++) {
    const k = Math.floor(random() * blocks.length)
    blocks[k].heldBytes = Math.floor(random() * 1100)
    cache.set(`${k}`, blocks[k])
    if (cache.bytes > 1000) t.fail(`${cache.bytes} bytes`)
    const isKept = cache.get(`${k}`) === blocks[k]
    if (isKept !== blocks[k].heldBytes <= 1000) t.fail(`of ${blocks[k].heldBytes} bytes: ${isKept}`)
  }
})

test('going through a little more than fits, again and again, still finds most of it', async t => {
  const cache = new BlockCache<{ heldBytes: number }>(1000, seededRandom(1))
  let found = 0
  for (let round = 0; round < 50; round++) {
    for (let k = 0; k < 12; k++) {
      if (cache.get(`${k}`)) found++
      else cache.set(`${k}`, { heldBytes: 100 })
    }
  }
  t.ok(found > 0.5 * 50 * 12, `${found} of ${50 * 12}`)
})
