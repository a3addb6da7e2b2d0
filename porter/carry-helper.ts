// A part of somebody else's round: this process asks the bucks over links of its own, for one job, and adds.
import { type Dialer, RefusedError } from '../shared/link.ts'
import type { EventStore } from '../shared/stores.ts'
import type { World } from '../shared/world.ts'
import { BuckView } from './buck-view.ts'
import { Carry } from './carry.ts'
import type { Haul } from './carry-jobs.ts'
import { Troubles } from './troubles.ts'
import { Words } from './words.ts'

/** Text and packets in memory for one add, as the porter's own. */
const BATCH_BYTES = 16 * 1024 * 1024

export interface HelperParts {
  dialer: Dialer
  bucks: string[]
  index: EventStore
  archive: EventStore
  world: Pick<World, 'clock' | 'random' | 'log'>
}

/** Rejects if no buck can be asked: then the job is another's. */
export function haulOf({ dialer, bucks, index, archive, world }: HelperParts): Haul {
  return async (job, signal) => {
    const troubles = new Troubles(world)
    const views: BuckView[] = []
    try {
      let failure: unknown
      for (const address of new Set(bucks)) {
        const view = new BuckView(address)
        try {
          view.link = await dialer.dial(address)
        } catch (error) {
          failure = error
          continue
        }
        views.push(view)
        view.link.serve(async type => {
          if (type === 'ping') return { body: {} as never }
          throw new RefusedError('bad-request', `a helper does not answer ${type}`)
        })
        // It believes nothing of what a buck had before: what it says in this job is all there is.
        const answer = { logId: '', number: 0, buckets: job.errands.map(({ bucket }) => bucket) }
        view.heard(answer, world.clock.monotonic())
      }
      if (views.length === 0) throw failure
      const words = new Words(troubles)
      const batches = { indexBatchBytes: BATCH_BYTES, archiveBatchBytes: BATCH_BYTES }
      const carry = new Carry({ index, archive, reachable: () => views, words, troubles, world, ...batches })
      return await carry.haul(job, signal)
    } finally {
      for (const view of views) view.link?.close('the job is over')
    }
  }
}
