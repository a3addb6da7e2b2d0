// What left the archive, or never went into it, because somebody decided so: beside the archive, for every ledger.
//   releases/0000000001.json   a sealed document (shared/sealed-json): kind, why, who, atMs, sources with ranges, sequences
// Created only, never changed. Written before anything goes: if that is then not done, the archive still has what is named
// here, and a ledger believes the archive.
import * as z from 'zod'
import type { SourceName } from './messages.ts'
import { type Range, RangeSet } from './ranges.ts'
import { decodeSealed, encodeSealed } from './sealed-json.ts'
import type { ObjectStore } from './stores.ts'

const PREFIX = 'releases/'
const DIGITS = 10
const FORMAT = 'bucktail release'
const VERSION = 1
/** Others that release at the same moment take the same number. */
const TRIES_MAX = 100

/**
 * - expired: left the archive by its age (`archive.keep`)
 * - erased: taken out by an operator (`incident erase`)
 * - excluded: never archived (`porter.history_start`, `porter.exclude`)
 */
export type ReleaseKind = 'expired' | 'erased' | 'excluded'

export interface Release {
  kind: ReleaseKind
  why: string
  who: string
  atMs: number
  sources: { source: SourceName; host: string; path: string; start: number; ranges: Range[] }[]
  /** Per `tailer/epoch`, of packets that no store has: excluded ones. */
  sequences?: Record<string, Range[]>
}

const range = z.tuple([z.number(), z.number()])
const shape = z.object({
  kind: z.enum(['expired', 'erased', 'excluded']),
  why: z.string(),
  who: z.string(),
  atMs: z.number(),
  sources: z.array(
    z.object({ source: z.string(), host: z.string(), path: z.string(), start: z.number(), ranges: z.array(range) }),
  ),
  sequences: z.record(z.string(), z.array(range)).optional(),
})

export class Releases {
  readonly #objects: ObjectStore
  /** They never change. */
  readonly #known = new Map<string, Release>()

  constructor(objects: ObjectStore) {
    this.#objects = objects
  }

  /** In the order in which they were made. One that cannot be read rejects: without it what it names would look lost. */
  async list(): Promise<Release[]> {
    const releases: Release[] = []
    for (const key of await this.#objects.list(PREFIX)) {
      const known = this.#known.get(key) ?? (await this.#read(key))
      if (!known) continue
      this.#known.set(key, known)
      releases.push(known)
    }
    return releases
  }

  /** Durable when it resolves. */
  async add(release: Release): Promise<void> {
    const content = encodeSealed(FORMAT, VERSION, { ...release })
    const last = (await this.#objects.list(PREFIX)).at(-1)?.slice(PREFIX.length, PREFIX.length + DIGITS) ?? '0'
    for (let number = Number(last) + 1; number <= Number(last) + TRIES_MAX; number++) {
      if (await this.#objects.create(`${PREFIX}${String(number).padStart(DIGITS, '0')}.json`, content)) return
    }
    throw new Error(`${TRIES_MAX} others released at the same moment; try again`)
  }

  /** Of packets that were excluded. */
  async sequences(): Promise<Map<string, RangeSet>> {
    const all = new Map<string, RangeSet>()
    for (const { sequences = {} } of await this.list()) {
      for (const [key, ranges] of Object.entries(sequences)) {
        const known = all.get(key) ?? new RangeSet()
        for (const [from, to] of ranges) known.add(from, to)
        all.set(key, known)
      }
    }
    return all
  }

  async #read(key: string): Promise<Release | undefined> {
    const content = await this.#objects.get(key)
    if (!content) return undefined
    try {
      return shape.parse(decodeSealed(content, FORMAT, VERSION)) as Release
    } catch (cause) {
      throw new Error(`${key} beside the archive cannot be read: ${(cause as Error).message}`, { cause })
    }
  }
}
