import { test } from 'tap'
import { FolderStore } from '../shared/folder-store.ts'
import { NO_WORDS, openStore, Wrapped, world } from '../shared/objects.test-support.ts'
import { sourceName, testPacket } from '../shared/packets.test-support.ts'
import { parseQuery } from '../shared/query.ts'
import type { SegmentStore } from '../shared/segment-store.ts'
import type { SearchRequest } from '../shared/stores.ts'
import { testFolder } from '../shared/test-folder.test-support.ts'
import { contextOf, parseEventId } from './context.ts'

const source = sourceName('a')
const never = new AbortController().signal

async function around(store: SegmentStore, text: string, before: number, after: number): Promise<string[] | undefined> {
  const search = (request: SearchRequest) => store.search(request)
  for await (const { id } of store.search({ query: parseQuery(`"${text}"`), order: 'offset' })) {
    const context = await contextOf(search, { id, ...parseEventId(id)!, before, after }, never)
    return context && [...context.before, context.event, ...context.after].map(({ bytes }) => bytes.toString().trim())
  }
  return undefined
}

test('the lines around an event are found over a hole of any size, and at both ends of a file', async t => {
  const store = await openStore(new FolderStore(world.disk, testFolder(t)))
  const lines = (first: number) => Array.from({ length: 5 }, (_, k) => `line ${first + k}.\n`)
  await store.add([testPacket([{ source, lines: lines(10) }], { sequence: 1 })], NO_WORDS)
  await store.add([testPacket([{ source, from: 1e9, lines: lines(20) }], { sequence: 2 })], NO_WORDS)
  t.same(await around(store, 'line 13.', 2, 3), [
    'line 11.',
    'line 12.',
    'line 13.',
    'line 14.',
    'line 20.',
    'line 21.',
  ])
  t.same(await around(store, 'line 20.', 2, 1), ['line 13.', 'line 14.', 'line 20.', 'line 21.'])
  t.same(await around(store, 'line 10.', 9, 1), ['line 10.', 'line 11.'])
  t.same(await around(store, 'line 24.', 1, 9), ['line 23.', 'line 24.'])
  t.same(await around(store, 'line 22.', 0, 0), ['line 22.'])
})

test('of a long file only what lies near the event is read', async t => {
  let bytesRead = 0
  class Counted extends Wrapped {
    override get = async (key: string, range?: [number, number]) => {
      const content = await this.inner.get(key, range)
      bytesRead += content?.length ?? 0
      return content
    }
  }
  const random = world.random
  const store = await openStore(new Counted(new FolderStore(world.disk, testFolder(t))), {
    blockBytes: 64 * 1024,
    inflatedBytesMax: 0,
  })
  let from = 0
  for (let sequence = 1; sequence <= 20; sequence++) {
    const lines = Array.from({ length: 100 }, (_, k) => `${sequence}/${k} ${random.bytes(500).toString('hex')}\n`)
    const packet = testPacket([{ source, from, lines }], { sequence })
    from += packet.header.rawBytes
    await store.add([packet], NO_WORDS)
  }
  const search = (request: SearchRequest) => store.search(request)
  let id = ''
  for await (const event of store.search({ query: parseQuery('"10/50"'), order: 'offset' })) id = event.id
  bytesRead = 0
  const context = await contextOf(search, { id, ...parseEventId(id)!, before: 3, after: 3 }, never)
  t.equal(context?.before.length, 3)
  t.equal(context?.after.length, 3)
  t.ok(bytesRead > 0 && bytesRead < from / 5, `${bytesRead} of ${from} bytes`)
})
