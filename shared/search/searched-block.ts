// A block of events as a search sees it, whatever its kind: which events match, for sure or perhaps; their columns; and
// the text of a few of them. Columns are looked into (sought-rows.ts); lines are decoded and read.
import { decodeBlock } from '../block.ts'
import { openColumns } from '../columns/view.ts'
import type { Events, Run } from '../events.ts'
import { ColumnsBlock } from './columns-block.ts'
import { LinesBlock } from './lines-block.ts'
import type { Question } from './question.ts'
import type { Rows } from './rows.ts'
import type { Verdict } from './verdict.ts'

/** Of all events, by their number in the block. */
export type EventFields = Pick<Events, 'times' | 'levels' | 'flags' | 'hosts' | 'apps' | 'lines'>

/** Row k is bytes [ends[k - 1], ends[k]). */
export interface Texts {
  bytes: Buffer
  ends: Uint32Array
}

export interface SearchedBlock<R extends Run = Run> {
  readonly events: number
  readonly runs: readonly R[]
  /** names[0] is ''. */
  readonly names: readonly string[]
  readonly fields: EventFields
  /** Where each event ends in the text of the block. */
  readonly ends: Uint32Array
  /** About how much memory it holds now. It grows with what is asked. */
  readonly heldBytes: number
  /** Time range, sources, levels and names count, and the query as far as it can be told. */
  judge(question: Question): Verdict
  /** Sum of `fields.lines` over them. */
  linesOf(events: Rows): number
  /** @param events  ascending */
  textOf(events: Uint32Array): Texts
  /** Calls `count` for the shapes (shape.ts) of these events. */
  countShapes(events: Rows, count: (id: string, events: number, text: string) => void): void
}

/** @throws CorruptBlockError */
export function openSearchedBlock<R extends Run>(
  kind: 'lines' | 'columns',
  body: Buffer,
  runs: R[],
  names: string[],
): SearchedBlock<R> {
  return kind === 'columns'
    ? new ColumnsBlock(openColumns(body), runs, names)
    : new LinesBlock(decodeBlock(body, runs, names), runs)
}
