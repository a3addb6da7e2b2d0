// The ledger: what was read, packed, held twice, indexed, archived, per host, file and source, in bytes of the source; and
// every hole by name. Pure: everything that is known goes in, docs/ledger.md tells what each figure is made from.
//
//   start ────────────────────────────── read ───── size        a source; offsets in bytes
//   ████████████████████████████████████▒▒▒▒▒░░░░░░░            █ in index or archive  ▒ read, on its way  ░ not read
//           └ a gap in █ is waiting while somebody can still bring it, and a hole when nobody can
//
// - A hole is open until somebody accepts it or retires its host. Only open holes make `bucktail ledger` exit with 3.
// - What is on its way is never a hole, however late; what nobody will bring is never merely late.
// - A sequence that is gone is a hole only for the bytes that nothing else covers: a tailer that lost the end of its
//   journal cuts the same bytes again under other sequences.
import { addAll, Books, compare, coveredBy, endOf, type Source, sizeOf } from './ledger-books.ts'
import { bucketRows } from './ledger-buckets.ts'
import { findHoles } from './ledger-holes.ts'
import type { DroppedByRule, Gone, Manifest } from './manifest.ts'
import type { Bucket, Epoch, IdRun, SourceName, SourceRecord, TailerContact, TailerId } from './messages.ts'
import { RangeSet } from './ranges.ts'
import type { Release } from './releases.ts'
import type { SourceTotals } from './stores.ts'

export type Sequences = Map<string, RangeSet>

export interface LedgerInputs {
  /** Of every buck that could be asked; several bucks tell of one tailer. */
  contacts: TailerContact[]
  records: SourceRecord[]
  /** From bucks, index and archive; the same one may come several times. */
  manifests: Manifest[]
  gone: Gone[]
  inventories: { buck: string; bucket: Bucket; tailers: { tailer: TailerId; runs: IdRun[] }[] }[]
  index: { totals: SourceTotals[]; sequences: Sequences }
  archive: { totals: SourceTotals[]; sequences: Sequences }
  decisions?: Decision[]
  /** What left the archive, or never went into it, by somebody's decision. */
  releases?: Release[]
  /** A tailer not heard of for so long will not send again. */
  holeAfterMs: number
  /** Buckets before this one have left the index by age. */
  expiredBefore?: Bucket
  /** Bucks that could not be asked: what only they hold looks missing. */
  unreachable?: string[]
}

/** An operator's word (`ledger accept`, `ledger retire`). Absent fields match everything. */
export interface Decision {
  kind: 'accept' | 'retire'
  host: string
  path?: string
  source?: SourceName
  who: string
  atMs: number
  why: string
}

export type LedgerState = 'complete' | 'waiting' | 'hole' | 'accepted' | 'expired' | 'released'

export interface Hole {
  host: string
  path: string
  source?: SourceName
  tailer?: TailerId
  /** Offsets in the source; absent: not known. */
  from?: number
  to?: number
  /** The sequences that are missing, where the hole was found by them. */
  epoch?: Epoch
  sequences?: [from: number, to: number][]
  reason: string
  state: 'open' | 'accepted' | 'released'
  decision?: Pick<Decision, 'who' | 'atMs' | 'why'>
}

export interface LedgerRow {
  host: string
  path: string
  source: SourceName
  tailer?: TailerId
  start: number
  /** Bytes from `start`: of the file, read, in packets, safe from the loss of two machines, in index and archive. */
  size: number
  read: number
  packed: number
  heldTwice: number
  indexed: number
  archived: number
  events: number
  lines: number
  /** Lines that settings of its tailer dropped: their bytes are in all of the sums, blanked. Absent: none. */
  dropped?: DroppedByRule[]
  state: LedgerState
  /** What is awaited, from whom, or why it is as it is. */
  note?: string
}

export interface BucketRow {
  tailer: TailerId
  host: string
  bucket: Bucket
  packets: number
  missing: number
  state: LedgerState
  note: string
}

export interface Ledger {
  rows: LedgerRow[]
  /** Those that are not complete. */
  buckets: BucketRow[]
  completeBuckets: number
  holes: Hole[]
  openHoles: number
  totals: Pick<LedgerRow, 'size' | 'read' | 'packed' | 'heldTwice' | 'indexed' | 'archived' | 'events' | 'lines'>
  /** Not read yet, or read and held by fewer than two bucks, by what the tailers last reported. */
  behindBytes: number
  /** What tailers want a human to look at, without a hole: a file held back, an identity not proven. */
  alarms: string[]
  unreachable: string[]
}

export function computeLedger(inputs: LedgerInputs): Ledger {
  const books = new Books(inputs)
  const { holes, alarms } = findHoles(books)
  const rows = [...books.sources.values()].map(source => rowOf(books, holes, source))
  rows.sort((a, b) => compare(a.host, b.host) || compare(a.path, b.path) || compare(a.source, b.source))
  const { buckets, complete } = bucketRows(books, holes)
  return {
    rows,
    buckets,
    completeBuckets: complete,
    holes,
    openHoles: holes.filter(hole => hole.state === 'open').length,
    totals: totalsOf(rows),
    behindBytes: behindBytes(books),
    alarms,
    unreachable: inputs.unreachable ?? [],
  }
}

function rowOf(books: Books, holes: Hole[], source: Source): LedgerRow {
  const end = endOf(source)
  const size = sizeOf(source)
  const within = new RangeSet([[source.start, end]])
  const safe = source.claimed.without(source.once)
  addAll(safe, source.twice)
  addAll(safe, source.archived)
  const { host, path, source: name, tailer, start, events, lines, dropped } = source
  return {
    host,
    path,
    source: name,
    ...(tailer !== undefined && { tailer }),
    start,
    size: size - start,
    read: end - start,
    packed: within.common(source.packed).total,
    heldTwice: within.common(safe).total,
    indexed: source.indexed.total,
    archived: source.archived.total,
    events,
    lines,
    ...(dropped.length > 0 && { dropped }),
    ...stateOf(books, holes, source, size, end),
  }
}

function stateOf(
  books: Books,
  holes: Hole[],
  source: Source,
  size: number,
  end: number,
): { state: LedgerState; note?: string } {
  const own = holes.filter(hole => hole.source === source.source)
  const open = own.find(hole => hole.state === 'open')
  if (open) return { state: 'hole', note: open.reason }
  const covered = coveredBy(source)
  const missing = new RangeSet([[source.start, end]]).without(covered).without(source.givenUp).without(source.released)
  const waitingFor = source.tailer === undefined ? 'a tailer that no buck knows' : books.nameOf(source.tailer)
  if (missing.size > 0) {
    const isPacked = missing.without(source.packed).size === 0
    const whom = isPacked ? 'the porter, or a buck or tailer that has the packets' : waitingFor
    return {
      state: 'waiting',
      note: `${missing.total} bytes from offset ${[...missing][0][0]} on: waiting for ${whom}`,
    }
  }
  const unread = new RangeSet([[end, size]]).without(source.givenUp).total
  if (unread > 0) return { state: 'waiting', note: `${unread} bytes not read yet: waiting for ${waitingFor}` }
  const standstill = books.standstill(source)
  if (standstill !== undefined) return { state: 'waiting', note: `${standstill}: waiting for ${waitingFor}` }
  const { expiredBefore } = books.inputs
  const unindexed = covered.without(source.indexed).without(source.expired)
  if (expiredBefore !== undefined && unindexed.size > 0) {
    return {
      state: 'waiting',
      note: `${unindexed.total} bytes are archived and not in the index: waiting for the porter`,
    }
  }
  const accepted = own.find(hole => hole.state === 'accepted')
  if (accepted)
    return { state: 'accepted', note: `${accepted.reason} (${accepted.decision?.who}: ${accepted.decision?.why})` }
  const released = own.find(hole => hole.state === 'released')
  if (released) return { state: 'released', note: released.reason }
  const left = source.released.without(covered)
  if (left.size > 0) {
    const note = `${left.total} bytes: ${[...source.releases].join('; ')}`
    if (covered.size > 0) return { state: 'complete', note }
    return { state: source.releaseKinds.has('expired') ? 'expired' : 'released', note }
  }
  if (source.indexed.size === 0 && source.archived.size > 0)
    return { state: 'expired', note: 'left the index by age; archived' }
  return { state: 'complete' }
}

function behindBytes(books: Books): number {
  let behind = 0
  for (const { report } of books.contacts.values()) {
    if (!report) continue
    behind += report.underReplicatedBytes
    for (const { size, read } of report.sources) behind += Math.max(0, size - read)
  }
  return behind
}

function totalsOf(rows: LedgerRow[]): Ledger['totals'] {
  const totals = { size: 0, read: 0, packed: 0, heldTwice: 0, indexed: 0, archived: 0, events: 0, lines: 0 }
  for (const row of rows) for (const key of Object.keys(totals) as (keyof typeof totals)[]) totals[key] += row[key]
  return totals
}
