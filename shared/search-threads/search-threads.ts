// Threads that search segments, so that a large search holds up nothing else of the process and uses more than one core.
//
//   each segment belongs to one thread, by a hash of its name: what that one keeps inflated, no other does
//   search   segments ▸ those that could hold something ▸ each thread its own, in order ▸ merged
//   sums     the same, each thread its own sum ▸ added up
//
// - A thread starts with the first search that needs it. One that ends (out of memory, a bug) fails the searches that it had
//   and is started anew with the next.
// - Memory: per search and thread what it holds back (heldBytesMax in all), and BATCHES_AHEAD_MAX batches of results; per
//   thread what is kept inflated (inflatedBytesMax in all).
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import type { LiveSegment } from '../catalogue-state.ts'
import type { FoundEvent } from '../events.ts'
import { compareWhole, firstOf, mergeOrdered } from '../search/event-order.ts'
import { Question } from '../search/question.ts'
import { Tally } from '../search/tally.ts'
import type { SearchedSegments, SegmentSearcher } from '../segment-searcher.ts'
import type { ObjectStore, SearchRequest, Summary, SummaryRequest } from '../stores.ts'
import { unpackBatch } from './event-batch.ts'
import { type FromSearcher, plain, type SearchedSegment, type ToSearcher } from './messages.ts'

/** More would only wait for each other's memory. */
const THREADS_MAX = 4

/** Thrown to searches of a thread that ended. The next search starts another. */
export class SearchThreadLostError extends Error {
  override readonly name = 'SearchThreadLostError'
}

export interface SearchThreadsOptions {
  threads?: number
  /** Of all threads together. */
  inflatedBytesMax?: number
  /** Of one search, in all threads together. */
  heldBytesMax?: number
}

type Part = Extract<FromSearcher, { id: number }>
type Result = Extract<FromSearcher, { kind: 'events' | 'sum' }>
type Asking = Omit<Extract<ToSearcher, { kind: 'search' }>, 'id'> | Omit<Extract<ToSearcher, { kind: 'sums' }>, 'id'>
type Done = Parameters<NonNullable<SearchRequest['onProgress']>>[0]

type Answer = { bytes?: Uint8Array<ArrayBuffer>; size?: number }

interface Thread {
  worker: Worker
  /** Searches that go on in it, stopped ones too until it has heard of it. */
  asked: Map<number, (part: Part | SearchThreadLostError) => void>
}

/** The segments of one thread. */
interface Share {
  number: number
  segments: SearchedSegment[]
  /** None of its events comes before this one, in orders of time. */
  first: FoundEvent | undefined
  onProgress: (done: Done) => void
}

export class SearchThreads {
  readonly #threads: (Thread | undefined)[]
  readonly #options: Required<SearchThreadsOptions>
  readonly #stores: Pick<ObjectStore, 'get' | 'size'>[] = []
  #ids = 0
  #isClosed = false

  constructor(options: SearchThreadsOptions = {}) {
    this.#options = {
      threads: options.threads ?? Math.min(THREADS_MAX, availableParallelism()),
      // Of about 2 million lines.
      inflatedBytesMax: options.inflatedBytesMax ?? 192 * 1024 * 1024,
      heldBytesMax: options.heldBytesMax ?? 64 * 1024 * 1024,
    }
    this.#threads = new Array(this.#options.threads).fill(undefined)
  }

  /** Searches and sums that are going on in a thread, stopped ones until it has heard of it. */
  get running(): number {
    return this.#threads.reduce((sum, thread) => sum + (thread?.asked.size ?? 0), 0)
  }

  /** For one store. */
  searcherOf(objects: Pick<ObjectStore, 'get' | 'size'>): SegmentSearcher {
    const store = this.#stores.push(objects) - 1
    return {
      search: parts => this.#search(store, parts),
      summarise: parts => this.#summarise(store, parts),
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const threads = this.#threads.splice(0)
    await Promise.all(threads.map(thread => thread?.worker.terminate()))
  }

  async *#search(store: number, parts: SearchedSegments<SearchRequest>): AsyncGenerator<FoundEvent> {
    const { request } = parts
    if (request.limit !== undefined && request.limit <= 0) return
    const shares = this.#sharesOf(parts)
    const heldBytesMax = Math.ceil(this.#options.heldBytesMax / Math.max(1, shares.length))
    const streams = shares.map(share => {
      const { segments, first } = share
      const asking = { kind: 'search', store, segments, request: plain(request), heldBytesMax } as const
      const open = () => eventsOf(this.#ask(share, parts, asking))
      // Without a limit all is read anyway: all at the same time, then.
      return request.limit === undefined || first === undefined ? open() : { first, open }
    })
    let left = request.limit ?? Number.POSITIVE_INFINITY
    for await (const event of mergeOrdered(streams, compareWhole(request.order))) {
      yield event
      if (--left <= 0) return
    }
  }

  async #summarise(store: number, parts: SearchedSegments<SummaryRequest>): Promise<Summary> {
    const { request } = parts
    const failed = new AbortController()
    const signal = request.signal ? AbortSignal.any([request.signal, failed.signal]) : failed.signal
    const asked = { ...parts, request: { ...request, signal } }
    const tally = new Tally(request)
    const work = this.#sharesOf(parts).map(async share => {
      const question = { kind: 'sums', store, segments: share.segments, request: plain(request) } as const
      for await (const part of this.#ask(share, asked, question)) if (part.kind === 'sum') tally.merge(part.summary)
    })
    try {
      await Promise.all(work)
    } finally {
      failed.abort(new Error('another thread failed'))
    }
    return tally.result()
  }

  /** Ends with the thread's last word. Whoever stops reading, or aborts, stops the thread at its next block. */
  async *#ask(
    { number, onProgress }: Share,
    { request, onDamage, assertNotTidied }: SearchedSegments<SearchRequest | SummaryRequest>,
    asking: Asking,
  ): AsyncGenerator<Result> {
    const { signal } = request
    signal?.throwIfAborted()
    const thread = this.#threadOf(number)
    const id = this.#ids++
    const waiting: (Part | SearchThreadLostError)[] = []
    let wake = () => {}
    let isOver = false
    const awake = () => wake()
    const onPart = (part: Part | SearchThreadLostError) => {
      if (isOver) return
      if (!(part instanceof Error)) {
        if (part.kind === 'damage') return onDamage(part.damage)
        if (part.kind === 'progress') return onProgress(part.done)
        if (part.kind === 'missing') {
          this.#answer(thread, part.ask, () => assertNotTidied(part.segment).then(() => ({})))
          return
        }
      }
      waiting.push(part)
      wake()
    }
    signal?.addEventListener('abort', awake)
    thread.asked.set(id, onPart)
    thread.worker.ref()
    post(thread, { ...asking, id } as ToSearcher)
    let isEnded = false
    try {
      for (;;) {
        signal?.throwIfAborted()
        const part = waiting.shift()
        if (part === undefined) {
          await new Promise<void>(resolve => {
            wake = resolve
          })
          continue
        }
        isEnded = part instanceof Error || part.kind === 'end' || part.kind === 'failed'
        if (part instanceof Error) throw part
        if (part.kind === 'end') return
        if (part.kind === 'failed') throw new Error(part.reason)
        if (part.kind !== 'events' && part.kind !== 'sum') continue
        yield part
        if (part.kind === 'events') post(thread, { kind: 'more', id })
      }
    } finally {
      isOver = true
      signal?.removeEventListener('abort', awake)
      if (!isEnded) post(thread, { kind: 'stop', id })
    }
  }

  #sharesOf({ segments, request }: SearchedSegments<SearchRequest | SummaryRequest>): Share[] {
    const question = new Question(request)
    const byThread = new Map<number, SearchedSegment[]>()
    let ofBlocks = 0
    for (const segment of segments) {
      if (segment.summary && !question.couldHold(segment.summary)) continue
      const number = hashOf(segment.name) % this.#options.threads
      const own = byThread.get(number) ?? []
      byThread.set(number, own)
      own.push(searched(segment, question, 'order' in request && request.order === 'offset'))
      ofBlocks += segment.summary?.blocks ?? 0
    }
    const dones = new Map<number, Done>()
    return [...byThread].map(([number, own]) => ({
      number,
      segments: own,
      first: 'order' in request ? firstOfAll(own, request.order) : undefined,
      onProgress: done => {
        dones.set(number, done)
        const sum = { blocks: 0, ofBlocks: 0, bytes: 0 }
        for (const { blocks, ofBlocks, bytes } of dones.values()) {
          sum.blocks += blocks
          sum.ofBlocks += ofBlocks
          sum.bytes += bytes
        }
        request.onProgress?.({ ...sum, ofBlocks: Math.max(sum.ofBlocks, ofBlocks) })
      },
    }))
  }

  #threadOf(number: number): Thread {
    if (this.#isClosed) throw new SearchThreadLostError('not searched: the process is ending')
    const running = this.#threads[number]
    if (running) return running
    const name = import.meta.url.endsWith('.ts') ? './searching-thread.ts' : './searching-thread.js'
    const inflatedBytesMax = Math.floor(this.#options.inflatedBytesMax / this.#options.threads)
    const worker = new Worker(new URL(name, import.meta.url), { workerData: { inflatedBytesMax } })
    const thread: Thread = { worker, asked: new Map() }
    this.#threads[number] = thread
    const lost = (why: string) => {
      if (this.#threads[number] === thread) this.#threads[number] = undefined
      const error = new SearchThreadLostError(`the thread that searched has ended (${why}): search again`)
      for (const onPart of thread.asked.values()) onPart(error)
      thread.asked.clear()
    }
    worker.on('error', error => lost(error.message))
    worker.on('exit', code => lost(`exit code ${code}`))
    worker.on('message', (message: FromSearcher) => this.#hear(thread, message))
    worker.unref()
    return thread
  }

  #hear(thread: Thread, message: FromSearcher): void {
    if (message.kind === 'get' || message.kind === 'size') {
      const { ask, store, key } = message
      const objects = this.#stores[store]
      this.#answer(thread, ask, async () => {
        if (message.kind === 'size') return { size: await objects.size(key) }
        const bytes = await objects.get(key, message.range)
        // A copy, which can change hands; what the store gave may be part of a larger buffer.
        return { bytes: bytes && new Uint8Array(bytes) }
      })
      return
    }
    const onPart = thread.asked.get(message.id)
    if (message.kind === 'end' || message.kind === 'failed') {
      thread.asked.delete(message.id)
      // While it is being ended, its end is waited for.
      if (thread.asked.size === 0 && !this.#isClosed) thread.worker.unref()
    }
    onPart?.(message)
  }

  #answer(thread: Thread, ask: number, work: () => Promise<Answer>): void {
    work().then(
      answer => post(thread, { kind: 'object', ask, ...answer }, answer.bytes ? [answer.bytes.buffer] : []),
      (error: Error) => post(thread, { kind: 'object', ask, error: error.message }),
    )
  }
}

/** To a thread that has ended it goes nowhere. */
function post(thread: Thread, message: ToSearcher, transfer: ArrayBuffer[] = []): void {
  thread.worker.postMessage(message, transfer)
}

async function* eventsOf(parts: AsyncGenerator<Result>): AsyncGenerator<FoundEvent> {
  for await (const part of parts) if (part.kind === 'events') yield* unpackBatch(part.batch)
}

function firstOfAll(segments: SearchedSegment[], order: SearchRequest['order']): FoundEvent | undefined {
  if (order === 'offset') return undefined
  let first: bigint | undefined
  for (const { summary } of segments) {
    if (!summary) return undefined
    const ns = order === 'oldest' ? summary.leastNs : summary.greatestNs
    if (first === undefined || (order === 'oldest' ? ns < first : ns > first)) first = ns
  }
  return first === undefined ? undefined : firstOf(first, order)
}

function searched({ name, summary }: LiveSegment, question: Question, needsSources: boolean): SearchedSegment {
  if (!summary) return { name }
  const { events, blocks, leastNs, greatestNs, levels } = summary
  const asked = needsSources
    ? summary.sources.filter(part => question.isRun(part))
    : [summary.sources.find(part => question.isRun(part))!]
  const sources = asked.map(({ source, path, ranges }) => ({ source, path, ranges: [...ranges] as [number, number][] }))
  return { name, summary: { events, blocks, leastNs, greatestNs, levels, sources } }
}

/** FNV-1a. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash >>> 0
}
