// The thread that searches: answers searches over segments, whose bytes it asks the other thread for. Several searches go on
// at once, a block of each in turn.
import type { MessagePort } from 'node:worker_threads'
import type { FoundEvent } from '../events.ts'
import { parseQuery } from '../query.ts'
import { RangeSet } from '../ranges.ts'
import { BlockCache } from '../search/block-cache.ts'
import type { SearchedBlock } from '../search/searched-block.ts'
import { SearchedBlocks } from '../search/searched-blocks.ts'
import type { SegmentRun } from '../segment-block.ts'
import { SegmentObjects } from '../segment-objects.ts'
import { type SearchParts, searchSegments } from '../segment-search.ts'
import { summariseSegments } from '../segment-summary.ts'
import type { Damage, ObjectStore } from '../stores.ts'
import { BATCH_EVENTS_MAX, packBatch } from './event-batch.ts'
import { BATCHES_AHEAD_MAX, type FromSearcher, type SearchedSegment, type ToSearcher } from './messages.ts'

/** A batch goes when it has so many events or bytes, or when its first event has waited so long. */
const BATCH_BYTES_MAX = 256 * 1024
const BATCH_MS_MAX = 20
/** Messages (stop!) are heard between two blocks, if the last time was so long ago. */
const UNHEARD_MS_MAX = 10
const PROGRESS_MS = 100
/** Stores whose directories and filters are kept: index, archive, and a few histories. */
const STORES_MAX = 4

interface Running {
  stop: AbortController
  /** Batches that may be sent now. */
  credit: number
  /** There is credit, or it was stopped. */
  wake: () => void
}

type Question =
  | { kind: 'get'; store: number; key: string; range?: [from: number, to: number] }
  | { kind: 'size'; store: number; key: string }
  | { kind: 'missing'; id: number; segment: string }

export function serveSearches(port: MessagePort, inflatedBytesMax: number): void {
  const kept = new BlockCache<SearchedBlock<SegmentRun>>(inflatedBytesMax)
  const stores = new Map<number, { objects: SegmentObjects; blocks: SearchedBlocks }>()
  const running = new Map<number, Running>()
  const asked = new Map<number, { resolve: (answer: ToSearcher & { kind: 'object' }) => void }>()
  let asks = 0
  let heardAtMs = performance.now()

  const post = (message: FromSearcher, transfer: ArrayBuffer[] = []) => port.postMessage(message, transfer)
  const ask = async (question: Question) => {
    const number = asks++
    const answer = new Promise<ToSearcher & { kind: 'object' }>(resolve => asked.set(number, { resolve }))
    post({ ...question, ask: number } as FromSearcher)
    const { error, bytes, size } = await answer
    if (error !== undefined) throw new Error(error)
    return { bytes: bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), size }
  }
  const remote = (store: number): Pick<ObjectStore, 'get' | 'size'> => ({
    get: async (key, range) => (await ask({ kind: 'get', store, key, range })).bytes,
    size: async key => (await ask({ kind: 'size', store, key })).size,
  })
  const storeOf = (number: number) => {
    const known = stores.get(number)
    const objects = known?.objects ?? new SegmentObjects(remote(number))
    const store = known ?? { objects, blocks: new SearchedBlocks(objects, kept, `${number} `) }
    // The one used last is last.
    stores.delete(number)
    stores.set(number, store)
    const oldest = stores.keys().next().value
    if (stores.size > STORES_MAX && oldest !== undefined) stores.delete(oldest)
    return store
  }
  const listen = async () => {
    if (performance.now() - heardAtMs < UNHEARD_MS_MAX) return
    await new Promise(resolve => setImmediate(resolve))
    heardAtMs = performance.now()
  }

  const partsOf = (message: ToSearcher & { kind: 'search' | 'sums' }) => {
    const { objects, blocks } = storeOf(message.store)
    return {
      segments: message.segments.map(opened),
      objects,
      blocks: {
        with: async (...args: Parameters<SearchedBlocks['with']>) => {
          await listen()
          return blocks.with(...args)
        },
      } as SearchParts['blocks'],
      onDamage: (damage: Damage) => post({ kind: 'damage', id: message.id, damage }),
      // Only who has the catalogue can tell whether it was tidied away.
      assertNotTidied: async (segment: string) => {
        await ask({ kind: 'missing', id: message.id, segment })
      },
    }
  }

  async function search(message: ToSearcher & { kind: 'search' }, own: Running): Promise<void> {
    const { id, request, heldBytesMax } = message
    let batch: FoundEvent[] = []
    let bytes = 0
    let timer: NodeJS.Timeout | undefined
    const send = () => {
      clearTimeout(timer)
      timer = undefined
      if (batch.length === 0 || own.credit === 0) return
      own.credit--
      const packed = packBatch(batch)
      batch = []
      bytes = 0
      post({ kind: 'events', id, batch: packed.batch }, packed.transfer)
    }
    const events = searchSegments({
      ...partsOf(message),
      request: { ...request, query: parseQuery(request.query), signal: own.stop.signal, onProgress: progressOf(id) },
      heldBytesMax,
    })
    own.wake = send
    try {
      for await (const event of events) {
        bytes += event.bytes.length
        if (batch.push(event) >= BATCH_EVENTS_MAX || bytes >= BATCH_BYTES_MAX) {
          await untilCredit(own, send)
          send()
        } else timer ??= setTimeout(send, BATCH_MS_MAX)
      }
      while (batch.length > 0) {
        await untilCredit(own, send)
        send()
      }
    } finally {
      clearTimeout(timer)
    }
    post({ kind: 'end', id })
  }

  async function sums(message: ToSearcher & { kind: 'sums' }, own: Running): Promise<void> {
    const { id, request } = message
    const summary = await summariseSegments({
      ...partsOf(message),
      request: { ...request, query: parseQuery(request.query), signal: own.stop.signal, onProgress: progressOf(id) },
      monotonic: () => performance.now(),
    })
    post({ kind: 'sum', id, summary })
    post({ kind: 'end', id })
  }

  function progressOf(id: number): NonNullable<SearchParts['request']['onProgress']> {
    let toldAtMs = Number.NEGATIVE_INFINITY
    return done => {
      const nowMs = performance.now()
      if (nowMs - toldAtMs < PROGRESS_MS && done.blocks < done.ofBlocks) return
      toldAtMs = nowMs
      post({ kind: 'progress', id, done })
    }
  }

  port.on('message', (message: ToSearcher) => {
    switch (message.kind) {
      case 'search':
      case 'sums': {
        const own: Running = { stop: new AbortController(), credit: BATCHES_AHEAD_MAX, wake: () => undefined }
        running.set(message.id, own)
        const work = message.kind === 'search' ? search(message, own) : sums(message, own)
        work
          .catch((error: Error) => post({ kind: 'failed', id: message.id, reason: error.message }))
          .finally(() => running.delete(message.id))
        return
      }
      case 'more': {
        const own = running.get(message.id)
        if (!own) return
        own.credit++
        own.wake()
        return
      }
      case 'stop': {
        const own = running.get(message.id)
        own?.stop.abort(new Error('stopped'))
        own?.wake()
        return
      }
      case 'object':
        asked.get(message.ask)?.resolve(message)
        asked.delete(message.ask)
    }
  })
}

/** Afterwards, whatever wakes it sends what waits. */
async function untilCredit(own: Running, send: () => void): Promise<void> {
  while (own.credit === 0) {
    own.stop.signal.throwIfAborted()
    await new Promise<void>(resolve => {
      own.wake = resolve
    })
    own.wake = send
  }
}

function opened({ name, summary }: SearchedSegment): SearchParts['segments'][number] {
  if (!summary) return { name, commit: 0 }
  const sources = summary.sources.map(part => ({ ...part, ranges: new RangeSet(part.ranges) }))
  return { name, commit: 0, summary: { ...summary, sources } as never }
}
