// The holes of a ledger: what nobody has and nobody will bring, by name and range.

import type { Hole } from './ledger.ts'
import { type Books, coveredBy, endOf, NONE, type Source, sizeOf } from './ledger-books.ts'
import type { Epoch, TailerId } from './messages.ts'
import { RangeSet } from './ranges.ts'

/** Enters what was given up into the sources of `books`. Alarms are what tailers want a human to look at. */
export function findHoles(books: Books): { holes: Hole[]; alarms: string[] } {
  const finder = new HoleFinder(books)
  const alarms = finder.enterGivenUp()
  finder.enterLostSequences()
  finder.enterSilentTails()
  finder.decide()
  return { holes: finder.holes, alarms }
}

class HoleFinder {
  readonly #books: Books
  readonly holes: Hole[] = []
  readonly #lastKnown: Map<string, number>
  readonly #onItsWay = new Map<TailerId, boolean>()

  constructor(books: Books) {
    this.#books = books
    this.#lastKnown = books.lastKnown()
  }

  /** What tailers say they did not read. Answers the alarms. */
  enterGivenUp(): string[] {
    const alarms: string[] = []
    const seen = new Set<string>()
    for (const { tailer, gaveUp } of this.#books.manifests) {
      for (const { source: name, host, path, from, to, reason, kind } of gaveUp) {
        const mark = [name, from, to, reason, kind].join('\n')
        if (seen.has(mark)) continue // a former process's word is repeated by its heir
        seen.add(mark)
        if (kind === 'alarm') {
          alarms.push(`${host} ${path} at ${from}: ${reason}`)
          continue
        }
        const source = this.#books.sources.get(name)
        // No setting named it for a while; then it was read on from there.
        const isForAWhile = kind === 'excluded' && to === undefined && source !== undefined && from >= source.start
        if (isForAWhile && endOf(source) > from) continue
        const covered = source ? coveredBy(source) : NONE
        const left: [number, number | undefined][] =
          to === undefined ? [[from, undefined]] : covered.gaps(from, to).map(([low, high]) => [low, high])
        for (const [low, high] of left) {
          source?.givenUp.add(low, high ?? Math.max(low, source.size ?? 0))
          const state = kind === 'excluded' ? 'released' : 'open'
          const range = { from: low, ...(high !== undefined && { to: high }) }
          this.holes.push({ host, path, source: name, tailer, ...range, reason, state })
        }
      }
    }
    return alarms
  }

  /** Sequences that nobody has and nobody will send: their bytes, where nothing else covers them, are holes. */
  enterLostSequences(): void {
    for (const [key, last] of this.#lastKnown) {
      const [tailer, epoch] = key.split('/')
      const missing = new RangeSet([[1, last + 1]])
        .without(this.#books.storedOf(key))
        .without(this.#books.held.get(key) ?? NONE)
      const gone = missing.common(this.#books.gone.get(key) ?? NONE)
      const lost = this.#books.isLost(tailer) ? missing : gone
      if (lost.size === 0) continue
      const isGone = lost.without(gone).size === 0
      const reason = isGone
        ? 'the tailer has these packets no more'
        : `packets that only the tailer had: ${this.#books.silence(tailer)}`
      const named = this.#rangesOf(tailer, epoch, lost)
      const of = { tailer, epoch, sequences: pairsOf(lost), reason }
      for (const { source, ranges } of named.sources) this.#enterRanges(source, ranges, of)
      if (named.unnamed.size === 0 || this.#isJoinedUp(tailer)) continue
      this.#enterLeftBehind(tailer, epoch, named.unnamed, reason)
      const sequences = pairsOf(named.unnamed)
      const host = this.#books.hostOf.get(tailer) ?? ''
      const unknown = `${reason}; no manifest names their files and ranges`
      this.holes.push({ host, path: '', tailer, epoch, sequences, reason: unknown, state: 'open' })
    }
  }

  /**
   * No manifest names the files of these sequences. But when nothing more is on its way, what is still missing of the
   * sources that their tailer had was in them; of files that nobody heard of there may be more.
   */
  #enterLeftBehind(tailer: TailerId, epoch: Epoch, unnamed: RangeSet, reason: string): void {
    const of = { tailer, epoch, sequences: pairsOf(unnamed), reason }
    for (const source of this.#books.sources.values()) {
      const { packed, hadBy } = source
      if (!hadBy.has(tailer)) continue
      const missing = packed.without(coveredBy(source)).without(source.givenUp).without(source.released)
      if (missing.size === 0 || [...hadBy.keys()].some(id => this.#hasMore(id))) continue
      this.#enterRanges(source, missing, of)
    }
  }

  #enterRanges(source: Source, ranges: RangeSet, of: Pick<Hole, 'tailer' | 'epoch' | 'sequences' | 'reason'>): void {
    const { host, path } = source
    for (const [from, to] of ranges) {
      source.givenUp.add(from, to)
      this.holes.push({ host, path, source: source.source, from, to, ...of, state: 'open' })
    }
  }

  #hasMore(tailer: TailerId): boolean {
    const known = this.#onItsWay.get(tailer) ?? this.#isOnItsWay(tailer)
    this.#onItsWay.set(tailer, known)
    return known
  }

  /** It has, or had, packets that are in no store yet and not lost. */
  #isOnItsWay(tailer: TailerId): boolean {
    const contact = this.#books.contacts.get(tailer)
    const isLost = this.#books.isLost(tailer)
    if (!isLost && (contact?.report?.underReplicatedPackets ?? 0) > 0) return true
    for (const [key, last] of this.#lastKnown) {
      if (!key.startsWith(`${tailer}/`)) continue
      const held = this.#books.held.get(key) ?? NONE
      const left = new RangeSet([[1, last + 1]]).without(this.#books.storedOf(key))
      const expected = isLost ? left.common(held) : left.without(this.#books.gone.get(key)?.without(held) ?? NONE)
      if (expected.size > 0) return true
    }
    return false
  }

  /** Uncovered ranges of the manifests that name `lost`, and the sequences whose files no manifest names. */
  #rangesOf(
    tailer: TailerId,
    epoch: Epoch,
    lost: RangeSet,
  ): { sources: { source: Source; ranges: RangeSet }[]; unnamed: RangeSet } {
    let unnamed = lost
    const perSource = new Map<Source, RangeSet>()
    for (const manifest of this.#books.manifests) {
      if (manifest.tailer !== tailer || manifest.epoch !== epoch || manifest.last === 0) continue
      if (!lost.overlaps(manifest.first, manifest.last + 1)) continue
      // Sealed by ids alone: its tailer was put back, and knew from bucks that the packets exist, not what is in them.
      if (manifest.sources.length === 0) continue
      unnamed = unnamed.without(new RangeSet([[manifest.first, manifest.last + 1]]))
      for (const part of manifest.sources) {
        const source = this.#books.source(part)
        const ranges = perSource.get(source) ?? new RangeSet()
        for (const [from, to] of coveredBy(source).gaps(part.from, part.to)) ranges.add(from, to)
        perSource.set(source, ranges)
      }
    }
    const sources = [...perSource].map(([source, ranges]) => ({
      source,
      ranges: ranges.without(source.givenUp).without(source.released),
    }))
    return { sources, unnamed }
  }

  /** Every source of the tailer is covered from its start to what was last read: nothing of it can be missing. */
  #isJoinedUp(tailer: TailerId): boolean {
    const own = [...this.#books.sources.values()].filter(source => source.tailer === tailer)
    return own.length > 0 && own.every(source => coveredBy(source).covers(source.start, endOf(source)))
  }

  /** A host that is silent for too long: what it is known to have had and nobody has. */
  enterSilentTails(): void {
    for (const source of this.#books.sources.values()) {
      if (source.tailer === undefined) continue
      if (!this.#books.isLost(source.tailer)) {
        this.#enterLostByFormerId(source)
        continue
      }
      const missing = new RangeSet([[source.start, sizeOf(source)]])
        .without(coveredBy(source))
        .without(source.givenUp)
        .without(source.released)
      for (const [from, to] of missing) {
        const { host, path, source: name, tailer } = source
        const reason = `not delivered: ${this.#books.silence(source.tailer)}`
        source.givenUp.add(from, to)
        this.holes.push({ host, path, source: name, tailer, from, to, reason, state: 'open' })
      }
      const standstill = this.#books.standstill(source)
      if (standstill === undefined) continue
      // It did not look at its files any more: how far they grew is not known.
      const { host, path, source: name, tailer } = source
      const reason = `not read: ${standstill}, then ${this.#books.silence(source.tailer)}`
      const from = Math.max(endOf(source), source.size ?? 0)
      this.holes.push({ host, path, source: name, tailer, from, reason, state: 'open' })
    }
  }

  /** Its tailer lives, under an id that never had so much of it as a former id that is lost: nobody will bring the rest. */
  #enterLostByFormerId(source: Source): void {
    let livingTo = source.start
    let lost: { tailer: TailerId; to: number } | undefined
    for (const [tailer, to] of source.hadBy) {
      if (!this.#books.isLost(tailer)) livingTo = Math.max(livingTo, to)
      else if (to > (lost?.to ?? 0)) lost = { tailer, to }
    }
    if (lost === undefined || lost.to <= livingTo) return
    const missing = new RangeSet([[livingTo, lost.to]])
      .without(coveredBy(source))
      .without(source.givenUp)
      .without(source.released)
    for (const [from, to] of missing) {
      const { host, path, source: name } = source
      const reason = `not delivered: ${this.#books.silence(lost.tailer)}`
      source.givenUp.add(from, to)
      this.holes.push({ host, path, source: name, tailer: lost.tailer, from, to, reason, state: 'open' })
    }
  }

  decide(): void {
    for (const hole of this.holes) {
      if (hole.state !== 'open') continue
      const decision = this.#books.inputs.decisions?.find(
        ({ kind, host, path, source }) =>
          host === hole.host &&
          (kind === 'retire' ||
            ((path === undefined || path === hole.path) && (source === undefined || source === hole.source))),
      )
      if (!decision) continue
      hole.state = 'accepted'
      hole.decision = { who: decision.who, atMs: decision.atMs, why: decision.why }
    }
  }
}

function pairsOf(ranges: RangeSet): [number, number][] {
  return [...ranges].map(([low, high]) => [low, high])
}
