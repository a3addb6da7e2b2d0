// What one buck says it has of one bucket, opened: ids one by one; and ids as runs again.
import { readInventory } from '../shared/inventory.ts'
import type { Link } from '../shared/link.ts'
import type { Gone, Manifest } from '../shared/manifest.ts'
import { type Bucket, type IdRun, type PacketId, SUM_BYTES, type TailerId } from '../shared/messages.ts'

const TIMEOUT_MS = 30_000

export interface OpenInventory {
  ids: PacketId[]
  manifests: Manifest[]
  gone: Gone[]
  number: number
}

/** Rejects as shared/inventory.ts does. */
export async function openInventory(link: Link, bucket: Bucket): Promise<OpenInventory> {
  const { tailers, manifests, gone, number } = await readInventory(link, bucket, TIMEOUT_MS)
  const ids: PacketId[] = []
  for (const { tailer, runs } of tailers) {
    for (const { epoch, first, sums } of runs) {
      for (let i = 0; i < sums.length / SUM_BYTES; i++) {
        const sum = sums.toString('hex', i * SUM_BYTES, (i + 1) * SUM_BYTES)
        ids.push({ tailer, epoch, sequence: first + i, sum })
      }
    }
  }
  return { ids, manifests, gone, number }
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
