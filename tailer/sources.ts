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
import { Content, type ContentParts, endsInTime, StaleLookError, type Verdict } from './content.ts'
import { Copies } from './copies.ts'
import { FileFinder, type FileRule, type FoundFile } from './find-files.ts'
import { Findings } from './findings.ts'
import { firstOffset } from './first-offset.ts'
import { FolderWatches } from './folder-watches.ts'
import { PackedFiles } from './inflate/packed-files.ts'
import { childrenFirst, isDescendant } from './kin.ts'
import { redactorOf } from './line-way.ts'
import { LookTimes } from './look-times.ts'
import { PowerCut, type Undone } from './power-cut.ts'
import { readRedacted } from './redact/redactor.ts'
import { isActiveName, isCompressed, rotationSet } from './rotation.ts'
import { HEAD_BYTES, MISSING_LOOKS, type Source, TAIL_BYTES } from './source.ts'
import type { StoredSource } from './source-log.ts'
import { SourceTable } from './source-table.ts'
import { turns } from './turns.ts'

export interface SourcesConfig {
  host: string
  rules: FileRule[]
  /** Where this program itself writes: globs find nothing there. */
  ownFolders?: string[]
  /** Globs of what is never read, however it is named. */
  exclude?: string[]
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

const COMPRESSED_SHORT = 'the compressed file has less than what was read of the plain one: nothing is missing'
const READ_ANYWAY = 'like a known file, and not proven to be equal: read as a file of its own'
const COMPRESSED_MEANWHILE =
  'found again only in a compressed file: if it was copied and truncated, lines written between the two cannot be proven'
const FOLDER_LOST_SHORT =
  'the folder of the tailer was lost, and a file is not proven to have all that the bucks know of it: read again from its beginning'
const COPIED_AND_TRUNCATED = 'copied and truncated: lines written between the copy and the truncation cannot be proven'

export class Sources {
  #config: SourcesConfig
  readonly #parts: SourcesParts
  readonly #table: SourceTable
  readonly #content: Content
  readonly #copies: Copies
  readonly #powerCut: PowerCut
  readonly #packed: PackedFiles
  #finder: FileFinder
  /** Which finder it was that did not name them. */
  readonly #leftBy = new WeakMap<Source, FileFinder>()
  readonly #watches: FolderWatches
  readonly #times: LookTimes
  /** Compressed files that wait: for more of them to be written, or for the plain file to be read. By path, since when. */
  readonly #waiting = new Map<string, number>()
  /** Wall clock: compared with the times of files. */
  #startedMs: number
  /** Own folders that a glob came upon: said once. */
  readonly #passedOver = new Set<string>()
  #undecided = 1
  #unbegunBytes = 0
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
    this.#packed = new PackedFiles(parts, this.#content)
    this.#finder = this.#finderOf(config)
    this.#times = new LookTimes(parts.clock, () => ({
      isTold: this.#watches.isPossible,
      areNamesChanged: this.#watches.areNamesChanged,
      undecided: this.#undecided,
      files: this.#found.files.size,
    }))
    this.#watches = new FolderWatches(parts.disk, parts.log, path => {
      const source = path === undefined ? undefined : this.#table.atPath(path)
      if (source !== undefined) source.isStirred = true
      this.#times.stir()
    })
  }

  /** Other settings from the next look on; offsets stay. Throws, and changes nothing, if they cannot be used. */
  follow(change: Pick<SourcesConfig, 'rules' | 'exclude'>): void {
    const config = { ...this.#config, ...change }
    const finder = this.#finderOf(config)
    this.#table.follow(config.rules)
    this.#config = config
    this.#finder = finder
    // For logs that are named for the first time: what was rotated before now is not ours.
    this.#startedMs = this.#parts.clock.now()
    this.#times.hurry()
  }

  #finderOf({ rules, ownFolders = [], exclude = [] }: SourcesConfig): FileFinder {
    return new FileFinder(rules, ownFolders, exclude, {
      disk: this.#parts.disk,
      onTrouble: (path, error) => this.#content.trouble(path, error),
      onOwn: folder => this.#passOver(folder),
    })
  }

  get all(): Iterable<Source> {
    return this.#table.all
  }

  get count(): number {
    return this.#table.count
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

  /** Bucks had what our journal had not: the machine may have been put back, and files with it, though it did not start. */
  expectShorterFiles(): void {
    this.#content.isAfterPowerCut = true
  }

  get knownSets(): string[] {
    return [...this.#table.knownSets]
  }

  /** In new files that the last look could not read the beginning of: another one may. */
  get unbegunBytes(): number {
    return this.#unbegunBytes
  }

  /** Names of files held back now. */
  get heldBack(): string[] {
    return this.#copies.names
  }

  /** Files and sources of which the last look could not say yet what becomes of them. */
  get undecided(): number {
    return this.#undecided
  }

  /**
   * One look; false if it was abandoned because files changed meanwhile, or if files wait for others to be read.
   * @param isLast  nothing is held back any more (a run that reads once and ends)
   */
  async look(isLast = false): Promise<boolean> {
    const startedAt = this.#parts.clock.monotonic()
    this.#watches.areNamesChanged = false
    try {
      const isWhole = await this.#look(isLast)
      if (isWhole) this.#content.isAfterPowerCut = false
      return isWhole
    } catch (error) {
      if (!(error instanceof StaleLookError)) throw error
      this.#undecided = Math.max(1, this.#undecided)
      this.#parts.log.debug('files changed during the look', { error })
      return false
    } finally {
      const changed = this.#table.takeChanged()
      if (changed.length > 0) await this.#parts.birth(changed)
      this.#times.looked(startedAt)
    }
  }

  /** Lets go of files that are read to their ends, where too many are open. */
  closeIdle(): Promise<void> {
    return this.#table.closeIdle()
  }

  /** Whose turn it is to be read now. */
  turns(): Iterable<Source> {
    return turns(this.#table.all, this.#parts.clock.monotonic(), this.#watches.isPossible)
  }

  /** Whether it is time for a look. */
  isLookDue(now: number, lookMs: number): boolean {
    return this.#times.isDue(now, lookMs)
  }

  /** When it was nobody's turn: until a folder tells of a change, a look is due, or so long. */
  rest(pollMs: number, lookMs: number, signal: AbortSignal): Promise<void> {
    return this.#times.rest(pollMs, lookMs, signal)
  }

  /** Ends what goes on beside the looks. */
  async close(): Promise<void> {
    this.#watches.close()
    await this.#packed.close()
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
    const files = await this.#finder.find()
    if (this.#watches.isPossible) this.#watches.keep(this.#finder.folders)
    const found = this.#unpacked(files)
    this.#found = found
    const lost: Source[] = []
    // Nothing but their inode tells where they are, and that may be taken again: what is known by its content goes first.
    const unknown: [Source, FoundFile][] = []
    // Whoever lost its file to a truncation that was undone finds it first, and goes on in it.
    const undone: [Source, FoundFile, Undone][] = []
    // Those known before the look: a fork drawn on the way has its file already.
    for (const source of [...this.#table.all]) {
      const at = found.at(source)
      if (at === undefined && (await this.#isLeft(source))) continue
      const isPlain = at !== undefined && at.packed === undefined && !found.isTaken(at)
      if (this.#content.isAfterPowerCut && isUnread(source) && !source.isFinished && isPlain) {
        // Its inode may have again what was there before it was truncated. Else it keeps its name: what was read of it may
        // be known to bucks alone, and counts once only under that name.
        const had = await this.#powerCut.undone(at, rotationSet(at.path))
        if (had !== undefined) {
          undone.push([source, at, had])
          continue
        }
      }
      const file = at !== undefined && !found.isTaken(at) ? at : undefined
      if (file !== undefined && isUnknown(source) && file.path !== source.path) {
        unknown.push([source, file])
      } else if (file !== undefined && !source.isLost && (await this.#isStillIn(source, file))) {
        await this.#goOn(source, file, found)
      } else if (source.isFinished || source.isExcluded) {
        // Its inode has been taken again, by another file.
        if (file !== undefined) this.#table.apart(source)
      } else if (file === undefined && source.file !== undefined && !source.isLost) {
        source.namelessLooks++
      } else {
        lost.push(source)
      }
    }
    for (const source of childrenFirst(lost)) await this.#findContent(source, found)
    for (const [source, at, had] of undone) {
      if (!found.isTaken(at)) {
        this.#powerCut.goOn(at, had)
        found.take(at)
      }
      await this.#table.endApart(source)
    }
    for (const [source, file] of unknown) {
      const isKin = rotationSet(file.path) === rotationSet(source.path) && file.packed === undefined
      // A copy may have got the inode of a file that was replaced.
      const isOther =
        found.isTaken(file) || !isKin || (!isActiveName(file.path) && (await this.#copies.isCopy(file, found)))
      if (isOther) await this.#table.endApart(source)
      else await this.#goOn(source, file, found)
    }
    const isSearched = lost.every(source => source.unfoundLooks === 0 || source.unfoundLooks >= MISSING_LOOKS)
    const isWhole = (await this.#welcome(found, isLast)) && isSearched
    await this.#table.closeIdle()
    const missing = lost.filter(source => !source.isFinished && found.at(source) === undefined)
    this.#undecided = missing.length + this.#waiting.size + this.#copies.names.length + (isWhole ? 0 : 1)
    return isWhole
  }

  /** No setting names it, and its file is not found under another name either. */
  async #isLeft(source: Source): Promise<boolean> {
    // Remembered: nobody knows whether it was read to its end; that is told otherwise.
    if (source.isFinished || source.isExcluded || source.isRemembered) return false
    if (this.#leftBy.get(source) === this.#finder) return true
    if (this.#finder.names(source.path)) return false
    this.#leftBy.set(source, this.#finder)
    if (!source.isLeft) await this.#table.leave(source)
    return true
  }

  async #goOn(source: Source, file: FoundFile, found: Findings): Promise<void> {
    found.take(file)
    if (source.isLeft) this.#table.comeBack(source)
    source.isFound = true
    source.size = file.stat.size
    if (file.packed !== undefined && !source.isAsLastSeen(file)) await this.#table.repacked(source, file)
    source.missingSince = undefined
    source.unfoundLooks = 0
    source.namelessLooks = 0
    if (source.path !== file.path) this.#table.renamed(source, file.path)
    if (file.stat.mtimeMs !== source.checkedMtimeMs) source.isStirred = true
    if (source.size > source.offset) source.isSettled = false
  }

  /**
   * The files of a look, compressed ones as what is in them; those of which that is not known yet are left for a later
   * look, and their rotation sets are told.
   */
  #unpacked(files: ReadonlyMap<string, FoundFile>): Findings {
    const raw = new Findings(files)
    if (!files.values().some(file => isCompressed(file.path))) return raw
    const unpacked = new Map<string, FoundFile>()
    const pending = new Set<string>()
    const bound = new Map<FoundFile, Source>()
    for (const source of this.#table.all) {
      const file = raw.at(source)
      if (file !== undefined) bound.set(file, source)
    }
    for (const file of files.values()) {
      const source = bound.get(file)
      if (!isCompressed(file.path) || (source?.isExcluded && source.isAsLastSeen(file)) || this.#isBeforeUs(file)) {
        unpacked.set(file.path, file)
        continue
      }
      const seen = this.#packed.see(file, source)
      if (seen === 'pending') pending.add(rotationSet(file.path))
      else if (seen !== undefined) unpacked.set(file.path, seen)
    }
    this.#packed.keepOnly(files.values())
    return new Findings(unpacked, pending)
  }

  /** A sibling that was there before its rotation set was first looked at, and not written to since we are here. */
  #isBeforeUs(file: FoundFile): boolean {
    const isOld = !this.#table.knownSets.has(rotationSet(file.path))
    return file.isSibling && isOld && file.stat.mtimeMs < this.#startedMs
  }

  /** The file at its inode is not a cut or rewritten one. Compares content only where there is a reason to. */
  async #isStillIn(source: Source, file: FoundFile): Promise<boolean> {
    const { stat } = file
    if (source.isExcluded) return this.#isStillExcluded(source, file)
    if (source.isFinished) return this.#isStillOver(source, file)
    if (stat.size < source.offset) return false
    // A plain file does not become a compressed one; the inode was taken again.
    if (file.packed !== undefined && source.last?.inflatedBytes === undefined) return false
    // Born, and nothing read of it yet: its beginning is all that is known, and a power cut may have taken some of that.
    if (isUnread(source) && this.#content.isAfterPowerCut && !source.isFound) {
      if (!(await this.#content.hasFirstLine(file, source))) return false
      source.head = Buffer.alloc(0)
    }
    if (isUnread(source) && source.head.length === 0) return true
    if (stat.mtimeMs === source.checkedMtimeMs && (source.file !== undefined || stat.size === source.size)) return true
    if (file.packed !== undefined && source.isAsLastSeen(file)) return true
    // Not readable now, or not known yet: nothing is concluded from that.
    if (((await this.#relation(file, source)) ?? 'same') !== 'same') return false
    // A rotated name, or a compressed file: the inode may have been taken again, by a copy of what went on from here.
    return isActiveName(file.path) || !(await this.#isMoreOfAnother(file, source, true))
  }

  /** Its inode may have been taken again by a file that must be read. */
  async #isStillExcluded(source: Source, file: FoundFile): Promise<boolean> {
    if (source.isAsLastSeen(file)) return true
    const relates = (await this.#relation(file, source)) ?? 'same'
    if (relates === 'same') source.saw(file)
    return relates === 'same'
  }

  /** A file that was done with: the same still, or the copy of it goes on growing. */
  async #isStillOver(source: Source, file: FoundFile): Promise<boolean> {
    const { stat } = file
    if (stat.size === source.size && stat.mtimeMs === source.checkedMtimeMs) return true
    const relates = (await this.#relation(file, source)) ?? 'prefix'
    if (relates === 'other') return false
    if (relates === 'same' && stat.size > source.offset) {
      const isOfAnother = await this.#isMoreOfAnother(file, source)
      if (isOfAnother !== false) return isOfAnother === undefined
      source.isFinished = false
    }
    source.checkedMtimeMs = stat.mtimeMs
    return true
  }

  /** Step 2: where did the content of a source go whose file is another one now, or gone? */
  async #findContent(source: Source, found: Findings): Promise<void> {
    const atInode = found.at(source)
    const set = rotationSet(source.path)
    const candidates = found.ofSet(set).filter(file => !found.isTaken(file) && file.stat.size > 0)
    let prefix: FoundFile | undefined
    let isPending = found.isPending(set)
    for (const file of candidates) {
      if (isCompressed(file.path) && file.packed === undefined) continue
      const relates = await this.#relation(file, source)
      if (relates === undefined && file.packed !== undefined) isPending = true
      const isOfAnother = relates === 'same' && (await this.#isMoreOfAnother(file, source))
      if (isOfAnother === undefined) isPending = true
      if (isOfAnother !== false) continue
      if (relates === 'same') {
        const isCopy = source.isLost || source.ino !== file.stat.ino
        const isTruncation = isCopy && isActiveName(source.path) && !isActiveName(file.path)
        const isTold = isTruncation && !this.#isOnlyRenamed(source, file, found)
        await this.#moveTo(source, file, found)
        if (isTold)
          await this.#table.alarm(source, file.packed === undefined ? COPIED_AND_TRUNCATED : COMPRESSED_MEANWHILE)
        return
      }
      if (relates !== 'prefix' || file === atInode || isUnseen(source)) continue
      // Another one may have begun under the active name; what a lost folder knew of it, its beginning has to prove.
      if (isActiveName(file.path) && !(source.isRemembered && isProvenByHead(source, file))) continue
      if (source.isRemembered && (await this.#isOfAnother(file, source))) continue
      prefix ??= file
    }
    if (isPending) {
      // Its content may be in a compressed file that is not gone through yet.
      if (atInode !== undefined) found.reserve(atInode)
      return
    }
    const isHeard = source.isRemembered || (prefix?.stat.size ?? 0) > (source.heardFrom ?? Number.POSITIVE_INFINITY)
    if (prefix !== undefined && prefix.packed === undefined && isHeard) {
      // Its head alone speaks for it: a power cut may have made it shorter, and what follows that nobody may have read.
      await this.#table.readAgain(source, prefix)
      await this.#table.alarm(source, FOLDER_LOST_SHORT)
      found.take(prefix)
      this.#copies.release(prefix.path)
      return
    }
    if (prefix !== undefined) {
      // The copy is shorter than what was read: nothing is left to read of it.
      await this.#moveTo(source, prefix, found)
      await this.#table.end(source)
      await this.#table.alarm(source, prefix.packed === undefined ? COPIED_AND_TRUNCATED : COMPRESSED_SHORT)
      return
    }
    if (this.#content.isAfterPowerCut) {
      const plain = candidates.filter(file => file.packed === undefined)
      const file = await this.#powerCut.fork(source, atInode, plain)
      if (file !== undefined) {
        found.take(file)
        return
      }
    }
    source.unfoundLooks++
    if (source.unfoundLooks < MISSING_LOOKS) {
      // Until that is decided, nobody else begins with the file.
      if (atInode !== undefined) found.reserve(atInode)
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

  /**
   * Renamed, and compressed before a look saw it: what was cut would still have the inode, and what was cut and then rotated
   * would be a generation that nobody knows yet. Else nothing tells whether it was copied and cut.
   */
  #isOnlyRenamed(source: Source, file: FoundFile, found: Findings): boolean {
    const set = rotationSet(file.path)
    if (file.packed === undefined || found.at(source) !== undefined || found.isPending(set)) return false
    const others = found.ofSet(set).filter(other => other !== file && !isActiveName(other.path))
    return others.every(other => this.#table.at(other) !== undefined)
  }

  /**
   * Another source has more of the file, from its beginning: one that went on where this one ended, perhaps. Read on as this
   * one, those lines would come twice. Undefined while it is not known.
   * @param isOfKin  only one that went on from here counts
   */
  async #isMoreOfAnother(file: FoundFile, than: Source, isOfKin = false): Promise<boolean | undefined> {
    if (file.stat.size <= than.offset) return false
    for (const source of this.#table.ofSet(rotationSet(file.path))) {
      if (source === than || source.isExcluded || source.offset < than.offset) continue
      const isChild = isDescendant(source, than, name => this.#table.get(name))
      if (!isChild && (isOfKin || !endsInTime(source.tail))) continue
      // A child that has not begun yet will read what follows, if it is not done with.
      if (source.offset === than.offset && (!isChild || source.isFinished)) continue
      const relates = await this.#relation(file, source)
      if (relates === undefined && file.packed !== undefined) return undefined
      if (relates === 'same') return true
      if (relates === 'prefix' && (file.packed !== undefined || (await this.#content.isWithin(file, source))))
        return true
    }
    return false
  }

  /** Has all that is known of another source: a fork, or a generation with the same heading. */
  async #isOfAnother(file: FoundFile, than: Source): Promise<boolean> {
    for (const source of this.#table.readOf(rotationSet(file.path))) {
      if (source === than || source.isFinished) continue
      if ((await this.#relation(file, source)) === 'same') return true
    }
    return false
  }

  async #moveTo(source: Source, file: FoundFile, found: Findings): Promise<void> {
    const isRead = source.isSettled || (source.isFinished && file.stat.size <= source.offset)
    await this.#table.moveTo(source, file)
    found.take(file)
    this.#copies.release(file.path)
    if (!isRead) await this.#tellDamage(source, file)
  }

  /** Step 3. False if files were left for a later look. */
  async #welcome(found: Findings, isLast: boolean): Promise<boolean> {
    const now = this.#parts.clock.monotonic()
    const setsBefore = new Set(this.#table.knownSets)
    this.#copies.keepOnly(found.files)
    const rest = found.rest
      // A rotated name without content says nothing yet. An empty file under its active name is a source all the same,
      // and so is any that was named itself, when nothing more is waited for.
      .filter(file => file.stat.size > 0 || file.packed || isActiveName(file.path) || (isLast && !file.isSibling))
    const names = new Set(rest.map(file => file.path))
    for (const path of this.#waiting.keys()) if (!names.has(path)) this.#waiting.delete(path)
    let isWhole = !found.isAnyPending
    this.#unbegunBytes = 0
    for (const file of rest) {
      const set = rotationSet(file.path)
      if (this.#content.isAfterPowerCut && this.#powerCut.isReading(set)) {
        isWhole = false
        continue
      }
      if (isCompressed(file.path)) {
        if (!(await this.#welcomePacked(file, found, isLast, !setsBefore.has(set), now))) isWhole = false
        continue
      }
      if (await this.#isFoundLate(file, found)) continue
      if (!isActiveName(file.path) && !isLast && (await this.#copies.holds(file, found, now))) continue
      const mayBeUndone = this.#content.isAfterPowerCut && file.stat.size > 0
      const had = mayBeUndone ? await this.#powerCut.undone(file, set) : undefined
      if (had !== undefined) this.#powerCut.goOn(file, had)
      else await this.#begin(file, !setsBefore.has(set))
    }
    // A name without a file, or with an empty one, counts as looked at.
    const sets = [...rest.map(file => file.path), ...this.#config.rules.map(rule => rule.path)].map(rotationSet)
    const isNews = sets.filter(set => !this.#table.knownSets.has(set))
    for (const set of isNews) this.#table.knownSets.add(set)
    if (isNews.length > 0) await this.#parts.setsKnown([...new Set(isNews)])
    return isWhole
  }

  /**
   * A compressed file without a source. One that has what is known already is bound to that source, or passed over; while
   * the plain file is there, that one is read. Anything else is a source of its own. False if it is not decided yet.
   */
  async #welcomePacked(
    file: FoundFile,
    found: Findings,
    isLast: boolean,
    isOld: boolean,
    now: number,
  ): Promise<boolean> {
    const { packed } = file
    if (packed === undefined) {
      await this.#exclude(file, 'a rotated file from before the first look')
      return true
    }
    const since = this.#waiting.get(file.path) ?? now
    this.#waiting.set(file.path, since)
    const isOver = isLast || now - since >= this.#config.holdBackMs
    if (packed.state === 'torn' && !isOver) return true
    // Kept beside its compressed copy, or just being compressed: the plain one is read first.
    const plain = found.files.get(file.path.replace(/\.[^.]+$/, ''))
    const twin = plain && this.#table.at(plain)
    if (twin !== undefined && !twin.isExcluded && !twin.isFinished && twin.offset < twin.size) return false
    let isHeld = false
    let isClaimed = false
    // Whoever has most of it decides.
    const set = this.#table.ofSet(rotationSet(file.path)).reverse()
    for (const source of set.sort((a, b) => b.offset - a.offset)) {
      const verdict = this.#packed.verdict(file, source)
      if (verdict === undefined) return false
      if (verdict === 'other') continue
      const isMore = verdict === 'same' && packed.bytes > source.offset
      const isElsewhere = found.at(source) !== undefined || source.file !== undefined
      if ((verdict === 'same' && !isMore) || verdict === 'prefix') {
        this.#waiting.delete(file.path)
        if (verdict === 'same' && !isElsewhere && source.isFinished) await this.#moveTo(source, file, found)
        else this.#table.drawExcluded(file)
        if (verdict === 'same' && !isElsewhere) await this.#table.end(source)
        this.#parts.log.info('compressed file has what was read already', { path: file.path, source: source.name })
        return true
      }
      if (isMore && source.isFinished && !isElsewhere && !isClaimed) {
        // It was given up; what it lacked is here.
        source.isFinished = false
        await this.#moveTo(source, file, found)
        return true
      }
      isHeld = true
      isClaimed ||= isMore
    }
    if (isHeld && !isOver) return !isLast
    this.#waiting.delete(file.path)
    if (isHeld) await this.#table.tell(undefined, file.path, 0, READ_ANYWAY, 'alarm')
    if (packed.bytes === 0 || packed.state === 'bomb' || packed.state === 'unread') {
      const source = this.#table.drawExcluded(file)
      if (packed.state !== 'whole') await this.#table.tell(source, file.path, 0, `not read: ${packed.reason}`, 'hole')
      return true
    }
    await this.#begin(file, isOld)
    return true
  }

  async #tellDamage(source: Source, { path, packed }: FoundFile): Promise<void> {
    if (packed === undefined || packed.state === 'whole') return
    await this.#table.tell(source, path, packed.bytes, `the compressed file ends in damage: ${packed.reason}`, 'hole')
  }

  /**
   * Here is what a source had that was given up, or is done with, and perhaps more: looks missed the file, for it was
   * renamed while they listed. It is read on.
   */
  async #isFoundLate(file: FoundFile, found: Findings): Promise<boolean> {
    let best: Source | undefined
    const set = rotationSet(file.path)
    // What has a fork goes on as that: after a folder was moved, both have the same file.
    const forked = new Set([...this.#table.ofSet(set)].map(({ parent }) => parent))
    for (const source of this.#table.readOf(set)) {
      if (!source.isFinished || source.file !== undefined || found.at(source) !== undefined) continue
      if (forked.has(source.name)) continue
      if (source.offset <= (best?.offset ?? 0) || source.offset > file.stat.size) continue
      // Generations may share a heading; and a program may begin anew as it did before.
      if (!endsInTime(source.tail) && (isActiveName(file.path) || source.offset < HEAD_BYTES)) continue
      if ((await this.#content.relationTo(file, source)) === 'same') best = source
    }
    if (best === undefined) return false
    const isMore = file.stat.size > best.offset
    await this.#moveTo(best, file, found)
    if (isMore) best.isFinished = false
    else await this.#table.end(best)
    return true
  }

  /** It is not to be read, now or later: what is in it is named. */
  async #exclude(file: FoundFile, reason: string): Promise<void> {
    const source = this.#table.drawExcluded(file)
    await this.#table.tell(source, file.path, 0, reason, 'excluded')
  }

  /** @param isOld its rotation set is looked at for the first time */
  async #begin(file: FoundFile, isOld: boolean): Promise<void> {
    // Written to since we are here: rotated before the first look came to it.
    const isExcluded = file.isSibling && isOld && file.stat.mtimeMs < this.#startedMs
    // A file that comes later under a glob is read from its beginning, whatever `from` says.
    const ruleSet = rotationSet(file.rule.path)
    const isThere = isOld && (ruleSet === rotationSet(file.path) || !this.#table.knownSets.has(ruleSet))
    const redactor = redactorOf(file.rule)
    const begun = await this.#content.withFile(file, async handle => {
      const start = isExcluded ? file.stat.size : isThere ? await firstOffset(handle, file, this.#parts.clock.now()) : 0
      const head = await readRedacted(handle, 0, HEAD_BYTES, redactor)
      return { start, head, tail: await readRedacted(handle, Math.max(0, start - TAIL_BYTES), start, redactor) }
    })
    if (begun === undefined) {
      this.#unbegunBytes += file.stat.size
      return
    }
    const { start } = begun
    const source = this.#table.draw(file, start, begun.head, begun.tail, isExcluded)
    if (this.#content.isAfterPowerCut && !isExcluded) this.#powerCut.reads(file, source)
    this.#parts.log.info('new file', { path: file.path, source: source.name, from: start, bytes: file.stat.size })
    const why = isExcluded ? 'a rotated file from before the first look' : 'before what `from` says'
    if (start > 0) await this.#table.tell(source, file.path, 0, why, 'excluded', start)
    await this.#tellDamage(source, file)
  }

  /** Undefined if the file cannot be read; of a compressed one also while it is not known. */
  async #relation(file: FoundFile, source: Source): Promise<Verdict | undefined> {
    return file.packed === undefined ? await this.#content.relationTo(file, source) : this.#packed.verdict(file, source)
  }
}

/** Born empty, and nothing of it was seen since. */
function isUnknown(source: Source): boolean {
  return isUnread(source) && source.head.length === 0 && !source.isFinished && !source.isExcluded
}

/** The bucks remember it without its beginning, and no more of it is known than its end. */
function isUnseen(source: Source): boolean {
  return source.isRemembered && source.head.length === 0
}

/** What file and source have in common at their beginning is a line with a time, at least, and no line that ends otherwise. */
function isProvenByHead({ head }: Source, { stat }: FoundFile): boolean {
  const common = head.subarray(0, stat.size)
  return (common.includes(0x0a) || common.length >= HEAD_BYTES) && endsInTime(common)
}

function isUnread(source: Source): boolean {
  return source.offset === source.start && source.tail.length === 0
}
