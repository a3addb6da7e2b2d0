// The tailer against a model: random writes, rotations of all kinds, truncations, kills and power cuts, from a printed seed.
// Real files, the real Tailer, real bucks; time runs faster, and in most stories the tailer's disk stalls now and then, so
// that files change between two steps of a look. MODEL_SEED replays, MODEL_STEPS makes it longer; without, half of the
// 10,000 steps of a run are here and half in model-more.test.ts: a file must be done in time on a busy machine, too.
//
// Promised: no token twice; every token that some file still has, once; one that was destroyed may be missing, and if the
// tailer knew its file, a hole or an alarm names it.
import { test } from 'tap'
import { play } from './model-play.test-support.ts'

const { MODEL_SEED, MODEL_STEPS, BUCKTAIL_TEST_LONG } = process.env
const STEPS = Number(MODEL_STEPS ?? 5_000)
const LONG_MS = 110 * 60_000
const isLong = BUCKTAIL_TEST_LONG !== undefined && MODEL_STEPS === undefined

test('no token twice, none missing, every loss named', { timeout: 24 * 3600_000 }, async t => {
  await play(t, Number(MODEL_SEED ?? Date.now() % 1_000_000_000), STEPS, isLong ? LONG_MS : 0)
})
