// The indexes of histories, of the same kind as the recent index: a folder each, or an index of Elasticsearch.
import { join, resolve } from 'node:path'
import type { Settings } from '../config/schema.ts'
import type { CopyTask } from '../shared/copy-task.ts'
import type { ElasticStore } from '../shared/elastic/elastic-store.ts'
import { FolderStore } from '../shared/folder-store.ts'
import { SegmentStore, type SegmentStoreOptions } from '../shared/segment-store.ts'
import type { EventStore } from '../shared/stores.ts'
import type { World } from '../shared/world.ts'
import { failure } from './fail.ts'
import { elasticPlace } from './index-place.ts'
import { foldersOf } from './settings.ts'

/** Of zstd: a history lives for a day. */
const LEVEL = 3
/** Opened ones that are kept open: each holds its catalogue, or connections. */
const OPEN_MAX = 16

export interface HistoryPlaces {
  open(id: string): Promise<EventStore>
  /** Removes it. */
  drop(id: string): Promise<void>
  close(): Promise<void>
}

export function historyPlaces(
  settings: Settings,
  world: World,
  writer: string,
  searcher?: SegmentStoreOptions['searcher'],
): HistoryPlaces {
  const folder = (id: string) => join(foldersOf(settings).histories, id)
  const opened = new Map<string, Promise<EventStore>>()
  const openNew = async (id: string): Promise<EventStore> =>
    settings.index.kind === 'elasticsearch'
      ? elasticPlace(settings, world, `history-${id}`)
      : SegmentStore.open(new FolderStore(world.disk, folder(id)), { world, writer, searcher, zstdLevel: LEVEL })
  const forget = async (id: string): Promise<void> => {
    const store = await opened.get(id)
    opened.delete(id)
    if (store && isElastic(store)) await store.close()
  }
  return {
    open(id) {
      const known = opened.get(id)
      if (known) return known
      const store = openNew(id)
      opened.set(id, store)
      store.catch(() => opened.delete(id)) // told to whoever asked
      const oldest = opened.keys().next().value
      if (opened.size > OPEN_MAX && oldest !== undefined) opened.delete(oldest)
      return store
    },
    async drop(id) {
      if (settings.index.kind === 'elasticsearch') {
        const store = await this.open(id)
        if (isElastic(store)) await store.drop()
      } else await removeAll(world.disk, folder(id))
      await forget(id)
    },
    async close() {
      for (const id of [...opened.keys()]) await forget(id)
    },
  }
}

/** A SegmentStore needs no closing. */
function isElastic(store: EventStore): store is ElasticStore {
  return 'close' in store
}

/** Where a copy goes that is neither to the index nor to the archive. */
export async function openCopyTarget(task: CopyTask, histories: HistoryPlaces, world: World): Promise<EventStore> {
  const { to, folder } = task.params
  if (to === 'history') return histories.open(task.id)
  if (folder === undefined) throw failure(`task ${task.id} names no folder to copy into`)
  const path = resolve(folder)
  await world.disk.makeFolder(path)
  return SegmentStore.open(new FolderStore(world.disk, path), { world, writer: `copy-${process.pid}` })
}

async function removeAll(disk: World['disk'], folder: string): Promise<void> {
  for (const name of await disk.list(folder)) {
    const path = join(folder, name)
    if ((await disk.stat(path))?.kind === 'folder') await removeAll(disk, path)
    else await disk.remove(path)
  }
  await disk.removeFolder(folder)
}
