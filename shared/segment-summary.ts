// Sums over segments: every block that may hold something is looked at once, the newest first, in no other order.
import { shapeId, shapeOf } from './search/shape.ts'
import { Tally } from './search/tally.ts'
import { CorruptSegmentError } from './segment.ts'
import type { SegmentBlock, SegmentEvents } from './segment-block.ts'
import { SegmentFilter } from './segment-filter.ts'
import { MissingSegmentError, type OpenSegment } from './segment-objects.ts'
import type { SearchParts } from './segment-search.ts'
import type { Damage, Summary, SummaryRequest } from './stores.ts'

type SummaryParts = Omit<SearchParts, 'request' | 'heldBytesMax'> & {
  request: SummaryRequest
  monotonic: () => number
}

export async function summariseSegments(parts: SummaryParts): Promise<Summary> {
  const { request, objects, onDamage, monotonic } = parts
  const endMs = monotonic() + (request.workMsMax ?? Number.POSITIVE_INFINITY)
  const filter = new SegmentFilter(request)
  const tally = new Tally(request)
  const blocks: { opened: OpenSegment; block: SegmentBlock }[] = []
  for (const { name, summary } of parts.segments) {
    request.signal?.throwIfAborted()
    if (summary && !filter.couldHold(summary)) continue
    await tolerant(parts, onDamage, async () => {
      const opened = await objects.open(name, onDamage)
      for (const block of opened.blocks) if (filter.couldHoldBlock(block)) blocks.push({ opened, block })
    })
  }
  blocks.sort((a, b) =>
    a.block.greatestNs > b.block.greatestNs ? -1 : a.block.greatestNs < b.block.greatestNs ? 1 : 0,
  )
  let bytes = 0
  for (const [done, { opened, block }] of blocks.entries()) {
    request.signal?.throwIfAborted()
    if (monotonic() > endMs) {
      tally.isComplete = false
      break
    }
    await tolerant(parts, onDamage, async () => sum(tally, filter, await objects.readBlock(opened, block)))
    bytes += block.rawBytes
    request.onProgress?.({ blocks: done + 1, ofBlocks: blocks.length, bytes })
  }
  return tally.result()
}

async function tolerant(
  { assertNotTidied }: Pick<SummaryParts, 'assertNotTidied'>,
  onDamage: (damage: Damage) => void,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work()
  } catch (error) {
    if (!(error instanceof CorruptSegmentError)) throw error
    if (error instanceof MissingSegmentError) await assertNotTidied(error.segment)
    onDamage({ where: error.where, reason: error.reason })
  }
}

function sum(tally: Tally, filter: SegmentFilter, events: SegmentEvents): void {
  const { names, ends, bytes } = events
  for (const { i, run } of filter.matches(events)) {
    tally.events++
    tally.lines += events.lines[i]
    tally.bars?.add(events.times[i], events.levels[i])
    tally.countLevel(events.levels[i], 1)
    tally.count('hosts', names[events.hosts[i]] || run.host, 1)
    tally.count('apps', names[events.apps[i]] || run.app, 1)
    tally.count('paths', run.path, 1)
    if (!tally.has('templates')) continue
    const shape = shapeOf(bytes.subarray(i === 0 ? 0 : ends[i - 1], ends[i]))
    tally.count('templates', shapeId(shape), 1, shape.toString())
  }
}
