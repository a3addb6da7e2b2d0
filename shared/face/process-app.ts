// What answers on the HTTP port of a process that serves no pages, and what it takes to do so: loaded when somebody asks
// (late-port.ts).
import Fastify from 'fastify'
import { collectDefaultMetrics, Gauge, Registry } from 'prom-client'
import { GUARD_HINT, HostGuard } from './guard.ts'
import type { Answering } from './late-port.ts'
import { answerWithProblems, HttpProblem } from './problem.ts'
import type { FaceConfig, FaceParts } from './process-face.ts'

/** The lag of the event loop is measured so often, and its figures are no less. */
const LAG_EVERY_MS = 100

export async function processApp(config: FaceConfig, parts: FaceParts): Promise<Answering> {
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

  await app.ready()
  return { server: app.server, close: () => app.close() }
}
