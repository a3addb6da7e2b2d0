// Each packet once, from one holder drawn at random; the next holder if the first has it no more, or has it damaged.

import type { PacketId } from '../shared/messages.ts'
import {
  CorruptPacketError,
  decodePacket,
  decodePacketHeader,
  type Packet,
  packetBytes,
  packetKey,
  UnknownPacketVersionError,
} from '../shared/packet.ts'
import type { World } from '../shared/world.ts'
import type { BuckView } from './buck-view.ts'
import type { Troubles } from './troubles.ts'

/** Ids of one request; its answer is bounded in bytes by FETCH_BYTES_MAX. */
const FETCH_IDS_MAX = 256
const TIMEOUT_MS = 60_000

/** One packet to be fetched. */
export interface Need {
  id: PacketId
  key: string
  /** Not asked yet, in random order. */
  holders: BuckView[]
  /**
   * Why it is not here, once no holder is left: `refuted`, all that could be asked have it no more or damaged, so that
   * the tailer has to send it again; `unreachable`, a holder did not answer; `unreadable`, whole, but not for this program.
   */
  failure?: 'refuted' | 'unreachable' | 'unreadable'
  /** Asked for alone, because an answer with it among others could not be taken apart. */
  isAlone?: boolean
}

/**
 * Packets as they come, in groups of at most one answer. Needs that no holder could serve end in `failed`.
 * Progress: every request brings a packet, or moves a need to its next holder, or marks it to be asked for alone.
 */
export async function* fetchOnce(
  needs: Need[],
  failed: Need[],
  parts: { world: Pick<World, 'random'>; troubles: Troubles },
  signal: AbortSignal,
): AsyncGenerator<Packet[]> {
  const queues = new Map<BuckView, Need[]>()
  const assign = (need: Need, failure?: Need['failure']) => {
    // One holder that could not be asked may still have it: then nobody may say that it is lost.
    if (failure && need.failure !== 'unreachable') need.failure = failure
    need.isAlone = false
    const holder = need.holders.pop()
    if (!holder) failed.push(need)
    else if (queues.has(holder)) queues.get(holder)?.push(need)
    else queues.set(holder, [need])
  }
  for (const need of needs) {
    shuffle(need.holders, parts.world)
    assign(need)
  }
  while (queues.size > 0 && !signal.aborted) {
    const [view, queue] = [...queues][0]
    const asked = queue.splice(0, queue[0]?.isAlone ? 1 : FETCH_IDS_MAX)
    if (asked.length === 0) {
      queues.delete(view)
      continue
    }
    let payload: Buffer
    try {
      if (!view.link) throw new Error('the link is gone')
      const reply = await view.link.ask('fetch', { ids: asked.map(need => need.id) }, undefined, TIMEOUT_MS)
      payload = reply.payload ?? Buffer.alloc(0)
    } catch (error) {
      parts.troubles.note(`packets not fetched from ${view.address}`, error)
      queues.delete(view)
      for (const need of [...asked, ...queue]) assign(need, 'unreachable')
      continue
    }
    const wanted = new Map(asked.map(need => [need.key, need]))
    const { packets, damaged, unreadable, isCut } = open(payload, wanted, error =>
      parts.troubles.note(`packet from ${view.address} damaged`, error),
    )
    if (packets.length > 0) yield packets
    for (const need of damaged) assign(need, 'refuted')
    for (const need of unreadable) failed.push({ ...need, failure: 'unreadable' })
    const left = [...wanted.values()]
    if (left.length < asked.length) queue.unshift(...left)
    else if (isCut && asked.length > 1) {
      for (const need of left) need.isAlone = true
      queue.unshift(...left)
    } else for (const need of left) assign(need, 'refuted')
  }
}

/** Takes what was asked for out of `wanted`. `isCut`: from some point on the payload could not be taken apart. */
function open(
  payload: Buffer,
  wanted: Map<string, Need>,
  onDamage: (error: unknown) => void,
): { packets: Packet[]; damaged: Need[]; unreadable: Need[]; isCut: boolean } {
  const packets: Packet[] = []
  const damaged: Need[] = []
  const unreadable: Need[] = []
  const take = (key: string): Need | undefined => {
    const need = wanted.get(key)
    wanted.delete(key)
    return need
  }
  for (let at = 0; at < payload.length; ) {
    const rest = payload.subarray(at)
    let key: string | undefined
    try {
      const header = decodePacketHeader(rest)
      key = packetKey(header.id)
      at += packetBytes(header)
      // A copy: one packet kept must not hold the whole answer in memory.
      const packet = decodePacket(Buffer.from(rest.subarray(0, packetBytes(header))))
      if (take(key)) packets.push(packet)
    } catch (error) {
      onDamage(error)
      if (error instanceof UnknownPacketVersionError && wanted.size === 1) {
        // Its length is not known to this program; asked for alone, it can only be the one.
        const [only] = wanted.keys()
        unreadable.push(take(only) as Need)
        return { packets, damaged, unreadable, isCut: true }
      }
      if (!(error instanceof CorruptPacketError) && !(error instanceof UnknownPacketVersionError)) throw error
      if (key === undefined) return { packets, damaged, unreadable, isCut: true }
      const need = take(key)
      if (need) damaged.push(need)
    }
  }
  return { packets, damaged, unreadable, isCut: false }
}

function shuffle(list: unknown[], world: Pick<World, 'random'>): void {
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(world.random.fraction() * (i + 1))
    ;[list[i], list[j]] = [list[j], list[i]]
  }
}
