// What the tailer must know of its sources beyond the packets in its journal. One file, `<folder>/sources`, entries as
// in shared/bucket-file:
//
//   opening   an epoch begins (synced before its first packet)
//   birth     a source was seen first, or is found under another name or inode (synced before its first packet leaves)
//   note      rotation sets that are looked at from now on; the boot in which all files were looked at (synced)
//   resume    everything known: takes the place of all before it, and of bucket files that go (synced before they go)
//
// The file is replaced as a whole by a resume record when bucket files are removed, and at each start.
import { join } from 'node:path'
import { pack, unpack } from 'msgpackr'
import { BucketFile, encodeEntry, scanBucketFile } from '../shared/bucket-file.ts'
import type { Epoch, SourceRecord } from '../shared/messages.ts'
import type { Range } from '../shared/ranges.ts'
import type { Disk, Log } from '../shared/world.ts'

export interface StoredSource extends SourceRecord {
  /** Rotated away, read to its end, quiet: if its file is gone, nothing is missing. */
  isSettled: boolean
  /** Was there before the tailer first looked and is not to be read. */
  isExcluded: boolean
  /** Nothing more will come of it. Inode 0: its file holds something else now. */
  isFinished: boolean
  /**
   * After a power cut the file went on in another way from `at` on, and it was read again from there: packets of epochs
   * before `epoch` (its count) say nothing of it beyond.
   */
  rewound?: { at: number; epoch: number }
  /** No setting named it any more: what follows `to` is excluded in the ledger until one does again. */
  isLeft?: boolean
  /** Head, tail and packets have hidden bytes. */
  isRedacted?: boolean
  /** From here to `to` bucks alone told what is in packets: what the file had there, this folder never knew. */
  heardFrom?: number
  /** Of its file when last looked at: what was seen and not read. */
  size?: number
  /** Its file as last compared, for one that is compressed or excluded: unchanged, it is not looked into again. */
  last?: LastSeen
}

export interface LastSeen {
  fileBytes: number
  mtimeMs: number
  /** How much is in it, if it is compressed and was measured. */
  inflatedBytes?: number
}

export interface Resume {
  sources: StoredSource[]
  epoch: Epoch | undefined
  /** Last sequence per epoch, for epochs whose packets may be gone from the journal. */
  lasts: [Epoch, number][]
  /** Sequences that were archived and forgotten, per epoch: they are not "gone". */
  archived: [Epoch, Range[]][]
  /** Hash of the last manifest. */
  chain: Buffer
  /** Rotation sets that were looked at: what turns up in them later was not there before us. */
  sets: string[]
  /**
   * The boot of the machine in which the files were last looked at as a whole. Another one now: the file system may have
   * lost what was not on the device.
   */
  boot: string
}

export class SourceLog {
  readonly #disk: Disk
  readonly #path: string
  #file: BucketFile | undefined

  private constructor(disk: Disk, folder: string) {
    this.#disk = disk
    this.#path = join(folder, 'sources')
  }

  /** `isWhole` is false if entries are damaged: then the bucks are asked what they know. */
  static async open(
    disk: Disk,
    folder: string,
    log: Log,
  ): Promise<{ sourceLog: SourceLog; resume: Resume; isWhole: boolean }> {
    const sourceLog = new SourceLog(disk, folder)
    let isWhole = true
    let resume: Resume = {
      sources: [],
      epoch: undefined,
      lasts: [],
      archived: [],
      chain: Buffer.alloc(32),
      sets: [],
      boot: '',
    }
    const births = new Map<string, StoredSource>()
    for await (const entry of scanBucketFile(disk, sourceLog.#path)) {
      if (entry.kind === 'damaged') {
        isWhole = false
        log.warn('source log entry damaged', { path: sourceLog.#path, position: entry.position, reason: entry.reason })
      } else if (entry.kind === 'resume') {
        resume = unpack(entry.payload)
        births.clear()
      } else if (entry.kind === 'birth') {
        const source: StoredSource = unpack(entry.payload)
        births.set(source.source, source)
      } else if (entry.kind === 'opening') {
        resume.epoch = unpack(entry.payload).epoch
      } else if (entry.kind === 'note') {
        const note: { sets?: string[]; boot?: string } = unpack(entry.payload)
        resume.sets.push(...(note.sets ?? []))
        resume.boot = note.boot ?? resume.boot
      }
    }
    const sources = new Map(resume.sources.map(source => [source.source, source]))
    for (const [name, birth] of births) sources.set(name, birth)
    resume.sources = [...sources.values()]
    return { sourceLog, resume, isWhole }
  }

  async birth(sources: StoredSource[]): Promise<void> {
    await this.#append(sources.map(source => ({ kind: 'birth' as const, payload: pack(source) })))
  }

  async opening(epoch: Epoch): Promise<void> {
    await this.#append([{ kind: 'opening', payload: pack({ epoch }) }])
  }

  async setsKnown(sets: string[]): Promise<void> {
    await this.#append([{ kind: 'note', payload: pack({ sets }) }])
  }

  async lookedAt(boot: string): Promise<void> {
    await this.#append([{ kind: 'note', payload: pack({ boot }) }])
  }

  /** Takes the place of the whole file, old or new, never half. */
  async replace(resume: Resume): Promise<void> {
    await this.close()
    await this.#disk.replaceFile(this.#path, Buffer.concat(encodeEntry('resume', pack(resume))))
  }

  async close(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    await file?.close()
  }

  async #append(entries: { kind: 'birth' | 'opening' | 'note'; payload: Buffer }[]): Promise<void> {
    this.#file ??= await BucketFile.open(this.#disk, this.#path)
    await this.#file.append(entries)
    await this.#file.sync()
  }
}
