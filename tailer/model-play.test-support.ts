// Plays stories of the model, some beside each other, until so many steps are done and so much time is over, or one is wrong.
import type { Test } from 'tap'
import { Story } from './model-story.test-support.ts'

const CHAPTER_STEPS = 400
/** One waits while another one works. */
const STORIES_AT_ONCE = 4

export async function play(t: Test, firstSeed: number, steps: number, msLeast = 0): Promise<void> {
  t.comment(`MODEL_SEED=${firstSeed} MODEL_STEPS=${steps}${msLeast > 0 ? ` and at least ${msLeast / 60_000} min` : ''}`)
  const endMs = performance.now() + msLeast
  const sums = { steps: 0, tokens: 0, kills: 0, powerCuts: 0, destroyed: 0, missing: 0 }
  let begun = 0
  let isWrong = false
  const tell = async () => {
    while (!isWrong && (begun < steps || performance.now() < endMs)) {
      const seed = firstSeed + begun / CHAPTER_STEPS
      const count = begun < steps ? Math.min(CHAPTER_STEPS, steps - begun) : CHAPTER_STEPS
      begun += count
      const story = new Story(seed)
      const wrong = await story
        .play(count)
        .catch((error: Error) => [String(error.stack)])
        .finally(() => story.close())
      if (wrong.length > 0) {
        isWrong = true
        const last = story.told.slice(-60)
        t.fail(`MODEL_SEED=${seed} MODEL_STEPS=${count}: ${wrong.length} wrong`, { wrong: wrong.slice(0, 10), last })
      }
      sums.steps += count
      for (const key of ['tokens', 'kills', 'powerCuts', 'destroyed', 'missing'] as const) sums[key] += story.sums[key]
    }
  }
  await Promise.all(Array.from({ length: STORIES_AT_ONCE }, tell))
  t.comment(JSON.stringify(sums))
  t.ok(sums.steps >= steps && sums.tokens > sums.steps, 'as many steps as promised')
}
