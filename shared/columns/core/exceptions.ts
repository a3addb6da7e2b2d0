// Lists of what was told wrong of the events (event-columns.ts draws them): written side by side while the events are walked
// through once. Each has its count, the last event in it, and where its gaps and its values lie; before them stands its head,
// for those that have one.
//
//   0       4       8            12         16             20           24       28
//   ┌───────┬───────┬────────────┬──────────┬──────────────┬────────────┬────────┬────────┐
//   │ count │ last  │ gaps from  │ gaps end │ values from  │ values end │ head … │ its end│
//   └───────┴───────┴────────────┴──────────┴──────────────┴────────────┴────────┴────────┘
import { type i32, load32, store8, store32 } from './memory.ts'
import { aligned } from './places.ts'
import { putVarint } from './streams.ts'

export const LIST_BYTES: i32 = 32
export const GAPS_AT: i32 = 8
export const VALUES_AT: i32 = 16
export const HEAD_AT: i32 = 24
/** Of the head of a list: the most tellers there may be, a template and a part each. */
const HEAD_BYTES: i32 = 512

/** The place behind. @param valueBytes  the most that an exception has */
export function placeList(list: i32, at: i32, events: i32, valueBytes: i32): i32 {
  const gaps = at + HEAD_BYTES
  // A gap takes a byte, and one more for each 128 events in it at most.
  const values = aligned(gaps + events + (events >> 7) + 16)
  store32(list + 24, at)
  store32(list + 8, gaps)
  store32(list + 16, values)
  clearList(list)
  return aligned(values + events * valueBytes + 16)
}

export function clearList(list: i32): void {
  store32(list, 0)
  store32(list + 4, 0)
  store32(list + 12, load32(list + 8))
  store32(list + 20, load32(list + 16))
  store32(list + 28, load32(list + 24))
}

export function exceptionCount(list: i32): i32 {
  return load32(list)
}

export function putHead(list: i32, value: i32): void {
  store32(list + 28, putVarint(load32(list + 28), value))
}

export function addException(list: i32, event: i32): void {
  store32(list + 12, putVarint(load32(list + 12), event - load32(list + 4)))
  store32(list + 4, event)
  store32(list, load32(list) + 1)
}

export function putValue(list: i32, value: i32): void {
  store32(list + 20, putVarint(load32(list + 20), value))
}

/** A signed number of 64 bits in two halves, as zigzag. */
export function putValue64(list: i32, low: i32, high: i32): void {
  const sign = high >> 31
  let lower = (low << 1) ^ sign
  let upper = ((high << 1) | (low >>> 31)) ^ sign
  let at = load32(list + 20)
  while (upper !== 0 || (lower & -128) !== 0) {
    store8(at++, (lower & 127) | 128)
    lower = (lower >>> 7) | (upper << 25)
    upper = upper >>> 7
  }
  store8(at, lower)
  store32(list + 20, at + 1)
}
