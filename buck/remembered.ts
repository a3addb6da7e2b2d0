// What a buck remembers of packets that are gone from its disks, in two small logs of bucket-file entries per disk, each
// log on every disk:
//   <folder>/archived/<me>   `archived` entries: msgpack [tailer, epoch, first sequence, sums]
//   <folder>/sources/<me>    `source` entries: msgpack of a SourceRecord, the last one counts; `opening` entries: msgpack
//                            [tailer, machine, host]
//   <folder>/reserve/<me>    RESERVE_BYTES of nothing, given up when the disk is full: else a full disk could not even
//                            take the word by which it may be emptied
// Both logs are synced before anything is dropped on their word. Rewritten without repetition at start.
import { dirname } from 'node:path'
import { pack, unpack } from 'msgpackr'
import { BucketFile, type Damaged, type EntryKind, encodeEntry, scanBucketFile } from '../shared/bucket-file.ts'
import { type IdRun, type SourceRecord, SUM_BYTES, type TailerId } from '../shared/messages.ts'
import type { World } from '../shared/world.ts'
import { ArchivedIds } from './archived.ts'
import { isNoSpace } from './disk-folder.ts'
import { archivedEntryShape, openingEntryShape, sourceRecordShape } from './shapes.ts'

/** Of one `archived` entry: 512 KB. */
const ENTRY_SUMS_MAX = 65_536
/** Room for the sums of 16,000 packets. Random bytes, so that a compressing file system sets them aside, too. */
const RESERVE_BYTES = 128 * 1024
/** A log is rewritten at start when it is over this many times as long as it needs to be. */
const SLACK = 2

interface Words {
  kind: EntryKind
  payload: Buffer
}

export interface Opening {
  tailer: TailerId
  machine: string
  host: string
}

/** One log, on every disk of the buck. Written if one disk took it: each is enough to know it after a restart. */
class SpreadLog {
  readonly #world: World
  readonly #paths: string[]
  readonly #files = new Map<string, BucketFile>()

  constructor(world: World, folders: string[], name: string, me: string) {
    this.#world = world
    this.#paths = folders.map(folder => `${folder}/${name}/${me}`)
  }

  async read(onEntry: (kind: EntryKind, payload: Buffer) => void, onDamage: (path: string, d: Damaged) => void) {
    for (const path of this.#paths) {
      try {
        await this.#readOne(path, onEntry, onDamage)
      } catch (error) {
        // The other disks have the same log.
        this.#world.log.error('log could not be read on one disk', { path, error })
      }
    }
  }

  async #readOne(
    path: string,
    onEntry: (kind: EntryKind, payload: Buffer) => void,
    onDamage: (path: string, damaged: Damaged) => void,
  ): Promise<void> {
    for await (const entry of scanBucketFile(this.#world.disk, path)) {
      if (entry.kind === 'damaged') {
        onDamage(path, entry)
        continue
      }
      try {
        onEntry(entry.kind, entry.payload)
      } catch (error) {
        const reason = `${entry.kind} entry cannot be read: ${(error as Error).message}`
        const { position } = entry
        onDamage(path, { kind: 'damaged', position, bytes: entry.payload.length, torn: false, reason })
      }
    }
  }

  /** Replaces each log that is much longer than `entries`, or shorter. One that cannot be replaced stays as it is. */
  async rewrite(entries: Words[]): Promise<void> {
    const content = Buffer.concat(entries.flatMap(({ kind, payload }) => encodeEntry(kind, payload)))
    for (const path of this.#paths) {
      try {
        const size = (await this.#world.disk.stat(path))?.size ?? 0
        if (size >= content.length && size <= content.length * SLACK) continue
        await this.#world.disk.makeFolder(dirname(path))
        await this.#world.disk.replaceFile(path, content)
      } catch (error) {
        this.#world.log.warn('log could not be rewritten; the former one stays', { path, error })
      }
    }
  }

  /** Appends and syncs on every disk. Rejects only if no disk took it. */
  async append(entries: Words[]): Promise<void> {
    const results = await Promise.allSettled(this.#paths.map(path => this.#appendTo(path, entries)))
    const failed = results.filter(result => result.status === 'rejected')
    if (failed.length === results.length) throw failed[0].reason
    for (const { reason } of failed) this.#world.log.warn('log could not be written on one disk', { error: reason })
  }

  async close(): Promise<void> {
    for (const file of this.#files.values()) await file.close()
    this.#files.clear()
  }

  async #appendTo(path: string, entries: Words[]): Promise<void> {
    let file = this.#files.get(path)
    const isNew = file === undefined
    if (!file) {
      await this.#world.disk.makeFolder(dirname(path))
      file = await BucketFile.open(this.#world.disk, path)
      const meanwhile = this.#files.get(path)
      if (meanwhile) {
        await file.close()
        file = meanwhile
      }
      this.#files.set(path, file)
    }
    try {
      await file.append(entries)
      await file.sync()
    } catch (error) {
      this.#files.delete(path)
      await file.close()
      throw error
    }
    if (isNew) {
      await this.#world.disk.syncFolder(dirname(path))
      await this.#world.disk.syncFolder(dirname(dirname(path)))
    }
  }
}

export class Remembered {
  readonly archived = new ArchivedIds()
  readonly #archivedLog: SpreadLog
  readonly #sourceLog: SpreadLog
  readonly #world: World
  readonly #reserves: string[]
  #isReserved = false

  private constructor(world: World, folders: string[], me: string) {
    this.#world = world
    this.#reserves = folders.map(folder => `${folder}/reserve/${me}`)
    this.#archivedLog = new SpreadLog(world, folders, 'archived', me)
    this.#sourceLog = new SpreadLog(world, folders, 'sources', me)
  }

  static async open(
    world: World,
    folders: string[],
    me: string,
    on: {
      source: (record: SourceRecord) => void
      opening: (opening: Opening) => void
      damage: (path: string, damaged: Damaged) => void
    },
  ): Promise<Remembered> {
    const remembered = new Remembered(world, folders, me)
    const { archived } = remembered
    await remembered.#archivedLog.read((_kind, payload) => {
      const [tailer, epoch, first, sums] = archivedEntryShape.parse(unpack(payload))
      archived.addRun(tailer, { epoch, first, sums })
    }, on.damage)
    await remembered.#archivedLog.rewrite([...archived.runs()].flatMap(({ tailer, run }) => archivedWords(tailer, run)))

    const sources = new Map<string, Words>()
    await remembered.#sourceLog.read((kind, payload) => {
      if (kind === 'opening') {
        const [tailer, machine, host] = openingEntryShape.parse(unpack(payload))
        on.opening({ tailer, machine, host })
        sources.set(tailer, { kind, payload })
        return
      }
      const record = sourceRecordShape.parse(unpack(payload))
      on.source(record)
      // To the end: the order says which was noted last.
      sources.delete(`${record.tailer}/${record.source}`)
      sources.set(`${record.tailer}/${record.source}`, { kind: 'source', payload })
    }, on.damage)
    await remembered.#sourceLog.rewrite([...sources.values()])
    return remembered
  }

  /** On the device when it resolves; only then known, so that nothing is told or dropped that a crash would forget. */
  async rememberArchived(tailer: TailerId, runs: IdRun[]): Promise<void> {
    if (runs.length === 0) return
    await this.#append(
      this.#archivedLog,
      runs.flatMap(run => archivedWords(tailer, run)),
    )
    for (const run of runs) this.archived.addRun(tailer, run)
  }

  async rememberSources(records: SourceRecord[]): Promise<void> {
    if (records.length === 0) return
    await this.#append(
      this.#sourceLog,
      records.map(record => ({ kind: 'source' as const, payload: pack(record) })),
    )
  }

  async rememberOpening({ tailer, machine, host }: Opening): Promise<void> {
    await this.#sourceLog.append([{ kind: 'opening', payload: pack([tailer, machine, host]) }])
  }

  /** Sets the reserve of each disk aside, if it is not there. On a full disk it waits for the next call. */
  async reserve(): Promise<void> {
    if (this.#isReserved) return
    let made = 0
    for (const path of this.#reserves) {
      try {
        if ((await this.#world.disk.stat(path)) === undefined) {
          await this.#world.disk.makeFolder(dirname(path))
          await this.#world.disk.replaceFile(path, this.#world.random.bytes(RESERVE_BYTES))
        }
        made++
      } catch (error) {
        this.#world.log.debug('no room for the reserve yet', { path, error })
      }
    }
    this.#isReserved = made === this.#reserves.length
  }

  async #append(log: SpreadLog, words: Words[]): Promise<void> {
    try {
      await log.append(words)
    } catch (error) {
      if (!isNoSpace(error)) throw error
      this.#world.log.warn('disks are full; the reserve is given up for what lets them be emptied', { error })
      this.#isReserved = false
      for (const path of this.#reserves) await this.#world.disk.remove(path)
      await log.append(words)
    }
  }

  async close(): Promise<void> {
    await this.#archivedLog.close()
    await this.#sourceLog.close()
  }
}

function archivedWords(tailer: TailerId, run: IdRun): Words[] {
  const words: Words[] = []
  for (let i = 0; i * SUM_BYTES < run.sums.length; i += ENTRY_SUMS_MAX) {
    const sums = run.sums.subarray(i * SUM_BYTES, (i + ENTRY_SUMS_MAX) * SUM_BYTES)
    words.push({ kind: 'archived', payload: pack([tailer, run.epoch, run.first + i, sums]) })
  }
  return words
}
