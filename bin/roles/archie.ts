import { startArchie as serveArchie } from '../../archie/archie.ts'
import { Histories } from '../../archie/history.ts'
import type { Settings } from '../../config/schema.ts'
import { formatAddress, parseAddress } from '../../config/values.ts'
import { createDialer } from '../../shared/channel/dial.ts'
import { Decisions } from '../../shared/decisions.ts'
import { Releases } from '../../shared/releases.ts'
import { SearchThreads } from '../../shared/search-threads/search-threads.ts'
import type { SegmentStoreOptions } from '../../shared/segment-store.ts'
import { TaskBoard } from '../../shared/task-board.ts'
import { channelConfig, credentialsOf } from '../channel.ts'
import { CommandError, EXIT } from '../fail.ts'
import { historyPlaces } from '../history-places.ts'
import { aborted, type RoleStart, type RunningRole } from './role.ts'
import { openStores } from './stores.ts'

export async function startArchie({ settings, world, signal }: RoleStart): Promise<RunningRole> {
  const { archie: own } = settings
  const credentials = credentialsOf(settings, 'archie')
  const writer = `archie-${credentials.keys!.id}`
  // A large search must not hold up the pages, the ledger, or another search.
  const threads = new SearchThreads()
  const searcher: SegmentStoreOptions['searcher'] = objects => threads.searcherOf(objects)
  const stores = await openStores(settings, world, writer, searcher)
  const { index, archive, archiveObjects, archivePlace, indexPlace } = stores
  const histories = historyPlaces(settings, world, writer, searcher)
  const archie = await serveArchie(
    {
      ...parseAddress(own.http)!,
      environment: settings.environment,
      bucks: bucksOf(settings),
      allowedHosts: own.allowed_hosts,
      tokenKey: credentials.liveKey,
      holeAfterMs: settings.porter.hole_after,
    },
    {
      world,
      dialer: createDialer(channelConfig(settings, 'archie', credentials, credentials.keys!), world, 'buck'),
      index,
      archive,
      decisions: new Decisions(archiveObjects),
      releases: new Releases(archiveObjects),
      histories: new Histories({
        board: new TaskBoard(archiveObjects, world),
        summaries: () => archive.summaries(),
        open: id => histories.open(id),
        environment: settings.environment,
        keepMs: settings.history.keep,
        world,
      }),
    },
  )
  return {
    listens: [`http ${archie.address}`],
    ended: aborted(signal),
    close: () =>
      archie.close().finally(async () => {
        await threads.close()
        archivePlace.close()
        await histories.close()
        await indexPlace.close()
      }),
  }
}

function bucksOf({ bucks, archie }: Settings): { channel: string; http: string }[] {
  const live = archie.live
  if (live !== undefined && live.length !== bucks.length) {
    throw new CommandError(
      EXIT.settings,
      `archie.live: ${live.length} addresses for ${bucks.length} bucks; one for each of \`bucks\`, in the same order`,
    )
  }
  return bucks.map((channel, i) => {
    const { host, port } = parseAddress(channel)!
    return { channel, http: live?.[i] ?? `http://${formatAddress({ host, port: port + 1 })}` }
  })
}
