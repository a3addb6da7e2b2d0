// Live: lines to browsers as they arrive, filtered here, so that a viewer gets only what it asked for (mission B3).
//
//   published packet ─▶ waiting (bounded) ─▶ decoded once ─▶ each viewer's filter ─▶ its pending list (bounded) ─▶ batch
//                          over: oldest dropped, `unseen`        over its rate: `limited`   over: oldest dropped, `skipped`
//
//   A batch goes out every FLUSH_MS or at BATCH_EVENTS, and at most BATCHES_IN_FLIGHT wait for the viewer's "taken": so a
//   slow network and a slow browser are felt here, and cost this process a bounded list and nothing else.
//   Without a viewer that set a filter nothing is subscribed, so nothing is decoded.
//   Work is done in slices of SLICE_MS: requests of tailers are served in between.
import type { Server as HttpServer } from 'node:http'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { Server, type Socket } from 'socket.io'
import { compileFilter, type EventFilter, type Look } from '../shared/event-filter.ts'
import { type LiveEventJson, liveEventJson } from '../shared/event-json.ts'
import { type Events, eventAt, eventBytes, LEVELS, walkEvents } from '../shared/events.ts'
import type { HostGuard } from '../shared/face/guard.ts'
import { liveTokenObjection } from '../shared/face/live-token.ts'
import type { BuckToViewer, FilterAnswer, LiveFilter, ViewerToBuck } from '../shared/live-messages.ts'
import { decodePacket, decodePacketHeader, packetEvents } from '../shared/packet.ts'
import { QueryError } from '../shared/query/syntax.ts'
import type { World } from '../shared/world.ts'

/** One decode may take a whole slice and more; matching is cut at this. */
const SLICE_MS = 8
const EVENTS_PER_CLOCK_LOOK = 64
const WAITING_BYTES_MAX = 64 * 1024 * 1024
const FLUSH_MS = 50
const BATCH_EVENTS = 500
const BATCHES_IN_FLIGHT = 4
const PENDING_EVENTS_MAX = 5_000
const PENDING_BYTES_MAX = 4 * 1024 * 1024
/** A filter's field; a query longer than this was not typed by anyone. */
const FILTER_CHARACTERS_MAX = 4096
const INBOUND_BYTES_MAX = 64 * 1024
const PING_MS = 5_000

export interface Published {
  packet: Buffer
}

export interface LiveConfig {
  environment: string
  buckName: string
  guard: HostGuard
  /** With it, only viewers that bring a token signed by it are let in. */
  tokenKey?: Buffer
  viewersMax?: number
  eventsPerSecondMax?: number
}

export interface LiveCounts {
  viewers: number
  sent: number
  /** Left out because a viewer was slow, was over its rate, or this process had no time. */
  skipped: number
  limited: number
  unseen: number
  damaged: number
}

type ViewerSocket = Socket<ViewerToBuck, BuckToViewer>

export class Live {
  readonly #io: Server<ViewerToBuck, BuckToViewer>
  readonly #config: LiveConfig & { viewersMax: number; eventsPerSecondMax: number }
  readonly #subscribe: (listener: (published: Published) => void) => () => void
  readonly #world: Pick<World, 'clock' | 'log'>
  readonly #viewers = new Set<Viewer>()
  readonly #counts = { sent: 0, skipped: 0, limited: 0, unseen: 0, damaged: 0 }
  #unsubscribe: (() => void) | undefined
  #flusher: NodeJS.Timeout | undefined
  #waiting: Buffer[] = []
  #waitingBytes = 0
  #unseen = 0
  #isWorking = false

  constructor(
    http: HttpServer,
    config: LiveConfig,
    subscribe: (listener: (published: Published) => void) => () => void,
    world: Pick<World, 'clock' | 'log'>,
  ) {
    this.#config = { viewersMax: 200, eventsPerSecondMax: 5_000, ...config }
    this.#subscribe = subscribe
    this.#world = world
    this.#io = new Server(http, {
      // One kind of connection: it has no cross-origin rules of its own, so `allowRequest` decides alone.
      transports: ['websocket'],
      perMessageDeflate: false,
      serveClient: false,
      maxHttpBufferSize: INBOUND_BYTES_MAX,
      pingInterval: PING_MS,
      pingTimeout: PING_MS,
      allowRequest: (request, decide) => {
        const objection = config.guard.objection(request.headers)
        decide(objection, objection === undefined)
      },
    })
    this.#io.use((socket, next) => {
      const objection = this.#objection(socket.handshake.auth)
      next(objection === undefined ? undefined : new Error(objection))
    })
    this.#io.on('connection', socket => this.#welcome(socket))
  }

  counts(): LiveCounts {
    return { viewers: this.#viewers.size, ...this.#counts }
  }

  async close(): Promise<void> {
    this.#stop()
    // The connections, not the sessions: viewers then come back by themselves, as after a crash.
    this.#io.engine.close()
  }

  #objection(auth: unknown): string | undefined {
    const { tokenKey, environment, viewersMax } = this.#config
    if (this.#viewers.size >= viewersMax) return `this buck serves ${viewersMax} viewers already: close a page`
    if (!tokenKey) return undefined
    const token = (auth as { token?: unknown } | undefined)?.token
    return liveTokenObjection(tokenKey, environment, token, this.#world.clock.now())
  }

  #welcome(socket: ViewerSocket): void {
    const { buckName, environment, eventsPerSecondMax } = this.#config
    const viewer = new Viewer(socket, eventsPerSecondMax, this.#world.clock, this.#counts)
    this.#viewers.add(viewer)
    this.#world.log.debug('viewer came', { viewers: this.#viewers.size })
    socket.emit('hello', { buck: buckName, environment, eventsPerSecondMax })
    socket.on('filter', (filter, answer) => {
      if (typeof answer !== 'function') return // not of our protocol: nobody waits for an answer
      answer(this.#setFilter(viewer, filter))
    })
    socket.on('disconnect', () => {
      this.#viewers.delete(viewer)
      if (![...this.#viewers].some(v => v.matches)) this.#stop()
      this.#world.log.debug('viewer left', { viewers: this.#viewers.size })
    })
  }

  #setFilter(viewer: Viewer, filter: LiveFilter): FilterAnswer {
    try {
      viewer.show(compileFilter(checkedFilter(filter)))
    } catch (error) {
      // Not the former filter's lines: the viewer shows the new query, and that it is wrong.
      viewer.show(undefined)
      const { message } = error as Error
      return { ok: false, error: message, ...(error instanceof QueryError && { position: error.offset }) }
    }
    this.#start()
    return { ok: true }
  }

  #start(): void {
    this.#unsubscribe ??= this.#subscribe(({ packet }) => this.#take(packet))
    this.#flusher ??= setInterval(() => {
      for (const viewer of this.#viewers) viewer.flush()
    }, FLUSH_MS)
  }

  #stop(): void {
    this.#unsubscribe?.()
    this.#unsubscribe = undefined
    clearInterval(this.#flusher)
    this.#flusher = undefined
    this.#waiting = []
    this.#waitingBytes = 0
  }

  #take(packet: Buffer): void {
    this.#waiting.push(packet)
    this.#waitingBytes += packet.length
    while (this.#waitingBytes > WAITING_BYTES_MAX && this.#waiting.length > 1) {
      const dropped = this.#waiting.shift() as Buffer
      this.#waitingBytes -= dropped.length
      const { events } = decodePacketHeader(dropped)
      this.#unseen += events
      this.#counts.unseen += events
    }
    if (this.#isWorking) return
    this.#isWorking = true
    void this.#work().finally(() => {
      this.#isWorking = false
    })
  }

  /** Until nothing waits. A packet that cannot be read is counted and passed over: the disk has it as it came. */
  async #work(): Promise<void> {
    for (;;) {
      await nextTurn()
      const packet = this.#waiting.shift()
      if (packet === undefined) return
      this.#waitingBytes -= packet.length
      let events: Events
      try {
        events = packetEvents(decodePacket(packet))
      } catch (error) {
        this.#counts.damaged++
        this.#world.log.warn('packet not readable for viewers', { error })
        continue
      }
      await this.#show(events)
    }
  }

  async #show(events: Events): Promise<void> {
    const unseen = this.#unseen
    this.#unseen = 0
    if (unseen > 0) for (const viewer of this.#viewers) viewer.miss(unseen)

    const { clock } = this.#world
    let sliceEndMs = clock.monotonic() + SLICE_MS
    for (const { i, run, from } of walkEvents(events)) {
      if (i % EVENTS_PER_CLOCK_LOOK === 0 && clock.monotonic() > sliceEndMs) {
        await nextTurn()
        sliceEndMs = clock.monotonic() + SLICE_MS
      }
      const look: Look = {
        bytes: eventBytes(events, i),
        host: events.names[events.hosts[i]] || run.host,
        app: events.names[events.apps[i]] || run.app,
        level: LEVELS[events.levels[i]],
        path: run.path,
      }
      // The hash in the id and the text are made once, and only if somebody wants the event.
      let json: LiveEventJson | undefined
      for (const viewer of this.#viewers) {
        if (!viewer.matches?.(look) || !viewer.admit()) continue
        json ??= liveEventJson(eventAt(events, i, run, from))
        viewer.push(json)
      }
    }
  }
}

class Viewer {
  /** Undefined until the viewer said what it wants. */
  matches: EventFilter | undefined
  readonly #socket: ViewerSocket
  readonly #perSecondMax: number
  readonly #clock: World['clock']
  readonly #totals: { sent: number; skipped: number; limited: number }
  #pending: LiveEventJson[] = []
  #pendingBytes = 0
  #inFlight = 0
  #skipped = 0
  #limited = 0
  #unseen = 0
  #allowance: number
  #allowanceAtMs: number

  constructor(
    socket: ViewerSocket,
    perSecondMax: number,
    clock: World['clock'],
    totals: { sent: number; skipped: number; limited: number },
  ) {
    this.#socket = socket
    this.#perSecondMax = perSecondMax
    this.#clock = clock
    this.#totals = totals
    this.#allowance = perSecondMax
    this.#allowanceAtMs = clock.monotonic()
  }

  /** From now on only what this filter matches: what waited for the former one is not wanted any more. */
  show(matches: EventFilter | undefined): void {
    this.matches = matches
    this.#pending = []
    this.#pendingBytes = 0
    this.#skipped = this.#limited = this.#unseen = 0
  }

  /** One event of this viewer's rate; false, and counted, when it is used up. */
  admit(): boolean {
    if (this.#allowance < 1) {
      const nowMs = this.#clock.monotonic()
      const earned = ((nowMs - this.#allowanceAtMs) / 1000) * this.#perSecondMax
      this.#allowance = Math.min(this.#perSecondMax, this.#allowance + earned)
      this.#allowanceAtMs = nowMs
    }
    if (this.#allowance < 1) {
      this.#limited++
      this.#totals.limited++
      return false
    }
    this.#allowance--
    return true
  }

  push(event: LiveEventJson): void {
    this.#pending.push(event)
    this.#pendingBytes += event.message.length
    if (this.#pending.length > PENDING_EVENTS_MAX || this.#pendingBytes > PENDING_BYTES_MAX) this.#skipOldest()
    if (this.#pending.length >= BATCH_EVENTS) this.flush()
  }

  miss(events: number): void {
    this.#unseen += events
  }

  flush(): void {
    while (this.#inFlight < BATCHES_IN_FLIGHT) {
      const hasLoss = this.#skipped > 0 || this.#limited > 0 || this.#unseen > 0
      if (this.#pending.length === 0 && !hasLoss) return
      const events = this.#pending.splice(0, BATCH_EVENTS)
      for (const event of events) this.#pendingBytes -= event.message.length
      const batch = {
        events,
        ...(this.#skipped > 0 && { skipped: this.#skipped }),
        ...(this.#limited > 0 && { limited: this.#limited }),
        ...(this.#unseen > 0 && { unseen: this.#unseen }),
      }
      this.#skipped = this.#limited = this.#unseen = 0
      this.#totals.sent += events.length
      this.#inFlight++
      this.#socket.emit('events', batch, () => {
        this.#inFlight = Math.max(0, this.#inFlight - 1)
        if (this.#pending.length >= BATCH_EVENTS) this.flush()
      })
    }
  }

  /** A quarter at a time: cutting one by one would move the whole list for each event. */
  #skipOldest(): void {
    const dropped = this.#pending.splice(0, Math.ceil(this.#pending.length / 4))
    for (const event of dropped) this.#pendingBytes -= event.message.length
    this.#skipped += dropped.length
    this.#totals.skipped += dropped.length
  }
}

/** Throws with a sentence for the viewer. */
function checkedFilter(filter: unknown): LiveFilter {
  if (typeof filter !== 'object' || filter === null)
    throw new Error('a filter is an object: { q, host, app, level, file }')
  const checked: LiveFilter = {}
  for (const field of ['q', 'host', 'app', 'level', 'file'] as const) {
    const value = (filter as Record<string, unknown>)[field]
    if (value === undefined || value === null) continue
    if (typeof value !== 'string' || value.length > FILTER_CHARACTERS_MAX) {
      throw new Error(`"${field}" is a text of at most ${FILTER_CHARACTERS_MAX} characters`)
    }
    checked[field] = value
  }
  return checked
}
