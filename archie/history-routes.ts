// The RPC of histories: start, list, look, cancel, drop. docs/history.md tells it in words.
import type { FastifyInstance } from 'fastify'
import { HttpProblem } from '../shared/face/problem.ts'
import type { World } from '../shared/world.ts'
import { type Histories, type HistoryRequest, NoSuchHistoryError, TooManyHistoriesError } from './history.ts'
import { FILTER_SCHEMA, requestParts } from './search-parameters.ts'

interface Body {
  since: string
  until: string
  host?: string
  app?: string
  file?: string
  q?: string
  by?: string
  dryRun?: boolean
}

const ID_SCHEMA = {
  type: 'object',
  properties: { id: { type: 'string', pattern: '^[a-z0-9][a-z0-9-]{0,62}$' } },
} as const

export function addHistoryRoutes(app: FastifyInstance, histories: Histories, world: Pick<World, 'clock'>): void {
  app.post<{ Body: Body }>(
    '/rpc/history',
    {
      schema: {
        summary: 'Makes a time range of the archive searchable; answers the name of the index at once',
        body: {
          type: 'object',
          required: ['since', 'until'],
          additionalProperties: false,
          properties: {
            since: { ...FILTER_SCHEMA.since, minLength: 1 },
            until: { ...FILTER_SCHEMA.until, minLength: 1 },
            host: FILTER_SCHEMA.host,
            app: FILTER_SCHEMA.app,
            file: FILTER_SCHEMA.file,
            q: FILTER_SCHEMA.q,
            by: { type: 'string', maxLength: 64, description: 'Who asks' },
            dryRun: { type: 'boolean', description: 'Only the estimate: nothing is made' },
          },
        },
      },
    },
    async (request, reply) => {
      const asked = requestOf(request.body, world.clock.now())
      if (request.body.dryRun) return { estimate: await histories.estimate(asked) }
      try {
        const status = await histories.start(asked)
        reply.code(202).header('Location', `/rpc/history/${status.id}`)
        return status
      } catch (error) {
        if (!(error instanceof TooManyHistoriesError)) throw error
        throw new HttpProblem(409, 'Too many histories', error.message)
      }
    },
  )

  app.get('/rpc/history', { schema: { summary: 'All histories, the newest first' } }, async () => ({
    histories: await histories.list(),
  }))

  app.get<{ Params: { id: string } }>(
    '/rpc/history/:id',
    { schema: { summary: 'How far a history is, and what came of it', params: ID_SCHEMA } },
    request => orMissing(histories.status(request.params.id)),
  )

  app.delete<{ Params: { id: string }; Querystring: { by: string; keep: boolean } }>(
    '/rpc/history/:id',
    {
      schema: {
        summary: 'One user needs it no more; without any it is removed',
        params: ID_SCHEMA,
        querystring: {
          type: 'object',
          properties: {
            by: { type: 'string', maxLength: 64, default: 'rest' },
            keep: { type: 'boolean', default: false, description: 'Only stop the work; what is there stays' },
          },
        },
      },
    },
    async request => {
      const { by, keep } = request.query
      if (keep) return orMissing(histories.cancel(request.params.id, by))
      return { users: await orMissing(histories.drop(request.params.id, by)) }
    },
  )
}

/** What it asks for, read as a search reads it. Throws HttpProblem 400. */
function requestOf({ since, until, host, app, file, q, by }: Body, nowMs: number): HistoryRequest {
  const parts = requestParts({ since, until, host, app, file, q, in: 'archive' }, nowMs)
  return { sinceNs: parts.sinceNs as bigint, untilNs: parts.untilNs as bigint, host, app, file, q, by: by || 'rest' }
}

export async function orMissing<T>(work: Promise<T>): Promise<T> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof NoSuchHistoryError)) throw error
    throw new HttpProblem(404, 'No such history', error.message, {
      hint: '`bucktail history list` shows those there are.',
    })
  }
}
