// What no buck holds is asked of the tailer, until it is archived, indexed or not: so that the loss of two bucks, one
// after the other, finds the tailer's copy still there.
//
//   known    1 … the greatest sequence that a manifest, an inventory or a store names, per tailer and epoch
//   missing  known − archived − held by a reachable buck − gone
//   wanted   missing at two looks, wantEveryMs apart: a packet on its way is not asked for
//
// The want goes to one buck that the tailer is connected to. The answer is the packet (as repair, through the bucks), or
// `gone`, signed, once: then it is asked for no more. While the tailer is away nothing is asked.
import { readContacts } from '../shared/contacts.ts'
import type { Gone } from '../shared/manifest.ts'
import type { PacketId, TailerId } from '../shared/messages.ts'
import { RangeSet } from '../shared/ranges.ts'
import type { World } from '../shared/world.ts'
import type { BuckView } from './buck-view.ts'
import { epochKey } from './inventory.ts'
import type { Troubles } from './troubles.ts'
import type { Words } from './words.ts'

/** Sequences of one message; the rest at the next look. */
const ASKED_MAX = 1000
const BACK_OFF_CAP_MS = 600_000

export type Sequences = Map<string, RangeSet>

export interface WantsParts {
  words: Words
  troubles: Troubles
  world: Pick<World, 'clock' | 'random' | 'log'>
  wantEveryMs: number
  /** A tailer not heard of for so long is taken for lost. */
  holeAfterMs: number
}

interface Open {
  missing: RangeSet
  /** Missing at two looks. */
  isConfirmed: boolean
  attempts: number
  nextMs: number
  sinceMs: number
}

export class Wants {
  readonly #parts: WantsParts
  readonly #open = new Map<string, Open>()

  constructor(parts: WantsParts) {
    this.#parts = parts
  }

  /** Sequences that are missing now. */
  get count(): number {
    let sum = 0
    for (const { missing } of this.#open.values()) sum += missing.total
    return sum
  }

  /**
   * One look: what is missing, and the asking. Answers the gone-words that came, and `lost`: sequences that neither a buck
   * nor the archive has and that no tailer will send again (gone, or silent for holeAfterMs).
   */
  async look(
    views: BuckView[],
    spoiled: Iterable<PacketId>,
    index: Sequences,
    archive: Sequences,
  ): Promise<{ gone: Gone[]; lost: Sequences }> {
    const { words, world } = this.#parts
    const nowMs = world.clock.monotonic()
    const safe = heldOrArchived(views, spoiled, archive)
    const lost: Sequences = new Map()
    const toAsk = new Map<string, RangeSet>()
    for (const [key, last] of lastKnown(views, words, index, archive)) {
      const unsafe = new RangeSet([[1, last + 1]]).without(safe.get(key) ?? NONE)
      const gone = words.gone.get(key) ?? NONE
      const missing = unsafe.without(gone)
      if (gone.size > 0) lost.set(key, unsafe.common(gone))
      const before = this.#open.get(key)
      if (missing.size === 0) {
        this.#open.delete(key)
        continue
      }
      const open = before ?? { missing, isConfirmed: false, attempts: 0, nextMs: nowMs, sinceMs: nowMs }
      const wanted = before ? missing.common(before.missing) : NONE
      // Something came since the last look: the tailer is at it, ask for the rest soon.
      if (before && wanted.total < before.missing.total) open.attempts = 0
      open.missing = missing
      open.isConfirmed = wanted.size > 0
      this.#open.set(key, open)
      if (wanted.size > 0 && nowMs >= open.nextMs) toAsk.set(key, wanted)
    }
    const gone = this.#open.size === 0 ? [] : await this.#ask(views, toAsk, lost)
    return { gone, lost }
  }

  async #ask(views: BuckView[], toAsk: Map<string, RangeSet>, lost: Sequences): Promise<Gone[]> {
    const { words, troubles, world, wantEveryMs, holeAfterMs } = this.#parts
    const contacts = await this.#contacts(views)
    const nowMs = world.clock.monotonic()
    const gone: Gone[] = []
    for (const [key, open] of this.#open) {
      const [tailer, epoch] = key.split('/')
      const contact = contacts.get(tailer)
      // A tailer that no buck knows: as long as it was missed by this process.
      const silentMs = contact?.silentMs ?? nowMs - open.sinceMs
      if (open.isConfirmed && !contact?.connected.length && silentMs >= holeAfterMs) {
        lost.set(key, new RangeSet([...(lost.get(key) ?? NONE), ...open.missing]))
      }
      const wanted = toAsk.get(key)
      if (!wanted || !contact || contact.connected.length === 0) continue
      const view = contact.connected[Math.floor(world.random.fraction() * contact.connected.length)]
      const sequences = firstOf(wanted, ASKED_MAX)
      const cause = `want not passed on by ${view.address}`
      open.nextMs = nowMs + Math.min(BACK_OFF_CAP_MS, wantEveryMs * 2 ** Math.min(open.attempts, 20))
      open.attempts++
      try {
        if (!view.link) throw new Error('the link is gone')
        const { body } = await view.link.ask('want', { tailer, epoch, sequences }, undefined, 30_000)
        troubles.clear(cause)
        const own = (Array.isArray(body.gone) ? body.gone : []).filter(
          word => word.tailer === tailer && word.epoch === epoch && sequences.includes(word.sequence),
        )
        gone.push(...words.genuine({ manifests: [], gone: own }, view.address).gone)
        world.log.debug('want asked', { tailer, epoch, sequences: sequences.length, gone: own.length })
      } catch (error) {
        troubles.note(cause, error)
      }
    }
    return gone
  }

  /** Per tailer: the bucks that it is connected to, and how long ago any buck heard from it. */
  async #contacts(views: BuckView[]): Promise<Map<TailerId, { connected: BuckView[]; silentMs: number }>> {
    const { troubles } = this.#parts
    const contacts = new Map<TailerId, { connected: BuckView[]; silentMs: number }>()
    await Promise.all(
      views.map(async view => {
        const cause = `contacts of ${view.address} not told`
        try {
          if (!view.link) throw new Error('the link is gone')
          const told = await readContacts(view.link, 30_000, { withoutReports: true })
          for (const { tailer, connected, silentMs } of told) {
            const known = contacts.get(tailer) ?? { connected: [], silentMs: Number.POSITIVE_INFINITY }
            if (connected) known.connected.push(view)
            known.silentMs = Math.min(known.silentMs, silentMs)
            contacts.set(tailer, known)
          }
          troubles.clear(cause)
        } catch (error) {
          troubles.note(cause, error)
        }
      }),
    )
    return contacts
  }
}

const NONE = new RangeSet()

function lastKnown(views: BuckView[], words: Words, ...stores: Sequences[]): Map<string, number> {
  const last = new Map(words.last)
  for (const sequences of [...views.map(view => view.held), ...stores]) {
    for (const [key, ranges] of sequences) last.set(key, Math.max(last.get(key) ?? 0, ranges.end - 1))
  }
  return last
}

function heldOrArchived(views: BuckView[], spoiled: Iterable<PacketId>, archive: Sequences): Sequences {
  const bad: Sequences = new Map()
  for (const id of spoiled) {
    const ranges = bad.get(epochKey(id)) ?? new RangeSet()
    ranges.add(id.sequence, id.sequence + 1)
    bad.set(epochKey(id), ranges)
  }
  const safe: Sequences = new Map()
  const add = (key: string, ranges: RangeSet) => {
    const all = safe.get(key) ?? new RangeSet()
    for (const [from, to] of ranges) all.add(from, to)
    safe.set(key, all)
  }
  for (const view of views) {
    for (const [key, ranges] of view.held) add(key, bad.has(key) ? ranges.without(bad.get(key) ?? NONE) : ranges)
  }
  for (const [key, ranges] of archive) add(key, ranges)
  return safe
}

function firstOf(ranges: RangeSet, count: number): number[] {
  const list: number[] = []
  for (const [from, to] of ranges) {
    for (let n = from; n < to && list.length < count; n++) list.push(n)
    if (list.length >= count) break
  }
  return list
}
