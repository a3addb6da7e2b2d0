// `node bench/agent.ts LOG [--built]`: the tailer alone, from a file to two acknowledgements. With --built what
// `npm run build` made is measured, as it is installed. Lines are appended to LOG.
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { size } from '../bin/terminal.ts'
import { BUILT_ENTRY, canPin, ENTRY } from './processes.ts'
import { benchTail } from './tail.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { built: { type: 'boolean', default: false }, entry: { type: 'string' } },
})
const [log] = positionals
if (log === undefined || !existsSync(log)) throw new Error('name a log file: node bench/agent.ts LOG')
const dir = mkdtempSync(join(tmpdir(), 'bucktail-agent-'))
try {
  const bytes = statSync(log).size
  const entry = values.entry ?? (values.built ? BUILT_ENTRY : ENTRY)
  const { seconds, tailer, workSeconds, bucks, lineMs } = await benchTail(dir, log, bytes, entry)
  const rate = (per: number) => `${(bytes / 1e6 / per).toFixed(1)} MB`
  console.log(`${size(bytes)}${canPin ? ', tailer and bucks on a core each' : ', not pinned'}`)
  console.log(`wall               ${rate(seconds)}/s`)
  console.log(`tailer             ${rate(tailer.cpuSeconds)} per CPU second, ${rate(workSeconds)} without its start`)
  console.log(`                   ${tailer.cpuSeconds.toFixed(2)} s CPU, ${size(tailer.peakBytes)} at most`)
  for (const buck of bucks)
    console.log(`buck               ${buck.cpuSeconds.toFixed(2)} s CPU, ${size(buck.peakBytes)} at most`)
  const middle = lineMs[lineMs.length >> 1]
  console.log(`a line to a buck   ${Math.round(middle)} ms in the middle, ${Math.round(lineMs.at(-1)!)} ms at most`)
} finally {
  rmSync(dir, { recursive: true, force: true })
}
