// Documents as Elasticsearch gets them, without one: made as bytes, read back as what they were made of.
import { test } from 'tap'
import { type Events, eventAt, LEVELS, type Run, walkEvents } from '../events.ts'
import { labelsOf } from '../labels.ts'
import { BUCKET, seededRandom, sourceName, testSeed } from '../packets.test-support.ts'
import { BulkBody, bodiesOf } from './bulk-body.ts'
import { ByteText } from './byte-text.ts'
import { DocumentMaker, type EventSource, eventOfDocument } from './document.ts'
import { wordsOf } from './words.ts'

const ORIGIN = {
  tailer: 'ab'.repeat(16),
  epoch: '3-00000000000000bb',
  sequence: 7,
  sum: '0011223344556677',
  bucket: BUCKET,
}
const PARTS = [
  'GET /a?b=c ',
  '{"k":"v \\" \\u00e9","n":1}',
  'x'.repeat(250),
  ' ',
  '\t',
  '"',
  '\\',
  '\0',
  '\u001f',
  'é',
  '数据',
  '💥',
]
const PIECES = [
  ...PARTS,
  'Failed password for ',
  'k="two words" ',
  '2026-01-01T00:00:00Z stderr F oops',
  '\r',
  '.',
  '_',
  '-',
  '7',
].map(text => Buffer.from(text))
PIECES.push(Buffer.from([0xff]), Buffer.from([0xc3]), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from([0x80, 0x81]))

function randomEvents(random: () => number, count: number): Events {
  const upTo = (most: number) => Math.floor(random() * most)
  const texts = Array.from({ length: count }, () => {
    const pieces = Array.from({ length: upTo(8) }, () => PIECES[upTo(PIECES.length)])
    const end = ['\n', '\n', '\r\n', ''][upTo(4)]
    return Buffer.concat([...pieces, Buffer.from(pieces.length === 0 ? '\n' : end)])
  })
  const sizes = texts.map(text => text.length)
  const half = count >>> 1
  const run = (name: string, path: string, from: number, to: number): Run => {
    const size = sizes.slice(from, to).reduce((sum, one) => sum + one, 0)
    return {
      source: sourceName(name),
      host: 'web"1',
      path,
      app: name,
      from: 2 ** 33,
      to: 2 ** 33 + size,
      start: 0,
      events: to - from,
    }
  }
  let end = 0
  return {
    runs: [
      run('a', '/var/log/é.log', 0, half),
      run('', `/var/log/containers/pod_ns_app-${'0'.repeat(64)}.log`, half, count),
    ],
    bytes: Buffer.concat(texts),
    ends: Uint32Array.from(sizes, size => (end += size)),
    lines: Uint16Array.from(texts, () => upTo(3)),
    times: BigInt64Array.from(texts, () => BigInt(upTo(2 ** 31) - 1_000_000) * 1_000_000_000n + BigInt(upTo(1e9))),
    levels: Uint8Array.from(texts, () => upTo(LEVELS.length)),
    flags: Uint8Array.from(texts, () => upTo(8)),
    hosts: Uint16Array.from(texts, () => upTo(2)),
    apps: Uint16Array.from(texts, () => upTo(3)),
    names: ['', 'relay\n', 'ä'],
  }
}

function bodyOf(events: Events): BulkBody<number> {
  const maker = new DocumentMaker(events, ORIGIN, Date.parse('2026-02-03T04:05:06.789Z'))
  const body = new BulkBody<number>('target', new ByteText(16))
  for (const { i, run, from } of walkEvents(events)) {
    const document = maker.begin(i, run, from)
    body.begin()
    maker.writeId(body.text, document)
    body.beginDocument()
    maker.write(body.text, document)
    body.end(i)
  }
  return body
}

test('a document gives back its event, flags and all; labels and words are those of its text', async t => {
  const seed = testSeed('DOCUMENT_SEED')
  t.comment(`DOCUMENT_SEED=${seed}`)
  const random = seededRandom(seed)
  for (let round = 0; round < 20; round++) {
    const events = randomEvents(random, 50)
    const body = bodyOf(events)
    for (const { i, run, from } of walkEvents(events)) {
      const { id, json } = body.read(i)
      const document = JSON.parse(json) as EventSource & {
        labels?: Record<string, unknown>
        event: { id: string }
        bucktail: { words: string; wide?: boolean }
      }
      const event = eventAt(events, i, run, from)
      const { sum: _, ...origin } = ORIGIN
      const shown = event.bytes.toString('latin1')
      const given = eventOfDocument(id, document)
      t.strictSame(given, { ...event, ...origin }, shown)
      t.equal(document.event.id, id)
      const labels = Object.entries(labelsOf(event.bytes, event.path)).filter(([k, v]) => !`${k}${v}`.includes('\0'))
      t.same(document.labels ?? {}, Object.fromEntries(labels), shown)
      const words = wordsOf(document.message)
      const said = { text: document.bucktail.words, isWide: document.bucktail.wide === true }
      t.same(said, words, shown)
    }
  }
})

test('documents of a body can be sent once more, in part and one by one', async t => {
  const events = randomEvents(seededRandom(1), 9)
  const whole = bodyOf(events)
  const part = whole.part([0, 4, 8])
  t.same(part.documents, [0, 4, 8])
  for (const [n, i] of [0, 4, 8].entries()) t.same(part.read(n), whole.read(i))
  const anew = [...bodiesOf(Array.from({ length: 9 }, (_, i) => whole.read(i)))]
  t.equal(anew.length, 1)
  t.ok(anew[0].bytes.equals(whole.bytes))
  t.ok(whole.bytes.toString().split('\n').length === 2 * 9 + 1, 'two lines each')
})
