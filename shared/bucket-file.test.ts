import { readFile, truncate, writeFile } from 'node:fs/promises'
import { test } from 'tap'
import {
  BucketFile,
  CorruptEntryError,
  type Damaged,
  ENTRY_HEADER_BYTES,
  type Entry,
  encodeEntry,
  readEntry,
  scanBucketFile,
} from './bucket-file.ts'
import { realDisk } from './real-disk.ts'

const PAYLOADS = [Buffer.from('first line\n'), Buffer.from('BKE1 looks like an entry'), Buffer.from('the third')]

async function scan(path: string): Promise<{ entries: Entry[]; damages: Damaged[] }> {
  const entries: Entry[] = []
  const damages: Damaged[] = []
  for await (const item of scanBucketFile(realDisk, path)) {
    if (item.kind === 'damaged') damages.push(item)
    else entries.push(item)
  }
  return { entries, damages }
}

/** A file with three entries, and where each begins and ends. */
async function threeEntries(folder: string) {
  const path = `${folder}/three`
  const file = await BucketFile.open(realDisk, path)
  const positions = await file.append(PAYLOADS.map(payload => ({ kind: 'packet', payload })))
  await file.close()
  const bytes = await readFile(path)
  const ends = positions.map((position, i) => position + ENTRY_HEADER_BYTES + PAYLOADS[i].length)
  return { path, bytes, positions, ends }
}

test('the bytes of an entry are the documented ones', async t => {
  const bytes = Buffer.concat(encodeEntry('manifest', Buffer.from('hello')))
  t.equal(bytes.toString('hex'), '424b4531020000000000000521729a2c3610a68668656c6c6f')
})

test('what is appended is read back, in order, at the positions given', async t => {
  const { path, positions } = await threeEntries(t.testdir())
  const { entries, damages } = await scan(path)
  t.same(
    entries.map(entry => entry.payload),
    PAYLOADS,
  )
  t.same(
    entries.map(entry => entry.position),
    positions,
  )
  t.same(damages, [])
  const file = await realDisk.open(path, 'read')
  for (const [i, position] of positions.entries()) t.same((await readEntry(file, position)).payload, PAYLOADS[i])
  await t.rejects(readEntry(file, 1), CorruptEntryError)
  await file.close()
})

test('a file cut anywhere loses the entry that was cut, which is named, and those after it', async t => {
  const { path, bytes, positions, ends } = await threeEntries(t.testdir())
  for (let size = 0; size < bytes.length; size++) {
    await writeFile(path, bytes.subarray(0, size))
    const { entries, damages } = await scan(path)
    const whole = ends.filter(end => end <= size).length
    if (entries.length !== whole) t.fail(`cut at ${size}: ${entries.length} entries instead of ${whole}`)
    const isBetween = size === 0 || ends.includes(size)
    const expected = isBetween
      ? []
      : [{ kind: 'damaged', torn: true, position: positions[whole], bytes: size - positions[whole] }]
    t.match(damages, expected, `cut at ${size}`)
    if (damages.length !== expected.length) t.fail(`cut at ${size}: ${damages.length} damages`)
  }
})

test('a flipped byte anywhere loses exactly the entry it is in, which is named; the others are served', async t => {
  const { path, bytes, positions, ends } = await threeEntries(t.testdir())
  for (let at = 0; at < bytes.length; at++) {
    for (const flip of [0x01, 0xff]) {
      const bad = Buffer.from(bytes)
      bad[at] ^= flip
      await writeFile(path, bad)
      const { entries, damages } = await scan(path)
      const touched = ends.findIndex(end => at < end)
      const left = PAYLOADS.filter((_, i) => i !== touched)
      const isExact =
        entries.length === 2 &&
        entries.every((entry, i) => entry.payload.equals(left[i])) &&
        damages[0]?.position === positions[touched] &&
        damages.reduce((sum, damage) => sum + damage.bytes, 0) === ends[touched] - positions[touched]
      if (!isExact) t.fail(`flip ${flip} at ${at}`, { entries, damages })
    }
  }
  t.pass(`${bytes.length * 2} flips`)
})

test('a torn end followed by a later append costs the torn entry only', async t => {
  const { path, bytes, positions, ends } = await threeEntries(t.testdir())
  const later = Buffer.from('later')
  for (let size = positions[2] + 1; size < ends[2]; size++) {
    await writeFile(path, bytes)
    await truncate(path, size)
    const file = await BucketFile.open(realDisk, path)
    await file.append([{ kind: 'packet', payload: later }])
    await file.close()
    const { entries, damages } = await scan(path)
    t.same(
      entries.map(entry => entry.payload),
      [PAYLOADS[0], PAYLOADS[1], later],
      `cut at ${size}`,
    )
    t.match(damages, [{ position: positions[2], bytes: size - positions[2], torn: true }])
  }
})

test('torn is only what a crash can leave: any flipped byte is damage, the last entry too', async t => {
  const { path, bytes } = await threeEntries(t.testdir())
  for (let at = 0; at < bytes.length; at++) {
    for (const flip of [0x01, 0x80, 0xff]) {
      const bad = Buffer.from(bytes)
      bad[at] ^= flip
      await writeFile(path, bad)
      const { damages } = await scan(path)
      if (damages.length === 0 || damages.some(damage => damage.torn))
        t.fail(`flip ${flip} at ${at}: ${JSON.stringify(damages)}`)
    }
  }
  for (const tail of ['x', 'BKE2', 'BKE1\x63', 'some other bytes, longer than a header']) {
    await writeFile(path, Buffer.concat([bytes, Buffer.from(tail)]))
    t.match((await scan(path)).damages, [{ position: bytes.length, bytes: tail.length, torn: false }], tail)
  }
})

test('after a power cut a file may end in zeros from a page on: torn, too', async t => {
  const path = `${t.testdir()}/zeros`
  const first = Buffer.concat(encodeEntry('packet', Buffer.alloc(1000, 'a')))
  const second = Buffer.concat(encodeEntry('packet', Buffer.alloc(20_000, 'b')))
  const whole = Buffer.concat([first, second])
  for (const from of [4096, 8192, 16384]) {
    await writeFile(path, Buffer.from(whole).fill(0, from))
    t.match((await scan(path)).damages, [{ position: first.length, torn: true }], `zeros from ${from}`)
  }
  await writeFile(path, Buffer.concat([first, Buffer.alloc(8192 - first.length)]))
  t.match((await scan(path)).damages, [{ torn: true }], 'nothing of an entry was written')
  await writeFile(path, Buffer.concat([first.subarray(0, 1000), Buffer.alloc(3096), Buffer.alloc(50_000)]))
  t.match(
    (await scan(path)).damages,
    [{ position: 0, torn: false }],
    'an entry that is whole in length, and not from a page on',
  )
  await writeFile(path, Buffer.from(whole).fill(0, 5000, 9000))
  t.match((await scan(path)).damages, [{ position: first.length, torn: false }], 'zeros in its middle')
})

test('a length of four thousand million is not believed, nor allocated', async t => {
  const path = `${t.testdir()}/huge`
  const [header, payload] = encodeEntry('packet', Buffer.from('x'))
  header.writeUInt32BE(0xffff_ffff, 8)
  await writeFile(path, Buffer.concat([header, payload, ...encodeEntry('note', Buffer.from('whole'))]))
  const { entries, damages } = await scan(path)
  t.match(entries, [{ kind: 'note' }])
  t.match(damages, [{ position: 0, bytes: ENTRY_HEADER_BYTES + 1, torn: false }])
})

test('a missing file has no entries; an empty one neither', async t => {
  const folder = t.testdir({ empty: '' })
  t.same(await scan(`${folder}/none`), { entries: [], damages: [] })
  t.same(await scan(`${folder}/empty`), { entries: [], damages: [] })
})
