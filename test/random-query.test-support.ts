// Queries as somebody might ask them who sees these lines: most of them find something, some cannot.
import type { FoundEvent } from '../shared/events.ts'
import { withoutLineEnd } from '../shared/events.ts'
import { shapeIdOf } from '../shared/search/shape.ts'

const DEPTH_MAX = 2

export class RandomQueries {
  readonly #events: FoundEvent[]
  readonly #random: () => number

  constructor(events: FoundEvent[], random: () => number) {
    this.#events = events
    this.#random = random
  }

  query(depth = 0): string {
    const choice = this.#random()
    if (choice < 0.02) return ''
    if (depth >= DEPTH_MAX || choice < 0.55) return this.term()
    const parts = Array.from({ length: 2 + this.#upTo(2) }, () => this.#operand(depth))
    return parts.join(choice < 0.75 ? ' OR ' : ' ')
  }

  event(): FoundEvent {
    return this.#pick(this.#events)
  }

  #operand(depth: number): string {
    const text = this.#random() < 0.3 ? `(${this.query(depth + 1) || 'x'})` : this.term()
    return this.#random() < 0.25 ? `-${text}` : text
  }

  term(): string {
    const event = this.event()
    const line = withoutLineEnd(event.bytes).toString()
    const words = line.match(/[\p{L}\p{N}_]+/gu) ?? ['x']
    const word = this.#pick(words)
    return this.#pick([
      () => quoted(word),
      () => quoted(this.#recased(word)),
      () => `${quoted(word.slice(0, 1 + this.#upTo(word.length)))}*`,
      () => `*${quoted(word.slice(this.#upTo(word.length)))}`,
      () => this.#starred(this.#slice(line)),
      () => this.#starred(this.#recased(this.#slice(line))),
      () => quoted(this.#phrase(line)),
      () => quoted(this.#recased(this.#phrase(line))),
      () => this.#starred(this.#changed(this.#slice(line))),
      () => quoted(this.#changed(this.#phrase(line))),
      () => this.#starred(this.#digits(line)),
      () => quoted(this.#digits(line)),
      () => this.#regex(line),
      () => this.#regex(line),
      () => `template:${shapeIdOf(event.bytes)}`,
      () => this.#field(event),
      () => quoted(`${word}${this.#pick(words)}`),
    ])()
  }

  #field({ host, app, level, path }: FoundEvent): string {
    const part = path.slice(this.#upTo(path.length))
    return this.#pick([
      `host:${quoted(host)}`,
      `app:${quoted(app)}`,
      `level:${level || '""'}`,
      `file:${quoted(path)}`,
      `file:*${quoted(part)}`,
      `host:${quoted(host.slice(0, 2))}*`,
    ])
  }

  #regex(line: string): string {
    const piece = this.#slice(line).slice(0, 24)
    const literal = piece.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
    const body = this.#pick([
      () => literal,
      () => literal.replace(/\d+/g, '\\d+'),
      () => literal.replace(/\d/g, '[0-9]'),
      () => `${literal}|${quotedRegex(this.#phrase(line))}`,
      () => literal.replace(/[a-z]+/, '\\w+'),
      () => `^.*${literal}`,
      () => `${literal}.?`,
      () => `(${literal})+$`,
      () => `^${quotedRegex(line.slice(0, 8))}`,
      () => `${quotedRegex(line.slice(-6))}$`,
    ])()
    if (body === '' || !isPattern(body)) return '/x/'
    return `/${body.replaceAll('\n', '')}/${this.#random() < 0.3 ? 'i' : ''}`
  }

  #slice(line: string): string {
    const characters = [...line]
    const from = this.#upTo(characters.length)
    return characters.slice(from, from + 1 + this.#upTo(12)).join('')
  }

  /** From the beginning of a word to the end of one. */
  #phrase(line: string): string {
    const words = [...line.matchAll(/[\p{L}\p{N}_]+/gu)]
    if (words.length === 0) return line.slice(0, 5)
    const first = this.#upTo(words.length)
    const last = words[Math.min(words.length - 1, first + this.#upTo(4))]
    return line.slice(words[first].index, last.index + last[0].length)
  }

  #digits(line: string): string {
    const numbers = line.match(/\d+/g)
    if (!numbers) return '7'
    const number = this.#pick(numbers)
    const from = this.#upTo(number.length)
    return number.slice(from, from + 1 + this.#upTo(number.length))
  }

  #starred(text: string): string {
    return `${this.#random() < 0.8 ? '*' : ''}${quoted(text)}${this.#random() < 0.8 ? '*' : ''}`
  }

  #recased(text: string): string {
    return [...text].map(c => (this.#random() < 0.5 ? c.toUpperCase() : c.toLowerCase())).join('')
  }

  #changed(text: string): string {
    const characters = [...text]
    characters[this.#upTo(characters.length)] = this.#pick([...'axe019 :.-ü数'])
    return characters.join('')
  }

  #upTo(most: number): number {
    return Math.floor(this.#random() * most)
  }

  #pick<T>(of: T[]): T {
    return of[this.#upTo(of.length)]
  }
}

function quoted(text: string): string {
  return `"${(text || 'x').replaceAll('\n', ' ').replace(/[\\"]/g, '\\$&')}"`
}

function quotedRegex(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
}

function isPattern(body: string): boolean {
  try {
    new RegExp(body, 'u')
    return true
  } catch {
    return false
  }
}
