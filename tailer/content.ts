// What is in a file, compared with what is known of sources: their head and tail, and the bytes of packets in the journal.
import type { Disk, Log, OpenFile } from '../shared/world.ts'
import type { FoundFile } from './find-files.ts'
import { InflatedFile } from './inflate/inflated-file.ts'
import { LineParser } from './parse/line-parser.ts'
import { isLike, likeBytes, readRedacted } from './redact/redactor.ts'
import {
  HEAD_BYTES,
  isEndUnknown,
  type KnownContent,
  type Relation,
  readAt,
  relation,
  type Source,
  TAIL_BYTES,
} from './source.ts'

/** A file was renamed or replaced while we looked: what was seen before does not fit together. The next look is soon. */
export class StaleLookError extends Error {
  override readonly name = 'StaleLookError'
}

/** Where a file stops having the lines of a source, and what is before that. */
export interface Beginning {
  /** Offset in both. */
  at: number
  head: Buffer
  tail: Buffer
}

/** `prefix` is proven byte for byte; `unproven`: head and end are those of the source, of the rest nothing is known. */
export type Verdict = Relation | 'unproven'

export interface ContentParts {
  disk: Disk
  log: Log
  source(name: string): Source | undefined
  /** Bytes [from, to) of a source out of the journal; undefined if they are not there (any more). */
  journalBytes(source: KnownContent, from: number, to: number): Promise<Buffer | undefined>
  /** The least offset at or after `from` that the journal has; infinite if none. */
  nextKnown(source: KnownContent, from: number): number
}

/** Compared at a time. */
const SHARED_STEP_BYTES = 64 * 1024
/** Where a pass over all of it is made: packets are unpacked once for each step. */
const PASS_STEP_BYTES = 512 * 1024
const TOLD_MAX = 10_000

export class Content {
  readonly #parts: ContentParts
  /** Paths that cannot be looked at or read: said once. */
  readonly #told = new Set<string>()
  /** The machine was off since: the file system may have lost the end of a file that we read. */
  isAfterPowerCut: boolean

  constructor(parts: ContentParts, isAfterPowerCut: boolean) {
    this.#parts = parts
    this.isAfterPowerCut = isAfterPowerCut
  }

  /** Undefined if the file cannot be read. */
  relationTo(file: FoundFile, source: Source): Promise<Relation | undefined> {
    return this.withFile(file, async handle => {
      const found = await relation(handle, file.stat.size, source, this.#known(source))
      return found === 'same' && !(await this.#hasCovered(handle, file.stat.size, source)) ? 'other' : found
    })
  }

  /**
   * As relationTo, for a compressed file: gone through once, and all that the journal has of the prefix is compared.
   * Undefined if it cannot be read.
   */
  verdict(file: FoundFile, source: KnownContent, signal: AbortSignal): Promise<Verdict | undefined> {
    return this.withFile(file, async handle => {
      const { size } = file.stat
      const end = Math.min(size, source.offset)
      const isLonger = size >= source.offset
      const trustedTo = isLonger && !isEndUnknown(source) ? source.offset : 0
      const shared = await this.sharedBytes(handle, end, source, trustedTo, PASS_STEP_BYTES, signal)
      const found = await relation(handle, size, source, this.#known(source))
      if (found === 'same') return shared === end ? 'same' : 'other'
      if (found === 'other') return 'other'
      return shared === end ? 'prefix' : 'unproven'
    })
  }

  /** Told by its head and its last bytes: a file that is shorter by now has not got these. */
  async isBeginningOf(file: FoundFile, live: FoundFile): Promise<boolean> {
    const { size } = file.stat
    const ends = (handle: OpenFile) =>
      Promise.all([readAt(handle, 0, Math.min(size, HEAD_BYTES)), readAt(handle, Math.max(0, size - TAIL_BYTES), size)])
    const own = await this.withFile(file, ends)
    const other = await this.withFile(live, ends)
    return own !== undefined && other !== undefined && own.every((bytes, i) => bytes.equals(other[i]))
  }

  /** Whether the file begins with the first line of the source's head: less of it may be the beginning of any other. */
  async hasFirstLine(file: FoundFile, { head, isRedacted }: Source): Promise<boolean> {
    const line = head.subarray(0, head.indexOf(0x0a) + 1 || head.length)
    const bytes = await this.withFile(file, handle => readAt(handle, 0, line.length))
    return bytes === undefined || isLike(bytes, line, isRedacted)
  }

  /** Every byte of the file is known to be the source's; of those before its start, its parent's, none is another. */
  async isWithin(file: FoundFile, source: Source): Promise<boolean> {
    const { size } = file.stat
    if (size > source.offset) return false
    const shared = await this.withFile(file, handle => this.sharedBytes(handle, size, source, source.start))
    return shared === size
  }

  /** Where the file stops having the lines of the source, and what is before that. */
  beginning(file: FoundFile, source: Source): Promise<Beginning | undefined> {
    return this.withFile(file, async handle => {
      const at = await this.#sharedLines(handle, file.stat.size, source)
      const { redactor } = source.way
      const tail = await readRedacted(handle, Math.max(0, at - TAIL_BYTES), at, redactor)
      return { at, tail, head: await readRedacted(handle, 0, Math.min(HEAD_BYTES, at), redactor) }
    })
  }

  /** Undefined if the file cannot be opened or read. Throws StaleLookError if its name leads to another file by now, or to none. */
  async withFile<T>({ path, stat, packed }: FoundFile, use: (file: OpenFile) => Promise<T>): Promise<T | undefined> {
    let file: OpenFile
    try {
      file = await this.#parts.disk.open(path, 'read')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT')
        throw new StaleLookError(`${path} is gone`, { cause: error })
      this.trouble(path, error)
      return undefined
    }
    try {
      const now = await file.stat()
      const isChanged = packed !== undefined && (now.size !== packed.fileBytes || now.mtimeMs !== packed.mtimeMs)
      if (now.dev !== stat.dev || now.ino !== stat.ino || isChanged)
        throw new StaleLookError(`${path} is another file by now`)
      if (packed !== undefined) file = new InflatedFile(file, packed, packed.head)
      const result = await use(file)
      this.#told.delete(path)
      return result
    } catch (error) {
      if (error instanceof StaleLookError) throw error
      this.trouble(path, error)
      return undefined
    } finally {
      await file.close()
    }
  }

  trouble(path: string, error: unknown): void {
    if (this.#told.has(path)) return
    if (this.#told.size >= TOLD_MAX) this.#told.clear()
    this.#told.add(path)
    this.#parts.log.warn('file cannot be looked at', { path, error })
  }

  /** How far the file has the lines that are known of the source: whole ones, a line that ends otherwise is another line. */
  async #sharedLines(file: OpenFile, size: number, source: Source): Promise<number> {
    const end = Math.min(size, Math.max(source.offset, source.coverage.end))
    let shared = await this.sharedBytes(file, end, source, Math.min(source.offset, source.heardFrom ?? source.offset))
    while (shared > 0) {
      const from = Math.max(0, shared - SHARED_STEP_BYTES)
      const newline = (await readAt(file, from, shared)).lastIndexOf(0x0a)
      if (newline >= 0) return from + newline + 1
      shared = from
    }
    return 0
  }

  /** @param trustedTo below this offset, bytes that are known to nobody any more count as shared */
  async sharedBytes(
    file: OpenFile,
    end: number,
    source: KnownContent,
    trustedTo: number,
    stepBytes = SHARED_STEP_BYTES,
    signal?: AbortSignal,
  ): Promise<number> {
    const known = this.#known(source)
    let step = stepBytes
    for (let at = 0; at < end; ) {
      signal?.throwIfAborted()
      const to = Math.min(end, at + step)
      const expected = await known(at, to)
      if (expected === undefined && step > 1) {
        step = Math.ceil(step / 2)
        continue
      }
      if (expected !== undefined) {
        const actual = await readAt(file, at, to)
        const alike = likeBytes(actual, expected, source.isRedacted)
        if (alike < to - at) return at + alike
      }
      // Beyond it are gaps between what was taken back, and what bucks told without its bytes.
      if (expected === undefined && at >= trustedTo) return at
      // Unknown: not in the journal any more, so archived long before the cut, and on the disk long before it.
      at = to
      step = expected === undefined ? step : Math.min(stepBytes, step * 2)
      if (expected === undefined) {
        const next = this.#parts.nextKnown(source, at)
        at = Math.max(at, Math.min(next, end, trustedTo))
        step = stepBytes
      }
    }
    return end
  }

  /** After a power cut packets were taken back from beyond a gap: the file must have their bytes too. */
  async #hasCovered(file: OpenFile, size: number, source: Source): Promise<boolean> {
    if (!this.isAfterPowerCut) return true
    for (const [from, to] of source.coverage) {
      if (from <= source.offset) continue
      if (to > size) return false
      for (let at = from; at < to; at += SHARED_STEP_BYTES) {
        const end = Math.min(to, at + SHARED_STEP_BYTES)
        const expected = await this.#known(source)(at, end)
        if (expected !== undefined && !isLike(await readAt(file, at, end), expected, source.isRedacted)) return false
      }
    }
    return true
  }

  /** Bytes [from, to) of a source; those before its start are its parent's. */
  #known(source: KnownContent): (from: number, to: number) => Promise<Buffer | undefined> {
    return async (from, to) => (await this.#remembered(source, from, to)) ?? (await this.#inOwnFile(source, from, to))
  }

  async #remembered(source: KnownContent, from: number, to: number): Promise<Buffer | undefined> {
    const tailFrom = source.offset - source.tail.length
    if (from >= tailFrom && to <= source.offset) return source.tail.subarray(from - tailFrom, to - tailFrom)
    if (to <= source.head.length) return source.head.subarray(from, to)
    if (from >= source.start) return this.#parts.journalBytes(source, from, to)
    const parent = source.parent === undefined ? undefined : this.#parts.source(source.parent)
    const before = parent && (await this.#known(parent)(from, Math.min(to, source.start)))
    if (before === undefined || to <= source.start) return before
    const own = await this.#parts.journalBytes(source, source.start, to)
    return own && Buffer.concat([before, own])
  }

  /** Archived and forgotten, but its file still has them: if that ends as what was read of it did. */
  async #inOwnFile({ name }: KnownContent, from: number, to: number): Promise<Buffer | undefined> {
    const source = this.#parts.source(name)
    if (source === undefined || source.ino === 0 || source.isLost || to > source.offset) return undefined
    if (source.last?.inflatedBytes !== undefined) return undefined
    const { path, head, tail, offset, isRedacted } = source
    try {
      const file = source.file ?? (await this.#parts.disk.open(path, 'read'))
      try {
        if (!source.isAt(await file.stat())) return undefined
        const bytes = await readAt(file, from, to)
        const first = await readAt(file, 0, head.length)
        const last = await readAt(file, offset - tail.length, offset)
        return isLike(first, head, isRedacted) && isLike(last, tail, isRedacted) ? bytes : undefined
      } finally {
        if (file !== source.file) await file.close()
      }
    } catch (error) {
      this.#parts.log.debug('a file cannot tell what was read of it', { path, error })
      return undefined
    }
  }
}

/** Less than HEAD_BYTES in common may be a heading that every generation has, unless the file has nothing else. */
export function isProof(begun: Beginning, file: FoundFile): boolean {
  return begun.at >= HEAD_BYTES || begun.at === file.stat.size || endsInTime(begun.tail)
}

/**
 * Whether the last line of these bytes tells a time: headings have none, and no two lines of a log are equal that do. Of a
 * line that ends nowhere nothing is asked, unless there is no other: a power cut, or a copy, ends anywhere.
 */
export function endsInTime(bytes: Buffer): boolean {
  const whole = bytes.subarray(0, bytes.lastIndexOf(0x0a) + 1 || bytes.length)
  const lastLine = whole.subarray(whole.subarray(0, -1).lastIndexOf(0x0a) + 1)
  const parser = new LineParser()
  parser.parse(lastLine, 0, lastLine.length, 0)
  return lastLine.length > 0 && !parser.timeIsGuessed
}
