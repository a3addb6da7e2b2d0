// Lines as they are written: connected to every buck, each by itself; every line is at two bucks and shown once.
import { io, type Socket } from 'socket.io-client'
import type { LiveEventJson } from '../../shared/event-json.ts'
import type { Level } from '../../shared/events.ts'
import type { BuckToViewer, LiveBatch, LiveFilter, ViewerToBuck } from '../../shared/live-messages.ts'
import { parseQuery } from '../../shared/query.ts'
import { askArchie } from '../archie-place.ts'
import { EXIT, failure, reasonOf, usageError } from '../fail.ts'
import { escapeControls, escapeJson, isTerminal, Output, OutputClosedError } from '../terminal.ts'
import { textLine } from './search.ts'

/** Ids remembered to drop the second copy, which comes within seconds of the first. */
const IDS_REMEMBERED = 100_000
const RECONNECT_MS_MAX = 3_000

interface Flags {
  archie: string
  host?: string
  app?: string
  file?: string
  json?: boolean
}

interface Bucks {
  bucks: { name: string; url: string }[]
  token?: string
}

export async function tail(query: string | undefined, flags: Flags): Promise<number> {
  const filter: LiveFilter = { q: query, host: flags.host, app: flags.app, file: flags.file }
  try {
    if (query !== undefined) parseQuery(query)
  } catch (error) {
    throw usageError(`the query cannot be read: ${reasonOf(error)}`, error)
  }
  const { bucks } = await askArchie<Bucks>(flags.archie, '/api/v1/bucks')
  const output = new Output()
  const ended = Promise.withResolvers<number>()
  const seen = new RecentIds()

  /** One batch after the other, or lines of two bucks would mix within a line. */
  let writing = Promise.resolve()
  const show = (batch: LiveBatch): Promise<void> => {
    writing = writing.then(async () => {
      const lost = (batch.skipped ?? 0) + (batch.limited ?? 0) + (batch.unseen ?? 0)
      if (lost > 0)
        note(`${lost} lines left out, this viewer is too slow for them; a narrower query helps, search has them all`)
      for (const event of batch.events)
        if (seen.isNew(event.id)) await output.write(flags.json ? json(event) : text(event))
      await output.flush()
    })
    return writing
  }

  const sockets = bucks.map(({ name, url }) => connect(name, url, flags.archie, filter, show, ended))
  const stop = () => ended.resolve(EXIT.fine)
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  try {
    return await ended.promise
  } finally {
    for (const socket of sockets) socket.disconnect()
  }
}

function connect(
  name: string,
  url: string,
  archie: string,
  filter: LiveFilter,
  show: (batch: LiveBatch) => Promise<void>,
  ended: PromiseWithResolvers<number>,
): Socket<BuckToViewer, ViewerToBuck> {
  let isTold = false
  const socket: Socket<BuckToViewer, ViewerToBuck> = io(url, {
    transports: ['websocket'],
    reconnectionDelayMax: RECONNECT_MS_MAX,
    // A fresh token for each connection: it lives for minutes only.
    auth: give => {
      askArchie<Bucks>(archie, '/api/v1/bucks').then(
        ({ token }) => give({ token }),
        () => give({}), // archie is away: the buck says that a token is missing, and we try again
      )
    },
  })
  socket.on('connect', () => {
    if (isTold) note(`${name} is back`)
    isTold = false
    socket.emit('filter', filter, answer => {
      if (!answer.ok) ended.reject(usageError(`the query cannot be read: ${answer.error}`))
    })
  })
  socket.on('events', (batch, taken) => {
    show(batch).then(taken, (error: unknown) =>
      error instanceof OutputClosedError ? ended.resolve(EXIT.fine) : ended.reject(failure(reasonOf(error), error)),
    )
  })
  const lost = (why: string) => {
    if (!isTold) note(`${name} is not reachable (${why}); the others have its lines; trying again`)
    isTold = true
  }
  socket.on('connect_error', error => {
    lost(error.message)
    // Refused by the buck itself: socket.io does not try again by itself then.
    if (!socket.active) setTimeout(() => socket.connect(), RECONNECT_MS_MAX)
  })
  socket.on('disconnect', reason => {
    if (reason === 'io client disconnect') return
    lost(reason)
    if (!socket.active) setTimeout(() => socket.connect(), RECONNECT_MS_MAX)
  })
  return socket
}

class RecentIds {
  readonly #ids = new Set<string>()

  isNew(id: string): boolean {
    if (this.#ids.has(id)) return false
    this.#ids.add(id)
    // A Set keeps the order of insertion: the first is the oldest.
    if (this.#ids.size > IDS_REMEMBERED) this.#ids.delete(this.#ids.values().next().value!)
    return true
  }
}

function json(event: LiveEventJson): string {
  const line = JSON.stringify(event)
  return `${isTerminal() ? escapeJson(line) : line}\n`
}

function text(event: LiveEventJson): string {
  const { time, host, app, level, message } = event
  return textLine({ timeNs: BigInt(time), host, app, level: level as Level, bytes: Buffer.from(`${message}\n`) })
}

function note(sentence: string): void {
  process.stderr.write(`bucktail: ${escapeControls(sentence)}\n`)
}
