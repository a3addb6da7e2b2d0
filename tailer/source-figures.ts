// What became of the bytes of each log since the start, for /metrics. One row per rotation set, under the name that the
// program writes to, so that a rotation begins no new series. At PATHS_MAX rows the rest is summed under "other".
import type { GivenUp } from '../shared/manifest.ts'
import type { Clock } from '../shared/world.ts'
import type { PacketRef } from './journal.ts'
import { rotationSet } from './rotation.ts'
import type { Source } from './source.ts'

/** A monitoring system keeps a series for each row and figure for weeks. */
export const PATHS_MAX = 200
const OTHER = 'other'

export interface SourceRow {
  path: string
  readBytes: number
  /** In packets on this disk, and how much of that at two bucks (or archived). */
  packedBytes: number
  heldTwiceBytes: number
  /** Not read yet, and for how long something of it has been waiting. */
  behindBytes: number
  behindSeconds: number
  /** Holes: bytes known to be lost, and how many ranges, those without a known end among them. */
  givenUpBytes: number
  givenUpRanges: number
  excludedBytes: number
  /** Places hidden; one that reaches over two reads counts twice. */
  redacted: number
}

type Sums = Omit<SourceRow, 'path' | 'behindBytes' | 'behindSeconds'>

export class SourceFigures {
  readonly #clock: Clock
  readonly #rows = new Map<string, Sums>()
  /** Monotonic ms since when something of it is unread. */
  readonly #behindSince = new WeakMap<Source, number>()
  /** Cut since the start, and not at two bucks yet: what a former process cut is counted by nobody twice. */
  readonly #fresh = new WeakSet<PacketRef>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** After each look and each read. */
  look(source: Source): void {
    if (!isBehind(source)) this.#behindSince.delete(source)
    else if (!this.#behindSince.has(source)) this.#behindSince.set(source, this.#clock.monotonic())
  }

  read(source: Source, bytes: number, redacted: number): void {
    if (bytes === 0) return
    const row = this.#row(source.path)
    row.readBytes += bytes
    row.redacted += redacted
  }

  packed(ref: PacketRef, pathOf: (source: string) => string): void {
    this.#fresh.add(ref)
    for (const { source, from, to } of ref.runs) this.#row(pathOf(source)).packedBytes += to - from
  }

  heldTwice(ref: PacketRef, pathOf: (source: string) => string): void {
    if (!this.#fresh.delete(ref)) return
    for (const { source, from, to } of ref.runs) this.#row(pathOf(source)).heldTwiceBytes += to - from
  }

  gaveUp({ path, from, to, kind }: GivenUp): void {
    if (kind === 'alarm') return
    const row = this.#row(path)
    const bytes = Math.max(0, (to ?? from) - from)
    if (kind === 'excluded') row.excludedBytes += bytes
    else {
      row.givenUpBytes += bytes
      row.givenUpRanges++
    }
  }

  /** @param sources  those that are read */
  rows(sources: Iterable<Source>): SourceRow[] {
    const now = this.#clock.monotonic()
    const rows = new Map<string, SourceRow>()
    for (const source of sources) this.#row(source.path)
    for (const [path, sums] of this.#rows) rows.set(path, { path, ...sums, behindBytes: 0, behindSeconds: 0 })
    for (const source of sources) {
      if (!isBehind(source)) continue
      const row = rows.get(this.#nameOf(source.path))!
      row.behindBytes += source.size - source.offset
      row.behindSeconds = Math.max(row.behindSeconds, (now - (this.#behindSince.get(source) ?? now)) / 1000)
    }
    return [...rows.values()]
  }

  #nameOf(path: string): string {
    const set = rotationSet(path)
    return this.#rows.has(set) || this.#rows.size < PATHS_MAX ? set : OTHER
  }

  #row(path: string): Sums {
    const name = this.#nameOf(path)
    let row = this.#rows.get(name)
    if (row === undefined) {
      row = {
        readBytes: 0,
        packedBytes: 0,
        heldTwiceBytes: 0,
        givenUpBytes: 0,
        givenUpRanges: 0,
        excludedBytes: 0,
        redacted: 0,
      }
      this.#rows.set(name, row)
    }
    return row
  }
}

function isBehind({ size, offset, isExcluded, isFinished, isLeft }: Source): boolean {
  return size > offset && !isExcluded && !isFinished && !isLeft
}
