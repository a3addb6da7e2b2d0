// The HTTP port of a buck: is it well, what does it hold, slow down please; and live on the same port (buck/live.ts).
import Fastify from 'fastify'
import { Counter, Gauge, Registry } from 'prom-client'
import { boundAddress } from '../shared/face/bound-address.ts'
import { GUARD_HINT, HostGuard } from '../shared/face/guard.ts'
import { answerWithProblems, HttpProblem } from '../shared/face/problem.ts'
import type { World } from '../shared/world.ts'
import type { Buck, BuckStatus } from './buck.ts'
import { Live, type LiveCounts } from './live.ts'

export interface BuckFaceConfig {
  host: string
  /** 0: any free one. */
  port: number
  environment: string
  buckName: string
  /** Names besides loopback and `host` under which browsers reach this port, or archie's pages come from. */
  allowedHosts?: string[]
  /** Shared by archie and bucks of the environment: with it, viewers need archie's token. */
  tokenKey?: Buffer
  viewersMax?: number
  eventsPerSecondMax?: number
}

export interface BuckFaceParts {
  buck: Pick<Buck, 'subscribe' | 'status' | 'throttle'>
  world: Pick<World, 'clock' | 'log'>
}

export interface RunningBuckFace {
  /** `host:port` as bound. */
  address: string
  close(): Promise<void>
}

/** Rejects if the port cannot be had. */
export async function startBuckFace(config: BuckFaceConfig, { buck, world }: BuckFaceParts): Promise<RunningBuckFace> {
  const app = Fastify({ logger: false, forceCloseConnections: true })
  const guard = new HostGuard(config.host, config.allowedHosts)
  const live = new Live(app.server, { ...config, guard }, listener => buck.subscribe(listener), world)
  const metrics = buckMetrics(
    () => buck.status(),
    () => live.counts(),
  )

  app.addHook('onRequest', async request => {
    const objection = guard.objection(request.headers)
    if (objection) throw new HttpProblem(403, 'Not for you', objection, { hint: GUARD_HINT })
  })
  answerWithProblems(app, (error, url) => world.log.error('request failed', { url, error }))

  app.get('/healthz', async () => ({ ok: true }))
  app.get('/readyz', async (_request, reply) => {
    const reason = whyNotReady(buck.status())
    return reason === undefined ? { ready: true } : reply.code(503).send({ ready: false, reason })
  })
  app.get('/status', async () => ({ environment: config.environment, ...buck.status(), live: live.counts() }))
  app.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.metrics()))
  app.get<{ Querystring: { seconds: number; leastIntervalMs?: number } }>(
    '/throttle',
    {
      schema: {
        querystring: {
          type: 'object',
          required: ['seconds'],
          properties: {
            seconds: { type: 'number', description: 'Hold back for so long; 0 lifts it; negative only reads' },
            leastIntervalMs: { type: 'integer', minimum: 0, maximum: 60_000 },
          },
        },
      },
    },
    async request => {
      const { seconds, leastIntervalMs } = request.query
      // A page could make a browser ask this with a plain link. Only programs (and the address bar) may change anything.
      const site = request.headers['sec-fetch-site']
      if (seconds >= 0 && site !== undefined && site !== 'none' && site !== 'same-origin') {
        throw new HttpProblem(403, 'Not for you', 'another page may not throttle this buck', {
          hint: 'Ask with curl, or type the address into the browser.',
        })
      }
      const throttle = buck.throttle(seconds, leastIntervalMs)
      if (seconds >= 0) world.log.info('throttle set by an operator', { ...throttle })
      return throttle
    },
  )

  await app.listen({ host: config.host, port: config.port })
  const address = boundAddress(app.server)
  world.log.info('buck face listens', { address, name: config.buckName })
  return {
    address,
    async close() {
      await live.close()
      await app.close()
    },
  }
}

/** Why a packet that comes now would be refused, or might be lost; undefined: it is safe here. */
function whyNotReady(status: BuckStatus): string | undefined {
  if (status.isClosing) return 'the buck is stopping'
  if (status.bytes >= status.bytesMax) {
    return `full: ${status.bytes} of ${status.bytesMax} bytes are used. Raise the limit, or see why nothing is archived`
  }
  if (status.disks.every(disk => disk.state !== 'fine')) {
    const [disk] = status.disks
    return `no disk takes packets: ${disk.folder} is ${disk.state} (${disk.reason ?? 'no reason given'})`
  }
  return undefined
}

function buckMetrics(status: () => BuckStatus, live: () => LiveCounts): Registry {
  const registry = new Registry()
  const gauge = (name: string, help: string, value: () => number) =>
    new Gauge({
      name: `bucktail_buck_${name}`,
      help,
      registers: [registry],
      collect() {
        this.set(value())
      },
    })
  /** A count that grows elsewhere: read when it is asked for. */
  const counter = (name: string, help: string, value: () => number) =>
    new Counter({
      name: `bucktail_buck_${name}_total`,
      help,
      registers: [registry],
      collect() {
        this.reset()
        this.inc(value())
      },
    })
  gauge('packets', 'Packets held', () => status().packets)
  gauge('bytes', 'Bytes of all bucket files', () => status().bytes)
  gauge('bytes_max', 'Limit of the above', () => status().bytesMax)
  gauge('buckets', 'Buckets held', () => status().buckets)
  gauge('ready', '1 if a packet that comes now is safe', () => (whyNotReady(status()) === undefined ? 1 : 0))
  gauge(
    'disks_failing',
    'Disks that take no packets',
    () => status().disks.filter(disk => disk.state !== 'fine').length,
  )
  gauge('tailers_connected', 'Tailers with an open link', () => status().connectedTailers)
  gauge('throttle_seconds', 'How long tailers are still told to hold back', () => status().throttle.seconds)
  gauge('viewers', 'Live viewers', () => live().viewers)
  counter('refused', 'Packets refused: no room, or no working disk', () => status().refused)
  counter('damaged', 'Damaged places found in bucket files', () => status().damaged)
  counter('clones', 'Tailers refused because another one uses their id', () => status().clones)
  counter('listener_packets_dropped', 'Packets that slow listeners did not get', () => status().listenersDropped)
  counter('live_events_sent', 'Events sent to viewers', () => live().sent)
  counter('live_events_skipped', 'Events left out because a viewer was slow', () => live().skipped)
  counter('live_events_limited', 'Events left out because a viewer was over its rate', () => live().limited)
  counter('live_events_unseen', 'Events that there was no time to look at for viewers', () => live().unseen)
  return registry
}
