// Search over segments: results in order, in bounded memory, whatever the number of results.
//
//   Everything unread (a segment, then its blocks) waits in a heap by the first place that an event of it can have in the
//   order: its rank. Matches wait in a second heap. The first match is given out when nothing unread can hold an earlier
//   one; else what comes first is read.
//   When the matches held are over `heldBytesMax`, the later half is dropped and its first place remembered as `until`:
//   nothing from there on is held or read in this pass, and the next pass begins there. So memory is bounded by
//   heldBytesMax and one block; the price is that blocks that reach over `until` are read once more per pass, and each
//   pass gives out at least about half of heldBytesMax. A limit works the same way: what cannot be among the first
//   `limit` is dropped, and blocks that hold only later events are never read.
//   Order 'offset' is one such search per source, one after the other.

import type { LiveSegment } from './catalogue-state.ts'
import { eventId, type FoundEvent, LEVELS, TIME_IS_GUESSED } from './events.ts'
import { Heap } from './heap.ts'
import { CorruptSegmentError } from './segment.ts'
import type { SegmentBlock, SegmentRun } from './segment-block.ts'
import { SegmentFilter } from './segment-filter.ts'
import type { SegmentSummary } from './segment-manifest.ts'
import { MissingSegmentError, type OpenSegment, type SegmentObjects } from './segment-objects.ts'
import type { SourcePart } from './segment-writer.ts'
import type { Damage, SearchRequest } from './stores.ts'

/** What a waiting match takes beside its text. */
const HELD_EVENT_BYTES = 300
/** Matches beyond a limit are dropped when there are this many more: a sort each time would cost more. */
const BEYOND_LIMIT = 1000

export interface SearchParts {
  segments: LiveSegment[]
  objects: SegmentObjects
  request: SearchRequest
  onDamage: (damage: Damage) => void
  /** The segment's file is not there. Rejects if that is no damage but a tidying. */
  assertNotTidied: (name: string) => Promise<void>
  heldBytesMax: number
}

/** A match that waits. Its text is a copy: a view would keep the whole block in memory. */
interface Held {
  rank: bigint
  timeNs: bigint
  run: SegmentRun
  from: number
  bytes: Buffer
  host: string
  app: string
  level: number
  flags: number
  lines: number
}

type Unread = { rank: bigint } & ({ segment: LiveSegment } | { opened: OpenSegment; block: SegmentBlock })

/** First and last place an event can have: with one of them a block is put in line or passed over. */
interface Order {
  rank(timeNs: bigint, from: number): bigint
  ofSegment(summary: SegmentSummary): bigint
  ofBlock(block: SegmentBlock): { first: bigint; last: bigint }
  compare(a: Held, b: Held): number
}

export async function* searchSegments(parts: SearchParts): AsyncGenerator<FoundEvent> {
  const { request } = parts
  if (request.limit !== undefined && request.limit <= 0) return
  const told = new Set<string>()
  const onDamage = (damage: Damage) => {
    const key = `${damage.where} ${damage.reason}`
    // Several passes meet the same damage.
    if (!told.has(key)) parts.onDamage(damage)
    told.add(key)
  }
  if (request.order !== 'offset') {
    yield* new Search({ ...parts, onDamage }, timeOrder(request.order)).run()
    return
  }
  let left = request.limit ?? Number.POSITIVE_INFINITY
  for (const source of await sourcesOf(parts, onDamage)) {
    const one = { ...request, source, limit: Number.isFinite(left) ? left : undefined }
    for await (const event of new Search({ ...parts, request: one, onDamage }, offsetOrder(source)).run()) {
      yield event
      left--
    }
    if (left <= 0) return
  }
}

class Search {
  readonly #parts: SearchParts
  readonly #request: SearchRequest
  readonly #order: Order
  readonly #filter: SegmentFilter
  readonly #unread: Heap<Unread>
  readonly #held: Heap<Held>
  #heldBytes = 0
  /** Of this pass: from `start` on, up to before `until`. */
  #start: Held | undefined
  #until: Held | undefined
  #left: number
  #progress = { blocks: 0, ofBlocks: 0, bytes: 0 }

  constructor(parts: SearchParts, order: Order) {
    this.#parts = parts
    this.#request = parts.request
    this.#order = order
    this.#filter = new SegmentFilter(parts.request)
    this.#unread = new Heap((a, b) => (a.rank < b.rank ? -1 : a.rank > b.rank ? 1 : 0))
    this.#held = new Heap(order.compare)
    this.#left = parts.request.limit ?? Number.POSITIVE_INFINITY
  }

  async *run(): AsyncGenerator<FoundEvent> {
    const segments = this.#parts.segments.filter(({ summary }) => !summary || this.#filter.couldHold(summary))
    this.#progress.ofBlocks = segments.reduce((sum, { summary }) => sum + (summary?.blocks ?? 0), 0)
    do {
      this.#start = this.#until
      this.#until = undefined
      for (const segment of segments) this.#queue(segment)
      for (;;) {
        this.#request.signal?.throwIfAborted()
        const unread = this.#unread.peek()
        const held = this.#held.peek()
        if (held && (!unread || held.rank < unread.rank)) {
          this.#held.pop()
          this.#heldBytes -= costOf(held)
          yield found(held)
          if (--this.#left <= 0) return
          continue
        }
        if (!unread) break
        if (this.#isPast(unread)) {
          this.#unread.clear()
          continue
        }
        this.#unread.pop()
        await this.#read(unread)
      }
    } while (this.#until)
  }

  #isPast(unread: Unread): boolean {
    return this.#until !== undefined && unread.rank > this.#until.rank
  }

  #queue(segment: LiveSegment): void {
    // One whose manifest is damaged may hold anything: it is looked into first.
    const rank = segment.summary ? this.#order.ofSegment(segment.summary) : -(2n ** 64n)
    this.#unread.push({ rank, segment })
  }

  async #read(unread: Unread): Promise<void> {
    try {
      if ('segment' in unread) await this.#readDirectory(unread.segment)
      else await this.#readBlock(unread.opened, unread.block)
    } catch (error) {
      if (!(error instanceof CorruptSegmentError)) throw error
      if (error instanceof MissingSegmentError) await this.#parts.assertNotTidied(error.segment)
      this.#parts.onDamage({ where: error.where, reason: error.reason })
    }
  }

  async #readDirectory(segment: LiveSegment): Promise<void> {
    const opened = await this.#parts.objects.open(segment.name, this.#parts.onDamage)
    if (!segment.summary) this.#progress.ofBlocks += opened.blocks.length
    for (const block of opened.blocks) {
      const { first, last } = this.#order.ofBlock(block)
      const isPast = this.#start && last < this.#start.rank
      if (isPast || !this.#filter.couldHoldBlock(block)) this.#passed(0)
      else this.#unread.push({ rank: first, opened, block })
    }
  }

  async #readBlock(opened: OpenSegment, block: SegmentBlock): Promise<void> {
    const events = await this.#parts.objects.readBlock(opened, block)
    for (const { i, run, from } of this.#filter.matches(events)) {
      const timeNs = events.times[i]
      const held: Held = {
        rank: this.#order.rank(timeNs, from),
        timeNs,
        run,
        from,
        bytes: Buffer.from(events.bytes.subarray(i === 0 ? 0 : events.ends[i - 1], events.ends[i])),
        host: events.names[events.hosts[i]] || run.host,
        app: events.names[events.apps[i]] || run.app,
        level: events.levels[i],
        flags: events.flags[i],
        lines: events.lines[i],
      }
      if (this.#start && this.#order.compare(held, this.#start) < 0) continue
      if (this.#until && this.#order.compare(held, this.#until) >= 0) continue
      this.#held.push(held)
      this.#heldBytes += costOf(held)
      this.#bound()
    }
    this.#passed(block.rawBytes)
  }

  #bound(): void {
    if (this.#held.size > this.#left + BEYOND_LIMIT) this.#cut(this.#left)
    else if (this.#heldBytes > this.#parts.heldBytesMax && this.#held.size > 1) {
      this.#cut(this.#held.size >>> 1)
    }
  }

  #cut(count: number): void {
    const dropped = this.#held.cut(count)
    for (const held of dropped) this.#heldBytes -= costOf(held)
    this.#until = dropped[0]
  }

  #passed(bytes: number): void {
    const { blocks, ofBlocks } = this.#progress
    this.#progress.blocks = Math.min(blocks + 1, ofBlocks)
    this.#progress.bytes += bytes
    this.#request.onProgress?.({ ...this.#progress })
  }
}

/** 'newest' is 'oldest' from its end. */
function timeOrder(order: 'oldest' | 'newest'): Order {
  const compare = (a: Held, b: Held) => {
    if (a.timeNs !== b.timeNs) return a.timeNs < b.timeNs ? -1 : 1
    if (a.run.source !== b.run.source) return a.run.source < b.run.source ? -1 : 1
    return a.from - b.from || Buffer.compare(a.bytes, b.bytes)
  }
  return order === 'oldest'
    ? {
        rank: timeNs => timeNs,
        ofSegment: ({ leastNs }) => leastNs,
        ofBlock: ({ leastNs, greatestNs }) => ({ first: leastNs, last: greatestNs }),
        compare,
      }
    : {
        rank: timeNs => -timeNs,
        ofSegment: ({ greatestNs }) => -greatestNs,
        ofBlock: ({ leastNs, greatestNs }) => ({ first: -greatestNs, last: -leastNs }),
        compare: (a, b) => compare(b, a),
      }
}

function offsetOrder(source: string): Order {
  const bounds = (runs: { source: string; from: number; to: number }[]) => {
    let first = Number.MAX_SAFE_INTEGER
    let last = 0
    for (const run of runs) {
      if (run.source !== source) continue
      first = Math.min(first, run.from)
      last = Math.max(last, run.to)
    }
    return { first: BigInt(first), last: BigInt(last) }
  }
  return {
    rank: (_, from) => BigInt(from),
    ofSegment: ({ sources }) => bounds(sources.flatMap(part => rangesOf(part, source))).first,
    ofBlock: ({ runs }) => bounds(runs),
    compare: (a, b) => a.from - b.from || Buffer.compare(a.bytes, b.bytes),
  }
}

function rangesOf(part: SourcePart, source: string): { source: string; from: number; to: number }[] {
  return part.source === source ? [...part.ranges].map(([from, to]) => ({ source, from, to })) : []
}

async function sourcesOf(
  { segments, objects, request }: SearchParts,
  onDamage: (damage: Damage) => void,
): Promise<string[]> {
  const filter = new SegmentFilter(request)
  const sources = new Set<string>()
  for (const { name, summary } of segments) {
    if (summary && !filter.couldHold(summary)) continue
    const parts = summary?.sources ?? (await runsOf(name, objects, onDamage))
    for (const { source } of parts) if (!request.source || source === request.source) sources.add(source)
  }
  return [...sources].sort()
}

async function runsOf(
  name: string,
  objects: SegmentObjects,
  onDamage: (damage: Damage) => void,
): Promise<SegmentRun[]> {
  try {
    return (await objects.open(name, onDamage)).blocks.flatMap(({ runs }) => runs)
  } catch (error) {
    if (!(error instanceof CorruptSegmentError)) throw error
    onDamage({ where: error.where, reason: error.reason })
    return []
  }
}

function found({ timeNs, run, from, bytes, host, app, level, flags, lines }: Held): FoundEvent {
  return {
    id: eventId(run.source, from, bytes),
    timeNs,
    timeIsGuessed: (flags & TIME_IS_GUESSED) !== 0,
    host,
    app,
    level: LEVELS[level] ?? '',
    path: run.path,
    source: run.source,
    from,
    to: from + bytes.length,
    lines,
    bytes,
    ...run.origin,
  }
}

function costOf(held: Held): number {
  return held.bytes.length + HELD_EVENT_BYTES
}
