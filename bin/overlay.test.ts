import { test } from 'tap'
import { Overlay, UndecidedError } from './overlay.ts'

const event = (from: number, text: string, epoch: number, tailer = 'aa') => ({
  from,
  bytes: Buffer.from(text),
  tailer,
  epoch: `${epoch}-00000000000000aa`,
})

type TestEvent = ReturnType<typeof event>

/** As restore uses it. */
function laid(events: TestEvent[]): { text: string; conflicts: number[][] } {
  const conflicts: number[][] = []
  const overlay = new Overlay((from, to) => conflicts.push([from, to]))
  let text = ''
  const give = (before: number) => {
    for (const { from, bytes } of overlay.take(before)) {
      if (from !== text.length) throw new Error(`byte ${from} comes after byte ${text.length}`)
      text += bytes
    }
  }
  for (const one of events) {
    give(one.from)
    overlay.add(one)
  }
  give(Number.POSITIVE_INFINITY)
  return { text, conflicts }
}

test('equal copies are given out once, however they are cut', async t => {
  t.same(laid([event(0, 'one\n', 1), event(0, 'one\n', 1), event(4, 'two\n', 1)]), {
    text: 'one\ntwo\n',
    conflicts: [],
  })
  t.same(laid([event(0, 'abcdef', 1), event(2, 'cd', 2), event(3, 'defghi', 1)]), { text: 'abcdefghi', conflicts: [] })
})

test('where two epochs differ the later one counts, in whatever order they come, and it is told', async t => {
  const old = [event(0, 'AAAA', 5), event(4, 'BBBBBB', 5)]
  const later = [event(2, 'CCCCCC', 6), event(8, 'DDDD', 6)]
  const expected = { text: 'AACCCCCCDDDD', conflicts: [[2, 4], [4, 8], [8, 10]] } // biome-ignore format: pairs
  t.same(laid([old[0], later[0], old[1], later[1]]), expected)
  t.same(laid([event(0, 'new', 10), event(0, 'old', 9)]).text, 'new', 'counts are numbers, not texts')
})

test('one epoch, or two tailers, with two contents: nobody knows which is right', async t => {
  for (const other of [event(1, 'x', 5), event(1, 'x', 6, 'bb')]) {
    t.throws(() => laid([event(0, 'one\n', 5), other]), UndecidedError)
  }
})

test('any events of a source that changes between epochs give what the last epoch saw', async t => {
  const seed = Number(process.env.BUCKTAIL_TEST_SEED ?? Math.floor(Math.random() * 2 ** 31))
  t.comment(`BUCKTAIL_TEST_SEED=${seed}`)
  let state = seed
  const below = (n: number) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return (state >>> 8) % n
  }
  for (let round = 0; round < 200; round++) {
    const length = 40
    const truth: string[] = []
    const events: TestEvent[] = []
    for (let epoch = 1; epoch <= 3; epoch++) {
      // Each epoch reads on from somewhere before the end of the one before.
      let from = epoch === 1 ? 0 : below(truth.length + 1)
      while (from < length) {
        const text = Array.from({ length: Math.min(1 + below(9), length - from) }, () => 'ab'[below(2)]).join('')
        events.push(event(from, text, epoch))
        for (const char of text) truth[from++] = char
      }
    }
    events.sort((a, b) => a.from - b.from)
    t.equal(laid(events).text, truth.join(''), `round ${round}`)
  }
})
