// Opens links. One dial: connect ▸ handshake ▸ link, all within the handshake's time, or nothing is left of it.
import { connect, type Socket } from 'node:net'
import { type Dialer, type Link, LinkLostError, type Role } from '../link.ts'
import type { World } from '../world.ts'
import { parseAddress } from './address.ts'
import { ChannelLink } from './channel-link.ts'
import { type ChannelConfig, checkChannelConfig, HANDSHAKE_MS, KEEP_ALIVE_MS, SILENT_MS } from './config.ts'
import { BadFrameError } from './frame.ts'
import { greetAsDialler } from './greet.ts'
import { Inbox, InboxEndedError } from './inbox.ts'
import { Outbox } from './outbox.ts'
import { secretbox } from './secretbox.ts'
import { UntrustedPeerError } from './untrusted-peer.ts'

/**
 * @param expects the role of who listens there; another one is refused
 * Throws ChannelConfigError. `dial` rejects with UntrustedPeerError; RangeError for an address that is none; LinkLostError
 * for all else; the signal's reason when it aborts.
 */
export function createDialer(config: ChannelConfig, world: World, expects: Role): Dialer {
  checkChannelConfig(config, world.clock)
  return { dial: (address, signal) => dial(address, config, expects, world, signal) }
}

async function dial(
  address: string,
  config: ChannelConfig,
  expects: Role,
  world: World,
  signal: AbortSignal | undefined,
): Promise<Link> {
  signal?.throwIfAborted()
  const { host, port } = parseAddress(address)
  const socket = connect({ host, port, noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS })
  const line = { inbox: new Inbox(socket), outbox: new Outbox(socket) }
  const handshakeMs = config.handshakeMs ?? HANDSHAKE_MS
  let isLate = false
  const timer = setTimeout(() => {
    isLate = true
    socket.destroy()
  }, handshakeMs)
  const abort = () => socket.destroy()
  signal?.addEventListener('abort', abort, { once: true })
  try {
    await connected(socket)
    const greeted = await greetAsDialler(line, config, expects, world)
    signal?.throwIfAborted()
    const { secretbox: box = secretbox, silentMs = SILENT_MS } = config
    const link = new ChannelLink({ socket, line, greeted, address, box, silentMs, world })
    // Whoever dialled calls `serve` in the turn in which it gets the link; reading begins after it.
    setImmediate(() => link.start())
    return link
  } catch (error) {
    line.outbox.end() // a refusal still goes out
    setImmediate(() => socket.destroy())
    signal?.throwIfAborted()
    throw isLate
      ? new LinkLostError(
          `no link to ${expects} at ${address} within ${handshakeMs} ms: is it overloaded, or a firewall between?`,
        )
      : explained(error, `${expects} at ${address}`)
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
}

function connected(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
    socket.once('close', () => reject(new Error('closed before it was connected')))
  })
}

function explained(error: unknown, where: string): Error {
  if (error instanceof UntrustedPeerError) return new UntrustedPeerError(error.reason, `${where}: ${error.message}`)
  if (error instanceof BadFrameError) return new UntrustedPeerError('damaged', `${where}: ${error.message}`)
  if (error instanceof InboxEndedError) {
    return new LinkLostError(`${where} ended the handshake: ${error.message}; its log may say why`, { cause: error })
  }
  // Of a name with several addresses Node makes an AggregateError, whose message is empty.
  const { message, code } = error as NodeJS.ErrnoException
  const text = message || code || 'no reason given'
  return new LinkLostError(`${where} cannot be reached: ${text}`, { cause: error })
}
