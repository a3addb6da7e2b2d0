// Everything that matches, as packets for another store: in the order in which Elasticsearch has it, which costs it nothing,
// page after page of one point in time. What came in one packet lies close together, and is put together again.
import type { FoundEvent, Origin } from '../events.ts'
import { eventsOf, type Labels, originOf, PACKET_EVENTS_MAX, PACKET_TEXT_BYTES } from '../found-packets.ts'
import type { SourceName } from '../messages.ts'
import { encodePacket, type Packet } from '../packet.ts'
import type { Damage, EventQuestion } from '../stores.ts'
import type { ElasticConnection } from './connection.ts'
import { matchingEvents } from './search.ts'

/** Text of events that wait for more of their packet. Then the one that waits longest goes out as it is. */
const WAITING_BYTES_MAX = 16 * 1024 * 1024

interface Group {
  origin: Origin
  labels: Labels
  events: FoundEvent[]
  bytes: number
}

export async function* packetsOut(
  connection: ElasticConnection,
  alias: string,
  question: EventQuestion,
  labelsOf: (source: SourceName) => Labels | undefined,
  onDamage: (damage: Damage) => void,
): AsyncGenerator<Packet[]> {
  // Two pages in memory: 128 MB at worst, mostly 2.
  const asked = { sort: ['_shard_doc'], isAhead: true }
  const groups = new Map<string, Group>()
  let waitingBytes = 0
  const take = (key: string, { origin, labels, events, bytes }: Group): Packet => {
    groups.delete(key)
    waitingBytes -= bytes
    events.sort((a, b) => a.from - b.from)
    return encodePacket(origin, eventsOf(labels, events))
  }
  for await (const event of matchingEvents(connection, alias, question, asked)) {
    const origin = originOf(event)
    if (!origin) {
      onDamage({ where: event.id, reason: 'its origin (tailer, epoch, sequence) is not known: it cannot be copied' })
      continue
    }
    const key = `${event.source}/${origin.tailer}/${origin.epoch}/${origin.sequence}/${origin.bucket}`
    const { host, app } = event
    const group = groups.get(key) ?? {
      origin,
      labels: labelsOf(event.source) ?? { source: event.source, host, app, start: 0 },
      events: [],
      bytes: 0,
    }
    groups.set(key, group)
    group.events.push(event)
    group.bytes += event.bytes.length
    waitingBytes += event.bytes.length
    if (group.bytes >= PACKET_TEXT_BYTES || group.events.length >= PACKET_EVENTS_MAX) yield [take(key, group)]
    while (waitingBytes > WAITING_BYTES_MAX) {
      const [oldestKey, oldest] = groups.entries().next().value as [string, Group]
      yield [take(oldestKey, oldest)]
    }
  }
  for (const [key, group] of [...groups]) yield [take(key, group)]
}
