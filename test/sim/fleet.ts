// A whole installation in a simulated world: hosts with programs and a tailer, bucks, porters, and one store host whose
// disk holds index and archive. Everything that runs in it is the real code of tailer/, buck/ and porter/.
import { createHash } from 'node:crypto'
import { dirname } from 'node:path'
import { Buck } from '../../buck/buck.ts'
import { Porter } from '../../porter/porter.ts'
import { FolderStore } from '../../shared/folder-store.ts'
import { Lease } from '../../shared/lease.ts'
import { computeLedger, type Ledger } from '../../shared/ledger.ts'
import { gatherLedgerInputs } from '../../shared/ledger-gather.ts'
import type { Link, Peer, Role } from '../../shared/link.ts'
import { SegmentStore } from '../../shared/segment-store.ts'
import type { EventStore } from '../../shared/stores.ts'
import type { Disk } from '../../shared/world.ts'
import { TAILER_DEFAULTS, Tailer, type TailerConfig } from '../../tailer/tailer.ts'
import { Member } from './member.ts'
import type { SeededRandom } from './seeded-random.ts'
import type { DiskImage, PowerCutOptions } from './sim-disk.ts'
import type { SimNetwork } from './sim-network.ts'
import type { Machine, SimProcess } from './sim-process.ts'
import { Simulation, type SimulationOptions } from './simulation.ts'
import { Workload } from './workload.ts'

export interface FleetShape {
  hosts: number
  bucks: number
  porters: number
  filesPerHost: number
  /** Programs that write and rotate only when they are told to, with all generations in the settings. */
  isByHand?: boolean
  /** Other settings of the tailers than the simulation's. */
  tailer?: Partial<TailerConfig>
}

const BUCKET_SECONDS = 10
/** Days of real life in minutes: the order of things is what matters. */
const ARCHIVE_AFTER_MS = 30_000
export const HOLE_AFTER_MS = 60_000
/** "A line is safe from the loss of any two machines once two bucks hold it." */
const HARMED_MAX = 2
const GIGABYTE = 1_000_000_000

interface Onlooking {
  index: EventStore
  archive: EventStore
  disk: Disk
}

export class SimFleet {
  readonly simulation: Simulation
  readonly random: SeededRandom
  readonly workload = new Workload()
  readonly hosts: Member[] = []
  readonly bucks: Member[] = []
  readonly porters: Member[] = []
  /** Its disk holds index and archive. It never loses power: it stands for S3 and its like. */
  readonly store: Machine
  /** Machines that will not come back. */
  readonly dead = new Set<Machine>()
  /** Machines whose disk was lost, in whole or in part: the promise is about two. */
  readonly harmed = new Set<Machine>()
  onForget: ((machine: Machine, path: string, bytes: Buffer) => void) | undefined
  readonly #halves = new Set<{ run(): void }>()
  #onlooking: Promise<Onlooking> | undefined
  #indexCopy: [path: string, bytes: Buffer][] | undefined
  readonly #addresses: string[]
  readonly #tailerSettings: Partial<TailerConfig>

  constructor(seed: number | string, shape: FleetShape, options: SimulationOptions = {}) {
    this.simulation = new Simulation(seed, options)
    this.#tailerSettings = shape.tailer ?? {}
    this.random = this.simulation.random.fork('fleet')
    this.#addresses = Array.from({ length: shape.bucks }, (_, k) => `buck${k}:7700`)
    this.store = this.simulation.machine('store')
    for (let p = 0; p < shape.porters; p++) this.#addPorter()
    for (const [k, address] of this.#addresses.entries()) {
      const machine = this.simulation.machine(`buck${k}`)
      this.#watchForgetting(machine)
      this.bucks.push(new Member(`buck${k}`, machine, process => this.#runBuck(process, `buck${k}`, address)))
    }
    for (let h = 0; h < shape.hosts; h++) {
      const machine = this.simulation.machine(`host${h}`)
      this.#watchForgetting(machine)
      const random = this.random.fork(`programs ${h}`)
      for (let f = 0; f < shape.filesPerHost; f++) {
        this.workload.start(
          machine,
          {
            path: `/log/app${f}.log`,
            isByHand: shape.isByHand,
            isGlob: shape.isByHand || random.chance(0.4),
            rotation: random.pick(['none', 'rename', 'rename', 'copytruncate']),
            rotateBytes: random.integer(500, 6_000),
            rotateEveryMsLeast: random.integer(2_000, 20_000),
            burstEveryMs: random.pick([400, 1_500, 5_000]),
            burstLinesMax: random.pick([1, 3, 10]),
          },
          random.fork(`program ${f}`),
        )
      }
      this.hosts.push(new Member(`tailer${h}`, machine, process => this.#runTailer(process)))
    }
  }

  get network(): SimNetwork {
    return this.simulation.network
  }

  get machines(): Machine[] {
    return [...new Set(this.members.map(member => member.machine))]
  }

  get members(): Member[] {
    return [...this.hosts, ...this.bucks, ...this.porters]
  }

  start(): void {
    for (const member of this.members) member.start()
  }

  /** The second half of a fault: after `ms`, or when everything is healed, whichever is sooner. */
  later(ms: number, run: () => void): void {
    const half = { run }
    this.#halves.add(half)
    this.simulation.timeline.after(ms, () => {
      if (this.#halves.delete(half)) run()
    })
  }

  powerCut(machine: Machine, options: PowerCutOptions): void {
    if (!machine.isUp) return
    machine.powerCut(options)
    for (const program of this.workload.of(machine)) program.afterLoss('lost from the file by a power cut')
  }

  powerUp(machine: Machine): void {
    if (machine.isUp || this.dead.has(machine)) return
    machine.powerUp()
    for (const member of this.members) if (member.machine === machine) member.startLater()
  }

  loseDisk(member: Member): void {
    member.machine.trace?.(member.machine.name, 'disk lost')
    member.process?.kill()
    member.machine.disk.wipe()
    member.startLater()
  }

  /** True, and counted, if this machine may be harmed without more being harmed than the promise is about. */
  mayHarm(machine: Machine): boolean {
    if (this.harmed.size >= HARMED_MAX && !this.harmed.has(machine)) return false
    this.harmed.add(machine)
    return true
  }

  filesOf(machine: Machine, folder: string): Map<string, Buffer> {
    return new Map(filesBelow(machine, folder))
  }

  replaceFiles(machine: Machine, folder: string, files: Map<string, Buffer>): void {
    for (const [path] of filesBelow(machine, folder)) machine.disk.unlink(path)
    for (const [path, bytes] of files) {
      machine.disk.makeFolder(dirname(path))
      machine.disk.append(machine.disk.create(path), bytes)
    }
    machine.disk.writeBack()
  }

  /** A virtual machine is put back to an image and boots. */
  rollBack(host: Member, image: DiskImage): void {
    const { machine } = host
    if (!machine.isUp) return
    machine.powerCut()
    this.#putBack(machine, image)
    this.powerUp(machine)
  }

  /**
   * A virtual machine is put back, memory and all, to the moment when its tailer started: the process that goes on
   * draws the same randomness as the first one did, so it has the same epoch.
   */
  rollBackWithMemory(host: Member, image: DiskImage, seed: SeededRandom): void {
    const { machine } = host
    if (!machine.isUp) return
    machine.trace?.(machine.name, 'put back with its memory')
    host.process?.die('power')
    this.#putBack(machine, image)
    host.start(seed.copy())
  }

  #putBack(machine: Machine, image: DiskImage): void {
    machine.trace?.(machine.name, 'disk put back')
    this.workload.strike(machine.name)
    machine.disk.restore(image)
    for (const program of this.workload.of(machine)) program.afterLoss('undone by a rollback')
  }

  /** A copy of a host goes on beside it: its disk, its programs, its tailer. */
  clone(host: Member, image: DiskImage, identity: string): Member {
    const machine = this.simulation.machine(`${host.machine.name}-clone${this.hosts.length}`)
    machine.trace?.(machine.name, `is a clone of ${host.machine.name}, identity ${identity}`)
    machine.identity = identity
    machine.disk.restore(image)
    this.#watchForgetting(machine)
    this.workload.clone(host.machine, machine, this.random.fork(machine.name))
    const clone = new Member(`tailer-${machine.name}`, machine, process => this.#runTailer(process))
    this.hosts.push(clone)
    clone.start()
    return clone
  }

  loseTailerFolder(host: Member): void {
    host.machine.trace?.(host.name, 'folder lost')
    this.workload.strike(host.machine.name)
    host.process?.kill()
    for (const [path] of filesBelow(host.machine, '/data/tailer')) host.machine.disk.unlink(path)
    host.startLater()
  }

  /** Its disk lies in another machine now. */
  move(host: Member, identity: string): void {
    host.machine.trace?.(host.name, `moved to ${identity}`)
    this.workload.strike(host.machine.name)
    host.machine.identity = identity
    host.kill()
  }

  die(machine: Machine): void {
    machine.trace?.(machine.name, 'is dead for good')
    this.dead.add(machine)
    this.powerCut(machine, { garbage: false })
  }

  /** Bits of what a service wrote change while it is down. The keys are not touched: then it refuses to start. */
  garble(member: Member, random: SeededRandom): void {
    const { disk, trace } = member.machine
    member.kill()
    this.workload.strike(member.machine.name)
    const files = filesBelow(member.machine, '/data').filter(
      ([path, { length }]) => length > 0 && !path.endsWith('.json'),
    )
    for (let times = random.integer(1, 3); times > 0 && files.length > 0; times--) {
      const [path, { length }] = random.pick(files)
      const at = random.integer(0, length - 1)
      trace?.(member.name, `bit flipped: ${path} at ${at} of ${length}`)
      disk.flip(disk.file(path), at, random.integer(0, 7))
    }
  }

  startSecondPorter(): void {
    if (this.porters.length < 2) this.#addPorter().start()
  }

  keepIndexCopy(): void {
    this.#indexCopy = filesBelow(this.store, '/index')
  }

  /** As an operator does it: porters stopped, the folder replaced, porters started. */
  restoreIndex(isEmptied: boolean): void {
    for (const porter of this.porters) porter.process?.kill()
    this.replaceFiles(this.store, '/index', new Map(isEmptied ? [] : this.#indexCopy))
    this.store.trace?.('store', isEmptied ? 'index emptied' : 'index restored from an older copy')
    for (const porter of this.porters) porter.startLater()
    this.#onlooking = undefined
  }

  /** Index and archive as somebody sees them who only reads, and takes no time for it. */
  stores(): Promise<Onlooking> {
    this.#onlooking ??= (async () => {
      const process = this.simulation.machine('onlooker').start('reader')
      process.isInstant = true
      return { ...(await this.#openStores(process, 'onlooker')), disk: process.world.disk }
    })()
    return this.#onlooking
  }

  /** What anybody may read of the ledger now. */
  async ledger(): Promise<Ledger> {
    const { process, links } = await this.onlooker()
    const { index, archive } = await this.stores()
    const log = process.world.log
    const inputs = await gatherLedgerInputs({ links, index, archive, holeAfterMs: HOLE_AFTER_MS, log })
    process.die('kill')
    return computeLedger(inputs)
  }

  /** Everything that was broken works again. Clocks stay as they are: those are no fault. */
  heal(): void {
    for (const half of this.#halves) {
      this.#halves.delete(half)
      half.run()
    }
    for (const machine of this.machines) {
      this.powerUp(machine)
      machine.disk.capacityBytes = Number.POSITIVE_INFINITY
      machine.disk.writeErrorChance = 0
    }
    this.network.healAll()
    for (const member of this.members) {
      member.isHeldDown = false
      member.start()
    }
  }

  /** Links of an onlooker to every buck that is up. */
  async onlooker(): Promise<{ process: SimProcess; links: Link[] }> {
    const process = this.simulation.machine('onlooker').start('onlooker')
    const dialer = this.network.dialer(process, peerNamed('archie', 'onlooker'), 'buck')
    const up = this.#addresses.filter((_, k) => this.bucks[k].isUp)
    const links = await Promise.all(up.map(address => dialer.dial(address)))
    return { process, links }
  }

  /** Tells `onForget` of every bucket file that a tailer or a buck removes. */
  #watchForgetting(machine: Machine): void {
    machine.disk.onUnlink = (path, bytes) => {
      if (path.includes('/buckets/') && machine.processes.size > 0) this.onForget?.(machine, path, bytes())
    }
  }

  async #runTailer(process: SimProcess): Promise<void> {
    const { machine, world } = process
    const programs = this.workload.programs.filter(program => program.machine === machine)
    const tailer = await Tailer.open(
      {
        ...TAILER_DEFAULTS,
        folder: '/data/tailer',
        host: machine.name,
        files: programs.map(({ config }) => ({ path: config.isGlob ? `${config.path}*` : config.path })),
        bucks: this.#addresses,
        bucketSeconds: BUCKET_SECONDS,
        diskBytesMax: GIGABYTE,
        pollMs: 400,
        lookMs: 800,
        holdBackMs: 30_000,
        ...this.#tailerSettings,
      },
      {
        world,
        machine: { identity: machine.identity, boot: machine.boot },
        makeDialer: keys =>
          this.network.dialer(process, { role: 'tailer', id: keys.id, signKey: keys.signing.publicKey }, 'buck'),
      },
    )
    const watch = () => {
      const read = new Set(tailer.status().sources.flatMap(source => (source.read > source.start ? [source.path] : [])))
      for (const program of programs) program.isKnown ||= program.config.isGlob || read.has(program.config.path)
      if (programs.some(program => !program.isKnown)) process.after(1000, watch)
    }
    process.after(1000, watch)
    await tailer.run(new AbortController().signal)
  }

  async #runBuck(process: SimProcess, name: string, address: string): Promise<void> {
    const peer = peerNamed('buck', name)
    const buck = await Buck.open(
      {
        name,
        folders: ['/data/disk0', '/data/disk1'],
        bytesMax: GIGABYTE,
        bucketSeconds: BUCKET_SECONDS,
        dropArchived: true,
        keepSeconds: 60,
        syncAfterMs: 5_000,
      },
      { world: process.world, id: peer.id },
    )
    this.network.listen(process, peer, address, ['tailer', 'porter', 'archie'], link => buck.accept(link))
    await process.never
  }

  #addPorter(): Member {
    const name = `porter${this.porters.length}`
    const porter = new Member(name, this.simulation.machine(name), process => this.#runPorter(process, name))
    this.porters.push(porter)
    return porter
  }

  async #runPorter(process: SimProcess, name: string): Promise<void> {
    const { world } = process
    const { index, archive } = await this.#openStores(process, name)
    const lease = new Lease(new FolderStore(process.diskOf(this.store), '/lease'), { name }, world)
    const porter = new Porter(
      {
        name,
        bucks: this.#addresses,
        bucketSeconds: BUCKET_SECONDS,
        archiveAfterMs: ARCHIVE_AFTER_MS,
        holeAfterMs: HOLE_AFTER_MS,
        wantEveryMs: 10_000,
        tidyEveryMs: 30_000,
        recentMs: 0,
      },
      { world, dialer: this.network.dialer(process, peerNamed('porter', name), 'buck'), index, archive, lease },
    )
    await porter.run(new AbortController().signal)
  }

  async #openStores(process: SimProcess, writer: string): Promise<{ index: SegmentStore; archive: SegmentStore }> {
    const disk = process.diskOf(this.store)
    // Level 1: the simulation looks at what is stored, not at how small.
    const options = { world: process.world, writer, zstdLevel: 1, graceMs: 60_000, spanSeconds: 60, snapshotCommits: 8 }
    const [index, archive] = await Promise.all(
      ['/index', '/archive'].map(folder => SegmentStore.open(new FolderStore(disk, folder), options)),
    )
    return { index, archive }
  }
}

function filesBelow(machine: Machine, folder: string): [path: string, bytes: Buffer][] {
  const names = [...(machine.disk.find(folder)?.entries.keys() ?? [])]
  return names.flatMap(name => {
    const path = `${folder}/${name}`
    const inode = machine.disk.find(path)
    if (inode?.kind === 'folder') return filesBelow(machine, path)
    return inode ? [[path, machine.disk.bytes(inode)] as [string, Buffer]] : []
  })
}

/** A peer whose keys nobody looks at. */
export function peerNamed(role: Role, name: string): Peer {
  const id = createHash('sha256').update(name).digest('hex').slice(0, 32)
  return { role, id, signKey: Buffer.alloc(32) }
}
