// One link over one socket, after the handshake.
//
//   ask ──▶ outbox (waits while 8 MiB are unsent) ──▶ frames ──▶ peer
//   peer ──▶ frames ──▶ answer: settles the ask · ask: in hand until its answer is sent · bye: the peer closed
//
// Memory that one peer can take: what is unsent to it (UNSENT_BYTES_MAX, and one frame over it), and what is in hand for it
// (IN_HAND_BYTES_MAX, and one frame over it). At these bounds asks wait, and the socket is not read: the peer waits too.
// A link that is not read shows no answers either: should both sides stand at their bounds, waiting for each other to read,
// the ping of the one that dialled gets no answer, and closes the link (shared/fleet.ts).
import type { Socket } from 'node:net'
import { type Link, LinkLostError, type Peer, RefusedError, type Reply, type Server } from '../link.ts'
import { type Asks, FETCH_BYTES_MAX } from '../messages.ts'
import type { World } from '../world.ts'
import {
  BadFrameError,
  BODY_BYTES_MAX,
  decodeHeader,
  encodeFrame,
  type FrameHeader,
  HEADER_BYTES,
  PAYLOAD_BYTES_MAX,
  packBody,
  unpackBody,
} from './frame.ts'
import type { Greeted, Line } from './greet.ts'
import { InboxEndedError } from './inbox.ts'
import { openPayload, PAYLOAD_SECRET_BYTES, sealPayload } from './payload.ts'
import type { Secretbox } from './secretbox.ts'

/** Requests of the peer whose answers are not sent yet. */
export const IN_HAND_REQUESTS_MAX = 64
/** Their bytes, and those of answers not sent yet. An ask to `fetch` counts as the answer it may get. */
export const IN_HAND_BYTES_MAX = 32 * 1024 * 1024
export const ASK_TIMEOUT_MS = 10_000
/**
 * Over a slow line a large payload may take longer than the time-out. So the time-out starts anew when the request is out,
 * and, at most this many times, while the line moves: bytes before it go out, a frame comes in, or the peer answered one
 * that was asked before it (so it may not have come to this one yet).
 */
const STRETCHES_MAX = 10
/** How long the goodbye may take to go out before the socket is cut. */
const GOODBYE_MS = 1_000
const TEXT_CHARACTERS_MAX = 1_000
const CODES: readonly string[] = ['full', 'throttled', 'forbidden', 'bad-request', 'clone', 'failed']

interface Asked {
  isSent: boolean
  timer: NodeJS.Timeout
  cancel: () => void
  resolve: (reply: Reply<never>) => void
  reject: (error: Error) => void
}

interface Frame extends FrameHeader {
  body: unknown
  payload?: Buffer
}

export interface ChannelLinkParts {
  socket: Socket
  line: Line
  greeted: Greeted
  address: string
  box: Secretbox
  silentMs: number
  world: Pick<World, 'random' | 'log'>
}

export class ChannelLink implements Link {
  readonly peer: Peer
  readonly address: string
  readonly closed: Promise<void>
  readonly #parts: ChannelLinkParts
  readonly #asked = new Map<number, Asked>()
  #lastId = 0
  /** The last answer that came, and how many came. */
  #lastSettledId = 0
  #settledCount = 0
  #server: Server | undefined
  /** Why the link is over, once it is. */
  #ending: string | undefined
  #inHandRequests = 0
  #inHandBytes = 0
  #wakeReader: () => void = () => {}

  /** Reads nothing before `start`. */
  constructor(parts: ChannelLinkParts) {
    this.#parts = parts
    this.peer = parts.greeted.peer
    this.address = parts.address
    this.closed = new Promise(resolve => {
      if (parts.socket.closed) resolve()
      else parts.socket.once('close', () => resolve())
    })
    void this.closed.then(() => this.#end('the connection is closed'))
  }

  /** Begins to read: called when whoever got the link had its turn to call `serve`. */
  start(): void {
    void this.#read()
  }

  serve(server: Server): void {
    this.#server = server
  }

  ask<K extends keyof Asks>(
    type: K,
    body: Asks[K]['ask'],
    payload?: Buffer,
    timeoutMs = ASK_TIMEOUT_MS,
  ): Promise<Reply<Asks[K]['answer']>> {
    return new Promise((resolve, reject) => {
      if (this.#ending !== undefined) throw new LinkLostError(`no link to ${this.address}: ${this.#ending}`)
      const packed = packBody([type, body])
      checkSizes(type, packed, payload)
      const id = ++this.#lastId
      const asked: Asked = {
        isSent: false,
        timer: this.#timeOut(id, type, timeoutMs),
        cancel: () => {},
        resolve,
        reject,
      }
      this.#asked.set(id, asked)
      asked.cancel = this.#parts.line.outbox.whenRoom(() => {
        this.#send('ask', id, packed, payload, () => {
          asked.isSent = true
          asked.timer.refresh() // the peer's time begins when it can have the request
        })
      })
    })
  }

  close(reason: string): void {
    if (this.#ending !== undefined) return
    this.#parts.world.log.debug('link closed', { address: this.address, peer: this.peer.id, reason })
    this.#send('bye', 0, packBody(reason.slice(0, TEXT_CHARACTERS_MAX)))
    this.#end(`closed here: ${reason}`)
  }

  /** What ends it is told here, once, and nowhere else. */
  async #read(): Promise<void> {
    const { log } = this.#parts.world
    const fields = { address: this.address, peer: this.peer.id, role: this.peer.role }
    try {
      while (this.#ending === undefined) {
        await this.#handsFree()
        const frame = await this.#takeFrame()
        if (this.#ending !== undefined) return
        if (frame.kind === 'bye') {
          log.debug('link closed by the peer', { ...fields, reason: textOf(frame.body) })
          this.#end(`closed by the peer: ${textOf(frame.body)}`)
        } else this.#take(frame)
      }
    } catch (error) {
      if (this.#ending !== undefined) return
      if (error instanceof BadFrameError) log.warn('link closed: what came is not to be trusted', { ...fields, error })
      else if (error instanceof InboxEndedError) log.debug('link ended without a goodbye', { ...fields, error })
      else log.error('link closed by a fault of its own', { ...fields, error })
      this.#end(error instanceof Error ? error.message : String(error))
      this.#parts.socket.destroy() // nothing of it is of use any more, not even a goodbye
    }
  }

  /** Resolves when there is room for one more request of the peer. */
  async #handsFree(): Promise<void> {
    while (this.#inHandRequests >= IN_HAND_REQUESTS_MAX || this.#inHandBytes >= IN_HAND_BYTES_MAX) {
      if (this.#ending !== undefined) return
      await new Promise<void>(resolve => {
        this.#wakeReader = resolve
      })
    }
  }

  /** Rejects with BadFrameError or InboxEndedError. */
  async #takeFrame(): Promise<Frame> {
    const { inbox } = this.#parts.line
    const { receive } = this.#parts.greeted
    const headerBytes = receive.open(await inbox.take(HEADER_BYTES + receive.overhead))
    if (!headerBytes)
      throw new BadFrameError('a header does not authenticate: bytes were changed, cut or repeated on the way')
    const header = decodeHeader(headerBytes, receive)
    const body = receive.open(await inbox.take(header.bodyBytes + receive.overhead))
    if (!body) throw new BadFrameError('a body does not authenticate: bytes were changed, cut or repeated on the way')
    if (header.payloadBytes === 0) return { ...header, body: unpackBody(body) }
    const sealed = await inbox.take(header.payloadBytes)
    if (!receive.protects) return { ...header, body: unpackBody(body), payload: sealed }
    const payload = openPayload(sealed, body.subarray(0, PAYLOAD_SECRET_BYTES), this.#parts.box)
    if (!payload) throw new BadFrameError('a payload does not authenticate: bytes were changed on the way')
    return { ...header, body: unpackBody(body.subarray(PAYLOAD_SECRET_BYTES)), payload }
  }

  #take(frame: Frame): void {
    if (frame.kind === 'ask') void this.#answer(frame, ...askOf(frame.body))
    else if (frame.kind === 'answer') this.#settle(frame.id)?.resolve(replyOf(frame))
    else if (frame.kind === 'refusal') this.#settle(frame.id)?.reject(refusalOf(frame.body))
    else throw new BadFrameError(`a ${frame.kind} out of place`)
  }

  /** Never rejects. */
  async #answer(frame: Frame, type: keyof Asks, body: never): Promise<void> {
    let bytes = frame.bodyBytes + frame.payloadBytes + (type === 'fetch' ? FETCH_BYTES_MAX : 0)
    this.#inHandRequests++
    this.#inHandBytes += bytes
    const release = () => {
      this.#inHandRequests--
      this.#inHandBytes -= bytes
      this.#wakeReader()
    }
    try {
      if (!this.#server) throw new RefusedError('bad-request', `nobody answers requests here (${type})`)
      const reply = await this.#server(type, body, frame.payload)
      const packed = packBody(reply.body)
      checkSizes(type, packed, reply.payload)
      const answerBytes = packed.length + (reply.payload?.length ?? 0)
      this.#inHandBytes += answerBytes - bytes
      bytes = answerBytes
      this.#send('answer', frame.id, packed, reply.payload, release)
    } catch (error) {
      this.#send('refusal', frame.id, packBody(this.#refusal(type, error)), undefined, release)
    }
  }

  /** What the peer is told of an error. Of a crash it is told nothing that is not its own business. */
  #refusal(type: string, error: unknown): [string, string] {
    if (error instanceof RefusedError) return [error.code, error.message.slice(0, TEXT_CHARACTERS_MAX)]
    this.#parts.world.log.error('request failed', { type, address: this.address, peer: this.peer.id, error })
    return ['failed', `${type} failed at the other side: its log says why`]
  }

  #settle(id: number): Asked | undefined {
    const asked = this.#asked.get(id)
    // An answer after its time-out finds nobody; one to a request that was never made is no slip.
    if (!asked && (id === 0 || id > this.#lastId)) throw new BadFrameError('an answer to a request that was never made')
    if (asked) clearTimeout(asked.timer)
    this.#asked.delete(id)
    this.#lastSettledId = id
    this.#settledCount++
    return asked
  }

  #timeOut(id: number, type: string, timeoutMs: number): NodeJS.Timeout {
    const { inbox, outbox } = this.#parts.line
    const progress = () => [outbox.sentBytes, inbox.receivedBytes, this.#settledCount] as const
    let stretches = 0
    let [sent, received, settled] = progress()
    const timer = setTimeout(() => {
      const asked = this.#asked.get(id)
      if (!asked) return
      const isMoving =
        (!asked.isSent && outbox.sentBytes > sent) ||
        (inbox.isAmidst && inbox.receivedBytes > received) ||
        (this.#settledCount > settled && this.#lastSettledId < id)
      if (isMoving && stretches++ < STRETCHES_MAX) {
        ;[sent, received, settled] = progress()
        timer.refresh()
        return
      }
      this.#asked.delete(id)
      asked.cancel()
      asked.reject(new LinkLostError(`no answer to ${type} from ${this.address} within ${timeoutMs} ms`))
      this.#endIfSilent()
    }, timeoutMs)
    return timer
  }

  #endIfSilent(): void {
    const { line, silentMs, world, socket } = this.#parts
    if (this.#ending !== undefined || performance.now() - line.inbox.lastReceivedMs < silentMs) return
    world.log.warn('link closed: the peer is silent', { address: this.address, peer: this.peer.id, silentMs })
    this.#end(`nothing came for ${silentMs} ms`)
    socket.destroy()
  }

  #send(kind: FrameHeader['kind'], id: number, body: Buffer, payload?: Buffer, onSent?: () => void): void {
    if (this.#ending !== undefined) return
    const { line, greeted, box, world } = this.#parts
    const isSealed = greeted.send.protects
    // An empty payload is none: the header could not tell them apart in mode plain.
    const carried = payload && payload.length > 0
    const sealed = carried ? (isSealed ? sealPayload(payload, box, world.random) : { sealed: payload }) : undefined
    line.outbox.push(encodeFrame(greeted.send, kind, id, body, sealed), onSent)
  }

  /** No more asks, no more answers; what is in the outbox still goes out, for a moment. */
  #end(why: string): void {
    if (this.#ending !== undefined) return
    this.#ending = why
    for (const asked of this.#asked.values()) {
      clearTimeout(asked.timer)
      asked.reject(new LinkLostError(`the link to ${this.address} is gone: ${why}`))
    }
    this.#asked.clear()
    this.#wakeReader()
    const { socket, line } = this.#parts
    line.outbox.end()
    // Unread bytes would turn the end into a reset, which may overtake the goodbye.
    socket.removeAllListeners('readable')
    socket.resume()
    const cut = setTimeout(() => socket.destroy(), GOODBYE_MS)
    socket.once('close', () => clearTimeout(cut))
  }
}

function checkSizes(type: string, body: Buffer, payload: Buffer | undefined): void {
  if (body.length > BODY_BYTES_MAX) {
    throw new RefusedError(
      'bad-request',
      `the body of ${type} has ${body.length} bytes, at most ${BODY_BYTES_MAX} can be sent`,
    )
  }
  if (payload && payload.length > PAYLOAD_BYTES_MAX) {
    throw new RefusedError(
      'bad-request',
      `the payload of ${type} has ${payload.length} bytes, at most ${PAYLOAD_BYTES_MAX} can be sent`,
    )
  }
}

/** The server checks the rest: what it does not know it refuses. */
function askOf(body: unknown): [keyof Asks, never] {
  if (!Array.isArray(body) || body.length !== 2 || typeof body[0] !== 'string' || body[0].length > 64) {
    throw new BadFrameError('an ask without a type')
  }
  return body as [keyof Asks, never]
}

function replyOf(frame: Frame): Reply<never> {
  return frame.payload ? { body: frame.body as never, payload: frame.payload } : { body: frame.body as never }
}

function refusalOf(body: unknown): RefusedError {
  const [code, text] = Array.isArray(body) ? (body as unknown[]) : []
  const known = typeof code === 'string' && CODES.includes(code) ? (code as RefusedError['code']) : 'failed'
  return new RefusedError(known, textOf(text))
}

function textOf(value: unknown): string {
  return typeof value === 'string' && value !== '' ? value.slice(0, TEXT_CHARACTERS_MAX) : 'no reason given'
}
