// What a merge of segments takes from them. Blocks that are large enough are taken over as they lie there, byte for byte:
// an archive that is tidied does not decode and encode again what nothing can be gained from.

import type { Piece } from './pieces.ts'
import { CorruptSegmentError, readSegmentBlock, readStoredBlock } from './segment.ts'
import { type CopiedBlock, GROUP_BYTES, inflatedBytes } from './segment-batch.ts'
import { runLabel, type SegmentBlock } from './segment-block.ts'
import type { SegmentSummary } from './segment-manifest.ts'
import type { OpenSegment, SegmentObjects } from './segment-objects.ts'
import type { StorePass } from './stores.ts'

/** Of the text that a block is made of: less than this, and it is worth encoding anew together with others. */
const SHARE_OF_A_FULL_BLOCK = 1 / 2

/** What a merge writes: blocks that are large enough as they are, the events of the others. Throws CorruptSegmentError. */
export async function* mergedContents(
  small: { name: string; summary: SegmentSummary }[],
  objects: SegmentObjects,
  pass: StorePass,
  blockBytes: number,
): AsyncGenerator<Piece[] | CopiedBlock> {
  const rest: { opened: OpenSegment; block: SegmentBlock }[] = []
  for (const { name, summary } of small) {
    if (summary.blocks === 0) continue
    const opened = await objects.open(name, ({ where, reason }) => {
      throw new CorruptSegmentError(where, reason)
    })
    for (const block of opened.blocks) {
      pass.signal?.throwIfAborted()
      const copy = block.rawBytes >= blockBytes * SHARE_OF_A_FULL_BLOCK ? await copyOf(opened, block) : undefined
      if (copy) yield copy
      else rest.push({ opened, block })
    }
  }
  let group: Piece[] = []
  let bytes = 0
  for (const { opened, block } of rest) {
    pass.signal?.throwIfAborted()
    const events = await objects.readBlock(opened, block)
    let first = 0
    for (const run of events.runs) {
      const end = first + run.events
      group.push({ events, first, end, run, from: run.from, to: run.to, origin: run.origin })
      first = end
    }
    bytes += inflatedBytes(block)
    if (bytes < GROUP_BYTES) continue
    yield group
    group = []
    bytes = 0
  }
  yield group
}

/** Inflated only where one block has lines of several files or names hosts and applications itself. */
async function copyOf(opened: OpenSegment, block: SegmentBlock): Promise<CopiedBlock | undefined> {
  const stored = await readStoredBlock(opened.file, block)
  if (!stored) return undefined
  const label = runLabel(block.runs[0])
  if (block.names.length <= 1 && block.runs.every(run => runLabel(run) === label)) {
    const { host, app } = block.runs[0]
    return { ...stored, block, parts: { hosts: [host], apps: [app], lines: [[label, block.lines]] } }
  }
  const events = await readSegmentBlock(opened.file, block)
  const hosts = new Set(block.runs.map(run => run.host))
  const apps = new Set(block.runs.map(run => run.app))
  const lines: [string, number][] = []
  let i = 0
  for (const run of block.runs) {
    let count = 0
    for (const end = i + run.events; i < end; i++) {
      count += events.lines[i]
      if (events.hosts[i] > 0) hosts.add(events.names[events.hosts[i]])
      if (events.apps[i] > 0) apps.add(events.names[events.apps[i]])
    }
    lines.push([runLabel(run), count])
  }
  return { ...stored, block, parts: { hosts, apps, lines } }
}
