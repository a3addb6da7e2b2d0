// The parameters that search, volume and top share: their schema (checked by Fastify, shown in /openapi.json), and what
// they mean.
import { LEVELS, type Level } from '../shared/events.ts'
import { HttpProblem } from '../shared/face/problem.ts'
import { BadTimeError, parseTime } from '../shared/face/time-text.ts'
import { QueryError } from '../shared/query/syntax.ts'
import { parseQuery } from '../shared/query.ts'
import type { SearchRequest } from '../shared/stores.ts'

/** `history-` and its id: an index of its own (archie/history). */
export type Place = 'recent' | 'archive' | `history-${string}`

export interface FilterParameters {
  q?: string
  since?: string
  until?: string
  host?: string
  app?: string
  level?: Level
  file?: string
  source?: string
  in: Place
}

const TEXT_MAX = 4096

export const FILTER_SCHEMA = {
  q: {
    type: 'string',
    maxLength: TEXT_MAX,
    description: 'Query language: words, "a phrase", *part*, -not, OR, host:, app:, file:, level:, /regex/',
  },
  since: {
    type: 'string',
    maxLength: 64,
    description: 'Event time, included: RFC 3339, a day, seconds since 1970, or how long ago (15m, 2h, 3d)',
  },
  until: { type: 'string', maxLength: 64, description: 'Event time, not included' },
  host: { type: 'string', maxLength: TEXT_MAX },
  app: { type: 'string', maxLength: TEXT_MAX },
  level: { type: 'string', enum: LEVELS.filter(level => level !== '') },
  file: { type: 'string', maxLength: TEXT_MAX, description: 'A glob over the path, or a part of it' },
  source: { type: 'string', maxLength: 64, description: 'Name of one source (one incarnation of one file)' },
  in: {
    type: 'string',
    pattern: '^(recent|archive|history-[a-z0-9][a-z0-9-]{0,62})$',
    default: 'recent',
    description: 'recent, archive, or history-ID',
  },
} as const

export type RequestParts = Omit<SearchRequest, 'order' | 'limit'>

/** Throws HttpProblem 400 with a hint. */
export function requestParts(parameters: FilterParameters, nowMs: number): RequestParts {
  const sinceNs = timeOf('since', parameters.since, nowMs)
  const untilNs = timeOf('until', parameters.until, nowMs)
  if (sinceNs !== undefined && untilNs !== undefined && sinceNs >= untilNs) {
    throw new HttpProblem(400, 'Bad time range', 'since is not before until: nothing can be in between', {
      hint: 'Swap them, or leave one out.',
    })
  }
  const { host, app, level, file, source } = parameters
  return {
    query: queryOf(parameters.q ?? ''),
    sinceNs,
    untilNs,
    // Empty fields of a form mean "any".
    host: host || undefined,
    app: app || undefined,
    level: level || undefined,
    file: file || undefined,
    source: source || undefined,
  }
}

function queryOf(text: string): SearchRequest['query'] {
  try {
    return parseQuery(text)
  } catch (error) {
    if (!(error instanceof QueryError)) throw error
    throw new HttpProblem(400, 'Bad query', error.message, {
      hint: 'docs/query-language.md tells the language; "…" makes any text a phrase.',
      position: error.offset,
    })
  }
}

function timeOf(name: string, text: string | undefined, nowMs: number): bigint | undefined {
  if (!text) return undefined
  try {
    return parseTime(text, nowMs)
  } catch (error) {
    if (!(error instanceof BadTimeError)) throw error
    throw new HttpProblem(400, 'Bad time', `${name}: ${error.message}`)
  }
}
