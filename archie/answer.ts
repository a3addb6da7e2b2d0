// A search as an HTTP answer: one JSON object, or NDJSON that streams while the search goes on.
import type { EventJson } from '../shared/event-json.ts'
import { type AnswerNote, eventJson } from '../shared/event-json.ts'
import type { FoundEvent } from '../shared/events.ts'
import type { Damage } from '../shared/stores.ts'

/** Damages named in one answer; a broken disk could name millions. */
export const DAMAGES_MAX = 100
const CHUNK_CHARACTERS = 32 * 1024
const CHUNK_MS = 100

export interface SearchAnswer {
  events: EventJson[]
  /** There is at least one more than `limit`. */
  more: boolean
  /** What could not be read or asked: events may be missing because of it. */
  damages: Damage[]
}

export type Run = (limit: number | undefined, onDamage: (damage: Damage) => void) => AsyncGenerator<FoundEvent>

export async function wholeAnswer(run: Run, limit: number): Promise<SearchAnswer> {
  const answer: SearchAnswer = { events: [], more: false, damages: [] }
  const onDamage = (damage: Damage) => {
    if (answer.damages.length < DAMAGES_MAX) answer.damages.push(damage)
  }
  // One more than asked for tells whether there is more.
  for await (const event of run(limit + 1, onDamage)) {
    if (answer.events.length === limit) {
      answer.more = true
      break
    }
    answer.events.push(eventJson(event))
  }
  return answer
}

/**
 * Lines of JSON: events, notes of damage in between, and at the end `{"end": …}`. An answer without that last line was cut
 * off; after the first byte went out an error can be told in no other way than as the note `{"error": …}`.
 */
export async function* streamedAnswer(
  run: Run,
  limit: number | undefined,
  monotonic: () => number,
): AsyncGenerator<string> {
  let chunk = ''
  let damages = 0
  let flushedAtMs = monotonic()
  const note = (value: AnswerNote) => {
    chunk += `${JSON.stringify(value)}\n`
  }
  const onDamage = (damage: Damage) => {
    if (++damages <= DAMAGES_MAX) note({ damage })
  }
  let events = 0
  let more = false
  try {
    for await (const event of run(limit === undefined ? undefined : limit + 1, onDamage)) {
      if (events === limit) {
        more = true
        break
      }
      events++
      chunk += `${JSON.stringify(eventJson(event))}\n`
      if (chunk.length >= CHUNK_CHARACTERS || monotonic() - flushedAtMs >= CHUNK_MS) {
        const full = chunk
        chunk = ''
        yield full
        flushedAtMs = monotonic()
      }
    }
    note({ end: { events, more } })
  } catch (error) {
    note({ error: (error as Error).message })
  }
  yield chunk
}
