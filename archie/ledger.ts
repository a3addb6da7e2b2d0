// Gathers what the ledger is computed from: bucks, index, archive. Inventories are kept between two readings, and only
// those of buckets that grew are asked for again.
import { readContacts, readSources } from '../shared/contacts.ts'
import type { Decisions } from '../shared/decisions.ts'
import { type Inventory, readInventory } from '../shared/inventory.ts'
import { computeLedger, type Ledger } from '../shared/ledger.ts'
import type { Reply } from '../shared/link.ts'
import { isGoneGenuine, isManifestGenuine } from '../shared/manifest.ts'
import type { Asks, Bucket, SourceRecord, TailerContact } from '../shared/messages.ts'
import type { Releases } from '../shared/releases.ts'
import type { EventStore } from '../shared/stores.ts'

/** What is needed of a buck. A Link is one; archie/folder-holder.ts another. */
export interface LedgerHolder {
  ask<K extends 'changes' | 'inventory' | 'contacts' | 'sources'>(
    type: K,
    body: Asks[K]['ask'],
    payload?: Buffer,
    timeoutMs?: number,
  ): Promise<Reply<Asks[K]['answer']>>
}

export interface LedgerStores {
  index: EventStore
  archive: EventStore
  /** Beside the archive. */
  decisions?: Decisions
  releases?: Releases
}

export interface LedgerSettings {
  /** A tailer not heard of for so long will not send again. */
  holeAfterMs: number
}

const ASK_TIMEOUT_MS = 10_000
export const HOLE_AFTER_MS = 24 * 60 * 60 * 1000

interface Known {
  logId: string
  number: number
  inventories: Map<Bucket, Inventory>
}

interface Told {
  contacts: TailerContact[]
  records: SourceRecord[]
}

export class LedgerReader {
  readonly #members: () => { name: string; holder: LedgerHolder | undefined }[]
  readonly #stores: LedgerStores
  readonly #settings: LedgerSettings
  readonly #known = new Map<string, Known>()
  #reading: Promise<Ledger> | undefined

  constructor(
    members: () => { name: string; holder: LedgerHolder | undefined }[],
    stores: LedgerStores,
    settings: Partial<LedgerSettings> = {},
  ) {
    this.#members = members
    this.#stores = stores
    this.#settings = { holeAfterMs: HOLE_AFTER_MS, ...settings }
  }

  /** Whoever asks while it is read shares the answer: it costs a question per bucket that grew. */
  read(): Promise<Ledger> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  async #read(): Promise<Ledger> {
    const told: Told = { contacts: [], records: [] }
    const unreachable: string[] = []
    // Before the stores: what moves from a buck into a store meanwhile is then in both, not in none.
    await Promise.all(
      this.#members().map(async ({ name, holder }) => {
        try {
          if (!holder) throw new Error('not reachable')
          await this.#ask(name, holder, told)
        } catch (error) {
          unreachable.push(`${name}: ${(error as Error).message}`)
        }
      }),
    )
    const [index, archive, indexWords, archiveWords] = await Promise.all([
      figures(this.#stores.index),
      figures(this.#stores.archive),
      this.#stores.index.words(),
      this.#stores.archive.words(),
    ])
    const decisions = await this.#stores.decisions?.list()
    const manifests = [...indexWords.manifests, ...archiveWords.manifests]
    const gone = [...indexWords.gone, ...archiveWords.gone]
    const inventories = []
    // An unreachable buck's former inventories count too: what it held then it most likely still holds.
    for (const [buck, { inventories: own }] of this.#known) {
      for (const [bucket, inventory] of own) {
        inventories.push({ buck, bucket, tailers: inventory.tailers })
        manifests.push(...inventory.manifests)
        gone.push(...inventory.gone)
      }
    }
    const releases = await this.#stores.releases?.list()
    const decided = { ...(decisions && { decisions }), ...(releases && { releases }) }
    const known = { ...told, manifests, gone, inventories, index, archive, ...decided }
    return computeLedger({ ...known, ...this.#settings, unreachable })
  }

  async #ask(name: string, holder: LedgerHolder, told: Told): Promise<void> {
    for (const contact of await readContacts(holder, ASK_TIMEOUT_MS)) told.contacts.push(contact)
    for (const record of await readSources(holder, ASK_TIMEOUT_MS)) told.records.push(record)

    const known = this.#known.get(name) ?? { logId: '', number: 0, inventories: new Map() }
    const changes = await readChanges(holder, known)
    // A new log: the buck restarted, and may have lost what it had not synced.
    if (changes.logId !== known.logId) known.inventories.clear()
    for (const bucket of changes.buckets) {
      const inventory = await readInventory(holder, bucket, ASK_TIMEOUT_MS)
      const manifests = inventory.manifests.filter(word => isProven(word, isManifestGenuine))
      const gone = inventory.gone.filter(word => isProven(word, isGoneGenuine))
      known.inventories.set(bucket, { ...inventory, manifests, gone })
    }
    // Changes tell what grew, not what went: a cursor of no log is answered with all that is there.
    const there = new Set((await readChanges(holder, { logId: '', number: 0 })).buckets)
    for (const bucket of known.inventories.keys()) if (!there.has(bucket)) known.inventories.delete(bucket)
    // Only now: if it broke off above, all of these are asked for again.
    known.logId = changes.logId
    known.number = changes.number
    this.#known.set(name, known)
  }
}

async function readChanges(
  holder: LedgerHolder,
  { logId, number }: { logId: string; number: number },
): Promise<Asks['changes']['answer']> {
  const { body } = await holder.ask('changes', { logId, after: number, waitMs: 0 }, undefined, ASK_TIMEOUT_MS)
  if (typeof body?.logId !== 'string' || !Number.isSafeInteger(body.number) || !Array.isArray(body.buckets)) {
    throw new Error("the answer to 'changes' is not of its form")
  }
  return body
}

/** What a tailer did not sign, or not in this form, says nothing. */
function isProven<T>(word: T, isGenuine: (word: T) => boolean): boolean {
  try {
    return isGenuine(word)
  } catch {
    return false
  }
}

async function figures(store: EventStore) {
  const [totals, sequences] = await Promise.all([store.totals(), store.sequences()])
  return { totals, sequences }
}
