// What seals the frames of one direction of one connection. A key of its own, fresh with each connection, and a nonce
// that counts the boxes: a box that is replayed, left out, reordered, mirrored or of another connection does not open.
import { KEY_BYTES, NONCE_BYTES, type Secretbox, TAG_BYTES } from './secretbox.ts'

export interface Cipher {
  /** Bytes that `seal` adds. */
  readonly overhead: number
  readonly protects: boolean
  seal(message: Buffer): Buffer
  /** Undefined if these are not the next bytes that the other side sealed. The connection is of no use then. */
  open(sealed: Buffer): Buffer | undefined
}

export class NaclCipher implements Cipher {
  readonly overhead = TAG_BYTES
  readonly protects = true
  readonly #box: Secretbox
  readonly #key: Buffer
  readonly #nonce = Buffer.alloc(NONCE_BYTES)
  /** Below 2^53 for longer than any connection lives: 285 years at a million boxes a second. */
  #boxes = 0

  constructor(box: Secretbox, key: Buffer) {
    if (key.length !== KEY_BYTES) throw new RangeError(`a cipher's key has ${KEY_BYTES} bytes, not ${key.length}`)
    this.#box = box
    this.#key = key
  }

  seal(message: Buffer): Buffer {
    return this.#box.seal(message, this.#nextNonce(), this.#key)
  }

  open(sealed: Buffer): Buffer | undefined {
    return this.#box.open(sealed, this.#nextNonce(), this.#key)
  }

  #nextNonce(): Buffer {
    this.#nonce.writeBigUInt64BE(BigInt(this.#boxes++), NONCE_BYTES - 8)
    return this.#nonce
  }
}

/** Mode `plain`: the bytes as they are. Protects nothing. */
export const plainCipher: Cipher = {
  overhead: 0,
  protects: false,
  seal: message => message,
  open: sealed => sealed,
}
