// What an index holds, written into the index itself: one mark per packet, made after all its events are in.
//
//   packet       tailer, epoch, sequence, sum, bucket; `events` of it that are in this index; its source ranges
//   past         packets whose events left by age: runs of ids
//   low-water    first bucket that is kept
//   word         a signed word of a tailer (manifest, gone)
//
// A process keeps what it read of the marks, and asks before each decision whether that still holds: per index the number
// of marks and the sum of their `check`, a number of 24 bits from each mark's content. An index that was deleted, emptied,
// or put back to yesterday has other sums, and is read again. So marks can never promise what the index has lost with them.
// What it lost beside them is found by the count: fewer events than the marks say (elastic-store.ts, tidy).
import { createHash } from 'node:crypto'
import { HeldPackets, type HeldRun } from '../held-packets.ts'
import type { Bucket, Epoch, PacketId, SourceName, TailerId } from '../messages.ts'
import type { Packet } from '../packet.ts'
import { RangeSet } from '../ranges.ts'

export const STATE_MARKS = ['packet', 'past', 'low-water'] as const
export const LOW_WATER_ID = 'low-water'

export interface SourcePart {
  source: SourceName
  host: string
  path: string
  app: string
  start: number
  parent?: SourceName
  ranges: RangeSet
}

/** `_source.bucktail` of a mark. */
export interface MarkSource {
  mark: 'packet' | 'past' | 'low-water' | 'word'
  check: number
  events?: number
  tailer?: TailerId
  epoch?: Epoch
  sequence?: number
  sum?: string
  bucket?: Bucket
  // biome-ignore lint/suspicious/noExplicitAny: each kind has its own; all are written below
  body?: any
}

/** The marks of one index, as this process has read them. */
export class DayMarks {
  readonly packets = new HeldPackets()
  readonly sources = new Map<SourceName, SourcePart>()
  lowWater: Bucket = 0
  count = 0
  check = 0
  /** Events that the marks promise. */
  events = 0
  /** Sequence number in the index up to which marks were read. */
  readUpTo = -1
  /** Ids of marks that are not packets; and of second packets with one id. */
  readonly #others = new Map<string, number>()

  learn(id: string, mark: MarkSource): void {
    if (mark.mark === 'packet') {
      const packet = packetIdOf(mark)
      if (this.packets.has(packet)) return
      this.packets.add(packet)
      this.events += mark.events ?? 0
      for (const part of partsOfMark(mark)) addPart(this.sources, part)
    } else if (mark.mark === 'past') {
      if (this.#others.has(id)) return
      this.#others.set(id, mark.check)
      this.packets.addRuns(runsOfMark(mark))
    } else if (mark.mark === 'low-water') {
      const before = this.#others.get(id)
      if (before !== undefined) {
        this.count--
        this.check -= before
      }
      this.#others.set(id, mark.check)
      this.lowWater = Math.max(this.lowWater, Number(mark.body?.before ?? 0))
    }
    this.count++
    this.check += mark.check
  }
}

export function packetMark(
  packet: Packet,
  events: number,
  parts: SourcePart[],
): { id: string; json: string; source: MarkSource } {
  const { id, bucket } = packet.header
  const { tailer, epoch, sequence, sum } = id
  const mark = `packet-${tailer}-${epoch}-${sequence}-${sum}`
  const body = parts.map(({ ranges, ...part }) => ({ ...part, ranges: [...ranges] }))
  const source: MarkSource = {
    mark: 'packet',
    check: checkOf(mark, String(events)),
    ...{ events, tailer, epoch, sequence, sum, bucket, body },
  }
  return { id: mark, json: JSON.stringify({ bucktail: source }), source }
}

/** The mark of a packet of which some events are no more to be in the index. */
export function lessened(id: string, mark: MarkSource, events: number, ranges: Map<SourceName, RangeSet>): MarkSource {
  const left = Math.max(0, (mark.events ?? 0) - events)
  const body = partsOfMark(mark).map(part => {
    const own = part.ranges.without(ranges.get(part.source) ?? new RangeSet())
    return { ...part, ranges: [...own] }
  })
  return { ...mark, events: left, check: checkOf(id, String(left)), body }
}

export function pastMark(runs: HeldRun[]): { id: string; json: string; source: MarkSource } {
  const body = runs.map(({ sums, ...run }) => ({ ...run, sums: sums.toString('base64') }))
  const content = JSON.stringify(body)
  const id = `past-${createHash('sha256').update(content).digest('hex').slice(0, 32)}`
  const source: MarkSource = { mark: 'past', check: checkOf(id, ''), body }
  return { id, json: JSON.stringify({ bucktail: source }), source }
}

export function lowWaterMark(before: Bucket): { id: string; source: MarkSource } {
  return {
    id: LOW_WATER_ID,
    source: { mark: 'low-water', check: checkOf(LOW_WATER_ID, String(before)), body: { before } },
  }
}

export function packetIdOf({ tailer = '', epoch = '', sequence = 0, sum = '' }: MarkSource): PacketId {
  return { tailer, epoch, sequence, sum }
}

function partsOfMark({ body }: MarkSource): SourcePart[] {
  return (body ?? []).map((part: SourcePart) => ({ ...part, ranges: new RangeSet(part.ranges) }))
}

function runsOfMark({ body }: MarkSource): HeldRun[] {
  return (body ?? []).map((run: { sums: string }) => ({ ...run, sums: Buffer.from(run.sums, 'base64') }))
}

/** One source under two labels: the label of what lies furthest in it. */
export function addPart(into: Map<SourceName, SourcePart>, part: SourcePart): void {
  const sum = into.get(part.source)
  if (!sum) {
    into.set(part.source, { ...part, ranges: new RangeSet(part.ranges) })
    return
  }
  const { host, path, app, parent } = part
  if (part.ranges.end > sum.ranges.end) Object.assign(sum, { host, path, app })
  sum.start = Math.min(sum.start, part.start)
  sum.parent ??= parent
  for (const [from, to] of part.ranges) sum.ranges.add(from, to)
}

/** 24 bits: the sum over 500 million marks is still exact in a double. */
function checkOf(id: string, content: string): number {
  return createHash('sha256').update(id).update('\0').update(content).digest().readUIntBE(0, 3)
}
