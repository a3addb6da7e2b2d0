// Packets and signed words in bucket files below a folder (of a buck or a tailer that is not running), answering as a buck
// would. For `bucktail search --data` and `ledger --data`. Every file is scanned once, when opened; damage is passed over
// and told.
import { unpack } from 'msgpackr'
import { type Entry, readEntry, scanBucketFile } from '../shared/bucket-file.ts'
import type { Reply } from '../shared/link.ts'
import { type Gone, isGoneGenuine, isManifestGenuine, type Manifest } from '../shared/manifest.ts'
import {
  type Asks,
  type Bucket,
  FETCH_BYTES_MAX,
  type IdRun,
  type PacketId,
  type SourceRecord,
} from '../shared/messages.ts'
import { decodePacketHeader, packetKey } from '../shared/packet.ts'
import type { Damage } from '../shared/stores.ts'
import type { Disk } from '../shared/world.ts'
import type { PacketHolder } from './fresh-source.ts'
import type { LedgerHolder } from './ledger.ts'

/** Below it all files are bucket files: buck/disk-folder, tailer/journal. */
const BUCKETS = 'buckets'
/** A data folder is four levels deep; a loop of links is not. */
const DEPTH_MAX = 8

interface InBucket {
  ids: PacketId[]
  manifests: Manifest[]
  gone: Gone[]
}

interface Place {
  id: PacketId
  path: string
  position: number
}

export class FolderHolder implements PacketHolder, LedgerHolder {
  readonly isLocal = true
  readonly #disk: Disk
  readonly #places = new Map<string, Place>()
  readonly #buckets = new Map<Bucket, InBucket>()
  readonly #records = new Map<string, SourceRecord>()

  private constructor(disk: Disk) {
    this.#disk = disk
  }

  static async open(disk: Disk, folder: string, onDamage: (damage: Damage) => void): Promise<FolderHolder> {
    const holder = new FolderHolder(disk)
    await holder.#scanFolder(folder, 0, false, onDamage)
    return holder
  }

  get packets(): number {
    return this.#places.size
  }

  async ask<K extends 'changes' | 'inventory' | 'fetch' | 'contacts' | 'sources'>(
    type: K,
    body: Asks[K]['ask'],
  ): Promise<Reply<Asks[K]['answer']>> {
    const answer = await this.#answer(type, body)
    return answer as Reply<Asks[K]['answer']>
  }

  async #answer(type: keyof Asks, body: unknown): Promise<Reply<unknown>> {
    if (type === 'changes') {
      const { logId } = body as Asks['changes']['ask']
      return { body: { logId: 'folder', number: 1, buckets: logId === 'folder' ? [] : [...this.#buckets.keys()] } }
    }
    if (type === 'inventory') {
      const { bucket } = body as Asks['inventory']['ask']
      const { ids, manifests, gone } = this.#inBucket(bucket)
      return {
        body: { tailers: ids.map(id => ({ tailer: id.tailer, runs: [runOf(id)] })), manifests, gone, number: 1 },
      }
    }
    if (type === 'contacts') return { body: { tailers: [] } }
    if (type === 'sources') return { body: { sources: [...this.#records.values()] } }
    const payloads: Buffer[] = []
    let bytes = 0
    for (const id of (body as Asks['fetch']['ask']).ids) {
      const place = this.#places.get(packetKey(id))
      if (!place || bytes >= FETCH_BYTES_MAX) continue
      const file = await this.#disk.open(place.path, 'read')
      try {
        const { payload } = await readEntry(file, place.position)
        payloads.push(payload)
        bytes += payload.length
      } finally {
        await file.close()
      }
    }
    return { body: {}, payload: Buffer.concat(payloads) }
  }

  async #scanFolder(
    folder: string,
    depth: number,
    isOfBuckets: boolean,
    onDamage: (damage: Damage) => void,
  ): Promise<void> {
    if (depth > DEPTH_MAX) {
      onDamage({ where: folder, reason: `is over ${DEPTH_MAX} folders deep: not looked at` })
      return
    }
    for (const name of await this.#disk.list(folder)) {
      const path = `${folder}/${name}`
      const stat = await this.#disk.stat(path)
      if (stat?.kind === 'folder') await this.#scanFolder(path, depth + 1, isOfBuckets || name === BUCKETS, onDamage)
      else if (stat?.kind === 'file') await this.#scanFile(path, isOfBuckets, onDamage)
    }
  }

  async #scanFile(path: string, isOfBuckets: boolean, onDamage: (damage: Damage) => void): Promise<void> {
    for await (const entry of scanBucketFile(this.#disk, path)) {
      if (entry.kind === 'damaged') {
        // A file of another kind (an identity, a version) has no entry at all: one damage from its start. That is no news.
        const isNews = entry.position > 0 || (isOfBuckets && !entry.torn)
        if (isNews) onDamage({ where: `${path} at ${entry.position}`, reason: entry.reason })
        continue
      }
      try {
        this.#take(entry, path)
      } catch (error) {
        onDamage({ where: `${path} at ${entry.position}`, reason: (error as Error).message })
      }
    }
  }

  #take({ kind, payload, position }: Entry, path: string): void {
    if (kind === 'packet') {
      const { id, bucket } = decodePacketHeader(payload)
      const key = packetKey(id)
      if (this.#places.has(key)) return
      this.#places.set(key, { id, path, position })
      this.#inBucket(bucket).ids.push(id)
    } else if (kind === 'manifest') {
      const manifest = unpack(payload) as Manifest
      if (!isManifestGenuine(manifest)) throw new Error('the signature of a manifest is wrong')
      this.#inBucket(manifest.bucket).manifests.push(manifest)
    } else if (kind === 'gone') {
      const gone = unpack(payload) as Gone
      if (!isGoneGenuine(gone)) throw new Error('the signature of a gone-word is wrong')
      // Its bucket is not known; the ledger counts it by its sequence.
      this.#inBucket(0).gone.push(gone)
    } else if (kind === 'source') {
      const record = unpack(payload) as SourceRecord
      const known = this.#records.get(record.source)
      if (!known || known.to < record.to) this.#records.set(record.source, record)
    }
  }

  #inBucket(bucket: Bucket): InBucket {
    const known = this.#buckets.get(bucket) ?? { ids: [], manifests: [], gone: [] }
    this.#buckets.set(bucket, known)
    return known
  }
}

function runOf(id: PacketId): IdRun {
  return { epoch: id.epoch, first: id.sequence, sums: Buffer.from(id.sum, 'hex') }
}
