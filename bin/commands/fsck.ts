// Reads every byte below a data folder and compares it with its checksums. Changes nothing.
//
//   bucket files of bucks and tailers (shared/bucket-file), packets in them (shared/packet), segments (shared/segment),
//   sealed documents of the stores (shared/sealed-json)
// What a crash leaves of an append is torn and no damage: it was never acknowledged. A flipped byte is damage, wherever it is.
import { closeSync, openSync, readdirSync, readFileSync, readSync } from 'node:fs'
import { join, relative } from 'node:path'
import { scanBucketFile } from '../../shared/bucket-file.ts'
import { decodePacket, packetEvents } from '../../shared/packet.ts'
import { realDisk } from '../../shared/real-disk.ts'
import { decodeSealed } from '../../shared/sealed-json.ts'
import { ownHeadDamage, readDirectory, readFilters, readSegmentBlock } from '../../shared/segment.ts'
import { checkDataVersion } from '../data-folder.ts'
import { EXIT, failure, reasonOf } from '../fail.ts'
import { openSegmentFile } from '../segment-on-disk.ts'
import { counted, escapeControls, Output } from '../terminal.ts'

const BUCKET_FILE_MAGIC = 'BKE1'

interface Finding {
  file: string
  /** Bytes from the start of the file; undefined: the whole file. */
  position?: number
  kind: 'damaged' | 'torn'
  reason: string
}

interface Counts {
  files: number
  packets: number
  blocks: number
  documents: number
  damaged: number
  torn: number
}

export async function fsck(folder: string, flags: { json?: boolean }): Promise<number> {
  const output = new Output()
  const counts: Counts = { files: 0, packets: 0, blocks: 0, documents: 0, damaged: 0, torn: 0 }
  let paths: string[]
  try {
    paths = readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter(entry => entry.isFile())
      .map(entry => join(entry.parentPath, entry.name))
      .sort()
  } catch (error) {
    throw failure(`cannot read ${folder}: ${reasonOf(error)}; name a data folder`, error)
  }
  checkDataVersion(folder)
  for (const path of paths) {
    for await (const found of findingsIn(path, counts)) {
      counts[found.kind]++
      const finding = { ...found, file: relative(folder, path) }
      if (flags.json) await output.line(JSON.stringify(finding))
      else await output.line(readable(finding))
    }
  }
  if (!flags.json) {
    const { files, packets, blocks, documents, damaged, torn } = counts
    await output.line(
      `${counted(files, 'file')} read: ${counted(packets, 'packet')}, ${counted(blocks, 'segment block')}, ${counted(documents, 'document')}; ` +
        (damaged === 0 ? 'nothing is damaged' : `${counted(damaged, 'place')} damaged`) +
        (torn === 0 ? '' : `; ${counted(torn, 'torn append')}, as a crash leaves it`),
    )
    if (damaged > 0) {
      await output.line('What is whole is still served. Bucks replace what another buck or the tailer still holds;')
      await output.line('`bucktail ledger` tells whether anything is missing.')
    }
  }
  await output.flush()
  return counts.damaged > 0 ? EXIT.holes : EXIT.fine
}

function readable({ file, position, kind, reason }: Finding): string {
  return escapeControls(`${kind}  ${file}${position === undefined ? '' : ` at ${position}`}: ${reason}`)
}

async function* findingsIn(path: string, counts: Counts): AsyncGenerator<Omit<Finding, 'file'>> {
  try {
    if (path.endsWith('.seg')) yield* inSegment(path, counts)
    else if (path.endsWith('.json')) yield* inDocument(path, counts)
    else if (startsWith(path, BUCKET_FILE_MAGIC) || /[/\\]buckets[/\\]/.test(path)) yield* inBucketFile(path, counts)
  } catch (error) {
    yield { kind: 'damaged', reason: `cannot be read: ${reasonOf(error)}` }
  }
}

async function* inBucketFile(path: string, counts: Counts): AsyncGenerator<Omit<Finding, 'file'>> {
  counts.files++
  for await (const entry of scanBucketFile(realDisk, path)) {
    if (entry.kind === 'damaged') {
      yield {
        kind: entry.torn ? 'torn' : 'damaged',
        position: entry.position,
        reason: `${entry.bytes} bytes: ${entry.reason}`,
      }
    } else if (entry.kind === 'packet') {
      counts.packets++
      try {
        packetEvents(decodePacket(entry.payload))
      } catch (error) {
        yield { kind: 'damaged', position: entry.position, reason: reasonOf(error) }
      }
    }
  }
}

async function* inSegment(path: string, counts: Counts): AsyncGenerator<Omit<Finding, 'file'>> {
  counts.files++
  const file = await openSegmentFile(realDisk, path)
  try {
    const reasons: string[] = []
    const blocks = await readDirectory(file, damage => reasons.push(damage.reason))
    for (const reason of reasons) yield { kind: 'damaged', reason }
    const filters: { where: string; reason: string }[] = []
    await readFilters(file, blocks, damage => filters.push(damage))
    for (const { reason } of filters) yield { kind: 'damaged', reason: `a filter of words: ${reason}` }
    for (const block of blocks) {
      counts.blocks++
      const head = await ownHeadDamage(file, block)
      if (head) yield { kind: 'damaged', position: block.position, reason: `a block's own head: ${head}` }
      try {
        await readSegmentBlock(file, block)
      } catch (error) {
        yield { kind: 'damaged', position: block.position, reason: reasonOf(error) }
      }
    }
  } finally {
    await file.close()
  }
}

function* inDocument(path: string, counts: Counts): Generator<Omit<Finding, 'file'>> {
  const bytes = readFileSync(path)
  let head: { format?: unknown; version?: unknown; sha256?: unknown }
  try {
    head = JSON.parse(bytes.toString('utf8'))
  } catch (error) {
    yield { kind: 'damaged', reason: `is no JSON: ${reasonOf(error)}` }
    return
  }
  // Others (a tailer's identity, a lease) carry no seal of their own.
  if (typeof head.format !== 'string' || head.sha256 === undefined) return
  counts.files++
  counts.documents++
  try {
    decodeSealed(bytes, head.format, Number(head.version))
  } catch (error) {
    yield { kind: 'damaged', reason: reasonOf(error) }
  }
}

function startsWith(path: string, magic: string): boolean {
  const handle = openSync(path, 'r')
  try {
    const head = Buffer.alloc(magic.length)
    return readSync(handle, head, 0, head.length, 0) === head.length && head.toString('latin1') === magic
  } finally {
    closeSync(handle)
  }
}
