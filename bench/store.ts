// `node bench/store.ts --log FILE [--data FOLDER] [--profile FOLDER]`: the whole road of a log to where it can be searched:
// tailer, two bucks, porter, index, all as processes with NaCl between them. All are started first and wait for the file;
// then it is put in its place, and CPU seconds of all of them are counted until the index holds its last line.
//
//   MB per CPU second   bytes of the log : CPU seconds of tailer, bucks and porter together
//   on disk             bytes of the log : bytes of the index folder, as it was filled and after tidying, which the porter
//                       does within ten minutes; what that costs is told beside it
import { linkSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { stringify } from 'yaml'
import { makeKeys } from '../bin/keyring.ts'
import { table } from '../bin/terminal.ts'
import { FolderStore } from '../shared/folder-store.ts'
import { realWorld } from '../shared/real-world.ts'
import { SegmentStore } from '../shared/segment-store.ts'
import { type Cost, costOf, startPinned, stop, until } from './processes.ts'

const BASE_PORT = 17_500
const MS_MAX = 120_000
const DAY_MS = 86_400_000
const BUCKET_TIME = '10s'

const { values } = parseArgs({
  options: { log: { type: 'string' }, data: { type: 'string' }, profile: { type: 'string' } },
})
if (!values.log) throw new Error('--log FILE: bench/grow.ts makes a long one')

const bytes = statSync(values.log).size
const lines = countLines(values.log)
const dir = values.data ?? mkdtempSync(join(tmpdir(), 'bucktail-store-'))
const inbox = join(dir, 'in')
mkdirSync(inbox, { recursive: true })
const keys = join(dir, 'keys')
const roles = ['buck0', 'buck1', 'porter', 'tailer'] as const
makeKeys(keys, {
  environment: 'bench',
  nodes: roles.map(name => ({ name, role: name.startsWith('buck') ? 'buck' : (name as 'porter' | 'tailer') })),
  notAfterMs: Date.now() + DAY_MS,
  renew: false,
})
const address = (k: number) => `127.0.0.1:${BASE_PORT + k}`
const https = { buck0: address(1), buck1: address(11), porter: address(80), tailer: address(90) }
const own = {
  buck0: { buck: { listen: address(0), http: https.buck0 } },
  buck1: { buck: { listen: address(10), http: https.buck1 } },
  porter: { porter: { http: https.porter }, index: { folder: join(dir, 'index') } },
  tailer: { tailer: { files: [join(inbox, '*.log')], http: https.tailer } },
}
const processes = roles.map((name, k) => {
  const settings = join(dir, `${name}.yaml`)
  const common = { environment: 'bench', data: join(dir, name), bucks: [address(0), address(10)] }
  const channel = { keys, name }
  const log = { level: 'error' }
  writeFileSync(settings, stringify({ ...common, bucket_time: BUCKET_TIME, channel, log, ...own[name] }))
  const profile = values.profile ? { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${join(values.profile, name)}` } : {}
  return startPinned(k % 2, [name.replace(/\d/, ''), '--config', settings], profile)
})
try {
  for (const name of roles) await until(`${name} answers`, () => isReady(https[name]), 60_000)
  const before = processes.map(child => costOf(child.pid!))
  const startedAt = performance.now()
  linkSync(values.log, join(inbox, 'mixed.log'))
  const indexed = async () => {
    const dead = processes.findIndex(child => child.exitCode !== null)
    if (dead >= 0) throw new Error(`the ${roles[dead]} ended with ${processes[dead].exitCode}`)
    const status = (await (await fetch(`http://${https.porter}/status`)).json()) as {
      counts: { indexedEvents: number }
    }
    return status.counts.indexedEvents >= lines
  }
  await until('the index holds the last line', indexed, MS_MAX)
  const seconds = (performance.now() - startedAt) / 1000
  const after = processes.map(child => costOf(child.pid!))
  const spent = (k: number) => after[k].cpuSeconds - before[k].cpuSeconds
  const sum = roles.reduce((total, _, k) => total + spent(k), 0)
  const onDisk = sizeOf(join(dir, 'index'))
  const cost = (name: string, k: number, peak: Cost) => [
    name,
    `${spent(k).toFixed(1)} s CPU`,
    `${(bytes / 1e6 / spent(k)).toFixed(0)} MB/s`,
    `${(peak.peakBytes / 1e6).toFixed(0)} MB at most`,
  ]
  console.log(
    table(
      ['raw file to searchable', `${(bytes / 1e6).toFixed(0)} MB, ${lines} lines`, '', ''],
      [
        ...roles.map((name, k) => cost(name, k, after[k])),
        [
          'all',
          `${sum.toFixed(1)} s CPU`,
          `${(bytes / 1e6 / sum).toFixed(1)} MB/s`,
          `${seconds.toFixed(0)} s by the clock`,
        ],
        ['index on disk', `${(onDisk / 1e6).toFixed(1)} MB`, `${(bytes / onDisk).toFixed(2)} times smaller`, ''],
      ],
    ),
  )
  await Promise.all(processes.map(stop))
  await tidied()
} finally {
  await Promise.all(processes.map(stop))
  if (!values.data) rmSync(dir, { recursive: true, force: true })
}

/** The index after tidying: what was replaced goes after a grace time, so only what is named counts. */
async function tidied(): Promise<void> {
  const world = realWorld({ log: { debug() {}, info() {}, warn: console.error, error: console.error } })
  const objects = new FolderStore(world.disk, join(dir, 'index'))
  const index = await SegmentStore.open(objects, { world, writer: 'bench', zstdLevel: 5, graceMs: 0 })
  const from = process.cpuUsage()
  await index.tidy()
  const { user, system } = process.cpuUsage(from)
  await index.tidy()
  const onDisk = sizeOf(join(dir, 'index'))
  const seconds = (user + system) / 1e6
  console.log(
    `tidied: ${seconds.toFixed(1)} s CPU (${(bytes / 1e6 / seconds).toFixed(0)} MB/s), ${(onDisk / 1e6).toFixed(1)} MB, ${(bytes / onDisk).toFixed(2)} times smaller`,
  )
}

async function isReady(http: string): Promise<boolean> {
  return fetch(`http://${http}/healthz`).then(
    ({ ok }) => ok,
    () => false,
  )
}

function countLines(path: string): number {
  let count = 0
  const content = readFileSync(path)
  for (let at = content.indexOf(0x0a); at >= 0; at = content.indexOf(0x0a, at + 1)) count++
  return count
}

function sizeOf(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0)
}
