// Jobs of tasks on the board, done one after the other. Any number of porters and helpers run this at the same time.
//
//   look ─▶ a job that is free, or whose worker shows no sign of life ─▶ claim ─▶ run, with four beats in claimMs ─▶ done
//     └──▶ all jobs of a task done ─▶ finish ─▶ ended      └──▶ ended and kept long enough, or no user left ─▶ drop
//
// - Killed anywhere: the claim dies with the beat, and another worker does the job again from its beginning.
// - A job that fails is tried again, with a longer wait each time; why is in its beat, where everybody can read it.
import type { Task, TaskBoard, TaskKeys } from '../shared/task-board.ts'
import { CLAIM_MS } from '../shared/task-board.ts'
import type { World } from '../shared/world.ts'
import { Troubles } from './troubles.ts'

const BEATS_PER_CLAIM = 4
const RETRY_BASE_MS = 1_000
const RETRY_CAP_MS = 60_000
const POLL_MS = 2_000

export interface JobPass {
  signal: AbortSignal
  /** How far it is; shown to whoever waits. */
  progress(fields: Record<string, unknown>): void
}

/** What a kind of task does. */
export interface JobKind {
  /** May be run twice, also at the same time, with the outcome of once. */
  run(task: Task, job: number, pass: JobPass): Promise<Record<string, unknown>>
  /** False: another job has to be done before. */
  mayBegin(task: Task, job: number, keys: TaskKeys): boolean
  /** All jobs are done: what came of the whole. */
  finish(task: Task, results: Record<string, unknown>[]): Promise<Record<string, unknown>>
  /** What the task made goes so long after its end; undefined: it stays. */
  keepMs(task: Task): number | undefined
  /** Removes what it made. May be run twice. */
  drop(task: Task): Promise<void>
}

export interface JobsParts {
  board: TaskBoard
  kinds: Record<string, JobKind>
  world: Pick<World, 'clock' | 'random' | 'log'>
  /** Of this process, for those who look who is at work. */
  worker: string
  /** Deleting by age needs a clock that can be trusted. */
  mayDelete?(): boolean
  /** Only this task: then `run` ends with it. */
  only?: string
  pollMs?: number
  /** A claim without a sign of life for so long is dead. Default 20 s, the same for all who share a board. */
  claimMs?: number
}

export interface JobsStatus {
  /** What it works on now. */
  task?: string
  job?: number
  jobsDone: number
  failures: number
  lastError?: string
}

export class Jobs {
  readonly #parts: JobsParts
  readonly #troubles: Troubles
  /** Claims of others: what was last seen of them, and when that was new. */
  readonly #seen = new Map<string, { mark: string; sinceMs: number }>()
  /** Jobs that failed here → not before. */
  readonly #retries = new Map<string, { atMs: number; failures: number }>()
  /** Without a task → since when. Somebody claimed a job of it while it was removed. */
  readonly #orphans = new Map<string, number>()
  #now: { task: string; job: number } | undefined
  #jobsDone = 0

  constructor(parts: JobsParts) {
    this.#parts = parts
    this.#troubles = new Troubles(parts.world)
  }

  status(): JobsStatus {
    const lastError = this.#troubles.last
    return {
      ...this.#now,
      jobsDone: this.#jobsDone,
      failures: this.#troubles.total,
      ...(lastError !== undefined && { lastError }),
    }
  }

  /** Until `signal` aborts, or the only task it was made for is over. Never rejects for trouble outside. */
  async run(signal: AbortSignal): Promise<void> {
    const { world, only, board, pollMs = POLL_MS } = this.#parts
    while (!signal.aborted) {
      let hasWorked = false
      try {
        hasWorked = await this.#round(signal)
        if (only !== undefined && !hasWorked && (await board.isOver(only))) return
        this.#troubles.clear('tasks not looked at')
      } catch (error) {
        if (signal.aborted) return
        this.#troubles.note('tasks not looked at', error)
      }
      if (!hasWorked) await world.clock.sleep(pollMs, signal).catch(() => undefined)
    }
  }

  /** True if something was done, so that there may be more. */
  async #round(signal: AbortSignal): Promise<boolean> {
    const { board, only } = this.#parts
    const all = await board.look(only)
    if (only === undefined) await this.#sweep(all)
    for (const keys of all) {
      if (signal.aborted) return false
      if (keys.isDropped) await this.#remove(keys)
      if (keys.isDropped || !keys.hasTask) continue
      const task = await board.task(keys.id)
      const kind = task && this.#parts.kinds[task.kind]
      if (!task || !kind) continue
      if (keys.isEnded) await this.#expire(task, kind)
      else if (await this.#workOn(task, kind, keys, signal)) return true
    }
    return false
  }

  async #workOn(task: Task, kind: JobKind, keys: TaskKeys, signal: AbortSignal): Promise<boolean> {
    if (keys.done.size === task.jobs.length) return this.#finish(task, kind)
    const nowMs = this.#parts.world.clock.monotonic()
    for (let job = 0; job < task.jobs.length; job++) {
      if (keys.done.has(job) || !kind.mayBegin(task, job, keys)) continue
      if ((this.#retries.get(`${task.id}/${job}`)?.atMs ?? 0) > nowMs) continue
      const claim = await this.#claim(task, job, keys.claims.get(job) ?? 0)
      if (claim === undefined) continue
      await this.#do(task, kind, job, claim, signal)
      return true
    }
    return false
  }

  /** The number of our claim; undefined if somebody else works on it. */
  async #claim(task: Task, job: number, last: number): Promise<number | undefined> {
    const { board, world, worker } = this.#parts
    const key = `${task.id}/${job}`
    if (last > 0 && !this.#retries.has(key)) {
      const mark = await board.markOf(task.id, job, last)
      const nowMs = world.clock.monotonic()
      const seen = this.#seen.get(key)
      if (seen?.mark !== mark) {
        this.#seen.set(key, { mark, sinceMs: nowMs })
        return undefined
      }
      if (nowMs - seen.sinceMs < this.#claimMs) return undefined
    }
    return (await board.claim(task.id, job, last + 1, worker)) ? last + 1 : undefined
  }

  async #do(task: Task, kind: JobKind, job: number, claim: number, signal: AbortSignal): Promise<void> {
    const { board, world, worker } = this.#parts
    const key = `${task.id}/${job}`
    const over = new AbortController()
    const own = AbortSignal.any([signal, over.signal])
    let progress: Record<string, unknown> | undefined
    let trouble: string | undefined
    let beats = 0
    const beat = () =>
      board.beat(task.id, job, claim, {
        worker,
        beats: ++beats,
        ...(progress && { progress }),
        ...(trouble !== undefined && { trouble }),
      })
    const beating = this.#keepBeating(task, over, beat)
    this.#now = { task: task.id, job }
    try {
      const result = await kind.run(task, job, { signal: own, progress: fields => (progress = fields) })
      own.throwIfAborted()
      await board.done(task.id, job, result)
      this.#jobsDone++
      this.#retries.delete(key)
      this.#troubles.clear(`job of ${task.id} failed`)
    } catch (error) {
      if (own.aborted) return
      const failures = (this.#retries.get(key)?.failures ?? 0) + 1
      const span = Math.min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** Math.min(failures - 1, 20))
      this.#retries.set(key, { failures, atMs: world.clock.monotonic() + span * world.random.fraction() })
      this.#troubles.note(`job of ${task.id} failed`, error, { task: task.id, job })
      trouble = (error as Error).message
      await beat().catch(() => undefined) // the store is down: nobody can read it now
    } finally {
      this.#now = undefined
      over.abort()
      await beating
    }
  }

  /** Shows that we live; looks whether it is still wanted. */
  async #keepBeating(task: Task, over: AbortController, beat: () => Promise<void>): Promise<void> {
    const { board, world } = this.#parts
    while (!over.signal.aborted) {
      try {
        await beat()
        if (await board.isOver(task.id)) over.abort(new Error(`task ${task.id} is over`))
      } catch (error) {
        this.#troubles.note(`no sign of life of task ${task.id} written`, error)
      }
      await world.clock.sleep(this.#claimMs / BEATS_PER_CLAIM, over.signal).catch(() => undefined)
    }
  }

  async #finish(task: Task, kind: JobKind): Promise<boolean> {
    const { board, world } = this.#parts
    const results: Record<string, unknown>[] = []
    for (let job = 0; job < task.jobs.length; job++) results.push((await board.result(task.id, job)) ?? {})
    const result = await kind.finish(task, results)
    const isOurs = await board.end(task.id, { state: 'done', result })
    if (isOurs) world.log.info('task done', { task: task.id, ...result })
    return isOurs
  }

  async #expire(task: Task, kind: JobKind): Promise<void> {
    const { board, world, mayDelete } = this.#parts
    const keepMs = kind.keepMs(task)
    if (keepMs === undefined || mayDelete?.() === false) return
    const ended = await board.ended(task.id)
    if (!ended || world.clock.now() - ended.atMs < keepMs) return
    world.log.info('task expired', { task: task.id })
    await board.drop(task.id)
  }

  /** The task is made first and the mark that it is dropped goes last: what has neither is of no task any more. */
  async #sweep(all: TaskKeys[]): Promise<void> {
    const orphans = all.filter(({ hasTask, isDropped }) => !hasTask && !isDropped).map(({ id }) => id)
    for (const id of [...this.#orphans.keys()]) if (!orphans.includes(id)) this.#orphans.delete(id)
    const nowMs = this.#parts.world.clock.monotonic()
    for (const id of orphans) {
      const sinceMs = this.#orphans.get(id)
      if (sinceMs === undefined) this.#orphans.set(id, nowMs)
      else if (nowMs - sinceMs >= this.#claimMs) await this.#parts.board.remove(id)
    }
  }

  get #claimMs(): number {
    return this.#parts.claimMs ?? CLAIM_MS
  }

  async #remove({ id, hasTask }: TaskKeys): Promise<void> {
    const { board, kinds } = this.#parts
    const task = hasTask ? await board.task(id) : undefined
    if (task) await kinds[task.kind]?.drop(task)
    await board.remove(id)
    this.#parts.world.log.info('task removed', { task: id })
  }
}
