import { execFileSync, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync, zstdCompressSync } from 'node:zlib'
import { test } from 'tap'
import { realDisk } from '../../shared/real-disk.ts'
import { type Compression, inflate } from './inflate.ts'
import { InflatedFile } from './inflated-file.ts'
import { measure } from './measure.ts'

const lines = (count: number) =>
  Buffer.from(Array.from({ length: count }, (_, i) => `line ${i} ${i * 7919}\n`).join(''))
const xz = (content: Buffer) => execFileSync('xz', ['-c', '-1'], { input: content, maxBuffer: 1 << 28 })
const compress: Record<Compression, (content: Buffer) => Buffer> = { gzip: gzipSync, zstd: zstdCompressSync, xz }
const hasXz = spawnSync('xz', ['--version']).status === 0
const compressions: Compression[] = hasXz ? ['gzip', 'zstd', 'xz'] : ['gzip', 'zstd']
if (!hasXz) console.error('NOT TESTED: xz. The program `xz` is not installed (package xz-utils).')
const never = new AbortController().signal

async function withContent<T>(content: Buffer, use: (path: string) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'bucktail-inflate-'))
  try {
    await writeFile(join(folder, 'packed'), content)
    return await use(join(folder, 'packed'))
  } finally {
    await rm(folder, { recursive: true })
  }
}

async function inflatedOf(content: Buffer, compression: Compression): Promise<Buffer> {
  return await withContent(content, async path => {
    const file = await realDisk.open(path, 'read')
    const pieces: Buffer[] = []
    try {
      for await (const piece of inflate(file, compression)) pieces.push(Buffer.from(piece))
    } finally {
      await file.close()
    }
    return Buffer.concat(pieces)
  })
}

for (const compression of compressions) {
  const pack = compress[compression]
  const content = lines(60_000)

  test(`${compression}: what went in comes out, also of several members end to end, small and large`, async t => {
    t.ok((await inflatedOf(pack(content), compression)).equals(content))
    const many = [content.subarray(0, 10), Buffer.alloc(0), content.subarray(10, 900_000), content.subarray(900_000)]
    t.ok((await inflatedOf(Buffer.concat(many.map(pack)), compression)).equals(content))
    const small = Array.from({ length: compression === 'xz' ? 3 : 300 }, (_, i) => Buffer.from(`member ${i}\n`))
    t.ok((await inflatedOf(Buffer.concat(small.map(pack)), compression)).equals(Buffer.concat(small)))
  })

  test(`${compression}: a cut is torn wherever it is, a flipped byte never gives more than was in it`, async t => {
    const packed = pack(content.subarray(0, 200_000))
    const cuts = [0, 1, 5, 11, packed.length >> 1, packed.length - 9, packed.length - 1]
    for (const cut of cuts) {
      const measured = await withContent(packed.subarray(0, cut), async path => {
        const file = await realDisk.open(path, 'read')
        return await measure(file, compression, never).finally(() => file.close())
      })
      t.match(measured, { state: /torn|damaged/ }, `cut at ${cut}`)
      t.ok(measured.bytes <= 200_000 && content.subarray(0, measured.head.length).equals(measured.head))
    }
    for (let i = 0; i < 20; i++) {
      const bad = Buffer.from(packed)
      bad[Math.floor((i / 20) * bad.length)] ^= 0xff
      const { state, reason } = await withContent(bad, async path => {
        const file = await realDisk.open(path, 'read')
        return await measure(file, compression, never).finally(() => file.close())
      })
      t.ok(state === 'whole' ? reason === '' : reason !== '', `flipped at ${i}/20: ${state}`)
    }
  })

  test(`${compression}: the inflated file reads forwards, back, and in any piece`, async t => {
    await withContent(pack(content), async path => {
      const file = await realDisk.open(path, 'read')
      const measured = await measure(file, compression, never)
      t.equal(measured.bytes, content.length)
      t.equal(measured.state, 'whole')
      const inflated = new InflatedFile(file, measured, measured.head)
      t.equal((await inflated.stat()).size, content.length)
      const places = [0, 300_000, 299_000, 900_000, 100, content.length - 50, content.length, content.length + 5]
      for (const at of places) {
        const into = Buffer.alloc(100_000)
        const got = await inflated.read(into, at)
        t.ok(into.subarray(0, got).equals(content.subarray(at, at + got)), `at ${at}`)
        t.equal(got, Math.max(0, Math.min(100_000, content.length - at)))
      }
      await inflated.close()
    })
  })
}

test('every compression is tested where tests must be complete', async t => {
  t.ok(hasXz || process.env.CI !== 'true', 'xz is installed')
})

test('zeros after the last member are padding, anything else is damage', async t => {
  const packed = gzipSync('hello\n')
  t.equal(String(await inflatedOf(Buffer.concat([packed, Buffer.alloc(512)]), 'gzip')), 'hello\n')
  await t.rejects(inflatedOf(Buffer.concat([packed, Buffer.from('garbage')]), 'gzip'), { name: 'DamagedError' })
  await t.rejects(inflatedOf(Buffer.concat([zstdCompressSync('hello\n'), Buffer.from('garbage')]), 'zstd'), {
    name: 'DamagedError',
  })
})

test('skippable zstd frames are passed over', async t => {
  const skip = Buffer.alloc(8 + 5)
  skip.writeUInt32LE(0x184d2a51, 0)
  skip.writeUInt32LE(5, 4)
  const packed = Buffer.concat([skip, zstdCompressSync('one\n'), skip, zstdCompressSync('two\n'), skip])
  t.equal(String(await inflatedOf(packed, 'zstd')), 'one\ntwo\n')
})

test('a plain file under a compressed name is damage, not content', async t => {
  for (const compression of compressions)
    await t.rejects(inflatedOf(Buffer.from('plain text, no magic\n'), compression), { name: 'DamagedError' })
})

test('a bomb is told before it is inflated to its end, in bounded memory', async t => {
  const frame = zstdCompressSync(Buffer.alloc(64 * 1024 * 1024))
  const bomb = Buffer.concat(Array.from({ length: 1000 }, () => frame))
  await withContent(bomb, async path => {
    const file = await realDisk.open(path, 'read')
    const heapBefore = process.memoryUsage().rss
    const measured = await measure(file, 'zstd', never)
    t.match(measured, { state: 'bomb', reason: /500 times/ })
    t.ok(process.memoryUsage().rss - heapBefore < 150e6, 'memory')
    await file.close()
  })
})

test('what is being read can be left at any moment', async t => {
  const content = randomBytes(3_000_000)
  for (const compression of compressions) {
    await withContent(compress[compression](content), async path => {
      const handle = await open(path)
      await handle.close()
      const file = await realDisk.open(path, 'read')
      const pieces = inflate(file, compression)
      t.ok(((await pieces.next()).value as Buffer).length > 0)
      await pieces.return(undefined)
      await file.close()
    })
  }
})
