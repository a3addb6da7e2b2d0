// The porter's memory does not follow the bucket's size. Part of `npm run test:long`: it makes a large log.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { makeLog } from '../bench/logs.ts'
import { testFolder } from '../shared/test-folder.test-support.ts'
import { ended, pidOf, start } from './command.ts'
import { freeFleetPort } from './ports.test-support.ts'

const LOG_BYTES = 400e6
const PEAK_MB_MAX = 400

test('a bucket of 400 MB is indexed and archived in less than 400 MB of memory', { timeout: 900_000 }, async t => {
  if (process.env.BUCKTAIL_TEST_LONG === undefined || process.platform !== 'linux') {
    t.pass('only with npm run test:long, on Linux')
    return
  }
  const dir = testFolder(t)
  const log = join(dir, 'big.log')
  const made = makeLog(log, LOG_BYTES, 7)
  const data = join(dir, 'data')
  const port = String(await freeFleetPort())
  const up = start(['up', '--once', '--data', data, '--bucket-time', '1000s', '--port', port, log])
  let peakMb = 0
  const watch = setInterval(() => {
    try {
      const status = readFileSync(`/proc/${pidOf(data, 'porter')}/status`, 'utf8')
      peakMb = Math.max(peakMb, Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0) / 1000)
    } catch {
      // Not there yet, or gone.
    }
  }, 100)
  const { code, stdout, stderr } = await ended(up)
  clearInterval(watch)
  t.equal(code, 0, stderr)
  t.match(stdout.toString(), `${made.lines}`.replace(/\B(?=(\d{3})+$)/g, ' '))
  t.ok(peakMb > 0 && peakMb < PEAK_MB_MAX, `${Math.round(peakMb)} MB at most`)
})
