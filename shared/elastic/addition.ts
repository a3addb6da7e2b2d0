// One add: what of these packets and words the marks lack, into the indexes, and then the marks.

import { eventBytes, eventId, walkEvents } from '../events.ts'
import { HeldPackets } from '../held-packets.ts'
import type { Gone, Manifest } from '../manifest.ts'
import type { SourceName } from '../messages.ts'
import { epochCount, type Packet, packetEvents, packetKey } from '../packet.ts'
import { RangeSet } from '../ranges.ts'
import type { Added } from '../stores.ts'
import type { World } from '../world.ts'
import type { Bulk, Outcome } from './bulk.ts'
import { BulkBody, type BulkDocument, bodiesOf } from './bulk-body.ts'
import type { ByteText } from './byte-text.ts'
import type { ElasticConnection } from './connection.ts'
import { DocumentMaker } from './document.ts'
import { ElasticError } from './errors.ts'
import type { Holdings } from './holdings.ts'
import type { Indexes } from './indexes.ts'
import { addPart, packetMark, pastMark, type SourcePart } from './marks.ts'
import { dayOfBucket, type ElasticNames, PAST } from './names.ts'
import type { RejectsFile } from './rejects.ts'
import { hitsOf } from './search.ts'
import { wordMark } from './word-marks.ts'

export interface AdditionParts {
  connection: ElasticConnection
  names: ElasticNames
  indexes: Indexes
  holdings: Holdings
  bulk: Bulk
  rejects: RejectsFile
  /** Of bodies that were sent: buffers of megabytes, made anew for each, would keep the garbage collector behind. */
  spare: ByteText[]
  world: Pick<World, 'clock' | 'log'>
}

interface Sent {
  passage: Passage
  bytes: number
  lines: number
  from: number
  source: SourceName
}

/** One packet on its way. */
interface Passage {
  packet: Packet
  day: string
  created: number
  /** Events that were there already: of an earlier attempt, of another packet, or being added by another porter. */
  held: number
  rejected: Map<SourceName, RangeSet>
}

export class Addition {
  readonly #parts: AdditionParts
  readonly #words: { manifests: Manifest[]; gone: Gone[] }
  readonly #passages: Passage[] = []
  readonly #late = new HeldPackets()
  #lateCount = 0
  /** Ids that another day holds, or that another day gets in this add. */
  readonly #elsewhere = new Map<string, string>()
  readonly #contestedSources = new Set<SourceName>()

  constructor(parts: AdditionParts, packets: Packet[], words: { manifests: Manifest[]; gone: Gone[] }) {
    this.#parts = parts
    this.#words = words
    const { days } = parts.holdings
    const lowWater = this.#lowWater
    const met = new Set<string>()
    for (const packet of packets.toSorted(comparePackets)) {
      const { id, bucket } = packet.header
      if (met.has(packetKey(id)) || [...days.values()].some(day => day.packets.has(id))) continue
      met.add(packetKey(id))
      if (bucket < lowWater) {
        this.#late.add(id)
        this.#lateCount++
      } else {
        this.#passages.push({ packet, day: dayOfBucket(bucket), created: 0, held: 0, rejected: new Map() })
      }
    }
  }

  async run(signal: AbortSignal | undefined): Promise<Added> {
    const { bulk, indexes, rejects, world } = this.#parts
    const added: Added = { packets: 0, events: 0, lines: 0, bytes: 0, repeated: 0 }
    const days = new Set(this.#passages.map(({ day }) => day))
    const words = [...this.#wordDocuments()]
    await indexes.ensure(new Set([...days, ...words.map(({ day }) => day), ...(this.#lateCount > 0 ? [PAST] : [])]))
    await this.#findElsewhere(signal)

    const refused: Parameters<RejectsFile['add']>[0] = []
    const onOutcome = (document: Sent, outcome: Outcome) => {
      const { passage } = document
      if (outcome.kind === 'created') {
        passage.created++
        added.events++
        added.lines += document.lines
        added.bytes += document.bytes
      } else if (outcome.kind === 'held') {
        passage.held++
        added.repeated++
      } else {
        const ranges = passage.rejected.get(document.source) ?? new RangeSet()
        ranges.add(document.from, document.from + document.bytes)
        passage.rejected.set(document.source, ranges)
        const { target, id, json } = outcome.sent
        refused.push({ index: target, id, reason: outcome.reason, document: JSON.parse(json) })
      }
    }
    const onSent = ({ text }: BulkBody<Sent>) => this.#parts.spare.push(text)
    await bulk.send(this.#bodies(added, world.clock.now()), onOutcome, signal, false, onSent)
    if (refused.length > 0) {
      await rejects.add(refused)
      world.log.warn('Elasticsearch refused documents: they are in the rejects file', {
        documents: refused.length,
        file: rejects.path,
        reason: refused[0].reason,
      })
    }
    // Marks are written when all their events are, and one refresh shows both: a mark that is seen promises what is there.
    // (Of several shards one may show it a moment before another: who then misses events refreshes before it counts.)
    if (this.#passages.some(({ held }) => held > 0)) await this.#refresh(days, signal)
    await this.#mark(words, added, signal)
    for (const { day } of words) days.add(day)
    if (this.#lateCount > 0) days.add(PAST)
    await this.#refresh(days, signal)
    if (this.#lateCount > 0) {
      world.log.info('packets older than what is kept were not stored', { packets: this.#lateCount })
    }
    return added
  }

  *#bodies(added: Added, nowMs: number): Generator<BulkBody<Sent>> {
    let body: BulkBody<Sent> | undefined
    for (const passage of this.#passages) {
      const { packet, day } = passage
      const { id, bucket } = packet.header
      const events = packetEvents(packet)
      const target = this.#parts.names.write(day)
      const maker = new DocumentMaker(events, { ...id, bucket }, nowMs)
      for (const { i, run, from } of walkEvents(events)) {
        const { source } = run
        if (this.#contestedSources.has(source)) {
          const id = eventId(source, from, eventBytes(events, i))
          const other = this.#elsewhere.get(id)
          if (other !== undefined && other !== day) {
            added.repeated++
            continue
          }
          this.#elsewhere.set(id, day)
        }
        if (body && (body.isFull || body.target !== target)) {
          yield body
          body = undefined
        }
        body ??= new BulkBody(target, this.#parts.spare.pop())
        const event = maker.begin(i, run, from)
        body.putEvent(maker, event, { passage, bytes: event.end - event.start, lines: events.lines[i], from, source })
      }
    }
    if (body) yield body
  }

  /** Elasticsearch refuses a second document of one id within an index; over days that is looked for here. */
  async #findElsewhere(signal: AbortSignal | undefined): Promise<void> {
    const { connection, names, holdings } = this.#parts
    const met = new Map<SourceName, { day: string; from: number; to: number }[]>()
    for (const { packet, day } of this.#passages) {
      for (const { source, from, to } of packet.runs) {
        const before = met.get(source) ?? []
        met.set(source, before)
        if (before.some(run => run.day !== day && run.from < to && from < run.to)) this.#contestedSources.add(source)
        before.push({ day, from, to })
        const others = [...holdings.days].filter(
          ([other, marks]) => other !== day && marks.sources.get(source)?.ranges.overlaps(from, to),
        )
        for (const [other] of others) {
          this.#contestedSources.add(source)
          const filter = [{ term: { 'bucktail.source': source } }, { range: { 'log.offset': { gte: from, lt: to } } }]
          const query = { bool: { filter } }
          const asked = { query, sort: ['_shard_doc'], sourceFields: false, ...(signal && { signal }) }
          for await (const { _id } of hitsOf(connection, names.index(other), asked)) this.#elsewhere.set(_id, other)
        }
      }
    }
  }

  async #refresh(days: Set<string>, signal: AbortSignal | undefined): Promise<void> {
    const { connection, names } = this.#parts
    if (days.size === 0) return
    const path = `${[...days].map(day => names.write(day)).join(',')}/_refresh`
    await connection.ask({ what: 'index not refreshed', path, ...(signal && { signal }) })
  }

  async #mark(words: { day: string; id: string; json: string }[], added: Added, signal?: AbortSignal): Promise<void> {
    const { bulk, names, holdings } = this.#parts
    const owned = await this.#countOwned(signal)
    const marks = this.#passages.map((passage, number) => {
      const events = owned.get(number) ?? passage.created
      return { day: passage.day, isPacket: true, ...packetMark(passage.packet, events, partsOf(passage)) }
    })
    const late = this.#lateCount > 0 ? [{ day: PAST, isPacket: false, ...pastMark([...this.#late.runs()]) }] : []
    const all = [...marks, ...late]
    const known = new Map(all.map(mark => [mark.id, mark]))
    const documents = [...words, ...all].map(({ day, id, json }) => ({ target: names.write(day), id, json }))
    const onOutcome = ({ id }: BulkDocument, outcome: Outcome) => {
      if (outcome.kind === 'rejected') throw new ElasticError(`a mark was refused: ${outcome.reason}`)
      const mark = known.get(id)
      // Held: another porter was quicker; what it wrote is read at the next look.
      if (outcome.kind === 'held' || !mark) return
      holdings.learn(mark.day, mark.id, mark.source)
      if (mark.isPacket) added.packets++
    }
    await bulk.send(bodiesOf(documents), onOutcome, signal)
  }

  /** Of packets with events that were there already: how many events in their index are theirs. */
  async #countOwned(signal: AbortSignal | undefined): Promise<Map<number, number>> {
    const { connection, names } = this.#parts
    const owned = new Map<number, number>()
    const unclear = this.#passages.flatMap((passage, number) => (passage.held > 0 ? [{ passage, number }] : []))
    if (unclear.length === 0) return owned
    const lines = unclear.map(({ passage: { packet, day } }) => {
      const { tailer, epoch, sequence, sum } = packet.header.id
      const terms = { tailer, epoch, sequence, sum }
      const filter = Object.entries(terms).map(([field, value]) => ({ term: { [`bucktail.${field}`]: value } }))
      filter.push({ exists: { field: '@timestamp' } } as never)
      const query = { size: 0, track_total_hits: true, query: { bool: { filter } } }
      return `${JSON.stringify({ index: names.index(day) })}\n${JSON.stringify(query)}\n`
    })
    const { responses } = await connection.ask<{ responses: { hits?: { total: { value: number } } }[] }>({
      what: 'events not counted',
      path: '_msearch',
      bulk: lines.join(''),
      ...(signal && { signal }),
    })
    responses.forEach(({ hits }, i) => {
      if (!hits) throw new ElasticError(`events of a packet could not be counted: ${JSON.stringify(responses[i])}`)
      owned.set(unclear[i].number, hits.total.value)
    })
    return owned
  }

  *#wordDocuments(): Generator<{ day: string; id: string; json: string }> {
    for (const manifest of this.#words.manifests) {
      const day = manifest.bucket < this.#lowWater ? PAST : dayOfBucket(manifest.bucket)
      yield { day, ...wordMark({ manifest }) }
    }
    for (const gone of this.#words.gone) yield { day: PAST, ...wordMark({ gone }) }
  }

  get #lowWater(): number {
    return this.#parts.holdings.days.get(PAST)?.lowWater ?? 0
  }
}

function partsOf({ packet, rejected }: Passage): SourcePart[] {
  const parts = new Map<SourceName, SourcePart>()
  for (const { source, host, path, app, start, parent, from, to } of packet.runs) {
    const ranges = new RangeSet([[from, to]]).without(rejected.get(source) ?? new RangeSet())
    addPart(parts, { source, host, path, app, start, ...(parent !== undefined && { parent }), ranges })
  }
  return [...parts.values()]
}

/** So that of equal events the one sent first stays. */
function comparePackets({ header: { id: a } }: Packet, { header: { id: b } }: Packet): number {
  if (a.tailer !== b.tailer) return a.tailer < b.tailer ? -1 : 1
  return (
    epochCount(a.epoch) - epochCount(b.epoch) ||
    (a.epoch < b.epoch ? -1 : a.epoch > b.epoch ? 1 : 0) ||
    a.sequence - b.sequence
  )
}
