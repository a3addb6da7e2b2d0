// `node bench/columns.ts [--from FOLDER] [--kinds Apache,HDFS] [--mb 4] [--block-kb 1024]`: the codec of shared/columns by
// itself, per kind of log and as geometric mean. The first `mb` of each log of the folder, in blocks of whole lines. MB is
// 10⁶ bytes of log; CPU seconds of this process, the median of some runs; every block is decoded and compared first.
//
//   z1, z3, z9      bytes of the log : bytes of its blocks with all columns of its events, at that level of zstd
//   events          share of the event columns in the blocks at level 1
//   encode          text to streams, by WebAssembly and by plain JavaScript
//   block           events to a block, zstd -1 included, as the tailer does it
//   decode          streams to text, by either form
//   unblock         a block to events, everything checked
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { constants, zstdCompressSync } from 'node:zlib'
import { table } from '../bin/terminal.ts'
import { type ColumnsCodec, createCodec, type Mode } from '../shared/columns/codec.ts'
import {
  analyseText,
  decodeColumnsBlock,
  encodeColumnsBlock,
  finishColumnsBlock,
  inflateFrame,
  ModeMemory,
  readColumnsHeader,
} from '../shared/columns/columns-block.ts'
import { openJsCore, openWasmCore } from '../shared/columns/target.ts'
import type { Events } from '../shared/events.ts'
import { EventColumns } from '../tailer/event-columns.ts'
import { LineParser } from '../tailer/parse/line-parser.ts'

const READ_MS = Date.parse('2026-11-24T00:00:00Z')
const LEVELS = [1, 3, 9]
const RUNS = 5
const RUN_SECONDS_MIN = 0.05
/** Before that, until both compilers have done with it. */
const WARM_UP_SECONDS = 0.4

const { values } = parseArgs({
  options: {
    from: { type: 'string', default: '../shared/data' },
    kinds: { type: 'string' },
    mb: { type: 'string', default: '4' },
    'block-kb': { type: 'string', default: '1024' },
  },
})
const wasmCore = openWasmCore()
if (wasmCore === undefined) throw new Error('no columns.wasm of these sources: npm run prepare')
const wasm = createCodec(wasmCore)
const js = createCodec(openJsCore())

interface Figures {
  kind: string
  mode: Mode
  ratios: number[]
  eventShare: number
  speeds: number[]
}

const rows: Figures[] = []
for (const name of readdirSync(values.from).sort()) {
  const kind = name.replace(/\.log$/, '')
  if (!name.endsWith('.log') || (values.kinds && !values.kinds.split(',').includes(kind))) continue
  rows.push(measure(kind, readFileSync(join(values.from, name)).subarray(0, Number(values.mb) * 1024 * 1024)))
}
const mean = (of: (figures: Figures) => number) =>
  Math.exp(rows.reduce((sum, figures) => sum + Math.log(of(figures)), 0) / rows.length)
const speedHeads = ['encode wasm', 'encode js', 'block', 'decode wasm', 'decode js', 'unblock']
console.log(
  table(
    ['kind', 'mode', ...LEVELS.map(level => `z${level}`), 'events', ...speedHeads],
    [
      ...rows.map(f => [
        f.kind,
        f.mode,
        ...f.ratios.map(ratio => ratio.toFixed(1)),
        `${(f.eventShare * 100).toFixed(2)} %`,
        ...f.speeds.map(speed => speed.toFixed(0)),
      ]),
      [
        'geometric mean',
        '',
        ...LEVELS.map((_, i) => mean(f => f.ratios[i]).toFixed(2)),
        '',
        ...speedHeads.map((_, i) => mean(f => f.speeds[i]).toFixed(0)),
      ],
    ],
  ),
)

function measure(kind: string, log: Buffer): Figures {
  const texts = [...blocksOf(log)]
  const bytes = texts.reduce((sum, text) => sum + text.length, 0)
  const columns = new EventColumns()
  const parser = new LineParser()
  const label = { source: '0123456789abcdef', host: 'host', path: `/var/log/${kind}.log`, app: kind, start: 0 }
  const blocks = texts.map(text => {
    const span = { label, parser, offset: 0, start: 0, end: text.length, isMidLine: false, readMs: READ_MS }
    return structuredCloneOf(columns.fill(text, [span]))
  })
  const modes = new ModeMemory()
  const encoded = LEVELS.map(level =>
    blocks.map(events => {
      const block = encodeColumnsBlock(events, level, modes)
      if (block === undefined) throw new Error(`${kind}: columns do not pay`)
      if (!decodeColumnsBlock(block, events.runs, events.names).bytes.equals(events.bytes)) throw new Error(kind)
      return block
    }),
  )
  const mode = modes.mode!
  const streams = texts.map(text => wasm.encode(text, { mode })!.streams.map(stream => Buffer.from(stream)))
  const perSecond = (work: () => void) => bytes / 1e6 / secondsOf(work)
  const encode = (codec: ColumnsCodec) =>
    perSecond(() => {
      for (const text of texts) codec.encode(text, { mode })
    })
  const decode = (codec: ColumnsCodec) =>
    perSecond(() => {
      for (const [i, of] of streams.entries()) codec.decode(of, texts[i].length)
    })
  return {
    kind,
    mode,
    ratios: encoded.map(list => bytes / list.reduce((sum, block) => sum + block.length, 0)),
    eventShare: eventShare(encoded[0]),
    speeds: [
      encode(wasm),
      encode(js),
      perSecond(() => {
        for (const events of blocks) finishColumnsBlock(events, analyseText(events.bytes, modes)!, 1)
      }),
      decode(wasm),
      decode(js),
      perSecond(() => {
        for (const [i, block] of encoded[0].entries()) decodeColumnsBlock(block, blocks[i].runs, blocks[i].names)
      }),
    ],
  }
}

/** How much smaller the blocks were if their events said nothing beyond the text: frame B without its last stream. */
function eventShare(encoded: Buffer[]): number {
  let all = 0
  let events = 0
  for (const block of encoded) {
    const header = readColumnsHeader(block)
    const streams = inflateFrame(header, 'B').slice(0, -1)
    const options = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }
    all += block.length
    events += header.frameB.length - zstdCompressSync(Buffer.concat(streams), options).length
  }
  return events / all
}

function* blocksOf(log: Buffer): Generator<Buffer> {
  const max = Number(values['block-kb']) * 1024
  for (let at = 0; at < log.length; ) {
    const end = log.lastIndexOf(10, at + max - 1) + 1
    // What is left of the last one, where the log was cut.
    if (end - at < max / 64) return
    yield log.subarray(at, end)
    at = end
  }
}

function structuredCloneOf(events: Events): Events {
  return { ...structuredClone({ ...events, bytes: undefined }), bytes: Buffer.from(events.bytes) }
}

function secondsOf(work: () => void): number {
  secondsPerCall(work, WARM_UP_SECONDS)
  const times = Array.from({ length: RUNS }, () => secondsPerCall(work, RUN_SECONDS_MIN))
  return times.sort((a, b) => a - b)[RUNS >> 1]
}

function secondsPerCall(work: () => void, secondsMin: number): number {
  const from = process.cpuUsage()
  for (let count = 1; ; count++) {
    work()
    const { user, system } = process.cpuUsage(from)
    const seconds = (user + system) / 1e6
    if (seconds >= secondsMin) return seconds / count
  }
}
