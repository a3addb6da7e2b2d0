// A buck's folder on one disk, read only: for the scan at start, and for programs that look into a folder in which
// nothing runs.
//   <folder>/buckets/<disk>/<ti>/<me>    ti: start of the bucket in seconds; me: the buck's name
import { type Entry, scanBucketFile } from '../shared/bucket-file.ts'
import type { Bucket } from '../shared/messages.ts'
import { CorruptPacketError, decodePacket, type Packet, UnknownPacketVersionError } from '../shared/packet.ts'
import type { Disk } from '../shared/world.ts'
import type { FoundDamage } from './damages.ts'

export interface BuckFilePlace {
  path: string
  bucket: Bucket
  me: string
}

/** Every bucket file, by bucket within each `<disk>`. */
export async function* listBuckFiles(disk: Disk, folder: string): AsyncGenerator<BuckFilePlace> {
  for (const name of await disk.list(`${folder}/buckets`)) {
    const buckets = (await disk.list(`${folder}/buckets/${name}`)).filter(ti => /^[0-9]{1,10}$/.test(ti))
    buckets.sort((a, b) => Number(a) - Number(b))
    for (const ti of buckets) {
      for (const me of await disk.list(`${folder}/buckets/${name}/${ti}`)) {
        yield { path: `${folder}/buckets/${name}/${ti}/${me}`, bucket: Number(ti), me }
      }
    }
  }
}

export type BuckFileItem =
  | { kind: 'packet'; position: number; bytes: number; packet: Packet }
  | { kind: 'word'; entry: Entry }
  | { kind: 'damage'; damage: FoundDamage }
  /** A whole packet of a version that this program does not read. */
  | { kind: 'unknown'; damage: FoundDamage }

/** Everything in one bucket file, in order. */
export async function* readBuckFile(disk: Disk, path: string): AsyncGenerator<BuckFileItem> {
  for await (const entry of scanBucketFile(disk, path)) {
    if (entry.kind === 'damaged') {
      const { position, bytes, reason, torn } = entry
      yield { kind: 'damage', damage: { path, position, bytes, reason, torn } }
    } else if (entry.kind === 'packet') {
      yield readPacket(path, entry)
    } else {
      yield { kind: 'word', entry }
    }
  }
}

export type BuckFolderItem =
  | { kind: 'packet'; path: string; packet: Packet }
  | { kind: 'manifest' | 'gone'; path: string; payload: Buffer }
  | { kind: 'damage'; damage: FoundDamage }

/** Packets, words and damages of every bucket file in a folder, whatever buck wrote it. Changes nothing. */
export async function* readBuckFolder(disk: Disk, folder: string): AsyncGenerator<BuckFolderItem> {
  for await (const { path } of listBuckFiles(disk, folder)) {
    for await (const item of readBuckFile(disk, path)) {
      if (item.kind === 'packet') yield { kind: 'packet', path, packet: item.packet }
      else if (item.kind === 'damage' || item.kind === 'unknown') yield { kind: 'damage', damage: item.damage }
      else if (item.entry.kind === 'manifest' || item.entry.kind === 'gone') {
        yield { kind: item.entry.kind, path, payload: item.entry.payload }
      }
    }
  }
}

function readPacket(path: string, entry: Entry): BuckFileItem {
  const damage = (error: Error): FoundDamage => {
    return { path, position: entry.position, bytes: entry.payload.length, reason: error.message, torn: false }
  }
  try {
    return {
      kind: 'packet',
      position: entry.position,
      bytes: entry.payload.length,
      packet: decodePacket(entry.payload),
    }
  } catch (error) {
    if (error instanceof UnknownPacketVersionError) return { kind: 'unknown', damage: damage(error) }
    if (error instanceof CorruptPacketError) return { kind: 'damage', damage: damage(error) }
    throw error
  }
}
