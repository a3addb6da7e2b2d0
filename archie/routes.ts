// REST for machines and for the pages. docs/rest.md tells it in words, /openapi.json in full.
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { eventJson, timeText } from '../shared/event-json.ts'
import type { FoundEvent } from '../shared/events.ts'
import { HttpProblem } from '../shared/face/problem.ts'
import { STEP_BYTES } from '../shared/manifest.ts'
import type { EventStore, SearchRequest } from '../shared/stores.ts'
import type { World } from '../shared/world.ts'
import { AnalysisCache, analyse, TOP_FIELDS, type TopField } from './analysis.ts'
import { type Run, streamedAnswer, wholeAnswer } from './answer.ts'
import { contextOf, parseEventId } from './context.ts'
import type { FreshSource } from './fresh-source.ts'
import { once, searchRecent } from './search.ts'
import { FILTER_SCHEMA, type FilterParameters, type Place, requestParts } from './search-parameters.ts'
import { listSources, stepHashes } from './source-list.ts'

/** A JSON answer is held in memory; NDJSON is not and has no bound. */
const JSON_EVENTS_MAX = 10_000
const CONTEXT_EVENTS_MAX = 500
const TOP_VALUES_MAX = 1_000
/** Each reads and inflates blocks: more at once would only make all of them slower. */
const SEARCHES_AT_ONCE_MAX = 8

export interface ApiParts {
  index: EventStore
  archive: EventStore
  fresh: FreshSource
  world: Pick<World, 'clock' | 'log'>
  status(): Promise<unknown>
  ledger(): Promise<unknown>
  bucks(): unknown
}

interface SearchParameters extends FilterParameters {
  order: SearchRequest['order']
  limit?: number
  format?: 'json' | 'ndjson'
}

const PROBLEM = {
  description: 'RFC 9457 problem details',
  content: { 'application/problem+json': { schema: { $ref: 'Problem#' } } },
}

export function addApi(app: FastifyInstance, parts: ApiParts): void {
  const { world } = parts
  const monotonic = () => world.clock.monotonic()
  const analyses = new AnalysisCache(monotonic)
  let searches = 0

  /** Runs `work` if there is room, with a signal that aborts when the client goes away. */
  async function searching<T>(reply: FastifyReply, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    if (searches >= SEARCHES_AT_ONCE_MAX) {
      reply.header('Retry-After', '2')
      throw new HttpProblem(
        503,
        'Busy',
        `${SEARCHES_AT_ONCE_MAX} searches are running, which is all that run at once`,
        {
          hint: 'Try again in a moment.',
        },
      )
    }
    searches++
    const gone = new AbortController()
    reply.raw.once('close', () => gone.abort(new Error('the client went away')))
    try {
      return await work(gone.signal)
    } finally {
      searches--
    }
  }

  function searchIn(place: Place, request: SearchRequest, onDamage: Parameters<Run>[1]): AsyncGenerator<FoundEvent> {
    return place === 'archive' ? once(parts.archive.search(request, onDamage)) : searchRecent(parts, request, onDamage)
  }

  app.addSchema({
    $id: 'Problem',
    type: 'object',
    properties: {
      type: { type: 'string' },
      title: { type: 'string' },
      status: { type: 'integer' },
      detail: { type: 'string' },
      hint: { type: 'string' },
      position: { type: 'integer' },
    },
  })

  app.get<{ Querystring: SearchParameters }>(
    '/api/v1/search',
    {
      schema: {
        summary: 'Events that match, as JSON, or as NDJSON that streams',
        querystring: {
          type: 'object',
          properties: {
            ...FILTER_SCHEMA,
            order: { type: 'string', enum: ['newest', 'oldest', 'offset'], default: 'newest' },
            limit: { type: 'integer', minimum: 1, description: `JSON: at most ${JSON_EVENTS_MAX}, default 100` },
            format: { type: 'string', enum: ['json', 'ndjson'], description: 'Or by Accept: application/x-ndjson' },
          },
        },
        response: { '4xx': PROBLEM, '5xx': PROBLEM },
      },
    },
    async (request, reply) => {
      const { order, limit, in: place } = request.query
      const base = requestParts(request.query, world.clock.now())
      const run =
        (signal: AbortSignal): Run =>
        (limitOf, onDamage) =>
          searchIn(place, { ...base, order, limit: limitOf, signal }, onDamage)
      if (wantsLines(request)) {
        reply.type('application/x-ndjson; charset=utf-8').header('Cache-Control', 'no-store')
        await searching(reply, signal => {
          const body = Readable.from(streamedAnswer(run(signal), limit, monotonic))
          return new Promise<void>(resolve => {
            body.once('close', resolve) // at its end, on an error, and when the client went away
            reply.send(body)
          })
        })
        return reply
      }
      const jsonLimit = limit ?? 100
      if (jsonLimit > JSON_EVENTS_MAX) {
        throw new HttpProblem(400, 'Limit too large', `limit is over ${JSON_EVENTS_MAX}`, {
          hint: 'Ask with Accept: application/x-ndjson, which streams any number.',
        })
      }
      return searching(reply, signal => wholeAnswer(run(signal), jsonLimit))
    },
  )

  async function analysisOf(query: FilterParameters, reply: FastifyReply) {
    const base = requestParts(query, world.clock.now())
    const { in: place, q, since, until, host, app: sender, level, file, source } = query
    const key = JSON.stringify([place, q, since, until, host, sender, level, file, source])
    // Shared by all who ask the same: so it goes on when one of them leaves, up to the bounds of a pass.
    return analyses.get(key, () =>
      searching(reply, () => {
        const damages: unknown[] = []
        const events = searchIn(place, { ...base, order: 'newest' }, damage => damages.push(damage))
        return analyse(events, monotonic)
      }),
    )
  }

  app.get<{ Querystring: FilterParameters }>(
    '/api/v1/volume',
    { schema: { summary: 'How much over time', querystring: { type: 'object', properties: FILTER_SCHEMA } } },
    async (request, reply) => {
      const { complete, events, lines, bytes, stepSeconds, bars } = await analysisOf(request.query, reply)
      const buckets = bars.map(bar => ({
        time: timeText(BigInt(bar.atMs) * 1_000_000n),
        events: bar.events,
        warnings: bar.warnings,
        errors: bar.errors,
      }))
      return { complete, events, lines, bytes, stepSeconds, buckets }
    },
  )

  app.get<{ Querystring: FilterParameters & { by: string; limit: number } }>(
    '/api/v1/top',
    {
      schema: {
        summary: 'Hosts, applications, levels or paths with the most events',
        querystring: {
          type: 'object',
          properties: {
            ...FILTER_SCHEMA,
            by: {
              type: 'string',
              default: TOP_FIELDS.join(','),
              description: `Of ${TOP_FIELDS.join(', ')}; several with commas`,
            },
            limit: { type: 'integer', minimum: 1, maximum: TOP_VALUES_MAX, default: 20 },
          },
        },
      },
    },
    async (request, reply) => {
      const fields = request.query.by.split(',').map(field => field.trim())
      const unknown = fields.find(field => !(TOP_FIELDS as readonly string[]).includes(field))
      if (unknown !== undefined) {
        throw new HttpProblem(400, 'Bad request', `by=${unknown.slice(0, 50)} is not known`, {
          hint: `Write ${TOP_FIELDS.join(', ')}.`,
        })
      }
      const { complete, events, tops, others } = await analysisOf(request.query, reply)
      const top = Object.fromEntries(
        (fields as TopField[]).map(field => {
          const values = tops[field].slice(0, request.query.limit)
          const shown = values.reduce((sum, { events: n }) => sum + n, 0)
          const all = tops[field].reduce((sum, { events: n }) => sum + n, others[field])
          return [field, { values, others: all - shown }]
        }),
      )
      return { complete, events, top }
    },
  )

  app.get<{ Params: { id: string }; Querystring: { before: number; after: number; time?: string; in: Place } }>(
    '/api/v1/events/:id/context',
    {
      schema: {
        summary: 'The lines before and after an event in its source',
        params: { type: 'object', properties: { id: { type: 'string', maxLength: 128 } } },
        querystring: {
          type: 'object',
          properties: {
            before: { type: 'integer', minimum: 0, maximum: CONTEXT_EVENTS_MAX, default: 20 },
            after: { type: 'integer', minimum: 0, maximum: CONTEXT_EVENTS_MAX, default: 20 },
            time: {
              type: 'string',
              maxLength: 64,
              description: "The event's time: makes a long source quick to look through",
            },
            in: FILTER_SCHEMA.in,
          },
        },
      },
    },
    async (request, reply) => {
      const { before, after, time, in: place } = request.query
      const named = parseEventId(request.params.id)
      if (!named) {
        throw new HttpProblem(400, 'Bad event id', 'an event id is <source>-<offset>-<16 hex digits>', {
          hint: 'Take it from the id of a search result.',
        })
      }
      const nearNs = requestParts({ since: time, in: place }, world.clock.now()).sinceNs
      return searching(reply, async signal => {
        const damages: unknown[] = []
        const search = (asked: SearchRequest) => searchIn(place, asked, damage => damages.push(damage))
        const context = await contextOf(search, { id: request.params.id, ...named, before, after, nearNs }, signal)
        if (!context) {
          throw new HttpProblem(404, 'Not found', `no event ${request.params.id} in ${place}`, {
            hint:
              place === 'recent'
                ? 'It may be older than the recent days: try in=archive.'
                : 'It may not be archived yet: try in=recent.',
          })
        }
        return {
          before: context.before.map(eventJson),
          event: eventJson(context.event),
          after: context.after.map(eventJson),
          damages,
        }
      })
    },
  )

  app.get('/api/v1/sources', { schema: { summary: 'Sources held, with their sums' } }, async () => ({
    sources: await listSources(parts),
  }))

  app.get<{ Params: { source: string } }>(
    '/api/v1/sources/:source/steps',
    {
      schema: {
        summary: 'SHA-256 of each MiB of a source, as its tailer saw it and signed it',
        params: { type: 'object', properties: { source: FILTER_SCHEMA.source } },
      },
    },
    async request => {
      const steps = await stepHashes(parts, request.params.source)
      return {
        stepBytes: STEP_BYTES,
        steps: [...steps].map(([step, sha256]) => ({ step, sha256 })).sort((a, b) => a.step - b.step),
      }
    },
  )

  app.get('/api/v1/ledger', { schema: { summary: 'What was read, held, indexed, archived; every hole by name' } }, () =>
    parts.ledger(),
  )
  app.get('/api/v1/status', { schema: { summary: 'The processes and stores, as archie sees them' } }, () =>
    parts.status(),
  )
  app.get(
    '/api/v1/bucks',
    { schema: { summary: 'Where a live page connects to, and a token of minutes for it' } },
    () => parts.bucks(),
  )
}

function wantsLines(request: FastifyRequest<{ Querystring: SearchParameters }>): boolean {
  const { format } = request.query
  return format === undefined ? (request.headers.accept ?? '').includes('application/x-ndjson') : format === 'ndjson'
}
