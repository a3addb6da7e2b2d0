// Hides what rules name, before anything is written or sent: each byte of it becomes a `*`. So a line keeps its length:
// offsets, sizes and ranges are those of the file (docs/redaction.md; docs/decisions).
//
// What is known of a file by its bytes (head, tail, packets in the journal) is hidden too. A file is held against them with
// `isLike`: a hidden byte is like any.
import type { OpenFile } from '../../shared/world.ts'
import type { RedactRule } from './rules.ts'

export const MASK = 0x2a
const NEWLINE = 0x0a
/** Of a line that has no end yet so much is not given out: a secret may begin in it and end in what comes. */
export const UNFINISHED_BYTES = 1024
/** So far before and behind a range is read to see its lines whole. */
const CONTEXT_BYTES = 4096

export class Redactor {
  readonly #rules: readonly RedactRule[]
  /** Places hidden, by rule. */
  readonly counts = new Map<string, number>()

  constructor(rules: readonly RedactRule[]) {
    this.#rules = rules
    for (const rule of rules) this.counts.set(rule.name, 0)
  }

  /** Places hidden, by all rules. */
  get count(): number {
    return this.counts.values().reduce((sum, count) => sum + count, 0)
  }

  /**
   * Hides in place, in whole lines; a last one may lack its end.
   * @returns where what is hidden begins, in order
   */
  mask(bytes: Buffer, at = 0, end = bytes.length, isCounted = true): number[] {
    const hidden: number[] = []
    for (const rule of this.#rules) {
      const places = rule.find(bytes, at, end, (from, to) => {
        bytes.fill(MASK, from, to)
        hidden.push(from)
      })
      if (places > 0 && isCounted) this.counts.set(rule.name, (this.counts.get(rule.name) ?? 0) + places)
    }
    return hidden.sort((a, b) => a - b)
  }
}

/**
 * Bytes [from, to) of a file as they may be kept. Of a line whose beginning is too far away, or whose end is not there yet,
 * nothing is kept: all of it is hidden.
 */
export async function readRedacted(
  file: Pick<OpenFile, 'read'>,
  from: number,
  to: number,
  redactor: Redactor | undefined,
): Promise<Buffer> {
  if (redactor === undefined) return readRange(file, from, to)
  const contextFrom = Math.max(0, from - CONTEXT_BYTES)
  const bytes = await readRange(file, contextFrom, to + CONTEXT_BYTES)
  const end = Math.min(bytes.length, to - contextFrom)
  const start = Math.min(from - contextFrom, end)
  const firstLine = contextFrom === 0 ? 0 : bytes.indexOf(NEWLINE) + 1
  const lastLine = bytes.lastIndexOf(NEWLINE) + 1
  if (contextFrom > 0) hideText(bytes, 0, firstLine === 0 ? bytes.length : firstLine)
  hideText(bytes, Math.max(firstLine, lastLine), bytes.length)
  redactor.mask(bytes, firstLine, Math.max(firstLine, lastLine), false)
  return bytes.subarray(start, end)
}

function hideText(bytes: Buffer, from: number, to: number): void {
  for (let i = from; i < to; i++) if (bytes[i] !== NEWLINE) bytes[i] = MASK
}

/** Whether a file may have these bytes where `known` is what is kept of them: what is hidden in it is like any byte. */
export function isLike(actual: Buffer, known: Buffer, isRedacted: boolean): boolean {
  if (actual.equals(known)) return true
  if (!isRedacted || actual.length !== known.length) return false
  return likeBytes(actual, known, true) === known.length
}

/** How many bytes from the beginning on are alike. */
export function likeBytes(actual: Buffer, known: Buffer, isRedacted: boolean): number {
  const end = Math.min(actual.length, known.length)
  let i = 0
  while (i < end && (actual[i] === known[i] || (isRedacted && known[i] === MASK))) i++
  return i
}

async function readRange(file: Pick<OpenFile, 'read'>, from: number, to: number): Promise<Buffer> {
  const into = Buffer.allocUnsafe(to - from)
  let filled = 0
  while (filled < into.length) {
    const got = await file.read(into.subarray(filled), from + filled)
    if (got === 0) break
    filled += got
  }
  return into.subarray(0, filled)
}
