import { test } from 'tap'
import { seededFraction } from '../../bin/samples.ts'
import { EVENT_BYTES_MAX } from '../../shared/events.ts'
import { compilePattern } from '../../shared/query/pattern.ts'
import { type LineRule, Records } from './records.ts'
import { type Wrapper, wrapperOf } from './wrapper.ts'

const TRACES: LineRule = { kind: 'traces' }

/** The records of a text, each with its lines, `+` in front if it is marked as continued. */
function split(text: string, rule = TRACES, wrapper: Wrapper = 'none'): string[] {
  const bytes = Buffer.from(text)
  const records = new Records(rule, wrapper)
  const found: string[] = []
  for (let at = 0; at < bytes.length; at = records.end) {
    records.next(bytes, at, bytes.length)
    const lines = bytes.toString('utf8', at, records.end)
    found.push((records.isContinued ? '+' : '') + lines)
    if (lines.split('\n').length - 1 !== records.lines && lines.endsWith('\n'))
      throw new Error(`${records.lines} lines`)
    if (records.headEnd !== at + lines.indexOf('\n') + 1 && lines.endsWith('\n')) throw new Error('headEnd')
  }
  return found
}

const BEFORE = '2024-01-02 03:04:05,678 INFO before\n'
const AFTER = '2024-01-02 03:04:06,000 INFO after\n'

/** Each is one record, as it stands in a log; with `logged`, it belongs to the line that logged it. */
const SAMPLES: Record<string, { trace: string; logged: boolean }> = {
  Java: {
    logged: true,
    trace: `java.lang.IllegalStateException: outer
\tat org.x.Y.z(Y.java:12)
\tat org.x.Main.main(Main.java:3) ~[app.jar:1.0]
Caused by: java.sql.SQLException: inner
\tat org.x.Db.query(Db.java:99)
\t... 2 more
\tSuppressed: java.io.IOException: closed
\t\tat org.x.Db.close(Db.java:1)
`,
  },
  'Java, uncaught': {
    logged: false,
    trace: `Exception in thread "main" java.lang.NullPointerException
\tat org.x.Y.z(Y.java:12)
`,
  },
  Python: {
    logged: true,
    trace: `Traceback (most recent call last):
  File "/srv/app.py", line 12, in main
    run()
    ~~~^^
  File "/srv/app.py", line 3, in run
    return data["x"]
KeyError: 'x'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "/srv/app.py", line 14, in main
    stop()
app.errors.StopError: cannot stop
`,
  },
  Go: {
    logged: false,
    trace: `panic: runtime error: invalid memory address or nil pointer dereference
[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x48a2b3]

goroutine 1 [running]:
main.(*server).handle(0x0, {0xc000012345, 0x5})
\t/srv/main.go:12 +0x1d
main.main()
\t/srv/main.go:30 +0x85

goroutine 18 [select]:
net/http.(*Server).Serve(...)
\t/usr/local/go/src/net/http/server.go:3056
created by main.main in goroutine 1
\t/srv/main.go:25 +0x5a
exit status 2
`,
  },
  'Node, logged': {
    logged: true,
    trace: `TypeError: Cannot read properties of undefined (reading 'x')
    at run (/srv/app.js:3:15)
    at async main (file:///srv/app.js:12:3) {
  code: 'ERR_X',
  cause: Error: inner
      at other (/srv/app.js:1:1)
}
`,
  },
  'Node, uncaught': {
    logged: false,
    trace: `/srv/app.js:3
    throw new TypeError('x')
    ^

TypeError: x
    at Object.<anonymous> (/srv/app.js:3:11)
    at node:internal/main/run_main_module:28:49

Node.js v24.11.0
`,
  },
  Ruby: {
    logged: false,
    trace: `/srv/app.rb:3:in 'Integer#/': divided by 0 (ZeroDivisionError)
\tfrom /srv/app.rb:3:in 'Object#run'
\tfrom /srv/app.rb:7:in '<main>'
`,
  },
  'Ruby on Rails': {
    logged: true,
    trace: `ActiveRecord::RecordNotFoundError (Couldn't find User with 'id'=7):

app/controllers/users_controller.rb:12:in \`show'
app/models/user.rb:3:in \`load'
`,
  },
  '.NET': {
    logged: true,
    trace: `System.InvalidOperationException: outer
 ---> System.ArgumentNullException: Value cannot be null. (Parameter 'x')
   at App.Db.Query(String x) in /srv/Db.cs:line 12
   --- End of inner exception stack trace ---
   at App.Main.Run()
--- End of stack trace from previous location ---
   at App.Main.<Main>(String[] args)
`,
  },
  '.NET, uncaught': {
    logged: false,
    trace: `Unhandled exception. System.DivideByZeroException: Attempted to divide by zero.
   at App.Main.Run() in /srv/Main.cs:line 3
`,
  },
  PHP: {
    logged: false,
    trace: `[02-Jan-2024 03:04:05 UTC] PHP Fatal error:  Uncaught Exception: x in /srv/x.php:3
Stack trace:
#0 /srv/x.php(12): run()
#1 {main}
  thrown in /srv/x.php on line 3
`,
  },
  journal: {
    logged: false,
    trace: `__CURSOR=s=1;i=2
__REALTIME_TIMESTAMP=1704164645123456
PRIORITY=4
MESSAGE
\x16\0\0\0\0\0\0\0first

__CURSOR=forged
_PID=7

`,
  },
}

for (const [name, { trace, logged }] of Object.entries(SAMPLES)) {
  test(`${name}: a trace is one record`, async t => {
    const error = '2024-01-02 03:04:05,700 ERROR failed\n'
    t.strictSame(split(BEFORE + trace + AFTER), logged ? [BEFORE + trace, AFTER] : [BEFORE, trace, AFTER])
    if (logged) t.strictSame(split(BEFORE + error + trace + AFTER), [BEFORE, error + trace, AFTER])
    t.strictSame(split(trace + trace), [trace, trace], 'two are two')
    t.strictSame(split(trace), [trace])
    if (name !== 'journal') {
      const crlf = trace.replaceAll('\n', '\r\n')
      t.strictSame(split(`${crlf}2024-01-02 03:04:05 x\r\n`), [crlf, '2024-01-02 03:04:05 x\r\n'], 'CR LF')
    }
    const bytes = Buffer.from(trace)
    const records = new Records(TRACES, 'none')
    t.equal(records.maybeJoined(bytes, 0, bytes.length) || name === 'PHP', true, 'seen by the first look at a line')
  })

  test(`${name}: written within the lines of a container's runtime it is one record all the same`, async t => {
    if (name === 'journal') return t.comment('not written by programs')
    const cri = (text: string) =>
      text
        .split('\n')
        .slice(0, -1)
        .map(line => `2024-01-02T03:04:05.1Z stderr F ${line}\n`)
        .join('')
    const docker = (text: string) =>
      text
        .split('\n')
        .slice(0, -1)
        .map(line => `${JSON.stringify({ log: `${line}\n`, stream: 'stderr', time: '2024-01-02T03:04:05Z' })}\n`)
        .join('')
    for (const [wrap, wrapper] of [[cri, 'cri'] as const, [docker, 'docker'] as const]) {
      // What the second line behind says is not asked here: where Node tells a place before the error, that is apart.
      const extra = name === 'Node, uncaught' ? 3 : 0
      const joined = logged ? [wrap(BEFORE + trace), wrap(AFTER)] : [wrap(BEFORE), wrap(trace), wrap(AFTER)]
      const found = split(wrap(BEFORE + trace + AFTER), TRACES, wrapper)
      t.strictSame(found.join(''), joined.join(''), 'exact')
      t.equal(found.length, joined.length + extra, wrapper)
    }
  })
}

test('what container runtimes cut is one record', async t => {
  const cri = `2024-01-02T03:04:05.1Z stdout P {"a":
2024-01-02T03:04:05.1Z stdout P 1,
2024-01-02T03:04:05.1Z stdout F "b":2}
`
  t.strictSame(split(`${cri}2024-01-02T03:04:05.2Z stdout F x\n`, TRACES, 'cri'), [
    cri,
    '2024-01-02T03:04:05.2Z stdout F x\n',
  ])
  const docker = '{"log":"a","stream":"stdout","time":"t"}\n{"log":"b\\n","stream":"stdout","time":"t"}\n'
  t.strictSame(split(docker + docker, { kind: 'lines' }, 'docker'), [docker, docker])
  const id = 'ab'.repeat(32)
  t.equal(wrapperOf(`/var/lib/docker/containers/${id}/${id}-json.log`), 'docker')
  t.equal(wrapperOf('/var/log/pods/ns_pod_uid/c/0.log'), 'cri')
  t.equal(wrapperOf(`/var/log/containers/p_ns_c-${id}.log`), 'cri')
  t.equal(wrapperOf('/var/log/syslog'), 'none')
})

test('lines that only look a little like traces are records of their own', async t => {
  const lines = [
    '2024-01-02 03:04:05 INFO x\n',
    '  indented by habit\n',
    'at the end\n',
    'Error budget is fine\n',
    'from: a@b.c\n',
    '\n',
    'Traces are nice\n',
    '[error] x\n',
    '{"a":1}\n',
    '} else {\n',
    '/usr/bin/x:7\n',
    'panic\n',
    'exit status 0\n',
    'goroutines: 7\n',
    '#1 first\n',
    '_x\n',
  ]
  t.strictSame(split(lines.join('')), lines)
})

test('own rules: a line that begins a record, a line that goes on, a time, an indentation', async t => {
  const pattern = (text: string) => ({ isIn: (line: string) => compilePattern(text, false).isIn(line) })
  const text = '>> a\nb\n>> c\n  d\n'
  t.strictSame(split(text, { kind: 'start', ...pattern('^>> ') }), ['>> a\nb\n', '>> c\n  d\n'])
  t.strictSame(split(text, { kind: 'continue', ...pattern('^(b| )') }), ['>> a\nb\n', '>> c\n  d\n'])
  t.strictSame(split(text, { kind: 'indented' }), ['>> a\n', 'b\n', '>> c\n  d\n'])
  t.strictSame(split(text, { kind: 'lines' }), ['>> a\n', 'b\n', '>> c\n', '  d\n'])
  const jul = 'Jan 02, 2024 3:04:05 PM org.x.Y z\nINFO: x\nmore\n'
  t.strictSame(split(jul + jul, { kind: 'time' }), [jul, jul])
  t.strictSame(split(`INFO: x\n${jul}`, { kind: 'time' }), ['+INFO: x\n', jul], 'its beginning was in another file')
})

test('a record is no longer than an event; what is beyond is marked as continued', async t => {
  const frame = `\tat ${'x'.repeat(1000)}\n`
  const trace = `Exception in thread "main" x\n${frame.repeat(100)}`
  const found = split(trace + AFTER)
  t.equal(found.length, 3)
  t.ok(found[0].length <= EVENT_BYTES_MAX && found[0].length > EVENT_BYTES_MAX - 1100)
  t.ok(found[1].startsWith('+\tat '))
  t.equal(found[0] + found[1].slice(1) + found[2], trace + AFTER)
  t.ok(split('\tat x\n'.repeat(11_000)).every(record => record.split('\n').length <= 10_001))
})

test('the last record is open while more may come of it', async t => {
  const last = (text: string, rule: LineRule = TRACES, wrapper: Wrapper = 'none') => {
    const bytes = Buffer.from(text)
    const records = new Records(rule, wrapper)
    const at = records.last(bytes, 0, bytes.length)
    return [bytes.toString('utf8', at), records.isOpen]
  }
  t.strictSame(last(`${BEFORE}${AFTER}`), [AFTER, false])
  const error = '2024-01-02 03:04:05,700 ERROR failed\n'
  t.strictSame(last(BEFORE + error), [error, true], 'it may have logged a trace')
  t.strictSame(last(`${error}java.lang.X: y\n`), [`java.lang.X: y\n`, false])
  t.strictSame(last(`${BEFORE}${error}java.lang.XError: y\n\tat z\n`), [`${error}java.lang.XError: y\n\tat z\n`, true])
  t.strictSame(last('2024-01-02T03:04:05.1Z stdout P x\n', TRACES, 'cri'), [
    '2024-01-02T03:04:05.1Z stdout P x\n',
    true,
  ])
  t.strictSame(last('__CURSOR=1\nA=1\n\n'), ['__CURSOR=1\nA=1\n\n', false])
  t.strictSame(last('__CURSOR=1\nA=1\n'), ['__CURSOR=1\nA=1\n', true])
  t.strictSame(last('a\n  b\n', { kind: 'indented' }), ['a\n  b\n', true])
  const many = BEFORE.repeat(5000)
  t.strictSame(last(`${many}panic: x\n\n`), ['\n', false])
  t.strictSame(last(`${many}panic: x\n`), ['panic: x\n', true])
})

test('any lines at all: every byte is in one record, lines add up, and what the first look passes over stands alone', async t => {
  const seed = Number(process.env.SEED ?? 20261124)
  t.comment(`SEED=${seed}`)
  let state = seed
  const random = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    return Math.floor(((state >>> 8) / 2 ** 24) * below)
  }
  const pool = Object.values(SAMPLES)
    .flatMap(({ trace }) => trace.split('\n').map(line => `${line}\n`))
    .concat(BEFORE, AFTER, 'Jan  2 03:04:05 h a: x\n', '{"a":1}\n')
  for (let round = 0; round < 3000; round++) {
    const lines = Array.from({ length: 1 + random(30) }, () => pool[random(pool.length)])
    const bytes = Buffer.from(lines.join(''))
    for (let i = random(3); i > 0; i--) {
      const at = random(bytes.length - 1)
      if (bytes[at] !== 0x0a) bytes[at] = random(256)
    }
    const records = new Records(TRACES, 'none')
    let total = 0
    for (let at = 0; at < bytes.length; at = records.end) {
      records.next(bytes, at, bytes.length)
      if (records.end <= at) return t.fail(`no progress at ${at} of ${bytes.toString('hex')}`)
      total += records.lines
      if (records.lines === 1) continue
      const next = bytes.indexOf(0x0a, at) + 1
      if (!records.maybeJoined(bytes, at, bytes.length) && !records.maybeJoined(bytes, next, bytes.length)) {
        return t.fail(`not seen at the first look: ${bytes.toString('utf8', at, records.end)}`)
      }
    }
    let newlines = 0
    for (const c of bytes) if (c === 0x0a) newlines++
    const expected = newlines + (bytes[bytes.length - 1] === 0x0a ? 0 : 1)
    if (total !== expected) return t.fail(`${total} lines of ${expected}: ${bytes.toString('hex')}`)
  }
  t.pass('all fine')
})

test('the last record is that which is found from the beginning, whatever the lines are', async t => {
  const seed = Number(process.env.SEED ?? Date.now() % 1e9)
  t.comment(`SEED=${seed}`)
  const random = seededFraction(seed)
  const pool = Object.values(SAMPLES)
    .flatMap(({ trace }) => trace.split('\n').map(line => `${line}\n`))
    .concat(
      BEFORE,
      AFTER,
      BEFORE,
      AFTER,
      'Jan  2 03:04:05 h a: x\n',
      'Feb 12 03:04:05 h a: f(x)\n',
      '{"a":1}\n',
      '<13>x\n',
    )
    .concat(
      '[signal SIGSEGV: x]\n',
      '[x]\n',
      'nova.log.1 2017-05-16 00:00:00.008 x\n',
      'nova_13:53:08 2017-05-16 00:00:00.008 x\n',
      'words only\n',
      '__CURSOR=1\n',
      '__REALTIME_TIMESTAMP=1\n',
      'MESSAGE\n',
      'MESSAGE=x\n',
      '\r\n',
    )
  let far = 0
  for (let round = 0; round < 4000; round++) {
    const text = Array.from({ length: 1 + Math.floor(random() * 40) }, () => pool[Math.floor(random() * pool.length)])
    const bytes = Buffer.from(text.join(''))
    for (let i = Math.floor(random() * 3); i > 0; i--) {
      const at = Math.floor(random() * (bytes.length - 1))
      if (bytes[at] !== 0x0a) bytes[at] = Math.floor(random() * 256)
    }
    const walked = new Records(TRACES, 'none')
    let at = 0
    for (walked.next(bytes, at, bytes.length); walked.end < bytes.length; walked.next(bytes, at, bytes.length)) {
      at = walked.end
    }
    const records = new Records(TRACES, 'none')
    const found = records.last(bytes, 0, bytes.length)
    const of = (r: Records) => [r.end, r.headEnd, r.lines, r.isContinued, r.isOpen]
    if (found !== at || of(records).join() !== of(walked).join()) {
      return t.fail(
        `${found} ${of(records)} instead of ${at} ${of(walked)}: ${JSON.stringify(bytes.toString('latin1'))}`,
      )
    }
    if (at > 0) far++
  }
  t.ok(far > 1500)
})
