// Lines of pairs: `time=2024-… level=info msg="two words"`.
import { isWordByte, skipSpace } from './words.ts'

const TIME_KEYS = ['time', 'ts', 'timestamp', '@timestamp', 't'].map(key => Buffer.from(`${key}=`))
const HOST_KEYS = ['host', 'hostname'].map(key => Buffer.from(key))
const APP_KEYS = ['app', 'service', 'application'].map(key => Buffer.from(key))

/** Where the value of `time=` … begins that stands at `at`; -1 if none does. */
export function timeValueAt(b: Buffer, at: number, end: number): number {
  if (b[at] !== 0x74 && b[at] !== 0x40) return -1
  for (const key of TIME_KEYS) {
    if (end - at <= key.length) continue
    let i = 0
    while (i < key.length && b[at + i] === key[i]) i++
    if (i === key.length) return b[at + i] === 0x22 ? at + i + 1 : at + i
  }
  return -1
}

/** Places of one pair, without quotes. Overwritten by the next. */
export class Pair {
  keyAt = 0
  keyEnd = 0
  valueAt = 0
  valueEnd = 0
}

/** Reads the pair at or after `at`; words without `=` are passed over. @returns the offset after it; -1: there is none */
export function nextPair(b: Buffer, at: number, end: number, pair: Pair): number {
  for (let next = skipSpace(b, at, end); next < end; next = skipSpace(b, next, end)) {
    const keyAt = next
    while (next < end && isKeyByte(b[next])) next++
    if (next === keyAt || next >= end || b[next] !== 0x3d) {
      while (next < end && b[next] !== 0x20 && b[next] !== 0x09) next++
      continue
    }
    pair.keyAt = keyAt
    pair.keyEnd = next
    next++
    if (b[next] === 0x22 && next < end) {
      pair.valueAt = ++next
      while (next < end && b[next] !== 0x22) next += b[next] === 0x5c ? 2 : 1
      pair.valueEnd = Math.min(next, end)
      return Math.min(next + 1, end)
    }
    pair.valueAt = next
    while (next < end && b[next] > 0x20) next++
    pair.valueEnd = next
    return next
  }
  return -1
}

export function isHostKey(b: Buffer, pair: Pair): boolean {
  return b[pair.keyAt] === 0x68 && isOneOf(HOST_KEYS, b, pair)
}

export function isAppKey(b: Buffer, pair: Pair): boolean {
  return (b[pair.keyAt] === 0x61 || b[pair.keyAt] === 0x73) && isOneOf(APP_KEYS, b, pair)
}

function isOneOf(keys: Buffer[], b: Buffer, { keyAt, keyEnd }: Pair): boolean {
  return keys.some(key => {
    if (key.length !== keyEnd - keyAt) return false
    for (let i = 0; i < key.length; i++) if (b[keyAt + i] !== key[i]) return false
    return true
  })
}

function isKeyByte(c: number): boolean {
  return isWordByte(c) || c === 0x5f || c === 0x2e || c === 0x2d || c === 0x40 || c === 0x2f
}
