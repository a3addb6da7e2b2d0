// The bytes that wait to go out on a socket, in order. Handed to the kernel in slices, so that a slow line is seen to
// move while a large payload goes over it, and so that `unsentBytes` is what it says.
import type { Socket } from 'node:net'

/** Asks wait while more than this is unsent. Answers do not: what is in hand bounds them (channel-link.ts). */
export const UNSENT_BYTES_MAX = 8 * 1024 * 1024
const SLICE_BYTES = 256 * 1024

interface Entry {
  bytes: Buffer
  onSent?: () => void
}

interface Waiter {
  send: () => void
}

export class Outbox {
  readonly #socket: Socket
  #queue: Entry[] = []
  #waiters: Waiter[] = []
  #isWriting = false
  #isEnding = false
  unsentBytes = 0
  /** Bytes that the kernel took. */
  sentBytes = 0

  constructor(socket: Socket) {
    this.#socket = socket
  }

  /** `onSent` is called when the kernel has all of it; never, if the connection ends first. */
  push(parts: Buffer[], onSent?: () => void): void {
    if (this.#isEnding) return
    parts.forEach((bytes, i) => {
      this.unsentBytes += bytes.length
      this.#queue.push(i === parts.length - 1 ? { bytes, onSent } : { bytes })
    })
    this.#pump()
  }

  /**
   * Calls `send` at once, or when the unsent bytes are down to UNSENT_BYTES_MAX again: in the order of the calls.
   * @returns takes `send` back, if it was not called yet
   */
  whenRoom(send: () => void): () => void {
    if (this.#waiters.length === 0 && this.unsentBytes <= UNSENT_BYTES_MAX) {
      send()
      return () => {}
    }
    const waiter = { send }
    this.#waiters.push(waiter)
    return () => {
      this.#waiters = this.#waiters.filter(w => w !== waiter)
    }
  }

  /** Ends the connection after what is in the queue; takes nothing more. */
  end(): void {
    this.#isEnding = true
    this.#waiters = []
    this.#pump()
  }

  #pump(): void {
    if (this.#isWriting || this.#socket.destroyed) return
    if (this.#queue.length === 0) {
      if (this.#isEnding) this.#socket.end()
      return
    }
    const { parts, bytes, sent } = this.#nextSlice()
    this.#isWriting = true
    this.#socket.cork()
    parts.forEach((part, i) => {
      this.#socket.write(part, i === parts.length - 1 ? error => this.#afterWrite(error, bytes, sent) : undefined)
    })
    this.#socket.uncork()
  }

  /** Small entries together, a large one in part. */
  #nextSlice(): { parts: Buffer[]; bytes: number; sent: (() => void)[] } {
    const parts: Buffer[] = []
    const sent: (() => void)[] = []
    let bytes = 0
    let whole = 0
    for (const entry of this.#queue) {
      const part = entry.bytes.subarray(0, SLICE_BYTES - bytes)
      parts.push(part)
      bytes += part.length
      if (part.length < entry.bytes.length) {
        entry.bytes = entry.bytes.subarray(part.length)
        break
      }
      whole++
      if (entry.onSent) sent.push(entry.onSent)
      if (bytes >= SLICE_BYTES) break
    }
    this.#queue.splice(0, whole)
    return { parts, bytes, sent }
  }

  #afterWrite(error: Error | null | undefined, bytes: number, sent: (() => void)[]): void {
    this.#isWriting = false
    if (error) return // the socket's 'close' follows and ends the link
    this.unsentBytes -= bytes
    this.sentBytes += bytes
    for (const onSent of sent) onSent()
    while (this.#waiters.length > 0 && this.unsentBytes <= UNSENT_BYTES_MAX) this.#waiters.shift()!.send()
    this.#pump()
  }
}
