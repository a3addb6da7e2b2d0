// A search that goes on: how far it is, and the button that stops it. What was found until then stays.
import type { Progress } from './api.ts'
import { byId, bytesText, count } from './dom.ts'

/** What is quicker needs no bar: it would only flicker. */
const SHOWN_AFTER_MS = 300

export class Running {
  readonly stop = new AbortController()
  readonly #bar = byId<HTMLProgressElement>('progress')
  readonly #button = byId('stop')
  readonly #timer: number
  #done: Progress | undefined
  #isOver = false

  constructor() {
    // The bar of a search that this one takes the place of.
    this.#hide()
    this.#timer = window.setTimeout(() => {
      this.#bar.hidden = false
      this.#button.hidden = false
    }, SHOWN_AFTER_MS)
    this.stop.signal.addEventListener('abort', () => this.end())
  }

  get signal(): AbortSignal {
    return this.stop.signal
  }

  progress(done: Progress): void {
    this.#done = done
    if (this.#isOver) return
    this.#bar.max = Math.max(1, done.ofBlocks)
    this.#bar.value = done.blocks
    byId('summary').textContent = `searching … ${this.#searched()}`
  }

  /** What goes on where nobody knows how far it is. */
  show(text: string): void {
    if (this.#isOver) return
    this.#bar.removeAttribute('value')
    byId('summary').textContent = text
  }

  /** Of one that was stopped. */
  words(): string {
    return this.#done ? `stopped: ${this.#searched()} searched` : 'stopped'
  }

  end(): void {
    if (this.#isOver) return
    this.#isOver = true
    clearTimeout(this.#timer)
    this.#hide()
  }

  #searched(): string {
    const { blocks, ofBlocks, bytes } = this.#done!
    return `${count(blocks)} of ${count(ofBlocks)} blocks, ${bytesText(bytes)}`
  }

  #hide(): void {
    this.#bar.hidden = true
    this.#bar.removeAttribute('value')
    this.#button.hidden = true
  }
}
