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

import { isUtf8 } from 'node:buffer'
import { hash } from 'node:crypto'
import { timeText } from '../event-json.ts'
import {
  type Events,
  type FoundEvent,
  flagged,
  IS_CONTINUED,
  IS_REDACTED,
  LEVELS,
  type Level,
  type Origin,
  type Run,
  TIME_IS_GUESSED,
} from '../events.ts'
import { type Labels, labelsOf, mayHaveLabels } from '../labels.ts'
import type { PacketId } from '../messages.ts'
import type { ByteText } from './byte-text.ts'
import { appendAsciiWords, wordsOf } from './words.ts'

const SECOND_NS = 1_000_000_000n
const SUM_HEX = 16

/** One document on its way. */
export interface EventDocument {
  i: number
  run: Run
  /** Offset in the source. */
  from: number
  /** Its bytes within those of the packet's events. */
  start: number
  end: number
  /** SHA-256 of its bytes. */
  sum: string
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
    continued?: boolean
    redacted?: boolean
    time?: string
  }
}

/** Makes the documents of one packet. */
export class DocumentMaker {
  readonly #events: Events
  readonly #texts: { source: Buffer; pathLabels: Buffer; labels: Map<number, Buffer> }[]
  readonly #afterId: Buffer
  readonly #origin: Buffer
  readonly #time = new TimeTexts()
  readonly #runs: Map<Run, number>

  /** @param ingestedMs  wall clock */
  constructor(events: Events, origin: Omit<Origin, 'sequence'> & PacketId, ingestedMs: number) {
    const { tailer, epoch, sequence, sum, bucket } = origin
    const created = timeText(BigInt(bucket) * SECOND_NS).replace('.000000000', '')
    const ingested = new Date(ingestedMs).toISOString()
    this.#events = events
    this.#afterId = Buffer.from(`","created":"${created}","ingested":"${ingested}"`)
    this.#origin = Buffer.from(
      `"tailer":"${tailer}","epoch":"${epoch}","sequence":${sequence},"sum":"${sum}","bucket":${bucket},"words":"`,
    )
    this.#runs = new Map(events.runs.map((run, number) => [run, number]))
    this.#texts = events.runs.map(({ source, path }) => ({
      source: Buffer.from(source),
      pathLabels: Buffer.from(labelsJson(labelsOf(Buffer.alloc(0), path))),
      labels: new Map(),
    }))
  }

  /** Event `i`, which lies in `run` and begins at offset `from` of the source. */
  begin(i: number, run: Run, from: number): EventDocument {
    const { ends, bytes } = this.#events
    const start = i === 0 ? 0 : ends[i - 1]
    const end = ends[i]
    return { i, run, from, start, end, sum: hash('sha256', bytes.subarray(start, end), 'hex') }
  }

  writeId(into: ByteText, { run, from, sum }: EventDocument): void {
    into.append(this.#texts[this.#runs.get(run) as number].source)
    into.append(DASH)
    into.integer(from)
    into.append(DASH)
    into.ascii(sum, SUM_HEX)
  }

  write(into: ByteText, document: EventDocument): void {
    const { i, run, from, start, end } = document
    const { bytes, levels, lines, flags, times } = this.#events
    const runTexts = this.#texts[this.#runs.get(run) as number]
    let lineTo = end
    if (lineTo > start && bytes[lineTo - 1] === 0x0a) {
      lineTo--
      if (lineTo > start && bytes[lineTo - 1] === 0x0d) lineTo--
    }
    into.append(TIMESTAMP)
    this.#time.write(into, times[i])
    into.append(MESSAGE)
    const messageAt = into.length
    const isAllAscii = into.jsonString(bytes, start, lineTo)
    const line = isAllAscii ? undefined : bytes.subarray(start, lineTo)
    const isExact = line === undefined || isUtf8(line)
    const text = line?.toString('utf8')
    if (!isExact) {
      into.length = messageAt
      into.utf8(JSON.stringify(text).slice(1, -1))
    }
    into.append(this.#labels(i, run))
    into.integer(from)
    if (levels[i] < LEVEL_TEXTS.length) into.append(LEVEL_TEXTS[levels[i]])
    into.append(EVENT_ID)
    this.writeId(into, document)
    into.append(this.#afterId)
    if (!isExact) into.ascii(`,"original":"${bytes.toString('base64', start, end)}"`)
    into.append(EVENT_END)
    if (mayHaveLabels(bytes, start, lineTo)) into.utf8(labelsJson(labelsOf(bytes.subarray(start, end), run.path)))
    else into.append(runTexts.pathLabels)
    into.append(BUCKTAIL)
    into.append(runTexts.source)
    into.append(BYTES)
    into.integer(end - start)
    into.append(LINES)
    into.integer(lines[i])
    into.append(LINE_ENDS[end - lineTo])
    if (flags[i] !== 0) into.ascii(flagsText(flags[i]))
    // Elasticsearch's nanoseconds begin in 1970.
    if (times[i] < 0n) into.ascii(`"time":"${times[i]}",`)
    into.append(this.#origin)
    let isWide: boolean
    if (text === undefined) isWide = appendAsciiWords(into, bytes, start, lineTo)
    else {
      const said = wordsOf(text)
      isWide = said.isWide
      into.utf8(JSON.stringify(said.text).slice(1, -1))
    }
    into.append(isWide ? WIDE_END : END)
  }

  /** Host, application and path: of few kinds in a run. */
  #labels(i: number, run: Run): Buffer {
    const { hosts, apps, names } = this.#events
    const { labels } = this.#texts[this.#runs.get(run) as number]
    const key = hosts[i] * 0x10000 + apps[i]
    let label = labels.get(key)
    if (label === undefined) {
      const host = names[hosts[i]] || run.host
      const app = names[apps[i]] || run.app
      label = Buffer.from(
        `",${host && `"host":{"name":${JSON.stringify(host)}},`}${app && `"service":{"name":${JSON.stringify(app)}},`}"log":{"file":{"path":${JSON.stringify(run.path)}},"offset":`,
      )
      labels.set(key, label)
    }
    return label
  }
}

const TIMESTAMP = Buffer.from('{"@timestamp":"')
const MESSAGE = Buffer.from('","message":"')
const DASH = Buffer.from('-')
const LEVEL_TEXTS = LEVELS.map(level => Buffer.from(level && `,"level":"${level}"`))
const EVENT_ID = Buffer.from('},"event":{"id":"')
const EVENT_END = Buffer.from('}')
const BUCKTAIL = Buffer.from(',"bucktail":{"source":"')
const BYTES = Buffer.from('","bytes":')
const LINES = Buffer.from(',"lines":')
/** By its length. */
const LINE_ENDS = [',"line_end":"",', ',', ',"line_end":"\\r\\n",'].map(text => Buffer.from(text))
const END = Buffer.from('"}}')
const WIDE_END = Buffer.from('","wide":true}}')

function flagsText(flags: number): string {
  return `${flags & TIME_IS_GUESSED ? '"guessed":true,' : ''}${flags & IS_CONTINUED ? '"continued":true,' : ''}${flags & IS_REDACTED ? '"redacted":true,' : ''}`
}

export function eventOfDocument(id: string, source: EventSource): FoundEvent {
  const { bucktail, log, message, event } = source
  const { bytes: size, lines, line_end = '\n', tailer, epoch, sequence, bucket } = bucktail
  const bytes = event.original === undefined ? Buffer.from(message + line_end) : Buffer.from(event.original, 'base64')
  return {
    id,
    timeNs: bucktail.time === undefined ? timeOf(source['@timestamp']) : BigInt(bucktail.time),
    ...flagged(
      (bucktail.guessed ? TIME_IS_GUESSED : 0) |
        (bucktail.continued ? IS_CONTINUED : 0) |
        (bucktail.redacted ? IS_REDACTED : 0),
    ),
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
  #secondNs = -SECOND_NS
  #prefix = Buffer.alloc(0)

  write(into: ByteText, timeNs: bigint): void {
    if (timeNs < 0n) {
      into.append(BEFORE_1970)
      return
    }
    let ns = Number(BigInt.asIntN(64, timeNs - this.#secondNs))
    if (ns < 0 || ns >= 1e9) {
      this.#secondNs = timeNs - (timeNs % SECOND_NS)
      this.#prefix = Buffer.from(timeText(this.#secondNs).slice(0, 20))
      ns = Number(timeNs - this.#secondNs)
    }
    into.append(this.#prefix)
    into.integer(ns, 9)
    into.append(ZULU)
  }
}

const BEFORE_1970 = Buffer.from('1970-01-01T00:00:00.000000000Z')
const ZULU = Buffer.from('Z')
