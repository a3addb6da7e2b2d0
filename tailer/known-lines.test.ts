// The parser, asked for every line, is the truth; what is known without it must be the same, whatever the lines are.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { test } from 'tap'
import { SAMPLE_KINDS, sampleRecord, seededFraction } from '../bin/samples.ts'
import { columnsCodec, createCodec, MODES, type Mode } from '../shared/columns/codec.ts'
import { LEVEL_BYTES_MAX, PARSED_BYTES_MAX } from '../shared/columns/core/known-heads.ts'
import { SHIFT_BYTES_MAX as SHIFT_BYTES_MAX_OF_CORE } from '../shared/columns/core/known-lines.ts'
import { openJsCore } from '../shared/columns/target.ts'
import type { Events } from '../shared/events.ts'
import { PacketBuilder } from './builder.ts'
import { EventColumns } from './event-columns.ts'
import { Records } from './multiline/records.ts'
import { findLevel, LEVEL_TELLING_WORDS, LEVEL_WINDOW_BYTES } from './parse/level.ts'
import { HEAD_BYTES, LineParser, SHIFT_BYTES_MAX } from './parse/line-parser.ts'

const SEED = Number(process.env.SEED ?? Date.now() % 1e9)
const ROUNDS = process.env.BUCKTAIL_TEST_LONG === undefined ? 60 : 5_000
const PACKET_BYTES = 200_000
const DATA = fileURLToPath(new URL('../../shared/data/', import.meta.url))
const ZONES = [undefined, 'Europe/Berlin', 'America/New_York', 'Asia/Kolkata']
/** The codec's two forms, each of which holds lines against models. */
const CODECS = [columnsCodec(), createCodec(openJsCore())]
const NOW_MS = Date.parse('2026-03-01T12:00:00Z')

/** One line of every form there is, and what may follow a time. */
const FORMS = [
  '2026-02-27T10:11:12.345678+01:00 web1 sshd[1234]: Failed password for root from 10.0.0.7 port 51234 ssh2',
  '2026-02-27T10:11:12.345Z INFO request 12345 took 67 ms',
  '2026-02-27 10:11:12,345 [worker-3] ERROR com.acme.Pool - gone after 30000 ms',
  '2026-02-27 10:11:12 +0200 level=warn id=7777 user=u42',
  '2026/02/27 10:11:12 server.go:123: listening on 8080',
  'Feb 27 10:11:12 combo sshd(pam_unix)[19937]: check pass; user unknown 4321',
  'Feb 27 10:11:12 host kernel: [12345.678901] CPU0: Core temperature above threshold',
  'Feb 28 23:59:59 host cron[99]: (root) CMD (run 1)',
  'Dec 31 23:59:59 host app: year ends 2025',
  'Mar  2 10:11:12 host app: tomorrow',
  '081109 203615 148 INFO dfs.DataNode: PacketResponder 1 for block blk_38865049064139660 terminating',
  '17/06/09 20:10:40 INFO executor.Backend: Registered signal handlers for 1234',
  '[Sun Dec 04 04:47:44 2005] [notice] workerEnv.init() ok /etc/httpd/conf/workers2.properties 1000',
  '[Thu Jan 01 00:00:00 2026] [error] mod_jk child workerEnv in error state 6',
  '83.149.9.216 - - [17/May/2015:10:05:03 +0000] "GET /a/ERROR.png HTTP/1.1" 200 203023 "http://x.y/" "Mozilla/5.0"',
  '10.0.0.1 - bob [17/May/2015:10:05:03 +0200] "POST /b?level=ERROR HTTP/1.1" 500 1 "-" "curl/8.1"',
  '10.200.30.4 - - [17/May/2015:10:05:03 -0930] "GET / HTTP/1.0" 200 -',
  'Feb 27 10:11:12 host ftpd[27]: connection from 10.1.2.3 () at Fri Feb 27 10:11:12 2026',
  '2026-02-27T10:11:12Z db: peer 10.0.0.7:5432 took 1.25-1.75 s, error after 3',
  'nova-api.log.1.2017-05-16_13:53:08 2017-05-16 00:00:00.008 25746 INFO nova.wsgi [req-38101a0b-2096-447d-96ea-a692162415ae] x',
  '1772186400.123 1234 worker started 5678',
  '1772186400123 INFO ms since 1970 1234',
  '10:11:12.345 [main] DEBUG clock alone 1234',
  'I0227 10:11:12.345678 1234 file.go:42] klog line',
  '<34>Oct 11 22:14:15 mymachine su: failed for lonvick 1234',
  '<165>1 2026-02-27T10:11:12.003Z host.example app 1234 ID47 - text',
  '{"time":"2026-02-27T10:11:12.5Z","level":"info","host":"db7","msg":"slow 1234"}',
  '*Mar  1 18:46:11.123: %SYS-5-CONFIG_I: Configured from console 1234',
  '02-27 10:11:12.345  1234  5678 W ActivityManager: slow 9999',
  'time=2026-02-27T10:11:12Z level=error host=h1234 app=a5678 msg="x y"',
  '2026-02-27T10:11:12.1Z stdout F {"level":"warn"} 1234',
  '2026-02-27 10:11:12 PM odd clock 1234',
  'Feb 29 10:11:12 host app: leap day 1234',
  'Feb 27 10:11:12 host app(x)[77]:   plain words, fine words, level words 1234',
  'Feb 27 10:11:12 host app[78]: \x1b[31mERROR in colours, level=info 1234',
  'Feb 27 10:11:12 host app[78]: invalid user abc from 10.0.0.7',
  'Feb 27 10:11:12.345 host app: a fraction 1234',
  'Feb 27 10:11:12 host: no name 1234',
  'Feb 27 10:11:12 host\tapp[7]: a tab 1234',
  `Feb 27 10:11:12 host app[79]: ${'x'.repeat(88)} WARN at the end of the window 1234`,
  `Feb 27 10:11:12 host ${'long'.repeat(120)}[79]: name, WARN beyond what is looked at 1234`,
  '12/11/10 09:08:07 WARN short 1234 with level',
  '  at com.acme.Thing.run(Thing.java:1234)',
  'Caused by: java.io.IOException: 5678 ERROR here',
  '',
]
const WORDS = [
  'ERROR',
  'info',
  '[warn]',
  'level=debug',
  'FATAL:',
  '2026-01-02',
  '03:04:05',
  '1234',
  '7',
  'é',
  '+0530',
  'UTC',
  '\x1b[1m',
  'severity:',
  'Fatal error:',
  '[Note]',
]

/** As the codec takes them: words of digits. */
const NUMBERS = /(?<![\w\x80-\xff])\d{1,9}(?![\w\x80-\xff])/g

function mutated(line: string, random: () => number): string {
  const at = Math.floor(random() * (line.length + 1))
  const pick = Math.floor(random() * 7)
  if (pick <= 2) return line.replace(/\d/g, digit => (random() < 0.3 ? String(Math.floor(random() * 10)) : digit))
  if (pick === 3) return line.replace(/\d+/g, digits => (random() < 0.2 ? `${Math.floor(random() * 10 ** 6)}` : digits))
  if (pick === 4) return `${line.slice(0, at)}${WORDS[Math.floor(random() * WORDS.length)]}${line.slice(at)}`
  if (pick === 5) return line.slice(0, at) + line.slice(at + 1 + Math.floor(random() * 4))
  return line.replace(/[A-Za-z]+/g, word =>
    random() < 0.1 ? (random() < 0.5 ? word.toUpperCase() : `${word}1`) : word,
  )
}

/** The same text, as two sources that take turns, with the codec's help and without. */
function compare(text: Buffer, mode: Mode, zone: string | undefined, random: () => number): string[] {
  const cuts = [0, text.length]
  for (let n = 0; n < 6; n++) cuts.push(text.indexOf(10, Math.floor(random() * text.length)) + 1)
  cuts.sort((a, b) => a - b)
  const isOfLines = random() < 0.3
  const filled = [false, true].map(isHelped => {
    const builder = new PacketBuilder(text.length + 100_000)
    const parsers = [new LineParser({ zone }), new LineParser()]
    const records = new Records({ kind: isOfLines ? 'lines' : 'traces' }, 'none')
    cuts.slice(1).forEach((to, n) => {
      const from = cuts[n]
      if (to <= from) return
      text.copy(builder.space(to - from), 0, from, to)
      const label = { source: `s${n % 2}`, host: 'h', path: '/p', app: '', start: 0 }
      builder.add(label, parsers[n % 2], { offset: from, length: to - from, isMidLine: false, readMs: NOW_MS, records })
    })
    const { bytes, spans } = builder.collected
    const codec = CODECS[random() < 0.8 ? 0 : 1]
    const analysis = isHelped ? codec.encode(bytes, { mode })?.analysis : undefined
    return rows(new EventColumns().fill(bytes, spans, analysis))
  })
  return filled[0].flatMap((row, n) => (row === filled[1][n] ? [] : [`${row} | known as ${filled[1][n]}`]))
}

function rows({ ends, bytes, times, levels, flags, lines, hosts, apps, names }: Events): string[] {
  return [...ends].map((end, i) => {
    const line = bytes.toString('latin1', i === 0 ? 0 : ends[i - 1], end)
    return [line, times[i], levels[i], flags[i], lines[i], names[hosts[i]], names[apps[i]]].join(' · ')
  })
}

test('what is known without the parser is what it says: real logs', async t => {
  if (!existsSync(DATA)) {
    t.comment('no ../shared/data here: real logs are not compared')
    t.pass('nothing to compare')
    return
  }
  const random = seededFraction(SEED)
  for (const name of readdirSync(DATA).filter(file => file.endsWith('.log'))) {
    const text = readFileSync(`${DATA}${name}`)
    for (const mode of MODES) {
      for (let from = 0; from < text.length; ) {
        const to = text.indexOf(10, Math.min(text.length - 1, from + PACKET_BYTES * 2)) + 1 || text.length
        t.same(
          compare(text.subarray(from, to), mode, undefined, random).slice(0, 3),
          [],
          `${name} ${mode} from ${from}`,
        )
        from = to
      }
    }
  }
})

test(`what is known without the parser is what it says: made and mutated lines, seed ${SEED}`, async t => {
  const random = seededFraction(SEED)
  const bases = [...FORMS]
  for (const kind of SAMPLE_KINDS)
    for (let n = 0; n < 8; n++) bases.push(...sampleRecord(kind, random, NOW_MS).split('\n'))
  let known = 0
  for (let round = 0; round < ROUNDS; round++) {
    const lines: string[] = []
    for (let bytes = 0; bytes < PACKET_BYTES / 4; ) {
      let line = bases[Math.floor(random() * bases.length)]
      // Near relatives side by side: where a model could be taken wrongly.
      for (let n = Math.floor(random() * 12); n >= 0; n--) {
        if (random() < 0.7) line = mutated(line, random)
        lines.push(line)
        bytes += line.length + 1
      }
    }
    const text = Buffer.from(`${lines.join(random() < 0.2 ? '\r\n' : '\n')}\n`)
    const zone = ZONES[Math.floor(random() * ZONES.length)]
    const wrong = compare(text, MODES[round % MODES.length], zone, random)
    if (wrong.length > 0) t.same(wrong.slice(0, 3), [], `round ${round}, zone ${zone}`)
    known += lines.length
  }
  t.ok(known > 0)
})

test(`a line's answer does not depend on what the parser says it did not look at, seed ${SEED}`, async t => {
  const random = seededFraction(SEED)
  const parser = new LineParser()
  const answer = (bytes: Buffer, end: number) => {
    parser.parse(bytes, 1, end, NOW_MS)
    const { level, host, app, timeAt, timeEnd, timeIsGuessed } = parser
    return JSON.stringify([
      level,
      host,
      app,
      timeAt,
      timeEnd,
      timeIsGuessed,
      timeIsGuessed ? '' : String(parser.timeNs),
    ])
  }
  let compared = 0
  for (let round = 0; round < ROUNDS * 200; round++) {
    let line = FORMS[Math.floor(random() * FORMS.length)]
    while (random() < 0.5) line = mutated(line, random)
    const bytes = Buffer.from(`\n${line}\n`)
    const before = answer(bytes, bytes.length)
    const { seenTo, timeAt, digitsFrom } = parser
    if (timeAt < 0 || seenTo > bytes.length) continue
    compared++
    const tail = mutated(mutated(line, random), random)
    const other = Buffer.concat([bytes.subarray(0, seenTo), Buffer.from(`${tail}\n`)])
    if (answer(other, other.length) !== before) t.fail(JSON.stringify([line, other.toString()]))
    if (parser.digitsFrom === Number.POSITIVE_INFINITY) continue
    const text = bytes.toString('latin1')
    const free = digitsFrom
    const digits = (number: string) => number.replace(/\d/g, () => String(Math.floor(random() * 10)))
    const renumbered = text.slice(0, free) + text.slice(free).replace(NUMBERS, digits)
    if (answer(Buffer.from(renumbered, 'latin1'), bytes.length) !== before) t.fail(JSON.stringify([line, renumbered]))
  }
  t.ok(compared > ROUNDS)
})

test('what the core takes the parser for it is', async t => {
  t.equal(PARSED_BYTES_MAX, HEAD_BYTES)
  t.equal(SHIFT_BYTES_MAX_OF_CORE, SHIFT_BYTES_MAX)
  t.equal(LEVEL_BYTES_MAX, LEVEL_WINDOW_BYTES + SHIFT_BYTES_MAX)
})

test(`a level is found only where one of the words stands that tell one, or a colour, seed ${SEED}`, async t => {
  const random = seededFraction(SEED)
  const telling = new RegExp(`(?<![a-z])(${LEVEL_TELLING_WORDS.join('|')})(?![a-z])|\\x1b`, 'i')
  let found = 0
  for (let round = 0; round < ROUNDS * 100; round++) {
    let line = FORMS[Math.floor(random() * FORMS.length)]
    for (let n = Math.floor(random() * 4); n >= 0; n--) line = mutated(line, random)
    const bytes = Buffer.from(`${line}\n`, 'latin1')
    const from = Math.floor(random() * 30)
    const level = findLevel(bytes, from, bytes.length, LEVEL_BYTES_MAX)
    if (level === 0) continue
    found++
    if (!telling.test(line.slice(from))) t.fail(JSON.stringify(line.slice(from)))
  }
  t.ok(found > ROUNDS)
})

test('more events than there is room for in the codec are the same, too: sources that end within lines', async t => {
  const builder = new PacketBuilder(1_000_000)
  const parser = new LineParser()
  const records = new Records({ kind: 'traces' }, 'none')
  const add = (text: string, source: string, offset: number) => {
    builder.space(text.length).write(text)
    const label = { source, host: 'h', path: '/p', app: '', start: 0 }
    builder.add(label, parser, { offset, length: text.length, isMidLine: false, readMs: NOW_MS, records })
  }
  const line = '2026-02-27 10:11:12,345 ERROR com.acme.Pool - gone after 30000 ms'
  for (let n = 0; n < 3000; n++) add(n % 300 === 299 ? `${line}\n`.repeat(20) : line, `s${n}`, 0)
  const { bytes, spans } = builder.collected
  const known = new EventColumns()
  for (const codec of CODECS) {
    const analysis = codec.encode(bytes)?.analysis
    t.ok(analysis?.known !== undefined && analysis.known.rows.ends.length < 3000, 'the codec has room for fewer')
    t.same(rows(known.fill(bytes, spans, analysis)), rows(new EventColumns().fill(bytes, spans)))
  }
})
