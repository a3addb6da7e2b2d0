// The package as it is published: packed, installed elsewhere, used there. Part of `npm run test:long`, because it installs
// all dependencies anew.
import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { test } from 'tap'
import { run } from './command.ts'
import { freeFleetPort } from './ports.test-support.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }
const exec = promisify(execFile)

test('npm pack makes a package that works where it is installed', { timeout: 900_000 }, async t => {
  if (process.env.BUCKTAIL_TEST_LONG === undefined) {
    t.pass('only with npm run test:long')
    return
  }
  // Not below the repository: its node_modules would be found from there.
  const dir = await mkdtemp(join(tmpdir(), 'bucktail-package-'))
  t.teardown(() => rm(dir, { recursive: true, force: true }))
  const { stdout } = await exec('npm', ['pack', '--json', '--pack-destination', dir], { cwd: ROOT, maxBuffer: 1 << 26 })
  // The build of `prepack` may print before it.
  const [{ filename, files }] = JSON.parse(stdout.slice(stdout.indexOf('['))) as {
    filename: string
    files: { path: string }[]
  }[]
  const paths = files.map(file => file.path)
  t.ok(paths.includes('dist/bin/bucktail.js') && paths.includes('LICENSE') && paths.includes('web/live.html'))
  t.same(
    paths.filter(path => /\.test\.|^test\/|^bench\/|\.tap/.test(path)),
    [],
    'no tests in it',
  )

  writeFileSync(join(dir, 'package.json'), '{"private":true}')
  await exec('npm', ['install', '--no-audit', '--no-fund', join(dir, filename)], { cwd: dir, maxBuffer: 1 << 26 })
  const entry = join(dir, 'node_modules', 'bucktail', 'dist', 'bin', 'bucktail.js')
  t.equal((await run(['--version'], { entry, cwd: dir })).stdout.toString(), `${version}\n`)

  writeFileSync(join(dir, 'a.log'), 'one\ntwo needle\nthree\n')
  const once = await run(['up', '--once', '--data', 'd', '--port', String(await freeFleetPort()), 'a.log'], {
    entry,
    cwd: dir,
  })
  t.equal(once.code, 0, once.stderr)
  t.match((await run(['search', 'needle', '--data', 'd'], { entry, cwd: dir })).stdout.toString(), 'two needle')
  t.equal((await run(['ledger', '--data', 'd'], { entry, cwd: dir })).code, 0)
  const restored = await run(['restore', '--file', 'a.log', '--data', 'd', '--out', '-'], { entry, cwd: dir })
  t.equal(restored.stdout.toString(), 'one\ntwo needle\nthree\n')

  const page = await run(['up', '--help'], { entry, cwd: dir })
  t.match(page.stdout.toString(), 'Examples:')
})
