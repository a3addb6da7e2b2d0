// One buck's change log, followed for as long as its link lives. It only marks what grew; the rounds do the work.
import { type Link, RefusedError } from '../shared/link.ts'
import type { Bucket } from '../shared/messages.ts'
import type { World } from '../shared/world.ts'
import type { BuckView } from './buck-view.ts'
import type { Troubles } from './troubles.ts'

/** How long a buck waits for something to tell. */
const WAIT_MS = 10_000
/** More buckets than this in one answer is no bucket log: ten years of ten-second buckets. */
const BUCKETS_MAX = 32_000_000

/** Resolves when the link is closed or `signal` aborts. */
export async function follow(
  link: Link,
  view: BuckView,
  parts: { world: Pick<World, 'clock'>; troubles: Troubles; pollMs: number; onHeard: (buckets: Bucket[]) => void },
  signal: AbortSignal,
): Promise<void> {
  const { world, troubles, pollMs, onHeard } = parts
  let isClosed = false
  void link.closed.then(() => {
    isClosed = true
  })
  let failures = 0
  while (!isClosed && !signal.aborted && view.link === link) {
    try {
      const ask = { logId: view.logId, after: view.number, waitMs: WAIT_MS }
      const { body } = await link.ask('changes', ask, undefined, WAIT_MS * 2)
      if (view.link !== link) return
      // The beliefs were dropped while this was on its way: its list would not be all.
      if (view.logId !== ask.logId) continue
      if (!isChanges(body)) throw new RefusedError('bad-request', 'the answer to changes is not of its form')
      view.heard(body, world.clock.monotonic())
      onHeard(body.buckets)
      failures = 0
      troubles.clear(`changes of ${view.address} not told`)
    } catch (error) {
      if (isClosed || signal.aborted) return
      failures++
      troubles.note(`changes of ${view.address} not told`, error)
    }
    // The least time between two asks, also when a buck answers at once with nothing.
    await world.clock.sleep(pollMs * 2 ** Math.min(failures, 5), signal).catch(() => undefined)
  }
}

function isChanges(body: { logId: string; number: number; buckets: Bucket[] }): boolean {
  return (
    typeof body.logId === 'string' &&
    body.logId !== '' &&
    Number.isSafeInteger(body.number) &&
    Array.isArray(body.buckets) &&
    body.buckets.length <= BUCKETS_MAX &&
    body.buckets.every(bucket => Number.isInteger(bucket) && bucket >= 0)
  )
}
