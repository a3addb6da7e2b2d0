// What the bucks say at an opening, and what is made of it before anything is read: a power cut may have taken the
// journal's end after it was sent, a folder may be lost. What they hold beyond the journal comes back into it, so that
// nothing is cut again in another way.
import type { Link } from '../shared/link.ts'
import type { Asks, Epoch, PacketId, SourceRecord } from '../shared/messages.ts'
import { decodePackets, type Packet, packetKey } from '../shared/packet.ts'
import { RangeSet } from '../shared/ranges.ts'
import type { Log } from '../shared/world.ts'
import type { Journal, PacketRef } from './journal.ts'
import { HEAD_BYTES, type Source, TAIL_BYTES } from './source.ts'
import type { StoredSource } from './source-log.ts'
import type { Sources } from './sources.ts'

export interface HearingParts {
  tailer: string
  journal: Journal
  sources: Sources
  log: Log
  /** Waits while the disk does not take it. */
  append(packet: Packet): Promise<PacketRef>
}

type RememberedSource = Omit<StoredSource, 'ranges'> & { ranges: RangeSet }

export class Hearing {
  readonly #parts: HearingParts
  /** Last sequence per former epoch, as stated to the bucks. */
  readonly #stated: ReadonlyMap<Epoch, number>
  readonly #bucks = new Set<string>()
  readonly #beyond = new Map<string, { id: PacketId; link: Link }>()
  readonly #records: SourceRecord[] = []
  /** Per former epoch, the highest sequence that a buck ever had. */
  readonly #highest = new Map<Epoch, number>()
  /** What is said after this comes too late: reading has begun. Porters compare the bytes. */
  #isOver = false

  constructor(parts: HearingParts, stated: ReadonlyMap<Epoch, number>) {
    this.#parts = parts
    this.#stated = new Map(stated)
  }

  /** How many bucks were heard. */
  get bucks(): number {
    return this.#bucks.size
  }

  hear(link: Link, { beyond, sources, formerHighest }: Asks['open']['answer']): void {
    this.#bucks.add(link.peer.id)
    if (this.#isOver) return
    for (const { bucket: _, ...id } of beyond) this.#beyond.set(packetKey(id), { id, link })
    this.#records.push(...sources)
    for (const { epoch, highest } of formerHighest) {
      this.#highest.set(epoch, Math.max(this.#highest.get(epoch) ?? 0, highest))
    }
  }

  /**
   * Ends the hearing: sources are taken over, packets taken back. Answers their ids.
   * @param isAll  every buck was heard
   */
  async conclude(isAll: boolean): Promise<PacketId[]> {
    this.#isOver = true
    for (const record of unitedRecords(this.#records)) this.#takeOver(record)
    const taken: PacketId[] = []
    for (const { id, link } of this.#beyond.values()) if (await this.#takeBack(id, link)) taken.push(id)
    this.#parts.sources.isAllKnown = isAll && !this.#isAnyOutOfReach()
    if (taken.length > 0) this.#parts.sources.expectShorterFiles()
    this.#beyond.clear()
    this.#records.length = 0
    return taken
  }

  /** Nothing needed to be heard. */
  skip(): void {
    this.#isOver = true
    this.#beyond.clear()
    this.#records.length = 0
  }

  #takeOver(record: RememberedSource): void {
    const { sources, log } = this.#parts
    const known = sources.get(record.source)
    if (known === undefined) {
      const source = sources.adopt({ ...record, ranges: undefined, heardFrom: record.start }, true)
      for (const [from, to] of record.ranges) source.coverage.add(from, to)
      log.info('source known to the bucks', { source: record.source, path: record.path, to: record.to })
      return
    }
    // The source log was damaged: the bucks know more of the source than what the journal tells. Believed only with the
    // bytes that the file can be compared with; else it is read again under its own name, and counts once.
    if (record.to <= known.offset || record.tail.length === 0) return
    for (const [from, to] of record.ranges) if (from <= record.to) known.coverage.add(from, Math.min(to, record.to))
    if (known.coverage.endFrom(known.start) !== record.to) return
    known.heardFrom ??= known.offset
    known.offset = record.to
    known.tail = record.tail
    if (known.head.length < record.head.length) known.head = record.head
  }

  async #takeBack(id: PacketId, link: Link): Promise<boolean> {
    const { sources, log, append } = this.#parts
    const packet = await this.#fetch(id, link)
    if (packet === undefined || !packet.runs.every(run => sources.get(run.source) !== undefined)) return false
    const ref = await append(packet)
    ref.holders.add(link.peer.id)
    for (const run of packet.runs) {
      const source = sources.get(run.source)!
      source.cover(run.from, run.to, id.epoch)
      await this.#moveOn(source)
    }
    log.info('packet taken back from a buck', { epoch: id.epoch, sequence: id.sequence, buck: link.address })
    return true
  }

  /** The offset, and what recognises the file, move on with what was taken back. */
  async #moveOn(source: Source): Promise<void> {
    const { journal } = this.#parts
    const to = source.coverage.endFrom(source.start)
    if (to <= source.offset) return
    const tail = await journal.sourceBytes(source.name, Math.max(source.offset, to - TAIL_BYTES), to)
    // Undefined: bucks told of what follows, and nobody sent its bytes.
    source.tail = tail === undefined ? Buffer.alloc(0) : Buffer.concat([source.tail, tail]).subarray(-TAIL_BYTES)
    source.offset = to
    if (source.start > 0) return
    source.head = source.head.subarray(0, to)
    if (source.head.length >= HEAD_BYTES) return
    source.head = (await journal.sourceBytes(source.name, 0, Math.min(HEAD_BYTES, to))) ?? source.head
  }

  async #fetch(id: PacketId, link: Link): Promise<Packet | undefined> {
    try {
      const { payload } = await link.ask('fetch', { ids: [id] })
      for (const packet of decodePackets(payload ?? Buffer.alloc(0))) {
        if (packetKey(packet.header.id) === packetKey(id)) return packet
      }
    } catch (error) {
      this.#parts.log.warn('packet cannot be taken back', { epoch: id.epoch, sequence: id.sequence, error })
    }
    return undefined
  }

  /** Sent, lost from the journal, and not to be had from any buck: archived and dropped there. */
  #isAnyOutOfReach(): boolean {
    const { tailer, journal } = this.#parts
    for (const [epoch, highest] of this.#highest) {
      for (let sequence = (this.#stated.get(epoch) ?? 0) + 1; sequence <= highest; sequence++) {
        if (journal.find(tailer, epoch, sequence) === undefined) return true
      }
    }
    return false
  }
}

/** A buck gets some packets of a source only: what all of them know together, resumed at the first gap. */
function unitedRecords(records: SourceRecord[]): RememberedSource[] {
  const united = new Map<string, RememberedSource>()
  for (const record of records) {
    const known = united.get(record.source)
    const ranges = known?.ranges ?? new RangeSet()
    for (const [from, to] of record.ranges ?? [[record.start, record.to]]) ranges.add(from, to)
    const head = (known?.head.length ?? 0) > record.head.length ? known!.head : record.head
    united.set(record.source, { ...record, head, ranges, isSettled: false, isExcluded: false, isFinished: false })
  }
  for (const source of united.values()) {
    source.to = source.ranges.endFrom(source.start)
    source.tail = records.find(one => one.source === source.source && one.to === source.to)?.tail ?? Buffer.alloc(0)
  }
  return [...united.values()]
}
