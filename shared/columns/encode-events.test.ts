import { test } from 'tap'
import { buildWasm } from '../../bin/build-wasm.ts'
import type { Events } from '../events.ts'
import { type ColumnsCodec, createCodec, MODES, type Mode } from './codec.ts'
import { openJsCore, openWasmCore } from './target.ts'
import { Dice, eventsOf, logTexts, rounds, testSeed, wildText } from './texts.test-support.ts'

const SEED = testSeed()
// None, or one of other sources: after a change, and in a checkout without `npm ci`.
if (openWasmCore() === undefined) await buildWasm(new URL('./', import.meta.url))
const wasm = createCodec(openWasmCore() ?? openJsCore())
const js = createCodec(openJsCore())

interface Told {
  streams: Buffer[]
  stream: Buffer
  lines: number
  leastNs: bigint
  greatestNs: bigint
}

function told(codec: ColumnsCodec, events: Events, mode: Mode): Told | undefined {
  const encoded = codec.encode(events.bytes, { mode })
  const inCore = encoded && codec.encodeEvents(encoded, events)
  if (inCore === undefined) return undefined
  const { lines, leastNs, greatestNs } = inCore
  return {
    streams: inCore.streams.map(s => Buffer.from(s)),
    stream: Buffer.concat(inCore.parts),
    lines,
    leastNs,
    greatestNs,
  }
}

/** Labels that words of the line tell. */
function labelByText({ bytes, ends, levels, hosts, apps }: Events): void {
  let start = 0
  for (const [i, end] of ends.entries()) {
    levels[i] = bytes[Math.max(0, end - 3)] % 8
    hosts[i] = bytes[Math.min(end, start + 20) - 1] % 3
    apps[i] = bytes[Math.min(end, start + 12) - 1] % 3
    start = end
  }
}

test('both forms of the codec tell events alike, and count lines and least and greatest time on the way', {
  timeout: 0,
}, t => {
  t.comment(`BUCKTAIL_TEST_SEED=${SEED}`)
  const logs = logTexts(60_000)
  let bytes = 0
  for (const round of rounds(150, 10)) {
    const dice = new Dice(SEED + round)
    const events = eventsOf(dice.below(2) === 0 ? dice.pick(logs) : wildText(dice, logs), dice)
    if (dice.below(2) === 0) labelByText(events)
    const mode = dice.pick(MODES)
    const [a, b] = [told(wasm, events, mode), told(js, events, mode)]
    const where = `seed ${SEED}, round ${round}, ${mode}`
    if (a === undefined || b === undefined) {
      if (a !== b) throw new Error(`${where}: one form takes a text that the other refuses`)
      continue
    }
    if (!a.stream.equals(b.stream)) throw new Error(`${where}: the forms differ`)
    const times = [...events.times].sort((x, y) => (x < y ? -1 : x > y ? 1 : 0))
    const lines = events.lines.reduce((sum, count) => sum + count, 0)
    for (const { lines: sum, leastNs, greatestNs } of [a, b]) {
      if (sum !== lines || leastNs !== (times[0] ?? 0n) || greatestNs !== (times.at(-1) ?? 0n))
        throw new Error(`${where}: ${sum} lines, ${leastNs} to ${greatestNs}`)
    }
    bytes += a.stream.length
  }
  t.ok(bytes > 0)
  t.end()
})

test('telling events leaves the streams of their text as they were, however many events there are', t => {
  const [log] = logTexts(50_000)
  for (const codec of [wasm, js]) {
    const before = codec.encode(log, { tokens: true })!.streams.map(stream => Buffer.from(stream))
    for (const count of [0, 1, log.length]) {
      const events = eventsOf(log)
      const many: Events = {
        ...events,
        ends: Uint32Array.from({ length: count }, (_, i) => (i === count - 1 ? log.length : i + 1)),
        lines: new Uint16Array(count).fill(7),
        times: BigInt64Array.from({ length: count }, (_, i) => (i % 2 === 0 ? -(2n ** 63n) : 2n ** 63n - 1n)),
        levels: Uint8Array.from({ length: count }, (_, i) => i & 1),
        flags: Uint8Array.from({ length: count }, (_, i) => i & 255),
        hosts: Uint16Array.from({ length: count }, (_, i) => 0xffff - (i & 1)),
        apps: Uint16Array.from({ length: count }, (_, i) => i & 0xffff),
      }
      const encoded = codec.encode(log, { tokens: true })!
      const { streams } = codec.encodeEvents(encoded, many)!
      t.ok(
        before.every((stream, k) => stream.equals(streams[k])),
        `${codec.target}, ${count} events`,
      )
    }
  }
  t.end()
})

test('events are told of the text that was encoded last, and of no other, and lie outside of its memory', t => {
  const text = Buffer.from('2024-01-02 03:04:05 one 1\n'.repeat(20))
  const events = eventsOf(text)
  for (const codec of [wasm, js]) {
    const first = codec.encode(text)!
    const second = codec.encode(text)!
    t.throws(() => codec.encodeEvents(first, events), /used for something else/)
    t.throws(
      () => codec.encodeEvents(second, { ...events, ends: second.analysis.lineEnds }),
      /lie in the codec's memory/,
    )
    const { streams } = codec.encodeEvents(second, events)!
    t.ok(
      codec
        .decode(
          streams.map(stream => Buffer.from(stream)),
          text.length,
        )
        .equals(text),
    )
    t.throws(() => codec.encodeEvents(second, events), /used for something else/)
  }
  t.end()
})

test('with its events, one in each line, a block still takes at most ten bytes of memory per byte of its text', t => {
  const bytes = 4_000_000
  for (const log of logTexts(500_000)) {
    const core = openWasmCore() ?? openJsCore()
    const codec = createCodec(core)
    const text = Buffer.alloc(bytes, log)
    const encoded = codec.encode(text)
    if (encoded === undefined) continue
    t.ok(codec.encodeEvents(encoded, eventsOf(text)))
    t.ok(core.memory.byteLength <= 10 * bytes, `${core.memory.byteLength}`)
    core.forget()
  }
  t.end()
})
