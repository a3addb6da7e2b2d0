/** Why a peer is not who it should be, or why it says so of us. The text of the error says what to do. */
export type UntrustedReason =
  | 'not-bucktail' // the first bytes are not ours: another program, or garbage
  | 'version' // a version of the handshake that is not ours
  | 'mode' // nacl here, plain there
  | 'role' // a role that was not expected
  | 'environment' // another environment, or a pass of one
  | 'pass' // a pass that the environment's key did not sign, or that is for another node or role
  | 'expired'
  | 'revoked'
  | 'damaged' // bytes that do not authenticate: wrong keys, or changed on the way

/** Trying again at once cannot help: the settings, keys or passes of one side must change first. */
export class UntrustedPeerError extends Error {
  override readonly name = 'UntrustedPeerError'
  readonly reason: UntrustedReason
  constructor(reason: UntrustedReason, message: string) {
    super(message)
    this.reason = reason
  }
}
