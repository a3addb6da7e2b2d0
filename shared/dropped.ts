// Lines that a setting of their tailer dropped (a filter, a rate, a quota: tailer/drop). They are blanked, not taken away:
// each byte but the line ends is a `*`, so offsets, ranges, sums and sequences stay those of the file, and nothing is
// silently missing. A stretch of such lines is an event of level `dropped` whose application is DROPPED_BY and the name
// of what dropped it. No search, sum or viewer shows it that does not ask for that level.
//
// The level is the truth: no parser gives it, so no line can hide itself. The name only says cheaply where it may occur.
import { DROPPED, type Events } from './events.ts'
import type { DroppedByRule } from './manifest.ts'
import type { SourceName } from './messages.ts'
import type { QueryNode } from './query/syntax.ts'
import type { Query } from './query.ts'

export const DROPPED_BY = 'dropped by '

/** Names of a block: whether an event of it may be dropped lines. */
export function mayHoldDropped(names: readonly string[]): boolean {
  // names[0] is ''.
  for (let i = 1; i < names.length; i++) if (names[i].startsWith(DROPPED_BY)) return true
  return false
}

/** Whether a search is to show dropped lines: it says so, or asks for their level, or has `level:dropped` in its query. */
export function asksForDropped(asked: { level?: string; query?: Pick<Query, 'root'>; withDropped?: boolean }): boolean {
  const { level, query, withDropped } = asked
  return withDropped === true || level === 'dropped' || (query !== undefined && namesDropped(query.root))
}

function namesDropped(node: QueryNode): boolean {
  switch (node.kind) {
    case 'all':
    case 'any':
      return node.of.some(namesDropped)
    case 'not':
      return namesDropped(node.of)
    case 'field':
      return node.field === 'level' && node.parts.length === 1 && node.parts[0].toLowerCase() === 'dropped'
    default:
      return false
  }
}

/** What was dropped of each source. */
export function droppedIn(events: Events): Map<SourceName, DroppedByRule[]> {
  const bySource = new Map<SourceName, DroppedByRule[]>()
  if (!mayHoldDropped(events.names)) return bySource
  let i = 0
  for (const { source, events: count } of events.runs) {
    for (const end = i + count; i < end; i++) {
      if (events.levels[i] !== DROPPED) continue
      const rule = events.names[events.apps[i]].slice(DROPPED_BY.length)
      const bytes = events.ends[i] - (i === 0 ? 0 : events.ends[i - 1])
      bySource.set(source, withDropped(bySource.get(source), [{ rule, lines: events.lines[i], bytes }]))
    }
  }
  return bySource
}

/** Sums by rule. */
export function withDropped(known: DroppedByRule[] = [], more: readonly DroppedByRule[]): DroppedByRule[] {
  for (const { rule, lines, bytes } of more) {
    const entry = known.find(one => one.rule === rule)
    if (entry === undefined) known.push({ rule, lines, bytes })
    else {
      entry.lines += lines
      entry.bytes += bytes
    }
  }
  return known
}
