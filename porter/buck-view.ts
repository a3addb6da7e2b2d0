// What the porter believes of one buck. In memory only: a porter that starts reads all inventories again.
//
//   announced ──▶ version + 1 ──▶ read and indexed: indexed = version ──▶ archived and told: archived = version ──▶ forgotten
//
// The cursor (logId, number) is what was *heard*. What was heard and is not done yet is in `buckets` for as long as this
// process lives; so the cursor never says more than what is done or remembered, and it is kept nowhere else.
import type { Link } from '../shared/link.ts'
import type { Bucket } from '../shared/messages.ts'
import { RangeSet } from '../shared/ranges.ts'

export interface Growth {
  /** Counts announcements. */
  version: number
  /** The version up to which everything is in the index; in the archive, with the buck told so. */
  indexed: number
  archived: number
  /** Monotonic time of the first announcement. */
  heardMs: number
  /** Of the first announcement that is not in the index. */
  waitingMs: number
  /** Not before this monotonic time, after a failure. */
  retryMs: number
  failures: number
  /** Packets in the last inventory. */
  packets: number
  /** Its inventory was read once at least. */
  isRead: boolean
}

const RETRY_BASE_MS = 2_000
const RETRY_CAP_MS = 600_000

export class BuckView {
  readonly address: string
  /** Present while the buck can be reached. */
  link: Link | undefined
  logId = ''
  number = 0
  readonly buckets = new Map<Bucket, Growth>()
  /** Sequences that its inventories listed, per `tailer/epoch`. */
  readonly held = new Map<string, RangeSet>()

  constructor(address: string) {
    this.address = address
  }

  heard(answer: { logId: string; number: number; buckets: Bucket[] }, nowMs: number): void {
    if (answer.logId !== this.logId) {
      // Started anew: perhaps with less than it had.
      this.forget()
      this.logId = answer.logId
    }
    this.number = answer.number
    for (const bucket of answer.buckets) {
      const growth = this.buckets.get(bucket)
      if (growth) {
        if (growth.indexed === growth.version) growth.waitingMs = nowMs
        growth.version++
        growth.retryMs = 0
        growth.failures = 0
      } else {
        this.buckets.set(bucket, {
          version: 1,
          indexed: 0,
          archived: 0,
          heardMs: nowMs,
          waitingMs: nowMs,
          retryMs: 0,
          failures: 0,
          packets: 0,
          isRead: false,
        })
      }
    }
  }

  /** Nothing is believed any more: the next `changes` asks for all buckets. */
  forget(): void {
    this.logId = ''
    this.number = 0
    this.buckets.clear()
    this.held.clear()
  }

  hold(key: string, first: number, count: number): void {
    const ranges = this.held.get(key) ?? new RangeSet()
    ranges.add(first, first + count)
    this.held.set(key, ranges)
  }

  /** The index lost something: what this buck has is compared again. */
  indexAgain(): void {
    for (const growth of this.buckets.values()) growth.indexed = 0
  }

  failed(bucket: Bucket, nowMs: number): void {
    const growth = this.buckets.get(bucket)
    if (!growth) return
    growth.retryMs = nowMs + Math.min(RETRY_CAP_MS, RETRY_BASE_MS * 2 ** Math.min(growth.failures, 20))
    growth.failures++
  }

  done(bucket: Bucket, version: number, part: 'indexed' | 'archived'): void {
    const growth = this.buckets.get(bucket)
    if (!growth) return
    growth[part] = Math.max(growth[part], version)
    growth.failures = 0
    growth.retryMs = 0
    if (growth.indexed === growth.version && growth.archived === growth.version) this.buckets.delete(bucket)
  }
}
