// A round that is a lot of work, cut into jobs that porters and helpers share: by span, and where one span is enough for
// several, by the hash of the tailer.
import type { Bucket, TailerId } from '../shared/messages.ts'
import type { Errand, Located } from './readings.ts'

/** Packets that are worth a job of their own: seconds of work, against a few small objects beside the archive. */
const JOB_PACKETS = 64
/** Jobs of one span. */
const PARTS_MAX = 8

/** A part of a round: these buckets, and of them the tailers whose hash falls into `part`. */
export interface CarryJob {
  errands: Errand[]
  part: number
  parts: number
}

/** Neighbouring spans until they are worth a job; those with several tailers cut by their hash. Nothing lacks: none. */
export function cutRound(errands: Errand[], lacking: Located[], spanSeconds: number): CarryJob[] {
  const spanOf = (bucket: Bucket) => Math.floor(bucket / spanSeconds)
  const packetsOf = new Map<number, Located[]>()
  for (const packet of lacking) {
    const span = spanOf(packet.bucket)
    const packets = packetsOf.get(span)
    if (packets) packets.push(packet)
    else packetsOf.set(span, [packet])
  }
  const jobs: CarryJob[] = []
  const spans = [...packetsOf.keys()].sort((a, b) => a - b)
  for (let at = 0; at < spans.length; ) {
    const taken = new Set<number>()
    const packets: Located[] = []
    while (at < spans.length && packets.length < JOB_PACKETS) {
      taken.add(spans[at])
      for (const packet of packetsOf.get(spans[at]) ?? []) packets.push(packet)
      at++
    }
    const own = errands.filter(({ bucket }) => taken.has(spanOf(bucket)))
    const parts = Math.max(1, Math.min(PARTS_MAX, Math.floor(packets.length / JOB_PACKETS)))
    const used = new Set(packets.map(({ id }) => partOf(id.tailer, parts)))
    for (const part of [...used].sort((a, b) => a - b)) jobs.push({ errands: own, part, parts })
  }
  return jobs
}

/** The id is a hash already. */
export function partOf(tailer: TailerId, parts: number): number {
  return Number.parseInt(tailer.slice(0, 8), 16) % parts
}
