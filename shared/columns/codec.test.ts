import { existsSync } from 'node:fs'
import { test } from 'tap'
import { buildWasm } from '../../bin/build-wasm.ts'
import { CorruptBlockError } from '../block.ts'
import { COLUMNS_TEXT_BYTES_MAX, type ColumnsCodec, columnsCodec, createCodec, MODES, type Streams } from './codec.ts'
import { openJsCore, openWasmCore } from './target.ts'
import { Dice, logTexts, rounds, testSeed, wildText } from './texts.test-support.ts'

const WASM = new URL('columns.wasm', import.meta.url)
// None, or one of other sources: after a change, and in a checkout without `npm ci`.
if (openWasmCore() === undefined) await buildWasm(new URL('./', import.meta.url))
const wasm = createCodec(openWasmCore() ?? openJsCore())
const js = createCodec(openJsCore())
const SEED = testSeed()

function copyOf(streams: Streams): Buffer[] {
  return streams.map(stream => Buffer.from(stream))
}

/** Encoded by both forms and decoded by both: the streams, undefined where columns do not pay. */
function roundTrip(text: Buffer, mode: (typeof MODES)[number]): Buffer[] | undefined {
  const forms = [wasm, js].map(codec => {
    const encoded = codec.encode(text, { mode })
    return encoded && copyOf(encoded.streams)
  })
  if (forms[0] === undefined || forms[1] === undefined) {
    if (forms[0] !== forms[1]) throw new Error('one form takes a text that the other refuses')
    return undefined
  }
  forms[0].forEach((stream, k) => {
    if (!stream.equals(forms[1]![k])) throw new Error(`stream ${k} differs between the forms`)
  })
  for (const codec of [wasm, js]) {
    const decoded = codec.decode(forms[0], text.length)
    if (!decoded.equals(text)) throw new Error(`${codec.target} gives another text back (${mode})`)
  }
  return forms[0]
}

test('the sources compile to WebAssembly, and that form is the one used', async t => {
  t.ok(existsSync(WASM))
  t.equal(wasm.target, 'wasm')
  t.equal(js.target, 'js')
  t.equal(columnsCodec().target, 'wasm')
})

test('golden streams: the layout of docs/formats/columns.md, byte for byte', t => {
  const lines = [
    'Jan  1 00:00:01 web1 sshd[7]: login of ada from 10.0.0.7 port 4000\n',
    'Jan  1 00:00:02 web1 sshd[8]: login of ada from 10.0.0.8 port 4001\n',
    'Jan  1 00:00:02 web1 sshd[9]: login of ada from 10.0.0.9 port 4003\n',
    'Jan  1 00:00:05 web1 sshd[9]: login of ada from 10.0.0.9 port 4003\n',
    'Jan  1 00:01:05 web1 sshd[300]: login of ada from 10.0.0.9 port 4003\n',
    'Jan  1 00:01:06 web1 sshd[10]: login of ada from 10.0.0.11 port 4010\n',
  ]
  const streams = roundTrip(Buffer.from(`${lines.join('')}what else\nis there`), 'joined')!
  t.same(
    // Templates, descriptors, ids, stamps, integers, entry ids, entries, texts, raw.
    streams.map(stream => stream.toString('hex')),
    GOLDEN,
  )
  t.end()
})

const GOLDEN = [
  // templates: time stamp of format 0, variables
  '1220201120737368645b115d3a206c6f67696e206f66206164612066726f6d201120706f727420110a',
  // 8 lines, no last line feed, 1 format (kind 6, no fraction), 1 template: of 6 lines; constant, integer with deltas in
  // 8 bytes of varints from 7 on, dictionary of 4, integer with deltas in one plane from 4000 on
  '080101060001060001000f07080204010003a01f',
  // ids
  '0101010101010000',
  // time stamps: 946684801 s from 0 on, then +1, 0, +3, +60, +1; zigzag, plus 1
  '838eea86070301077903',
  // integers: deltas 0 +1 +1 0 +291 -290, then deltas of ports
  '00020200c604c30400020400000e',
  // entry ids
  '000102020203',
  // entries: web1, then the four addresses
  '776562310a31302e302e302e370a31302e302e302e380a31302e302e302e390a31302e302e302e31310a',
  '',
  // raw lines, the last with a line feed of its own
  '7768617420656c73650a69732074686572650a',
]

test('every text comes back, from either form, in every mode', t => {
  const long = `${'x1 '.repeat(21_000)}\n`
  const texts = {
    'one byte': 'x',
    'one line feed': '\n',
    'empty lines': '\n'.repeat(5000),
    'CR LF': 'a 1\r\nb 2\r\n\r\n'.repeat(400),
    'no last line feed': 'a 1\nb 2',
    'one line again and again': 'the same line 17\n'.repeat(5000),
    'NUL and the bytes that mark variables': '\0\x10\x11\x12\x13\n'.repeat(300) + 'plain 1\n'.repeat(300),
    'lines of 64 KB': long + long,
    'a line of a megabyte and more': `${'word 12 '.repeat(150_000)}\n`.repeat(2),
    'more templates than lines repeat': Array.from(
      { length: 3000 },
      (_, i) => `${'abc'.repeat(i % 40)}${'x'.repeat(i % 70)} ${i}\n`,
    ).join(''),
    'years at the ends': '1970-01-01 00:00:00 a\n2037-12-31 23:59:59 b\n1969-12-31 23:59:59 c\n'.repeat(50),
    'many formats': Array.from(
      { length: 40 },
      (_, i) => `2024-01-02 03:04:05.${'1'.repeat(1 + (i % 9))} 10:00:00,${'7'.repeat(1 + (i % 7))} x\n`,
    )
      .join('')
      .repeat(20),
    'UTF-8': 'größe=12 日本語 v3 🙂 10\n'.repeat(200),
    JSON: '{"a":1,"b":"x y","c":"2024-01-02T03:04:05.678Z","d":[1,2,{"e":""}]}\n'.repeat(300),
  }
  for (const [title, text] of Object.entries(texts)) {
    for (const mode of MODES) t.doesNotThrow(() => roundTrip(Buffer.from(text, 'latin1'), mode), `${title}, ${mode}`)
  }
  t.end()
})

test('logs come back, and pay', t => {
  for (const text of logTexts(200_000)) {
    for (const mode of MODES) {
      const streams = roundTrip(text, mode)
      t.ok(streams, mode)
      t.ok(streams!.reduce((sum, { length }) => sum + length, 0) < text.length / 2, 'half the text at most')
    }
  }
  t.end()
})

test('a date that is none is not taken for the day that was met before it', t => {
  const lines = ['2026-02-27 10:11:12 a day\n', '2021-82-27 10:11:12 a day\n', '2023-50-27T10:11:12 a day\n']
  const text = Buffer.from(lines.join('').repeat(200))
  for (const mode of MODES) t.ok(roundTrip(text, mode), mode)
  t.end()
})

test('a block takes at most ten bytes of memory per byte of its text', t => {
  const bytes = 4_000_000
  for (const log of logTexts(500_000)) {
    const text = Buffer.alloc(bytes, log)
    for (const mode of MODES) {
      const core = openWasmCore() ?? openJsCore()
      const codec = createCodec(core)
      // What is reserved: of it about half is ever touched.
      const streams = codec.encode(text, { mode, tokens: true })?.streams.map(stream => Buffer.from(stream))
      t.ok(core.memory.byteLength <= 10 * bytes, `${mode}: ${core.memory.byteLength}`)
      if (streams) t.ok(codec.decode(streams, bytes).equals(text))
      core.forget()
    }
  }
  t.end()
})

test('random texts come back', { timeout: 0 }, t => {
  t.comment(`BUCKTAIL_TEST_SEED=${SEED}`)
  const logs = logTexts(100_000)
  let bytes = 0
  for (const round of rounds(250, 30)) {
    const text = wildText(new Dice(SEED + round), logs)
    for (const mode of MODES) {
      try {
        roundTrip(text, mode)
      } catch (cause) {
        throw new Error(`seed ${SEED}, round ${round}, mode ${mode}`, { cause })
      }
    }
    bytes += text.length
  }
  t.pass(`${bytes} bytes`)
  t.end()
})

test('the analysis tells of every line its end, template, variables and time stamp', t => {
  const text = Buffer.from('Jan  2 03:04:05 a[7]: x\nJan  2 03:04:06 a[8]: x\n'.repeat(6))
  for (const codec of [wasm, js]) {
    const { analysis } = codec.encode(text)!
    t.equal(analysis.lines, 12)
    t.same(
      [...analysis.lineEnds],
      Array.from({ length: 12 }, (_, i) => 24 * (i + 1)),
    )
    t.same([...analysis.templateOf], new Array(12).fill(1))
    t.same(analysis.templates, [{ count: 12, line: 0, variables: 2, stampVariable: 0 }])
    t.equal(analysis.formats[analysis.formatOf[1]].kind, 6)
    t.equal(analysis.stampSeconds[1] - analysis.stampSeconds[0], 1)
    t.same([analysis.variableStart(1, 1), analysis.variableLength(1, 1)], [24 + 18, 1])
  }
  t.end()
})

test('a text that is empty, too long, or of very short lines is left to kind lines', t => {
  for (const codec of [wasm, js]) {
    t.equal(codec.encode(Buffer.alloc(0)), undefined)
    t.equal(codec.encode(Buffer.alloc(COLUMNS_TEXT_BYTES_MAX + 1, 10)), undefined)
    t.equal(codec.encode(Buffer.alloc(1_000_000, '1\n')), undefined)
  }
  t.end()
})

test('damaged streams end in CorruptBlockError or in a text of the length asked for, never otherwise', {
  timeout: 0,
}, t => {
  t.comment(`BUCKTAIL_TEST_SEED=${SEED}`)
  const logs = logTexts(30_000)
  let refused = 0
  for (const round of rounds(1500, 25)) {
    const dice = new Dice(SEED + round)
    const text = wildText(dice, logs)
    const encoded = wasm.encode(text, { mode: dice.pick(MODES) })
    if (encoded === undefined) continue
    const streams = copyOf(encoded.streams)
    const length = damage(streams, text.length, dice, logs)
    const outcomes = [wasm, js].map(codec => outcomeOf(codec, streams, length))
    if (outcomes[0] !== outcomes[1]) throw new Error(`seed ${SEED}, round ${round}: ${outcomes.join(' and ')}`)
    if (outcomes[0] === 'refused') refused++
  }
  t.ok(refused > 0)
  t.end()
})

function outcomeOf(codec: ColumnsCodec, streams: Buffer[], length: number): string {
  try {
    return codec.decode(streams, length).toString('latin1')
  } catch (error) {
    if (error instanceof CorruptBlockError) return 'refused'
    throw error
  }
}

/** Flips, cuts, lengthens, exchanges; answers the length to ask for. */
function damage(streams: Buffer[], length: number, dice: Dice, logs: readonly Buffer[]): number {
  for (let changes = 1 + dice.below(3); changes > 0; changes--) {
    const k = dice.below(streams.length)
    const stream = streams[k]
    switch (dice.below(6)) {
      case 0:
        streams[k] = stream.subarray(0, dice.below(stream.length + 1))
        break
      case 1:
        streams[k] = Buffer.concat([stream, Buffer.from([dice.below(256), dice.below(256)])])
        break
      case 2: {
        const other = wasm.encode(dice.pick(logs))!
        streams[k] = Buffer.from(other.streams[k])
        break
      }
      case 3: {
        // A number of many digits: huge counts, lengths, widths.
        const at = dice.below(stream.length + 1)
        streams[k] = Buffer.concat([
          stream.subarray(0, at),
          Buffer.from([0xff, 0xff, 0xff, 0xff, 0x07]),
          stream.subarray(at),
        ])
        break
      }
      case 4:
        return dice.pick([0, 1, length - 1, length + 1, length * 2, COLUMNS_TEXT_BYTES_MAX])
      default:
        if (stream.length > 0) stream[dice.below(stream.length)] = dice.below(256)
    }
  }
  return length
}
