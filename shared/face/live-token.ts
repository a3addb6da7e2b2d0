// The token that archie gives a live page and that every buck of the environment checks.
//
//   <not after, seconds since 1970, decimal>.<base64url of HMAC-SHA-256 over "bucktail live 1", environment, not after>
//
// The key is the environment's: archie and bucks have it, pages never do. A token is short-lived and names no person:
// it proves that archie let the page in a few minutes ago.
import { createHmac, timingSafeEqual } from 'node:crypto'

export const LIVE_TOKEN_SECONDS = 300
/** Clocks of two machines may differ by so much before a fresh token looks too old, or too young to be true. */
const CLOCK_SKEW_SECONDS = 60

export function mintLiveToken(key: Buffer, environment: string, nowMs: number): string {
  const notAfter = Math.floor(nowMs / 1000) + LIVE_TOKEN_SECONDS
  return `${notAfter}.${seal(key, environment, notAfter).toString('base64url')}`
}

/** Why the token is refused; undefined if it is fine. */
export function liveTokenObjection(
  key: Buffer,
  environment: string,
  token: unknown,
  nowMs: number,
): string | undefined {
  const parts = typeof token === 'string' && token.length < 100 ? /^(\d{1,12})\.([\w-]{43})$/.exec(token) : null
  if (!parts) return 'there is no live token: open the page at archie'
  const notAfter = Number(parts[1])
  const given = Buffer.from(parts[2], 'base64url')
  const expected = seal(key, environment, notAfter)
  if (given.length !== expected.length || !timingSafeEqual(given, expected))
    return 'the live token is of another environment'
  const nowSeconds = nowMs / 1000
  if (nowSeconds > notAfter + CLOCK_SKEW_SECONDS) return 'the live token is too old: ask archie for a new one'
  if (notAfter > nowSeconds + LIVE_TOKEN_SECONDS + CLOCK_SKEW_SECONDS) {
    return 'the live token lives too long: the clocks of archie and this buck differ'
  }
  return undefined
}

function seal(key: Buffer, environment: string, notAfter: number): Buffer {
  return createHmac('sha256', key)
    .update(JSON.stringify(['bucktail live 1', environment, notAfter]))
    .digest()
}
