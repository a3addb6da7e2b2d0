// Points in time as people write them: RFC 3339 ("2026-03-01T12:00:00Z"), a day ("2026-03-01", UTC), seconds since 1970,
// or how long ago ("15m", "2h", "3d", "1h30m", "now").

/** The text is no point in time. The message says what is. */
export class BadTimeError extends Error {
  override readonly name = 'BadTimeError'
}

const UNIT_MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 }
const AGO = /^(?:\d+(?:ms|[smhdw]))+$/
const RFC_3339 = /^(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9})\d*)?([Zz]|[+-]\d\d:?\d\d)?)?$/

/** Nanoseconds since 1970. Throws BadTimeError. */
export function parseTime(text: string, nowMs: number): bigint {
  const trimmed = text.trim()
  if (trimmed === 'now') return BigInt(Math.trunc(nowMs)) * 1_000_000n
  if (AGO.test(trimmed)) {
    let agoMs = 0
    for (const [, count, unit] of trimmed.matchAll(/(\d+)(ms|[smhdw])/g)) agoMs += Number(count) * UNIT_MS[unit]
    return BigInt(Math.trunc(Math.max(0, nowMs - agoMs))) * 1_000_000n
  }
  if (/^\d{9,10}(\.\d{1,9})?$/.test(trimmed)) {
    const [seconds, fraction = ''] = trimmed.split('.')
    return BigInt(seconds) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0'))
  }
  const parts = RFC_3339.exec(trimmed)
  if (parts) {
    const [, day, time = '00:00:00', fraction = '', zone = 'Z'] = parts
    const clock = time.length === 5 ? `${time}:00` : time
    const offset = zone.length === 5 ? `${zone.slice(0, 3)}:${zone.slice(3)}` : zone.toUpperCase()
    const ms = Date.parse(`${day}T${clock}${offset}`)
    if (!Number.isNaN(ms)) return BigInt(ms) * 1_000_000n + BigInt(fraction.padEnd(9, '0'))
  }
  throw new BadTimeError(
    `"${text.slice(0, 60)}" is no time: write 2026-03-01T12:00:00Z, 2026-03-01, seconds since 1970, or how long ago: 15m, 2h, 3d`,
  )
}
