// What only a look at the index itself can find.
//
//   lost events      fewer events in a day than its marks promise (a shard came back empty, somebody deleted some): the
//                    marks of the packets concerned go, so the packets are lacking and are added again
//   events twice     two porters put one event into two days at the same moment: it leaves the younger one
import type { PacketId, SourceName } from '../messages.ts'
import { packetKey } from '../packet.ts'
import { RangeSet } from '../ranges.ts'
import type { Log } from '../world.ts'
import type { ElasticConnection } from './connection.ts'
import type { EventSource } from './document.ts'
import { ElasticError } from './errors.ts'
import type { Holdings } from './holdings.ts'
import { type MarkSource, packetIdOf } from './marks.ts'
import { type ElasticNames, IS_EVENT, PAST } from './names.ts'
import { hitsOf } from './search.ts'

const PAGE = 5000
const SUM_MS_MAX = 300_000

export interface MendParts {
  connection: ElasticConnection
  names: ElasticNames
  holdings: Holdings
  log: Log
  signal?: AbortSignal
}

export async function mend(parts: MendParts): Promise<void> {
  await mendLost(parts)
  await mendTwice(parts)
}

export async function mendLost(parts: MendParts): Promise<void> {
  const { connection, names, holdings, log, signal } = parts
  for (const [day, marks] of [...holdings.days]) {
    if (day === PAST || marks.events === 0) continue
    // What is written and not shown yet is not lost.
    await connection.ask({
      what: 'index not refreshed',
      path: `${names.index(day)}/_refresh`,
      query: { ignore_unavailable: true },
      ...(signal && { signal }),
    })
    const { count } = await connection.ask<{ count: number }>({
      what: 'events not counted',
      path: `${names.index(day)}/_count`,
      body: { query: IS_EVENT },
      ...(signal && { signal }),
    })
    if (count >= marks.events) continue
    const there = await countPerPacket(parts, day)
    const short: string[] = []
    const asked = { query: { term: { 'bucktail.mark': 'packet' } }, sort: ['_shard_doc'], eventsOnly: false }
    for await (const { _id, _source } of hitsOf(connection, names.index(day), asked)) {
      const mark = _source.bucktail as unknown as MarkSource
      if ((there.get(packetKey(packetIdOf(mark))) ?? 0) < (mark.events ?? 0)) short.push(_id)
    }
    log.warn('Elasticsearch lost events: their packets are added again', {
      day,
      events: marks.events - count,
      packets: short.length,
    })
    await removeDocuments(parts, day, short)
    holdings.days.delete(day)
  }
  await holdings.refresh(signal)
}

async function countPerPacket({ connection, names, signal }: MendParts, day: string): Promise<Map<string, number>> {
  interface Answer {
    aggregations: { packets: { after_key?: PacketId; buckets: { key: PacketId; doc_count: number }[] } }
  }
  const counts = new Map<string, number>()
  const fields = ['tailer', 'epoch', 'sequence', 'sum']
  let after: PacketId | undefined
  do {
    const { aggregations } = await connection.ask<Answer>({
      what: 'events not counted',
      path: `${names.index(day)}/_search`,
      body: {
        size: 0,
        query: IS_EVENT,
        aggs: {
          packets: {
            composite: {
              size: PAGE,
              sources: fields.map(field => ({ [field]: { terms: { field: `bucktail.${field}` } } })),
              ...(after && { after }),
            },
          },
        },
      },
      timeoutMs: SUM_MS_MAX,
      ...(signal && { signal }),
    })
    for (const { key, doc_count } of aggregations.packets.buckets) counts.set(packetKey(key), doc_count)
    after = aggregations.packets.after_key
  } while (after)
  return counts
}

async function mendTwice(parts: MendParts): Promise<void> {
  const { connection, names, holdings, log, signal } = parts
  const met = new Map<SourceName, RangeSet>()
  const shared = new Map<SourceName, RangeSet>()
  for (const marks of holdings.days.values()) {
    for (const { source, ranges } of marks.sources.values()) {
      const before = met.get(source) ?? new RangeSet()
      const both = ranges.common(before)
      if (both.size > 0) shared.set(source, new RangeSet([...(shared.get(source) ?? []), ...both]))
      met.set(source, new RangeSet([...before, ...ranges]))
    }
  }
  for (const [source, ranges] of shared) {
    for (const [from, to] of ranges) {
      const filter = [{ term: { 'bucktail.source': source } }, { range: { 'log.offset': { gte: from, lt: to } } }]
      const first = new Map<string, string>()
      const twice = new Map<string, { events: string[]; marks: Set<string> }>()
      const asked = { query: { bool: { filter } }, sort: ['_shard_doc'], ...(signal && { signal }) }
      for await (const { _id, _index, _source } of hitsOf(connection, names.alias, asked)) {
        const other = first.get(_id)
        const [older, later] = [_index, other ?? _index].sort()
        first.set(_id, older)
        if (other === undefined) continue
        const younger = names.dayOf(later) ?? ''
        const found = twice.get(younger) ?? { events: [], marks: new Set<string>() }
        found.events.push(_id)
        if (younger === names.dayOf(_index)) found.marks.add(markIdOf(_source))
        else for (const mark of await markIdsAt(parts, younger, _id)) found.marks.add(mark)
        twice.set(younger, found)
      }
      for (const [day, { events, marks }] of twice) {
        log.info('events that were indexed under two days leave the younger one', {
          source,
          day,
          events: events.length,
        })
        // Without its mark the packet is added again, and what another day holds of it is left out then.
        await removeDocuments(parts, day, [...events, ...marks])
        holdings.days.delete(day)
      }
      if (twice.size > 0) await holdings.refresh(signal)
    }
  }
}

async function markIdsAt({ connection, names }: MendParts, day: string, id: string): Promise<string[]> {
  const { _source } = await connection.ask<{ _source: EventSource }>({
    what: 'event not read',
    method: 'GET',
    path: `${names.index(day)}/_doc/${id}`,
  })
  return [markIdOf(_source)]
}

export function markIdOf({ bucktail }: EventSource): string {
  const { tailer, epoch, sequence, sum } = bucktail as EventSource['bucktail'] & { sum: string }
  return `packet-${tailer}-${epoch}-${sequence}-${sum}`
}

export async function removeDocuments(
  { connection, names, signal }: MendParts,
  day: string,
  ids: string[],
): Promise<void> {
  for (let at = 0; at < ids.length; at += PAGE) {
    const lines = ids
      .slice(at, at + PAGE)
      .map(_id => `${JSON.stringify({ delete: { _index: names.write(day), _id } })}\n`)
    const { items } = await connection.ask<{ items: { delete: { status: number; error?: { reason: string } } }[] }>({
      what: 'documents not deleted',
      path: '_bulk',
      query: { require_alias: true, refresh: true },
      bulk: lines.join(''),
      ...(signal && { signal }),
    })
    for (const { delete: item } of items) {
      if (item.error && item.status !== 404) throw new ElasticError(`documents not deleted: ${item.error.reason}`)
    }
  }
}
