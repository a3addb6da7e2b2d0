// A backlog that two porters and a helper carry together, on real processes, each of them killed while it works at a job. The
// bucks are far away (every byte to them and back takes DELAY_MS), so that a job lasts long enough for the others to come.
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { type Test, test } from 'tap'
import { stringify } from 'yaml'
import { openDataFolder } from '../bin/data-folder.ts'
import { makeKeys, readCredentials } from '../bin/keyring.ts'
import { CARRY_KIND } from '../porter/carry-jobs.ts'
import { type SmallFleet, TestTailer, testWorld } from '../porter/small-fleet.test-support.ts'
import { createDialer } from '../shared/channel/dial.ts'
import { FolderStore } from '../shared/folder-store.ts'
import type { PacketId } from '../shared/messages.ts'
import { parseQuery } from '../shared/query.ts'
import { SegmentStore } from '../shared/segment-store.ts'
import { TaskBoard } from '../shared/task-board.ts'
import { testFolder } from '../shared/test-folder.test-support.ts'
import { until } from '../shared/until.test-support.ts'
import { run, start } from './command.ts'
import { freePort } from './ports.test-support.ts'

const TAILERS = 16
const SPANS = 3
/** Of one tailer in one span: with all of them 512, cut into eight jobs or, where a hash is missing, a few less. */
const PACKETS = 32
const BUCKET_SECONDS = 10
const DELAY_MS = 200
const ENVIRONMENT = 'default'

test('porters and helpers share a round; holder, standby and helper are killed at work: every line once, nothing left over', {
  timeout: 600_000,
}, async t => {
  const site = await openSite(t)
  await site.writeBacklog()
  const porters = [await site.startPorter('porter0'), await site.startPorter('porter1')]
  await site.startHelper()
  site.letIn()

  const first = await site.roundOtherThan('')
  await until('three processes have claimed a job', async () => (await site.claims(first.id)).workers.size >= 3)
  const holder = porters.find(({ pid }) => pid === pidOfWorker(first.by))!
  await site.killAtWork(holder.pid)
  porters[porters.indexOf(holder)] = await site.startPorter(holder.name)

  const second = await site.roundOtherThan(first.id)
  const standby = porters.find(({ pid }) => pid !== pidOfWorker(second.by))!
  await site.killAtWork(standby.pid)
  await site.startPorter(standby.name)
  await site.killAtWork(site.helperPid)
  await site.startHelper()
  t.ok((await site.claims(second.id)).workers.size >= 3, 'the second round, too, is shared by three')

  await until('all is indexed and archived', async () => (await site.lacking()) === 0)
  await until('nothing is left on the board', async () => (await site.board.look()).length === 0)
  await site.stopAll()
  t.same(await site.linesIn('index'), site.lines(), 'every line is in the index once')
  t.same(await site.linesIn('archive'), site.lines(), 'every line is in the archive once')
  const ledger = await run(['ledger', '--data', site.data])
  t.equal(ledger.code, 0, `ledger: ${ledger.stderr}`)
})

async function openSite(t: Test) {
  const data = join(testFolder(t), 'data')
  mkdirSync(data, { mode: 0o700 })
  openDataFolder(data)
  const world = testWorld()
  const keys = join(data, 'keys')
  const processes: { name: string; child: ChildProcess }[] = []
  const names = { buck0: 'buck', buck1: 'buck', porter0: 'porter', porter1: 'porter', tailer: 'tailer' } as const
  const nodes = Object.entries(names).map(([name, role]) => ({ name, role }))
  makeKeys(keys, { environment: ENVIRONMENT, nodes, notAfterMs: Date.now() + 3_600_000, renew: false })

  const direct = [`127.0.0.1:${await freePort()}`, `127.0.0.1:${await freePort()}`]
  const far = await Promise.all(direct.map(address => farAway(t, address)))
  const settingsFile = async (name: string, more: Record<string, unknown>) => {
    const file = join(data, '..', `${name}.yaml`)
    const settings = {
      data: join(data, 'homes', name),
      environment: ENVIRONMENT,
      bucket_time: `${BUCKET_SECONDS}s`,
      bucks: far.map(({ address }) => address),
      channel: { keys, name },
      index: { folder: join(data, 'index') },
      archive: { folder: join(data, 'archive') },
      ...more,
    }
    writeFileSync(file, stringify(settings))
    return file
  }
  const launch = async (name: string, args: string[], isReady: string): Promise<number> => {
    const child = start(args)
    processes.push({ name, child })
    let said = ''
    child.stdout!.resume()
    child.stderr!.on('data', part => {
      said += part
      if (process.env.SHOW_LOG) process.stderr.write(`${name}: ${part}`)
    })
    await until(`${name} is ready`, () => {
      if (child.exitCode !== null) throw new Error(`${name} ended with ${child.exitCode}: ${said}`)
      return said.includes(isReady)
    })
    return child.pid!
  }
  t.teardown(async () => {
    for (const { child } of processes) {
      if (child.exitCode !== null || child.signalCode !== null) continue
      child.kill('SIGKILL')
      await once(child, 'close')
    }
  })
  for (const [k, name] of ['buck0', 'buck1'].entries()) {
    const buck = { listen: direct[k], http: `127.0.0.1:${await freePort()}`, folders: [join(data, name)] }
    await launch(name, ['buck', '--config', await settingsFile(name, { buck })], 'buck started')
  }

  const tailers: TestTailer[] = []
  const lines: string[] = []
  const objects = new FolderStore(world.disk, join(data, 'archive'))
  const board = new TaskBoard(objects, world)
  const open = (name: string) =>
    SegmentStore.open(new FolderStore(world.disk, join(data, name)), { world, writer: 'test' })

  /** Who claimed a job, ever; and which jobs are claimed and not done. */
  const claims = async (id: string) => {
    const workers = new Set<string>()
    const open = new Map<string, string>()
    const taskKeys = await objects.list(`tasks/${id}/jobs/`)
    for (const key of taskKeys.filter(key => key.includes('-claim-'))) {
      // Not for the test's own board: it may be gone, the holder ended the task.
      const worker = /"worker":"([^"]+)"/.exec((await objects.get(key))?.toString() ?? '')?.[1]
      if (worker === undefined) continue
      workers.add(worker)
      const job = key.slice(0, key.indexOf('-claim-'))
      if (!taskKeys.includes(`${job}-done`)) open.set(job, worker)
    }
    return { workers, open }
  }
  const rounds = async () =>
    (await board.look()).filter(({ id, hasTask, isEnded }) => hasTask && !isEnded && id.startsWith(CARRY_KIND))
  const site = {
    data,
    board,
    claims,
    helperPid: 0,
    lines: () => lines.toSorted(),
    letIn() {
      for (const { letIn } of far) letIn()
    },

    async writeBacklog() {
      const { pass, environmentKey, revoked } = readCredentials(keys, 'tailer', 'tailer')
      const fleet: Pick<SmallFleet, 'world' | 'dialer'> = {
        world,
        dialer: (role, own) =>
          createDialer(
            { mode: 'nacl', environment: ENVIRONMENT, role, keys: own!, pass, environmentKey, revoked },
            world,
            'buck',
          ),
      }
      const newest = Math.floor(Date.now() / 1000 / BUCKET_SECONDS) * BUCKET_SECONDS
      await Promise.all(
        Array.from({ length: TAILERS }, async (_, n) => {
          const tailer = new TestTailer(fleet)
          tailers.push(tailer)
          for (let span = 0; span < SPANS; span++) {
            const bucket = newest - BUCKET_SECONDS * (SPANS - span)
            for (let i = 0; i < PACKETS; i++) {
              const line = `tailer ${n} span ${span} line ${i}`
              lines.push(line)
              await tailer.send(tailer.pack(bucket, `${line}\n`), ...direct)
            }
            await tailer.sendManifest(tailer.manifest(bucket, span * PACKETS + 1, (span + 1) * PACKETS), ...direct)
          }
          tailer.disconnect()
        }),
      )
    },
    async startPorter(name: string) {
      const porter = { archive_after: '0s', http: `127.0.0.1:${await freePort()}` }
      const pid = await launch(name, ['porter', '--config', await settingsFile(name, { porter })], 'porter started')
      return { name, pid }
    },
    async startHelper() {
      const file = await settingsFile('helper', { channel: { keys, name: 'porter0' } })
      site.helperPid = await launch('helper', ['incident', 'work', '--config', file], 'helps with the tasks')
    },
    async roundOtherThan(former: string) {
      let found: string | undefined
      await until('a round is on the board', async () => {
        found = (await rounds()).find(({ id }) => id !== former)?.id
        return found !== undefined
      })
      return (await board.task(found!))!
    },
    /** Stopped first, so that the job is not done before the kill comes. */
    async killAtWork(pid: number) {
      const isAtWork = async () => {
        for (const { id } of await rounds()) {
          if ([...(await claims(id)).open.values()].some(worker => pidOfWorker(worker) === pid)) return true
        }
        return false
      }
      await until(`process ${pid} has a job`, async () => {
        if (!(await isAtWork())) return false
        process.kill(pid, 'SIGSTOP')
        const isStill = await isAtWork()
        process.kill(pid, isStill ? 'SIGKILL' : 'SIGCONT')
        return isStill
      })
      const { child } = processes.find(({ child }) => child.pid === pid)!
      if (child.signalCode === null) await once(child, 'close')
    },
    async lacking() {
      const ids: PacketId[] = tailers.flatMap(({ cut }) => cut.map(({ header }) => header.id))
      let count = 0
      for (const name of ['index', 'archive']) count += (await (await open(name)).lacking(ids)).length
      return count
    },
    async linesIn(name: string) {
      const found: string[] = []
      for await (const { bytes } of (await open(name)).search({ query: parseQuery(''), order: 'oldest' }, damage =>
        t.fail(`${damage}`),
      ))
        found.push(bytes.toString().trimEnd())
      return found.sort()
    },
    async stopAll() {
      for (const { name, child } of processes.toReversed()) {
        if (child.exitCode !== null || child.signalCode !== null) continue
        const end = once(child, 'close')
        child.kill('SIGINT')
        await end
        t.equal(child.exitCode, 0, `${name} stops in good order`)
      }
    },
  }
  return site
}

/** `porter-1a2b3c4d-PID`, `helper-PID-1a2b3c4d`. */
function pidOfWorker(worker: string): number {
  return Number(/^porter-[^-]+-(\d+)$|^helper-(\d+)-/.exec(worker)?.slice(1).find(Boolean))
}

/** A way to the address on which everything takes a while; closed until it lets in. */
async function farAway(t: Test, target: string): Promise<{ address: string; letIn(): void }> {
  let isOpen = false
  const sockets = new Set<Socket>()
  const server = createServer(near => {
    if (!isOpen) return void near.destroy()
    const far = connect({ port: Number(target.split(':')[1]), host: '127.0.0.1', noDelay: true })
    for (const [from, to] of [
      [near, far],
      [far, near],
    ]) {
      sockets.add(from)
      from.setNoDelay(true)
      from.on('error', () => undefined)
      from.on('data', part => setTimeout(() => to.writable && to.write(part), DELAY_MS))
      from.on('close', () => setTimeout(() => to.destroy(), DELAY_MS))
      from.on('close', () => sockets.delete(from))
    }
  })
  const port = await freePort()
  server.listen(port, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return {
    address: `127.0.0.1:${port}`,
    letIn: () => {
      isOpen = true
    },
  }
}
