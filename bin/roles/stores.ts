// The recent index and the archive, as porter and archie open them.
import type { Settings } from '../../config/schema.ts'
import { FolderStore } from '../../shared/folder-store.ts'
import { SegmentStore } from '../../shared/segment-store.ts'
import type { ObjectStore } from '../../shared/stores.ts'
import type { World } from '../../shared/world.ts'
import { type ArchiveObjects, openArchiveObjects } from '../archive-objects.ts'
import { foldersOf } from '../settings.ts'

export interface Stores {
  index: SegmentStore
  archive: SegmentStore
  /** The lease and the decisions lie beside the archive. */
  archiveObjects: ObjectStore
  archivePlace: ArchiveObjects
}

export async function openStores(settings: Settings, world: World, writer: string): Promise<Stores> {
  const folders = foldersOf(settings)
  await world.disk.makeFolder(folders.index)
  const archivePlace = await openArchiveObjects(settings, world)
  const archiveObjects = archivePlace.objects
  const index = await SegmentStore.open(new FolderStore(world.disk, folders.index), { world, writer })
  const archive = await SegmentStore.open(archiveObjects, {
    world,
    writer,
    spanSeconds: settings.archive.span / 1000,
    // A bucket that cannot be reached now must not keep anything from starting: /readyz tells it.
    isReadLater: true,
  })
  return { index, archive, archiveObjects, archivePlace }
}
