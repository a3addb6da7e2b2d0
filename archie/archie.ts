// Archie: search, figures, ledger, and the pages, over HTTP. Holds no data of its own: it can be dead for days and nothing is
// lost (design, "No master").
import { readFileSync } from 'node:fs'
import swagger from '@fastify/swagger'
import Fastify from 'fastify'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'
import type { Decisions } from '../shared/decisions.ts'
import { boundAddress } from '../shared/face/bound-address.ts'
import { GUARD_HINT, HostGuard } from '../shared/face/guard.ts'
import { LIVE_TOKEN_SECONDS, mintLiveToken } from '../shared/face/live-token.ts'
import { answerWithProblems, HttpProblem } from '../shared/face/problem.ts'
import { Fleet } from '../shared/fleet.ts'
import { type Dialer, RefusedError } from '../shared/link.ts'
import type { Releases } from '../shared/releases.ts'
import type { EventStore } from '../shared/stores.ts'
import type { World } from '../shared/world.ts'
import { FreshSource } from './fresh-source.ts'
import type { Histories } from './history.ts'
import { addHistoryRoutes, orMissing } from './history-routes.ts'
import { HOLE_AFTER_MS, LedgerReader } from './ledger.ts'
import { addPages } from './pages.ts'
import { addApi } from './routes.ts'
import { environmentStatus } from './status.ts'

export interface ArchieConfig {
  host: string
  /** 0: any free one. */
  port: number
  environment: string
  bucks: {
    /** `host:port` of the channel. */
    channel: string
    /** `host:port` or URL where browsers find its live socket. */
    http: string
  }[]
  /** Names besides loopback and `host` under which browsers may reach this port. */
  allowedHosts?: string[]
  /** Shared by archie and bucks of the environment: signs the tokens of live pages. */
  tokenKey?: Buffer
  /** The ledger calls it a hole what only a tailer had that is silent for so long; 24 h if absent. */
  holeAfterMs?: number
}

export interface ArchieParts {
  world: World
  dialer: Dialer
  index: EventStore
  archive: EventStore
  /** What operators decided about holes. */
  decisions?: Decisions
  /** What left the archive, or never went into it, by decision. */
  releases?: Releases
  /** Time ranges of the archive as indexes of their own. */
  histories?: Histories
}

export interface RunningArchie {
  /** `host:port` as bound. */
  address: string
  close(): Promise<void>
}

/** Rejects if the port cannot be had. */
export async function startArchie(config: ArchieConfig, parts: ArchieParts): Promise<RunningArchie> {
  const { world, dialer, index, archive, histories } = parts
  const { clock, log } = world
  const stop = new AbortController()
  const bucks = config.bucks.map(({ channel, http }) => ({ channel, url: urlOf(http) }))
  const fleet = new Fleet(
    bucks.map(buck => buck.channel),
    dialer,
    world,
    {
      onLink: link => {
        link.serve(async type => {
          if (type === 'ping') return { body: {} as never }
          throw new RefusedError('bad-request', `archie answers no ${type}`)
        })
      },
    },
  )
  const members = () =>
    bucks.map(({ channel }) => ({
      name: `buck ${channel}`,
      holder: fleet.open().find(link => link.address === channel),
    }))
  const fresh = new FreshSource(members, index, world)
  const ledger = new LedgerReader(
    members,
    { index, archive, decisions: parts.decisions, releases: parts.releases },
    { holeAfterMs: config.holeAfterMs ?? HOLE_AFTER_MS },
  )

  const app = Fastify({ logger: false, forceCloseConnections: true, routerOptions: { maxParamLength: 300 } })
  const guard = new HostGuard(config.host, config.allowedHosts)
  app.addHook('onRequest', async request => {
    const objection = guard.objection(request.headers)
    if (objection) throw new HttpProblem(403, 'Not for you', objection, { hint: GUARD_HINT })
  })
  answerWithProblems(app, (error, url) => log.error('request failed', { url, error }))
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'bucktail archie',
        description: 'Search, figures and state of one environment. Errors are RFC 9457 problem details.',
        version: packageVersion(),
      },
    },
  })

  const metrics = new Registry()
  const requests = new Counter({
    name: 'bucktail_archie_requests_total',
    help: 'HTTP requests answered, by route and status class',
    labelNames: ['route', 'status'],
    registers: [metrics],
  })
  const durations = new Histogram({
    name: 'bucktail_archie_request_seconds',
    help: 'Time to the end of the answer',
    labelNames: ['route'],
    buckets: [0.01, 0.05, 0.1, 0.5, 1, 5, 30],
    registers: [metrics],
  })
  const gauge = (name: string, help: string, value: () => number) =>
    new Gauge({
      name,
      help,
      registers: [metrics],
      collect() {
        this.set(value())
      },
    })
  gauge('bucktail_archie_bucks_connected', 'Bucks with an open link', () => fleet.open().length)
  gauge('bucktail_archie_fresh_packets', 'Packets at bucks that the index lacks', () => fresh.counts().packets)
  gauge('bucktail_archie_fresh_bytes', 'Bytes of them in memory', () => fresh.counts().cachedBytes)
  app.addHook('onResponse', async (request, reply) => {
    // The route's pattern, not the URL: one series per route, whatever is asked.
    const route = request.routeOptions.url ?? 'unknown'
    requests.inc({ route, status: `${Math.floor(reply.statusCode / 100)}xx` })
    durations.observe({ route }, reply.elapsedTime / 1000)
  })

  const status = () => environmentStatus({ environment: config.environment, bucks, fleet, fresh, index, archive })
  await app.register(async api => {
    addApi(api, {
      index,
      archive,
      fresh,
      ...(histories && { openHistory: (id: string) => orMissing(histories.open(id)) }),
      world,
      status,
      ledger: () => ledger.read(),
      bucks: () => ({
        environment: config.environment,
        bucks: bucks.map(({ url }, number) => ({ name: `buck ${number}`, url })),
        ...(config.tokenKey && {
          token: mintLiveToken(config.tokenKey, config.environment, clock.now()),
          tokenSeconds: LIVE_TOKEN_SECONDS,
        }),
      }),
    })
    if (histories) addHistoryRoutes(api, histories, world)
    addPages(
      api,
      bucks.map(buck => buck.url),
    )
    const hidden = { schema: { hide: true } }
    api.get('/openapi.json', hidden, () => app.swagger())
    api.get('/healthz', hidden, () => ({ ok: true }))
    // Nothing can be lost here: archie is ready when it can search.
    api.get('/readyz', hidden, async () => {
      await index.lacking([])
      return { ready: true }
    })
    api.get('/metrics', hidden, async (_request, reply) =>
      reply.type(metrics.contentType).send(await metrics.metrics()),
    )
  })

  await app.listen({ host: config.host, port: config.port })
  const running = Promise.all([fleet.run(stop.signal), fresh.run(stop.signal)])
  const address = boundAddress(app.server)
  log.info('archie listens', { address, environment: config.environment, bucks: bucks.length })
  return {
    address,
    async close() {
      stop.abort()
      await app.close()
      await running
    },
  }
}

function urlOf(http: string): string {
  return new URL(/^https?:\/\//.test(http) ? http : `http://${http}`).origin
}

function packageVersion(): string {
  for (const place of ['../package.json', '../../package.json']) {
    try {
      return JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8')).version
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
  return 'unknown'
}
