import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'tap'
import { makeFolder, makeFolderSync } from './real-folder.ts'

test('a folder is made with those above it, and the uppermost new one is told; what is there is left alone', async t => {
  const folder = t.testdir({ 'a-file': 'x' })
  t.equal(await makeFolder(join(folder, 'a', 'b', 'c')), join(folder, 'a'))
  t.equal(await makeFolder(join(folder, 'a', 'b', 'd')), join(folder, 'a', 'b', 'd'))
  t.equal(await makeFolder(join(folder, 'a', 'b')), undefined)
  makeFolderSync(join(folder, 'e', 'f'))
  makeFolderSync(join(folder, 'e', 'f'))
  t.ok(existsSync(join(folder, 'e', 'f')))
  const made = await Promise.all(Array.from({ length: 8 }, () => makeFolder(join(folder, 'many', 'x'))))
  t.ok(made.includes(join(folder, 'many')))
  for (const path of [join(folder, 'a-file'), join(folder, 'a-file', 'below')]) {
    await t.rejects(makeFolder(path), { code: /EEXIST|ENOTDIR/ })
    t.throws(() => makeFolderSync(path), { code: /EEXIST|ENOTDIR/ })
  }
})

test('where the kernel knows no such place the answer is an error, and not a loop without end', async t => {
  if (!existsSync('/proc/self')) return t.comment('no /proc here')
  for (const path of ['/proc/no-folder', '/proc/no-folder/below']) {
    await t.rejects(makeFolder(path), { code: 'ENOENT' })
    t.throws(() => makeFolderSync(path), { code: 'ENOENT' })
  }
})
