// The HTTP port of a process that serves no pages: is it alive, can it go on without loss, its figures, its state.
import type { AddressInfo } from 'node:net'
import Fastify, { type FastifyInstance } from 'fastify'
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import type { World } from '../world.ts'
import { GUARD_HINT, HostGuard } from './guard.ts'
import { answerWithProblems, HttpProblem } from './problem.ts'

export interface FaceConfig {
  host: string
  /** 0: any free one. */
  port: number
  /** Names besides loopback and `host` under which the port may be asked. */
  allowedHosts?: string[]
}

export interface FaceFigure {
  name: string
  help: string
  value(): number
}

/** A figure of which there are several, told apart by a label. */
export interface FaceFigures {
  name: string
  help: string
  label: string
  values(): Iterable<[string, number]>
}

export interface FaceParts {
  log: World['log']
  status(): unknown
  /** Why it cannot go on without loss or standstill; undefined if it can. */
  unready(): string | undefined
  figures: (FaceFigure | FaceFigures)[]
  /** Further paths. */
  routes?(server: FastifyInstance): void
}

export interface RunningFace {
  /** `host:port` as bound. */
  address: string
  close(): Promise<void>
}

/** The lag of the event loop is measured so often, and its figures are no less. */
const LAG_EVERY_MS = 100

/** Rejects if the port cannot be had. */
export async function startProcessFace(config: FaceConfig, parts: FaceParts): Promise<RunningFace> {
  const app = Fastify({ logger: false, forceCloseConnections: true })
  const guard = new HostGuard(config.host, config.allowedHosts)
  app.addHook('onRequest', async request => {
    const objection = guard.objection(request.headers)
    if (objection) throw new HttpProblem(403, 'Not for you', objection, { hint: GUARD_HINT })
  })
  answerWithProblems(app, (error, url) => parts.log.error('request failed', { url, error }))

  const metrics = new Registry()
  // Its own measure wakes an idle process a hundred times a second: half a per cent of a core.
  collectDefaultMetrics({ register: metrics, eventLoopMonitoringPrecision: LAG_EVERY_MS })
  for (const figure of parts.figures) {
    const { name, help } = figure
    new Gauge({
      name,
      help,
      labelNames: 'label' in figure ? [figure.label] : [],
      registers: [metrics],
      collect() {
        if (!('label' in figure)) return this.set(figure.value())
        this.reset()
        for (const [label, value] of figure.values()) this.set({ [figure.label]: label }, value)
      },
    })
  }
  app.get('/healthz', () => ({ ok: true }))
  app.get('/readyz', () => {
    const why = parts.unready()
    if (why !== undefined) throw new HttpProblem(503, 'Not ready', why)
    return { ready: true }
  })
  app.get('/status', () => parts.status())
  app.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.metrics()))

  parts.routes?.(app)

  await app.listen({ host: config.host, port: config.port })
  const bound = app.server.address() as AddressInfo
  const address = `${bound.family === 'IPv6' ? `[${bound.address}]` : bound.address}:${bound.port}`
  return { address, close: () => app.close() }
}
