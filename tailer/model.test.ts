// The tailer against a model: random writes, rotations of all kinds, truncations, kills and power cuts, from a printed seed.
// Real files, the real Tailer, real bucks; only time runs faster. MODEL_SEED replays, MODEL_STEPS makes it longer.
//
// Promised: no token twice; every token that some file still has, once; one that was destroyed may be missing, and if the
// tailer knew its file, a hole or an alarm names it.
import { test } from 'tap'
import { Story } from './model-story.test-support.ts'

const SEED = Number(process.env.MODEL_SEED ?? Date.now() % 1_000_000_000)
const STEPS = Number(process.env.MODEL_STEPS ?? (process.env.BUCKTAIL_TEST_LONG ? 1_500_000 : 10_000))
const CHAPTER_STEPS = 400
test('no token twice, none missing, every loss named', { timeout: 24 * 3600_000 }, async t => {
  t.comment(`MODEL_SEED=${SEED} MODEL_STEPS=${STEPS}`)
  const sums = { steps: 0, tokens: 0, kills: 0, powerCuts: 0, destroyed: 0, missing: 0 }
  for (let chapter = 0; sums.steps < STEPS; chapter++) {
    const seed = SEED + chapter
    const steps = Math.min(CHAPTER_STEPS, STEPS - sums.steps)
    const story = new Story(seed)
    try {
      const wrong = await story.play(steps)
      if (wrong.length > 0) {
        t.fail(`MODEL_SEED=${seed} MODEL_STEPS=${steps}: ${wrong.length} wrong`, {
          wrong: wrong.slice(0, 10),
          story: story.told.slice(-60),
        })
        break
      }
    } catch (error) {
      t.error(error, `MODEL_SEED=${seed} MODEL_STEPS=${steps}`)
      t.comment(story.told.slice(-60).join('\n'))
      break
    } finally {
      await story.close()
    }
    sums.steps += steps
    for (const key of ['tokens', 'kills', 'powerCuts', 'destroyed', 'missing'] as const) sums[key] += story.sums[key]
  }
  t.comment(JSON.stringify(sums))
  t.ok(sums.steps >= STEPS && sums.tokens > sums.steps, 'as many steps as promised')
})
