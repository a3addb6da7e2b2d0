// One round of the holder of the lease, cut into jobs by span and hash of tailer, so that every porter and helper with a
// pass carries a part of a backlog.
//
//   the holder   inventories ▸ what the stores lack ▸ cut ─▶ board ─▶ works on them, too ─▶ all done ─▶ compares all of it anew
//   the others   claim ▸ inventories of the job's buckets ▸ what of its tailers the stores lack ▸ fetch ▸ add ─▶ done
//
// - A job only adds. What is archived is told to the bucks by the holder alone, after it asked the stores itself: a job that
//   was done badly, twice or not at all costs time.
// - A holder that was killed leaves its task; the next one ends it before its own first round.
// - The holder waits for nobody: with a failure of its own, or when others take too long, it goes on by itself.
import type { TaskBoard } from '../shared/task-board.ts'
import type { World } from '../shared/world.ts'
import { type JobKind, type JobPass, Jobs } from './jobs.ts'
import type { CarryJob } from './round-cut.ts'
import type { Troubles } from './troubles.ts'

export const CARRY_KIND = 'carry'

/** A task that nobody ended stays so long after the last job of it, then whoever looks removes it. */
const KEEP_MS = 60_000
/** Without work of its own, the holder waits so long for the jobs of others. */
const OTHERS_MS_MAX = 120_000
const LOOK_MS = 500

/** What of a job was not there before. */
export interface Hauled extends Record<string, unknown> {
  indexedEvents: number
  archivedEvents: number
}

export type Haul = (job: CarryJob, signal: AbortSignal) => Promise<Hauled>

/** @param worker  whose own tasks are left alone: there they are worked on as part of the round */
export function carryKind(haul: Haul, worker?: string): JobKind {
  return {
    run: (task, job, pass: JobPass) => haul(task.jobs[job] as unknown as CarryJob, pass.signal),
    mayBegin: task => task.by !== worker,
    finish: async (_, results) => ({
      indexedEvents: sumOf(results, 'indexedEvents'),
      archivedEvents: sumOf(results, 'archivedEvents'),
    }),
    keepMs: () => KEEP_MS,
    drop: async () => undefined,
  }
}

export interface SharedRoundParts {
  board: TaskBoard
  world: Pick<World, 'clock' | 'random' | 'log'>
  troubles: Troubles
  /** Of this process, as the others see it. */
  worker: string
  haul: Haul
  /** Tests are in a hurry. */
  othersMsMax?: number
  claimMs?: number
}

/**
 * Resolves when all jobs are done, or when it is better to go on alone. Rejects for trouble of the board.
 * @returns whether somebody else did a job
 */
export async function shareRound(parts: SharedRoundParts, jobs: CarryJob[], signal: AbortSignal): Promise<boolean> {
  const { board, world, troubles, worker, haul, othersMsMax = OTHERS_MS_MAX, claimMs } = parts
  const { clock, random } = world
  const id = `${CARRY_KIND}-${random.bytes(8).toString('hex')}`
  const createdMs = Math.floor(clock.now())
  await board.add({ id, kind: CARRY_KIND, createdMs, by: worker, params: {}, jobs: jobs.map(job => ({ ...job })) })
  const alone = new AbortController()
  const until = AbortSignal.any([signal, alone.signal])
  let busy = 0
  let workedMs = clock.monotonic()
  const haulHere: Haul = async (job, jobSignal) => {
    busy++
    try {
      return await haul(job, jobSignal)
    } catch (error) {
      // What fails here fails in the round, too, which says so in its own words and tries again in its own time.
      if (!jobSignal.aborted) alone.abort()
      throw error
    } finally {
      busy--
      workedMs = clock.monotonic()
    }
  }
  const watching = (async () => {
    while (!until.aborted) {
      await clock.sleep(LOOK_MS, until).catch(() => undefined)
      if (busy > 0 || clock.monotonic() - workedMs < othersMsMax) continue
      troubles.note('others are slow with their part of a round', new Error(`${id}: it is done here`))
      alone.abort()
    }
  })()
  try {
    const kinds = { [CARRY_KIND]: carryKind(haulHere) }
    const own = new Jobs({ board, kinds, world, worker, only: id, pollMs: LOOK_MS, ...(claimMs && { claimMs }) })
    await own.run(until)
    return !until.aborted && own.status().jobsDone < jobs.length
  } finally {
    alone.abort()
    await watching
    await clear(board, id, 'the round goes on')
  }
}

/**
 * The rounds of former holders: who has the lease compares everything anew, so nobody waits for them. Also for one whose name
 * and process number are ours: in a container every life has the same.
 */
export async function clearFormerRounds(board: TaskBoard): Promise<void> {
  for (const { id } of await board.look()) {
    if (id.startsWith(`${CARRY_KIND}-`)) await clear(board, id, 'its holder is gone')
  }
}

/** Ended first: who works on a job of it sees that nobody waits for it any more. */
async function clear(board: TaskBoard, id: string, reason: string): Promise<void> {
  await board.end(id, { state: 'cancelled', reason })
  await board.drop(id)
  await board.remove(id)
}

function sumOf(results: Record<string, unknown>[], what: keyof Hauled): number {
  return results.reduce((sum, result) => sum + ((result[what] as number | undefined) ?? 0), 0)
}
