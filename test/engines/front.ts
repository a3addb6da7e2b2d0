// An HTTP server before an engine, which lets requests through or does to them what a test says: refuses, delays, cuts.

import { once } from 'node:events'
import { createServer, request as forward, type IncomingMessage, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Test } from 'tap'

/** What becomes of a request; undefined: it goes through. */
export type Fate =
  | { status: number; body: unknown }
  /** The connection is reset, before it went through or after (then the answer is lost). */
  | { cut: 'before' | 'after' }
  | { delayMs: number }

export interface Front {
  url: string
  /** May be changed while it runs. */
  decide: (request: IncomingMessage) => Fate | undefined
  requests: number
}

export async function startFront(t: Test, behind: string, tls?: { key: string; cert: string }): Promise<Front> {
  const front: Front = { url: '', decide: () => undefined, requests: 0 }
  const serve = (request: IncomingMessage, response: ServerResponse) => {
    front.requests++
    answer(front, behind, request, response).catch(() => response.destroy())
  }
  const server = tls ? createTlsServer(tls, serve) : createServer(serve)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  front.url = `${tls ? 'https://localhost' : 'http://127.0.0.1'}:${(server.address() as AddressInfo).port}`
  return front
}

async function answer(front: Front, behind: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const fate = front.decide(request)
  if (fate && 'status' in fate) {
    request.resume()
    response.writeHead(fate.status, { 'content-type': 'application/json', 'x-elastic-product': 'Elasticsearch' })
    response.end(JSON.stringify(fate.body))
    return
  }
  if (fate && 'cut' in fate && fate.cut === 'before') {
    request.socket.resetAndDestroy()
    return
  }
  if (fate && 'delayMs' in fate) await sleep(fate.delayMs)
  const { host, authorization, ...headers } = request.headers
  const onward = forward(new URL(request.url ?? '/', behind), { method: request.method, headers })
  request.pipe(onward)
  const [incoming] = (await once(onward, 'response')) as [IncomingMessage]
  if (fate && 'cut' in fate) {
    incoming.resume()
    await once(incoming, 'end')
    request.socket.resetAndDestroy()
    return
  }
  response.writeHead(incoming.statusCode ?? 500, incoming.headers)
  incoming.pipe(response)
}
