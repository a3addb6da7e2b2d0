// One line as the pages show it, made from what a buck sends live or what archie found.
import type { EventJson, LiveEventJson } from '../shared/event-json.ts'

export interface Line {
  kind: 'line'
  id: string
  /** Nanoseconds since 1970. */
  timeNs: bigint
  host: string
  app: string
  level: string
  path: string
  source: string
  offset: number
  message: string
  /** `message` is not all of it. */
  isCut: boolean
  timeIsGuessed: boolean
  /** When this page got it, by performance.now(). */
  arrivedMs: number
}

export function lineFromLive(event: LiveEventJson, arrivedMs: number): Line {
  return {
    kind: 'line',
    id: event.id,
    timeNs: BigInt(event.time),
    host: event.host,
    app: event.app,
    level: event.level,
    path: event.path,
    source: event.source,
    offset: event.offset,
    message: event.message,
    isCut: event.cut === true,
    timeIsGuessed: false,
    arrivedMs,
  }
}

export function lineFromSearch(event: EventJson, arrivedMs: number): Line {
  return {
    kind: 'line',
    id: event.id,
    timeNs: timeNsOf(event.time),
    host: event.host,
    app: event.app,
    level: event.level,
    path: event.path,
    source: event.source,
    offset: event.offset,
    message: event.message,
    isCut: false,
    timeIsGuessed: event.timeGuessed === true,
    arrivedMs,
  }
}

/** The order of results: time, then source, then offset. */
export function compareLines(a: Line, b: Line): number {
  if (a.timeNs !== b.timeNs) return a.timeNs < b.timeNs ? -1 : 1
  if (a.source !== b.source) return a.source < b.source ? -1 : 1
  return a.offset - b.offset
}

/** `2026-03-01T12:00:00.123456789Z`, as archie writes it. */
export function timeNsOf(text: string): bigint {
  const seconds = Date.parse(`${text.slice(0, 19)}Z`) / 1000
  return BigInt(seconds) * 1_000_000_000n + BigInt(text.slice(20, 29))
}

export function timeNsText(timeNs: bigint): string {
  const fraction = ((timeNs % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n
  const date = new Date(Number((timeNs - fraction) / 1_000_000n))
  return `${date.toISOString().slice(0, 19)}.${String(fraction).padStart(9, '0')}Z`
}

/** Local time of day with milliseconds; with the day in front where it is not today. */
export function clockText(timeNs: bigint, now = new Date()): string {
  const ms = Number(timeNs / 1_000_000n)
  const date = new Date(ms)
  const two = (n: number) => String(n).padStart(2, '0')
  const clock = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, '0')}`
  if (date.toDateString() === now.toDateString()) return clock
  const day = `${two(date.getMonth() + 1)}-${two(date.getDate())}`
  return date.getFullYear() === now.getFullYear()
    ? `${day} ${clock}`
    : `${date.getFullYear()}-${day} ${clock.slice(0, 8)}`
}
