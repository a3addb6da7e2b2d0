// The second half of model.test.ts, with other seeds.
import { test } from 'tap'
import { play } from './model-play.test-support.ts'

test('no token twice, none missing, every loss named, in other stories', { timeout: 3600_000 }, async t => {
  await play(t, 1_000_000_000 + (Date.now() % 1_000_000_000), 5_000)
})
