// One schedule from one seed: an installation works while faults strike, everything is mended, and then every promise
// must hold.
//
//   0 ── programs write, faults strike ──▶ healed, programs stop ──▶ until index and archive have all ──▶ quiet ──▶ checks
import { brokenPromises, collect } from './checks.ts'
import { FAULTS } from './faults.ts'
import { type FleetShape, SimFleet } from './fleet.ts'
import { SeededRandom } from './seeded-random.ts'
import type { SimulationOptions } from './simulation.ts'

const FAULTY_MS = 60_000
const WRITING_MS = 80_000
/** So long may it take until everything is where it belongs; then the checks tell what is not. */
const HEALING_MS_MAX = 900_000
const LOOK_EVERY_MS = 15_000
/** At the end nothing may be sent any more. */
const QUIET_MS = 40_000

export interface ScheduleOptions extends SimulationOptions {
  /** Names of FAULTS to draw from. Default: all. */
  faults?: string[]
  /** Exactly these, not a random part of them. */
  isExact?: boolean
}

export interface Outcome {
  seed: number | string
  faults: string[]
  shape: FleetShape
  broken: string[]
  lines: number
  excused: number
  virtualMs: number
  events: number
  story: string[]
  storyHash: string
}

export async function runSchedule(seed: number | string, options: ScheduleOptions = {}): Promise<Outcome> {
  const random = new SeededRandom(`schedule ${seed}`)
  const shape = {
    hosts: random.integer(1, 3),
    bucks: random.integer(3, 4),
    porters: 1,
    filesPerHost: random.integer(1, 2),
  }
  const choice = options.faults ?? Object.keys(FAULTS)
  const faults = options.isExact ? choice : choice.filter(() => random.chance(0.35))
  const fleet = new SimFleet(seed, shape, options)
  const { timeline } = fleet.simulation
  const broken: string[] = []
  const onUnhandled = (error: unknown) => broken.push(`unhandled rejection: ${(error as Error)?.stack ?? error}`)
  process.on('unhandledRejection', onUnhandled)
  try {
    fleet.start()
    for (const name of faults) {
      const fault = FAULTS[name]
      const times = random.integer(1, fault.timesMax)
      for (let i = 0; i < times; i++) timeline.after(random.fraction() * FAULTY_MS, () => fault.strike(fleet, random))
    }
    await timeline.run(WRITING_MS)
    fleet.workload.stop()
    fleet.heal()
    broken.push(...(await settle(fleet)))
  } catch (error) {
    broken.push(`stopped: ${(error as Error).stack ?? error}`)
  } finally {
    process.off('unhandledRejection', onUnhandled)
  }
  for (const { name, failures } of fleet.members) {
    // A process may refuse to start on a full disk, and is started again.
    for (const failure of failures) if (!failure.includes('ENOSPC')) broken.push(`${name} ${failure}`)
  }
  const lines = [...fleet.workload.lines.values()]
  return {
    seed,
    faults,
    shape,
    broken,
    lines: lines.length,
    excused: lines.filter(line => line.excuse).length,
    virtualMs: timeline.nowMs,
    events: timeline.events,
    story: fleet.simulation.story(2_000),
    storyHash: fleet.simulation.storyHash(),
  }
}

async function settle(fleet: SimFleet): Promise<string[]> {
  const { timeline, network } = fleet.simulation
  const deadline = timeline.nowMs + HEALING_MS_MAX
  const required = [...fleet.workload.lines.values()].filter(line => !line.excuse).length
  do {
    await timeline.run(timeline.nowMs + LOOK_EVERY_MS)
    // What struck late mends late: it is mended again.
    fleet.heal()
    // Two counts are cheap; only when they suffice every line is looked at.
    if ((await storedLines(fleet)) < required) continue
    if (!(await look(fleet)).some(one => one.includes('missing'))) break
  } while (timeline.nowMs < deadline)
  await timeline.run(timeline.nowMs + QUIET_MS)
  const before = new Map(network.delivered)
  await timeline.run(timeline.nowMs + QUIET_MS)
  const broken = await look(fleet)
  for (const type of ['packet', 'want', 'fetch']) {
    const more = (network.delivered.get(type) ?? 0) - (before.get(type) ?? 0)
    if (more > 0) broken.push(`${more} times ${type} after all was archived`)
  }
  return broken
}

/** In the store that has fewer. */
async function storedLines(fleet: SimFleet): Promise<number> {
  const { timeline } = fleet.simulation
  const { index, archive } = await timeline.drive(fleet.stores())
  const totals = await timeline.drive(Promise.all([index.totals(), archive.totals()]))
  return Math.min(...totals.map(sources => sources.reduce((sum, source) => sum + source.lines, 0)))
}

async function look(fleet: SimFleet): Promise<string[]> {
  const { timeline } = fleet.simulation
  const { index, archive } = await timeline.drive(fleet.stores())
  const inIndex = await timeline.drive(collect(index))
  const inArchive = await timeline.drive(collect(archive))
  return [...brokenPromises('index', inIndex, fleet.workload), ...brokenPromises('archive', inArchive, fleet.workload)]
}
