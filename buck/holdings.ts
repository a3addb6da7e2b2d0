// What this buck has on its disks, in memory: tailer → epoch → sequence → packets, and bucket file → packets and words.
// About 150 bytes per packet. Built by a scan at start; a packet is in here only after its append.
import type { Bucket, Epoch, IdRun, PacketId, TailerId } from '../shared/messages.ts'
import { SUM_BYTES } from '../shared/messages.ts'
import type { SourceMark } from './sources.ts'

/** One stored packet. Packets with the same sequence and another sum hang on `other`. */
export interface Held {
  of: EpochHeld
  sequence: number
  sum: string
  file: HeldFile
  position: number
  bytes: number
  isArchived: boolean
  other: Held | undefined
}

export interface EpochHeld {
  tailer: TailerId
  epoch: Epoch
  bySequence: Map<number, Held>
  /** Highest sequence ever held; stays when packets are dropped. */
  highest: number
}

/** A signed word of a tailer. Its content stays on the disk. */
export interface Word {
  kind: 'manifest' | 'gone'
  /** Hash of the manifest, or tailer/epoch/sequence of what is gone: the same word twice is stored once. */
  key: string
  file: HeldFile
  position: number
  /** Of its content. */
  bytes: number
}

export interface HeldFile {
  disk: number
  bucket: Bucket
  path: string
  bytes: number
  packets: Set<Held>
  words: Set<Word>
  /** Packets not known to be archived. At 0 the file may go. */
  unarchived: number
  /** Wall clock, when its first entry came; after a restart the file's last change. */
  firstArrivalMs: number
  /** Change number of its last word, and the one up to which a porter says that its words are archived. */
  wordNumber: number
  wordsArchivedNumber: number
  /** Sources in it, each at its state after the last packet in this file. */
  sources: Map<SourceMark, number>
  isDropped: boolean
}

export class Holdings {
  readonly #tailers = new Map<TailerId, Map<Epoch, EpochHeld>>()
  readonly #buckets = new Map<Bucket, HeldFile[]>()
  readonly #files = new Map<string, HeldFile>()
  readonly #words = new Map<string, Word>()
  packets = 0
  bytes = 0
  sameIdOtherContent = 0

  /** The file's record, made at its first entry. */
  file(path: string, disk: number, bucket: Bucket, arrivalMs: number): HeldFile {
    const known = this.#files.get(path)
    if (known) return known
    const file: HeldFile = {
      disk,
      bucket,
      path,
      bytes: 0,
      packets: new Set(),
      words: new Set(),
      unarchived: 0,
      firstArrivalMs: arrivalMs,
      wordNumber: 0,
      wordsArchivedNumber: 0,
      sources: new Map(),
      isDropped: false,
    }
    this.#files.set(path, file)
    const files = this.#buckets.get(bucket)
    if (files) files.push(file)
    else this.#buckets.set(bucket, [file])
    return file
  }

  grow(file: HeldFile, bytes: number): void {
    file.bytes += bytes
    this.bytes += bytes
  }

  /** Undefined if it is held already (a second copy on the disk stays unused). */
  add(id: PacketId, file: HeldFile, position: number, bytes: number, isArchived: boolean): Held | undefined {
    const of = this.#epoch(id.tailer, id.epoch)
    const first = of.bySequence.get(id.sequence)
    for (let held = first; held; held = held.other) if (held.sum === id.sum) return undefined
    const held: Held = { of, sequence: id.sequence, sum: id.sum, file, position, bytes, isArchived, other: first }
    of.bySequence.set(id.sequence, held)
    of.highest = Math.max(of.highest, id.sequence)
    file.packets.add(held)
    if (!isArchived) file.unarchived++
    this.packets++
    return held
  }

  find(id: PacketId): Held | undefined {
    let held = this.sequence(id.tailer, id.epoch, id.sequence)
    while (held && held.sum !== id.sum) held = held.other
    return held
  }

  /** The first of the packets with this sequence; more hang on `other`. */
  sequence(tailer: TailerId, epoch: Epoch, sequence: number): Held | undefined {
    return this.#tailers.get(tailer)?.get(epoch)?.bySequence.get(sequence)
  }

  epochs(tailer: TailerId): Iterable<EpochHeld> {
    return this.#tailers.get(tailer)?.values() ?? []
  }

  highest(tailer: TailerId, epoch: Epoch): number {
    return this.#tailers.get(tailer)?.get(epoch)?.highest ?? 0
  }

  tailers(): Iterable<TailerId> {
    return this.#tailers.keys()
  }

  markArchived(held: Held): void {
    if (held.isArchived) return
    held.isArchived = true
    held.file.unarchived--
  }

  /** It is damaged, or its file is gone: from now on it is not held. */
  remove(held: Held): void {
    if (!held.file.packets.delete(held)) return
    if (!held.isArchived) held.file.unarchived--
    this.packets--
    const { bySequence } = held.of
    const first = bySequence.get(held.sequence)
    if (first === held) {
      if (held.other) bySequence.set(held.sequence, held.other)
      else bySequence.delete(held.sequence)
      return
    }
    for (let at = first; at; at = at.other) if (at.other === held) at.other = held.other
  }

  addWord(word: Word): Word | undefined {
    const { key, file } = word
    if (this.#words.has(key)) return undefined
    this.#words.set(key, word)
    file.words.add(word)
    return word
  }

  word(key: string): Word | undefined {
    return this.#words.get(key)
  }

  removeWord(word: Word): void {
    word.file.words.delete(word)
    this.#words.delete(word.key)
  }

  removeFile(file: HeldFile): void {
    file.isDropped = true
    for (const held of [...file.packets]) this.remove(held)
    for (const word of [...file.words]) this.removeWord(word)
    this.bytes -= file.bytes
    this.#files.delete(file.path)
    const rest = (this.#buckets.get(file.bucket) ?? []).filter(other => other !== file)
    if (rest.length > 0) this.#buckets.set(file.bucket, rest)
    else this.#buckets.delete(file.bucket)
  }

  files(): Iterable<HeldFile> {
    return this.#files.values()
  }

  bucket(bucket: Bucket): readonly HeldFile[] {
    return this.#buckets.get(bucket) ?? []
  }

  buckets(): Bucket[] {
    return [...this.#buckets.keys()]
  }

  #epoch(tailer: TailerId, epoch: Epoch): EpochHeld {
    let epochs = this.#tailers.get(tailer)
    if (!epochs) {
      epochs = new Map()
      this.#tailers.set(tailer, epochs)
    }
    let held = epochs.get(epoch)
    if (!held) {
      held = { tailer, epoch, bySequence: new Map(), highest: 0 }
      epochs.set(epoch, held)
    }
    return held
  }
}

/** Runs of consecutive sequences; what has the sequence of the one before goes into further runs. */
export function idRuns(epoch: Epoch, ids: { sequence: number; sum: string }[]): IdRun[] {
  const runs: IdRun[] = []
  let rest = [...ids].sort((a, b) => a.sequence - b.sequence)
  while (rest.length > 0) {
    const again: typeof rest = []
    let first = 0
    let sums: string[] = []
    const end = () => {
      if (sums.length > 0) runs.push({ epoch, first, sums: Buffer.from(sums.join(''), 'hex') })
      sums = []
    }
    for (const id of rest) {
      const next = first + sums.length
      if (sums.length > 0 && id.sequence < next) {
        again.push(id)
        continue
      }
      if (sums.length === 0 || id.sequence > next) {
        end()
        first = id.sequence
      }
      sums.push(id.sum)
    }
    end()
    rest = again
  }
  return runs
}

export function* idsOfRun(run: IdRun): Generator<{ epoch: Epoch; sequence: number; sum: string }> {
  for (let i = 0; (i + 1) * SUM_BYTES <= run.sums.length; i++) {
    const sum = run.sums.toString('hex', i * SUM_BYTES, (i + 1) * SUM_BYTES)
    yield { epoch: run.epoch, sequence: run.first + i, sum }
  }
}
