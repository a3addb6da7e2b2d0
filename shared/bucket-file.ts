// One time slice of packets and words about them, on the disk of a tailer or a buck: `buckets/<disk>/<ti>/<me>`.
// Entries end to end; integers big-endian; positions in bytes.
//
//   0             4        5         8             12                16               20             20 + length
//   ┌─────────────┬────────┬─────────┬─────────────┬─────────────────┬────────────────┬──────────────┐
//   │ "BKE1"      │ kind   │ 0 (u24) │ length  u32 │ header crc  u32 │ payload crc u32│ payload      │
//   └─────────────┴────────┴─────────┴─────────────┴─────────────────┴────────────────┴──────────────┘
//   header crc    IEEE, over the 12 bytes before it: a length is believed only after this was checked
//   payload crc   IEEE, over the payload: finds torn writes and bit rot; forgery is the channel's concern
// - An entry never spans two files, so a whole file can be copied or deleted as it is.
// - A crash may tear the last entry; a later append follows what is left of it. A damaged entry costs itself only: with a whole header the next entry is where the
//   length says, else it is looked for by its magic and header checksum.
import { crc32 } from 'node:zlib'
import type { Disk, OpenFile } from './world.ts'

/** Number stored → name. Append only. */
const KINDS = ['', 'packet', 'manifest', 'gone', 'source', 'archived', 'resume', 'birth', 'opening', 'note'] as const
export type EntryKind = Exclude<(typeof KINDS)[number], ''>

export const ENTRY_HEADER_BYTES = 20
/** What the header checksum vouches for, and itself. Behind it a later append may begin: the header may be torn, too. */
const CHECKED_BYTES = 16
/** A packet's bounds (shared/packet) with room to spare. */
export const PAYLOAD_BYTES_MAX = 48 * 1024 * 1024
const MAGIC = 0x424b4531
const MAGIC_BYTES = Buffer.from('BKE1', 'latin1')
/** One read while scanning; an entry that is longer makes it grow. */
const WINDOW_BYTES = 1024 * 1024
/** A power cut may leave a file longer than what was written of it: zeros, from a page on. */
const PAGE_BYTES = 4096

export interface Entry {
  kind: EntryKind
  /** Of the header, from the start of the file. */
  position: number
  payload: Buffer
}

/** Bytes that are no whole entry. `torn`: a crash leaves them, of an append that was not finished; else they are damage. */
export interface Damaged {
  kind: 'damaged'
  position: number
  bytes: number
  torn: boolean
  reason: string
}

/** The entry asked for is not whole. Another buck or the tailer may have it. */
export class CorruptEntryError extends Error {
  override readonly name = 'CorruptEntryError'
}

/** Header and payload, ready to append. */
export function encodeEntry(kind: EntryKind, payload: Buffer): Buffer[] {
  const header = Buffer.alloc(ENTRY_HEADER_BYTES)
  header.writeUInt32BE(MAGIC, 0)
  header.writeUInt8(KINDS.indexOf(kind), 4)
  header.writeUInt32BE(payload.length, 8)
  header.writeUInt32BE(crc32(header.subarray(0, 12)), 12)
  header.writeUInt32BE(crc32(payload), 16)
  return [header, payload]
}

/** Appends to one file, one call at a time in the order of the calls. What is on the disk before stays as it is. */
export class BucketFile {
  readonly path: string
  readonly #file: OpenFile
  #end: number
  #last: Promise<unknown> = Promise.resolve()
  #isSynced = false

  private constructor(path: string, file: OpenFile, end: number) {
    this.path = path
    this.#file = file
    this.#end = end
  }

  /** Opens or creates. A torn tail is not cut here: the next entry follows it and a scan finds it by its magic. */
  static async open(disk: Disk, path: string): Promise<BucketFile> {
    const file = await disk.open(path, 'append')
    return new BucketFile(path, file, (await file.stat()).size)
  }

  get bytes(): number {
    return this.#end
  }

  /** Everything appended so far is on the device. */
  get isSynced(): boolean {
    return this.#isSynced
  }

  /** Position of each entry. Rejects with the disk's error; then what was half written is cut off again. */
  append(entries: { kind: EntryKind; payload: Buffer }[]): Promise<number[]> {
    return this.#inTurn(async () => {
      const positions: number[] = []
      const parts: Buffer[] = []
      let end = this.#end
      for (const { kind, payload } of entries) {
        positions.push(end)
        parts.push(...encodeEntry(kind, payload))
        end += ENTRY_HEADER_BYTES + payload.length
      }
      this.#isSynced = false
      try {
        await this.#file.append(parts)
      } catch (error) {
        await this.#file.truncate(this.#end)
        throw error
      }
      this.#end = end
      return positions
    })
  }

  sync(): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#isSynced) return
      await this.#file.sync()
      this.#isSynced = true
    })
  }

  read(position: number): Promise<Entry> {
    return this.#inTurn(() => readEntry(this.#file, position))
  }

  close(): Promise<void> {
    return this.#inTurn(() => this.#file.close())
  }

  #inTurn<T>(step: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(step)
    // The next call waits for this one but does not fail with it.
    this.#last = turn.catch(() => undefined)
    return turn
  }
}

/** The entry whose header is at `position`. Throws CorruptEntryError. */
export async function readEntry(file: OpenFile, position: number): Promise<Entry> {
  const header = Buffer.allocUnsafe(ENTRY_HEADER_BYTES)
  await readFully(file, header, position)
  const head = decodeHeader(header)
  if (typeof head === 'string') throw new CorruptEntryError(`entry at ${position}: ${head}`)
  const payload = Buffer.allocUnsafe(head.length)
  await readFully(file, payload, position + ENTRY_HEADER_BYTES)
  if (crc32(payload) !== head.payloadCrc) throw new CorruptEntryError(`entry at ${position}: payload checksum is wrong`)
  return { kind: head.kind, position, payload }
}

/** Every whole entry in order, and what lies between. One entry at a time in memory. A missing file has none. */
export async function* scanBucketFile(disk: Disk, path: string): AsyncGenerator<Entry | Damaged> {
  if ((await disk.stat(path)) === undefined) return
  const file = await disk.open(path, 'read')
  try {
    const size = (await file.stat()).size
    let window: Buffer = Buffer.alloc(0)
    let windowAt = 0
    const peek: Peek = async (position, bytes) => {
      if (position < windowAt || position + bytes > windowAt + window.length) {
        const into = Buffer.allocUnsafe(Math.max(0, Math.min(Math.max(bytes, WINDOW_BYTES), size - position)))
        let filled = 0
        while (filled < into.length) {
          const got = await file.read(into.subarray(filled), position + filled)
          if (got === 0) break
          filled += got
        }
        window = into.subarray(0, filled)
        windowAt = position
      }
      return window.subarray(position - windowAt, position - windowAt + bytes)
    }

    for (let position = 0; position < size; ) {
      const head = decodeHeader(await peek(position, ENTRY_HEADER_BYTES))
      if (typeof head === 'string') {
        const next = await findHeader(peek, position + 1, size)
        const torn = await isTorn(peek, position, next)
        yield { kind: 'damaged', position, bytes: next - position, torn, reason: head }
        position = next
        continue
      }
      const payload = await peek(position + ENTRY_HEADER_BYTES, head.length)
      const end = Math.min(size, position + ENTRY_HEADER_BYTES + head.length)
      if (payload.length < head.length) {
        // A torn append, or later appends after a torn one: look for the next header inside what the length claims.
        const next = await findHeader(peek, position + CHECKED_BYTES, size)
        const torn = await isTorn(peek, position, next)
        yield { kind: 'damaged', position, bytes: next - position, torn, reason: 'the entry is cut short' }
        position = next
        continue
      }
      if (crc32(payload) !== head.payloadCrc) {
        const next = await findHeader(peek, position + CHECKED_BYTES, size)
        const resumed = Math.min(next, end)
        const reason = 'payload checksum is wrong'
        const torn = await isTorn(peek, position, resumed)
        yield { kind: 'damaged', position, bytes: resumed - position, torn, reason }
        position = resumed
        continue
      }
      yield { kind: head.kind, position, payload: Buffer.from(payload) }
      position = end
    }
  } finally {
    await file.close()
  }
}

function decodeHeader(bytes: Buffer): { kind: EntryKind; length: number; payloadCrc: number } | string {
  if (bytes.length < ENTRY_HEADER_BYTES) return 'the header is cut short'
  if (bytes.readUInt32BE(0) !== MAGIC) return 'no entry begins here'
  if (bytes.readUInt32BE(12) !== crc32(bytes.subarray(0, 12))) return 'header checksum is wrong'
  const kind = KINDS[bytes.readUInt8(4)]
  const length = bytes.readUInt32BE(8)
  if (!kind) return `kind ${bytes.readUInt8(4)} is not known`
  if (length > PAYLOAD_BYTES_MAX) return `length ${length} is over ${PAYLOAD_BYTES_MAX}`
  return { kind, length, payloadCrc: bytes.readUInt32BE(16) }
}

/** `bytes` from `position`, or fewer at the end of the file. */
type Peek = (position: number, bytes: number) => Promise<Buffer>

/**
 * Whether [position, end) can be what an append left that was not finished: the beginning of an entry, then nothing, or zeros
 * from a page of the file on. A whole entry with a wrong checksum, or anything else, is no crash's work.
 */
async function isTorn(peek: Peek, position: number, end: number): Promise<boolean> {
  const head = await peek(position, Math.min(ENTRY_HEADER_BYTES, end - position))
  const { length = PAYLOAD_BYTES_MAX } = decodeBegunHeader(head) ?? {}
  let written = position
  for (let at = position; at < end; ) {
    const bytes = await peek(at, Math.min(WINDOW_BYTES / 2, end - at))
    if (bytes.length === 0) break
    const last = bytes.findLastIndex(byte => byte !== 0)
    if (last >= 0) written = at + last + 1
    at += bytes.length
  }
  // Nothing of it was written, or only its first pages.
  if (written === position) return true
  const zerosFrom = Math.max(position, Math.ceil(written / PAGE_BYTES) * PAGE_BYTES)
  const begun = Math.min(end, zerosFrom) - position
  return decodeBegunHeader(head.subarray(0, begun)) !== undefined && begun < ENTRY_HEADER_BYTES + length
}

/** Of a header as far as it is there; undefined: it is none. */
function decodeBegunHeader(bytes: Buffer): { length?: number } | undefined {
  if (bytes.length >= CHECKED_BYTES) {
    const whole = Buffer.alloc(ENTRY_HEADER_BYTES)
    bytes.copy(whole)
    const head = decodeHeader(whole)
    return typeof head === 'string' ? undefined : head
  }
  const isBegun = bytes.subarray(0, 4).equals(MAGIC_BYTES.subarray(0, bytes.length))
  const hasKind = bytes.length < 5 || (KINDS[bytes[4]] ?? '') !== ''
  return isBegun && hasKind && bytes.subarray(5, 8).every(byte => byte === 0) ? {} : undefined
}

/** Position of the next whole header at or after `from`; `size` if there is none. */
async function findHeader(peek: Peek, from: number, size: number): Promise<number> {
  for (let at = from; at < size; ) {
    const bytes = await peek(at, Math.min(WINDOW_BYTES / 2, size - at))
    const found = bytes.indexOf(MAGIC_BYTES)
    if (found < 0) {
      at += Math.max(1, bytes.length - 3)
      if (bytes.length <= 3) return size
      continue
    }
    if (typeof decodeHeader(await peek(at + found, ENTRY_HEADER_BYTES)) !== 'string') return at + found
    at += found + 1
  }
  return size
}

async function readFully(file: OpenFile, into: Buffer, position: number): Promise<void> {
  let filled = 0
  while (filled < into.length) {
    const got = await file.read(into.subarray(filled), position + filled)
    if (got === 0) throw new CorruptEntryError(`entry at ${position}: the file ends at ${position + filled}`)
    filled += got
  }
}
