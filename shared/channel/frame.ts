// What crosses a connection after the handshake: frames end to end, each a header, a body and, for some, a payload.
// Integers big-endian. Each of the three parts is sealed by itself, the header first: a length is believed only after
// its header was authenticated, and is checked before anything is allocated.
//
//   header, 16 bytes + tag            body, `body` bytes + tag                           payload, `payload` bytes
//   0      1   2     8          12  16                       0           64
//   ┌──────┬───┬─────┬──────────┬───────────────┐           ┌───────────┬─────────┐     ┌─────────────────────────┐
//   │ kind │ 0 │ id  │ body u32 │ payload u32   │           │ secret    │ msgpack │     │ sealed by itself        │
//   └──────┴───┴─────┴──────────┴───────────────┘           └───────────┴─────────┘     └─────────────────────────┘
//   kind      1 ask, 2 answer, 3 refusal, 4 bye, 5 welcome
//   id        u48, counts from 1 in each direction: of the ask, and of the answer or refusal to it; 0 in the others
//   body      bytes of the opened body, at most BODY_BYTES_MAX
//   payload   bytes as they follow (with their tag), 0 for none, at most PAYLOAD_BYTES_MAX + tag
//   secret    only where a payload follows, and not in mode plain: its key and the SHA-256 of its sealed bytes (payload.ts)
//   msgpack   ask: [type, body]   answer: body   refusal: [code, text]   bye: reason   welcome: nothing
// In mode plain there are no tags and no secret, and the payload follows as it is.
import { Packr } from 'msgpackr'
import type { Cipher } from './cipher.ts'
import { PAYLOAD_SECRET_BYTES, type SealedPayload } from './payload.ts'
import { TAG_BYTES } from './secretbox.ts'

export const HEADER_BYTES = 16
export const BODY_BYTES_MAX = 16 * 1024 * 1024
/** Over the largest answer to `fetch`: FETCH_BYTES_MAX and one packet. */
export const PAYLOAD_BYTES_MAX = 64 * 1024 * 1024

const KINDS = { ask: 1, answer: 2, refusal: 3, bye: 4, welcome: 5 } as const
export type FrameKind = keyof typeof KINDS
const KIND_NAMES = new Map<number, FrameKind>(Object.entries(KINDS).map(([name, n]) => [n, name as FrameKind]))

export interface FrameHeader {
  kind: FrameKind
  id: number
  bodyBytes: number
  /** On the wire. */
  payloadBytes: number
}

/** Bytes that no sound peer sends. The connection ends with it: nothing after them can be trusted. */
export class BadFrameError extends Error {
  override readonly name = 'BadFrameError'
}

// Records would make a frame depend on those before it.
const packr = new Packr({ useRecords: false })

export function packBody(value: unknown): Buffer {
  return packr.pack(value)
}

/** Buffers in the value are windows into `bytes`. */
export function unpackBody(bytes: Buffer): unknown {
  if (bytes.length === 0) return undefined
  try {
    return packr.unpack(bytes)
  } catch (cause) {
    throw new BadFrameError('a body is not msgpack', { cause })
  }
}

export function encodeFrame(
  cipher: Cipher,
  kind: FrameKind,
  id: number,
  body: Buffer,
  payload?: SealedPayload | { sealed: Buffer },
): Buffer[] {
  const whole = payload && 'secret' in payload ? Buffer.concat([payload.secret, body]) : body
  const header = Buffer.alloc(HEADER_BYTES)
  header[0] = KINDS[kind]
  header.writeUIntBE(id, 2, 6)
  header.writeUInt32BE(whole.length, 8)
  header.writeUInt32BE(payload?.sealed.length ?? 0, 12)
  const parts = [cipher.seal(header), cipher.seal(whole)]
  if (payload) parts.push(payload.sealed)
  return parts
}

/** @param header opened already. Throws BadFrameError. */
export function decodeHeader(header: Buffer, cipher: Cipher): FrameHeader {
  const kind = KIND_NAMES.get(header[0]!)
  if (!kind || header[1] !== 0) throw new BadFrameError(`a frame of an unknown kind, ${header[0]}`)
  const id = header.readUIntBE(2, 6)
  const bodyBytes = header.readUInt32BE(8)
  const payloadBytes = header.readUInt32BE(12)
  if (bodyBytes > BODY_BYTES_MAX + PAYLOAD_SECRET_BYTES) {
    throw new BadFrameError(`a body of ${bodyBytes} bytes is over ${BODY_BYTES_MAX}`)
  }
  if (payloadBytes > PAYLOAD_BYTES_MAX + TAG_BYTES) {
    throw new BadFrameError(`a payload of ${payloadBytes} bytes is over ${PAYLOAD_BYTES_MAX}`)
  }
  if (payloadBytes > 0 && kind !== 'ask' && kind !== 'answer') throw new BadFrameError(`a ${kind} with a payload`)
  if (payloadBytes > 0 && cipher.protects && (bodyBytes < PAYLOAD_SECRET_BYTES || payloadBytes < TAG_BYTES)) {
    throw new BadFrameError('a payload without its secret')
  }
  return { kind, id, bodyBytes, payloadBytes }
}
