// A small model of programs that write logs and of what rotates them: every write carries a token that is written once.
// The model knows in which files each token is now, and which were destroyed before anybody can say that they were read.
import { appendFile, copyFile, readFile, rename, rm, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import type { SeededRandom } from '../test/sim/seeded-random.ts'

export interface Token {
  name: string
  /** Path of its log. */
  log: string
  /** Bytes from the start of the file that it was written to; and which one that was. */
  offset: number
  file: number
  /** Why it may be missing: the last file that had it was destroyed. */
  fate: string | undefined
}

interface FileModel {
  id: number
  bytes: number
  tokens: Token[]
  isMidLine: boolean
}

/** The fate of what was written after the copy was made and before the original was cut. */
export const BETWEEN = 'written between copy and truncation'
/** The same, and the original went too: nobody can tell any more that it was cut. */
export const BETWEEN_AND_GONE = `${BETWEEN}, and the original gone`

const GENERATIONS_MAX = 6

export class ModelLog {
  readonly name: string
  readonly path: string
  readonly tokens: Token[] = []
  readonly #random: SeededRandom
  readonly #files = new Map<string, FileModel>()
  readonly #nextFile: () => number
  #dated = 0

  constructor(folder: string, name: string, random: SeededRandom, nextFile: () => number) {
    this.name = name
    this.path = join(folder, `${name}.log`)
    this.#random = random
    this.#nextFile = nextFile
  }

  get bytes(): number {
    return this.#files.get(this.path)?.bytes ?? 0
  }

  filesWith(token: Token): string[] {
    return [...this.#files].filter(([, file]) => file.tokens.includes(token)).map(([path]) => path)
  }

  get generations(): string[] {
    return [...this.#files.keys()].filter(path => path !== this.path)
  }

  /** A few lines; now and then one whose end comes later, one without a time, a long or an empty one. */
  async write(): Promise<string> {
    const random = this.#random
    const file = this.#at(this.path)
    let text = ''
    const count = random.chance(0.1) ? random.integer(20, 400) : random.integer(1, 6)
    for (let i = 0; i < count; i++) {
      const token = `<${this.name}-${this.tokens.length}>`
      this.#note(file, token, file.bytes + Buffer.byteLength(text))
      const isStamped = file.isMidLine || !random.chance(0.1)
      const stamp = file.isMidLine || !isStamped ? '' : `${new Date(1.79e12 + this.tokens.length).toISOString()} `
      const pad = random.chance(0.02) ? 'x'.repeat(random.integer(1000, 90_000)) : 'y'.repeat(random.integer(0, 60))
      const end = random.chance(0.03) ? '\r\n' : random.chance(0.03) ? '\n\n' : '\n'
      text += `${token} ${stamp}${pad} é${stamp}${end}`
      file.isMidLine = false
    }
    if (random.chance(0.06)) {
      const token = `<${this.name}-${this.tokens.length}>`
      this.#note(file, token, file.bytes + Buffer.byteLength(text))
      text += `${token} begun and `
      file.isMidLine = true
    }
    await appendFile(this.path, text)
    file.bytes += Buffer.byteLength(text)
    return `${this.name}: ${Buffer.byteLength(text)} bytes written`
  }

  /** app.log → app.log.1 → app.log.2 …; the last one goes, if `isLastRead`. */
  async rotateByNumber(compress: 'no' | 'now' | 'later', canDrop: boolean): Promise<string> {
    if (this.bytes === 0) return 'nothing to rotate'
    const numbered = this.generations
      .map(path => ({ path, match: /\.log\.(\d+)(\.gz|\.zst)?$/.exec(path) }))
      .filter(({ match }) => match !== null)
      .map(({ path, match }) => ({ path, number: Number(match![1]), ending: match![2] ?? '' }))
      .sort((a, b) => b.number - a.number)
    for (const { path, number, ending } of numbered) {
      if (number >= GENERATIONS_MAX && canDrop) await this.#destroy(path, 'rotated away')
      else await this.#move(path, `${this.path}.${number + 1}${ending}`)
    }
    await this.#move(this.path, `${this.path}.1`)
    if (this.#random.chance(0.8)) await this.#create(this.path)
    const second = `${this.path}.2`
    if (compress === 'now') await this.#compress(`${this.path}.1`)
    if (compress === 'later' && this.#files.has(second)) await this.#compress(second)
    return `${this.name}: rotated by number, compressed ${compress}`
  }

  async rotateByDate(): Promise<string> {
    if (this.bytes === 0) return 'nothing to rotate'
    this.#dated++
    const day = new Date(1.79e12 + this.#dated * 86_400_000).toISOString().slice(0, 10)
    await this.#move(this.path, `${this.path}-${day.replaceAll('-', '')}`)
    if (this.#random.chance(0.8)) await this.#create(this.path)
    return `${this.name}: rotated by date`
  }

  /** @param between what happens after the copy is made and before the original is cut */
  async copyAndTruncate(between: () => Promise<void>): Promise<string> {
    if (this.bytes === 0) return 'nothing to copy'
    for (const path of this.generations.sort().reverse()) {
      const match = /\.log\.(\d+)(\.gz|\.zst)?$/.exec(path)
      if (match) await this.#move(path, `${this.path}.${Number(match[1]) + 1}${match[2] ?? ''}`)
    }
    const original = this.#at(this.path)
    const copy = `${this.path}.1`
    await copyFile(this.path, copy)
    this.#files.set(copy, { ...original, id: original.id, tokens: [...original.tokens] })
    await between()
    await truncate(this.path, 0)
    const cut = this.#at(this.path)
    this.#files.set(this.path, { id: this.#nextFile(), bytes: 0, tokens: [], isMidLine: false })
    this.#judge(cut.tokens, BETWEEN)
    return `${this.name}: copied and truncated`
  }

  async truncate(): Promise<string> {
    if (this.bytes === 0) return 'nothing to truncate'
    const cut = this.#at(this.path)
    await truncate(this.path, 0)
    this.#files.set(this.path, { id: this.#nextFile(), bytes: 0, tokens: [], isMidLine: false })
    this.#judge(cut.tokens, 'truncated')
    return `${this.name}: truncated`
  }

  async remove(): Promise<string> {
    if (this.bytes === 0) return 'nothing to remove'
    await this.#destroy(this.path, 'removed')
    return `${this.name}: removed`
  }

  /** Another file of the same size takes the name: as an editor or a restore does. */
  async replaceBySameSize(): Promise<string> {
    const { bytes } = this.#at(this.path)
    if (bytes < 200 || bytes > 100_000) return 'nothing to replace'
    const file: FileModel = { id: this.#nextFile(), bytes, tokens: [], isMidLine: false }
    const token = `<${this.name}-${this.tokens.length}>`
    this.#note(file, token, 0)
    const head = `${token} replaced `
    await writeFile(`${this.path}.tmp~`, `${head}${'z'.repeat(bytes - head.length - 1)}\n`)
    const before = this.#at(this.path)
    await rename(`${this.path}.tmp~`, this.path)
    this.#files.set(this.path, file)
    this.#judge(before.tokens, 'replaced')
    return `${this.name}: replaced by ${bytes} other bytes`
  }

  async compressOne(): Promise<string> {
    const plain = this.generations.filter(path => !/\.(gz|zst)$/.test(path))
    if (plain.length === 0) return 'nothing to compress'
    const path = this.#random.pick(plain)
    await this.#compress(path)
    return `${path}: compressed`
  }

  async #compress(path: string): Promise<void> {
    const [ending, pack] = this.#random.chance(0.5) ? (['gz', gzipSync] as const) : (['zst', zstdCompressSync] as const)
    await writeFile(`${path}.${ending}`, pack(await readFile(path)))
    await rm(path)
    const file = this.#files.get(path)!
    this.#files.delete(path)
    this.#files.set(`${path}.${ending}`, file)
  }

  async #move(from: string, to: string): Promise<void> {
    await rename(from, to)
    const overwritten = this.#files.get(to)
    this.#files.set(to, this.#files.get(from)!)
    this.#files.delete(from)
    if (overwritten) this.#judge(overwritten.tokens, 'overwritten')
  }

  async #destroy(path: string, how: string): Promise<void> {
    await rm(path)
    const file = this.#files.get(path)!
    this.#files.delete(path)
    this.#judge(file.tokens, how)
  }

  async #create(path: string): Promise<void> {
    await writeFile(path, '')
    this.#at(path)
  }

  #at(path: string): FileModel {
    let file = this.#files.get(path)
    if (file === undefined) {
      file = { id: this.#nextFile(), bytes: 0, tokens: [], isMidLine: false }
      this.#files.set(path, file)
    }
    return file
  }

  #note(file: FileModel, name: string, offset: number): void {
    const token: Token = { name, log: this.path, offset, file: file.id, fate: undefined }
    this.tokens.push(token)
    file.tokens.push(token)
  }

  /** Tokens that no file has any more may be missing. */
  #judge(tokens: Token[], how: string): void {
    if (how === 'removed' || how === 'replaced') {
      for (const token of this.tokens) if (token.fate === BETWEEN) token.fate = BETWEEN_AND_GONE
    }
    const living = new Set([...this.#files.values()].flatMap(file => file.tokens))
    for (const token of tokens) if (!living.has(token)) token.fate ??= how
  }
}
