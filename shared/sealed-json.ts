// Readable JSON that carries its own checksum as its last field, so that anybody can check it with a text tool:
//
//   {"format":"bucktail …","version":1, …
//   ,"sha256":"<64 hex digits>"}\n
//
// The SHA-256 is of all bytes before the line that begins with `,"sha256"`.
import { createHash } from 'node:crypto'

const HASH_HEX = 64
const SEAL = ',"sha256":"'
const TAIL_BYTES = 1 + SEAL.length + HASH_HEX + 3

/** The bytes are not what was written, or of a kind or version that this program does not read. */
export class CorruptDocumentError extends Error {
  override readonly name = 'CorruptDocumentError'
}

export function sha256Hex(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex')
}

/** @param format says what it is, e.g. `bucktail segment manifest`; checked when it is read */
export function encodeSealed(format: string, version: number, fields: Record<string, unknown>): Buffer {
  const text = JSON.stringify({ format, version, ...fields })
  const head = Buffer.from(text.slice(0, -1))
  return Buffer.concat([head, Buffer.from(`\n${SEAL}${sha256Hex(head)}"}\n`)])
}

/** Throws CorruptDocumentError. The fields are as they were written: their shape needs no second check. */
export function decodeSealed(bytes: Buffer, format: string, version: number): Record<string, unknown> {
  const head = bytes.subarray(0, Math.max(0, bytes.length - TAIL_BYTES))
  const tail = bytes.toString('latin1', head.length)
  if (tail !== `\n${SEAL}${sha256Hex(head)}"}\n`) {
    throw new CorruptDocumentError(`${bytes.length} bytes do not end in their own SHA-256: cut or changed`)
  }
  const fields = JSON.parse(`${head}}`)
  if (fields.format !== format || fields.version !== version) {
    throw new CorruptDocumentError(
      `is "${fields.format}" version ${fields.version}: this program reads "${format}" version ${version} here`,
    )
  }
  return fields
}
