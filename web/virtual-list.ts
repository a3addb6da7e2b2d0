// Rows of equal height in a scrolling box; only those in sight are in the document. Follows the end until the reader
// scrolls up or selects text.
import { el } from './dom.ts'

/** Rows above and below those in sight, so that a quick scroll shows no empty space. */
const OVERSCAN = 20

export class VirtualList<Row extends object> {
  readonly #box: HTMLElement
  readonly #spacer: HTMLElement
  readonly #rows: () => readonly Row[]
  readonly #make: (row: Row) => HTMLElement
  readonly #onScroll: (atEnd: boolean) => void
  #shown = new Map<Row, HTMLElement>()
  #isFollowing = true
  #isScheduled = false

  /** @param onScroll the reader scrolled; is the end in sight? */
  constructor(
    box: HTMLElement,
    rows: () => readonly Row[],
    make: (row: Row) => HTMLElement,
    onScroll: (atEnd: boolean) => void,
  ) {
    this.#box = box
    this.#rows = rows
    this.#make = make
    this.#onScroll = onScroll
    this.#spacer = el('div', { class: 'spacer' })
    box.append(this.#spacer)
    box.addEventListener('scroll', () => {
      this.#onScroll(this.#isAtEnd())
      this.update()
    })
    new ResizeObserver(() => this.update()).observe(box)
  }

  follow(isFollowing: boolean): void {
    this.#isFollowing = isFollowing
    this.update()
  }

  /** Draws before the next frame, once, however often it is called. */
  update(): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    requestAnimationFrame(() => {
      this.#isScheduled = false
      this.#draw()
    })
  }

  /** Makes all elements anew: what `make` depends on has changed. */
  redraw(): void {
    for (const element of this.#shown.values()) element.remove()
    this.#shown.clear()
    this.update()
  }

  #rowHeight(): number {
    return Number.parseFloat(getComputedStyle(this.#box).getPropertyValue('--row-height')) || 22
  }

  #isAtEnd(): boolean {
    return this.#box.scrollHeight - this.#box.scrollTop - this.#box.clientHeight < this.#rowHeight() * 1.5
  }

  #draw(): void {
    const rows = this.#rows()
    const height = this.#rowHeight()
    this.#spacer.style.height = `${rows.length * height}px`
    if (this.#isFollowing) this.#box.scrollTop = this.#box.scrollHeight
    const first = Math.max(0, Math.floor(this.#box.scrollTop / height) - OVERSCAN)
    const end = Math.min(rows.length, Math.ceil((this.#box.scrollTop + this.#box.clientHeight) / height) + OVERSCAN)

    const shown = new Map<Row, HTMLElement>()
    for (let i = first; i < end; i++) {
      const row = rows[i]
      // The same element as before where there is one: a selection in it lives on.
      const element = this.#shown.get(row) ?? this.#make(row)
      this.#shown.delete(row)
      element.style.transform = `translateY(${i * height}px)`
      if (!element.isConnected) this.#spacer.append(element)
      shown.set(row, element)
    }
    for (const element of this.#shown.values()) element.remove()
    this.#shown = shown
  }
}
