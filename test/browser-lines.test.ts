// The live page's rows, without a browser.
import { test } from 'tap'
import { clockText, type Line, timeNsOf, timeNsText } from '../web/line.ts'
import { IDS_MAX, LineWindow, ROWS_MAX, SETTLE_MS } from '../web/line-window.ts'

function line(id: string, timeMs: number, arrivedMs = timeMs): Line {
  return {
    kind: 'line',
    id,
    timeNs: BigInt(timeMs) * 1_000_000n,
    host: 'web1',
    app: 'shop',
    level: 'info',
    path: '/var/log/shop.log',
    source: 'ab',
    offset: 0,
    message: id,
    isCut: false,
    timeIsGuessed: false,
    arrivedMs,
  }
}

function texts(window: LineWindow): string[] {
  return window.rows.map(row => (row.kind === 'line' ? row.id : `[${row.text}]`))
}

test('a line that two bucks send is shown once, at once', async t => {
  const window = new LineWindow()
  t.equal(window.add([line('a', 1), line('b', 2)]), 2)
  t.equal(window.add([line('b', 2), line('a', 1)]), 0)
  t.same(texts(window), ['a', 'b'])
})

test('lines that overtook each other stand in the order of their times, if they come soon enough', async t => {
  const window = new LineWindow()
  window.add([line('a', 100, 1000), line('c', 300, 1000)])
  window.add([line('b', 200, 1000 + SETTLE_MS - 1)])
  t.same(texts(window), ['a', 'b', 'c'])
  // Later than that, what the reader has seen does not move.
  window.add([line('late', 50, 1000 + 3 * SETTLE_MS)])
  t.same(texts(window), ['a', 'b', 'c', 'late'])
})

test('what was missed goes to its time, however old', async t => {
  const window = new LineWindow()
  window.add([line('a', 100, 1000), line('d', 400, 1000)])
  window.mark('buck 1 is away')
  window.add([line('e', 500, 9000)])
  t.equal(window.backfill([line('b', 200), line('c', 300), line('d', 400)]), 2)
  t.same(texts(window), ['a', 'b', 'c', 'd', '[buck 1 is away]', 'e'])
})

test('a pause holds new rows back, and shows all of them afterwards', async t => {
  const window = new LineWindow()
  window.add([line('a', 1)])
  window.pause()
  window.add([line('b', 2), line('b', 2)])
  window.mark('note')
  window.add([line('c', 3)])
  t.same(texts(window), ['a'])
  t.equal(window.held, 3)
  window.resume()
  t.same(texts(window), ['a', 'b', '[note]', 'c'])
  t.equal(window.held, 0)
})

test('rows, ids and what a pause holds are bounded, and what falls out of a pause is told', async t => {
  const window = new LineWindow()
  const many = (from: number, count: number) => Array.from({ length: count }, (_, i) => line(`n${from + i}`, from + i))
  for (let i = 0; i < 100; i++) window.add(many(i * 1000, 1000))
  t.ok(window.rows.length <= ROWS_MAX * 1.1)
  t.equal(texts(window).at(-1), 'n99999')
  t.equal(window.add(many(100_000 - IDS_MAX, IDS_MAX)), 0, 'none of the remembered ones again')

  window.pause()
  for (let i = 100; i < 130; i++) window.add(many(i * 1000, 1000))
  t.equal(window.held, 30_000)
  window.resume()
  t.ok(window.rows.length <= ROWS_MAX * 1.1)
  t.equal(texts(window).at(-1), 'n129999')
})

test('times keep all their digits', async t => {
  for (const text of [
    '2026-03-01T12:00:00.123456789Z',
    '1969-12-31T23:59:59.999999999Z',
    '1970-01-01T00:00:00.000000000Z',
  ]) {
    t.equal(timeNsText(timeNsOf(text)), text)
  }
  const now = new Date(2026, 2, 1, 12)
  t.equal(clockText(BigInt(new Date(2026, 2, 1, 9, 5, 7, 8).getTime()) * 1_000_000n, now), '09:05:07.008')
  t.equal(clockText(BigInt(new Date(2026, 1, 1, 9, 5, 7, 8).getTime()) * 1_000_000n, now), '02-01 09:05:07.008')
  t.equal(clockText(BigInt(new Date(2005, 1, 1, 9, 5, 7, 8).getTime()) * 1_000_000n, now), '2005-02-01 09:05:07')
})
