// The recent index and the archive, as porter and archie open them.
import type { Settings } from '../../config/schema.ts'
import { SegmentStore, type SegmentStoreOptions } from '../../shared/segment-store.ts'
import type { EventStore, ObjectStore } from '../../shared/stores.ts'
import type { World } from '../../shared/world.ts'
import { type ArchiveObjects, openArchiveObjects } from '../archive-objects.ts'
import { type IndexPlace, openIndexPlace } from '../index-place.ts'

export interface Stores {
  index: EventStore
  archive: SegmentStore
  /** The lease and the decisions lie beside the archive. */
  archiveObjects: ObjectStore
  archivePlace: ArchiveObjects
  indexPlace: IndexPlace
}

/** @param searcher  who searches segments; by default the thread that asks */
export async function openStores(
  settings: Settings,
  world: World,
  writer: string,
  searcher?: SegmentStoreOptions['searcher'],
): Promise<Stores> {
  const archivePlace = await openArchiveObjects(settings, world)
  const archiveObjects = archivePlace.objects
  const indexPlace = await openIndexPlace(settings, world, writer, searcher)
  const archive = await SegmentStore.open(archiveObjects, {
    world,
    writer,
    searcher,
    spanSeconds: settings.archive.span / 1000,
    // A bucket that cannot be reached now must not keep anything from starting: /readyz tells it.
    isReadLater: true,
  })
  return { index: indexPlace.index, archive, archiveObjects, archivePlace, indexPlace }
}
