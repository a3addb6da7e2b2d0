// Search over segments: results in order, in bounded memory, whatever the number of results.
//
//   Everything unread (a segment, then its blocks) waits in a heap by the first place that an event of it can have in the
//   order: its rank. Matches wait in a second heap. The first match is given out when nothing unread can hold an earlier
//   one; else what comes first is read.
//   When the matches held are over `heldBytesMax`, the later half is dropped and its first place remembered as `until`:
//   nothing from there on is held or read in this pass, and the next pass begins there. So memory is bounded by
//   heldBytesMax, one block and those kept inflated; the price is that blocks that reach over `until` are read once more per pass, and each
//   pass gives out at least about half of heldBytesMax. A limit works the same way: what cannot be among the first
//   `limit` is dropped, and blocks that hold only later events are never read.
//   Of a block the matching rows are known before any text is (search/searched-block.ts): they are taken in order, and
//   only those that can still be given out are written out.
//   Order 'offset' is one such search per source, one after the other.

import type { LiveSegment } from './catalogue-state.ts'
import { eventId, type FoundEvent, flagged, LEVELS } from './events.ts'
import { Heap } from './heap.ts'
import { Question } from './search/question.ts'
import type { Rows } from './search/rows.ts'
import type { SearchedBlock } from './search/searched-block.ts'
import type { SearchedBlocks } from './search/searched-blocks.ts'
import { partsByKey, RelativeTimes } from './search/time-order.ts'
import { CorruptSegmentError } from './segment.ts'
import type { SegmentBlock, SegmentRun } from './segment-block.ts'
import type { SegmentSummary } from './segment-manifest.ts'
import { MissingSegmentError, type OpenSegment, type SegmentObjects } from './segment-objects.ts'
import type { SourcePart } from './segment-writer.ts'
import type { Damage, SearchRequest } from './stores.ts'

/** What a waiting match takes beside its text. */
const HELD_EVENT_BYTES = 300
/** Rows of a block that are written out at a time while a limit may make the rest needless. */
const ROWS_AT_ONCE_MIN = 16
const ROWS_AT_ONCE_MAX = 4096

export interface SearchParts {
  segments: LiveSegment[]
  objects: SegmentObjects
  blocks: SearchedBlocks
  request: SearchRequest
  onDamage: (damage: Damage) => void
  /** The segment's file is not there. Rejects if that is no damage but a tidying. */
  assertNotTidied: (name: string) => Promise<void>
  heldBytesMax: number
}

/** A match that waits. */
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
  /** The rank of a row of a block; and those of many, less `base`, as numbers. */
  rankAt(block: SearchedBlock<SegmentRun>, places: Places, row: number): bigint
  keys(block: SearchedBlock<SegmentRun>, places: Places, rows: Uint32Array, base: bigint): Float64Array
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
  readonly #question: Question
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
    this.#question = new Question(parts.request)
    this.#unread = new Heap((a, b) => (a.rank < b.rank ? -1 : a.rank > b.rank ? 1 : 0))
    this.#held = new Heap(order.compare)
    this.#left = parts.request.limit ?? Number.POSITIVE_INFINITY
  }

  async *run(): AsyncGenerator<FoundEvent> {
    const segments = this.#parts.segments.filter(({ summary }) => !summary || this.#question.couldHold(summary))
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
    const { objects, onDamage } = this.#parts
    const opened = await objects.open(segment.name, onDamage)
    if (!segment.summary) this.#progress.ofBlocks += opened.blocks.length
    const filters = this.#question.plan.asksFilters ? await objects.filters(opened, onDamage) : []
    for (const [i, block] of opened.blocks.entries()) {
      const { first, last } = this.#order.ofBlock(block)
      const isPast = this.#start && last < this.#start.rank
      const couldHold = this.#question.couldHoldBlock(block) && this.#question.couldMatch(filters[i])
      if (isPast || !couldHold) this.#passed(0)
      else this.#unread.push({ rank: first, opened, block })
    }
  }

  async #readBlock(opened: OpenSegment, block: SegmentBlock): Promise<void> {
    await this.#parts.blocks.with(opened, block, searched => this.#take(searched))
    this.#passed(block.rawBytes)
  }

  /** The rows that match, in order, as far as they can be given out in this pass. */
  #take(block: SearchedBlock<SegmentRun>): void {
    const { yes, maybe } = block.judge(this.#question)
    let rows = yes.copy().or(maybe).list()
    if (rows.length === 0) return
    const places = new Places(block)
    const base = this.#order.rankAt(block, places, rows[0])
    let keys = this.#order.keys(block, places, rows, base)
    if (this.#start || this.#until) {
      const least = this.#start ? below(Number(this.#start.rank - base)) : Number.NEGATIVE_INFINITY
      const greatest = this.#until ? -below(-Number(this.#until.rank - base)) : Number.POSITIVE_INFINITY
      rows = rows.filter((_, k) => keys[k] >= least && keys[k] <= greatest)
      keys = keys.filter(key => key >= least && key <= greatest)
    }
    const isLimited = Number.isFinite(this.#left)
    const atOnce = isLimited ? Math.max(ROWS_AT_ONCE_MIN, Math.min(this.#left, ROWS_AT_ONCE_MAX)) : rows.length
    let taken = 0
    for (const part of partsByKey(rows, keys, atOnce)) {
      taken += this.#hold(block, places, part, maybe)
      if (taken >= this.#left) return
      // What follows comes later than all of these.
      const until: Held | undefined = this.#until
      if (until && part.some(row => this.#order.rankAt(block, places, row) > until.rank)) return
    }
  }

  /** @param rows  ascending. Answers how many were held. */
  #hold(block: SearchedBlock<SegmentRun>, places: Places, rows: Uint32Array, maybe: Rows): number {
    const { bytes, ends } = block.textOf(rows)
    const { times, hosts, apps, levels, flags, lines } = block.fields
    const { query } = this.#question
    let taken = 0
    for (let k = 0; k < rows.length; k++) {
      const row = rows[k]
      const { run, from } = places.at(row)
      const text = bytes.subarray(k === 0 ? 0 : ends[k - 1], ends[k])
      const host = block.names[hosts[row]] || run.host
      const app = block.names[apps[row]] || run.app
      const level = levels[row]
      if (maybe.has(row) && !query.matches({ bytes: text, host, app, level: LEVELS[level] ?? '', path: run.path }))
        continue
      const timeNs = times[row]
      const rank = this.#order.rank(timeNs, from)
      const held: Held = {
        rank,
        timeNs,
        run,
        from,
        bytes: text,
        host,
        app,
        level,
        flags: flags[row],
        lines: lines[row],
      }
      if (this.#start && this.#order.compare(held, this.#start) < 0) continue
      if (this.#until && this.#order.compare(held, this.#until) >= 0) continue
      // A copy: a view would keep the text of all of these rows in memory.
      held.bytes = Buffer.from(text)
      taken++
      this.#held.push(held)
      this.#heldBytes += costOf(held)
      if (this.#heldBytes > this.#parts.heldBytesMax && this.#held.size > 1) this.#cut(this.#held.size >>> 1)
    }
    if (this.#held.size > this.#left) this.#cut(this.#left)
    return taken
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

/** Where rows lie in their sources; asked mostly in ascending order. */
class Places {
  readonly #block: SearchedBlock<SegmentRun>
  #run = 0
  /** Of the run at hand: its first row and the one behind its last. */
  #first = 0
  #behind: number

  constructor(block: SearchedBlock<SegmentRun>) {
    this.#block = block
    this.#behind = block.runs[0]?.events ?? 0
  }

  at(row: number): { run: SegmentRun; from: number } {
    const { runs, ends } = this.#block
    if (row < this.#first) {
      this.#run = 0
      this.#first = 0
      this.#behind = runs[0].events
    }
    while (row >= this.#behind) {
      this.#first = this.#behind
      this.#behind += runs[++this.#run].events
    }
    const runStart = this.#first === 0 ? 0 : ends[this.#first - 1]
    const run = runs[this.#run]
    return { run, from: run.from + (row === 0 ? 0 : ends[row - 1]) - runStart }
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
        rankAt: ({ fields }, _, row) => fields.times[row],
        keys: ({ fields }, _, rows, base) => new RelativeTimes(fields.times, base).of(rows, 1),
        compare,
      }
    : {
        rank: timeNs => -timeNs,
        ofSegment: ({ greatestNs }) => -greatestNs,
        ofBlock: ({ leastNs, greatestNs }) => ({ first: -greatestNs, last: -leastNs }),
        rankAt: ({ fields }, _, row) => -fields.times[row],
        keys: ({ fields }, _, rows, base) => new RelativeTimes(fields.times, -base).of(rows, -1),
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
    rankAt: (_, places, row) => BigInt(places.at(row).from),
    keys: (_, places, rows, base) => Float64Array.from(rows, row => places.at(row).from - Number(base)),
    compare: (a, b) => a.from - b.from || Buffer.compare(a.bytes, b.bytes),
  }
}

/** A little below a number that may have been rounded. */
function below(key: number): number {
  return Math.abs(key) < 2 ** 53 ? key : key - Math.abs(key) * 2 ** -50
}

function rangesOf(part: SourcePart, source: string): { source: string; from: number; to: number }[] {
  return part.source === source ? [...part.ranges].map(([from, to]) => ({ source, from, to })) : []
}

async function sourcesOf(
  { segments, objects, request }: SearchParts,
  onDamage: (damage: Damage) => void,
): Promise<string[]> {
  const question = new Question(request)
  const sources = new Set<string>()
  for (const { name, summary } of segments) {
    if (summary && !question.couldHold(summary)) continue
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
    ...flagged(flags),
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
