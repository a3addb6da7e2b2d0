// An HTTP port that costs next to nothing until it is asked: it is bound at once, and what answers is loaded when the first
// connection comes, which waits so long. Most agents are never asked, and what an HTTP server and its schemas need is a
// third of the CPU of a start and several megabytes.
//
//   bound ─▶ loading (connections wait, paused) ─▶ served: the loaded server has the port
//     ▲          │ it cannot be loaded: who waits is hung up on; the next one tries again
//     └──────────┘
import { once } from 'node:events'
import type { Server as HttpServer } from 'node:http'
import { createServer, type Socket } from 'node:net'
import { boundAddress } from './bound-address.ts'

/** Connections that wait for the loading; more are hung up on. */
const WAITING_MAX = 100

export interface LatePort {
  /** `host:port` as bound. */
  address: string
  /** Ends all connections, and what was loaded. */
  close(): Promise<void>
}

/** What answers: a server that does not listen yet, and what ends it. */
export interface Answering {
  server: HttpServer
  close(): Promise<void>
}

/**
 * @param onTrouble  it could not be loaded
 * Rejects if the port cannot be had.
 */
export async function openLatePort(
  { host, port }: { host: string; port: number },
  load: () => Promise<Answering>,
  onTrouble: (error: unknown) => void,
): Promise<LatePort> {
  const waiting = new Set<Socket>()
  let answering: Promise<Answering> | undefined
  let isClosed = false
  const early = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true })
  early.on('connection', socket => {
    if (isClosed || waiting.size >= WAITING_MAX) return void socket.destroy()
    waiting.add(socket)
    const forget = () => waiting.delete(socket)
    socket.once('close', forget).once('error', forget)
    answering ??= answer().catch(error => {
      answering = undefined
      for (const other of waiting) other.destroy()
      throw error
    })
    answering.then(
      ({ server }) => {
        if (!waiting.delete(socket)) return
        socket.off('close', forget).off('error', forget)
        server.emit('connection', socket)
        socket.resume()
      },
      () => undefined,
    )
  })
  async function answer(): Promise<Answering> {
    try {
      const loaded = await load()
      if (!isClosed) {
        // From here on the port is its own: `early` and it share one handle.
        loaded.server.listen(early)
        await once(loaded.server, 'listening')
      }
      return loaded
    } catch (error) {
      onTrouble(error)
      throw error
    }
  }
  early.listen(port, host)
  await once(early, 'listening')
  return {
    address: boundAddress(early),
    async close() {
      isClosed = true
      for (const socket of waiting) socket.destroy()
      const loaded = await answering?.catch(() => undefined)
      loaded?.server.closeAllConnections()
      await loaded?.close()
      if (early.listening) await new Promise(resolve => early.close(resolve))
    },
  }
}
