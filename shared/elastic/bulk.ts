// Documents into indexes, as quickly as the cluster takes them and no quicker.
//
//   bodies ─▶ at most `window` requests at once ─▶ outcome of each document
//                 │ busy, no answer, single documents refused as busy: those once more, after a wait with jitter that
//                 │   doubles; the window shrinks to 1
//                 └ PATIENCE_MS without progress: rejects, the caller comes again later
//
// Memory: the bodies are drawn one by one, so at most window + 1 are held; the next one is made while others are on their
// way. `create` only: what is sent twice, because an answer was lost, is there once.
import type { World } from '../world.ts'
import type { BulkBody, BulkDocument } from './bulk-body.ts'
import type { ElasticConnection } from './connection.ts'
import { ElasticBusyError, ElasticError, ElasticUnreachableError, errorOf, IndexMissingError } from './errors.ts'

export type Outcome = { kind: 'created' } | { kind: 'held' } | { kind: 'rejected'; reason: string; sent: BulkDocument }

interface ItemError {
  type: string
  reason: string
  caused_by?: { reason?: string }
}
interface BulkAnswer {
  errors: boolean
  items: { create: { status: number; error?: ItemError } }[]
}

const WINDOW_MAX = 3
const WAIT_BASE_MS = 200
const WAIT_CAP_MS = 10_000
const PATIENCE_MS = 60_000
const REQUEST_MS_MAX = 60_000
/** Longer than this for one body: it is told less at once. */
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

  /**
   * Resolves when all are settled. Rejects at the first that cannot be, when those on their way are settled.
   * @param onSent  nobody reads these bytes any more
   */
  async send<D>(
    bodies: Iterable<BulkBody<D>>,
    onOutcome: (document: D, outcome: Outcome) => void,
    signal?: AbortSignal,
    refresh = false,
    onSent?: (body: BulkBody<D>) => void,
  ): Promise<void> {
    const flying = new Set<Promise<void>>()
    let failure: unknown
    try {
      for (const body of bodies) {
        while (flying.size >= this.#window) await Promise.race(flying)
        if (failure !== undefined) break
        const flight = this.#settle(body, onOutcome, signal, refresh)
          .then(attempts => {
            // A request that was given up may still hold on to its bytes.
            if (attempts === 1) onSent?.(body)
          })
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

  /** Answers after how many attempts. */
  async #settle<D>(
    body: BulkBody<D>,
    onOutcome: (document: D, outcome: Outcome) => void,
    signal: AbortSignal | undefined,
    refresh: boolean,
  ): Promise<number> {
    const { clock, random } = this.#world
    let left = body
    let progressMs = clock.monotonic()
    for (let attempt = 0, attempts = 1; ; attempt++, attempts++) {
      const { busy, error } = await this.#try(left, onOutcome, signal, refresh)
      if (busy.length === 0) return attempts
      if (busy.length < left.documents.length) {
        progressMs = clock.monotonic()
        attempt = 0
        left = left.part(busy)
      }
      this.#window = 1
      if (clock.monotonic() - progressMs > this.#patienceMs) throw error
      // Full jitter: several porters must not come back in the same instant.
      const waitMs = random.fraction() * Math.min(WAIT_CAP_MS, WAIT_BASE_MS * 2 ** Math.min(attempt, 10))
      await clock.sleep(waitMs, signal)
    }
  }

  /** Numbers of the documents to send once more, and why. Rejects for what sending once more cannot mend. */
  async #try<D>(
    body: BulkBody<D>,
    onOutcome: (document: D, outcome: Outcome) => void,
    signal: AbortSignal | undefined,
    refresh: boolean,
  ): Promise<{ busy: number[]; error?: ElasticError }> {
    const { clock } = this.#world
    const { documents } = body
    const startedMs = clock.monotonic()
    let answer: BulkAnswer
    try {
      answer = await this.#connection.ask<BulkAnswer>({
        what: 'documents not written',
        path: `${body.target}/_bulk`,
        query: { require_alias: true, filter_path: 'errors,items.*.status,items.*.error', ...(refresh && { refresh }) },
        bulk: body.bytes,
        timeoutMs: REQUEST_MS_MAX,
        ...(signal && { signal }),
      })
    } catch (error) {
      if (error instanceof ElasticBusyError || error instanceof ElasticUnreachableError) {
        return { busy: [...documents.keys()], error }
      }
      // Too large for a proxy or a small cluster: halves, down to one document.
      if (error instanceof ElasticError && error.status === 413 && documents.length > 1) {
        const half = documents.length >>> 1
        const numbers = [...documents.keys()]
        for (const part of [numbers.slice(0, half), numbers.slice(half)]) {
          await this.#settle(body.part(part), onOutcome, signal, refresh)
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
    const busy: number[] = []
    let busyError: ElasticError | undefined
    let refusal: ElasticError | undefined
    for (const [i, document] of documents.entries()) {
      const { status, error } = answer.items[i].create
      if (!error) onOutcome(document, { kind: 'created' })
      else if (status === 409) onOutcome(document, { kind: 'held' })
      else if (status === 400) {
        const reason = [error.type, error.reason, error.caused_by?.reason].filter(Boolean).join(': ')
        onOutcome(document, { kind: 'rejected', reason, sent: body.read(i) })
      } else {
        const said = errorOf('documents not written', status, error.type, error.reason)
        if (said instanceof ElasticBusyError) {
          busy.push(i)
          busyError = said
        } else if (!(refusal instanceof IndexMissingError)) refusal = said
      }
    }
    if (refusal) throw refusal
    return { busy, ...(busyError && { error: busyError }) }
  }
}
