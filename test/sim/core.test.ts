// The simulation sees only what goes through a World. So the code that it runs must not go round it.
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'

const ROOT = join(import.meta.dirname, '../..')
/**
 * What no simulation runs: HTTP faces, the real world itself, threads for searches, clients of real stores, programs beside us (xz, journalctl),
 * and the codec's reading of its own module. Everything else of these folders runs simulated.
 */
const OUTSIDE = new RegExp(
  [
    /\.(test|contract|test-support)\.ts$/,
    /^buck\/(live|face)|^tailer\/(face|gateway|spool\/)/,
    /^shared\/(real-|stat-all|text-log|face|search-threads|channel\/(?!untrusted))/,
    /^shared\/(s3|elastic)\/|^tailer\/inflate\/inflate\.ts$|^shared\/columns\/(sources|target)\.ts$/,
  ]
    .map(({ source }) => source)
    .join('|'),
)
const WAYS_ROUND = [
  /\bDate\.now\(|\bnew Date\(\)/,
  /\bperformance\.now\(/,
  /\bMath\.random\(|\brandomBytes\b|\brandomUUID\b|\brandomInt\b/,
  /\bset(Timeout|Interval|Immediate)\(|\bAbortSignal\.timeout\(/,
  /from '(node:)?(fs|fs\/promises|net|timers|timers\/promises|worker_threads|child_process)'/,
]

test('tailer, buck, porter and what they share take time, chance, files and network only from the World', async t => {
  const files = ['tailer', 'buck', 'porter', 'shared'].flatMap(folder =>
    readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .map(name => `${folder}/${name}`)
      .filter(path => path.endsWith('.ts') && !OUTSIDE.test(path)),
  )
  t.ok(files.length > 20)
  for (const path of files) {
    for (const [index, line] of readFileSync(join(ROOT, path), 'utf8').split('\n').entries()) {
      const way = WAYS_ROUND.find(way => way.test(line))
      if (way) t.fail(`${path}:${index + 1} goes round the World`, { line: line.trim() })
    }
  }
})
