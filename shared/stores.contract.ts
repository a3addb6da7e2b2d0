// What every EventStore must hold to (shared/stores.ts): the embedded one, Elasticsearch.
import type { Test } from 'tap'
import { compareFound, type FoundEvent, flagsOf } from './events.ts'
import type { PacketId } from './messages.ts'
import { type Packet, packetEvents } from './packet.ts'
import {
  BUCKET,
  EPOCH,
  seededRandom,
  sourceName,
  TAILER,
  type TestLine,
  type TestRun,
  testManifest,
  testPacket,
  testSeed,
} from './packets.test-support.ts'
import { parseQuery } from './query.ts'
import { RangeSet } from './ranges.ts'
import { Tally } from './search/tally.ts'
import { type EventStore, type SearchRequest, TOP_FIELDS } from './stores.ts'

/** Opens a handle on one place; each call another handle, as other processes have. A new place for each call of it. */
export type OpenPlace = (t: Test) => Promise<() => Promise<EventStore>>

const NO_WORDS = { manifests: [], gone: [] }
const DAY = 86_400

export function testEventStore(t: Test, place: OpenPlace): void {
  const promise = (title: string, body: (t: Test, open: () => Promise<EventStore>) => Promise<void>) =>
    t.test(title, async t => body(t, await place(t)))

  promise('what was added is found again byte for byte, by this handle and by another', async (t, open) => {
    const texts = [
      'plain\n',
      'CR LF\r\n',
      'lone \r CR\n',
      Buffer.from([0, 0xff, 0xc3, 0x28, 0x0a]),
      '\n',
      'no line end',
    ]
    const packet = testPacket([{ from: 100, start: 40, lines: texts.map(text => ({ text })) }], { sequence: 1 })
    const store = await open()
    const added = await store.add([packet], NO_WORDS)
    t.same(added, { packets: 1, events: 6, lines: 6, bytes: packet.header.rawBytes, repeated: 0 })
    for (const handle of [store, await open()]) {
      const found = await all(handle, { order: 'offset' })
      t.same(
        Buffer.concat(found.map(({ bytes }) => bytes)),
        Buffer.concat(texts.map(text => Buffer.from(text as string))),
      )
      t.equal(found[0].from, 100)
      t.equal(found[0].id, `${sourceName('a')}-100-${found[0].id.slice(-16)}`)
      t.match(found[0], { tailer: TAILER, epoch: EPOCH, sequence: 1, bucket: BUCKET, host: 'web1', app: 'app' })
    }
  })

  promise('where nothing was ever added everything is empty, and nothing is an error', async (t, open) => {
    const store = await open()
    t.same(await all(store), [])
    t.same(await store.totals(), [])
    t.same(await store.words(), { manifests: [], gone: [] })
    t.same([...(await store.sequences())], [])
    t.same([...(await store.rangesOf([sourceName('a')]))], [])
    t.match(await store.summarise({ query: parseQuery(''), volume: true, tops: ['hosts'] }), { events: 0, lines: 0 })
    t.match(await store.summarise({ query: parseQuery('"a phrase"') }), { events: 0, lines: 0 })
    await store.tidy()
  })

  promise(
    'events of any time are found and taken elsewhere: long ago, in a far year, at the ends of what can be told',
    async (t, open) => {
      const store = await open()
      const range = { sinceNs: -(2n ** 63n), untilNs: 2n ** 63n - 1n }
      const times = [-(2n ** 63n), -1n, 0n, 4_102_444_800_123_456_789n, 2n ** 63n - 2n]
      const lines = times.map(timeNs => ({ text: `${timeNs}\n`, timeNs }))
      await store.add([testPacket([{ lines }], { sequence: 1 })], NO_WORDS)
      for (const asked of [{}, range]) {
        t.same(
          (await all(store, { ...asked, order: 'offset' })).map(({ timeNs }) => timeNs),
          times,
        )
        t.equal((await store.summarise({ ...asked, query: parseQuery(''), volume: true })).events, times.length)
      }
      if (!store.eventPackets) return
      let taken = 0
      for await (const packets of store.eventPackets({ ...range, query: parseQuery('') }, () => undefined)) {
        for (const { header } of packets) taken += header.events
      }
      t.equal(taken, times.length)
    },
  )

  promise('what is known of an event comes back with it: guessed time, continued, redacted', async (t, open) => {
    const store = await open()
    const lines = Array.from({ length: 8 }, (_, flags) => ({ text: `flags ${flags}\n`, flags }))
    await store.add([testPacket([{ lines }], { sequence: 1 })], NO_WORDS)
    t.same((await all(store, { order: 'offset' })).map(flagsOf), [0, 1, 2, 3, 4, 5, 6, 7])
    if (!store.eventPackets) return
    const taken: number[] = []
    for await (const packets of store.eventPackets({ query: parseQuery('') }, () => undefined)) {
      taken.push(...packets.flatMap(packet => [...packetEvents(packet).flags]))
    }
    t.same(taken.sort(), [0, 1, 2, 3, 4, 5, 6, 7], 'and when it is taken elsewhere')
  })

  promise('what a tailer dropped is shown and counted only to whom asks for it', async (t, open) => {
    const store = await open()
    const lines: TestLine[] = [
      { text: 'kept\n' },
      { text: '....\n', level: 'dropped', app: 'dropped by rule' },
      { text: 'too\n', level: 'info' },
    ]
    await store.add([testPacket([{ lines }], { sequence: 1 })], NO_WORDS)
    for (const [q, expected] of [
      ['', ['kept\n', 'too\n']],
      ['level:dropped', ['....\n']],
      ['-level:info', ['kept\n']],
    ] as const) {
      const query = parseQuery(q)
      t.same(texts(await all(store, { query, order: 'offset' })), expected, q)
      t.equal((await store.summarise({ query })).events, expected.length, q)
    }
    t.equal((await all(store, { withDropped: true })).length, 3)
    t.equal((await store.totals())[0].events, 3, 'it is held, and counts as held')
  })

  promise(
    'a packet that is held already is skipped: in a later call, in the same call, by another handle',
    async (t, open) => {
      const store = await open()
      const packet = testPacket([{ lines: ['one\n', 'two\n'] }], { sequence: 1 })
      t.match(await store.add([packet, packet], NO_WORDS), { packets: 1, events: 2 })
      t.match(await store.add([packet], NO_WORDS), { packets: 0, events: 0, repeated: 0 })
      t.match(await (await open()).add([packet], NO_WORDS), { packets: 0, events: 0, repeated: 0 })
      t.equal((await all(store)).length, 2)
    },
  )

  promise('one id with two sums is two packets', async (t, open) => {
    const store = await open()
    const one = testPacket([{ lines: ['one\n'] }], { sequence: 5 })
    const other = testPacket([{ source: sourceName('b'), lines: ['other\n'] }], { sequence: 5 })
    const next = testPacket([{ from: 4, lines: ['next\n'] }], { sequence: 6 })
    await store.add([one], NO_WORDS)
    t.same(await store.lacking(ids([one, other, next])), ids([other, next]))
    await store.add([other], NO_WORDS)
    t.same(await store.lacking(ids([one, other])), [])
    t.same(texts(await all(store)).sort(), ['one\n', 'other\n'])
    t.same([...((await store.sequences()).get(`${TAILER}/${EPOCH}`) ?? [])], [[5, 6]])
  })

  promise('where source ranges overlap, equal events count once and different bytes are both kept', async (t, open) => {
    const store = await open()
    const first = testPacket([{ lines: ['aaaa\n', 'bbbb\n', 'cccc\n'] }], { sequence: 1 })
    const cutAnew = testPacket([{ from: 5, lines: ['bbbb\n', 'XXXX\n', 'dddd\n'] }], {
      epoch: '2-00000000000000bb',
      sequence: 1,
    })
    t.match(await store.add([first], NO_WORDS), { events: 3, repeated: 0 })
    t.match(await store.add([cutAnew], NO_WORDS), { packets: 1, events: 2, lines: 2, bytes: 10, repeated: 1 })
    t.same(texts(await all(store, { order: 'offset' })), ['aaaa\n', 'bbbb\n', 'XXXX\n', 'cccc\n', 'dddd\n'])
    const allRepeats = testPacket([{ from: 5, lines: ['bbbb\n', 'cccc\n'] }], { sequence: 9 })
    t.match(await store.add([allRepeats], NO_WORDS), { packets: 1, events: 0, bytes: 0, repeated: 2 })
    t.same(await store.lacking(ids([allRepeats])), [], 'it is held although nothing of it was new')
    t.equal((await all(await open())).length, 5)
  })

  promise('packets of one call may overlap each other', async (t, open) => {
    const store = await open()
    const one = testPacket([{ lines: ['aaaa\n', 'bbbb\n'] }], { sequence: 1 })
    const two = testPacket([{ from: 5, lines: ['bbbb\n', 'cccc\n'] }], { sequence: 2, bucket: BUCKET + 3 * DAY })
    const three = testPacket([{ from: 5, lines: ['BBBB\n'] }], { epoch: '2-00000000000000bb', sequence: 1 })
    t.match(await store.add([three, two, one], NO_WORDS), { packets: 3, events: 4, repeated: 1 })
    t.same(texts(await all(store, { order: 'offset' })).sort(), ['BBBB\n', 'aaaa\n', 'bbbb\n', 'cccc\n'])
  })

  promise('equal lines at different places are different lines', async (t, open) => {
    const store = await open()
    const lines = ['same\n', 'same\n', 'same\n']
    await store.add([testPacket([{ lines }, { source: sourceName('b'), lines }], { sequence: 1 })], NO_WORDS)
    t.equal((await all(store)).length, 6)
  })

  promise('words are kept as they were, once, also without packets', async (t, open) => {
    const store = await open()
    const manifest = testManifest(BUCKET, {
      gaveUp: [
        { source: sourceName('z'), host: 'h', path: '/p', from: 0, reason: 'vanished', kind: 'hole' },
        { source: sourceName('z'), host: 'h', path: '/p', from: 0, to: 7, reason: 'excluded', kind: 'excluded' },
      ],
    })
    const later = testManifest(BUCKET + 60, { farewell: true, sources: [] })
    const keys = { boxKey: Buffer.alloc(32, 1), signKey: Buffer.alloc(32, 2), signature: Buffer.alloc(64, 9) }
    const gone = { tailer: TAILER, epoch: EPOCH, sequence: 4, ...keys }
    await store.add([], { manifests: [manifest, manifest], gone: [gone] })
    await store.add([testPacket([{ lines: ['x\n'] }], { sequence: 1 })], { manifests: [manifest, later], gone: [gone] })
    for (const handle of [store, await open()]) {
      const words = await handle.words()
      t.same(
        words.manifests.sort((a, b) => a.bucket - b.bucket),
        [manifest, later],
      )
      t.same(words.gone, [gone])
    }
  })

  promise('adding nothing changes nothing', async (t, open) => {
    const store = await open()
    t.same(await store.add([], NO_WORDS), { packets: 0, events: 0, lines: 0, bytes: 0, repeated: 0 })
    t.same(await all(store), [])
    t.same(await store.totals(), [])
    t.same(await store.words(), NO_WORDS)
    t.equal((await store.sequences()).size, 0)
  })

  promise('totals name what is held of each source', async (t, open) => {
    const store = await open()
    const b: TestRun = {
      source: sourceName('b'),
      host: 'db1',
      path: '/b',
      app: 'db',
      from: 10,
      start: 10,
      lines: ['12345678\n'],
    }
    await store.add(
      [testPacket([{ lines: ['one\n', { text: 'two\nthree\n', lines: 2 }] }, b], { sequence: 1 })],
      NO_WORDS,
    )
    await store.add([testPacket([{ from: 20, lines: ['later\n'] }], { sequence: 2 })], NO_WORDS)
    const totals = new Map((await store.totals()).map(sum => [sum.source, sum]))
    t.match(totals.get(sourceName('a')), {
      host: 'web1',
      path: '/var/log/app.log',
      app: 'app',
      start: 0,
      events: 3,
      lines: 4,
      bytes: 20,
    })
    t.same(
      [...(totals.get(sourceName('a'))?.ranges ?? [])],
      [
        [0, 14],
        [20, 26],
      ],
    )
    t.match(totals.get(sourceName('b')), {
      host: 'db1',
      path: '/b',
      app: 'db',
      start: 10,
      events: 1,
      lines: 1,
      bytes: 9,
    })
    t.equal(totals.size, 2)
  })

  promise(
    'results come in the order asked for, filtered and limited, as a plain sort of all events says',
    async (t, open) => {
      const seed = testSeed('STORE_SEED')
      t.comment(`STORE_SEED=${seed}`)
      const random = seededRandom(seed)
      const store = await open()
      const packets = randomPackets(random, 60)
      for (let at = 0; at < packets.length; at += 7) await store.add(packets.slice(at, at + 7), NO_WORDS)
      if (random() < 0.5) await store.tidy()
      const everything = await all(store, { order: 'oldest' })
      t.equal(
        everything.length,
        packets.reduce((sum, { header }) => sum + header.events, 0),
      )
      t.same(texts(everything), texts(everything.toSorted(compareFound)))
      const pick = <T>(of: T[]) => of[Math.floor(random() * of.length)]
      for (let n = 0; n < 40; n++) {
        const sample = pick(everything)
        const times = [sample.timeNs, pick(everything).timeNs].sort((a, b) => (a < b ? -1 : 1))
        const request: Partial<SearchRequest> = {
          order: pick(['oldest', 'newest', 'offset'] as const),
          ...(random() < 0.4 && {
            query: parseQuery(pick(['word3', '*ord1*', '-word2', 'word1 OR word4', '"word1 word1"', 'absent'])),
          }),
          ...(random() < 0.3 && { sinceNs: times[0] }),
          ...(random() < 0.3 && { untilNs: times[1] }),
          ...(random() < 0.2 && { host: sample.host }),
          ...(random() < 0.2 && { app: sample.app }),
          ...(random() < 0.2 && { level: sample.level || undefined }),
          ...(random() < 0.2 && { file: pick([sample.path, '*.log', '/var/log/1*', 'log/2']) }),
          ...(random() < 0.2 && { source: sample.source }),
          ...(random() < 0.5 && { limit: Math.floor(random() * 50) }),
        }
        const found = await all(store, request)
        const expected = naive(everything, request)
        t.same(
          found.map(({ id }) => id),
          expected.map(({ id }) => id),
          JSON.stringify({ ...request, query: request.query?.text }, (_, v) => (typeof v === 'bigint' ? `${v}` : v)),
        )
      }
    },
  )

  promise('sums are those of the events that a search gives', async (t, open) => {
    const seed = testSeed('STORE_SEED')
    t.comment(`STORE_SEED=${seed}`)
    const random = seededRandom(seed)
    const store = await open()
    const packets = randomPackets(random, 40)
    for (let at = 0; at < packets.length; at += 9) await store.add(packets.slice(at, at + 9), NO_WORDS)
    const everything = await all(store)
    const pick = <T>(of: T[]) => of[Math.floor(random() * of.length)]
    for (let n = 0; n < 20; n++) {
      const sample = pick(everything)
      const question = {
        query: parseQuery(pick(['', 'word3', '*ord1*', '-word2', 'word1 OR level:error', 'absent'])),
        ...(random() < 0.3 && { sinceNs: sample.timeNs }),
        ...(random() < 0.3 && { untilNs: pick(everything).timeNs }),
        ...(random() < 0.2 && { host: sample.host }),
        ...(random() < 0.2 && { level: sample.level || undefined }),
        ...(random() < 0.2 && { source: sample.source }),
      }
      const asked = { ...question, volume: random() < 0.7, tops: TOP_FIELDS.filter(() => random() < 0.6) }
      const tally = new Tally(asked)
      for (const event of await all(store, question)) tally.add(event)
      const expected = tally.result()
      const summary = await store.summarise(asked)
      // Not every place knows the shapes of lines; one that does not says so by leaving them out.
      if (summary.tops.templates === undefined) delete expected.tops.templates
      t.same(summary, expected, JSON.stringify(asked.tops))
    }
    const none = await store.summarise({ query: parseQuery('absent'), volume: true })
    t.match(none, { complete: true, events: 0, lines: 0, volume: { bars: [] } })
  })

  promise('a summary has no more time than it was given, and says so', async (t, open) => {
    const store = await open()
    await store.add(randomPackets(seededRandom(5), 20), NO_WORDS)
    const whole = await store.summarise({ query: parseQuery('') })
    const cut = await store.summarise({ query: parseQuery(''), workMsMax: -1 })
    t.ok(whole.complete && whole.events > 0)
    t.ok(cut.complete ? cut.events === whole.events : cut.events < whole.events)
  })

  promise('two handles that add the same packets at the same time add each of them once', async (t, open) => {
    const packets = randomPackets(seededRandom(7), 24)
    const handles = [await open(), await open(), await open()]
    const sums = await Promise.all(
      handles.map(async handle => {
        let events = 0
        for (let at = 0; at < packets.length; at += 5) {
          events += (await handle.add(packets.slice(at, at + 5), NO_WORDS)).events
        }
        return events
      }),
    )
    const events = packets.reduce((sum, { header }) => sum + header.events, 0)
    t.equal(
      sums.reduce((a, b) => a + b),
      events,
      'each event is counted by one of them',
    )
    t.equal((await all(handles[0])).length, events)
    t.same(await handles[1].lacking(ids(packets)), [])
  })

  promise('tidying changes nothing of what is found', async (t, open) => {
    const store = await open()
    const packets = randomPackets(seededRandom(11), 40)
    for (const packet of packets)
      await store.add([packet], {
        manifests: [testManifest(packet.header.bucket, { first: packet.header.id.sequence })],
        gone: [],
      })
    const before = await picture(store)
    await store.tidy()
    t.same(await picture(store), before)
    t.same(await picture(await open()), before)
    t.same(await store.lacking(ids(packets)), [])
    t.match(await store.add(packets, NO_WORDS), { packets: 0, events: 0 })
  })

  promise('expired buckets are gone and do not come back; the others stay', async (t, open) => {
    const store = await open()
    const old = testPacket([{ lines: ['old\n', 'older\n'] }], { sequence: 1 })
    const young = testPacket([{ from: 10, lines: ['young\n'] }], { sequence: 2, bucket: BUCKET + 3 * DAY })
    await store.add([old, young], { manifests: [testManifest(BUCKET)], gone: [] })
    t.equal(await store.expire(BUCKET + DAY), 2)
    t.same(texts(await all(store)), ['young\n'])
    t.same(await store.lacking(ids([old, young])), [], 'what is expired is not wanted again')
    t.match(await store.add([old], NO_WORDS), { packets: 0, events: 0 })
    const late = testPacket([{ source: sourceName('late'), lines: ['late\n'] }], { sequence: 3 })
    t.match(await store.add([late], NO_WORDS), { packets: 0, events: 0 })
    t.same(await store.lacking(ids([late])), [], 'a late packet of an expired bucket is known from now on')
    t.same(texts(await all(await open())), ['young\n'])
    t.equal(await store.expire(BUCKET + DAY), 0)
    const totals = await store.totals()
    t.same([...(totals[0]?.ranges ?? [])], [[10, 16]])
  })

  promise('an aborted search stops with the reason', async (t, open) => {
    const store = await open()
    await store.add(randomPackets(seededRandom(3), 10), NO_WORDS)
    const abort = new AbortController()
    const search = store.search({ query: parseQuery(''), order: 'oldest', signal: abort.signal })
    await search.next()
    abort.abort(new Error('enough'))
    await t.rejects(
      async () => {
        for await (const _ of search);
      },
      { message: 'enough' },
    )
    await t.rejects(
      store.add([testPacket([{ lines: ['x\n'] }], { sequence: 99 })], NO_WORDS, { signal: abort.signal }),
      { message: 'enough' },
    )
    t.same([...((await store.sequences()).get(`${TAILER}/${EPOCH}`) ?? new RangeSet())], [[1, 11]])
  })
}

export async function all(
  store: EventStore,
  request: Partial<SearchRequest> = {},
  onDamage?: (damage: { where: string; reason: string }) => void,
): Promise<FoundEvent[]> {
  const found: FoundEvent[] = []
  for await (const event of store.search({ query: parseQuery(''), order: 'oldest', ...request }, onDamage))
    found.push(event)
  return found
}

export function ids(packets: Packet[]): PacketId[] {
  return packets.map(({ header }) => header.id)
}

export function texts(events: FoundEvent[]): string[] {
  return events.map(({ bytes }) => bytes.toString())
}

/** Everything that can be asked of a store, as text that does not depend on how it is kept. */
export async function picture(store: EventStore): Promise<unknown> {
  const words = await store.words()
  return {
    events: (await all(store, { order: 'offset' })).map(
      event => `${event.id} ${event.timeNs} ${event.sequence} ${event.host} ${event.path}`,
    ),
    totals: (await store.totals()).map(sum => JSON.stringify(sum)).sort(),
    sequences: JSON.stringify([...(await store.sequences())].sort()),
    manifests: words.manifests.map(({ bucket, first }) => `${bucket} ${first}`).sort(),
  }
}

/** Packets of one tailer over four sources and a few days, times crossing each other, some with hosts in the lines. */
export function randomPackets(random: () => number, count: number): Packet[] {
  const ends = [0, 0, 0, 0]
  return Array.from({ length: count }, (_, n) => {
    const bucket = BUCKET + Math.floor(n / 10) * DAY
    const runs = ends.map((from, number): TestRun => {
      const lines = Array.from({ length: Math.floor(random() * 8) }, (): TestLine => {
        const words = Array.from({ length: Math.floor(random() * 6) }, () => `word${Math.floor(random() * 6)}`)
        return {
          text: `${words.join(' ')}\n`,
          timeNs: BigInt(bucket + Math.floor(random() * 100)) * 1_000_000_000n,
          level: (['', 'info', 'error', 'warn'] as const)[Math.floor(random() * 4)],
          host: random() < 0.1 ? `relayed${Math.floor(random() * 3)}` : undefined,
          app: random() < 0.1 ? 'cron' : undefined,
        }
      })
      ends[number] += lines.reduce((sum, { text }) => sum + (text as string).length, 0)
      return {
        source: sourceName(`s${number}`),
        host: `web${number % 2}`,
        path: `/var/log/${number}.log`,
        app: `app${number % 3}`,
        from,
        lines,
      }
    })
    return testPacket(runs, { sequence: n + 1, bucket })
  })
}

function naive(events: FoundEvent[], request: Partial<SearchRequest>): FoundEvent[] {
  const { query, sinceNs, untilNs, host, app, level, file, source, order, limit } = request
  const isPath = (path: string) => {
    if (!file) return true
    if (!file.includes('*')) return path.includes(file)
    return new RegExp(`^${file.replaceAll('.', '\\.').replaceAll('*', '.*')}$`).test(path)
  }
  const found = events.filter(
    event =>
      (!query || query.matches(event)) &&
      (sinceNs === undefined || event.timeNs >= sinceNs) &&
      (untilNs === undefined || event.timeNs < untilNs) &&
      (!host || event.host === host) &&
      (!app || event.app === app) &&
      (!level || event.level === level) &&
      (!source || event.source === source) &&
      isPath(event.path),
  )
  found.sort(
    order === 'offset'
      ? (a, b) => (a.source < b.source ? -1 : a.source > b.source ? 1 : a.from - b.from)
      : compareFound,
  )
  if (order === 'newest') found.reverse()
  return found.slice(0, limit)
}
