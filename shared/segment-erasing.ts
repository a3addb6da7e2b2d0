// Takes events out of a store for good: each segment that has some is written anew without them, one commit each. The ids
// of their packets stay known, so that nothing brings them back. The old objects go after the grace time, as after a merge.
import type { Catalogue } from './catalogue.ts'
import type { LiveSegment } from './catalogue-state.ts'
import { HeldPackets } from './held-packets.ts'
import type { Piece } from './pieces.ts'
import { matchingEvents } from './search/matching-events.ts'
import { Question } from './search/question.ts'
import { CorruptSegmentError } from './segment.ts'
import { type BatchOptions, GROUP_BYTES, inflatedBytes, writeBatch } from './segment-batch.ts'
import type { SegmentEvents } from './segment-block.ts'
import type { SegmentObjects } from './segment-objects.ts'
import type { EventQuestion, StorePass } from './stores.ts'

export interface ErasingParts extends BatchOptions {
  catalogue: Catalogue
  segments: SegmentObjects
}

export interface Erased {
  segments: number
  events: number
}

/**
 * Rejects at the first segment that cannot be read: what was rewritten before stays rewritten, and another call goes on.
 * @param request  which events go
 */
export async function eraseFromSegments(parts: ErasingParts, request: EventQuestion, pass: StorePass): Promise<Erased> {
  const { catalogue } = parts
  const question = new Question(request)
  const erased: Erased = { segments: 0, events: 0 }
  const done = new Set<string>()
  for (;;) {
    pass.signal?.throwIfAborted()
    await catalogue.refreshWhole()
    const isLeft = ({ name, summary }: LiveSegment) =>
      !done.has(name) && summary !== undefined && question.couldHold(summary)
    const segment = [...catalogue.state.segments.values()].find(isLeft)
    if (!segment) return erased
    const events = await eraseFrom(parts, segment, question, pass)
    // Merged by another process meanwhile: its events are in another segment now.
    if (events === undefined) continue
    done.add(segment.name)
    if (events > 0) erased.segments++
    erased.events += events
  }
}

/** How many went; undefined: the segment is not live any more. */
async function eraseFrom(
  parts: ErasingParts,
  { name, summary }: LiveSegment,
  question: Question,
  pass: StorePass,
): Promise<number | undefined> {
  const { catalogue, segments } = parts
  const fits = () => catalogue.state.segments.has(name)
  const manifest = await catalogue.readManifest(name)
  if ('reason' in manifest) {
    await catalogue.refresh()
    if (!fits()) return undefined
    throw new Error(`${manifest.where} ${manifest.reason}: nothing was erased there. Put it back from a copy`)
  }
  const packets = new HeldPackets()
  packets.addRuns(manifest.packets)
  const buckets = [manifest.firstBucket, manifest.lastBucket]
  const count = { gone: 0 }
  const kept = keptPieces(parts, name, question, count, pass)
  const { drafts } = await writeBatch(
    catalogue,
    parts,
    { span: summary?.span, packets, words: manifest.words, buckets },
    kept,
  )
  if (count.gone === 0) {
    await catalogue.discard(drafts)
    return 0
  }
  if (!(await catalogue.commit({ added: drafts, removed: [name], fits }))) return undefined
  segments.forget(name)
  return count.gone
}

async function* keptPieces(
  { segments }: ErasingParts,
  name: string,
  question: Question,
  count: { gone: number },
  pass: StorePass,
): AsyncGenerator<Piece[]> {
  const opened = await segments.open(name, ({ where, reason }) => {
    throw new CorruptSegmentError(where, reason)
  })
  let group: Piece[] = []
  let bytes = 0
  for (const block of opened.blocks) {
    pass.signal?.throwIfAborted()
    const events = await segments.readBlock(opened, block)
    const gone = new Set<number>()
    if (question.couldHoldBlock(block)) for (const { i } of matchingEvents(question, events)) gone.add(i)
    count.gone += gone.size
    group.push(...piecesWithout(events, gone))
    bytes += inflatedBytes(block)
    if (bytes < GROUP_BYTES) continue
    yield group
    group = []
    bytes = 0
  }
  yield group
}

function piecesWithout(events: SegmentEvents, gone: Set<number>): Piece[] {
  const pieces: Piece[] = []
  let i = 0
  for (const run of events.runs) {
    let offset = run.from
    let open: Piece | undefined
    for (let n = 0; n < run.events; n++, i++) {
      const length = events.ends[i] - (i === 0 ? 0 : events.ends[i - 1])
      if (gone.has(i)) open = undefined
      else if (open) {
        open.end = i + 1
        open.to = offset + length
      } else {
        open = { events, first: i, end: i + 1, run, from: offset, to: offset + length, origin: run.origin }
        pieces.push(open)
      }
      offset += length
    }
  }
  return pieces
}
