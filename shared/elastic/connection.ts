// One cluster over the official client: which node, TLS, who we are, and errors that say what to do.
//
// Bodies and headers are plain JSON without a version, so that servers of 8 and 9 both take them; the client by itself
// would name its own version, which older servers refuse. `info()` is never asked: a small or guarded cluster may lack it.
import { setTimeout as sleep } from 'node:timers/promises'
import { Client, errors } from '@elastic/elasticsearch'
import { ElasticBusyError, ElasticError, ElasticUnreachableError, errorOf } from './errors.ts'

export interface ElasticAccess {
  /** URLs. With several, one that does not answer is passed over. */
  nodes: string[]
  apiKey?: string
  username?: string
  password?: string
  /** PEM of the authority that signed the nodes' certificates; undefined: those of the system. */
  ca?: string
}

export interface Ask {
  /** For the message of an error: past participle and object, "day index created". */
  what: string
  method?: 'GET' | 'POST' | 'PUT' | 'DELETE' | 'HEAD'
  path: string
  query?: Record<string, unknown>
  body?: unknown
  /** Newline-delimited, as it goes out. */
  bulk?: string | Buffer
  signal?: AbortSignal
  timeoutMs?: number
}

/** Of an answer to several questions. */
interface Part {
  status?: number
  error?: { type?: string; reason?: string }
}

const TIMEOUT_MS = 30_000
/** A day that has just begun: its index is there, and its shards a moment later. Three seconds in all. */
const MISSING_SHARDS = new Set(['search_phase_execution_exception', 'no_shard_available_action_exception'])
const SHARDS_TRIES_MAX = 7
const SHARDS_WAIT_MS = 50
/** Sockets per node. */
const SOCKETS_MAX = 8

export class ElasticConnection {
  readonly #client: Client
  readonly #where: string
  readonly #retries: number

  constructor({ nodes, apiKey, username, password, ca }: ElasticAccess) {
    this.#where = nodes.map(node => new URL(node).host).join(', ')
    this.#retries = nodes.length - 1
    const auth =
      apiKey !== undefined ? { apiKey } : username !== undefined ? { username, password: password ?? '' } : undefined
    this.#client = new Client({
      nodes,
      ...(auth && { auth }),
      ...(ca !== undefined && { tls: { ca } }),
      agent: { connections: SOCKETS_MAX },
      enableMetaHeader: false,
      // Errors without headers, so without secrets. The client's own way to hide these copies the whole request, byte by byte.
      redaction: { type: 'remove' },
    })
  }

  /** The answer's body. Rejects with the signal's reason, or an ElasticError of the kind that says what can be done. */
  async ask<T>(ask: Ask): Promise<T> {
    for (let tries = 1, waitMs = SHARDS_WAIT_MS; ; tries++, waitMs *= 2) {
      try {
        return await this.#ask<T>(ask)
      } catch (error) {
        if (tries >= SHARDS_TRIES_MAX || !(error instanceof ElasticBusyError && MISSING_SHARDS.has(error.type)))
          throw error
        await sleep(waitMs, undefined, { ...(ask.signal && { signal: ask.signal }) })
      }
    }
  }

  async #ask<T>(ask: Ask): Promise<T> {
    const { what, method = 'POST', path, body, bulk, signal, timeoutMs = TIMEOUT_MS } = ask
    // Half an answer would make all that the missing shards hold look lost.
    const query = path.endsWith('_search') ? { allow_partial_search_results: false, ...ask.query } : ask.query
    signal?.throwIfAborted()
    try {
      const type = bulk === undefined ? 'application/json' : 'application/x-ndjson'
      const hasBody = body !== undefined || bulk !== undefined
      const parameters = {
        method,
        path: `/${path}`,
        ...(query && { querystring: query }),
        ...(body !== undefined && { body: body as Record<string, unknown> }),
        ...(bulk !== undefined && { bulkBody: bulk }),
      }
      const answer = (await this.#client.transport.request(parameters, {
        headers: { accept: 'application/json', ...(hasBody && { 'content-type': type }) },
        requestTimeout: timeoutMs,
        maxRetries: this.#retries,
        ...(signal && { signal }),
      })) as T & { _shards?: { failed: number }; responses?: Part[] }
      const refused = answer.responses?.find(({ error, status }) => error && status === 503)
      if (refused) throw errorOf(what, 503, refused.error?.type ?? '', refused.error?.reason ?? '')
      if (method === 'POST' && (answer._shards?.failed ?? 0) > 0) {
        throw new ElasticError(`${what}: not all shards answered (${JSON.stringify(answer._shards).slice(0, 300)})`)
      }
      return answer
    } catch (error) {
      signal?.throwIfAborted()
      if (error instanceof ElasticError) throw error
      throw this.#said(what, error)
    }
  }

  close(): Promise<void> {
    return this.#client.close()
  }

  #said(what: string, error: unknown): ElasticError {
    if (error instanceof errors.ResponseError) {
      const said = (error.body as { error?: { type?: string; reason?: string } | string } | undefined)?.error
      const type = typeof said === 'object' ? (said.type ?? '') : ''
      const reason = typeof said === 'object' ? (said.reason ?? '') : (said ?? error.message)
      return errorOf(what, error.statusCode ?? 0, type, reason, error)
    }
    if (error instanceof errors.ProductNotSupportedError) {
      return new ElasticError(`${what}: what answers at ${this.#where} is not Elasticsearch: check index.nodes`, {
        cause: error,
      })
    }
    if (error instanceof errors.ElasticsearchClientError) {
      const why = error.message || error.name
      return new ElasticUnreachableError(`${what}: no answer from Elasticsearch at ${this.#where} (${why})`, {
        cause: error,
      })
    }
    return new ElasticError(`${what}: ${(error as Error).message}`, { cause: error })
  }
}
