// A log file as programs write it: appended, rotated by rename in one of three manners.
import { appendFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'

/** One program that logs, and rotates in its own manner. */
export class Writer {
  readonly number: number
  readonly path: string
  /** Rotated files, under their names of now. */
  done: string[] = []
  lines = 0
  bytes = 0
  heartbeats = 0
  readonly #random: () => number
  #rotateAt: number
  #reopenAt = 0

  constructor(folder: string, number: number, random: () => number) {
    this.number = number
    this.path = join(folder, `app${number}.log`)
    this.#random = random
    this.#rotateAt = 2000 + random() * 3000
  }

  goOn(due: number, elapsed: number): void {
    // Some programs make the new file a while after the old one was renamed.
    if (elapsed < this.#reopenAt) return
    this.write(Math.max(0, due - this.lines))
    if (elapsed >= this.#rotateAt) {
      this.#rotate()
      this.#rotateAt = elapsed + 2000 + this.#random() * 3000
      if (this.number === 1) this.#reopenAt = elapsed + this.#random() * 400
    }
  }

  write(count: number): void {
    let text = ''
    for (let i = 0; i < count; i++, this.lines++) {
      const isHeartbeat = this.lines % 100 === 99
      if (isHeartbeat) this.heartbeats++
      text += isHeartbeat
        ? `${new Date().toISOString()} INFO heartbeat\n`
        : `${new Date().toISOString()} INFO line=${this.lines} file=${this.number} user=u${this.lines % 97} took ${(this.lines * 7919) % 1000} ms\n`
    }
    appendFileSync(this.path, text)
    this.bytes += Buffer.byteLength(text)
  }

  #rotate(): void {
    if (this.number === 2) {
      // Dated names.
      const dated = `${this.path}-${String(this.done.length + 1).padStart(8, '2026')}`
      renameSync(this.path, dated)
      this.done.push(dated)
      return
    }
    // app.log.1 → app.log.2 …: every rotated file gets a new name each time.
    for (let n = this.done.length; n >= 1; n--) renameSync(`${this.path}.${n}`, `${this.path}.${n + 1}`)
    renameSync(this.path, `${this.path}.1`)
    this.done = [`${this.path}.1`, ...this.done.map((_, i) => `${this.path}.${i + 2}`)]
  }
}
