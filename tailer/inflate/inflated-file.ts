// A compressed file, read as if it were the plain one. It can only be gone through forwards; a window behind the place
// reached, and the head, are kept, so that what recognises a source is compared without beginning again.
import type { FileStat, OpenFile } from '../../shared/world.ts'
import { type Compression, inflate } from './inflate.ts'

/** Enough for a read that stopped before the end of its last line, and for the bytes before the offset. */
const WINDOW_BYTES = 640 * 1024

/** What one pass over a compressed file found. */
export interface Packed {
  compression: Compression
  /** Of the file itself: another size or time is another content. */
  fileBytes: number
  mtimeMs: number
  /** How much is in it. */
  bytes: number
}

export class InflatedFile implements OpenFile {
  readonly #file: OpenFile
  readonly #packed: Packed
  readonly #head: Buffer
  #pieces: AsyncGenerator<Buffer> | undefined
  /** Bytes [#from, #from + #window.length). */
  #window: Buffer = Buffer.alloc(0)
  #from = 0

  /** @param head first bytes of what is in it, if they are known */
  constructor(file: OpenFile, packed: Packed, head: Buffer = Buffer.alloc(0)) {
    this.#file = file
    this.#packed = packed
    this.#head = head
  }

  async read(into: Buffer, position: number): Promise<number> {
    const wanted = Math.min(into.length, this.#packed.bytes - position)
    if (wanted <= 0) return 0
    if (position + wanted <= this.#head.length) return this.#head.copy(into, 0, position, position + wanted)
    if (position < this.#from || this.#pieces === undefined) await this.#begin()
    while (this.#from + this.#window.length < position + wanted) {
      const { value, done } = await this.#pieces!.next()
      // Shorter than it was measured: it is another file by now, which the next look notices.
      if (done) break
      this.#keep(value, position)
    }
    const at = position - this.#from
    return at < 0 ? 0 : this.#window.copy(into, 0, at, Math.min(this.#window.length, at + wanted))
  }

  async stat(): Promise<FileStat> {
    const stat = await this.#file.stat()
    // Not the measured file any more: nothing can be said of its content.
    const isSame = stat.size === this.#packed.fileBytes && stat.mtimeMs === this.#packed.mtimeMs
    return { ...stat, size: isSame ? this.#packed.bytes : 0 }
  }

  async close(): Promise<void> {
    await this.#pieces?.return(undefined)
    await this.#file.close()
  }

  async append(): Promise<void> {
    throw new Error('a compressed file is only read')
  }

  sync(): Promise<void> {
    return this.append()
  }

  truncate(): Promise<void> {
    return this.append()
  }

  async #begin(): Promise<void> {
    await this.#pieces?.return(undefined)
    this.#pieces = inflate(this.#file, this.#packed.compression)
    this.#window = Buffer.alloc(0)
    this.#from = 0
  }

  /** Adds a piece; lets go of what lies more than a window before it, but not of what is asked for. */
  #keep(piece: Buffer, position: number): void {
    const end = this.#from + this.#window.length
    const keptFrom = Math.max(this.#from, Math.min(position, end + piece.length - WINDOW_BYTES))
    if (keptFrom >= end) {
      this.#window = piece
      this.#from = end
      return
    }
    this.#window = Buffer.concat([this.#window.subarray(keptFrom - this.#from), piece])
    this.#from = keptFrom
  }
}
