// What both ends of a channel are told. The same for dialling and listening.
import type { NodeKeys } from '../keys.ts'
import type { Role } from '../link.ts'
import { checkPass, type Pass } from '../pass.ts'
import type { Clock } from '../world.ts'
import type { Mode } from './hello.ts'
import type { Secretbox } from './secretbox.ts'
import { UntrustedPeerError } from './untrusted-peer.ts'

export interface ChannelConfig {
  /** `plain` protects nothing: roles, passes and environments are compared, but anybody can read, change and pretend. */
  mode: Mode
  environment: string
  role: Role
  keys: NodeKeys
  /** Of these keys and this role. */
  pass: Pass
  /** Ed25519 public key of the environment, 32 bytes. */
  environmentKey: Buffer
  /** Node ids that are let in no more, whatever pass they show. Read at each handshake. */
  revoked?: string[]
  /** Default: the quickest that this machine has. */
  secretbox?: Secretbox
  /** From the first packet of TCP to the end of the handshake. Default: HANDSHAKE_MS. */
  handshakeMs?: number
  /** See SILENT_MS, the default. */
  silentMs?: number
}

export const HANDSHAKE_MS = 5_000
/**
 * A link on which an ask timed out and from which nothing came for so long is closed: the other host is gone without a word,
 * and TCP would send the same bytes again for a quarter of an hour. Whoever dialled pings every few seconds.
 */
export const SILENT_MS = 30_000
/** TCP's own probe on an idle line. A host that is gone without a word is found by it even where nobody pings. */
export const KEEP_ALIVE_MS = 10_000

/** The settings cannot work, whatever the other side does. */
export class ChannelConfigError extends Error {
  override readonly name = 'ChannelConfigError'
}

/** Throws ChannelConfigError: better at start than as the refusal of every peer. */
export function checkChannelConfig(config: ChannelConfig, clock: Pick<Clock, 'now'>): void {
  const mode: string = config.mode
  if (mode === 'tls') {
    throw new ChannelConfigError('channel mode tls is not built yet: set it to nacl, on every node of the environment')
  }
  if (mode !== 'nacl' && mode !== 'plain') {
    throw new ChannelConfigError(`channel mode ${JSON.stringify(mode)} is unknown: set it to nacl or plain`)
  }
  if (config.environmentKey.length !== 32) {
    throw new ChannelConfigError(`the environment's public key has ${config.environmentKey.length} bytes, not 32`)
  }
  try {
    checkPass(config.pass, {
      environmentKey: config.environmentKey,
      environment: config.environment,
      roles: [config.role],
      node: config.keys.id,
      nowMs: clock.now(),
      revoked: config.revoked,
    })
  } catch (error) {
    if (!(error instanceof UntrustedPeerError)) throw error
    throw new ChannelConfigError(`this ${config.role} would be refused everywhere: ${error.message}`, { cause: error })
  }
}
