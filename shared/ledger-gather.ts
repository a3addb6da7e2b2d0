// Asks bucks and stores for what the ledger is made from. The computing is in shared/ledger.ts.

import { readContacts, readSources } from './contacts.ts'
import { readInventory } from './inventory.ts'
import type { Decision, LedgerInputs, Sequences } from './ledger.ts'
import type { Link } from './link.ts'
import type { Release } from './releases.ts'
import type { EventStore } from './stores.ts'
import type { Log } from './world.ts'

/** Inventories asked of one buck at a time. */
const AT_ONCE = 16
const TIMEOUT_MS = 30_000

export interface GatherOptions {
  /** Links to the bucks that can be reached; none: a data folder in which nothing runs. */
  links: Link[]
  /** Addresses of those that cannot. */
  unreachable?: string[]
  index: EventStore
  archive: EventStore
  decisions?: Decision[]
  releases?: Release[]
  holeAfterMs?: number
  /** First bucket that the index keeps; absent: what is archived need not be in the index. */
  expiredBefore?: number
  log: Pick<Log, 'warn'>
}

/** Rejects if a store cannot be read. A buck that fails is named in `unreachable`: what only it holds looks missing. */
export async function gatherLedgerInputs(options: GatherOptions): Promise<LedgerInputs> {
  const { links, index, archive, decisions, releases, holeAfterMs = 24 * 3_600_000, expiredBefore, log } = options
  const inputs: LedgerInputs = {
    contacts: [],
    records: [],
    manifests: [],
    gone: [],
    inventories: [],
    index: { totals: [], sequences: new Map() },
    archive: { totals: [], sequences: new Map() },
    holeAfterMs,
    unreachable: [...(options.unreachable ?? [])],
    ...(decisions && { decisions }),
    ...(releases && { releases }),
    ...(expiredBefore !== undefined && { expiredBefore }),
  }
  // Bucks before stores: a packet that is archived and dropped in between is seen once at least.
  await Promise.all(
    links.map(async link => {
      try {
        await askBuck(link, inputs)
      } catch (error) {
        log.warn('buck not asked for the ledger', { buck: link.address, error })
        inputs.unreachable?.push(link.address)
      }
    }),
  )
  for (const [name, store] of [
    ['index', index],
    ['archive', archive],
  ] as const) {
    const words = await store.words()
    inputs.manifests.push(...words.manifests)
    inputs.gone.push(...words.gone)
    const sequences: Sequences = await store.sequences()
    inputs[name] = { totals: await store.totals(), sequences }
  }
  return inputs
}

async function askBuck(link: Link, inputs: LedgerInputs): Promise<void> {
  for (const contact of await readContacts(link, TIMEOUT_MS)) inputs.contacts.push(contact)
  for (const record of await readSources(link, TIMEOUT_MS)) inputs.records.push(record)
  const { body: changes } = await link.ask('changes', { logId: '', after: 0, waitMs: 0 }, undefined, TIMEOUT_MS)
  for (let at = 0; at < changes.buckets.length; at += AT_ONCE) {
    await Promise.all(
      changes.buckets.slice(at, at + AT_ONCE).map(async bucket => {
        const body = await readInventory(link, bucket, TIMEOUT_MS)
        inputs.inventories.push({ buck: link.peer.id, bucket, tailers: body.tailers })
        inputs.manifests.push(...body.manifests)
        inputs.gone.push(...body.gone)
      }),
    )
  }
}
