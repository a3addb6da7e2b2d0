// What the incident tools work with: the stores that the settings name, the board of tasks beside the archive, and a worker.
import { existsSync } from 'node:fs'
import type { Settings } from '../config/schema.ts'
import { haulOf } from '../porter/carry-helper.ts'
import { CARRY_KIND, carryKind } from '../porter/carry-jobs.ts'
import { CopyJobs } from '../porter/history-copy.ts'
import { Jobs } from '../porter/jobs.ts'
import { createDialer } from '../shared/channel/dial.ts'
import { COPY_KIND } from '../shared/copy-task.ts'
import type { Dialer } from '../shared/link.ts'
import { realWorld } from '../shared/real-world.ts'
import { Releases } from '../shared/releases.ts'
import { TaskBoard } from '../shared/task-board.ts'
import { textLog } from '../shared/text-log.ts'
import type { World } from '../shared/world.ts'
import { channelConfig, credentialsOf } from './channel.ts'
import { usageError } from './fail.ts'
import { historyPlaces, openCopyTarget } from './history-places.ts'
import { keepFilesPrivate } from './private-files.ts'
import { openStores, type Stores } from './roles/stores.ts'
import { foldersOf, keyNameOf, settingsOf } from './settings.ts'

export interface IncidentFlags {
  config?: string
  data?: string
  /** Which environment the user means: the settings must be of this one. */
  env?: string
}

export interface IncidentPlace extends Stores {
  settings: Settings
  world: World
  board: TaskBoard
  worker: string
  /** Undefined: there is no pass of a porter here. */
  dialer?: Dialer
  /** @param only  of this task, until it is over */
  jobs(only?: string): Jobs
  close(): Promise<void>
}

export async function openIncidentPlace(flags: IncidentFlags): Promise<IncidentPlace> {
  const { settings } = settingsOf(flags)
  if (flags.env !== undefined && flags.env !== settings.environment) {
    throw usageError(`these settings are of the environment ${settings.environment}, not of ${flags.env}`)
  }
  keepFilesPrivate()
  const world = realWorld({ log: textLog(process.stderr, settings.log.level === 'debug' ? 'debug' : 'warn') })
  // Several helpers may run at the same time, on one machine too.
  const worker = `helper-${process.pid}-${world.random.bytes(4).toString('hex')}`
  const stores = await openStores(settings, world, worker)
  const board = new TaskBoard(stores.archiveObjects, world)
  const histories = historyPlaces(settings, world, worker)
  const dialer = porterDialer(settings, world)
  const copies = (writesFolders: boolean) =>
    new CopyJobs({
      writesFolders,
      index: stores.index,
      archive: stores.archive,
      world,
      ...(dialer && { bucks: { dialer, addresses: settings.bucks } }),
      released: () => new Releases(stores.archiveObjects).sequences(),
      openTarget: task => openCopyTarget(task, histories, world),
      dropTarget: task => histories.drop(task.id),
    })
  return {
    ...stores,
    settings,
    world,
    board,
    worker,
    ...(dialer && { dialer }),
    jobs: only =>
      new Jobs({
        board,
        // Only who was started for a task writes into a folder that it names.
        kinds: {
          [COPY_KIND]: copies(only !== undefined),
          ...(dialer && { [CARRY_KIND]: carryKind(haulOf({ dialer, bucks: settings.bucks, ...stores, world })) }),
        },
        world,
        worker,
        mayDelete: () => stores.archivePlace.clockAgrees(),
        ...(only !== undefined && { only }),
      }),
    async close() {
      stores.archivePlace.close()
      await histories.close()
      await stores.indexPlace.close()
    },
  }
}

function porterDialer(settings: Settings, world: World): Dialer | undefined {
  if (!existsSync(`${foldersOf(settings).keys}/${keyNameOf(settings, 'porter')}.pass`)) return undefined
  const credentials = credentialsOf(settings, 'porter')
  return createDialer(channelConfig(settings, 'porter', credentials, credentials.keys!), world, 'buck')
}
