// One log of numbered commits says which segments make up a store. A segment exists only when a commit names it.
//
// - All changes of a store are in one order: who loses the race for a number reads the winner's commit, looks whether
//   its own change still fits, and tries the next number. That is why nothing is ever added twice (docs/decisions/0001).
// - Removing commits carry everything they remove over into what they add (ids, words, events): a reader of the log needs
//   the manifests of those segments only that are live in the end.
// - A damaged commit or manifest: what is held is not known, so nothing is added or removed until it is whole again.
// Formats: shared/catalogue-commit, shared/catalogue-snapshot.

import {
  type Commit,
  commitBlock,
  commitKey,
  decodeCommit,
  encodeCommit,
  manifestKeyOf,
  numberOf,
  segmentKey,
} from './catalogue-commit.ts'
import { newestSnapshot, writeSnapshot } from './catalogue-snapshot.ts'
import { CatalogueState } from './catalogue-state.ts'
import type { Bucket } from './messages.ts'
import { CorruptDocumentError, sha256Hex } from './sealed-json.ts'
import { decodeSegmentManifest, encodeSegmentManifest, type SegmentManifest } from './segment-manifest.ts'
import type { Damage, ObjectStore } from './stores.ts'
import type { World } from './world.ts'

/** Each race lost means that another writer went on; so many in a row mean that something is wrong. */
const RACES_MAX = 1000
/** A reader that finds a manifest gone reads on in the log so often: it was tidied away under its eyes. */
const CATCH_UP_ROUNDS_MAX = 100
/** Manifests read at the same time. */
const READS_MAX = 8

/** What the store holds cannot be known. Searching goes on over what is whole; nothing is added or removed. */
export class DamagedCatalogueError extends Error {
  override readonly name = 'DamagedCatalogueError'
  readonly damages: Damage[]
  constructor(damages: Damage[]) {
    const list = damages.slice(0, 3).map(({ where, reason }) => `${where} (${reason})`)
    super(
      `damaged: ${list.join(', ')}${damages.length > 3 ? ` and ${damages.length - 3} more` : ''}. ` +
        'Nothing is added or removed while this is so, because it could be lost or doubled. Put the named files back from a copy; ' +
        'if there is none, move the whole store aside and let it be filled anew',
    )
    this.damages = damages
  }
}

export interface Draft {
  name: string
  manifest: SegmentManifest
  manifestSha256: string
}

export interface Proposal {
  added?: Draft[]
  removed?: string[]
  void?: string[]
  lowWater?: Bucket
  /** Asked before each try, on the newest state. False: the change no longer fits and is given up. */
  fits(): boolean
}

export class Catalogue {
  readonly #objects: ObjectStore
  readonly #world: World
  readonly #writer: string
  readonly #snapshotCommits: number
  #state = new CatalogueState()
  #turn: Promise<unknown> = Promise.resolve()
  /** Written, in no commit yet. */
  readonly #drafts = new Set<string>()
  readonly #voided = new Set<string>()
  #commitsSinceSnapshot = 0
  #bytesSinceSnapshot = 0
  #snapshotBytes = 0

  private constructor(objects: ObjectStore, options: CatalogueOptions) {
    this.#objects = objects
    this.#world = options.world
    this.#writer = options.writer
    this.#snapshotCommits = options.snapshotCommits
  }

  static async open(objects: ObjectStore, options: CatalogueOptions): Promise<Catalogue> {
    const catalogue = new Catalogue(objects, options)
    if (!options.isReadLater) await catalogue.refresh()
    return catalogue
  }

  get state(): CatalogueState {
    return this.#state
  }

  /** Reads what others committed, for those who read on past damage. One small read if there is nothing new. */
  refresh(): Promise<void> {
    return this.#inTurn(() => this.#catchUp())
  }

  /** The same for those who decide. Throws DamagedCatalogueError. */
  refreshWhole(): Promise<void> {
    return this.#inTurn(() => this.#catchUpWhole())
  }

  /** Writes segment and manifest under a new name. They count only once a commit names them; else they are orphans. */
  async draft(content: Buffer | undefined, manifest: SegmentManifest): Promise<Draft> {
    const name = this.#nameFor(manifest)
    this.#drafts.add(name)
    try {
      const document = encodeSegmentManifest(manifest)
      // False would be a name drawn twice, or a store that wrote it and lost its own answer.
      if (content && !(await this.#objects.create(segmentKey(name), content))) throw new NameTakenError(name)
      if (!(await this.#objects.create(manifestKeyOf(name), document))) throw new NameTakenError(name)
      return { name, manifest, manifestSha256: sha256Hex(document) }
    } catch (error) {
      this.#drafts.delete(name)
      throw error
    }
  }

  /** The drafts are not needed: removes their objects. Only for those that no commit can have named. */
  async discard(drafts: Draft[]): Promise<void> {
    for (const { name, manifest } of drafts) {
      this.#drafts.delete(name)
      try {
        if (manifest.bytes > 0) await this.#objects.remove(segmentKey(name))
        await this.#objects.remove(manifestKeyOf(name))
      } catch (error) {
        // An orphan, for tidying. Why the draft is not needed matters more to the caller.
        this.#world.log.warn('unneeded segment was not removed', { segment: name, error })
      }
    }
  }

  isDraft(name: string): boolean {
    return this.#drafts.has(name)
  }

  /** True: committed. False: it no longer fits; its drafts are removed. Rejects without having changed anything, or not knowing. */
  async commit(proposal: Proposal): Promise<boolean> {
    const drafts = proposal.added ?? []
    try {
      const isDone = await this.#inTurn(() => this.#commitInTurn(proposal, drafts))
      if (!isDone) await this.discard(drafts)
      return isDone
    } finally {
      for (const { name } of drafts) {
        this.#drafts.delete(name)
        this.#voided.delete(name)
      }
    }
  }

  async #commitInTurn(proposal: Proposal, drafts: Draft[]): Promise<boolean> {
    for (let race = 0; race < RACES_MAX; race++) {
      await this.#catchUpWhole()
      // A create whose answer was lost: it was ours after all.
      if (drafts.length > 0 && drafts.every(({ name }) => this.#state.segments.has(name))) return true
      if (drafts.some(({ name }) => this.#voided.has(name)) || !proposal.fits()) return false
      if (await this.#tryCommit(proposal, drafts)) return true
    }
    throw new Error(`lost ${RACES_MAX} races for a commit in a row: too many writers, or a store that does not create`)
  }

  async #tryCommit(proposal: Proposal, drafts: Draft[]): Promise<boolean> {
    const state = this.#state
    const commit: Commit = {
      number: state.number + 1,
      previous: state.hash ?? '',
      writer: this.#writer,
      wallMs: Math.floor(this.#world.clock.now()),
      added: drafts.map(({ name, manifestSha256 }) => ({ name, manifestSha256 })),
      removed: proposal.removed ?? [],
      void: proposal.void ?? [],
      lowWater: Math.max(state.lowWater, proposal.lowWater ?? 0),
    }
    const bytes = encodeCommit(commit)
    if (!(await this.#objects.create(commitKey(commit.number), bytes))) return false
    state.apply({
      number: commit.number,
      hash: sha256Hex(bytes),
      added: drafts.map(({ name, manifest }) => ({ name, commit: commit.number, manifest })),
      removed: commit.removed.map(name => ({ name, wallMs: commit.wallMs })),
      lowWater: commit.lowWater,
    })
    this.#commitsSinceSnapshot++
    this.#bytesSinceSnapshot += bytes.length
    await this.#snapshotWhenDue()
    return true
  }

  /** In turn only, as all below. */
  async #catchUp(): Promise<void> {
    if (this.#state.number === 0) await this.#reload()
    else await this.#follow(this.#state)
  }

  async #catchUpWhole(): Promise<void> {
    await this.#catchUp()
    // What was damaged may have been put back since; order matters, so all is read again.
    if (this.#state.damages.length > 0) await this.#reload()
    if (this.#state.damages.length > 0) throw new DamagedCatalogueError([...this.#state.damages])
  }

  async #reload(): Promise<void> {
    const snapshot = await newestSnapshot(this.#objects, this.#world.log)
    const state = snapshot?.state ?? new CatalogueState()
    this.#snapshotBytes = snapshot?.bytes ?? 0
    this.#commitsSinceSnapshot = 0
    this.#bytesSinceSnapshot = 0
    // Where the log seems to end, a commit may be missing. Only later ones can tell, and a listing is dear: here only.
    for (;;) {
      await this.#follow(state)
      const next = commitKey(state.number + 1)
      const later = (await this.#objects.list(commitBlock(state.number + 1))).filter(key => key >= next)
      if (later.length === 0 || later[0] === next) break
      state.damages.push({ where: next, reason: `is missing, ${later[0]} is there` })
      state.skipTo(numberOf(later[0]) - 1)
    }
    this.#state = state
  }

  async #follow(state: CatalogueState): Promise<void> {
    const added = new Map<string, { commit: number; manifestSha256: string }>()
    const removed = new Map<string, number>()
    const damages: Damage[] = []
    let { number, lowWater } = state
    /** Undefined after a damaged commit: what follows it cannot be held against it. */
    let hash = state.hash
    for (let round = 0; ; round++) {
      for (;;) {
        const key = commitKey(number + 1)
        const bytes = await this.#objects.get(key)
        if (!bytes) break
        number++
        const commit = decodeCommit(bytes, number, hash)
        this.#commitsSinceSnapshot++
        this.#bytesSinceSnapshot += bytes.length
        if (typeof commit === 'string') {
          damages.push({ where: key, reason: commit })
          hash = undefined
          continue
        }
        hash = sha256Hex(bytes)
        for (const { name, manifestSha256 } of commit.added) added.set(name, { commit: number, manifestSha256 })
        for (const name of commit.removed) {
          added.delete(name)
          removed.set(name, commit.wallMs)
        }
        for (const name of commit.void) if (this.#drafts.has(name)) this.#voided.add(name)
        lowWater = Math.max(lowWater, commit.lowWater)
      }
      if (number === state.number) return
      const { manifests, bad } = await this.#readManifests(added)
      // A manifest that is gone may have been removed by a commit that came meanwhile.
      const isBehind = bad.length > 0 && (await this.#objects.get(commitKey(number + 1))) !== undefined
      if (isBehind && round < CATCH_UP_ROUNDS_MAX) continue
      state.apply({
        number,
        hash,
        added: [...added].map(([name, { commit }]) => ({ name, commit, manifest: manifests.get(name) })),
        removed: [...removed].map(([name, wallMs]) => ({ name, wallMs })),
        lowWater,
      })
      state.damages.push(...damages, ...bad)
      return
    }
  }

  async #readManifests(
    wanted: Map<string, { manifestSha256: string }>,
  ): Promise<{ manifests: Map<string, SegmentManifest>; bad: Damage[] }> {
    const manifests = new Map<string, SegmentManifest>()
    const bad: Damage[] = []
    const names = [...wanted.keys()]
    for (let at = 0; at < names.length; at += READS_MAX) {
      await Promise.all(
        names.slice(at, at + READS_MAX).map(async name => {
          const manifest = await this.readManifest(name, wanted.get(name)?.manifestSha256)
          if ('reason' in manifest) bad.push(manifest)
          else manifests.set(name, manifest)
        }),
      )
    }
    return { manifests, bad }
  }

  /** @param sha256 as the commit names it, where it is at hand; the document carries one of its own too. */
  async readManifest(name: string, sha256?: string): Promise<SegmentManifest | Damage> {
    const where = manifestKeyOf(name)
    const bytes = await this.#objects.get(where)
    if (!bytes) return { where, reason: 'is missing' }
    if (sha256 && sha256Hex(bytes) !== sha256)
      return { where, reason: 'does not have the SHA-256 that its commit names' }
    this.#bytesSinceSnapshot += bytes.length
    try {
      return decodeSegmentManifest(bytes)
    } catch (error) {
      if (error instanceof CorruptDocumentError) return { where, reason: error.message }
      throw error
    }
  }

  // A snapshot costs what the state is large. It is due when as much was written since: so it costs an add nothing more
  // than its share, however large the store is.
  async #snapshotWhenDue(): Promise<void> {
    if (this.#commitsSinceSnapshot < this.#snapshotCommits || this.#bytesSinceSnapshot < this.#snapshotBytes) return
    try {
      this.#snapshotBytes = await writeSnapshot(this.#objects, this.#state)
      this.#commitsSinceSnapshot = 0
      this.#bytesSinceSnapshot = 0
    } catch (error) {
      // Only the next start is slower. The commit it follows has succeeded.
      this.#commitsSinceSnapshot = 0
      this.#world.log.warn('snapshot of the catalogue was not written', { number: this.#state.number, error })
    }
  }

  #nameFor(manifest: SegmentManifest): string {
    const random = this.#world.random.bytes(4).toString('hex')
    return `${manifest.span ?? 'expired'}/${manifest.wallMs}-${this.#writer}-${random}`
  }

  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(step)
    // The next call waits for this one but does not fail with it.
    this.#turn = turn.catch(() => undefined)
    return turn
  }
}

export interface CatalogueOptions {
  world: World
  /** Part of the names of what it writes: letters, digits, `_`, `-`, `.`. */
  writer: string
  /** A snapshot after this many commits at the earliest. */
  snapshotCommits: number
  /** The place may not be reachable now: it is read with the first call that needs it. */
  isReadLater?: boolean
}

/** Something is under a name that was just drawn. Trying again draws another. */
export class NameTakenError extends Error {
  override readonly name = 'NameTakenError'
  constructor(name: string) {
    super(`segments/${name} is there already; try again`)
  }
}
