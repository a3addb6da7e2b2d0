import { test } from 'tap'
import { ClockCheck } from './clock-check.ts'

const HOUR = 3_600_000

test('a clock deletes only while it is steady and a tailer confirms it', t => {
  let wallMs = 1_700_000_000_000
  let monotonicMs = 5_000
  const pass = (ms: number) => {
    wallMs += ms
    monotonicMs += ms
  }
  const check = new ClockCheck({ now: () => wallMs, monotonic: () => monotonicMs }, 60)
  const bucketNow = () => Math.floor(wallMs / 60_000) * 60
  t.notOk(check.isSane, 'nobody confirmed it')
  check.saw([2_082_758_400, 0])
  t.notOk(check.isSane, 'buckets of other times say nothing')
  check.saw([bucketNow()])
  t.ok(check.isSane)
  pass(HOUR)
  t.notOk(check.isSane, 'not confirmed for long')
  check.saw([bucketNow()])
  t.ok(check.isSane)

  wallMs += 10 * 365 * 24 * HOUR
  t.notOk(check.isSane, 'stepped ten years')
  check.saw([bucketNow()])
  t.notOk(check.isSteady)
  t.notOk(check.isSane, 'within the hour not even if confirmed')
  pass(HOUR)
  check.saw([bucketNow()])
  t.ok(check.isSane)
  for (let i = 0; i < 100; i++) {
    pass(1000)
    wallMs += 20
    check.saw([bucketNow()])
    t.ok(check.isSane, 'a clock that drifts is steady') || t.bailout('drift')
  }
  t.end()
})
