// The columns that events are collected in, as those of shared/events, kept from packet to packet and grown in place.
import type { Events } from '../shared/events.ts'

const ROWS_AT_FIRST = 8192
const HIGH = new Uint8Array(new Uint16Array([1]).buffer)[0]

export class EventRows {
  count = 0
  ends = new Uint32Array(ROWS_AT_FIRST)
  times = new BigInt64Array(ROWS_AT_FIRST)
  /** The same memory: a BigInt per line costs as much as all of the rest. */
  halves = new Int32Array(this.times.buffer)
  /** Which of two halves is which. */
  readonly low = 1 - HIGH
  readonly high = HIGH
  lines = new Uint16Array(ROWS_AT_FIRST)
  hosts = new Uint16Array(ROWS_AT_FIRST)
  apps = new Uint16Array(ROWS_AT_FIRST)
  levels = new Uint8Array(ROWS_AT_FIRST)
  flags = new Uint8Array(ROWS_AT_FIRST)

  /** Room for so many more. */
  reserve(more: number): void {
    let size = this.ends.length
    if (this.count + more <= size) return
    while (size < this.count + more) size *= 2
    this.ends = grown(new Uint32Array(size), this.ends)
    this.times = grown(new BigInt64Array(size), this.times)
    this.halves = new Int32Array(this.times.buffer)
    this.lines = grown(new Uint16Array(size), this.lines)
    this.hosts = grown(new Uint16Array(size), this.hosts)
    this.apps = grown(new Uint16Array(size), this.apps)
    this.levels = grown(new Uint8Array(size), this.levels)
    this.flags = grown(new Uint8Array(size), this.flags)
  }

  /** Views: good until the next row. */
  get columns(): Omit<Events, 'runs' | 'bytes' | 'names'> {
    const { count } = this
    return {
      ends: this.ends.subarray(0, count),
      lines: this.lines.subarray(0, count),
      times: this.times.subarray(0, count),
      levels: this.levels.subarray(0, count),
      flags: this.flags.subarray(0, count),
      hosts: this.hosts.subarray(0, count),
      apps: this.apps.subarray(0, count),
    }
  }
}

function grown<T extends { set(from: T): void }>(larger: T, from: T): T {
  larger.set(from)
  return larger
}
