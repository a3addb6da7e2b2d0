// Events: log records as packets and segments hold them, side by side in columns ("structure of arrays"), and the one
// record a search gives out.
import { createHash } from 'node:crypto'
import type { Bucket, Epoch, SourceName, TailerId } from './messages.ts'

/** A longer event is cut into pieces; all but the first have `lines` 0, so the sum of lines is the number of lines. */
export const EVENT_BYTES_MAX = 64 * 1024

/** Index into this list is what is stored. The last one is no line's own word: shared/dropped.ts. */
export const LEVELS = [
  '',
  'trace',
  'debug',
  'info',
  'notice',
  'warn',
  'error',
  'critical',
  'alert',
  'fatal',
  'dropped',
] as const
export type Level = (typeof LEVELS)[number]
export const DROPPED = LEVELS.indexOf('dropped')

/** A contiguous range of one source. Its events follow those of the run before it in the columns of `Events`. */
export interface Run {
  source: SourceName
  host: string
  path: string
  app: string
  /** Offsets in the source; `to` is after the last byte. */
  from: number
  to: number
  /** Where reading of the source began. */
  start: number
  events: number
  /** The source that this one continues from `start` on (a fork after a power cut, a clone): its bytes before `start`. */
  parent?: SourceName
}

/** Column i is event i. All columns are as long as there are events. */
export interface Events {
  runs: Run[]
  /** The exact bytes of all events, end to end. */
  bytes: Buffer
  /** End of event i in `bytes`; its start is the end of the one before. */
  ends: Uint32Array
  /** Lines that begin in event i: 1, 0 for a later piece or a continued line, more for a multi-line record. */
  lines: Uint16Array
  /** Nanoseconds since 1970. */
  times: BigInt64Array
  levels: Uint8Array
  /** Bits: TIME_IS_GUESSED, IS_CONTINUED, IS_REDACTED. */
  flags: Uint8Array
  /** Host and application from the line where it names them: index into `names`, 0 = the run's. */
  hosts: Uint16Array
  apps: Uint16Array
  /** names[0] is ''. */
  names: string[]
}

/** No time was found in the line, `times` has the one before it or the read time. */
export const TIME_IS_GUESSED = 1
/** No record of its own: more of one that was given out before, or began in another file. */
export const IS_CONTINUED = 2
/** Bytes of it were hidden before it was written or sent: each is a `*`. */
export const IS_REDACTED = 4

/** Where a packet's events come from. */
export interface Origin {
  tailer: TailerId
  epoch: Epoch
  sequence: number
  bucket: Bucket
}

/** One event, as found by a search. */
export interface FoundEvent extends Partial<Origin> {
  /** `<source>-<offset>-<16 hex digits of the SHA-256 of the bytes>`: the same wherever it is found. */
  id: string
  timeNs: bigint
  timeIsGuessed: boolean
  /** More of the record before it. */
  isContinued?: true
  /** Bytes of it are hidden. */
  isRedacted?: true
  host: string
  app: string
  level: Level
  path: string
  source: SourceName
  from: number
  to: number
  lines: number
  /** The exact bytes, line end included. */
  bytes: Buffer
}

export function eventId(source: SourceName, from: number, bytes: Buffer): string {
  return `${source}-${from}-${createHash('sha256').update(bytes).digest('hex').slice(0, 16)}`
}

/** Event `i`, which lies in `run` and begins at offset `from` of the source. */
export function eventAt(events: Events, i: number, run: Run, from: number): FoundEvent {
  const bytes = eventBytes(events, i)
  return {
    id: eventId(run.source, from, bytes),
    timeNs: events.times[i],
    ...flagged(events.flags[i]),
    host: events.names[events.hosts[i]] || run.host,
    app: events.names[events.apps[i]] || run.app,
    level: LEVELS[events.levels[i]] ?? '',
    path: run.path,
    source: run.source,
    from,
    to: from + bytes.length,
    lines: events.lines[i],
    bytes,
  }
}

/** What the flags say, as a search gives it out. */
export function flagged(flags: number): Pick<FoundEvent, 'timeIsGuessed' | 'isContinued' | 'isRedacted'> {
  return {
    timeIsGuessed: (flags & TIME_IS_GUESSED) !== 0,
    ...((flags & IS_CONTINUED) !== 0 && { isContinued: true as const }),
    ...((flags & IS_REDACTED) !== 0 && { isRedacted: true as const }),
  }
}

export function flagsOf(event: Pick<FoundEvent, 'timeIsGuessed' | 'isContinued' | 'isRedacted'>): number {
  return (
    (event.timeIsGuessed ? TIME_IS_GUESSED : 0) |
    (event.isContinued ? IS_CONTINUED : 0) |
    (event.isRedacted ? IS_REDACTED : 0)
  )
}

export function eventBytes(events: Events, i: number): Buffer {
  return events.bytes.subarray(i === 0 ? 0 : events.ends[i - 1], events.ends[i])
}

/** Every event in order, with its run and its offset. Cheap: nothing is copied or hashed until `eventAt`. */
export function* walkEvents(events: Events): Generator<{ i: number; run: Run; from: number }> {
  let i = 0
  for (const run of events.runs) {
    let from = run.from
    for (let n = 0; n < run.events; n++, i++) {
      yield { i, run, from }
      from += events.ends[i] - (i === 0 ? 0 : events.ends[i - 1])
    }
  }
}

/** Bytes without the line end: what `message` shows. CR LF and LF are line ends; a lone CR is not. */
export function withoutLineEnd(bytes: Buffer): Buffer {
  let end = bytes.length
  if (end > 0 && bytes[end - 1] === 0x0a) {
    end--
    if (end > 0 && bytes[end - 1] === 0x0d) end--
  }
  return bytes.subarray(0, end)
}

/** Order of results: event time, then source, then offset. */
export function compareFound(a: FoundEvent, b: FoundEvent): number {
  if (a.timeNs !== b.timeNs) return a.timeNs < b.timeNs ? -1 : 1
  if (a.source !== b.source) return a.source < b.source ? -1 : 1
  return a.from - b.from
}
