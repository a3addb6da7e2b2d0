import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'tap'
import { realDisk } from './real-disk.ts'

test('statAll says of each what stat says, in any number; one that cannot be looked at is told and passed over', async t => {
  const folder = await mkdtemp(join(tmpdir(), 'bucktail-disk-'))
  t.teardown(() => rm(folder, { recursive: true }))
  const paths = Array.from({ length: 300 }, (_, i) => join(folder, `f${i}`))
  for (const [i, path] of paths.entries()) if (i % 3 > 0) await writeFile(path, 'x'.repeat(i))
  await symlink(join(folder, 'loop'), join(folder, 'loop'))
  const told: string[] = []
  const found = await realDisk.statAll!([...paths, folder, join(folder, 'loop')], path => told.push(path))
  for (const [i, path] of paths.entries()) t.same(found[i], await realDisk.stat(path), path)
  t.equal(found[300]?.kind, 'folder')
  t.same(told, [join(folder, 'loop')])
})
