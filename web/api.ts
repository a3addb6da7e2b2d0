// Requests to archie, and its answers as the pages use them.
import type { AnswerNote, EventJson } from '../shared/event-json.ts'

export interface Problem {
  title: string
  status: number
  detail: string
  hint?: string
  position?: number
}

/** Archie said no, or could not be reached (status 0). */
export class ApiError extends Error {
  override readonly name = 'ApiError'
  readonly problem: Problem
  constructor(problem: Problem) {
    super(problem.detail)
    this.problem = problem
  }
}

export interface SearchAnswer {
  events: EventJson[]
  more: boolean
  damages: { where: string; reason: string }[]
}

export type Parameters = Record<string, string | number | undefined>

export async function getJson<T>(path: string, parameters: Parameters = {}, signal?: AbortSignal): Promise<T> {
  return (await (await get(path, parameters, 'application/json', signal)).json()) as T
}

export interface Progress {
  blocks: number
  ofBlocks: number
  bytes: number
}

/**
 * Found events as they come. Rejects when the signal aborts: what came before was given out.
 * @returns whether there are more than `limit`
 */
export async function streamSearch(
  parameters: Parameters,
  on: {
    events(events: EventJson[]): void
    damage(damage: SearchAnswer['damages'][0]): void
    progress(done: Progress): void
  },
  signal: AbortSignal,
): Promise<{ more: boolean }> {
  const asked = { ...parameters, format: 'ndjson', progress: 'true' }
  const response = await get('/api/v1/search', asked, 'application/x-ndjson', signal)
  let rest = ''
  let end: { more: boolean } | undefined
  const take = (lines: string[]) => {
    const events: EventJson[] = []
    for (const line of lines) {
      const value = JSON.parse(line) as EventJson | AnswerNote
      if ('id' in value) events.push(value)
      else if ('damage' in value) on.damage(value.damage)
      else if ('progress' in value) on.progress(value.progress)
      else if ('error' in value) throw new ApiError({ title: 'Not all was searched', status: 500, detail: value.error })
      else end = value.end
    }
    if (events.length > 0) on.events(events)
  }
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  for (;;) {
    const { done, value } = await reader.read()
    if (done) break
    const lines = (rest + value).split('\n')
    rest = lines.pop() ?? ''
    take(lines)
  }
  if (end) return end
  throw new ApiError({ title: 'No end', status: 0, detail: 'the answer of archie was cut off: search again' })
}

async function get(
  path: string,
  parameters: Parameters,
  accept: string,
  signal: AbortSignal | undefined,
): Promise<Response> {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== '') query.set(name, String(value))
  }
  const url = query.size > 0 ? `${path}?${query}` : path
  let response: Response
  try {
    response = await fetch(url, { headers: { accept }, ...(signal && { signal }) })
  } catch (error) {
    if (signal?.aborted) throw error
    const detail = 'archie cannot be reached: it may be restarting. Live lines go on without it.'
    throw new ApiError({ title: 'No answer', status: 0, detail })
  }
  if (response.ok) return response
  const fallback = { title: response.statusText, status: response.status, detail: `${path} answers ${response.status}` }
  const problem = await response.json().then(
    body => ({ ...fallback, ...(body as Partial<Problem>) }),
    () => fallback, // not JSON: something between us and archie answered
  )
  throw new ApiError(problem)
}
