// A segment as a plain file, without a store or settings: its lines, and whether it is what was written.
import { createHash } from 'node:crypto'
import { CorruptDocumentError, sha256Hex } from './sealed-json.ts'
import { CorruptSegmentError, readDirectory, readFilters, readSegmentBlock, type SegmentFile } from './segment.ts'
import { decodeSegmentManifest, type SegmentManifest } from './segment-manifest.ts'
import type { Damage } from './stores.ts'
import type { Disk } from './world.ts'

/** One read while the whole file is hashed. */
const WINDOW_BYTES = 1024 * 1024

export interface SegmentReport {
  blocks: number
  events: number
  lines: number
  bytes: number
  /** False: there is no manifest beside it; only its own checksums were compared. */
  hasManifest: boolean
  damages: Damage[]
}

/**
 * The exact bytes of all events, block by block, in the order of the file (by path, host, source, offset).
 * @param onDamage what is damaged is told and passed over; without it the first damage rejects with CorruptSegmentError
 */
export async function* catSegment(
  disk: Disk,
  path: string,
  onDamage: (damage: Damage) => void = throwDamage,
): AsyncGenerator<Buffer> {
  const opened = await openFile(disk, path)
  try {
    for (const block of await readDirectory(opened.file, onDamage)) {
      let bytes: Buffer
      try {
        bytes = (await readSegmentBlock(opened.file, block)).bytes
      } catch (error) {
        if (!(error instanceof CorruptSegmentError)) throw error
        onDamage({ where: error.where, reason: error.reason })
        continue
      }
      yield bytes
    }
  } finally {
    await opened.close()
  }
}

/** Reads all of it, compares every checksum, and the manifest beside it (`….json` for `….seg`) if it is there. */
export async function verifySegment(disk: Disk, path: string): Promise<SegmentReport> {
  const damages: Damage[] = []
  const report: SegmentReport = { blocks: 0, events: 0, lines: 0, bytes: 0, hasManifest: false, damages }
  const opened = await openFile(disk, path)
  try {
    const blocks = await readDirectory(opened.file, damage => damages.push(damage))
    await readFilters(opened.file, blocks, damage => damages.push(damage))
    for (const block of blocks) {
      try {
        const events = await readSegmentBlock(opened.file, block)
        report.blocks++
        report.events += events.ends.length
        report.lines += events.lines.reduce((sum, lines) => sum + lines, 0)
        report.bytes += events.bytes.length
      } catch (error) {
        if (!(error instanceof CorruptSegmentError)) throw error
        damages.push({ where: error.where, reason: error.reason })
      }
    }
    const manifest = await readManifest(disk, path.replace(/\.seg$/, '.json'), damages)
    report.hasManifest = manifest !== undefined
    if (manifest) damages.push(...(await compare(opened.file, manifest, report)))
    return report
  } finally {
    await opened.close()
  }
}

async function readManifest(disk: Disk, path: string, damages: Damage[]): Promise<SegmentManifest | undefined> {
  if ((await disk.stat(path)) === undefined) return undefined
  try {
    return decodeSegmentManifest(await disk.readFile(path))
  } catch (error) {
    if (!(error instanceof CorruptDocumentError)) throw error
    damages.push({ where: path, reason: error.message })
    return undefined
  }
}

async function compare(file: SegmentFile, manifest: SegmentManifest, report: SegmentReport): Promise<Damage[]> {
  const damages: Damage[] = []
  for (const { position, bytes, sha256 } of manifest.blockRecords) {
    if (sha256Hex(await file.read(position, position + bytes)) !== sha256) {
      damages.push({ where: `${file.name} block at ${position}`, reason: 'does not have the SHA-256 of the manifest' })
    }
  }
  const hash = createHash('sha256')
  for (let at = 0; at < file.size; at += WINDOW_BYTES) hash.update(await file.read(at, at + WINDOW_BYTES))
  if (hash.digest('hex') !== manifest.sha256) {
    damages.push({ where: file.name, reason: 'does not have the SHA-256 of the manifest' })
  }
  for (const [what, found, named] of [
    ['events', report.events, manifest.events],
    ['lines', report.lines, manifest.lines],
    ['bytes of text', report.bytes, manifest.rawBytes],
  ]) {
    if (found !== named) damages.push({ where: file.name, reason: `${found} ${what}, the manifest names ${named}` })
  }
  return damages
}

async function openFile(disk: Disk, path: string): Promise<{ file: SegmentFile; close(): Promise<void> }> {
  const open = await disk.open(path, 'read')
  const { size } = await open.stat()
  const read = async (from: number, to: number) => {
    const into = Buffer.allocUnsafe(Math.max(0, Math.min(to, size) - from))
    let filled = 0
    while (filled < into.length) {
      const got = await open.read(into.subarray(filled), from + filled)
      if (got === 0) break
      filled += got
    }
    return into.subarray(0, filled)
  }
  return { file: { name: path, size, read }, close: () => open.close() }
}

function throwDamage({ where, reason }: Damage): never {
  throw new CorruptSegmentError(where, reason)
}
