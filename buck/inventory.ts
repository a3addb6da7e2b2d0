// What a buck holds of one bucket, in pages: an answer must fit into one message, whatever a bucket holds.
//
//   ids    by tailer, epoch and sequence     cursor "ids <tailer>/<epoch>/<sequence>": go on after this one
//   words  by key, after the last id         cursor "words <key>"
// In this order, because what comes or goes between two pages then moves nothing else to another page.
import type { Epoch, IdRun, TailerId } from '../shared/messages.ts'
import { SUM_BYTES } from '../shared/messages.ts'
import { type EpochHeld, type Held, type HeldFile, idRuns, type Word } from './holdings.ts'

/** What an id run takes in a message beside its sums; generous. */
const RUN_BYTES = 64
const WORDS = 'words '

export const CURSOR = /^(ids [0-9a-f]{32}\/[0-9]{1,10}-[0-9a-f]{16}\/[0-9]{1,10}|words .{0,200})$/

export interface InventoryPage {
  tailers: { tailer: TailerId; runs: IdRun[] }[]
  words: Word[]
  /** Absent: that was all. */
  next?: string
}

/**
 * @param after     undefined: from the beginning
 * @param bytesMax  of the page in a message; one item at least is in it
 */
export function inventoryPage(files: readonly HeldFile[], after: string | undefined, bytesMax: number): InventoryPage {
  const page = new Page(bytesMax)
  if (!after?.startsWith(WORDS)) page.addIds(files, after === undefined ? undefined : idOf(after))
  if (page.next === undefined) page.addWords(files, after?.startsWith(WORDS) ? after.slice(WORDS.length) : '')
  const { tailers, words, next } = page
  return { tailers: [...tailers].map(([tailer, runs]) => ({ tailer, runs })), words, ...(next && { next }) }
}

interface Id {
  tailer: TailerId
  epoch: Epoch
  sequence: number
}

class Page {
  readonly tailers = new Map<TailerId, IdRun[]>()
  readonly words: Word[] = []
  next: string | undefined
  #room: number
  #last: Id | undefined

  constructor(bytesMax: number) {
    this.#room = bytesMax
  }

  addIds(files: readonly HeldFile[], after: Id | undefined): void {
    for (const [of, list] of byEpoch(files)) {
      const order = after ? compareEpochs(of, after) : 1
      if (order < 0) continue
      const left = order === 0 ? list.filter(held => held.sequence > (after?.sequence ?? 0)) : list
      const taken = this.#take(of, left)
      const runs = this.tailers.get(of.tailer) ?? []
      if (taken.length > 0) this.tailers.set(of.tailer, runs)
      runs.push(...idRuns(of.epoch, taken))
      if (this.next !== undefined) return
    }
  }

  /** Those that fit. All contents of one sequence go into one page: the cursor names none of them. */
  #take({ tailer, epoch }: EpochHeld, list: Held[]): Held[] {
    const sorted = list.sort((a, b) => a.sequence - b.sequence)
    for (const [i, { sequence }] of sorted.entries()) {
      const before = sorted[i - 1]?.sequence
      this.#room -= SUM_BYTES + (sequence - 1 === before ? 0 : RUN_BYTES)
      const last = this.#last
      if (this.#room < 0 && last !== undefined && sequence !== before) {
        this.next = `ids ${last.tailer}/${last.epoch}/${last.sequence}`
        return sorted.slice(0, i)
      }
      this.#last = { tailer, epoch, sequence }
    }
    return sorted
  }

  addWords(files: readonly HeldFile[], after: string): void {
    const words = files.flatMap(file => [...file.words]).filter(word => word.key > after)
    words.sort((a, b) => (a.key < b.key ? -1 : 1))
    for (const word of words) {
      this.#room -= word.bytes
      if (this.#room < 0 && (this.#last !== undefined || this.words.length > 0)) {
        this.next = `${WORDS}${this.words.at(-1)?.key ?? after}`
        return
      }
      this.words.push(word)
    }
  }
}

function byEpoch(files: readonly HeldFile[]): [EpochHeld, Held[]][] {
  const epochs = new Map<EpochHeld, Held[]>()
  for (const file of files) {
    for (const held of file.packets) {
      const list = epochs.get(held.of)
      if (list) list.push(held)
      else epochs.set(held.of, [held])
    }
  }
  return [...epochs].sort(([a], [b]) => compareEpochs(a, b))
}

function compareEpochs(a: { tailer: TailerId; epoch: Epoch }, b: { tailer: TailerId; epoch: Epoch }): number {
  if (a.tailer !== b.tailer) return a.tailer < b.tailer ? -1 : 1
  return a.epoch === b.epoch ? 0 : a.epoch < b.epoch ? -1 : 1
}

function idOf(cursor: string): Id {
  const [tailer, epoch, sequence] = cursor.slice('ids '.length).split('/')
  return { tailer, epoch, sequence: Number(sequence) }
}
