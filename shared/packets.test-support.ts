// Packets for tests: lines in, packets out. Not part of the program.
import { createHash } from 'node:crypto'
import { type Events, LEVELS, type Level, type Run } from './events.ts'
import type { Manifest } from './manifest.ts'
import { encodePacket, type Packet } from './packet.ts'

export const TAILER = 'aa'.repeat(16)
export const EPOCH = '1-00000000000000aa'
/** A bucket of spring 2023, far from now. */
export const BUCKET = 1_680_000_000

export interface TestLine {
  text: string | Buffer
  timeNs?: bigint
  level?: Level
  host?: string
  app?: string
  lines?: number
  /** TIME_IS_GUESSED and the others of shared/events.ts. */
  flags?: number
}

export interface TestRun {
  source?: string
  host?: string
  path?: string
  app?: string
  from?: number
  start?: number
  lines: (TestLine | string)[]
}

export function testPacket(
  runs: TestRun[],
  origin: { tailer?: string; epoch?: string; sequence: number; bucket?: number },
): Packet {
  const { tailer = TAILER, epoch = EPOCH, sequence, bucket = BUCKET } = origin
  return encodePacket({ tailer, epoch, sequence, bucket }, testEvents(runs, bucket))
}

export function testEvents(runs: TestRun[], bucket = BUCKET): Events {
  const names = ['']
  const numberOf = (name: string | undefined) => {
    if (!name) return 0
    if (!names.includes(name)) names.push(name)
    return names.indexOf(name)
  }
  const all = runs.flatMap(run => run.lines.map(line => (typeof line === 'string' ? { text: line } : line)))
  const texts = all.map(({ text }) => Buffer.from(text as string))
  let end = 0
  let i = 0
  return {
    runs: runs.map((run): Run => {
      const from = run.from ?? 0
      const bytes = run.lines.reduce(sum => sum + texts[i++].length, 0)
      return {
        source: run.source ?? sourceName('a'),
        host: run.host ?? 'web1',
        path: run.path ?? '/var/log/app.log',
        app: run.app ?? 'app',
        from,
        to: from + bytes,
        start: run.start ?? 0,
        events: run.lines.length,
      }
    }),
    bytes: Buffer.concat(texts),
    ends: Uint32Array.from(texts, text => (end += text.length)),
    lines: Uint16Array.from(all, (line: TestLine) => line.lines ?? 1),
    times: BigInt64Array.from(all, (line: TestLine) => line.timeNs ?? BigInt(bucket) * 1_000_000_000n),
    levels: Uint8Array.from(all, (line: TestLine) => LEVELS.indexOf(line.level ?? '')),
    flags: Uint8Array.from(all, (line: TestLine) => line.flags ?? 0),
    hosts: Uint16Array.from(all, (line: TestLine) => numberOf(line.host)),
    apps: Uint16Array.from(all, (line: TestLine) => numberOf(line.app)),
    names,
  }
}

/** 20 hex digits, the same for the same word. */
export function sourceName(word: string): string {
  return createHash('sha256').update(word).digest('hex').slice(0, 20)
}

/** Signed with zeroes: a store keeps words, it does not judge them. */
export function testManifest(bucket: number, fields: Partial<Manifest> = {}): Manifest {
  return {
    tailer: TAILER,
    epoch: EPOCH,
    bucket,
    bucketSeconds: 60,
    host: 'web1',
    first: 1,
    last: 1,
    sources: [
      {
        source: sourceName('a'),
        host: 'web1',
        path: '/var/log/app.log',
        start: 0,
        from: 0,
        to: 10,
        events: 1,
        lines: 1,
        steps: [{ step: 0, sha256: Buffer.alloc(32, 7) }],
      },
    ],
    gaveUp: [],
    farewell: false,
    previous: Buffer.alloc(32),
    boxKey: Buffer.alloc(32, 1),
    signKey: Buffer.alloc(32, 2),
    signature: Buffer.alloc(64, 3),
    ...fields,
  }
}

/** A stream of numbers in [0, 1) that a seed fixes (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Printed by the test; the variable plays the same again. */
export function testSeed(variable: string): number {
  const given = process.env[variable]
  return given ? Number(given) : Math.floor(Math.random() * 2 ** 31)
}
