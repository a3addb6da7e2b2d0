// Reads what a source has grown by, into the packet that is being collected. A line is given out when its end is there; a
// part of one after `partialMs`, at the end of a file that will not grow, or where what follows is in packets already.
import { EVENT_BYTES_MAX } from '../shared/events.ts'
import type { Clock, Disk, Log } from '../shared/world.ts'
import type { PacketBuilder, RunLabel } from './builder.ts'
import { pieceBytes } from './event-columns.ts'
import { readAt, type Source, TAIL_BYTES } from './source.ts'

/** One read at most. Also the fairness between files: a hot one is left after so much. */
export const READ_BYTES = 1024 * 1024
const NEWLINE = 0x0a

export class Reader {
  readonly #disk: Disk
  readonly #clock: Clock
  readonly #log: Log
  readonly #partialMs: number

  constructor(parts: { disk: Disk; clock: Clock; log: Log }, partialMs: number) {
    this.#disk = parts.disk
    this.#clock = parts.clock
    this.#log = parts.log
    this.#partialMs = partialMs
  }

  /**
   * Adds what is new to `builder`, at most READ_BYTES. Answers the bytes taken; 0 when there is nothing (yet).
   * Sets `source.isLost` when the file does not hold the source's content any more.
   * @param isLast  the file will not grow: a part of a line is given out at once
   */
  async read(source: Source, builder: PacketBuilder, isLast: boolean): Promise<number> {
    try {
      const taken = await this.#read(source, builder, isLast)
      source.readError = undefined
      return taken
    } catch (error) {
      // A failing disk or a stale mount under one file must not stop the others. It is opened anew at the next round.
      const { message } = error as Error
      if (source.readError !== message) this.#log.warn('file cannot be read', { path: source.path, error })
      source.readError = message
      await source
        .closeFile()
        .catch(closing => this.#log.debug('file not closed', { path: source.path, error: closing }))
      return 0
    }
  }

  async #read(source: Source, builder: PacketBuilder, isLast: boolean): Promise<number> {
    if (!(await this.#open(source))) return 0
    const file = source.file!
    const stat = await file.stat()
    const now = this.#clock.monotonic()
    const sizeBefore = source.size
    if (stat.size !== sizeBefore) source.grewAt = now
    source.size = stat.size
    if (stat.size < source.offset) return this.#lose(source, 'shorter than what was read of it', sizeBefore)
    await this.#skipCovered(source)
    if (stat.size === source.offset && (stat.mtimeMs === source.checkedMtimeMs || source.offset === 0)) return 0
    const isPartOnly = source.partial?.size === stat.size
    if (isPartOnly && !isLast && now - source.partial!.since < this.#partialMs) return 0
    // Compared before every read, not only after a wait: a file may be cut and grow past the offset between any two.
    if (!(await this.#isSame(source))) return this.#lose(source, 'other content than what was read of it', sizeBefore)
    source.checkedMtimeMs = stat.mtimeMs
    if (stat.size === source.offset) return 0
    const limit = Math.min(stat.size, source.readLimit)
    // Straight to where the packet is cut from: nothing is copied on the way.
    const space = builder.space(READ_BYTES)
    const got = await file.read(space.subarray(0, Math.min(space.length, limit - source.offset)), source.offset)
    const isAtEnd = source.offset + got >= limit
    const isPartDue = isAtEnd && (limit < stat.size || isPartOnly || isLast)
    const bytes = space.subarray(0, got)
    const taken = takenBytes(bytes, isPartDue)
    if (taken > 0) {
      const { offset, isMidLine, parser } = source
      builder.add(labelOf(source), parser, { offset, length: taken, isMidLine, readMs: this.#clock.now() })
      source.advance(bytes.subarray(0, taken))
    }
    if (taken < got && isAtEnd) {
      if (!isPartOnly) source.partial = { size: stat.size, since: now }
    } else {
      source.partial = undefined
    }
    return taken
  }

  async #open(source: Source): Promise<boolean> {
    if (source.file !== undefined) return true
    if (!(await source.openFile(this.#disk))) return false
    // Remembered by a buck that had not the last bytes: the file has them.
    if (source.tail.length === 0) {
      source.tail = await readAt(source.file!, Math.max(0, source.offset - TAIL_BYTES), source.offset)
    }
    return true
  }

  /** What follows is in packets already (taken back, or from before a gap): reading goes on behind it. */
  async #skipCovered(source: Source): Promise<void> {
    const to = source.coverage.endFrom(source.offset)
    if (to <= source.offset || to > source.size) return
    source.offset = to
    source.tail = await readAt(source.file!, Math.max(0, to - TAIL_BYTES), to)
  }

  async #isSame(source: Source): Promise<boolean> {
    const file = source.file!
    if (!(await readAt(file, 0, source.head.length)).equals(source.head)) return false
    return (await readAt(file, source.offset - source.tail.length, source.offset)).equals(source.tail)
  }

  #lose(source: Source, why: string, ownSize: number): 0 {
    this.#log.info('file changed under its name', {
      path: source.path,
      source: source.name,
      why,
      offset: source.offset,
    })
    source.isLost = true
    // What is there now is not its own.
    source.size = Math.max(source.offset, ownSize)
    return 0
  }
}

const labels = new WeakMap<Source, RunLabel>()

/** One object per source and path, not one per line. */
function labelOf(source: Source): RunLabel {
  let label = labels.get(source)
  if (label === undefined || label.path !== source.path) {
    label = {
      source: source.name,
      host: source.host,
      path: source.path,
      app: source.app,
      start: source.start,
      parent: source.parent,
    }
    labels.set(source, label)
  }
  return label
}

/**
 * How much of what was read goes into packets: whole lines; all of it if a part of a line is due; of a line that is longer
 * than an event what makes whole events.
 */
function takenBytes(bytes: Buffer, isPartDue: boolean): number {
  if (isPartDue) return bytes.length
  let at = bytes.lastIndexOf(NEWLINE) + 1
  for (let left = bytes.length - at; left >= EVENT_BYTES_MAX; left = bytes.length - at) {
    at += left > EVENT_BYTES_MAX ? pieceBytes(bytes, at) : left
  }
  return at
}
