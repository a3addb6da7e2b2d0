// Reads what a source has grown by, into the packet that is being collected. A line is given out when its end is there; a
// part of one after `partialMs`, at the end of a file that will not grow, or where what follows is in packets already. So is
// the last event, if more lines may come of it: after `recordMs`. What waits stays in the file.
import { EVENT_BYTES_MAX } from '../shared/events.ts'
import { RangeSet } from '../shared/ranges.ts'
import type { Clock, Disk, Log } from '../shared/world.ts'
import type { PacketBuilder, RunLabel } from './builder.ts'
import { addStretches } from './drop/add-stretches.ts'
import { blank, spendKept } from './drop/dropper.ts'
import { pieceBytes } from './event-columns.ts'
import { isLike, readRedacted, UNFINISHED_BYTES } from './redact/redactor.ts'
import { readAt, type Source, TAIL_BYTES } from './source.ts'

/** One read at most. Also the fairness between files: a hot one is left after so much. */
export const READ_BYTES = 1024 * 1024
/** Of a file with a rate limit: the least that always has whole events. */
const LIMITED_READ_BYTES = 2 * EVENT_BYTES_MAX
const NEWLINE = 0x0a

/** Bytes [from, to) of a source out of the journal; undefined if they are not there. */
type JournalBytes = (source: Source, from: number, to: number) => Promise<Buffer | undefined>

export class Reader {
  readonly #disk: Disk
  readonly #clock: Clock
  readonly #log: Log
  readonly #partialMs: number
  readonly #recordMs: number
  readonly #journalBytes: JournalBytes

  constructor(
    parts: { disk: Disk; clock: Clock; log: Log },
    partialMs: number,
    recordMs: number,
    journalBytes: JournalBytes,
  ) {
    this.#journalBytes = journalBytes
    this.#disk = parts.disk
    this.#clock = parts.clock
    this.#log = parts.log
    this.#partialMs = partialMs
    this.#recordMs = recordMs
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
    if (stat.size !== sizeBefore) {
      source.grewAt = now
      source.hasGrown = true
    }
    source.size = stat.size
    if (stat.size < source.offset) return this.#lose(source, 'shorter than what was read of it', sizeBefore)
    await this.#skipCovered(source)
    if (stat.size === source.offset && (stat.mtimeMs === source.checkedMtimeMs || source.offset === 0)) return 0
    const waited = source.partial?.size === stat.size ? source.partial : undefined
    const waitedMs = waited === undefined ? 0 : now - waited.since
    if (waited !== undefined && !isLast && waitedMs < waited.waitMs) return 0
    const allowance = isLast ? undefined : source.allowance
    if (allowance?.isSpent(now)) return 0
    const limit = Math.min(stat.size, source.readLimit)
    const isPacked = source.last?.inflatedBytes !== undefined
    // Of a compressed file the beginning first: it is gone through forwards.
    if (isPacked && !(await this.#isSame(source))) return this.#loseOther(source, sizeBefore)
    // Straight to where the packet is cut from: nothing is copied on the way.
    const space = builder.space(allowance === undefined ? READ_BYTES : LIMITED_READ_BYTES)
    const room = Math.min(space.length, limit - source.offset)
    const got = room > 0 ? await file.read(space.subarray(0, room), source.offset) : 0
    // Compared at every read, and after it: a file may be cut and grow past the offset between any two steps. What has
    // the known bytes still had them when it was read.
    if (!isPacked && !(await this.#isSame(source))) return this.#loseOther(source, sizeBefore)
    source.checkedMtimeMs = stat.mtimeMs
    if (got === 0) return 0
    const isAtEnd = source.offset + got >= limit
    const isOver = isAtEnd && (limit < stat.size || isLast)
    const isPartDue = isOver || (waited !== undefined && waitedMs >= this.#partialMs)
    const isRecordDue = isPartDue || (waited !== undefined && waitedMs >= this.#recordMs)
    const bytes = space.subarray(0, got)
    const { redactor } = source.way
    let taken = takenBytes(bytes, isPartDue, isOver || redactor === undefined ? 0 : UNFINISHED_BYTES)
    let waitMs = this.#partialMs
    if (!isRecordDue || !isAtEnd) {
      const whole = taken
      taken -= openBytes(source, bytes, taken, isAtEnd)
      if (taken < whole) waitMs = this.#recordMs
    }
    if (taken > 0) {
      const { offset, isMidLine, parser } = source
      const records = source.way.records.isTrivial ? undefined : source.way.records
      const { dropper } = source.way
      const stretches = dropper?.judge(bytes.subarray(0, taken), records, isMidLine, isLast ? undefined : now)
      const hidden = redactor === undefined ? undefined : await this.#mask(source, bytes, taken)
      const readMs = this.#clock.now()
      const written = { lastMs: stat.mtimeMs, isFresh: source.isCaughtUp }
      const span = { offset, length: taken, isMidLine, readMs, records, hidden, written }
      if (stretches === undefined) {
        builder.add(labelOf(source), parser, span)
        allowance?.spend(bytes.subarray(0, taken))
      } else {
        addStretches(builder, labelOf(source), parser, span, stretches)
        if (allowance !== undefined) spendKept(allowance, bytes, stretches)
      }
      // What is known of the file is what is in it: of lines that are dropped, too.
      source.advance(bytes.subarray(0, taken))
      if (stretches !== undefined) blank(bytes, stretches)
    }
    source.isCaughtUp = isAtEnd
    if (taken < got && isAtEnd) {
      source.partial = { size: stat.size, since: waited?.since ?? now, waitMs: Math.max(waitMs, waitedMs) }
    } else {
      source.partial = undefined
    }
    return taken
  }

  /**
   * Hides in the first `taken` bytes what is to be hidden; also what began before them, or ends behind.
   * @returns where that begins
   */
  async #mask(source: Source, bytes: Buffer, taken: number): Promise<number[]> {
    const redactor = source.way.redactor!
    const countBefore = redactor.count
    let hidden: number[] = []
    let from = 0
    if (source.isMidLine) {
      const before = await readAt(source.file!, Math.max(0, source.offset - UNFINISHED_BYTES), source.offset)
      const lineEnd = bytes.indexOf(NEWLINE) + 1
      from = lineEnd === 0 ? bytes.length : lineEnd
      const joined = Buffer.concat([before, bytes.subarray(0, from)])
      hidden = redactor.mask(joined).map(at => Math.max(0, at - before.length))
      joined.copy(bytes, 0, before.length)
    }
    // A line of which only a part is taken is looked at as far as it is there.
    const to = bytes[taken - 1] === NEWLINE ? taken : bytes.length
    if (from < to) hidden = hidden.concat(redactor.mask(bytes, from, to))
    source.redactedPlaces += redactor.count - countBefore
    return hidden
  }

  async #open(source: Source): Promise<boolean> {
    if (source.file !== undefined) return true
    if (!(await source.openFile(this.#disk))) return false
    // Remembered by a buck that had not the last bytes: the file has them.
    if (source.tail.length === 0) {
      const from = Math.max(0, source.offset - TAIL_BYTES)
      source.tail = await readRedacted(source.file!, from, source.offset, source.way.redactor)
    }
    return true
  }

  /** What follows is in packets already (taken back, or from before a gap): reading goes on behind it. */
  async #skipCovered(source: Source): Promise<void> {
    const to = source.coverage.endFrom(source.offset)
    if (to <= source.offset || to > source.size) return
    if (!(await this.#hasCovered(source, to))) {
      // Put back since, or bucks alone know of it: read under the same name, and what is the same counts once.
      source.coverage = new RangeSet([[source.start, source.offset]])
      return
    }
    source.offset = to
    source.tail = await readRedacted(source.file!, Math.max(0, to - TAIL_BYTES), to, source.way.redactor)
  }

  /** Whether the file has, up to `to`, what the packets have. */
  async #hasCovered(source: Source, to: number): Promise<boolean> {
    for (let at = source.offset; at < to; at += READ_BYTES) {
      const end = Math.min(to, at + READ_BYTES)
      const expected = await this.#journalBytes(source, at, end)
      if (expected === undefined) return false
      if (!isLike(await readAt(source.file!, at, end), expected, source.isRedacted)) return false
    }
    return true
  }

  async #isSame(source: Source): Promise<boolean> {
    const file = source.file!
    const { head, tail, offset, isRedacted } = source
    if (!isLike(await readAt(file, 0, head.length), head, isRedacted)) return false
    return isLike(await readAt(file, offset - tail.length, offset), tail, isRedacted)
  }

  #loseOther(source: Source, ownSize: number): 0 {
    return this.#lose(source, 'other content than what was read of it', ownSize)
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
 * @param unfinished  so much of a line without its end stays where it is
 */
function takenBytes(bytes: Buffer, isPartDue: boolean, unfinished: number): number {
  const whole = bytes.lastIndexOf(NEWLINE) + 1
  if (isPartDue) return whole === bytes.length ? whole : Math.max(whole, bytes.length - unfinished)
  let at = whole
  for (let left = bytes.length - at; left >= EVENT_BYTES_MAX + unfinished; left = bytes.length - at) {
    at += left > EVENT_BYTES_MAX ? pieceBytes(bytes, at) : left
  }
  return at
}

/** Of the first `taken` bytes those of the last event, if it waits for more: its next line may not be read yet, or not written. */
function openBytes(source: Source, bytes: Buffer, taken: number, isAtEnd: boolean): number {
  const { records } = source.way
  if (records.isTrivial || taken === 0 || bytes[taken - 1] !== NEWLINE) return 0
  const start = source.isMidLine ? bytes.indexOf(NEWLINE) + 1 : 0
  if (start >= taken) return 0
  const last = records.last(bytes, start, taken)
  if (isAtEnd) return records.isOpen ? taken - last : 0
  // All that was read would wait for a read that brings no more.
  return last === 0 ? 0 : taken - last
}
