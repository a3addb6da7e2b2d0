// Sums over segments: every block that may hold something is looked at once, the newest first. What matches is counted
// from columns; text is written out only where columns cannot tell whether it matches.
import { Question } from './search/question.ts'
import { sumBlock } from './search/sum-block.ts'
import { Tally } from './search/tally.ts'
import { CorruptSegmentError } from './segment.ts'
import type { SegmentBlock } from './segment-block.ts'
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
  const question = new Question(request)
  const tally = new Tally(request)
  const blocks: { opened: OpenSegment; block: SegmentBlock }[] = []
  for (const { name, summary } of parts.segments) {
    request.signal?.throwIfAborted()
    if (summary && !question.couldHold(summary)) continue
    await tolerant(parts, onDamage, async () => {
      const opened = await objects.open(name, onDamage)
      const filters = question.plan.asksFilters ? await objects.filters(opened, onDamage) : []
      for (const [i, block] of opened.blocks.entries()) {
        if (question.couldHoldBlock(block) && question.couldMatch(filters[i])) blocks.push({ opened, block })
      }
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
    await tolerant(parts, onDamage, () =>
      parts.blocks.with(opened, block, searched => sumBlock(searched, question, tally)),
    )
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
