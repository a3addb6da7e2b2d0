// What each side shows of itself inside the handshake: msgpack [signing key, pass]; its box key is the handshake's static
// key. Both keys together give its node id.
import { Packr } from 'msgpackr'
import { nodeId } from '../keys.ts'
import type { Peer, Role } from '../link.ts'
import { BadPassError, checkPass, decodePassBytes, encodePassBytes, type Pass } from '../pass.ts'
import type { ChannelConfig } from './config.ts'
import type { Shown } from './handshake.ts'
import { UntrustedPeerError } from './untrusted-peer.ts'

const packr = new Packr({ useRecords: false })

export function encodeIdentity(config: ChannelConfig): Buffer {
  return packr.pack([config.keys.signing.publicKey, encodePassBytes(config.pass)])
}

/** Who showed this, if its pass lets it be one of `roles`. Throws UntrustedPeerError. */
export function checkIdentity(shown: Shown, roles: readonly Role[], config: ChannelConfig, nowMs: number): Peer {
  const { signKey, pass } = decodeIdentity(shown.identity)
  const id = nodeId(shown.boxKey, signKey)
  const { environmentKey, environment, revoked } = config
  checkPass(pass, { environmentKey, environment, roles, node: id, nowMs, revoked })
  return { role: pass.role, id, signKey: Buffer.from(signKey) }
}

function decodeIdentity(bytes: Buffer): { signKey: Buffer; pass: Pass } {
  let cause: unknown
  try {
    const fields = packr.unpack(bytes) as unknown
    if (Array.isArray(fields)) {
      const [signKey, pass] = fields as unknown[]
      if (Buffer.isBuffer(signKey) && signKey.length === 32 && Buffer.isBuffer(pass)) {
        return { signKey, pass: decodePassBytes(pass) }
      }
    }
  } catch (error) {
    if (error instanceof BadPassError) throw new UntrustedPeerError('pass', `${error.message}: make a new pass`)
    cause = error
  }
  throw Object.assign(new UntrustedPeerError('damaged', 'what it shows of itself is damaged: update one side'), {
    cause,
  })
}
