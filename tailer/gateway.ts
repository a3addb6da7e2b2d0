// Lines pushed by programs that write no file: `POST /v1/logs/create`. Answered when they are on this machine's disk; from
// there they go the road of any tailed line (tailer/spool).
import type { FastifyInstance } from 'fastify'
import * as z from 'zod'
import { HttpProblem } from '../shared/face/problem.ts'
import type { World } from '../shared/world.ts'
import { SpoolNameError, SpoolWriter } from './spool/spool-writer.ts'

/** Of one request. */
export const GATEWAY_BODY_BYTES_MAX = 8 * 1024 * 1024
const ENTRIES_MAX = 10_000
/** Applications with an open file at the same time; a further one waits for nobody: it is refused. */
const WRITERS_MAX = 256
const IDLE_LOOK_MS = 5_000
const DEFAULT_APP = 'gateway'

const text = (most: number) => z.string().max(most)
const Entry = z.strictObject({
  message: z.string(),
  time: z.union([text(64), z.number()]).optional(),
  host: text(255).optional(),
  app: text(255).optional(),
  level: text(32).optional(),
  labels: z.record(text(255), z.union([z.string(), z.number(), z.boolean(), z.null()])).optional(),
})
type Entry = z.infer<typeof Entry>
const Entries = z.union([
  z.array(Entry).max(ENTRIES_MAX),
  z.strictObject({ logs: z.array(Entry).max(ENTRIES_MAX) }).transform(({ logs }) => logs),
  Entry.transform(entry => [entry]),
])

export class Gateway {
  readonly #world: World
  readonly #spool: string
  readonly #writers = new Map<string, SpoolWriter>()
  readonly #timer: NodeJS.Timeout
  acceptedLines = 0
  acceptedBytes = 0

  /** @param spool folder of the spool, below the tailer's own */
  constructor(world: World, spool: string) {
    this.#world = world
    this.#spool = spool
    this.#timer = setInterval(() => void this.#finishIdle(), IDLE_LOOK_MS)
    this.#timer.unref()
  }

  serve(server: FastifyInstance): void {
    server.addContentTypeParser(
      'text/plain',
      { parseAs: 'buffer', bodyLimit: GATEWAY_BODY_BYTES_MAX },
      (_, body, done) => done(null, body),
    )
    server.post('/v1/logs/create', { bodyLimit: GATEWAY_BODY_BYTES_MAX }, async (request, reply) => {
      const { app } = request.query as { app?: string }
      const { lines, count } = Buffer.isBuffer(request.body)
        ? textLines(request.body)
        : jsonLines(request.body, this.#world.clock.now())
      if (count === 0) throw new HttpProblem(400, 'Bad request', 'there is no line in it')
      await this.#append(app ?? DEFAULT_APP, lines)
      this.acceptedLines += count
      this.acceptedBytes += lines.length
      return reply.code(201).send({ accepted: count })
    })
  }

  /** Nothing is taken any more; what was is written and left to the tailer. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    for (const writer of this.#writers.values()) await writer.finish()
  }

  async #append(app: string, lines: Buffer): Promise<void> {
    let writer = this.#writers.get(app)
    if (writer === undefined) {
      if (this.#writers.size >= WRITERS_MAX) {
        throw new HttpProblem(503, 'Busy', `${WRITERS_MAX} applications push at the same time already`, {
          hint: 'Push under fewer names (?app=), or try again in a minute.',
        })
      }
      try {
        writer = new SpoolWriter(this.#world, this.#spool, app)
      } catch (error) {
        if (error instanceof SpoolNameError) throw new HttpProblem(400, 'Bad request', error.message)
        throw error
      }
      this.#writers.set(app, writer)
    }
    try {
      await writer.append(lines)
    } catch (error) {
      throw new HttpProblem(503, 'Not accepted', `this machine's disk does not take it: ${(error as Error).message}`, {
        hint: 'Nothing of this request is kept: send it again later.',
      })
    }
  }

  async #finishIdle(): Promise<void> {
    for (const [app, writer] of this.#writers) {
      if (!writer.isIdle) continue
      // Before it is finished: who pushes meanwhile gets a new one.
      this.#writers.delete(app)
      await writer.finish().catch(error => this.#world.log.warn('spool file not finished', { app, error }))
    }
  }
}

function textLines(body: Buffer): { lines: Buffer; count: number } {
  const lines = body.length === 0 || body.at(-1) === 0x0a ? body : Buffer.concat([body, Buffer.from('\n')])
  let count = 0
  for (let at = lines.indexOf(0x0a); at >= 0; at = lines.indexOf(0x0a, at + 1)) count++
  return { lines, count }
}

/** One JSON line per entry, in the words that the tailer's parser knows. */
function jsonLines(body: unknown, nowMs: number): { lines: Buffer; count: number } {
  const entries = Entries.safeParse(body)
  if (!entries.success) {
    throw new HttpProblem(400, 'Bad request', z.prettifyError(entries.error).slice(0, 500), {
      hint: 'Send {"message": "…"}, a list of those, or {"logs": […]}; also time, host, app, level, labels. Or text/plain: one line each.',
    })
  }
  const lines = entries.data.map(entry => `${lineOf(entry, nowMs)}\n`).join('')
  return { lines: Buffer.from(lines), count: entries.data.length }
}

function lineOf({ message, time, host, app, level, labels }: Entry, nowMs: number): string {
  return JSON.stringify({
    time: time ?? new Date(nowMs).toISOString(),
    level,
    host,
    app,
    message,
    ...(labels && { labels }),
  })
}
