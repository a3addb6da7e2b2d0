// The columns that events are collected in, as those of shared/events, kept from packet to packet and grown in place. While
// lines are known from others they are the codec's, which writes most rows itself.
import type { RowColumns } from '../shared/columns/known-memory.ts'
import type { Events } from '../shared/events.ts'

const ROWS_AT_FIRST = 8192
const HIGH = new Uint8Array(new Uint16Array([1]).buffer)[0]

export class EventRows implements RowColumns {
  count = 0
  ends: Uint32Array = new Uint32Array(ROWS_AT_FIRST)
  times: BigInt64Array = new BigInt64Array(ROWS_AT_FIRST)
  /** The same memory: a BigInt per line costs as much as all of the rest. */
  halves = halvesOf(this.times)
  /** Which of two halves is which. */
  readonly low = 1 - HIGH
  readonly high = HIGH
  lines: Uint16Array = new Uint16Array(ROWS_AT_FIRST)
  hosts: Uint16Array = new Uint16Array(ROWS_AT_FIRST)
  apps: Uint16Array = new Uint16Array(ROWS_AT_FIRST)
  levels: Uint8Array = new Uint8Array(ROWS_AT_FIRST)
  flags: Uint8Array = new Uint8Array(ROWS_AT_FIRST)
  /** Its own columns, while it has the codec's. */
  #own: RowColumns | undefined

  /** Room for so many more. */
  reserve(more: number): void {
    if (this.count + more <= this.ends.length) return
    this.giveBack()
    const size = sizeFor(this.count + more, this.ends.length)
    if (size > this.ends.length) this.#take(copied(this, emptyColumns(size), this.count))
  }

  /** Rows from now on are written into these columns. */
  borrow(columns: RowColumns): void {
    this.#own = columnsOf(this)
    this.#take(columns)
  }

  get isBorrowed(): boolean {
    return this.#own !== undefined
  }

  /** The rows so far into columns of its own; those it had borrowed may go. */
  giveBack(): void {
    const own = this.#own
    if (own === undefined) return
    this.#own = undefined
    const size = sizeFor(this.count, own.ends.length)
    this.#take(copied(this, size > own.ends.length ? emptyColumns(size) : own, this.count))
  }

  #take({ ends, times, lines, hosts, apps, levels, flags }: RowColumns): void {
    this.ends = ends
    this.times = times
    this.halves = halvesOf(times)
    this.lines = lines
    this.hosts = hosts
    this.apps = apps
    this.levels = levels
    this.flags = flags
  }

  /** Views: good until the next row. */
  get columns(): Omit<Events, 'runs' | 'bytes' | 'names'> {
    return firstOf(this, this.count)
  }
}

function halvesOf(times: BigInt64Array): Int32Array {
  return new Int32Array(times.buffer, times.byteOffset, times.length * 2)
}

function sizeFor(count: number, atLeast: number): number {
  let size = atLeast
  while (size < count) size *= 2
  return size
}

function emptyColumns(size: number): RowColumns {
  return {
    ends: new Uint32Array(size),
    times: new BigInt64Array(size),
    lines: new Uint16Array(size),
    hosts: new Uint16Array(size),
    apps: new Uint16Array(size),
    levels: new Uint8Array(size),
    flags: new Uint8Array(size),
  }
}

function columnsOf({ ends, times, lines, hosts, apps, levels, flags }: RowColumns): RowColumns {
  return { ends, times, lines, hosts, apps, levels, flags }
}

function firstOf(columns: RowColumns, count: number): RowColumns {
  return {
    ends: columns.ends.subarray(0, count),
    times: columns.times.subarray(0, count),
    lines: columns.lines.subarray(0, count),
    hosts: columns.hosts.subarray(0, count),
    apps: columns.apps.subarray(0, count),
    levels: columns.levels.subarray(0, count),
    flags: columns.flags.subarray(0, count),
  }
}

function copied(from: RowColumns, to: RowColumns, count: number): RowColumns {
  const { ends, times, lines, hosts, apps, levels, flags } = firstOf(from, count)
  to.ends.set(ends)
  to.times.set(times)
  to.lines.set(lines)
  to.hosts.set(hosts)
  to.apps.set(apps)
  to.levels.set(levels)
  to.flags.set(flags)
  return to
}
