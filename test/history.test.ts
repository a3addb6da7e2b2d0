// Histories: asked for at archie, made by any number of workers, exact whatever happens to these.
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { Histories, type HistoryRequest, NoSuchHistoryError } from '../archie/history.ts'
import { CopyJobs } from '../porter/history-copy.ts'
import { Jobs } from '../porter/jobs.ts'
import { SmallFleet, TestTailer } from '../porter/small-fleet.test-support.ts'
import { COPY_KIND, type CopyTask } from '../shared/copy-task.ts'
import { FolderStore } from '../shared/folder-store.ts'
import { NO_WORDS, quiet, world as realTestWorld } from '../shared/objects.test-support.ts'
import { BUCKET, seededRandom, testManifest, testSeed } from '../shared/packets.test-support.ts'
import { parseQuery } from '../shared/query.ts'
import { SegmentStore } from '../shared/segment-store.ts'
import { all, randomPackets } from '../shared/stores.contract.ts'
import type { EventStore } from '../shared/stores.ts'
import { TaskBoard } from '../shared/task-board.ts'
import { testFolder } from '../shared/test-folder.test-support.ts'
import type { World } from '../shared/world.ts'

const NS = 1_000_000_000n
const KEEP_MS = 3_600_000

interface Place {
  world: World
  clock: { aheadMs: number }
  board: TaskBoard
  archive: SegmentStore
  histories: Histories
  open(id: string): Promise<SegmentStore>
  worker(options?: { bucks?: SmallFleet; target?: (store: EventStore) => EventStore; name?: string }): Jobs
}

async function openPlace(t: Test): Promise<Place> {
  const folder = testFolder(t)
  const clock = { aheadMs: 0 }
  const real = realTestWorld.clock
  const world: World = {
    ...realTestWorld,
    log: quiet,
    // Claims die after 20 s and workers look every 2 s: too long to wait for.
    clock: {
      now: () => real.now() + clock.aheadMs,
      monotonic: () => real.monotonic() * 100,
      sleep: (ms, signal) => real.sleep(ms / 100, signal),
    },
  }
  const objects = new FolderStore(world.disk, join(folder, 'archive'))
  const archive = await SegmentStore.open(objects, { world, writer: 'test', blockBytes: 400 })
  const board = new TaskBoard(objects, world)
  const open = (id: string) =>
    SegmentStore.open(new FolderStore(world.disk, join(folder, 'history', id)), { world, writer: 'test' })
  let workers = 0
  return {
    world,
    clock,
    board,
    archive,
    open,
    histories: new Histories({
      board,
      summaries: () => archive.summaries(),
      open,
      environment: 'prod',
      keepMs: KEEP_MS,
      world,
    }),
    worker: ({ bucks, target = (store: EventStore) => store, name = `worker${workers++}` } = {}) =>
      new Jobs({
        board,
        world,
        worker: name,
        kinds: {
          [COPY_KIND]: new CopyJobs({
            index: archive,
            archive,
            world,
            bucks: { dialer: (bucks as SmallFleet)?.dialer('porter'), addresses: bucks?.addresses ?? [] },
            openTarget: async (task: CopyTask) => target(await open(task.id)),
            dropTarget: async task => {
              const store = new FolderStore(world.disk, join(folder, 'history', task.id))
              for (const key of await store.list('')) await store.remove(key)
            },
          }),
        },
      }),
  }
}

/** Of all ten days that the packets are of. */
const WHOLE = { sinceNs: 0n, untilNs: BigInt(BUCKET + 100 * 86_400) * NS, by: 'ann' }

async function built(place: Place, id: string, ...workers: Jobs[]) {
  const end = new AbortController()
  const running = workers.map(worker => worker.run(end.signal))
  const deadline = performance.now() + 150_000
  while ((await place.histories.status(id)).state !== 'done') {
    if (performance.now() > deadline) throw new Error(`not built: ${JSON.stringify(await place.histories.status(id))}`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
  end.abort()
  await Promise.all(running)
  return place.histories.status(id)
}

async function idsOf(store: EventStore, request: Partial<HistoryRequest> = {}): Promise<string[]> {
  const { q, ...rest } = request
  return (await all(store, { ...rest, ...(q && { query: parseQuery(q) }) })).map(event => `${event.id} ${event.timeNs}`)
}

test('a history holds exactly the events of its range, with everything that the archive knows of them', async t => {
  const seed = testSeed('HISTORY_SEED')
  t.comment(`HISTORY_SEED=${seed}`)
  const random = seededRandom(seed)
  const place = await openPlace(t)
  const packets = randomPackets(random, 80)
  for (let at = 0; at < packets.length; at += 9) await place.archive.add(packets.slice(at, at + 9), NO_WORDS)
  const worker = place.worker()
  for (let n = 0; n < 8; n++) {
    const times = [random(), random()].sort().map(part => BigInt(BUCKET + Math.floor(part * 9 * 86_400)) * NS)
    const request = {
      sinceNs: times[0],
      untilNs: times[1] + NS,
      by: 'ann',
      ...(random() < 0.3 && { host: 'web1' }),
      ...(random() < 0.3 && { q: 'word1 -word2' }),
    }
    const started = await place.histories.start(request)
    t.equal(started.index, `bucktail-prod-history-${started.id}`)
    const status = await built(place, started.id, worker)
    const { by: _, ...question } = request
    const expected = await all(place.archive, { ...question, query: parseQuery(request.q ?? '') } as never)
    const found = await all(await place.open(started.id), { query: parseQuery('') })
    t.same(found, expected, `${found.length} events`)
    t.match(status.result, { found: found.length, archived: found.length, fresh: 0, isEqual: true, damages: [] })
  }
})

test('what the bucks have and the archive lacks is in it too, once', async t => {
  const place = await openPlace(t)
  const fleet = await SmallFleet.start(t, 3)
  const tailer = new TestTailer(fleet)
  const bucket = Math.floor(Date.now() / 10_000) * 10
  const archived = tailer.pack(bucket, 'archived and still at the bucks\n')
  const fresh = tailer.pack(bucket, 'only at the bucks\n')
  await tailer.send(archived, 'buck0', 'buck1')
  await tailer.send(fresh, 'buck1', 'buck2')
  await place.archive.add([archived], NO_WORDS)
  const { id } = await place.histories.start({ ...WHOLE, untilNs: BigInt(Date.now() + 86_400_000) * 1_000_000n })
  const status = await built(place, id, place.worker({ bucks: fleet }))
  const found = await all(await place.open(id))
  t.same(found.map(({ bytes }) => bytes.toString()).sort(), [
    'archived and still at the bucks\n',
    'only at the bucks\n',
  ])
  t.match(status.result, { found: 2, archived: 1, fresh: 1, isEqual: true, damages: [] })
})

test('packets that tailers signed for and that nobody has are told; what is gone, elsewhere or of another time is not', async t => {
  const place = await openPlace(t)
  const packets = randomPackets(seededRandom(6), 12)
  const first = packets[0].header.bucket
  const words = {
    manifests: [
      testManifest(first, { first: 1, last: 10 }),
      testManifest(first + 10, { first: 11, last: 15 }),
      testManifest(first - 30 * 86_400, { epoch: '0-00000000000000aa', first: 1, last: 99 }),
    ],
    gone: [testGone(15)],
  }
  await place.archive.add(packets, words)
  const range = { ...WHOLE, sinceNs: BigInt(first) * NS }
  const { id } = await place.histories.start(range)
  const { result } = await built(place, id, place.worker())
  t.match(result, { isEqual: true, missing: 2 })
  t.match(result?.damages, [/^2 packets that tailers signed for are neither in the archive nor at a buck/])
})

function testGone(sequence: number) {
  const { tailer, epoch, boxKey, signKey, signature } = testManifest(BUCKET)
  return { tailer, epoch, sequence, boxKey, signKey, signature }
}

test('a buck that is away is named in the result: what only it has may be missing', async t => {
  const place = await openPlace(t)
  const fleet = await SmallFleet.start(t, 2)
  fleet.cut('buck1')
  const { id } = await place.histories.start(WHOLE)
  const status = await built(place, id, place.worker({ bucks: fleet }))
  t.match(status.result?.damages, [/buck buck1: .* lines that only it has are missing/])
})

test('workers that are killed at any moment, and several at once: the history is the same', async t => {
  const seed = testSeed('HISTORY_SEED')
  t.comment(`HISTORY_SEED=${seed}`)
  const random = seededRandom(seed)
  const place = await openPlace(t)
  const packets = randomPackets(random, 60)
  for (let at = 0; at < packets.length; at += 7) await place.archive.add(packets.slice(at, at + 7), NO_WORDS)
  // Many jobs: as if there were gigabytes.
  const { id } = await place.histories.start(WHOLE)
  const task = (await place.board.task(id)) as never as CopyTask
  const many: CopyTask = { ...task, id: `${id}-many`, jobs: [{}, ...slices(task, 12)] }
  await place.board.addUser(many.id, 'ann')
  await place.board.add(many as never)
  await place.board.drop(id)
  for (let kill = 0; kill < 10; kill++) {
    const death = new AbortController()
    // Dies in the middle of an add, before or after it took effect.
    const isAfter = random() < 0.5
    const dying = (store: EventStore): EventStore => ({
      ...bound(store),
      add: async (...args) => {
        if (random() < 0.3) {
          if (isAfter) await store.add(...args)
          death.abort()
          await new Promise(() => undefined) // as a killed process: nothing after this happens
        }
        return store.add(...args)
      },
    })
    void place.worker({ target: dying }).run(death.signal)
    await Promise.race([
      new Promise(resolve => death.signal.addEventListener('abort', resolve)),
      new Promise(resolve => setTimeout(resolve, 300)),
    ])
    death.abort()
  }
  const status = await built(place, many.id, place.worker(), place.worker(), place.worker())
  t.same(await idsOf(await place.open(many.id)), await idsOf(place.archive))
  t.equal(status.result?.isEqual, true)
})

test('who asks for the same range gets the same history; the last one who drops it removes it', async t => {
  const place = await openPlace(t)
  await place.archive.add(randomPackets(seededRandom(3), 10), NO_WORDS)
  const [first, second] = await Promise.all([
    place.histories.start(WHOLE),
    place.histories.start({ ...WHOLE, by: 'bob' }),
  ])
  t.equal(second.id, first.id)
  t.equal((await place.histories.status(first.id)).users, 2)
  t.not((await place.histories.start({ ...WHOLE, host: 'web1' })).id, first.id, 'another filter is another history')
  await built(place, first.id, place.worker())
  t.equal(await place.histories.drop(first.id, 'bob'), 1)
  t.ok((await idsOf(await place.histories.open(first.id))).length > 0)
  t.equal(await place.histories.drop(first.id, 'ann'), 0)
  await t.rejects(place.histories.status(first.id), NoSuchHistoryError)
  await t.rejects(place.histories.open(first.id), NoSuchHistoryError)
  await runFor(place.worker(), 200)
  t.same(await idsOf(await place.open(first.id)), [], 'its events are gone')
  t.equal(await place.board.keysOf(first.id), undefined, 'and so is the task')
})

test('cancelled: no more work; what is there stays until it expires', async t => {
  const place = await openPlace(t)
  await place.archive.add(randomPackets(seededRandom(4), 10), NO_WORDS)
  const { id } = await place.histories.start(WHOLE)
  const status = await place.histories.cancel(id, 'ann')
  t.equal(status.state, 'cancelled')
  await runFor(place.worker(), 200)
  t.same(await idsOf(await place.open(id)), [])
  t.equal((await place.histories.status(id)).progress.jobsDone, 0)
  place.clock.aheadMs = KEEP_MS + 1000
  await runFor(place.worker(), 300)
  await t.rejects(place.histories.status(id), NoSuchHistoryError)
  t.same(await place.board.look(), [])
})

test('a time in which there is nothing makes an empty history', async t => {
  const place = await openPlace(t)
  const { id, estimate } = await place.histories.start({ ...WHOLE, untilNs: 5n })
  t.same(estimate, { segments: 0, bytes: 0, rawBytes: 0, events: 0 })
  t.match((await built(place, id, place.worker())).result, { found: 0, isEqual: true })
})

function slices(task: CopyTask, count: number) {
  const since = BigInt(BUCKET - 86_400) * NS
  const step = (BigInt(task.params.untilNs) - since) / BigInt(count)
  return Array.from({ length: count }, (_, n) => ({
    sinceNs: n === 0 ? task.params.sinceNs : `${since + step * BigInt(n)}`,
    untilNs: n === count - 1 ? task.params.untilNs : `${since + step * BigInt(n + 1)}`,
  }))
}

function bound(store: EventStore): EventStore {
  return {
    lacking: ids => store.lacking(ids),
    add: (...args) => store.add(...args),
    search: (...args) => store.search(...args),
    summarise: (...args) => store.summarise(...args),
    rangesOf: sources => store.rangesOf(sources),
    totals: () => store.totals(),
    words: () => store.words(),
    sequences: () => store.sequences(),
    expire: before => store.expire(before),
    tidy: pass => store.tidy(pass),
  }
}

async function runFor(worker: Jobs, ms: number): Promise<void> {
  const end = new AbortController()
  const running = worker.run(end.signal)
  await new Promise(resolve => setTimeout(resolve, ms))
  end.abort()
  await running
}

test('a folder that a task names is written only by those who were started for it', async t => {
  const place = await openPlace(t)
  await place.archive.add(randomPackets(seededRandom(6), 10), NO_WORDS)
  const params = { from: 'archive', to: 'folder', folder: '/nowhere', sinceNs: '0', untilNs: '1', estimate: {} }
  await place.board.add({ id: 'export-1', kind: COPY_KIND, createdMs: 0, by: 'ann', params, jobs: [{}] })
  await runFor(place.worker(), 200)
  t.match(await place.board.keysOf('export-1'), { done: new Set(), claims: new Map(), isEnded: false })
})
