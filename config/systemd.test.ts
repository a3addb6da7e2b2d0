import { spawnSync } from 'node:child_process'
import { copyFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { test } from 'tap'

const UNIT = fileURLToPath(new URL('systemd/bucktail@.service', import.meta.url))

test('systemd understands the unit, for every role', t => {
  if (spawnSync('systemd-analyze', ['--version']).status !== 0) {
    const what = 'NOT RUN: the unit is verified with systemd-analyze (apt-get install systemd)'
    if (process.env.CI === 'true') t.fail(what)
    else t.comment(what)
    return t.end()
  }
  const dir = t.testdir({})
  for (const role of ['tailer', 'buck', 'porter', 'archie']) {
    const unit = join(dir, `bucktail@${role}.service`)
    copyFileSync(UNIT, unit)
    const { status, stderr } = spawnSync('systemd-analyze', ['verify', '--man=no', unit], { encoding: 'utf8' })
    t.same([status, stderr], [0, ''], role)
  }
  t.end()
})

test('wrong settings do not start it again for ever', t => {
  t.match(readFileSync(UNIT, 'utf8'), /^RestartPreventExitStatus=78$/m)
  t.end()
})
