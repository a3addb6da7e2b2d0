import { type Test, test } from 'tap'
import { FolderStore } from './folder-store.ts'
import { openStore, world } from './objects.test-support.ts'
import type { SegmentStoreOptions } from './segment-store.ts'
import { testEventStore } from './stores.contract.ts'

test('the embedded store', t => {
  t.jobs = 1
  const place = (options: Partial<SegmentStoreOptions>) => async (t: Test) => {
    const folder = t.testdir()
    let number = 0
    return () => openStore(new FolderStore(world.disk, folder), { writer: `test${number++}`, ...options })
  }
  t.test('with its defaults', t => {
    testEventStore(t, place({}))
    t.end()
  })
  t.test('with packets taken over as they are', t => {
    testEventStore(t, place({ takeOverBytes: 1, blockBytes: 1000, graceMs: 0, zstdLevel: 1 }))
    t.end()
  })
  t.test('with tiny blocks, snapshots at each commit, no grace, and memory for a few matches', t => {
    testEventStore(t, place({ blockBytes: 50, snapshotCommits: 1, graceMs: 0, zstdLevel: 1, heldBytesMax: 2000 }))
    t.end()
  })
  t.end()
})
