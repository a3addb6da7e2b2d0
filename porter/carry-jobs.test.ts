import { join } from 'node:path'
import { type Test, test } from 'tap'
import { FolderStore } from '../shared/folder-store.ts'
import { Lease } from '../shared/lease.ts'
import { SUM_BYTES } from '../shared/messages.ts'
import type { ObjectStore } from '../shared/stores.ts'
import { TaskBoard } from '../shared/task-board.ts'
import { until } from '../shared/until.test-support.ts'
import { haulOf } from './carry-helper.ts'
import { CARRY_KIND, carryKind } from './carry-jobs.ts'
import { Jobs } from './jobs.ts'
import { MemoryStore } from './memory-store.test-support.ts'
import { Porter } from './porter.ts'
import { SmallFleet, TestTailer } from './small-fleet.test-support.ts'

const TAILERS = 12
/** Of one tailer: with all of them 480, worth a handful of jobs. */
const PACKETS = 40
const LEASE_MS = 600
/** A claim that is taken for dead too soon makes double work, no harm. */
const CLAIM_MS = 2000
/** Where the others do come: also on a machine that is busy. */
const PATIENT_MS = 100_000
const BUCKET = Math.floor(Date.now() / 10_000) * 10

test('what is a lot is cut by span and hash of tailer; porters and helpers carry it together, each packet once', async t => {
  const { fleet, text } = await backlog(t)
  const index = slow(fleet)
  const archive = new MemoryStore()
  const helper = startHelper(fleet, 'helper', { index, archive })
  const standby = startPorter(fleet, 'porter-b', { index, archive, isSecond: true })
  const holder = startPorter(fleet, 'porter-a', { index, archive, othersMsMax: PATIENT_MS })
  await until('all is archived and told', () => isAllTold(fleet))
  t.equal(holder.porter.status().state, 'working')
  t.equal(index.events.size, TAILERS * PACKETS)
  t.equal(archive.events.size, TAILERS * PACKETS)
  t.equal(textOf(index), text)
  t.equal(textOf(archive), text)
  t.ok(helper.status().jobsDone + standby.jobs.status().jobsDone > 0, 'not the holder alone')
  t.equal(holder.jobs.status().jobsDone, 0, 'its own round is not a job beside it')
  await until('nothing is left on the board', async () => (await boardOf(fleet).look()).length === 0)
})

test('a helper is killed with a job: the round goes on without it', async t => {
  const { fleet, text } = await backlog(t)
  const index = slow(fleet)
  const archive = new MemoryStore()
  const kill = killSwitch()
  startHelper(fleet, 'doomed', { index, archive, kill })
  const { porter } = startPorter(fleet, 'porter-a', { index, archive })
  await until('it has a job', async () => (await workersOf(fleet)).includes('doomed'))
  kill.now()
  await until('all is archived and told', () => isAllTold(fleet))
  t.equal(textOf(index), text)
  t.equal(textOf(archive), text)
  t.equal(porter.status().state, 'working')
  await until('nothing is left on the board', async () => (await boardOf(fleet).look()).length === 0)
})

test('the holder is killed in a shared round: another porter takes over, and what it left on the board goes', async t => {
  const { fleet, text } = await backlog(t)
  const index = slow(fleet)
  const archive = new MemoryStore()
  const kill = killSwitch()
  startPorter(fleet, 'porter-a', { index, archive, kill })
  await until('it has a job', async () => (await workersOf(fleet)).includes('porter-a'))
  kill.now()
  startPorter(fleet, 'porter-b', { index, archive })
  await until('all is archived and told', () => isAllTold(fleet))
  t.equal(textOf(index), text)
  t.equal(textOf(archive), text)
  await until('nothing is left on the board', async () => (await boardOf(fleet).look()).length === 0)
})

test('a store that refuses: the round says so in its own words, and nothing waits for helpers', async t => {
  const { fleet, text } = await backlog(t)
  const index = new MemoryStore()
  const archive = new MemoryStore()
  let isBroken = true
  index.pause = async () => {
    if (isBroken) throw new Error('the disk is full')
  }
  const { porter } = startPorter(fleet, 'porter-a', { index, archive })
  await until('the archive goes on', () => archive.events.size === TAILERS * PACKETS)
  t.match(porter.status().lastError, 'the disk is full')
  isBroken = false
  await until('indexed', () => index.events.size === TAILERS * PACKETS)
  t.equal(textOf(index), text)
})

async function backlog(t: Test): Promise<{ fleet: SmallFleet; text: string }> {
  const fleet = await SmallFleet.start(t, 2)
  const texts: string[] = []
  await Promise.all(
    Array.from({ length: TAILERS }, async (_, n) => {
      const tailer = new TestTailer(fleet)
      for (let i = 0; i < PACKETS; i++) {
        texts.push(`${n} ${i}\n`)
        await tailer.send(tailer.pack(BUCKET - 20 * (i % 2), `${n} ${i}\n`), 'buck0', 'buck1')
      }
    }),
  )
  return { fleet, text: texts.sort().join('') }
}

/** As a set: the order is that of sources, which are drawn by chance. */
function textOf(store: MemoryStore): string {
  return store
    .text()
    .split(/(?<=\n)/)
    .sort()
    .join('')
}

/** An index that gives others the time to come. */
function slow(fleet: SmallFleet): MemoryStore {
  const index = new MemoryStore()
  index.pause = () => fleet.world.clock.sleep(400)
  return index
}

function objectsOf(fleet: SmallFleet): ObjectStore {
  return new FolderStore(fleet.world.disk, join(fleet.folder, 'shared'))
}

function boardOf(fleet: SmallFleet): TaskBoard {
  return new TaskBoard(objectsOf(fleet), fleet.world)
}

async function workersOf(fleet: SmallFleet): Promise<string> {
  const objects = objectsOf(fleet)
  const claims = (await objects.list('tasks/')).filter(key => key.includes('-claim-'))
  return (await Promise.all(claims.map(key => objects.get(key)))).join('\n')
}

/** What a kill -9 leaves to the others: nothing is written any more, nothing is let go of. */
interface Kill {
  now(): void
  over<T extends object>(of: T): T
}

function killSwitch(): Kill {
  let isDead = false
  return {
    now: () => {
      isDead = true
    },
    over: of =>
      new Proxy(of, {
        get(target, name) {
          const value = Reflect.get(target, name, target)
          if (typeof value !== 'function') return value
          return (...args: unknown[]) => (isDead ? new Promise(() => undefined) : value.apply(target, args))
        },
      }),
  }
}

interface Stores {
  index: MemoryStore
  archive: MemoryStore
  kill?: Kill
}

function startHelper(fleet: SmallFleet, worker: string, { index, archive, kill }: Stores): Jobs {
  const { world, addresses: bucks } = fleet
  const over = <T extends object>(of: T) => kill?.over(of) ?? of
  const haul = haulOf({ dialer: fleet.dialer('porter'), bucks, index: over(index), archive: over(archive), world })
  const board = new TaskBoard(over(objectsOf(fleet)), world)
  const jobs = new Jobs({
    board,
    kinds: { [CARRY_KIND]: carryKind(haul, worker) },
    world,
    worker,
    pollMs: 10,
    claimMs: CLAIM_MS,
  })
  const end = new AbortController()
  const running = jobs.run(end.signal)
  fleet.stopFirst.push(async () => {
    end.abort()
    // What is dead waits for ever.
    if (!kill) await running
  })
  return jobs
}

function startPorter(
  fleet: SmallFleet,
  name: string,
  stores: Stores & { isSecond?: boolean; othersMsMax?: number },
): { porter: Porter; jobs: Jobs } {
  const { world } = fleet
  const { index, archive, kill, isSecond = false, othersMsMax = LEASE_MS } = stores
  const over = <T extends object>(of: T) => kill?.over(of) ?? of
  const objects = over(objectsOf(fleet))
  const board = new TaskBoard(objects, world)
  const porter = new Porter(
    {
      ...{ name, bucks: fleet.addresses, bucketSeconds: 10, archiveSpanSeconds: 10 },
      ...{ indexAfterMs: 0, archiveAfterMs: 0, pollMs: 10, fleetTimes: { backOffBaseMs: 10, backOffCapMs: 50 } },
    },
    {
      ...{ world, dialer: fleet.dialer('porter'), index: over(index), archive: over(archive) },
      lease: new Lease(objects, { name, leaseMs: LEASE_MS }, world),
      sharing: { board, worker: name, othersMsMax, claimMs: CLAIM_MS },
    },
  )
  const end = new AbortController()
  // The second one never gets the lease: it only helps.
  const running = isSecond ? Promise.resolve() : porter.run(end.signal)
  fleet.stopFirst.push(async () => {
    end.abort()
    if (!kill) await running
  })
  return { porter, jobs: startHelper(fleet, name, stores) }
}

/** Both bucks were told of every packet. */
function isAllTold(fleet: SmallFleet): boolean {
  return fleet.addresses.every(address => {
    const packets = new Set<string>()
    for (const { address: told, tailer, runs } of fleet.told) {
      if (told !== address) continue
      for (const { first, sums } of runs) {
        for (let i = 0; i < sums.length / SUM_BYTES; i++) packets.add(`${tailer} ${first + i}`)
      }
    }
    return packets.size === TAILERS * PACKETS
  })
}
