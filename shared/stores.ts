// What porter and archie need of a place that keeps events for days (index) or years (archive).
// Embedded: shared/segment-store (segments and a catalogue in an object store), used for both. At scale: Elasticsearch, S3.
import type { FoundEvent, Level } from './events.ts'
import type { Gone, Manifest } from './manifest.ts'
import type { Bucket, PacketId, SourceName } from './messages.ts'
import type { Packet } from './packet.ts'
import type { Query } from './query.ts'
import type { Range, RangeSet } from './ranges.ts'

export interface StorePass {
  signal?: AbortSignal
}

/** What came of adding packets. `repeated` events were there already (same source, offset, bytes) and were not added. */
export interface Added {
  packets: number
  events: number
  lines: number
  bytes: number
  repeated: number
}

export interface SourceTotals {
  source: SourceName
  host: string
  path: string
  app: string
  start: number
  /** Holds its bytes before `start` (a fork). */
  parent?: SourceName
  /** Which bytes of the source are here. */
  ranges: RangeSet
  events: number
  lines: number
  bytes: number
}

/** Which events are asked for. */
export interface EventQuestion extends StorePass {
  query: Query
  /** Event time, nanoseconds since 1970; `untilNs` is not included. */
  sinceNs?: bigint
  untilNs?: bigint
  host?: string
  app?: string
  level?: Level
  /** A glob over the path, or a part of it. */
  file?: string
  source?: SourceName
  /** Also what settings of tailers dropped, whatever is asked: who copies takes all. */
  withDropped?: boolean
  /** With `source`: those that begin in [from, to) of it. A place may give others beside. */
  offsets?: Range
  onProgress?(done: { blocks: number; ofBlocks: number; bytes: number }): void
}

export interface SearchRequest extends EventQuestion {
  /** 'oldest' and 'newest': by time, then source, then offset. 'offset': by source, then offset (restore). */
  order: 'oldest' | 'newest' | 'offset'
  limit?: number
}

/** What can be ranked: how many events each value has. A template is the shape of a line (shared/search/shape.ts). */
export const TOP_FIELDS = ['hosts', 'apps', 'levels', 'paths', 'templates'] as const
export type TopField = (typeof TOP_FIELDS)[number]

/** How many there are, and of what kind: nothing of it needs the events themselves. */
export interface SummaryRequest extends EventQuestion {
  /** Also how many over time. */
  volume?: boolean
  /** Also the commonest values of these. */
  tops?: readonly TopField[]
  /** Stops after about so long, with what was counted by then: the newest, and `complete` false. */
  workMsMax?: number
}

export interface Bar {
  /** Start, milliseconds since 1970. */
  atMs: number
  events: number
  /** Of them. */
  warnings: number
  errors: number
}

export interface Volume {
  /** Width of a bar, of those in shared/search/bars.ts; so wide that there are at most BARS_MAX from first to last. */
  stepSeconds: number
  /** In order of time, empty ones left out. */
  bars: Bar[]
}

export interface TopValues {
  /** The commonest first; at most VALUES_MAX (shared/search/summary.ts). `text` tells what the value of a template is. */
  values: { value: string; text?: string; events: number }[]
  /** Events with values that are not in the list. */
  others: number
}

export interface Summary {
  /** False: it stopped at `workMsMax`, or the place cannot count exactly. */
  complete: boolean
  events: number
  lines: number
  volume?: Volume
  /** Of each field that was asked for and that the place can rank. */
  tops: Partial<Record<TopField, TopValues>>
}

export interface Damage {
  where: string
  reason: string
}

/**
 * Holds every event once, by identity. Safe for several writers at once: what two of them add at the same time is there
 * once. Errors of the place itself (disk full, not reachable) reject and leave everything as it was.
 */
export interface EventStore {
  /** Which of these packets are not held; they may be of any bucket. Compares id and sum. */
  lacking(ids: PacketId[]): Promise<PacketId[]>
  /**
   * Adds what is not there yet: all of it or nothing, durably, before it resolves. `words` are kept beside, for the ledger.
   * A packet already held is skipped; where source ranges overlap what is held, events with equal bytes count once and
   * different bytes are both kept.
   */
  add(packets: Packet[], words: { manifests: Manifest[]; gone: Gone[] }, pass?: StorePass): Promise<Added>
  /** Results as they are found, in the order asked for, in bounded memory. Damaged blocks are passed over and told. */
  search(request: SearchRequest, onDamage?: (damage: Damage) => void): AsyncGenerator<FoundEvent>
  /** The events that `search` would give, as packets for another store, in no order: for copying, which needs none. */
  eventPackets?(request: EventQuestion, onDamage?: (damage: Damage) => void): AsyncGenerator<Packet[]>
  /** Sums over exactly the events that `search` would give. */
  summarise(request: SummaryRequest, onDamage?: (damage: Damage) => void): Promise<Summary>
  /** Which bytes of these sources are here; sources of which there are none may be left out. Cheap: nothing is read. */
  rangesOf(sources: Iterable<SourceName>): Promise<Map<SourceName, RangeSet>>
  /** Sums per source over everything held. */
  totals(): Promise<SourceTotals[]>
  /** Manifests and gone-words kept, of all buckets. */
  words(): Promise<{ manifests: Manifest[]; gone: Gone[] }>
  /** Packet ids held, or expired and not wanted again, per `tailer/epoch`: sequences. */
  sequences(): Promise<Map<string, RangeSet>>
  /**
   * Forgets packets of buckets before this one (retention); those that are stored together with younger ones may go with
   * these, later. Their ids stay known. Answers how many events went.
   */
  expire(before: Bucket): Promise<number>
  /** Merges small segments, removes what nothing names any more after a grace time. */
  tidy(pass?: StorePass): Promise<void>
}

/** A flat place for immutable objects: a folder, or S3. Keys are `a/b/c`. */
export interface ObjectStore {
  /** True if this call made it; false if it was there (create-only, atomic among processes). Durable when resolved. */
  create(key: string, content: Buffer): Promise<boolean>
  /** Overwrites. */
  put(key: string, content: Buffer): Promise<void>
  /** Undefined if it is not there. `range`: [from, to) in bytes, cut at the end. */
  get(key: string, range?: [from: number, to: number]): Promise<Buffer | undefined>
  size(key: string): Promise<number | undefined>
  /** Keys that begin with `prefix`, sorted. */
  list(prefix: string): Promise<string[]>
  /** No error if it is not there. */
  remove(key: string): Promise<void>
}
