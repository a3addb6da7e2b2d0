// The World of a process on a real machine (contract: shared/world.ts). Files: shared/real-disk.ts.
import { randomBytes } from 'node:crypto'
import { realDisk } from './real-disk.ts'
import type { Clock, Log, Random, World } from './world.ts'

/** setTimeout holds 31 bits; a longer sleep is made of several. */
const TIMER_MS_MAX = 2 ** 31 - 1

export const realClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  async sleep(ms, signal) {
    let left = ms
    for (; left > TIMER_MS_MAX; left -= TIMER_MS_MAX) await timer(TIMER_MS_MAX, signal)
    // What should have been by now is over at the next turn.
    await timer(Math.max(0, left), signal)
  },
}

export const realRandom: Random = {
  bytes: count => randomBytes(count),
  fraction: () => randomBytes(6).readUIntBE(0, 6) / 2 ** 48,
}

export function realWorld(options: { log: Log }): World {
  return { clock: realClock, random: realRandom, disk: realDisk, log: options.log }
}

function timer(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason)
    const onAbort = () => {
      clearTimeout(handle)
      reject(signal?.reason)
    }
    const handle = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    }, ms)
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}
