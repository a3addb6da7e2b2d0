// A search as an HTTP answer: one JSON object, or NDJSON that streams while the search goes on.
import type { EventJson } from '../shared/event-json.ts'
import { type AnswerNote, eventJson } from '../shared/event-json.ts'
import type { FoundEvent } from '../shared/events.ts'
import type { Damage, SearchRequest } from '../shared/stores.ts'
import type { Clock } from '../shared/world.ts'

/** Damages named in one answer; a broken disk could name millions. */
export const DAMAGES_MAX = 100
/** Text of events in an answer that is held in memory as a whole. */
const JSON_BYTES_MAX = 32 * 1024 * 1024
const CHUNK_CHARACTERS = 32 * 1024
const CHUNK_MS = 100

export interface SearchAnswer {
  events: EventJson[]
  /** There is at least one more: than `limit`, or than fits into JSON_BYTES_MAX. */
  more: boolean
  /** What could not be read or asked: events may be missing because of it. */
  damages: Damage[]
}

export type Progress = Parameters<NonNullable<SearchRequest['onProgress']>>[0]

export type Run = (
  limit: number | undefined,
  onDamage: (damage: Damage) => void,
  onProgress?: (done: Progress) => void,
) => AsyncGenerator<FoundEvent>

export async function wholeAnswer(run: Run, limit: number): Promise<SearchAnswer> {
  const answer: SearchAnswer = { events: [], more: false, damages: [] }
  const onDamage = (damage: Damage) => {
    if (answer.damages.length < DAMAGES_MAX) answer.damages.push(damage)
  }
  // One more than asked for tells whether there is more.
  let bytes = 0
  for await (const event of run(limit + 1, onDamage)) {
    bytes += event.bytes.length
    if (answer.events.length === limit || (bytes > JSON_BYTES_MAX && answer.events.length > 0)) {
      answer.more = true
      break
    }
    answer.events.push(eventJson(event))
  }
  return answer
}

/**
 * Lines of JSON: events, notes of damage and of progress in between, and at the end `{"end": …}`. An answer without that last
 * line was cut off; after the first byte went out an error can be told in no other way than as the note `{"error": …}`.
 * What was found goes out at once when the next event is long in coming.
 */
export async function* streamedAnswer(
  run: Run,
  limit: number | undefined,
  clock: Pick<Clock, 'monotonic' | 'sleep'>,
): AsyncGenerator<string> {
  let chunk = ''
  let damages = 0
  let flushedAtMs = clock.monotonic()
  let progress: Progress | undefined
  const note = (value: AnswerNote) => {
    chunk += `${JSON.stringify(value)}\n`
  }
  const onDamage = (damage: Damage) => {
    if (++damages <= DAMAGES_MAX) note({ damage })
  }
  const onProgress = (done: Progress) => {
    progress = done
  }
  const notedProgress = () => {
    if (progress) note({ progress })
    progress = undefined
  }
  const flushed = () => {
    notedProgress()
    const full = chunk
    chunk = ''
    flushedAtMs = clock.monotonic()
    return full
  }
  let events = 0
  let more = false
  const found = run(limit === undefined ? undefined : limit + 1, onDamage, onProgress)
  const over = new AbortController()
  try {
    let next = found.next()
    let tick: Promise<'tick'> | undefined
    for (;;) {
      if (tick === undefined) {
        tick = clock.sleep(CHUNK_MS, over.signal).then(() => 'tick' as const)
        tick.catch(() => undefined) // aborted: the answer was quicker
      }
      const first = await Promise.race([next, tick])
      if (first === 'tick') {
        tick = undefined
        const full = flushed()
        if (full !== '') yield full
        continue
      }
      if (first.done) break
      if (events === limit) {
        more = true
        break
      }
      events++
      chunk += `${JSON.stringify(eventJson(first.value))}\n`
      if (chunk.length >= CHUNK_CHARACTERS || clock.monotonic() - flushedAtMs >= CHUNK_MS) yield flushed()
      next = found.next()
    }
    notedProgress()
    note({ end: { events, more } })
  } catch (error) {
    note({ error: (error as Error).message })
  } finally {
    over.abort(new Error('the answer is over'))
    await found.return(undefined)
  }
  yield flushed()
}
