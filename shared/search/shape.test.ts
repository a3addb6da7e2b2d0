import { test } from 'tap'
import { parseQuery } from '../query.ts'
import { isShapeId, SHAPE_BYTES_MAX, shapeId, shapeIdOf, shapeOf } from './shape.ts'

const shape = (line: string) => shapeOf(Buffer.from(line)).toString()

test('a shape keeps the words and punctuation, and marks what differs from line to line', async t => {
  for (const [line, expected] of [
    [
      'Dec 10 07:13:56 LabSZ sshd[24227]: Failed password for root from 5.36.59.76 port 42393 ssh2\r\n',
      '<*> <*> <*> LabSZ sshd[<*>]: Failed password for root from <*> port <*> <*>',
    ],
    ['[Sun Dec 04 04:47:44 2005] [notice] workerEnv.init() ok', '[<*> <*> <*> <*> <*>] [notice] workerEnv.init() ok'],
    ['2015-10-18 18:01:47,978 INFO [main] a.b.C: x=0.5', '<*> <*>,<*> INFO [main] a.b.C: x=<*>'],
    ['id 3f2504e0-4f89-11d3-9a0c-0305e82c3301 gone', 'id <*> gone'],
    ['tabs\tand   spaces \t are one', 'tabs and spaces are one'],
    ['end.', 'end.'],
    ['5. step', '<*>. step'],
    ['five..6', 'five..<*>'],
    ['grün 7grün', 'grün <*>'],
    ['', ''],
    ['\n', ''],
  ]) {
    t.equal(shape(line), expected)
  }
})

test('the shape of a record is that of its first line', async t => {
  t.equal(shapeIdOf(Buffer.from('at 12:00 boom\n  at foo(1)\n')), shapeIdOf(Buffer.from('at 13:01 boom\r\n')))
})

test('lines of any length and any bytes have a shape of bounded length', async t => {
  for (const line of ['x'.repeat(65_536), '1 '.repeat(30_000), ' ,'.repeat(30_000), `${'x'.repeat(1023)}1`]) {
    t.ok(shapeOf(Buffer.from(line)).length <= SHAPE_BYTES_MAX)
  }
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte))
  t.equal(shapeOf(bytes).length, 10, 'up to the line end')
})

test('the name of a shape does not change: it stands in saved queries', async t => {
  t.equal(shapeId(Buffer.from('')), shapeIdOf(Buffer.from('\n')))
  t.equal(shapeIdOf(Buffer.from('Accepted password for root from 10.0.0.1 port 22 ssh2')), GOLDEN)
  t.ok(isShapeId(GOLDEN))
})

test('a query for a template finds the lines of that shape, and what is no name is refused', async t => {
  const query = parseQuery(`template:${GOLDEN.toUpperCase()} -*9.9.9.9*`)
  const matches = (line: string) => query.matches({ bytes: Buffer.from(line), host: '', app: '', level: '', path: '' })
  t.ok(matches('Accepted password for root from 10.1.2.3 port 4022 ssh2\n'))
  t.notOk(matches('Accepted password for root from 9.9.9.9 port 4022 ssh2\n'))
  t.notOk(matches('Accepted password for admin from 10.1.2.3 port 4022 ssh2\n'))
  t.throws(() => parseQuery('template:123'), /names no template/)
  t.throws(() => parseQuery('template:*'), /names no template/)
  t.ok(
    parseQuery('"template:123"').matches({
      bytes: Buffer.from('a template:123'),
      host: '',
      app: '',
      level: '',
      path: '',
    }),
  )
})

const GOLDEN = '4251ff00c1acc267'
