// The bytes of a socket, taken in pieces of known length. Nothing is read ahead beyond the socket's own buffer: who does
// not take makes the sender wait.
import type { Socket } from 'node:net'

/** The connection ended, was lost, or was given up, before the bytes that were to be taken came. */
export class InboxEndedError extends Error {
  override readonly name = 'InboxEndedError'
}

export class Inbox {
  readonly #socket: Socket
  #chunks: Buffer[] = []
  #held = 0
  #ended: InboxEndedError | undefined
  #wake: () => void = () => {}
  /** Bytes that came so far; grows while a large piece is on its way. */
  receivedBytes = 0
  /** When the last of them came; of performance.now(). */
  lastReceivedMs = performance.now()

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('readable', () => this.#wake())
    socket.on('end', () => this.#end('the connection ended without a goodbye'))
    socket.on('error', cause => this.#end('the connection broke', cause))
    socket.on('close', () => this.#end('the connection is closed'))
  }

  /** Whether a piece has begun to come and is not whole yet. */
  get isAmidst(): boolean {
    return this.#held > 0
  }

  /** Exactly `count` bytes; one caller at a time. Rejects with InboxEndedError. */
  async take(count: number): Promise<Buffer> {
    while (this.#held < count) {
      const chunk = this.#socket.read() as Buffer | null
      if (chunk) {
        this.#chunks.push(chunk)
        this.#held += chunk.length
        this.receivedBytes += chunk.length
        this.lastReceivedMs = performance.now()
      } else if (this.#ended) {
        throw this.#ended
      } else {
        await new Promise<void>(resolve => {
          this.#wake = resolve
        })
      }
    }
    return this.#cut(count)
  }

  #cut(count: number): Buffer {
    const first = this.#chunks[0]
    if (!first || first.length < count) {
      const all = Buffer.concat(this.#chunks)
      this.#chunks = all.length === count ? [] : [all.subarray(count)]
      this.#held -= count
      return all.subarray(0, count)
    }
    if (first.length === count) this.#chunks.shift()
    else this.#chunks[0] = first.subarray(count)
    this.#held -= count
    return first.subarray(0, count)
  }

  #end(why: string, cause?: Error): void {
    this.#ended ??= new InboxEndedError(cause ? `${why}: ${cause.message}` : why, { cause })
    this.#wake()
  }
}
