// A data folder in which nothing runs, read without changing anything: the stores, and the bucket files of bucks and
// tailer for what is not indexed yet.
import { existsSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { FolderHolder } from '../archie/folder-holder.ts'
import { FreshSource } from '../archie/fresh-source.ts'
import { LedgerReader } from '../archie/ledger.ts'
import { once, searchRecent } from '../archie/search.ts'
import { listSources, stepHashes } from '../archie/source-list.ts'
import { summariseRecent } from '../archie/sums.ts'
import { Decisions } from '../shared/decisions.ts'
import type { FoundEvent } from '../shared/events.ts'
import { BadTimeError, parseTime } from '../shared/face/time-text.ts'
import { FolderStore } from '../shared/folder-store.ts'
import { QueryError } from '../shared/query/syntax.ts'
import { parseQuery } from '../shared/query.ts'
import { realDisk } from '../shared/real-disk.ts'
import { realWorld } from '../shared/real-world.ts'
import { Releases } from '../shared/releases.ts'
import { SegmentStore } from '../shared/segment-store.ts'
import type { Damage, SearchRequest } from '../shared/stores.ts'
import { textLog } from '../shared/text-log.ts'
import type { World } from '../shared/world.ts'
import { type ArchiveObjects, openArchiveObjects } from './archive-objects.ts'
import { checkDataVersion, isFolderInUse } from './data-folder.ts'
import { failure, usageError } from './fail.ts'
import type { Place, PlaceRequest } from './place.ts'
import { placeTop } from './place-top.ts'
import { settingsOf } from './settings.ts'

export async function dataPlace(folder: string): Promise<Place> {
  const data = resolve(folder)
  if (!existsSync(data))
    throw failure(`${folder} does not exist; --data names the folder of an earlier \`bucktail up\``)
  if (checkDataVersion(data) === undefined) throw failure(`${folder} is no data folder of bucktail; --data names one`)
  if (await isFolderInUse(data)) {
    throw failure(`bucktail runs on ${folder} now: ask it with --archie instead of --data, or stop it first`)
  }
  const world = realWorld({ log: textLog(process.stderr, 'error') })
  const index = await openStore(world, join(data, 'index'))
  const archivePlace = await archiveOf(data, world)
  const archive = await SegmentStore.open(archivePlace.objects, { world, writer: 'reader' })
  const pending: Damage[] = []
  // Scanning the bucket files takes a while: only for those who ask for recent lines.
  let freshSource: Promise<FreshSource> | undefined
  let holdersOpened: Promise<NamedFolder[]> | undefined
  const holders = () => (holdersOpened ??= openHolders(data, damage => pending.push(damage)))
  const fresh = () => (freshSource ??= holders().then(named => new FreshSource(() => named, index, world)))

  return {
    name: `the data folder ${folder}`,
    async *search(request, onDamage): AsyncGenerator<FoundEvent> {
      const asked = searchRequest(request, world)
      if (request.in !== 'recent') {
        const store = request.in === 'archive' ? archive : await openHistory(world, data, request.in)
        yield* limited(once(store.search(asked, onDamage)), request.limit)
        return
      }
      const source = await fresh()
      for (const damage of pending.splice(0)) onDamage(damage)
      yield* searchRecent({ index, fresh: source }, asked, onDamage)
    },
    async top(request) {
      const source = request.in === 'recent' ? await fresh() : undefined
      const store = request.in.startsWith('history-') ? await openHistory(world, data, request.in) : archive
      const told = pending.splice(0)
      return placeTop(request, world, told, (asked, onDamage) =>
        source ? summariseRecent({ index, fresh: source }, asked, onDamage) : store.summarise(asked, onDamage),
      )
    },
    async sources() {
      const sources = await listSources({ index, archive })
      return sources.map(({ recent, archive, ...source }) => ({
        ...source,
        ...(recent && { recent: { ...recent, ranges: [...recent.ranges] } }),
        ...(archive && { archive: { ...archive, ranges: [...archive.ranges] } }),
      }))
    },
    stepHashes: source => stepHashes({ index, archive }, source),
    async ledger() {
      const named = await holders()
      const beside = archivePlace.objects
      const stores = { index, archive, decisions: new Decisions(beside), releases: new Releases(beside) }
      return new LedgerReader(() => named, stores).read()
    },
    async close() {
      // Files are opened for each read only; connections to a bucket are kept.
      archivePlace.close()
    },
  }
}

/** Opening a store reads; the writer's name is needed for writing only. */
function openStore(world: World, folder: string): Promise<SegmentStore> {
  return SegmentStore.open(new FolderStore(world.disk, folder), { world, writer: 'reader' })
}

/** Where `bucktail up` had it: its processes' settings lie in the data folder. A bucket is read there. */
async function archiveOf(data: string, world: World): Promise<Pick<ArchiveObjects, 'objects' | 'close'>> {
  const config = join(data, 'run', 'porter.yaml')
  if (existsSync(config)) {
    const { settings } = settingsOf({ config })
    if (settings.archive.kind === 's3') return openArchiveObjects(settings, world)
  }
  return { objects: new FolderStore(world.disk, join(data, 'archive')), close: () => undefined }
}

async function openHistory(world: World, data: string, name: string): Promise<SegmentStore> {
  const folder = join(data, 'history', name.slice('history-'.length))
  if (!existsSync(folder)) throw failure(`there is no ${name} in ${data}; it may have expired`)
  return openStore(world, folder)
}

interface NamedFolder {
  name: string
  holder: FolderHolder
}

function openHolders(data: string, onDamage: (damage: Damage) => void): Promise<NamedFolder[]> {
  const names = readdirSync(data).filter(name => /^(buck\d*|tailer)$/.test(name))
  return Promise.all(
    names.map(async name => ({ name, holder: await FolderHolder.open(realDisk, join(data, name), onDamage) })),
  )
}

export function searchRequest(request: PlaceRequest, world: Pick<World, 'clock'>): SearchRequest {
  const { host, app, file, source, order, limit } = request
  try {
    const now = world.clock.now()
    return {
      query: parseQuery(request.q ?? ''),
      sinceNs: request.since === undefined ? undefined : parseTime(request.since, now),
      untilNs: request.until === undefined ? undefined : parseTime(request.until, now),
      host,
      app,
      file,
      source,
      order,
      limit,
    }
  } catch (error) {
    if (error instanceof QueryError) {
      throw usageError(`the query cannot be read at character ${error.offset + 1}: ${error.message}`, error)
    }
    if (error instanceof BadTimeError) throw usageError(error.message, error)
    throw error
  }
}

export async function* limited<T>(events: AsyncGenerator<T>, limit: number | undefined): AsyncGenerator<T> {
  let left = limit ?? Number.POSITIVE_INFINITY
  if (left === 0) return
  for await (const event of events) {
    yield event
    if (--left === 0) return
  }
}
