// Texts and events for the tests of columns: lines like those of logs, wild ones, and damage. Not part of the program.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { SAMPLE_KINDS, sampleRecord, seededFraction } from '../../bin/samples.ts'
import { type Events, LEVELS } from '../events.ts'

/** Real logs, where the folder beside the repository has some: tests go on without them. */
const REAL_LOGS = new URL('../../../shared/data/', import.meta.url)

export class Dice {
  readonly #fraction: () => number

  constructor(seed: number) {
    this.#fraction = seededFraction(seed)
  }

  below(count: number): number {
    return Math.floor(this.#fraction() * count)
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]
  }

  get fraction(): () => number {
    return this.#fraction
  }
}

/** A text of each kind of sample, and whatever real logs there are. */
export function logTexts(bytes: number): Buffer[] {
  const texts = SAMPLE_KINDS.map(kind => {
    const random = seededFraction(kind.length)
    let text = ''
    for (let ms = Date.UTC(2024, 1, 28, 23, 59); text.length < bytes; ms += 1 + Math.floor(random() * 4000)) {
      text += sampleRecord(kind, random, ms)
    }
    return Buffer.from(text)
  })
  if (!existsSync(REAL_LOGS)) return texts
  for (const name of readdirSync(REAL_LOGS).filter(name => name.endsWith('.log'))) {
    texts.push(readFileSync(new URL(name, REAL_LOGS)).subarray(0, bytes))
  }
  return texts
}

/** What has broken codecs of this kind, or may. */
const PIECES = [
  '2016-02-29 23:59:59,999 ',
  '2015-02-29 00:00:00.1 ',
  '2037-12-31T23:59:59.999999999Z ',
  '2038-01-19 03:14:08 ',
  'Feb 29 12:00:00 ',
  'Oct  0 12:00:00 ',
  'Jan 31 24:00:00 ',
  '1999999999.999999999 ',
  '1700000000123 1700000000123456 1700000000123456789 ',
  '081109 203615 ',
  '31/Dec/2037:23:59:59 ',
  '29/Feb/2023:00:00:00 ',
  '01/02/03 04:05:06 ',
  '23:59:59 00:00:00 ',
  '00:00:00.0000000001',
  '\x10\x11\x12\x13',
  '0007 000000000 999999999 1000000000 18446744073709551616 ',
  '"a":"","b":"\\"" ',
  '{"t":"2024-01-02T03:04:05.678Z","n":1,"s":"x \\\\"}',
  '\n\n\r\n',
  'é世界\xff\0',
  'a1.b2:c3-d4 10.0.0.1 550e8400-e29b-41d4-a716-446655440000 ',
  '""""" ',
]

/** Random bytes, bytes that time stamps are made of, or a piece of a log with random changes. */
export function wildText(dice: Dice, logs: readonly Buffer[]): Buffer {
  const kind = dice.below(5)
  if (kind === 0) return Buffer.from(Array.from({ length: 1 + dice.below(3000) }, () => dice.below(256)))
  if (kind === 1) {
    const letters = '0123456789:-./ \n"{}[]T,abz\\'
    return Buffer.from(Array.from({ length: 1 + dice.below(20_000) }, () => dice.pick([...letters])).join(''))
  }
  if (kind === 2) {
    // The same pieces again and again, so that they become templates; some with other digits: dates that are none.
    const chosen = Array.from({ length: 1 + dice.below(6) }, () => dice.pick(PIECES))
    const pieces = Array.from({ length: 1 + dice.below(400) }, () => {
      const piece = dice.pick(chosen)
      return dice.below(3) === 0
        ? piece.replace(/\d/g, digit => (dice.below(4) === 0 ? `${dice.below(10)}` : digit))
        : piece
    })
    return Buffer.from(pieces.join(dice.pick(['', ' ', '\n'])), 'latin1')
  }
  const log = dice.pick(logs)
  const from = dice.below(Math.max(1, log.length - 1))
  const text = Buffer.from(log.subarray(from, from + 1 + dice.below(kind === 3 ? 5000 : 60_000)))
  for (let changes = dice.below(kind === 3 ? 4 : 200); changes > 0; changes--) {
    const at = dice.below(text.length)
    if (dice.below(2) === 0) text[at] = dice.below(3) === 0 ? dice.below(256) : 48 + dice.below(10)
    else text.write(dice.pick(PIECES), at, 'latin1')
  }
  return text
}

/** An event per line, unless `dice` cut otherwise: several lines, pieces of lines, now and then nothing. */
export function eventsOf(text: Buffer, dice?: Dice): Events {
  const ends: number[] = []
  const lines: number[] = []
  for (let at = 0; at < text.length; ) {
    let end = text.indexOf(10, at) + 1 || text.length
    const cut = dice?.below(12)
    if (cut === 0) end = Math.min(text.length, at + dice!.below(200))
    else if (cut === 1) end = text.indexOf(10, end) + 1 || text.length
    ends.push(end)
    lines.push(cut === 2 ? dice!.below(4) : 1)
    at = end
  }
  const count = ends.length
  const base = 1_700_000_000_123_456_789n
  const wild = (max: number) => (dice === undefined || dice.below(3) > 0 ? 0 : dice.below(max))
  return {
    runs: [
      {
        source: 'aaaaaaaaaaaaaaaaaaaa',
        host: 'web1',
        path: '/log/a',
        app: 'a',
        start: 0,
        from: 7,
        to: 7 + text.length,
        events: count,
      },
    ],
    names: ['', 'db7', 'sshd'],
    bytes: text,
    ends: Uint32Array.from(ends),
    lines: Uint16Array.from(lines),
    times: BigInt64Array.from(ends, (_, i) => {
      if (dice !== undefined && dice.below(50) === 0)
        return dice.pick([0n, -1n, 2n ** 63n - 1n, -(2n ** 63n), -(2n ** 32n)])
      return base + BigInt(i >> 2) * 1_000_000_007n
    }),
    levels: Uint8Array.from(ends, () => wild(LEVELS.length)),
    flags: Uint8Array.from(ends, () => wild(2)),
    hosts: Uint16Array.from(ends, () => wild(3)),
    apps: Uint16Array.from(ends, () => wild(3)),
  }
}

/** Rounds of a random test: by default as many as are named, with BUCKTAIL_TEST_LONG for as many minutes. */
export function* rounds(count: number, longMinutes: number): Generator<number> {
  if (process.env.BUCKTAIL_TEST_LONG === undefined) {
    for (let round = 0; round < count; round++) yield round
    return
  }
  const end = performance.now() + longMinutes * 60_000
  for (let round = 0; performance.now() < end; round++) yield round
}

export function testSeed(): number {
  return Number(process.env.BUCKTAIL_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31))
}
