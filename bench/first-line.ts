// `npm run build && node bench/first-line.ts [RUNS] [ENTRY …]`: from the start of a tailer's process to its first line at two
// bucks, as the bucks see it. One core for the tailer, one for the bucks, NaCl on; each run with a new folder and a new log.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { makeKeys } from '../bin/keyring.ts'
import { BUILT_ENTRY, costOf, packetsAt, startPinned, stop, until } from './processes.ts'

const BASE_PORT = 17_900
const MS_MAX = 60_000
const runs = Number(process.argv[2] ?? 5)
const entries = process.argv.length > 3 ? process.argv.slice(3) : [BUILT_ENTRY]

const dir = mkdtempSync(join(tmpdir(), 'bucktail-first-'))
const keys = join(dir, 'keys')
const nodes = ['buck0', 'buck1', 'tailer'].map(name => ({
  name,
  role: name === 'tailer' ? ('tailer' as const) : ('buck' as const),
}))
makeKeys(keys, { environment: 'bench', nodes, notAfterMs: Date.now() + 86_400_000, renew: false })
const bucks = [0, 1].map(k => `127.0.0.1:${BASE_PORT + 10 * k}`)
const pages = [0, 1].map(k => `127.0.0.1:${BASE_PORT + 10 * k + 1}`)

function settings(data: string, name: string, more: object): string {
  const file = join(dir, `${data}.yaml`)
  const common = {
    environment: 'bench',
    data: join(dir, data),
    bucks,
    channel: { keys, name },
    log: { level: 'error' },
  }
  writeFileSync(file, stringify({ ...common, ...more }))
  return file
}

const processes = [0, 1].map(k => {
  const buck = { listen: bucks[k], http: pages[k] }
  return startPinned(1, ['buck', '--config', settings(`buck${k}`, `buck${k}`, { buck })], {}, entries[0])
})
try {
  const isUp = async () => (await packetsAt(pages).catch(() => undefined)) !== undefined
  await until('the bucks are up', isUp, MS_MAX)
  for (let run = 0; run < runs; run++) {
    for (const [i, entry] of entries.entries()) {
      const logs = join(dir, `logs-${run}-${i}`)
      mkdirSync(logs)
      writeFileSync(join(logs, `app${run}.log`), `2026-01-01T00:00:00Z host app: line ${run} ${i}\n`)
      const http = `127.0.0.1:${BASE_PORT + 90}`
      const config = settings(`tailer-${run}-${i}`, 'tailer', { tailer: { files: [join(logs, '*.log')], http } })
      const before = await packetsAt(pages)
      const startedAt = performance.now()
      const tailer = startPinned(0, ['tailer', '--config', config], {}, entry)
      processes.push(tailer)
      const isThere = async () => (await packetsAt(pages)).every((count, k) => count > before[k])
      await until('the first line is at two bucks', isThere, MS_MAX, 5)
      const ms = Math.round(performance.now() - startedAt)
      console.log(`${entry}: ${ms} ms, ${costOf(tailer.pid!).cpuSeconds} CPU seconds`)
      await stop(tailer)
    }
  }
} finally {
  await Promise.all(processes.map(stop))
  rmSync(dir, { recursive: true, force: true })
}
