// What a buck (or a folder that answers like one) has of one bucket: asked page by page, checked, put together.
import { RefusedError, type Reply } from './link.ts'
import type { Gone, Manifest } from './manifest.ts'
import { type Asks, type Bucket, type IdRun, SUM_BYTES, type TailerId } from './messages.ts'

/** Packets of one bucket at one buck: a thousand tailers with four packets a second for 1,024 s. */
export const INVENTORY_IDS_MAX = 4_000_000
/** Pages of one inventory. A page of a buck is 8 MB: this is far more than the ids allowed need. */
const PAGES_MAX = 1_000

export interface Inventory {
  tailers: { tailer: TailerId; runs: IdRun[] }[]
  /** Not checked here: their signatures are what proves them. */
  manifests: Manifest[]
  gone: Gone[]
  /** Change number at which reading began: later growth may not be in it. */
  number: number
}

/** Who answers: a Link, or a folder in which nothing runs. */
export interface InventoryHolder {
  ask<K extends 'inventory'>(
    type: K,
    body: Asks[K]['ask'],
    payload?: Buffer,
    timeoutMs?: number,
  ): Promise<Reply<Asks[K]['answer']>>
}

/** Rejects as `ask` does; an answer of another form, or over a bound, is refused as a whole. */
export async function readInventory(holder: InventoryHolder, bucket: Bucket, timeoutMs: number): Promise<Inventory> {
  const whole: Inventory = { tailers: [], manifests: [], gone: [], number: 0 }
  let ids = 0
  let after: string | undefined
  for (let page = 0; page < PAGES_MAX; page++) {
    const ask = after === undefined ? { bucket } : { bucket, after }
    const { body } = await holder.ask('inventory', ask, undefined, timeoutMs)
    if (!isPage(body)) malformed(bucket)
    for (const { runs } of body.tailers) for (const { sums } of runs) ids += sums.length / SUM_BYTES
    if (ids > INVENTORY_IDS_MAX) break
    if (page === 0) whole.number = body.number
    for (const tailer of body.tailers) whole.tailers.push(tailer)
    for (const manifest of body.manifests) whole.manifests.push(manifest)
    for (const gone of body.gone) whole.gone.push(gone)
    if (body.next === undefined) return whole
    after = body.next
  }
  throw new RefusedError('bad-request', `the inventory of bucket ${bucket} is over ${INVENTORY_IDS_MAX} packets`)
}

function isPage(body: Asks['inventory']['answer']): boolean {
  if (typeof body !== 'object' || body === null) return false
  const { tailers, manifests, gone, number, next } = body
  const isList = Array.isArray(tailers) && Array.isArray(manifests) && Array.isArray(gone)
  if (!isList || !Number.isSafeInteger(number)) return false
  if (next !== undefined && (typeof next !== 'string' || next === '')) return false
  return tailers.every(one => isTailer(one?.tailer) && Array.isArray(one.runs) && one.runs.every(isRun))
}

function isTailer(tailer: unknown): boolean {
  return typeof tailer === 'string' && /^[0-9a-f]{32}$/.test(tailer)
}

function isRun(run: IdRun | null | undefined): boolean {
  return (
    typeof run?.epoch === 'string' &&
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
