// Writes what one commit adds: the events of any number of packets or segments as segments of one span. Inflated text is
// held in groups of GROUP_BYTES; each group is sorted by source and offset and written before the next one is inflated.
import type { Catalogue, Draft } from './catalogue.ts'
import { columnsCodec } from './columns/codec.ts'
import type { HeldPackets } from './held-packets.ts'
import type { Bucket } from './messages.ts'
import type { Piece } from './pieces.ts'
import type { SegmentBlock } from './segment-block.ts'
import { describeSegment, type Words } from './segment-manifest.ts'
import { type CopiedParts, SegmentWriter, type TakenPacket } from './segment-writer.ts'
import type { World } from './world.ts'

/** Inflated, columns included. */
export const GROUP_BYTES = 64 * 1024 * 1024
/** Columns in memory and on their way into a block. */
const EVENT_COLUMN_BYTES = 48
/** Compressed. Held in memory until it is written; a longer batch goes on in a further segment. */
const SEGMENT_BYTES = 64 * 1024 * 1024

export interface BatchOptions {
  world: World
  writer: string
  blockBytes: number
  zstdLevel: number
  /** A packet of so much text is taken over as a block as it is; Infinity: every packet is merged with others. */
  takeOverBytes: number
}

export interface Batch {
  span: number | undefined
  packets: HeldPackets
  words: Words
  /** Buckets of packets and words whose events may not be in the pieces. */
  buckets: Bucket[]
}

export interface BatchTotals {
  events: number
  lines: number
  bytes: number
}

/** A block that is taken over as it lies in another segment. */
export interface CopiedBlock {
  block: SegmentBlock
  /** Head, meta and body. */
  stored: Buffer
  filter: Buffer | undefined
  parts: CopiedParts
}

/** Memory that the events of a packet or block take, inflated. */
export function inflatedBytes(of: { rawBytes: number; events: number }): number {
  return of.rawBytes + of.events * EVENT_COLUMN_BYTES
}

/** The last segment's manifest carries ids and words; without any event it is a manifest only. */
export async function writeBatch(
  catalogue: Catalogue,
  options: BatchOptions,
  batch: Batch,
  groups: AsyncIterable<Piece[] | CopiedBlock | TakenPacket>,
): Promise<{ drafts: Draft[]; totals: BatchTotals }> {
  const drafts: Draft[] = []
  const totals = { events: 0, lines: 0, bytes: 0 }
  const buckets = bounds(batch.buckets)
  const write = async (writer: SegmentWriter, isLast: boolean) => {
    const written = writer.finish()
    const manifest = describeSegment(written, {
      span: batch.span,
      firstBucket: buckets.first,
      lastBucket: buckets.last,
      packets: isLast ? [...batch.packets.runs()] : [],
      words: isLast ? batch.words : { manifests: [], gone: [] },
      writer: options.writer,
      wallMs: Math.floor(options.world.clock.now()),
    })
    totals.events += manifest.events
    totals.lines += manifest.lines
    totals.bytes += manifest.rawBytes
    drafts.push(await catalogue.draft(written?.content, manifest))
  }
  const releaseMemory = columnsCodec().holdMemory()
  try {
    const newWriter = () => new SegmentWriter({ blockBytes: options.blockBytes, level: options.zstdLevel })
    let writer = newWriter()
    const goOnInNextWhereFull = async () => {
      if (writer.bytes < SEGMENT_BYTES) return
      await write(writer, false)
      writer = newWriter()
    }
    for await (const group of groups) {
      if (!Array.isArray(group)) {
        if ('stored' in group) writer.copy(group.block, group.stored, group.filter, group.parts)
        else writer.take(group)
        await goOnInNextWhereFull()
        continue
      }
      for (const piece of group.sort(comparePieces)) {
        writer.append(piece)
        await goOnInNextWhereFull()
      }
    }
    await write(writer, true)
  } catch (error) {
    await catalogue.discard(drafts)
    throw error
  } finally {
    releaseMemory()
  }
  return { drafts, totals }
}

/** Equal paths of all hosts side by side: like lies by like. Then source and offset. */
function comparePieces(a: Piece, b: Piece): number {
  return (
    compareText(a.run.path, b.run.path) ||
    compareText(a.run.host, b.run.host) ||
    compareText(a.run.source, b.run.source) ||
    a.from - b.from
  )
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

function bounds(buckets: Bucket[]): { first: Bucket; last: Bucket } {
  return buckets.reduce(
    ({ first, last }, bucket) => ({ first: Math.min(first, bucket), last: Math.max(last, bucket) }),
    { first: buckets[0] ?? 0, last: buckets[0] ?? 0 },
  )
}
