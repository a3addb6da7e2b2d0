// One call to S3: a deadline for each attempt, another attempt where that can help, and what the calls tell of the store.
//
//   attempt ── answered ─▶ done
//      │ no answer in time, reset, 5xx, slow down, damaged bytes
//      ▼
//   wait: full jitter, twice as long each time ─▶ attempt …  at most ATTEMPTS_MAX, then the error goes to the caller
//
// The client's own retries are off: they end with the head of an answer, and a connection is as often cut in its body.
import type { Readable } from 'node:stream'
import { S3Client, type S3ClientConfig } from '@aws-sdk/client-s3'
import type { World } from '../world.ts'
import { S3Error, s3Error } from './s3-error.ts'

const ATTEMPTS_MAX = 6
const BACK_OFF_BASE_MS = 200
const BACK_OFF_CAP_MS = 8_000
const CONNECT_MS = 5_000
/** Slower than this is taken for a connection that hangs. */
const LEAST_BYTES_PER_MS = 64
/** Connections kept open; more calls wait for one. */
const SOCKETS_MAX = 64

export interface S3Place {
  bucket: string
  /** Unset: that of AWS for the region. */
  endpoint?: string
  region?: string
  /** The bucket in the path instead of the host name: what most other stores need. */
  pathStyle?: boolean
  /** Unset: as the client finds them (environment, profile, role of the machine). */
  credentials?: { accessKeyId: string; secretAccessKey: string; sessionToken?: string }
  /** Without an answer for so long, an attempt is given up. */
  timeoutMs?: number
}

/** What an attempt may use. */
export interface Attempt {
  client: S3Client
  options: { abortSignal: AbortSignal }
  number: number
  /** More time: so many bytes are still to come. */
  expect(bytes: number): void
}

export class S3Calls {
  readonly #client: S3Client
  readonly #place: S3Place
  readonly #timeoutMs: number
  readonly #world: Pick<World, 'clock' | 'random'>
  /** What fails now, reads and writes apart: a bucket may be read-only. */
  readonly #troubles = new Map<'read' | 'write', S3Error>()
  #clockAheadMs: number | undefined
  /** For figures and tests. */
  readonly counts = { calls: 0, attempts: 0, bytesRead: 0, bytesWritten: 0 }

  constructor(place: S3Place, world: Pick<World, 'clock' | 'random'>) {
    this.#place = place
    this.#world = world
    this.#timeoutMs = place.timeoutMs ?? 20_000
    this.#client = new S3Client(clientConfig(place, world.clock.now() - Date.now()))
    this.#client.middlewareStack.add(
      next => async args => {
        const result = await next(args)
        const { headers = {} } = result.response as { headers?: Record<string, string> }
        this.#sawDate(headers.date)
        return result
      },
      { step: 'deserialize', priority: 'low', name: 'bucktailClock' },
    )
  }

  /** How far this machine's clock is ahead of the store's; undefined before the first answer. */
  get clockAheadMs(): number | undefined {
    return this.#clockAheadMs
  }

  /** The last failure of its kind that no success followed. */
  get trouble(): S3Error | undefined {
    return this.#troubles.get('write') ?? this.#troubles.get('read')
  }

  /**
   * @param doing  for messages: "write segments/…"
   * @param bytes  sent, or expected, as far as known before
   * @returns what `attempt` gave. Rejects with S3Error.
   */
  async run<T>(
    kind: 'read' | 'write',
    doing: string,
    bytes: number,
    attempt: (attempt: Attempt) => Promise<T>,
  ): Promise<T> {
    this.counts.calls++
    for (let number = 1; ; number++) {
      this.counts.attempts++
      try {
        const result = await this.#once(number, bytes, attempt)
        this.#troubles.delete(kind)
        return result
      } catch (error) {
        const failure = s3Error(error, doing, this.#place)
        const isAnswer = failure.kind === 'missing' || failure.kind === 'exists'
        if (isAnswer) {
          this.#troubles.delete(kind)
          throw failure
        }
        if (!failure.mayPass || number >= ATTEMPTS_MAX) {
          this.#troubles.set(kind, failure)
          throw failure
        }
      }
      const span = Math.min(BACK_OFF_CAP_MS, BACK_OFF_BASE_MS * 2 ** (number - 1))
      // Full jitter: when a store comes back, its users must not all ask in the same moment.
      await this.#world.clock.sleep(span * this.#world.random.fraction())
    }
  }

  close(): void {
    this.#client.destroy()
  }

  async #once<T>(number: number, bytes: number, attempt: (attempt: Attempt) => Promise<T>): Promise<T> {
    const aborter = new AbortController()
    const tooLong = () => {
      aborter.abort(new S3Error('unreachable', 'Timeout', `no answer within ${this.#timeoutMs} ms`))
    }
    let timer = setTimeout(tooLong, this.#timeoutMs + bytes / LEAST_BYTES_PER_MS)
    const expect = (more: number) => {
      clearTimeout(timer)
      timer = setTimeout(tooLong, this.#timeoutMs + more / LEAST_BYTES_PER_MS)
    }
    try {
      return await attempt({ client: this.#client, options: { abortSignal: aborter.signal }, number, expect })
    } catch (error) {
      // The client wraps an abort into an error of its own, which says less.
      if (aborter.signal.aborted) throw Object.assign(new Error(aborter.signal.reason.message), { code: 'Timeout' })
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  #sawDate(date: string | undefined): void {
    const storeMs = date === undefined ? Number.NaN : Date.parse(date)
    if (!Number.isNaN(storeMs)) this.#clockAheadMs = this.#world.clock.now() - storeMs
  }
}

/** All of a body. An abort ends it, which the client's own abort does not once the head of the answer is there. */
export async function readBody(body: unknown, { abortSignal }: Attempt['options']): Promise<Buffer> {
  const stream = body as Readable
  const stop = () => stream.destroy(abortSignal.reason)
  abortSignal.addEventListener('abort', stop, { once: true })
  try {
    const parts: Buffer[] = []
    for await (const part of stream) parts.push(part as Buffer)
    return parts.length === 1 ? parts[0] : Buffer.concat(parts)
  } finally {
    abortSignal.removeEventListener('abort', stop)
  }
}

/** @param clockOffsetMs  of the world's clock from that of the client library */
function clientConfig({ endpoint, region, pathStyle, credentials }: S3Place, clockOffsetMs: number): S3ClientConfig {
  return {
    region: region ?? 'us-east-1',
    ...(endpoint !== undefined && { endpoint }),
    forcePathStyle: pathStyle ?? endpoint !== undefined,
    ...(credentials && { credentials }),
    maxAttempts: 1,
    systemClockOffset: clockOffsetMs,
    // Checksums are ours (SHA-256): other kinds are not understood by every store that speaks S3.
    requestChecksumCalculation: 'WHEN_REQUIRED',
    responseChecksumValidation: 'WHEN_REQUIRED',
    requestHandler: {
      connectionTimeout: CONNECT_MS,
      httpAgent: { maxSockets: SOCKETS_MAX, keepAlive: true },
      httpsAgent: { maxSockets: SOCKETS_MAX, keepAlive: true },
    },
  }
}
