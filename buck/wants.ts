// Wants of porters on their way to a tailer. A connected tailer is asked at once; else the want waits here, in memory,
// for its next opening. Lost in a restart: the porter asks again in its next round.
import { type Link, LinkLostError, RefusedError } from '../shared/link.ts'
import { type Gone, isGoneGenuine } from '../shared/manifest.ts'
import type { Epoch, TailerId } from '../shared/messages.ts'
import type { World } from '../shared/world.ts'
import { goneAnswerShape } from './shapes.ts'
import type { Store } from './store.ts'

/** Sequences that wait for absent tailers, all together. More are not kept: they are asked again. */
const WAITING_MAX = 200_000
/** The tailer sends the packets first, then answers. */
const WANT_TIMEOUT_MS = 30_000
/** Sequences in one request to a tailer. */
const ASKED_MAX = 1_000

export class Wants {
  readonly #world: World
  readonly #store: Store
  readonly #waiting = new Map<TailerId, Map<Epoch, Set<number>>>()
  #count = 0
  notKept = 0

  constructor(world: World, store: Store) {
    this.#world = world
    this.#store = store
  }

  get waiting(): number {
    return this.#count
  }

  /** What the tailer says is gone, now or in the past. What it does not answer for is kept for its next opening. */
  async relay(tailer: TailerId, epoch: Epoch, sequences: number[], link: Link | undefined): Promise<Gone[]> {
    const gone: Gone[] = []
    const open: number[] = []
    for (const sequence of new Set(sequences)) {
      const known = await this.#store.gone(tailer, epoch, sequence)
      if (known) gone.push(known)
      else open.push(sequence)
    }
    for (const sequence of open) this.#keep(tailer, epoch, sequence)
    if (link) gone.push(...(await this.#ask(link, tailer, epoch, open)))
    return gone
  }

  /** A tailer has opened: it hears what waited for it. */
  async tell(link: Link): Promise<void> {
    const tailer = link.peer.id
    for (const [epoch, sequences] of [...(this.#waiting.get(tailer) ?? [])]) {
      await this.#ask(link, tailer, epoch, [...sequences])
    }
  }

  async #ask(link: Link, tailer: TailerId, epoch: Epoch, sequences: number[]): Promise<Gone[]> {
    const gone: Gone[] = []
    for (let i = 0; i < sequences.length; i += ASKED_MAX) {
      const asked = sequences.slice(i, i + ASKED_MAX)
      try {
        const { body } = await link.ask('want', { tailer, epoch, sequences: asked }, undefined, WANT_TIMEOUT_MS)
        for (const sequence of asked) this.#forget(tailer, epoch, sequence)
        gone.push(...(await this.#take(body, tailer, epoch, new Set(asked))))
      } catch (error) {
        if (!(error instanceof LinkLostError || error instanceof RefusedError)) throw error
        this.#world.log.info('a want was not answered; it waits for the next opening', { tailer, epoch, error })
        break
      }
    }
    return gone
  }

  async #take(answer: unknown, tailer: TailerId, epoch: Epoch, asked: Set<number>): Promise<Gone[]> {
    const parsed = goneAnswerShape.safeParse(answer)
    if (!parsed.success) {
      this.#world.log.warn('a want was answered with what is no list of gone', { tailer })
      return []
    }
    const genuine: Gone[] = []
    for (const gone of parsed.data.gone) {
      const isAsked = gone.tailer === tailer && gone.epoch === epoch && asked.has(gone.sequence)
      if (!isAsked || !isGoneGenuine(gone)) {
        this.#world.log.warn('a gone that was not asked for, or is forged; it does not count', {
          tailer,
          sequence: gone.sequence,
        })
        continue
      }
      await this.#store.putGone(gone)
      genuine.push(gone)
    }
    return genuine
  }

  #keep(tailer: TailerId, epoch: Epoch, sequence: number): void {
    const epochs = this.#waiting.get(tailer) ?? new Map<Epoch, Set<number>>()
    const sequences = epochs.get(epoch) ?? new Set<number>()
    if (sequences.has(sequence)) return
    if (this.#count >= WAITING_MAX) {
      this.notKept++
      return
    }
    this.#waiting.set(tailer, epochs)
    epochs.set(epoch, sequences)
    sequences.add(sequence)
    this.#count++
  }

  #forget(tailer: TailerId, epoch: Epoch, sequence: number): void {
    const epochs = this.#waiting.get(tailer)
    const sequences = epochs?.get(epoch)
    if (!epochs || !sequences?.delete(sequence)) return
    this.#count--
    if (sequences.size === 0) epochs.delete(epoch)
    if (epochs.size === 0) this.#waiting.delete(tailer)
  }
}
