// A segment: events of many packets, written once, read by ranges. Integers big-endian; positions in bytes of the file.
//
//   ┌─────────┬─────────┬───┬─────────────┬──────────┬───┬──────────────┬───────────┬────────┐
//   │ block 0 │ block 1 │ … │ block n - 1 │ filter 0 │ … │ filter n - 1 │ directory │ footer │
//   └─────────┴─────────┴───┴─────────────┴──────────┴───┴──────────────┴───────────┴────────┘
//   block      shared/segment-block: head, meta, body
//   filter     shared/segment-tokens: which words the block cannot hold
//   directory  head and meta of every block again, end to end; then per block [filter bytes u32, filter crc u32], 0 0 for a
//              block without one: enough to know what lies where
//   footer
//   0        4         5       8            12                       16                    20                  24        28
//   ┌────────┬─────────┬───────┬────────────┬────────────────────────┬─────────────────────┬───────────────────┬─────────┐
//   │ "BTSF" │ version │ 0 u24 │ blocks u32 │ directory position u32 │ directory bytes u32 │ directory crc u32 │ crc u32 │
//   └────────┴─────────┴───────┴────────────┴────────────────────────┴─────────────────────┴───────────────────┴─────────┘
//   version    2. Version 1 has no filters, and its directory ends with the last meta
//   crc        IEEE, over the 24 bytes before it
// - A damaged block costs itself, a damaged filter the reading of its block. A damaged directory or footer costs a scan:
//   each block says what it holds.
import { crc32 } from 'node:zlib'
import { CorruptBlockError } from './block.ts'
import {
  BLOCK_HEAD_BYTES,
  BLOCK_MAGIC,
  decodeBlockHead,
  decodeBlockMeta,
  decodeBody,
  type FilterPlace,
  type SegmentBlock,
  type SegmentEvents,
} from './segment-block.ts'
import { TokenFilter } from './segment-tokens.ts'
import type { Damage } from './stores.ts'

export const FOOTER_BYTES = 28
const DIRECTORY_BYTES_MAX = 256 * 1024 * 1024
/** Read at the end of a file in the hope that the directory is in it; and per step of a scan. */
const TAIL_BYTES = 64 * 1024
const WINDOW_BYTES = 1024 * 1024
/** Per block in the directory's list. */
const FILTER_ENTRY_BYTES = 8
const VERSION = 2
const FOOTER_MAGIC = Buffer.from('BTSF', 'latin1')

/** Bytes of the file are not what was written. What is whole is still served; another copy has the rest. */
export class CorruptSegmentError extends Error {
  override readonly name = 'CorruptSegmentError'
  readonly where: string
  readonly reason: string
  constructor(where: string, reason: string, options?: ErrorOptions) {
    super(`${where}: ${reason}`, options)
    this.where = where
    this.reason = reason
  }
}

/** A file or object, however it is reached. `read` answers fewer bytes only where the file ends. */
export interface SegmentFile {
  name: string
  size: number
  read(from: number, to: number): Promise<Buffer>
}

/** What the directory of version 2 ends with. */
export function encodeFilterList(filters: (Buffer | undefined)[]): Buffer {
  const list = Buffer.alloc(filters.length * FILTER_ENTRY_BYTES)
  filters.forEach((filter, i) => {
    if (!filter) return
    list.writeUInt32BE(filter.length, i * FILTER_ENTRY_BYTES)
    list.writeUInt32BE(crc32(filter), i * FILTER_ENTRY_BYTES + 4)
  })
  return list
}

export function encodeFooter(blocks: number, directoryPosition: number, directory: Buffer): Buffer {
  const footer = Buffer.alloc(FOOTER_BYTES)
  FOOTER_MAGIC.copy(footer)
  footer.writeUInt8(VERSION, 4)
  footer.writeUInt32BE(blocks, 8)
  footer.writeUInt32BE(directoryPosition, 12)
  footer.writeUInt32BE(directory.length, 16)
  footer.writeUInt32BE(crc32(directory), 20)
  footer.writeUInt32BE(crc32(footer.subarray(0, 24)), 24)
  return footer
}

/** All blocks of a file. A damaged directory is told and read from the blocks instead. */
export async function readDirectory(file: SegmentFile, onDamage: (damage: Damage) => void): Promise<SegmentBlock[]> {
  try {
    return await readWholeDirectory(file)
  } catch (error) {
    if (!(error instanceof CorruptSegmentError)) throw error
    onDamage({ where: error.where, reason: `${error.reason}; the blocks are looked for one by one` })
  }
  return scanBlocks(file, onDamage)
}

/** Inflates one block. Throws CorruptSegmentError. */
export async function readSegmentBlock(file: SegmentFile, block: SegmentBlock): Promise<SegmentEvents> {
  const body = await readSegmentBody(file, block)
  try {
    return decodeBody(block, body)
  } catch (cause) {
    if (!(cause instanceof CorruptBlockError)) throw cause
    throw new CorruptSegmentError(nameOf(file, block), cause.message, { cause })
  }
}

/** The body of a block as it is stored, checksum compared. Throws CorruptSegmentError. */
export async function readSegmentBody(file: SegmentFile, block: SegmentBlock): Promise<Buffer> {
  const end = block.position + block.bytes
  const body = await file.read(block.bodyPosition, end)
  if (body.length !== end - block.bodyPosition) throw new CorruptSegmentError(nameOf(file, block), 'is cut short')
  if (crc32(body) !== block.bodyCrc) throw new CorruptSegmentError(nameOf(file, block), 'body checksum is wrong')
  return body
}

/**
 * A block with head and meta as it is stored, and its filter, to be copied; undefined if its own head and meta are not
 * whole, or its filter is not. Throws CorruptSegmentError.
 */
export async function readStoredBlock(
  file: SegmentFile,
  block: SegmentBlock,
): Promise<{ stored: Buffer; filter: Buffer | undefined } | undefined> {
  const stored = await file.read(block.position, block.position + block.bytes)
  const head = decodeBlockHead(stored, 0)
  if (typeof head === 'string' || head.bytes !== block.bytes || head.bodyCrc !== block.bodyCrc) return undefined
  const bodyAt = block.bodyPosition - block.position
  if (typeof decodeBlockMeta(head, stored.subarray(BLOCK_HEAD_BYTES, bodyAt)) === 'string') return undefined
  if (crc32(stored.subarray(bodyAt)) !== block.bodyCrc) {
    throw new CorruptSegmentError(nameOf(file, block), 'body checksum is wrong')
  }
  if (!block.filter) return { stored, filter: undefined }
  const { position, bytes, crc } = block.filter
  const filter = await file.read(position, position + bytes)
  return crc32(filter) === crc ? { stored, filter } : undefined
}

/**
 * What is wrong with a block's own head and meta. Whoever has the directory does without them; without it, what they do
 * not say is lost.
 */
export async function ownHeadDamage(file: SegmentFile, block: SegmentBlock): Promise<string | undefined> {
  const bytes = await file.read(block.position, block.bodyPosition)
  const head = decodeBlockHead(bytes, 0)
  if (typeof head === 'string') return head
  if (head.position !== block.position || head.bytes !== block.bytes || head.bodyCrc !== block.bodyCrc) {
    return 'the head is not the one that the directory names'
  }
  const own = decodeBlockMeta(head, bytes.subarray(BLOCK_HEAD_BYTES))
  return typeof own === 'string' ? own : undefined
}

/** The token filters of all blocks, in one read. Undefined for a block that has none, or whose filter is damaged. */
export async function readFilters(
  file: SegmentFile,
  blocks: SegmentBlock[],
  onDamage: (damage: Damage) => void,
): Promise<(TokenFilter | undefined)[]> {
  const places = blocks.flatMap(({ filter }) => filter ?? [])
  if (places.length === 0) return blocks.map(() => undefined)
  const from = places[0].position
  const bytes = await file.read(from, places[places.length - 1].position + places[places.length - 1].bytes)
  return blocks.map(({ filter }) => {
    if (!filter) return undefined
    const own = bytes.subarray(filter.position - from, filter.position - from + filter.bytes)
    const decoded = own.length === filter.bytes && crc32(own) === filter.crc ? TokenFilter.decode(own) : undefined
    if (!decoded) onDamage({ where: `${file.name} filter at ${filter.position}`, reason: 'checksum is wrong' })
    return decoded
  })
}

function nameOf(file: SegmentFile, block: SegmentBlock): string {
  return `${file.name} block at ${block.position}`
}

async function readWholeDirectory(file: SegmentFile): Promise<SegmentBlock[]> {
  const tailAt = Math.max(0, file.size - TAIL_BYTES)
  const tail = await file.read(tailAt, file.size)
  const footer = decodeFooter(file, tail)
  const { version, position, bytes, blocks: count, crc } = footer
  const directory =
    position >= tailAt
      ? tail.subarray(position - tailAt, position - tailAt + bytes)
      : await file.read(position, position + bytes)
  const where = `${file.name} directory at ${position}`
  if (directory.length !== bytes || crc32(directory) !== crc) {
    throw new CorruptSegmentError(where, 'checksum is wrong')
  }
  const blocks: SegmentBlock[] = []
  let end = 0
  const listAt = version === 1 ? bytes : bytes - count * FILTER_ENTRY_BYTES
  for (let at = 0; at < listAt; ) {
    const head = decodeBlockHead(directory, at)
    if (typeof head === 'string') throw new CorruptSegmentError(where, head)
    if (head.position !== end) throw new CorruptSegmentError(where, `block at ${head.position} instead of ${end}`)
    const metaAt = at + BLOCK_HEAD_BYTES
    const block = decodeBlockMeta(head, directory.subarray(metaAt, metaAt + head.metaBytes))
    if (typeof block === 'string') throw new CorruptSegmentError(where, block)
    blocks.push(block)
    at = metaAt + head.metaBytes
    end += block.bytes
  }
  for (let i = 0; version > 1 && blocks.length === count && i < count; i++) {
    const filter: FilterPlace = {
      position: end,
      bytes: directory.readUInt32BE(listAt + i * FILTER_ENTRY_BYTES),
      crc: directory.readUInt32BE(listAt + i * FILTER_ENTRY_BYTES + 4),
    }
    if (filter.bytes > 0) blocks[i].filter = filter
    end += filter.bytes
  }
  if (end !== position || blocks.length !== count) {
    throw new CorruptSegmentError(
      where,
      `names ${blocks.length} blocks and filters of ${end} bytes instead of ${count} of ${position}`,
    )
  }
  return blocks
}

function decodeFooter(
  file: SegmentFile,
  tail: Buffer,
): { version: number; blocks: number; position: number; bytes: number; crc: number } {
  const footer = tail.subarray(Math.max(0, tail.length - FOOTER_BYTES))
  const where = `${file.name} footer at ${Math.max(0, file.size - FOOTER_BYTES)}`
  if (footer.length < FOOTER_BYTES || !footer.subarray(0, 4).equals(FOOTER_MAGIC)) {
    throw new CorruptSegmentError(where, 'is not there: the file is cut')
  }
  if (crc32(footer.subarray(0, 24)) !== footer.readUInt32BE(24)) {
    throw new CorruptSegmentError(where, 'checksum is wrong')
  }
  const version = footer.readUInt8(4)
  if (version < 1 || version > VERSION) {
    throw new CorruptSegmentError(where, `version ${version}: this program reads versions 1 to ${VERSION}`)
  }
  const position = footer.readUInt32BE(12)
  const bytes = footer.readUInt32BE(16)
  if (bytes > DIRECTORY_BYTES_MAX || position + bytes + FOOTER_BYTES !== file.size) {
    throw new CorruptSegmentError(where, `names a directory of ${bytes} bytes at ${position} in a file of ${file.size}`)
  }
  const blocks = footer.readUInt32BE(8)
  if (version > 1 && blocks * FILTER_ENTRY_BYTES > bytes) {
    throw new CorruptSegmentError(where, `names ${blocks} blocks in a directory of ${bytes} bytes`)
  }
  return { version, blocks, position, bytes, crc: footer.readUInt32BE(20) }
}

/** Every block that can be found by its own head, in order of the file. One head and one meta at a time in memory. */
async function scanBlocks(file: SegmentFile, onDamage: (damage: Damage) => void): Promise<SegmentBlock[]> {
  const blocks: SegmentBlock[] = []
  for (let at = 0; at < file.size; ) {
    const head = decodeBlockHead(await file.read(at, at + BLOCK_HEAD_BYTES), 0)
    if (typeof head === 'string' || head.position !== at) {
      const next = await findHead(file, at + 1)
      // A head that names an earlier position is the directory's: what is wrong with that is told already.
      const isDirectory = typeof head !== 'string' && head.position < at
      if (!isDirectory) {
        const reason = typeof head === 'string' ? head : `its head says position ${head.position}`
        onDamage({ where: `${file.name} from ${at} to ${next}`, reason: `no block: ${reason}` })
      }
      at = next
      continue
    }
    const metaAt = at + BLOCK_HEAD_BYTES
    const block = decodeBlockMeta(head, await file.read(metaAt, metaAt + head.metaBytes))
    if (typeof block === 'string') onDamage({ where: `${file.name} block at ${at}`, reason: block })
    else blocks.push(block)
    at += head.bytes
  }
  return blocks
}

async function findHead(file: SegmentFile, from: number): Promise<number> {
  for (let at = from; at < file.size; ) {
    const window = await file.read(at, at + WINDOW_BYTES)
    if (window.length === 0) return file.size
    const found = window.indexOf(BLOCK_MAGIC)
    if (found < 0) {
      // The magic may lie across two windows.
      at += Math.max(1, window.length - (BLOCK_MAGIC.length - 1))
      continue
    }
    const head = decodeBlockHead(await file.read(at + found, at + found + BLOCK_HEAD_BYTES), 0)
    if (typeof head !== 'string' && head.position === at + found) return at + found
    at += found + 1
  }
  return file.size
}
