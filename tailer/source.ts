// One incarnation of one file, and how it is recognised: a random name drawn at first sight; path, device, inode and
// content (head, and the bytes before the offset) only recognise it.
import type { Epoch, SourceName } from '../shared/messages.ts'
import { epochCount } from '../shared/packet.ts'
import { RangeSet } from '../shared/ranges.ts'
import type { Disk, FileStat, OpenFile } from '../shared/world.ts'
import type { Limit } from './drop/dropper.ts'
import type { FileRule, FoundFile } from './find-files.ts'
import { compressionOf } from './inflate/inflate.ts'
import { InflatedFile } from './inflate/inflated-file.ts'
import { type LineWay, lineWayOf } from './line-way.ts'
import { LineParser } from './parse/line-parser.ts'
import { waitingLimit } from './rate-limit.ts'
import { isLike } from './redact/redactor.ts'
import type { LastSeen, StoredSource } from './source-log.ts'

/** First bytes of the file, kept to recognise it. Grows with the file up to this. */
export const HEAD_BYTES = 256
/** Last bytes before the offset. */
export const TAIL_BYTES = 256

/** Nothing is concluded from fewer looks in a row that missed a file: it may be renamed while they list. */
export const MISSING_LOOKS = 2

export class Source {
  readonly name: SourceName
  readonly host: string
  readonly app: string
  readonly start: number
  readonly parent: SourceName | undefined
  parser: LineParser
  /** What the settings say of its lines. */
  way: LineWay
  #rule: FileRule | undefined
  /** How much of it may be read now; undefined: any. */
  allowance: Limit | undefined
  /** What is known of its bytes may have hidden ones: also if nothing is hidden any more. */
  isRedacted: boolean
  path: string
  dev: number
  ino: number
  /** Which bytes are in packets of the journal, or were. */
  coverage: RangeSet
  rewound: StoredSource['rewound']
  last: LastSeen | undefined
  /** From here on bucks told what was read, without its bytes: a file that differs there may have lines nobody read. */
  heardFrom: number | undefined
  /** Next byte to read. Ahead of the coverage by what is in the packet that is not cut yet. */
  offset: number
  head: Buffer
  tail: Buffer
  /** Size of the file when last looked at, while that was its own. */
  size: number
  /** Its file was found in this run. */
  isFound = false
  /** A crash that takes the journal's end leaves something to recognise it by: its birth says how it begins. */
  isBirthWhole: boolean
  /** What comes was written after it was read to its end. */
  isCaughtUp: boolean
  /** Its folder told of a change since it was read. */
  isStirred = false
  file: OpenFile | undefined
  isSettled: boolean
  readonly isExcluded: boolean
  /** No setting names it any more: the rest is excluded in the ledger. Read on if one does again. */
  isLeft: boolean
  /** Its file has another content now, or is gone: the next look finds out where its own content went. */
  isLost = false
  /** In so many looks in a row it had no name, while we hold the file open. */
  namelessLooks = 0
  /** Nothing more will come: its content ended in a copy, or its file is gone. */
  isFinished: boolean
  /** Why it could not be read the last time, if it could not: said once. */
  readError: string | undefined
  /** Known from the bucks only: whether its file was read to its end before it went, nobody can say. */
  isRemembered = false
  /** Places hidden in what was read since the start. */
  redactedPlaces = 0
  /** Modification time and size when last compared: a file replaced by one of the same size differs in the first. */
  checkedMtimeMs = 0
  /** Size at which only a part of a line was there, or an event that may go on; since when (monotonic ms), how long it waits. */
  partial: { size: number; since: number; waitMs: number } | undefined
  /** Seen to grow in this run: it may go on growing. What was there before is as likely to be quiet. */
  hasGrown = false
  /** Monotonic ms: last growth; and since when its file is missing. */
  grewAt: number
  missingSince: number | undefined
  /** Looks in a row that did not find its content. */
  unfoundLooks = 0

  constructor(stored: StoredSource, rule: FileRule | undefined, now: number) {
    this.name = stored.source
    this.host = stored.host
    this.app = stored.app
    this.path = stored.path
    this.dev = stored.dev
    this.ino = stored.ino
    this.start = stored.start
    this.parent = stored.parent
    // Seen at birth, and not read: a power cut may have taken it.
    this.head = stored.start === 0 && stored.to > 0 ? stored.head.subarray(0, stored.to) : stored.head
    this.tail = stored.tail
    this.isBirthWhole = stored.head.length > 0
    this.isCaughtUp = stored.to > stored.start
    this.isSettled = stored.isSettled
    this.isExcluded = stored.isExcluded
    this.isFinished = stored.isFinished
    this.isLeft = stored.isLeft === true
    this.rewound = stored.rewound
    this.last = stored.last
    this.heardFrom = stored.heardFrom
    this.coverage = new RangeSet([[stored.start, stored.to]])
    this.offset = stored.to
    this.size = Math.max(stored.to, stored.size ?? 0)
    this.grewAt = now
    this.#rule = rule
    this.allowance = waitingLimit(rule, now)
    this.parser = new LineParser({ zone: rule?.zone })
    this.way = lineWayOf(rule, stored.path)
    this.isRedacted = stored.isRedacted === true || hides(this.way)
  }

  /** The settings say something else of it now. Answers how to take that over, once that is known to be possible. */
  wayOf(rule: FileRule | undefined, now: number): (() => void) | undefined {
    if (rule === this.#rule) return undefined
    const way = lineWayOf(rule, this.path)
    // It knows the time of the line before.
    const parser = rule?.zone === this.#rule?.zone ? this.parser : new LineParser({ zone: rule?.zone })
    return () => {
      this.#rule = rule
      this.way = way
      this.parser = parser
      this.partial = undefined
      this.allowance = waitingLimit(rule, now)
      this.isRedacted ||= hides(way)
    }
  }

  /** What the settings say of it. */
  get rule(): FileRule | undefined {
    return this.#rule
  }

  /** Its name is gone while we hold the file open: read to its end, then let go. */
  get isUnlinked(): boolean {
    return this.namelessLooks >= MISSING_LOOKS
  }

  /** A line was begun before the offset and its end not seen: what follows is no new line. */
  get isMidLine(): boolean {
    return this.tail.length > 0 && this.tail[this.tail.length - 1] !== 0x0a
  }

  /** Where reading must stop because what follows is in packets already. */
  get readLimit(): number {
    for (const [from] of this.coverage) if (from > this.offset) return from
    return Number.POSITIVE_INFINITY
  }

  isAt(stat: FileStat): boolean {
    return stat.ino === this.ino && stat.dev === this.dev
  }

  /** Bytes [from, to) are in a packet of that epoch. */
  cover(from: number, to: number, epoch: Epoch): void {
    this.coverage.add(from, believedTo(this, to, epoch))
  }

  /** Takes note of bytes just read, which begin at the offset. */
  advance(bytes: Buffer): void {
    // Hidden as a whole, perhaps, while its line had no end.
    const isFirst = this.isRedacted && this.offset === 0
    if (isFirst || (this.head.length < HEAD_BYTES && this.offset <= this.head.length)) {
      this.head = Buffer.concat([this.head.subarray(0, this.offset), bytes]).subarray(0, HEAD_BYTES)
    }
    this.tail =
      bytes.length >= TAIL_BYTES
        ? Buffer.from(bytes.subarray(bytes.length - TAIL_BYTES))
        : Buffer.concat([this.tail, bytes]).subarray(-TAIL_BYTES)
    this.offset += bytes.length
  }

  stored(tailer: string, machine: string, to: number, tail: Buffer): StoredSource {
    return {
      source: this.name,
      tailer,
      machine,
      host: this.host,
      path: this.path,
      app: this.app,
      dev: this.dev,
      ino: this.ino,
      start: this.start,
      to,
      head: this.head,
      tail,
      parent: this.parent,
      isSettled: this.isSettled,
      isExcluded: this.isExcluded,
      isFinished: this.isFinished,
      rewound: this.rewound,
      size: this.size,
      last: this.last,
      ...(this.heardFrom !== undefined && { heardFrom: this.heardFrom }),
      ...(this.isLeft && { isLeft: true }),
      ...(this.isRedacted && { isRedacted: true }),
    }
  }

  /** As it is now: reading goes on meanwhile. */
  known(): KnownContent {
    const { name, start, offset, head, tail, parent, isRedacted } = this
    return { name, start, offset, head, tail, parent, isRedacted }
  }

  /** Whether its file is as it was when last compared. */
  isAsLastSeen({ stat, packed }: FoundFile): boolean {
    return (
      this.last !== undefined &&
      this.last.mtimeMs === stat.mtimeMs &&
      this.last.fileBytes === (packed?.fileBytes ?? stat.size)
    )
  }

  saw({ stat, packed }: FoundFile): void {
    this.last = {
      fileBytes: packed?.fileBytes ?? stat.size,
      mtimeMs: stat.mtimeMs,
      ...(packed && { inflatedBytes: packed.bytes }),
    }
  }

  /** Opens the file at its path if it still is the one it is bound to. */
  async openFile(disk: Disk): Promise<boolean> {
    if (this.file !== undefined) return true
    let file: OpenFile
    try {
      file = await disk.open(this.path, 'read')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false
      throw error
    }
    if (!this.isAt(await file.stat())) {
      // The name leads elsewhere now: the next look says where.
      await file.close()
      return false
    }
    const compression = compressionOf(this.path)
    this.file =
      compression === undefined || this.last?.inflatedBytes === undefined
        ? file
        : new InflatedFile(
            file,
            { compression, ...this.last, bytes: this.last.inflatedBytes },
            this.isRedacted ? undefined : this.head,
          )
    return true
  }

  async closeFile(): Promise<void> {
    const file = this.file
    this.file = undefined
    await file?.close()
  }
}

/** Packets may have other bytes than the file. */
function hides({ redactor, dropper }: LineWay): boolean {
  return redactor !== undefined || dropper !== undefined
}

/** How far a packet's range says something of what the file has now. */
export function believedTo({ rewound }: Pick<StoredSource, 'rewound'>, to: number, epoch: Epoch): number {
  return rewound !== undefined && epochCount(epoch) < rewound.epoch ? Math.min(to, rewound.at) : to
}

/** What is known of a source's content at one moment. */
export type KnownContent = Pick<Source, 'name' | 'start' | 'offset' | 'head' | 'tail' | 'parent' | 'isRedacted'>

export type Relation =
  /** Begins with all that was read of the source. */
  | 'same'
  /** Is a part of it, from the beginning: a copy that is shorter than what was read. */
  | 'prefix'
  | 'other'

/**
 * How a file's content relates to what is known of a source: head, and the last bytes before where the shorter ends.
 * @param known  bytes [from, to) of the source, undefined where nobody has them at hand
 */
export async function relation(
  file: OpenFile,
  size: number,
  source: KnownContent,
  known: (from: number, to: number) => Promise<Buffer | undefined>,
): Promise<Relation> {
  const headBytes = Math.min(source.head.length, size)
  // Nothing was ever seen of it: nothing can be said.
  if (size === 0 || (source.tail.length === 0 && source.head.length === 0)) return 'other'
  // Born, and not read yet: it begins as it did then.
  if (source.offset === 0 && size < source.head.length) return 'other'
  const { isRedacted } = source
  if (!isLike(await readAt(file, 0, headBytes), source.head.subarray(0, headBytes), isRedacted)) return 'other'
  if (size >= source.offset) {
    // Bucks told how far it was read, and not how that ends: its head alone speaks for it.
    if (isEndUnknown(source)) return 'prefix'
    const from = source.offset - source.tail.length
    return isLike(await readAt(file, from, source.offset), source.tail, isRedacted) ? 'same' : 'other'
  }
  const from = Math.max(0, size - TAIL_BYTES)
  const expected = await known(from, size)
  // Nobody can tell any more: the head speaks for it. It is held back for a limited time only.
  if (expected === undefined) return 'prefix'
  return isLike(await readAt(file, from, size), expected, isRedacted) ? 'prefix' : 'other'
}

/** How what was read of it ended, nobody could tell. */
export function isEndUnknown({ start, offset, head, tail }: KnownContent): boolean {
  return tail.length === 0 && offset > start && offset > head.length
}

/** Bytes [from, to) of a file, fewer at its end. */
export async function readAt(file: OpenFile, from: number, to: number): Promise<Buffer> {
  const into = Buffer.allocUnsafe(to - from)
  let filled = 0
  while (filled < into.length) {
    const got = await file.read(into.subarray(filled), from + filled)
    if (got === 0) break
    filled += got
  }
  return into.subarray(0, filled)
}
