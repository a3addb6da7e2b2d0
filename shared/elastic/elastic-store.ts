// The recent index, or a history, in Elasticsearch: an EventStore (shared/stores.ts) like the embedded one.
//
//   add      what the marks lack ▸ documents, create-only ▸ one mark per packet ▸ both are made visible
//            A crash in between leaves events without their mark: the packet is lacking, is added again, and its events
//            are found to be there. An index that is deleted meanwhile: all of it once more.
//   expire   marks of a day that is wholly before ▸ `past` ▸ the day's index is deleted
//   tidy     packets of which events were lost lose their mark; events that two porters put into two days at the same
//            moment leave the younger day
//
// Unlike the embedded store it is not all or nothing while it works: events of an add that failed in the middle are found
// by searches at once. They are true, only not complete yet.

import { requestFilter } from '../event-filter.ts'
import type { FoundEvent } from '../events.ts'
import { HeldPackets } from '../held-packets.ts'
import type { Gone, Manifest } from '../manifest.ts'
import { type Bucket, type PacketId, type SourceName, SUM_BYTES } from '../messages.ts'
import type { Packet } from '../packet.ts'
import { RangeSet } from '../ranges.ts'
import type {
  Added,
  Damage,
  EventQuestion,
  EventStore,
  SearchRequest,
  SourceTotals,
  StorePass,
  Summary,
  SummaryRequest,
} from '../stores.ts'
import type { World } from '../world.ts'
import { Addition } from './addition.ts'
import { Bulk, type Outcome } from './bulk.ts'
import { bodiesOf } from './bulk-body.ts'
import type { ByteText } from './byte-text.ts'
import { type ElasticAccess, ElasticConnection } from './connection.ts'
import { packetsOut } from './copy-out.ts'
import { type EventSource, eventOfDocument } from './document.ts'
import { eraseEvents } from './erase.ts'
import { ElasticError, IndexMissingError } from './errors.ts'
import { Holdings } from './holdings.ts'
import { Indexes } from './indexes.ts'
import { addPart, LOW_WATER_ID, lowWaterMark, pastMark, type SourcePart } from './marks.ts'
import { type MendParts, mend, mendLost } from './mend.ts'
import { ElasticNames, endOfDay, type IndexShape, PAST } from './names.ts'
import { type Reject, RejectsFile } from './rejects.ts'
import { searchElastic } from './search.ts'
import { summariseElastic } from './summary.ts'
import { totalsOf } from './totals.ts'
import { readWords } from './word-marks.ts'

export interface ElasticStoreOptions {
  world: World
  access: ElasticAccess
  environment: string
  /** `recent`, or `history-<id>`. */
  place: string
  shape?: Partial<IndexShape>
  /** Folder of the file of refused documents. */
  rejectsFolder: string
  /** How long one bulk request is tried again without any progress. Default 60 s. */
  patienceMs?: number
}

/** Each means that an index was deleted meanwhile. */
const ADD_TRIES_MAX = 5
/** Over this nothing is deleted: one of the two clocks is wrong, and age is told by clocks. */
const CLOCK_APART_MS_MAX = 60_000
/** Between two looks at the cluster's clock. */
const CLOCK_EVERY_MS = 60_000
/** Packets in one mark of what left by age. */
const PAST_PACKETS = 10_000

export class ElasticStore implements EventStore {
  readonly #options: ElasticStoreOptions
  readonly #names: ElasticNames
  readonly #connection: ElasticConnection
  readonly #indexes: Indexes
  readonly #holdings: Holdings
  readonly #bulk: Bulk
  readonly rejects: RejectsFile
  /** Never more than there were bodies at once: the window of `Bulk` and one. */
  readonly #spare: ByteText[] = []
  /** Adds of this process one after the other: each is planned on what the one before left. */
  #adding: Promise<unknown> = Promise.resolve()
  #refreshing: Promise<void> | undefined
  #troubles = new Map<'reading' | 'writing' | 'clock', string>()
  #clockAskedMs = Number.NEGATIVE_INFINITY

  /** Asks nothing yet: a cluster that is down must not keep the process from starting. */
  constructor(options: ElasticStoreOptions) {
    const { world, access, environment, place, shape, rejectsFolder, patienceMs } = options
    this.#options = options
    this.#names = new ElasticNames(environment, place)
    this.#connection = new ElasticConnection(access)
    this.#indexes = new Indexes(this.#connection, this.#names, { shards: 1, mode: 'standard', ...shape })
    this.#holdings = new Holdings(this.#connection, this.#names)
    this.#bulk = new Bulk({ connection: this.#connection, world, ...(patienceMs !== undefined && { patienceMs }) })
    this.rejects = new RejectsFile(rejectsFolder, this.#names.alias, world)
  }

  /** What to search: also for other tools. */
  get alias(): string {
    return this.#names.alias
  }

  /** Why it could not be read from or written to the last time; undefined: it could. For /readyz. */
  get trouble(): string | undefined {
    return this.#troubles.values().next().value
  }

  /** False: the cluster's clock says that ours is wrong. */
  get clockAgrees(): boolean {
    return !this.#troubles.has('clock')
  }

  close(): Promise<void> {
    return this.#connection.close()
  }

  async lacking(ids: PacketId[]): Promise<PacketId[]> {
    await this.#refresh()
    const days = [...this.#holdings.days.values()]
    return ids.filter(id => !days.some(day => day.packets.has(id)))
  }

  add(packets: Packet[], words: { manifests: Manifest[]; gone: Gone[] }, pass: StorePass = {}): Promise<Added> {
    const added = this.#adding.then(() => this.#noted('writing', () => this.#add(packets, words, pass)))
    this.#adding = added.catch(() => undefined)
    return added
  }

  async *search(request: SearchRequest, _onDamage?: (damage: Damage) => void): AsyncGenerator<FoundEvent> {
    yield* searchElastic(this.#connection, this.#names.alias, request)
  }

  async *eventPackets(request: EventQuestion, onDamage: (damage: Damage) => void = () => {}): AsyncGenerator<Packet[]> {
    await this.#refresh(request.signal)
    const sources = new Map<SourceName, SourcePart>()
    for (const day of this.#holdings.days.values()) for (const part of day.sources.values()) addPart(sources, part)
    yield* packetsOut(this.#connection, this.#names.alias, request, source => sources.get(source), onDamage)
  }

  summarise(request: SummaryRequest): Promise<Summary> {
    const parts = {
      connection: this.#connection,
      alias: this.#names.alias,
      clock: this.#options.world.clock,
      search: (asked: SearchRequest) => this.search(asked),
    }
    return this.#noted('reading', () => summariseElastic(parts, request))
  }

  async totals(): Promise<SourceTotals[]> {
    await this.#refresh()
    const sources = new Map<SourceName, SourcePart>()
    for (const day of this.#holdings.days.values()) for (const part of day.sources.values()) addPart(sources, part)
    return this.#noted('reading', () => totalsOf(this.#connection, this.#names.alias, sources))
  }

  async rangesOf(sources: Iterable<SourceName>): Promise<Map<SourceName, RangeSet>> {
    await this.#refresh()
    const ranges = new Map<SourceName, RangeSet>()
    for (const source of sources) {
      for (const day of this.#holdings.days.values()) {
        const held = day.sources.get(source)?.ranges
        if (!held) continue
        const sum = ranges.get(source) ?? new RangeSet()
        for (const [from, to] of held) sum.add(from, to)
        ranges.set(source, sum)
      }
    }
    return ranges
  }

  words(): Promise<{ manifests: Manifest[]; gone: Gone[] }> {
    return this.#noted('reading', () => readWords(this.#connection, this.#names.all))
  }

  async sequences(): Promise<Map<string, RangeSet>> {
    await this.#refresh()
    const all = new Map<string, RangeSet>()
    for (const day of this.#holdings.days.values()) {
      for (const [key, ranges] of day.packets.sequences()) {
        const sum = all.get(key)
        if (sum) for (const [from, to] of ranges) sum.add(from, to)
        else all.set(key, ranges)
      }
    }
    return all
  }

  /** Whole days: a day that reaches over `before` stays until it is wholly before. */
  async expire(before: Bucket): Promise<number> {
    await this.#failIfClocksDiffer()
    await this.#refresh()
    const days = [...this.#holdings.days.keys()].filter(day => day !== PAST && endOfDay(day) <= before)
    if (days.length > 0 || (this.#holdings.days.get(PAST)?.lowWater ?? 0) < before) await this.#raiseLowWater(before)
    let events = 0
    for (const day of days) {
      await this.#keepPast(day)
      events += await this.#count(this.#names.index(day))
      await this.#indexes.remove(day)
      this.#holdings.days.delete(day)
    }
    return events
  }

  async tidy(pass: StorePass = {}): Promise<void> {
    await this.#refresh()
    await mend(this.#mendParts(pass))
  }

  /** All indexes and the template: a history that nobody needs any more. */
  async drop(): Promise<void> {
    await this.#refresh()
    for (const day of [...this.#holdings.days.keys()]) await this.#indexes.remove(day)
    await this.#indexes.removeTemplate()
    this.#holdings.days.clear()
  }

  /** These events leave the index, and the file of refused documents, for good; nothing brings them back. */
  async erase(question: EventQuestion, pass: StorePass = {}): Promise<{ events: number }> {
    await this.#refresh(pass.signal)
    // What was just written is to go, too.
    const days = [...this.#holdings.days.keys()].map(day => this.#names.index(day)).join(',')
    if (days !== '') await this.#connection.ask({ what: 'indexes not refreshed', path: `${days}/_refresh` })
    const matches = requestFilter(question)
    const rejects = await this.rejects.read()
    const left = rejects.filter(({ id, document }) => !matches(eventOfDocument(id, document as EventSource)))
    if (left.length < rejects.length) await this.rejects.replace(left)
    return { events: await eraseEvents(this.#mendParts(pass), question) }
  }

  /** Sends refused documents once more; those refused again stay in the file. */
  async replayRejects(pass: StorePass = {}): Promise<{ indexed: number; refused: number }> {
    const rejects = new Map((await this.rejects.read()).map(reject => [reject.id, reject]))
    const left: Reject[] = []
    let indexed = 0
    const documents = [...rejects.values()].map(({ index, id, document }) => {
      return { target: index, id, json: JSON.stringify(document) }
    })
    const onOutcome = ({ id }: { id: string }, outcome: { kind: string; reason?: string }) => {
      if (outcome.kind === 'rejected') left.push({ ...(rejects.get(id) as Reject), reason: outcome.reason ?? '' })
      else indexed++
    }
    await this.#bulk.send(bodiesOf(documents), onOutcome, pass.signal, true)
    await this.rejects.replace(left)
    return { indexed, refused: left.length }
  }

  async #add(packets: Packet[], words: { manifests: Manifest[]; gone: Gone[] }, pass: StorePass): Promise<Added> {
    for (let tries = 1; ; tries++) {
      pass.signal?.throwIfAborted()
      await this.#refresh(pass.signal)
      if (this.#holdings.eventsThere < this.#holdings.eventsMarked) await mendLost(this.#mendParts(pass))
      const addition = new Addition(
        {
          connection: this.#connection,
          names: this.#names,
          indexes: this.#indexes,
          holdings: this.#holdings,
          bulk: this.#bulk,
          rejects: this.rejects,
          spare: this.#spare,
          world: this.#options.world,
        },
        packets,
        words,
      )
      try {
        return await addition.run(pass.signal)
      } catch (error) {
        if (!(error instanceof IndexMissingError) || tries >= ADD_TRIES_MAX) throw error
        this.#options.world.log.warn('an index was deleted while it was written to: it is made anew', { error })
        this.#indexes.forget()
      }
    }
  }

  #mendParts({ signal }: StorePass): MendParts {
    const { log } = this.#options.world
    return {
      connection: this.#connection,
      names: this.#names,
      holdings: this.#holdings,
      log,
      ...(signal && { signal }),
    }
  }

  /** Several who ask at once are answered by one look. */
  #refresh(signal?: AbortSignal): Promise<void> {
    const { clock } = this.#options.world
    const look = async () => {
      await this.#holdings.refresh(signal)
      if (clock.monotonic() - this.#clockAskedMs >= CLOCK_EVERY_MS) await this.#compareClocks()
    }
    this.#refreshing ??= this.#noted('reading', look).finally(() => {
      this.#refreshing = undefined
    })
    return this.#refreshing
  }

  async #noted<T>(name: 'reading' | 'writing' | 'clock', step: () => Promise<T>): Promise<T> {
    try {
      const result = await step()
      this.#troubles.delete(name)
      return result
    } catch (error) {
      if (error instanceof ElasticError) this.#troubles.set(name, error.message)
      throw error
    }
  }

  async #raiseLowWater(before: Bucket): Promise<void> {
    await this.#indexes.ensure([PAST])
    const { id, source } = lowWaterMark(before)
    try {
      await this.#connection.ask({
        what: 'low water not raised',
        method: 'PUT',
        path: `${this.#names.write(PAST)}/_doc/${LOW_WATER_ID}`,
        // The number is its own version: it never goes back, whoever writes it.
        query: { version: before, version_type: 'external', refresh: true, require_alias: true },
        body: { bucktail: source },
      })
      this.#holdings.learn(PAST, id, source)
    } catch (error) {
      if (!(error instanceof ElasticError) || error.status !== 409) throw error
    }
  }

  async #keepPast(day: string): Promise<void> {
    const marks = [...pastMarksOf(this.#holdings.days.get(day)?.packets ?? new HeldPackets())]
    const documents = marks.map(({ id, json }) => ({ target: this.#names.write(PAST), id, json }))
    await this.#bulk.send(bodiesOf(documents), failIfRejected, undefined, true)
    for (const { id, source } of marks) this.#holdings.learn(PAST, id, source)
  }

  async #count(index: string): Promise<number> {
    const answer = await this.#connection.ask<{ count: number }>({
      what: 'events not counted',
      path: `${index}/_count`,
      query: { ignore_unavailable: true },
      body: { query: { exists: { field: '@timestamp' } } },
    })
    return answer.count
  }

  /** A cluster that does not tell its time (a right that is missing) is taken for agreeing: tailers vouch for the clock too. */
  async #compareClocks(): Promise<void> {
    const { clock, log } = this.#options.world
    this.#clockAskedMs = clock.monotonic()
    try {
      const [{ epoch }] = await this.#connection.ask<{ epoch: string }[]>({
        what: 'the time of the cluster not asked',
        method: 'GET',
        path: '_cat/health',
        query: { format: 'json', h: 'epoch' },
      })
      const apartMs = clock.now() - Number(epoch) * 1000
      if (Math.abs(apartMs) <= CLOCK_APART_MS_MAX) this.#troubles.delete('clock')
      else {
        this.#troubles.set(
          'clock',
          `this machine's clock is ${Math.round(apartMs / 1000)} s from Elasticsearch's: nothing is deleted by age until they agree. Set both by NTP`,
        )
      }
    } catch (error) {
      log.debug('the time of the cluster could not be had', { error })
    }
  }

  async #failIfClocksDiffer(): Promise<void> {
    await this.#compareClocks()
    const trouble = this.#troubles.get('clock')
    if (trouble !== undefined) throw new ElasticError(trouble)
  }
}

function* pastMarksOf(packets: HeldPackets): Generator<ReturnType<typeof pastMark>> {
  for (const run of packets.runs()) {
    for (let at = 0; at < run.sums.length; at += PAST_PACKETS * SUM_BYTES) {
      const sums = run.sums.subarray(at, at + PAST_PACKETS * SUM_BYTES)
      yield pastMark([{ ...run, first: run.first + at / SUM_BYTES, sums }])
    }
  }
}

function failIfRejected(_: unknown, outcome: Outcome): void {
  if (outcome.kind === 'rejected') throw new ElasticError(`a mark was refused: ${outcome.reason}`)
}
