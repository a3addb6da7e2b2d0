// XSalsa20-Poly1305 ("secretbox") from tweetnacl, which runs everywhere, or from sodium-native, which gives the same
// bytes about ten times quicker, where it can be loaded and proves so at start. Then tweetnacl is not even loaded.
import { createHash } from 'node:crypto'
import { createRequire } from 'node:module'
import type Nacl from 'tweetnacl'

export const KEY_BYTES = 32
export const NONCE_BYTES = 24
/** What sealing adds: the Poly1305 tag, in front of the cipher text. */
export const TAG_BYTES = 16

export interface Secretbox {
  readonly name: 'tweetnacl' | 'sodium'
  seal(message: Buffer, nonce: Buffer, key: Buffer): Buffer
  /** Undefined if the box was not sealed with this nonce and key, or was changed since. */
  open(box: Buffer, nonce: Buffer, key: Buffer): Buffer | undefined
}

const require = createRequire(import.meta.url)
let loaded: typeof Nacl | undefined

function tweetnacl(): typeof Nacl {
  loaded ??= require('tweetnacl') as typeof Nacl
  return loaded
}

export const tweetnaclBox: Secretbox = {
  name: 'tweetnacl',
  seal: (message, nonce, key) => asBuffer(tweetnacl().secretbox(message, nonce, key)),
  open: (box, nonce, key) => {
    const message = tweetnacl().secretbox.open(box, nonce, key)
    return message ? asBuffer(message) : undefined
  },
}

/** The two functions of sodium-native that are used; it brings no types. */
export interface Sodium {
  crypto_secretbox_easy(box: Buffer, message: Buffer, nonce: Buffer, key: Buffer): void
  crypto_secretbox_open_easy(message: Buffer, box: Buffer, nonce: Buffer, key: Buffer): boolean
}

export function sodiumBox(sodium: Sodium): Secretbox {
  return {
    name: 'sodium',
    seal: (message, nonce, key) => {
      const box = Buffer.allocUnsafe(message.length + TAG_BYTES)
      sodium.crypto_secretbox_easy(box, message, nonce, key)
      return box
    },
    open: (box, nonce, key) => {
      if (box.length < TAG_BYTES) return undefined
      const message = Buffer.allocUnsafe(box.length - TAG_BYTES)
      return sodium.crypto_secretbox_open_easy(message, box, nonce, key) ? message : undefined
    },
  }
}

/** sodium-native is optional: undefined where it is not installed or has no binary for this machine. */
export async function loadSodium(): Promise<Sodium | undefined> {
  const name = 'sodium-native' // not a literal in import(): the package has no types
  try {
    return ((await import(name)) as { default: Sodium }).default
  } catch {
    return undefined // tweetnacl does the same, slower; `bucktail status` names which one runs
  }
}

/** The quickest one that can be trusted: sodium only if it gives the bytes that tweetnacl gives. */
export function chooseSecretbox(sodium: Sodium | undefined): Secretbox {
  if (!sodium) return tweetnaclBox
  const box = sodiumBox(sodium)
  return isSameAsTweetnacl(box) ? box : tweetnaclBox
}

/** Lengths on both sides of the cipher's 64-byte blocks and the tag's 16-byte blocks, and a few blocks together. */
const PROBE_LENGTHS = [0, 1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 1000, 4099]
/** SHA-256 over the boxes that tweetnacl makes of the probes: to let it make them again at each start took 20 ms. */
export const PROBED_BY_TWEETNACL = '74e5835133f8b89c59af56a2b712a28aee74834e97e8283cc437b4b4c247cb77'

/** @returns SHA-256 over the boxes, hex; undefined if one cannot be opened again, or can although it was changed */
export function probe(box: Secretbox): string | undefined {
  const boxes = createHash('sha256')
  for (const length of PROBE_LENGTHS) {
    const message = Buffer.from(Array.from({ length }, (_, i) => (i * 7 + length) & 0xff))
    const nonce = Buffer.alloc(NONCE_BYTES, length & 0xff)
    const key = Buffer.alloc(KEY_BYTES, ~length & 0xff)
    const sealed = box.seal(message, nonce, key)
    boxes.update(sealed)
    if (!box.open(sealed, nonce, key)?.equals(message)) return undefined
    sealed[sealed.length - 1]! ^= 1
    if (box.open(sealed, nonce, key) !== undefined) return undefined
  }
  return boxes.digest('hex')
}

function isSameAsTweetnacl(box: Secretbox): boolean {
  try {
    return probe(box) === PROBED_BY_TWEETNACL
  } catch {
    return false // a library that throws on good input is not one to encrypt with
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Chosen once, at start. */
export const secretbox: Secretbox = chooseSecretbox(await loadSodium())
