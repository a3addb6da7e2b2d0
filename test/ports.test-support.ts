// Ports of the processes that tests start. Suites run at the same time, and between looking whether a port is free and
// using it another one could take it: each job of the runner has ports of its own, and each suite gives out a port once.
//
//   12,000   4,000 for fleets of job 0 │ 1,000 for its engines │ 4,000 for fleets of job 1 │ …   32,000
//
// All are below those that systems give to outgoing connections: while a server is down, a client that tries its port
// would otherwise now and then get that very port for itself, and the server could not have it back.
import { createServer } from 'node:net'

const FIRST = 12_000
const JOBS = 4
const FLEETS = 4_000
const ENGINES = 1_000
const TRIES_MAX = 200
/** Beside the port of `up`: those of its bucks, of its tailer and of its porter. */
const FLEET_OFFSETS = [0, -80, -79, -70, -69, -60, -59, 5, 10]
const FLEET_SPAN = 100

const start = FIRST + (Number(process.env.TAP_JOB_ID ?? 0) % JOBS) * (FLEETS + ENGINES)
const given = new Set<number>()

/** For `up --port`: those of the whole fleet are free. */
export function freeFleetPort(): Promise<number> {
  return freePortOf(start + FLEET_SPAN, start + FLEETS - FLEET_SPAN, FLEET_OFFSETS)
}

/** For one server. */
export function freePort(): Promise<number> {
  return freePortOf(start + FLEETS, start + FLEETS + ENGINES, [0])
}

async function freePortOf(least: number, most: number, offsets: number[]): Promise<number> {
  for (let tries = 0; tries < TRIES_MAX; tries++) {
    const base = least + Math.floor(Math.random() * (most - least))
    const ports = offsets.map(offset => base + offset)
    if (ports.some(port => given.has(port))) continue
    for (const port of ports) given.add(port)
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) return base
  }
  throw new Error(`no free ports in ${TRIES_MAX} tries between ${least} and ${most}`)
}

function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '127.0.0.1', () => server.close(() => resolve(true)))
  })
}
