// `bucktail porter --dry-run`: what the porter would carry now, bucket by bucket. Changes nothing.
import { type BucketPreview, preview } from '../../porter/preview.ts'
import { EXIT, failure } from '../fail.ts'
import { type IncidentFlags, openIncidentPlace } from '../incident-place.ts'
import { isExcluded } from '../roles/porter.ts'
import { count, counted, escapeControls, Output, size, table } from '../terminal.ts'

export async function porterPreview(flags: IncidentFlags & { json?: boolean }): Promise<number> {
  const place = await openIncidentPlace(flags)
  const output = new Output()
  try {
    const { settings, dialer, index, archive, world, indexPlace, archivePlace } = place
    if (dialer === undefined)
      throw failure('there is no pass of a porter here, and bucks tell nobody else what they have')
    const { bucket_time, porter, bucks, environment } = settings
    const { buckets, gaps } = await preview({
      dialer,
      bucks,
      index,
      archive,
      isExcluded: bucket => isExcluded(porter, bucket),
    })
    const nowMs = world.clock.now()
    const isOver = ({ bucket }: BucketPreview) => bucket * 1000 + 2 * bucket_time <= nowMs || porter.archive_after === 0
    const spanMs = Math.max(bucket_time, Math.min(settings.archive.span, porter.archive_after))
    const isOld = ({ bucket }: BucketPreview) =>
      porter.archive_after === 0 || (Math.floor((bucket * 1000) / spanMs) + 1) * spanMs + porter.archive_after <= nowMs
    // Most buckets of a quiet fleet have nothing in them but the tailers' words.
    const filled = buckets.filter(({ packets }) => packets > 0)
    const rows = filled.map(one => ({ ...one, isIndexDue: isOver(one), isArchiveDue: isOld(one) }))
    if (flags.json) {
      await output.line(JSON.stringify({ environment, buckets: rows, gaps }))
    } else {
      await output.line(
        `environment ${environment}: ${bucks.join(', ')} ▸ ${indexPlace.name} and ${archivePlace.name}; nothing is changed`,
      )
      const shown = rows.filter(({ toIndex, toArchive, isExcluded }) => toIndex + toArchive > 0 || isExcluded)
      const head = ['bucket', 'tailers', 'packets', 'one copy', 'to index', 'to archive', 'text', '']
      const lines = shown.map(row => [
        new Date(row.bucket * 1000).toISOString().slice(0, 19),
        ...[row.tailers, row.packets, row.heldOnce, row.toIndex, row.toArchive],
        `${row.isByManifests ? '' : 'over '}${size(row.bytes)}`,
        noteOf(row),
      ])
      if (lines.length > 0) await output.line(table(head, lines))
      const sum = (of: (row: (typeof rows)[number]) => number) => rows.reduce((total, row) => total + of(row), 0)
      const due = `${counted(
        sum(row => (row.isIndexDue ? row.toIndex : 0)),
        'packet',
      )} would be indexed now, ${count(sum(row => (row.isArchiveDue ? row.toArchive : 0)))} archived now`
      const later = `later ${count(sum(row => (row.isIndexDue ? 0 : row.toIndex)))} and ${count(sum(row => (row.isArchiveDue ? 0 : row.toArchive)))}`
      await output.line(`${counted(rows.length, 'bucket')} with packets at the bucks: ${due}; ${later}`)
    }
    for (const gap of gaps) process.stderr.write(`bucktail: not asked: ${escapeControls(gap)}\n`)
    await output.flush()
    return gaps.length > 0 ? EXIT.holes : EXIT.fine
  } finally {
    await place.close()
  }
}

function noteOf(row: BucketPreview & { isIndexDue: boolean; isArchiveDue: boolean }): string {
  if (row.isExcluded) return 'excluded: released by policy, not fetched'
  const notes = []
  if (row.toIndex > 0 && !row.isIndexDue) notes.push('not over yet')
  if (row.toArchive > 0 && !row.isArchiveDue) notes.push('archive: later')
  return notes.join('; ')
}
