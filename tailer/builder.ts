// Collects bytes of many sources until a packet is cut. They are read from the files straight into here, and looked at
// once, all together, when the packet is cut (tailer/event-columns.ts): a line costs nothing before.
//
//   space ─▶ the reader fills it from a file and decides how much of it can be taken ─▶ add: a span
//   collected ─▶ the events of all spans ─▶ the packet is in the journal ─▶ dropUntil
import { strict as assert } from 'node:assert'
import { EVENT_BYTES_MAX } from '../shared/events.ts'
import { PACKET_META_BYTES_MAX } from '../shared/packet.ts'
import type { Records } from './multiline/records.ts'
import type { LineParser, Written } from './parse/line-parser.ts'

/** A line of the greatest length, and its end, must fit into one read. */
const READ_BYTES_MIN = 2 * EVENT_BYTES_MAX
/** So much room left is not worth a read: the packet is cut. */
const REST_BYTES = EVENT_BYTES_MAX
const META_BYTES_MAX = PACKET_META_BYTES_MAX / 2
/** Numbers and lengths of a run in meta. */
const RUN_BYTES = 64
const NEWLINE = 0x0a

export interface RunLabel {
  source: string
  host: string
  path: string
  app: string
  start: number
  parent?: string
}

/** Bytes of one source that were read at once, whole lines unless `isPart`. */
export interface Span {
  label: RunLabel
  /** Knows the time of the line before in this source. */
  parser: LineParser
  /** In the source. */
  offset: number
  /** In the collected bytes. */
  start: number
  end: number
  /** The line that it begins with was begun before. */
  isMidLine: boolean
  /** Wall clock, when it was read. */
  readMs: number
  /** Which lines make up one event; undefined: each is one. No event reaches over the end of the span. */
  records?: Records
  /** Where bytes were hidden, in order, in the collected bytes. */
  hidden?: number[]
  /** When its lines were written, as far as the file tells. */
  written?: Written
  /** What dropped it: its text is blanked (shared/dropped.ts). */
  droppedBy?: string
}

export class PacketBuilder {
  readonly #bytesMax: number
  readonly #bytes: Buffer
  #used = 0
  #spans: Span[] = []
  /** At most so many bytes of meta, as strings of up to three bytes per character. */
  #metaBytes = 0

  /** @param bytesMax  a packet is cut at about so much text */
  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
    // Not from the pool, and never larger: at the bound the packet is cut.
    this.#bytes = Buffer.allocUnsafeSlow(bytesMax + READ_BYTES_MIN)
  }

  get rawBytes(): number {
    return this.#used
  }

  /** Time to cut: no further read fits, or no further run. */
  get isFull(): boolean {
    const rest = Math.min(REST_BYTES, this.#bytesMax >>> 3)
    return this.#used + rest >= this.#bytesMax || this.#metaBytes >= META_BYTES_MAX
  }

  /** Room for one read of at most `bytesMax`. What lies in it is taken by `add`, or lost with the next call. */
  space(bytesMax: number): Buffer {
    assert(!this.isFull, 'a packet is cut before more is read')
    const room = Math.max(this.#bytesMax - this.#used, READ_BYTES_MIN)
    return this.#bytes.subarray(this.#used, this.#used + Math.min(room, bytesMax))
  }

  /** Takes the first `length` bytes of the space. */
  add(
    label: RunLabel,
    parser: LineParser,
    of: Pick<Span, 'offset' | 'isMidLine' | 'readMs' | 'records' | 'hidden' | 'droppedBy' | 'written'> & {
      length: number
    },
  ): void {
    const before = this.#spans.at(-1)
    if (before === undefined || before.label !== label) {
      this.#metaBytes += RUN_BYTES + 3 * (label.host.length + label.path.length + label.app.length)
    }
    const { length, hidden, ...more } = of
    const start = this.#used
    this.#used += length
    this.#spans.push({ label, parser, start, end: this.#used, hidden: hidden?.map(at => start + at), ...more })
  }

  /** All that was added. The bytes stay as they are until `dropUntil`. */
  get collected(): { bytes: Buffer; spans: readonly Span[] } {
    return { bytes: this.#bytes.subarray(0, this.#used), spans: this.#spans }
  }

  /** The first `to` bytes are in a packet. */
  dropUntil(to: number): void {
    const spans: Span[] = []
    for (const span of this.#spans) {
      if (span.end <= to) continue
      const cut = Math.max(0, to - span.start)
      spans.push({
        ...span,
        offset: span.offset + cut,
        start: Math.max(0, span.start - to),
        end: span.end - to,
        isMidLine: cut > 0 ? this.#bytes[to - 1] !== NEWLINE : span.isMidLine,
        hidden: span.hidden?.filter(at => at >= to).map(at => at - to),
      })
    }
    this.#bytes.copyWithin(0, to, this.#used)
    this.#used -= to
    this.#spans = spans
    if (spans.length === 0) this.#metaBytes = 0
  }
}
