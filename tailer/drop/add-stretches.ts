// From what was judged of a read to spans of a packet, and from a span that is dropped to its events.
import { EVENT_BYTES_MAX } from '../../shared/events.ts'
import type { PacketBuilder, RunLabel } from '../builder.ts'
import type { LineParser } from '../parse/line-parser.ts'
import type { Stretch } from './dropper.ts'

/** An event counts its lines with 16 bits, and a line may be one byte. */
const DROPPED_BYTES_MAX = EVENT_BYTES_MAX - 1
const NEWLINE = 0x0a

/** Adds what was read as one span for each stretch. */
export function addStretches(
  builder: PacketBuilder,
  label: RunLabel,
  parser: LineParser,
  of: Parameters<PacketBuilder['add']>[2],
  stretches: readonly Stretch[],
): void {
  const { offset, hidden, isMidLine } = of
  let at = 0
  for (const { end, rule } of stretches) {
    builder.add(label, parser, {
      ...of,
      offset: offset + at,
      length: end - at,
      isMidLine: isMidLine && at === 0,
      hidden: rule === undefined ? within(hidden, at, end) : undefined,
      droppedBy: rule,
    })
    at = end
  }
}

/** Those within [from, to), from there on. */
function within(places: number[] | undefined, from: number, to: number): number[] | undefined {
  return places?.filter(place => place >= from && place < to).map(place => place - from)
}

/** Behind the event of dropped lines that begins at `at`: whole lines, where one ends before the bound. */
export function droppedEnd(bytes: Buffer, at: number, end: number): number {
  if (end - at <= DROPPED_BYTES_MAX) return end
  const newline = bytes.lastIndexOf(NEWLINE, at + DROPPED_BYTES_MAX - 1)
  return newline >= at ? newline + 1 : at + DROPPED_BYTES_MAX
}

/** Lines that begin in [at, end). */
export function linesBegun(bytes: Buffer, at: number, end: number, isMidLine: boolean): number {
  let lines = isMidLine ? 0 : 1
  for (let next = bytes.indexOf(NEWLINE, at); next >= 0 && next < end - 1; next = bytes.indexOf(NEWLINE, next + 1))
    lines++
  return lines
}
