// Lines that settings drop, from the file to index, archive, ledger and back: nothing shows them, and nothing is missing.
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import type { Ledger } from '../shared/ledger.ts'
import { testFolder } from '../shared/test-folder.test-support.ts'
import { run } from './command.ts'
import { freeFleetPort } from './ports.test-support.ts'

const LINES = Array.from(
  { length: 9_000 },
  (_, i) => `2026-01-02T03:04:05Z web1 app: ${i % 3 === 0 ? 'DEBUG' : 'INFO'} line ${i}\n`,
)

test('what is dropped is found by nobody, counted in the ledger, and blank in what is restored', {
  timeout: 600_000,
}, async t => {
  const dir = testFolder(t)
  const [file, data, config] = ['a.log', 'd', 'c.yaml'].map(name => join(dir, name))
  writeFileSync(file, LINES.join(''))
  writeFileSync(config, `tailer: { files: [{ path: ${file}, drop: [{ name: noise, pattern: DEBUG }] }] }\n`)
  const port = String(await freeFleetPort())
  t.match(await run(['up', '--once', '--config', config, '--data', data, '--port', port]), { code: 0 })
  for (const where of ['recent', 'archive']) {
    const count = async (query: string) => {
      const { stdout } = await run(['search', query, '--in', where, '--data', data])
      return stdout.toString().split('\n').length - 1
    }
    t.equal(await count('line'), 6_000, where)
    t.equal(await count('DEBUG'), 0, where)
    t.ok((await count('level:dropped')) > 0, where)
  }
  const told = await run(['ledger', '--json', '--data', data])
  t.equal(told.code, 0)
  const bytes = LINES.filter(line => line.includes('DEBUG')).join('').length
  const total = LINES.join('').length
  t.match((JSON.parse(told.stdout.toString()) as Ledger).rows, [
    {
      size: total,
      indexed: total,
      archived: total,
      state: 'complete',
      dropped: [{ rule: 'noise', lines: 3_000, bytes }],
    },
  ])
  t.match((await run(['ledger', '--data', data])).stdout.toString(), /dropped by setting: .*3 000 lines .* by noise/)
  const out = join(dir, 'restored')
  const restored = await run(['restore', '--file', file, '--data', data, '--out', out])
  t.match(restored, { code: 0, stderr: /redacted/ })
  t.equal(
    readFileSync(out, 'utf8'),
    LINES.map(line => (line.includes('DEBUG') ? line.replace(/[^\n]/g, '*') : line)).join(''),
  )
})
