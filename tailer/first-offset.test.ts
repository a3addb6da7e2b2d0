import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { realDisk } from '../shared/real-disk.ts'
import type { From } from './find-files.ts'
import { firstOffset } from './first-offset.ts'

const NOW = Date.parse('2026-03-01T12:00:00Z')
const stamp = (agoS: number) => new Date(NOW - agoS * 1000).toISOString()

test('from an age on: the first line that is no older, nothing skipped where nothing tells a time', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'bucktail-first-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const startOf = async (text: string, from: From, mtimeMs = NOW) => {
    const path = join(folder, 'log')
    await writeFile(path, text)
    const handle = await realDisk.open(path, 'read')
    const stat = { ...(await handle.stat()), mtimeMs }
    const start = await firstOffset(handle, { path, stat, rule: { path, from }, isSibling: false }, NOW)
    await handle.close()
    return text.slice(start)
  }
  const age = (s: number): From => ({ ageMs: s * 1000 })
  // One line per second, oldest first, with traces under some of them.
  const lines = Array.from({ length: 5000 }, (_, i) => {
    const trace = i % 7 === 0 ? 'Traceback\n  at somewhere\n' : ''
    return `${stamp(5000 - i)} web1 app[1]: line ${i} ${'x'.repeat(i % 90)}\n${trace}`
  })
  const text = lines.join('')
  for (const s of [0, 1, 2, 3, 17, 999, 1000, 4998, 4999, 5000, 5001, 9000]) {
    const expected = s >= 5000 ? text : lines.slice(5000 - s).join('')
    const actual = await startOf(text, age(s))
    // A trace belongs to the line above it: it may be cut off from an older one, never from a younger.
    t.ok(actual.endsWith(expected) && text.endsWith(actual), `${s} s`)
    t.ok(actual.length - expected.length < 60, `${s} s: nothing older but the lines of a trace`)
  }
  t.equal(await startOf(text, 'end'), '')
  t.equal(await startOf(text, 'beginning'), text)
  t.equal(await startOf('no time\nat all\n', age(10)), 'no time\nat all\n')
  t.equal(await startOf('', age(10)), '')
  t.equal(await startOf(text, age(60), NOW - 3_600_000), '', 'a file that was not written to since')
})
