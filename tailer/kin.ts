// Sources that went on where another one ended, after a power cut or on a cloned host: a child begins with bytes of its
// parent that it does not read again. Of such a family the one that has most of a file goes on in it.
import type { Source } from './source.ts'

/** Names are random, so a chain that is longer than this is damage. */
const GENERATIONS_MAX = 1000

/** The same sources in the same order, but for children, which come before their parents. */
export function childrenFirst(sources: readonly Source[]): Source[] {
  const children = Map.groupBy(sources, ({ parent }) => parent)
  const ordered = new Set<Source>()
  for (const source of sources) {
    // Of every family member the descendants, outermost last; then backwards.
    const family = new Set([source])
    for (const member of family) for (const child of children.get(member.name) ?? []) family.add(child)
    for (const member of [...family].reverse()) ordered.add(member)
  }
  return [...ordered]
}

/** Whether a source is a child of another one, or a child of its child. */
export function isDescendant(source: Source, of: Source, get: (name: string) => Source | undefined): boolean {
  let parent = source.parent
  for (let i = 0; parent !== undefined && i < GENERATIONS_MAX; i++) {
    if (parent === of.name) return true
    parent = get(parent)?.parent
  }
  return false
}
