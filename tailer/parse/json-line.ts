// A line that is one JSON object: its outermost keys, and the ones within that some log writers nest (`host.name`,
// `log.level`, `t.$date`), looked at without building anything. A line that is cut off or not quite JSON gives what stands
// before the fault.
import type { TimeRead } from './clock-parts.ts'
import { nestedEnd, scalarEnd, stringEnd } from './json-scan.ts'
import { levelOfLetter, levelOfNumber, levelOfWord } from './level.ts'
import { readAccessTime, readEpoch, readIso } from './times.ts'
import { isDigit, skipSpace } from './words.ts'

/** Keys that begin further in than this are not seen. */
export const JSON_BYTES_MAX = 16 * 1024

/** The first of each list that is there wins. Case does not count: .NET writes `Timestamp`, `Level`. */
const TIME_KEYS = keys(
  '@timestamp',
  'timestamp',
  'time',
  'ts',
  't',
  '@t',
  'datetime',
  'date',
  'asctime',
  'eventtime',
  'event_time',
  'instant',
  'timemillis',
  'time_local',
  'time_iso8601',
  '_source_realtime_timestamp',
  '__realtime_timestamp',
)
const LEVEL_KEYS = keys(
  'level',
  'severity',
  'lvl',
  'log.level',
  'levelname',
  'level_name',
  'loglevel',
  'log_level',
  'severitytext',
  'severity_text',
  'log',
  '@l',
  'priority',
  's',
)
const HOST_KEYS = keys('host', 'hostname', 'host.name', 'host_name', '_hostname')
const APP_KEYS = keys(
  'app',
  'service',
  'service.name',
  'service_name',
  'application',
  'syslog_identifier',
  'name',
  'logger',
  'loggername',
  'logger_name',
)
const NAME = Buffer.from('name')
const LEVEL = Buffer.from('level')
const DATE = Buffer.from('$date')
const SECONDS = [Buffer.from('seconds'), Buffer.from('epochsecond')]
const NANOS = [Buffer.from('nanos'), Buffer.from('nanoofsecond')]
const LOG = Buffer.from('log')
const STREAM = Buffer.from('stream')

const NOT_THERE = 1000

type ValueKind = 'text' | 'number' | 'object' | 'other'

/** Places in the line, without quotes; a rank of NOT_THERE: no such key. One per parser, overwritten by every line. */
export class JsonLine {
  hostAt = 0
  hostEnd = 0
  appAt = 0
  appEnd = 0
  level = 0
  /** Docker's json-file: what the container wrote, escaped as it is. Empty if the line is no such one. */
  wroteAt = 0
  wroteEnd = 0
  #hasStream = false
  #timeRank = 0
  #levelRank = 0
  #hostRank = 0
  #appRank = 0
  /** Of the value last passed over. */
  #valueAt = 0
  #valueEnd = 0
  #kind: ValueKind = 'other'

  /** @returns whether a time was found, and is in `time` */
  read(b: Buffer, at: number, end: number, time: TimeRead): boolean {
    this.hostEnd = this.hostAt = this.appAt = this.appEnd = this.wroteAt = this.wroteEnd = this.level = 0
    this.#hasStream = false
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
    if (!this.#hasStream) this.wroteEnd = this.wroteAt
    return this.#timeRank !== NOT_THERE
  }

  #take(b: Buffer, keyAt: number, keyEnd: number, time: TimeRead): void {
    // null, true, false and lists tell nothing.
    if (this.#kind === 'other' || this.#valueAt >= this.#valueEnd) return
    // The keys sought begin with one of these; most others stop here.
    switch (b[keyAt] | 0x20) {
      case 0x60: // @
      case 0x74: // t
      case 0x64: // d
      case 0x65: // e
      case 0x69: // i
        if (this.#takeTime(b, keyAt, keyEnd, time)) return
        if ((b[keyAt + 1] | 0x20) === 0x6c) this.#takeLevel(b, keyAt, keyEnd)
        return
      case 0x61: // a
        if (!this.#takeApp(b, keyAt, keyEnd)) this.#takeTime(b, keyAt, keyEnd, time)
        return
      case 0x6e: // n
        this.#takeApp(b, keyAt, keyEnd)
        return
      case 0x68: // h
        this.#takeHost(b, keyAt, keyEnd)
        return
      case 0x7f: // _ as | 0x20
        if (!this.#takeHost(b, keyAt, keyEnd)) this.#takeTime(b, keyAt, keyEnd, time)
        return
      case 0x6c: // l
        if (this.#kind === 'text' && isKey(LOG, b, keyAt, keyEnd)) {
          this.wroteAt = this.#valueAt
          this.wroteEnd = this.#valueEnd
        } else if (!this.#takeLevel(b, keyAt, keyEnd)) this.#takeApp(b, keyAt, keyEnd)
        return
      case 0x70: // p
        this.#takeLevel(b, keyAt, keyEnd)
        return
      case 0x73: // s
        if (isKey(STREAM, b, keyAt, keyEnd)) this.#hasStream = true
        else if (!this.#takeLevel(b, keyAt, keyEnd)) this.#takeApp(b, keyAt, keyEnd)
    }
  }

  /** @returns whether it is a key of a time, with or without one behind it */
  #takeTime(b: Buffer, keyAt: number, keyEnd: number, time: TimeRead): boolean {
    const rank = rankOf(TIME_KEYS, b, keyAt, keyEnd)
    if (rank < this.#timeRank && this.#readTime(b, this.#valueAt, this.#valueEnd, time)) this.#timeRank = rank
    return rank !== NOT_THERE
  }

  #takeLevel(b: Buffer, keyAt: number, keyEnd: number): boolean {
    const rank = rankOf(LEVEL_KEYS, b, keyAt, keyEnd)
    if (rank >= this.#levelRank) return rank !== NOT_THERE
    if (this.#kind === 'object' && !this.#within(b, LEVEL)) return true
    const at = this.#valueAt
    const end = this.#valueEnd
    let level = 0
    if (!isDigit(b[at])) level = levelOfWord(b, at, end) || levelOfLetter(b, at, end)
    // MongoDB's `s` is a letter; a number under so short a name is anything.
    else if (keyEnd - keyAt > 1) level = levelOfNumber(smallNumber(b, at, end))
    if (level > 0) {
      this.level = level
      this.#levelRank = rank
    }
    return true
  }

  #takeHost(b: Buffer, keyAt: number, keyEnd: number): boolean {
    const rank = rankOf(HOST_KEYS, b, keyAt, keyEnd)
    if (rank >= this.#hostRank) return rank !== NOT_THERE
    if (this.#kind === 'object' && !this.#within(b, NAME)) return true
    this.#hostRank = rank
    this.hostAt = this.#valueAt
    this.hostEnd = this.#valueEnd
    return true
  }

  #takeApp(b: Buffer, keyAt: number, keyEnd: number): boolean {
    const rank = rankOf(APP_KEYS, b, keyAt, keyEnd)
    if (rank >= this.#appRank) return rank !== NOT_THERE
    if (this.#kind === 'object' && !this.#within(b, NAME)) return true
    this.#appRank = rank
    this.appAt = this.#valueAt
    this.appEnd = this.#valueEnd
    return true
  }

  /** Only if the whole value is a time. */
  #readTime(b: Buffer, at: number, end: number, time: TimeRead): boolean {
    // What was read for a lesser key must survive a value that is no time.
    const { seconds, nanos, isUtc } = time
    if (this.#kind === 'object') {
      if (this.#readNestedTime(b, at, end, time)) return true
    } else {
      if (readIso(b, at, end, time) === end || readEpoch(b, at, end, time) === end) return true
      if (readAccessTime(b, at, end, time) === end) return true
    }
    time.seconds = seconds
    time.nanos = nanos
    time.isUtc = isUtc
    time.hasYear = true
    return false
  }

  /** {"$date":"2024-…"} of MongoDB; {"epochSecond":…,"nanoOfSecond":…} of log4j; {"seconds":…,"nanos":…} of Google's. */
  #readNestedTime(b: Buffer, at: number, end: number, time: TimeRead): boolean {
    if (this.#within(b, DATE)) return this.#readTime(b, this.#valueAt, this.#valueEnd, time)
    for (let i = 0; i < SECONDS.length; i++) {
      this.#valueAt = at
      this.#valueEnd = end
      if (!this.#within(b, SECONDS[i]) || readEpoch(b, this.#valueAt, this.#valueEnd, time) !== this.#valueEnd) continue
      this.#valueAt = at
      this.#valueEnd = end
      let nanos = 0
      if (this.#within(b, NANOS[i]) && this.#valueEnd - this.#valueAt <= 9) {
        for (let n = this.#valueAt; n < this.#valueEnd; n++) nanos = nanos * 10 + (b[n] - 0x30)
      }
      if (nanos >= 0 && nanos <= 999_999_999) time.nanos = nanos
      return true
    }
    return false
  }

  /** From the object that is the value to the text or number that it has under `name`. */
  #within(b: Buffer, name: Buffer): boolean {
    const limit = this.#valueEnd
    let next = skipSpace(b, this.#valueAt + 1, limit)
    while (next < limit && b[next] === 0x22) {
      const keyAt = next + 1
      const keyEnd = stringEnd(b, keyAt, limit)
      if (keyEnd < 0) break
      next = skipSpace(b, keyEnd + 1, limit)
      if (b[next] !== 0x3a) break
      next = skipSpace(b, next + 1, limit)
      const after = this.#skipValue(b, next, limit)
      if (after < 0) break
      if (isKey(name, b, keyAt, keyEnd)) return this.#kind === 'text' || this.#kind === 'number'
      next = skipSpace(b, after, limit)
      if (b[next] !== 0x2c) break
      next = skipSpace(b, next + 1, limit)
    }
    return false
  }

  /** The offset after the value, or -1. Its kind and its place stay behind. */
  #skipValue(b: Buffer, at: number, limit: number): number {
    this.#kind = 'other'
    if (at >= limit) return -1
    const c = b[at]
    this.#valueAt = at
    if (c === 0x22) {
      const end = stringEnd(b, at + 1, limit)
      if (end < 0) return -1
      this.#kind = 'text'
      this.#valueAt = at + 1
      this.#valueEnd = end
      return end + 1
    }
    if (c === 0x7b || c === 0x5b) {
      const end = nestedEnd(b, at, limit)
      if (c === 0x7b) this.#kind = 'object'
      this.#valueEnd = end
      return end
    }
    const end = scalarEnd(b, at, limit)
    if (isDigit(c)) this.#kind = 'number'
    this.#valueEnd = end
    return end
  }
}

function smallNumber(b: Buffer, at: number, end: number): number {
  if (end - at > 2) return -1
  return end - at === 1 ? b[at] - 0x30 : isDigit(b[at + 1]) ? (b[at] - 0x30) * 10 + b[at + 1] - 0x30 : -1
}

function keys(...names: string[]): Buffer[] {
  return names.map(name => Buffer.from(name))
}

function rankOf(names: Buffer[], b: Buffer, at: number, end: number): number {
  for (let rank = 0; rank < names.length; rank++) if (isKey(names[rank], b, at, end)) return rank
  return NOT_THERE
}

/** `name` is in small letters. */
function isKey(name: Buffer, b: Buffer, at: number, end: number): boolean {
  if (name.length !== end - at) return false
  for (let i = 0; i < name.length; i++) {
    const c = b[at + i]
    if ((c >= 0x41 && c <= 0x5a ? c | 0x20 : c) !== name[i]) return false
  }
  return true
}
