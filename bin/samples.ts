// Logs for whoever has none at hand: `bucktail up --samples`. Access log, syslog, JSON lines and an application log with
// stack traces, written like programs write them: appended, in bursts, rotated by rename.
// The lines follow from seed and clock alone, so that a test can have the same ones again.
import { appendFileSync, existsSync, mkdirSync, renameSync, rmSync } from 'node:fs'
import { join } from 'node:path'

export const SAMPLE_KINDS = ['access', 'syslog', 'json', 'app'] as const
export type SampleKind = (typeof SAMPLE_KINDS)[number]

const FILES: Record<SampleKind, string> = {
  access: 'access.log',
  syslog: 'syslog.log',
  json: 'orders.json.log',
  app: 'billing.log',
}
/** How many renamed files are kept beside the one that is written. */
const KEPT_ROTATED = 3
const ROTATE_MS = 60_000
const TICK_MS = 100

/** Uniform in [0, 1), from a seed: mulberry32. */
export function seededFraction(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

const HOSTS = ['web1', 'web2', 'db1', 'cache1', 'mail1']
const USERS = ['ada', 'grace', 'edsger', 'barbara', 'donald', 'frances', 'ken', 'radia', '-']
const PATHS = [
  '/',
  '/login',
  '/cart',
  '/checkout',
  '/api/v1/orders',
  '/api/v1/items',
  '/static/app.js',
  '/health',
  '/search',
]
const AGENTS = [
  'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0',
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 14_5) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Safari/605.1.15',
  'curl/8.7.1',
  'kube-probe/1.30',
]
const ERRORS = ['ConnectionRefused', 'TimeoutError', 'CardDeclined', 'OutOfStock', 'TooManyRequests']
const MODULES = ['ledger', 'invoice', 'gateway', 'retry', 'pool']
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']

/** One record with its line end; of kind `app` sometimes several lines. */
export function sampleRecord(kind: SampleKind, random: () => number, nowMs: number): string {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]
  const upTo = (greatest: number): number => Math.floor(random() * greatest)
  const now = new Date(nowMs)
  const two = (value: number) => String(value).padStart(2, '0')
  const clock = `${two(now.getUTCHours())}:${two(now.getUTCMinutes())}:${two(now.getUTCSeconds())}`
  const address = `10.${upTo(4)}.${upTo(256)}.${1 + upTo(254)}`
  // Most durations are short, a few very long: as in life, the mean says little.
  const durationMs = Math.round(3 / (random() + 0.001)) + upTo(20)

  switch (kind) {
    case 'access': {
      const status = random() < 0.9 ? 200 : pick([301, 304, 404, 404, 500, 503])
      const day = `${two(now.getUTCDate())}/${MONTHS[now.getUTCMonth()]}/${now.getUTCFullYear()}`
      const target = `${pick(PATHS)}${random() < 0.3 ? `?id=${upTo(100_000)}` : ''}`
      return `${address} - ${pick(USERS)} [${day}:${clock} +0000] "${pick(['GET', 'GET', 'GET', 'POST'])} ${target} HTTP/1.1" ${status} ${upTo(48_000)} "-" "${pick(AGENTS)}"\n`
    }
    case 'syslog': {
      const stamp = `${MONTHS[now.getUTCMonth()]} ${String(now.getUTCDate()).padStart(2)} ${clock}`
      const text = pick([
        () =>
          `sshd[${1000 + upTo(30_000)}]: Accepted publickey for ${pick(USERS)} from ${address} port ${1024 + upTo(60_000)} ssh2`,
        () =>
          `sshd[${1000 + upTo(30_000)}]: Failed password for invalid user admin from ${address} port ${1024 + upTo(60_000)} ssh2`,
        () => `kernel: [${upTo(900_000)}.${two(upTo(100))}] TCP: request_sock_TCP: Possible SYN flooding on port 443.`,
        () => `CRON[${1000 + upTo(30_000)}]: (root) CMD (run-parts /etc/cron.hourly)`,
        () => `postfix/smtpd[${upTo(9000)}]: connect from mail.example.net[${address}]`,
      ])()
      return `<${pick([30, 38, 86, 11])}>${stamp} ${pick(HOSTS)} ${text}\n`
    }
    case 'json': {
      const level = random() < 0.85 ? 'info' : pick(['warn', 'error', 'debug'])
      const order = `o-${(0x100000 + upTo(0xefffff)).toString(16)}`
      const record: Record<string, unknown> = {
        time: now.toISOString(),
        level,
        host: pick(HOSTS),
        app: 'orders',
        order,
      }
      if (level === 'error')
        Object.assign(record, { error: pick(ERRORS), attempt: 1 + upTo(5), message: 'order failed' })
      else Object.assign(record, { user: pick(USERS), items: 1 + upTo(9), ms: durationMs, message: 'order placed' })
      return `${JSON.stringify(record)}\n`
    }
    case 'app': {
      const head = `${now.toISOString().replace('T', ' ').replace('Z', '')} `
      if (random() > 0.04)
        return `${head}INFO  [worker-${upTo(8)}] billing.${pick(MODULES)} - settled invoice ${upTo(1_000_000)} in ${durationMs} ms\n`
      const error = pick(ERRORS)
      const frames = Array.from(
        { length: 3 + upTo(4) },
        () => `\tat com.example.billing.${pick(MODULES)}.Task${upTo(30)}.run(Task.java:${10 + upTo(400)})\n`,
      )
      return `${head}ERROR [worker-${upTo(8)}] billing.${pick(MODULES)} - could not settle invoice ${upTo(1_000_000)}\njava.lang.RuntimeException: ${error}: after ${durationMs} ms\n${frames.join('')}`
    }
  }
}

/** Writes until `stop`. Returns at once with the files that it writes. */
export function startSamples(options: {
  folder: string
  seed: number
  linesPerSecond: number
  now?: () => number
  onError: (error: unknown) => void
}): { files: string[]; stop(): void } {
  const { folder, seed, linesPerSecond, now = Date.now, onError } = options
  const random = seededFraction(seed)
  const path = (kind: SampleKind) => join(folder, FILES[kind])
  mkdirSync(folder, { recursive: true })
  for (const kind of SAMPLE_KINDS) appendFileSync(path(kind), sampleRecord(kind, random, now()))

  let rotatedAt = now()
  const timer = setInterval(() => {
    try {
      // Bursts: between nothing and twice the rate, per tick.
      const records = Math.round(((linesPerSecond * TICK_MS) / 1000) * 2 * random())
      const texts = new Map<SampleKind, string>()
      for (let i = 0; i < records; i++) {
        const kind = SAMPLE_KINDS[Math.floor(random() * SAMPLE_KINDS.length)]
        texts.set(kind, (texts.get(kind) ?? '') + sampleRecord(kind, random, now()))
      }
      for (const [kind, text] of texts) appendFileSync(path(kind), text)
      if (now() - rotatedAt >= ROTATE_MS) {
        rotatedAt = now()
        for (const kind of SAMPLE_KINDS) rotate(path(kind))
      }
    } catch (error) {
      clearInterval(timer)
      onError(error)
    }
  }, TICK_MS)
  return { files: SAMPLE_KINDS.map(path), stop: () => clearInterval(timer) }
}

/** a.log → a.log.1 → a.log.2 …; the oldest goes. As logrotate does it, without `copytruncate`. */
export function rotate(file: string): void {
  rmSync(`${file}.${KEPT_ROTATED}`, { force: true })
  for (let n = KEPT_ROTATED; n > 1; n--) {
    if (existsSync(`${file}.${n - 1}`)) renameSync(`${file}.${n - 1}`, `${file}.${n}`)
  }
  renameSync(file, `${file}.1`)
}
