// One schedule from one seed: an installation works while faults strike, everything is mended, and then every promise
// must hold.
//
//   0 ── programs write, faults strike ──▶ healed, programs stop ──▶ until index and archive have all ──▶ quiet ──▶ checks
import { brokenPromises, collect, type Found, missingLines } from './checks.ts'
import { ALL_FAULTS, FAULTS } from './faults.ts'
import { type FleetShape, HOLE_AFTER_MS, SimFleet } from './fleet.ts'
import { ForgettingWatch, falselyComplete, falseWords, unnamedLines } from './ledger-checks.ts'
import { SeededRandom } from './seeded-random.ts'
import type { SimulationOptions } from './simulation.ts'
import type { WrittenLine } from './workload.ts'

const FAULTY_MS = 50_000
const WRITING_MS = 60_000
/** So long may it take until everything is where it belongs; then the checks tell what is not. */
const HEALING_MS_MAX = 900_000
const LOOK_EVERY_MS = 15_000
/** Whoever was not mended by the second look has been silent since then. */
const SILENT_FROM_MS = WRITING_MS + 2 * LOOK_EVERY_MS
/** In the end nothing is sent for so long, and that comes to pass within … */
const QUIET_MS = 25_000
const QUIET_AFTER_MS_MAX = 240_000
/** By then tailers that were away have opened, looked and reported. */
const LEDGER_AFTER_LOOKS = 3

export interface ScheduleOptions extends SimulationOptions {
  /** Names of ALL_FAULTS to draw from. Default: FAULTS. */
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
  /** Missing in the end, and named as holes. */
  named: number
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
  const watch = new ForgettingWatch(fleet)
  let named = 0
  const onUnhandled = (error: unknown) => broken.push(`unhandled rejection: ${(error as Error)?.stack ?? error}`)
  process.on('unhandledRejection', onUnhandled)
  try {
    fleet.start()
    for (const name of faults) {
      const fault = ALL_FAULTS[name]
      const times = random.integer(1, fault.timesMax)
      for (let i = 0; i < times; i++) timeline.after(random.fraction() * FAULTY_MS, () => fault.strike(fleet, random))
    }
    await timeline.run(WRITING_MS)
    fleet.workload.stop()
    fleet.heal()
    const settled = await settle(fleet, watch, faults)
    broken.push(...settled.broken, ...watch.broken)
    named = settled.named
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
    named,
    virtualMs: timeline.nowMs,
    events: timeline.events,
    story: fleet.simulation.story(2_000),
    storyHash: fleet.simulation.storyHash(),
  }
}

/** What was begun and told to nobody is begun again under another name. */
const FORGETFUL = new Set(['rollback', 'memory', 'folder', 'garble'])

/** These may cost lines, which the ledger names then. */
function mayLose(faults: string[]): boolean {
  return faults.some(name => !(name in FAULTS))
}

interface Look {
  index: Found
  archive: Found
  missing: WrittenLine[]
}

async function settle(
  fleet: SimFleet,
  watch: ForgettingWatch,
  faults: string[],
): Promise<{ broken: string[]; named: number }> {
  const { timeline } = fleet.simulation
  const isHard = mayLose(faults)
  // What may make a line come twice: docs/simulation.md tells why.
  const strikes = faults.length > 1 || FORGETFUL.has(faults[0]) ? fleet.workload.strikes : new Map()
  const deadline = timeline.nowMs + HEALING_MS_MAX
  const required = [...fleet.workload.lines.values()].filter(line => !line.excuse).length
  const broken: string[] = []
  for (let looks = 1; timeline.nowMs < deadline; looks++) {
    await timeline.run(timeline.nowMs + LOOK_EVERY_MS)
    // What struck late mends late: it is mended again.
    fleet.heal()
    // Tailers have opened and reported by then.
    if (looks === LEDGER_AFTER_LOOKS) broken.push(...(await mistakenNow(fleet, watch)))
    // Two counts are cheap; only when they suffice, or lines may be lost, every line is looked at.
    if (!isHard && (await storedLines(fleet)) < required) continue
    const { missing } = await look(fleet)
    if (missing.length === 0) break
    if (isHard && looks >= LEDGER_AFTER_LOOKS) {
      const ledger = await timeline.drive(fleet.ledger())
      if (watch.unheardOf(unnamedLines(ledger, missing, fleet.workload)).length === missing.length) break
      if (unnamedLines(ledger, missing, fleet.workload).length === 0) break
    }
  }
  broken.push(...(await untilQuiet(fleet)))
  // An id that a host had until it was put back is waited for so long, and no longer.
  if (isHard) await timeline.run(Math.max(timeline.nowMs, SILENT_FROM_MS + HOLE_AFTER_MS))
  const ledger = await timeline.drive(fleet.ledger())
  const { index, archive, missing } = await look(fleet)
  const excused = new Set(isHard ? missing : [])
  for (const line of unnamedLines(ledger, missing, fleet.workload)) excused.delete(line)
  const named = excused.size
  for (const line of watch.unheardOf(missing)) excused.add(line)
  broken.push(
    ...brokenPromises('index', index, fleet.workload, excused, strikes),
    ...brokenPromises('archive', archive, fleet.workload, excused, strikes),
    ...falseWords(ledger, archive, fleet),
  )
  return { broken, named }
}

/** Nothing may be sent for ever. */
async function untilQuiet({ simulation: { timeline, network } }: SimFleet): Promise<string[]> {
  const sent = () => ['packet', 'want', 'fetch'].map(type => network.delivered.get(type) ?? 0)
  const deadline = timeline.nowMs + QUIET_AFTER_MS_MAX
  for (let before = sent(); ; before = sent()) {
    await timeline.run(timeline.nowMs + QUIET_MS)
    const more = sent().map((count, i) => count - before[i])
    if (more.every(count => count === 0)) return []
    if (timeline.nowMs >= deadline) return [`packets, wants, fetches in the last ${QUIET_MS / 1000} s: ${more.join()}`]
  }
}

/** What the ledger says before all is archived. */
async function mistakenNow(fleet: SimFleet, watch: ForgettingWatch): Promise<string[]> {
  const ledger = await fleet.simulation.timeline.drive(fleet.ledger())
  const { index, archive } = await look(fleet)
  const nowhere = missingLines(index, fleet.workload).filter(line => !archive.places.has(line.text))
  const unheard = new Set(watch.unheardOf(nowhere))
  return falselyComplete(
    ledger,
    nowhere.filter(line => !unheard.has(line)),
  )
}

/** In the store that has fewer. */
async function storedLines(fleet: SimFleet): Promise<number> {
  const { timeline } = fleet.simulation
  const { index, archive } = await timeline.drive(fleet.stores())
  const totals = await timeline.drive(Promise.all([index.totals(), archive.totals()]))
  return Math.min(...totals.map(sources => sources.reduce((sum, source) => sum + source.lines, 0)))
}

async function look(fleet: SimFleet): Promise<Look> {
  const { timeline } = fleet.simulation
  const stores = await timeline.drive(fleet.stores())
  const index = await timeline.drive(collect(stores.index))
  const archive = await timeline.drive(collect(stores.archive))
  const missing = new Set([...missingLines(index, fleet.workload), ...missingLines(archive, fleet.workload)])
  return { index, archive, missing: [...missing] }
}
