// The jobs of a copy (shared/copy-task): slices of event time out of one store into another. A job that is done twice adds
// nothing the second time: the target knows packets by id and sum, and events by source, offset and bytes.

import type { CopyParams, CopyResult, CopyTask } from '../shared/copy-task.ts'
import { requestFilter } from '../shared/event-filter.ts'
import { eventBytes, LEVELS, walkEvents } from '../shared/events.ts'
import { encodePacket, type Packet, packetEvents } from '../shared/packet.ts'
import { type Place, pickEvents } from '../shared/pick-events.ts'
import { parseQuery } from '../shared/query.ts'
import type { Damage, EventQuestion, EventStore } from '../shared/stores.ts'
import type { Task, TaskKeys } from '../shared/task-board.ts'
import type { World } from '../shared/world.ts'
import { searchedPackets } from './copy.ts'
import { type FreshParts, freshPackets } from './history-fresh.ts'
import type { JobKind, JobPass } from './jobs.ts'
import { Promised } from './promised.ts'
import type { Sequences } from './wants.ts'

/** Text and packets in memory for one add. */
const BATCH_BYTES = 16 * 1024 * 1024
const DAMAGES_MAX = 100

export interface CopyParts {
  index: EventStore
  archive: EventStore
  world: Pick<World, 'clock' | 'random' | 'log'>
  /** Bucks for what is not archived yet; absent: this process may not ask them. */
  bucks?: { dialer: FreshParts['dialer']; addresses: string[] }
  /** Sequences that are not kept by decision, by tailer/epoch. */
  released?(): Promise<Sequences>
  /** A task may name a folder: of the machine on which somebody started it, not of any that helps. */
  writesFolders?: boolean
  /** The store of a task's own: a history index, or a folder. */
  openTarget(task: CopyTask): Promise<EventStore>
  /** Removes it. */
  dropTarget(task: CopyTask): Promise<void>
}

export class CopyJobs implements JobKind {
  readonly #parts: CopyParts

  constructor(parts: CopyParts) {
    this.#parts = parts
  }

  mayBegin(task: Task, job: number, keys: TaskKeys): boolean {
    const { to } = paramsOf(task)
    if (job === 0 && to === 'history' && !this.#parts.bucks) return false
    if (to === 'folder' && !this.#parts.writesFolders) return false
    return job === 0 || keys.done.has(0)
  }

  keepMs(task: Task): number | undefined {
    return paramsOf(task).keepMs
  }

  /** Index, archive and folders keep what they got: only a history is the task's own. */
  async drop(task: Task): Promise<void> {
    if (paramsOf(task).to === 'history') await this.#parts.dropTarget(task as unknown as CopyTask)
  }

  async run(task: Task, job: number, pass: JobPass): Promise<Record<string, unknown>> {
    const { clock } = this.#parts.world
    const startMs = clock.monotonic()
    const damages = new Set<string>()
    const onDamage = ({ where, reason }: Damage) => {
      if (damages.size < DAMAGES_MAX) damages.add(`${where}: ${reason}`)
    }
    const promised = new Promised(BigInt(paramsOf(task).sinceNs))
    const target = await this.#targetOf(task)
    const sums = { read: 0, added: 0, repeated: 0, bytes: 0 }
    let batch: Packet[] = []
    let batchBytes = 0
    const flush = async () => {
      if (batch.length === 0) return
      const added = await target.add(batch, { manifests: [], gone: [] }, { signal: pass.signal })
      sums.added += added.events
      sums.repeated += added.repeated
      batch = []
      batchBytes = 0
      pass.progress({ ...sums })
    }
    for await (const packets of this.#packets(task, job, onDamage, promised, pass)) {
      for (const packet of packets) {
        batch.push(packet)
        sums.read += packet.header.events
        sums.bytes += packet.header.rawBytes
        batchBytes += packet.header.rawBytes + packet.bytes.length
        if (batchBytes >= BATCH_BYTES) await flush()
      }
    }
    pass.signal.throwIfAborted()
    await flush()
    if (job === 0 && paramsOf(task).to !== 'history') await this.#copyWords(task, target, pass)
    const result: CopyResult = {
      ...sums,
      damages: [...damages],
      workMs: Math.round(clock.monotonic() - startMs),
      ...(job === 0 && paramsOf(task).to === 'history' && { promised: promised.toJson() }),
    }
    return { ...result }
  }

  /** Counted anew in what was made, not concluded from what was added. */
  async finish(task: Task, results: Record<string, unknown>[]): Promise<Record<string, unknown>> {
    const all = results as unknown as CopyResult[]
    const sum = (of: 'read' | 'added' | 'repeated' | 'bytes' | 'workMs') =>
      all.reduce((total, result) => total + result[of], 0)
    const damages = all.flatMap(result => result.damages)
    const base = {
      read: sum('read'),
      added: sum('added'),
      repeated: sum('repeated'),
      bytes: sum('bytes'),
      workMs: sum('workMs'),
      damages: damages.slice(0, DAMAGES_MAX),
    }
    if (paramsOf(task).to !== 'history') return base
    const target = await this.#targetOf(task)
    const found = (await target.totals()).reduce((total, { events }) => total + events, 0)
    // What the archive's own sums say of the range, by another road than the copy took.
    const question = questionOf(paramsOf(task))
    const ledger = await this.#parts.archive.summarise(question, () => undefined)
    const fresh = all[0]?.added ?? 0
    const missing = await this.#missing(paramsOf(task), all[0])
    if (missing > 0) {
      base.damages.push(
        `${missing} packets that tailers signed for are neither in the archive nor at a buck: lines may be missing; \`bucktail ledger\` names them`,
      )
    }
    return { ...base, missing, found, archived: ledger.events, fresh, isEqual: isEqual(found, ledger.events, fresh) }
  }

  /** The tailers' words on this time against what is there: how many packets are nowhere. */
  async #missing({ sinceNs }: CopyParams, bucksSaid: CopyResult | undefined): Promise<number> {
    const { archive, released } = this.#parts
    const promised = new Promised(BigInt(sinceNs))
    if (bucksSaid?.promised) promised.add(bucksSaid.promised)
    promised.told(await archive.words())
    // After the words: what is archived in between is there, too.
    promised.settled(await archive.sequences())
    if (released) promised.settled(await released())
    return promised.missing
  }

  async #targetOf(task: Task): Promise<EventStore> {
    const { to } = paramsOf(task)
    const { index, archive, openTarget } = this.#parts
    return to === 'index' ? index : to === 'archive' ? archive : openTarget(task as unknown as CopyTask)
  }

  #packets(
    task: Task,
    job: number,
    onDamage: (damage: Damage) => void,
    promised: Promised,
    { signal }: JobPass,
  ): AsyncGenerator<Packet[]> {
    const params = paramsOf(task)
    const whole = questionOf(params)
    if (job === 0) {
      const onGap = (reason: string) => onDamage({ where: 'not archived yet', reason })
      return params.to === 'history' ? this.#fresh(whole, onGap, promised, signal) : nothing()
    }
    const { sinceNs, untilNs } = (task as unknown as CopyTask).jobs[job]
    const question = { ...whole, sinceNs: BigInt(sinceNs as string), untilNs: BigInt(untilNs as string), signal }
    const source = this.#parts[params.from]
    return source.eventPackets ? source.eventPackets(question, onDamage) : searchedPackets(source, question, onDamage)
  }

  async *#fresh(
    question: EventQuestion,
    onGap: (sentence: string) => void,
    promised: Promised,
    signal: AbortSignal,
  ): AsyncGenerator<Packet[]> {
    const { bucks, archive, world } = this.#parts
    if (!bucks) return
    const parts = { dialer: bucks.dialer, bucks: bucks.addresses, archive, world }
    const onInventory = ({ ids, manifests, gone }: Parameters<Parameters<typeof freshPackets>[2]>[0]) => {
      promised.told({ manifests, gone })
      promised.held(ids)
    }
    for await (const packets of freshPackets(parts, onGap, onInventory, signal)) {
      const matching: Packet[] = []
      for (const packet of packets) {
        try {
          const part = matchingPart(packet, question)
          if (part) matching.push(part)
        } catch (error) {
          const { tailer, epoch, sequence } = packet.header.id
          onGap(`packet ${epoch}/${sequence} of tailer ${tailer}: ${(error as Error).message}`)
        }
      }
      if (matching.length > 0) yield matching
    }
  }

  async #copyWords(task: Task, target: EventStore, { signal }: JobPass): Promise<void> {
    const words = await this.#parts[paramsOf(task).from].words()
    await target.add([], words, { signal })
  }
}

function paramsOf(task: Task): CopyParams {
  return task.params as unknown as CopyParams
}

export function questionOf({ sinceNs, untilNs, host, app, file, q }: CopyParams): EventQuestion {
  return {
    query: parseQuery(q ?? ''),
    sinceNs: BigInt(sinceNs),
    untilNs: BigInt(untilNs),
    withDropped: true,
    ...(host && { host }),
    ...(app && { app }),
    ...(file && { file }),
  }
}

/** What came from the bucks may have been archived since, and then counts in both. */
function isEqual(found: number, archived: number, fresh: number): boolean {
  return found >= archived && found <= archived + fresh
}

/** The packet as it is if all of it is asked for, else one of what is; undefined if nothing is. */
function matchingPart(packet: Packet, question: EventQuestion): Packet | undefined {
  const { header } = packet
  const { sinceNs, untilNs, query, host, app, file } = question
  if (sinceNs !== undefined && header.greatestNs < sinceNs) return undefined
  if (untilNs !== undefined && header.leastNs >= untilNs) return undefined
  const isInside =
    (sinceNs === undefined || header.leastNs >= sinceNs) && (untilNs === undefined || header.greatestNs < untilNs)
  if (isInside && query.isEverything && !host && !app && !file) return packet
  const events = packetEvents(packet)
  const matches = requestFilter(question)
  const places: Place[] = []
  for (const place of walkEvents(events)) {
    const { i, run } = place
    const time = events.times[i]
    if ((sinceNs !== undefined && time < sinceNs) || (untilNs !== undefined && time >= untilNs)) continue
    const look = {
      bytes: eventBytes(events, i),
      host: events.names[events.hosts[i]] || run.host,
      app: events.names[events.apps[i]] || run.app,
      level: LEVELS[events.levels[i]],
      path: run.path,
    }
    if (matches(look)) places.push({ ...place })
  }
  if (places.length === 0) return undefined
  return encodePacket({ ...header.id, bucket: header.bucket }, pickEvents(events, places))
}

async function* nothing(): AsyncGenerator<Packet[]> {}
