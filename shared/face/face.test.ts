import { test } from 'tap'
import { HostGuard } from './guard.ts'
import { LIVE_TOKEN_SECONDS, liveTokenObjection, mintLiveToken } from './live-token.ts'
import { BadTimeError, parseTime } from './time-text.ts'

const NOW = Date.parse('2026-03-01T12:00:00Z')

test('times as people write them', async t => {
  const cases: [string, string][] = [
    ['now', '2026-03-01T12:00:00Z'],
    ['15m', '2026-03-01T11:45:00Z'],
    ['1h30m', '2026-03-01T10:30:00Z'],
    ['3d', '2026-02-26T12:00:00Z'],
    ['2026-02-28', '2026-02-28T00:00:00Z'],
    ['2026-02-28T10:00', '2026-02-28T10:00:00Z'],
    ['2026-02-28 10:00:30', '2026-02-28T10:00:30Z'],
    ['2026-02-28T10:00:00+02:00', '2026-02-28T08:00:00Z'],
    ['2026-02-28T10:00:00-0130', '2026-02-28T11:30:00Z'],
    ['1772366400', '2026-03-01T12:00:00Z'],
  ]
  for (const [text, expected] of cases) {
    t.equal(parseTime(text, NOW), BigInt(Date.parse(expected)) * 1_000_000n, text)
  }
  t.equal(parseTime('2026-03-01T12:00:00.123456789Z', NOW) % 1_000_000_000n, 123_456_789n)
})

test('what is no time is refused with what to write instead', async t => {
  for (const text of [
    '',
    'yesterday',
    '15',
    '15x',
    '2026-13-01',
    '2026-03-01T25:00:00Z',
    '2026-3-1',
    '-5m',
    '9'.repeat(500),
  ]) {
    t.throws(() => parseTime(text, NOW), BadTimeError, text)
  }
})

test('only the names of the server may be asked for, and only by its own pages', async t => {
  const guard = new HostGuard('10.0.0.5', ['logs.example.org'])
  for (const host of ['localhost:7780', '127.0.0.1:7780', '[::1]:7780', '10.0.0.5:7780', 'LOGS.example.org']) {
    t.equal(guard.objection({ host }), undefined, host)
    t.equal(guard.objection({ host, origin: 'http://localhost:7780' }), undefined)
    t.equal(guard.objection({ host, origin: 'https://logs.example.org' }), undefined)
    t.match(guard.objection({ host, origin: 'https://evil.example' }), /may not/)
    t.match(guard.objection({ host, origin: 'null' }), /may not/)
  }
  for (const host of [
    undefined,
    '',
    'evil.example',
    '127.0.0.1.evil.example',
    'localhost@evil.example',
    'a b',
    'x'.repeat(500),
  ]) {
    t.match(guard.objection({ host }), /is not one/, String(host))
  }
  t.match(new HostGuard('0.0.0.0').objection({ host: '0.0.0.0:1' }), /is not one/)
})

test('a live token is good for minutes, in one environment, with one key', async t => {
  const key = Buffer.alloc(32, 1)
  const token = mintLiveToken(key, 'prod', NOW)
  const objection = (text: unknown, { environment = 'prod', with: other = key, atMs = NOW } = {}) =>
    liveTokenObjection(other, environment, text, atMs)
  t.equal(objection(token), undefined)
  t.equal(objection(token, { atMs: NOW + LIVE_TOKEN_SECONDS * 1000 }), undefined)
  t.match(objection(token, { atMs: NOW + (LIVE_TOKEN_SECONDS + 61) * 1000 }), /too old/)
  t.match(objection(token, { atMs: NOW - 3_600_000 }), /lives too long/)
  t.match(objection(token, { environment: 'test' }), /another environment/)
  t.match(objection(token, { with: Buffer.alloc(32, 2) }), /another environment/)
  const [notAfter, mac] = token.split('.')
  t.match(objection(`${Number(notAfter) + 1}.${mac}`), /another environment/)
  for (const bad of [undefined, '', 7, {}, 'x'.repeat(1e6), `${notAfter}.`, `${notAfter}.${mac}x`]) {
    t.match(objection(bad), /no live token/)
  }
})
