// Between a client and an S3 server, as bad as the net and an overloaded store can be. The signature names the host, which
// is passed on as it is.
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Test } from 'tap'

/**
 * - a number: that status, without asking the server
 * - reset: the connection is cut before the server is asked
 * - lose: the server does it, and the answer is cut off
 * - half: half of the answer's body, then cut off
 * - stall: no answer at all
 */
export type Fault = number | 'reset' | 'lose' | 'half' | 'stall' | undefined

export interface FaultyProxy {
  endpoint: string
  /** Asked for every request. */
  fault: (request: IncomingMessage) => Fault
  /** Changes the answer's head. */
  onHead: (headers: Record<string, string | string[] | undefined>) => void
  /** What came, newest last. */
  seen: { method: string; url: string; headers: IncomingMessage['headers'] }[]
}

const CODES: Record<number, string> = { 403: 'AccessDenied', 500: 'InternalError', 503: 'SlowDown' }

export async function faultyProxy(t: Test, endpoint: string): Promise<FaultyProxy> {
  const target = new URL(endpoint)
  const proxy: FaultyProxy = { endpoint: '', fault: () => undefined, onHead: () => undefined, seen: [] }
  const server = createServer((incoming, answer) => {
    proxy.seen.push({ method: incoming.method ?? '', url: incoming.url ?? '', headers: incoming.headers })
    const fault = proxy.fault(incoming)
    if (fault === 'reset') incoming.socket.destroy()
    else if (fault === 'stall') incoming.resume()
    else if (typeof fault === 'number') refuse(incoming, answer, fault)
    else forward(incoming, answer, fault)
  })

  function refuse(incoming: IncomingMessage, answer: ServerResponse, status: number): void {
    incoming.resume()
    incoming.once('end', () => {
      answer.writeHead(status, { 'content-type': 'application/xml' })
      answer.end(
        `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${CODES[status]}</Code><Message>as the test wants</Message></Error>`,
      )
    })
  }

  function forward(incoming: IncomingMessage, answer: ServerResponse, fault: Fault): void {
    const { method, url: path, headers } = incoming
    const outgoing = request({ host: target.hostname, port: target.port, method, path, headers }, response => {
      const parts: Buffer[] = []
      response.on('data', part => parts.push(part))
      response.on('error', () => answer.destroy())
      response.on('end', () => {
        const body = Buffer.concat(parts)
        if (fault === 'lose') return void answer.destroy()
        const head = { ...response.headers }
        proxy.onHead(head)
        answer.writeHead(response.statusCode ?? 500, head)
        if (fault !== 'half') return void answer.end(body)
        answer.write(body.subarray(0, body.length >>> 1), () => answer.destroy())
      })
    })
    outgoing.on('error', () => answer.destroy())
    incoming.pipe(outgoing)
  }

  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  proxy.endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return proxy
}
