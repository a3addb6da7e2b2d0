import { test } from 'tap'
import { eventJson, eventJsonBytes, LIVE_MESSAGE_BYTES_MAX, liveEventJson, timeText } from './event-json.ts'
import { eventId, type FoundEvent } from './events.ts'

function event(bytes: Buffer): FoundEvent {
  return {
    id: eventId('ab', 7, bytes),
    timeNs: 1_700_000_000_123_456_789n,
    timeIsGuessed: false,
    host: 'web1',
    app: 'shop',
    level: 'info',
    path: '/var/log/shop.log',
    source: 'ab',
    from: 7,
    to: 7 + bytes.length,
    lines: 1,
    bytes,
  }
}

test('the JSON of any event gives its exact bytes back, and has `raw` only where `message` cannot', async t => {
  const plain = ['hello\n', '\n', 'ä€😀\n', 'a\nb\n', '\ta\u0000b\n', '\ufeffwith a mark\n']
  const hard = ['no line end', 'cr lf\r\n', '\r\n', '', 'cr\r']
  for (const text of plain) {
    const json = eventJson(event(Buffer.from(text)))
    t.equal(json.raw, undefined, JSON.stringify(text))
    t.same(eventJsonBytes(JSON.parse(JSON.stringify(json))), Buffer.from(text))
  }
  const bytes = [
    ...hard.map(text => Buffer.from(text)),
    Buffer.from([0xff, 0xfe, 0x0a]),
    Buffer.from([0xe2, 0x82, 0x0a]),
  ]
  for (const line of bytes) {
    const json = eventJson(event(line))
    t.type(json.raw, 'string', line.toString('hex'))
    t.same(eventJsonBytes(JSON.parse(JSON.stringify(json))), line)
  }
})

test('what a line says of itself is in its JSON: labels, hidden bytes, that it goes on from the one before', async t => {
  const text = '{"level":"info","user":{"id":7},"msg":"x"}\n'
  t.strictSame(eventJson(event(Buffer.from(text))).labels, { level: 'info', 'user.id': '7' })
  t.notOk('labels' in eventJson(event(Buffer.from('hello\n'))))
  const marked = eventJson({ ...event(Buffer.from('x\n')), isContinued: true, isRedacted: true })
  t.match(marked, { continued: true, redacted: true })
  t.notOk('continued' in eventJson(event(Buffer.from('x\n'))))
})

test('times have nine digits and are never "Invalid Date"', async t => {
  t.equal(timeText(0n), '1970-01-01T00:00:00.000000000Z')
  t.equal(timeText(1_700_000_000_123_456_789n), '2023-11-14T22:13:20.123456789Z')
  t.equal(timeText(-1n), '1969-12-31T23:59:59.999999999Z')
  t.equal(timeText(2n ** 63n - 1n), '2262-04-11T23:47:16.854775807Z')
  t.equal(timeText(-(2n ** 63n)), '1677-09-21T00:12:43.145224192Z')
})

test('a live message is cut at its bound and says so', async t => {
  const json = liveEventJson(event(Buffer.from(`${'x'.repeat(LIVE_MESSAGE_BYTES_MAX + 1)}\n`)))
  t.equal(json.message.length, LIVE_MESSAGE_BYTES_MAX)
  t.equal(json.cut, true)
  t.equal(json.time, '1700000000123456789')
  t.notOk('cut' in liveEventJson(event(Buffer.from('short\r\n'))))
})
