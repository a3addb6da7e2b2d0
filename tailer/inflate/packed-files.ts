// The compressed files of the rotation sets, gone through beside the reading loop, one at a time: a look only asks what is
// known of them by now, and comes again.
//
//   seen ─▶ measured (how much is in it, how it begins, is it whole) ─▶ compared with one source after the other, on demand
//
// What was found holds while the file has the same inode, size and time.
import type { Clock, Disk, Log } from '../../shared/world.ts'
import { type Content, StaleLookError, type Verdict } from '../content.ts'
import type { FoundFile } from '../find-files.ts'
import { isLike } from '../redact/redactor.ts'
import type { Source } from '../source.ts'
import { compressionOf } from './inflate.ts'
import { type Measured, measure } from './measure.ts'

interface Entry {
  fileBytes: number
  mtimeMs: number
  measured: Measured | undefined
  /** By source and offset. */
  verdicts: Map<string, Verdict>
  /** Sources that it has nothing of, whatever their offset is by now. */
  strangers: Set<string>
  /** It cannot be read: not tried before (monotonic ms). */
  retryAt: number
}

/** After an error of the disk, or a file without permission. */
const RETRY_MS = 30_000

export class PackedFiles {
  readonly #parts: { disk: Disk; log: Log; clock: Clock }
  readonly #content: Content
  readonly #entries = new Map<string, Entry>()
  /** At most one task per file and source that a look asks for; each look asks again. */
  readonly #tasks = new Map<string, () => Promise<void>>()
  readonly #passedOver = new Set<string>()
  #stop = new AbortController()
  #working: Promise<void> | undefined

  constructor(parts: { disk: Disk; log: Log; clock: Clock }, content: Content) {
    this.#parts = parts
    this.#content = content
  }

  /**
   * The file with the size and head of what is in it; undefined if it cannot be read.
   * @param known  its source, if it has one: measured in an earlier run
   */
  see(file: FoundFile, known: Source | undefined): FoundFile | 'pending' | undefined {
    const compression = compressionOf(file.path)
    if (compression === undefined) {
      if (!this.#passedOver.has(file.path)) {
        this.#passedOver.add(file.path)
        this.#parts.log.warn('file not read: this compression is not known (gz, zst and xz are)', { path: file.path })
      }
      return undefined
    }
    const { size: fileBytes, mtimeMs } = file.stat
    const key = keyOf(file)
    let entry = this.#entries.get(key)
    if (entry?.fileBytes !== fileBytes || entry.mtimeMs !== mtimeMs) {
      entry = {
        fileBytes,
        mtimeMs,
        measured: measuredOf(file, known),
        verdicts: new Map(),
        strangers: new Set(),
        retryAt: 0,
      }
      this.#entries.set(key, entry)
    }
    const { measured } = entry
    if (measured === undefined) {
      if (entry.retryAt > this.#parts.clock.monotonic()) return undefined
      this.#do(key, () => this.#measure(file, entry))
      return 'pending'
    }
    return { ...file, stat: { ...file.stat, size: measured.bytes }, packed: measured }
  }

  /** How its content relates to a source's; undefined while that is not known. */
  verdict(file: FoundFile, source: Source): Verdict | undefined {
    const entry = this.#entries.get(keyOf(file))
    // Nothing was seen of it, or they do not even begin alike: no pass is needed to tell.
    if (source.head.length === 0 && source.tail.length === 0) return 'other'
    const { head } = file.packed!
    const common = Math.min(head.length, source.head.length)
    if (!isLike(head.subarray(0, common), source.head.subarray(0, common), source.isRedacted)) return 'other'
    if (entry === undefined || entry.strangers.has(source.name)) return 'other'
    const asked = `${source.name} ${source.offset}`
    const verdict = entry.verdicts.get(asked)
    if (verdict === undefined) {
      const known = source.known()
      this.#do(`${keyOf(file)} ${asked}`, async () => {
        const found = await this.#content.verdict(file, known, this.#stop.signal)
        if (found === 'other') entry.strangers.add(source.name)
        else if (found !== undefined) entry.verdicts.set(asked, found)
      })
    }
    return verdict
  }

  /** Forgets what was known of files that are gone. */
  keepOnly(found: Iterable<FoundFile>): void {
    const kept = new Set([...found].map(keyOf))
    for (const key of this.#entries.keys()) if (!kept.has(key)) this.#entries.delete(key)
  }

  /** Ends what is being done; nothing is begun afterwards. */
  async close(): Promise<void> {
    this.#stop.abort()
    this.#tasks.clear()
    await this.#working
  }

  #do(name: string, task: () => Promise<void>): void {
    if (this.#stop.signal.aborted || this.#tasks.has(name)) return
    this.#tasks.set(name, task)
    this.#working ??= this.#work()
  }

  async #work(): Promise<void> {
    for (const [name, task] of this.#tasks) {
      try {
        await task()
      } catch (error) {
        // Changed, unreadable or gone: the next look asks again for what is there then.
        const isExpected = error instanceof StaleLookError || this.#stop.signal.aborted
        if (!isExpected) this.#parts.log.warn('compressed file cannot be looked at', { error })
      }
      this.#tasks.delete(name)
    }
    this.#working = undefined
  }

  async #measure(file: FoundFile, entry: Entry): Promise<void> {
    const { disk, clock } = this.#parts
    entry.retryAt = clock.monotonic() + RETRY_MS
    const handle = await disk.open(file.path, 'read')
    try {
      const { dev, ino } = await handle.stat()
      if (dev !== file.stat.dev || ino !== file.stat.ino) {
        entry.retryAt = 0
        throw new StaleLookError(`${file.path} is another file by now`)
      }
      const measured = await measure(handle, compressionOf(file.path)!, this.#stop.signal)
      if (measured.fileBytes === entry.fileBytes && measured.mtimeMs === entry.mtimeMs) entry.measured = measured
      else entry.retryAt = 0
    } finally {
      await handle.close()
    }
  }
}

function measuredOf({ path, stat }: FoundFile, known: Source | undefined): Measured | undefined {
  const last = known?.last
  if (last?.inflatedBytes === undefined || last.fileBytes !== stat.size || last.mtimeMs !== stat.mtimeMs)
    return undefined
  return {
    compression: compressionOf(path)!,
    ...last,
    bytes: last.inflatedBytes,
    head: known!.head,
    state: 'whole',
    reason: '',
  }
}

function keyOf({ stat }: FoundFile): string {
  return `${stat.dev}:${stat.ino}`
}
