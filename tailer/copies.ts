// Copies in the making: a rotated name whose content is a part of a known source, or equals a live file (copy and truncate
// before the truncation). It is held back until it differs or the original shrinks, for a limited time.
//
//   held ─▶ differs, or the original shrank     the next look binds it or makes it a source
//        ─▶ time over, every byte known         never read, alarmed
//        ─▶ time over                           read as a file of its own, alarmed
import { type Content, endsInTime } from './content.ts'
import type { FoundFile } from './find-files.ts'
import type { Findings } from './findings.ts'
import { redactorOf } from './line-way.ts'
import { readRedacted } from './redact/redactor.ts'
import { isActiveName, rotationSet } from './rotation.ts'
import { HEAD_BYTES, readAt, TAIL_BYTES } from './source.ts'
import type { SourceTable } from './source-table.ts'

interface Held {
  since: number
  /** Size at which every byte of it was compared and is in packets of a known source. */
  readSize: number | undefined
}

export class Copies {
  readonly #table: SourceTable
  readonly #content: Content
  readonly #holdBackMs: number
  readonly #held = new Map<string, Held>()

  constructor(table: SourceTable, content: Content, holdBackMs: number) {
    this.#table = table
    this.#content = content
    this.#holdBackMs = holdBackMs
  }

  /** Names of files held back now. */
  get names(): string[] {
    return [...this.#held.keys()]
  }

  release(path: string): void {
    this.#held.delete(path)
  }

  /** Names that are gone are held back no more. */
  keepOnly(found: ReadonlyMap<string, FoundFile>): void {
    for (const path of this.#held.keys()) if (!found.has(path)) this.#held.delete(path)
  }

  /** True if the file is not to be read now: held back, or known for a copy. */
  async holds(file: FoundFile, found: Findings, now: number): Promise<boolean> {
    if (!(await this.isCopy(file, found))) {
      this.#held.delete(file.path)
      return false
    }
    const held = this.#held.get(file.path) ?? { since: now, readSize: undefined }
    this.#held.set(file.path, held)
    if (held.readSize !== file.stat.size && (await this.#isAllRead(file))) held.readSize = file.stat.size
    if (now - held.since < this.#holdBackMs) return true
    this.#held.delete(file.path)
    return await this.#decide(file, held.readSize === file.stat.size)
  }

  /** Its content is a part of a known source, or equals a live file. */
  async isCopy(file: FoundFile, found: Findings): Promise<boolean> {
    const set = rotationSet(file.path)
    for (const source of this.#table.ofSet(set)) {
      if (source.isExcluded || (source.path === file.path && source.isFinished)) continue
      // Of the original only its head may be known yet, and it may be cut by now.
      if (source.offset === source.start && !isActiveName(source.path)) continue
      if (((await this.#content.relationTo(file, source)) ?? 'other') !== 'other') return true
    }
    // The original may be as new to us as the copy.
    for (const live of found.ofSet(set)) {
      if (live === file || !isActiveName(live.path)) continue
      // Whatever size it had when it was listed: lines, and the copy, may have come between that and the copy's listing.
      if (await this.#content.isBeginningOf(file, live)) return true
    }
    return false
  }

  /** Every byte of the file is known to be in packets of one source: more than a heading, and none of it unknown. */
  async #isAllRead(file: FoundFile): Promise<boolean> {
    const { size } = file.stat
    for (const source of this.#table.readOf(rotationSet(file.path))) {
      if (source.offset < size) continue
      const isKnown = await this.#content.withFile(file, async handle => {
        if (size < HEAD_BYTES && !endsInTime(await readAt(handle, 0, size))) return false
        return (await this.#content.sharedBytes(handle, size, source, 0)) === size
      })
      if (isKnown) return true
    }
    return false
  }

  /** The time to hold it back is over: true if it is never read. Either is told. */
  async #decide(file: FoundFile, isCopy: boolean): Promise<boolean> {
    const why = isCopy
      ? 'a copy of what was read already: not read again'
      : 'equal to a known file for too long: read as a file of its own'
    await this.#table.tell(undefined, file.path, 0, why, 'alarm')
    if (!isCopy) return false
    const { size } = file.stat
    const ends = await this.#content.withFile(file, async handle => ({
      head: await readRedacted(handle, 0, HEAD_BYTES, redactorOf(file.rule)),
      tail: await readRedacted(handle, Math.max(0, size - TAIL_BYTES), size, redactorOf(file.rule)),
    }))
    if (ends !== undefined) this.#table.draw(file, size, ends.head, ends.tail, true)
    return true
  }
}
