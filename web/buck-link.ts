// One buck's live socket, kept up on its own, whatever the others do.
//
//   connecting ─▶ asking (our filter) ─▶ live        lost or refused ─▶ away (tries again for ever) ─▶ connecting
//   Batches count only while `live`: one that comes while `asking` was made for the former filter.
import { io, type Socket } from 'socket.io-client'
import type { BuckToViewer, FilterAnswer, LiveBatch, LiveFilter, ViewerToBuck } from '../shared/live-messages.ts'

const RETRY_MS = 300
const RETRY_MS_MAX = 2_000
const CONNECT_TIMEOUT_MS = 4_000
const FILTER_TIMEOUT_MS = 5_000
/** The buck's ping comes every 5 s and is missed after 5 more: so long a loss may have gone unnoticed. */
const UNNOTICED_MS = 11_000

export type LinkState = 'connecting' | 'asking' | 'live' | 'away'

export interface BuckAddress {
  name: string
  url: string
}

export interface LinkEvents {
  /** State, name or reason changed. */
  onChange(link: BuckLink): void
  onBatch(link: BuckLink, batch: LiveBatch): void
  /** The query is wrong: every buck says the same. */
  onBadFilter(answer: FilterAnswer & { ok: false }): void
  /** Live again; lines since then (Date.now()) may be missing. */
  onBack(link: BuckLink, sinceMs: number, awayMs: number): void
}

export class BuckLink {
  state: LinkState = 'connecting'
  /** As configured at archie, until the buck says its own. */
  name: string
  readonly url: string
  /** Why it is away. */
  reason = ''
  readonly #events: LinkEvents
  readonly #socket: Socket<BuckToViewer, ViewerToBuck>
  #filter: LiveFilter
  /** Counts the filters sent: only the answer to the last one matters. */
  #asked = 0
  #lostAtMs: number | undefined

  constructor(buck: BuckAddress, filter: LiveFilter, token: () => Promise<string | undefined>, events: LinkEvents) {
    this.name = buck.name
    this.url = buck.url
    this.#filter = filter
    this.#events = events
    this.#socket = io(buck.url, {
      transports: ['websocket'],
      reconnectionDelay: RETRY_MS,
      reconnectionDelayMax: RETRY_MS_MAX,
      timeout: CONNECT_TIMEOUT_MS,
      // Asked anew for each connection: a token lives for minutes, a page for days.
      auth: give => {
        token().then(
          value => give({ token: value }),
          () => give({}), // archie is away: a buck without a token key lets us in, another one says what it lacks
        )
      },
    })
    this.#socket.on('hello', hello => {
      this.name = hello.buck
      this.#events.onChange(this)
    })
    this.#socket.on('connect', () => this.#ask())
    this.#socket.on('events', (batch, taken) => {
      if (this.state === 'live') this.#events.onBatch(this, batch)
      // A turn later: while this page is too busy to get there, the buck holds back.
      setTimeout(taken, 0)
    })
    this.#socket.on('disconnect', reason => {
      this.#enter('away', reason === 'ping timeout' ? 'does not answer' : 'connection lost')
      if (reason === 'io server disconnect') this.#connectLater()
    })
    this.#socket.on('connect_error', error => {
      // The buck's own words, or the browser's "websocket error" that says nothing.
      this.#enter(
        'away',
        error.message === 'websocket error' || error.message === 'timeout' ? 'cannot be reached' : error.message,
      )
      if (!this.#socket.active) this.#connectLater()
    })
  }

  setFilter(filter: LiveFilter): void {
    this.#filter = filter
    if (this.#socket.connected) this.#ask()
  }

  /** A refusal is final for socket.io, but not for us: the token may be renewed, a viewer may leave. */
  #connectLater(): void {
    setTimeout(() => this.#socket.connect(), RETRY_MS_MAX)
  }

  #ask(): void {
    const asked = ++this.#asked
    this.#enter('asking', '')
    this.#socket.timeout(FILTER_TIMEOUT_MS).emit('filter', this.#filter, (error, answer) => {
      if (asked !== this.#asked) return
      if (error) {
        this.#enter('away', 'does not answer')
        this.#socket.disconnect().connect()
      } else if (answer.ok) {
        this.#enter('live', '')
        const lostAtMs = this.#lostAtMs
        this.#lostAtMs = undefined
        if (lostAtMs !== undefined) this.#events.onBack(this, lostAtMs - UNNOTICED_MS, Date.now() - lostAtMs)
      } else {
        this.#enter('live', '') // and silent: the buck shows nothing until it gets a filter that it understands
        this.#events.onBadFilter(answer)
      }
    })
  }

  #enter(state: LinkState, reason: string): void {
    if (state === 'away' && this.state === 'live') this.#lostAtMs = Date.now()
    this.state = state
    this.reason = reason
    this.#events.onChange(this)
  }
}
