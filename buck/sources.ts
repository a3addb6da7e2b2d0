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

/** One source in the table. `version` grows with each packet of it; `savedVersion` is in the sources log. */
export interface SourceMark {
  tailer: TailerId
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
      held.file.sources.set(mark, mark.version)
    }
  }

  /** A record of the sources log, read at start. */
  restore(record: SourceRecord): void {
    const { tailer, machine: _, to, ranges, ...rest } = record
    const known = new RangeSet(ranges ?? [[record.start, to]])
    this.#marks.set(`${tailer}/${record.source}`, {
      tailer,
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

  /** All of them, with as much of head and tail as is in memory. */
  records(): SourceRecord[] {
    return [...this.#marks.values()].map(mark => this.#recordOf(mark))
  }

  /** Those of a machine or a tailer, with head and tail read from their packets. */
  async recordsOf(who: { tailer: TailerId; machine: string }, read: ReadPacket): Promise<SourceRecord[]> {
    const records: SourceRecord[] = []
    for (const mark of [...this.#marks.values()]) {
      const isOfMachine = this.#openings.get(mark.tailer)?.machine === who.machine
      if (mark.tailer !== who.tailer && !isOfMachine) continue
      await recognise(mark, read)
      records.push(this.#recordOf(mark))
    }
    return records
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
