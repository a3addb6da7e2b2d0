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
import type { Clock, Disk, Log, OpenFile, Random } from '../shared/world.ts'
import { type FileRule, type FoundFile, findFiles } from './find-files.ts'
import { isActiveName, isCompressed, rotationSet } from './rotation.ts'
import { HEAD_BYTES, type Relation, readAt, relation, Source, TAIL_BYTES } from './source.ts'
import type { StoredSource } from './source-log.ts'

export interface SourcesConfig {
  host: string
  rules: FileRule[]
  /** A copy that equals a known file is held back for so long, then read as a file of its own, and alarmed. */
  holdBackMs: number
  /** A rotated file that was read to its end and is quiet for so long is closed. */
  settleMs: number
  /** A file that is missing for so long is given up. */
  missingMs: number
}

export interface SourcesParts {
  clock: Clock
  random: Random
  disk: Disk
  log: Log
  /** Synced before it resolves. */
  birth(sources: Source[]): Promise<void>
  giveUp(what: GivenUp): Promise<void>
  /** Bytes [from, to) of a source out of the journal; undefined if they are not there (any more). */
  journalBytes(source: Source, from: number, to: number): Promise<Buffer | undefined>
}

interface Held {
  since: number
  isTold: boolean
}

export class Sources {
  readonly #config: SourcesConfig
  readonly #parts: SourcesParts
  readonly #sources = new Map<string, Source>()
  /** Rotation sets that were looked at before: siblings that come later are new, those before are not ours. */
  readonly #knownSets = new Set<string>()
  readonly #alarmedSets = new Set<string>()
  readonly #held = new Map<string, Held>()
  /** The machine was off since: the file system may have lost the end of a file that we read. */
  #isAfterPowerCut: boolean

  constructor(config: SourcesConfig, parts: SourcesParts, stored: StoredSource[], isAfterPowerCut: boolean) {
    this.#config = config
    this.#parts = parts
    this.#isAfterPowerCut = isAfterPowerCut
    for (const one of stored) this.adopt(one)
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

  /** Names of files held back now. */
  get heldBack(): string[] {
    return [...this.#held.keys()]
  }

  /** One look. `isLast`: nothing is held back any more (a run that reads once and ends). */
  async look(isLast = false): Promise<void> {
    const found = await findFiles(this.#parts.disk, this.#config.rules)
    const taken = new Set<string>()
    const reborn = new Set<Source>()
    const lost: Source[] = []
    for (const source of this.#sources.values()) {
      const file = [...found.values()].find(file => !taken.has(file.path) && source.isAt(file.stat))
      if (file !== undefined && !source.isLost && (await this.#isStillIn(source, file))) {
        taken.add(file.path)
        source.size = file.stat.size
        source.missingSince = undefined
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
    await this.#welcome(found, taken, reborn, isLast)
    this.#isAfterPowerCut = false
    if (reborn.size > 0) await this.#parts.birth([...reborn])
  }

  /** The file at its inode is not a cut or rewritten one. Compares content only where there is a reason to. */
  async #isStillIn(source: Source, { stat, path }: FoundFile): Promise<boolean> {
    if (source.isExcluded) return true
    if (source.isFinished) return this.#isStillOver(source, { stat, path })
    if (stat.size < source.offset) return false
    if (source.isChecked || (source.file !== undefined && stat.size === source.size)) return true
    const isSame = await this.#withFile(
      path,
      async file => (await relation(file, stat.size, source, this.#known(source))) === 'same',
    )
    return isSame ?? true
  }

  /** A file that was done with: the same still, or the copy of it goes on growing. */
  async #isStillOver(source: Source, { stat, path }: { stat: FoundFile['stat']; path: string }): Promise<boolean> {
    if (stat.size === source.size) return true
    const relates = await this.#withFile(path, file => relation(file, stat.size, source, this.#known(source)))
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
        await this.#moveTo(source, file, taken, reborn)
        return
      }
      if (relates === 'prefix' && !(atInode === file) && !isActiveName(file.path)) prefix ??= file
    }
    if (prefix !== undefined) {
      // The copy is shorter than what was read: nothing is left to read of it.
      await this.#moveTo(source, prefix, taken, reborn)
      await this.#end(source, reborn)
      await this.#alarm(
        source,
        'copied and truncated: lines written between the copy and the truncation cannot be proven',
      )
      return
    }
    if (atInode !== undefined) {
      if (this.#isAfterPowerCut && (await this.#fork(source, atInode, taken, reborn))) return
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
    const wasTruncated = source.isLost || source.ino !== file.stat.ino
    const before = source.path
    await source.closeFile()
    source.path = file.path
    source.dev = file.stat.dev
    source.ino = file.stat.ino
    source.size = file.stat.size
    source.isLost = false
    source.isUnlinked = false
    source.isChecked = false
    source.isSettled = false
    source.missingSince = undefined
    source.isRemembered = false
    taken.add(file.path)
    this.#held.delete(file.path)
    reborn.add(source)
    if (wasTruncated && before !== file.path && isActiveName(before) && !isActiveName(file.path)) {
      await this.#alarm(
        source,
        'copied and truncated: lines written between the copy and the truncation cannot be proven',
      )
    }
  }

  /**
   * After a power cut a file may be shorter than what was read of it. What it still shares with the known content is not
   * read again: a new source begins there and names its parent.
   */
  async #fork(source: Source, file: FoundFile, taken: Set<string>, reborn: Set<Source>): Promise<boolean> {
    const shared = await this.#withFile(file.path, handle => this.#sharedPrefix(handle, file.stat.size, source))
    if (shared === undefined || shared === 0) return false
    await this.#end(source, reborn)
    source.ino = 0
    const tail =
      (await this.#withFile(file.path, handle => readAt(handle, Math.max(0, shared - TAIL_BYTES), shared))) ??
      Buffer.alloc(0)
    const head =
      (await this.#withFile(file.path, handle => readAt(handle, 0, Math.min(HEAD_BYTES, shared)))) ?? Buffer.alloc(0)
    const fork = this.#draw(file, shared, head, tail, false, source.name)
    this.#parts.log.warn('file shorter after a power cut: reading goes on where it differs', {
      path: file.path,
      source: fork.name,
      parent: source.name,
      from: shared,
      known: source.offset,
    })
    taken.add(file.path)
    reborn.add(fork)
    return true
  }

  async #sharedPrefix(file: OpenFile, size: number, source: Source): Promise<number> {
    const headBytes = Math.min(source.head.length, size)
    if (headBytes === 0 || !(await readAt(file, 0, headBytes)).equals(source.head.subarray(0, headBytes))) return 0
    const known = this.#known(source)
    const STEP = 64 * 1024
    let at = headBytes
    const end = Math.min(size, source.offset)
    while (at < end) {
      const to = Math.min(end, at + STEP)
      const expected = await known(at, to)
      if (expected !== undefined) {
        const actual = await readAt(file, at, to)
        for (let i = 0; i < to - at; i++) if (actual[i] !== expected[i]) return at + i
      }
      // Not in the journal any more: archived long before the cut, and so on the disk long before it.
      at = to
    }
    return end
  }

  /** Step 3. */
  async #welcome(
    found: Map<string, FoundFile>,
    taken: Set<string>,
    reborn: Set<Source>,
    isLast: boolean,
  ): Promise<void> {
    const now = this.#parts.clock.monotonic()
    const setsBefore = new Set(this.#knownSets)
    for (const path of this.#held.keys()) if (!found.has(path)) this.#held.delete(path)
    const rest = [...found.values()]
      .filter(file => !taken.has(file.path) && file.stat.size > 0 && !isCompressed(file.path))
      .sort((a, b) => a.stat.mtimeMs - b.stat.mtimeMs)
    for (const file of rest) {
      const set = rotationSet(file.path)
      if (!isActiveName(file.path) && !isLast) {
        if (await this.#isCopyInTheMaking(file, set)) {
          const held = this.#held.get(file.path) ?? { since: now, isTold: false }
          this.#held.set(file.path, held)
          if (now - held.since < this.#config.holdBackMs) continue
          await this.#parts.giveUp(
            this.#word(
              undefined,
              file.path,
              0,
              'equal to a known file for too long: read as a file of its own',
              'alarm',
            ),
          )
        }
      }
      this.#held.delete(file.path)
      const isOld = !setsBefore.has(set)
      this.#knownSets.add(set)
      if (file.isSibling && isOld) {
        const head = (await this.#withFile(file.path, handle => readAt(handle, 0, HEAD_BYTES))) ?? Buffer.alloc(0)
        const excluded = this.#draw(file, 0, head, Buffer.alloc(0), true)
        reborn.add(excluded)
        continue
      }
      const start = isOld && file.rule.from === 'end' ? file.stat.size : 0
      const head = (await this.#withFile(file.path, handle => readAt(handle, 0, HEAD_BYTES))) ?? Buffer.alloc(0)
      const tail =
        (await this.#withFile(file.path, handle => readAt(handle, Math.max(0, start - TAIL_BYTES), start))) ??
        Buffer.alloc(0)
      if (head.length === 0) continue
      const source = this.#draw(file, start, start === 0 ? Buffer.alloc(0) : head, tail, false)
      reborn.add(source)
      this.#parts.log.info('new file', { path: file.path, source: source.name, from: start, bytes: file.stat.size })
      if (start > 0) await this.#parts.giveUp(this.#word(source, file.path, 0, 'from: end', 'excluded', start))
    }
    // A set with an active file that is empty still counts as looked at.
    for (const rule of this.#config.rules) this.#knownSets.add(rotationSet(rule.path))
  }

  async #isCopyInTheMaking(file: FoundFile, set: string): Promise<boolean> {
    for (const source of this.#sources.values()) {
      if (source.isExcluded || source.offset === source.start || rotationSet(source.path) !== set) continue
      if (source.path === file.path && source.isFinished) continue
      if ((await this.#relate(file, source)) !== 'other') return true
    }
    return false
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
    const relates = await this.#withFile(file.path, handle =>
      relation(handle, file.stat.size, source, this.#known(source)),
    )
    return relates ?? 'other'
  }

  #known(source: Source): (from: number, to: number) => Promise<Buffer | undefined> {
    return async (from, to) => {
      const tailFrom = source.offset - source.tail.length
      if (from >= tailFrom && to <= source.offset) return source.tail.subarray(from - tailFrom, to - tailFrom)
      if (to <= source.head.length) return source.head.subarray(from, to)
      return this.#parts.journalBytes(source, from, to)
    }
  }

  /** Undefined if the file cannot be opened (any more). */
  async #withFile<T>(path: string, use: (file: OpenFile) => Promise<T>): Promise<T | undefined> {
    let file: OpenFile
    try {
      file = await this.#parts.disk.open(path, 'read')
    } catch (error) {
      this.#parts.log.warn('file cannot be opened', { path, error })
      return undefined
    }
    try {
      return await use(file)
    } finally {
      await file.close()
    }
  }
}

/** The file's name without its endings: `nginx` of `/var/log/nginx.access.log`. */
function defaultApp(path: string): string {
  const name = rotationSet(path).replace(/^.*\//, '')
  return name.split('.')[0] || name
}
