// `npm run bench [-- --mb 256 --out FILE]`: how quick the main job is on this machine. A table, and the figures as JSON.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir, totalmem } from 'node:os'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import { size, table } from '../bin/terminal.ts'
import { COMMON_WORD, makeLog, RARE_WORD, SUBSTRING } from './logs.ts'
import { canPin, ENTRY } from './processes.ts'
import { benchSearches } from './search.ts'
import { benchTail } from './tail.ts'

const PORT = 18_780
const SEED = 1

const { values } = parseArgs({
  options: { mb: { type: 'string', default: '256' }, out: { type: 'string', default: '.cache/bench.json' } },
})
const megabytes = Number(values.mb)
if (!Number.isFinite(megabytes) || megabytes < 1) throw new Error(`--mb ${values.mb} is not a number of megabytes`)

const dir = mkdtempSync(join(tmpdir(), 'bucktail-bench-'))
try {
  const log = join(dir, 'mixed.log')
  const made = makeLog(log, megabytes * 1e6, SEED)
  console.error(`made ${size(made.bytes)}, ${made.lines} lines`)

  const tail = await benchTail(join(dir, 'tail'), log, made.bytes)
  console.error('tailed')
  const data = join(dir, 'data')
  const startedAt = performance.now()
  await command(['up', '--once', '--data', data, '--port', String(PORT), log])
  const onceSeconds = (performance.now() - startedAt) / 1000
  console.error('indexed and archived')
  const searches = await benchSearches({
    data,
    log,
    port: PORT,
    queries: { rare: RARE_WORD, common: COMMON_WORD, substring: SUBSTRING },
  })

  const rate = (seconds: number) => `${(made.bytes / 1e6 / seconds).toFixed(1)} MB/s`
  const rows = [
    ['tail to two acks', rate(tail.seconds), `${Math.round(made.lines / tail.seconds)} lines/s`],
    ['  tailer', `${tail.tailer.cpuSeconds.toFixed(1)} s CPU`, `${size(tail.tailer.peakBytes)} at most`],
    ...tail.bucks.map((buck, k) => [
      `  buck ${k}`,
      `${buck.cpuSeconds.toFixed(1)} s CPU`,
      `${size(buck.peakBytes)} at most`,
    ]),
    ['up --once, start to end', rate(onceSeconds), `${onceSeconds.toFixed(1)} s`],
    ...searches.map(({ name, found, firstMs, allMs }) => [
      `search, ${name}`,
      `first 100 in ${Math.round(firstMs)} ms`,
      `all ${found} in ${Math.round(allMs)} ms`,
    ]),
  ]
  const machine = `${cpus().length} × ${cpus()[0].model}, ${size(totalmem())}, Node ${process.version}`
  console.log(
    `${machine}; ${size(made.bytes)} of mixed lines${canPin ? ', tailer and bucks on a core each' : ', not pinned'}\n`,
  )
  console.log(table(['what', 'rate', ''], rows))
  mkdirSync(dirname(values.out), { recursive: true })
  writeFileSync(
    values.out,
    `${JSON.stringify({ machine, isPinned: canPin, made, tail, onceSeconds, searches }, null, 2)}\n`,
  )
  console.error(`figures in ${values.out}`)
} finally {
  rmSync(dir, { recursive: true, force: true })
}

async function command(args: string[]): Promise<void> {
  const child = spawn(process.execPath, [ENTRY, ...args], { stdio: ['ignore', 'ignore', 'inherit'] })
  const [code] = await once(child, 'exit')
  if (code !== 0) throw new Error(`bucktail ${args[0]} ended with ${code}`)
}
