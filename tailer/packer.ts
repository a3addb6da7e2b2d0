// From what was collected to a packet: one pass over the text (shared/columns), the events' fields, the body of the kind
// that suits its size.
import { analyseText, ModeMemory } from '../shared/columns/columns-block.ts'
import type { Events, Origin } from '../shared/events.ts'
import { encodePacket, type Packet } from '../shared/packet.ts'
import type { Span } from './builder.ts'
import { EventColumns } from './event-columns.ts'
import type { LineParser } from './parse/line-parser.ts'

/** Smaller packets are lines: there the templates cost what they save (docs/benchmarks.md). */
const COLUMNS_BYTES_MIN = 16 * 1024

export class Packer {
  readonly #columns = new EventColumns()
  /** By the parser, of which every source has its own. */
  readonly #modes = new WeakMap<LineParser, ModeMemory>()
  readonly #mixedMode = new ModeMemory()

  /**
   * A packet of all that was collected; of its beginning, where a packet cannot hold the names of all: `events.bytes`
   * tells how much. The events are good until the next call, and while the collected bytes stay as they are.
   */
  pack(origin: Origin, bytes: Buffer, spans: readonly Span[]): { packet: Packet; events: Events } {
    const analysed = bytes.length < COLUMNS_BYTES_MIN ? undefined : analyseText(bytes, this.#modeOf(spans))
    const events = this.#columns.fill(bytes, spans, analysed?.analysis)
    const columns = events.bytes.length === bytes.length ? analysed : undefined
    return { packet: encodePacket(origin, events, { columns }), events }
  }

  /** What does best for one source is kept with it; packets of many sources are alike among themselves. */
  #modeOf(spans: readonly Span[]): ModeMemory {
    const { parser } = spans[0]
    if (spans.some(span => span.parser !== parser)) return this.#mixedMode
    let mode = this.#modes.get(parser)
    if (mode === undefined) {
      mode = new ModeMemory()
      this.#modes.set(parser, mode)
    }
    return mode
  }
}
