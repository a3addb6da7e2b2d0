// How far something is, on one line of the error stream that is written over; nothing where nobody looks.
const WIDTH = 30
/** Ten times a second is as often as an eye can follow. */
const EVERY_MS = 100

export class Progress {
  readonly #isShown = process.stderr.isTTY === true
  #lastMs = Number.NEGATIVE_INFINITY
  #hasLine = false

  /** @param fraction 0 to 1 */
  show(fraction: number, text: string): void {
    if (!this.#isShown) return
    const nowMs = performance.now()
    if (nowMs - this.#lastMs < EVERY_MS && fraction < 1) return
    this.#lastMs = nowMs
    process.stderr.write(`\r${progressBar(fraction)} ${text}\x1b[K`)
    this.#hasLine = true
  }

  /** The line is done with: what comes next begins on an empty one. */
  end(): void {
    if (this.#hasLine) process.stderr.write('\r\x1b[K')
    this.#hasLine = false
  }
}

/** `[███████───────────────────────]  23 %` */
export function progressBar(fraction: number): string {
  const part = Math.min(1, Math.max(0, fraction))
  const full = Math.round(part * WIDTH)
  const percent = String(Math.floor(part * 100)).padStart(3)
  return `[${'█'.repeat(full)}${'─'.repeat(WIDTH - full)}] ${percent} %`
}
