// A tailer with real files and real bucks in one process: what its tests stand on.
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Buck } from '../buck/buck.ts'
import { type Dialer, type Link, LinkLostError, type Peer } from '../shared/link.ts'
import { linkPair } from '../shared/link-pair.ts'
import type { GivenUp, Manifest } from '../shared/manifest.ts'
import type { PacketId } from '../shared/messages.ts'
import { decodePackets, type Packet, packetEvents, packetKey } from '../shared/packet.ts'
import { realWorld } from '../shared/real-world.ts'
import { until } from '../shared/until.test-support.ts'
import type { World } from '../shared/world.ts'
import type { Machine } from './identity.ts'
import { TAILER_DEFAULTS, Tailer, type TailerConfig } from './tailer.ts'

export const silent = { debug() {}, info() {}, warn() {}, error() {} }

export interface Bench {
  folder: string
  world: World
  logFolder: string
  bucks: Buck[]
  /** Starts a tailer on the folder; `stop` says farewell. (Kills are for test/: a process of its own.) */
  start(config?: Partial<TailerConfig>, machine?: Partial<Machine>): Promise<Running>
  /** Every packet that any buck holds, once, in the order of tailer, epoch and sequence; and the manifests. */
  held(): Promise<{ packets: Packet[]; manifests: Manifest[]; holders: Map<string, number> }>
  /** Bytes per source, put together from the packets at the bucks; throws where two packets hold one range. */
  contents(): Promise<Map<string, { path: string; bytes: Buffer; lines: number }>>
  /** Tells the bucks that all they hold is archived. */
  archiveAll(): Promise<void>
  cut(buck: number, isCut: boolean): void
  /** Resolves when the tailer has begun so many more looks at the files of the folder of logs. */
  looks(more?: number): Promise<void>
}

export interface Running {
  tailer: Tailer
  stop(): Promise<void>
  done: Promise<void>
}

export async function bench(t: { teardown(end: () => Promise<void>): void }, buckCount = 3): Promise<Bench> {
  const folder = await mkdtemp(join(tmpdir(), 'bucktail-tailer-'))
  const world = realWorld({ log: process.env.LOG ? console : silent })
  const logFolder = join(folder, 'log')
  await world.disk.makeFolder(logFolder)
  let looksBegun = 0
  const { list } = world.disk
  world.disk = {
    ...world.disk,
    list: of => {
      if (of === logFolder) looksBegun++
      return list(of)
    },
  }
  const bucks: Buck[] = []
  for (let i = 0; i < buckCount; i++) {
    const config = {
      name: `b${i}`,
      folders: [join(folder, `b${i}`)],
      bytesMax: 1e10,
      bucketSeconds: 10,
      dropArchived: false,
      keepSeconds: 1e6,
      syncAfterMs: 1000,
    }
    bucks.push(await Buck.open(config, { world, id: `${i}`.repeat(32) }))
  }
  const cuts = new Set<number>()
  const links = new Set<{ buck: number; link: Link }>()
  const running = new Set<{ controller: AbortController; done: Promise<void> }>()

  const peerOf = (role: Peer['role'], id: string): Peer => ({ role, id, signKey: Buffer.alloc(32) })
  const dialAs = (peer: Peer): Dialer => ({
    async dial(address) {
      const buck = Number(address)
      if (cuts.has(buck)) throw new LinkLostError(`buck ${buck} is not reachable`)
      const { first, second } = linkPair(peer, peerOf('buck', bucks[buck].id), world.clock)
      bucks[buck].accept(second)
      const entry = { buck, link: first }
      links.add(entry)
      void first.closed.then(() => links.delete(entry))
      return first
    },
  })
  const asPorter = dialAs(peerOf('porter', 'f'.repeat(32)))

  t.teardown(async () => {
    for (const { controller } of running) controller.abort()
    // Those that a failed test left: nobody writes into the folder that is being removed.
    await Promise.allSettled([...running].map(({ done }) => done))
    for (const { link } of links) link.close('the test is over')
    await Promise.all(bucks.map(buck => buck.close()))
    await rm(folder, { recursive: true, force: true })
  })

  async function held() {
    const packets = new Map<string, Packet>()
    const manifests: Manifest[] = []
    const holders = new Map<string, number>()
    for (let i = 0; i < bucks.length; i++) {
      const link = await asPorter.dial(String(i)).catch(() => undefined)
      if (link === undefined) continue
      const { body } = await link.ask('changes', { logId: '', after: 0, waitMs: 0 })
      for (const bucket of body.buckets) {
        const inventory = (await link.ask('inventory', { bucket })).body
        manifests.push(...inventory.manifests)
        const ids: PacketId[] = inventory.tailers.flatMap(({ tailer, runs }) =>
          runs.flatMap(({ epoch, first, sums }) =>
            Array.from({ length: sums.length / 8 }, (_, n) => ({
              tailer,
              epoch,
              sequence: first + n,
              sum: sums.toString('hex', n * 8, n * 8 + 8),
            })),
          ),
        )
        for (const id of ids) {
          holders.set(packetKey(id), (holders.get(packetKey(id)) ?? 0) + 1)
          if (packets.has(packetKey(id))) continue
          const { payload } = await link.ask('fetch', { ids: [id] })
          for (const packet of decodePackets(payload!)) packets.set(packetKey(packet.header.id), packet)
        }
      }
      link.close('read')
    }
    return { packets: [...packets.values()], manifests, holders }
  }

  return {
    folder,
    world,
    logFolder,
    bucks,
    held,
    cut(buck, isCut) {
      if (isCut) cuts.add(buck)
      else cuts.delete(buck)
      for (const entry of links) if (isCut && entry.buck === buck) entry.link.close('cut')
    },
    async start(config = {}, machine = {}) {
      const tailer = await Tailer.open(
        {
          ...TAILER_DEFAULTS,
          folder: join(folder, 'tailer'),
          host: 'h1',
          files: [{ path: join(logFolder, 'app.log') }],
          bucks: bucks.map((_, i) => String(i)),
          pollMs: 5,
          lookMs: 10,
          packetMs: 10,
          partialMs: 200,
          settleMs: 100,
          missingMs: 100,
          holdBackMs: 60_000,
          // Only a machine that has no time for us, or a test that cuts bucks off, lets these pass.
          openingWaitMs: 10_000,
          drainMs: 20_000,
          ...config,
        },
        {
          world,
          makeDialer: keys => dialAs(peerOf('tailer', keys.id)),
          machine: { identity: 'machine-1', boot: 'boot-1', ...machine },
        },
      )
      const controller = new AbortController()
      const done = tailer.run(controller.signal)
      const entry = { controller, done }
      running.add(entry)
      return {
        tailer,
        done,
        async stop() {
          controller.abort()
          await done
          running.delete(entry)
        },
      }
    },
    async looks(more = 3) {
      const enough = looksBegun + more
      await until(`${more} more looks`, () => looksBegun >= enough)
    },
    async contents() {
      const sources = new Map<string, { path: string; parts: { from: number; bytes: Buffer }[]; lines: number }>()
      for (const packet of (await held()).packets) {
        const events = packetEvents(packet)
        let at = 0
        let i = 0
        for (const run of events.runs) {
          const length = run.to - run.from
          const source = sources.get(run.source) ?? { path: run.path, parts: [], lines: 0 }
          sources.set(run.source, source)
          source.path = run.path
          source.parts.push({ from: run.from, bytes: events.bytes.subarray(at, at + length) })
          for (let n = 0; n < run.events; n++) source.lines += events.lines[i++]
          at += length
        }
      }
      const out = new Map<string, { path: string; bytes: Buffer; lines: number }>()
      for (const [name, { path, parts, lines }] of sources) {
        parts.sort((a, b) => a.from - b.from)
        let at = parts[0].from
        for (const part of parts) {
          if (part.from !== at) throw new Error(`${path} (${name}): ${part.from} follows ${at}`)
          at += part.bytes.length
        }
        out.set(name, { path, bytes: Buffer.concat(parts.map(part => part.bytes)), lines })
      }
      return out
    },
    async archiveAll() {
      const { packets } = await held()
      for (let i = 0; i < bucks.length; i++) {
        const link = await asPorter.dial(String(i))
        for (const { header } of packets) {
          const { tailer, epoch, sequence, sum } = header.id
          await link.ask('archived', { tailer, runs: [{ epoch, first: sequence, sums: Buffer.from(sum, 'hex') }] })
        }
        link.close('told')
      }
    },
  }
}

/** Lines that say which they are. */
export function lines(from: number, to: number): string {
  const line = (n: number) => `2026-01-02T03:04:05.678Z web1 app[7]: line ${n}\n`
  return Array.from({ length: to - from }, (_, i) => line(from + i)).join('')
}

/** What the bucks hold of each source, sorted. */
export async function textsOf(b: Bench): Promise<string[]> {
  return [...(await b.contents()).values()].map(source => source.bytes.toString('latin1')).sort()
}

export async function gaveUpOf(b: Bench): Promise<GivenUp[]> {
  return (await b.held()).manifests.flatMap(manifest => manifest.gaveUp)
}
