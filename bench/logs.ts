// The log that everything is measured with: mixed lines, made from a seed, with words in it that are searched for.
import { closeSync, openSync, writeSync } from 'node:fs'
import { SAMPLE_KINDS, sampleRecord, seededFraction } from '../bin/samples.ts'

/** Once in so many bytes. */
const RARE_EVERY_BYTES = 8 * 1024 * 1024
const CHUNK_BYTES = 4 * 1024 * 1024
export const RARE_WORD = 'quokka7f3a'
/** In every tenth line or so. */
export const COMMON_WORD = 'invoice'
/** Within the rare word: no word index finds it. */
export const SUBSTRING = '*okka7f*'

export interface Made {
  bytes: number
  lines: number
  rare: number
}

export function makeLog(path: string, bytes: number, seed: number): Made {
  const random = seededFraction(seed)
  const made: Made = { bytes: 0, lines: 0, rare: 0 }
  const handle = openSync(path, 'w')
  try {
    let now = Date.parse('2026-03-01T00:00:00Z')
    while (made.bytes < bytes) {
      let text = ''
      while (text.length < CHUNK_BYTES && made.bytes + text.length < bytes) {
        text += sampleRecord(SAMPLE_KINDS[Math.floor(random() * SAMPLE_KINDS.length)], random, now)
        now += 2
      }
      if (made.bytes + text.length >= (made.rare + 0.5) * RARE_EVERY_BYTES) {
        text += `${new Date(now).toISOString()} WARN  seen a ${RARE_WORD} in the hall\n`
        made.rare++
      }
      const chunk = Buffer.from(text)
      writeSync(handle, chunk)
      made.bytes += chunk.length
      for (const byte of chunk) if (byte === 0x0a) made.lines++
    }
  } finally {
    closeSync(handle)
  }
  return made
}
