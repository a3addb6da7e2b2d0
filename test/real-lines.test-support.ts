// Lines to search in: real logs where they are at hand, else the project's own samples; and what is nasty besides.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { SAMPLE_KINDS, sampleRecord } from '../bin/samples.ts'

/** Not part of a clone. */
const REAL_LOGS = fileURLToPath(new URL('../../shared/data', import.meta.url))

export interface SampleFile {
  name: string
  /** Whole lines; the last one may lack its end. */
  text: Buffer
}

/** At most `bytesMax` of each kind, from a place that chance picks. */
export function sampleFiles(random: () => number, bytesMax: number): { files: SampleFile[]; areReal: boolean } {
  const real = existsSync(REAL_LOGS) ? readdirSync(REAL_LOGS).filter(name => name.endsWith('.log')) : []
  const files = real.map(name => ({ name, text: stretch(readFileSync(`${REAL_LOGS}/${name}`), random, bytesMax) }))
  for (const kind of SAMPLE_KINDS) files.push({ name: `${kind}.log`, text: samples(kind, random, bytesMax) })
  files.push({ name: 'nasty.log', text: nasty(random, bytesMax / 4) })
  return { files, areReal: real.length > 0 }
}

function stretch(text: Buffer, random: () => number, bytesMax: number): Buffer {
  if (text.length <= bytesMax) return text
  const at = text.indexOf(0x0a, Math.floor(random() * (text.length - bytesMax))) + 1
  return text.subarray(at, at + bytesMax)
}

function samples(kind: (typeof SAMPLE_KINDS)[number], random: () => number, bytesMax: number): Buffer {
  let text = ''
  for (let now = Date.parse('2026-03-01T00:00:00Z'); text.length < bytesMax; now += 40) {
    text += sampleRecord(kind, random, now)
  }
  return Buffer.from(text)
}

/** Letters of all widths, bytes that are no UTF-8, control characters, numbers of all sizes, long and empty lines. */
function nasty(random: () => number, bytesMax: number): Buffer {
  const upTo = (most: number) => Math.floor(random() * most)
  const words = [
    ...['grün', 'GRÜN', 'ſtraße', 'naïve', 'naı̈ve', 'İstanbul', 'ΣΑΣ', 'σας', '数据库', '错误', 'ไทย', '🦊fox', 'K'],
    ...[
      '10.0.0.1',
      '00012',
      '-7',
      '1e9',
      '4294967296',
      '99999999999999999999',
      '2026-03-01T00:00:00Z',
      'Feb 29 25:00:00',
    ],
    ...[
      'a_b',
      'A_B',
      'x'.repeat(300),
      '"q"',
      "it's",
      '\\n',
      '%s',
      '\x10\x11\x12',
      '\x7f',
      '\r',
      '\t',
      '  ',
      '::',
      '--',
    ],
  ]
  const parts: Buffer[] = []
  let bytes = 0
  while (bytes < bytesMax) {
    const count = upTo(random() < 0.01 ? 1000 : 9)
    const line = Array.from({ length: count }, () => {
      const choice = random()
      if (choice < 0.15) return Buffer.from([upTo(256), upTo(256), upTo(256)].filter(byte => byte !== 0x0a))
      if (choice < 0.4) return Buffer.from(String(upTo(10 ** upTo(12))))
      return Buffer.from(words[upTo(words.length)])
    }).flatMap(word => [word, Buffer.from(random() < 0.8 ? ' ' : '')])
    parts.push(...line, Buffer.from(random() < 0.2 ? '\r\n' : '\n'))
    bytes += line.reduce((sum, { length }) => sum + length, 1)
  }
  return Buffer.concat(parts)
}
