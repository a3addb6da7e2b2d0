// Searches in bounded memory, whatever the result: in a process of its own, so that its peak is that of the search.
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { test } from 'tap'
import { SAMPLE_KINDS, sampleRecord } from '../bin/samples.ts'
import { FolderStore } from '../shared/folder-store.ts'
import { NO_WORDS, openStore, world } from '../shared/objects.test-support.ts'
import { BUCKET, seededRandom, sourceName, type TestLine, testPacket } from '../shared/packets.test-support.ts'
import { testFolder } from '../shared/test-folder.test-support.ts'

const LINES = 60_000
const LINES_PER_PACKET = 5_000
const CHILD = fileURLToPath(new URL('search-memory.child.ts', import.meta.url))
/** Beside what an idle store takes: what is kept, what is held (1 MiB each), a block in work. Holding all matches takes more. */
const BYTES_MAX = 12_000_000

test('memory stays bounded when everything matches, in every order', { timeout: 900_000 }, async t => {
  const folder = testFolder(t)
  const store = await openStore(new FolderStore(world.disk, folder), { blockBytes: 256 * 1024, zstdLevel: 1 })
  const random = seededRandom(1)
  let from = 0
  let bytes = 0
  for (let sequence = 1; sequence <= LINES / LINES_PER_PACKET; sequence++) {
    const lines = Array.from({ length: LINES_PER_PACKET }, (_, k): TestLine => {
      const n = sequence * LINES_PER_PACKET + k
      const [line] = sampleRecord(SAMPLE_KINDS[k % SAMPLE_KINDS.length], random, 1_700_000_000_000 + n * 10).split('\n')
      // In no order of time: no block can be given out before the others are known.
      return { text: `${line}\n`, timeNs: BigInt(BUCKET) * 1_000_000_000n + BigInt(Math.floor(random() * 1e9)) }
    })
    const run = { source: sourceName('a'), from, lines }
    const packet = testPacket([run], { sequence })
    from += packet.header.rawBytes
    bytes += packet.header.rawBytes
    await store.add([packet], NO_WORDS)
  }
  for (const order of ['oldest', 'newest', 'offset']) {
    const { stdout } = await promisify(execFile)(process.execPath, ['--expose-gc', CHILD, folder, order])
    const { found, idleBytes, peakBytes } = JSON.parse(stdout) as Record<string, number>
    t.equal(found, LINES)
    t.ok(peakBytes - idleBytes < BYTES_MAX, `${order}: ${peakBytes - idleBytes} bytes of memory for ${bytes} of result`)
  }
})
