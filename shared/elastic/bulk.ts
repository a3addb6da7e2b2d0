// Documents into indexes, as quickly as the cluster takes them and no quicker.
//
//   documents ─▶ chunks of CHUNK_BYTES ─▶ at most `window` requests at once ─▶ outcome of each document
//                                               │ busy, no answer, single documents refused as busy: those once more,
//                                               │   after a wait with jitter that doubles; the window shrinks to 1
//                                               └ PATIENCE_MS without progress: rejects, the caller comes again later
//
// Memory: the documents are drawn one by one, so at most window + 1 chunks are held. `create` only: what is sent twice,
// because an answer was lost, is there once.
import type { World } from '../world.ts'
import type { ElasticConnection } from './connection.ts'
import { ElasticBusyError, ElasticError, ElasticUnreachableError, errorOf, IndexMissingError } from './errors.ts'

export interface BulkDocument {
  /** Write alias of the index. */
  target: string
  id: string
  json: string
  /** Of the caller, who finds it in the outcome. */
  packet: number
}

export type Outcome = { kind: 'created' } | { kind: 'held' } | { kind: 'rejected'; reason: string }

interface ItemError {
  type: string
  reason: string
  caused_by?: { reason?: string }
}
interface BulkAnswer {
  errors: boolean
  items: { create: { status: number; error?: ItemError } }[]
}

/** Elasticsearch's advice is 5 to 15 MB; two or three of these at once are that. */
const CHUNK_BYTES = 4 * 1024 * 1024
const WINDOW_MAX = 3
const WAIT_BASE_MS = 200
const WAIT_CAP_MS = 10_000
const PATIENCE_MS = 60_000
const REQUEST_MS_MAX = 60_000
/** Longer than this for one chunk: it is told less at once. */
const SLOW_MS = 10_000

export interface BulkParts {
  connection: ElasticConnection
  world: Pick<World, 'clock' | 'random' | 'log'>
  patienceMs?: number
}

export class Bulk {
  readonly #connection: ElasticConnection
  readonly #world: BulkParts['world']
  readonly #patienceMs: number
  #window = WINDOW_MAX - 1

  constructor({ connection, world, patienceMs = PATIENCE_MS }: BulkParts) {
    this.#connection = connection
    this.#world = world
    this.#patienceMs = patienceMs
  }

  /** Resolves when all are settled. Rejects at the first that cannot be, when those on their way are settled. */
  async send<D extends BulkDocument>(
    documents: Iterable<D>,
    onOutcome: (document: D, outcome: Outcome) => void,
    signal?: AbortSignal,
    refresh = false,
  ): Promise<void> {
    const flying = new Set<Promise<void>>()
    let failure: unknown
    try {
      for (const chunk of chunksOf(documents)) {
        while (flying.size >= this.#window) await Promise.race(flying)
        if (failure !== undefined) break
        const flight = this.#settle(chunk, onOutcome, signal, refresh)
          .catch((error: unknown) => {
            failure ??= error
          })
          .finally(() => flying.delete(flight))
        flying.add(flight)
      }
    } finally {
      await Promise.all(flying)
    }
    if (failure !== undefined) throw failure
  }

  async #settle<D extends BulkDocument>(
    chunk: D[],
    onOutcome: (document: D, outcome: Outcome) => void,
    signal: AbortSignal | undefined,
    refresh: boolean,
  ): Promise<void> {
    const { clock, random } = this.#world
    let left = chunk
    let progressMs = clock.monotonic()
    for (let attempt = 0; ; attempt++) {
      const { busy, error } = await this.#try(left, onOutcome, signal, refresh)
      if (busy.length === 0) return
      if (busy.length < left.length) {
        progressMs = clock.monotonic()
        attempt = 0
      }
      left = busy
      this.#window = 1
      if (clock.monotonic() - progressMs > this.#patienceMs) throw error
      // Full jitter: several porters must not come back in the same instant.
      const waitMs = random.fraction() * Math.min(WAIT_CAP_MS, WAIT_BASE_MS * 2 ** Math.min(attempt, 10))
      await clock.sleep(waitMs, signal)
    }
  }

  /** The documents to send once more, and why. Rejects for what sending once more cannot mend. */
  async #try<D extends BulkDocument>(
    documents: D[],
    onOutcome: (document: D, outcome: Outcome) => void,
    signal: AbortSignal | undefined,
    refresh: boolean,
  ): Promise<{ busy: D[]; error?: ElasticError }> {
    const { clock } = this.#world
    const startedMs = clock.monotonic()
    let answer: BulkAnswer
    try {
      answer = await this.#connection.ask<BulkAnswer>({
        what: 'documents not written',
        path: '_bulk',
        query: { require_alias: true, filter_path: 'errors,items.*.status,items.*.error', ...(refresh && { refresh }) },
        bulk: documents.map(lineOf).join(''),
        timeoutMs: REQUEST_MS_MAX,
        ...(signal && { signal }),
      })
    } catch (error) {
      if (error instanceof ElasticBusyError || error instanceof ElasticUnreachableError) {
        return { busy: documents, error }
      }
      // Too large for a proxy or a small cluster: halves, down to one document.
      if (error instanceof ElasticError && error.status === 413 && documents.length > 1) {
        const half = documents.length >>> 1
        for (const part of [documents.slice(0, half), documents.slice(half)]) {
          await this.#settle(part, onOutcome, signal, refresh)
        }
        return { busy: [] }
      }
      throw error
    }
    const tookMs = clock.monotonic() - startedMs
    this.#window = tookMs > SLOW_MS ? 1 : Math.min(WINDOW_MAX, this.#window + 1)
    if (!answer.errors) {
      for (const document of documents) onOutcome(document, { kind: 'created' })
      return { busy: [] }
    }
    const busy: D[] = []
    let busyError: ElasticError | undefined
    let refusal: ElasticError | undefined
    for (const [i, document] of documents.entries()) {
      const { status, error } = answer.items[i].create
      if (!error) onOutcome(document, { kind: 'created' })
      else if (status === 409) onOutcome(document, { kind: 'held' })
      else if (status === 400) {
        const reason = [error.type, error.reason, error.caused_by?.reason].filter(Boolean).join(': ')
        onOutcome(document, { kind: 'rejected', reason })
      } else {
        const said = errorOf('documents not written', status, error.type, error.reason)
        if (said instanceof ElasticBusyError) {
          busy.push(document)
          busyError = said
        } else if (!(refusal instanceof IndexMissingError)) refusal = said
      }
    }
    if (refusal) throw refusal
    return { busy, ...(busyError && { error: busyError }) }
  }
}

function* chunksOf<D extends BulkDocument>(documents: Iterable<D>): Generator<D[]> {
  let chunk: D[] = []
  let bytes = 0
  for (const document of documents) {
    chunk.push(document)
    bytes += document.json.length + document.id.length + 60
    if (bytes < CHUNK_BYTES) continue
    yield chunk
    chunk = []
    bytes = 0
  }
  if (chunk.length > 0) yield chunk
}

function lineOf({ target, id, json }: BulkDocument): string {
  return `{"create":{"_index":"${target}","_id":"${id}"}}\n${json}\n`
}
