// A long log out of a short real one. The real one is gone through again and again; each repetition
// - leaves out a quarter of its stretches and swaps some neighbours, as other sessions would have come in another order;
// - goes on in time: the gaps between lines are gaps of that part of the real log, drawn anew;
// - has other numbers: all of 4 and more digits, hexadecimal ids, UUIDs, addresses. The mapping holds for one repetition:
//   what was equal stays equal, what was a counter still counts (order is kept, the gaps between neighbours are shuffled),
//   lengths stay. Nothing of it comes again in the next repetition, neither as text nor as differences.
// Words, shapes and line ends are the real ones. Everything follows from the seed.
import { seededFraction } from '../bin/samples.ts'
import { findStamps, type Stamp } from './grown-stamps.ts'

/** Geometric, in lines. */
const STRETCH_LINES_MEAN = 12
const LEFT_OUT = 1 / 4
const SWAPPED = 1 / 4
/** A gap is drawn from the lines this near: quiet and busy times stay apart. */
const GAP_WINDOW_LINES = 64
const IDS =
  /\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b|\b\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}\b|\b0x[0-9a-f]{4,}\b|(?<![0-9A-Za-z])(?=[0-9a-f]*\d)(?=[0-9a-f]*[a-f])[0-9a-f]{8,}(?![0-9A-Za-z])|\d{4,}/g

type Part = string | { stamp: Stamp } | { number: string; of: NumberClass } | { address: string }

interface Line {
  parts: Part[]
  timeMs: number | undefined
}

/** Numbers of one base and length. */
class NumberClass {
  readonly #radix: number
  readonly #digits: number
  readonly #found = new Set<bigint>()
  #sorted: bigint[] = []
  #now = new Map<bigint, string>()
  #shape: (digits: string) => string

  constructor(radix: number, digits: number, shape: (digits: string) => string) {
    this.#radix = radix
    this.#digits = digits
    this.#shape = shape
  }

  meet(number: string): void {
    this.#found.add(this.#parse(number))
  }

  /** Draws the mapping of the next repetition. */
  draw(random: () => number): void {
    if (this.#sorted.length === 0) this.#sorted = [...this.#found].sort((a, b) => (a < b ? -1 : 1))
    const sorted = this.#sorted
    const radix = BigInt(this.#radix)
    const least = this.#radix === 10 ? radix ** BigInt(this.#digits - 1) : 0n
    const slack = radix ** BigInt(this.#digits) - least - (sorted[sorted.length - 1] - sorted[0])
    const gaps = sorted.slice(1).map((value, i) => value - sorted[i])
    shuffle(gaps, random)
    let value = least + below(slack, random)
    this.#now = new Map()
    for (let i = 0; i < sorted.length; i++) {
      if (i > 0) value += gaps[i - 1]
      this.#now.set(sorted[i], this.#shape(value.toString(this.#radix).padStart(this.#digits, '0')))
    }
  }

  of(number: string): string {
    return this.#now.get(this.#parse(number)) ?? number
  }

  #parse(number: string): bigint {
    return this.#radix === 10 ? BigInt(number) : BigInt(`0x${number.replace(/^0x|-/g, '')}`)
  }
}

export class GrownLog {
  readonly #lines: Line[]
  readonly #classes = new Map<string, NumberClass>()
  readonly #random: () => number
  readonly #gapsMs: number[]
  #timeMs: number
  /** What the stamps of the last line were moved by. */
  #shiftMs = 0
  /** Lines of this repetition. */
  #order: number[] = []
  #at = 0
  #addresses = new Map<string, string>()

  /** @param text  of the real log, as latin1: bytes stay what they are */
  constructor(text: string, seed: number) {
    this.#random = seededFraction(seed)
    const whole = text.endsWith('\n') ? text : `${text}\n`
    this.#lines = whole
      .split(/(?<=\n)/)
      .filter(line => line !== '')
      .map(line => this.#parse(line))
    let before: number | undefined
    this.#gapsMs = this.#lines.map(({ timeMs }) => {
      if (timeMs === undefined) return 0
      const gap = before === undefined ? 0 : timeMs - before
      before = timeMs
      return gap
    })
    this.#timeMs = this.#lines.find(({ timeMs }) => timeMs !== undefined)?.timeMs ?? 0
  }

  /** The next line, line end included. */
  next(): string {
    if (this.#at === this.#order.length) this.#drawRepetition()
    const index = this.#order[this.#at++]
    const { parts, timeMs } = this.#lines[index]
    if (timeMs !== undefined) {
      const window = Math.min(GAP_WINDOW_LINES, this.#lines.length)
      const first = Math.max(0, Math.min(index - (window >> 1), this.#lines.length - window))
      this.#timeMs += this.#gapsMs[first + Math.floor(this.#random() * window)]
      this.#shiftMs = this.#timeMs - timeMs
    }
    let line = ''
    for (const part of parts) {
      if (typeof part === 'string') line += part
      else if ('stamp' in part) line += part.stamp.print(part.stamp.timeMs + this.#shiftMs)
      else if ('number' in part) line += part.of.of(part.number)
      else line += this.#address(part.address)
    }
    return line
  }

  #drawRepetition(): void {
    const stretches: number[][] = []
    let stretch: number[] = []
    for (let i = 0; i < this.#lines.length; i++) {
      stretch.push(i)
      if (this.#random() * STRETCH_LINES_MEAN >= 1) continue
      stretches.push(stretch)
      stretch = []
    }
    stretches.push(stretch)
    const kept = stretches.filter(() => this.#random() >= LEFT_OUT)
    for (let i = 1; i < kept.length; i++) {
      if (this.#random() < SWAPPED) [kept[i - 1], kept[i]] = [kept[i], kept[i - 1]]
    }
    this.#order = kept.flat()
    if (this.#order.length === 0) this.#order = this.#lines.map((_, i) => i)
    this.#at = 0
    this.#addresses = new Map()
    for (const numbers of this.#classes.values()) numbers.draw(this.#random)
  }

  /** Networks stay networks: an octet is turned by what came before it. Private ones keep their first two octets. */
  #address(address: string): string {
    const known = this.#addresses.get(address)
    if (known) return known
    const octets = address.split('.')
    const isPrivate = /^(?:0|10|127|192\.168|172\.(?:1[6-9]|2\d|3[01]))\./.test(address)
    let prefix = ''
    const turned = octets.map((octet, i) => {
      prefix += `${octet}.`
      if (isPrivate && i < 2) return octet
      const key = `turn ${prefix.slice(0, -octet.length - 1)}/${octet.length}`
      let turn = this.#addresses.get(key)
      if (turn === undefined) {
        turn = `${Math.floor(this.#random() * 256)}`
        this.#addresses.set(key, turn)
      }
      const [least, size] = octet.length === 1 ? [0, 10] : octet.length === 2 ? [10, 90] : [100, 156]
      const value = Number(octet)
      return value < least || value >= least + size ? octet : `${least + ((value - least + Number(turn)) % size)}`
    })
    const mapped = turned.join('.')
    this.#addresses.set(address, mapped)
    return mapped
  }

  #parse(line: string): Line {
    const stamps = findStamps(line)
    const parts: Part[] = []
    let at = 0
    for (const stamp of stamps) {
      this.#parseIds(line.slice(at, stamp.from), parts)
      parts.push(stamp.isFixed ? line.slice(stamp.from, stamp.to) : { stamp })
      at = stamp.to
    }
    this.#parseIds(line.slice(at), parts)
    return { parts, timeMs: stamps.find(({ isFixed }) => !isFixed)?.timeMs }
  }

  #parseIds(text: string, parts: Part[]): void {
    let at = 0
    for (const { 0: id, index } of text.matchAll(IDS)) {
      const part = this.#idPart(id)
      if (part === undefined) continue
      if (index > at) parts.push(text.slice(at, index))
      parts.push(part)
      at = index + id.length
    }
    if (at < text.length) parts.push(text.slice(at))
  }

  #idPart(id: string): Part | undefined {
    if (id.includes('.')) return { address: id }
    const isDecimal = /^\d+$/.test(id)
    // Zeros in front of a small number.
    if (isDecimal && id.replace(/^0+/, '').length < 4) return undefined
    const shape = id.includes('-') ? 'uuid' : id.startsWith('0x') ? '0x' : ''
    const digits = shape === 'uuid' ? 32 : id.length - shape.length
    const isPadded = isDecimal && id.startsWith('0')
    const key = `${isDecimal ? 10 : 16} ${digits} ${shape} ${isPadded}`
    let of = this.#classes.get(key)
    if (!of) {
      of = new NumberClass(isDecimal ? 10 : 16, digits, digitsOf => shaped(digitsOf, shape))
      if (!isPadded) this.#classes.set(key, of)
    }
    // Padded ones are rare: they stay.
    if (isPadded) return undefined
    of.meet(id)
    return { number: id, of }
  }
}

function shaped(digits: string, shape: string): string {
  if (shape !== 'uuid') return shape + digits
  return `${digits.slice(0, 8)}-${digits.slice(8, 12)}-${digits.slice(12, 16)}-${digits.slice(16, 20)}-${digits.slice(20)}`
}

function shuffle<T>(list: T[], random: () => number): void {
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    ;[list[i], list[j]] = [list[j], list[i]]
  }
}

function below(bound: bigint, random: () => number): bigint {
  if (bound <= 1n) return 0n
  let drawn = 0n
  for (let span = 1n; span < bound * 2n ** 32n; span *= 2n ** 32n) {
    drawn = drawn * 2n ** 32n + BigInt(Math.floor(random() * 2 ** 32))
  }
  return drawn % bound
}
