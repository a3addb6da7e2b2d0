// A line that is one JSON object: its outermost keys, looked at without building anything. A line that is cut off or
// not quite JSON gives what stands before the fault.
import { levelOfNumber, levelOfWord } from './level.ts'
import { readAccessTime, readEpoch, readIso, type TimeRead } from './times.ts'
import { isDigit, skipSpace } from './words.ts'

/** Keys that begin further in than this are not seen. */
export const JSON_BYTES_MAX = 16 * 1024

/** The first of each list that is there wins. */
const TIME_KEYS = keys('@timestamp', 'timestamp', 'time', 'ts', 't')
const LEVEL_KEYS = keys('level', 'severity', 'lvl', 'log.level')
const HOST_KEYS = keys('host', 'hostname', 'host.name')
const APP_KEYS = keys('app', 'service', 'service.name', 'name', 'logger')

const NOT_THERE = 1000

/** Places in the line, without quotes; a rank of NOT_THERE: no such key. One per parser, overwritten by every line. */
export class JsonLine {
  hostAt = 0
  hostEnd = 0
  appAt = 0
  appEnd = 0
  level = 0
  #timeRank = 0
  #levelRank = 0
  #hostRank = 0
  #appRank = 0
  /** Of the value last passed over. */
  #valueAt = 0
  #valueEnd = 0

  /** @returns whether a time was found, and is in `time` */
  read(b: Buffer, at: number, end: number, time: TimeRead): boolean {
    this.hostEnd = this.hostAt = this.appAt = this.appEnd = this.level = 0
    this.#timeRank = this.#levelRank = this.#hostRank = this.#appRank = NOT_THERE
    const limit = Math.min(end, at + JSON_BYTES_MAX)
    let next = skipSpace(b, at + 1, limit)
    while (next < limit && b[next] === 0x22) {
      const keyAt = next + 1
      const keyEnd = stringEnd(b, keyAt, limit)
      if (keyEnd < 0) break
      next = skipSpace(b, keyEnd + 1, limit)
      if (next >= limit || b[next] !== 0x3a) break
      next = skipSpace(b, next + 1, limit)
      const after = this.#skipValue(b, next, limit)
      if (after < 0) break
      this.#take(b, keyAt, keyEnd, time)
      next = skipSpace(b, after, limit)
      if (next >= limit || b[next] !== 0x2c) break
      next = skipSpace(b, next + 1, limit)
    }
    return this.#timeRank !== NOT_THERE
  }

  #take(b: Buffer, keyAt: number, keyEnd: number, time: TimeRead): void {
    const at = this.#valueAt
    const end = this.#valueEnd
    // A value that is an object, a list, null … is a place of no bytes.
    if (at >= end) return
    // The keys sought begin with one of these; most others stop here.
    switch (b[keyAt]) {
      case 0x40: // @
      case 0x74: {
        // t
        const rank = rankOf(TIME_KEYS, b, keyAt, keyEnd)
        if (rank < this.#timeRank && this.#readTime(b, at, end, time)) this.#timeRank = rank
        return
      }
      case 0x68: {
        // h
        const rank = rankOf(HOST_KEYS, b, keyAt, keyEnd)
        if (rank >= this.#hostRank) return
        this.#hostRank = rank
        this.hostAt = at
        this.hostEnd = end
        return
      }
      case 0x6c: // l
      case 0x73: {
        // s
        const rank = rankOf(LEVEL_KEYS, b, keyAt, keyEnd)
        if (rank < this.#levelRank) {
          const level = isDigit(b[at]) ? levelOfNumber(smallNumber(b, at, end)) : levelOfWord(b, at, end)
          if (level > 0) {
            this.level = level
            this.#levelRank = rank
          }
          return
        }
        this.#takeApp(b, keyAt, keyEnd)
        return
      }
      case 0x61: // a
      case 0x6e: // n
        this.#takeApp(b, keyAt, keyEnd)
    }
  }

  #takeApp(b: Buffer, keyAt: number, keyEnd: number): void {
    const rank = rankOf(APP_KEYS, b, keyAt, keyEnd)
    if (rank >= this.#appRank) return
    this.#appRank = rank
    this.appAt = this.#valueAt
    this.appEnd = this.#valueEnd
  }

  /** Only if the whole value is a time. */
  #readTime(b: Buffer, at: number, end: number, time: TimeRead): boolean {
    // What was read for a lesser key must survive a value that is no time.
    const { seconds, nanos, isUtc } = time
    if (readIso(b, at, end, time) === end || readEpoch(b, at, end, time) === end) return true
    if (readAccessTime(b, at, end, time) === end) return true
    time.seconds = seconds
    time.nanos = nanos
    time.isUtc = isUtc
    time.hasYear = true
    return false
  }

  /** The offset after the value, or -1. Strings and numbers leave their place in #valueAt and #valueEnd. */
  #skipValue(b: Buffer, at: number, limit: number): number {
    this.#valueAt = this.#valueEnd = at
    if (at >= limit) return -1
    const c = b[at]
    if (c === 0x22) {
      const end = stringEnd(b, at + 1, limit)
      if (end < 0) return -1
      this.#valueAt = at + 1
      this.#valueEnd = end
      return end + 1
    }
    if (c === 0x7b || c === 0x5b) return nestedEnd(b, at, limit)
    let next = at
    while (next < limit && b[next] !== 0x2c && b[next] !== 0x7d && b[next] > 0x20) next++
    if (isDigit(c)) this.#valueEnd = next
    return next === at ? -1 : next
  }
}

/** Of the closing quote; -1 if there is none. */
function stringEnd(b: Buffer, at: number, limit: number): number {
  for (let next = at; next < limit; next++) {
    const c = b[next]
    if (c === 0x22) return next
    if (c === 0x5c) next++
  }
  return -1
}

/** The offset after the object or list that begins at `at`; -1 if it does not end. */
function nestedEnd(b: Buffer, at: number, limit: number): number {
  let depth = 0
  for (let next = at; next < limit; next++) {
    const c = b[next]
    if (c === 0x22) {
      next = stringEnd(b, next + 1, limit)
      if (next < 0) return -1
    } else if (c === 0x7b || c === 0x5b) depth++
    else if ((c === 0x7d || c === 0x5d) && --depth === 0) return next + 1
  }
  return -1
}

function smallNumber(b: Buffer, at: number, end: number): number {
  if (end - at > 2) return -1
  return end - at === 1 ? b[at] - 0x30 : isDigit(b[at + 1]) ? (b[at] - 0x30) * 10 + b[at + 1] - 0x30 : -1
}

function keys(...names: string[]): Buffer[] {
  return names.map(name => Buffer.from(name))
}

function rankOf(names: Buffer[], b: Buffer, at: number, end: number): number {
  for (let rank = 0; rank < names.length; rank++) {
    const name = names[rank]
    if (name.length !== end - at) continue
    let i = 0
    while (i < name.length && b[at + i] === name[i]) i++
    if (i === name.length) return rank
  }
  return NOT_THERE
}
