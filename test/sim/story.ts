// A fleet that goes through one story step by step, and what must hold at its end.
import { brokenPromises, collect } from './checks.ts'
import { type FleetShape, SimFleet } from './fleet.ts'
import { ForgettingWatch, falseWords } from './ledger-checks.ts'
import type { Member } from './member.ts'
import { EPOCH_MS } from './sim-process.ts'
import type { Program } from './workload.ts'

export const second = 1000
/** Until everything is archived, also what is sent anew. */
const HEALING_MS = 200 * second
/** A bucket, and what it takes to seal it and to say so. */
const OVER_SECONDS = 14

export class Story {
  readonly fleet: SimFleet
  readonly watch: ForgettingWatch
  readonly host: Member
  readonly program: Program

  constructor(seed: string, shape: Partial<FleetShape> = {}) {
    const whole = { hosts: 1, bucks: 3, porters: 1, filesPerHost: 1, isByHand: true, ...shape }
    this.fleet = new SimFleet(seed, whole, {
      isTraced: process.env.TRACE === '1',
      onLine: line => console.log(line),
    })
    this.watch = new ForgettingWatch(this.fleet)
    this.host = this.fleet.hosts[0]
    this.program = this.fleet.workload.programs[0]
    this.fleet.start()
  }

  /** Time passes. */
  run(ms: number): Promise<void> {
    const { timeline } = this.fleet.simulation
    return timeline.run(timeline.nowMs + ms)
  }

  /** Nobody reaches the host. */
  cutOff(host = this.host): void {
    for (const machine of this.fleet.machines)
      if (machine !== host.machine) this.fleet.network.cut(host.machine, machine)
  }

  /** What the tailer has on its disk. */
  folder(): Map<string, Buffer> {
    return this.fleet.filesOf(this.host.machine, '/data/tailer')
  }

  /** The host loses power; when it is back, the tailer's folder and the log are what they were before. */
  async losePower(offMs: number, before: { folder?: Map<string, Buffer>; logBytes?: number }): Promise<void> {
    const { machine } = this.host
    machine.disk.writeBack()
    this.fleet.powerCut(machine, { garbage: false })
    if (before.folder) this.fleet.replaceFiles(machine, '/data/tailer', before.folder)
    if (before.logBytes !== undefined)
      machine.disk.truncate(machine.disk.file(this.program.config.path), before.logBytes)
    for (const program of this.fleet.workload.of(machine)) program.afterLoss('lost from the file by a power cut')
    await this.run(offMs)
    this.fleet.powerUp(machine)
  }

  /** Heals, waits, and answers every broken promise. */
  async broken(): Promise<string[]> {
    const { fleet } = this
    const { timeline } = fleet.simulation
    fleet.heal()
    await this.run(HEALING_MS)
    const ledger = await timeline.drive(fleet.ledger())
    const stores = await timeline.drive(fleet.stores())
    const index = await timeline.drive(collect(stores.index))
    const archive = await timeline.drive(collect(stores.archive))
    const failures = fleet.members.flatMap(({ name, failures }) => failures.map(failure => `${name} ${failure}`))
    return [
      ...brokenPromises('index', index, fleet.workload),
      ...brokenPromises('archive', archive, fleet.workload),
      ...falseWords(ledger, archive, fleet),
      ...this.watch.broken,
      ...failures,
    ]
  }

  /** Buckets that are over, and whose tailer has not said yet what is in them. */
  async unsealed(): Promise<string[]> {
    const { timeline } = this.fleet.simulation
    const ledger = await timeline.drive(this.fleet.ledger())
    const overBefore = (EPOCH_MS + timeline.nowMs) / 1000 - OVER_SECONDS
    const rows = ledger.buckets.filter(row => row.bucket < overBefore && row.note.includes('no manifest'))
    return rows.map(({ tailer, bucket, note }) => `${tailer} ${bucket}: ${note}`)
  }

  /** In how many places each of these lines is, in index and archive. */
  async places(lines: string[]): Promise<{ index: number[]; archive: number[] }> {
    const { timeline } = this.fleet.simulation
    const stores = await timeline.drive(this.fleet.stores())
    const [index, archive] = [
      await timeline.drive(collect(stores.index)),
      await timeline.drive(collect(stores.archive)),
    ]
    const counts = ({ places }: typeof index) => lines.map(line => places.get(line)?.length ?? 0)
    return { index: counts(index), archive: counts(archive) }
  }

  /** Ids that ever delivered. */
  async tailers(): Promise<string[]> {
    const { timeline } = this.fleet.simulation
    const { archive } = await timeline.drive(this.fleet.stores())
    const keys = [...(await timeline.drive(archive.sequences())).keys()]
    return [...new Set(keys.map(key => key.split('/')[0]))]
  }
}
