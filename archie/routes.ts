// REST for machines and for the pages. docs/rest.md tells it in words, /openapi.json in full.
import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { eventJson, timeText } from '../shared/event-json.ts'
import type { FoundEvent } from '../shared/events.ts'
import { HttpProblem } from '../shared/face/problem.ts'
import { STEP_BYTES } from '../shared/manifest.ts'
import {
  type Damage,
  type EventStore,
  type SearchRequest,
  type SummaryRequest,
  TOP_FIELDS,
  type TopField,
} from '../shared/stores.ts'
import type { World } from '../shared/world.ts'
import { DAMAGES_MAX, type Run, streamedAnswer, wholeAnswer } from './answer.ts'
import { contextOf, parseEventId } from './context.ts'
import type { FreshSource } from './fresh-source.ts'
import { once, searchRecent } from './search.ts'
import { FILTER_SCHEMA, type FilterParameters, type Place, requestParts } from './search-parameters.ts'
import { listSources, stepHashes } from './source-list.ts'
import { SummaryCache, type ToldSummary } from './summary-cache.ts'
import { summariseRecent } from './sums.ts'
import { ranked, rankNew, USUAL_TOPS } from './top.ts'

/** A JSON answer is held in memory; NDJSON is not and has no bound. */
const JSON_EVENTS_MAX = 10_000
const CONTEXT_EVENTS_MAX = 500
const TOP_VALUES_MAX = 1_000
/** Somebody waits for it. */
const SUMMARY_MS_MAX = 8_000
/** Each reads and inflates blocks: more at once would only make all of them slower. */
const SEARCHES_AT_ONCE_MAX = 8

export interface ApiParts {
  index: EventStore
  archive: EventStore
  fresh: FreshSource
  /** Rejects with HttpProblem 404 if there is none of this id. */
  openHistory?(id: string): Promise<EventStore>
  world: Pick<World, 'clock' | 'log'>
  status(): Promise<unknown>
  ledger(): Promise<unknown>
  bucks(): unknown
}

interface SearchParameters extends FilterParameters {
  order: SearchRequest['order']
  limit?: number
  format?: 'json' | 'ndjson'
  progress?: boolean
}

const PROBLEM = {
  description: 'RFC 9457 problem details',
  content: { 'application/problem+json': { schema: { $ref: 'Problem#' } } },
}

export function addApi(app: FastifyInstance, parts: ApiParts): void {
  const { world } = parts
  const monotonic = () => world.clock.monotonic()
  const summaries = new SummaryCache(monotonic)
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

  /** Throws HttpProblem 404 for a history that is not there. */
  function storeOf(place: Exclude<Place, 'recent'>): Promise<EventStore> {
    if (place === 'archive') return Promise.resolve(parts.archive)
    const history = parts.openHistory?.(place.slice('history-'.length))
    return history ?? Promise.reject(new HttpProblem(404, 'No such history', 'this archie knows of no histories'))
  }

  async function* searchIn(
    place: Place,
    request: SearchRequest,
    onDamage: Parameters<Run>[1],
  ): AsyncGenerator<FoundEvent> {
    if (place === 'recent') yield* searchRecent(parts, request, onDamage)
    else yield* once((await storeOf(place)).search(request, onDamage))
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
            progress: { type: 'boolean', default: false, description: 'NDJSON: also how far it is, now and then' },
            format: { type: 'string', enum: ['json', 'ndjson'], description: 'Or by Accept: application/x-ndjson' },
          },
        },
        response: { '4xx': PROBLEM, '5xx': PROBLEM },
      },
    },
    async (request, reply) => {
      const { order, limit, progress, in: place } = request.query
      const base = requestParts(request.query, world.clock.now())
      // Before the first byte of the answer: then it can still be a 404.
      if (place !== 'recent') await storeOf(place)
      const run =
        (signal: AbortSignal): Run =>
        (limitOf, onDamage, onProgress) =>
          searchIn(place, { ...base, order, limit: limitOf, signal, ...(progress && { onProgress }) }, onDamage)
      if (wantsLines(request)) {
        reply.type('application/x-ndjson; charset=utf-8').header('Cache-Control', 'no-store')
        await searching(reply, signal => {
          const body = Readable.from(streamedAnswer(run(signal), limit, world.clock))
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

  async function summariseIn(place: Place, request: SummaryRequest): Promise<ToldSummary> {
    const damages: Damage[] = []
    const onDamage = (damage: Damage) => {
      if (damages.length < DAMAGES_MAX) damages.push(damage)
    }
    const summary =
      place === 'recent'
        ? summariseRecent(parts, request, onDamage)
        : (await storeOf(place)).summarise(request, onDamage)
    return { ...(await summary), damages }
  }

  async function summaryOf(query: FilterParameters, tops: readonly TopField[], reply: FastifyReply) {
    const base = requestParts(query, world.clock.now())
    const { in: place, q, since, until, host, app: sender, level, file, source } = query
    const key = JSON.stringify([place, q, since, until, host, sender, level, file, source, tops])
    // Shared by all who ask the same: so it goes on when one of them leaves, up to the bound of its time.
    return summaries.get(key, () =>
      searching(reply, () => summariseIn(place, { ...base, volume: true, tops, workMsMax: SUMMARY_MS_MAX })),
    )
  }

  async function rankingOf(
    query: FilterParameters & { limit: number; unseen?: string },
    fields: TopField[],
    reply: FastifyReply,
  ) {
    if (!query.unseen) {
      const tops = fields.every(field => USUAL_TOPS.includes(field)) ? USUAL_TOPS : TOP_FIELDS
      return ranked(await summaryOf(query, tops, reply), fields, query.limit)
    }
    const { sinceNs, ...base } = requestParts(query, world.clock.now())
    const { sinceNs: unseenNs } = requestParts({ since: query.unseen, in: query.in }, world.clock.now())
    if (sinceNs === undefined || unseenNs === undefined || unseenNs >= sinceNs) {
      throw new HttpProblem(400, 'Bad time range', 'unseen is not before since', {
        hint: 'What is new since a day, compared with the week before: since=1d&unseen=8d.',
      })
    }
    const asked = { ...base, sinceNs, workMsMax: SUMMARY_MS_MAX }
    return searching(reply, () =>
      rankNew(request => summariseIn(query.in, request), asked, { fields, unseenNs, limit: query.limit }),
    )
  }

  app.get<{ Querystring: FilterParameters }>(
    '/api/v1/volume',
    { schema: { summary: 'How much over time', querystring: { type: 'object', properties: FILTER_SCHEMA } } },
    async (request, reply) => {
      const { complete, events, lines, volume, damages } = await summaryOf(request.query, USUAL_TOPS, reply)
      const buckets = volume?.bars.map(bar => ({
        time: timeText(BigInt(bar.atMs) * 1_000_000n),
        events: bar.events,
        warnings: bar.warnings,
        errors: bar.errors,
      }))
      return { complete, events, lines, stepSeconds: volume?.stepSeconds, buckets, damages }
    },
  )

  app.get<{ Querystring: FilterParameters & { by: string; limit: number; unseen?: string } }>(
    '/api/v1/top',
    {
      schema: {
        summary: 'Hosts, applications, levels, paths or templates with the most events, or those that are new',
        querystring: {
          type: 'object',
          properties: {
            ...FILTER_SCHEMA,
            by: {
              type: 'string',
              default: USUAL_TOPS.join(','),
              description: `Of ${TOP_FIELDS.join(', ')}; several with commas`,
            },
            limit: { type: 'integer', minimum: 1, maximum: TOP_VALUES_MAX, default: 20 },
            unseen: {
              type: 'string',
              maxLength: 64,
              description: 'Only values that did not occur from this time up to `since`',
            },
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
      const ranking = await rankingOf(request.query, fields as TopField[], reply)
      const missing = (fields as TopField[]).find(field => ranking.top[field] === undefined)
      if (missing !== undefined) {
        throw new HttpProblem(400, 'Not here', `${request.query.in} cannot rank ${missing}`, {
          hint: 'Elasticsearch does not know the shapes of lines; embedded stores do: perhaps the archive.',
        })
      }
      return ranking
    },
  )

  app.get<{ Params: { id: string }; Querystring: { before: number; after: number; in: Place } }>(
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
            in: FILTER_SCHEMA.in,
          },
        },
      },
    },
    async (request, reply) => {
      const { before, after, in: place } = request.query
      const named = parseEventId(request.params.id)
      if (!named) {
        throw new HttpProblem(400, 'Bad event id', 'an event id is <source>-<offset>-<16 hex digits>', {
          hint: 'Take it from the id of a search result.',
        })
      }
      return searching(reply, async signal => {
        const damages: unknown[] = []
        const search = (asked: SearchRequest) => searchIn(place, asked, damage => damages.push(damage))
        const context = await contextOf(search, { id: request.params.id, ...named, before, after }, signal)
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
