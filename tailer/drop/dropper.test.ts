import { test } from 'tap'
import { DROPPED, eventBytes } from '../../shared/events.ts'
import { packetEvents } from '../../shared/packet.ts'
import { PacketBuilder } from '../builder.ts'
import { type LineSettings, lineWayOf } from '../line-way.ts'
import { Packer } from '../packer.ts'
import { LineParser } from '../parse/line-parser.ts'
import { addStretches } from './add-stretches.ts'
import { blank, Dropper } from './dropper.ts'

const label = { source: 's', host: 'h', path: '/a.log', app: 'a', start: 0 }

/** What becomes of a text read in these pieces: kept events as text, dropped ones as [rule, lines, bytes]. */
function through(settings: Omit<LineSettings, 'path'>, pieces: string[], now?: number) {
  const way = lineWayOf({ path: '/a.log', ...settings }, '/a.log')
  const records = way.records.isTrivial ? undefined : way.records
  const parser = new LineParser()
  const builder = new PacketBuilder(1_000_000)
  let offset = 0
  let isMidLine = false
  for (const piece of pieces) {
    const space = builder.space(1_000_000)
    const length = Buffer.from(piece).copy(space)
    const bytes = space.subarray(0, length)
    const span = { offset, length, isMidLine, readMs: 1e12, records }
    const stretches = way.dropper?.judge(bytes, records, isMidLine, now)
    if (stretches === undefined) builder.add(label, parser, span)
    else addStretches(builder, label, parser, span, stretches)
    if (stretches !== undefined) blank(bytes, stretches)
    offset += length
    isMidLine = !piece.endsWith('\n')
  }
  const { bytes, spans } = builder.collected
  const origin = { tailer: '0'.repeat(32), epoch: `1-${'0'.repeat(16)}`, sequence: 1, bucket: 1000 }
  const events = packetEvents(new Packer().pack(origin, bytes, spans).packet)
  const found = [...events.ends.keys()].map(i => {
    const text = eventBytes(events, i)
    if (events.levels[i] !== DROPPED) return text.toString()
    return [events.names[events.apps[i]], events.lines[i], text.length]
  })
  return { found, events, text: pieces.join('') }
}

const lines = 'a INFO 1\nb DEBUG 2\nc DEBUG 3\nd ERROR 4\n'

test('of a packet everything is accounted: what is dropped is one event per stretch, blanked, of the level `dropped`', async t => {
  const { found, events, text } = through({ drop: [{ name: 'noise', pattern: 'DEBUG' }] }, [lines])
  t.same(found, ['a INFO 1\n', ['dropped by noise', 2, 20], 'd ERROR 4\n'])
  t.equal(events.bytes.length, text.length)
  t.equal(events.bytes.toString(), 'a INFO 1\n*********\n*********\nd ERROR 4\n')
  t.same(
    events.runs.map(({ from, to, events: count }) => [from, to, count]),
    [[0, text.length, 3]],
  )
})

test('keep comes first, then drop; a word and a pattern find the same', async t => {
  for (const [keep, drop] of [
    [['ERROR', 'DEBUG'], ['DEBUG 2']],
    [['ERR[O]R|DEBUG'], ['^b .*2$']],
  ]) {
    const { found } = through({ keep, drop }, [lines])
    t.same(found, [['dropped by keep', 1, 9], [`dropped by ${drop[0]}`, 1, 10], 'c DEBUG 3\n', 'd ERROR 4\n'])
  }
  t.same(
    through({ keep: ['INFO'] }, [lines, lines]).found.filter(one => typeof one === 'string'),
    ['a INFO 1\n', 'a INFO 1\n'],
  )
  t.same(through({ drop: ['nothing like it'] }, [lines]).found.length, 4)
})

test('a record is judged as a whole: lines of a trace go with it, and no rule of lines puts blanks into the one before', async t => {
  const trace = 'E boom\nTraceback (most recent call last):\n  File "a.py", line 1, in f\nValueError: deep\n'
  t.match(through({ drop: ['deep'] }, [trace + lines]).found[0], 'E boom\n')
  t.same(through({ multiline: 'indented', drop: ['two'] }, ['one\ntwo\n  of it\nthree\n  of it\n']).found, [
    'one\n',
    ['dropped by two', 2, 12],
    'three\n  of it\n',
  ])
  t.same(through({ multiline: { start: '^#' }, drop: ['x'] }, ['#1\na\n#2\nx\n#3\nb\n']).found, [
    '#1\na\n',
    ['dropped by x', 2, 5],
    '#3\nb\n',
  ])
})

test('what comes later of a record goes its way, wherever it was cut', async t => {
  const long = `${'x'.repeat(100_000)} DEBUG\n`
  t.same(through({ drop: ['b DEB'] }, ['a\nb DEBUG ', 'and INFO\nc\n']).found, [
    'a\n',
    ['dropped by b DEB', 1, 8],
    ['dropped by b DEB', 0, 9],
    'c\n',
  ])
  t.match(through({ drop: ['INFO'] }, ['a\nb DEBUG ', 'and INFO\nc\n']).found.join(''), 'and INFO')
  // Judged by what an event holds at most.
  t.equal(through({ drop: ['DEBUG'] }, [long]).found.length, 2)
  const { found } = through({ keep: ['nothing'] }, [long, lines])
  t.equal(
    found.reduce((sum, one) => sum + (one[2] as number), 0),
    long.length + lines.length,
  )
  const empty = '\n'.repeat(200_000)
  const { events } = through({ keep: ['nothing'] }, [empty])
  t.equal(
    events.lines.reduce((sum, count) => sum + count, 0),
    200_000,
    'lines are counted, also where there are more than an event can have',
  )
})

test('a rate that discards drops what is over it, to the record; without a clock nothing', async t => {
  const rateLimit = { per: 'lines', perSecond: 2, over: 'discard' } as const
  t.same(through({ rateLimit }, [lines], 0).found, ['a INFO 1\n', 'b DEBUG 2\n', ['dropped by rate_limit', 2, 20]])
  t.equal(through({ rateLimit }, [lines]).found.length, 4)
  t.same(through({ rateLimit, drop: ['DEBUG'] }, [lines], 0).found, [
    'a INFO 1\n',
    ['dropped by DEBUG', 2, 20],
    'd ERROR 4\n',
  ])
})

test('random records, cut at random places: kept and dropped add up to the text, line for line', async t => {
  const seed = Number(process.env.BUCKTAIL_SEED ?? Math.floor(Math.random() * 2 ** 32))
  t.comment(`BUCKTAIL_SEED=${seed}`)
  let state = seed >>> 0
  const below = (n: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * n)
  }
  for (let round = 0; round < 30; round++) {
    const text = Array.from({ length: 300 }, (_, i) => {
      const kind = below(6)
      if (kind === 0) return `  indented ${i}\n`
      if (kind === 1) return '\n'
      return `${i} ${['DEBUG', 'INFO'][below(2)]} ${'é'.repeat(below(40))}\n`
    }).join('')
    const whole = text.split(/(?<=\n)/)
    const pieces: string[] = []
    for (let at = 0; at < whole.length; ) {
      const count = 1 + below(50)
      pieces.push(whole.slice(at, at + count).join(''))
      at += count
    }
    const { found, events } = through({ multiline: 'none', drop: ['DEBUG'] }, pieces)
    t.equal(events.bytes.length, Buffer.byteLength(text))
    t.same(
      found.filter(one => typeof one === 'string'),
      whole.filter(line => !line.includes('DEBUG')),
    )
    t.equal(
      events.lines.reduce((sum, count) => sum + count, 0),
      whole.length,
    )
  }
})

test('a dropper without rules keeps all', async t => {
  t.equal(new Dropper(undefined, []).judge(Buffer.from(lines), undefined, false, 0), undefined)
})
