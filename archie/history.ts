// Histories: a time range of the archive, made searchable as an index of its own. Archie writes the task on the board and
// answers at once; porters and helpers do the work (porter/history-copy), and anybody reads here how far it is.
//
//   start ─▶ estimate from the catalogue ─▶ the same range is there already? one user more : a new task
//   waiting ─▶ running ─▶ done ─▶ (kept for keepMs) ─▶ removed        cancelled: what was made by then stays as long
import {
  boundsOf,
  COPY_KIND,
  type CopyEstimate,
  type CopyParams,
  type CopyResult,
  type CopyTask,
  copyJobs,
  estimateOf,
  historyIndex,
  newTaskId,
} from '../shared/copy-task.ts'
import { timeText } from '../shared/event-json.ts'
import type { SegmentSummary } from '../shared/segment-manifest.ts'
import type { EventStore } from '../shared/stores.ts'
import type { TaskBoard, TaskKeys } from '../shared/task-board.ts'
import type { World } from '../shared/world.ts'

/** One archie answers for so many; more are forgotten ones. */
const HISTORIES_MAX = 200
/** Before that, a rate says nothing. */
const FRACTION_LEAST_FOR_ETA = 0.02

export interface HistoryRequest {
  sinceNs: bigint
  untilNs: bigint
  host?: string
  app?: string
  file?: string
  q?: string
  /** Who asks, for people and for `drop`. */
  by: string
}

export interface HistoryStatus {
  id: string
  index: string
  state: 'waiting' | 'running' | 'done' | 'cancelled' | 'failed'
  since: string
  until: string
  host?: string
  app?: string
  file?: string
  q?: string
  by: string
  created: string
  /** How many need it. */
  users: number
  estimate: CopyEstimate
  progress: {
    jobs: number
    jobsDone: number
    events: number
    bytes: number
    /** 0 to 1. */
    fraction: number
    etaSeconds?: number
    workers: string[]
    /** Why it does not go on, by the workers' words. */
    troubles: string[]
  }
  /** Once it is done: counted in the index, in the archive, and taken from the bucks. */
  result?: {
    found: number
    archived: number
    fresh: number
    isEqual: boolean
    /** Packets of this time that tailers signed for and nobody has (told in \`damages\`, too). */
    missing?: number
    damages: string[]
    workMs: number
  }
  /** When it will be removed. */
  expires?: string
}

export interface HistoriesParts {
  board: TaskBoard
  summaries(): Promise<SegmentSummary[]>
  /** The store of a history. */
  open(id: string): Promise<EventStore>
  environment: string
  keepMs: number
  world: Pick<World, 'clock' | 'random'>
}

/** There is none of this id, or it is being removed. */
export class NoSuchHistoryError extends Error {
  override readonly name = 'NoSuchHistoryError'
}

export class TooManyHistoriesError extends Error {
  override readonly name = 'TooManyHistoriesError'
}

export class Histories {
  readonly #parts: HistoriesParts
  /** Requests one after the other: two for one range at the same moment find each other. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(parts: HistoriesParts) {
    this.#parts = parts
  }

  async estimate({ sinceNs, untilNs }: HistoryRequest): Promise<CopyEstimate> {
    return estimateOf(await this.#parts.summaries(), sinceNs, untilNs)
  }

  start(request: HistoryRequest): Promise<HistoryStatus> {
    const turn = this.#turn.then(() => this.#start(request))
    this.#turn = turn.catch(() => undefined) // told to who asked; the next turn does not depend on it
    return turn
  }

  /** Newest first. */
  async list(): Promise<HistoryStatus[]> {
    const all: HistoryStatus[] = []
    for (const keys of await this.#parts.board.list()) {
      const task = await this.#taskOf(keys)
      if (task) all.push(await this.#statusOf(task, keys))
    }
    return all.reverse()
  }

  /** Throws NoSuchHistoryError. */
  async status(id: string): Promise<HistoryStatus> {
    const { task, keys } = await this.#find(id)
    return this.#statusOf(task, keys)
  }

  /** No more work; what is there stays searchable until it expires. Throws NoSuchHistoryError. */
  async cancel(id: string, by: string): Promise<HistoryStatus> {
    const { task } = await this.#find(id)
    await this.#parts.board.end(task.id, { state: 'cancelled', reason: `by ${by}` })
    return this.status(id)
  }

  /** One user less; without any it is removed. Answers how many are left. Throws NoSuchHistoryError. */
  async drop(id: string, by: string): Promise<number> {
    const { task } = await this.#find(id)
    const left = await this.#parts.board.removeUser(task.id, by)
    if (left === 0) await this.#parts.board.drop(task.id)
    return left
  }

  /** To search in. Throws NoSuchHistoryError. */
  async open(id: string): Promise<EventStore> {
    await this.#find(id)
    return this.#parts.open(id)
  }

  async #start(request: HistoryRequest): Promise<HistoryStatus> {
    const { board, environment, world, keepMs } = this.#parts
    const { sinceNs, untilNs, host, app, file, q, by } = request
    const same = await this.#same(request)
    if (same) {
      await board.addUser(same, by)
      return this.status(same)
    }
    const summaries = await this.#parts.summaries()
    const estimate = estimateOf(summaries, sinceNs, untilNs)
    const params: CopyParams = {
      from: 'archive',
      to: 'history',
      sinceNs: `${sinceNs}`,
      untilNs: `${untilNs}`,
      ...(host && { host }),
      ...(app && { app }),
      ...(file && { file }),
      ...(q && { q }),
      keepMs,
      estimate,
    }
    const nowMs = world.clock.now()
    const id = newTaskId(nowMs, world.random.bytes(4))
    const jobs = copyJobs(sinceNs, untilNs, estimate.rawBytes, boundsOf(summaries))
    // The user first: a task without one would be nobody's.
    await board.addUser(id, by)
    const task: CopyTask = { id, kind: COPY_KIND, createdMs: nowMs, by, params, jobs }
    await board.add(task as never)
    return { ...(await this.status(id)), index: historyIndex(environment, id) }
  }

  async #same(request: HistoryRequest): Promise<string | undefined> {
    const lists = await this.#parts.board.list()
    let histories = 0
    for (const keys of lists) {
      const task = await this.#taskOf(keys)
      if (!task) continue
      histories++
      const { params } = task
      const isSame =
        params.sinceNs === `${request.sinceNs}` &&
        params.untilNs === `${request.untilNs}` &&
        (['host', 'app', 'file', 'q'] as const).every(name => (params[name] ?? '') === (request[name] ?? ''))
      if (!isSame) continue
      const ended = keys.isEnded ? await this.#parts.board.ended(keys.id) : undefined
      if (ended === undefined || ended.state === 'done') return keys.id
    }
    if (histories >= HISTORIES_MAX) {
      throw new TooManyHistoriesError(`there are ${histories} histories, which is all there may be: drop some first`)
    }
    return undefined
  }

  async #find(id: string): Promise<{ task: CopyTask; keys: TaskKeys }> {
    const keys = await this.#parts.board.keysOf(id)
    const task = keys?.hasTask && !keys.isDropped ? await this.#taskOf(keys) : undefined
    if (!keys || !task) throw new NoSuchHistoryError(`there is no history ${id.slice(0, 64)}; it may have expired`)
    return { task, keys }
  }

  async #taskOf(keys: TaskKeys): Promise<CopyTask | undefined> {
    const task = (await this.#parts.board.task(keys.id)) as CopyTask | undefined
    return task?.kind === COPY_KIND && task.params.to === 'history' ? task : undefined
  }

  async #statusOf(task: CopyTask, keys: TaskKeys): Promise<HistoryStatus> {
    const { environment, keepMs, world, board } = this.#parts
    const { id, by, createdMs, params, jobs } = task
    const ended = keys.isEnded ? await board.ended(id) : undefined
    const progress = await this.#progressOf(task, keys)
    const elapsedMs = world.clock.now() - createdMs
    const { fraction } = progress
    const isRunning = !ended && (keys.claims.size > 0 || keys.done.size > 0)
    if (isRunning && fraction >= FRACTION_LEAST_FOR_ETA && fraction < 1) {
      progress.etaSeconds = Math.max(1, Math.round((elapsedMs * (1 - fraction)) / fraction / 1000))
    }
    return {
      id,
      index: historyIndex(environment, id),
      state: ended?.state ?? (isRunning ? 'running' : 'waiting'),
      since: timeText(BigInt(params.sinceNs)),
      until: timeText(BigInt(params.untilNs)),
      ...pickText(params),
      by,
      created: new Date(createdMs).toISOString(),
      users: keys.users.length,
      estimate: params.estimate,
      progress: { ...progress, jobs: jobs.length, ...(ended?.state === 'done' && { fraction: 1 }) },
      ...(ended?.result && { result: ended.result as unknown as HistoryStatus['result'] }),
      ...(ended && { expires: new Date(ended.atMs + (params.keepMs ?? keepMs)).toISOString() }),
    }
  }

  async #progressOf(task: CopyTask, keys: TaskKeys): Promise<HistoryStatus['progress']> {
    const { board } = this.#parts
    const { estimate } = task.params
    let events = 0
    let bytes = 0
    for (const job of keys.done) {
      const result = await board.result<CopyResult>(task.id, job)
      events += result?.read ?? 0
      bytes += result?.bytes ?? 0
    }
    const workers: string[] = []
    const troubles: string[] = []
    for (const [job, claim] of keys.claims) {
      if (keys.done.has(job) || keys.isEnded) continue
      const beat = await board.readBeat(task.id, job, claim)
      if (!beat) continue
      workers.push(beat.worker)
      if (beat.trouble !== undefined) troubles.push(beat.trouble)
      events += Number(beat.progress?.read ?? 0)
      bytes += Number(beat.progress?.bytes ?? 0)
    }
    const byJobs = keys.done.size / task.jobs.length
    const byEvents = estimate.events > 0 ? events / estimate.events : byJobs
    return {
      jobs: task.jobs.length,
      jobsDone: keys.done.size,
      events,
      bytes,
      // An estimate may be short; only the last job makes it whole.
      fraction: byJobs === 1 ? 1 : Math.min(0.99, Math.max(byJobs, byEvents)),
      workers,
      troubles,
    }
  }
}

function pickText({ host, app, file, q }: CopyParams): Pick<HistoryStatus, 'host' | 'app' | 'file' | 'q'> {
  return { ...(host && { host }), ...(app && { app }), ...(file && { file }), ...(q && { q }) }
}
