// SIGHUP as an operator sends it, on real processes.
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { test } from 'tap'
import { parse, stringify } from 'yaml'
import { testFolder } from '../shared/test-folder.test-support.ts'
import { until } from '../shared/until.test-support.ts'
import { pidOf, run, startUp } from './command.ts'

const lines = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => `2026-01-02T03:04:05.678Z web1 app[7]: line ${from + i}\n`).join('')

test('SIGHUP: mistakes are named and change nothing; other files are followed; the rest is told to need a restart', {
  timeout: 600_000,
}, async t => {
  const dir = testFolder(t, { 'one.log': lines(0, 5), 'two.log': lines(100, 103) })
  const [one, two, data] = [join(dir, 'one.log'), join(dir, 'two.log'), join(dir, 'data')]
  const up = await startUp(t, ['--data', data, '--bucket-time', '2s', '--host', 'h', one])
  const tailerUrl = `http://127.0.0.1:${Number(new URL(up.url).port) + 10}`
  const linesRead = async () => ((await (await fetch(`${tailerUrl}/status`)).json()) as { linesRead: number }).linesRead
  const settingsFile = join(data, 'run', 'tailer.yaml')
  const hangUp = (text: string) => {
    writeFileSync(settingsFile, text)
    process.kill(pidOf(data, 'tailer'), 'SIGHUP')
  }
  const logHas = (text: string) => readFileSync(join(data, 'log', 'tailer.log'), 'utf8').includes(text)
  await until('one is read', async () => (await linesRead()) === 5)

  const settings = parse(readFileSync(settingsFile, 'utf8'))
  hangUp(stringify({ ...settings, tailer: { ...settings.tailer, files: [{ path: two, zone: 'Mars' }] } }))
  await until('the mistake is in the log, with its place', () => logHas(`${settingsFile}:`))
  t.ok(logHas('the old ones stay'))
  appendFileSync(one, lines(5, 6))
  await until('goes on as before', async () => (await linesRead()) === 6)

  hangUp(stringify({ ...settings, tailer: { ...settings.tailer, files: [two], packet_time: '300ms' } }))
  await until('two is read', async () => (await linesRead()) === 9)
  t.ok(logHas('needs a restart'))
  t.ok(logHas('tailer.packet_time'))
  appendFileSync(one, lines(6, 8))
  await sleep(1_000)
  t.equal(await linesRead(), 9, 'one is not read any more')

  hangUp(stringify({ ...settings, tailer: { ...settings.tailer, files: [one, two] } }))
  await until('one is read on', async () => (await linesRead()) === 11)
  const ledger = async () => await run(['ledger', '--archie', up.url])
  await until('the ledger has no hole', async () => (await ledger()).code === 0)
  await until('every byte comes back', async () => {
    const { stdout } = await run(['restore', '--archie', up.url, '--host', 'h', '--file', one, '--out', '-'])
    return stdout.toString() === lines(0, 8)
  })
  const buck = pidOf(data, 'buck0')
  process.kill(buck, 'SIGHUP')
  await until('a buck goes on too', () =>
    readFileSync(join(data, 'log', 'buck0.log'), 'utf8').includes('settings read again'),
  )
  t.equal(pidOf(data, 'buck0'), buck)
})
