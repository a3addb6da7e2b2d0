import { test } from 'tap'
import { LinkLostError, type Peer, RefusedError } from '../../shared/link.ts'
import { testClock, testDisk } from '../../shared/world.contract.ts'
import type { OpenFile } from '../../shared/world.ts'
import { SeededRandom } from './seeded-random.ts'
import { Simulation } from './simulation.ts'

const SEED = process.env.SEED ?? '1'
const peer = (role: Peer['role']): Peer => ({ role, id: role.padEnd(32, '0'), signKey: Buffer.alloc(32) })

test('the disk of a simulated machine', async t => {
  const simulation = new Simulation(SEED)
  const process = simulation.machine('a').start('p')
  await simulation.timeline.drive(process.world.disk.makeFolder('/data'))
  testDisk(t, process.world.disk, '/data', promise => simulation.timeline.drive(promise))
})

test('the clock of a simulated machine', async t => {
  const simulation = new Simulation(SEED)
  const process = simulation.machine('a').start('p')
  testClock(t, process.world.clock, promise => simulation.timeline.drive(promise))
})

test('the same seed draws the same, a fork does not disturb, every value is in its range', async t => {
  const draw = (random: SeededRandom) => [random.fraction(), random.bytes(7).toString('hex'), random.integer(3, 9)]
  t.same(draw(new SeededRandom(5)), draw(new SeededRandom(5)))
  t.notSame(draw(new SeededRandom(5)), draw(new SeededRandom(6)))
  const random = new SeededRandom(5)
  random.fork('x').fraction()
  t.same(draw(random), draw(new SeededRandom(5)))
  const faces = new Set(Array.from({ length: 200 }, () => random.integer(3, 9)))
  t.same([...faces].sort(), [3, 4, 5, 6, 7, 8, 9])
})

test('events happen in the order of their time, and promises go on to their end between two of them', async t => {
  const { timeline } = new Simulation(SEED)
  const order: string[] = []
  const deep = async (name: string) => {
    for (let i = 0; i < 50; i++) await undefined
    order.push(name)
  }
  timeline.after(5, () => void deep('deep at 5'))
  timeline.after(5, () => order.push('second at 5'))
  timeline.after(1, () => order.push('at 1'))
  const cancelled = timeline.after(2, () => order.push('cancelled'))
  cancelled.run = undefined
  await timeline.run(100)
  t.same(order, ['at 1', 'deep at 5', 'second at 5'])
  t.equal(timeline.nowMs, 100)
  await t.rejects(timeline.drive(new Promise(() => undefined)), /waits for ever/)
  const spin = () => void timeline.after(0, spin)
  spin()
  await t.rejects(timeline.run(200), /time stands still/)
})

test('after a kill nothing that the process waits for comes, and nothing it does has an effect', async t => {
  const simulation = new Simulation(SEED)
  const machine = simulation.machine('a')
  const process = machine.start('p')
  const { disk, clock } = process.world
  const settled: string[] = []
  const tell = (name: string) => () => settled.push(name)
  const file = await simulation.timeline.drive(disk.open('/f', 'append'))
  clock.sleep(10).then(tell('sleep'), tell('sleep'))
  const stop = new AbortController()
  clock.sleep(10_000, stop.signal).then(tell('aborted'), tell('aborted'))
  process.kill()
  stop.abort()
  file.append([Buffer.from('x')]).then(tell('append'), tell('append'))
  disk.replaceFile('/g', Buffer.from('x')).then(tell('replace'), tell('replace'))
  clock.sleep(1).then(tell('late'), tell('late'))
  await simulation.timeline.run(60_000)
  t.same(settled, [])
  const next = machine.start('p').world.disk
  t.same(await simulation.timeline.drive(next.list('/')), ['f'])
  t.equal((await simulation.timeline.drive(next.readFile('/f'))).length, 0)
})

test('a power cut keeps what was synced, and of the rest a prefix or nothing', async t => {
  const seen = new Set<string>()
  for (let round = 0; round < 150; round++) {
    const simulation = new Simulation(`${SEED} ${round}`)
    const machine = simulation.machine('a')
    const { disk } = machine.start('p').world
    const write = async () => {
      await disk.makeFolder('/data')
      const append = async (path: string, ...steps: (string | 'sync' | number)[]) => {
        const file: OpenFile = await disk.open(path, 'append')
        for (const step of steps) {
          if (step === 'sync') await file.sync()
          else if (typeof step === 'number') await file.truncate(step)
          else await file.append([Buffer.from(step)])
        }
      }
      await append('/data/synced', 'abc', 'sync', 'defgh')
      await append('/data/cut', '123456', 'sync', 2, 'xy')
      await disk.replaceFile('/data/replaced', Buffer.from('old'))
      await disk.syncFolder('/data')
      await append('/data/unnamed', 'abc', 'sync')
      await disk.rename('/data/replaced', '/data/moved')
    }
    const written = write()
    await simulation.timeline.runUntil(() => false, 3000)
    await written
    machine.powerCut({ garbage: round % 3 === 0 })
    machine.powerUp()
    const after = machine.start('p').world.disk
    const text = (path: string) => simulation.timeline.drive(after.readFile(path)).then(String)
    const names = await simulation.timeline.drive(after.list('/data'))
    const synced = await text('/data/synced')
    t.ok(synced.startsWith('abc') && synced.length <= 8, synced)
    if (round % 3 !== 0) t.ok('abcdefgh'.startsWith(synced), synced)
    const cut = await text('/data/cut')
    if (round % 3 !== 0) t.ok(['123456', '12', '12x', '12xy'].includes(cut), cut)
    const moved = names.filter(name => name === 'replaced' || name === 'moved')
    t.equal(moved.length, 1, 'a rename happens whole or not at all')
    t.equal(await text(`/data/${moved[0]}`), 'old')
    if (names.includes('unnamed')) t.equal(await text('/data/unnamed'), 'abc')
    seen.add(`${synced.length} ${cut.length} ${names.join()}`)
  }
  t.ok(seen.size > 20, `${seen.size} different outcomes`)
})

test('a full disk refuses with ENOSPC, keeps count over removals, and room comes back', async t => {
  const simulation = new Simulation(SEED)
  const machine = simulation.machine('a')
  const { disk } = machine.start('p').world
  machine.disk.capacityBytes = 10
  await simulation.timeline.drive(
    (async () => {
      const file = await disk.open('/f', 'append')
      await file.append([Buffer.alloc(6)])
      await t.rejects(file.append([Buffer.alloc(6)]), { code: 'ENOSPC' })
      t.equal((await file.stat()).size, 10, 'a part may be left')
      await file.truncate(6)
      await t.rejects(disk.replaceFile('/g', Buffer.alloc(6)), { code: 'ENOSPC' })
      t.same(await disk.list('/'), ['f'])
      t.equal(machine.disk.usedBytes, 6)
      await disk.remove('/f')
      t.equal(machine.disk.usedBytes, 6, 'an open handle keeps the room')
      await file.close()
      t.equal(machine.disk.usedBytes, 0)
      await disk.replaceFile('/g', Buffer.alloc(6))
    })(),
  )
})

test('clocks of two machines differ and can be set; monotonic time goes on', async t => {
  const simulation = new Simulation(SEED)
  const a = simulation.machine('a')
  const process = a.start('p')
  await simulation.timeline.run(1000)
  const { clock } = process.world
  const before = { now: clock.now(), monotonic: clock.monotonic() }
  a.wallOffsetMs -= 3_600_000
  t.equal(clock.now(), before.now - 3_600_000)
  t.equal(clock.monotonic(), before.monotonic)
  t.equal(simulation.machine('b').start('q').world.clock.now(), before.now)
  a.powerCut()
  a.powerUp()
  t.equal(a.start('p').world.clock.monotonic(), 0)
})

function twoProcesses(seed: string) {
  const simulation = new Simulation(seed)
  const [a, b] = [simulation.machine('a'), simulation.machine('b')]
  const [tailer, buck] = [a.start('tailer'), b.start('buck')]
  const received: number[] = []
  simulation.network.listen(buck, peer('buck'), 'buck:1', ['tailer'], link => {
    link.serve(async (type, body, payload) => {
      if (type === 'prune') throw new RefusedError('forbidden', 'not you')
      if (type === 'offer') throw new TypeError('a bug')
      if (type === 'want') received.push((body as { sequences: number[] }).sequences[0])
      return { body: {} as never, payload }
    })
  })
  const dialer = simulation.network.dialer(tailer, peer('tailer'), 'buck')
  return { simulation, a, b, tailer, buck, received, dialer }
}

test('asks are answered, refused or lost; bodies and payloads are copies; the order of asks is kept', async t => {
  const { simulation, received, dialer } = twoProcesses(SEED)
  await simulation.timeline.drive(
    (async () => {
      const link = await dialer.dial('buck:1')
      t.equal(link.peer.role, 'buck')
      const payload = Buffer.from('abc')
      const answered = link.ask('packet', { delivery: 'first' }, payload)
      payload.fill(0)
      t.equal((await answered).payload?.toString(), 'abc')
      await t.rejects(link.ask('prune', { before: 1 }), { name: 'RefusedError', code: 'forbidden' })
      await t.rejects(link.ask('offer', { bucket: 1, runs: [] }), { code: 'failed', message: 'a bug' })
      const want = (n: number) => link.ask('want', { tailer: '', epoch: '', sequences: [n] })
      await Promise.all(Array.from({ length: 30 }, (_, n) => want(n)))
      t.same(
        received,
        Array.from({ length: 30 }, (_, n) => n),
      )
      link.close('done')
      await link.closed
      await t.rejects(link.ask('ping', {}), LinkLostError)
    })(),
  )
  await simulation.timeline.run(simulation.timeline.nowMs + 1000)
  t.equal(simulation.network.links.size, 0, 'the other end noticed')
})

test('a cut way holds messages back in order; when it heals in time they arrive, else the link is lost', async t => {
  let arrived = 0
  let lost = 0
  for (let round = 0; round < 60; round++) {
    const { simulation, a, b, received, dialer } = twoProcesses(`${SEED} ${round}`)
    const { timeline, network } = simulation
    const link = await timeline.drive(dialer.dial('buck:1'))
    const asks = (first: number) =>
      Array.from({ length: 5 }, (_, i) =>
        link.ask('want', { tailer: '', epoch: '', sequences: [first + i] }, undefined, 200_000).then(
          () => arrived++,
          () => lost++,
        ),
      )
    const before = asks(0)
    network.cut(a, b)
    await timeline.run(timeline.nowMs + 10)
    const during = asks(5)
    await timeline.run(timeline.nowMs + network.random.integer(0, 60_000))
    network.heal(a, b)
    await timeline.drive(Promise.all([...before, ...during]))
    t.same(
      received,
      received.toSorted((x, y) => x - y),
    )
  }
  t.equal(arrived + lost, 600)
  t.ok(arrived > 0 && lost > 0, `${arrived} arrived, ${lost} lost`)
})

test('a killed peer is noticed soon, one without power only after a long silence, a refused dial at once', async t => {
  const { simulation, b, buck, dialer } = twoProcesses(SEED)
  const { timeline } = simulation
  const link = await timeline.drive(dialer.dial('buck:1'))
  buck.kill()
  await timeline.drive(link.closed)
  t.ok(timeline.nowMs < 1000)
  await t.rejects(timeline.drive(dialer.dial('buck:1')), LinkLostError)
  const again = b.start('buck')
  simulation.network.listen(again, peer('buck'), 'buck:1', ['tailer'], link => link.serve(() => again.never))
  const second = await timeline.drive(dialer.dial('buck:1'))
  const startedMs = timeline.nowMs
  await t.rejects(timeline.drive(second.ask('ping', {}, undefined, 500)), LinkLostError)
  b.powerCut()
  await timeline.drive(second.closed)
  t.ok(timeline.nowMs - startedMs > 10_000)
})

test('the same seed tells the same story to the last event', async t => {
  const tell = async (seed: string) => {
    const simulation = new Simulation(seed, { isTraced: true })
    const buck = simulation.machine('b').start('buck')
    const serve = () =>
      simulation.network.listen(buck, peer('buck'), 'buck:1', ['tailer'], link =>
        link.serve(async (type, _, payload) => {
          const file = await buck.world.disk.open('/log', 'append')
          await file.append([payload ?? Buffer.alloc(0)])
          await file.close()
          buck.world.log.info('appended', { type, size: payload?.length })
          return { body: {} as never }
        }),
      )
    serve()
    for (const name of ['x', 'y', 'z']) {
      const { world } = simulation.machine(name).start(name)
      const dialer = simulation.network.dialer(simulation.machine(name).start(name), peer('tailer'), 'buck')
      const ship = async () => {
        const link = await dialer.dial('buck:1')
        for (let i = 0; i < 20; i++) {
          await link.ask('packet', { delivery: 'first' }, world.random.bytes(i))
          await world.clock.sleep(world.random.fraction() * 100)
          world.log.info('sent', { i, now: world.clock.now() })
        }
      }
      void ship()
    }
    await simulation.timeline.run(10_000)
    t.ok(simulation.story(1000).length > 100)
    return simulation.storyHash()
  }
  t.equal(await tell('one'), await tell('one'))
  t.not(await tell('one'), await tell('two'))
})
