// Random schedules of faults. SIM_SEED replays a run, SIM_SCHEDULES makes it longer; test/sim/run.ts tells the story.
import { test } from 'tap'
import { FAULTS } from './faults.ts'
import { type Outcome, runSchedule } from './schedule.ts'

const SEED = Number(process.env.SIM_SEED ?? Math.floor(Math.random() * 1e9))
const SCHEDULES = Number(process.env.SIM_SCHEDULES ?? 25)

function told({ seed, faults, broken }: Outcome): string[] {
  return broken.map(one => `seed ${seed} (${faults.join(', ') || 'no faults'}): ${one}`)
}

test('the same seed, traced or not, is the same run', async t => {
  const [first, second, plain] = [
    await runSchedule('again', { isTraced: true }),
    await runSchedule('again', { isTraced: true }),
    await runSchedule('again'),
  ]
  t.ok(first.story.length > 100)
  t.equal(first.storyHash, second.storyHash)
  t.same([plain.events, plain.virtualMs, plain.broken], [first.events, first.virtualMs, first.broken])
})

test('without a fault every line is once in index and archive, and then nothing moves any more', async t => {
  for (let i = 0; i < 3; i++) t.same(told(await runSchedule(SEED + i, { faults: [] })), [])
})

for (const name of Object.keys(FAULTS)) {
  test(`with ${name}, every line is once in index and archive when all is mended`, async t => {
    t.same(told(await runSchedule(SEED, { faults: [name], isExact: true })), [])
  })
}

test('with any faults together, every line is once in index and archive when all is mended', async t => {
  t.comment(`SIM_SEED=${SEED} SIM_SCHEDULES=${SCHEDULES}`)
  for (let i = 0; i < SCHEDULES; i++) t.same(told(await runSchedule(SEED + 100 + i)), [])
})
