// Takes events out of the index for good. Their packets keep their marks, so that nothing brings them back; the marks
// promise fewer events and ranges from before the events go, so a kill in between leaves nothing that looks lost.
import { requestFilter } from '../event-filter.ts'
import type { SourceName } from '../messages.ts'
import { RangeSet } from '../ranges.ts'
import type { EventQuestion } from '../stores.ts'
import { type EventSource, eventOfDocument } from './document.ts'
import { ElasticError } from './errors.ts'
import { lessened, type MarkSource } from './marks.ts'
import { type MendParts, markIdOf, removeDocuments } from './mend.ts'
import { PAST } from './names.ts'
import { candidatesOf } from './query-dsl.ts'
import { hitsOf } from './search.ts'

/** Found before some of them go: bounds the ids in memory. */
const BATCH_EVENTS = 5_000

interface Batch {
  ids: string[]
  /** By mark: what its packet loses. */
  packets: Map<string, { events: number; ranges: Map<SourceName, RangeSet> }>
}

/** @returns how many events went */
export async function eraseEvents(parts: MendParts, question: EventQuestion): Promise<number> {
  const { connection, names, holdings, signal } = parts
  const matches = requestFilter(question)
  const asked = { query: candidatesOf(question).query, sort: ['_shard_doc'], ...(signal && { signal }) }
  let erased = 0
  for (const day of [...holdings.days.keys()]) {
    if (day === PAST) continue
    let batch: Batch = { ids: [], packets: new Map() }
    for await (const { _id, _source } of hitsOf(connection, names.index(day), asked)) {
      const event = eventOfDocument(_id, _source)
      const { timeNs } = event
      if (question.sinceNs !== undefined && timeNs < question.sinceNs) continue
      if (question.untilNs !== undefined && timeNs >= question.untilNs) continue
      if (!matches(event)) continue
      enter(batch, _id, _source, event.to)
      if (batch.ids.length < BATCH_EVENTS) continue
      erased += await take(parts, day, batch)
      batch = { ids: [], packets: new Map() }
    }
    erased += await take(parts, day, batch)
    holdings.days.delete(day)
  }
  await holdings.refresh(signal)
  return erased
}

function enter({ ids, packets }: Batch, id: string, source: EventSource, to: number): void {
  ids.push(id)
  const mark = markIdOf(source)
  const packet = packets.get(mark) ?? { events: 0, ranges: new Map<SourceName, RangeSet>() }
  packets.set(mark, packet)
  packet.events++
  const ranges = packet.ranges.get(source.bucktail.source) ?? new RangeSet()
  packet.ranges.set(source.bucktail.source, ranges)
  ranges.add(source.log.offset, to)
}

async function take(parts: MendParts, day: string, { ids, packets }: Batch): Promise<number> {
  if (ids.length === 0) return 0
  const { connection, names, signal } = parts
  const { docs } = await connection.ask<{ docs: { _id: string; _source?: { bucktail: MarkSource } }[] }>({
    what: 'marks not read',
    path: `${names.index(day)}/_mget`,
    body: { ids: [...packets.keys()] },
    ...(signal && { signal }),
  })
  const lines = docs.flatMap(({ _id, _source }) => {
    const lost = packets.get(_id)
    // Without a mark: of an add that is not done.
    if (!lost || !_source) return []
    const bucktail = lessened(_id, _source.bucktail, lost.events, lost.ranges)
    return [`${JSON.stringify({ index: { _id } })}\n${JSON.stringify({ bucktail })}\n`]
  })
  if (lines.length > 0) {
    const { items } = await connection.ask<{ items: { index: { error?: { reason: string } } }[] }>({
      what: 'marks not written',
      path: `${names.write(day)}/_bulk`,
      query: { require_alias: true },
      bulk: lines.join(''),
      ...(signal && { signal }),
    })
    const refused = items.find(({ index }) => index.error)
    if (refused) throw new ElasticError(`a mark was refused: ${refused.index.error?.reason}`)
  }
  await removeDocuments(parts, day, ids)
  return ids.length
}
