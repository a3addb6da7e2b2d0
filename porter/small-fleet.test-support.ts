// A small installation for tests: real bucks on real folders, links in memory, tailers that do what the test says.
import { createHash } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { crc32 } from 'node:zlib'
import type { Test } from 'tap'
import { Buck } from '../buck/buck.ts'
import type { Events } from '../shared/events.ts'
import { mintNodeKeys, type NodeKeys } from '../shared/keys.ts'
import { type Dialer, type Link, LinkLostError, type Peer } from '../shared/link.ts'
import { linkPair } from '../shared/link-pair.ts'
import { type Gone, type Manifest, type ManifestSource, signGone, signManifest } from '../shared/manifest.ts'
import type { Asks, Bucket, IdRun } from '../shared/messages.ts'
import { decodePacket, encodePacket, PACKET_HEADER_BYTES, type Packet } from '../shared/packet.ts'
import { realWorld } from '../shared/real-world.ts'
import type { Log, World } from '../shared/world.ts'

const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} }

export function testWorld(): World {
  return realWorld({ log: process.env.SHOW_LOG ? { ...silent, info: console.error, warn: console.error } : silent })
}

export class SmallFleet {
  readonly world = testWorld()
  readonly addresses: string[]
  readonly folder: string
  readonly #bucks = new Map<string, Buck>()
  readonly #links = new Map<string, Set<Link>>()
  readonly #cut = new Set<string>()
  /** What a buck answers to `fetch` goes through this: bit rot in transit. */
  tamper: ((address: string, payload: Buffer) => Buffer) | undefined
  /** What a buck answers to anything goes through this. */
  distort: ((address: string, type: keyof Asks, body: unknown) => unknown) | undefined
  /** Packets given out by all bucks. */
  fetched = 0
  readonly told: { address: string; tailer: string; runs: IdRun[] }[] = []

  /** What uses the bucks and the folder. */
  readonly stopFirst: (() => Promise<void>)[] = []

  private constructor(folder: string, count: number) {
    this.folder = folder
    this.addresses = Array.from({ length: count }, (_, k) => `buck${k}`)
  }

  static async start(t: Test, count: number): Promise<SmallFleet> {
    const fleet = new SmallFleet(await mkdtemp(join(tmpdir(), 'bucktail-porter-')), count)
    for (const address of fleet.addresses) await fleet.startBuck(address)
    t.teardown(async () => {
      for (const stop of fleet.stopFirst) await stop()
      for (const address of fleet.addresses) await fleet.stopBuck(address)
      await rm(fleet.folder, { recursive: true })
    })
    return fleet
  }

  async startBuck(address: string, folder = address): Promise<void> {
    const config = {
      name: address,
      folders: [join(this.folder, folder)],
      bytesMax: 1e9,
      bucketSeconds: 10,
      dropArchived: false,
      keepSeconds: 1e6,
      syncAfterMs: 1e6,
    }
    this.#bucks.set(address, await Buck.open(config, { world: this.world, id: idOf(address) }))
  }

  async stopBuck(address: string): Promise<void> {
    const buck = this.#bucks.get(address)
    this.#bucks.delete(address)
    await buck?.close()
  }

  cut(address: string): void {
    this.#cut.add(address)
    for (const link of this.#links.get(address) ?? []) link.close('cut')
  }

  heal(address: string): void {
    this.#cut.delete(address)
  }

  dialer(role: Peer['role'], keys: NodeKeys = mintNodeKeys(this.world.random)): Dialer {
    const self: Peer = { role, id: keys.id, signKey: keys.signing.publicKey }
    return {
      dial: async address => {
        const buck = this.#bucks.get(address)
        if (!buck || this.#cut.has(address)) throw new LinkLostError(`${address} is not there`)
        const peer: Peer = { role: 'buck', id: idOf(address), signKey: Buffer.alloc(32) }
        const { first, second } = linkPair(self, peer, this.world.clock)
        buck.accept(second)
        const links = this.#links.get(address) ?? new Set()
        this.#links.set(address, links.add(first))
        return role === 'porter' ? this.#watched(first, address) : first
      },
    }
  }

  #watched(link: Link, address: string): Link {
    const { peer, closed } = link
    return {
      peer,
      closed,
      address,
      serve: server => link.serve(server),
      close: reason => link.close(reason),
      ask: async (type, body, payload, timeoutMs) => {
        const reply = await link.ask(type, body, payload, timeoutMs)
        if (type === 'archived') this.told.push({ address, ...(body as Asks['archived']['ask']) })
        if (this.distort) return { ...reply, body: this.distort(address, type, reply.body) as typeof reply.body }
        if (type !== 'fetch' || !reply.payload) return reply
        this.fetched += (body as Asks['fetch']['ask']).ids.length
        return { ...reply, payload: this.tamper?.(address, reply.payload) ?? reply.payload }
      },
    }
  }
}

/** Cuts packets of one source, one line each, and sends them where the test says. */
export class TestTailer {
  readonly keys: NodeKeys
  readonly epoch: string
  readonly source: string
  readonly cut: Packet[] = []
  /** Sequences it will say are gone, instead of sending them again. */
  readonly lost = new Set<number>()
  wants = 0
  readonly #fleet: Pick<SmallFleet, 'world' | 'dialer'>
  readonly #links = new Map<string, Link>()
  #offset = 0

  constructor(fleet: Pick<SmallFleet, 'world' | 'dialer'>) {
    this.#fleet = fleet
    this.keys = mintNodeKeys(fleet.world.random)
    this.epoch = `1-${fleet.world.random.bytes(8).toString('hex')}`
    this.source = fleet.world.random.bytes(10).toString('hex')
  }

  get id(): string {
    return this.keys.id
  }

  /** Packet with the next sequence; not sent. */
  pack(bucket: Bucket, line: string, sequence = this.cut.length + 1): Packet {
    const packet = encodePacket(
      { tailer: this.id, epoch: this.epoch, sequence, bucket },
      oneLine(this.source, this.#offset, line),
    )
    this.#offset += Buffer.byteLength(line)
    this.cut.push(packet)
    return packet
  }

  /** Hash and header are right, the body is none. */
  packBroken(bucket: Bucket, line: string): Packet {
    const whole = this.pack(bucket, line)
    const bytes = Buffer.from(whole.bytes)
    bytes.fill(0xff, PACKET_HEADER_BYTES + whole.header.metaBytes)
    createHash('sha256').update(bytes.subarray(PACKET_HEADER_BYTES)).digest().copy(bytes, 80)
    bytes.writeUInt32BE(crc32(bytes.subarray(0, 112)), 112)
    const packet = decodePacket(bytes)
    this.cut[this.cut.length - 1] = packet
    return packet
  }

  async send(packet: Packet, ...addresses: string[]): Promise<void> {
    for (const address of addresses) {
      const link = await this.connect(address)
      await link.ask('packet', { delivery: 'first' }, packet.bytes)
    }
  }

  async sendManifest(manifest: Manifest, ...addresses: string[]): Promise<void> {
    for (const address of addresses) await (await this.connect(address)).ask('manifest', { manifest })
  }

  async connect(address: string): Promise<Link> {
    const known = this.#links.get(address)
    if (known) return known
    const link = await this.#fleet.dialer('tailer', this.keys).dial(address)
    this.#links.set(address, link)
    void link.closed.then(() => this.#links.delete(address))
    // biome-ignore lint/suspicious/noExplicitAny: answers of several types
    link.serve(async (type, body): Promise<any> => {
      if (type !== 'want') return { body: {} }
      this.wants++
      const { sequences } = body as Asks['want']['ask']
      const gone: Gone[] = []
      for (const sequence of sequences) {
        const packet = this.cut.find(candidate => candidate.header.id.sequence === sequence)
        if (packet && !this.lost.has(sequence)) await link.ask('packet', { delivery: 'repair' }, packet.bytes)
        else gone.push(this.gone(sequence))
      }
      return { body: { gone } }
    })
    await link.ask('open', {
      epoch: this.epoch,
      last: this.cut.length,
      former: [],
      machine: this.id,
      host: 'web1',
      wantSources: false,
    })
    return link
  }

  disconnect(): void {
    for (const link of this.#links.values()) link.close('away')
  }

  gone(sequence: number): Gone {
    const word = { tailer: this.id, epoch: this.epoch, sequence }
    return signGone(word, this.keys.box.publicKey, this.keys.signing)
  }

  manifest(bucket: Bucket, first: number, last: number, more: Partial<Manifest> = {}): Manifest {
    const runs = this.cut.slice(first - 1, last).flatMap(packet => packet.runs)
    const sources: ManifestSource[] =
      runs.length === 0
        ? []
        : [
            {
              source: this.source,
              host: 'web1',
              path: '/var/log/app.log',
              start: 0,
              from: runs[0].from,
              to: runs[runs.length - 1].to,
              events: runs.length,
              lines: runs.length,
              steps: [],
            },
          ]
    return signManifest(
      {
        tailer: this.id,
        epoch: this.epoch,
        bucket,
        bucketSeconds: 10,
        host: 'web1',
        first,
        last,
        sources,
        gaveUp: [],
        farewell: false,
        previous: Buffer.alloc(32),
        ...more,
      },
      this.keys.box.publicKey,
      this.keys.signing,
    )
  }
}

export function oneLine(source: string, from: number, line: string): Events {
  const bytes = Buffer.from(line)
  const run = {
    source,
    host: 'web1',
    path: '/var/log/app.log',
    app: 'app',
    from,
    to: from + bytes.length,
    start: 0,
    events: 1,
  }
  return {
    runs: [run],
    bytes,
    ends: Uint32Array.of(bytes.length),
    lines: Uint16Array.of(1),
    times: BigInt64Array.of(1_700_000_000_000_000_000n + BigInt(from)),
    levels: Uint8Array.of(3),
    flags: Uint8Array.of(0),
    hosts: Uint16Array.of(0),
    apps: Uint16Array.of(0),
    // A name that no event uses: a copy made from the events alone has other bytes than this packet.
    names: ['', 'unused'],
  }
}

function idOf(address: string): string {
  return Buffer.from(address.padEnd(16)).toString('hex')
}
