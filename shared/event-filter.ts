// A search or live filter as one function: the query, and the fields that a page or a parameter sets beside it.
import picomatch from 'picomatch'
import { asksForDropped } from './dropped.ts'
import { parseQuery } from './query.ts'
import type { EventQuestion } from './stores.ts'

export interface FilterParts {
  q?: string
  host?: string
  app?: string
  level?: string
  file?: string
}

/** What a filter looks at; `bytes` are the event's, line end included. */
export interface Look {
  bytes: Buffer
  host: string
  app: string
  level: string
  path: string
}

export type EventFilter = (event: Look) => boolean

/** Throws what `parseQuery` throws. Absent and empty parts match everything. */
export function compileFilter(parts: FilterParts): EventFilter {
  const query = parts.q?.trim() ? parseQuery(parts.q) : undefined
  const isShown = asksForDropped({ level: parts.level, query })
  return matcher({ ...parts, isDroppedShown: isShown, matches: query && (event => query.matches(event)) })
}

/** The same for the fields of a request, without its times, source and order. */
export function requestFilter(request: EventQuestion): EventFilter {
  const isShown = asksForDropped(request)
  return matcher({ ...request, isDroppedShown: isShown, matches: event => request.query.matches(event) })
}

function matcher(parts: Omit<FilterParts, 'q'> & { isDroppedShown: boolean; matches?: EventFilter }): EventFilter {
  const { host, app, level, file, isDroppedShown, matches } = parts
  const tests: EventFilter[] = []
  if (!isDroppedShown) tests.push(event => event.level !== 'dropped')
  // Cheap ones first: the query reads the whole line.
  if (host) tests.push(event => event.host === host)
  if (app) tests.push(event => event.app === app)
  if (level) tests.push(event => event.level === level)
  if (file) {
    const isWanted = pathMatcher(file)
    tests.push(event => isWanted(event.path))
  }
  if (matches) tests.push(matches)
  return event => tests.every(test => test(event))
}

/** A glob over the whole path if it has `*`, `?` or `[`; else a part of the path. Remembers the last path: runs repeat it. */
export function pathMatcher(file: string): (path: string) => boolean {
  const isMatch = /[*?[]/.test(file)
    ? picomatch(file, { dot: true, bash: true })
    : (path: string) => path.includes(file)
  let lastPath: string | undefined
  let lastAnswer = false
  return path => {
    if (path !== lastPath) {
      lastPath = path
      lastAnswer = isMatch(path)
    }
    return lastAnswer
  }
}
