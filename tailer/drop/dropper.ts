// Tells the records of one source that are given out from those that a setting drops: its filter, then what is over a rate
// or a quota whose policy is to discard. What is dropped is blanked (shared/dropped.ts): the file's bytes stay accounted.
//
//   bytes read ─▶ judge: stretches, kept or dropped by a rule ─▶ a span each in the packet ─▶ blank
//
// Pieces of a record that was begun before go its way. After a restart nobody knows which that was: they are kept.
import { EVENT_BYTES_MAX } from '../../shared/events.ts'
import type { Records } from '../multiline/records.ts'
import { MASK } from '../redact/redactor.ts'
import type { Filter } from './filter.ts'

/** Up to `end`, from where the one before ends. */
export interface Stretch {
  end: number
  /** What dropped it; undefined: it is kept. */
  rule: string | undefined
}

/** A measure: what is over it waits in the file, or is dropped. */
export interface Limit {
  readonly name: string
  /** @param now  monotonic ms */
  isSpent(now: number): boolean
  /** These are given out. */
  spend(bytes: Buffer): void
}

const NEWLINE = 0x0a

export class Dropper {
  readonly #filter: Filter | undefined
  /** What drops what is over it. */
  readonly limits: Limit[]
  /** What became of the record last begun. */
  #last: string | undefined

  constructor(filter: Filter | undefined, limits: Limit[]) {
    this.#filter = filter
    this.limits = limits
  }

  /**
   * @param bytes  as the file has them
   * @param now  monotonic ms; undefined: limits do not count
   * @returns undefined if all of it is kept
   */
  judge(
    bytes: Buffer,
    records: Records | undefined,
    isMidLine: boolean,
    now: number | undefined,
  ): Stretch[] | undefined {
    this.#filter?.begin()
    const stretches: Stretch[] = []
    let at = 0
    if (isMidLine) {
      at = bytes.indexOf(NEWLINE) + 1 || bytes.length
      this.#give(bytes, 0, at, now)
      stretches.push({ end: at, rule: this.#last })
    }
    while (at < bytes.length) {
      const end = recordEnd(bytes, at, records)
      // More of the record before it: a trace whose first lines were given out already.
      if (!(at === 0 && records?.isContinued === true && isJoined(bytes, at, records))) {
        const judged = Math.min(end, at + EVENT_BYTES_MAX)
        this.#last = this.#filter?.drops(bytes, at, judged) ?? this.#overLimit(now)
      }
      this.#give(bytes, at, end, now)
      const before = stretches.at(-1)
      if (before !== undefined && before.rule === this.#last) before.end = end
      else stretches.push({ end, rule: this.#last })
      at = end
    }
    return stretches.every(({ rule }) => rule === undefined) ? undefined : stretches
  }

  #overLimit(now: number | undefined): string | undefined {
    return now === undefined ? undefined : this.limits.find(limit => limit.isSpent(now))?.name
  }

  #give(bytes: Buffer, at: number, end: number, now: number | undefined): void {
    if (now === undefined || this.#last !== undefined) return
    for (const limit of this.limits) limit.spend(bytes.subarray(at, end))
  }
}

/** Behind the record that begins at `at`, as the events of a packet are told apart (tailer/event-columns.ts). */
function recordEnd(bytes: Buffer, at: number, records: Records | undefined): number {
  const newline = bytes.indexOf(NEWLINE, at)
  const lineEnd = newline < 0 ? bytes.length : newline + 1
  if (records === undefined) return lineEnd
  if (!isJoined(bytes, at, records) && !(lineEnd < bytes.length && isJoined(bytes, lineEnd, records))) return lineEnd
  records.next(bytes, at, bytes.length)
  return records.end
}

function isJoined(bytes: Buffer, at: number, records: Records): boolean {
  return records.maybeJoined(bytes, at, bytes.length)
}

/** What is dropped spends nothing. */
export function spendKept(limit: Limit, bytes: Buffer, stretches: readonly Stretch[]): void {
  let at = 0
  for (const { end, rule } of stretches) {
    if (rule === undefined) limit.spend(bytes.subarray(at, end))
    at = end
  }
}

/** Hides the text of what is dropped; the line ends stay. */
export function blank(bytes: Buffer, stretches: readonly Stretch[]): void {
  let at = 0
  for (const { end, rule } of stretches) {
    if (rule === undefined) {
      at = end
      continue
    }
    while (at < end) {
      const newline = bytes.indexOf(NEWLINE, at)
      const textEnd = newline < 0 || newline >= end ? end : newline
      bytes.fill(MASK, at, textEnd)
      at = textEnd + 1
    }
    at = end
  }
}
