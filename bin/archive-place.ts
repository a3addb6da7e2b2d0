// The archive that the settings name (a folder or a bucket), read straight from there: no process is needed. Ranged reads
// fetch only what can match.
import { once } from '../archie/search.ts'
import { listSources, stepHashes } from '../archie/source-list.ts'
import { Decisions } from '../shared/decisions.ts'
import { computeLedger } from '../shared/ledger.ts'
import { gatherLedgerInputs } from '../shared/ledger-gather.ts'
import { realWorld } from '../shared/real-world.ts'
import { Releases } from '../shared/releases.ts'
import { SegmentStore } from '../shared/segment-store.ts'
import { textLog } from '../shared/text-log.ts'
import { openArchiveObjects } from './archive-objects.ts'
import { limited, searchRequest } from './data-place.ts'
import { usageError } from './fail.ts'
import type { Place } from './place.ts'
import { placeTop } from './place-top.ts'
import { Progress } from './progress.ts'
import { settingsOf } from './settings.ts'
import { size } from './terminal.ts'

export async function archivePlace(flags: { config?: string }): Promise<Place> {
  const { settings } = settingsOf({ config: flags.config })
  const world = realWorld({ log: textLog(process.stderr, 'error') })
  const place = await openArchiveObjects(settings, world)
  const archive = await SegmentStore.open(place.objects, { world, writer: 'reader' })
  const progress = new Progress()
  return {
    name: `the archive ${place.name}`,
    async *search(request, onDamage) {
      if (request.in !== 'archive') {
        // `restore` looks everywhere: the archive is all there is here.
        if (request.source !== undefined) return
        throw usageError('--config reads the archive itself: add --in archive; for recent lines ask an archie')
      }
      const onProgress = ({ blocks, ofBlocks, bytes }: { blocks: number; ofBlocks: number; bytes: number }) =>
        progress.show(blocks / Math.max(1, ofBlocks), `${size(bytes)} searched`)
      try {
        const asked = { ...searchRequest(request, world), onProgress }
        yield* limited(once(archive.search(asked, onDamage)), request.limit)
      } finally {
        progress.end()
      }
    },
    top: request => placeTop(request, world, [], (asked, onDamage) => archive.summarise(asked, onDamage)),
    async sources() {
      const sources = await listSources({ index: NOTHING, archive })
      return sources.map(({ recent: _, archive, ...source }) => ({
        ...source,
        ...(archive && { archive: { ...archive, ranges: [...archive.ranges] } }),
      }))
    },
    stepHashes: source => stepHashes({ index: NOTHING, archive }, source),
    async ledger() {
      const decisions = await new Decisions(place.objects).list()
      const releases = await new Releases(place.objects).list()
      const inputs = await gatherLedgerInputs({
        ...{ links: [], index: archive, archive, decisions, releases },
        log: world.log,
      })
      return computeLedger(inputs)
    },
    async close() {
      place.close()
    },
  }
}

/** There is no index here. */
const NOTHING = {
  totals: async () => [],
  words: async () => ({ manifests: [], gone: [] }),
} as never
