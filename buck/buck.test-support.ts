// What the tests of the buck share: a world on the real disk with a clock that the test moves, tailers with keys, packets.

import type { Events } from '../shared/events.ts'
import { type NodeKeys, nodeKeysFrom } from '../shared/keys.ts'
import type { Link, Peer, Role, Server } from '../shared/link.ts'
import { linkPair } from '../shared/link-pair.ts'
import { type Gone, type Manifest, signGone, signManifest } from '../shared/manifest.ts'
import type { IdRun } from '../shared/messages.ts'
import { encodePacket, type Packet } from '../shared/packet.ts'
import { realDisk } from '../shared/real-disk.ts'
import { until } from '../shared/until.test-support.ts'
import type { Clock, Disk, Log, World } from '../shared/world.ts'
import { Buck, type BuckConfig, TEND_MS } from './buck.ts'

export const BUCKET = 1_700_000_000
export const EPOCH = '1-00000000000000aa'
export const EPOCH_2 = '2-00000000000000bb'
export const MB = 1024 * 1024

/** Stands still until the test moves it. */
export class TestClock implements Clock {
  #nowMs = BUCKET * 1000
  #monotonicMs = 0
  readonly #sleepers = new Set<{ ms: number; untilMs: number; wake: () => void }>()
  /** How often a buck lay down to sleep until it looks after its files again. */
  #rests = 0

  now(): number {
    return this.#nowMs
  }

  monotonic(): number {
    return this.#monotonicMs
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      if (ms === 0) return setImmediate(resolve)
      if (ms === TEND_MS) this.#rests++
      const sleeper = {
        ms,
        untilMs: this.#monotonicMs + ms,
        wake: () => {
          this.#sleepers.delete(sleeper)
          resolve()
        },
      }
      this.#sleepers.add(sleeper)
      signal?.addEventListener('abort', () => {
        if (this.#sleepers.delete(sleeper)) reject(signal.reason)
      })
    })
  }

  /**
   * Both clocks, in steps of at most a second; between them whatever was woken runs. A buck that looks after its files is
   * done with it before the next step, however long the disk takes, unless it `hangs`.
   */
  async pass(ms: number, { hangs = false } = {}): Promise<void> {
    for (let left = ms; left > 0; left -= 1_000) {
      const step = Math.min(left, 1_000)
      this.#nowMs += step
      this.#monotonicMs += step
      const due = [...this.#sleepers].filter(sleeper => sleeper.untilMs <= this.#monotonicMs)
      const rests = this.#rests + due.filter(sleeper => sleeper.ms === TEND_MS).length
      for (const sleeper of due) sleeper.wake()
      if (!hangs) await until('the buck has looked after its files', () => this.#rests >= rests)
      await settle()
    }
  }

  /** Sleeps that were neither woken nor given up. */
  get sleeping(): number {
    return this.#sleepers.size
  }

  /** The wall clock only, at once. */
  step(ms: number): void {
    this.#nowMs += ms
  }
}

/** A few turns: what needs no disk is done then. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 10; i++) await new Promise(resolve => setTimeout(resolve, 1))
}

export interface TestWorld extends World {
  clock: TestClock
  facts: string[]
}

export function testWorld(disk: Disk = realDisk): TestWorld {
  const facts: string[] = []
  const note = (fact: string) => {
    facts.push(fact)
  }
  const log: Log = { debug: note, info: note, warn: note, error: note }
  let drawn = 0
  const random = {
    // Counts, so that each log id is another one.
    bytes: (count: number) => {
      const bytes = Buffer.alloc(count)
      bytes.writeUInt32BE(++drawn, 0)
      return bytes
    },
    fraction: () => 0.5,
  }
  return { clock: new TestClock(), random, disk, log, facts }
}

export function buckConfig(folders: string | string[], changes: Partial<BuckConfig> = {}): BuckConfig {
  return {
    name: 'buck0',
    folders: typeof folders === 'string' ? [folders] : folders,
    bytesMax: 100 * MB,
    bucketSeconds: 10,
    dropArchived: false,
    keepSeconds: 3600,
    syncAfterMs: 1000,
    ...changes,
  }
}

export async function openBuck(
  folders: string | string[],
  changes: Partial<BuckConfig> = {},
  world = testWorld(),
): Promise<{ buck: Buck; world: TestWorld }> {
  return { buck: await Buck.open(buckConfig(folders, changes), { world, id: '0b'.repeat(16) }), world }
}

export const keysOf = (n: number): NodeKeys => nodeKeysFrom(Buffer.alloc(32, n), Buffer.alloc(32, n + 100))
export const TAILER = keysOf(1)
export const OTHER_TAILER = keysOf(2)

/** The far end of a link to the buck. */
export function connect(buck: Buck, world: World, role: Role, keys: NodeKeys = TAILER, server?: Server): Link {
  const peer: Peer = { role, id: keys.id, signKey: keys.signing.publicKey }
  const self: Peer = { role: 'buck', id: buck.id, signKey: Buffer.alloc(32) }
  const { first, second } = linkPair(peer, self, world.clock)
  first.serve(server ?? ((async () => ({ body: {} })) as Server))
  buck.accept(second)
  return first
}

/** A tailer's link with its opening done. */
export async function connectTailer(
  buck: Buck,
  world: World,
  { keys = TAILER, epoch = EPOCH, server }: { keys?: NodeKeys; epoch?: string; server?: Server } = {},
): Promise<Link> {
  const link = connect(buck, world, 'tailer', keys, server)
  await link.ask('open', { epoch, last: 0, former: [], machine: 'm1', host: 'web1', wantSources: false })
  return link
}

export function packetOf(
  sequence: number,
  {
    keys = TAILER,
    epoch = EPOCH,
    bucket = BUCKET,
    text = `line ${sequence}\n`,
    from = sequence * 100,
    source = 'ab'.repeat(10),
  }: { keys?: NodeKeys; epoch?: string; bucket?: number; text?: string; from?: number; source?: string } = {},
): Packet {
  const bytes = Buffer.from(text)
  const to = from + bytes.length
  const events: Events = {
    runs: [{ source, host: 'web1', path: '/log/a', app: 'nginx', from, to, start: 0, events: 1 }],
    bytes,
    ends: Uint32Array.of(bytes.length),
    lines: Uint16Array.of(1),
    times: BigInt64Array.of(BigInt(bucket) * 1_000_000_000n),
    levels: Uint8Array.of(0),
    flags: Uint8Array.of(0),
    hosts: Uint16Array.of(0),
    apps: Uint16Array.of(0),
    names: [''],
  }
  return encodePacket({ tailer: keys.id, epoch, sequence, bucket }, events)
}

export async function send(
  link: Link,
  packet: Packet,
  delivery: 'first' | 'second' | 'repair' = 'first',
): Promise<void> {
  await link.ask('packet', { delivery }, packet.bytes)
}

export function runOf(...packets: Packet[]): IdRun {
  const [{ header }] = packets
  const sums = Buffer.concat(packets.map(packet => packet.header.sha256.subarray(0, 8)))
  return { epoch: header.id.epoch, first: header.id.sequence, sums }
}

export function manifestOf({ keys = TAILER, ...changes }: Partial<Manifest> & { keys?: NodeKeys } = {}): Manifest {
  return signManifest(
    {
      tailer: keys.id,
      epoch: EPOCH,
      bucket: BUCKET,
      bucketSeconds: 10,
      host: 'web1',
      first: 1,
      last: 3,
      sources: [],
      gaveUp: [],
      farewell: false,
      previous: Buffer.alloc(32),
      ...changes,
    },
    keys.box.publicKey,
    keys.signing,
  )
}

export function goneOf(sequence: number, keys = TAILER): Gone {
  return signGone({ tailer: keys.id, epoch: EPOCH, sequence }, keys.box.publicKey, keys.signing)
}
