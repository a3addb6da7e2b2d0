// The facts of a ledger, entered from all sides: sources with their ranges, who holds which sequences, who was heard of.
import { withDropped } from './dropped.ts'
import type { LedgerInputs, Sequences } from './ledger.ts'
import type { DroppedByRule, Manifest } from './manifest.ts'
import {
  type Epoch,
  type SourceName,
  type SourceRecord,
  SUM_BYTES,
  type TailerContact,
  type TailerId,
} from './messages.ts'
import { RangeSet } from './ranges.ts'
import type { Release, ReleaseKind } from './releases.ts'

/** What is known of one source; ranges are offsets in it. */
export interface Source {
  source: SourceName
  host: string
  path: string
  tailer?: TailerId
  /** Up to where each tailer that ever had it is known to have had it: an id may have had an heir. */
  hadBy: Map<TailerId, number>
  start: number
  size?: number
  read?: number
  /** Another source goes on with the file from here: after a move, a clone, a power cut. */
  continuedAt?: number
  packed: RangeSet
  indexed: RangeSet
  archived: RangeSet
  /** In packets that two bucks list or the archive has; claimed by the tailer; known to be at fewer than two. */
  twice: RangeSet
  claimed: RangeSet
  once: RangeSet
  expired: RangeSet
  givenUp: RangeSet
  /** By somebody's decision not in the archive; and why. */
  released: RangeSet
  releases: Set<string>
  releaseKinds: Set<ReleaseKind>
  events: number
  lines: number
  /** By settings of the tailer: blanked in its packets. */
  dropped: DroppedByRule[]
}

export interface Contact {
  connected: boolean
  silentMs: number
  machine: string
  report?: TailerContact['report']
}

export const NONE = new RangeSet()

export class Books {
  readonly inputs: LedgerInputs
  readonly manifests: Manifest[]
  readonly contacts: Map<TailerId, Contact>
  readonly hostOf = new Map<TailerId, string>()
  readonly sources = new Map<SourceName, Source>()
  readonly gone: Sequences = new Map()
  readonly farewells = new Set<TailerId>()
  /** Sequences that were excluded: no store has them, and none shall. */
  readonly #released: Sequences = new Map()
  /** Sequences at one buck at least; at two. */
  readonly held: Sequences = new Map()
  readonly heldTwice: Sequences = new Map()

  constructor(inputs: LedgerInputs) {
    this.inputs = inputs
    this.manifests = unique(inputs.manifests)
    this.contacts = mergedContacts(inputs.contacts)
    this.#countHolders()
    for (const word of inputs.gone) addTo(this.gone, epochKey(word), word.sequence, word.sequence + 1)
    this.#enterStores()
    for (const release of inputs.releases ?? []) this.#enterRelease(release)
    for (const manifest of this.manifests) this.#enterManifest(manifest)
    for (const record of inputs.records) this.#enterRecord(record)
    for (const { parent, start } of inputs.records) {
      const source = parent === undefined ? undefined : this.sources.get(parent)
      if (source) source.continuedAt = Math.min(source.continuedAt ?? start, start)
    }
    for (const [tailer, contact] of this.contacts) this.#enterReport(tailer, contact)
  }

  #countHolders(): void {
    const perBuck = new Map<string, Sequences>()
    for (const { buck, tailers } of this.inputs.inventories) {
      const own = perBuck.get(buck) ?? new Map()
      perBuck.set(buck, own)
      for (const { tailer, runs } of tailers) {
        for (const { epoch, first, sums } of runs) {
          addTo(own, epochKey({ tailer, epoch }), first, first + sums.length / SUM_BYTES)
        }
      }
    }
    for (const own of perBuck.values()) {
      for (const [key, ranges] of own) {
        for (const [from, to] of ranges.common(this.held.get(key) ?? NONE)) addTo(this.heldTwice, key, from, to)
        for (const [from, to] of ranges) addTo(this.held, key, from, to)
      }
    }
  }

  #enterStores(): void {
    for (const name of ['archive', 'index'] as const) {
      for (const totals of this.inputs[name].totals) {
        const source = this.source(totals)
        const ranges = name === 'archive' ? source.archived : source.indexed
        addAll(ranges, totals.ranges)
        addAll(source.packed, totals.ranges)
        source.events = Math.max(source.events, totals.events)
        source.lines = Math.max(source.lines, totals.lines)
      }
    }
  }

  #enterManifest(manifest: Manifest): void {
    const key = epochKey(manifest)
    this.hostOf.set(manifest.tailer, manifest.host)
    if (manifest.farewell) this.farewells.add(manifest.tailer)
    const sequences = new RangeSet(manifest.last > 0 ? [[manifest.first, manifest.last + 1]] : [])
    const isTwice = sequences.without(this.#archivedOf(key)).without(this.heldTwice.get(key) ?? NONE).size === 0
    const { expiredBefore } = this.inputs
    for (const part of manifest.sources) {
      const source = this.source(part)
      source.tailer ??= manifest.tailer
      noteHad(source, manifest.tailer, part.to)
      source.packed.add(part.from, part.to)
      if (part.dropped !== undefined) withDropped(source.dropped, part.dropped)
      if (isTwice) source.twice.add(part.from, part.to)
      else source.once.add(part.from, part.to)
      if (expiredBefore !== undefined && manifest.bucket < expiredBefore) source.expired.add(part.from, part.to)
    }
  }

  #enterRelease({ kind, why, who, atMs, sources, sequences = {} }: Release): void {
    for (const part of sources) {
      const source = this.source(part)
      for (const [from, to] of part.ranges) source.released.add(from, to)
      source.packed.add(source.start, source.released.end)
      source.releases.add(`${kind} ${new Date(atMs).toISOString().slice(0, 10)} (${who}: ${why})`)
      source.releaseKinds.add(kind)
    }
    for (const [key, ranges] of Object.entries(sequences)) {
      for (const [from, to] of ranges) addTo(this.#released, key, from, to)
    }
  }

  #enterRecord(record: SourceRecord): void {
    const source = this.source(record)
    source.tailer ??= record.tailer
    noteHad(source, record.tailer, record.to)
    if (!this.hostOf.has(record.tailer)) this.hostOf.set(record.tailer, record.host)
    source.packed.add(record.start, record.to)
  }

  #enterReport(tailer: TailerId, { report }: Contact): void {
    if (!report) return
    this.hostOf.set(tailer, report.host)
    for (const part of report.sources) {
      const source = this.source({ ...part, host: report.host })
      source.tailer = tailer
      noteHad(source, tailer, Math.max(part.size, part.read))
      source.size = Math.max(source.size ?? 0, part.size)
      source.read = Math.max(source.read ?? 0, part.read)
      if (report.underReplicatedPackets === 0) source.claimed.add(part.start, part.read)
    }
  }

  source(of: { source: SourceName; host: string; path: string; start: number }): Source {
    const known = this.sources.get(of.source)
    if (known) {
      known.start = Math.min(known.start, of.start)
      return known
    }
    const made: Source = {
      source: of.source,
      host: of.host,
      path: of.path,
      hadBy: new Map(),
      start: of.start,
      packed: new RangeSet(),
      indexed: new RangeSet(),
      archived: new RangeSet(),
      twice: new RangeSet(),
      claimed: new RangeSet(),
      once: new RangeSet(),
      expired: new RangeSet(),
      givenUp: new RangeSet(),
      released: new RangeSet(),
      releases: new Set(),
      releaseKinds: new Set(),
      events: 0,
      lines: 0,
      dropped: [],
    }
    this.sources.set(of.source, made)
    return made
  }

  /** Per `tailer/epoch`, the greatest sequence that anything names. */
  lastKnown(): Map<string, number> {
    const last = new Map<string, number>()
    const raise = (key: string, to: number) => last.set(key, Math.max(last.get(key) ?? 0, to))
    for (const manifest of this.manifests) if (manifest.last > 0) raise(epochKey(manifest), manifest.last)
    const { index, archive } = this.inputs
    for (const sequences of [this.held, this.gone, index.sequences, archive.sequences]) {
      for (const [key, ranges] of sequences) raise(key, ranges.end - 1)
    }
    return last
  }

  #archivedOf(key: string): RangeSet {
    return this.inputs.archive.sequences.get(key) ?? NONE
  }

  storedOf(key: string): RangeSet {
    const stored = [...this.#archivedOf(key), ...(this.inputs.index.sequences.get(key) ?? NONE)]
    return new RangeSet([...stored, ...(this.#released.get(key) ?? NONE)])
  }

  /** Retired, or silent for too long without a farewell. A tailer that no buck was asked about is not lost. */
  isLost(tailer: TailerId): boolean {
    const host = this.hostOf.get(tailer)
    if (this.inputs.decisions?.some(decision => decision.kind === 'retire' && decision.host === host)) return true
    const contact = this.contacts.get(tailer)
    return contact !== undefined && !contact.connected && contact.silentMs >= this.inputs.holeAfterMs
  }

  /** Why its tailer does not read on, by its own word. */
  standstill(source: Source): string | undefined {
    const report = source.tailer === undefined ? undefined : this.contacts.get(source.tailer)?.report
    return report?.sources.some(part => part.source === source.source) ? report.stopped : undefined
  }

  nameOf(tailer: TailerId): string {
    const contact = this.contacts.get(tailer)
    const host = this.hostOf.get(tailer) ?? contact?.report?.host ?? 'an unknown host'
    return `tailer ${tailer.slice(0, 8)} on ${host} (${this.silence(tailer)})`
  }

  silence(tailer: TailerId): string {
    const contact = this.contacts.get(tailer)
    const bye = this.farewells.has(tailer) ? ', it said farewell' : ''
    if (!contact) return `no buck knows it${bye}`
    return contact.connected ? 'connected' : `last contact ${durationText(contact.silentMs)} ago${bye}`
  }
}

function noteHad({ hadBy }: Source, tailer: TailerId, to: number): void {
  hadBy.set(tailer, Math.max(hadBy.get(tailer) ?? 0, to))
}

export function coveredBy(source: Source): RangeSet {
  return new RangeSet([...source.archived, ...source.indexed])
}

/** Up to where it is known to have been read. */
export function endOf(source: Source): number {
  return Math.max(upToFork(source, source.read ?? 0), source.packed.end, source.start)
}

/** Bytes of the file that are this source's, read or not. */
export function sizeOf(source: Source): number {
  return Math.max(upToFork(source, source.size ?? 0), endOf(source))
}

function upToFork({ continuedAt = Number.POSITIVE_INFINITY }: Source, offset: number): number {
  return Math.min(offset, continuedAt)
}

function unique(manifests: Manifest[]): Manifest[] {
  const bySignature = new Map(manifests.map(manifest => [Buffer.from(manifest.signature).toString('base64'), manifest]))
  return [...bySignature.values()]
}

/** One per tailer: the youngest report; connected if any buck says so. */
function mergedContacts(contacts: TailerContact[]): Map<TailerId, Contact> {
  const merged = new Map<TailerId, Contact & { reportMs: number }>()
  for (const { tailer, machine, connected, silentMs, report } of contacts) {
    const known = merged.get(tailer)
    const reportMs = report ? silentMs : Number.POSITIVE_INFINITY
    const isYounger = !known || reportMs < known.reportMs
    merged.set(tailer, {
      machine,
      connected: connected || (known?.connected ?? false),
      silentMs: Math.min(silentMs, known?.silentMs ?? Number.POSITIVE_INFINITY),
      report: isYounger && report ? report : known?.report,
      reportMs: Math.min(reportMs, known?.reportMs ?? Number.POSITIVE_INFINITY),
    })
  }
  return merged
}

export function addTo(sequences: Sequences, key: string, from: number, to: number): void {
  const ranges = sequences.get(key) ?? new RangeSet()
  ranges.add(from, to)
  sequences.set(key, ranges)
}

export function addAll(into: RangeSet, ranges: RangeSet): void {
  for (const [from, to] of ranges) into.add(from, to)
}

export function epochKey(of: { tailer: TailerId; epoch: Epoch }): string {
  return `${of.tailer}/${of.epoch}`
}

export function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

export function durationText(ms: number): string {
  const seconds = Math.round(ms / 1000)
  if (seconds < 120) return `${seconds} s`
  if (seconds < 7_200) return `${Math.round(seconds / 60)} min`
  if (seconds < 172_800) return `${Math.round(seconds / 3600)} h`
  return `${Math.round(seconds / 86_400)} days`
}
