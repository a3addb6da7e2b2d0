// What `Events` says beyond the text, told from what the columns of the text know anyway; only where that is wrong is
// something written. Seven lists, end to end, each:
//
//   ┌─────────────────────────────┬───────────────┬─────────────────────────────────────────┬────────────────────────┐
//   │ lists 4 to 7: tellers, then │ count  varint │ gaps: events since the exception before │ values, one each       │
//   │ template · part of each     │               │ (the first: since event 0); varints     │                        │
//   └─────────────────────────────┴───────────────┴─────────────────────────────────────────┴────────────────────────┘
//     list      told from                                            value of an exception
//   1 extents   from where the former ended to the end of that line  lines crossed, then 0: ends with a line, or 1 + bytes
//   2 lines     line starts in it                                    the count
//   3 times     the first time stamp of its first line + an offset   difference to the former event's (the first: to 0),
//               of the format (0 at first, then that of the last     zigzag, 64 bits; the format's offset becomes the time
//               exception); without a stamp: the former event's      less the stamp
//   4 levels    the former value of the template of its first line   the value
//   5 flags     (0 at first); where a *teller* names one of the
//   6 hosts     template's variables: the former value of the
//   7 apps      line's entry or number in it (variable-ids.ts)
//
//   A stamp in nanoseconds is seconds · 10⁹ + fraction · 10^(9 - digits). Arithmetic is modulo 2^64. Parts of a template are
//   counted from 0, its static bytes too; a variable with one value in the block is a part of its own.
//
// Here they are read. They are written where the codec still knows the lines: core/events.ts.
import { CorruptBlockError } from '../block.ts'
import type { LineStamps } from './codec.ts'
import { decodeLabels, type EventPlaces } from './event-labels.ts'
import { decodeTimes } from './event-times.ts'
import { readGaps } from './exceptions.ts'
import type { VariableIds } from './variable-ids.ts'
import { VarintReader } from './varints.ts'

/** Columns of events without their ends, which need the lengths of lines. */
export interface EventColumns {
  /** The line in which each event begins. */
  firstLines: Uint32Array
  extents: Extents
  lines: Uint16Array
  times: BigInt64Array
  levels: Uint8Array
  flags: Uint8Array
  hosts: Uint16Array
  apps: Uint16Array
}

/** Events that are not the rest of one line. */
interface Extents {
  events: number[]
  /** Line ends in it, the one at its end included. */
  crossed: number[]
  /** Bytes of it; -1: it ends with a line. */
  bytes: number[]
}

function placesOf(firstLines: Uint32Array, { templateOf, formatOf }: LineStamps): EventPlaces {
  const templates = new Uint32Array(firstLines.length)
  for (let i = 0; i < templates.length; i++) templates[i] = templateOf[firstLines[i]]
  return { firstLines, templates, templateCount: formatOf.length - 1 }
}

/** @throws CorruptBlockError */
export function decodeEventColumns(
  bytes: Uint8Array,
  count: number,
  stamps: LineStamps,
  variables: VariableIds,
): EventColumns {
  const reader = new VarintReader(bytes)
  const columns: EventColumns = {
    firstLines: new Uint32Array(count),
    extents: { events: [], crossed: [], bytes: [] },
    lines: new Uint16Array(count),
    times: new BigInt64Array(count),
    levels: new Uint8Array(count),
    flags: new Uint8Array(count),
    hosts: new Uint16Array(count),
    apps: new Uint16Array(count),
  }
  const { firstLines, lines, times, levels, flags, hosts, apps } = columns
  decodeExtents(reader, count, stamps.templateOf.length, columns)
  for (const i of readGaps(reader, 'lines', count)) lines[i] = reader.next('lines of an event', 0xffff)
  const places = placesOf(firstLines, stamps)
  decodeTimes(reader, times, firstLines, places.templates, stamps)
  for (const column of [levels, flags, hosts, apps]) decodeLabels(reader, column, places, variables)
  if (!reader.isAtEnd) throw new CorruptBlockError('event columns go on behind their end')
  return columns
}

function decodeExtents(reader: VarintReader, count: number, lineCount: number, columns: EventColumns): void {
  const { extents, firstLines, lines } = columns
  const exceptions = readGaps(reader, 'extents', count)
  let k = 0
  let line = 0
  let isLineStart = 1
  for (let i = 0; i < count; i++) {
    firstLines[i] = Math.min(line, lineCount - 1)
    if (i === exceptions[k]) {
      k++
      const crossed = reader.next('lines crossed', lineCount - line)
      const bytes = reader.next('bytes of an event', 2 ** 32) - 1
      if (bytes < 0 && crossed === 0) throw new CorruptBlockError(`event ${i} ends with no line`)
      extents.events.push(i)
      extents.crossed.push(crossed)
      extents.bytes.push(bytes)
      lines[i] = bytes === 0 ? 0 : isLineStart + crossed - (bytes < 0 ? 1 : 0)
      if (bytes !== 0) isLineStart = bytes < 0 ? 1 : 0
      line += crossed
      continue
    }
    if (line >= lineCount) throw new CorruptBlockError(`event ${i} begins behind the last line`)
    lines[i] = isLineStart
    isLineStart = 1
    line++
  }
}

/**
 * @param lineEnds  of all lines, in the text
 * @throws CorruptBlockError
 */
export function endsOf(columns: EventColumns, lineEnds: Uint32Array): Uint32Array {
  const { extents, firstLines } = columns
  const ends = new Uint32Array(firstLines.length)
  let k = 0
  let end = 0
  for (let i = 0; i < ends.length; i++) {
    const line = firstLines[i]
    if (k < extents.events.length && extents.events[k] === i) {
      const bytes = extents.bytes[k]
      const last = line + extents.crossed[k]
      // `last` is the line that a partial event ends in; what is crossed lies before, the line's end behind.
      if (bytes >= 0) {
        end += bytes
        const least = last === 0 ? 0 : lineEnds[last - 1]
        if (end < least || (last < lineEnds.length ? end >= lineEnds[last] && bytes > 0 : end > least)) {
          throw new CorruptBlockError(`event ${i} does not end in line ${last}`)
        }
      } else end = lineEnds[last - 1]
      k++
    } else end = lineEnds[line]
    ends[i] = end
  }
  return ends
}
