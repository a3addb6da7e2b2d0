// The main promise, on real processes: whatever is killed and whenever, every line is there once, and every file comes back
// byte for byte. BUCKTAIL_SEED replays the choice of victims, times and rotations; BUCKTAIL_TEST_SECONDS makes it longer.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'tap'
import { seededFraction } from '../bin/samples.ts'
import { until } from '../shared/until.test-support.ts'
import { pidOf, run, start, startUp } from './command.ts'
import { Writer } from './writer.ts'

const SEED = Number(process.env.BUCKTAIL_SEED ?? Date.now() % 1_000_000_000)
const SECONDS = Number(process.env.BUCKTAIL_TEST_SECONDS ?? (process.env.BUCKTAIL_TEST_LONG ? 300 : 12))
const LINES_PER_SECOND = 20_000
const FILES = 3
const KILLS = Math.max(20, Math.round(SECONDS / 2))
const ROLES = ['buck0', 'buck1', 'buck2', 'tailer', 'porter', 'archie']
const TICK_MS = 50
/** So long the writers go on at most until a process that can be killed is there again. */
const LATE_KILLS_MS_MAX = 150_000
/** After the last line: bucket time, fetching, archiving, on a busy machine. */
const SETTLE_MS = 240_000 + SECONDS * 1000

test('20 kills with -9 over all processes: no line missing, none twice, every file restored, rotated ones too', {
  timeout: (SECONDS * 4 + 600) * 1000,
}, async t => {
  t.comment(`BUCKTAIL_SEED=${SEED}`)
  const random = seededFraction(SEED)
  // Kept when something is wrong: the seed replays choices, not the machine's timing.
  const dir = mkdtempSync(join(tmpdir(), 'bucktail-processes-'))
  const data = join(dir, 'data')
  const logs = join(dir, 'logs')
  mkdirSync(logs)
  const writers = Array.from({ length: FILES }, (_, i) => new Writer(logs, i, random))
  for (const writer of writers) writer.write(10)

  const up = await startUp(
    t,
    ['--data', data, '--bucket-time', '2s', '--host', 'h', ...writers.map(({ path }) => path)],
    {
      env: { BUCKTAIL_PORTER_ARCHIVE_AFTER: '1s' },
    },
  )
  // Generations that are older than the tailer's first look are not its own: the first rotation comes after that look.
  const tailerUrl = `http://127.0.0.1:${Number(new URL(up.url).port) + 10}`
  const first = writers.reduce((sum, writer) => sum + writer.bytes, 0)
  const hasLooked = async () => {
    const response = await fetch(`${tailerUrl}/status`)
    return ((await response.json()) as { bytesRead: number }).bytesRead >= first
  }
  await until('the first lines are read', hasLooked)
  t.teardown(() => (t.passing() ? rm(dir, { recursive: true, force: true }) : t.comment(`kept: ${dir}`)))
  const startedAt = performance.now()
  const killTimes = Array.from({ length: KILLS }, () => random() * SECONDS * 1000).sort((a, b) => a - b)
  const killed: string[] = []
  // Until all kills are done: where a process takes long to be back, the last ones come after SECONDS.
  const isOver = (elapsed: number) =>
    elapsed >= SECONDS * 1000 && (killTimes.length === 0 || elapsed >= SECONDS * 1000 + LATE_KILLS_MS_MAX)
  for (let elapsed = 0; !isOver(elapsed); elapsed = performance.now() - startedAt) {
    // By the clock, so that a busy machine does not lower the rate.
    const due = Math.floor((elapsed / 1000) * (LINES_PER_SECOND / FILES))
    for (const writer of writers) writer.goOn(due, elapsed)
    while (killTimes.length > 0 && killTimes[0] <= elapsed) {
      const role = ROLES[Math.floor(random() * ROLES.length)]
      if (tryKill(data, role)) {
        killed.push(role)
        killTimes.shift()
      } else {
        killTimes[0] = elapsed + 200 // it is just being started again: the next victim, a little later
      }
    }
    await sleep(TICK_MS)
  }
  const lines = writers.reduce((sum, writer) => sum + writer.lines, 0)
  const bytes = writers.reduce((sum, writer) => sum + writer.bytes, 0)
  // One that was renamed in the last moment has no successor yet.
  const files = writers.flatMap(writer => [...writer.done, writer.path]).filter(path => existsSync(path))
  t.comment(`${lines} lines, ${bytes} bytes, ${files.length} files; killed: ${killed.join(' ')}`)
  t.equal(killed.length, KILLS, 'as many kills as planned')

  let archived = 0
  const isAllArchived = async () => {
    const response = await fetch(`${up.url}/api/v1/sources`).catch(() => undefined)
    if (!response?.ok) return false
    const { sources } = (await response.json()) as {
      sources: Record<'recent' | 'archive', { bytes: number } | undefined>[]
    }
    const sum = (of: 'recent' | 'archive') => sources.reduce((total, source) => total + (source[of]?.bytes ?? 0), 0)
    archived = sum('archive')
    return archived >= bytes && sum('recent') >= bytes
  }
  await until(`all ${bytes} bytes are archived`, isAllArchived, SETTLE_MS).catch((error: Error) => {
    throw new Error(`${error.message}; archived are ${archived}`)
  })
  t.equal(archived, bytes, 'as many bytes are archived as were written')

  // One that was killed last may still be waiting to be started again: a search would say that it was not asked.
  const areAllThere = async () => {
    const response = await fetch(`${up.url}/api/v1/status`).catch(() => undefined)
    if (!response?.ok) return false
    return ((await response.json()) as { bucks: { link: string }[] }).bucks.every(({ link }) => link === 'open')
  }
  await until('every buck is there again', areAllThere, SETTLE_MS)

  const ledger = await run(['ledger', '--archie', up.url])
  t.equal(ledger.code, 0, `ledger: ${ledger.stderr}${ledger.stdout.toString().slice(0, 2000)}`)

  for (const place of ['recent', 'archive']) {
    const counts = await countLines(['search', '--json', '--archie', up.url, '--in', place])
    t.equal(
      counts.heartbeats,
      writers.reduce((sum, writer) => sum + writer.heartbeats, 0),
      `${place}: equal lines are there as often as they were written`,
    )
    t.equal(counts.events, lines, `${place}: as many events as lines`)
    for (const writer of writers) {
      const seen = counts.seen.get(writer.number) ?? new Uint8Array()
      t.same(wrong(seen, writer.lines), [], `${place}: every line of file ${writer.number} is there once`)
    }
  }

  const out = join(dir, 'restored')
  const restored = await run(['restore', '--all', '--file', '/**', '--archie', up.url, '--out', out])
  t.equal(restored.code, 0, `restore: ${restored.stderr.slice(-2000)}`)
  const written = files.map(sha256)
  t.same(
    readdirSync(out)
      .map(name => sha256(join(out, name)))
      .sort(),
    written.sort(),
    'every file is restored byte for byte',
  )

  const end = await up.stop()
  t.equal(end.code, 0, 'it stops in good order')
})

function tryKill(data: string, role: string): boolean {
  try {
    process.kill(pidOf(data, role), 'SIGKILL')
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    return false
  }
}

async function countLines(
  args: string[],
): Promise<{ events: number; heartbeats: number; seen: Map<number, Uint8Array> }> {
  const child = start(args)
  let stderr = ''
  child.stderr!.on('data', part => {
    stderr += part
  })
  const counts = { events: 0, heartbeats: 0, seen: new Map<number, Uint8Array>() }
  for await (const line of createInterface({ input: child.stdout! })) {
    const { message } = JSON.parse(line) as { message: string }
    counts.events++
    const found = /line=(\d+) file=(\d+)/.exec(message)
    if (!found) {
      counts.heartbeats++
      continue
    }
    const number = Number(found[2])
    let seen = counts.seen.get(number)
    const at = Number(found[1])
    if (seen === undefined || seen.length <= at) {
      const grown = new Uint8Array(Math.max(1024, at * 2))
      grown.set(seen ?? [])
      seen = grown
      counts.seen.set(number, seen)
    }
    seen[at]++
  }
  if (stderr !== '') throw new Error(stderr)
  return counts
}

/** Lines (not heartbeats) that are not there exactly once, the first few. */
function wrong(seen: Uint8Array, lines: number): string[] {
  const found: string[] = []
  for (let line = 0; line < lines && found.length < 10; line++) {
    if (line % 100 !== 99 && seen[line] !== 1) found.push(`line ${line}: ${seen[line] ?? 0} times`)
  }
  return found
}

function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex')
}
