// What every ObjectStore must hold to (shared/stores.ts): the folder, S3.
import { randomBytes } from 'node:crypto'
import type { Test } from 'tap'
import type { ObjectStore } from './stores.ts'

/** Opens a handle on one place; each call another handle. A new, empty place for each call of it. */
export type OpenObjects = (t: Test) => Promise<() => ObjectStore>

const WRITERS = 12
const ROUNDS = 8

/** @param hasLongList  false where a place differs only in how content comes and goes: that takes a thousand objects */
export function testObjectStore(t: Test, place: OpenObjects, { hasLongList = true } = {}): void {
  const promise = (title: string, body: (t: Test, open: () => ObjectStore) => Promise<void>) =>
    t.test(title, async t => body(t, await place(t)))

  promise('objects are made once, listed by prefix, read by range, written over, removed', async (t, open) => {
    const objects = open()
    t.equal(await objects.create('a/b/one', Buffer.from('12345')), true)
    t.equal(await objects.create('a/b/one', Buffer.from('other')), false)
    t.equal(await objects.create('a/two', Buffer.from('x')), true)
    t.equal((await objects.get('a/b/one'))?.toString(), '12345')
    t.equal((await objects.get('a/b/one', [1, 3]))?.toString(), '23')
    t.equal((await objects.get('a/b/one', [3, 99]))?.toString(), '45')
    t.equal((await objects.get('a/b/one', [9, 99]))?.length, 0)
    t.equal((await objects.get('a/b/one', [2, 2]))?.length, 0)
    t.equal(await objects.get('a/b/none'), undefined)
    t.equal(await objects.get('a/b/none', [0, 1]), undefined)
    t.equal(await objects.get('a/b/none', [1, 1]), undefined)
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
    t.equal((await open().get('a/b/one'))?.toString(), '12345', 'another handle finds it too')
  })

  promise('an empty object is an object', async (t, open) => {
    const objects = open()
    t.equal(await objects.create('empty', Buffer.alloc(0)), true)
    t.equal(await objects.create('empty', Buffer.from('x')), false)
    t.equal(await objects.size('empty'), 0)
    t.equal((await objects.get('empty'))?.length, 0)
    t.equal((await objects.get('empty', [0, 10]))?.length, 0)
  })

  promise('any bytes come back as they were', async (t, open) => {
    const objects = open()
    const every = Buffer.from(Array.from({ length: 256 }, (_, n) => n))
    const large = randomBytes(3_000_000)
    await objects.create('every', every)
    await objects.put('large', large)
    t.ok((await objects.get('every'))?.equals(every))
    t.ok((await objects.get('large'))?.equals(large))
    t.ok((await objects.get('large', [2_999_990, 4_000_000]))?.equals(large.subarray(2_999_990)))
  })

  promise('names with every allowed character', async (t, open) => {
    const objects = open()
    const key = 'segments/1785542400/A-z_0.9=+@-x.seg'
    await objects.create(key, Buffer.from('x'))
    t.same(await objects.list('segments/'), [key])
    t.equal((await objects.get(key))?.toString(), 'x')
  })

  promise('of many writers that create one key at the same time exactly one makes it', async (t, open) => {
    const handles = Array.from({ length: WRITERS }, () => open())
    for (let round = 0; round < ROUNDS; round++) {
      const made = await Promise.all(
        handles.map((objects, n) => objects.create(`race/${round}`, Buffer.from(`writer ${n}`))),
      )
      t.equal(made.filter(Boolean).length, 1, `round ${round}`)
      t.equal((await handles[0].get(`race/${round}`))?.toString(), `writer ${made.indexOf(true)}`)
    }
  })

  if (!hasLongList) return
  promise('a listing is whole and sorted, however long', async (t, open) => {
    const objects = open()
    const keys = Array.from({ length: 1234 }, (_, n) => `many/${String((n * 7919) % 1234).padStart(6, '0')}`)
    for (let at = 0; at < keys.length; at += 50) {
      await Promise.all(keys.slice(at, at + 50).map(key => objects.put(key, Buffer.alloc(0))))
    }
    t.same(await objects.list('many/'), keys.toSorted())
  })
}
