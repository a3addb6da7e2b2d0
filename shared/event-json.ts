// One event as JSON: what `search --json`, REST and live give out. Field names are an interface: docs/rest.md lists them.
import { type FoundEvent, withoutLineEnd } from './events.ts'
import { type Labels, labelsOf } from './labels.ts'
import type { Damage } from './stores.ts'

/** A live page shows lines; the rest of a longer one is a click away (search gives all of it). */
export const LIVE_MESSAGE_BYTES_MAX = 32 * 1024

export interface EventJson {
  /** The same wherever the event is found: what removes duplicates. */
  id: string
  /** RFC 3339, UTC, nine digits. */
  time: string
  /** No time was found in the line: `time` is the one before it, or when it was read. */
  timeGuessed?: true
  /** No record of its own: more of the one before it, which was given out already or is in another file. */
  continued?: true
  /** Bytes of it were hidden on its machine: each is a `*`. */
  redacted?: true
  host: string
  app: string
  level: string
  path: string
  source: string
  offset: number
  /** Offset after the last byte, line end included. */
  end: number
  /** Lines that begin in the event; 0 for a later piece of a long line. */
  lines: number
  /** Text without the line end. Bytes that are no UTF-8 show as U+FFFD; then `raw` has them. */
  message: string
  /** base64 of the exact bytes, line end included, only where `message` + "\n" is not exactly them. */
  raw?: string
  /** Keys and values that the text spells out, flattened; absent where there are none (shared/labels.ts). */
  labels?: Labels
  tailer?: string
  epoch?: string
  sequence?: number
}

export interface LiveEventJson {
  id: string
  /** Nanoseconds since 1970, decimal: over what a JSON number holds. */
  time: string
  host: string
  app: string
  level: string
  path: string
  source: string
  offset: number
  message: string
  /** `message` is the first LIVE_MESSAGE_BYTES_MAX bytes of a longer one. */
  cut?: true
}

/** One line of an NDJSON answer that is no event. The last line is `end`: without it the answer was cut off. */
export type AnswerNote =
  | { damage: Damage }
  /** Only to those who ask for it. Blocks of the index or archive, and their bytes of text, that were looked at. */
  | { progress: { blocks: number; ofBlocks: number; bytes: number } }
  | { error: string }
  | { end: { events: number; more: boolean } }

export function eventJson(event: FoundEvent): EventJson {
  const message = withoutLineEnd(event.bytes).toString('utf8')
  const { tailer, epoch, sequence } = event
  const labels = labelsOf(event.bytes, event.path)
  return {
    id: event.id,
    time: timeText(event.timeNs),
    ...(event.timeIsGuessed && { timeGuessed: true as const }),
    ...(event.isContinued && { continued: true as const }),
    ...(event.isRedacted && { redacted: true as const }),
    host: event.host,
    app: event.app,
    level: event.level,
    path: event.path,
    source: event.source,
    offset: event.from,
    end: event.to,
    lines: event.lines,
    message,
    ...(!isExact(message, event.bytes) && { raw: event.bytes.toString('base64') }),
    ...(Object.keys(labels).length > 0 && { labels }),
    ...(tailer !== undefined && { tailer, epoch, sequence }),
  }
}

/** The exact bytes of an event given out as JSON. */
export function eventJsonBytes(json: Pick<EventJson, 'message' | 'raw'>): Buffer {
  return json.raw === undefined ? Buffer.from(`${json.message}\n`) : Buffer.from(json.raw, 'base64')
}

export function liveEventJson(event: FoundEvent): LiveEventJson {
  const bytes = withoutLineEnd(event.bytes)
  const isCut = bytes.length > LIVE_MESSAGE_BYTES_MAX
  return {
    id: event.id,
    time: String(event.timeNs),
    host: event.host,
    app: event.app,
    level: event.level,
    path: event.path,
    source: event.source,
    offset: event.from,
    message: bytes.toString('utf8', 0, LIVE_MESSAGE_BYTES_MAX),
    ...(isCut && { cut: true as const }),
  }
}

/** RFC 3339 in UTC with nine digits. A time that no calendar has (beyond year 9999 or before 0) is clamped. */
export function timeText(timeNs: bigint): string {
  const clamped = timeNs > LAST_NS ? LAST_NS : timeNs < FIRST_NS ? FIRST_NS : timeNs
  const fraction = ((clamped % SECOND_NS) + SECOND_NS) % SECOND_NS
  const ms = Number((clamped - fraction) / 1_000_000n)
  return `${new Date(ms).toISOString().slice(0, 19)}.${String(fraction).padStart(9, '0')}Z`
}

const SECOND_NS = 1_000_000_000n
const FIRST_NS = BigInt(Date.parse('0000-01-01T00:00:00Z')) * 1_000_000n
const LAST_NS = BigInt(Date.parse('9999-12-31T23:59:59Z')) * 1_000_000n + 999_999_999n

/** Are the bytes the text and one line feed? Compared as bytes: a lossy decoding is longer or other. */
function isExact(message: string, bytes: Buffer): boolean {
  return bytes.length > 0 && bytes[bytes.length - 1] === 0x0a && Buffer.from(`${message}\n`).equals(bytes)
}
