// Requests to archie, and its answers as the pages use them.
import type { EventJson } from '../shared/event-json.ts'

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
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== '') query.set(name, String(value))
  }
  const url = query.size > 0 ? `${path}?${query}` : path
  let response: Response
  try {
    response = await fetch(url, { headers: { accept: 'application/json' }, ...(signal && { signal }) })
  } catch (error) {
    if (signal?.aborted) throw error
    const detail = 'archie cannot be reached: it may be restarting. Live lines go on without it.'
    throw new ApiError({ title: 'No answer', status: 0, detail })
  }
  if (response.ok) return (await response.json()) as T
  const fallback = { title: response.statusText, status: response.status, detail: `${path} answers ${response.status}` }
  const problem = await response.json().then(
    body => ({ ...fallback, ...(body as Partial<Problem>) }),
    () => fallback, // not JSON: something between us and archie answered
  )
  throw new ApiError(problem)
}
