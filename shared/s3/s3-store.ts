// Objects in a bucket of S3, or of anything that speaks it: what a folder is on one disk (shared/folder-store).
//
//   key        <prefix><key>; keys as everywhere (names joined by "/")
//   create     If-None-Match: *, so that of several writers one makes it
//   whole      SHA-256 goes with every write, is checked by the store, and is kept as meta data: checked with every
//              reading of a whole object. Ranged reads are checked by what is in the objects (blocks have checksums).
//   large      in parts (s3-upload)
//
// - A create whose answer was lost is tried again and then finds its own object: equal bytes are taken for ours. Who
//   races for a key therefore writes something of its own into the content (a name, a random id).
// - Only segments get the storage class: the catalogue and the lease are small, young and written over, which the
//   cheaper classes charge for.
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type PutObjectCommandInput,
} from '@aws-sdk/client-s3'
import type { ObjectStore } from '../stores.ts'
import type { World } from '../world.ts'
import { readBody, S3Calls, type S3Place } from './s3-calls.ts'
import { S3DamageError, S3Error } from './s3-error.ts'
import { removeOrphans, uploadInParts } from './s3-upload.ts'
import { sha256Of } from './sha256.ts'

export interface S3StoreOptions extends S3Place {
  /** Before every key: '' or ending in "/". */
  prefix?: string
  /** Of segments, such as STANDARD_IA. Unset: the bucket's. */
  storageClass?: string
  /** AES256: keys of the store; aws:kms: `kmsKey`, or the account's. Unset: the bucket's. */
  encryption?: 'AES256' | 'aws:kms'
  kmsKey?: string
  tags?: Record<string, string>
  /** From this size on in parts. */
  multipartBytes?: number
}

const MULTIPART_BYTES = 64 * 1024 * 1024
const META_SHA256 = 'sha256'

export class S3Store implements ObjectStore {
  readonly #options: S3StoreOptions
  readonly #prefix: string
  readonly #calls: S3Calls
  readonly #world: Pick<World, 'clock' | 'random'>

  constructor(options: S3StoreOptions, world: Pick<World, 'clock' | 'random'>) {
    this.#options = options
    this.#prefix = options.prefix ?? ''
    this.#world = world
    this.#calls = new S3Calls(options, world)
  }

  /** For sentences. */
  get name(): string {
    return `s3://${this.#options.bucket}/${this.#prefix}`
  }

  get clockAheadMs(): number | undefined {
    return this.#calls.clockAheadMs
  }

  /** Why it cannot be used now; undefined while it can. */
  get trouble(): string | undefined {
    return this.#calls.trouble?.message
  }

  get counts(): Readonly<S3Calls['counts']> {
    return this.#calls.counts
  }

  async create(key: string, content: Buffer): Promise<boolean> {
    const before = this.#calls.counts.attempts
    try {
      await this.#write(key, content, true)
      return true
    } catch (error) {
      if (!(error instanceof S3Error) || error.kind !== 'exists') throw error
      // Other calls count too; then the object is read for nothing, which does no harm.
      const hadOneAttempt = this.#calls.counts.attempts === before + 1
      if (hadOneAttempt) return false
      return (await this.get(key))?.equals(content) ?? false
    }
  }

  async put(key: string, content: Buffer): Promise<void> {
    await this.#write(key, content, false)
  }

  async get(key: string, range?: [from: number, to: number]): Promise<Buffer | undefined> {
    if (range && range[1] <= range[0]) return (await this.size(key)) === undefined ? undefined : Buffer.alloc(0)
    const wanted = range ? range[1] - range[0] : 0
    const command = {
      ...this.#at(key),
      ...(range && { Range: `bytes=${range[0]}-${range[1] - 1}` }),
    }
    try {
      return await this.#calls.run('read', `read ${key}`, wanted, async ({ client, options, expect }) => {
        const answer = await client.send(new GetObjectCommand(command), options)
        expect(answer.ContentLength ?? 0)
        const bytes = await readBody(answer.Body, options)
        this.#calls.counts.bytesRead += bytes.length
        if (answer.ContentLength !== undefined && bytes.length !== answer.ContentLength) throw new S3DamageError(key)
        const sha256 = answer.Metadata?.[META_SHA256]
        if (!range && sha256 !== undefined && sha256Of(bytes) !== sha256) throw new S3DamageError(key)
        return bytes
      })
    } catch (error) {
      if (!(error instanceof S3Error)) throw error
      if (error.kind === 'missing') return undefined
      // From the end on: there is nothing.
      if (error.code === 'InvalidRange' || statusOf(error) === 416) return Buffer.alloc(0)
      throw error
    }
  }

  async size(key: string): Promise<number | undefined> {
    try {
      const answer = await this.#calls.run('read', `look at ${key}`, 0, ({ client, options }) =>
        client.send(new HeadObjectCommand(this.#at(key)), options),
      )
      return answer.ContentLength ?? 0
    } catch (error) {
      if (!(error instanceof S3Error) || error.kind !== 'missing') throw error
      // An answer without a body does not tell a missing object from a missing bucket; this one does.
      await this.get(key, [0, 1])
      return undefined
    }
  }

  async list(prefix: string): Promise<string[]> {
    const keys: string[] = []
    let token: string | undefined
    do {
      const page = await this.#calls.run('read', `list ${prefix || 'everything'}`, 0, ({ client, options }) =>
        client.send(
          new ListObjectsV2Command({
            Bucket: this.#options.bucket,
            Prefix: this.#prefix + prefix,
            ContinuationToken: token,
          }),
          options,
        ),
      )
      for (const { Key } of page.Contents ?? []) if (Key !== undefined) keys.push(Key.slice(this.#prefix.length))
      token = page.IsTruncated ? page.NextContinuationToken : undefined
    } while (token !== undefined)
    // Not every store lists in order.
    return keys.sort()
  }

  async remove(key: string): Promise<void> {
    try {
      await this.#calls.run('write', `remove ${key}`, 0, ({ client, options }) =>
        client.send(new DeleteObjectCommand(this.#at(key)), options),
      )
    } catch (error) {
      if (!(error instanceof S3Error) || error.kind !== 'missing') throw error
    }
  }

  /** Uploads that a writer left when it died. Answers how many there were. */
  removeOrphans(olderThanMs?: number): Promise<number> {
    const place = { bucket: this.#options.bucket, prefix: this.#prefix }
    return removeOrphans(this.#calls, place, () => this.#world.clock.now(), olderThanMs)
  }

  close(): void {
    this.#calls.close()
  }

  async #write(key: string, content: Buffer, isCreateOnly: boolean): Promise<void> {
    const { multipartBytes = MULTIPART_BYTES } = this.#options
    const sha256 = sha256Of(content)
    const input = { ...this.#at(key), ...this.#attributes(key), Metadata: { [META_SHA256]: sha256 } }
    if (content.length >= multipartBytes) {
      await uploadInParts(this.#calls, input, content, isCreateOnly)
      return
    }
    await this.#calls.run('write', `write ${key}`, content.length, async ({ client, options }) => {
      const command = new PutObjectCommand({
        ...input,
        Body: content,
        ContentLength: content.length,
        ChecksumSHA256: sha256,
        ...(isCreateOnly && { IfNoneMatch: '*' }),
      })
      const { ChecksumSHA256 } = await client.send(command, options)
      if (ChecksumSHA256 !== undefined && ChecksumSHA256 !== sha256) throw new S3DamageError(key)
      this.#calls.counts.bytesWritten += content.length
    })
  }

  #at(key: string): { Bucket: string; Key: string } {
    return { Bucket: this.#options.bucket, Key: this.#prefix + key }
  }

  #attributes(key: string): Partial<PutObjectCommandInput> {
    const { storageClass, encryption, kmsKey, tags } = this.#options
    return {
      ...(storageClass !== undefined && key.endsWith('.seg') && { StorageClass: storageClass as never }),
      ...(encryption !== undefined && { ServerSideEncryption: encryption }),
      ...(kmsKey !== undefined && { SSEKMSKeyId: kmsKey }),
      ...(tags && Object.keys(tags).length > 0 && { Tagging: new URLSearchParams(tags).toString() }),
    }
  }
}

function statusOf(error: S3Error): number | undefined {
  return (error.cause as { $metadata?: { httpStatusCode?: number } } | undefined)?.$metadata?.httpStatusCode
}
