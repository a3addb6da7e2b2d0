// Which source is in which file now. A look compares the files there are with the sources known:
//
//   1. by device and inode      renamed files keep their source; content is compared when anything speaks against it
//   2. by content               a source that lost its file (copied and truncated, moved over a restart) is looked for in
//                               its rotation set, the active name first: known sources are bound before new ones are made
//   3. what is left is new      but a rotated name whose content is part of a known source is a copy in the making: held
//                               back until it differs or the original shrinks, for a limited time
//
// What cannot be read any more is told through `giveUp`; a birth is synced before anything of it is read.
import type { GivenUp } from '../shared/manifest.ts'
import type { Clock, Random } from '../shared/world.ts'
import { Content, type ContentParts, StaleLookError } from './content.ts'
import { Copies } from './copies.ts'
import { type FileRule, type FoundFile, findFiles } from './find-files.ts'
import { Findings } from './findings.ts'
import { PowerCut } from './power-cut.ts'
import { isActiveName, isCompressed, rotationSet } from './rotation.ts'
import { HEAD_BYTES, type Relation, readAt, type Source, TAIL_BYTES } from './source.ts'
import type { StoredSource } from './source-log.ts'
import { SourceTable } from './source-table.ts'

export interface SourcesConfig {
  host: string
  rules: FileRule[]
  /** Where this program itself writes: globs find nothing there. */
  ownFolders?: string[]
  /** A copy that equals a known file is held back for so long, then read as a file of its own, and alarmed. */
  holdBackMs: number
  /** A rotated file that was read to its end and is quiet for so long is closed. */
  settleMs: number
  /** A file that is missing for so long is given up. */
  missingMs: number
}

export interface SourcesParts extends Omit<ContentParts, 'source'> {
  clock: Clock
  random: Random
  /** Synced before it resolves. */
  birth(sources: Source[]): Promise<void>
  giveUp(what: GivenUp): Promise<void>
  /** Count of the epoch that packets are cut in now. */
  epochCount(): number
  /** Rotation sets looked at for the first time; synced before it resolves. */
  setsKnown(sets: string[]): Promise<void>
}

/** A source's content is given up when so many looks in a row did not find it: a listing may miss a file being renamed. */
const LOOKS_BEFORE_GIVING_UP = 2
const COPIED_AND_TRUNCATED = 'copied and truncated: lines written between the copy and the truncation cannot be proven'

export class Sources {
  readonly #config: SourcesConfig
  readonly #parts: SourcesParts
  readonly #table: SourceTable
  readonly #content: Content
  readonly #copies: Copies
  readonly #powerCut: PowerCut
  /** Wall clock: compared with the times of files. */
  readonly #startedMs: number
  /** Own folders that a glob came upon: said once. */
  readonly #passedOver = new Set<string>()
  /** Of the last look. */
  #found = new Findings(new Map())

  constructor(
    config: SourcesConfig,
    parts: SourcesParts,
    stored: { sources: StoredSource[]; sets: string[] },
    isAfterPowerCut: boolean,
  ) {
    this.#config = config
    this.#parts = parts
    this.#startedMs = parts.clock.now()
    this.#table = new SourceTable(config, parts, stored)
    this.#content = new Content({ ...parts, source: name => this.#table.get(name) }, isAfterPowerCut)
    this.#copies = new Copies(this.#table, this.#content, config.holdBackMs)
    this.#powerCut = new PowerCut(this.#table, this.#content)
  }

  get all(): Iterable<Source> {
    return this.#table.all
  }

  get(name: string): Source | undefined {
    return this.#table.get(name)
  }

  /** Makes a source known as a buck remembers it. */
  adopt(stored: StoredSource, isRemembered = false): Source {
    return this.#table.adopt(stored, isRemembered)
  }

  /** All that was ever sent is in the journal again. Else there are packets whose bytes we do not know. */
  set isAllKnown(isAllKnown: boolean) {
    this.#powerCut.isAllKnown = isAllKnown
  }

  get knownSets(): string[] {
    return [...this.#table.knownSets]
  }

  /** Names of files held back now. */
  get heldBack(): string[] {
    return this.#copies.names
  }

  /**
   * One look; false if it was abandoned because files changed meanwhile, or if files wait for others to be read.
   * @param isLast  nothing is held back any more (a run that reads once and ends)
   */
  async look(isLast = false): Promise<boolean> {
    try {
      const isWhole = await this.#look(isLast)
      if (isWhole) this.#content.isAfterPowerCut = false
      return isWhole
    } catch (error) {
      if (!(error instanceof StaleLookError)) throw error
      this.#parts.log.debug('files changed during the look', { error })
      return false
    } finally {
      const changed = this.#table.takeChanged()
      if (changed.length > 0) await this.#parts.birth(changed)
    }
  }

  /** Forgets what is done with and gone; see SourceTable. */
  prune(isNeeded: (source: Source) => boolean): void {
    this.#table.prune(source => this.#found.at(source) !== undefined, isNeeded)
  }

  #passOver(folder: string): void {
    if (this.#passedOver.has(folder)) return
    this.#passedOver.add(folder)
    this.#parts.log.info('a glob names our own data folder: nothing in it is tailed', { folder })
  }

  async #look(isLast: boolean): Promise<boolean> {
    const files = await findFiles(
      this.#parts.disk,
      this.#config.rules,
      this.#config.ownFolders ?? [],
      (path, error) => this.#content.trouble(path, error),
      folder => this.#passOver(folder),
    )
    const found = new Findings(files)
    this.#found = found
    const lost: Source[] = []
    // Those known before the look: a fork drawn on the way has its file already.
    for (const source of [...this.#table.all]) {
      const at = found.at(source)
      if (this.#content.isAfterPowerCut && isUnread(source) && !source.isFinished && at !== undefined) {
        // Its inode may have again what was there before it was truncated. Else it keeps its name: what was read of it may
        // be known to bucks alone, and counts once only under that name.
        if (await this.#powerCut.goOnAfterUndone(at, rotationSet(at.path))) {
          found.take(at)
          await this.#table.endApart(source)
          continue
        }
      }
      const file = at !== undefined && !found.isTaken(at) ? at : undefined
      if (file !== undefined && !source.isLost && (await this.#isStillIn(source, file))) {
        found.take(file)
        source.size = file.stat.size
        source.missingSince = undefined
        source.unfoundLooks = 0
        source.isUnlinked = false
        if (source.path !== file.path) this.#table.renamed(source, file.path)
        if (source.size > source.offset) source.isSettled = false
      } else if (source.isFinished || source.isExcluded) {
      } else if (file === undefined && source.file !== undefined && !source.isLost) {
        source.isUnlinked = true
      } else {
        lost.push(source)
      }
    }
    for (const source of lost) await this.#findContent(source, found)
    return await this.#welcome(found, isLast)
  }

  /** The file at its inode is not a cut or rewritten one. Compares content only where there is a reason to. */
  async #isStillIn(source: Source, file: FoundFile): Promise<boolean> {
    const { stat } = file
    if (source.isExcluded) return true
    if (source.isFinished) return this.#isStillOver(source, file)
    if (stat.size < source.offset) return false
    // Born, and nothing read of it yet: the inode is all that is known.
    if (isUnread(source)) return true
    if (source.file !== undefined && stat.mtimeMs === source.checkedMtimeMs) return true
    // Not readable now: nothing is concluded from that.
    return ((await this.#content.relationTo(file, source)) ?? 'same') === 'same'
  }

  /** A file that was done with: the same still, or the copy of it goes on growing. */
  async #isStillOver(source: Source, file: FoundFile): Promise<boolean> {
    const { stat } = file
    if (stat.size === source.size) return true
    const relates = await this.#relate(file, source)
    if (relates === 'same' && stat.size > source.offset) source.isFinished = false
    return relates === 'same' || relates === 'prefix'
  }

  /** Step 2: where did the content of a source go whose file is another one now, or gone? */
  async #findContent(source: Source, found: Findings): Promise<void> {
    const atInode = found.at(source)
    const candidates = found
      .ofSet(rotationSet(source.path))
      .filter(file => !found.isTaken(file) && file.stat.size > 0 && !isCompressed(file.path))
    let prefix: FoundFile | undefined
    for (const file of candidates) {
      const relates = await this.#relate(file, source)
      if (relates === 'same') {
        const isCopy = source.isLost || source.ino !== file.stat.ino
        const isTruncation = isCopy && isActiveName(source.path) && !isActiveName(file.path)
        await this.#moveTo(source, file, found)
        if (isTruncation) await this.#table.alarm(source, COPIED_AND_TRUNCATED)
        return
      }
      if (relates === 'prefix' && file !== atInode && !isActiveName(file.path)) prefix ??= file
    }
    if (prefix !== undefined) {
      // The copy is shorter than what was read: nothing is left to read of it.
      await this.#moveTo(source, prefix, found)
      await this.#table.end(source)
      await this.#table.alarm(source, COPIED_AND_TRUNCATED)
      return
    }
    if (this.#content.isAfterPowerCut) {
      const file = await this.#powerCut.fork(source, atInode, candidates)
      if (file !== undefined) {
        found.take(file)
        return
      }
    }
    source.unfoundLooks++
    if (source.unfoundLooks < LOOKS_BEFORE_GIVING_UP && !this.#content.isAfterPowerCut) {
      // Until that is decided, nobody else begins with the file.
      if (atInode !== undefined) found.take(atInode)
      return
    }
    if (atInode !== undefined) {
      await this.#table.giveUpRest(source, 'truncated or overwritten before it was read')
      return
    }
    const now = this.#parts.clock.monotonic()
    source.missingSince ??= now
    if (source.isSettled) await this.#table.end(source)
    else if (source.isRemembered) await this.#table.endRemembered(source)
    else if (now - source.missingSince >= this.#config.missingMs) {
      await this.#table.giveUpRest(
        source,
        'the file is gone: what was written to it after the last look was not read',
        true,
      )
    }
  }

  async #moveTo(source: Source, file: FoundFile, found: Findings): Promise<void> {
    await this.#table.moveTo(source, file)
    found.take(file)
    this.#copies.release(file.path)
  }

  /** Step 3. False if files were left for a later look. */
  async #welcome(found: Findings, isLast: boolean): Promise<boolean> {
    const now = this.#parts.clock.monotonic()
    const setsBefore = new Set(this.#table.knownSets)
    this.#copies.keepOnly(found.files)
    const rest = found.rest
      .filter(file => !isCompressed(file.path))
      // A rotated name without content says nothing yet. An empty file under its active name is a source all the same,
      // and so is any that was named itself, when nothing more is waited for.
      .filter(file => file.stat.size > 0 || isActiveName(file.path) || (isLast && !file.isSibling))
    let isWhole = true
    for (const file of rest) {
      const set = rotationSet(file.path)
      if (this.#content.isAfterPowerCut && this.#powerCut.isReading(set)) {
        isWhole = false
        continue
      }
      if (!isActiveName(file.path) && !isLast && (await this.#copies.holds(file, found, now))) continue
      if (this.#content.isAfterPowerCut && file.stat.size > 0 && (await this.#powerCut.goOnAfterUndone(file, set)))
        continue
      await this.#begin(file, !setsBefore.has(set))
    }
    // A name without a file, or with an empty one, counts as looked at.
    const sets = [...rest.map(file => file.path), ...this.#config.rules.map(rule => rule.path)].map(rotationSet)
    const isNews = sets.filter(set => !this.#table.knownSets.has(set))
    for (const set of isNews) this.#table.knownSets.add(set)
    if (isNews.length > 0) await this.#parts.setsKnown([...new Set(isNews)])
    return isWhole
  }

  /** @param isOld its rotation set is looked at for the first time */
  async #begin(file: FoundFile, isOld: boolean): Promise<void> {
    // Written to since we are here: rotated before the first look came to it.
    const isExcluded = file.isSibling && isOld && file.stat.mtimeMs < this.#startedMs
    const start = isExcluded || (isOld && file.rule.from === 'end') ? file.stat.size : 0
    const begun = await this.#content.withFile(file, async handle => ({
      head: start === 0 ? Buffer.alloc(0) : await readAt(handle, 0, HEAD_BYTES),
      tail: await readAt(handle, Math.max(0, start - TAIL_BYTES), start),
    }))
    if (begun === undefined) return
    const source = this.#table.draw(file, start, begun.head, begun.tail, isExcluded)
    if (this.#content.isAfterPowerCut && !isExcluded) this.#powerCut.reads(file, source)
    this.#parts.log.info('new file', { path: file.path, source: source.name, from: start, bytes: file.stat.size })
    const why = isExcluded ? 'a rotated file from before the first look' : 'from: end'
    if (start > 0) await this.#table.tell(source, file.path, 0, why, 'excluded', start)
  }

  async #relate(file: FoundFile, source: Source): Promise<Relation> {
    return (await this.#content.relationTo(file, source)) ?? 'other'
  }
}

function isUnread(source: Source): boolean {
  return source.offset === source.start && source.tail.length === 0
}
