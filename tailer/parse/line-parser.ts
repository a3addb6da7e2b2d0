// Time, level, host and application of a line, from its bytes as they are. Nothing is copied; numbers land in fields.
//
// Which form a line has is told by its first bytes; docs/line-formats.md has the table and an example of each.
// A time counts only where log writers put it: at the start, behind a few words that are not prose (a file name, a
// process id, a level), as the value of time= or ts=, or in the brackets of an access log. A date in a sentence is not
// the line's time.
import { isRequest, readAccessLine, readClientLine } from './access-line.ts'
import { isWeekday, TimeRead } from './clock-parts.ts'
import { beginsJournalEntry, JournalEntry } from './journal-export.ts'
import { JsonLine } from './json-line.ts'
import {
  findLevel,
  LEVEL_WINDOW_BYTES,
  levelAt,
  levelOfLetter,
  levelOfSeverity,
  levelOfWord,
  levelSeenTo,
} from './level.ts'
import { isContainerLine, isLabel, isProse, mongoLevel, redisLevel } from './line-marks.ts'
import { isAppKey, isHostKey, nextPair, Pair, timeValueAt } from './logfmt.ts'
import { appNames, hostNames, type Names } from './names.ts'
import {
  readClockOnly,
  readCompact,
  readDayFirst,
  readLetterTime,
  readLogcatTime,
  readNamedDay,
  readTai,
} from './rare-times.ts'
import { SettledTime } from './settled-time.ts'
import { readAccessTime, readAsctime, readEpoch, readIso, readShortTime, readSyslogTime } from './times.ts'
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

/** Further in nothing is looked at, except in JSON and in entries of the journal (see there). */
export const HEAD_BYTES = 512
/** Words that may stand before the time. */
const WORDS_BEFORE_MAX = 5
/** The greatest `<n>` there is: facility 23, severity 7. */
const PRIORITY_MAX = 191

/** How far behind the start of a time its readers look, at most, before they know that it is none. */
const TIME_AHEAD_BYTES = 96
/** Behind a time, places are asked for what stands in them up to here. */
const REST_AHEAD_BYTES = 12

/** A level is looked for so much further than it counts. */
export const SHIFT_BYTES_MAX = 32
/** Behind a time its zone may stand. */
const ZONE_AHEAD_BYTES = 8

/** How a time is written, where the whole of it is in one piece and is read in one way only. */
export type TimeForm = 'iso' | 'access' | 'short' | 'epoch' | 'syslog' | 'asctime' | 'other'

/** What a time needs beside what is written: nothing, the zone, the year (and the zone), the day. */
export type TimeBasis = 'fixed' | 'local' | 'yearless' | 'dayless'

/** One per source: a line without a time takes that of the line before. Never throws, whatever the bytes are. */
/** When lines were written, for times without a day. */
export interface Written {
  /** Modification time of the file when they were read. */
  lastMs: number
  /** Since the file was read to its end before: the last of them, or all of them, just now. */
  isFresh: boolean
}

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
  /** Of the lines to come; undefined: not known. */
  written: Written | undefined

  // How the answer was found, so that it can be used again without looking (tailer/known-lines.ts):
  // another event that is equal in [start, seenTo) and at least so long has the same level, host, application, and its
  // time at the same place; also
  //   - if numbers (words of digits) that begin at or behind `digitsFrom` have other digits;
  //   - if numbers that begin at or behind `lengthsFrom` have more or fewer digits, by no more than SHIFT_BYTES_MAX in sum,
  //     where `isLevelSteady`.
  /** Infinite: all of it may count. */
  seenTo = 0
  digitsFrom = 0
  lengthsFrom = 0
  /** The level, or that there is none, would be the same a little further in or out. */
  isLevelSteady = true
  #hasLookedForLevel = false
  timeAt = -1
  timeEnd = -1
  timeForm: TimeForm = 'other'
  timeBasis: TimeBasis = 'fixed'

  readonly #time = new TimeRead()
  readonly #settled: SettledTime
  readonly #json = new JsonLine()
  readonly #entry = new JournalEntry()
  readonly #pair = new Pair()
  #hasPrevious = false

  /**
   * @param options.zone  IANA name, for times that tell no zone; UTC if not given
   * @throws UnknownZoneError
   */
  constructor(options: { zone?: string } = {}) {
    this.#settled = new SettledTime(options.zone ?? 'UTC')
  }

  /**
   * @param start   of the event in `bytes`
   * @param end     after its first line, with or without the line end; after all of it where it is an entry of the journal
   * @param readMs  when it was read: the time if there is no other, and the year for times without one
   */
  parse(bytes: Buffer, start: number, end: number, readMs: number): void {
    this.seenTo = start
    this.timeAt = this.timeEnd = -1
    this.digitsFrom = this.lengthsFrom = Number.POSITIVE_INFINITY
    this.isLevelSteady = true
    this.#hasLookedForLevel = false
    this.timeForm = 'other'
    this.level = 0
    this.host = ''
    this.app = ''
    if (this.#read(bytes, start, end)) {
      this.timeIsGuessed = false
      const near = this.#time.hasDay || this.#time.hasYear ? undefined : this.#nearWhat(readMs)
      this.#hasPrevious = true
      this.timeNs = this.#settled.nanoseconds(this.#time, Math.floor(readMs / 1000), near)
      this.timeBasis = this.#basis()
    } else {
      this.timeIsGuessed = true
      if (!this.#hasPrevious) this.timeNs = BigInt(Math.floor(readMs)) * 1_000_000n
    }
  }

  /** A time without a day: by the line before it, unless this one was written after all that was there before was read. */
  #nearWhat(readMs: number): { latest: number; before: number | undefined } {
    const { lastMs = readMs, isFresh = false } = this.written ?? {}
    const before = this.#hasPrevious && !isFresh ? Number(this.timeNs / 1_000_000_000n) : undefined
    return { latest: Math.floor(Math.min(readMs, lastMs) / 1000), before }
  }

  /** The line before had this time: known without this parser. */
  inherit(timeNs: bigint): void {
    this.timeNs = timeNs
    this.#hasPrevious = true
  }

  #basis(): TimeBasis {
    const { hasYear, hasDay, isUtc } = this.#time
    if (hasYear) return isUtc || this.#settled.isUtc ? 'fixed' : 'local'
    return hasDay ? 'yearless' : 'dayless'
  }

  get isZoneUtc(): boolean {
    return this.#settled.isUtc
  }

  #seeAll(): void {
    this.seenTo = Number.POSITIVE_INFINITY
  }

  #see(to: number): void {
    if (to > this.seenTo) this.seenTo = to
  }

  #seeTime(at: number, end: number): void {
    this.timeAt = at
    this.timeEnd = end
    this.#see(end + ZONE_AHEAD_BYTES)
    this.digitsFrom = end + (this.timeForm === 'syslog' || this.timeForm === 'short' ? 1 : ZONE_AHEAD_BYTES)
  }

  #lookForLevel(b: Buffer, from: number, end: number): void {
    const level = findLevel(b, from, end, LEVEL_WINDOW_BYTES + SHIFT_BYTES_MAX)
    this.#see(levelSeenTo)
    if (level > 0) {
      const bytes = levelAt - from
      this.isLevelSteady &&= bytes < LEVEL_WINDOW_BYTES - SHIFT_BYTES_MAX && !this.#hasLookedForLevel
      this.level = bytes < LEVEL_WINDOW_BYTES ? level : 0
    }
    this.#hasLookedForLevel = true
  }

  /** @returns whether #time was read */
  #read(b: Buffer, start: number, lineEnd: number): boolean {
    const end = Math.min(lineEnd, start + HEAD_BYTES)
    const hasByteOrderMark = end - start >= 3 && b[start] === 0xef && b[start + 1] === 0xbb && b[start + 2] === 0xbf
    const at = skipSpace(b, hasByteOrderMark ? start + 3 : start, end)
    if (at >= end) return false
    const first = b[at]
    if (isLetter(first)) {
      const after = readSyslogTime(b, at, end, this.#time)
      if (after > 0) {
        this.timeForm = 'syslog'
        this.#seeTime(at, after)
        this.#takeOrigin(b, after, end, false)
        return true
      }
      this.#see(b[at + 3] === 0x20 && !isWeekday(b, at) ? at + TIME_AHEAD_BYTES : at + 4)
      if (!isLetter(b[at + 1])) this.#seeAll()
      if (this.#readLetter(b, at, end)) return true
    } else if (first === 0x7b) {
      this.#seeAll()
      return this.#readJson(b, at, lineEnd)
    } else if (first === 0x3c) {
      this.#seeAll()
      const after = this.#readPriority(b, at, end)
      if (after > 0) return this.#readSyslog(b, after, end)
    } else if (first === 0x5b) {
      if (!isLetter(b[at + 2]) && levelOfLetter(b, at + 1, at + 2) > 0) this.#seeAll()
      if (this.#readLetter(b, at + 1, end)) return true
    } else if (first === 0x5f) {
      this.#seeAll()
      if (beginsJournalEntry(b, at, lineEnd)) return this.#readJournalEntry(b, at, lineEnd)
    } else if (first === 0x2a || first === 0x2e) {
      this.#seeAll()
      if (this.#readCisco(b, at, end)) return true
    }
    return this.#readPlain(b, at, end)
  }

  /** A letter that is the level, then the time: `I0102 03:04:05.678901 …`, `[I 240102 03:04:05 …`, `I, [2024-01-02T03:04:05 #7] …`. */
  #readLetter(b: Buffer, at: number, end: number): boolean {
    const level = levelOfLetter(b, at, at + 1)
    if (level === 0 || end - at < 15) return false
    const c = b[at + 1]
    let after = -1
    if (isDigit(c)) after = readLetterTime(b, at + 1, end, this.#time)
    else if (c === 0x20 && b[at - 1] === 0x5b) after = readLetterTime(b, at + 2, end, this.#time)
    else if (c === 0x2c && b[at + 2] === 0x20 && b[at + 3] === 0x5b) after = readIso(b, at + 4, end, this.#time)
    if (after < 0) return false
    this.level = level
    return true
  }

  #readJournalEntry(b: Buffer, at: number, end: number): boolean {
    const entry = this.#entry
    entry.read(b, at, end)
    this.level = entry.level
    this.host = hostNames.get(b, entry.hostAt, entry.hostEnd)
    this.app = appNames.get(b, entry.appAt, entry.appEnd)
    return entry.timeEnd > entry.timeAt && readEpoch(b, entry.timeAt, entry.timeEnd, this.#time) === entry.timeEnd
  }

  #readJson(b: Buffer, at: number, end: number): boolean {
    const json = this.#json
    const hasTime = json.read(b, at, end, this.#time)
    this.level = json.level
    this.host = hostNames.get(b, json.hostAt, json.hostEnd)
    this.app = appNames.get(b, json.appAt, json.appEnd)
    if (json.wroteEnd > json.wroteAt) this.#readWritten(b, json.wroteAt, json.wroteEnd, hasTime, false)
    return hasTime
  }

  /** What a container wrote, within the line of Docker or of CRI: it tells the level, the line the time. */
  #readWritten(b: Buffer, at: number, end: number, hasTime: boolean, isPlain: boolean): void {
    const time = this.#time
    const { seconds, nanos, isUtc } = time
    if (isPlain) this.#read(b, at, end)
    else this.#readPlain(b, at, Math.min(end, at + HEAD_BYTES))
    if (!hasTime) return
    time.seconds = seconds
    time.nanos = nanos
    time.isUtc = isUtc
    time.hasYear = true
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
      this.host = this.#structured(hostNames, b, timeEnd + 1, hostEnd)
      this.app = this.#structured(appNames, b, hostEnd + 1, appEnd)
      return hasTime
    }
    let after = readSyslogTime(b, at, end, time)
    if (after < 0) after = readIso(b, at, end, time)
    if (after > 0) {
      this.#takeOrigin(b, after, end, false)
      return true
    }
    if (this.#readCisco(b, at, end)) return true
    // What /dev/log gets: no time, no host, `app[pid]: message`.
    this.#takeApp(b, at, end)
    return false
  }

  /** `29: sw1: *Mar  1 18:46:11.123: %SYS-5-CONFIG_I: …`: a count, a name, `*` or `.` for a clock not set; each may be absent. */
  #readCisco(b: Buffer, start: number, end: number): boolean {
    let at = start
    while (at < end && isDigit(b[at])) at++
    if (at > start) {
      if (b[at] !== 0x3a) return false
      at = skipSpace(b, at + 1, end)
    }
    let timeAt = at
    if (b[timeAt] === 0x2a || b[timeAt] === 0x2e) timeAt++
    let after = readSyslogTime(b, timeAt, end, this.#time)
    let hostEnd = at
    if (after < 0) {
      hostEnd = wordEnd(b, at, end) - 1
      if (hostEnd <= at || b[hostEnd] !== 0x3a || !isHostName(b, at, hostEnd)) return false
      timeAt = hostEnd + 2
      if (b[timeAt] === 0x2a || b[timeAt] === 0x2e) timeAt++
      after = readSyslogTime(b, timeAt, end, this.#time)
      if (after < 0) return false
    }
    const mark = b.indexOf(0x25, after)
    if (mark < 0 || mark > after + 8) return false
    this.host = hostNames.get(b, at, hostEnd)
    let dash = mark
    while (dash < end && b[dash] !== 0x2d && b[dash] !== 0x20) dash++
    const severity = b[dash + 1]
    if (b[dash + 2] === 0x2d && isDigit(severity) && severity <= 0x37) this.level = levelOfSeverity(severity - 0x30)
    return true
  }

  /** A word of RFC 5424; `-` stands for none. */
  #structured(names: Names, b: Buffer, at: number, end: number): string {
    return end - at === 1 && b[at] === 0x2d ? '' : names.get(b, at, end)
  }

  /** ` host app[pid]: message`, after a time. @param isStrict  only if it is surely that */
  #takeOrigin(b: Buffer, at: number, end: number, isStrict: boolean): void {
    const hostAt = at + 1
    const hostEnd = wordEnd(b, hostAt, end)
    this.#see(hostEnd + 1)
    const isHost =
      at < end && b[at] === 0x20 && hostEnd > hostAt && b[hostEnd - 1] !== 0x3a && isHostName(b, hostAt, hostEnd)
    if (isStrict && !isHost) return
    const tagAt = isHost ? hostEnd + 1 : hostAt
    const tagEnd = this.#takeApp(b, tagAt, end)
    if (isHost && (!isStrict || tagEnd > tagAt)) this.host = hostNames.get(b, hostAt, hostEnd)
    this.digitsFrom = Math.max(this.digitsFrom, hostEnd)
    this.lengthsFrom = this.digitsFrom
    if (this.level === 0) this.#lookForLevel(b, skipSpace(b, tagEnd, end), end)
  }

  /** `name[pid]:`, `name(pam)[pid]:`, `name:`. @returns the offset after the colon, or `at` */
  #takeApp(b: Buffer, at: number, end: number): number {
    const after = this.#readTag(b, at, end)
    if (after > at) this.#see(after)
    else {
      // Further than to the first space it did not look.
      let to = at
      while (to < end && b[to] !== 0x20) to++
      this.#see(to + 1)
    }
    return after
  }

  #readTag(b: Buffer, at: number, end: number): number {
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
    this.app = appNames.get(b, at, nameEnd)
    this.digitsFrom = Math.max(this.digitsFrom, nameEnd)
    return next + 1
  }

  /** No syslog, no JSON: a time in brackets or not, at the start or behind a few words. */
  #readPlain(b: Buffer, start: number, end: number): boolean {
    const time = this.#time
    const access = isDigit(b[start]) ? readClientLine(b, start, end, time) : -1
    if (access > 0) {
      this.timeForm = 'access'
      this.#seeTime(start, access)
      this.#seeAll()
      return true
    }
    let at = start
    for (let words = 0; words <= WORDS_BEFORE_MAX && at < end; words++) {
      const open = skipOpening(b, at, end)
      if (open >= end) break
      const isFirst = words === 0
      const after = this.#readTimeAt(b, open, end, isFirst, time)
      if (after > 0) {
        // Others were tried before: those fail within the time, but for the last ones.
        if (this.timeForm === 'epoch' || this.timeForm === 'other') this.#see(open + TIME_AHEAD_BYTES)
        this.#seeTime(open, after)
        // No zone begins with a digit.
        if (this.timeForm === 'iso' && b[after] === 0x20 && isDigit(b[after + 1])) this.digitsFrom = after + 1
        this.#takeRest(b, start, at, open, after, end)
        return true
      }
      const next = wordEnd(b, at, end)
      if (isProse(b, open, next) && !isLabel(b, open, next, end, isFirst)) break
      at = skipSpace(b, next, end)
      const isTimeLike = isDigit(b[open]) || (isFirst && b[open + 3] === 0x20) || b[open] === 0x40
      this.#see(Math.max(at + 24, isTimeLike ? open + TIME_AHEAD_BYTES : open + 16))
    }
    this.#seeAll()
    if (readAccessLine(b, start, end, time)) return true
    this.level = findLevel(b, start, end)
    return false
  }

  /** What stands before and behind the time [open, after) of a line that begins at `start`. */
  #takeRest(b: Buffer, start: number, at: number, open: number, after: number, end: number): void {
    // A short time is read with what is behind it; others are asked about a few places behind them.
    this.lengthsFrom = Math.max(this.digitsFrom, this.timeForm === 'short' ? 0 : after + REST_AHEAD_BYTES)
    if (open === start) {
      this.#see(after + 10)
      if (isContainerLine(b, after, end)) {
        this.#seeAll()
        const wroteAt = wordEnd(b, after + 8, end) + 1
        if (wroteAt < end) this.#readWritten(b, wroteAt, end, true, true)
        return
      }
      this.#takeSyslogOrigin(b, open, after, end)
    } else if (at > start) {
      this.#takeFileName(b, start, at)
      this.level = findLevel(b, start, at) || redisLevel(b, start, at, after, end)
    }
    if (timeValueAt(b, open, end) >= 0) {
      this.#seeAll()
      this.#takePairs(b, start, end)
    }
    // What follows is the client's to choose: an upper-case word in its request is no level.
    if (isRequest(b, after, end)) this.level = 0
    else if (this.level === 0) {
      this.#lookForLevel(b, after, end)
      if (this.level === 0) this.level = mongoLevel(b, after, end)
    }
  }

  /** Host and application of a line that is pairs of key=value. */
  #takePairs(b: Buffer, start: number, end: number): void {
    const pair = this.#pair
    for (let at = nextPair(b, start, end, pair); at >= 0; at = nextPair(b, at, end, pair)) {
      if (this.host === '' && isHostKey(b, pair)) this.host = hostNames.get(b, pair.valueAt, pair.valueEnd)
      else if (this.app === '' && isAppKey(b, pair)) this.app = appNames.get(b, pair.valueAt, pair.valueEnd)
    }
  }

  /** @returns the offset after the time at exactly `at`, or -1 */
  #readTimeAt(b: Buffer, at: number, end: number, isFirst: boolean, time: TimeRead): number {
    if (!isDigit(b[at])) {
      if (isFirst && isLetter(b[at])) {
        let after = readAsctime(b, at, end, time)
        if (after > 0) this.timeForm = 'asctime'
        else after = readNamedDay(b, at, end, time)
        if (after > 0) return after
      }
      if (isFirst && b[at] === 0x40) {
        const after = readTai(b, at, end, time)
        if (after > 0) return after
      }
      const value = timeValueAt(b, at, end)
      if (value < 0) return -1
      const after = readIso(b, value, end, time)
      return after > 0 ? after : readEpoch(b, value, end, time)
    }
    this.timeForm = 'iso'
    let after = readIso(b, at, end, time)
    if (after > 0) return after
    this.timeForm = 'access'
    after = readAccessTime(b, at, end, time)
    if (after > 0) return after
    this.timeForm = 'short'
    after = isFirst ? readShortTime(b, at, end, time) : -1
    if (after > 0) {
      // So short a time is believed only with a level behind it, with at most a process id between.
      let word = skipOpening(b, skipSpace(b, after, end), end)
      if (word < end && isDigit(b[word])) word = skipOpening(b, skipSpace(b, wordEnd(b, word, end), end), end)
      const next = wordEnd(b, word, end)
      const level = levelOfWord(b, word, next) || findLevel(b, word - 1, Math.min(end, next + 1))
      this.#see(next + 2)
      if (level > 0) {
        this.level = level
        return after
      }
    }
    this.timeForm = 'other'
    after = readDayFirst(b, at, end, time)
    if (after > 0) return after
    after = readCompact(b, at, end, time)
    if (after > 0 || !isFirst) return after
    after = b[at + 2] === 0x2d ? readLogcatTime(b, at, end, time) : -1
    if (after > 0) {
      // Process, thread, level, each behind spaces.
      let word = skipSpace(b, after, end)
      for (let i = 0; i < 2 && isDigit(b[word]); i++) word = skipSpace(b, wordEnd(b, word, end), end)
      const level = levelOfLetter(b, word, wordEnd(b, word, end))
      if (level > 0) {
        this.level = level
        return after
      }
    }
    after = b[at + 2] === 0x3a ? readClockOnly(b, at, end, time) : -1
    // A clock alone is believed with a fraction, or in brackets, and a level behind it.
    if (after > 0 && (time.nanos > 0 || b[after - 4] === 0x2e || b[after - 4] === 0x2c || b[at - 1] === 0x5b)) {
      const level = findLevel(b, after, end)
      if (level > 0) {
        this.level = level
        return after
      }
    }
    this.timeForm = 'epoch'
    after = readEpoch(b, at, end, time)
    return after > 0 && after < end && isSeparator(b[after]) ? after : -1
  }

  /** rsyslog's own files: an ISO time, then host and tag as in RFC 3164. Other lines begin alike, so it must be exact. */
  #takeSyslogOrigin(b: Buffer, start: number, after: number, end: number): void {
    if ((b[start + 10] | 0x20) !== 0x74 || after >= end || b[after] !== 0x20 || !this.#time.isUtc) return
    const hostEnd = wordEnd(b, after + 1, end)
    const tagEnd = wordEnd(b, hostEnd + 1, end)
    this.#see(tagEnd + 1)
    this.lengthsFrom = Math.max(this.lengthsFrom, tagEnd + 1)
    if (tagEnd - hostEnd < 3 || b[tagEnd - 1] !== 0x3a || levelOfWord(b, after + 1, hostEnd) > 0) return
    // `name[pid]:` is a tag; a bare `name:` only behind a time as rsyslog writes it, to the microsecond.
    const hasPid = b[tagEnd - 2] === 0x5d && isDigit(b[tagEnd - 3])
    if (!hasPid && after - start !== 32) return
    this.#takeOrigin(b, after, end, true)
    this.lengthsFrom = Math.max(this.digitsFrom, tagEnd + 1)
  }

  /** `nova-api.log.1.2017-05-16_13:53:08 ` before the time: lines of many files in one, with the file's name. */
  #takeFileName(b: Buffer, start: number, end: number): void {
    for (let i = start; i + 4 <= end && isAppByte(b[i]); i++) {
      const isLog = b[i] === 0x2e && b[i + 1] === 0x6c && b[i + 2] === 0x6f && b[i + 3] === 0x67
      if (isLog && !isWordByte(b[i + 4])) {
        this.app = appNames.get(b, start, i)
        return
      }
    }
  }
}
