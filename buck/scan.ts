// Reads every bucket file of a disk once, at start: what is whole goes into the holdings, what is not is named and stays.
import { unpack } from 'msgpackr'
import type { Entry } from '../shared/bucket-file.ts'
import type { PacketId } from '../shared/messages.ts'
import type { Packet } from '../shared/packet.ts'
import type { Disk } from '../shared/world.ts'
import type { Damages } from './damages.ts'
import type { DiskFolder } from './disk-folder.ts'
import { listBuckFiles, readBuckFile } from './folder.ts'
import type { HeldFile, Holdings } from './holdings.ts'
import { goneShape, manifestShape } from './shapes.ts'
import type { SourceTable } from './sources.ts'
import { goneKey, manifestKey } from './word-keys.ts'

export interface Scan {
  disk: Disk
  /** The buck's name: files of others are left alone. */
  me: string
  holdings: Holdings
  sources: SourceTable
  damages: Damages
  isArchived(id: PacketId): boolean
  /** Its id is held, or was archived, with another content. */
  onOtherContent(id: PacketId): void
  onForeignFile(): void
}

/** Rejects if the folder cannot be read at all; then the disk is known to fail. */
export async function scanDisk(scan: Scan, disk: DiskFolder): Promise<void> {
  try {
    await scanFolder(scan, disk.folder, disk.index)
  } catch (error) {
    disk.fail(error)
    throw error
  }
}

async function scanFolder(scan: Scan, folder: string, index: number): Promise<void> {
  const { disk, me, holdings, damages } = scan
  await disk.makeFolder(folder)
  for await (const { path, bucket, me: whose } of listBuckFiles(disk, folder)) {
    if (whose !== me) {
      scan.onForeignFile()
      continue
    }
    const stat = await disk.stat(path)
    if (!stat) continue
    const file = holdings.file(path, index, bucket, stat.mtimeMs)
    holdings.grow(file, stat.size)
    try {
      await scanFile(scan, file)
    } catch (error) {
      damages.note({ path, position: 0, bytes: stat.size, reason: (error as Error).message, torn: false })
      // What is in it is not known: it is never dropped.
      file.unarchived++
    }
  }
}

async function scanFile(scan: Scan, file: HeldFile): Promise<void> {
  for await (const item of readBuckFile(scan.disk, file.path)) {
    if (item.kind === 'packet') addPacket(scan, file, item.packet, item.position)
    else if (item.kind === 'word') addWord(scan, file, item.entry)
    else {
      scan.damages.note(item.damage)
      // Whole, but not for this program to judge: it is never dropped.
      if (item.kind === 'unknown') file.unarchived++
    }
  }
}

function addPacket(scan: Scan, file: HeldFile, packet: Packet, position: number): void {
  const { holdings, sources } = scan
  const { id } = packet.header
  if (holdings.find(id)) return
  if (holdings.sequence(id.tailer, id.epoch, id.sequence)) scan.onOtherContent(id)
  const held = holdings.add(id, file, position, packet.bytes.length, scan.isArchived(id))
  if (held) sources.note(packet, held)
}

function addWord({ holdings, damages }: Scan, file: HeldFile, entry: Entry): void {
  const { position } = entry
  const bytes = entry.payload.length
  try {
    if (entry.kind === 'manifest') {
      const manifest = manifestShape.parse(unpack(entry.payload))
      holdings.addWord({ kind: 'manifest', key: manifestKey(manifest), file, position, bytes })
    } else if (entry.kind === 'gone') {
      const key = goneKey(goneShape.parse(unpack(entry.payload)))
      holdings.addWord({ kind: 'gone', key, file, position, bytes })
    }
  } catch (error) {
    const reason = `${entry.kind} cannot be read: ${(error as Error).message}`
    damages.note({ path: file.path, position, bytes, reason, torn: false })
  }
}
