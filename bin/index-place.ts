// Where the recent index is, by the settings: segments in a folder, or Elasticsearch.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Settings } from '../config/schema.ts'
import type { ElasticStore } from '../shared/elastic/elastic-store.ts'
import { FolderStore } from '../shared/folder-store.ts'
import { SegmentStore, type SegmentStoreOptions } from '../shared/segment-store.ts'
import type { EventStore } from '../shared/stores.ts'
import type { World } from '../shared/world.ts'
import { CommandError, EXIT } from './fail.ts'
import { foldersOf } from './settings.ts'

export interface IndexPlace {
  index: EventStore
  /** For sentences. */
  name: string
  /** Why it cannot be used now; undefined: all is well. */
  trouble(): string | undefined
  /** False: its clock says that ours is wrong. */
  clockAgrees(): boolean
  close(): Promise<void>
}

/** The tailer's packets are columns from about this on. */
const TAKE_OVER_BYTES = 64 * 1024

export async function openIndexPlace(
  settings: Settings,
  world: World,
  writer: string,
  searcher?: SegmentStoreOptions['searcher'],
): Promise<IndexPlace> {
  if (settings.index.kind === 'elasticsearch') {
    const index = await elasticPlace(settings, world, 'recent')
    return {
      index,
      name: `${index.alias} in Elasticsearch at ${settings.index.nodes.join(', ')}`,
      trouble: () => index.trouble,
      clockAgrees: () => index.clockAgrees,
      close: () => index.close(),
    }
  }
  const { index: folder } = foldersOf(settings)
  await world.disk.makeFolder(folder)
  return {
    index: await SegmentStore.open(new FolderStore(world.disk, folder), {
      world,
      writer,
      searcher,
      // Kept for days: 2 % larger, in a third of the time.
      zstdLevel: 5,
      // Everybody waits for it. Where all is archived at once, nothing is tidied later: then it is merged at once too.
      ...(settings.porter.archive_after > 0 && { takeOverBytes: TAKE_OVER_BYTES }),
    }),
    name: folder,
    trouble: () => undefined,
    clockAgrees: () => true,
    close: async () => undefined,
  }
}

/** @param place  `recent`, or `history-<id>` */
export async function elasticPlace(
  { index, environment, data }: Settings,
  world: World,
  place: string,
): Promise<ElasticStore> {
  // A large library: only where it is needed, so that all else starts sooner.
  const { ElasticStore } = await import('../shared/elastic/elastic-store.ts')
  const { nodes, api_key, username, password, shards, mode } = index
  return new ElasticStore({
    world,
    access: {
      nodes,
      ...(api_key !== undefined && { apiKey: api_key }),
      ...(username !== undefined && { username, password: password ?? '' }),
      ...(index.ca !== undefined && { ca: readAuthority(index.ca) }),
    },
    environment,
    place,
    shape: { shards, mode },
    rejectsFolder: resolve(index.rejects ?? `${data}/rejects`),
  })
}

function readAuthority(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new CommandError(EXIT.settings, `index.ca: ${path} cannot be read (${(cause as Error).message})`, { cause })
  }
}
