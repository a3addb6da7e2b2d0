// A running archie, asked over its REST (docs/rest.md).
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import type { Ranking } from '../archie/top.ts'
import { type AnswerNote, type EventJson, eventJsonBytes } from '../shared/event-json.ts'
import type { FoundEvent, Level } from '../shared/events.ts'
import { parseTime } from '../shared/face/time-text.ts'

import type { Ledger } from '../shared/ledger.ts'
import type { TopValues } from '../shared/stores.ts'

import { CommandError, EXIT, failure, reasonOf, usageError } from './fail.ts'
import type { Place, PlaceRequest, PlaceSource } from './place.ts'
import { Progress } from './progress.ts'
import { size } from './terminal.ts'

/** Archie is there, but it does not know that. */
class NotThereError extends CommandError {
  constructor(message: string) {
    super(EXIT.failed, `${message} Is it an archie of this version?`)
  }
}

/** For the small answers; a search streams as long as it takes. */
const ANSWER_MS_MAX = 60_000

export function archiePlace(url: string): Place {
  const base = checkedUrl(url)
  return {
    name: `archie at ${base}`,
    search: (request, onDamage) => search(base, request, onDamage),
    top: async ({ by, ...request }) => {
      const path = `/api/v1/top?${parametersOf({ ...request, by })}`
      const { top, ...ranking } = await askArchie<Omit<Ranking, 'top'> & { top: Record<string, TopValues> }>(base, path)
      return { ...ranking, ...top[by] }
    },
    sources: async () => (await askArchie<{ sources: PlaceSource[] }>(base, '/api/v1/sources')).sources,
    stepHashes: async source => {
      const path = `/api/v1/sources/${encodeURIComponent(source)}/steps`
      try {
        const { steps } = await askArchie<{ steps: { step: number; sha256: string }[] }>(base, path)
        return new Map(steps.map(({ step, sha256 }) => [step, sha256]))
      } catch (error) {
        // An archie of an earlier version: the bytes are given back all the same, and said to be unchecked.
        if (error instanceof NotThereError) return new Map()
        throw error
      }
    },
    ledger: () => askArchie<Ledger>(base, '/api/v1/ledger'),
    close: async () => undefined,
  }
}

/** One JSON answer. Rejects with CommandError. */
export async function askArchie<T>(url: string, path: string): Promise<T> {
  const response = await get(checkedUrl(url), path, 'application/json', AbortSignal.timeout(ANSWER_MS_MAX))
  return (await response.json()) as T
}

/** A change, or a question with a body. Rejects with CommandError. */
export async function sendArchie<T>(url: string, method: 'POST' | 'DELETE', path: string, body?: unknown): Promise<T> {
  const request = {
    method,
    ...(body !== undefined && {
      body: JSON.stringify(body),
      headers: { accept: 'application/json', 'content-type': 'application/json' },
    }),
  }
  const response = await get(checkedUrl(url), path, 'application/json', AbortSignal.timeout(ANSWER_MS_MAX), request)
  return (await response.json()) as T
}

function parametersOf(request: object): URLSearchParams {
  const parameters = new URLSearchParams()
  for (const [name, value] of Object.entries(request)) if (value !== undefined) parameters.set(name, String(value))
  return parameters
}

async function* search(
  base: string,
  request: PlaceRequest,
  onDamage: Parameters<Place['search']>[1],
): AsyncGenerator<FoundEvent> {
  const parameters = parametersOf(request)
  parameters.set('progress', 'true')
  const progress = new Progress()
  const aborter = new AbortController()
  const response = await get(base, `/api/v1/search?${parameters}`, 'application/x-ndjson', aborter.signal)
  const lines = createInterface({
    input: Readable.fromWeb(response.body as never),
    crlfDelay: Number.POSITIVE_INFINITY,
  })
  let hasEnd = false
  try {
    for await (const line of lines) {
      const value = JSON.parse(line) as EventJson | AnswerNote
      if ('id' in value) yield foundEvent(value)
      else if ('damage' in value) onDamage(value.damage)
      else if ('progress' in value) {
        const { blocks, ofBlocks, bytes } = value.progress
        progress.show(blocks / Math.max(1, ofBlocks), `${size(bytes)} searched`)
      } else if ('error' in value) throw failure(`archie could not finish the search: ${value.error}`)
      else hasEnd = true
    }
    if (!hasEnd) throw failure('the answer of archie was cut off before its end; ask again')
  } catch (error) {
    throw error instanceof CommandError
      ? error
      : failure(`the answer of archie broke off: ${reasonOf(error)}; ask again`, error)
  } finally {
    progress.end()
    // Whoever asked wants no more of it, or knows already: that it breaks off now is no error.
    lines.on('error', () => undefined)
    aborter.abort()
  }
}

async function get(
  base: string,
  path: string,
  accept: string,
  signal: AbortSignal,
  request: RequestInit = {},
): Promise<Response> {
  let response: Response
  try {
    response = await fetch(base + path, { headers: { accept }, ...request, signal })
  } catch (error) {
    const cause =
      (error as Error).name === 'TimeoutError' ? 'it did not answer in time' : reasonOf((error as Error).cause ?? error)
    throw failure(
      `cannot reach archie at ${base}: ${cause}; start it (\`bucktail up\`), name another with --archie, or read a data folder with --data`,
      error,
    )
  }
  if (response.ok) return response
  const problem = (await response.json().catch(() => ({}))) as { detail?: string; hint?: string; position?: number }
  const sentence = problem.detail ?? `${base} answered ${response.status}: is it an archie?`
  const place = problem.position === undefined ? '' : ` (at character ${problem.position + 1})`
  const hint = problem.hint === undefined ? '' : `; ${problem.hint}`
  // A 404 with a hint of its own is about what was asked for, not about the address.
  if (response.status === 404 && problem.hint !== undefined) throw failure(sentence + hint)
  if (response.status === 404) throw new NotThereError(`${base}${path}: ${sentence}`)
  // A request that is wrong in itself is the user's; the rest is the server's.
  throw response.status === 400 ? usageError(sentence + place + hint) : failure(sentence + place + hint)
}

function checkedUrl(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed === undefined || !/^https?:$/.test(parsed.protocol)) {
    throw usageError(`--archie ${url} is not an address; write for example http://127.0.0.1:7780`)
  }
  return parsed.href.replace(/\/$/, '')
}

function foundEvent(json: EventJson): FoundEvent {
  return {
    id: json.id,
    timeNs: parseTime(json.time, 0),
    timeIsGuessed: json.timeGuessed === true,
    ...(json.continued && { isContinued: true as const }),
    ...(json.redacted && { isRedacted: true as const }),
    host: json.host,
    app: json.app,
    level: json.level as Level,
    path: json.path,
    source: json.source,
    from: json.offset,
    to: json.end,
    lines: json.lines,
    bytes: eventJsonBytes(json),
    tailer: json.tailer,
    epoch: json.epoch,
    sequence: json.sequence,
  }
}
