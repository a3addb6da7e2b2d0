// 20,000 numbered lines per second, rotated every 2.5 s by rename or by copy and truncate between two writes, the tailer
// killed three times or not, named exactly or by a glob that matches the rotated names: none lost, none twice.
// Part of `npm run test:long`; ROTATIONS picks rows, such as `copytruncate,kills,glob;rename,alive,exact`, and
// ROTATIONS_GENERATOR names a program in Python that writes and rotates instead of this test.
import { execFile } from 'node:child_process'
import { appendFileSync, copyFileSync, mkdirSync, mkdtempSync, renameSync, truncateSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { test } from 'tap'
import { until } from '../shared/until.test-support.ts'
import { pidOf, run, start, startUp } from './command.ts'

const SECONDS = 20
const LINES_PER_SECOND = 20_000
const ROTATE_MS = 2_500
const KILLS_AT_MS = [4_000, 9_000, 14_500]
const GENERATOR = process.env.ROTATIONS_GENERATOR

const all = ['rename', 'copytruncate'].flatMap(how =>
  ['alive', 'kills'].flatMap(fate => ['exact', 'glob'].map(names => [how, fate, names])),
)
const picked = process.env.ROTATIONS?.split(';').map(row => row.split(','))
const rows = picked ?? (process.env.BUCKTAIL_TEST_LONG === undefined ? [] : all)

if (rows.length === 0) test('rotations under load', async t => t.pass('only with npm run test:long'))

for (const [how, fate, names] of rows) {
  test(`${how}, ${fate}, ${names}: none lost, none twice`, { timeout: 400_000 }, async t => {
    const dir = mkdtempSync(join(tmpdir(), 'bucktail-rotations-'))
    t.teardown(() => rm(dir, { recursive: true, force: true }))
    const logs = join(dir, 'logs')
    mkdirSync(logs)
    const path = join(logs, 'app.log')
    const data = join(dir, 'data')
    appendFileSync(path, '')
    const pattern = names === 'glob' ? `${path}*` : path
    const up = await startUp(t, ['--data', data, '--bucket-time', '2s', '--host', 'h', pattern])
    const kills = fate === 'kills' ? KILLS_AT_MS : []
    const killing = Promise.all(kills.map(ms => sleep(ms).then(() => process.kill(pidOf(data, 'tailer'), 'SIGKILL'))))
    const written = await (GENERATOR === undefined ? write(path, how) : generate(GENERATOR, logs, how))
    await killing
    let indexed = 0
    const count = async () => {
      const response = await fetch(`${up.url}/api/v1/sources`).catch(() => undefined)
      const { sources } = ((await response?.json()) ?? { sources: [] }) as {
        sources: { recent?: { events: number } }[]
      }
      indexed = sources.reduce((sum, { recent }) => sum + (recent?.events ?? 0), 0)
      return indexed >= written
    }
    await until('all lines are indexed', count, 200_000).catch(() => t.fail(`${indexed} of ${written} are indexed`))
    const seen = new Uint8Array(written)
    const child = start(['search', '--json', '--archie', up.url, '--in', 'recent'])
    for await (const found of createInterface({ input: child.stdout! })) {
      const [, number] = /seq=(\d{8})/.exec(found) ?? []
      if (number !== undefined) seen[Number(number)]++
    }
    t.equal(seen.filter(times => times === 0).length, 0, `of ${written} lines none is lost`)
    t.equal(seen.filter(times => times > 1).length, 0, 'none is there twice')
    const ledger = await run(['ledger', '--archie', up.url])
    t.equal(ledger.code, 0, ledger.stdout.toString().slice(0, 2000))
    await up.stop()
  })
}

/** @returns how many lines were written */
async function write(path: string, how: string): Promise<number> {
  const line = (n: number) =>
    `${new Date().toISOString()} host1 app[123]: seq=${String(n).padStart(8, '0')} level=info ${'x'.repeat(60)}\n`
  let written = 0
  let rotations = 0
  const startedAt = performance.now()
  for (let elapsed = 0; elapsed < SECONDS * 1000; elapsed = performance.now() - startedAt) {
    const due = Math.floor((elapsed / 1000) * LINES_PER_SECOND)
    if (due > written) appendFileSync(path, Array.from({ length: due - written }, (_, i) => line(written + i)).join(''))
    written = Math.max(written, due)
    if (elapsed > (rotations + 1) * ROTATE_MS) {
      rotations++
      if (how === 'rename') {
        renameSync(path, `${path}.${rotations}`)
        appendFileSync(path, '')
      } else {
        copyFileSync(path, `${path}.${rotations}`)
        truncateSync(path, 0)
      }
    }
    await sleep(10)
  }
  return written
}

/** The same by another program: `FILE FOLDER how lines-per-second seconds rotate-every-seconds`, which prints how many. */
async function generate(file: string, folder: string, how: string): Promise<number> {
  const args = [file, folder, how, LINES_PER_SECOND, SECONDS, ROTATE_MS / 1000].map(String)
  const { stdout } = await promisify(execFile)('python3', args)
  return Number(stdout)
}
