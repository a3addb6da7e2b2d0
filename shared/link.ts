// One open, authenticated connection between two processes, as the code above the channel sees it: requests and
// notices in both directions, each with a small body and at most one large payload (packets, end to end).
// Real ones: shared/channel (NaCl or plain over TCP). Simulated ones: test/sim.
import type { Asks } from './messages.ts'

export const ROLES = ['tailer', 'buck', 'porter', 'archie'] as const
export type Role = (typeof ROLES)[number]

export interface Peer {
  role: Role
  /** hex, 32 digits: hash of the peer's public keys (shared/keys.ts, nodeId). A tailer id, a buck id, … */
  id: string
  /** Ed25519 public key that signs the peer's manifests; 32 bytes. */
  signKey: Buffer
}

export interface Reply<T> {
  body: T
  payload?: Buffer
}

/** The other side answered "no". `code` decides what the asker does; the text says why. */
export class RefusedError extends Error {
  override readonly name = 'RefusedError'
  readonly code: 'full' | 'throttled' | 'forbidden' | 'bad-request' | 'clone' | 'failed'
  constructor(code: RefusedError['code'], message: string) {
    super(message)
    this.code = code
  }
}

/** The link is gone, or the answer did not come in time: whether the other side did it is not known. */
export class LinkLostError extends Error {
  override readonly name = 'LinkLostError'
}

export type Server = <K extends keyof Asks>(
  type: K,
  body: Asks[K]['ask'],
  payload: Buffer | undefined,
) => Promise<Reply<Asks[K]['answer']>>

export interface Link {
  readonly peer: Peer
  /** The address dialled, or where the peer came from. */
  readonly address: string
  /**
   * Resolves with the answer; rejects with RefusedError (the other side's no) or LinkLostError (gone or over `timeoutMs`,
   * default 10 s). Requests are delivered in the order of the calls; answers may come in any order.
   * Waits before sending while the peer's unsent bytes are over the channel's bound (back-pressure).
   */
  ask<K extends keyof Asks>(
    type: K,
    body: Asks[K]['ask'],
    payload?: Buffer,
    timeoutMs?: number,
  ): Promise<Reply<Asks[K]['answer']>>
  /** Who answers what the peer asks. Set once, in the same turn in which the link was handed over. */
  serve(server: Server): void
  /** Resolves, never rejects, when the link is closed by either side or lost. */
  readonly closed: Promise<void>
  close(reason: string): void
}

/** Opens links. */
export interface Dialer {
  /** Rejects if it cannot be reached, times out (5 s), or is not who it should be (UntrustedPeerError, shared/channel). */
  dial(address: string, signal?: AbortSignal): Promise<Link>
}

/** Accepts links: `onLink` is called for each, after its handshake. */
export interface Listener {
  readonly address: string
  close(): Promise<void>
}
