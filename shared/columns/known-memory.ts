// The host's side of core/known-lines.ts: models and rows as views of the codec's memory.
import { EVENT_BYTES_MAX } from '../events.ts'
import {
  KNOWN_APPS,
  KNOWN_ENDS,
  KNOWN_FLAGS,
  KNOWN_HOSTS,
  KNOWN_LEVELS,
  KNOWN_LINES,
  KNOWN_ROWS,
  KNOWN_TIMES,
} from './core/known-lines.ts'
import type { Core } from './target.ts'

/** Of events that are no lines of their own: pieces of longer ones, the ends of spans within lines. */
const MORE_ROWS = 1024
/** The core writes what columns of these kinds have on most machines. */
const IS_LITTLE = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1

/** Columns as those of shared/events, longer than there are events. */
export interface RowColumns {
  ends: Uint32Array
  times: BigInt64Array
  lines: Uint16Array
  hosts: Uint16Array
  apps: Uint16Array
  levels: Uint8Array
  flags: Uint8Array
}

/** Valid until the codec's next call. */
export interface KnownMemory {
  readonly rows: RowColumns
  /** All of the memory; and which of its words is the table's first. */
  readonly words: Int32Array
  readonly table: number
  /** Rows for the lines from `line` on, from `row` on. @returns the line it stopped at */
  fill(line: number, to: number, row: number, span: number): number
}

/** For the lines of the text that was encoded last: the memory may grow. Undefined on machines of the other order of bytes. */
export function placeKnownMemory(core: Core): (() => KnownMemory) | undefined {
  if (!IS_LITTLE) return undefined
  const place = core.placeKnown(MORE_ROWS, EVENT_BYTES_MAX)
  return () => {
    const { memory } = core
    const words = new Int32Array(memory)
    const table = place >> 2
    const count = words[table + KNOWN_ROWS]
    const at = (word: number) => words[table + word]
    const rows = {
      ends: new Uint32Array(memory, at(KNOWN_ENDS), count),
      times: new BigInt64Array(memory, at(KNOWN_TIMES), count),
      lines: new Uint16Array(memory, at(KNOWN_LINES), count),
      hosts: new Uint16Array(memory, at(KNOWN_HOSTS), count),
      apps: new Uint16Array(memory, at(KNOWN_APPS), count),
      levels: new Uint8Array(memory, at(KNOWN_LEVELS), count),
      flags: new Uint8Array(memory, at(KNOWN_FLAGS), count),
    }
    return { rows, words, table, fill: (line, to, row, span) => core.fillKnown(line, to, row, span) }
  }
}
