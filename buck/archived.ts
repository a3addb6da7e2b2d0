// Which packets are known to be in the archive: tailer → epoch → sequence → sum, 8 bytes each, long after the packets
// are gone. A sum, not only a sequence: one id with two contents is two packets, and one of them may not be archived.
import { type Epoch, type IdRun, type PacketId, SUM_BYTES, type TailerId } from '../shared/messages.ts'
import { idRuns, idsOfRun } from './holdings.ts'

/** Sums per page. Pages, because a wrong sequence of four thousand million must not allocate up to it. */
const PAGE_SUMS = 256
const NO_SUM = '00'.repeat(SUM_BYTES)

interface EpochArchived {
  /** Sequence / PAGE_SUMS → sums; zeroes: not archived. */
  pages: Map<number, Buffer>
  /** Second contents of a sequence (and the one sum in 2^64 that is all zeroes). */
  others: Map<number, Set<string>>
  highest: number
}

export class ArchivedIds {
  readonly #tailers = new Map<TailerId, Map<Epoch, EpochArchived>>()
  count = 0

  has(id: PacketId): boolean {
    const epoch = this.#tailers.get(id.tailer)?.get(id.epoch)
    if (!epoch) return false
    return sumAt(epoch, id.sequence) === id.sum || (epoch.others.get(id.sequence)?.has(id.sum) ?? false)
  }

  /** Any content of this sequence. */
  hasSequence(tailer: TailerId, epochName: Epoch, sequence: number): boolean {
    const epoch = this.#tailers.get(tailer)?.get(epochName)
    return epoch !== undefined && (sumAt(epoch, sequence) !== NO_SUM || epoch.others.has(sequence))
  }

  highest(tailer: TailerId, epoch: Epoch): number {
    return this.#tailers.get(tailer)?.get(epoch)?.highest ?? 0
  }

  /** False if it was known. */
  add(id: PacketId): boolean {
    if (this.has(id)) return false
    let epochs = this.#tailers.get(id.tailer)
    if (!epochs) {
      epochs = new Map()
      this.#tailers.set(id.tailer, epochs)
    }
    let epoch = epochs.get(id.epoch)
    if (!epoch) {
      epoch = { pages: new Map(), others: new Map(), highest: 0 }
      epochs.set(id.epoch, epoch)
    }
    epoch.highest = Math.max(epoch.highest, id.sequence)
    this.count++
    if (id.sum === NO_SUM || sumAt(epoch, id.sequence) !== NO_SUM) {
      const others = epoch.others.get(id.sequence) ?? new Set()
      epoch.others.set(id.sequence, others.add(id.sum))
      return true
    }
    const number = Math.floor(id.sequence / PAGE_SUMS)
    let page = epoch.pages.get(number)
    if (!page) {
      page = Buffer.alloc(PAGE_SUMS * SUM_BYTES)
      epoch.pages.set(number, page)
    }
    page.write(id.sum, (id.sequence % PAGE_SUMS) * SUM_BYTES, 'hex')
    return true
  }

  addRun(tailer: TailerId, run: IdRun): void {
    for (const id of idsOfRun(run)) this.add({ tailer, ...id })
  }

  *runs(): Generator<{ tailer: TailerId; run: IdRun }> {
    for (const [tailer, epochs] of this.#tailers) {
      for (const [name, epoch] of epochs) {
        const ids: { sequence: number; sum: string }[] = []
        for (const number of epoch.pages.keys()) {
          for (let sequence = number * PAGE_SUMS; sequence < (number + 1) * PAGE_SUMS; sequence++) {
            const sum = sumAt(epoch, sequence)
            if (sum !== NO_SUM) ids.push({ sequence, sum })
          }
        }
        for (const [sequence, sums] of epoch.others) for (const sum of sums) ids.push({ sequence, sum })
        for (const run of idRuns(name, ids)) yield { tailer, run }
      }
    }
  }
}

function sumAt(epoch: EpochArchived, sequence: number): string {
  const page = epoch.pages.get(Math.floor(sequence / PAGE_SUMS))
  const at = (sequence % PAGE_SUMS) * SUM_BYTES
  return page ? page.toString('hex', at, at + SUM_BYTES) : NO_SUM
}
