// Search of the recent days: the index, and what the bucks hold and the index lacks, as one ordered stream without
// duplicates. Usable without HTTP (`bucktail search --data`).
//
//   fresh packets, opened when their first key comes up ─┐
//                                                        ├─▶ merge by order ─▶ once per event id ─▶ limit
//   index.search ────────────────────────────────────────┘
// The list of fresh packets is taken before the index is asked: one that is indexed in between is in both, never in none.
import { eventId, type FoundEvent, LEVELS, TIME_IS_GUESSED } from '../shared/events.ts'
import type { PacketId, SourceName } from '../shared/messages.ts'
import { packetKey } from '../shared/packet.ts'
import { COMPARE, mergeOrdered } from '../shared/search/event-order.ts'
import { openPacketBlock } from '../shared/search/packet-block.ts'
import { Question } from '../shared/search/question.ts'
import type { SearchedBlock } from '../shared/search/searched-block.ts'
import { matchingRows } from '../shared/search/sum-block.ts'
import type { Damage, EventStore, SearchRequest } from '../shared/stores.ts'
import type { FreshPacket, FreshSource } from './fresh-source.ts'

/** A search waits so long for the bucks to say what is new. */
export const REFRESH_MS_MAX = 1_500
/** Between two packets, if the last time was so long ago. */
const UNHEARD_MS_MAX = 20
/** Ids remembered to drop duplicates. Equal ids have equal times, or nearly: they come close to each other. */
const IDS_REMEMBERED = 200_000

export type FreshPackets = Pick<FreshSource, 'packets' | 'load' | 'blocks'>

/** Index and bucks. Damage is told as it is met; what a buck could not give is told before the first event. */
export async function* searchRecent(
  parts: { index: Pick<EventStore, 'search'>; fresh: FreshSource },
  request: SearchRequest,
  onDamage: (damage: Damage) => void,
): AsyncGenerator<FoundEvent> {
  await parts.fresh.refreshWithin(REFRESH_MS_MAX)
  for (const gap of parts.fresh.gaps()) onDamage(gap)
  const fresh = searchFresh(parts.fresh, request, onDamage)
  const indexed = parts.index.search(request, onDamage)
  yield* limited(once(mergeOrdered([fresh, indexed], COMPARE[request.order])), request.limit)
}

/** Only what the index lacks, in order. */
export async function* searchFresh(
  source: FreshPackets,
  request: SearchRequest,
  onDamage: (damage: Damage) => void,
): AsyncGenerator<FoundEvent> {
  const compare = COMPARE[request.order]
  const question = new Question(request)
  if (request.order === 'offset' && request.source === undefined) {
    // One source after the other: else all packets that have several would be open at the same time.
    const packets = source.packets()
    const listed = { packets: () => packets, load: (id: PacketId) => source.load(id), blocks: source.blocks }
    for (const one of sourcesIn(packets, question)) {
      yield* searchFresh(listed, { ...request, source: one }, onDamage)
    }
    return
  }
  const waiting = source
    .packets()
    .filter(packet => couldMatch(packet, question))
    .map(packet => ({ packet, first: firstKey(packet, request) }))
    // The one to open next is last.
    .sort((a, b) => compare(b.first, a.first))
  // Opened packets: their matching events, the next one last.
  const open: FoundEvent[][] = []

  for (;;) {
    request.signal?.throwIfAborted()
    let best: FoundEvent[] | undefined
    for (const events of open) {
      if (best === undefined || compare(events[events.length - 1], best[best.length - 1]) < 0) best = events
    }
    const next = waiting.at(-1)
    if (next && (best === undefined || compare(next.first, best[best.length - 1]) <= 0)) {
      waiting.pop()
      const events = await matchesOf(next.packet)
      if (events.length > 0) open.push(events.sort((a, b) => compare(b, a)))
      continue
    }
    if (best === undefined) return
    yield best.pop() as FoundEvent
    if (best.length === 0) open.splice(open.indexOf(best), 1)
  }

  async function matchesOf(packet: FreshPacket): Promise<FoundEvent[]> {
    return (await withFresh(source, packet, onDamage, block => foundIn(block, packet, question))) ?? []
  }
}

/** What `look` answers; undefined: indexed meanwhile and dropped here, or not to be had, which is told. */
export async function withFresh<T>(
  source: Pick<FreshPackets, 'load' | 'blocks'>,
  packet: FreshPacket,
  onDamage: (damage: Damage) => void,
  look: (block: SearchedBlock) => T,
): Promise<T | undefined> {
  const key = packetKey(packet.id)
  await listen()
  try {
    let block = source.blocks.get(key)
    if (block === undefined) {
      const whole = await source.load(packet.id)
      // The index was asked after the list of packets was made, so it gives the events.
      if (whole === undefined) return undefined
      block = openPacketBlock(whole)
    }
    const answer = look(block)
    source.blocks.set(key, block, block.heldBytes)
    return answer
  } catch (error) {
    onDamage({ where: nameOf(packet), reason: (error as Error).message })
    return undefined
  }
}

let heardAtMs = 0

/** A search of thousands of packets that lie in memory waits for nothing: links and other requests must be heard all the same. */
async function listen(): Promise<void> {
  if (performance.now() - heardAtMs < UNHEARD_MS_MAX) return
  await new Promise(resolve => setImmediate(resolve))
  heardAtMs = performance.now()
}

function nameOf({ id }: FreshPacket): string {
  return `packet ${id.epoch}/${id.sequence} of tailer ${id.tailer}`
}

export function foundIn(block: SearchedBlock, packet: FreshPacket, question: Question): FoundEvent[] {
  const rows = matchingRows(block, question).list()
  if (rows.length === 0) return []
  const { tailer, epoch, sequence } = packet.id
  const { bytes, ends } = block.textOf(rows)
  const { fields, names } = block
  const found: FoundEvent[] = []
  let firstOfRun = 0
  let k = 0
  for (const run of block.runs) {
    const behind = firstOfRun + run.events
    const runStart = firstOfRun === 0 ? 0 : block.ends[firstOfRun - 1]
    for (; k < rows.length && rows[k] < behind; k++) {
      const row = rows[k]
      const text = bytes.subarray(k === 0 ? 0 : ends[k - 1], ends[k])
      const from = run.from + (row === 0 ? 0 : block.ends[row - 1]) - runStart
      found.push({
        id: eventId(run.source, from, text),
        timeNs: fields.times[row],
        timeIsGuessed: (fields.flags[row] & TIME_IS_GUESSED) !== 0,
        host: names[fields.hosts[row]] || run.host,
        app: names[fields.apps[row]] || run.app,
        level: LEVELS[fields.levels[row]] ?? '',
        path: run.path,
        source: run.source,
        from,
        to: from + text.length,
        lines: fields.lines[row],
        bytes: text,
        tailer,
        epoch,
        sequence,
        bucket: packet.bucket,
      })
    }
    firstOfRun = behind
  }
  return found
}

/** By the header and the runs alone: nothing is inflated. */
export function couldMatch({ header, runs, names }: FreshPacket, question: Question): boolean {
  return question.couldHoldTimes(header) && question.couldHoldRuns({ runs, names })
}

function sourcesIn(packets: FreshPacket[], question: Question): SourceName[] {
  const sources = new Set<SourceName>()
  for (const { runs } of packets) for (const run of runs) if (question.isRun(run)) sources.add(run.source)
  return [...sources].sort()
}

/** A key that no event of the packet comes before, in this order. */
function firstKey({ header, runs }: FreshPacket, { order, source }: SearchRequest): FoundEvent {
  const key = (timeNs: bigint, source: string, from: number) => ({ timeNs, source, from }) as FoundEvent
  if (order === 'oldest') return key(header.leastNs, '', 0)
  if (order === 'newest') return key(header.greatestNs, '\uffff', Number.MAX_SAFE_INTEGER)
  const asked = runs.filter(run => run.source === source)
  const keys = asked.map(run => key(0n, run.source, run.from)).sort(COMPARE.offset)
  return keys[0] ?? key(0n, '', 0)
}

/** Each event id once, among the last IDS_REMEMBERED. */
export async function* once(events: AsyncGenerator<FoundEvent>): AsyncGenerator<FoundEvent> {
  let current = new Set<string>()
  let former = new Set<string>()
  for await (const event of events) {
    if (current.has(event.id) || former.has(event.id)) continue
    current.add(event.id)
    if (current.size >= IDS_REMEMBERED / 2) {
      former = current
      current = new Set()
    }
    yield event
  }
}

async function* limited(events: AsyncGenerator<FoundEvent>, limit: number | undefined): AsyncGenerator<FoundEvent> {
  if (limit === undefined) return yield* events
  let left = limit
  if (left <= 0) return
  for await (const event of events) {
    yield event
    if (--left === 0) return
  }
}
