import { test } from 'tap'
import { PacketBuilder } from './builder.ts'
import { EventColumns } from './event-columns.ts'
import { EventDelays } from './event-delays.ts'
import { LineParser } from './parse/line-parser.ts'

const NOW_MS = Date.parse('2026-01-01T00:01:00Z')

function events(text: string, host = 'h') {
  const builder = new PacketBuilder(1e6)
  const bytes = Buffer.from(text)
  bytes.copy(builder.space(bytes.length))
  builder.add({ source: 's', host, path: '/p', app: '', start: 0 }, new LineParser(), {
    offset: 0,
    length: bytes.length,
    isMidLine: false,
    readMs: NOW_MS,
  })
  return new EventColumns().fill(builder.collected.bytes, builder.collected.spans)
}

test('the least delay of the last minute or two is told per host, below nothing where a clock is ahead', async t => {
  const delays = new EventDelays()
  delays.see(events('2026-01-01T00:00:30Z a\n'), NOW_MS, 60_000)
  delays.see(events('2026-01-01T00:00:00Z a\n2026-01-01T00:00:58Z b\n'), NOW_MS, 61_000)
  delays.see(events('2026-01-01T00:01:05Z a\n', 'ahead'), NOW_MS, 62_000)
  delays.see(events('no time\n', 'silent'), NOW_MS, 62_000)
  delays.see(events('<13>1 2026-01-01T00:00:50Z web1 a - - - m\n'), NOW_MS, 62_000)
  t.strictSame(delays.seconds(63_000), { h: 2, ahead: -5, web1: 10 })
  delays.see(events('2026-01-01T00:00:40Z a\n'), NOW_MS, 121_000)
  t.strictSame(delays.seconds(125_000), { h: 2, ahead: -5, web1: 10 })
  t.strictSame(delays.seconds(185_000), { h: 20 }, 'what is older is forgotten')
  t.strictSame(delays.seconds(400_000), {})
})

test('hosts without end are not all told', async t => {
  const delays = new EventDelays()
  for (let i = 0; i < 300; i++) delays.see(events('2026-01-01T00:00:30Z a\n', `h${i}`), NOW_MS, 60_000)
  t.equal(Object.keys(delays.seconds(60_001)).length, 200)
})
