// `node bench/grow.ts --from ../shared/data --out FOLDER [--mb 64] [--mixed 256] [--seed 1] [--kinds Apache,HDFS]`:
// long logs out of the short real ones of a folder, one file per kind and one of all kinds in stretches; and the
// project's own sample lines. What makes them honest: bench/grown-log.ts.
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { SAMPLE_KINDS, type SampleKind, sampleRecord, seededFraction } from '../bin/samples.ts'
import { GrownLog } from './grown-log.ts'

/** Lines of one kind before another follows, in the mixed file: geometric. */
const STRETCH_LINES_MEAN = 40
const CHUNK_BYTES = 4 * 1024 * 1024

export interface Lines {
  kind: string
  /** Mean, to give each kind its share of the bytes. */
  lineBytes: number
  next(): string
}

/** Real kinds of a folder; none where it is absent. */
export function realKinds(folder: string, seed: number): Lines[] {
  if (!existsSync(folder)) return []
  const files = readdirSync(folder).filter(name => name.endsWith('.log'))
  return files.sort().map((name, i) => {
    const text = readFileSync(join(folder, name), 'latin1')
    const log = new GrownLog(text, seed * 1000 + i)
    return { kind: name.slice(0, -4), lineBytes: text.length / text.split('\n').length, next: () => log.next() }
  })
}

/** The project's generators: `sample-access` … */
export function sampleKinds(seed: number): Lines[] {
  return SAMPLE_KINDS.map((kind: SampleKind, i) => {
    const random = seededFraction(seed * 1000 + 500 + i)
    let nowMs = Date.parse('2026-03-01T00:00:00Z')
    const next = () => {
      // Most follow at once.
      nowMs += Math.floor(2 / (random() + 0.01))
      return sampleRecord(kind, random, nowMs)
    }
    return { kind: `sample-${kind}`, lineBytes: 150, next }
  })
}

/** All kinds by turns, in stretches, each with an equal share of the bytes. */
export function mixedKinds(kinds: Lines[], seed: number): Lines {
  const random = seededFraction(seed * 1000 + 999)
  const weights = kinds.map(({ lineBytes }) => 1 / lineBytes)
  const sum = weights.reduce((a, b) => a + b, 0)
  let now = kinds[0]
  const next = () => {
    if (random() * STRETCH_LINES_MEAN < 1) {
      let drawn = random() * sum
      now = kinds[kinds.length - 1]
      for (let i = 0; i < kinds.length; i++) {
        drawn -= weights[i]
        if (drawn >= 0) continue
        now = kinds[i]
        break
      }
    }
    return now.next()
  }
  return { kind: 'mixed', lineBytes: kinds.length / sum, next }
}

/** Whole lines, at least `bytes` of them. */
export function writeGrown(path: string, lines: Lines, bytes: number): { bytes: number; lines: number } {
  const made = { bytes: 0, lines: 0 }
  const handle = openSync(path, 'w')
  try {
    while (made.bytes < bytes) {
      let text = ''
      while (text.length < CHUNK_BYTES && made.bytes + text.length < bytes) {
        text += lines.next()
        made.lines++
      }
      writeSync(handle, text, null, 'latin1')
      made.bytes += text.length
    }
  } finally {
    closeSync(handle)
  }
  return made
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      from: { type: 'string', default: '../shared/data' },
      out: { type: 'string' },
      mb: { type: 'string', default: '64' },
      mixed: { type: 'string', default: '256' },
      seed: { type: 'string', default: '1' },
      kinds: { type: 'string' },
    },
  })
  if (!values.out) throw new Error('--out FOLDER: where the long logs are to lie')
  const seed = Number(values.seed)
  mkdirSync(values.out, { recursive: true })
  const real = realKinds(values.from, seed)
  if (real.length === 0) console.error(`no real logs in ${values.from}: only the project's own samples are grown`)
  const isWanted = ({ kind }: Lines) => !values.kinds || values.kinds.split(',').includes(kind)
  for (const lines of [...real, ...sampleKinds(seed)].filter(isWanted)) {
    const made = writeGrown(join(values.out, `${lines.kind}.log`), lines, Number(values.mb) * 1e6)
    console.log(`${lines.kind}.log: ${made.bytes} bytes, ${made.lines} lines`)
  }
  if (Number(values.mixed) > 0) {
    // Fresh ones: the mixed file does not depend on which kinds were written before.
    const kinds = real.length > 0 ? realKinds(values.from, seed + 1) : sampleKinds(seed + 1)
    const made = writeGrown(join(values.out, 'mixed.log'), mixedKinds(kinds, seed), Number(values.mixed) * 1e6)
    console.log(`mixed.log: ${made.bytes} bytes, ${made.lines} lines`)
  }
}
