// `npm run build && node bench/idle.ts [FILES] [SECONDS] [ENTRY]`: what a tailer costs that has nothing to do, before anybody
// asked it for its state and after; and how soon after its start the first line is at two bucks, as these see it. One core for
// the tailer, one for the bucks. Each answer of the tailer names all its files: it is asked seldom.
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { makeKeys } from '../bin/keyring.ts'
import { size } from '../bin/terminal.ts'
import { BUILT_ENTRY, costOf, packetsAt, startPinned, stop, until } from './processes.ts'

const BASE_PORT = 17_800
const MS_MAX = 300_000
/** Until what a start leaves behind is done. */
const SETTLE_MS = 15_000
const [files, seconds] = [Number(process.argv[2] ?? 1000), Number(process.argv[3] ?? 20)]
const entry = process.argv[4] ?? BUILT_ENTRY

const dir = mkdtempSync(join(tmpdir(), 'bucktail-idle-'))
const logs = join(dir, 'logs')
mkdirSync(logs)
for (let i = 0; i < files; i++) writeFileSync(join(logs, `app${i}x.log`), `2026-01-01T00:00:00Z host app: line ${i}\n`)
const keys = join(dir, 'keys')
const names = ['buck0', 'buck1', 'tailer']
const nodes = names.map(name => ({ name, role: name === 'tailer' ? ('tailer' as const) : ('buck' as const) }))
makeKeys(keys, { environment: 'bench', nodes, notAfterMs: Date.now() + 86_400_000, renew: false })
const bucks = [0, 1].map(k => `127.0.0.1:${BASE_PORT + 10 * k}`)
const pages = [0, 1].map(k => `127.0.0.1:${BASE_PORT + 10 * k + 1}`)

function settings(name: string, more: object): string {
  const file = join(dir, `${name}.yaml`)
  const common = {
    environment: 'bench',
    data: join(dir, name),
    bucks,
    channel: { keys, name },
    log: { level: 'error' },
  }
  writeFileSync(file, stringify({ ...common, ...more }))
  return file
}

const processes = [0, 1].map(k => {
  const buck = { listen: bucks[k], http: pages[k] }
  return startPinned(1, ['buck', '--config', settings(`buck${k}`, { buck })], {}, entry)
})
try {
  await until('the bucks are up', async () => (await packetsAt(pages).catch(() => undefined)) !== undefined, MS_MAX)
  const http = `127.0.0.1:${BASE_PORT + 90}`
  const config = settings('tailer', { tailer: { files: [join(logs, '*.log')], http } })
  const linesRead = async () =>
    ((await (await fetch(`http://${http}/status`)).json()) as { linesRead: number }).linesRead
  const startedAt = performance.now()
  const tailer = startPinned(0, ['tailer', '--config', config], {}, entry)
  processes.push(tailer)
  await until(
    'the first line is at two bucks',
    async () => (await packetsAt(pages)).every(count => count > 0),
    MS_MAX,
    5,
  )
  const atMs = Math.round(performance.now() - startedAt)
  console.log(`start to first lines at two bucks: ${atMs} ms, ${costOf(tailer.pid!).cpuSeconds} CPU seconds`)
  await measure('idle')
  await until('all are read', async () => (await linesRead()) === files, MS_MAX, 1000)
  await measure('idle, after it was asked')
  const before = await packetsAt(pages)
  const writtenAt = performance.now()
  appendFileSync(join(logs, 'app7x.log'), 'one more line\n')
  await until(
    'the new line is there',
    async () => (await packetsAt(pages)).every((count, k) => count > before[k]),
    MS_MAX,
    5,
  )
  console.log(`a line of an idle file is at two bucks after ${Math.round(performance.now() - writtenAt)} ms`)

  async function measure(what: string): Promise<void> {
    await new Promise(resolve => setTimeout(resolve, SETTLE_MS))
    const before = costOf(tailer.pid!).cpuSeconds
    await new Promise(resolve => setTimeout(resolve, seconds * 1000))
    const cpu = costOf(tailer.pid!).cpuSeconds - before
    const resident = Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${tailer.pid}/status`, 'utf8'))![1]) * 1024
    console.log(
      `${files} files, ${what}: ${((100 * cpu) / seconds).toFixed(2)} % of a core, ${size(resident)} resident`,
    )
  }
} finally {
  await Promise.all(processes.map(stop))
  rmSync(dir, { recursive: true, force: true })
}
