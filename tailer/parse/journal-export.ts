// One entry of `journalctl -o export`: fields, one a line, `NAME=value`; an empty line ends the entry. A value with line
// ends in it has only its name on the line, then its length in 8 bytes, and its bytes. The fields that tell something are
// never written that way, so what cannot be told from the lines is passed over.
import { levelOfSeverity } from './level.ts'
import { isDigit } from './words.ts'

/** Further into the entry nothing is looked at. */
export const JOURNAL_ENTRY_BYTES_MAX = 16 * 1024

const CURSOR = Buffer.from('__CURSOR=')
const REALTIME = Buffer.from('__REALTIME_TIMESTAMP=')
const SOURCE_REALTIME = Buffer.from('_SOURCE_REALTIME_TIMESTAMP=')
const HOSTNAME = Buffer.from('_HOSTNAME=')
const IDENTIFIER = Buffer.from('SYSLOG_IDENTIFIER=')
const COMM = Buffer.from('_COMM=')
const PRIORITY = Buffer.from('PRIORITY=')

/** `journalctl` begins every entry with one of these. */
export function beginsJournalEntry(b: Buffer, at: number, end: number): boolean {
  return b[at] === 0x5f && (startsWith(CURSOR, b, at, end) || startsWith(REALTIME, b, at, end))
}

/** Places of the values, empty where there is none. One per parser, overwritten by every entry. */
export class JournalEntry {
  timeAt = 0
  timeEnd = 0
  hostAt = 0
  hostEnd = 0
  appAt = 0
  appEnd = 0
  level = 0

  read(b: Buffer, start: number, end: number): void {
    this.timeAt = this.timeEnd = this.hostAt = this.hostEnd = this.appAt = this.appEnd = this.level = 0
    const limit = Math.min(end, start + JOURNAL_ENTRY_BYTES_MAX)
    let isSourceTime = false
    let isIdentifier = false
    for (let at = start; at < limit; ) {
      const newline = b.indexOf(0x0a, at)
      const lineEnd = newline < 0 || newline > limit ? limit : newline
      if (b[at] === 0x5f || b[at] === 0x53 || b[at] === 0x50) {
        if (startsWith(SOURCE_REALTIME, b, at, lineEnd)) {
          isSourceTime = true
          this.timeAt = at + SOURCE_REALTIME.length
          this.timeEnd = lineEnd
        } else if (!isSourceTime && startsWith(REALTIME, b, at, lineEnd)) {
          this.timeAt = at + REALTIME.length
          this.timeEnd = lineEnd
        } else if (startsWith(HOSTNAME, b, at, lineEnd)) {
          this.hostAt = at + HOSTNAME.length
          this.hostEnd = lineEnd
        } else if (startsWith(IDENTIFIER, b, at, lineEnd)) {
          isIdentifier = true
          this.appAt = at + IDENTIFIER.length
          this.appEnd = lineEnd
        } else if (!isIdentifier && startsWith(COMM, b, at, lineEnd)) {
          this.appAt = at + COMM.length
          this.appEnd = lineEnd
        } else if (startsWith(PRIORITY, b, at, lineEnd) && lineEnd === at + PRIORITY.length + 1) {
          const severity = b[lineEnd - 1]
          if (isDigit(severity) && severity <= 0x37) this.level = levelOfSeverity(severity - 0x30)
        }
      }
      at = lineEnd + 1
    }
  }
}

function startsWith(name: Buffer, b: Buffer, at: number, end: number): boolean {
  if (end - at < name.length) return false
  for (let i = 0; i < name.length; i++) if (b[at + i] !== name[i]) return false
  return true
}
