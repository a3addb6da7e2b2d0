import type { Outcome } from './schedule.ts'

/** The same for all files of one run if it is set; printed with every failure. */
export const SEED = Number(process.env.SIM_SEED ?? Math.floor(Math.random() * 1e9))
/** In each file. A schedule takes half a second; `npm run test:long` and test:sim make as many as somebody waits for. */
export const SCHEDULES = Number(process.env.SIM_SCHEDULES ?? (process.env.BUCKTAIL_TEST_LONG ? 300 : 20))

export function told({ seed, faults, broken }: Outcome): string[] {
  return broken.map(one => `seed ${seed} (${faults.join(', ') || 'no faults'}): ${one}`)
}
