// The tailer against a model: random writes, rotations of all kinds, truncations, kills and power cuts, from a printed seed.
// Real files, the real Tailer, real bucks; time runs faster, and in most stories the tailer's disk stalls now and then, so
// that files change between two steps of a look. MODEL_SEED replays, MODEL_STEPS makes it longer.
//
// Promised: no token twice; every token that some file still has, once; one that was destroyed may be missing, and if the
// tailer knew its file, a hole or an alarm names it.
import { test } from 'tap'
import { Story } from './model-story.test-support.ts'

const SEED = Number(process.env.MODEL_SEED ?? Date.now() % 1_000_000_000)
const { MODEL_STEPS, BUCKTAIL_TEST_LONG } = process.env
const STEPS = Number(MODEL_STEPS ?? (BUCKTAIL_TEST_LONG ? 1_500_000 : 10_000))
const CHAPTER_STEPS = 400
/** Stories beside each other: one waits while another one works. */
const STORIES_AT_ONCE = 4

test('no token twice, none missing, every loss named', { timeout: 24 * 3600_000 }, async t => {
  t.comment(`MODEL_SEED=${SEED} MODEL_STEPS=${STEPS}`)
  const sums = { steps: 0, tokens: 0, kills: 0, powerCuts: 0, destroyed: 0, missing: 0 }
  let begun = 0
  let isWrong = false
  const tell = async () => {
    while (begun < STEPS && !isWrong) {
      const seed = SEED + begun / CHAPTER_STEPS
      const steps = Math.min(CHAPTER_STEPS, STEPS - begun)
      begun += steps
      const story = new Story(seed)
      const wrong = await story
        .play(steps)
        .catch((error: Error) => [String(error.stack)])
        .finally(() => story.close())
      if (wrong.length > 0) {
        isWrong = true
        const last = story.told.slice(-60)
        t.fail(`MODEL_SEED=${seed} MODEL_STEPS=${steps}: ${wrong.length} wrong`, { wrong: wrong.slice(0, 10), last })
      }
      sums.steps += steps
      for (const key of ['tokens', 'kills', 'powerCuts', 'destroyed', 'missing'] as const) sums[key] += story.sums[key]
    }
  }
  await Promise.all(Array.from({ length: STORIES_AT_ONCE }, tell))
  t.comment(JSON.stringify(sums))
  t.ok(sums.steps >= STEPS && sums.tokens > sums.steps, 'as many steps as promised')
})
