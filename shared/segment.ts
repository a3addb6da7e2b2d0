// A segment: events of many packets, written once, read by ranges. Integers big-endian; positions in bytes of the file.
//
//   ┌─────────┬─────────┬───┬─────────────┬───────────┬────────┐
//   │ block 0 │ block 1 │ … │ block n - 1 │ directory │ footer │
//   └─────────┴─────────┴───┴─────────────┴───────────┴────────┘
//   block      shared/segment-block: head, meta, body
//   directory  head and meta of every block again, end to end: enough to know what lies where
//   footer
//   0        4         5       8            12                       16                    20                  24        28
//   ┌────────┬─────────┬───────┬────────────┬────────────────────────┬─────────────────────┬───────────────────┬─────────┐
//   │ "BTSF" │ version │ 0 u24 │ blocks u32 │ directory position u32 │ directory bytes u32 │ directory crc u32 │ crc u32 │
//   └────────┴─────────┴───────┴────────────┴────────────────────────┴─────────────────────┴───────────────────┴─────────┘
//   crc        IEEE, over the 24 bytes before it
// - A damaged block costs itself. A damaged directory or footer costs a scan: each block says what it holds.
import { crc32 } from 'node:zlib'
import { CorruptBlockError, decodeBlock } from './block.ts'
import {
  BLOCK_HEAD_BYTES,
  BLOCK_MAGIC,
  decodeBlockHead,
  decodeBlockMeta,
  type SegmentBlock,
  type SegmentEvents,
} from './segment-block.ts'
import type { Damage } from './stores.ts'

export const FOOTER_BYTES = 28
const DIRECTORY_BYTES_MAX = 256 * 1024 * 1024
/** Read at the end of a file in the hope that the directory is in it; and per step of a scan. */
const TAIL_BYTES = 64 * 1024
const WINDOW_BYTES = 1024 * 1024
const VERSION = 1
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
  const where = `${file.name} block at ${block.position}`
  const end = block.position + block.bytes
  const body = await file.read(block.bodyPosition, end)
  if (body.length !== end - block.bodyPosition) throw new CorruptSegmentError(where, 'is cut short')
  if (crc32(body) !== block.bodyCrc) throw new CorruptSegmentError(where, 'body checksum is wrong')
  try {
    return { ...decodeBlock(body, block.runs, block.names), runs: block.runs }
  } catch (cause) {
    if (cause instanceof CorruptBlockError) throw new CorruptSegmentError(where, cause.message, { cause })
    throw cause
  }
}

async function readWholeDirectory(file: SegmentFile): Promise<SegmentBlock[]> {
  const tailAt = Math.max(0, file.size - TAIL_BYTES)
  const tail = await file.read(tailAt, file.size)
  const footer = decodeFooter(file, tail)
  const { position, bytes, blocks: count, crc } = footer
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
  for (let at = 0; at < directory.length; ) {
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
  if (end !== position || blocks.length !== count) {
    throw new CorruptSegmentError(
      where,
      `names ${blocks.length} blocks of ${end} bytes instead of ${count} of ${position}`,
    )
  }
  return blocks
}

function decodeFooter(
  file: SegmentFile,
  tail: Buffer,
): { blocks: number; position: number; bytes: number; crc: number } {
  const footer = tail.subarray(Math.max(0, tail.length - FOOTER_BYTES))
  const where = `${file.name} footer at ${Math.max(0, file.size - FOOTER_BYTES)}`
  if (footer.length < FOOTER_BYTES || !footer.subarray(0, 4).equals(FOOTER_MAGIC)) {
    throw new CorruptSegmentError(where, 'is not there: the file is cut')
  }
  if (crc32(footer.subarray(0, 24)) !== footer.readUInt32BE(24)) {
    throw new CorruptSegmentError(where, 'checksum is wrong')
  }
  if (footer.readUInt8(4) !== VERSION) {
    throw new CorruptSegmentError(where, `version ${footer.readUInt8(4)}: this program reads version ${VERSION}`)
  }
  const position = footer.readUInt32BE(12)
  const bytes = footer.readUInt32BE(16)
  if (bytes > DIRECTORY_BYTES_MAX || position + bytes + FOOTER_BYTES !== file.size) {
    throw new CorruptSegmentError(where, `names a directory of ${bytes} bytes at ${position} in a file of ${file.size}`)
  }
  return { blocks: footer.readUInt32BE(8), position, bytes, crc: footer.readUInt32BE(20) }
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
