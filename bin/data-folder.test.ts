import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { testFolder } from '../shared/test-folder.test-support.ts'
import { isFolderInUse, lockFolder, openDataFolder } from './data-folder.ts'

test('a folder is held by one at a time, and free again after release', async t => {
  const folder = testFolder(t)
  openDataFolder(folder)
  const lock = await lockFolder(folder)
  await t.rejects(lockFolder(folder), {
    message: /is in use by another bucktail \(process \d+\); stop it, or choose another/,
  })
  t.equal(await isFolderInUse(folder), true)
  lock.release()
  t.equal(await isFolderInUse(folder), false)
  const again = await lockFolder(folder)
  again.release()
})

test('a lock dies with its process, at once, also with kill -9', async t => {
  const folder = testFolder(t)
  const module = new URL('data-folder.ts', import.meta.url).href
  const script = `const { lockFolder } = await import('${module}'); await lockFolder(process.argv[1]); console.log('held'); setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script, folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(child.stdout, 'data')
  await t.rejects(lockFolder(folder), { message: new RegExp(`process ${child.pid}`) })
  child.kill('SIGKILL')
  await once(child, 'exit')
  const lock = await lockFolder(folder)
  lock.release()
})

test('a folder of a newer version, of something else, or with a spoilt version is refused untouched', async t => {
  const dir = testFolder(t, {
    newer: { version: '7\n' },
    photos: { 'cat.jpg': '' },
    spoilt: { version: 'x' },
    fresh: {},
  })
  t.throws(() => openDataFolder(join(dir, 'newer')), { message: /newer bucktail \(data version 7, this one knows 1\)/ })
  t.throws(() => openDataFolder(join(dir, 'photos')), { message: /holds other files \(cat\.jpg\)/ })
  t.throws(() => openDataFolder(join(dir, 'spoilt')), { message: /does not hold a number/ })
  openDataFolder(join(dir, 'fresh'))
  t.equal(readFileSync(join(dir, 'fresh', 'version'), 'utf8'), '1\n')
  writeFileSync(join(dir, 'file'), '')
  t.throws(() => openDataFolder(join(dir, 'file', 'below')), { message: /cannot make the data folder/ })
})
