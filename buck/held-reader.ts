// What a buck reads back from its bucket files: packets and signed words, each checked. What is damaged is from then on not
// held, is named, and changes the inventory: a porter learns what is missing.
import { CorruptEntryError, type Entry, readEntry } from '../shared/bucket-file.ts'
import { FETCH_BYTES_MAX, type PacketId } from '../shared/messages.ts'
import { CorruptPacketError, decodePacket, type Packet, packetKey } from '../shared/packet.ts'
import type { OpenFile, World } from '../shared/world.ts'
import type { ChangeLog } from './changes.ts'
import type { Damages } from './damages.ts'
import type { Held, HeldFile, Holdings, Word } from './holdings.ts'

export interface HeldReaderParts {
  world: World
  holdings: Holdings
  changes: ChangeLog
  damages: Damages
}

export class HeldReader {
  readonly #parts: HeldReaderParts

  constructor(parts: HeldReaderParts) {
    this.#parts = parts
  }

  /** Those of the packets that are here and whole, up to FETCH_BYTES_MAX but at least one. */
  async fetch(ids: PacketId[]): Promise<Buffer> {
    const wanted = new Set<Held>()
    for (const id of ids) {
      const held = this.#parts.holdings.find(id)
      if (held) wanted.add(held)
    }
    // File by file and forward: one pass over each file.
    const inOrder = [...wanted].sort(
      (a, b) => a.file.bucket - b.file.bucket || a.file.disk - b.file.disk || a.position - b.position,
    )
    const found: Buffer[] = []
    let bytes = 0
    let open: { path: string; file: OpenFile } | undefined
    try {
      for (const held of inOrder) {
        if (found.length > 0 && bytes + held.bytes > FETCH_BYTES_MAX) break
        if (open && open.path !== held.file.path) {
          await open.file.close()
          open = undefined
        }
        const packet = await this.#whole(held, async () => {
          open ??= { path: held.file.path, file: await this.#parts.world.disk.open(held.file.path, 'read') }
          return readEntry(open.file, held.position)
        })
        if (!packet) continue
        found.push(packet.bytes)
        bytes += packet.bytes.length
      }
    } finally {
      await open?.file.close()
    }
    return Buffer.concat(found)
  }

  /** Undefined if it is damaged or gone. */
  packet(held: Held): Promise<Packet | undefined> {
    return this.#whole(held, () => this.#readAt(held.file.path, held.position))
  }

  /** Undefined if it is damaged or gone. */
  async word<T>(word: Word, decode: (payload: Buffer) => T): Promise<T | undefined> {
    const { file, position } = word
    let entry: Entry
    try {
      entry = await this.#readAt(file.path, position)
    } catch (error) {
      if (file.isDropped) return undefined
      if (!isDamage(error)) throw error
      this.#parts.holdings.removeWord(word)
      this.#found(file, position, 0, error)
      return undefined
    }
    return decode(entry.payload)
  }

  async #readAt(path: string, position: number): Promise<Entry> {
    const file = await this.#parts.world.disk.open(path, 'read')
    try {
      return await readEntry(file, position)
    } finally {
      await file.close()
    }
  }

  /** The packet, or undefined when it is damaged: then it is not held any more, and named. */
  async #whole(held: Held, read: () => Promise<Entry>): Promise<Packet | undefined> {
    if (held.file.isDropped) return undefined
    try {
      const packet = decodePacket((await read()).payload)
      const { tailer, epoch } = held.of
      const isOther = packetKey(packet.header.id) !== packetKey({ ...held, tailer, epoch })
      if (isOther) throw new CorruptPacketError(`another packet lies here: ${packetKey(packet.header.id)}`)
      return packet
    } catch (error) {
      if (held.file.isDropped) return undefined
      if (!isDamage(error)) throw error
      this.#parts.holdings.remove(held)
      this.#found(held.file, held.position, held.bytes, error)
      return undefined
    }
  }

  #found(file: HeldFile, position: number, bytes: number, error: unknown): void {
    this.#parts.damages.note({ path: file.path, position, bytes, reason: (error as Error).message, torn: false })
    // The inventory is another one now: a porter has to read it again to learn what is missing.
    this.#parts.changes.grew(file.bucket)
  }
}

/** Trouble with these bytes or this file, not with the process (out of handles, out of memory). */
function isDamage(error: unknown): boolean {
  if (error instanceof CorruptEntryError || error instanceof CorruptPacketError) return true
  const { code } = error as NodeJS.ErrnoException
  return code === 'EIO' || code === 'ENOENT'
}
