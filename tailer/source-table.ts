// The sources of one tailer and what can become of each: drawn, bound to another file, ended, given up. Every change that
// a restart must know of is collected here until it is synced (`takeChanged`).
import { dirname } from 'node:path'
import type { GivenUp } from '../shared/manifest.ts'
import { RangeSet } from '../shared/ranges.ts'
import type { Clock, Log, Random } from '../shared/world.ts'
import type { Beginning } from './content.ts'
import type { FileRule, FoundFile } from './find-files.ts'
import { namesOf, redactorOf, ruleOf } from './line-way.ts'
import { rotationSet } from './rotation.ts'
import { Source } from './source.ts'
import type { StoredSource } from './source-log.ts'

export interface SourceTableParts {
  clock: Clock
  random: Random
  log: Log
  giveUp(what: GivenUp): Promise<void>
  /** Count of the epoch that packets are cut in now. */
  epochCount(): number
}

const NOT_NAMED = 'no setting names it any more'
/** Files held open. Beyond, those that are read to their ends are closed: they are opened again when they grow. */
const OPEN_FILES_MAX = 1000
/** Of one rotation set, done with and without a file. */
const FINISHED_KEPT = 50

export class SourceTable {
  #config: { host: string; rules: FileRule[] }
  readonly #parts: SourceTableParts
  readonly #sources = new Map<string, Source>()
  readonly #bySet = new Map<string, Set<Source>>()
  /** Rotation sets that were looked at before: siblings that come later are new, those before are not ours. */
  readonly knownSets: Set<string>
  #changed = new Set<Source>()
  readonly #alarmedSets = new Set<string>()

  constructor(
    config: { host: string; rules: FileRule[] },
    parts: SourceTableParts,
    { sources, sets }: { sources: StoredSource[]; sets: string[] },
  ) {
    this.#config = config
    this.#parts = parts
    this.knownSets = new Set(sets)
    for (const one of sources) this.adopt(one)
  }

  /** Other settings from now on. Throws, and changes nothing, if they cannot be used. */
  follow(rules: FileRule[]): void {
    const changes: [Source, () => void][] = []
    for (const source of this.#sources.values()) {
      const change = source.wayOf(ruleOf(rules, source.path), this.#parts.clock.monotonic())
      if (change !== undefined) changes.push([source, change])
    }
    this.#config = { ...this.#config, rules }
    for (const [source, change] of changes) {
      change()
      // Whether bytes are hidden must be known after a crash.
      if (!source.isFinished) this.#changed.add(source)
    }
  }

  get all(): Iterable<Source> {
    return this.#sources.values()
  }

  get count(): number {
    return this.#sources.size
  }

  get(name: string): Source | undefined {
    return this.#sources.get(name)
  }

  /** The one that is bound to a file. */
  at({ path, stat }: FoundFile): Source | undefined {
    return this.ofSet(rotationSet(path)).find(source => source.isAt(stat))
  }

  /** The living one that was last seen under a name. */
  atPath(path: string): Source | undefined {
    for (const source of this.#bySet.get(rotationSet(path)) ?? []) {
      if (source.path === path && !source.isFinished && !source.isExcluded) return source
    }
    return undefined
  }

  /** Those of a rotation set, as they are now. */
  ofSet(set: string): Source[] {
    return [...(this.#bySet.get(set) ?? [])]
  }

  /** Those of a rotation set that something was read of. */
  *readOf(set: string): Iterable<Source> {
    for (const source of this.#bySet.get(set) ?? []) {
      if (!source.isExcluded && source.offset > source.start) yield source
    }
  }

  /** Makes a source known as the source log, or a buck, remembers it. */
  adopt(stored: StoredSource, isRemembered = false): Source {
    const rule = ruleOf(this.#config.rules, stored.path)
    const source = new Source(stored, rule, this.#parts.clock.monotonic())
    source.isRemembered = isRemembered
    this.#sources.set(source.name, source)
    this.#enter(source)
    this.knownSets.add(rotationSet(source.path))
    return source
  }

  /** What must be in the source log before anything more is read. */
  takeChanged(): Source[] {
    const changed = [...this.#changed]
    this.#changed = new Set()
    return changed
  }

  /** A source of its own for a file, read from `start`. */
  draw(file: FoundFile, start: number, head: Buffer, tail: Buffer, isExcluded = false, parent?: string): Source {
    const { dev, ino } = file.stat
    const names = namesOf(file.rule, file.path)
    const source = this.adopt({
      source: this.#parts.random.bytes(10).toString('hex'),
      tailer: '',
      machine: '',
      host: names.host ?? this.#config.host,
      path: file.path,
      app: names.app ?? defaultApp(file.rule.isSpool ? dirname(file.path) : file.path),
      dev,
      ino,
      start,
      to: start,
      head,
      tail,
      parent,
      isSettled: isExcluded,
      isExcluded,
      isFinished: false,
    })
    source.size = file.stat.size
    source.isFound = true
    if (isExcluded || file.packed !== undefined) source.saw(file)
    this.#changed.add(source)
    return source
  }

  /** A file of which nothing is to be read. */
  drawExcluded(file: FoundFile, tail: Buffer = Buffer.alloc(0)): Source {
    return this.draw(
      file,
      file.stat.size,
      (redactorOf(file.rule) === undefined && file.packed?.head) || Buffer.alloc(0),
      tail,
      true,
    )
  }

  /** A source that begins where a file stops having its parent's lines. */
  drawFork(file: FoundFile, parent: Source, { at, head, tail }: Beginning, fact: string): void {
    const fork = this.draw(file, at, head, tail, false, parent.name)
    const fields = { path: file.path, source: fork.name, parent: parent.name, from: at, known: parent.offset }
    this.#parts.log.warn(fact, fields)
  }

  renamed(source: Source, path: string): void {
    this.#parts.log.info('file renamed', { source: source.name, from: source.path, to: path })
    this.#leave(source)
    source.path = path
    this.#enter(source)
    this.#changed.add(source)
  }

  /** Its compressed file was written anew, and begins as before. */
  async repacked(source: Source, file: FoundFile): Promise<void> {
    await source.closeFile()
    source.saw(file)
    this.#changed.add(source)
  }

  /** Whatever is at its inode is another source. */
  apart(source: Source): void {
    source.ino = 0
    this.#changed.add(source)
  }

  async moveTo(source: Source, file: FoundFile): Promise<void> {
    this.#parts.log.info('content found again', {
      source: source.name,
      from: source.path,
      to: file.path,
      offset: source.offset,
    })
    await this.#bind(source, file)
  }

  /**
   * Its file is read again from `begun.at` under the same name: packets that we do not know of may hold the same lines at
   * the same offsets, and only then they count once. Where the bytes differ, both are kept.
   */
  async rewind(source: Source, file: FoundFile, begun: Beginning): Promise<void> {
    this.#parts.log.warn('file shorter after a power cut: read again from where it differs', {
      path: file.path,
      source: source.name,
      from: begun.at,
      known: source.offset,
    })
    await this.#readFrom(source, file, begun)
  }

  /**
   * The bucks know of it, and the folder that could tell whether this file has the same is lost: read again from its
   * beginning, under the same name for the same reason.
   */
  async readAgain(source: Source, file: FoundFile): Promise<void> {
    const fields = { path: file.path, source: source.name, bytes: file.stat.size, known: source.offset }
    this.#parts.log.warn('not proven to be what the bucks know of it: read again', fields)
    await this.#readFrom(source, file, { at: source.start, head: source.head, tail: Buffer.alloc(0) })
  }

  async #readFrom(source: Source, file: FoundFile, { at, head, tail }: Beginning): Promise<void> {
    await this.#bind(source, file)
    source.offset = at
    source.head = head
    source.tail = tail
    source.coverage = new RangeSet([[source.start, at]])
    source.rewound = { at, epoch: this.#parts.epochCount() }
  }

  /** No setting names it any more. What a rotated file has was read, if it is settled. */
  async leave(source: Source): Promise<void> {
    await source.closeFile()
    source.isLost = false
    source.namelessLooks = 0
    source.missingSince = undefined
    source.unfoundLooks = 0
    if (!source.isSettled) await this.tell(source, source.path, source.offset, NOT_NAMED, 'excluded')
    source.isLeft = true
    this.#changed.add(source)
  }

  /** A setting names it again, and its file is there. */
  comeBack(source: Source): void {
    this.#parts.log.info('file named again: read on', { path: source.path, source: source.name, from: source.offset })
    source.isLeft = false
    this.#changed.add(source)
  }

  /** Nothing more will come of it. */
  async end(source: Source): Promise<void> {
    source.isFinished = true
    source.isSettled = true
    source.isLost = false
    await source.closeFile()
    this.#changed.add(source)
  }

  /** As `end`; and whatever is at its inode now is another source. */
  async endApart(source: Source): Promise<void> {
    await this.end(source)
    this.apart(source)
  }

  async giveUpRest(source: Source, reason: string, isEndUnknown = false): Promise<void> {
    if (source.isLeft) {
      // The ledger has the rest as excluded already.
    } else if (source.size > source.offset || isEndUnknown) {
      // What came after the last look of a former run, nobody saw.
      const to = source.size > source.offset && source.isFound ? source.size : undefined
      await this.tell(source, source.path, source.offset, reason, 'hole', to)
    } else {
      await this.alarm(source, `${reason}: all that was seen of it was read`)
    }
    await this.endApart(source)
  }

  /**
   * The folder was lost, and of all sources that ever were the bucks cannot say which had been read to their end. One
   * alarm per name, not one per generation.
   */
  async endRemembered(source: Source): Promise<void> {
    const set = rotationSet(source.path)
    if (!this.#alarmedSets.has(set)) {
      this.#alarmedSets.add(set)
      await this.alarm(source, 'the folder of the tailer was lost: files that went since cannot be proven to be read')
    }
    await this.end(source)
  }

  async alarm(source: Source, reason: string): Promise<void> {
    await this.tell(source, source.path, source.offset, reason, 'alarm')
  }

  /** Closes files that are read to their ends, the longest quiet first, until no more than OPEN_FILES_MAX are open. */
  async closeIdle(): Promise<void> {
    const open = [...this.#sources.values()].filter(source => source.file !== undefined)
    if (open.length <= OPEN_FILES_MAX) return
    const idle = open.filter(source => source.namelessLooks === 0 && !source.isLost && source.size === source.offset)
    idle.sort((a, b) => a.grewAt - b.grewAt)
    for (const source of idle.slice(0, open.length - OPEN_FILES_MAX)) await source.closeFile()
  }

  /** A word in the manifest: `from` and `to` in bytes of the source. */
  async tell(
    source: Source | undefined,
    path: string,
    from: number,
    reason: string,
    kind: GivenUp['kind'],
    to?: number,
  ): Promise<void> {
    const host = source?.host ?? this.#config.host
    await this.#parts.giveUp({ source: source?.name ?? '', host, path, from, to, reason, kind })
  }

  /**
   * Forgets sources that are done with and whose files are gone, but for the youngest of each rotation set: a late copy of
   * theirs is still recognised.
   * @param isPresent  its file was there in the last look
   * @param isNeeded   packets of the journal name it
   */
  prune(isPresent: (source: Source) => boolean, isNeeded: (source: Source) => boolean): void {
    const gone = new Map<string, Source[]>()
    for (const source of this.#sources.values()) {
      if (!(source.isFinished || source.isExcluded) || isPresent(source)) continue
      const set = rotationSet(source.path)
      const list = gone.get(set)
      if (list === undefined) gone.set(set, [source])
      else list.push(source)
    }
    for (const list of gone.values()) {
      for (const source of list.slice(0, Math.max(0, list.length - FINISHED_KEPT))) {
        if (isNeeded(source)) continue
        this.#sources.delete(source.name)
        this.#leave(source)
      }
    }
  }

  #enter(source: Source): void {
    const set = rotationSet(source.path)
    const members = this.#bySet.get(set)
    if (members === undefined) this.#bySet.set(set, new Set([source]))
    else members.add(source)
  }

  #leave(source: Source): void {
    const set = rotationSet(source.path)
    const members = this.#bySet.get(set)
    members?.delete(source)
    if (members?.size === 0) this.#bySet.delete(set)
  }

  async #bind(source: Source, file: FoundFile): Promise<void> {
    await source.closeFile()
    this.#leave(source)
    source.path = file.path
    this.#enter(source)
    source.dev = file.stat.dev
    source.ino = file.stat.ino
    source.size = file.stat.size
    source.last = undefined
    if (file.packed !== undefined) source.saw(file)
    source.isLost = false
    source.isLeft = false
    source.isSettled = false
    source.isRemembered = false
    source.namelessLooks = 0
    source.missingSince = undefined
    this.#changed.add(source)
  }
}

/** The file's name without its endings: `nginx` of `/var/log/nginx.access.log`. */
function defaultApp(path: string): string {
  const name = rotationSet(path).replace(/^.*\//, '')
  return name.split('.')[0] || name
}
