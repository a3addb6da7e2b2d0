// What every Clock and every Disk must hold to: run by shared/real-world.test.ts and test/sim/sim-world.test.ts.
import { dirname, join } from 'node:path'
import type { Test } from 'tap'
import type { Clock, Disk } from './world.ts'

/** @param folder an empty folder of the disk. @param live moves the clock on while a promise waits, if it is simulated. */
export function testDisk(t: Test, disk: Disk, folder: string, live: <T>(promise: Promise<T>) => Promise<T>): void {
  const at = (...names: string[]) => join(folder, ...names)
  const promise = (title: string, body: (t: Test) => Promise<void>) => t.test(title, t => live(body(t)))

  promise('appends are read back at any position, through the same handle and through another', async t => {
    const file = await disk.open(at('a'), 'append')
    await file.append([Buffer.from('one '), Buffer.alloc(0), Buffer.from('two ')])
    await file.append([Buffer.from('three')])
    const into = Buffer.alloc(6)
    t.equal(await file.read(into, 4), 6)
    t.equal(into.toString(), 'two th')
    const other = await disk.open(at('a'), 'read')
    t.equal(await other.read(into, 10), 3, 'fewer at the end')
    t.equal(await other.read(into, 13), 0, 'none at the end')
    t.equal(await other.read(into, 1000), 0, 'none beyond the end')
    t.equal((await other.stat()).size, 13)
    await other.close()
    await file.close()
    t.equal((await disk.readFile(at('a'))).toString(), 'one two three')
  })

  promise('appends that were not waited for land in the order of the calls', async t => {
    const file = await disk.open(at('order'), 'append')
    const parts = Array.from({ length: 50 }, (_, i) => Buffer.from(`${i} `))
    await Promise.all(parts.map(part => file.append([part, part])))
    await file.close()
    t.equal((await disk.readFile(at('order'))).toString(), parts.map(part => `${part}${part}`).join(''))
  })

  promise('an append after a truncate goes to the new end', async t => {
    const file = await disk.open(at('cut'), 'append')
    await file.append([Buffer.from('abcdef')])
    await file.truncate(2)
    await file.append([Buffer.from('Z')])
    await file.sync()
    await file.close()
    t.equal((await disk.readFile(at('cut'))).toString(), 'abZ')
  })

  promise('opening for append keeps what is there, create refuses it, read needs it', async t => {
    await disk.replaceFile(at('modes'), Buffer.from('kept '))
    await t.rejects(disk.open(at('modes'), 'create'), { code: 'EEXIST' })
    await t.rejects(disk.open(at('absent'), 'read'), { code: 'ENOENT' })
    await t.rejects(disk.open(at('absent', 'below'), 'append'), { code: 'ENOENT' })
    await t.rejects(disk.open(folder, 'read'), { code: 'EISDIR' })
    const appended = await disk.open(at('modes'), 'append')
    await appended.append([Buffer.from('and more')])
    await appended.close()
    t.equal((await disk.readFile(at('modes'))).toString(), 'kept and more')
    const created = await disk.open(at('modes-new'), 'create')
    await created.append([Buffer.from('x')])
    await created.close()
    t.equal((await disk.readFile(at('modes-new'))).toString(), 'x')
  })

  promise('a closed file rejects everything', async t => {
    const file = await disk.open(at('closed'), 'append')
    await file.close()
    await t.rejects(file.read(Buffer.alloc(1), 0), { code: 'EBADF' })
    await t.rejects(file.append([Buffer.from('x')]), { code: 'EBADF' })
  })

  promise('an open handle keeps a file that was renamed, replaced or removed', async t => {
    await disk.replaceFile(at('held'), Buffer.from('first'))
    const held = await disk.open(at('held'), 'read')
    const { ino, dev, kind } = await held.stat()
    t.same(kind, 'file')
    await disk.rename(at('held'), at('held.1'))
    const renamed = await disk.stat(at('held.1'))
    t.same([renamed?.ino, renamed?.dev], [ino, dev], 'a rename keeps the inode')
    await disk.replaceFile(at('held'), Buffer.from('second'))
    t.ok((await disk.stat(at('held')))?.ino !== ino, 'the new file is another one')
    await disk.remove(at('held.1'))
    const into = Buffer.alloc(5)
    t.equal(await held.read(into, 0), 5)
    t.equal(into.toString(), 'first')
    await held.close()
    t.equal(await disk.stat(at('held.1')), undefined)
  })

  promise('rename puts the file over the one that is there', async t => {
    await disk.replaceFile(at('from'), Buffer.from('new'))
    await disk.replaceFile(at('to'), Buffer.from('old'))
    await disk.rename(at('from'), at('to'))
    t.equal((await disk.readFile(at('to'))).toString(), 'new')
    t.equal(await disk.stat(at('from')), undefined)
    await t.rejects(disk.rename(at('from'), at('to')), { code: 'ENOENT' })
  })

  promise('of many that create the same file at once, one makes it, and nobody sees half of it', async t => {
    const made = await Promise.all(
      Array.from({ length: 8 }, (_, i) => disk.createFile(at('claimed'), Buffer.alloc(1000, i))),
    )
    t.equal(made.filter(Boolean).length, 1)
    t.same(await disk.readFile(at('claimed')), Buffer.alloc(1000, made.indexOf(true)))
  })

  promise('list names what is there, sorted, and nothing of what was under way', async t => {
    await disk.makeFolder(at('folder', 'deep', 'deeper'))
    await disk.makeFolder(at('folder', 'deep', 'deeper'))
    for (const name of ['b', 'B', 'a', 'ä', '10', '9']) await disk.replaceFile(at('folder', name), Buffer.from(name))
    await disk.createFile(at('folder', 'a'), Buffer.from('not a'))
    await disk.syncFolder(at('folder'))
    t.same(await disk.list(at('folder')), ['10', '9', 'B', 'a', 'b', 'deep', 'ä'])
    t.same(await disk.list(at('absent')), [])
    t.equal((await disk.stat(at('folder', 'deep')))?.kind, 'folder')
    t.equal(await disk.stat(at('folder', 'a', 'below')), undefined, 'below a file there is nothing')
    await t.rejects(disk.syncFolder(at('absent')), { code: 'ENOENT' })
  })

  promise('removing what is not there is fine, a folder goes only when it is empty', async t => {
    await disk.remove(at('absent'))
    await disk.removeFolder(at('absent'))
    await disk.makeFolder(at('full'))
    await disk.replaceFile(at('full', 'x'), Buffer.from('x'))
    await t.rejects(disk.removeFolder(at('full')), { code: 'ENOTEMPTY' })
    await disk.remove(at('full', 'x'))
    await disk.removeFolder(at('full'))
    t.equal(await disk.stat(at('full')), undefined)
    t.ok((await disk.list(dirname(at('full')))).length > 0)
  })

  promise('readFile and replaceFile carry any bytes, and none', async t => {
    const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
    await disk.replaceFile(at('bytes'), bytes)
    t.same(await disk.readFile(at('bytes')), bytes)
    await disk.replaceFile(at('bytes'), Buffer.alloc(0))
    t.equal((await disk.readFile(at('bytes'))).length, 0)
    await t.rejects(disk.readFile(at('absent')), { code: 'ENOENT' })
    await t.rejects(disk.replaceFile(at('absent', 'x'), bytes), { code: 'ENOENT' })
  })
}

export function testClock(t: Test, clock: Clock, live: <T>(promise: Promise<T>) => Promise<T>): void {
  t.test('a sleep lasts at least as long as asked for, by the monotonic clock', t =>
    live(
      (async () => {
        const before = clock.monotonic()
        await clock.sleep(15)
        // A millisecond of slack: timers are kept in whole ones.
        t.ok(clock.monotonic() - before >= 14)
        await clock.sleep(0)
        await clock.sleep(-5)
        t.ok(clock.now() > 0)
      })(),
    ),
  )
  t.test('sleeps end in the order of their ends', t =>
    live(
      (async () => {
        const order: number[] = []
        await Promise.all([60, 5, 30].map(ms => clock.sleep(ms).then(() => order.push(ms))))
        t.same(order, [5, 30, 60])
      })(),
    ),
  )
  t.test('an aborted sleep rejects with the reason of the signal, also one that was aborted before', t =>
    live(
      (async () => {
        const stop = new AbortController()
        const reason = new RangeError('enough')
        const sleeping = clock.sleep(60 * 60 * 1000, stop.signal)
        stop.abort(reason)
        await t.rejects(sleeping, reason)
        await t.rejects(clock.sleep(1, stop.signal), reason)
      })(),
    ),
  )
}
