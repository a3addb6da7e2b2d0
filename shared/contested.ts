// Where a source range that is to be added overlaps what is held, or what else is to be added: there, and only there,
// events are compared one by one. Equal bytes at the same offset are one event; other bytes are another, and both stay.

import type { LiveSegment } from './catalogue-state.ts'
import { type Events, eventBytes, eventId } from './events.ts'
import type { SourceName } from './messages.ts'
import type { Packet } from './packet.ts'
import type { Piece } from './pieces.ts'
import { RangeSet } from './ranges.ts'
import { CorruptSegmentError } from './segment.ts'
import type { SegmentBlock } from './segment-block.ts'
import { MissingSegmentError, type OpenSegment, type SegmentObjects } from './segment-objects.ts'
import type { Damage } from './stores.ts'
import type { Log } from './world.ts'

export class Contested {
  readonly #ranges = new Map<SourceName, RangeSet>()
  /** Ids of the events held in those ranges: about 100 bytes each, for what one call adds. */
  readonly #seen = new Set<string>()
  repeated = 0

  constructor(packets: Packet[], held: ReadonlyMap<SourceName, RangeSet>) {
    const met = new Map<SourceName, RangeSet>()
    for (const { runs } of packets) {
      for (const { source, from, to } of runs) {
        const before = met.get(source) ?? new RangeSet()
        met.set(source, before)
        if (before.overlaps(from, to) || held.get(source)?.overlaps(from, to)) this.#contest(source, from, to)
        before.add(from, to)
      }
    }
  }

  /** Reads what the segments hold there. A block that cannot be read holds nothing that could be served: its events come anew. */
  async readHeld(segments: Iterable<LiveSegment>, objects: SegmentObjects, log: Log): Promise<void> {
    if (this.#ranges.size === 0) return
    for (const { name, summary } of segments) {
      const isTouched = summary?.sources.some(({ source, ranges }) => {
        const contested = this.#ranges.get(source)
        return contested && [...ranges].some(([from, to]) => contested.overlaps(from, to))
      })
      if (!isTouched) continue
      const onDamage = (damage: Damage) =>
        log.warn('held events could not be compared, they are added anew', { ...damage })
      try {
        const opened = await objects.open(name, onDamage)
        for (const block of opened.blocks) {
          if (block.runs.some(({ source, from, to }) => this.#overlaps(source, from, to))) {
            await this.#seeBlock(opened, block, objects, onDamage)
          }
        }
      } catch (error) {
        // Tidied away by another process: then the commit will not fit, and all of it is done once more.
        if (!(error instanceof MissingSegmentError)) throw error
        onDamage({ where: error.where, reason: error.reason })
      }
    }
  }

  /** Whether any of its events may be held, or come twice. */
  touches({ runs }: Packet): boolean {
    return runs.some(({ source, from, to }) => this.#overlaps(source, from, to))
  }

  /** What of a run is new, as few pieces as possible; what is repeated is counted. */
  *pieces(piece: Piece): Generator<Piece> {
    const { events, run } = piece
    if (piece.end === piece.first) return
    if (!this.#overlaps(run.source, piece.from, piece.to)) {
      yield piece
      return
    }
    let first = piece.first
    let from = piece.from
    let at = piece.from
    for (let i = piece.first; i < piece.end; i++) {
      const bytes = eventBytes(events, i)
      const next = at + bytes.length
      if (this.#overlaps(run.source, at, next) && !this.#isNew(eventId(run.source, at, bytes))) {
        this.repeated++
        if (i > first) yield { ...piece, first, end: i, from, to: at }
        first = i + 1
        from = next
      }
      at = next
    }
    if (piece.end > first) yield { ...piece, first, from }
  }

  #isNew(id: string): boolean {
    if (this.#seen.has(id)) return false
    this.#seen.add(id)
    return true
  }

  async #seeBlock(
    opened: OpenSegment,
    block: SegmentBlock,
    objects: SegmentObjects,
    onDamage: (damage: Damage) => void,
  ): Promise<void> {
    try {
      this.#see(await objects.readBlock(opened, block))
    } catch (error) {
      if (!(error instanceof CorruptSegmentError) || error instanceof MissingSegmentError) throw error
      onDamage({ where: error.where, reason: error.reason })
    }
  }

  #see(events: Events): void {
    let i = 0
    for (const run of events.runs) {
      let at = run.from
      for (const end = i + run.events; i < end; i++) {
        const bytes = eventBytes(events, i)
        if (this.#overlaps(run.source, at, at + bytes.length)) this.#seen.add(eventId(run.source, at, bytes))
        at += bytes.length
      }
    }
  }

  #contest(source: SourceName, from: number, to: number): void {
    const ranges = this.#ranges.get(source) ?? new RangeSet()
    ranges.add(from, to)
    this.#ranges.set(source, ranges)
  }

  #overlaps(source: SourceName, from: number, to: number): boolean {
    return this.#ranges.get(source)?.overlaps(from, to) ?? false
  }
}
