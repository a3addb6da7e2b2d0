/** `host:port`, `[v6]:port`. */
export interface HostPort {
  host: string
  port: number
}

/** Throws a RangeError that names the address. */
export function parseAddress(address: string): HostPort {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(address) ?? []
  const host = bracketed ?? plain
  const port = Number(digits)
  if (host === undefined || !(port >= 1 && port <= 65535)) {
    throw new RangeError(`${JSON.stringify(address)} is no address: write host:port, or [v6 address]:port`)
  }
  return { host, port }
}

export function formatAddress(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}
