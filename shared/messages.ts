// Every request that crosses a link, both ways, with its answer. msgpack on the wire (shared/channel); payloads are raw.
// Names as in docs/formats/messages.md. Unknown types are refused with 'bad-request'; unknown fields are ignored.
import type { Gone, Manifest } from './manifest.ts'

/** hex, 32 digits. */
export type TailerId = string
/** `<count>-<16 hex digits of random>`; count in decimal, grows by one with each start of the tailer. */
export type Epoch = string
/** Start of a bucket, whole seconds since 1970 by the tailer's clock: floor(now / bucket_time) · bucket_time. */
export type Bucket = number
/** hex, 20 digits, random. */
export type SourceName = string

/** Bytes of a checksum in an id run: the first 8 of the SHA-256 in the packet's header. */
export const SUM_BYTES = 8

export interface PacketId {
  tailer: TailerId
  epoch: Epoch
  sequence: number
  /** hex, 16 digits: the first SUM_BYTES of the header's SHA-256. One id with two sums is two packets. */
  sum: string
}

/** Consecutive sequences of one tailer and epoch, with the sum of each, SUM_BYTES apiece. */
export interface IdRun {
  epoch: Epoch
  first: number
  sums: Buffer
}

/** What a buck (or a resume record) knows of a source, so that a tailer with an empty folder can go on. */
export interface SourceRecord {
  source: SourceName
  tailer: TailerId
  machine: string
  host: string
  path: string
  app: string
  dev: number
  ino: number
  /** First offset that was to be read (0, or where a fork or `from: end` began). */
  start: number
  /** All from `start` to here is in packets; from a buck: the greatest end it saw, for it gets only some of them. */
  to: number
  /**
   * From a buck: the [from, to) it saw in packets, in rising order. Unite those of several bucks and go on at the first
   * gap. A buck keeps the last few hundred gaps; an older one counts as filled (the ledger names it if it was not).
   */
  ranges?: [from: number, to: number][]
  /** First bytes of the file, at most HEAD_BYTES, and the last TAIL_BYTES before `to`: they recognise it. */
  head: Buffer
  tail: Buffer
  parent?: SourceName
}

/** What a tailer says of itself every few seconds; the ledger's "read" and "behind" come from it. */
export interface TailerReport {
  host: string
  epoch: Epoch
  bucketSeconds: number
  sources: {
    source: SourceName
    path: string
    start: number
    /** Bytes of the file now; read and packed up to. */
    size: number
    read: number
  }[]
  /** Packets that fewer than two bucks hold, and their raw bytes. */
  underReplicatedPackets: number
  underReplicatedBytes: number
  /** Why reading stands still, if it does. */
  stopped?: string
}

export interface TailerContact {
  tailer: TailerId
  machine: string
  report?: TailerReport
  connected: boolean
  /** Milliseconds since the last message from it, by the buck's monotonic clock; since the buck's start if never. */
  silentMs: number
}

export interface Throttle {
  /** Stop sending for so long; 0: go on. */
  seconds: number
  leastIntervalMs?: number
}

type Ask<A, R> = { ask: A; answer: R }
type Nothing = Record<string, never>

export interface Asks {
  // ── tailer → buck ────────────────────────────────────────────────────────────────────────────────────────────────
  /**
   * The first request on a link, and again when the tailer opens another epoch. States what the journal has; refused with
   * 'clone' if another live tailer process uses the id with another epoch (the buck pings that one first).
   *   former   per earlier epoch with packets not archived, and the last one: its last sequence in the journal
   *   last     the last sequence of this epoch so far (0: none)
   * Answer:
   *   formerHighest  per stated former epoch the highest sequence this buck ever had, archived and dropped ones included:
   *            what is over the stated last and in no `beyond` cannot be taken back
   *   higher   the highest sequence of *this* epoch at this buck, if it is over `last`: the tailer opens a new epoch
   *   beyond   packets of former epochs over the stated last: sent, but lost from the journal by a power cut
   *   sources  the sources last known of this machine (by tailer or machine), if asked: the newest of each path first, and
   *            of all together as many as fit (buck/sources.ts)
   */
  open: Ask<
    {
      epoch: Epoch
      last: number
      former: { epoch: Epoch; last: number }[]
      machine: string
      host: string
      wantSources: boolean
    },
    {
      beyond: (PacketId & { bucket: Bucket })[]
      higher?: number
      sources: SourceRecord[]
      formerHighest: { epoch: Epoch; highest: number }[]
    }
  >
  /**
   * Payload: one packet. Answered after the append (and after it is found to be held or archived already).
   * 'full' when the disk limit is reached. `second` with `firstFailed` when the first buck did not acknowledge.
   */
  packet: Ask<{ delivery: 'first' | 'second' | 'repair'; firstFailed?: boolean }, Nothing>
  /** A tailer's signed word on a bucket; kept with the bucket, several of one (tailer, epoch, bucket) are all kept. */
  manifest: Ask<{ manifest: Manifest }, Nothing>
  /** Have/want: what of these the buck does not hold, and what of these it knows to be archived (then it is not wanted). */
  offer: Ask<
    { bucket: Bucket; runs: IdRun[] },
    { want: { epoch: Epoch; sequence: number }[]; archived: { epoch: Epoch; sequence: number }[] }
  >
  report: Ask<TailerReport, { throttle?: Throttle }>

  // ── buck → tailer ────────────────────────────────────────────────────────────────────────────────────────────────
  /** Committed to the archive: the tailer may forget those whose sum agrees. */
  archived: Ask<{ tailer: TailerId; runs: IdRun[] }, Nothing>
  /** Nobody holds these: send them again (as repair, to this buck and another), or answer gone, signed. */
  want: Ask<{ tailer: TailerId; epoch: Epoch; sequences: number[] }, { gone: Gone[] }>
  throttle: Ask<Throttle, Nothing>

  // ── either way ───────────────────────────────────────────────────────────────────────────────────────────────────
  ping: Ask<Nothing, Nothing>

  // ── porter, archie → buck (the buck answers its own disks only; `archived` and `want` above are asked of bucks too) ─
  /**
   * The buckets that grew after `after` in the log `logId`. Another log id than the buck's own: all buckets it has.
   * Waits up to `waitMs` for something to tell. The cursor to ask with next is (logId, number) of the answer.
   */
  changes: Ask<{ logId: string; after: number; waitMs: number }, { logId: string; number: number; buckets: Bucket[] }>
  /**
   * What it has of a bucket, in pages of some megabytes: while there is a `next`, ask again with it as `after`
   * (shared/inventory.ts). `number`: the log's number when the page was read; what came later may not be in it.
   */
  inventory: Ask<
    { bucket: Bucket; after?: string },
    {
      tailers: { tailer: TailerId; runs: IdRun[] }[]
      manifests: Manifest[]
      gone: Gone[]
      number: number
      next?: string
    }
  >
  /**
   * The signed words in the inventories of these buckets, as read at `number` of the log `logId`, are in the archive.
   * Before that a buck drops no file with words in it. Of another log id: ignored, the porter reads all again anyway.
   */
  wordsArchived: Ask<{ logId: string; buckets: { bucket: Bucket; number: number }[] }, Nothing>
  /** Payload of the answer: those it has, end to end, in any order, up to FETCH_BYTES_MAX; ask again for the rest. */
  fetch: Ask<{ ids: PacketId[] }, Nothing>
  /** Every tailer this buck ever heard of, and when it last heard from each. In pages, as `inventory` (shared/contacts.ts). */
  contacts: Ask<{ after?: TailerId; withoutReports?: boolean }, { tailers: TailerContact[]; next?: TailerId }>
  /** The sources of all of them, without `head`, `tail` and `ranges`. In pages. */
  sources: Ask<{ after?: number }, { sources: SourceRecord[]; next?: number }>
  /** Drops archived packets of buckets before this one from the disk (their ranges are remembered). */
  prune: Ask<{ before: Bucket }, { packets: number; bytes: number }>
}

export const FETCH_BYTES_MAX = 8 * 1024 * 1024
