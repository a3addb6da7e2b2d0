// What can go wrong, each kind by its name. A fault is a moment: it breaks something, and mends it some time later.
import type { SimFleet } from './fleet.ts'
import type { SeededRandom } from './seeded-random.ts'
import type { Machine } from './sim-process.ts'

export interface Fault {
  /** How often in a faulty phase, at most. */
  timesMax: number
  strike(fleet: SimFleet, random: SeededRandom): void
}

const second = 1000

export const FAULTS: Record<string, Fault> = {
  /** kill -9 of one process. */
  kill: {
    timesMax: 12,
    strike: (fleet, random) => random.pick(fleet.members).kill(),
  },
  /** A machine with a tailer or a buck loses power for a while. */
  power: {
    timesMax: 3,
    strike(fleet, random) {
      const machine = random.pick([...fleet.hosts, ...fleet.bucks]).machine
      fleet.powerCut(machine, { garbage: random.chance(0.3) })
      fleet.later(random.span(40 * second), () => fleet.powerUp(machine))
    },
  },
  /** Two machines do not reach each other. */
  cut: {
    timesMax: 8,
    strike(fleet, random) {
      const [a, b] = pair(fleet, random)
      fleet.network.cut(a, b)
      fleet.later(random.span(120 * second), () => fleet.network.heal(a, b))
    },
  },
  /** Nobody reaches one machine. */
  island: {
    timesMax: 3,
    strike(fleet, random) {
      const alone = random.pick(fleet.machines)
      const others = fleet.machines.filter(machine => machine !== alone)
      for (const other of others) fleet.network.cut(alone, other)
      fleet.later(random.span(120 * second), () => {
        for (const other of others) fleet.network.heal(alone, other)
      })
    },
  },
  slow: {
    timesMax: 4,
    strike(fleet, random) {
      const [a, b] = pair(fleet, random)
      fleet.network.slow(a, b, 0.2 + random.span(20))
    },
  },
  /** Links break; what is under way is lost, answers too. */
  reset: {
    timesMax: 12,
    strike(fleet, random) {
      const share = random.fraction()
      fleet.network.reset(() => random.chance(share))
    },
  },
  /** A wall clock is set, by seconds or by a day, back or forth. */
  clock: {
    timesMax: 4,
    strike(fleet, random) {
      const step = random.span(100_000 * second) * (random.chance(0.5) ? 1 : -1)
      const machine = random.pick(fleet.machines)
      machine.trace?.(machine.name, `its clock steps by ${Math.round(step)} ms`)
      machine.wallOffsetMs += step
    },
  },
  /** A tailer is down while its log goes on and rotates. */
  late: {
    timesMax: 2,
    strike(fleet, random) {
      const tailer = random.pick(fleet.hosts)
      tailer.isHeldDown = true
      tailer.process?.kill()
      fleet.later(random.span(150 * second), () => {
        tailer.isHeldDown = false
        tailer.start()
      })
    },
  },
  /** A second porter works at the same time, whatever the lease says of it. */
  porters: {
    timesMax: 1,
    strike: fleet => fleet.startSecondPorter(),
  },
  /** The index is what it was some time ago, or empty. */
  index: {
    timesMax: 2,
    strike(fleet, random) {
      fleet.keepIndexCopy()
      fleet.later(random.span(100 * second), () => fleet.restoreIndex(random.chance(0.5)))
    },
  },
  /** The disk of one buck is lost. One per schedule: the promise is about two machines, and the tailer is one of them. */
  disk: {
    timesMax: 1,
    strike(fleet, random) {
      const buck = random.pick(fleet.bucks)
      if (fleet.mayHarm(buck.machine)) fleet.loseDisk(buck)
    },
  },
  /** A disk has no room. */
  full: {
    timesMax: 4,
    strike(fleet, random) {
      const machine = random.pick(fleet.machines)
      machine.trace?.(machine.name, 'disk full')
      machine.disk.capacityBytes = machine.disk.usedBytes + random.integer(0, 20_000)
      fleet.later(random.span(90 * second), () => {
        machine.disk.capacityBytes = Number.POSITIVE_INFINITY
      })
    },
  },
}

/**
 * Hosts that are copied, put back, moved or lost, and media that lie. What these may cost is told in docs/simulation.md;
 * whatever is missing then, the ledger names.
 */
export const HARD_FAULTS: Record<string, Fault> = {
  /** Two of one host at once; with one identity, or with two. */
  clone: {
    timesMax: 1,
    strike(fleet, random) {
      const host = random.pick(fleet.hosts)
      const image = host.machine.disk.image()
      const identity = random.chance(0.5) ? host.machine.identity : `${host.machine.name}-twin`
      fleet.later(random.span(20 * second), () => fleet.clone(host, image, identity))
    },
  },
  /** A host is put back by seconds and boots. */
  rollback: {
    timesMax: 2,
    strike(fleet, random) {
      const host = random.pick(fleet.hosts)
      if (!fleet.mayHarm(host.machine)) return
      const image = host.machine.disk.image()
      fleet.later(1 * second + random.span(40 * second), () => fleet.rollBack(host, image))
    },
  },
  /** A host is put back by seconds with its memory. */
  memory: {
    timesMax: 2,
    strike(fleet, random) {
      const host = random.pick(fleet.hosts)
      if (!host.isUp || !fleet.mayHarm(host.machine)) return
      host.process?.kill()
      const image = host.machine.disk.image()
      host.start()
      const seed = host.process?.seed
      if (!seed) return
      fleet.later(1 * second + random.span(40 * second), () => fleet.rollBackWithMemory(host, image, seed))
    },
  },
  /** A tailer finds its folder empty. */
  folder: {
    timesMax: 2,
    strike(fleet, random) {
      const host = random.pick(fleet.hosts)
      if (fleet.mayHarm(host.machine)) fleet.loseTailerFolder(host)
    },
  },
  /** A host's disk lies in another machine. */
  move: {
    timesMax: 2,
    strike(fleet, random) {
      const host = random.pick(fleet.hosts)
      fleet.move(host, `${host.machine.name}-moved-${Math.round(fleet.simulation.timeline.nowMs)}`)
    },
  },
  /** A host does not come back. */
  dead: {
    timesMax: 1,
    strike(fleet, random) {
      const { machine } = random.pick(fleet.hosts)
      if (fleet.mayHarm(machine)) fleet.die(machine)
    },
  },
  /** Bits of bucket files, journals and logs flip on one machine. */
  garble: {
    timesMax: 3,
    strike(fleet, random) {
      const member = random.pick([...fleet.hosts, ...fleet.bucks])
      if (member.machine.isUp && fleet.mayHarm(member.machine)) fleet.garble(member, random)
    },
  },
}

export const ALL_FAULTS: Record<string, Fault> = { ...FAULTS, ...HARD_FAULTS }

function pair(fleet: SimFleet, random: SeededRandom): [Machine, Machine] {
  const a = random.pick(fleet.machines)
  return [a, random.pick(fleet.machines.filter(machine => machine !== a))]
}
