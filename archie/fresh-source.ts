// The packets that bucks hold and the index lacks: the last seconds, or the last days when the porter is away.
//
//   per buck: changes ─▶ buckets that grew ─▶ inventory ─▶ ids ─▶ index.lacking ─▶ entries ─▶ fetch (once, from one holder)
//   every RECHECK_MS: entries ─▶ index.lacking ─▶ those it has by now are dropped
//
// - A cursor of changes moves on at once, because what it announced is kept in `pending` until its inventory was read.
// - Bytes are a cache of CACHE_BYTES_MAX, the oldest go first; header and runs stay, so a search knows which packets
//   could match and fetches those again.
// - Over PACKETS_MAX the oldest buckets are not followed any more; every search says so (`gaps`).
import { readInventory } from '../shared/inventory.ts'
import type { Reply } from '../shared/link.ts'
import { type Asks, type Bucket, type IdRun, type PacketId, SUM_BYTES, type TailerId } from '../shared/messages.ts'
import { decodePackets, type Packet, type PacketHeader, packetKey } from '../shared/packet.ts'
import type { SearchedBlock } from '../shared/search/searched-block.ts'
import type { Damage, EventStore } from '../shared/stores.ts'
import { WeightedCache } from '../shared/weighted-cache.ts'
import type { World } from '../shared/world.ts'
import { Round } from './round.ts'

/** What is needed of a place that holds packets. A Link to a buck is one; archie/folder-holder.ts another. */
export interface PacketHolder {
  /** A folder on this disk answers for sure: a search waits until all of it is known. Bucks may hang: it does not wait. */
  readonly isLocal?: boolean
  ask<K extends 'changes' | 'inventory' | 'fetch'>(
    type: K,
    body: Asks[K]['ask'],
    payload?: Buffer,
    timeoutMs?: number,
  ): Promise<Reply<Asks[K]['answer']>>
}

export interface NamedHolder {
  name: string
  /** Undefined while it cannot be reached. */
  holder: PacketHolder | undefined
}

export interface FreshPacket {
  id: PacketId
  bucket: Bucket
  header: PacketHeader
  runs: Packet['runs']
  names: string[]
}

const PACKETS_MAX = 200_000
const CACHE_BYTES_MAX = 192 * 1024 * 1024
/** Inflated, of packets that were searched lately. */
const BLOCK_BYTES_MAX = 32 * 1024 * 1024
const FETCH_IDS_MAX = 256
/** Inventories of one buck per round, so that a first round over thousands of buckets lets searches in between. */
const INVENTORIES_PER_ROUND = 64
const FOLLOW_MS = 1_000
const RECHECK_MS = 1_000
const ASK_TIMEOUT_MS = 5_000
/** A buck that takes longer for one answer is named to whoever searches meanwhile. */
const SLOW_MS = 1_000
const MISSING = 'lines that only it holds and that are not indexed yet are missing'

interface Entry {
  id: PacketId
  bucket: Bucket
  holders: Set<string>
  /** Present once it was fetched. */
  known?: FreshPacket
  bytes?: Buffer
  /** Why the last fetch did not bring it. */
  trouble?: string
}

interface Cursor {
  logId: string
  number: number
  pending: Set<Bucket>
  /** Why the last round with it failed. */
  trouble?: string
  /** Since when it has not answered, by the monotonic clock. */
  askedAtMs?: number
}

export class FreshSource {
  readonly #members: () => NamedHolder[]
  readonly #index: Pick<EventStore, 'lacking'>
  readonly #world: Pick<World, 'clock' | 'log'>
  readonly #entries = new Map<string, Entry>()
  readonly #cursors = new Map<string, Cursor>()
  #cachedBytes = 0
  #recheckedAtMs = Number.NEGATIVE_INFINITY
  #hasDropped = false
  readonly #rounds = new Map<string, Round>()
  /** Packets that searches opened lately, as blocks. */
  readonly blocks = new WeightedCache<SearchedBlock>(BLOCK_BYTES_MAX)
  readonly #recheck = new Round(() => this.#dropIndexed())

  constructor(members: () => NamedHolder[], index: Pick<EventStore, 'lacking'>, world: Pick<World, 'clock' | 'log'>) {
    this.#members = members
    this.#index = index
    this.#world = world
  }

  /** Keeps up with the bucks until the signal aborts, so that a search has little left to ask. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await this.refresh().catch((error: unknown) => {
        this.#world.log.warn('fresh packets not followed', { error })
      })
      await this.#world.clock.sleep(FOLLOW_MS, signal).catch((error: unknown) => {
        if (!signal.aborted) throw error
      })
    }
  }

  /**
   * One round with every holder, each on its own: what they announced before the call is known then, or known to be
   * missing (`gaps`).
   */
  async refresh(): Promise<void> {
    const rounds = this.#members().map(({ name }) => {
      const round = this.#rounds.get(name) ?? new Round(() => this.#roundWith(name))
      this.#rounds.set(name, round)
      return round.run()
    })
    await Promise.all([...rounds, this.#recheck.run()])
  }

  /** As `refresh`, but goes on after `ms`: a search must not wait for a buck that hangs. Local folders are read whole. */
  async refreshWithin(ms: number): Promise<void> {
    const enough = new AbortController()
    const tooLong = this.#world.clock.sleep(ms, enough.signal).catch(() => undefined) // aborted: the round was quicker
    try {
      await Promise.race([this.refresh(), tooLong])
    } finally {
      enough.abort()
    }
    const locals = this.#members().filter(({ holder }) => holder?.isLocal)
    while (locals.some(({ name }) => this.#hasMoreToAsk(name))) await this.refresh()
  }

  /** All whose header is known, in no order. */
  packets(): FreshPacket[] {
    const known: FreshPacket[] = []
    for (const entry of this.#entries.values()) if (entry.known) known.push(entry.known)
    return known
  }

  /** What a search over `packets()` cannot see, in sentences. */
  gaps(): Damage[] {
    const gaps: Damage[] = []
    for (const { name } of this.#members()) {
      const cursor = this.#cursors.get(name)
      const waitingMs = this.#world.clock.monotonic() - (cursor?.askedAtMs ?? Number.POSITIVE_INFINITY)
      if (cursor?.trouble === undefined && waitingMs >= SLOW_MS) {
        gaps.push({ where: name, reason: `has not answered yet: ${MISSING}` })
      } else if (cursor?.trouble !== undefined) {
        gaps.push({
          where: name,
          reason: `${cursor.trouble}: ${MISSING}`,
        })
      } else if (cursor && cursor.pending.size > 0) {
        gaps.push({
          where: name,
          reason: `${cursor.pending.size} of its buckets were not looked at yet: try again soon`,
        })
      }
    }
    let missing = 0
    let trouble: string | undefined
    for (const entry of this.#entries.values()) {
      if (entry.known) continue
      missing++
      trouble ??= entry.trouble
    }
    if (missing > 0) {
      const why = trouble === undefined ? 'not fetched yet: try again soon' : trouble
      gaps.push({ where: 'packets not indexed yet', reason: `${missing} of them were ${why}` })
    }
    if (this.#hasDropped) {
      const reason = `over ${PACKETS_MAX} packets are not indexed: the oldest of them are not searched. Is the porter running?`
      gaps.push({ where: 'packets not indexed yet', reason })
    }
    return gaps
  }

  counts(): { packets: number; fetched: number; cachedBytes: number } {
    let fetched = 0
    for (const entry of this.#entries.values()) if (entry.known) fetched++
    return { packets: this.#entries.size, fetched, cachedBytes: this.#cachedBytes }
  }

  /** The whole packet. Undefined if it is fresh no more: the index has it. Throws if no buck gives it now. */
  async load(id: PacketId): Promise<Packet | undefined> {
    const entry = this.#entries.get(packetKey(id))
    if (!entry) return undefined
    if (entry.bytes && entry.known) return { ...entry.known, bytes: entry.bytes }
    for (const { name, holder } of this.#members()) {
      if (!holder || !entry.holders.has(name)) continue
      const [packet] = await this.#fetch(name, holder, [id])
      if (packet) return packet
    }
    throw new Error(entry.trouble ?? 'no buck that has it can be reached: try again')
  }

  #hasMoreToAsk(name: string): boolean {
    const cursor = this.#cursors.get(name)
    return cursor === undefined || (cursor.pending.size > 0 && cursor.trouble === undefined)
  }

  async #roundWith(name: string): Promise<void> {
    // Looked up now: the link may be another one than when the round was asked for.
    const member = this.#members().find(other => other.name === name)
    if (!member) return
    await this.#follow(member)
    await this.#fetchFrom(member)
    this.#forgetOldest()
    this.#evict()
  }

  async #follow({ name, holder }: NamedHolder): Promise<void> {
    const cursor: Cursor = this.#cursors.get(name) ?? { logId: '', number: 0, pending: new Set() }
    this.#cursors.set(name, cursor)
    if (!holder) {
      cursor.trouble = 'not reachable'
      return
    }
    cursor.askedAtMs = this.#world.clock.monotonic()
    try {
      const ask = { logId: cursor.logId, after: cursor.number, waitMs: 0 }
      const { body } = await holder.ask('changes', ask, undefined, ASK_TIMEOUT_MS)
      if (!isChanges(body)) throw new Error("the answer to 'changes' is not of its form")
      for (const bucket of body.buckets) cursor.pending.add(bucket)
      cursor.logId = body.logId
      cursor.number = body.number
      // The newest first: what somebody looks for in the fresh lines was just written.
      const newest = [...cursor.pending].sort((a, b) => b - a).slice(0, INVENTORIES_PER_ROUND)
      for (const bucket of newest) {
        cursor.askedAtMs = this.#world.clock.monotonic()
        const inventory = await readInventory(holder, bucket, ASK_TIMEOUT_MS)
        for (const { tailer, runs } of inventory.tailers) await this.#register(name, bucket, tailer, runs)
        cursor.pending.delete(bucket)
      }
      cursor.trouble = undefined
    } catch (error) {
      cursor.trouble = (error as Error).message
      this.#world.log.debug('buck not followed', { buck: name, error })
    } finally {
      cursor.askedAtMs = undefined
    }
  }

  async #register(name: string, bucket: Bucket, tailer: TailerId, runs: IdRun[]): Promise<void> {
    const unknown: PacketId[] = []
    for (const { epoch, first, sums } of runs) {
      for (let at = 0, sequence = first; at + SUM_BYTES <= sums.length; at += SUM_BYTES, sequence++) {
        const id = { tailer, epoch, sequence, sum: sums.toString('hex', at, at + SUM_BYTES) }
        const entry = this.#entries.get(packetKey(id))
        if (entry) entry.holders.add(name)
        else unknown.push(id)
      }
    }
    if (unknown.length === 0) return
    for (const id of await this.#index.lacking(unknown)) {
      const key = packetKey(id)
      const entry = this.#entries.get(key) // another buck's inventory may have brought it while this one waited
      if (entry) entry.holders.add(name)
      else this.#entries.set(key, { id, bucket, holders: new Set([name]) })
    }
  }

  async #dropIndexed(): Promise<void> {
    const nowMs = this.#world.clock.monotonic()
    if (this.#entries.size === 0 || nowMs - this.#recheckedAtMs < RECHECK_MS) return
    this.#recheckedAtMs = nowMs
    const before = [...this.#entries.entries()]
    const lacking = new Set((await this.#index.lacking(before.map(([, entry]) => entry.id))).map(packetKey))
    for (const [key] of before) if (!lacking.has(key)) this.#drop(key)
    if (this.#entries.size < PACKETS_MAX / 2) this.#hasDropped = false
  }

  /** Asks this holder for all that it has and that was not fetched yet, the newest bucket first. */
  async #fetchFrom({ name, holder }: NamedHolder): Promise<void> {
    if (!holder) return
    const isWanted = (entry: Entry) => !entry.known && entry.holders.has(name)
    const wanted = [...this.#entries.values()].filter(isWanted).sort((a, b) => b.bucket - a.bucket)
    for (let at = 0; at < wanted.length; at += FETCH_IDS_MAX) {
      // Another holder may have given some of them meanwhile.
      let ids = wanted.slice(at, at + FETCH_IDS_MAX).filter(isWanted)
      while (ids.length > 0) {
        const got = await this.#fetch(
          name,
          holder,
          ids.map(entry => entry.id),
        )
        if (got.length === 0) break
        for (const packet of got) this.#keep(packet)
        ids = ids.filter(isWanted)
      }
    }
  }

  async #fetch(name: string, holder: PacketHolder, ids: PacketId[]): Promise<Packet[]> {
    try {
      const { payload } = await holder.ask('fetch', { ids }, undefined, ASK_TIMEOUT_MS)
      const asked = new Set(ids.map(packetKey))
      return payload ? [...decodePackets(payload)].filter(packet => asked.has(packetKey(packet.header.id))) : []
    } catch (error) {
      const trouble = `not given by ${name} (${(error as Error).message})`
      for (const id of ids) {
        const entry = this.#entries.get(packetKey(id))
        if (entry) entry.trouble = trouble
      }
      this.#world.log.debug('fresh packets not fetched', { buck: name, packets: ids.length, error })
      return []
    }
  }

  #keep({ header, runs, names, bytes }: Packet): void {
    const entry = this.#entries.get(packetKey(header.id))
    if (!entry || entry.known) return
    entry.known = { id: header.id, bucket: header.bucket, header, runs, names }
    // A copy: a slice would keep the whole payload of up to 8 MB alive.
    entry.bytes = Buffer.from(bytes)
    entry.trouble = undefined
    this.#cachedBytes += bytes.length
  }

  #forgetOldest(): void {
    if (this.#entries.size <= PACKETS_MAX) return
    this.#hasDropped = true
    const oldestFirst = [...this.#entries.entries()].sort(([, a], [, b]) => a.bucket - b.bucket)
    for (const [key] of oldestFirst.slice(0, this.#entries.size - PACKETS_MAX)) this.#drop(key)
  }

  #evict(): void {
    if (this.#cachedBytes <= CACHE_BYTES_MAX) return
    const cached = [...this.#entries.values()].filter(entry => entry.bytes).sort((a, b) => a.bucket - b.bucket)
    for (const entry of cached) {
      if (this.#cachedBytes <= CACHE_BYTES_MAX) return
      this.#cachedBytes -= entry.bytes?.length ?? 0
      entry.bytes = undefined
    }
  }

  #drop(key: string): void {
    this.#cachedBytes -= this.#entries.get(key)?.bytes?.length ?? 0
    this.#entries.delete(key)
    this.blocks.delete(key)
  }
}

function isChanges(body: Asks['changes']['answer']): boolean {
  return typeof body?.logId === 'string' && Number.isSafeInteger(body.number) && Array.isArray(body.buckets)
}
