// From a file to two acknowledgements: the tailer on one core, two bucks on another, nothing else.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { makeKeys } from '../bin/keyring.ts'
import { type Cost, costOf, startPinned, stop, until } from './processes.ts'

const BASE_PORT = 17_700
const MS_MAX = 600_000
const DAY_MS = 86_400_000

export interface TailResult {
  seconds: number
  tailer: Cost
  bucks: Cost[]
}

interface TailerFigures {
  bytesRead: number
  underReplicatedPackets: number
}

export async function benchTail(dir: string, log: string, bytes: number): Promise<TailResult> {
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
    const buck = { listen: bucks[k], http: `127.0.0.1:${BASE_PORT + 10 * k + 1}` }
    return startPinned(1, ['buck', '--config', settings(name, { buck })])
  })
  try {
    for (const [k] of names.entries()) await isUp(`http://127.0.0.1:${BASE_PORT + 10 * k + 1}`)
    const http = `127.0.0.1:${BASE_PORT + 90}`
    const tailer = startPinned(0, ['tailer', '--config', settings('tailer', { tailer: { files: [log], http } })])
    processes.push(tailer)
    await isUp(`http://${http}`)
    const status = async () => (await (await fetch(`http://${http}/status`)).json()) as TailerFigures
    // From the first byte read, so that the start of Node is not measured.
    await until('the first byte is read', async () => (await status()).bytesRead > 0, MS_MAX)
    const before = await status()
    const startedAt = performance.now()
    const isDone = async () => {
      const { bytesRead, underReplicatedPackets } = await status()
      return bytesRead >= bytes && underReplicatedPackets === 0
    }
    await until('everything is at two bucks', isDone, MS_MAX)
    const share = (bytes - before.bytesRead) / bytes
    return {
      seconds: (performance.now() - startedAt) / 1000 / share,
      tailer: costOf(tailer.pid!),
      bucks: processes.slice(0, 2).map(buck => costOf(buck.pid!)),
    }
  } finally {
    await Promise.all(processes.map(stop))
  }
}

async function isUp(url: string): Promise<void> {
  const answers = () =>
    fetch(`${url}/healthz`).then(
      ({ ok }) => ok,
      () => false,
    )
  await until(`${url} answers`, answers, 30_000)
}
