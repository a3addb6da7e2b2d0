// Bucks with their HTTP ports, embedded stores and an archie in one process, over links in memory: for tests of pages and
// REST. What a tailer would send is written by the test itself.
import { join } from 'node:path'
import { type RunningArchie, startArchie } from '../archie/archie.ts'
import { Buck } from '../buck/buck.ts'
import { type RunningBuckFace, startBuckFace } from '../buck/face.ts'
import { LEVELS, type Level } from '../shared/events.ts'
import { FolderStore } from '../shared/folder-store.ts'
import { mintNodeKeys, type NodeKeys } from '../shared/keys.ts'
import { type Dialer, type Link, LinkLostError, type Peer } from '../shared/link.ts'
import { linkPair } from '../shared/link-pair.ts'
import { encodePacket, type Packet } from '../shared/packet.ts'
import { realWorld } from '../shared/real-world.ts'
import { SegmentStore } from '../shared/segment-store.ts'
import type { Log, World } from '../shared/world.ts'

const SILENT: Log = { debug() {}, info() {}, warn() {}, error() {} }
const LOUD: Log = { ...SILENT, warn: console.error, error: console.error }

export interface TestLine {
  text: string
  host?: string
  app?: string
  path?: string
  level?: Level
  /** Milliseconds since 1970; now if absent. A nanosecond is added per line of the packet, unless `isInstant`. */
  timeMs?: number
  isInstant?: boolean
}

interface Place {
  face: RunningBuckFace
  buck: Buck
}

export class SmallSite {
  readonly world: World = realWorld({ log: process.env.SHOW_LOG ? LOUD : SILENT })
  readonly keys: NodeKeys = mintNodeKeys(this.world.random)
  readonly epoch = `1-${this.world.random.bytes(8).toString('hex')}`
  readonly tokenKey = this.world.random.bytes(32)
  readonly #folder: string
  readonly #eventsPerSecondMax: number
  readonly #bucks: (Place | undefined)[] = []
  readonly #ports: number[] = []
  readonly #tailerLinks = new Map<number, Link>()
  readonly #archieLinks: Link[] = []
  readonly #holderLinks: (Link | undefined)[] = []
  readonly #offsets = new Map<string, { source: string; offset: number }>()
  #sequence = 0
  #archie: RunningArchie | undefined
  index!: SegmentStore
  archive!: SegmentStore

  private constructor(folder: string, eventsPerSecondMax: number) {
    this.#folder = folder
    this.#eventsPerSecondMax = eventsPerSecondMax
  }

  static async start(
    folder: string,
    { bucks = 3, archiePort = 0, eventsPerSecondMax = 5_000 } = {},
  ): Promise<SmallSite> {
    const site = new SmallSite(folder, eventsPerSecondMax)
    const open = (name: string) =>
      SegmentStore.open(new FolderStore(site.world.disk, join(folder, name)), { world: site.world, writer: 'test' })
    site.index = await open('index')
    site.archive = await open('archive')
    for (let k = 0; k < bucks; k++) await site.startBuck(k)
    site.#archie = await startArchie(
      {
        host: '127.0.0.1',
        port: archiePort,
        environment: 'test',
        bucks: site.#ports.map((port, k) => ({ channel: String(k), http: `127.0.0.1:${port}` })),
        tokenKey: site.tokenKey,
      },
      {
        world: site.world,
        dialer: site.#dialer('archie', mintNodeKeys(site.world.random)),
        index: site.index,
        archive: site.archive,
      },
    )
    return site
  }

  get url(): string {
    return `http://${this.#archie?.address}`
  }

  buckUrl(k: number): string {
    return `http://${this.#bucks[k]?.face.address}`
  }

  /** The bucks as archie sees them, without links. */
  holders(): { name: string; holder: Link | undefined }[] {
    return this.#ports.map((_, k) => ({ name: `buck${k}`, holder: this.#holderLinks[k] }))
  }

  /** On the port it had before. */
  async startBuck(k: number): Promise<void> {
    const name = `buck${k}`
    const buck = await Buck.open(
      {
        name,
        folders: [join(this.#folder, name)],
        bytesMax: 1e9,
        bucketSeconds: 10,
        dropArchived: false,
        keepSeconds: 1e6,
        syncAfterMs: 1000,
      },
      { world: this.world, id: String(k).padStart(32, '0') },
    )
    const face = await startBuckFace(
      {
        host: '127.0.0.1',
        port: this.#ports[k] ?? 0,
        environment: 'test',
        buckName: name,
        tokenKey: this.tokenKey,
        eventsPerSecondMax: this.#eventsPerSecondMax,
      },
      { buck, world: this.world },
    )
    this.#bucks[k] = { face, buck }
    this.#holderLinks[k] = await this.#dialer('archie', mintNodeKeys(this.world.random)).dial(String(k))
    this.#ports[k] = Number(new URL(`http://${face.address}`).port)
  }

  async stopBuck(k: number): Promise<void> {
    const place = this.#bucks[k]
    this.#bucks[k] = undefined
    this.#tailerLinks.delete(k)
    this.#holderLinks[k] = undefined
    await place?.face.close()
    await place?.buck.close()
  }

  async close(): Promise<void> {
    await this.#archie?.close()
    for (let k = 0; k < this.#bucks.length; k++) await this.stopBuck(k)
    for (const link of this.#archieLinks) link.close('the test is over')
  }

  /** One packet of the lines, all of one file. */
  pack(lines: TestLine[], bucket = Math.floor(Date.now() / 10_000) * 10): Packet {
    const { host = 'web1', app = 'shop', path = `/var/log/${app}.log` } = lines[0]
    const place = this.#offsets.get(`${host} ${path}`) ?? {
      source: this.world.random.bytes(10).toString('hex'),
      offset: 0,
    }
    this.#offsets.set(`${host} ${path}`, place)
    const { packet, to } = this.packAt(place.source, place.offset, lines, bucket)
    place.offset = to
    return packet
  }

  /** One packet of lines that lie in a source from this offset on; `offsetOf` tells where each of them begins. */
  packAt(
    source: string,
    from: number,
    lines: TestLine[],
    bucket = Math.floor(Date.now() / 10_000) * 10,
  ): { packet: Packet; to: number; offsetOf(line: number): number } {
    const { host = 'web1', app = 'shop', path = `/var/log/${app}.log` } = lines[0]
    const bytes = lines.map(({ text }) => Buffer.from(`${text}\n`))
    const ends = new Uint32Array(lines.length)
    let end = 0
    for (const [i, line] of bytes.entries()) ends[i] = end += line.length
    const packet = encodePacket(
      { tailer: this.keys.id, epoch: this.epoch, sequence: ++this.#sequence, bucket },
      {
        runs: [{ source, host, path, app, from, to: from + end, start: 0, events: lines.length }],
        bytes: Buffer.concat(bytes),
        ends,
        lines: new Uint16Array(lines.length).fill(1),
        times: BigInt64Array.from(
          lines,
          ({ timeMs = Date.now(), isInstant }, i) => BigInt(timeMs) * 1_000_000n + (isInstant ? 0n : BigInt(i)),
        ),
        levels: Uint8Array.from(lines, ({ level = 'info' }) => LEVELS.indexOf(level)),
        flags: new Uint8Array(lines.length),
        hosts: new Uint16Array(lines.length),
        apps: new Uint16Array(lines.length),
        names: [''],
      },
    )
    return { packet, to: from + end, offsetOf: line => from + (line === 0 ? 0 : ends[line - 1]) }
  }

  /** To two bucks that run, as a tailer does. Answers which. */
  async send(packet: Packet, to?: number[]): Promise<number[]> {
    const alive = this.#bucks.flatMap((place, k) => (place ? [k] : []))
    const start = Math.floor(this.world.random.fraction() * alive.length)
    const targets = to ?? [alive[start], alive[(start + 1) % alive.length]]
    for (const [i, k] of targets.entries()) {
      const link = await this.#tailerLink(k)
      await link.ask('packet', { delivery: i === 0 ? 'first' : 'second' }, packet.bytes)
    }
    return targets
  }

  async write(lines: TestLine[], to?: number[]): Promise<void> {
    await this.send(this.pack(lines), to)
  }

  async #tailerLink(k: number): Promise<Link> {
    const known = this.#tailerLinks.get(k)
    if (known) return known
    const link = await this.#dialer('tailer', this.keys).dial(String(k))
    this.#tailerLinks.set(k, link)
    link.serve(async () => ({ body: {} as never }))
    await link.ask('open', {
      epoch: this.epoch,
      last: 0,
      former: [],
      machine: 'test-machine',
      host: 'web1',
      wantSources: false,
    })
    return link
  }

  #dialer(role: Peer['role'], keys: NodeKeys): Dialer {
    return {
      dial: async address => {
        const place = this.#bucks[Number(address)]
        if (!place) throw new LinkLostError(`buck ${address} is not there`)
        const self: Peer = { role, id: keys.id, signKey: keys.signing.publicKey }
        const peer: Peer = { role: 'buck', id: place.buck.id, signKey: Buffer.alloc(32) }
        const { first, second } = linkPair(self, peer, this.world.clock)
        place.buck.accept(second)
        const link: Link = {
          peer,
          address,
          closed: first.closed,
          ask: (type, body, payload, timeoutMs) => first.ask(type, body, payload, timeoutMs),
          serve: server => first.serve(server),
          close: reason => first.close(reason),
        }
        if (role === 'archie') this.#archieLinks.push(link)
        return link
      },
    }
  }
}
