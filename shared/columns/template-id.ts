// One name for lines of one shape, in whatever block and mode they are found. The modes "words" and "joined" differ in
// what hangs on a variable by `.` `:` `-`; here all of it is taken as one variable.
import { createHash } from 'node:crypto'
import { STAMP_MARK, VARIABLE_MARK } from './core/places.ts'
import type { Template } from './template-view.ts'

/** 64 bits, as 16 hex digits. */
export function templateId(template: Pick<Template, 'text'>): string {
  return createHash('sha256').update(canonical(template.text)).digest('hex').slice(0, 16)
}

function canonical(text: Buffer): Buffer {
  const out = Buffer.alloc(text.length)
  let to = 0
  for (let at = 0; at < text.length; ) {
    const byte = text[at]
    out[to++] = byte
    at++
    if (byte === STAMP_MARK) at++
    else if (byte === VARIABLE_MARK) at = behindJoined(text, at)
  }
  return out.subarray(0, to)
}

/** Behind `.word`, `:word`, `-word` …, words and variables alike. */
function behindJoined(text: Buffer, from: number): number {
  let at = from
  while (isJoiner(text[at]) && isWord(text[at + 1])) {
    at++
    while (isWord(text[at])) at += text[at] === STAMP_MARK ? 2 : 1
  }
  return at
}

function isJoiner(byte: number): boolean {
  return byte === 0x2e || byte === 0x3a || byte === 0x2d
}

function isWord(byte: number): boolean {
  if (byte === VARIABLE_MARK || byte === STAMP_MARK || byte >= 128 || byte === 0x5f) return true
  const letter = byte | 0x20
  return (letter >= 0x61 && letter <= 0x7a) || (byte >= 0x30 && byte <= 0x39)
}
