// When a packet may be forgotten before it is archived: by the level that the settings name for each of its logs, and, at
// the disk limit, by the policy that they name. What no buck is known to hold then is a hole, named with its bytes.
//
//   archived   the archive has it (default)
//   two, one   so many bucks acknowledged it
//   disk       this disk's own copy is enough: kept as `two`, but at the disk limit it makes room, held by a buck or not
import type { GivenUp } from '../shared/manifest.ts'
import type { Bucket } from '../shared/messages.ts'
import { RangeSet } from '../shared/ranges.ts'
import type { Journal, PacketRef } from './journal.ts'

export const DURABILITIES = ['disk', 'one', 'two', 'archived'] as const
export type Durability = (typeof DURABILITIES)[number]

type LevelOf = (source: string) => Durability

/** Acknowledged as the settings ask for of every log in it: what it waits for is nothing. */
export function isDurable(ref: PacketRef, levelOf: LevelOf): boolean {
  return ref.runs.every(({ source }) => {
    const level = levelOf(source)
    return level !== 'archived' && ref.holders.size >= (level === 'one' ? 1 : 2)
  })
}

/** May be discarded to make room. */
export function isForDisk(ref: PacketRef, levelOf: LevelOf): boolean {
  return isDurable(ref, levelOf) || ref.runs.every(({ source }) => levelOf(source) === 'disk')
}

/** The oldest bucket, but for the current one, of which every packet may go. */
export function oldestDiscardable(
  journal: Journal,
  current: Bucket,
  mayGo: (ref: PacketRef) => boolean,
): { bucket: Bucket; refs: PacketRef[] } | undefined {
  for (const bucket of journal.buckets) {
    if (bucket >= current) return undefined
    const refs = journal.refsOf(bucket)
    if (refs.every(mayGo)) return { bucket, refs }
  }
  return undefined
}

/** What is lost with these packets, by range: what no buck is known to hold. */
export function lostWith(
  refs: readonly PacketRef[],
  nameOf: (source: string) => { host: string; path: string } | undefined,
): GivenUp[] {
  const ranges = new Map<string, RangeSet>()
  for (const { holders, runs } of refs) {
    if (holders.size > 0) continue
    for (const { source, from, to } of runs) {
      const known = ranges.get(source) ?? new RangeSet()
      known.add(from, to)
      ranges.set(source, known)
    }
  }
  const reason = 'discarded at the disk limit of the tailer: no buck had acknowledged it'
  return [...ranges].flatMap(([source, set]) => {
    const { host = '', path = '' } = nameOf(source) ?? {}
    return [...set].map(([from, to]): GivenUp => ({ source, host, path, from, to, reason, kind: 'hole' }))
  })
}
