// One story of a machine and its logs for the model test: what happens in it, and what must hold in the end.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Buck } from '../buck/buck.ts'
import { type Dialer, type Link, LinkLostError, type Peer } from '../shared/link.ts'
import { linkPair } from '../shared/link-pair.ts'
import type { GivenUp } from '../shared/manifest.ts'
import type { PacketId } from '../shared/messages.ts'
import { decodePackets, type Packet, packetEvents, packetKey } from '../shared/packet.ts'
import { realDisk } from '../shared/real-disk.ts'
import { realClock, realRandom } from '../shared/real-world.ts'
import type { Log } from '../shared/world.ts'
import { SeededRandom } from '../test/sim/seeded-random.ts'
import { BETWEEN, BETWEEN_AND_GONE, ModelLog, type Token } from './model-logs.test-support.ts'
import { Device, MortalDisk, quickClock } from './mortal.test-support.ts'
import { isActiveName, rotationSet } from './rotation.ts'
import { TAILER_DEFAULTS, Tailer } from './tailer.ts'

const SPEED = 50
const BUCKS = 3
/** On a machine that does much else too; what never comes true is told with the state of then. */
const COMES_TRUE_WITHIN_MS = 240_000
/** Asked for at a time: a whole story's packets in one answer may be late there. */
const FETCH_PACKETS_MAX = 20
const STALL_MS_MAX = 6
const QUIET_LISTINGS = 5
const trace = process.env.TRACE ? (text: string) => console.error(text) : () => undefined

const silent = { debug() {}, info() {}, warn() {}, error() {} }
export class Story {
  /** The steps, and what the tailer says of files and sources. */
  readonly told: string[] = []
  readonly sums = { tokens: 0, kills: 0, powerCuts: 0, destroyed: 0, missing: 0 }
  readonly #random: SeededRandom
  /** Of its own: how often a disk is asked is not the seed's. */
  readonly #chance: SeededRandom
  /** How many steps of the tailer's disk stall. */
  readonly #stalls: number
  readonly #clock = quickClock(SPEED)
  readonly #bucks: Buck[] = []
  readonly #cuts = new Set<number>()
  readonly #links = new Set<{ buck: number; link: Link }>()
  readonly #logs: ModelLog[] = []
  #folder = ''
  #logFolder = ''
  #device!: Device
  #running: { tailer: Tailer; disk: MortalDisk; stop: AbortController; done: Promise<void> } | undefined
  /** Under which name the tailer saw a source first. */
  readonly #bornAt = new Map<string, string>()
  #boot = 1
  #files = 0
  #failure: unknown

  constructor(seed: number) {
    this.#random = new SeededRandom(seed)
    this.#chance = this.#random.fork('stalls')
    this.#stalls = this.#chance.pick([0, 0.02, 0.2])
  }

  async play(steps: number): Promise<string[]> {
    await this.#prepare()
    for (let step = 0; step < steps; step++) {
      const what = await this.#step()
      this.#tell(`${step} ${what}`)
      if (this.#failure !== undefined) throw this.#failure
      if (this.#random.chance(0.5)) await this.#clock.sleep(this.#random.integer(1, 150))
    }
    return await this.#check()
  }

  async close(): Promise<void> {
    await this.#kill()
    for (const { link } of this.#links) link.close('over')
    await Promise.all(this.#bucks.map(buck => buck.close()))
    await rm(this.#folder, { recursive: true, force: true })
  }

  #tell(text: string): void {
    this.told.push(text)
    trace(text)
  }

  #tailerLog(): Log {
    const fact = (name: string) => (what: string, fields?: Record<string, unknown>) => {
      if (what === 'new file') this.#bornAt.set(String(fields?.source), String(fields?.path))
      this.#tell(`    ${name} ${what} ${JSON.stringify(fields)}`)
    }
    return { debug: () => undefined, info: fact('i'), warn: fact('w'), error: fact('E') }
  }

  async #prepare(): Promise<void> {
    this.#folder = await mkdtemp(join(tmpdir(), 'bucktail-model-'))
    this.#logFolder = join(this.#folder, 'log')
    await realDisk.makeFolder(this.#logFolder)
    this.#device = new Device(join(this.#folder, 'tailer'))
    const world = { clock: this.#clock, random: realRandom, disk: realDisk, log: silent }
    for (let i = 0; i < BUCKS; i++) {
      const config = {
        name: `b${i}`,
        folders: [join(this.#folder, `b${i}`)],
        bytesMax: 1e10,
        bucketSeconds: 10,
        dropArchived: false,
        keepSeconds: 1e6,
        syncAfterMs: 1e9,
      }
      this.#bucks.push(await Buck.open(config, { world, id: `${i}`.repeat(32) }))
    }
    for (const name of ['exact', 'globbed', 'both']) {
      this.#logs.push(new ModelLog(this.#logFolder, name, this.#random.fork(name), () => this.#files++))
      await this.#logs.at(-1)!.write()
    }
    await this.#start()
    // Rotated before that, it would not be ours.
    await this.#until('the first look is known', () => this.#running!.tailer.status().linesRead > 0)
  }

  // ── steps ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  async #step(): Promise<string> {
    const random = this.#random
    const log = random.pick(this.#logs)
    const draw = random.fraction()
    if (draw < 0.6) return await log.write()
    if (draw < 0.66) return await log.rotateByNumber(random.pick(['no', 'no', 'now', 'later']), random.chance(0.5))
    if (draw < 0.69) return await log.rotateByDate()
    if (draw < 0.72) return await log.compressOne()
    if (draw < 0.77) return await log.copyAndTruncate(() => this.#inBetween(log))
    if (draw < 0.79) return (await this.#perhapsRead()) + (await log.truncate())
    if (draw < 0.8) return (await this.#perhapsRead()) + (await log.remove())
    if (draw < 0.81) return (await this.#perhapsRead()) + (await log.replaceBySameSize())
    if (draw < 0.87) return await this.#end()
    if (draw < 0.93) return await this.#start()
    if (draw < 0.95) return this.#cutOrHeal(random.integer(0, BUCKS - 1))
    if (draw < 0.955) return await this.#archiveAll()
    await this.#clock.sleep(random.integer(100, 2000))
    return 'waited'
  }

  async #inBetween(log: ModelLog): Promise<void> {
    if (this.#random.chance(0.5)) await this.#clock.sleep(this.#random.integer(1, 1000))
    if (this.#random.chance(0.2)) await log.write()
    if (this.#random.chance(0.1)) await this.#end()
    if (this.#random.chance(0.1)) await this.#start()
  }

  /** Before most destructions everything is read: then nothing may be missing of it. */
  async #perhapsRead(): Promise<string> {
    if (this.#running === undefined || !this.#random.chance(0.6)) return ''
    await this.#untilRead()
    return 'all read, '
  }

  async #end(): Promise<string> {
    if (this.#running === undefined) return 'down already'
    if (this.#random.chance(0.25)) {
      this.#running.stop.abort()
      await this.#running.done
      this.#running = undefined
      return 'stopped in good order'
    }
    await this.#kill()
    this.sums.kills++
    if (!this.#random.chance(0.3)) return 'killed'
    this.sums.powerCuts++
    this.#boot++
    return `power cut: ${await this.#device.powerCut(this.#random)} bytes lost`
  }

  async #kill(): Promise<void> {
    const running = this.#running
    this.#running = undefined
    if (running === undefined) return
    await running.disk.kill()
    for (const { link } of this.#links) link.close('killed')
  }

  async #start(): Promise<string> {
    if (this.#running !== undefined) return 'up already'
    const disk = new MortalDisk(this.#device, () =>
      this.#chance.chance(this.#stalls) ? this.#chance.integer(1, STALL_MS_MAX) : 0,
    )
    const clock = quickClock(SPEED, () => disk.isAlive)
    const dial: Dialer = {
      dial: async address => {
        const buck = Number(address)
        if (this.#cuts.has(buck) || !disk.isAlive) throw new LinkLostError(`buck ${buck} is not reachable`)
        return this.#link(buck, peerOf('tailer', tailerId))
      },
    }
    let tailerId = ''
    const tailer = await Tailer.open(
      {
        ...TAILER_DEFAULTS,
        folder: join(this.#folder, 'tailer'),
        host: 'h1',
        files: [
          { path: join(this.#logFolder, 'exact.log') },
          { path: join(this.#logFolder, 'both.log') },
          { path: join(this.#logFolder, 'globbed.log*') },
          { path: join(this.#logFolder, 'both.log*') },
        ],
        bucks: this.#bucks.map((_, i) => String(i)),
        bucketSeconds: 10,
        packetMs: 50,
        packetBytes: 50_000,
        pollMs: 40,
        lookMs: 100,
        partialMs: 1000,
        holdBackMs: 60_000,
        forgetAfterMs: 5000,
        drainMs: 2000,
        openingWaitMs: 2000,
      },
      {
        world: { clock, random: realRandom, disk, log: this.#tailerLog() },
        makeDialer: keys => {
          tailerId = keys.id
          return dial
        },
        machine: { identity: 'machine-1', boot: `boot-${this.#boot}` },
      },
    )
    const stop = new AbortController()
    const done = tailer.run(stop.signal)
    done.catch(error => {
      if (disk.isAlive) this.#failure = error
    })
    this.#running = { tailer, disk, stop, done }
    return 'started'
  }

  #cutOrHeal(buck: number): string {
    if (this.#cuts.delete(buck)) return `buck ${buck} is back`
    this.#cuts.add(buck)
    for (const entry of this.#links) if (entry.buck === buck) entry.link.close('cut')
    return `buck ${buck} is cut off`
  }

  async #archiveAll(): Promise<string> {
    const { packets } = await this.#held()
    for (let i = 0; i < BUCKS; i++) {
      const link = this.#link(i, peerOf('porter', 'f'.repeat(32)))
      for (const { header } of packets) {
        const { tailer, epoch, sequence, sum } = header.id
        await link.ask('archived', { tailer, runs: [{ epoch, first: sequence, sums: Buffer.from(sum, 'hex') }] })
      }
      link.close('told')
    }
    return `${packets.length} packets archived`
  }

  #link(buck: number, as: Peer): Link {
    const { first, second } = linkPair(as, peerOf('buck', this.#bucks[buck].id), realClock)
    this.#bucks[buck].accept(second)
    const entry = { buck, link: first }
    if (as.role === 'tailer') {
      this.#links.add(entry)
      void first.closed.then(() => this.#links.delete(entry))
    }
    return first
  }

  // ── the promises ───────────────────────────────────────────────────────────────────────────────────────────────────

  async #check(): Promise<string[]> {
    this.#cuts.clear()
    await this.#start()
    await this.#untilRead()
    this.#running!.stop.abort()
    await this.#running!.done
    this.#running = undefined
    const { packets, gaveUp } = await this.#held()
    const wrong: string[] = []
    const sources = textsOf(packets, wrong)
    const places = new Map<string, string[]>()
    /** Which sources have something of a file of the model. */
    const sourcesOf = new Map<number, Set<string>>()
    const tokens = new Map(this.#logs.flatMap(log => log.tokens).map(token => [token.name, token]))
    for (const [source, text] of sources) {
      for (const [name] of text.matchAll(/<\w+-\d+>/g)) {
        places.set(name, [...(places.get(name) ?? []), source])
        const token = tokens.get(name)
        if (token === undefined) wrong.push(`${name} was never written`)
        else sourcesOf.set(token.file, (sourcesOf.get(token.file) ?? new Set()).add(source))
      }
    }
    for (const token of tokens.values()) {
      const count = places.get(token.name)?.length ?? 0
      if (token.fate !== undefined) this.sums.destroyed++
      if (count > 1)
        wrong.push(`${token.name}, ${token.fate ?? 'in a file'}, is there ${count} times: ${places.get(token.name)}`)
      if (count > 0) continue
      if (token.fate === undefined)
        wrong.push(`${token.name} is missing, and ${this.#logs.flatMap(log => log.filesWith(token))} has it`)
      else {
        this.sums.missing++
        const known = sourcesOf.get(token.file)
        // Of a copy that was seen only when the original had been cut nobody can tell that it is one.
        const isCopyAlone = token.fate === BETWEEN && [...(known ?? [])].every(source => this.#isBornRotated(source))
        const isUntold = isCopyAlone || token.fate === BETWEEN_AND_GONE
        if (known !== undefined && !isUntold && !isNamed(token, known, gaveUp))
          wrong.push(
            `${token.name} (${token.fate}) is missing, and nothing names it: at ${token.offset} of a file of ${[...known]}`,
          )
      }
    }
    this.sums.tokens = tokens.size
    if (wrong.length > 0) wrong.push(...gaveUp.map(gave => JSON.stringify(gave)))
    return wrong
  }

  #isBornRotated(source: string): boolean {
    const path = this.#bornAt.get(source)
    return path !== undefined && !isActiveName(path)
  }

  /** What it says must stay so over some looks: on a busy machine the last one may be long ago. */
  async #untilRead(): Promise<void> {
    let last = ''
    let since = 0
    await this.#until('all is read and at two bucks', () => {
      const { tailer, disk } = this.#running!
      const status = tailer.status()
      const isRead = status.sources.every(({ size, read }) => read >= size)
      const isDone = isRead && status.undecided === 0
      const isHeldTwice = this.#cuts.size > 1 || status.underReplicatedPackets === 0
      const now = JSON.stringify([status.sources, status.bytesRead])
      if (!isDone || !isHeldTwice || now !== last) since = disk.listings
      last = now
      return disk.listings - since > QUIET_LISTINGS
    })
  }

  async #until(what: string, isSo: () => boolean): Promise<void> {
    const deadline = performance.now() + COMES_TRUE_WITHIN_MS
    while (!isSo()) {
      if (this.#failure !== undefined) throw this.#failure
      if (performance.now() > deadline) throw new Error(`does not come true: ${what}; ${this.#statusText()}`)
      await new Promise(resolve => setTimeout(resolve, 10))
    }
  }

  #statusText(): string {
    const { tailer, disk } = this.#running!
    return `${disk.listings} listings; ${JSON.stringify(tailer.status())}`
  }

  async #held(): Promise<{ packets: Packet[]; gaveUp: GivenUp[] }> {
    const packets = new Map<string, Packet>()
    const gaveUp: GivenUp[] = []
    for (let i = 0; i < BUCKS; i++) {
      const link = this.#link(i, peerOf('porter', 'f'.repeat(32)))
      const { body } = await link.ask('changes', { logId: '', after: 0, waitMs: 0 })
      for (const bucket of body.buckets) {
        const { manifests, tailers } = (await link.ask('inventory', { bucket })).body
        for (const manifest of manifests) gaveUp.push(...manifest.gaveUp)
        for (const { tailer, runs } of tailers) {
          for (const { epoch, first, sums } of runs) {
            const ids: PacketId[] = []
            for (let n = 0; n * 8 < sums.length; n++) {
              const id = { tailer, epoch, sequence: first + n, sum: sums.toString('hex', n * 8, n * 8 + 8) }
              if (!packets.has(packetKey(id))) ids.push(id)
            }
            for (let n = 0; n < ids.length; n += FETCH_PACKETS_MAX) {
              const { payload } = await link.ask('fetch', { ids: ids.slice(n, n + FETCH_PACKETS_MAX) })
              for (const packet of decodePackets(payload!)) packets.set(packetKey(packet.header.id), packet)
            }
          }
        }
      }
      link.close('read')
    }
    return { packets: [...packets.values()], gaveUp }
  }
}

/** The text of every source, put together as a porter would: equal bytes of one offset count once. */
function textsOf(packets: Packet[], wrong: string[]): Map<string, string> {
  const parts = new Map<string, { from: number; bytes: Buffer }[]>()
  for (const packet of packets) {
    const events = packetEvents(packet)
    let at = 0
    for (const run of events.runs) {
      const length = run.to - run.from
      const list = parts.get(run.source) ?? []
      list.push({ from: run.from, bytes: events.bytes.subarray(at, at + length) })
      parts.set(run.source, list)
      at += length
    }
  }
  const texts = new Map<string, string>()
  for (const [source, list] of parts) {
    list.sort((a, b) => a.from - b.from)
    const pieces: Buffer[] = []
    let at = list[0].from
    for (const { from, bytes } of list) {
      if (from > at) wrong.push(`source ${source} has a gap from ${at} to ${from}`)
      const covered = Math.min(at - from, bytes.length)
      if (covered > 0) {
        const known = Buffer.concat(pieces)
        const start = known.length - (at - from)
        if (!known.subarray(start, start + covered).equals(bytes.subarray(0, covered)))
          wrong.push(`source ${source} has two contents at ${from}`)
      }
      if (from + bytes.length <= at) continue
      pieces.push(bytes.subarray(Math.max(0, at - from)))
      at = from + bytes.length
    }
    texts.set(source, Buffer.concat(pieces).toString())
  }
  return texts
}

/** By a hole that has its place, or by an alarm about what its file was. */
function isNamed(token: Token, sources: Set<string>, gaveUp: GivenUp[]): boolean {
  return gaveUp.some(gave => {
    if (gave.kind === 'alarm') {
      // Where several copies were made while nobody looked, which of them lacks something cannot be known.
      const isSameLog = rotationSet(gave.path) === token.log && token.fate === BETWEEN
      return sources.has(gave.source) || isSameLog
    }
    if (gave.kind !== 'hole' || !sources.has(gave.source)) return false
    // Lines written after the last look before a destruction are lost behind the end that was seen.
    return gave.from <= token.offset
  })
}

function peerOf(role: Peer['role'], id: string): Peer {
  return { role, id, signKey: Buffer.alloc(32) }
}
