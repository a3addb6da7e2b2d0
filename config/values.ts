// Texts in the settings that stand for numbers: times with a unit, sizes with a unit, addresses.
import * as z from 'zod'

const MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const BYTES: Record<string, number> = {
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
}

/** "250ms", "10s", "48h", "7d" → milliseconds; undefined if it is none. */
export function parseDuration(text: string): number | undefined {
  const found = /^(\d+(?:\.\d+)?) ?(ms|s|m|h|d)$/.exec(text)
  return found ? Number(found[1]) * MS[found[2]] : undefined
}

/** "10GB", "512KiB" → bytes; undefined if it is none. */
export function parseSize(text: string): number | undefined {
  const found = /^(\d+(?:\.\d+)?) ?(B|[KMGT]i?B)$/.exec(text)
  return found ? Math.round(Number(found[1]) * BYTES[found[2]]) : undefined
}

export interface Address {
  host: string
  port: number
}

/** "host:port", "[::1]:7700"; undefined if it is none. */
export function parseAddress(text: string): Address | undefined {
  const found = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]/]+)):(\d{1,5})$/.exec(text)
  if (!found || Number(found[3]) > 65535) return undefined
  return { host: found[1] ?? found[2], port: Number(found[3]) }
}

export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** Milliseconds. Bounds as texts, so that an error shows them as the user would write them. */
export function duration(least: string, greatest: string) {
  return z
    .string({ error: `a time with a unit, such as ${least}` })
    .transform((text, context) => {
      const ms = parseDuration(text)
      if (ms === undefined) {
        context.addIssue({ code: 'custom', message: `"${text}" is not a time: write a number and ms, s, m, h or d` })
        return z.NEVER
      }
      if (ms < parseDuration(least)! || ms > parseDuration(greatest)!) {
        context.addIssue({ code: 'custom', message: `${text} is not between ${least} and ${greatest}` })
        return z.NEVER
      }
      return ms
    })
    .meta({ kind: `time, ${least} to ${greatest}` })
}

/** Bytes. */
export function bytes(least: string) {
  return z
    .string({ error: `a size with a unit, such as ${least}` })
    .transform((text, context) => {
      const value = parseSize(text)
      if (value === undefined) {
        context.addIssue({ code: 'custom', message: `"${text}" is not a size: write a number and B, KB, MB or GB` })
        return z.NEVER
      }
      if (value < parseSize(least)!) {
        context.addIssue({ code: 'custom', message: `${text} is less than ${least}` })
        return z.NEVER
      }
      return value
    })
    .meta({ kind: `size, at least ${least}` })
}

/** "1000 lines/s", "5MB/s". */
export function rate() {
  return z
    .string({ error: 'lines or bytes per second, such as 1000 lines/s or 5MB/s' })
    .transform((text, context): { per: 'lines' | 'bytes'; perSecond: number } => {
      const lines = /^(\d{1,9}) ?lines\/s$/.exec(text)
      const perSecond = lines ? Number(lines[1]) : text.endsWith('/s') ? parseSize(text.slice(0, -2)) : undefined
      if (perSecond === undefined || perSecond < 1) {
        const message = `"${text}" is not a rate: write lines or bytes per second, such as 1000 lines/s or 5MB/s`
        context.addIssue({ code: 'custom', message })
        return z.NEVER
      }
      return { per: lines ? 'lines' : 'bytes', perSecond }
    })
    .meta({ kind: 'rate' })
}

const MOMENT = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?Z)?$/

/** "2026-03-01", "2026-03-01T12:00:00Z" → milliseconds since 1970. */
export function moment() {
  return z
    .string({ error: 'a day or a time, such as 2026-03-01 or 2026-03-01T12:00:00Z' })
    .transform((text, context) => momentOf(text, context))
    .meta({ kind: 'day or time' })
}

/** "FROM/TO" → two moments, the second not included. */
export function moments() {
  return z
    .string({ error: 'FROM/TO, such as 2026-03-01T12:00:00Z/2026-03-01T13:00:00Z' })
    .transform((text, context) => {
      const [from, to, more] = text.split('/')
      if (to === undefined || more !== undefined) {
        context.addIssue({ code: 'custom', message: `"${text}" is not FROM/TO` })
        return z.NEVER
      }
      const span = { fromMs: momentOf(from, context), toMs: momentOf(to, context) }
      if (span.fromMs >= span.toMs)
        context.addIssue({ code: 'custom', message: `${text}: the first is not before the second` })
      return span
    })
    .meta({ kind: 'FROM/TO' })
}

function momentOf(text: string, context: z.RefinementCtx): number {
  const ms = MOMENT.test(text) ? Date.parse(text) : Number.NaN
  if (!Number.isNaN(ms)) return ms
  context.addIssue({
    code: 'custom',
    message: `"${text}" is not a day or a time: write 2026-03-01 or 2026-03-01T12:00:00Z`,
  })
  return z.NEVER
}

export function address() {
  return z
    .string({ error: 'an address, such as 127.0.0.1:7700' })
    .refine(text => parseAddress(text) !== undefined, {
      error: issue => `"${String(issue.input)}" is not an address: write host:port, such as 127.0.0.1:7700`,
    })
    .meta({ kind: 'address' })
}
