import { test } from 'tap'
import { LABEL_VALUE_CHARS_MAX, LABELS_MAX, type Labels, labelsOf } from './labels.ts'

const of = (text: string, path = ''): Labels => labelsOf(Buffer.from(text), path)

test('JSON is flattened with points; numbers keep their digits; the message is left out', async t => {
  t.strictSame(
    of('{"time":1704164645123456789,"msg":"x","a":{"b":{"c":"d"},"e":true},"tags":["x","y"],"n":null,"o":[{"p":1}]}\n'),
    { time: '1704164645123456789', 'a.b.c': 'd', 'a.e': 'true', tags: ['x', 'y'] },
  )
  t.strictSame(of('{"a":"caf\\u00e9 \\"q\\"","b":1.50,"c":"\\x"}'), { a: 'caf\u00e9 "q"', b: '1.50', c: '\\x' })
  t.strictSame(of('{"a":1,"b":{"c":2'), { a: '1', 'b.c': '2' }, 'cut off')
  t.strictSame(of('{"a":1,"b":2,"c"'), { a: '1', b: '2' })
  t.strictSame(of('{}'), {})
})

test('pairs are labels wherever they stand as words', async t => {
  t.strictSame(of('time=2024-01-02T03:04:05Z level=info msg="two words" user="a \\"b\\"" n=1, flag\r\n'), {
    time: '2024-01-02T03:04:05Z',
    level: 'info',
    user: 'a "b"',
    n: '1',
  })
  t.strictSame(of('Dec 10 06:55:46 h sshd[1]: authentication failure; logname= uid=0 rhost=1.2.3.4 '), {
    uid: '0',
    rhost: '1.2.3.4',
  })
  t.strictSame(of('1.2.3.4 - - [10/Oct/2000:13:55:36 +0000] "GET /a?b=c&d=e HTTP/1.0" 200'), {})
  t.strictSame(of('a="never ends'), { a: 'never ends' })
})

test('an object that ends a line, structured data of syslog, and fields of the journal are labels', async t => {
  t.strictSame(of('2024-01-02T03:04:05.678+0100\tinfo\tstarted\t{"port": 80, "x": {"y": "z"}}'), {
    port: '80',
    'x.y': 'z',
  })
  t.strictSame(of('2024 {"port": 80} {'), {})
  t.strictSame(of('<165>1 2003-10-11T22:14:15.003Z h a - ID47 [e@1 iut="3" s="a\\"\\]b"][f k="v"] m'), {
    'e@1.iut': '3',
    'e@1.s': 'a"]b',
    'f.k': 'v',
  })
  t.strictSame(of('__CURSOR=s=1\n__REALTIME_TIMESTAMP=1\nPRIORITY=4\n_PID=7\nMESSAGE=x\n\n'), {
    PRIORITY: '4',
    _PID: '7',
  })
})

test('what a container wrote has its labels under those of the runtime', async t => {
  t.strictSame(of('2024-01-02T03:04:05.1Z stderr F {"a":1}\n'), { stream: 'stderr', a: '1' })
  t.strictSame(of('{"log":"a=1 b=2\\n","stream":"stdout","attrs":{"k":"v"},"time":"2024-01-02T03:04:05Z"}'), {
    stream: 'stdout',
    'attrs.k': 'v',
    time: '2024-01-02T03:04:05Z',
    a: '1',
    b: '2',
  })
  t.strictSame(of('x', '/var/log/pods/shop_web-7d9f_0a1b/nginx/0.log'), {
    'kubernetes.namespace': 'shop',
    'kubernetes.pod': 'web-7d9f',
    'kubernetes.pod_uid': '0a1b',
    'kubernetes.container': 'nginx',
  })
  const id = 'ab'.repeat(32)
  t.strictSame(of('x', `/var/log/containers/web-7d9f_shop_nginx-${id}.log`), {
    'kubernetes.pod': 'web-7d9f',
    'kubernetes.namespace': 'shop',
    'kubernetes.container': 'nginx',
    'container.id': id,
  })
  t.strictSame(of('x', `/var/lib/docker/containers/${id}/${id}-json.log`), { 'container.id': id })
})

test('bounds: number of labels, length of values, depth; a key is a key whatever its name', async t => {
  const many = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`k${i}`, i]))
  t.equal(Object.keys(of(JSON.stringify(many))).length, LABELS_MAX)
  t.strictSame(of(JSON.stringify({ a: 'x'.repeat(LABEL_VALUE_CHARS_MAX + 1), b: 1 })), { b: '1' })
  t.strictSame(of(`${'{"a":'.repeat(5000)}1${'}'.repeat(5000)}`), {})
  t.strictSame(Object.keys(of('{"__proto__":"p","constructor":"c"}')), ['__proto__', 'constructor'])
  t.equal(({} as Record<string, unknown>).p, undefined)
})

test('any bytes at all: it never throws', async t => {
  const seed = Number(process.env.SEED ?? 20261124)
  t.comment(`SEED=${seed}`)
  let state = seed
  const random = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0
    return Math.floor(((state >>> 8) / 2 ** 24) * below)
  }
  const heads = [
    '{"a":{"b":[1,"\\u00e9",{"c":null}]},"d":"e"}',
    'a=1 b="c" d=',
    '<1>1 - - - - - [a b="c"]',
    '__CURSOR=1\nA=2\n',
  ]
  for (let round = 0; round < 20_000; round++) {
    const line = Buffer.from(heads[random(heads.length)])
    for (let i = random(6); i > 0; i--) line[random(line.length)] = random(4) === 0 ? random(256) : 0x20 + random(95)
    labelsOf(line.subarray(0, random(line.length + 1)))
  }
  t.pass('every line had an answer')
})
