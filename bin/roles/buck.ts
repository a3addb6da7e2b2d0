import { Buck } from '../../buck/buck.ts'
import { startBuckFace } from '../../buck/face.ts'
import { parseAddress } from '../../config/values.ts'
import { listenChannel } from '../../shared/channel/listen.ts'
import { isArchiveTrusted } from '../archive-objects.ts'
import { channelConfig, credentialsOf } from '../channel.ts'
import { type FolderLock, lockAfterFormerRun, openDataFolder } from '../data-folder.ts'
import { foldersOf, keyNameOf } from '../settings.ts'
import { aborted, type RoleStart, type RunningRole } from './role.ts'

/** A bucket's file goes to the device so long after the bucket is over. Until then two bucks and the tailer have it. */
const SYNC_AFTER_MS = 5_000

export async function startBuck({ settings, world, signal }: RoleStart): Promise<RunningRole> {
  const { buck: own } = settings
  const credentials = credentialsOf(settings, 'buck')
  const keys = credentials.keys!
  const folders = foldersOf(settings).bucks
  const locks: FolderLock[] = []
  for (const folder of folders) {
    openDataFolder(folder)
    locks.push(await lockAfterFormerRun(folder))
  }
  const name = keyNameOf(settings, 'buck')
  const buck = await Buck.open(
    {
      name,
      folders,
      bytesMax: own.disk_limit,
      bucketSeconds: settings.bucket_time / 1000,
      // The archive on one disk is one copy: the bucks keep theirs for their whole retention.
      dropArchived: isArchiveTrusted(settings),
      keepSeconds: own.keep_archived / 1000,
      syncAfterMs: SYNC_AFTER_MS,
    },
    { world, id: keys.id },
  )
  const listener = await listenChannel(
    channelConfig(settings, 'buck', credentials, keys),
    parseAddress(own.listen)!,
    ['tailer', 'porter', 'archie'],
    link => buck.accept(link),
    world,
  )
  const face = await startBuckFace(
    {
      ...parseAddress(own.http)!,
      environment: settings.environment,
      buckName: name,
      allowedHosts: own.allowed_hosts,
      tokenKey: credentials.liveKey,
    },
    { buck, world },
  )
  return {
    listens: [`channel ${listener.address}`, `http ${face.address}`],
    ended: aborted(signal),
    close: async () => {
      await face.close()
      await listener.close()
      await buck.close()
      for (const lock of locks) lock.release()
    },
  }
}
