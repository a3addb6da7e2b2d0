// What container runtimes put around each line that a program wrote. The rules for records look within.
//
//   CRI     2024-01-02T03:04:05.123456789Z stdout F the line        P in place of F: the line goes on in the next one
//   Docker  {"log":"the line\n","stream":"stdout","time":"2024-…"}   without \n: the same
import { wordEnd } from '../parse/words.ts'

export type Wrapper = 'none' | 'cri' | 'docker'

/** Told by the path: its folders and names are the runtime's own. */
export function wrapperOf(path: string): Wrapper {
  if (/\/containers\/([0-9a-f]{64})\/\1-json\.log/.test(path)) return 'docker'
  return /\/(?:pods\/[^/_]+_[^/_]+_[^/_]+\/[^/]+|containers)\/[^/]+\.log/.test(path) ? 'cri' : 'none'
}

const LOG_KEY = Buffer.from('{"log":"')

/** Of the first byte that the program wrote; `start` where the line is not as the runtime writes it. */
export function writtenAt(wrapper: Wrapper, b: Buffer, start: number, end: number): number {
  if (wrapper === 'docker') return hasLogKey(b, start, end) ? start + LOG_KEY.length : start
  const stream = wordEnd(b, start, end) + 1
  const tag = wordEnd(b, stream, end) + 1
  return tag + 2 <= end && b[tag + 1] === 0x20 && isTag(b[tag]) ? tag + 2 : start
}

/** After its last byte, the line end included. */
export function writtenEnd(wrapper: Wrapper, b: Buffer, start: number, end: number): number {
  if (wrapper !== 'docker' || !hasLogKey(b, start, end)) return end
  const quote = closingQuote(b, start + LOG_KEY.length, end)
  return quote < 0 ? end : b[quote - 2] === 0x5c && b[quote - 1] === 0x6e ? quote - 2 : quote
}

/** The runtime cut it: the next line is more of it. */
export function isPartial(wrapper: Wrapper, b: Buffer, start: number, end: number): boolean {
  if (wrapper === 'docker') {
    if (!hasLogKey(b, start, end)) return false
    const quote = closingQuote(b, start + LOG_KEY.length, end)
    return quote > start + LOG_KEY.length && !(b[quote - 2] === 0x5c && b[quote - 1] === 0x6e)
  }
  const at = writtenAt(wrapper, b, start, end)
  return at > start && b[at - 2] === 0x50
}

function hasLogKey(b: Buffer, start: number, end: number): boolean {
  if (end - start < LOG_KEY.length) return false
  for (let i = 0; i < LOG_KEY.length; i++) if (b[start + i] !== LOG_KEY[i]) return false
  return true
}

function isTag(c: number): boolean {
  return c === 0x46 || c === 0x50
}

function closingQuote(b: Buffer, at: number, end: number): number {
  for (let next = at; next < end; next++) {
    if (b[next] === 0x22) return next
    if (b[next] === 0x5c) next++
  }
  return -1
}
