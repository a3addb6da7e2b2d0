// An event as a document, with ECS names. Field by field in docs/elasticsearch.md.
//
//   _id              the event's id: source, offset and hash of the bytes; `create` makes a second one impossible
//   message          the text without its line end
//   event.original   base64 of the exact bytes, only where the text cannot hold them (not UTF-8)
//   bucktail.…       what restore and re-export need: source, bytes, line end (absent: \n), lines, the packet it came in
//   labels           what JSON or key=value in the line spells out (shared/labels.ts)
//   bucktail.words   for searching only (words.ts); not in what is given back
//
// bytes = event.original, or message + line end: always exactly those of the file.
import { isAscii, isUtf8 } from 'node:buffer'
import { timeText } from '../event-json.ts'
import {
  type Events,
  eventId,
  type FoundEvent,
  LEVELS,
  type Level,
  type Origin,
  TIME_IS_GUESSED,
  walkEvents,
  withoutLineEnd,
} from '../events.ts'
import { type Labels, labelsOf } from '../labels.ts'
import type { PacketId } from '../messages.ts'
import { asciiWordBytes, asciiWords, type Words, wordsOf } from './words.ts'

const SECOND_NS = 1_000_000_000n

export interface EventDocument {
  id: string
  from: number
  bytes: number
  lines: number
  /** Number of the run in `events.runs`. */
  run: number
  /** As it goes into a bulk request, without its action. */
  json: string
}

/** As it comes back. */
export interface EventSource {
  '@timestamp': string
  message: string
  host?: { name?: string }
  service?: { name?: string }
  log: { file: { path: string }; offset: number; level?: string }
  event: { original?: string }
  bucktail: {
    source: string
    bytes: number
    lines: number
    line_end?: string
    tailer: string
    epoch: string
    sequence: number
    bucket: number
    guessed?: boolean
    time?: string
  }
}

/** @param ingestedMs  wall clock */
export function* documentsOf(
  events: Events,
  origin: Omit<Origin, 'sequence'> & PacketId,
  ingestedMs: number,
): Generator<EventDocument> {
  const { tailer, epoch, sequence, sum, bucket } = origin
  const created = timeText(BigInt(bucket) * SECOND_NS).replace('.000000000', '')
  const ingested = new Date(ingestedMs).toISOString()
  const ends = `"tailer":"${tailer}","epoch":"${epoch}","sequence":${sequence},"sum":"${sum}","bucket":${bucket}`
  const isAllAscii = isAscii(events.bytes)
  const words = isAllAscii ? asciiWordBytes(events.bytes) : undefined
  const clock = new TimeTexts()
  const labels = new Map<string, string>()
  const runNumbers = new Map(events.runs.map((run, number) => [run, number]))

  for (const { i, run, from } of walkEvents(events)) {
    const start = i === 0 ? 0 : events.ends[i - 1]
    const bytes = events.bytes.subarray(start, events.ends[i])
    const line = withoutLineEnd(bytes)
    const message = isAllAscii ? line.toString('latin1') : line.toString('utf8')
    const isExact = isAllAscii || isUtf8(line)
    const lineEnd = bytes.length - line.length
    const said: Words = words ? asciiWords(words.toString('latin1', start, start + line.length)) : wordsOf(message)
    const labelKey = `${events.hosts[i]}/${events.apps[i]}/${run.source}/${run.path}`
    let label = labels.get(labelKey)
    if (label === undefined) {
      const host = events.names[events.hosts[i]] || run.host
      const app = events.names[events.apps[i]] || run.app
      label = `${host && `"host":{"name":${JSON.stringify(host)}},`}${app && `"service":{"name":${JSON.stringify(app)}},`}"log":{"file":{"path":${JSON.stringify(run.path)}}`
      labels.set(labelKey, label)
    }
    const id = eventId(run.source, from, bytes)
    const level = LEVELS[events.levels[i]]
    const time = events.times[i]
    let json = `{"@timestamp":"${clock.of(time)}","message":${JSON.stringify(message)},${label},"offset":${from}`
    if (level) json += `,"level":"${level}"`
    json += `},"event":{"id":"${id}","created":"${created}","ingested":"${ingested}"`
    if (!isExact) json += `,"original":"${bytes.toString('base64')}"`
    json += `}${labelsJson(labelsOf(bytes, run.path))},"bucktail":{"source":"${run.source}","bytes":${bytes.length},"lines":${events.lines[i]},`
    if (lineEnd === 2) json += '"line_end":"\\r\\n",'
    else if (lineEnd === 0) json += '"line_end":"",'
    if ((events.flags[i] & TIME_IS_GUESSED) !== 0) json += '"guessed":true,'
    // Elasticsearch's nanoseconds begin in 1970.
    if (time < 0n) json += `"time":"${time}",`
    if (said.isWide) json += '"wide":true,'
    json += `${ends},"words":${words ? `"${said.text}"` : JSON.stringify(said.text)}}}`
    yield { id, from, bytes: bytes.length, lines: events.lines[i], run: runNumbers.get(run) ?? 0, json }
  }
}

export function eventOfDocument(id: string, source: EventSource): FoundEvent {
  const { bucktail, log, message, event } = source
  const { bytes: size, lines, line_end = '\n', tailer, epoch, sequence, bucket } = bucktail
  const bytes = event.original === undefined ? Buffer.from(message + line_end) : Buffer.from(event.original, 'base64')
  return {
    id,
    timeNs: bucktail.time === undefined ? timeOf(source['@timestamp']) : BigInt(bucktail.time),
    timeIsGuessed: bucktail.guessed === true,
    host: source.host?.name ?? '',
    app: source.service?.name ?? '',
    level: (log.level ?? '') as Level,
    path: log.file.path,
    source: bucktail.source,
    from: log.offset,
    to: log.offset + size,
    lines,
    bytes,
    tailer,
    epoch,
    sequence,
    bucket,
  }
}

function labelsJson(labels: Labels): string {
  const text = JSON.stringify(labels)
  if (text === '{}') return ''
  // Elasticsearch refuses a document with a zero byte in a key of it.
  if (!text.includes('\\u0000')) return `,"labels":${text}`
  return labelsJson(
    Object.fromEntries(Object.entries(labels).filter(([key, value]) => !`${key}${value}`.includes('\0'))),
  )
}

/** RFC 3339 with up to nine digits, UTC → nanoseconds. */
export function timeOf(text: string): bigint {
  const fraction = /\.(\d+)Z$/.exec(text)?.[1] ?? ''
  return BigInt(Date.parse(`${text.slice(0, 19)}Z`)) * 1_000_000n + BigInt(fraction.padEnd(9, '0'))
}

/** Times as text; neighbours mostly share their second. */
class TimeTexts {
  #second = -1n
  #prefix = ''

  of(timeNs: bigint): string {
    if (timeNs < 0n) return '1970-01-01T00:00:00.000000000Z'
    const second = timeNs / SECOND_NS
    if (second !== this.#second) {
      this.#second = second
      this.#prefix = timeText(second * SECOND_NS).slice(0, 20)
    }
    return `${this.#prefix}${String(timeNs - second * SECOND_NS).padStart(9, '0')}Z`
  }
}
