// Brings every packet to two bucks, chosen anew and at random for each, and keeps account of who holds what.
//
//   cut ─▶ wanted ─▶ on its way to two bucks ─▶ held by two        an answer that fails or does not come ─▶ wanted again
//   A packet is wanted while fewer than two bucks are known to hold it. Oldest first. Its bytes stay in memory while it is
//   fresh (CACHE_BYTES_MAX); later they are read back from the journal.
//
// When a link opens, the buck is asked about everything in the journal (`offer`), so what it lost with its disk is wanted
// again and what it got before a restart is not sent twice.
import { CorruptEntryError } from '../shared/bucket-file.ts'
import { type Link, LinkLostError, RefusedError } from '../shared/link.ts'
import { type Asks, type Bucket, type IdRun, SUM_BYTES } from '../shared/messages.ts'
import { packetKey } from '../shared/packet.ts'
import type { Clock, Log, Random } from '../shared/world.ts'
import type { Journal, PacketRef } from './journal.ts'

/** Packets on their way to one buck at a time, and their bytes: enough for a round trip at full speed. */
const IN_FLIGHT_MAX = 8
const IN_FLIGHT_BYTES_MAX = 8 * 1024 * 1024
/** Fresh packets kept in memory until two bucks have them. */
const CACHE_BYTES_MAX = 8 * 1024 * 1024
/** A buck that refuses (full, throttled by itself) is left alone for so long. */
const REFUSED_PAUSE_MS = 2_000
/** A throttle lasts an hour at most (docs/formats/messages.md), and slows down to a packet a minute. */
const THROTTLE_SECONDS_MAX = 3600
const LEAST_INTERVAL_MS_MAX = 60_000
/** Ids in one offer. */
const OFFER_IDS_MAX = 20_000

interface Peer {
  link: Link
  queue: Wanted[]
  inFlight: number
  inFlightBytes: number
  /** Monotonic ms until which nothing is sent. */
  pausedUntil: number
  leastIntervalMs: number
  nextSendAt: number
  isWaking: boolean
}

interface Wanted {
  ref: PacketRef
  /** Bucks it is queued at or on its way to. */
  underway: Set<Peer>
  /** What was sent under that name already; of an earlier start both count as sent: viewers saw it, or it is history. */
  isFirstSent: boolean
  isSecondSent: boolean
  isFirstAcked: boolean
}

export class Delivery {
  readonly #journal: Journal
  readonly #clock: Clock
  readonly #random: Random
  readonly #log: Log
  readonly #onArchived: (refs: PacketRef[]) => void
  readonly #onHeldTwice: (ref: PacketRef) => void
  readonly #peers = new Map<Link, Peer>()
  /** Fewer than two holders, oldest first. */
  readonly #wanted = new Map<string, Wanted>()
  readonly #cache = new Map<string, Buffer>()
  #cacheBytes = 0
  #wantedBytes = 0

  constructor(
    journal: Journal,
    parts: { clock: Clock; random: Random; log: Log },
    onArchived: (refs: PacketRef[]) => void,
    /** At two bucks; told again if it came to be at fewer meanwhile. */
    onHeldTwice: (ref: PacketRef) => void = () => undefined,
  ) {
    this.#journal = journal
    this.#clock = parts.clock
    this.#random = parts.random
    this.#log = parts.log
    this.#onArchived = onArchived
    this.#onHeldTwice = onHeldTwice
    for (const ref of journal.refs) this.#want(ref, true)
  }

  get underReplicatedPackets(): number {
    return this.#wanted.size
  }

  get underReplicatedBytes(): number {
    return this.#wantedBytes
  }

  /** A packet that was just cut. */
  add(ref: PacketRef, bytes: Buffer): void {
    const key = packetKey(ref.id)
    this.#want(ref)
    if (this.#cacheBytes + bytes.length <= CACHE_BYTES_MAX) {
      this.#cache.set(key, bytes)
      this.#cacheBytes += bytes.length
    }
    const wanted = this.#wanted.get(key)
    if (wanted === undefined) return
    for (const peer of this.#pick(2, () => true)) this.#enqueue(peer, wanted)
  }

  /**
   * A buck is there (again): learns what it holds of the journal, then sends what is wanted. Rejects if the link is lost.
   */
  async open(link: Link): Promise<void> {
    for (const bucket of this.#journal.buckets) await this.offer(link, bucket)
    this.#peers.set(link, {
      link,
      queue: [],
      inFlight: 0,
      inFlightBytes: 0,
      pausedUntil: 0,
      leastIntervalMs: 0,
      nextSendAt: 0,
      isWaking: false,
    })
    this.assign()
  }

  lost(link: Link): void {
    const peer = this.#peers.get(link)
    if (peer === undefined) return
    this.#peers.delete(link)
    for (const { underway } of this.#wanted.values()) underway.delete(peer)
    this.assign()
  }

  /** `seconds` without sending; 0: go on. What is no number of that kind is taken as 0, what is over its bound as the bound. */
  throttle(link: Link, seconds: number, leastIntervalMs = 0): void {
    const peer = this.#peers.get(link)
    if (peer === undefined) return
    peer.leastIntervalMs = within(leastIntervalMs, LEAST_INTERVAL_MS_MAX)
    this.#pauseUntil(peer, this.#clock.monotonic() + within(seconds, THROTTLE_SECONDS_MAX) * 1000)
    this.#pump(peer)
  }

  /** Tells a buck all ids of a bucket and takes to heart which it lacks. Answers those. */
  async offer(link: Link, bucket: Bucket): Promise<PacketRef[]> {
    const refs = this.#journal.refsOf(bucket)
    const lacking: PacketRef[] = []
    for (let at = 0; at < refs.length; at += OFFER_IDS_MAX) {
      const part = refs.slice(at, at + OFFER_IDS_MAX)
      const byId = new Map(part.map(ref => [`${ref.id.epoch}/${ref.id.sequence}`, ref]))
      const { body } = await link.ask('offer', { bucket, runs: idRuns(part) })
      const archived = body.archived.map(id => byId.get(`${id.epoch}/${id.sequence}`)).filter(ref => ref !== undefined)
      if (archived.length > 0) this.#onArchived(archived)
      for (const id of [...body.want, ...body.archived]) {
        const ref = byId.get(`${id.epoch}/${id.sequence}`)
        byId.delete(`${id.epoch}/${id.sequence}`)
        if (ref === undefined || this.#journal.get(ref.id) === undefined) continue
        ref.holders.delete(link.peer.id)
        this.#want(ref)
        lacking.push(ref)
      }
      for (const ref of byId.values()) this.#held(ref, link.peer.id)
    }
    return lacking
  }

  /** Sends these to this buck, whoever else holds them, and waits until it has them. False if one did not get there. */
  async bring(link: Link, refs: PacketRef[]): Promise<boolean> {
    for (const ref of refs) {
      if (ref.holders.has(link.peer.id)) continue
      const bytes = await this.#bytesOf(ref)
      if (bytes === undefined) continue
      try {
        await link.ask('packet', { delivery: 'repair' }, bytes)
      } catch (error) {
        if (error instanceof RefusedError || error instanceof LinkLostError) return false
        throw error
      }
      this.#held(ref, link.peer.id)
    }
    return true
  }

  /** Not to be delivered any more: archived, or lost. */
  forget(ref: PacketRef): void {
    const key = packetKey(ref.id)
    if (this.#wanted.delete(key)) this.#wantedBytes -= ref.bytes
    this.#uncache(key)
  }

  /** Fewer hold these than was believed. */
  wantAgain(refs: PacketRef[]): void {
    for (const ref of refs) if (this.#journal.get(ref.id) !== undefined) this.#want(ref)
    this.assign()
  }

  /** Gives whatever is wanted and not underway to bucks that do not hold it. */
  assign(): void {
    if (this.#peers.size === 0) return
    for (const wanted of this.#wanted.values()) {
      const { ref, underway } = wanted
      const lacks = 2 - ref.holders.size - underway.size
      if (lacks <= 0) continue
      const mayTake = (peer: Peer) => !ref.holders.has(peer.link.peer.id) && !underway.has(peer)
      for (const peer of this.#pick(lacks, mayTake)) this.#enqueue(peer, wanted)
    }
  }

  #want(ref: PacketRef, isOld = false): void {
    const key = packetKey(ref.id)
    if (ref.holders.size >= 2 || this.#wanted.has(key)) return
    const sent = { isFirstSent: isOld, isSecondSent: isOld, isFirstAcked: isOld }
    this.#wanted.set(key, { ref, underway: new Set(), ...sent })
    this.#wantedBytes += ref.bytes
  }

  #held(ref: PacketRef, buck: string): void {
    ref.holders.add(buck)
    if (ref.holders.size < 2) return
    this.forget(ref)
    this.#onHeldTwice(ref)
  }

  /** Up to `count` different bucks, uniformly at random. */
  #pick(count: number, mayTake: (peer: Peer) => boolean): Peer[] {
    const now = this.#clock.monotonic()
    const able = [...this.#peers.values()].filter(peer => peer.pausedUntil <= now && mayTake(peer))
    for (let i = 0; i < Math.min(count, able.length); i++) {
      const j = i + Math.floor(this.#random.fraction() * (able.length - i))
      ;[able[i], able[j]] = [able[j], able[i]]
    }
    return able.slice(0, count)
  }

  #enqueue(peer: Peer, wanted: Wanted): void {
    wanted.underway.add(peer)
    peer.queue.push(wanted)
    this.#pump(peer)
  }

  /** Nothing is sent until then; what only waits in its queue goes to other bucks. */
  #pauseUntil(peer: Peer, until: number): void {
    peer.pausedUntil = until
    if (until <= this.#clock.monotonic() || peer.queue.length === 0) return
    for (const wanted of peer.queue.splice(0)) wanted.underway.delete(peer)
    this.assign()
  }

  #pump(peer: Peer): void {
    while (peer.queue.length > 0 && peer.inFlight < IN_FLIGHT_MAX && peer.inFlightBytes < IN_FLIGHT_BYTES_MAX) {
      const now = this.#clock.monotonic()
      const waitMs = Math.max(peer.pausedUntil, peer.nextSendAt) - now
      if (waitMs > 0) {
        this.#wakeLater(peer, waitMs)
        return
      }
      const wanted = peer.queue.shift()!
      const { ref } = wanted
      peer.nextSendAt = now + peer.leastIntervalMs
      peer.inFlight++
      peer.inFlightBytes += ref.bytes
      void this.#send(peer, wanted).finally(() => {
        peer.inFlight--
        peer.inFlightBytes -= ref.bytes
        this.#pump(peer)
      })
    }
  }

  #wakeLater(peer: Peer, waitMs: number): void {
    if (peer.isWaking) return
    peer.isWaking = true
    void this.#clock.sleep(waitMs).then(() => {
      peer.isWaking = false
      this.#pump(peer)
    })
  }

  async #send(peer: Peer, wanted: Wanted): Promise<void> {
    const { ref } = wanted
    try {
      if (!this.#wanted.has(packetKey(ref.id)) || ref.holders.has(peer.link.peer.id)) return
      const bytes = await this.#bytesOf(ref)
      if (bytes === undefined) return
      const ask = deliveryOf(wanted)
      if (ask.delivery === 'first') wanted.isFirstSent = true
      if (ask.delivery === 'second') wanted.isSecondSent = true
      await peer.link.ask('packet', ask, bytes)
      if (ask.delivery === 'first' || ask.firstFailed) wanted.isFirstAcked = true
      this.#held(ref, peer.link.peer.id)
    } catch (error) {
      if (error instanceof LinkLostError) return
      // Full, throttled, or not right in the head: another buck takes it; this one is asked again after a while.
      this.#log.warn('buck refused a packet', { buck: peer.link.address, error })
      wanted.underway.delete(peer)
      this.#pauseUntil(peer, this.#clock.monotonic() + REFUSED_PAUSE_MS)
    } finally {
      wanted.underway.delete(peer)
    }
  }

  /** Undefined: the journal does not give it back (now, or at all). */
  async #bytesOf(ref: PacketRef): Promise<Buffer | undefined> {
    const cached = this.#cache.get(packetKey(ref.id))
    if (cached !== undefined) return cached
    if (this.#journal.get(ref.id) === undefined) return undefined
    try {
      return await this.#journal.readPacket(ref)
    } catch (error) {
      this.#log.error('packet in the journal cannot be read', { path: ref.path, position: ref.position, error })
      if (error instanceof CorruptEntryError) {
        // If no buck holds it either, its sequence is wanted, answered with "gone", and a hole in the ledger.
        this.#journal.drop(ref)
        this.forget(ref)
      }
      return undefined
    }
  }

  #uncache(key: string): void {
    const bytes = this.#cache.get(key)
    if (bytes === undefined) return
    this.#cache.delete(key)
    this.#cacheBytes -= bytes.length
  }
}

/** Outputs act on *first*, and on *second* only when the first buck did not acknowledge; a repair is never published. */
function deliveryOf({ isFirstSent, isSecondSent, isFirstAcked }: Wanted): Asks['packet']['ask'] {
  if (!isFirstSent) return { delivery: 'first' }
  if (isSecondSent) return { delivery: 'repair' }
  return isFirstAcked ? { delivery: 'second' } : { delivery: 'second', firstFailed: true }
}

function within(value: number, max: number): number {
  return value > 0 ? Math.min(value, max) : 0
}

/** Ids as runs of consecutive sequences. */
export function idRuns(refs: Iterable<PacketRef>): IdRun[] {
  const sorted = [...refs].sort((a, b) =>
    a.id.epoch === b.id.epoch ? a.id.sequence - b.id.sequence : a.id.epoch < b.id.epoch ? -1 : 1,
  )
  const runs: { epoch: string; first: number; sums: Buffer[] }[] = []
  for (const { id } of sorted) {
    const run = runs.at(-1)
    const sum = Buffer.from(id.sum, 'hex').subarray(0, SUM_BYTES)
    if (run !== undefined && run.epoch === id.epoch && run.first + run.sums.length === id.sequence) run.sums.push(sum)
    else runs.push({ epoch: id.epoch, first: id.sequence, sums: [sum] })
  }
  return runs.map(run => ({ ...run, sums: Buffer.concat(run.sums) }))
}
