// What goes to standard output: log lines that must not drive the reader's terminal, colours only where somebody looks,
// a reader that went away (`| head`), and one that is slower than we are.
import { styleText } from 'node:util'

/** Bytes gathered before a write: one system call per line would cost more than finding it. */
const CHUNK_BYTES = 64 * 1024

/** What to type for the next command: in a clone of the repository there is no `bucktail` on the path. */
export const COMMAND = /^(start|bucktail)$/.test(process.env.npm_lifecycle_event ?? '')
  ? 'npm run -s bucktail --'
  : 'bucktail'

/** The reader of our output has closed it: stop quietly. */
export class OutputClosedError extends Error {
  override readonly name = 'OutputClosedError'
}

export const isTerminal = (): boolean => process.stdout.isTTY === true

/**
 * Text without anything a terminal would obey: C0 (but tab), DEL and C1 as `\x1b`, bidirectional overrides as `\u202e`.
 * A log line is written by strangers.
 */
export function escapeControls(text: string): string {
  return text.replace(/[\x00-\x08\x0a-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, char => {
    const code = char.codePointAt(0)!
    return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u${code.toString(16).padStart(4, '0')}`
  })
}

/** An event of several lines: those behind the first are moved in, so that none looks like an event of its own. */
export function escapeEvent(text: string): string {
  return text.includes('\n') ? text.split(/\r?\n/).map(escapeControls).join('\n    ') : escapeControls(text)
}

/** JSON text for a terminal: what JSON itself leaves as it is (DEL, C1, bidirectional overrides) as `\u009b`. */
export function escapeJson(json: string): string {
  return json.replace(
    /[\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g,
    char => `\\u${char.codePointAt(0)!.toString(16).padStart(4, '0')}`,
  )
}

const COLOURS: Record<string, Parameters<typeof styleText>[0]> = {
  fatal: ['bold', 'red'],
  alert: ['bold', 'red'],
  critical: ['bold', 'red'],
  error: 'red',
  warn: 'yellow',
  notice: 'cyan',
  debug: 'gray',
  trace: 'gray',
}

export function colourOfLevel(level: string, text: string): string {
  const colour = COLOURS[level]
  return colour === undefined || !isTerminal() ? text : styleText(colour, text)
}

export function dim(text: string): string {
  return isTerminal() ? styleText('dim', text) : text
}

export function bold(text: string): string {
  return isTerminal() ? styleText('bold', text) : text
}

/** Standard output in order, in large writes, waiting for a slow reader. `flush` at the end. */
export class Output {
  #parts: Buffer[] = []
  #bytes = 0
  #isClosed = false

  constructor() {
    process.stdout.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error
      this.#isClosed = true
    })
  }

  /** Rejects with OutputClosedError once nobody reads any more. */
  async write(data: string | Buffer): Promise<void> {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data
    this.#parts.push(bytes)
    this.#bytes += bytes.length
    if (this.#bytes >= CHUNK_BYTES) await this.flush()
  }

  async line(text: string): Promise<void> {
    await this.write(`${text}\n`)
  }

  async flush(): Promise<void> {
    if (this.#isClosed) throw new OutputClosedError('the reader of the output is gone')
    if (this.#bytes === 0) return
    const chunk = Buffer.concat(this.#parts, this.#bytes)
    this.#parts = []
    this.#bytes = 0
    if (!process.stdout.write(chunk)) await drained()
    if (this.#isClosed) throw new OutputClosedError('the reader of the output is gone')
  }
}

/** `close` beside `drain`: a reader that goes away never drains. */
function drained(): Promise<void> {
  return new Promise(resolve => {
    const done = () => {
      process.stdout.off('drain', done)
      process.stdout.off('close', done)
      resolve()
    }
    process.stdout.once('drain', done)
    process.stdout.once('close', done)
  })
}

/** 1234567 → "1 234 567". */
export function count(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+$)/g, ' ')
}

/** "12.3 MB": powers of 1000. */
export function size(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB']
  let unit = 0
  let value = bytes
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000
    unit++
  }
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`
}

/** "1 file", "2 files". */
export function counted(value: number, noun: string): string {
  return `${count(value)} ${noun}${value === 1 ? '' : 's'}`
}

/** Columns padded to the widest cell; numbers to the right. */
export function table(head: string[], rows: (string | number)[][]): string {
  const cells = [head, ...rows.map(row => row.map(cell => (typeof cell === 'number' ? count(cell) : cell)))]
  const widths = head.map((_, column) => Math.max(...cells.map(row => row[column].length)))
  const isNumber = head.map((_, column) => rows.some(row => typeof row[column] === 'number'))
  return cells
    .map(row =>
      row
        .map((cell, column) => (isNumber[column] ? cell.padStart(widths[column]) : cell.padEnd(widths[column])))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
