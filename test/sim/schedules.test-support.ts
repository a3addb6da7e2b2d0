import type { Outcome } from './schedule.ts'

/** The same for all files of one run if it is set; printed with every failure. */
export const SEED = Number(process.env.SIM_SEED ?? Math.floor(Math.random() * 1e9))
/** In each file. */
export const SCHEDULES = Number(process.env.SIM_SCHEDULES ?? 60)

export function told({ seed, faults, broken }: Outcome): string[] {
  return broken.map(one => `seed ${seed} (${faults.join(', ') || 'no faults'}): ${one}`)
}
