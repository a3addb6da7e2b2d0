import { test } from 'tap'
import { eventId, type FoundEvent } from '../shared/events.ts'
import { realClock } from '../shared/real-world.ts'
import { type Run, streamedAnswer, wholeAnswer } from './answer.ts'

function event(k: number): FoundEvent {
  const bytes = Buffer.from(`line ${k}\n`)
  const place = { source: 'ab', from: 10 * k, to: 10 * k + bytes.length, host: 'web1', app: 'app', path: '/a' }
  const time = { timeNs: BigInt(k) * 1_000_000_000n, timeIsGuessed: false }
  return { id: eventId('ab', 10 * k, bytes), ...place, ...time, level: 'info', lines: 1, bytes }
}

const parsed = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))

test('what was found, and how far the search is, goes out while the next event is long in coming', async t => {
  let goOn = () => {}
  const waiting = new Promise<void>(resolve => {
    goOn = resolve
  })
  const run: Run = async function* (_limit, onDamage, onProgress) {
    onDamage({ where: 'a block', reason: 'is damaged' })
    onProgress?.({ blocks: 1, ofBlocks: 9, bytes: 100 })
    onProgress?.({ blocks: 2, ofBlocks: 9, bytes: 200 })
    yield event(1)
    await waiting
    yield event(2)
  }
  const answer = streamedAnswer(run, undefined, realClock)
  const first = parsed((await answer.next()).value as string)
  t.match(first, [
    { damage: { where: 'a block' } },
    { message: 'line 1' },
    { progress: { blocks: 2, ofBlocks: 9, bytes: 200 } },
  ])
  goOn()
  let rest = ''
  for await (const text of answer) rest += text
  t.match(parsed(rest), [{ message: 'line 2' }, { end: { events: 2, more: false } }])
})

test('an answer that nobody reads on ends the search', async t => {
  let isEnded = false
  const run: Run = async function* () {
    try {
      for (let k = 0; ; k++) {
        if (k % 100 === 0) await realClock.sleep(1)
        yield event(k)
      }
    } finally {
      isEnded = true
    }
  }
  for await (const _ of streamedAnswer(run, undefined, realClock)) break
  t.ok(isEnded)
})

test('a search that fails says so in the last line', async t => {
  const run: Run = async function* () {
    yield event(1)
    throw new Error('the disk hums')
  }
  let text = ''
  for await (const part of streamedAnswer(run, undefined, realClock)) text += part
  t.match(parsed(text), [{ message: 'line 1' }, { error: 'the disk hums' }])
})

test('an answer in one piece stays within its bound of memory, and says that there is more', async t => {
  const long = Buffer.alloc(60_000, 'x')
  let given = 0
  const run: Run = async function* (limit) {
    for (; given < limit!; given++) yield { ...event(given), bytes: long }
  }
  const { events, more } = await wholeAnswer(run, 10_000)
  t.ok(more)
  t.ok(events.length > 500 && events.length < 600, `${events.length} events`)
  t.equal(given, events.length, 'no more were found than that one')
  t.match(await wholeAnswer(async function* () {}, 10), { events: [], more: false })
})
