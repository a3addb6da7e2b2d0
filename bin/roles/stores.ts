// The recent index and the archive, as porter and archie open them: segments in local folders.
import type { Settings } from '../../config/schema.ts'
import { FolderStore } from '../../shared/folder-store.ts'
import { SegmentStore } from '../../shared/segment-store.ts'
import type { ObjectStore } from '../../shared/stores.ts'
import type { World } from '../../shared/world.ts'
import { foldersOf } from '../settings.ts'

export interface Stores {
  index: SegmentStore
  archive: SegmentStore
  /** The lease and the decisions lie beside the archive. */
  archiveObjects: ObjectStore
}

export async function openStores(settings: Settings, world: World, writer: string): Promise<Stores> {
  const folders = foldersOf(settings)
  await world.disk.makeFolder(folders.index)
  await world.disk.makeFolder(folders.archive)
  const archiveObjects = new FolderStore(world.disk, folders.archive)
  const index = await SegmentStore.open(new FolderStore(world.disk, folders.index), { world, writer })
  const archive = await SegmentStore.open(archiveObjects, {
    world,
    writer,
    spanSeconds: settings.archive.span / 1000,
  })
  return { index, archive, archiveObjects }
}
