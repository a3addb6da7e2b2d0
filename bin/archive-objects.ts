// Where the archive is, by the settings: a folder, or a bucket. Beside it are the lease, decisions and tasks.
import type { Settings } from '../config/schema.ts'
import { FolderStore } from '../shared/folder-store.ts'
import type { S3Store } from '../shared/s3/s3-store.ts'
import type { ObjectStore } from '../shared/stores.ts'
import type { World } from '../shared/world.ts'
import { foldersOf } from './settings.ts'

/** Over this the clock of this machine or that of the store is wrong: nothing is deleted. */
const CLOCK_OFF_MS_MAX = 60_000

export interface ArchiveObjects {
  objects: ObjectStore
  /** For sentences. */
  name: string
  /** Why it cannot be used now, or not for everything; undefined: all is well. */
  trouble(): string | undefined
  /** False: the store's clock says that ours is wrong. */
  clockAgrees(): boolean
  /** What dead writers left where no listing shows it. Answers how much was removed. */
  removeOrphans(): Promise<number>
  close(): void
}

export async function openArchiveObjects(settings: Settings, world: World): Promise<ArchiveObjects> {
  if (settings.archive.kind === 's3') return inBucket(settings.archive, world)
  const folder = foldersOf(settings).archive
  await world.disk.makeFolder(folder)
  return {
    objects: new FolderStore(world.disk, folder),
    name: folder,
    trouble: () => undefined,
    clockAgrees: () => true,
    removeOrphans: async () => 0,
    close: () => undefined,
  }
}

/** An archive in S3 is safe by itself; a folder is one disk. */
export function isArchiveTrusted({ archive }: Settings): boolean {
  return archive.trust ?? archive.kind === 's3'
}

async function inBucket(archive: Settings['archive'], world: World): Promise<ArchiveObjects> {
  // A large library: only where it is needed, so that all else starts sooner.
  const { S3Store } = await import('../shared/s3/s3-store.ts')
  const { access_key, secret_key } = archive
  const objects = new S3Store(
    {
      bucket: archive.bucket!,
      prefix: archive.prefix,
      endpoint: archive.endpoint,
      region: archive.region,
      pathStyle: archive.path_style,
      ...(access_key !== undefined &&
        secret_key !== undefined && { credentials: { accessKeyId: access_key, secretAccessKey: secret_key } }),
      storageClass: archive.storage_class,
      encryption: archive.encryption,
      kmsKey: archive.kms_key,
      tags: Object.fromEntries(archive.tags.map(tag => tag.split(/=(.*)/s, 2))),
    },
    world,
  )
  const clockAgrees = () => Math.abs(objects.clockAheadMs ?? 0) <= CLOCK_OFF_MS_MAX
  return {
    objects,
    name: objects.name,
    trouble: () => objects.trouble ?? (clockAgrees() ? undefined : clockTrouble(objects)),
    clockAgrees,
    removeOrphans: () => objects.removeOrphans(),
    close: () => objects.close(),
  }
}

function clockTrouble({ clockAheadMs = 0, name }: S3Store): string {
  const seconds = Math.round(Math.abs(clockAheadMs) / 1000)
  const direction = clockAheadMs > 0 ? 'ahead of' : 'behind'
  return `the clock of this machine is ${seconds} s ${direction} that of ${name}: nothing is deleted; set the clock`
}
