// So many bytes of a log per day (UTC), all of its generations together. What is over it waits in the file until midnight, or
// is dropped (tailer/drop). How much was taken today is written to `quotas.json` of the tailer's folder every few seconds: a
// crash forgets the last of it.
import { join } from 'node:path'
import type { Clock, Disk, Log } from '../../shared/world.ts'
import type { FileRule } from '../find-files.ts'
import { rotationSet } from '../rotation.ts'
import type { Source } from '../source.ts'
import type { Limit } from './dropper.ts'

export interface Quota {
  bytesPerDay: number
  /** Default: wait. */
  over?: 'wait' | 'discard'
}

const FILE = 'quotas.json'
const DAY_MS = 86_400_000
/** Logs of which is remembered how much was taken; the one not asked about for longest goes first. */
const LOGS_MAX = 10_000

interface Taken {
  /** Days since 1970. */
  day: number
  bytes: number
}

export class Quotas {
  readonly #disk: Disk
  readonly #path: string
  readonly #clock: Clock
  readonly #log: Log
  /** By rotation set. */
  readonly #taken: Map<string, Taken>
  readonly #known = new WeakMap<Source, FileRule | undefined>()
  readonly #limits = new Map<string, QuotaLimit>()
  #isWritten = true

  private constructor(parts: { disk: Disk; clock: Clock; log: Log }, path: string, taken: Map<string, Taken>) {
    this.#disk = parts.disk
    this.#clock = parts.clock
    this.#log = parts.log
    this.#path = path
    this.#taken = taken
  }

  /** A file that cannot be read costs what it knew of today, not the start. */
  static async open(parts: { disk: Disk; clock: Clock; log: Log }, folder: string): Promise<Quotas> {
    const path = join(folder, FILE)
    const taken = new Map<string, Taken>()
    try {
      if ((await parts.disk.stat(path)) !== undefined) {
        const stored: unknown = JSON.parse((await parts.disk.readFile(path)).toString('utf8'))
        for (const [log, { day, bytes }] of Object.entries(stored as Record<string, Taken>).slice(-LOGS_MAX)) {
          if (Number.isSafeInteger(day) && Number.isSafeInteger(bytes)) taken.set(log, { day, bytes })
        }
      }
    } catch (error) {
      parts.log.warn('quotas of today cannot be read: they begin anew', { path, error })
    }
    return new Quotas(parts, path, taken)
  }

  /** Puts the quota of its rule before a source, once. */
  attach(source: Source): void {
    const { rule } = source
    if (this.#known.has(source) && this.#known.get(source) === rule) return
    this.#known.set(source, rule)
    const quota = rule?.quota
    const log = rotationSet(source.path)
    if (quota === undefined) {
      this.#limits.delete(log)
      return
    }
    const limit = new QuotaLimit(quota, log, this)
    this.#limits.set(log, limit)
    if (quota.over === 'discard') source.way.dropper!.limits.push(limit)
    else source.allowance = source.allowance === undefined ? limit : bothOf(limit, source.allowance)
  }

  /** What is left of today's quotas, by log. */
  left(): [log: string, bytes: number][] {
    return [...this.#limits].map(([log, { quota }]) => [log, Math.max(0, quota.bytesPerDay - this.taken(log))])
  }

  /** Today, of all generations of a log. */
  taken(log: string): number {
    const taken = this.#taken.get(log)
    return taken?.day === this.#today() ? taken.bytes : 0
  }

  take(log: string, bytes: number, quota: Quota): void {
    const before = this.taken(log)
    // Again: the one asked about last comes last.
    this.#taken.delete(log)
    this.#taken.set(log, { day: this.#today(), bytes: before + bytes })
    for (const oldest of this.#taken.keys()) {
      if (this.#taken.size <= LOGS_MAX) break
      this.#taken.delete(oldest)
    }
    this.#isWritten = false
    if (before >= quota.bytesPerDay || before + bytes < quota.bytesPerDay) return
    const then = quota.over === 'discard' ? 'lines are dropped' : 'its rest waits in the file'
    this.#log.warn(`quota of the day is spent: ${then} until midnight UTC`, { log, bytes: quota.bytesPerDay })
  }

  async write(): Promise<void> {
    if (this.#isWritten) return
    this.#isWritten = true
    const today = this.#today()
    const taken = [...this.#taken].filter(([, { day }]) => day === today)
    try {
      await this.#disk.replaceFile(this.#path, Buffer.from(`${JSON.stringify(Object.fromEntries(taken))}\n`))
    } catch (error) {
      this.#isWritten = false
      this.#log.warn('quotas of today are not written: tried again', { path: this.#path, error })
    }
  }

  #today(): number {
    return Math.floor(this.#clock.now() / DAY_MS)
  }
}

class QuotaLimit implements Limit {
  readonly name = 'quota'
  readonly quota: Quota
  readonly #log: string
  readonly #quotas: Quotas

  constructor(quota: Quota, log: string, quotas: Quotas) {
    this.quota = quota
    this.#log = log
    this.#quotas = quotas
  }

  isSpent(): boolean {
    return this.#quotas.taken(this.#log) >= this.quota.bytesPerDay
  }

  spend(bytes: Buffer): void {
    this.#quotas.take(this.#log, bytes.length, this.quota)
  }
}

function bothOf(a: Limit, b: Limit): Limit {
  return {
    name: a.name,
    isSpent: now => [a.isSpent(now), b.isSpent(now)].includes(true),
    spend(bytes) {
      a.spend(bytes)
      b.spend(bytes)
    },
  }
}
