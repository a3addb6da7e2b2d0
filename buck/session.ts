// What a buck answers, per role. Every body is checked against its shape first; a tailer speaks for its own id only,
// and only after its opening was accepted.
import type { ZodType } from 'zod'
import { type Link, type Peer, RefusedError, type Reply, type Role, type Server } from '../shared/link.ts'
import { isManifestGenuine } from '../shared/manifest.ts'
import type { Asks, Bucket, Epoch, PacketId, TailerContact, TailerId } from '../shared/messages.ts'
import {
  CorruptPacketError,
  decodePacket,
  epochCount,
  type Packet,
  UnknownPacketVersionError,
} from '../shared/packet.ts'
import type { World } from '../shared/world.ts'
import type { ChangeLog } from './changes.ts'
import { idsOfRun } from './holdings.ts'
import { type Answered, askShapes } from './shapes.ts'
import type { Store } from './store.ts'
import type { Subscribers } from './subscribers.ts'
import type { TailerLinks } from './tailer-links.ts'
import type { ThrottleState } from './throttle.ts'
import type { Wants } from './wants.ts'

/** A reader that waits longer asks again. */
const CHANGES_WAIT_MS_MAX = 30_000
/** Packets told as `beyond` at one opening: what a power cut takes of a journal is far less. */
const BEYOND_MAX = 10_000
/** Answers of up to FETCH_BYTES_MAX that are put together at once, and those that may wait for it. */
const FETCHES_MAX = 4
const FETCHES_WAITING_MAX = 256

const MAY_ASK: Record<Answered, readonly Role[]> = {
  open: ['tailer'],
  packet: ['tailer'],
  manifest: ['tailer'],
  offer: ['tailer'],
  report: ['tailer'],
  archived: ['porter'],
  wordsArchived: ['porter'],
  want: ['porter'],
  changes: ['porter', 'archie'],
  inventory: ['porter', 'archie'],
  // A tailer takes back what its own journal lost (`beyond`).
  fetch: ['tailer', 'porter', 'archie'],
  contacts: ['porter', 'archie'],
  sources: ['porter', 'archie'],
  prune: ['porter'],
  ping: ['tailer', 'buck', 'porter', 'archie'],
}

export interface SessionParts {
  world: World
  store: Store
  changes: ChangeLog
  tailers: TailerLinks
  wants: Wants
  throttle: ThrottleState
  subscribers: Subscribers
  /** Told to those who ask while the buck drains. */
  isClosing: () => boolean
}

type Answers = {
  [K in Answered]: (body: Asks[K]['ask'], link: Link, payload?: Buffer) => Promise<Reply<Asks[K]['answer']>>
}

export class Sessions {
  readonly #parts: SessionParts
  readonly #answers: Answers
  readonly #fetchesWaiting: (() => void)[] = []
  #fetching = 0

  constructor(parts: SessionParts) {
    this.#parts = parts
    this.#answers = {
      open: (body, link) => this.#open(body, link),
      packet: (body, link, payload) => this.#packet(body, link, payload),
      manifest: (body, link) => this.#manifest(body, link),
      offer: (body, link) => this.#offer(body, link),
      report: (body, link) => this.#report(body, link),
      archived: body => this.#archived(body),
      wordsArchived: async body => this.#wordsArchived(body),
      want: body => this.#want(body),
      changes: async ({ logId, after, waitMs }) => ({
        body: await parts.changes.after(logId, after, Math.min(waitMs, CHANGES_WAIT_MS_MAX)),
      }),
      inventory: async ({ bucket, after }) => ({ body: await parts.store.inventory(bucket, after) }),
      fetch: (body, link) => this.#fetch(body, link),
      contacts: async body => this.#contacts(body),
      sources: async ({ after = 0 }) => ({ body: parts.store.sources.page(after, parts.store.pageBytes) }),
      prune: async ({ before }) => ({ body: await parts.store.prune(before) }),
      ping: async () => ({ body: {} }),
    }
  }

  /** The server of one link. */
  server(link: Link): Server {
    return async (type, body, payload) => {
      try {
        if (!Object.hasOwn(askShapes, type)) throw new RefusedError('bad-request', `a buck does not answer '${type}'`)
        return await this.#answer(type as Answered, body, link, payload)
      } catch (error) {
        if (error instanceof RefusedError) throw error
        this.#parts.world.log.error('a request could not be answered', { type, from: link.address, error })
        throw new RefusedError('failed', `the buck could not answer '${type}': ${(error as Error).message}`)
      }
    }
  }

  // biome-ignore lint/suspicious/noExplicitAny: the pairing of request and answer is checked where `Answers` is made
  async #answer(type: Answered, body: unknown, link: Link, payload: Buffer | undefined): Promise<Reply<any>> {
    const { role, id } = link.peer
    if (!MAY_ASK[type].includes(role)) throw new RefusedError('forbidden', `a ${role} may not ask '${type}' of a buck`)
    const parsed = (askShapes[type] as ZodType).safeParse(body)
    if (!parsed.success) {
      const [issue] = parsed.error.issues
      throw new RefusedError('bad-request', `'${type}': ${issue.path.map(String).join('.')} ${issue.message}`)
    }
    if (role === 'tailer') {
      this.#parts.tailers.heard(id)
      if (type !== 'open' && type !== 'ping' && !this.#parts.tailers.isOpen(link)) {
        throw new RefusedError('bad-request', `'${type}' on a link that is not opened: ask 'open' first`)
      }
    }
    if (this.#parts.isClosing() && type !== 'ping') throw new RefusedError('failed', 'the buck is stopping')
    const answer = this.#answers[type] as (body: unknown, link: Link, payload?: Buffer) => Promise<Reply<unknown>>
    return answer(parsed.data, link, payload)
  }

  async #open(body: Asks['open']['ask'], link: Link): Promise<Reply<Asks['open']['answer']>> {
    const { tailers, store, wants, world } = this.#parts
    const tailer = link.peer.id
    await tailers.open(link, body.epoch)
    await store.noteOpening(tailer, body.machine, body.host)
    const highest = store.highest(tailer, body.epoch)
    const sources = body.wantSources
      ? await store.sources.recordsOf({ tailer, machine: body.machine }, held => store.reader.packet(held))
      : []
    // After the answer: the tailer is not ready to serve before it has it.
    void world.clock
      .sleep(0)
      .then(() => wants.tell(link))
      .catch(error => world.log.warn('wants that waited could not be told', { tailer, error }))
    return {
      body: {
        beyond: this.#beyond(tailer, body),
        formerHighest: body.former.map(({ epoch }) => ({ epoch, highest: store.highest(tailer, epoch) })),
        ...(highest > body.last && { higher: highest }),
        sources,
      },
    }
  }

  /**
   * Packets of former epochs over the stated last one. Of epochs that are not stated only those later than all stated
   * ones: the journal's end was lost with all of such an epoch. A tailer with an empty folder states none and asks for
   * sources: its old packets are the bucks' business now.
   */
  #beyond(tailer: TailerId, { epoch, former }: Asks['open']['ask']): (PacketId & { bucket: Bucket })[] {
    if (former.length === 0) return []
    const lasts = new Map(former.map(one => [one.epoch, one.last]))
    const latest = Math.max(...former.map(one => epochCount(one.epoch)))
    const beyond: (PacketId & { bucket: Bucket })[] = []
    for (const of of this.#parts.store.holdings.epochs(tailer)) {
      if (of.epoch === epoch) continue
      const last = lasts.get(of.epoch) ?? (epochCount(of.epoch) > latest ? 0 : undefined)
      if (last === undefined) continue
      for (const [sequence, first] of of.bySequence) {
        if (sequence <= last) continue
        for (let held: typeof first | undefined = first; held; held = held.other) {
          beyond.push({ tailer, epoch: of.epoch, sequence, sum: held.sum, bucket: held.file.bucket })
        }
      }
    }
    beyond.sort((a, b) => compareEpochs(a.epoch, b.epoch) || a.sequence - b.sequence)
    return beyond.slice(0, BEYOND_MAX)
  }

  async #packet(
    body: Asks['packet']['ask'],
    link: Link,
    payload: Buffer | undefined,
  ): Promise<Reply<Record<string, never>>> {
    const { store, subscribers } = this.#parts
    const packet = readPacket(payload)
    mustBeOwn(link.peer, packet.header.id.tailer)
    const isNew = await store.put(packet)
    // What was held already was published when it came: a retry after a lost acknowledgement shows nothing twice.
    if (isNew && body.delivery !== 'repair') {
      subscribers.publish({
        packet: packet.bytes,
        delivery: body.delivery,
        firstFailed: body.firstFailed ?? false,
      })
    }
    return { body: {} }
  }

  async #manifest({ manifest }: Asks['manifest']['ask'], link: Link): Promise<Reply<Record<string, never>>> {
    mustBeOwn(link.peer, manifest.tailer)
    if (!isManifestGenuine(manifest)) throw new RefusedError('bad-request', 'the signature of the manifest is wrong')
    await this.#parts.store.putManifest(manifest)
    return { body: {} }
  }

  async #offer({ runs }: Asks['offer']['ask'], link: Link): Promise<Reply<Asks['offer']['answer']>> {
    const { store } = this.#parts
    const want: { epoch: Epoch; sequence: number }[] = []
    const archived: { epoch: Epoch; sequence: number }[] = []
    for (const run of runs) {
      for (const { epoch, sequence, sum } of idsOfRun(run)) {
        const id = { tailer: link.peer.id, epoch, sequence, sum }
        if (store.isArchived(id)) archived.push({ epoch, sequence })
        else if (!store.holdings.find(id)) want.push({ epoch, sequence })
      }
    }
    return { body: { want, archived } }
  }

  async #report(body: Asks['report']['ask'], link: Link): Promise<Reply<Asks['report']['answer']>> {
    this.#parts.tailers.report(link.peer.id, body)
    const { by, ...throttle } = this.#parts.throttle.inForce()
    return { body: by === 'none' ? {} : { throttle } }
  }

  async #archived({ tailer, runs }: Asks['archived']['ask']): Promise<Reply<Record<string, never>>> {
    const { store, tailers, world } = this.#parts
    await store.archive(tailer, runs)
    // Not waited for: it learns the same at its next offer.
    tailers
      .link(tailer)
      ?.ask('archived', { tailer, runs })
      .catch(error => world.log.debug('archived ranges did not reach the tailer', { tailer, error }))
    return { body: {} }
  }

  #wordsArchived({ logId, buckets }: Asks['wordsArchived']['ask']): Reply<Record<string, never>> {
    const { store, changes } = this.#parts
    if (logId === changes.logId) for (const { bucket, number } of buckets) store.wordsArchived(bucket, number)
    return { body: {} }
  }

  async #want({ tailer, epoch, sequences }: Asks['want']['ask']): Promise<Reply<Asks['want']['answer']>> {
    const link = this.#parts.tailers.link(tailer)
    return { body: { gone: await this.#parts.wants.relay(tailer, epoch, sequences, link) } }
  }

  async #fetch({ ids }: Asks['fetch']['ask'], link: Link): Promise<Reply<Record<string, never>>> {
    if (link.peer.role === 'tailer') for (const id of ids) mustBeOwn(link.peer, id.tailer)
    if (this.#fetchesWaiting.length >= FETCHES_WAITING_MAX) {
      throw new RefusedError('throttled', `${FETCHES_WAITING_MAX} fetches wait already; ask again later`)
    }
    if (this.#fetching >= FETCHES_MAX) await new Promise<void>(resolve => this.#fetchesWaiting.push(resolve))
    this.#fetching++
    try {
      return { body: {}, payload: await this.#parts.store.reader.fetch(ids) }
    } finally {
      this.#fetching--
      this.#fetchesWaiting.shift()?.()
    }
  }

  #contacts({ after = '', withoutReports = false }: Asks['contacts']['ask']): Reply<Asks['contacts']['answer']> {
    const { store, tailers } = this.#parts
    const machineOf = (tailer: TailerId) => store.sources.opening(tailer)?.machine ?? ''
    const known = new Set([...store.holdings.tailers(), ...[...store.sources.openings()].map(one => one.tailer)])
    const all = tailers.contacts(known, machineOf).filter(({ tailer }) => tailer > after)
    all.sort((a, b) => (a.tailer < b.tailer ? -1 : 1))
    const page: TailerContact[] = []
    let room = store.pageBytes
    for (const { report, ...contact } of all) {
      const told = report && !withoutReports ? { ...contact, report } : contact
      room -= bytesOfContact(told)
      if (room < 0 && page.length > 0) return { body: { tailers: page, next: page[page.length - 1].tailer } }
      page.push(told)
    }
    return { body: { tailers: page } }
  }
}

/** In a message; generous. */
function bytesOfContact({ machine, report }: TailerContact): number {
  const sources = report?.sources ?? []
  return 200 + Buffer.byteLength(machine) + sources.reduce((sum, { path }) => sum + 150 + Buffer.byteLength(path), 0)
}

function readPacket(payload: Buffer | undefined): Packet {
  if (!payload) throw new RefusedError('bad-request', "'packet' without a payload")
  let packet: Packet
  try {
    packet = decodePacket(payload)
  } catch (error) {
    if (error instanceof CorruptPacketError || error instanceof UnknownPacketVersionError) {
      throw new RefusedError('bad-request', `no packet that this buck reads: ${error.message}`)
    }
    throw error
  }
  if (packet.bytes.length !== payload.length) throw new RefusedError('bad-request', 'bytes follow the packet')
  if (packet.header.id.sequence === 0) throw new RefusedError('bad-request', 'sequences count from 1')
  return packet
}

function mustBeOwn(peer: Peer, tailer: TailerId): void {
  if (peer.id === tailer) return
  throw new RefusedError('forbidden', `tailer ${peer.id} may not speak for ${tailer}`)
}

function compareEpochs(a: Epoch, b: Epoch): number {
  return epochCount(a) - epochCount(b) || (a < b ? -1 : a > b ? 1 : 0)
}
