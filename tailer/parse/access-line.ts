// Access logs of web servers: the time in brackets, and the request in quotes right behind it.
import type { TimeRead } from './clock-parts.ts'
import { readAccessTime } from './times.ts'
import { isDigit, wordEnd } from './words.ts'

/** ` - - [10/Oct/2000:13:55:36 -0700] "` */
const ACCESS_BYTES_MIN = 30

/** `client ident user [10/Oct/2000:13:55:36 -0700] "GET …`: in brackets, before the first quote and right before it. */
export function readAccessLine(b: Buffer, start: number, end: number, time: TimeRead): boolean {
  for (let at = start; at < end && b[at] !== 0x22; at++) {
    if (b[at] !== 0x5b || at + 1 >= end || !isDigit(b[at + 1])) continue
    const after = readAccessTime(b, at + 1, end, time)
    if (after > 0 && isRequest(b, after, end)) return true
  }
  return false
}

/** The same of a line that begins with an address: most access logs, told without trying other times on the address. */
export function readClientLine(b: Buffer, start: number, end: number, time: TimeRead): number {
  const at = clientTimeAt(b, start, end)
  if (at < 0) return -1
  const after = readAccessTime(b, at, end, time)
  return after > 0 && isRequest(b, after, end) ? after : -1
}

/** Where the time of such a line must begin; -1: it is none. */
export function clientTimeAt(b: Buffer, start: number, end: number): number {
  let at = start
  let dots = 0
  for (; at < end && (isDigit(b[at]) || b[at] === 0x2e); at++) if (b[at] === 0x2e) dots++
  if (dots !== 3 || end - at < ACCESS_BYTES_MIN || b[at] !== 0x20 || b[at + 1] !== 0x2d || b[at + 2] !== 0x20) return -1
  const user = wordEnd(b, at + 3, end)
  return user + 2 >= end || b[user] !== 0x20 || b[user + 1] !== 0x5b ? -1 : user + 2
}

/** `] "` behind a time, or `] \"` within a text of JSON: what follows is the client's word. */
export function isRequest(b: Buffer, after: number, end: number): boolean {
  if (after + 3 >= end || b[after] !== 0x5d || b[after + 1] !== 0x20) return false
  return b[after + 2] === 0x22 || (b[after + 2] === 0x5c && b[after + 3] === 0x22)
}
