// An EventStore in memory, with switches for what can go wrong. The real ones are in shared/; this one is small enough to
// be seen to be right.
import { type Events, eventAt, type FoundEvent, walkEvents } from '../shared/events.ts'
import type { Gone, Manifest } from '../shared/manifest.ts'
import type { Bucket, PacketId } from '../shared/messages.ts'
import { type Packet, packetEvents, packetKey } from '../shared/packet.ts'
import { RangeSet } from '../shared/ranges.ts'
import { Tally } from '../shared/search/tally.ts'
import type { Added, EventStore, SearchRequest, SourceTotals, Summary, SummaryRequest } from '../shared/stores.ts'

export class MemoryStore implements EventStore {
  readonly packets = new Map<string, Packet>()
  readonly events = new Map<string, FoundEvent & { run: Events['runs'][number] }>()
  readonly kept: { manifests: Manifest[]; gone: Gone[] } = { manifests: [], gone: [] }
  adds = 0
  /** Set: every call rejects with it. */
  down: Error | undefined
  /** Two porters at once: every add gives way before it writes. */
  pause: (() => Promise<void>) | undefined

  async lacking(ids: PacketId[]): Promise<PacketId[]> {
    this.#check()
    return ids.filter(id => !this.packets.has(packetKey(id)))
  }

  async add(packets: Packet[], words: { manifests: Manifest[]; gone: Gone[] }): Promise<Added> {
    this.#check()
    await this.pause?.()
    const opened = packets.map(packet => ({ packet, events: packetEvents(packet) }))
    this.adds++
    const added = { packets: 0, events: 0, lines: 0, bytes: 0, repeated: 0 }
    for (const { packet, events } of opened) {
      const key = packetKey(packet.header.id)
      if (this.packets.has(key)) continue
      this.packets.set(key, packet)
      added.packets++
      const { tailer, epoch, sequence } = packet.header.id
      for (const { i, run, from } of walkEvents(events)) {
        const event = { ...eventAt(events, i, run, from), tailer, epoch, sequence, bucket: packet.header.bucket, run }
        if (this.events.has(event.id)) {
          added.repeated++
          continue
        }
        this.events.set(event.id, event)
        added.events++
        added.lines += event.lines
        added.bytes += event.bytes.length
      }
    }
    this.kept.manifests.push(...words.manifests)
    this.kept.gone.push(...words.gone)
    return added
  }

  async *search(request: SearchRequest): AsyncGenerator<FoundEvent> {
    this.#check()
    const found = [...this.events.values()]
      .filter(event => request.source === undefined || event.source === request.source)
      .filter(event => request.query.matches(event))
      .sort((a, b) => (a.source < b.source ? -1 : a.source > b.source ? 1 : a.from - b.from))
    yield* found
  }

  async summarise(request: SummaryRequest): Promise<Summary> {
    const tally = new Tally(request)
    for await (const event of this.search({ ...request, order: 'offset' })) tally.add(event)
    return tally.result()
  }

  async rangesOf(sources: Iterable<string>): Promise<Map<string, RangeSet>> {
    const totals = new Map((await this.totals()).map(sum => [sum.source, sum.ranges]))
    return new Map([...sources].flatMap(source => (totals.has(source) ? [[source, totals.get(source)!]] : [])))
  }

  async totals(): Promise<SourceTotals[]> {
    this.#check()
    const totals = new Map<string, SourceTotals>()
    for (const { source, host, path, app, run, from, to, lines, bytes } of this.events.values()) {
      const own = totals.get(source) ?? {
        source,
        host,
        path,
        app,
        start: run.start,
        ranges: new RangeSet(),
        events: 0,
        lines: 0,
        bytes: 0,
      }
      own.ranges.add(from, to)
      own.events++
      own.lines += lines
      own.bytes += bytes.length
      totals.set(source, own)
    }
    return [...totals.values()]
  }

  async words(): Promise<{ manifests: Manifest[]; gone: Gone[] }> {
    this.#check()
    return { manifests: [...this.kept.manifests], gone: [...this.kept.gone] }
  }

  async sequences(): Promise<Map<string, RangeSet>> {
    this.#check()
    const out = new Map<string, RangeSet>()
    for (const { header } of this.packets.values()) {
      const key = `${header.id.tailer}/${header.id.epoch}`
      const ranges = out.get(key) ?? new RangeSet()
      ranges.add(header.id.sequence, header.id.sequence + 1)
      out.set(key, ranges)
    }
    return out
  }

  async expire(before: Bucket): Promise<number> {
    this.#check()
    const events = this.events.size
    for (const [key, packet] of this.packets) if (packet.header.bucket < before) this.packets.delete(key)
    for (const [id, event] of this.events) if ((event.bucket ?? 0) < before) this.events.delete(id)
    return events - this.events.size
  }

  async tidy(): Promise<void> {
    this.#check()
  }

  empty(): void {
    this.packets.clear()
    this.events.clear()
    this.kept.manifests = []
    this.kept.gone = []
  }

  /** All text, by source and offset. */
  text(): string {
    return [...this.events.values()]
      .sort((a, b) => (a.source < b.source ? -1 : a.source > b.source ? 1 : a.from - b.from))
      .map(event => event.bytes.toString())
      .join('')
  }

  #check(): void {
    if (this.down) throw this.down
  }
}
