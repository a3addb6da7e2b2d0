// From a file to two acknowledgements: the tailer on one core, two bucks on another, nothing else. Then single lines, and
// how long each takes to be at a buck.
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { makeKeys } from '../bin/keyring.ts'
import { type Cost, costOf, ENTRY, packetsAt, startPinned, stop, until } from './processes.ts'

const BASE_PORT = 17_700
const MS_MAX = 600_000
/** A process that has read so much reads the log: its own modules are fewer. */
const BEGUN_BYTES = 16_000_000
const DAY_MS = 86_400_000
/** Longer than a packet is collected and sent. */
const QUIET_MS = 1_000

const LINES = 20
/** Between them: longer than a packet is collected. */
const LINE_EVERY_MS = 700

export interface TailResult {
  seconds: number
  /** Of the whole process, its start included. */
  tailer: Cost
  /** CPU from the first byte read to the last acknowledgement. */
  workSeconds: number
  bucks: Cost[]
  /** From writing a line, when all is quiet, to the first buck that has it; in rising order. */
  lineMs: number[]
}

interface TailerFigures {
  bytesRead: number
  underReplicatedPackets: number
}

export async function benchTail(dir: string, log: string, bytes: number, entry = ENTRY): Promise<TailResult> {
  mkdirSync(dir, { recursive: true })
  const keys = join(dir, 'keys')
  const names = ['buck0', 'buck1']
  makeKeys(keys, {
    environment: 'bench',
    nodes: [...names.map(name => ({ name, role: 'buck' as const })), { name: 'tailer', role: 'tailer' as const }],
    notAfterMs: Date.now() + DAY_MS,
    renew: false,
  })
  const bucks = names.map((_, k) => `127.0.0.1:${BASE_PORT + 10 * k}`)
  const pages = names.map((_, k) => `127.0.0.1:${BASE_PORT + 10 * k + 1}`)
  const settings = (name: string, more: object) => {
    const file = join(dir, `${name}.yaml`)
    const common = {
      environment: 'bench',
      data: join(dir, name),
      bucks,
      channel: { keys, name },
      log: { level: 'error' },
    }
    writeFileSync(file, stringify({ ...common, ...more }))
    return file
  }
  const processes = names.map((name, k) => {
    const buck = { listen: bucks[k], http: pages[k] }
    return startPinned(1, ['buck', '--config', settings(name, { buck })], {}, entry)
  })
  try {
    await until('the bucks are up', async () => (await packetsAt(pages).catch(() => undefined)) !== undefined, MS_MAX)
    const http = `127.0.0.1:${BASE_PORT + 90}`
    const tailer = startPinned(
      0,
      ['tailer', '--config', settings('tailer', { tailer: { files: [log], http } })],
      {},
      entry,
    )
    processes.push(tailer)
    const pid = tailer.pid!
    // From when it reads, so that the start of Node is not measured. The tailer itself is not asked: that would be its work, too.
    await until('the log is being read', async () => bytesRead(pid) >= Math.min(BEGUN_BYTES, bytes / 2), MS_MAX, 5)
    const startedAt = performance.now()
    const cpuBefore = costOf(pid).cpuSeconds
    const share = (bytes - bytesRead(pid)) / bytes
    let done = await untilQuiet(pid, bytes, pages)
    while (!(await isAllAcknowledged(http, bytes))) done = await untilQuiet(pid, bytes, pages)
    const { cost } = done
    const seconds = (done.atMs - startedAt) / 1000
    const bucksCost = processes.slice(0, 2).map(buck => costOf(buck.pid!))
    const lineMs: number[] = []
    for (let n = 0; n < LINES; n++) {
      await new Promise(resolve => setTimeout(resolve, LINE_EVERY_MS + n * 13))
      lineMs.push(await lineTime(log, pages))
    }
    return {
      seconds: seconds / share,
      tailer: cost,
      workSeconds: (cost.cpuSeconds - cpuBefore) / share,
      bucks: bucksCost,
      lineMs: lineMs.sort((a, b) => a - b),
    }
  } finally {
    await Promise.all(processes.map(stop))
  }
}

/**
 * Until the log is read and both bucks hold equally many packets that get no more for QUIET_MS: in the middle they are equal
 * now and then, too. The tailer is not asked meanwhile: to answer would be a tenth of its work.
 * @returns when that was first seen, and the tailer's cost at the next look: the last acknowledgement is in it
 */
async function untilQuiet(pid: number, bytes: number, pages: string[]): Promise<{ atMs: number; cost: Cost }> {
  let seen: { packets: number; atMs: number; cost?: Cost } | undefined
  await until(
    'everything is at two bucks',
    async () => {
      const [first, second] = bytesRead(pid) < bytes ? [] : await packetsAt(pages)
      if (first === undefined || first !== second) seen = undefined
      else if (seen?.packets !== first) seen = { packets: first, atMs: performance.now() }
      else seen.cost ??= costOf(pid)
      return seen?.cost !== undefined && performance.now() - seen.atMs >= QUIET_MS
    },
    MS_MAX,
  )
  return { atMs: seen!.atMs, cost: seen!.cost! }
}

async function isAllAcknowledged(http: string, bytes: number): Promise<boolean> {
  const status = (await (await fetch(`http://${http}/status`)).json()) as TailerFigures
  return status.bytesRead >= bytes && status.underReplicatedPackets === 0
}

/** By the process, of all files, its own modules included. */
function bytesRead(pid: number): number {
  return Number(/rchar: (\d+)/.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))![1])
}

/** Asked every few milliseconds, which the figure includes. */
async function lineTime(log: string, pages: string[]): Promise<number> {
  const packets = async () => Math.max(...(await packetsAt(pages)))
  const before = await packets()
  appendFileSync(log, `${new Date().toISOString()} INFO one line more\n`)
  const writtenAt = performance.now()
  await until('a line is at a buck', async () => (await packets()) > before, MS_MAX, 3)
  return performance.now() - writtenAt
}
