// Whose turn it is to be read. Each source gets one piece per round, so that a hot file starves nobody; and of a log that is
// behind, the oldest generation first: its others wait, but for those that are nearly at their ends.
//
//   idle    as it was when last read: nobody's turn, where folders tell of changes (tailer/folder-watches)
//   due     grew, or may have; has a line without its end; was rotated and is not closed yet
//   behind  more than a piece to read: one per rotation set and round, in the order in which they were born
import { READ_BYTES } from './reader.ts'
import { isActiveName, rotationSet } from './rotation.ts'
import type { Source } from './source.ts'

/** So long after it grew, a file is looked at in each round. */
const HOT_MS = 3_000

/** @param isWatched  somebody tells of changes; else every file is looked at in every round */
export function* turns(sources: Iterable<Source>, now: number, isWatched: boolean): Iterable<Source> {
  const behind = new Set<string>()
  for (const source of sources) {
    if (source.isExcluded || source.isFinished || source.isLost || source.isLeft) continue
    if (source.isSettled && source.size <= source.offset) continue
    if (isWatched && !isDue(source, now)) continue
    source.isStirred = false
    if (source.size - source.offset > READ_BYTES) {
      const set = rotationSet(source.path)
      if (behind.has(set)) continue
      behind.add(set)
    }
    yield source
  }
}

function isDue(source: Source, now: number): boolean {
  if (source.isStirred || source.size !== source.offset || source.partial !== undefined) return true
  // Also until it is seen to be quiet, and closed.
  return (source.hasGrown && now - source.grewAt < HOT_MS) || source.isUnlinked || !isActiveName(source.path)
}
