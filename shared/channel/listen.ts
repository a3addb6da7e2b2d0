// Accepts links on a port. Strangers are kept few and short: GREETING_MAX connections may be in the handshake, for
// HANDSHAKE_MS at most; a further one pushes out the oldest, which under a flood is most likely not one of ours.
import { createServer, type Server as NetServer, type Socket } from 'node:net'
import type { Link, Listener, Role } from '../link.ts'
import type { World } from '../world.ts'
import { formatAddress } from './address.ts'
import { ChannelLink } from './channel-link.ts'
import { type ChannelConfig, checkChannelConfig, HANDSHAKE_MS, KEEP_ALIVE_MS, SILENT_MS } from './config.ts'
import { BadFrameError } from './frame.ts'
import { greetAsListener } from './greet.ts'
import { Inbox } from './inbox.ts'
import { Outbox } from './outbox.ts'
import { type RefusalReason, Refusals } from './refusals.ts'
import { secretbox } from './secretbox.ts'
import { UntrustedPeerError } from './untrusted-peer.ts'

export const GREETING_MAX = 256
/** Over this, new connections are closed at once. */
export const LINKS_MAX = 4_096

export interface ChannelListener extends Listener {
  status(): { links: number; greeting: number; refused: Partial<Record<RefusalReason, number>> }
}

/** The port cannot be listened on. `code` is Node's: EADDRINUSE, EACCES, EADDRNOTAVAIL … */
export class ListenError extends Error {
  override readonly name = 'ListenError'
  readonly code: string | undefined
  constructor(message: string, code: string | undefined, cause: unknown) {
    super(message, { cause })
    this.code = code
  }
}

/**
 * `onLink` gets each link after its handshake and calls `serve` in the same turn.
 * @param at port 0: any free one; see `address` of what is returned
 * Throws ChannelConfigError, ListenError.
 */
export async function listenChannel(
  config: ChannelConfig,
  at: { host: string; port: number },
  accepts: readonly Role[],
  onLink: (link: Link) => void,
  world: World,
): Promise<ChannelListener> {
  checkChannelConfig(config, world.clock)
  const handshakeMs = config.handshakeMs ?? HANDSHAKE_MS
  const refusals = new Refusals(world)
  const links = new Set<ChannelLink>()
  const greeting = new Map<Socket, (reason: RefusalReason, text: string) => void>() // oldest first

  const handOver = (link: ChannelLink) => {
    try {
      onLink(link)
    } catch (error) {
      world.log.error('link not taken', { address: link.address, peer: link.peer.id, error })
      link.close('this side failed to take the link; its log says why')
    }
  }

  const greet = async (socket: Socket) => {
    const { remoteAddress: host = 'unknown', remotePort: port = 0 } = socket
    const line = { inbox: new Inbox(socket), outbox: new Outbox(socket) }
    let gaveUp: { reason: RefusalReason; text: string } | undefined
    const giveUp = (reason: RefusalReason, text: string) => {
      gaveUp = { reason, text }
      greeting.delete(socket) // now, so that the next stranger pushes out another one
      socket.destroy()
    }
    const timer = setTimeout(() => giveUp('timeout', `no handshake within ${handshakeMs} ms`), handshakeMs)
    greeting.set(socket, giveUp)
    try {
      const greeted = await greetAsListener(line, config, accepts, world)
      if (gaveUp || socket.destroyed) return
      const { secretbox: box = secretbox, silentMs = SILENT_MS } = config
      const address = formatAddress(host, port)
      const link = new ChannelLink({ socket, line, greeted, address, box, silentMs, world })
      links.add(link)
      void link.closed.then(() => links.delete(link))
      setImmediate(() => link.start())
      handOver(link)
    } catch (error) {
      line.outbox.end() // a refusal still goes out
      setImmediate(() => socket.destroy())
      const text = error instanceof Error ? error.message : String(error)
      refusals.add(host, gaveUp?.reason ?? reasonOf(error), gaveUp?.text ?? text)
    } finally {
      clearTimeout(timer)
      greeting.delete(socket)
    }
  }

  const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEP_ALIVE_MS }, socket => {
    if (links.size >= LINKS_MAX) {
      refusals.add(socket.remoteAddress ?? 'unknown', 'crowded', `${LINKS_MAX} links are open already`)
      socket.on('error', () => {}) // it is cut anyway
      socket.destroy()
      return
    }
    const [oldest] = greeting.values()
    if (greeting.size >= GREETING_MAX) oldest!('crowded', `over ${GREETING_MAX} connections are in the handshake`)
    void greet(socket)
  })
  await listening(server, at)
  const { address, port } = server.address() as { address: string; port: number }
  server.on('error', error => world.log.error('channel listener failed to accept', { error }))

  return {
    address: formatAddress(address, port),
    status: () => ({ links: links.size, greeting: greeting.size, refused: { ...refusals.counts } }),
    close: async () => {
      const closed = new Promise<void>(resolve => server.close(() => resolve()))
      for (const socket of greeting.keys()) socket.destroy()
      for (const link of links) link.close('the listener stops')
      await closed
    },
  }
}

function listening(server: NetServer, { host, port }: { host: string; port: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const hint = error.code === 'EADDRINUSE' ? ': another process listens there; stop it or set another port' : ''
      reject(
        new ListenError(`cannot listen on ${formatAddress(host, port)} (${error.message})${hint}`, error.code, error),
      )
    })
    server.listen({ host, port }, resolve)
  })
}

function reasonOf(error: unknown): RefusalReason {
  if (error instanceof UntrustedPeerError) return error.reason
  return error instanceof BadFrameError ? 'damaged' : 'ended'
}
