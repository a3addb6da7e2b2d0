// A pass: the environment's word that a node may speak in a role. Made by `bucktail keygen` with the environment's
// signing key; shown by both ends of every connection, inside the handshake.
//
//   as text:   bucktail-pass-1.<base64url of the bytes>
//   as bytes:  msgpack [1, environment, role, node, not after, signature]
//   signed:    msgpack ["bucktail pass 1", environment, role, node, not after], Ed25519
// A pass is not a secret: what it allows needs the secret keys of the node it names. One for any node ('any', for machine
// images) is: whoever reads it can mint keys and come in with that role.
import { Packr } from 'msgpackr'
import { UntrustedPeerError } from './channel/untrusted-peer.ts'
import { type SigningKey, sign, verify } from './keys.ts'
import { ROLES, type Role } from './link.ts'

/** Longest environment name, UTF-8. */
export const ENVIRONMENT_BYTES_MAX = 64
export const PASS_BYTES_MAX = 512

export interface PassTerms {
  environment: string
  role: Role
  /** A node id (32 hex digits), or 'any': whatever keys a machine made from an image mints. */
  node: string
  /** Milliseconds since 1970. */
  notAfterMs: number
}

export interface Pass extends PassTerms {
  signature: Buffer
}

/** The text or the bytes are no pass. */
export class BadPassError extends Error {
  override readonly name = 'BadPassError'
}

const TEXT_PREFIX = 'bucktail-pass-1.'
const packr = new Packr({ useRecords: false })

export function signPass(environmentKey: SigningKey, terms: PassTerms): Pass {
  const { environment, role, node, notAfterMs } = terms
  if (!isEnvironmentName(environment)) {
    throw new RangeError(
      `an environment's name has 1 to ${ENVIRONMENT_BYTES_MAX} bytes: ${JSON.stringify(environment)}`,
    )
  }
  if (!isNode(node)) throw new RangeError(`a pass is for a node id of 32 hex digits, or for "any", not for ${node}`)
  return { environment, role, node, notAfterMs, signature: sign(environmentKey, signedBytes(terms)) }
}

export function encodePassBytes(pass: Pass): Buffer {
  return packr.pack([1, pass.environment, pass.role, pass.node, pass.notAfterMs, pass.signature])
}

/** Throws BadPassError. Does not check the signature. */
export function decodePassBytes(bytes: Buffer): Pass {
  if (bytes.length > PASS_BYTES_MAX) throw new BadPassError(`a pass of ${bytes.length} bytes is over ${PASS_BYTES_MAX}`)
  let fields: unknown
  try {
    fields = packr.unpack(bytes)
  } catch (cause) {
    throw new BadPassError('the pass is damaged', { cause })
  }
  if (!Array.isArray(fields)) throw new BadPassError('the pass is damaged')
  const [version, environment, role, node, notAfterMs, signature] = fields as unknown[]
  if (version !== 1) throw new BadPassError('the pass is of another version of bucktail')
  const isWhole =
    isEnvironmentName(environment) &&
    ROLES.includes(role as Role) &&
    isNode(node) &&
    typeof notAfterMs === 'number' &&
    Buffer.isBuffer(signature)
  if (!isWhole) throw new BadPassError('the pass is damaged')
  return { environment, role: role as Role, node, notAfterMs, signature }
}

/** One line of text, for a file or a setting. */
export function encodePass(pass: Pass): string {
  return TEXT_PREFIX + encodePassBytes(pass).toString('base64url')
}

/** Throws BadPassError. */
export function decodePass(text: string): Pass {
  const line = text.trim()
  if (!line.startsWith(TEXT_PREFIX)) throw new BadPassError(`a pass begins with ${TEXT_PREFIX}`)
  return decodePassBytes(Buffer.from(line.slice(TEXT_PREFIX.length), 'base64url'))
}

export interface PassCheck {
  /** Ed25519 public key of the environment. */
  environmentKey: Buffer
  environment: string
  /** Roles of which the pass may be. */
  roles: readonly Role[]
  /** Who shows it. */
  node: string
  nowMs: number
  revoked?: readonly string[]
}

/** Throws UntrustedPeerError with the reason, signature first: of a forged pass no field is worth a word. */
export function checkPass(pass: Pass, check: PassCheck): void {
  if (!verify(check.environmentKey, signedBytes(pass), pass.signature)) {
    throw new UntrustedPeerError(
      'pass',
      'its pass is not signed by the key of this environment: make it with the same `bucktail keygen` keys as the others',
    )
  }
  if (pass.environment !== check.environment) {
    throw new UntrustedPeerError(
      'environment',
      `its pass is for environment "${pass.environment}", this is "${check.environment}": check the environment settings`,
    )
  }
  if (!check.roles.includes(pass.role)) {
    throw new UntrustedPeerError(
      'role',
      `its pass is for a ${pass.role}, expected is ${check.roles.join(' or ')}: check the address, or make a pass for that role`,
    )
  }
  if (pass.node !== 'any' && pass.node !== check.node) {
    throw new UntrustedPeerError(
      'pass',
      `its pass is for node ${pass.node}, but its keys are those of ${check.node}: make a pass for it`,
    )
  }
  if (check.revoked?.includes(check.node)) {
    throw new UntrustedPeerError('revoked', `node ${check.node} is revoked: give it new keys and a pass for them`)
  }
  if (!(check.nowMs < pass.notAfterMs)) {
    throw new UntrustedPeerError(
      'expired',
      `its pass ended at ${timeText(pass.notAfterMs)}, the clock here says ${timeText(check.nowMs)}: make a new pass, or set the clock`,
    )
  }
}

function signedBytes(terms: PassTerms): Buffer {
  return packr.pack(['bucktail pass 1', terms.environment, terms.role, terms.node, terms.notAfterMs])
}

function isEnvironmentName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && Buffer.byteLength(value) <= ENVIRONMENT_BYTES_MAX
}

function isNode(value: unknown): value is string {
  return typeof value === 'string' && /^([0-9a-f]{32}|any)$/.test(value)
}

function timeText(ms: number): string {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? `${ms} ms` : date.toISOString()
}
