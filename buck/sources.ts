// The sources this buck ever heard of, from the meta of packets (no body is inflated when a packet comes) and from its
// sources log. A tailer with an empty folder goes on from these. Device and inode are not in packets: 0.
import { walkEvents } from '../shared/events.ts'
import type { SourceRecord, TailerId } from '../shared/messages.ts'
import { type Packet, packetEvents } from '../shared/packet.ts'
import { RangeSet } from '../shared/ranges.ts'
import type { Held, HeldFile } from './holdings.ts'
import type { Opening } from './remembered.ts'

/** Bytes of `head` and `tail` that recognise a file; as many as the tailer compares. */
const RECOGNISE_BYTES = 256
/**
 * Gaps kept per source: with three bucks each gets two of three packets, so this is some hundreds of packets. The
 * oldest gap is taken as filled by another buck; if it was not, its sequences are missing and the ledger says so.
 */
const RANGES_MAX = 256

/** Told at one opening: the newest incarnation of each path, then the second newest of each, and so on. */
const TOLD_RECORDS_MAX = 5_000
const TOLD_BYTES_MAX = 8 * 1024 * 1024

/** One source in the table. `version` grows with each packet of it; `savedVersion` is in the sources log. */
export interface SourceMark {
  tailer: TailerId
  /** In the order of their first sight. */
  number: number
  /** Greater: noted later. */
  noted: number
  record: Omit<SourceRecord, 'tailer' | 'machine' | 'to' | 'ranges'>
  ranges: RangeSet
  /** Holds the first bytes of the file, the last ones before the greatest end. Read only when asked. */
  headIn: Held | undefined
  tailIn: Held | undefined
  version: number
  savedVersion: number
}

export class SourceTable {
  readonly #marks = new Map<string, SourceMark>()
  readonly #openings = new Map<TailerId, Opening>()
  #numbers = 0
  #notes = 0

  /** A packet of `tailer` is stored as `held`. */
  note(packet: Packet, held: Held): void {
    const { tailer } = packet.header.id
    for (const run of packet.runs) {
      const key = `${tailer}/${run.source}`
      let mark = this.#marks.get(key)
      if (!mark) {
        const { source, host, path, app, start, parent } = run
        const record = {
          source,
          host,
          path,
          app,
          start,
          ...(parent && { parent }),
          dev: 0,
          ino: 0,
          head: Buffer.alloc(0),
          tail: Buffer.alloc(0),
        }
        mark = {
          tailer,
          number: ++this.#numbers,
          noted: 0,
          record,
          ranges: new RangeSet(),
          headIn: undefined,
          tailIn: undefined,
          version: 0,
          savedVersion: 0,
        }
        this.#marks.set(key, mark)
      }
      if (run.from === 0 && run.to > 0 && mark.record.head.length === 0) mark.headIn = held
      if (run.to > mark.ranges.end) {
        mark.tailIn = held
        mark.record = { ...mark.record, host: run.host, path: run.path, app: run.app, tail: Buffer.alloc(0) }
      }
      mark.ranges.add(run.from, run.to)
      while (mark.ranges.size > RANGES_MAX) closeOldestGap(mark.ranges)
      mark.version++
      mark.noted = ++this.#notes
      held.file.sources.set(mark, mark.version)
    }
  }

  /** A record of the sources log, read at start. */
  restore(record: SourceRecord): void {
    const { tailer, machine: _, to, ranges, ...rest } = record
    const known = new RangeSet(ranges ?? [[record.start, to]])
    const key = `${tailer}/${record.source}`
    this.#marks.set(key, {
      tailer,
      number: this.#marks.get(key)?.number ?? ++this.#numbers,
      noted: ++this.#notes,
      record: rest,
      ranges: known,
      headIn: undefined,
      tailIn: undefined,
      version: 1,
      savedVersion: 1,
    })
  }

  opening(tailer: TailerId): Opening | undefined {
    return this.#openings.get(tailer)
  }

  noteOpening(opening: Opening): void {
    this.#openings.set(opening.tailer, opening)
  }

  openings(): Iterable<Opening> {
    return this.#openings.values()
  }

  /** A page of all of them, without what recognises them: one at least. @param after `next` of the page before */
  page(after: number, bytesMax: number): { sources: SourceRecord[]; next?: number } {
    const sources: SourceRecord[] = []
    let room = bytesMax
    let last = after
    // A map keeps the order of first sight.
    for (const mark of this.#marks.values()) {
      if (mark.number <= after) continue
      const { ranges: _, ...record } = this.#recordOf(mark)
      const bare = { ...record, head: Buffer.alloc(0), tail: Buffer.alloc(0) }
      room -= bytesOfRecord(bare)
      if (room < 0 && sources.length > 0) return { sources, next: last }
      sources.push(bare)
      last = mark.number
    }
    return { sources }
  }

  /** Those of a machine or a tailer, with head and tail read from their packets, as many as one answer holds. */
  async recordsOf(
    who: { tailer: TailerId; machine: string },
    read: ReadPacket,
    bounds = { records: TOLD_RECORDS_MAX, bytes: TOLD_BYTES_MAX },
  ): Promise<SourceRecord[]> {
    const records: SourceRecord[] = []
    let room = bounds.bytes
    for (const mark of this.#newestFirst(who).slice(0, bounds.records)) {
      await recognise(mark, read)
      const record = this.#recordOf(mark)
      room -= bytesOfRecord(record)
      if (room < 0) break
      records.push(record)
    }
    return records
  }

  /** The last noted of each path, then the one before it of each path … */
  #newestFirst(who: { tailer: TailerId; machine: string }): SourceMark[] {
    const own = [...this.#marks.values()].filter(
      ({ tailer }) => tailer === who.tailer || this.#openings.get(tailer)?.machine === who.machine,
    )
    const perPath = new Map<string, number>()
    return own
      .sort((a, b) => b.noted - a.noted)
      .map(mark => {
        const rank = perPath.get(mark.record.path) ?? 0
        perPath.set(mark.record.path, rank + 1)
        return { mark, rank }
      })
      .sort((a, b) => a.rank - b.rank || b.mark.noted - a.mark.noted)
      .map(({ mark }) => mark)
  }

  /** What the sources log lacks of the sources in a file that is to be dropped; call `saved` when it is written. */
  async unsaved(file: HeldFile, read: ReadPacket): Promise<{ records: SourceRecord[]; saved: () => void }> {
    const marks: SourceMark[] = []
    for (const [mark, version] of file.sources) {
      const isRecognisedBy = mark.headIn?.file === file || mark.tailIn?.file === file
      if (isRecognisedBy) await recognise(mark, read)
      if (isRecognisedBy || mark.savedVersion < version) marks.push(mark)
    }
    const versions = marks.map(mark => mark.version)
    return {
      records: marks.map(mark => this.#recordOf(mark)),
      saved: () => {
        marks.forEach((mark, i) => {
          mark.savedVersion = versions[i]
        })
      },
    }
  }

  #recordOf(mark: SourceMark): SourceRecord {
    const machine = this.#openings.get(mark.tailer)?.machine ?? ''
    return {
      ...mark.record,
      tailer: mark.tailer,
      machine,
      to: mark.ranges.end,
      ranges: [...mark.ranges].map(([from, to]) => [from, to]),
    }
  }
}

/** In a message; generous. */
function bytesOfRecord({ host, path, app, machine, head, tail, ranges = [] }: SourceRecord): number {
  const texts = Buffer.byteLength(host + path + app + machine)
  return 300 + texts + head.length + tail.length + ranges.length * 20
}

/** Undefined if it is held no more, or damaged. */
export type ReadPacket = (held: Held) => Promise<Packet | undefined>

async function recognise(mark: SourceMark, read: ReadPacket): Promise<void> {
  const { headIn, tailIn } = mark
  if (headIn) {
    const packet = await read(headIn)
    const head = packet && bytesOf(packet, mark.record.source).find(run => run.from === 0)?.bytes
    if (head) mark.record = { ...mark.record, head: Buffer.from(head.subarray(0, RECOGNISE_BYTES)) }
    mark.headIn = undefined
  }
  if (!tailIn) return
  const packet = await read(tailIn)
  // A later packet may have come meanwhile: then this one is not the last any more.
  if (mark.tailIn !== tailIn) return
  const tail = packet && bytesOf(packet, mark.record.source).find(run => run.to === mark.ranges.end)?.bytes
  if (tail) mark.record = { ...mark.record, tail: Buffer.from(tail.subarray(-RECOGNISE_BYTES)) }
  mark.tailIn = undefined
}

function bytesOf(packet: Packet, source: string): { from: number; to: number; bytes: Buffer }[] {
  const events = packetEvents(packet)
  const runs: { from: number; to: number; bytes: Buffer }[] = []
  let at = 0
  let before: unknown
  for (const { run } of walkEvents(events)) {
    if (run === before) continue
    before = run
    const bytes = run.to - run.from
    if (run.source === source) runs.push({ from: run.from, to: run.to, bytes: events.bytes.subarray(at, at + bytes) })
    at += bytes
  }
  return runs
}

function closeOldestGap(ranges: RangeSet): void {
  const [first, second] = ranges
  ranges.add(first[0], second[1])
}
