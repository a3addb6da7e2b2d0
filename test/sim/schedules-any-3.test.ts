import { test } from 'tap'
import { runSchedule } from './schedule.ts'
import { SCHEDULES, SEED, told } from './schedules.test-support.ts'

test('with any faults together, every line is once in index and archive when all is mended', async t => {
  const first = SEED + 3 * 100_000
  t.comment(`SIM_SEED=${SEED} SIM_SCHEDULES=${SCHEDULES}: seeds from ${first} on`)
  for (let i = 0; i < SCHEDULES; i++) t.same(told(await runSchedule(first + i)), [])
})
