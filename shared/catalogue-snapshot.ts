// The state of a catalogue after one commit, so that a start does not read the log from its beginning. A cache: without
// it, or if it is damaged, the log is read.
//
//   snapshots/000000000064.bin
//   0        4             8               40
//   ┌────────┬─────────────┬───────────────┬─────────────────────────────┐
//   │ "BTCS" │ version u32 │ SHA-256 of …  │ … zstd of msgpack: the state│
//   └────────┴─────────────┴───────────────┴─────────────────────────────┘
import { createHash } from 'node:crypto'
import { snapshotKey } from './catalogue-commit.ts'
import { CatalogueState } from './catalogue-state.ts'
import type { ObjectStore } from './stores.ts'
import type { Log } from './world.ts'

const HEAD = Buffer.from('BTCS\0\0\0\x01', 'latin1')
const CONTENT_AT = 40
/** The newest, and one more in case that one is damaged. */
const SNAPSHOTS_KEPT = 2

/** Answers its size. */
export async function writeSnapshot(objects: ObjectStore, state: CatalogueState): Promise<number> {
  const content = state.encode()
  await objects.put(snapshotKey(state.number), Buffer.concat([HEAD, sha256(content), content]))
  const keys = await objects.list('snapshots/')
  for (const key of keys.slice(0, -SNAPSHOTS_KEPT)) await objects.remove(key)
  return content.length
}

export async function newestSnapshot(
  objects: ObjectStore,
  log: Log,
): Promise<{ state: CatalogueState; bytes: number } | undefined> {
  for (const key of (await objects.list('snapshots/')).reverse()) {
    const bytes = await objects.get(key)
    // Replaced by a newer one since the listing.
    if (!bytes) continue
    const content = bytes.subarray(CONTENT_AT)
    if (Buffer.concat([HEAD, sha256(content)]).equals(bytes.subarray(0, CONTENT_AT))) {
      return { state: CatalogueState.decode(content), bytes: content.length }
    }
    log.warn('snapshot of the catalogue is damaged or of another version, and not used', { key })
  }
  return undefined
}

function sha256(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest()
}
