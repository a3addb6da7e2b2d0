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
import { RangeSet } from '../shared/ranges.ts'
import type { Clock, Random } from '../shared/world.ts'
import { type Beginning, Content, type ContentParts, endsInTime, isProof, StaleLookError } from './content.ts'
import { type FileRule, type FoundFile, findFiles } from './find-files.ts'
import { isActiveName, isCompressed, rotationSet } from './rotation.ts'
import { HEAD_BYTES, type Relation, readAt, Source, TAIL_BYTES } from './source.ts'
import type { StoredSource } from './source-log.ts'

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

/** Of one rotation set, done with and without a file. */
const FINISHED_KEPT = 50
interface Held {
  since: number
  /** Size at which every byte of it was compared and is in packets of a known source. */
  readSize: number | undefined
}

export class Sources {
  readonly #config: SourcesConfig
  readonly #parts: SourcesParts
  readonly #sources = new Map<string, Source>()
  /** Rotation sets that were looked at before: siblings that come later are new, those before are not ours. */
  readonly #knownSets = new Set<string>()
  /** All that was ever sent is in the journal again. Else there are packets whose bytes we do not know. */
  isAllKnown = false
  /** Wall clock: compared with the times of files. */
  readonly #startedMs: number
  /** Per rotation set, a file that is new to us after a power cut, with its size then. */
  readonly #firstRead = new Map<string, { source: Source; size: number }>()
  readonly #alarmedSets = new Set<string>()
  /** Own folders that a glob came upon: said once. */
  readonly #passedOver = new Set<string>()
  /** Inodes of the last look. */
  #present = new Set<string>()
  readonly #held = new Map<string, Held>()
  readonly #content: Content

  constructor(
    config: SourcesConfig,
    parts: SourcesParts,
    { sources, sets }: { sources: StoredSource[]; sets: string[] },
    isAfterPowerCut: boolean,
  ) {
    this.#config = config
    this.#parts = parts
    this.#content = new Content({ ...parts, source: name => this.#sources.get(name) }, isAfterPowerCut)
    this.#startedMs = parts.clock.now()
    for (const set of sets) this.#knownSets.add(set)
    for (const one of sources) this.adopt(one)
  }

  get all(): Iterable<Source> {
    return this.#sources.values()
  }

  get(name: string): Source | undefined {
    return this.#sources.get(name)
  }

  /** Makes a source known as the source log, or a buck, remembers it. */
  adopt(stored: StoredSource, isRemembered = false): Source {
    const rule = this.#config.rules.find(rule => rule.path === stored.path)
    const source = new Source(stored, rule, this.#parts.clock.monotonic())
    source.isRemembered = isRemembered
    this.#sources.set(source.name, source)
    this.#knownSets.add(rotationSet(source.path))
    return source
  }

  get knownSets(): string[] {
    return [...this.#knownSets]
  }

  /** Names of files held back now. */
  get heldBack(): string[] {
    return [...this.#held.keys()]
  }

  /**
   * One look; false if it was abandoned because files changed meanwhile, or if files wait for others to be read.
   * @param isLast  nothing is held back any more (a run that reads once and ends)
   */
  async look(isLast = false): Promise<boolean> {
    const reborn = new Set<Source>()
    try {
      const isWhole = await this.#look(reborn, isLast)
      if (isWhole) this.#content.isAfterPowerCut = false
      return isWhole
    } catch (error) {
      if (!(error instanceof StaleLookError)) throw error
      this.#parts.log.debug('files changed during the look', { error })
      return false
    } finally {
      if (reborn.size > 0) await this.#parts.birth([...reborn])
    }
  }

  #passOver(folder: string): void {
    if (this.#passedOver.has(folder)) return
    this.#passedOver.add(folder)
    this.#parts.log.info('a glob names our own data folder: nothing in it is tailed', { folder })
  }

  async #look(reborn: Set<Source>, isLast: boolean): Promise<boolean> {
    const found = await findFiles(
      this.#parts.disk,
      this.#config.rules,
      this.#config.ownFolders ?? [],
      (path, error) => this.#content.trouble(path, error),
      folder => this.#passOver(folder),
    )
    this.#present = new Set([...found.values()].map(({ stat }) => `${stat.dev}:${stat.ino}`))
    const taken = new Set<string>()
    const lost: Source[] = []
    const byInode = new Map([...found.values()].map(file => [`${file.stat.dev}:${file.stat.ino}`, file]))
    // Those known before the look: a fork drawn on the way has its file already.
    for (const source of [...this.#sources.values()]) {
      const at = byInode.get(`${source.dev}:${source.ino}`)
      if (this.#content.isAfterPowerCut && isUnread(source) && !source.isFinished && at !== undefined) {
        // Its inode may have again what was there before it was truncated. Else it keeps its name: what was read of it may
        // be known to bucks alone, and counts once only under that name.
        if (await this.#goOnAfterUndone(at, rotationSet(at.path), reborn)) {
          taken.add(at.path)
          source.ino = 0
          await this.#end(source, reborn)
          continue
        }
      }
      const file = at !== undefined && !taken.has(at.path) ? at : undefined
      if (file !== undefined && !source.isLost && (await this.#isStillIn(source, file))) {
        taken.add(file.path)
        source.size = file.stat.size
        source.missingSince = undefined
        source.unfoundLooks = 0
        source.isUnlinked = false
        if (source.path !== file.path) {
          this.#parts.log.info('file renamed', { source: source.name, from: source.path, to: file.path })
          source.path = file.path
          reborn.add(source)
        }
        if (source.size > source.offset) source.isSettled = false
      } else if (source.isFinished || source.isExcluded) {
      } else if (file === undefined && source.file !== undefined && !source.isLost) {
        source.isUnlinked = true
      } else {
        lost.push(source)
      }
    }
    for (const source of lost) await this.#findContent(source, found, taken, reborn)
    return await this.#welcome(found, taken, reborn, isLast)
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
  async #findContent(
    source: Source,
    found: Map<string, FoundFile>,
    taken: Set<string>,
    reborn: Set<Source>,
  ): Promise<void> {
    const set = rotationSet(source.path)
    const atInode = [...found.values()].find(file => source.isAt(file.stat))
    const candidates = [...found.values()]
      .filter(
        file =>
          !taken.has(file.path) && file.stat.size > 0 && !isCompressed(file.path) && rotationSet(file.path) === set,
      )
      .sort((a, b) => Number(isActiveName(b.path)) - Number(isActiveName(a.path)) || (a.path < b.path ? -1 : 1))
    let prefix: FoundFile | undefined
    for (const file of candidates) {
      const relates = await this.#relate(file, source)
      if (relates === 'same') {
        const isCopy = source.isLost || source.ino !== file.stat.ino
        const isTruncation = isCopy && isActiveName(source.path) && !isActiveName(file.path)
        await this.#moveTo(source, file, taken, reborn)
        if (isTruncation) await this.#alarm(source, COPIED_AND_TRUNCATED)
        return
      }
      if (relates === 'prefix' && !(atInode === file) && !isActiveName(file.path)) prefix ??= file
    }
    if (prefix !== undefined) {
      // The copy is shorter than what was read: nothing is left to read of it.
      await this.#moveTo(source, prefix, taken, reborn)
      await this.#end(source, reborn)
      await this.#alarm(source, COPIED_AND_TRUNCATED)
      return
    }
    if (this.#content.isAfterPowerCut && (await this.#fork(source, atInode, candidates, taken, reborn))) return
    source.unfoundLooks++
    if (source.unfoundLooks < LOOKS_BEFORE_GIVING_UP && !this.#content.isAfterPowerCut) {
      // Until that is decided, nobody else begins with the file.
      if (atInode !== undefined) taken.add(atInode.path)
      return
    }
    if (atInode !== undefined) {
      await this.#giveUpRest(source, 'truncated or overwritten before it was read', reborn)
      return
    }
    const now = this.#parts.clock.monotonic()
    source.missingSince ??= now
    if (source.isSettled) await this.#end(source, reborn)
    else if (source.isRemembered) await this.#endRemembered(source, reborn)
    else if (now - source.missingSince >= this.#config.missingMs) {
      await this.#giveUpRest(
        source,
        'the file is gone: what was written to it after the last look was not read',
        reborn,
        true,
      )
    }
  }

  async #moveTo(source: Source, file: FoundFile, taken: Set<string>, reborn: Set<Source>): Promise<void> {
    this.#parts.log.info('content found again', {
      source: source.name,
      from: source.path,
      to: file.path,
      offset: source.offset,
    })
    await source.closeFile()
    source.path = file.path
    source.dev = file.stat.dev
    source.ino = file.stat.ino
    source.size = file.stat.size
    source.isLost = false
    source.isUnlinked = false
    source.isSettled = false
    source.missingSince = undefined
    source.isRemembered = false
    taken.add(file.path)
    this.#held.delete(file.path)
    reborn.add(source)
  }

  /**
   * After a power cut a file may be shorter than what was read of it, and go on in another way. What it still shares with
   * the known content is not read again: a new source begins there and names its parent. The file at its inode is
   * believed; another one of the rotation set must share enough to prove something.
   */
  async #fork(
    source: Source,
    atInode: FoundFile | undefined,
    candidates: FoundFile[],
    taken: Set<string>,
    reborn: Set<Source>,
  ): Promise<boolean> {
    let best: { file: FoundFile; begun: Beginning } | undefined
    for (const file of candidates) {
      const begun = await this.#content.beginning(file, source)
      if (begun === undefined || begun.at <= Math.max(source.start, best?.begun.at ?? 0)) continue
      if (file === atInode || isProof(begun, file)) best = { file, begun }
    }
    if (best === undefined) return false
    if (!this.isAllKnown) {
      await this.#rewind(source, best.file, best.begun, taken, reborn)
      return true
    }
    await this.#end(source, reborn)
    source.ino = 0
    const fact = 'file shorter after a power cut: reading goes on where it differs'
    this.#drawFork(best.file, source, best.begun, fact, reborn)
    taken.add(best.file.path)
    return true
  }

  /**
   * Like a fork, but under the same name: packets that we do not know of may hold the same lines at the same
   * offsets, and only then they count once. Where the bytes differ, both are kept.
   */
  async #rewind(
    source: Source,
    file: FoundFile,
    begun: Beginning,
    taken: Set<string>,
    reborn: Set<Source>,
  ): Promise<void> {
    await source.closeFile()
    this.#parts.log.warn('file shorter after a power cut: read again from where it differs', {
      path: file.path,
      source: source.name,
      from: begun.at,
      known: source.offset,
    })
    source.path = file.path
    source.dev = file.stat.dev
    source.ino = file.stat.ino
    source.size = file.stat.size
    source.offset = begun.at
    source.head = begun.head
    source.tail = begun.tail
    source.coverage = new RangeSet([[source.start, begun.at]])
    source.rewound = { at: begun.at, epoch: this.#parts.epochCount() }
    source.isLost = false
    source.isSettled = false
    taken.add(file.path)
    reborn.add(source)
  }

  #drawFork(file: FoundFile, parent: Source, { at, head, tail }: Beginning, fact: string, reborn: Set<Source>): void {
    const fork = this.#draw(file, at, head, tail, false, parent.name)
    const fields = { path: file.path, source: fork.name, parent: parent.name, from: at, known: parent.offset }
    this.#parts.log.warn(fact, fields)
    reborn.add(fork)
  }

  /** Step 3. False if files were left for a later look. */
  async #welcome(
    found: Map<string, FoundFile>,
    taken: Set<string>,
    reborn: Set<Source>,
    isLast: boolean,
  ): Promise<boolean> {
    const now = this.#parts.clock.monotonic()
    const setsBefore = new Set(this.#knownSets)
    for (const path of this.#held.keys()) if (!found.has(path)) this.#held.delete(path)
    const rest = [...found.values()]
      .filter(file => !taken.has(file.path) && !isCompressed(file.path))
      // A rotated name without content says nothing yet. An empty file under its active name is a source all the same,
      // and so is any that was named itself, when nothing more is waited for.
      .filter(file => file.stat.size > 0 || isActiveName(file.path) || (isLast && !file.isSibling))
      .sort((a, b) => a.stat.mtimeMs - b.stat.mtimeMs)
    let isWhole = true
    for (const file of rest) {
      const set = rotationSet(file.path)
      if (this.#content.isAfterPowerCut && this.#isBeingRead(set)) {
        isWhole = false
        continue
      }
      if (!isActiveName(file.path) && !isLast) {
        if (await this.#isCopyInTheMaking(file, set, found)) {
          const held = this.#held.get(file.path) ?? { since: now, readSize: undefined }
          this.#held.set(file.path, held)
          if (held.readSize !== file.stat.size && (await this.#isAllRead(file, set))) held.readSize = file.stat.size
          if (now - held.since < this.#config.holdBackMs) continue
          await this.#decideHeld(file, held.readSize === file.stat.size, reborn)
          if (held.readSize === file.stat.size) continue
        }
      }
      this.#held.delete(file.path)
      const isOld = !setsBefore.has(set)
      if (this.#content.isAfterPowerCut && file.stat.size > 0 && (await this.#goOnAfterUndone(file, set, reborn)))
        continue
      // Written to since we are here: rotated before the first look came to it.
      const isExcluded = file.isSibling && isOld && file.stat.mtimeMs < this.#startedMs
      const start = isExcluded || (isOld && file.rule.from === 'end') ? file.stat.size : 0
      const begun = await this.#content.withFile(file, async handle => ({
        head: await readAt(handle, 0, HEAD_BYTES),
        tail: await readAt(handle, Math.max(0, start - TAIL_BYTES), start),
      }))
      if (begun === undefined) continue
      const source = this.#draw(file, start, start === 0 ? Buffer.alloc(0) : begun.head, begun.tail, isExcluded)
      reborn.add(source)
      if (this.#content.isAfterPowerCut && !isExcluded) this.#firstRead.set(set, { source, size: file.stat.size })
      this.#parts.log.info('new file', { path: file.path, source: source.name, from: start, bytes: file.stat.size })
      const why = isExcluded ? 'a rotated file from before the first look' : 'from: end'
      if (start > 0) await this.#parts.giveUp(this.#word(source, file.path, 0, why, 'excluded', start))
    }
    // A name without a file, or with an empty one, counts as looked at.
    const sets = [...rest.map(file => file.path), ...this.#config.rules.map(rule => rule.path)].map(rotationSet)
    const isNews = sets.filter(set => !this.#knownSets.has(set))
    for (const set of isNews) this.#knownSets.add(set)
    if (isNews.length > 0) await this.#parts.setsKnown([...new Set(isNews)])
    return isWhole
  }

  /**
   * After a power cut two files that are new to us may be a copy and its original, each cut off in another place. One of
   * a set is read first; then it is known where the other one differs.
   */
  #isBeingRead(set: string): boolean {
    const first = this.#firstRead.get(set)
    if (first === undefined || first.source.isFinished || first.source.isLost) return false
    return first.source.coverage.endFrom(first.source.start) < first.size
  }

  /**
   * A power cut undid a truncation: the file has again what was read, or the beginning of it, and goes on behind that.
   */
  async #goOnAfterUndone(file: FoundFile, set: string, reborn: Set<Source>): Promise<boolean> {
    let best: { source: Source; begun: Beginning } | undefined
    for (const source of this.#sources.values()) {
      if (source.isExcluded || source.offset === source.start || rotationSet(source.path) !== set) continue
      const begun = await this.#content.beginning(file, source)
      if (begun === undefined || begun.at <= Math.max(source.start, best?.begun.at ?? 0)) continue
      if (isProof(begun, file)) best = { source, begun }
    }
    if (best === undefined) return false
    this.#drawFork(
      file,
      best.source,
      best.begun,
      'a power cut undid a truncation: reading goes on where it differs',
      reborn,
    )
    return true
  }

  async #isCopyInTheMaking(file: FoundFile, set: string, found: Map<string, FoundFile>): Promise<boolean> {
    for (const source of this.#sources.values()) {
      if (source.isExcluded || source.offset === source.start || rotationSet(source.path) !== set) continue
      if (source.path === file.path && source.isFinished) continue
      if ((await this.#relate(file, source)) !== 'other') return true
    }
    // The original may be as new to us as the copy.
    for (const live of found.values()) {
      if (live === file || rotationSet(live.path) !== set || !isActiveName(live.path)) continue
      if (live.stat.size >= file.stat.size && (await this.#content.isBeginningOf(file, live))) return true
    }
    return false
  }

  /** Every byte of the file is known to be in packets of one source: more than a heading, and none of it unknown. */
  async #isAllRead(file: FoundFile, set: string): Promise<boolean> {
    const { size } = file.stat
    for (const source of this.#sources.values()) {
      if (source.isExcluded || source.offset < size || rotationSet(source.path) !== set) continue
      const isKnown = await this.#content.withFile(file, async handle => {
        if (size < HEAD_BYTES && !endsInTime(await readAt(handle, 0, size))) return false
        return (await this.#content.sharedBytes(handle, size, source, false)) === size
      })
      if (isKnown) return true
    }
    return false
  }

  /** The time to hold it back is over. A proven copy is never read; anything else is a file of its own. Either is told. */
  async #decideHeld(file: FoundFile, isCopy: boolean, reborn: Set<Source>): Promise<void> {
    const why = isCopy
      ? 'a copy of what was read already: not read again'
      : 'equal to a known file for too long: read as a file of its own'
    await this.#parts.giveUp(this.#word(undefined, file.path, 0, why, 'alarm'))
    if (!isCopy) return
    this.#held.delete(file.path)
    const head = (await this.#content.withFile(file, handle => readAt(handle, 0, HEAD_BYTES))) ?? Buffer.alloc(0)
    reborn.add(this.#draw(file, 0, head, Buffer.alloc(0), true))
  }

  #draw(file: FoundFile, start: number, head: Buffer, tail: Buffer, isExcluded: boolean, parent?: string): Source {
    const name = this.#parts.random.bytes(10).toString('hex')
    const app = file.rule.app ?? defaultApp(file.path)
    const { dev, ino } = file.stat
    const host = file.rule.host ?? this.#config.host
    const stored = {
      source: name,
      tailer: '',
      machine: '',
      host,
      path: file.path,
      app,
      dev,
      ino,
      start,
      to: start,
      head,
      tail,
      parent,
    }
    const source = this.adopt({ ...stored, isSettled: isExcluded, isExcluded, isFinished: false })
    source.size = file.stat.size
    return source
  }

  async #giveUpRest(source: Source, reason: string, reborn: Set<Source>, isEndUnknown = false): Promise<void> {
    if (source.size > source.offset || isEndUnknown) {
      const to = source.size > source.offset ? source.size : undefined
      await this.#parts.giveUp(this.#word(source, source.path, source.offset, reason, 'hole', to))
    } else {
      await this.#alarm(source, `${reason}: all that was seen of it was read`)
    }
    await this.#end(source, reborn)
    // Whatever is at its inode now is another source.
    source.ino = 0
  }

  /**
   * The folder was lost, and of all sources that ever were the bucks cannot say which had been read to their end. One
   * alarm per name, not one per generation.
   */
  async #endRemembered(source: Source, reborn: Set<Source>): Promise<void> {
    const set = rotationSet(source.path)
    if (!this.#alarmedSets.has(set)) {
      this.#alarmedSets.add(set)
      await this.#alarm(source, 'the folder of the tailer was lost: files that went since cannot be proven to be read')
    }
    await this.#end(source, reborn)
  }

  async #alarm(source: Source, reason: string): Promise<void> {
    await this.#parts.giveUp(this.#word(source, source.path, source.offset, reason, 'alarm'))
  }

  async #end(source: Source, reborn: Set<Source>): Promise<void> {
    source.isFinished = true
    source.isSettled = true
    source.isLost = false
    await source.closeFile()
    reborn.add(source)
  }

  #word(
    source: Source | undefined,
    path: string,
    from: number,
    reason: string,
    kind: GivenUp['kind'],
    to?: number,
  ): GivenUp {
    return { source: source?.name ?? '', host: source?.host ?? this.#config.host, path, from, to, reason, kind }
  }

  async #relate(file: FoundFile, source: Source): Promise<Relation> {
    return (await this.#content.relationTo(file, source)) ?? 'other'
  }

  /**
   * Forgets sources that are done with and whose files are gone, but for the youngest of each rotation set: a late copy of
   * theirs is still recognised.
   * @param isNeeded  packets of the journal name it
   */
  prune(isNeeded: (source: Source) => boolean): void {
    const gone = new Map<string, Source[]>()
    for (const source of this.#sources.values()) {
      if (!(source.isFinished || source.isExcluded) || this.#present.has(`${source.dev}:${source.ino}`)) continue
      const set = rotationSet(source.path)
      const list = gone.get(set)
      if (list === undefined) gone.set(set, [source])
      else list.push(source)
    }
    for (const list of gone.values()) {
      for (const source of list.slice(0, Math.max(0, list.length - FINISHED_KEPT))) {
        if (!isNeeded(source)) this.#sources.delete(source.name)
      }
    }
  }
}

function isUnread(source: Source): boolean {
  return source.offset === source.start && source.tail.length === 0
}

/** The file's name without its endings: `nginx` of `/var/log/nginx.access.log`. */
function defaultApp(path: string): string {
  const name = rotationSet(path).replace(/^.*\//, '')
  return name.split('.')[0] || name
}
