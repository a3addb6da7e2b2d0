// Inside a mount namespace of its own with an empty /run: a real systemd-journald, programs that log, and the follower,
// stopped and started again meanwhile. Prints what of the messages is missing or there twice.
import { execFileSync, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { realWorld } from '../../shared/real-world.ts'
import { textLog } from '../../shared/text-log.ts'
import { followJournal } from './journald.ts'

const [journald, dir] = process.argv.slice(2)
const MESSAGES = 60
const ROUNDS = 3
const WAIT_MS_MAX = 20_000

async function until(what: string, isSo: () => boolean): Promise<void> {
  for (const end = performance.now() + WAIT_MS_MAX; !isSo(); await sleep(50)) {
    if (performance.now() > end) throw new Error(`${what}: not within ${WAIT_MS_MAX} ms`)
  }
}

const spool = join(dir, 'spool')
const folder = join(spool, 'journald')
const text = () =>
  existsSync(folder)
    ? readdirSync(folder)
        .map(name => readFileSync(join(folder, name), 'latin1'))
        .join('')
    : ''
const has = (i: number) => text().includes(`message m${i}x`)

mkdirSync('/run/systemd/journal', { recursive: true })
mkdirSync('/run/log/journal', { recursive: true })
const daemon = spawn(journald, { stdio: 'ignore' })
try {
  await until('journald listens', () => existsSync('/run/systemd/journal/stdout'))
  const world = realWorld({ log: textLog(process.stderr, 'warn') })
  let sent = 0
  for (let round = 0; round < ROUNDS; round++) {
    const stop = new AbortController()
    const log = (count: number) => {
      const lines = Array.from({ length: count }, () => `message m${sent++}x`).join('\n')
      execFileSync('systemd-cat', ['-t', 'shop', '-p', 'err'], { input: `${lines}\n` })
    }
    // Half of them while nobody follows.
    log(MESSAGES / ROUNDS / 2)
    const following = followJournal(world, { spool, from: 'beginning' }, stop.signal)
    log(MESSAGES / ROUNDS / 2)
    await until(`message ${sent - 1} arrives`, () => has(sent - 1))
    stop.abort()
    await following
  }
  const numbers = [...text().matchAll(/^MESSAGE=message m(\d+)x$/gm)].map(match => Number(match[1]))
  const all = Array.from({ length: MESSAGES }, (_, i) => i)
  const missing = all.filter(i => !numbers.includes(i))
  const twice = all.filter(i => numbers.filter(number => number === i).length > 1)
  console.log(JSON.stringify({ entries: numbers.length, missing, twice }))
} finally {
  daemon.kill()
}
