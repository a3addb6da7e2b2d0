// The fleet of `bucktail up`: which processes, with which settings, on which ports. Each role is a process of its own with
// a settings file of its own in DATA/run/, the same as on a machine of its own.
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { stringify } from 'yaml'
import type { Settings, SettingsInput } from '../config/schema.ts'
import { parseAddress } from '../config/values.ts'
import { failure, reasonOf } from './fail.ts'
import type { NodeToMake } from './keyring.ts'
import type { ChildSpec } from './supervise.ts'

export const BUCKS = 3
export const ARCHIE_PORT = 7780
const LOOPBACK = '127.0.0.1'
/** Less memory for the same CPU: most of what a porter makes dies young or lives for a whole batch. */
const PORTER_NODE_ARGS = ['--max-semi-space-size=4']
/** Buffers above this go back to the system when they are done with; else glibc keeps tens of megabytes for later. */
const PORTER_ENVIRONMENT = { MALLOC_MMAP_THRESHOLD_: String(256 * 1024) }
/** Relative to archie's port: bucks 7700, 7710, 7720 (HTTP one more), porter 7785, tailer 7790. */
const BUCK_OFFSET = -80
const PORTER_OFFSET = 5
const TAILER_OFFSET = 10

export interface FleetPlan {
  nodes: NodeToMake[]
  children: ChildSpec[]
  /** Where each listens: { name, address }. */
  listens: { name: string; address: string }[]
  archieUrl: string
  porterUrl: string
  /** Each role's own folder: locked by it while it runs. */
  roleFolders: string[]
}

export interface FleetOptions {
  data: string
  keys: string
  archiePort: number
  isOnce: boolean
  /** As written by the user, over which the plan writes. */
  base: SettingsInput
  settings: Settings
}

export function planFleet(options: FleetOptions): FleetPlan {
  const { data, keys, archiePort, isOnce, base } = options
  const at = (port: number) => `${LOOPBACK}:${port}`
  const buckPort = (k: number) => archiePort + BUCK_OFFSET + 10 * k
  const bucks = Array.from({ length: BUCKS }, (_, k) => k)

  const common: SettingsInput = {
    ...base,
    data,
    bucks: bucks.map(k => at(buckPort(k))),
    porter: {
      ...base.porter,
      http: at(archiePort + PORTER_OFFSET),
      // Nobody waits for two days at a command line.
      ...(isOnce && { archive_after: '0s' }),
    },
    tailer: { ...base.tailer, http: at(archiePort + TAILER_OFFSET) },
    archie: { ...base.archie, http: at(archiePort), live: bucks.map(k => `http://${at(buckPort(k) + 1)}`) },
  }
  const named = (name: string, more: SettingsInput = {}): SettingsInput => ({
    ...common,
    ...more,
    channel: { ...base.channel, keys, name },
  })

  const roles: { name: string; role: string; settings: SettingsInput; args: string[]; folder?: string }[] = [
    ...bucks.map(k => {
      const folder = join(data, `buck${k}`)
      const buck = { ...base.buck, listen: at(buckPort(k)), http: at(buckPort(k) + 1), folders: [folder] }
      return { name: `buck${k}`, role: 'buck', settings: named(`buck${k}`, { buck }), args: [], folder }
    }),
    { name: 'porter', role: 'porter', settings: named('porter'), args: [], folder: join(data, 'porter') },
    { name: 'archie', role: 'archie', settings: named('archie'), args: [] },
    {
      name: 'tailer',
      role: 'tailer',
      settings: named('tailer'),
      args: isOnce ? ['--once'] : [],
      folder: join(data, 'tailer'),
    },
  ]

  mkdirSync(join(data, 'run'), { recursive: true })
  mkdirSync(join(data, 'log'), { recursive: true })
  const environment = childEnvironment()
  return {
    nodes: roles.map(({ name, role }) => ({ name, role: role as NodeToMake['role'] })),
    children: roles.map(({ name, role, settings, args }) => {
      const file = join(data, 'run', `${name}.yaml`)
      writeFileSync(
        file,
        `# Written by \`bucktail up\` at every start: the settings of ${name}.\n${stringify(settings)}`,
      )
      return {
        name,
        args: [role, '--config', file, ...args],
        ...(role === 'porter' && { nodeArgs: PORTER_NODE_ARGS }),
        environment: role === 'porter' ? { ...PORTER_ENVIRONMENT, ...environment } : environment,
        logFile: join(data, 'log', `${name}.log`),
        pidFile: join(data, 'run', `${name}.pid`),
      }
    }),
    listens: [
      { name: 'archie', address: at(archiePort) },
      ...bucks.flatMap(k => [
        { name: `buck${k}`, address: at(buckPort(k)) },
        { name: `buck${k}`, address: at(buckPort(k) + 1) },
      ]),
      { name: 'porter', address: at(archiePort + PORTER_OFFSET) },
      { name: 'tailer', address: at(archiePort + TAILER_OFFSET) },
    ],
    archieUrl: `http://${at(archiePort)}`,
    porterUrl: `http://${at(archiePort + PORTER_OFFSET)}`,
    roleFolders: roles.flatMap(role => role.folder ?? []),
  }
}

/** Rejects with one sentence that names the first port that is taken. */
export async function checkPortsFree(listens: FleetPlan['listens']): Promise<void> {
  for (const { name, address } of listens) {
    const { host, port } = parseAddress(address)!
    try {
      await probe(host, port)
    } catch (error) {
      throw failure(
        `cannot listen on ${address} for the ${name}: ${reasonOf(error)}; stop what uses it, or choose other ports with --port`,
        error,
      )
    }
  }
}

function probe(host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(port, host, () => server.close(() => resolve()))
  })
}

/** Our settings reach the children through their files: a variable would beat the file. */
function childEnvironment(): NodeJS.ProcessEnv {
  const isOurs = (name: string) => name.startsWith('BUCKTAIL_') && name !== 'BUCKTAIL_DEBUG'
  return Object.fromEntries(Object.entries(process.env).filter(([name]) => !isOurs(name)))
}
