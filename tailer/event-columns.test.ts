import { test } from 'tap'
import {
  EVENT_BYTES_MAX,
  type Events,
  eventAt,
  IS_CONTINUED,
  IS_REDACTED,
  TIME_IS_GUESSED,
  walkEvents,
} from '../shared/events.ts'
import { PacketBuilder } from './builder.ts'
import { EventColumns } from './event-columns.ts'
import { lineWayOf } from './line-way.ts'
import type { Records } from './multiline/records.ts'
import { LineParser } from './parse/line-parser.ts'

const READ_MS = Date.parse('2026-03-01T00:00:00Z')
const label = { source: 's1', host: 'h1', path: '/a.log', app: '', start: 0 }

/** Adds a text to the builder, as the reader does. */
function add(
  builder: PacketBuilder,
  text: string | Buffer,
  of: { offset?: number; isMidLine?: boolean; records?: Records; hidden?: number[] } = {},
  to = label,
) {
  const bytes = Buffer.from(text)
  bytes.copy(builder.space(bytes.length))
  const parser = parsers.get(to.source) ?? new LineParser()
  parsers.set(to.source, parser)
  builder.add(to, parser, { offset: 0, isMidLine: false, ...of, length: bytes.length, readMs: READ_MS })
}
const parsers = new Map<string, LineParser>()

function packed(builder: PacketBuilder): Events {
  const { bytes, spans } = builder.collected
  return new EventColumns().fill(bytes, spans)
}

const texts = (events: Events) =>
  [...walkEvents(events)].map(({ i, run, from }) => eventAt(events, i, run, from).bytes.toString())

test('every line is an event, a line of another source one of a run of its own', async t => {
  const builder = new PacketBuilder(1e6)
  add(builder, '2026-01-01T00:00:00Z one\n\n')
  add(builder, 'two\r\nthree', { offset: 26 })
  add(builder, 'other\n', {}, { ...label, source: 's2' })
  const events = packed(builder)
  t.same(texts(events), ['2026-01-01T00:00:00Z one\n', '\n', 'two\r\n', 'three', 'other\n'])
  t.same([...events.lines], [1, 1, 1, 1, 1])
  t.match(events.runs, [
    { source: 's1', from: 0, to: 36, events: 4 },
    { source: 's2', from: 0, to: 6, events: 1 },
  ])
})

test('a line without a time has that of the line before in its own source, marked; the first one the read time', async t => {
  const builder = new PacketBuilder(1e6)
  const other = { ...label, source: 'fresh' }
  add(builder, 'nothing yet\n', {}, other)
  add(builder, '2026-01-01T00:00:00Z ours\n', {}, { ...label, source: 'timed' })
  add(builder, 'still nothing\n', { offset: 12 }, other)
  add(builder, 'inherited\n', { offset: 26 }, { ...label, source: 'timed' })
  const { times, flags } = packed(builder)
  const readNs = BigInt(READ_MS) * 1_000_000n
  const ours = BigInt(Date.parse('2026-01-01T00:00:00Z')) * 1_000_000n
  t.same([...times], [readNs, ours, readNs, ours])
  t.same([...flags], [TIME_IS_GUESSED, 0, TIME_IS_GUESSED, TIME_IS_GUESSED])
})

test('a line that goes on where a former read ended is no new line', async t => {
  const builder = new PacketBuilder(1e6)
  add(builder, 'rest of it\nnext\n', { offset: 5, isMidLine: true })
  t.same([...packed(builder).lines], [0, 1])
})

test('a line longer than an event is cut into pieces, not through a character; they share its fields', async t => {
  const builder = new PacketBuilder(1e6)
  const line = `2026-01-01T00:00:00Z ERROR ${'é'.repeat(EVENT_BYTES_MAX)}\n`
  add(builder, line)
  const events = packed(builder)
  t.equal(texts(events).join(''), line, 'no character is broken')
  t.equal(events.ends.length, 3)
  t.same([...events.lines], [1, 0, 0])
  t.equal(new Set(events.times).size, 1)
  t.same(new Set(events.levels), new Set([6]))
})

test('lines of one record are one event with the fields of the first; lines counts those that begin in it', async t => {
  const builder = new PacketBuilder(1e6)
  const { records } = lineWayOf(undefined, '/a')
  const text = 'tail\n2026-01-01T00:00:00Z ERROR boom\n\tat a\n\tat b\n2026-01-01T00:00:01Z next\n\tat c\n'
  add(builder, text, { isMidLine: true, records })
  add(builder, '\tat d\n2026-01-01T00:00:02Z ERROR x', { offset: text.length, records })
  const events = packed(builder)
  t.same(texts(events), [
    'tail\n',
    '2026-01-01T00:00:00Z ERROR boom\n\tat a\n\tat b\n',
    '2026-01-01T00:00:01Z next\n\tat c\n',
    '\tat d\n',
    '2026-01-01T00:00:02Z ERROR x',
  ])
  t.same([...events.lines], [0, 3, 2, 1, 1])
  t.same([...events.flags], [TIME_IS_GUESSED, 0, 0, TIME_IS_GUESSED | IS_CONTINUED, 0])
  t.same([...events.levels], [0, 6, 0, 0, 6])
})

test('an entry of the journal is one event with its fields', async t => {
  const builder = new PacketBuilder(1e6)
  const { records } = lineWayOf(undefined, '/a')
  const entry = '__CURSOR=s\n__REALTIME_TIMESTAMP=1704164645123456\nPRIORITY=4\n_HOSTNAME=h\nMESSAGE=x\n\n'
  add(builder, entry + entry, { records })
  const events = packed(builder)
  t.same(texts(events), [entry, entry])
  t.same([...events.times], [1704164645123456000n, 1704164645123456000n])
  t.same([...events.levels], [5, 5])
})

test('events with hidden bytes are marked', async t => {
  const builder = new PacketBuilder(1e6)
  add(builder, 'a *\nb\n*** c\nd\n', { hidden: [2, 6, 7] })
  add(builder, 'e\n*\n', { offset: 14, hidden: [2] })
  t.same(
    [...packed(builder).flags].map(flag => (flag & IS_REDACTED) !== 0),
    [true, false, true, false, false, true],
  )
})

test('more names than a packet can hold make several packets, and nothing is lost between them', async t => {
  const builder = new PacketBuilder(4e6)
  const lines = Array.from({ length: 70_000 }, (_, n) => `2026-01-01T00:00:00+00:00 h${n} a${n}[1]: x\n`)
  const half = Math.floor(lines.length / 2)
  add(builder, lines.slice(0, half).join(''))
  add(builder, lines.slice(half).join(''), { offset: lines.slice(0, half).join('').length })
  const columns = new EventColumns()
  const found: string[] = []
  let packets = 0
  for (let offset = 0; builder.rawBytes > 0; packets++) {
    const { bytes, spans } = builder.collected
    const events = columns.fill(bytes, spans)
    t.ok(events.names.length < 65_536)
    t.equal(events.runs[0].from, offset, 'where the former one ended')
    for (const { i, run, from } of walkEvents(events)) {
      const { host, app, bytes } = eventAt(events, i, run, from)
      if (bytes.toString() !== lines[found.length]) t.fail(`line ${found.length}`)
      found.push(`${host} ${app}`)
    }
    offset = events.runs.at(-1)!.to
    builder.dropUntil(events.bytes.length)
  }
  t.ok(packets > 1)
  t.equal(found.length, lines.length)
  t.ok(found.every((names, n) => names === `h${n} a${n}`))
})

test('a builder is full before a read could go over its end', async t => {
  for (const bytesMax of [100, 4096, 1e6]) {
    const builder = new PacketBuilder(bytesMax)
    while (!builder.isFull) add(builder, `${'x'.repeat(Math.min(40_000, builder.space(1e9).length - 1))}\n`)
    t.ok(builder.rawBytes <= bytesMax + 2 * EVENT_BYTES_MAX, `${builder.rawBytes}`)
    t.ok(builder.rawBytes >= bytesMax / 2)
  }
})
