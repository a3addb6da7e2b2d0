// One search of everything, for search-memory.test.ts: prints how many events there were, and the memory before and at most.
import { FolderStore } from '../shared/folder-store.ts'
import { openStore, world } from '../shared/objects.test-support.ts'
import { parseQuery } from '../shared/query.ts'
import type { SearchRequest } from '../shared/stores.ts'

const [folder, order] = process.argv.slice(2)
const MEBIBYTE = 1024 * 1024
const store = await openStore(new FolderStore(world.disk, folder), {
  heldBytesMax: MEBIBYTE,
  inflatedBytesMax: MEBIBYTE,
})
// Code, and the codec's memory, are there before it is measured.
for await (const _ of store.search({ query: parseQuery(''), order: 'newest', limit: 1 }));
const idleBytes = liveBytes()
let found = 0
let peakBytes = 0
for await (const _ of store.search({ query: parseQuery(''), order: order as SearchRequest['order'] })) {
  if (++found % 4000 === 0) peakBytes = Math.max(peakBytes, liveBytes())
}
process.stdout.write(JSON.stringify({ found, idleBytes, peakBytes }))

/** What cannot be collected now. Buffers that one collection finds to be free are counted until the next has begun. */
function liveBytes(): number {
  globalThis.gc?.()
  globalThis.gc?.()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
