// Where a command looks for lines: a running archie, or a data folder in which nothing runs. The same questions to both.
import type { SourceEntry } from '../archie/source-list.ts'
import type { FoundEvent } from '../shared/events.ts'

import type { Ledger } from '../shared/ledger.ts'

import type { Range } from '../shared/ranges.ts'
import type { Damage, TopField, TopValues } from '../shared/stores.ts'
import { archiePlace } from './archie-place.ts'
import { dataPlace } from './data-place.ts'

/** `history-` and its id: an index that `bucktail history` made. */
export type PlaceName = 'recent' | 'archive' | `history-${string}`

export interface PlaceRequest {
  in: PlaceName
  q?: string
  /** As the user wrote them: RFC 3339, a day, or how long ago. */
  since?: string
  until?: string
  host?: string
  app?: string
  file?: string
  source?: string
  order: 'oldest' | 'newest' | 'offset'
  limit?: number
}

/** One incarnation of a file, and what of it is where. */
export interface PlaceSource {
  source: string
  host: string
  path: string
  start: number
  /** The source that holds its bytes before `start`: it is a fork of that one. */
  parent?: string
  recent?: PlaceSums
  archive?: PlaceSums
  /** What tailers said of it, which names also what no event shows (archie/source-list.ts). */
  told?: SourceEntry['told']
}

export interface PlaceSums {
  ranges: Range[]
  events: number
  lines: number
  bytes: number
}

export interface PlaceRanking extends TopValues {
  complete: boolean
  events: number
  damages: Damage[]
}

export interface Place {
  /** For sentences: "archie at http://…", "the data folder …". */
  readonly name: string
  search(request: PlaceRequest, onDamage: (damage: Damage) => void): AsyncGenerator<FoundEvent>
  /** The commonest values of a field, or those of them that did not occur from `unseen` up to `since`. */
  top(request: Omit<PlaceRequest, 'order'> & { by: TopField; limit: number; unseen?: string }): Promise<PlaceRanking>
  sources(): Promise<PlaceSource[]>
  /** SHA-256, hex, of steps of STEP_BYTES of a source, as the tailer saw them. */
  stepHashes(source: string): Promise<Map<number, string>>
  ledger(): Promise<Ledger>
  close(): Promise<void>
}

export interface PlaceFlags {
  archie: string
  data?: string
  /** Settings that say where the archive is: read there, without any process. */
  config?: string
}

export async function openPlace(flags: PlaceFlags): Promise<Place> {
  if (flags.config !== undefined) return (await import('./archive-place.ts')).archivePlace(flags)
  return flags.data === undefined ? archiePlace(flags.archie) : dataPlace(flags.data)
}
