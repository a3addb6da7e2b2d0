// Long work that any number of processes share (histories, incident tools), in an object store beside the archive.
//
//   tasks/<id>/task.json               create-only: kind, parameters, and the jobs it is cut into
//   tasks/<id>/users/<name>            one for each who asked for it; who needs it no more removes his own
//   tasks/<id>/jobs/000007-claim-0001  create-only: who works on job 7 now; the greatest number counts
//   tasks/<id>/jobs/000007-beat-0001   written over by that worker: signs of life, and how far it is
//   tasks/<id>/jobs/000007-done        create-only: what came of it
//   tasks/<id>/ended.json              create-only: done, cancelled or failed; no job is begun any more
//   tasks/<id>/dropped.json            create-only: what it made, and then all of this, is being removed
//
// - A job may be done twice (a worker that was stopped and comes back): jobs are such that this does no harm.
// - A claim is dead when its beat did not change for CLAIM_MS by the watcher's own monotonic clock (as in shared/lease).
// - Documents are sealed JSON: one that is cut or of another version is refused by name.
import { decodeSealed, encodeSealed } from './sealed-json.ts'
import type { ObjectStore } from './stores.ts'
import type { World } from './world.ts'

const PREFIX = 'tasks/'
const VERSION = 1
const JOB_DIGITS = 6
const CLAIM_DIGITS = 4
/** A task is cut into at most so many jobs: their keys are listed at every look. */
export const JOBS_MAX = 10_000
export const CLAIM_MS = 20_000
const ID = /^[a-z0-9][a-z0-9-]{0,62}$/

export interface Task<P = Record<string, unknown>, J = Record<string, unknown>> {
  id: string
  kind: string
  /** Wall clock, for people and for expiry. */
  createdMs: number
  by: string
  params: P
  jobs: J[]
}

export interface Ended {
  state: 'done' | 'cancelled' | 'failed'
  atMs: number
  reason?: string
  /** Of the kind of task. */
  result?: Record<string, unknown>
}

/** What the keys alone tell. */
export interface TaskKeys {
  id: string
  users: string[]
  done: Set<number>
  /** Job → number of its last claim. */
  claims: Map<number, number>
  hasTask: boolean
  isEnded: boolean
  isDropped: boolean
}

export interface Beat {
  worker: string
  beats: number
  /** Of the kind of task. */
  progress?: Record<string, unknown>
  trouble?: string
}

export class TaskBoard {
  readonly #objects: ObjectStore
  readonly #world: Pick<World, 'clock' | 'random'>
  /** Documents that never change. */
  readonly #tasks = new Map<string, Task>()
  readonly #results = new Map<string, Record<string, unknown>>()

  constructor(objects: ObjectStore, world: Pick<World, 'clock' | 'random'>) {
    this.#objects = objects
    this.#world = world
  }

  /** False: there is one of this id. */
  async add(task: Task): Promise<boolean> {
    if (!ID.test(task.id)) throw new RangeError(`"${task.id}" is no id of a task`)
    if (task.jobs.length > JOBS_MAX)
      throw new RangeError(`${task.jobs.length} jobs: a task has at most ${JOBS_MAX}; take a shorter time`)
    return this.#objects.create(`${PREFIX}${task.id}/task.json`, seal('task', { ...task }))
  }

  /** All that are not dropped, oldest first. */
  async list(): Promise<TaskKeys[]> {
    return (await this.look()).filter(task => task.hasTask && !task.isDropped)
  }

  /** Everything, also what is being removed. */
  async look(id?: string): Promise<TaskKeys[]> {
    const tasks = new Map<string, TaskKeys>()
    for (const key of await this.#objects.list(id === undefined ? PREFIX : `${PREFIX}${id}/`)) {
      const [, name, ...rest] = key.split('/')
      const task = tasks.get(name) ?? emptyKeys(name)
      tasks.set(name, task)
      enter(task, rest)
    }
    if (id === undefined) this.#forgetAllBut(tasks)
    return [...tasks.values()]
  }

  async keysOf(id: string): Promise<TaskKeys | undefined> {
    if (!ID.test(id)) return undefined
    return (await this.look(id))[0]
  }

  async task(id: string): Promise<Task | undefined> {
    const known = this.#tasks.get(id)
    if (known) return known
    const task = await this.#read<Task>('task', `${PREFIX}${id}/task.json`)
    if (task) this.#tasks.set(id, task)
    return task
  }

  ended(id: string): Promise<Ended | undefined> {
    return this.#read<Ended>('end', `${PREFIX}${id}/ended.json`)
  }

  /** False: it had ended before, in whatever way. */
  end(id: string, ended: Omit<Ended, 'atMs'>): Promise<boolean> {
    const atMs = Math.floor(this.#world.clock.now())
    return this.#objects.create(`${PREFIX}${id}/ended.json`, seal('end', { ...ended, atMs }))
  }

  async addUser(id: string, name: string): Promise<void> {
    const unique = `${name.replace(/[^A-Za-z0-9_-]/g, '_').slice(0, 64) || 'user'}-${this.#world.random.bytes(6).toString('hex')}`
    await this.#objects.put(`${PREFIX}${id}/users/${unique}`, seal('user', { name }))
  }

  /** One who needs it no more: `name`'s own entry if there is one, else any. Answers how many are left. */
  async removeUser(id: string, name: string): Promise<number> {
    const users = (await this.keysOf(id))?.users ?? []
    const own = `${name.replace(/[^A-Za-z0-9_-]/g, '_')}-`
    const gone = users.find(user => user.startsWith(own)) ?? users[0]
    if (gone !== undefined) await this.#objects.remove(`${PREFIX}${id}/users/${gone}`)
    return Math.max(0, users.length - 1)
  }

  async drop(id: string): Promise<void> {
    await this.#objects.create(`${PREFIX}${id}/dropped.json`, seal('drop', {}))
  }

  /** The objects of a dropped task; the mark that it is dropped goes last. */
  async remove(id: string): Promise<void> {
    const keys = await this.#objects.list(`${PREFIX}${id}/`)
    const last = `${PREFIX}${id}/dropped.json`
    for (const key of keys) if (key !== last) await this.#objects.remove(key)
    await this.#objects.remove(last)
    this.#forget(id)
  }

  /** Another process removes tasks, too. */
  #forgetAllBut(there: ReadonlyMap<string, TaskKeys>): void {
    for (const id of [...this.#tasks.keys()]) if (!there.has(id)) this.#forget(id)
  }

  #forget(id: string): void {
    this.#tasks.delete(id)
    for (const key of [...this.#results.keys()]) if (key.startsWith(`${PREFIX}${id}/`)) this.#results.delete(key)
  }

  async isOver(id: string): Promise<boolean> {
    const keys = await this.keysOf(id)
    return !keys?.hasTask || keys.isEnded || keys.isDropped
  }

  /** False: another worker was quicker. */
  claim(id: string, job: number, number: number, worker: string): Promise<boolean> {
    const mark = this.#world.random.bytes(8).toString('hex')
    return this.#objects.create(jobKey(id, job, 'claim', number), seal('claim', { worker, mark }))
  }

  beat(id: string, job: number, number: number, beat: Beat): Promise<void> {
    return this.#objects.put(jobKey(id, job, 'beat', number), seal('beat', { ...beat }))
  }

  readBeat(id: string, job: number, number: number): Promise<Beat | undefined> {
    return this.#read<Beat>('beat', jobKey(id, job, 'beat', number))
  }

  /** Claim and beat as text: another text is a sign of life. */
  async markOf(id: string, job: number, number: number): Promise<string> {
    const beat = await this.#objects.get(jobKey(id, job, 'beat', number))
    return `${number} ${beat?.toString() ?? ''}`
  }

  /** False: it was done before. */
  done(id: string, job: number, result: Record<string, unknown>): Promise<boolean> {
    return this.#objects.create(jobKey(id, job, 'done'), seal('result', result))
  }

  async result<R>(id: string, job: number): Promise<R | undefined> {
    const key = jobKey(id, job, 'done')
    const known = this.#results.get(key)
    if (known) return known as R
    const result = await this.#read<Record<string, unknown>>('result', key)
    if (result) this.#results.set(key, result)
    return result as R | undefined
  }

  async #read<T>(what: string, key: string): Promise<T | undefined> {
    const bytes = await this.#objects.get(key)
    if (!bytes) return undefined
    try {
      return decodeSealed(bytes, formatOf(what), VERSION) as T
    } catch (cause) {
      throw new Error(`${key} beside the archive cannot be read: ${(cause as Error).message}`, { cause })
    }
  }
}

function emptyKeys(id: string): TaskKeys {
  return {
    id,
    users: [],
    done: new Set(),
    claims: new Map(),
    hasTask: false,
    isEnded: false,
    isDropped: false,
  }
}

function enter(task: TaskKeys, [name, inner]: string[]): void {
  if (name === 'task.json') task.hasTask = true
  else if (name === 'ended.json') task.isEnded = true
  else if (name === 'dropped.json') task.isDropped = true
  else if (name === 'users') task.users.push(inner)
  else if (name === 'jobs') {
    const found = /^(\d{6})-(?:(done)|claim-(\d{4}))$/.exec(inner)
    if (!found) return
    const job = Number(found[1])
    if (found[2]) task.done.add(job)
    else task.claims.set(job, Math.max(task.claims.get(job) ?? 0, Number(found[3])))
  }
}

function jobKey(id: string, job: number, what: 'claim' | 'beat' | 'done', number?: number): string {
  const suffix = number === undefined ? '' : `-${String(number).padStart(CLAIM_DIGITS, '0')}`
  return `${PREFIX}${id}/jobs/${String(job).padStart(JOB_DIGITS, '0')}-${what}${suffix}`
}

function formatOf(what: string): string {
  return `bucktail task ${what}`
}

function seal(what: string, fields: Record<string, unknown>): Buffer {
  return encodeSealed(formatOf(what), VERSION, fields)
}
