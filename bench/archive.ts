// `node bench/archive.ts --from FOLDER [--kinds Apache,HDFS] [--mb 64] [--block-mb 8] [--level 6]`: what an archive
// comes to. Each log of the folder (bench/grow.ts makes them) is cut into packets of 1 MB as the tailer cuts them; these
// are merged into segments as the porter merges them; the segments are decoded and compared with the log. Beside it
// gzip -6 and xz -9 of the same bytes (sizes are remembered by hash: they take minutes and never change). CPU seconds of
// this process.
//
//   ratio    bytes of the log : bytes of the segments with directory, filters and manifest
//   merge    packets decoded, encoded as blocks, compressed, hashed, described: MB of log per CPU second
//   decode   segments back to events, checksums compared: the same
import { spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { table } from '../bin/terminal.ts'
import { columnsCodec } from '../shared/columns/codec.ts'
import { decodeColumnsBlock, encodeColumnsBlock, ModeMemory } from '../shared/columns/columns-block.ts'
import type { Run } from '../shared/events.ts'
import { HeldPackets } from '../shared/held-packets.ts'
import type { Piece } from '../shared/pieces.ts'
import { readDirectory, readSegmentBlock } from '../shared/segment.ts'
import { GROUP_BYTES, inflatedBytes } from '../shared/segment-batch.ts'
import { describeSegment, encodeSegmentManifest } from '../shared/segment-manifest.ts'
import { SegmentWriter, type WrittenSegment } from '../shared/segment-writer.ts'
import { EventColumns } from '../tailer/event-columns.ts'
import { LineParser } from '../tailer/parse/line-parser.ts'

const PACKET_BYTES = 1024 * 1024
const SEGMENT_BYTES = 64 * 1024 * 1024
const PEERS_FILE = '.cache/archive-peers.json'
const READ_MS = Date.parse('2026-11-24T00:00:00Z')

const { values } = parseArgs({
  options: {
    from: { type: 'string' },
    kinds: { type: 'string' },
    mb: { type: 'string', default: '64' },
    'block-mb': { type: 'string', default: '8' },
    level: { type: 'string', default: '6' },
    out: { type: 'string' },
    peers: { type: 'boolean', default: true },
  },
  allowNegative: true,
})
if (!values.from) throw new Error('--from FOLDER: where the logs lie; bench/grow.ts makes long ones')

interface Body {
  bytes: Buffer
  runs: Run[]
  names: string[]
  rawBytes: number
  events: number
}

interface Figures {
  kind: string
  bytes: number
  packets: number
  segment: number
  filters: number
  gzip: number
  xz: number
  mergeSeconds: number
  decodeSeconds: number
}

const folder = values.from
const rows: Figures[] = []
for (const name of readdirSync(folder).sort()) {
  const kind = name.replace(/\.log$/, '')
  if (!name.endsWith('.log') || (values.kinds && !values.kinds.split(',').includes(kind))) continue
  const figures = await measure(kind, readFileSync(join(folder, name)).subarray(0, Number(values.mb) * 1e6))
  rows.push(figures)
  console.error(rowOf(figures).join('  '))
}
const mean = (of: (figures: Figures) => number) =>
  Math.exp(rows.reduce((sum, figures) => sum + Math.log(of(figures)), 0) / rows.length)
const heads = [
  'kind',
  'gzip -6',
  'xz -9',
  'packets',
  'segments',
  ': gzip',
  ': xz',
  'filters',
  'merge MB/s',
  'decode MB/s',
]
console.log(
  `columns: ${columnsCodec().target}; blocks of ${values['block-mb']} MB, zstd -${values.level}; at most ${values.mb} MB per kind\n`,
)
console.log(
  table(heads, [
    ...rows.map(rowOf),
    [
      'geometric mean',
      mean(f => f.bytes / f.gzip).toFixed(2),
      mean(f => f.bytes / f.xz).toFixed(2),
      mean(f => f.bytes / f.packets).toFixed(2),
      mean(f => f.bytes / f.segment).toFixed(2),
      mean(f => f.gzip / f.segment).toFixed(2),
      mean(f => f.xz / f.segment).toFixed(2),
      `${(mean(f => f.filters / f.segment) * 100).toFixed(1)} %`,
      mean(f => f.bytes / 1e6 / f.mergeSeconds).toFixed(0),
      mean(f => f.bytes / 1e6 / f.decodeSeconds).toFixed(0),
    ],
  ]),
)
if (values.out) {
  mkdirSync(dirname(values.out), { recursive: true })
  writeFileSync(values.out, `${JSON.stringify(rows, null, 2)}\n`)
}

function rowOf(f: Figures): string[] {
  return [
    f.kind,
    (f.bytes / f.gzip).toFixed(2),
    (f.bytes / f.xz).toFixed(2),
    (f.bytes / f.packets).toFixed(2),
    (f.bytes / f.segment).toFixed(2),
    (f.gzip / f.segment).toFixed(2),
    (f.xz / f.segment).toFixed(2),
    `${((f.filters / f.segment) * 100).toFixed(1)} %`,
    (f.bytes / 1e6 / f.mergeSeconds).toFixed(0),
    (f.bytes / 1e6 / f.decodeSeconds).toFixed(0),
  ]
}

async function measure(kind: string, whole: Buffer): Promise<Figures> {
  const log = whole.subarray(0, whole.lastIndexOf(0x0a) + 1)
  const bodies = packetsOf(kind, log)
  let from = process.cpuUsage()
  // As shared/segment-batch holds it.
  const release = columnsCodec().holdMemory()
  const { segments, manifestBytes } = merge(bodies)
  release()
  const mergeSeconds = secondsSince(from)
  from = process.cpuUsage()
  const decoded: { at: number; hash: string; bytes: number }[] = []
  let filters = 0
  // Hashing and comparing with the log is not part of decoding.
  let hashing = 0
  for (const { content } of segments) {
    const file = { name: kind, size: content.length, read: async (a: number, b: number) => content.subarray(a, b) }
    const blocks = await readDirectory(file, ({ where, reason }) => {
      throw new Error(`${where}: ${reason}`)
    })
    for (const block of blocks) {
      filters += block.filter?.bytes ?? 0
      const { bytes, runs } = await readSegmentBlock(file, block)
      const since = process.cpuUsage()
      let at = 0
      for (const run of runs) {
        const length = run.to - run.from
        decoded.push({ at: run.from, bytes: length, hash: hashOf(bytes.subarray(at, at + length)) })
        at += length
      }
      hashing += secondsSince(since)
    }
  }
  const decodeSeconds = secondsSince(from) - hashing
  let at = 0
  for (const part of decoded.sort((a, b) => a.at - b.at)) {
    if (part.at !== at || hashOf(log.subarray(at, at + part.bytes)) !== part.hash) {
      throw new Error(`${kind}: not equal at ${at}`)
    }
    at += part.bytes
  }
  if (at !== log.length) throw new Error(`${kind}: ${at} of ${log.length} bytes`)
  return {
    kind,
    bytes: log.length,
    packets: bodies.reduce((sum, { bytes }) => sum + bytes.length, 0),
    segment: segments.reduce((sum, { content }) => sum + content.length, manifestBytes),
    filters,
    gzip: values.peers ? sizeBy('gzip', ['-6', '-c'], log) : Number.NaN,
    xz: values.peers ? sizeBy('xz', ['-9', '-T1', '-c'], log) : Number.NaN,
    mergeSeconds,
    decodeSeconds,
  }
}

function packetsOf(kind: string, log: Buffer): Body[] {
  const bodies: Body[] = []
  const parser = new LineParser()
  const columns = new EventColumns()
  const modes = new ModeMemory()
  const label = { source: '0123456789abcdef', host: 'host', path: `/var/log/${kind}.log`, app: kind, start: 0 }
  for (let at = 0; at < log.length; ) {
    const end = log.lastIndexOf(0x0a, at + PACKET_BYTES - 1) + 1
    const text = log.subarray(at, end)
    const span = { label, parser, offset: at, start: 0, end: text.length, isMidLine: false, readMs: READ_MS }
    const events = columns.fill(text, [span])
    const bytes = encodeColumnsBlock(events, 1, modes)
    if (!bytes) throw new Error(`${kind}: columns do not pay at ${at}`)
    bodies.push({ bytes, runs: events.runs, names: events.names, rawBytes: text.length, events: events.ends.length })
    at = end
  }
  return bodies
}

/** As add-plan and segment-batch do it, in memory. */
function merge(bodies: Body[]): { segments: WrittenSegment[]; manifestBytes: number } {
  const segments: WrittenSegment[] = []
  let manifestBytes = 0
  const held = new HeldPackets()
  const newWriter = () =>
    new SegmentWriter({ blockBytes: Number(values['block-mb']) * 1024 * 1024, level: Number(values.level) })
  let writer = newWriter()
  let group: Piece[] = []
  let groupBytes = 0
  const finish = (isLast: boolean) => {
    const written = writer.finish()
    if (!written) return
    segments.push(written)
    const content = { span: 0, firstBucket: 0, lastBucket: 0, writer: 'bench', wallMs: READ_MS }
    const packets = isLast ? [...held.runs()] : []
    const words = { manifests: [], gone: [] }
    manifestBytes += encodeSegmentManifest(describeSegment(written, { ...content, packets, words })).length
    writer = newWriter()
  }
  const flush = () => {
    for (const piece of group) {
      writer.append(piece)
      if (writer.bytes >= SEGMENT_BYTES) finish(false)
    }
    group = []
    groupBytes = 0
  }
  bodies.forEach((body, i) => {
    const id = { tailer: '00'.repeat(16), epoch: `1-${'00'.repeat(8)}`, sequence: i + 1 }
    held.add({ ...id, sum: randomBytes(8).toString('hex') })
    const events = decodeColumnsBlock(body.bytes, body.runs, body.names)
    const [run] = events.runs
    const origin = { ...id, bucket: 0 }
    group.push({ events, first: 0, end: events.ends.length, run, from: run.from, to: run.to, origin })
    groupBytes += inflatedBytes(body)
    if (groupBytes >= GROUP_BYTES) flush()
  })
  flush()
  finish(true)
  return { segments, manifestBytes }
}

function sizeBy(command: string, args: string[], input: Buffer): number {
  const known: Record<string, number> = existsSync(PEERS_FILE) ? JSON.parse(readFileSync(PEERS_FILE, 'utf8')) : {}
  const key = `${command} ${args.join(' ')} ${hashOf(input)}`
  if (known[key] === undefined) {
    const { stdout, status, error } = spawnSync(command, args, { input, maxBuffer: 256 * 1024 * 1024 })
    if (status !== 0) throw new Error(`${command} failed`, { cause: error })
    mkdirSync(dirname(PEERS_FILE), { recursive: true })
    writeFileSync(PEERS_FILE, JSON.stringify({ ...known, [key]: stdout.length }, null, 2))
  }
  return known[key] ?? sizeBy(command, args, input)
}

function hashOf(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

function secondsSince(from: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(from)
  return (user + system) / 1e6
}
