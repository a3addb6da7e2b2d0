import type { Server } from 'node:net'

/** `host:port` that a server listens on; an IPv6 host in brackets. */
export function boundAddress(server: Server): string {
  const bound = server.address()
  if (bound === null || typeof bound === 'string') throw new Error('the server does not listen on a port')
  return `${bound.family === 'IPv6' ? `[${bound.address}]` : bound.address}:${bound.port}`
}
