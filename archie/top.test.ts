import { test } from 'tap'
import { FolderStore } from '../shared/folder-store.ts'
import { NO_WORDS, openStore, world } from '../shared/objects.test-support.ts'
import { testPacket } from '../shared/packets.test-support.ts'
import { parseQuery } from '../shared/query.ts'
import { shapeOf } from '../shared/search/shape.ts'
import type { SummaryRequest } from '../shared/stores.ts'
import { testFolder } from '../shared/test-folder.test-support.ts'
import { rankNew } from './top.ts'

const NOON = 1_680_004_800_000_000_000n
const HOUR = 3_600_000_000_000n

test('new are the values that did not occur in the time before, whatever happened earlier still', async t => {
  const store = await openStore(new FolderStore(world.disk, testFolder(t)))
  const line = (hours: bigint, text: string, host?: string) => ({
    text: `${text}\n`,
    timeNs: NOON + hours * HOUR,
    host,
  })
  const lines = [
    line(-9n, 'disk 3 is full', 'db1'),
    line(-2n, 'user 17 logged in', 'web1'),
    line(-2n, 'user 18 logged out', 'web1'),
    line(1n, 'user 99 logged in', 'web1'),
    line(1n, 'disk 4 is full', 'web2'),
    line(1n, 'disk 5 is full', 'web1'),
    line(2n, 'fan 1 stands still', 'web1'),
  ]
  await store.add([testPacket([{ lines }], { sequence: 1 })], NO_WORDS)
  const summarise = async (request: SummaryRequest) => ({ ...(await store.summarise(request)), damages: [] })
  const request = { query: parseQuery(''), sinceNs: NOON }
  const ranking = await rankNew(summarise, request, {
    fields: ['templates', 'hosts'],
    unseenNs: NOON - 3n * HOUR,
    limit: 10,
  })
  t.ok(ranking.complete)
  t.equal(ranking.events, 4)
  t.same(
    ranking.top.templates?.values.map(({ text, events }) => [text, events]),
    [
      [shapeOf(Buffer.from('disk 4 is full')).toString(), 2],
      ['fan <*> stands still', 1],
    ],
  )
  t.same(ranking.top.hosts, { values: [{ value: 'web2', events: 1 }], others: 0 })
})
