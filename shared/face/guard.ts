// Which names an HTTP port answers to, and which pages may talk to it. A page of a stranger can make a browser send
// requests to a loopback port: by DNS rebinding the Host header is then the stranger's name, by a plain request the
// Origin header is. Neither is on the list.

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]']
const ANY_ADDRESS = ['0.0.0.0', '::', '[::]']

export class HostGuard {
  readonly #names: Set<string>

  /**
   * @param listenHost what the port is bound to; it is allowed as a name unless it is "any address"
   * @param allowed further names, without port (`logs.example.org`)
   */
  constructor(listenHost: string, allowed: string[] = []) {
    const own = ANY_ADDRESS.includes(listenHost) ? [] : [bracketed(listenHost)]
    this.#names = new Set([...LOOPBACK, ...own, ...allowed].map(name => name.toLowerCase()))
  }

  /** Why the request is refused; undefined if it is fine. A request without Origin comes from no page. */
  objection(headers: { host?: string; origin?: string }): string | undefined {
    const host = nameOf(`http://${headers.host ?? ''}`)
    if (host === undefined || !this.#names.has(host)) {
      return `the name ${JSON.stringify((headers.host ?? '').slice(0, 100))} is not one of this server's`
    }
    return this.originObjection(headers.origin)
  }

  originObjection(origin: string | undefined): string | undefined {
    if (origin === undefined) return undefined
    const name = nameOf(origin)
    if (name !== undefined && this.#names.has(name)) return undefined
    return `pages of ${JSON.stringify(origin.slice(0, 100))} may not use this server`
  }
}

export const GUARD_HINT = 'Add the name to allowedHosts in the settings if it is yours.'

function nameOf(url: string): string | undefined {
  if (!/^https?:\/\//.test(url)) return undefined
  try {
    return new URL(url).hostname.toLowerCase() || undefined
  } catch {
    return undefined // no URL, so no name: the callers refuse it
  }
}

function bracketed(host: string): string {
  return host.includes(':') && !host.startsWith('[') ? `[${host}]` : host
}
