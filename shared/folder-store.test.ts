import { test } from 'tap'
import { FolderStore, InvalidKeyError } from './folder-store.ts'
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

test('objects are made once, listed by prefix, read by range', async t => {
  const objects = new FolderStore(realDisk, t.testdir())
  t.equal(await objects.create('a/b/one', Buffer.from('12345')), true)
  t.equal(await objects.create('a/b/one', Buffer.from('other')), false)
  t.equal(await objects.create('a/two', Buffer.from('x')), true)
  t.equal((await objects.get('a/b/one'))?.toString(), '12345')
  t.equal((await objects.get('a/b/one', [1, 3]))?.toString(), '23')
  t.equal((await objects.get('a/b/one', [3, 99]))?.toString(), '45')
  t.equal((await objects.get('a/b/one', [9, 99]))?.length, 0)
  t.equal(await objects.get('a/b/none'), undefined)
  t.equal(await objects.get('a/two/below'), undefined)
  t.equal(await objects.size('a/b/one'), 5)
  t.equal(await objects.size('a/b'), undefined)
  t.same(await objects.list(''), ['a/b/one', 'a/two'])
  t.same(await objects.list('a/b'), ['a/b/one'])
  t.same(await objects.list('a/t'), ['a/two'])
  t.same(await objects.list('none/'), [])
  await objects.put('a/two', Buffer.from('yy'))
  t.equal(await objects.size('a/two'), 2)
  await objects.remove('a/two')
  await objects.remove('a/two')
  t.equal(await objects.size('a/two'), undefined)
})
