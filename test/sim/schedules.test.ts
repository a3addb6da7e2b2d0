// Random schedules of faults, first each fault alone. SIM_SEED replays a run, SIM_SCHEDULES makes it longer; test/sim/run.ts
// tells the story. The other schedules-*.test.ts run beside this one.
import { test } from 'tap'
import { FAULTS } from './faults.ts'
import { runSchedule } from './schedule.ts'
import { SEED, told } from './schedules.test-support.ts'

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
  for (let i = 0; i < 5; i++) t.same(told(await runSchedule(SEED + i, { faults: [] })), [])
})

for (const name of Object.keys(FAULTS)) {
  test(`with ${name}, every line is once in index and archive when all is mended`, async t => {
    for (let i = 0; i < 2; i++) t.same(told(await runSchedule(SEED + i, { faults: [name], isExact: true })), [])
  })
}
