// What opens a connection, in every mode: the dialler's hello, in the clear, of fixed length.
//
//   0        4         5      6      7        8                 24                          56
//   ┌────────┬─────────┬──────┬──────┬────────┬─────────────────┬───────────────────────────┐
//   │ "BTCH" │ version │ mode │ role │ wanted │ environment tag │ ephemeral key             │
//   └────────┴─────────┴──────┴──────┴────────┴─────────────────┴───────────────────────────┘
//   mode             1 nacl, 2 plain: never negotiated, another one is refused
//   role, wanted     of the dialler, and what it takes the listener for; index in ROLES (shared/pass.ts)
//   environment tag  first 16 bytes of SHA-256("bucktail environment", ephemeral key, name): tells apart two environments
//                    without a word that an onlooker could follow from connection to connection
//   ephemeral key    X25519, fresh; in mode plain 32 random bytes
// and then, each way, handshake messages in a small envelope: kind u8, length u16, bytes (handshake.ts), the kinds being
//   2 the listener's message   3 the dialler's   255 a refusal, of one byte: a code out of REFUSALS
import { createHash } from 'node:crypto'
import { ROLES, type Role } from '../link.ts'
import { UntrustedPeerError, type UntrustedReason } from './untrusted-peer.ts'

export type Mode = 'nacl' | 'plain'

export const HELLO_BYTES = 56
export const ENVELOPE_BYTES = 3
/** Keys, tags and a pass have about 500 bytes. */
export const MESSAGE_BYTES_MAX = 1024
const MAGIC = 'BTCH'
const VERSION = 1
const MODES: readonly Mode[] = ['nacl', 'plain']
const REFUSAL = 255
const REFUSALS: readonly UntrustedReason[] = [
  'not-bucktail',
  'version',
  'mode',
  'role',
  'environment',
  'pass',
  'expired',
  'revoked',
  'damaged',
]

export interface Hello {
  mode: Mode
  role: Role
  wanted: Role
  environmentTag: Buffer
  ephemeral: Buffer
}

export function encodeHello(mode: Mode, role: Role, wanted: Role, environment: string, ephemeral: Buffer): Buffer {
  const head = Buffer.from([VERSION, MODES.indexOf(mode) + 1, ROLES.indexOf(role), ROLES.indexOf(wanted)])
  return Buffer.concat([Buffer.from(MAGIC), head, environmentTag(environment, ephemeral), ephemeral])
}

/** Throws UntrustedPeerError. */
export function decodeHello(bytes: Buffer): Hello {
  if (bytes.toString('latin1', 0, 4) !== MAGIC) {
    throw new UntrustedPeerError(
      'not-bucktail',
      'it does not speak the bucktail channel: another program dialled this port',
    )
  }
  if (bytes[4] !== VERSION) {
    throw new UntrustedPeerError(
      'version',
      `it speaks version ${bytes[4]} of the channel, this is ${VERSION}: update one`,
    )
  }
  const mode = MODES[bytes[5]! - 1]
  const role = ROLES[bytes[6]!]
  const wanted = ROLES[bytes[7]!]
  if (!mode) throw new UntrustedPeerError('mode', 'it speaks an unknown mode of the channel: update one side')
  if (!role || !wanted) throw new UntrustedPeerError('role', 'it names an unknown role: update one side')
  return { mode, role, wanted, environmentTag: bytes.subarray(8, 24), ephemeral: bytes.subarray(24, HELLO_BYTES) }
}

export function environmentTag(environment: string, ephemeral: Buffer): Buffer {
  return createHash('sha256')
    .update('bucktail environment')
    .update(ephemeral)
    .update(environment)
    .digest()
    .subarray(0, 16)
}

export function encodeEnvelope(kind: 2 | 3, message: Buffer): Buffer {
  const envelope = Buffer.alloc(ENVELOPE_BYTES)
  envelope[0] = kind
  envelope.writeUInt16BE(message.length, 1)
  return Buffer.concat([envelope, message])
}

export function encodeRefusal(reason: UntrustedReason): Buffer {
  return Buffer.from([REFUSAL, 0, 1, REFUSALS.indexOf(reason)])
}

/** Answers how many bytes follow, and whether they are a refusal. Throws UntrustedPeerError. */
export function decodeEnvelope(bytes: Buffer, expected: 2 | 3): { length: number; isRefusal: boolean } {
  const length = bytes.readUInt16BE(1)
  const isRefusal = bytes[0] === REFUSAL && length === 1
  if (!isRefusal && (bytes[0] !== expected || length > MESSAGE_BYTES_MAX)) {
    throw new UntrustedPeerError(
      'not-bucktail',
      'its answer is not of the bucktail channel: check that host and port are those of a bucktail channel',
    )
  }
  return { length, isRefusal }
}

export function decodeRefusal(code: number): UntrustedReason {
  return REFUSALS[code] ?? 'damaged'
}
