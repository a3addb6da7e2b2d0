// Time, level, host and application of a line, from its bytes as they are. Nothing is copied; numbers land in fields.
//
// Which form a line has is told by its first bytes; docs/line-formats.md has the table and an example of each.
// A time counts only where log writers put it: at the start, behind a few words that are not prose (a file name, a
// process id, a level), as the value of time= or ts=, or in the brackets of an access log. A date in a sentence is not
// the line's time.
import { daysSince1970, isDay, YEAR_MIN, yearOf, Zone } from './calendar.ts'
import { JsonLine } from './json-line.ts'
import { findLevel, levelOfSeverity, levelOfWord } from './level.ts'
import { Names } from './names.ts'
import { readAccessTime, readAsctime, readEpoch, readIso, readShortTime, readSyslogTime, TimeRead } from './times.ts'
import {
  isAppByte,
  isDigit,
  isHostName,
  isLetter,
  isSeparator,
  isWordByte,
  skipOpening,
  skipSpace,
  wordEnd,
} from './words.ts'

/** Further in nothing is looked at, except in JSON (see there). */
const HEAD_BYTES = 512
/** Words that may stand before the time. */
const WORDS_BEFORE_MAX = 5
/** How far into the read time's future a time without year may lie before it is taken as last year's: clocks differ. */
const FUTURE_SECONDS_MAX = 86_400
/** 29 February comes again after four years, or eight around 2100. */
const YEARS_BACK_MAX = 8
/** The greatest `<n>` there is: facility 23, severity 7. */
const PRIORITY_MAX = 191

/** One per source: a line without a time takes that of the line before. Never throws, whatever the bytes are. */
export class LineParser {
  /** Since 1970. */
  timeNs = 0n
  /** No time was found in the line: `timeNs` is that of the line before in this source, or the read time. */
  timeIsGuessed = true
  /** Index into LEVELS of shared/events.ts. */
  level = 0
  /** '': the line names none. */
  host = ''
  app = ''

  readonly #zone: Zone
  readonly #time = new TimeRead()
  readonly #json = new JsonLine()
  readonly #hosts = new Names()
  readonly #apps = new Names()
  #readSeconds = 0
  #hasPrevious = false
  /** Whole seconds of the last time as nanoseconds: neighbours mostly share them, and BigInt sums are dear. */
  #lastSeconds = Number.NaN
  #lastSecondsNs = 0n
  #lastNanos = 0

  /**
   * @param options.zone  IANA name, for times that tell no zone; UTC if not given
   * @throws UnknownZoneError
   */
  constructor(options: { zone?: string } = {}) {
    this.#zone = new Zone(options.zone ?? 'UTC')
  }

  /**
   * @param start   of the line in `bytes`
   * @param end     after it, with or without its line end
   * @param readMs  when it was read: the time if there is no other, and the year for times without one
   */
  parse(bytes: Buffer, start: number, end: number, readMs: number): void {
    this.level = 0
    this.host = ''
    this.app = ''
    this.#readSeconds = Math.floor(readMs / 1000)
    if (this.#read(bytes, start, end)) {
      this.timeIsGuessed = false
      this.#hasPrevious = true
      this.#settle()
    } else {
      this.timeIsGuessed = true
      if (!this.#hasPrevious) this.timeNs = BigInt(Math.floor(readMs)) * 1_000_000n
    }
  }

  /** @returns whether #time was read */
  #read(b: Buffer, start: number, lineEnd: number): boolean {
    const end = Math.min(lineEnd, start + HEAD_BYTES)
    const hasByteOrderMark = end - start >= 3 && b[start] === 0xef && b[start + 1] === 0xbb && b[start + 2] === 0xbf
    const at = skipSpace(b, hasByteOrderMark ? start + 3 : start, end)
    if (at >= end) return false
    const first = b[at]
    if (first === 0x7b) return this.#readJson(b, at, lineEnd)
    if (first === 0x3c) {
      const after = this.#readPriority(b, at, end)
      if (after > 0) return this.#readSyslog(b, after, end)
    }
    if (isLetter(first)) {
      const after = readSyslogTime(b, at, end, this.#time)
      if (after > 0) {
        this.#takeOrigin(b, after, end, false)
        return true
      }
    }
    return this.#readPlain(b, at, end)
  }

  #readJson(b: Buffer, at: number, end: number): boolean {
    const json = this.#json
    const hasTime = json.read(b, at, end, this.#time)
    this.level = json.level
    this.host = this.#hosts.get(b, json.hostAt, json.hostEnd)
    this.app = this.#apps.get(b, json.appAt, json.appEnd)
    return hasTime
  }

  /** `<34>`: facility times 8 and severity. @returns the offset after it, or -1 */
  #readPriority(b: Buffer, at: number, end: number): number {
    let next = at + 1
    let priority = 0
    while (next < end && next - at <= 3 && isDigit(b[next])) priority = priority * 10 + b[next++] - 0x30
    if (next === at + 1 || next >= end || b[next] !== 0x3e || priority > PRIORITY_MAX) return -1
    this.level = levelOfSeverity(priority & 7)
    return next + 1
  }

  /** Behind `<34>`: RFC 5424 (`1 ` and five words), else RFC 3164, or that with an ISO time. */
  #readSyslog(b: Buffer, at: number, end: number): boolean {
    const time = this.#time
    if (b[at] === 0x31 && at + 1 < end && b[at + 1] === 0x20) {
      const timeEnd = wordEnd(b, at + 2, end)
      const hasTime = readIso(b, at + 2, end, time) === timeEnd
      const hostEnd = wordEnd(b, timeEnd + 1, end)
      const appEnd = wordEnd(b, hostEnd + 1, end)
      this.host = this.#structured(this.#hosts, b, timeEnd + 1, hostEnd)
      this.app = this.#structured(this.#apps, b, hostEnd + 1, appEnd)
      return hasTime
    }
    let after = readSyslogTime(b, at, end, time)
    if (after < 0) after = readIso(b, at, end, time)
    if (after > 0) {
      this.#takeOrigin(b, after, end, false)
      return true
    }
    // What /dev/log gets: no time, no host, `app[pid]: message`.
    this.#takeApp(b, at, end)
    return false
  }

  /** A word of RFC 5424; `-` stands for none. */
  #structured(names: Names, b: Buffer, at: number, end: number): string {
    return end - at === 1 && b[at] === 0x2d ? '' : names.get(b, at, end)
  }

  /** ` host app[pid]: message`, after a time. @param isStrict  only if it is surely that */
  #takeOrigin(b: Buffer, at: number, end: number, isStrict: boolean): void {
    const hostAt = at + 1
    const hostEnd = wordEnd(b, hostAt, end)
    const isHost =
      at < end && b[at] === 0x20 && hostEnd > hostAt && b[hostEnd - 1] !== 0x3a && isHostName(b, hostAt, hostEnd)
    if (isStrict && !isHost) return
    const tagAt = isHost ? hostEnd + 1 : hostAt
    const tagEnd = this.#takeApp(b, tagAt, end)
    if (isHost && (!isStrict || tagEnd > tagAt)) this.host = this.#hosts.get(b, hostAt, hostEnd)
    if (this.level === 0) this.level = findLevel(b, skipSpace(b, tagEnd, end), end)
  }

  /** `name[pid]:`, `name(pam)[pid]:`, `name:`. @returns the offset after the colon, or `at` */
  #takeApp(b: Buffer, at: number, end: number): number {
    let next = at
    while (next < end && isAppByte(b[next])) next++
    const nameEnd = next
    if (nameEnd === at) return at
    if (next < end && b[next] === 0x28) {
      while (next < end && b[next] !== 0x29 && b[next] !== 0x20) next++
      if (next >= end || b[next++] !== 0x29) return at
    }
    if (next < end && b[next] === 0x5b) {
      while (next < end && b[next] !== 0x5d && b[next] !== 0x20) next++
      if (next >= end || b[next++] !== 0x5d) return at
    }
    if (next >= end || b[next] !== 0x3a) return at
    this.app = this.#apps.get(b, at, nameEnd)
    return next + 1
  }

  /** No syslog, no JSON: a time in brackets or not, at the start or behind a few words. */
  #readPlain(b: Buffer, start: number, end: number): boolean {
    const time = this.#time
    let at = start
    for (let words = 0; words <= WORDS_BEFORE_MAX && at < end; words++) {
      const open = skipOpening(b, at, end)
      if (open >= end) break
      const isFirst = words === 0
      const after = this.#readTimeAt(b, open, end, isFirst, time)
      if (after > 0) {
        if (open === start) this.#takeSyslogOrigin(b, open, after, end)
        else if (!isFirst) {
          this.#takeFileName(b, start, at)
          this.level = findLevel(b, start, at)
        }
        // What follows is the client's to choose: an upper-case word in its request is no level.
        if (isRequest(b, open, after, end)) this.level = 0
        else if (this.level === 0) this.level = findLevel(b, after, end)
        return true
      }
      const next = wordEnd(b, at, end)
      if (isProse(b, open, next)) break
      at = skipSpace(b, next, end)
    }
    if (readAccessLine(b, start, end, time)) return true
    this.level = findLevel(b, start, end)
    return false
  }

  /** @returns the offset after the time at exactly `at`, or -1 */
  #readTimeAt(b: Buffer, at: number, end: number, isFirst: boolean, time: TimeRead): number {
    if (!isDigit(b[at])) {
      if (isFirst && isLetter(b[at])) {
        const after = readAsctime(b, at, end, time)
        if (after > 0) return after
      }
      const value = timeValueAt(b, at, end)
      if (value < 0) return -1
      const after = readIso(b, value, end, time)
      return after > 0 ? after : readEpoch(b, value, end, time)
    }
    let after = readIso(b, at, end, time)
    if (after > 0) return after
    after = readAccessTime(b, at, end, time)
    if (after > 0 || !isFirst) return after
    after = readShortTime(b, at, end, time)
    if (after > 0) {
      // So short a time is believed only with a level behind it, with at most a process id between.
      let word = skipSpace(b, after, end)
      if (word < end && isDigit(b[word])) word = skipSpace(b, wordEnd(b, word, end), end)
      this.level = levelOfWord(b, word, wordEnd(b, word, end))
      if (this.level > 0) return after
    }
    after = readEpoch(b, at, end, time)
    return after > 0 && after < end && isSeparator(b[after]) ? after : -1
  }

  /** rsyslog's own files: an ISO time, then host and tag as in RFC 3164. Other lines begin alike, so it must be exact. */
  #takeSyslogOrigin(b: Buffer, start: number, after: number, end: number): void {
    if ((b[start + 10] | 0x20) !== 0x74 || after >= end || b[after] !== 0x20 || !this.#time.isUtc) return
    const hostEnd = wordEnd(b, after + 1, end)
    const tagEnd = wordEnd(b, hostEnd + 1, end)
    if (tagEnd - hostEnd < 3 || b[tagEnd - 1] !== 0x3a || levelOfWord(b, after + 1, hostEnd) > 0) return
    // `name[pid]:` is a tag; a bare `name:` only behind a time as rsyslog writes it, to the microsecond.
    const hasPid = b[tagEnd - 2] === 0x5d && isDigit(b[tagEnd - 3])
    if (hasPid || after - start === 32) this.#takeOrigin(b, after, end, true)
  }

  /** `nova-api.log.1.2017-05-16_13:53:08 ` before the time: lines of many files in one, with the file's name. */
  #takeFileName(b: Buffer, start: number, end: number): void {
    for (let i = start; i + 4 <= end && isAppByte(b[i]); i++) {
      const isLog = b[i] === 0x2e && b[i + 1] === 0x6c && b[i + 2] === 0x6f && b[i + 3] === 0x67
      if (isLog && !isWordByte(b[i + 4])) {
        this.app = this.#apps.get(b, start, i)
        return
      }
    }
  }

  /** From #time to timeNs. */
  #settle(): void {
    const time = this.#time
    let seconds = time.hasYear ? time.seconds : this.#nearestYear()
    if (time.hasYear && !time.isUtc) seconds = this.#zone.toUtc(seconds)
    if (seconds === this.#lastSeconds) {
      if (time.nanos === this.#lastNanos) return
    } else {
      this.#lastSeconds = seconds
      this.#lastSecondsNs = BigInt(seconds) * 1_000_000_000n
    }
    this.#lastNanos = time.nanos
    this.timeNs = time.nanos === 0 ? this.#lastSecondsNs : this.#lastSecondsNs + BigInt(time.nanos)
  }

  /** Logs are read after they were written: the last such day that is not more than a day ahead of the read time. */
  #nearestYear(): number {
    const { month, day, secondsOfDay } = this.#time
    const newest = yearOf(this.#readSeconds) + 1
    for (let year = newest; year >= Math.max(YEAR_MIN, newest - YEARS_BACK_MAX - 1); year--) {
      if (!isDay(year, month, day)) continue
      const seconds = this.#zone.toUtc(daysSince1970(year, month, day) * 86_400 + secondsOfDay)
      if (seconds <= this.#readSeconds + FUTURE_SECONDS_MAX) return seconds
    }
    return this.#readSeconds
  }
}

/** `client ident user [10/Oct/2000:13:55:36 -0700] "GET …`: in brackets, before the first quote and right before it. */
function readAccessLine(b: Buffer, start: number, end: number, time: TimeRead): boolean {
  for (let at = start; at < end && b[at] !== 0x22; at++) {
    if (b[at] !== 0x5b || at + 1 >= end || !isDigit(b[at + 1])) continue
    const after = readAccessTime(b, at + 1, end, time)
    if (after > 0 && isRequest(b, at + 1, after, end)) return true
  }
  return false
}

/** `10/Oct/2000:13:55:36 -0700` in [at, after), and `] "` behind it. */
function isRequest(b: Buffer, at: number, after: number, end: number): boolean {
  if (after + 2 >= end || b[at + 2] !== 0x2f || b[at + 6] !== 0x2f) return false
  return b[after] === 0x5d && b[after + 1] === 0x20 && b[after + 2] === 0x22
}

const TIME_KEYS = ['time', 'ts', 'timestamp', '@timestamp', 't'].map(key => Buffer.from(`${key}=`))

/** Where the value of `time=` … begins that stands at `at`; -1 if none does. */
function timeValueAt(b: Buffer, at: number, end: number): number {
  if (b[at] !== 0x74 && b[at] !== 0x40) return -1
  for (const key of TIME_KEYS) {
    if (end - at <= key.length) continue
    let i = 0
    while (i < key.length && b[at + i] === key[i]) i++
    if (i === key.length) return b[at + i] === 0x22 ? at + i + 1 : at + i
  }
  return -1
}

/** A word of letters only, but for a stop behind it, that is no level: the line has begun to talk. */
function isProse(b: Buffer, at: number, end: number): boolean {
  let i = at
  while (i < end && isLetter(b[i])) i++
  if (i === at) return false
  if (i < end - 1 || (i === end - 1 && b[i] !== 0x2c && b[i] !== 0x2e && b[i] !== 0x3a && b[i] !== 0x3b)) return false
  return levelOfWord(b, at, i) === 0
}
