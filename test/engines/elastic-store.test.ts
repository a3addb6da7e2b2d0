// The recent index in Elasticsearch, against a real one: the promises of every event store, and those of its own.
import { join } from 'node:path'
import { test } from 'tap'
import { ElasticStore } from '../../shared/elastic/elastic-store.ts'
import { quiet } from '../../shared/objects.test-support.ts'
import { realWorld } from '../../shared/real-world.ts'
import { testEventStore } from '../../shared/stores.contract.ts'
import { startElasticsearch } from './elasticsearch.ts'
import { temporaryFolder } from './engine-process.ts'

test('Elasticsearch keeps the promises of every event store', { timeout: 900_000 }, async t => {
  const engine = await startElasticsearch(t)
  if (!engine) return
  let places = 0
  testEventStore(t, async t => {
    const environment = `contract-${++places}`
    const folder = await temporaryFolder(t, 'rejects')
    return async () => {
      const store = new ElasticStore({
        world: realWorld({ log: quiet }),
        access: { nodes: [engine.url] },
        environment,
        place: 'recent',
        rejectsFolder: join(folder, 'rejects'),
      })
      t.teardown(() => store.close())
      return store
    }
  })
})
