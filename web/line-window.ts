// The rows of the live page: lines in order, each once, with markers between them. No DOM here.
//
//   settled rows (their order is final) │ rows younger than SETTLE_MS: a line that arrives is put in order among these
//
// So the first copy of a line is shown at once, and two lines that overtook each other on their way through two bucks still
// stand in the order of their times.
import { compareLines, type Line } from './line.ts'

/** S of the design: bucks differ by less than this in how quickly they pass a line on. */
export const SETTLE_MS = 300
export const ROWS_MAX = 20_000
/** Ids remembered: more than the rows, so that a late second copy of a line that left the window is not shown again. */
export const IDS_MAX = 50_000

export interface Marker {
  kind: 'marker'
  text: string
  tone: 'info' | 'warn' | 'good'
}

export type Row = Line | Marker

export class LineWindow {
  #rows: Row[] = []
  // Insertion order is age: the first key is the oldest.
  #ids = new Set<string>()
  #pausedOver = 0
  #held: Row[] = []
  #isPaused = false

  get rows(): readonly Row[] {
    return this.#rows
  }

  /** Rows that wait for the end of the pause. */
  get held(): number {
    return this.#held.length + this.#pausedOver
  }

  get isPaused(): boolean {
    return this.#isPaused
  }

  /** Lines as they arrive. Those seen before are dropped. Answers how many were new. */
  add(lines: Line[]): number {
    const fresh = this.#unseen(lines)
    if (this.#isPaused) this.#hold(fresh)
    else {
      for (const line of fresh) this.#insert(line, row => row.arrivedMs > line.arrivedMs - SETTLE_MS)
      this.#trim()
    }
    return fresh.length
  }

  /** Lines that were missed: each goes where its time is, however old. Answers how many were new. */
  backfill(lines: Line[]): number {
    const fresh = this.#unseen(lines)
    if (this.#isPaused) this.#hold(fresh)
    else {
      for (const line of fresh) this.#insert(line, () => true)
      this.#trim()
    }
    return fresh.length
  }

  mark(text: string, tone: Marker['tone'] = 'info'): void {
    const marker: Marker = { kind: 'marker', text, tone }
    if (this.#isPaused) this.#hold([marker])
    else this.#rows.push(marker)
  }

  /** From now on `rows` stands still. */
  pause(): void {
    this.#isPaused = true
  }

  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    if (this.#pausedOver > 0) {
      this.mark(`${this.#pausedOver} lines passed during the pause: search shows them`, 'warn')
    }
    for (const row of this.#held) {
      if (row.kind === 'marker') this.#rows.push(row)
      else this.#insert(row, other => other.arrivedMs > row.arrivedMs - SETTLE_MS)
    }
    this.#held = []
    this.#pausedOver = 0
    this.#trim()
  }

  clear(): void {
    this.#rows = []
    this.#ids.clear()
    this.#held = []
    this.#pausedOver = 0
  }

  #unseen(lines: Line[]): Line[] {
    const fresh = lines.filter(line => {
      if (this.#ids.has(line.id)) return false
      this.#ids.add(line.id)
      return true
    })
    for (const oldest of this.#ids) {
      if (this.#ids.size <= IDS_MAX) break
      this.#ids.delete(oldest)
    }
    return fresh
  }

  #hold(rows: Row[]): void {
    this.#held.push(...rows)
    const over = this.#held.length - ROWS_MAX
    if (over > 0) {
      this.#held.splice(0, over)
      this.#pausedOver += over
    }
  }

  /** Before all later lines at the end that may still move; a marker stays where it is. */
  #insert(line: Line, mayMove: (row: Line) => boolean): void {
    const rows = this.#rows
    let at = rows.length
    for (let i = rows.length - 1; i >= 0; i--) {
      const row = rows[i]
      if (row.kind === 'marker') continue
      if (!mayMove(row) || compareLines(row, line) <= 0) break
      at = i
    }
    if (at === rows.length) rows.push(line)
    else rows.splice(at, 0, line)
  }

  #trim(): void {
    // A tenth more than the bound: cutting at each line would move the whole list each time.
    if (this.#rows.length > ROWS_MAX * 1.1) this.#rows.splice(0, this.#rows.length - ROWS_MAX)
  }
}
