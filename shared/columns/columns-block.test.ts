import { setImmediate as nextTurn } from 'node:timers/promises'
import { crc32, zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { test } from 'tap'
import { CorruptBlockError } from '../block.ts'
import { EVENT_BYTES_MAX, type Events } from '../events.ts'
import { MODES } from './codec.ts'
import {
  analyseText,
  decodeColumnsBlock,
  encodeColumnsBlock,
  finishColumnsBlock,
  inflateFrame,
  ModeMemory,
  readColumnsHeader,
} from './columns-block.ts'
import { Dice, eventsOf, logTexts, rounds, testSeed, wildText } from './texts.test-support.ts'
import { openColumns } from './view.ts'

const SEED = testSeed()

function inMode(mode: (typeof MODES)[number]): ModeMemory {
  const memory = new ModeMemory()
  memory.mode = mode
  return memory
}

/** Undefined where they are equal, else the first difference. */
function difference(a: Events, b: Events): string | undefined {
  for (const column of ['bytes', 'ends', 'lines', 'times', 'levels', 'flags', 'hosts', 'apps'] as const) {
    if (a[column].length !== b[column].length) return `${b[column].length} ${column} instead of ${a[column].length}`
    if (bufferOf(a[column]).equals(bufferOf(b[column]))) continue
    for (let i = 0; i < a[column].length; i++) {
      if (a[column][i] !== b[column][i]) return `${column} of ${i}: ${b[column][i]} instead of ${a[column][i]}`
    }
  }
  return a.runs === b.runs && a.names === b.names ? undefined : 'runs or names'
}

function bufferOf({ buffer, byteOffset, byteLength }: NodeJS.TypedArray): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength)
}

/** Back by the decoder, and line by line by the view. */
function checkRoundTrip(events: Events, memory: ModeMemory): boolean {
  const block = encodeColumnsBlock(events, 1, memory)
  if (block === undefined) return false
  const decoded = decodeColumnsBlock(block, events.runs, events.names)
  const found = difference(events, decoded)
  if (found !== undefined) throw new Error(`decoded: ${found}`)
  const view = openColumns(block)
  const rows = view.textOfEvents(Array.from({ length: view.events }, (_, i) => i))
  const { lines, times, levels, flags, hosts, apps } = view.eventColumns
  const seen = { ...events, bytes: rows.bytes, ends: rows.ends, lines, times, levels, flags, hosts, apps }
  const foundByView = difference(events, seen) ?? difference(events, { ...seen, ends: view.eventEnds })
  if (foundByView !== undefined) throw new Error(`view: ${foundByView}`)
  return true
}

test('every field of the events of a log comes back, from the decoder and from the view', t => {
  for (const text of logTexts(300_000)) {
    for (const mode of MODES) {
      t.ok(checkRoundTrip(eventsOf(text), inMode(mode)))
      t.ok(checkRoundTrip(eventsOf(text, new Dice(SEED)), inMode(mode)))
    }
  }
  t.end()
})

test('random events come back', { timeout: 0 }, t => {
  t.comment(`BUCKTAIL_TEST_SEED=${SEED}`)
  const logs = logTexts(100_000)
  let blocks = 0
  for (const round of rounds(200, 20)) {
    const dice = new Dice(SEED + round)
    try {
      const events = eventsOf(wildText(dice, logs), dice)
      if (events.ends.some((end, i) => end - (i === 0 ? 0 : events.ends[i - 1]) > EVENT_BYTES_MAX)) continue
      if (checkRoundTrip(events, dice.below(2) === 0 ? new ModeMemory() : inMode(dice.pick(MODES)))) blocks++
    } catch (cause) {
      throw new Error(`seed ${SEED}, round ${round}`, { cause })
    }
  }
  t.ok(blocks > 0)
  t.end()
})

test('a time costs nothing where the line has it, whatever the zone, and a level nothing where the template has it', t => {
  const text = Buffer.from(
    Array.from({ length: 3000 }, (_, i) => {
      const at = new Date(Date.UTC(2024, 5, 1) + i * 1234).toISOString()
      return `${at.slice(0, 23).replace('T', ' ')} ${i % 3 === 0 ? 'WARN slow' : 'INFO fine'} request ${(i * 7919) % 10_007}\n`
    }).join(''),
  )
  const events = eventsOf(text)
  const plain = encodeColumnsBlock(events, 9, inMode('words'))!
  const fields: Events = {
    ...events,
    times: events.times.map((_, i) => (BigInt(Date.UTC(2024, 5, 1)) + BigInt(i) * 1234n - 7_200_000n) * 1_000_000n),
    levels: events.levels.map((_, i) => (i % 3 === 0 ? 5 : 3)),
  }
  const block = encodeColumnsBlock(fields, 9, inMode('words'))!
  t.equal(difference(fields, decodeColumnsBlock(block, events.runs, events.names)), undefined)
  t.ok(readColumnsHeader(block).streamBytes[9] < 40)
  t.ok(block.length < plain.length * 1.01)
  t.end()
})

const GOLDEN_EVENT_COLUMNS = [
  '01 09 0005', // extents: event 9 crosses no line end and has 4 bytes
  '00', // lines: none, event 10 begins in a line
  '02 0801 0201', // times: event 8 (no stamp) 1 ns after the former, event 9 1 ns before
  '00 02 0008 0404', // levels: no teller; the first event of the template, the first without
  '00 00', // flags
  '00 00', // hosts
  '00 01 0a 01', // apps: event 10
]

test('golden event columns, and the numbers of the header', t => {
  const text = `${'2024-01-02 03:04:05 one 1\n'.repeat(8)}no template\nrest of it`
  const events = eventsOf(Buffer.from(text))
  events.levels.fill(4)
  // "rest of it" in two pieces.
  const ends = [...events.ends.slice(0, 9), text.length - 6, text.length]
  const grow = <T extends Uint8Array | Uint16Array>(column: T, last: number) => {
    const grown = new (column.constructor as new (length: number) => T)(11)
    grown.set(column)
    grown[10] = last
    return grown
  }
  const pieces: Events = {
    ...events,
    runs: [{ ...events.runs[0], events: 11 }],
    ends: Uint32Array.from(ends),
    times: BigInt64Array.from({ length: 11 }, (_, i) => 1_704_164_645_000_000_000n + (i === 8 ? 1n : 0n)),
    lines: grow(events.lines, 0),
    levels: grow(events.levels, 4),
    flags: grow(events.flags, 0),
    hosts: grow(events.hosts, 0),
    apps: grow(events.apps, 1),
  }
  const block = encodeColumnsBlock(pieces, 1, inMode('words'))!
  const header = readColumnsHeader(block)
  t.equal(block[0], 1)
  t.equal(header.textCrc, crc32(text))
  t.same([header.events, header.textBytes, header.streamBytes], [11, text.length, [9, 11, 10, 14, 0, 0, 2, 0, 23, 24]])
  t.same(inflateFrame(header, 'B').at(-1)!.toString('hex'), GOLDEN_EVENT_COLUMNS.join('').replaceAll(' ', ''))
  t.equal(difference(pieces, decodeColumnsBlock(block, pieces.runs, pieces.names)), undefined)
  t.end()
})

const SMALL = eventsOf(Buffer.from(`${'2024-01-02 03:04:05 one 1\n2024-01-02 03:04:06 two 12 b7\n'.repeat(9)}rest`))

test('every cut and every flipped bit of a block is found, by decoder and view', t => {
  const block = encodeColumnsBlock(SMALL, 1)!
  const isRefused = (bytes: Buffer): boolean => {
    for (const read of [() => decodeColumnsBlock(bytes, SMALL.runs, SMALL.names), () => openColumns(bytes)]) {
      try {
        read()
        return false
      } catch (error) {
        if (!(error instanceof CorruptBlockError)) throw error
      }
    }
    return true
  }
  for (let end = 0; end < block.length; end++) {
    if (!isRefused(block.subarray(0, end))) t.fail(`cut at ${end}`)
  }
  for (let bit = 0; bit < block.length * 8; bit++) {
    const flipped = Buffer.from(block)
    flipped[bit >> 3] ^= 1 << (bit & 7)
    if (!isRefused(flipped)) t.fail(`bit ${bit}`)
  }
  t.ok(isRefused(Buffer.concat([block, Buffer.from([0])])), 'a byte too many')
  t.end()
})

test('a block that would not give its text back is not made', t => {
  const events = eventsOf(Buffer.from('2024-01-02 03:04:05 one 1\n'.repeat(20)))
  const other = Buffer.from('2024-01-02 03:04:05 one 2\n'.repeat(20))
  const warnings = t.capture(process, 'emitWarning')
  t.equal(finishColumnsBlock(events, analyseText(other, new ModeMemory())!, 1), undefined)
  t.ok(finishColumnsBlock(events, analyseText(events.bytes, new ModeMemory())!, 1))
  const empty = { ...events, ends: new Uint32Array(100_000) }
  t.equal(finishColumnsBlock(empty, analyseText(events.bytes, new ModeMemory())!, 1), undefined, 'too many events')
  t.match(warnings(), [{ args: [/did not give a text back/] }], 'that is told, once')
  t.end()
})

test('runs and names that do not fit are refused', t => {
  const block = encodeColumnsBlock(SMALL, 1)!
  const [run] = SMALL.runs
  for (const runs of [[], [{ ...run, events: 1 }], [{ ...run, to: run.to + 1 }], [run, run]]) {
    t.throws(() => decodeColumnsBlock(block, runs, SMALL.names), CorruptBlockError)
  }
  const named = { ...SMALL, hosts: SMALL.hosts.map(() => 2) }
  t.throws(() => decodeColumnsBlock(encodeColumnsBlock(named, 1)!, named.runs, ['', 'one']), CorruptBlockError)
  t.end()
})

/** The same block with other bytes inside its frames and right checksums: what only an attacker or a bug can write. */
function forge(block: Buffer, dice: Dice): Buffer {
  const header = readColumnsHeader(block)
  const frames = [header.frameA, header.frameB].map(frame => Buffer.from(zstdDecompressSync(frame)))
  const at = block.length - header.frameA.length - header.frameB.length
  const head = Buffer.from(block.subarray(0, at))
  for (let changes = 1 + dice.below(4); changes > 0; changes--) {
    const target = dice.pick([...frames, head.subarray(5)])
    if (target.length > 0) target[dice.below(target.length)] = dice.pick([0, 1, 0x7f, 0x80, 0xff, dice.below(256)])
  }
  const forged = Buffer.concat([head, ...frames.map(frame => zstdCompressSync(frame))])
  forged.writeUInt32LE(crc32(forged.subarray(5)), 1)
  return forged
}

test('a forged block with right checksums is refused or gives events that hold together', { timeout: 0 }, async t => {
  t.comment(`BUCKTAIL_TEST_SEED=${SEED}`)
  const logs = logTexts(20_000)
  let refused = 0
  for (const round of rounds(600, 15)) {
    // Node lets go of what a frame that does not inflate took when the loop turns, not before.
    if (round % 100 === 0) await nextTurn()
    const dice = new Dice(SEED + round)
    const events = eventsOf(dice.pick(logs), dice)
    const block = encodeColumnsBlock(events, 1, inMode(dice.pick(MODES)))
    if (block === undefined) continue
    const forged = forge(block, dice)
    try {
      const decoded = decodeColumnsBlock(forged, events.runs, events.names)
      if (!decoded.bytes.equals(events.bytes)) throw new Error(`seed ${SEED}, round ${round}: another text`)
    } catch (error) {
      if (!(error instanceof CorruptBlockError)) throw new Error(`seed ${SEED}, round ${round}`, { cause: error })
      refused++
    }
    try {
      const view = openColumns(forged)
      view.textOfEvents(Array.from({ length: Math.min(view.events, 10_000) }, (_, i) => i))
    } catch (error) {
      if (!(error instanceof CorruptBlockError)) throw new Error(`view: seed ${SEED}, round ${round}`, { cause: error })
    }
  }
  t.ok(refused > 0)
})

test('a header that lies about sizes costs no memory', t => {
  const block = encodeColumnsBlock(SMALL, 1)!
  const header = readColumnsHeader(block)
  const huge = Buffer.concat([
    block.subarray(0, 9),
    // Events, text, streams: 15 MB each.
    Buffer.concat(Array.from({ length: 3 }, () => Buffer.from([0xff, 0xff, 0xff, 0x07]))),
    Buffer.alloc(9),
    Buffer.from([header.frameA.length]),
    header.frameA,
    header.frameB,
  ])
  huge.writeUInt32LE(crc32(huge.subarray(5)), 1)
  const before = process.memoryUsage().arrayBuffers
  t.throws(() => decodeColumnsBlock(huge, SMALL.runs, SMALL.names), CorruptBlockError)
  t.throws(() => openColumns(huge), CorruptBlockError)
  t.ok(process.memoryUsage().arrayBuffers - before < 40e6)
  t.end()
})
