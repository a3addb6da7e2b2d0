// Access logs of web servers: the time in brackets, and the request in quotes right behind it.
import type { TimeRead } from './clock-parts.ts'
import { readAccessTime } from './times.ts'
import { isDigit } from './words.ts'

/** `client ident user [10/Oct/2000:13:55:36 -0700] "GET …`: in brackets, before the first quote and right before it. */
export function readAccessLine(b: Buffer, start: number, end: number, time: TimeRead): boolean {
  for (let at = start; at < end && b[at] !== 0x22; at++) {
    if (b[at] !== 0x5b || at + 1 >= end || !isDigit(b[at + 1])) continue
    const after = readAccessTime(b, at + 1, end, time)
    if (after > 0 && isRequest(b, after, end)) return true
  }
  return false
}

/** `] "` behind a time, or `] \"` within a text of JSON: what follows is the client's word. */
export function isRequest(b: Buffer, after: number, end: number): boolean {
  if (after + 3 >= end || b[after] !== 0x5d || b[after + 1] !== 0x20) return false
  return b[after + 2] === 0x22 || (b[after + 2] === 0x5c && b[after + 3] === 0x22)
}
