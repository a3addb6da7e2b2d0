import { test } from 'tap'
import { FolderStore, InvalidKeyError } from './folder-store.ts'
import { testObjectStore } from './objects.contract.ts'
import { realDisk } from './real-disk.ts'

test('no key leaves the folder', async t => {
  const objects = new FolderStore(realDisk, t.testdir({ out: 'x' }))
  for (const key of [
    '../out',
    'a/../../out',
    '/etc/passwd',
    '',
    'a//b',
    '.hidden',
    'a/.',
    'a\\b',
    'a\0b',
    'x'.repeat(300),
    'a/b/c/d/e/f/g/h/i',
  ]) {
    await t.rejects(objects.create(key, Buffer.alloc(0)), InvalidKeyError, JSON.stringify(key))
    await t.rejects(objects.get(key), InvalidKeyError)
  }
})

test('a folder as a place for objects', t => {
  testObjectStore(t, async t => {
    const folder = t.testdir()
    return () => new FolderStore(realDisk, folder)
  })
  t.end()
})
