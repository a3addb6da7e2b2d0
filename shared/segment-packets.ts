// What of the segments matches, as packets that another store can add: block by block, in no order, each block read once.
// A copy has tailer, epoch, sequence and bucket of its events' origin, and the sum of its own bytes (porter/copy tells why
// that is right).
import type { Origin } from './events.ts'
import { encodePacket, type Packet } from './packet.ts'
import { type Place, pickEvents } from './pick-events.ts'
import { matchingEvents } from './search/matching-events.ts'
import { Question } from './search/question.ts'
import { CorruptSegmentError } from './segment.ts'
import type { SegmentRun } from './segment-block.ts'
import { MissingSegmentError } from './segment-objects.ts'
import type { SearchParts } from './segment-search.ts'
import type { EventQuestion } from './stores.ts'

type PacketParts = Omit<SearchParts, 'request' | 'heldBytesMax' | 'blocks'> & { request: EventQuestion }

export async function* segmentPackets(parts: PacketParts): AsyncGenerator<Packet[]> {
  const { request, objects, onDamage, segments } = parts
  const question = new Question(request)
  const candidates = segments.filter(({ summary }) => !summary || question.couldHold(summary))
  const ofBlocks = candidates.reduce((sum, { summary }) => sum + (summary?.blocks ?? 1), 0)
  let blocks = 0
  let bytes = 0
  for (const { name } of candidates) {
    try {
      const opened = await objects.open(name, onDamage)
      for (const block of opened.blocks) {
        request.signal?.throwIfAborted()
        blocks++
        if (!question.couldHoldBlock(block)) continue
        try {
          const events = await objects.readBlock(opened, block)
          bytes += block.rawBytes
          const packets = [...byOrigin(matchingEvents(question, events))].map(([origin, places]) =>
            encodePacket(origin, pickEvents(events, places)),
          )
          request.onProgress?.({ blocks: Math.min(blocks, ofBlocks), ofBlocks, bytes })
          if (packets.length > 0) yield packets
        } catch (error) {
          await told(error)
        }
      }
    } catch (error) {
      await told(error)
    }
  }

  async function told(error: unknown): Promise<void> {
    if (!(error instanceof CorruptSegmentError)) throw error
    if (error instanceof MissingSegmentError) await parts.assertNotTidied(error.segment)
    onDamage({ where: error.where, reason: error.reason })
  }
}

function byOrigin(matches: Iterable<Place & { run: SegmentRun }>): Map<Origin, Place[]> {
  const groups = new Map<string, { origin: Origin; places: Place[] }>()
  let last: { run: SegmentRun; places: Place[] } | undefined
  for (const place of matches) {
    if (last?.run !== place.run) {
      const { origin } = place.run
      const key = `${origin.tailer}/${origin.epoch}/${origin.sequence}/${origin.bucket}`
      const group = groups.get(key) ?? { origin, places: [] }
      groups.set(key, group)
      last = { run: place.run, places: group.places }
    }
    last.places.push(place)
  }
  return new Map([...groups.values()].map(({ origin, places }) => [origin, places]))
}
