import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { testFolder } from '../shared/test-folder.test-support.ts'
import { run } from '../test/command.ts'
import { freeFleetPort } from '../test/ports.test-support.ts'

test('nothing in a data folder is for others, and secrets are for their owner only', async t => {
  const dir = testFolder(t, { 'app.log': 'one\ntwo\n' })
  const data = join(dir, 'data')
  const port = String(await freeFleetPort())
  const { code, stderr } = await run(['up', '--once', '--data', data, '--port', port, join(dir, 'app.log')])
  t.equal(code, 0, stderr)
  const names = readdirSync(data, { recursive: true }) as string[]
  const modeOf = (name: string) => statSync(join(data, name)).mode & 0o777
  t.ok(names.length > 20)
  t.same(
    ['', ...names].filter(name => modeOf(name) & 0o007),
    [],
  )
  const secrets = names.filter(name => /\.key$|tailer\.pass$|identity\.json$/.test(name))
  t.ok(secrets.length > 5)
  t.same(
    secrets.filter(name => modeOf(name) & 0o077),
    [],
  )
})
