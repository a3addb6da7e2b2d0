// After a power cut a file may be shorter than what was read of it and go on in another way, or a truncation may be
// undone. What a file still shares with known content is not read again: a new source begins where it differs and names
// its parent; where bucks may hold more than we know, the file is read again from there under its own name.
import { type Beginning, type Content, isProof } from './content.ts'
import type { FoundFile } from './find-files.ts'
import { rotationSet } from './rotation.ts'
import type { Source } from './source.ts'
import type { SourceTable } from './source-table.ts'

/** A truncation that a power cut undid: whose lines the file begins with again, and how far. */
export interface Undone {
  source: Source
  begun: Beginning
}

export class PowerCut {
  readonly #table: SourceTable
  readonly #content: Content
  /** All that was ever sent is in the journal again. Else there are packets whose bytes we do not know. */
  isAllKnown = false
  /** Per rotation set, a file that is new to us after a power cut, with its size then. */
  readonly #firstRead = new Map<string, { source: Source; size: number }>()

  constructor(table: SourceTable, content: Content) {
    this.#table = table
    this.#content = content
  }

  /** The file of a source was cut. The file at its inode is believed; another one must share enough to prove something. */
  async fork(source: Source, atInode: FoundFile | undefined, candidates: FoundFile[]): Promise<FoundFile | undefined> {
    let best: { file: FoundFile; begun: Beginning } | undefined
    for (const file of candidates) {
      const begun = await this.#content.beginning(file, source)
      if (begun === undefined || begun.at <= Math.max(source.start, best?.begun.at ?? 0)) continue
      if (file === atInode || isProof(begun, file)) best = { file, begun }
    }
    if (best === undefined) return undefined
    if (this.isAllKnown && source.heardFrom === undefined) {
      await this.#table.endApart(source)
      const fact = 'file shorter after a power cut: reading goes on where it differs'
      this.#table.drawFork(best.file, source, best.begun, fact)
    } else {
      await this.#table.rewind(source, best.file, best.begun)
    }
    return best.file
  }

  /** The file has again what was read before a truncation, or the beginning of it, and goes on behind that. */
  async undone(file: FoundFile, set: string): Promise<Undone | undefined> {
    let best: Undone | undefined
    for (const source of this.#table.readOf(set)) {
      const begun = await this.#content.beginning(file, source)
      if (begun === undefined || begun.at <= Math.max(source.start, best?.begun.at ?? 0)) continue
      if (isProof(begun, file)) best = { source, begun }
    }
    return best
  }

  /** Reads what is behind that. */
  goOn(file: FoundFile, { source, begun }: Undone): void {
    const fact = 'a power cut undid a truncation: reading goes on where it differs'
    this.#table.drawFork(file, source, begun, fact)
  }

  reads(file: FoundFile, source: Source): void {
    this.#firstRead.set(rotationSet(file.path), { source, size: file.stat.size })
  }

  /**
   * Two files that are new to us may be a copy and its original, each cut off in another place. One of a set is read
   * first; then it is known where the other one differs.
   */
  isReading(set: string): boolean {
    const first = this.#firstRead.get(set)
    if (first === undefined || first.source.isFinished || first.source.isLost) return false
    // Cut meanwhile: its lines are in another file, or nowhere.
    if (first.source.size < first.size) return false
    return first.source.coverage.endFrom(first.source.start) < first.size
  }
}
