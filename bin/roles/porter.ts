import { setFlagsFromString } from 'node:v8'
import type { Settings } from '../../config/schema.ts'
import { parseAddress } from '../../config/values.ts'
import { haulOf } from '../../porter/carry-helper.ts'
import { CARRY_KIND, carryKind } from '../../porter/carry-jobs.ts'
import { startPorterFace } from '../../porter/face.ts'
import { CopyJobs } from '../../porter/history-copy.ts'
import { Jobs } from '../../porter/jobs.ts'
import { Porter } from '../../porter/porter.ts'
import { createDialer } from '../../shared/channel/dial.ts'
import { COPY_KIND } from '../../shared/copy-task.ts'
import { Lease } from '../../shared/lease.ts'
import { Releases } from '../../shared/releases.ts'
import { TaskBoard } from '../../shared/task-board.ts'
import type { World } from '../../shared/world.ts'
import type { ArchiveObjects } from '../archive-objects.ts'
import { channelConfig, credentialsOf } from '../channel.ts'
import { lockAfterFormerRun, openDataFolder } from '../data-folder.ts'
import { historyPlaces, openCopyTarget } from '../history-places.ts'
import { foldersOf } from '../settings.ts'
import type { RoleStart, RunningRole } from './role.ts'
import { openStores } from './stores.ts'

/** Once: somebody waits at the terminal. */
const ONCE_POLL_MS = 100
const ORPHANS_EVERY_MS = 3_600_000
const BUCKET_POLL_MS = 10_000
/**
 * What a porter makes are buffers of megabytes that are soon done with. Left to itself V8 collects when 64 MB of them lie
 * about; so it collects when heap and buffers are a tenth more than was in use: 50 MB less for 5 % of the CPU.
 */
const COLLECT_SOONER = ['--external-memory-accounted-in-global-limit', '--heap-growing-percent=10']

export async function startPorter({ settings, world, signal }: RoleStart): Promise<RunningRole> {
  for (const flag of COLLECT_SOONER) setFlagsFromString(flag)
  const { porter: own } = settings
  const credentials = credentialsOf(settings, 'porter')
  const keys = credentials.keys!
  const folder = foldersOf(settings).porter
  openDataFolder(folder)
  const lock = await lockAfterFormerRun(folder)
  const stores = await openStores(settings, world, `porter-${keys.id}`)
  const { index, archive, archiveObjects, archivePlace, indexPlace } = stores
  const board = new TaskBoard(archiveObjects, world)
  const histories = historyPlaces(settings, world, `porter-${keys.id}`)
  const dialer = createDialer(channelConfig(settings, 'porter', credentials, keys), world, 'buck')
  const copies = new CopyJobs({
    index,
    archive,
    world,
    bucks: { dialer, addresses: settings.bucks },
    released: () => new Releases(archiveObjects).sequences(),
    openTarget: task => openCopyTarget(task, histories, world),
    dropTarget: task => histories.drop(task.id),
  })
  const worker = `porter-${keys.id.slice(0, 8)}-${process.pid}`
  const haul = haulOf({ dialer, bucks: settings.bucks, index, archive, world })
  const jobs = new Jobs({
    board,
    kinds: { [COPY_KIND]: copies, [CARRY_KIND]: carryKind(haul, worker) },
    world,
    worker,
    mayDelete: () => archivePlace.clockAgrees(),
    // A look is a listing, which a bucket charges for.
    ...(settings.archive.kind === 's3' && { pollMs: BUCKET_POLL_MS }),
  })
  const isAtOnce = own.archive_after === 0
  const porter = new Porter(
    {
      // Its keys are its own: another porter has others.
      name: keys.id,
      bucks: settings.bucks,
      bucketSeconds: settings.bucket_time / 1000,
      archiveAfterMs: own.archive_after,
      // A span that is longer than the age would keep its first bucket waiting for its last.
      archiveSpanSeconds: Math.min(settings.archive.span, own.archive_after) / 1000,
      holeAfterMs: own.hole_after,
      recentMs: settings.index.keep,
      keepArchiveMs: settings.archive.keep,
      ...(isAtOnce && { indexAfterMs: 0, pollMs: ONCE_POLL_MS }),
    },
    {
      world,
      dialer,
      index,
      archive,
      lease: new Lease(archiveObjects, { name: keys.id }, world),
      releases: new Releases(archiveObjects),
      isExcluded: bucket => isExcluded(own, bucket),
      storeTrouble: () => archivePlace.trouble() ?? indexPlace.trouble(),
      clockAgrees: () => archivePlace.clockAgrees() && indexPlace.clockAgrees(),
      sharing: { board, worker },
    },
  )
  const { host, port } = parseAddress(own.http)!
  const face = await startPorterFace(
    { host, port },
    { log: world.log, status: () => ({ ...porter.status(), jobs: jobs.status() }) },
  )
  return {
    listens: [`http ${face.address}`],
    ended: Promise.all([porter.run(signal), jobs.run(signal), sweepOrphans(archivePlace, world, signal)]).then(
      () => undefined,
    ),
    close: async () => {
      await face.close()
      archivePlace.close()
      await histories.close()
      await indexPlace.close()
      lock.release()
    },
  }
}

/** By the settings: neither indexed nor archived. */
export function isExcluded({ history_start = 0, exclude }: Settings['porter'], bucket: number): boolean {
  const ms = bucket * 1000
  return ms < history_start || exclude.some(({ fromMs, toMs }) => ms >= fromMs && ms < toMs)
}

/** What dead writers left in the archive's place, once an hour. */
async function sweepOrphans(archive: ArchiveObjects, world: World, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      const removed = await archive.removeOrphans()
      if (removed > 0) world.log.info('unfinished uploads removed', { removed, archive: archive.name })
    } catch (error) {
      world.log.warn('unfinished uploads not looked for', { archive: archive.name, error })
    }
    await world.clock.sleep(ORPHANS_EVERY_MS, signal).catch(() => undefined)
  }
}
