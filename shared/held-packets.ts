// Which packets a store holds: per tailer and epoch the sequences, and the sum of each. About 8 bytes per packet.
import { type Epoch, type PacketId, SUM_BYTES, type TailerId } from './messages.ts'
import { RangeSet } from './ranges.ts'

/** Sequences share one buffer in groups of this many. */
const GROUP = 64

/** Consecutive sequences with the sum of each, as documents carry them. */
export interface HeldRun {
  tailer: TailerId
  epoch: Epoch
  first: number
  /** SUM_BYTES for each. */
  sums: Buffer
}

export class HeldPackets {
  readonly #epochs = new Map<string, EpochPackets>()

  add(id: PacketId): void {
    const key = `${id.tailer}/${id.epoch}`
    let epoch = this.#epochs.get(key)
    if (!epoch) {
      epoch = new EpochPackets()
      this.#epochs.set(key, epoch)
    }
    epoch.add(id.sequence, id.sum)
  }

  addRuns(runs: Iterable<HeldRun>): void {
    for (const { tailer, epoch, first, sums } of runs) {
      for (let i = 0; i * SUM_BYTES < sums.length; i++) {
        const sum = sums.toString('hex', i * SUM_BYTES, (i + 1) * SUM_BYTES)
        this.add({ tailer, epoch, sequence: first + i, sum })
      }
    }
  }

  has(id: PacketId): boolean {
    return this.#epochs.get(`${id.tailer}/${id.epoch}`)?.has(id.sequence, id.sum) ?? false
  }

  /** Everything, in an order that does not depend on how it came. A second packet of one id is a run of its own. */
  *runs(): Generator<HeldRun> {
    for (const key of [...this.#epochs.keys()].sort()) {
      const slash = key.indexOf('/')
      for (const run of this.#epochs.get(key)?.runs() ?? []) {
        yield { tailer: key.slice(0, slash), epoch: key.slice(slash + 1), ...run }
      }
    }
  }

  /** `tailer/epoch` → sequences. */
  sequences(): Map<string, RangeSet> {
    const out = new Map<string, RangeSet>()
    for (const [key, epoch] of this.#epochs) out.set(key, new RangeSet(epoch.sequences))
    return out
  }
}

class EpochPackets {
  readonly sequences = new RangeSet()
  readonly #groups = new Map<number, Buffer>()
  /** Further packets under a sequence that has one already: clones and rollbacks only. */
  readonly #others = new Map<number, string[]>()

  add(sequence: number, sum: string): void {
    if (this.has(sequence, sum)) return
    if (this.sequences.has(sequence)) {
      this.#others.set(sequence, [...(this.#others.get(sequence) ?? []), sum])
      return
    }
    const number = Math.floor(sequence / GROUP)
    let group = this.#groups.get(number)
    if (!group) {
      group = Buffer.alloc(GROUP * SUM_BYTES)
      this.#groups.set(number, group)
    }
    group.write(sum, (sequence % GROUP) * SUM_BYTES, SUM_BYTES, 'hex')
    this.sequences.add(sequence, sequence + 1)
  }

  has(sequence: number, sum: string): boolean {
    if (!this.sequences.has(sequence)) return false
    return this.#sumOf(sequence).toString('hex') === sum || (this.#others.get(sequence)?.includes(sum) ?? false)
  }

  *runs(): Generator<{ first: number; sums: Buffer }> {
    for (const [from, to] of this.sequences) {
      const sums: Buffer[] = []
      for (let sequence = from; sequence < to; sequence++) sums.push(this.#sumOf(sequence))
      yield { first: from, sums: Buffer.concat(sums) }
    }
    for (const [sequence, sums] of [...this.#others].sort((a, b) => a[0] - b[0])) {
      for (const sum of sums) yield { first: sequence, sums: Buffer.from(sum, 'hex') }
    }
  }

  #sumOf(sequence: number): Buffer {
    const at = (sequence % GROUP) * SUM_BYTES
    return (this.#groups.get(Math.floor(sequence / GROUP)) ?? Buffer.alloc(0)).subarray(at, at + SUM_BYTES)
  }
}
