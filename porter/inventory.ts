// What one buck says it has of one bucket, checked and opened: ids one by one.
import { type Link, RefusedError } from '../shared/link.ts'
import type { Gone, Manifest } from '../shared/manifest.ts'
import { type Bucket, type IdRun, type PacketId, SUM_BYTES, type TailerId } from '../shared/messages.ts'

/** Packets of one bucket at one buck: a thousand tailers with four packets a second for 1,024 s. */
const IDS_MAX = 4_000_000
const TIMEOUT_MS = 30_000

export interface Inventory {
  ids: PacketId[]
  manifests: Manifest[]
  gone: Gone[]
}

/** Rejects as `link.ask` does; an answer of another form is refused as a whole. */
export async function readInventory(link: Link, bucket: Bucket): Promise<Inventory> {
  const { body } = await link.ask('inventory', { bucket }, undefined, TIMEOUT_MS)
  if (!Array.isArray(body.tailers) || !Array.isArray(body.manifests) || !Array.isArray(body.gone)) malformed(bucket)
  const ids: PacketId[] = []
  for (const { tailer, runs } of body.tailers) {
    if (!isTailer(tailer) || !Array.isArray(runs)) malformed(bucket)
    for (const run of runs) {
      if (!isRun(run) || ids.length + run.sums.length / SUM_BYTES > IDS_MAX) malformed(bucket)
      for (let i = 0; i < run.sums.length / SUM_BYTES; i++) {
        const sum = run.sums.toString('hex', i * SUM_BYTES, (i + 1) * SUM_BYTES)
        ids.push({ tailer, epoch: run.epoch, sequence: run.first + i, sum })
      }
    }
  }
  return { ids, manifests: body.manifests, gone: body.gone }
}

/** Runs of consecutive sequences. Two sums of one sequence go into two runs. */
export function idRuns(ids: PacketId[]): IdRun[] {
  const sorted = [...ids].sort((a, b) => (a.epoch === b.epoch ? a.sequence - b.sequence : a.epoch < b.epoch ? -1 : 1))
  const runs: { epoch: string; first: number; sums: string[] }[] = []
  for (const { epoch, sequence, sum } of sorted) {
    const run = runs.at(-1)
    if (run && run.epoch === epoch && run.first + run.sums.length === sequence) run.sums.push(sum)
    else runs.push({ epoch, first: sequence, sums: [sum] })
  }
  return runs.map(({ epoch, first, sums }) => ({ epoch, first, sums: Buffer.from(sums.join(''), 'hex') }))
}

export function epochKey(id: { tailer: TailerId; epoch: string }): string {
  return `${id.tailer}/${id.epoch}`
}

function isTailer(tailer: unknown): boolean {
  return typeof tailer === 'string' && /^[0-9a-f]{32}$/.test(tailer)
}

function isRun(run: IdRun): boolean {
  return (
    typeof run.epoch === 'string' &&
    /^\d{1,10}-[0-9a-f]{16}$/.test(run.epoch) &&
    Number.isSafeInteger(run.first) &&
    run.first >= 0 &&
    Buffer.isBuffer(run.sums) &&
    run.sums.length % SUM_BYTES === 0
  )
}

function malformed(bucket: Bucket): never {
  throw new RefusedError('bad-request', `the inventory of bucket ${bucket} is not of its form`)
}
