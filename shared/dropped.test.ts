import { test } from 'tap'
import { asksForDropped, DROPPED_BY, droppedIn, mayHoldDropped } from './dropped.ts'
import { candidatesOf } from './elastic/query-dsl.ts'
import { compileFilter } from './event-filter.ts'
import { FolderStore } from './folder-store.ts'
import { NO_WORDS, openStore, world } from './objects.test-support.ts'
import { sourceName, type TestRun, testEvents, testPacket } from './packets.test-support.ts'
import { parseQuery } from './query.ts'

const by = (rule: string, text: string) => ({
  text,
  level: 'dropped' as const,
  app: `${DROPPED_BY}${rule}`,
  lines: text.split('\n').length - 1,
})
const RUNS: TestRun[] = [
  { lines: ['one\n', by('noise', '****\n***\n'), by('keep', '**\n'), { text: 'two\n', level: 'error' }] },
  { source: sourceName('b'), path: '/b.log', lines: [by('noise', '*\n')] },
]

test('dropped lines are found by nobody who does not ask for them, and are in the sums of none', async t => {
  const store = await openStore(new FolderStore(world.disk, t.testdir()))
  await store.add([testPacket(RUNS, { sequence: 1 })], NO_WORDS)
  const found = async (text: string, level?: 'dropped' | 'error') => {
    const texts: string[] = []
    for await (const event of store.search({ query: parseQuery(text), level, order: 'oldest' }))
      texts.push(event.bytes.toString())
    return texts.join('')
  }
  t.equal(await found(''), 'one\ntwo\n')
  t.equal(await found('-three'), 'one\ntwo\n')
  t.equal(await found('', 'error'), 'two\n')
  t.equal(await found('', 'dropped'), '*\n****\n***\n**\n', 'by time, then source')
  t.equal(await found('level:dropped app:"dropped by keep"'), '**\n')
  t.match(await store.summarise({ query: parseQuery('') }), { events: 2, lines: 2 })
  t.match(await store.summarise({ query: parseQuery('level:dropped') }), { events: 3, lines: 4 })
})

test('viewers and Elasticsearch are asked the same', async t => {
  const look = { bytes: Buffer.from('**\n'), host: 'h', app: 'a', level: 'dropped', path: '/a' }
  t.notOk(compileFilter({})(look))
  t.notOk(compileFilter({ q: 'host:h' })(look))
  t.ok(compileFilter({ level: 'dropped' })(look))
  t.ok(compileFilter({ q: 'host:h (level:dropped OR level:error)' })(look))
  t.match(JSON.stringify(candidatesOf({ query: parseQuery('') })), '"must_not":[{"term":{"log.level":"dropped"}}]')
  t.ok(candidatesOf({ query: parseQuery('') }).isExact)
  t.notMatch(JSON.stringify(candidatesOf({ query: parseQuery('level:dropped') })), '"must_not"')
  t.notOk(asksForDropped({ query: parseQuery('"level:dropped"') }))
})

test('what was dropped is summed by source and rule', async t => {
  const events = testEvents(RUNS)
  t.ok(mayHoldDropped(events.names))
  t.same(
    [...droppedIn(events)],
    [
      [
        sourceName('a'),
        [
          { rule: 'noise', lines: 2, bytes: 9 },
          { rule: 'keep', lines: 1, bytes: 3 },
        ],
      ],
      [sourceName('b'), [{ rule: 'noise', lines: 1, bytes: 2 }]],
    ],
  )
  const forged = testEvents([{ lines: [{ text: 'x\n', app: `${DROPPED_BY}me` }] }])
  t.equal(droppedIn(forged).size, 0, 'a line that calls itself dropped is none')
})
