// The embedded indexes of histories: a folder each, as the recent index is one.
import { join, resolve } from 'node:path'
import type { Settings } from '../config/schema.ts'
import type { CopyTask } from '../shared/copy-task.ts'
import { FolderStore } from '../shared/folder-store.ts'
import { SegmentStore } from '../shared/segment-store.ts'
import type { EventStore } from '../shared/stores.ts'
import type { World } from '../shared/world.ts'
import { failure } from './fail.ts'
import { foldersOf } from './settings.ts'

/** Of zstd: a history lives for a day. */
const LEVEL = 3
/** Opened ones that are kept open: each holds its catalogue in memory. */
const OPEN_MAX = 16

export interface HistoryFolders {
  open(id: string): Promise<EventStore>
  drop(id: string): Promise<void>
}

export function historyFolders(settings: Settings, world: World, writer: string): HistoryFolders {
  const { histories } = foldersOf(settings)
  const opened = new Map<string, Promise<SegmentStore>>()
  return {
    open(id) {
      const known = opened.get(id)
      if (known) return known
      const store = SegmentStore.open(new FolderStore(world.disk, join(histories, id)), {
        world,
        writer,
        zstdLevel: LEVEL,
      })
      opened.set(id, store)
      store.catch(() => opened.delete(id)) // told to whoever asked
      const oldest = opened.keys().next().value
      if (opened.size > OPEN_MAX && oldest !== undefined) opened.delete(oldest)
      return store
    },
    async drop(id) {
      opened.delete(id)
      await removeAll(world.disk, join(histories, id))
    },
  }
}

/** Where a copy goes that is neither to the index nor to the archive. */
export async function openCopyTarget(task: CopyTask, histories: HistoryFolders, world: World): Promise<EventStore> {
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
