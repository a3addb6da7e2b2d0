// Large objects in parts. Nothing is there under the key before the last call, `complete`, which is create-only too.
// A writer that died leaves an upload without an end, which no listing of objects shows and which costs: `removeOrphans`.
import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  type CreateMultipartUploadCommandInput,
  ListMultipartUploadsCommand,
  UploadPartCommand,
} from '@aws-sdk/client-s3'
import type { S3Calls } from './s3-calls.ts'
import { S3DamageError, S3Error } from './s3-error.ts'
import { sha256Of } from './sha256.ts'

/** Bytes of a part; S3 takes 5 MB or more for all but the last, and 10,000 of them. */
const PART_BYTES = 16 * 1024 * 1024
const PARTS_AT_ONCE = 3
/** No upload of one segment (2 GB at most) takes so long. */
const ORPHAN_AFTER_MS = 24 * 3_600_000
const PAGES_MAX = 100

type Target = { Bucket: string; Key: string }

export async function uploadInParts(
  calls: S3Calls,
  input: CreateMultipartUploadCommandInput & Target,
  content: Buffer,
  isCreateOnly: boolean,
): Promise<void> {
  const target: Target = { Bucket: input.Bucket, Key: input.Key }
  const doing = `write ${input.Key}`
  const { UploadId } = await calls.run('write', doing, 0, ({ client, options }) =>
    client.send(new CreateMultipartUploadCommand({ ...input, ChecksumAlgorithm: 'SHA256' }), options),
  )
  try {
    const count = Math.ceil(content.length / PART_BYTES)
    const parts: { PartNumber: number; ETag?: string; ChecksumSHA256: string }[] = []
    for (let at = 0; at < count; at += PARTS_AT_ONCE) {
      const numbers = Array.from({ length: Math.min(PARTS_AT_ONCE, count - at) }, (_, k) => at + k + 1)
      parts.push(...(await Promise.all(numbers.map(number => uploadPart(number)))))
    }
    await calls.run('write', doing, 0, ({ client, options, number }) =>
      client
        .send(
          new CompleteMultipartUploadCommand({
            ...target,
            UploadId,
            MultipartUpload: { Parts: parts },
            ...(isCreateOnly && { IfNoneMatch: '*' }),
          }),
          options,
        )
        .catch(error => {
          // An earlier attempt completed it and its answer was lost: then the object is there and decides.
          if (number > 1 && (error as Error).name === 'NoSuchUpload')
            throw new S3Error('exists', 'NoSuchUpload', `${doing}: the upload is over`)
          throw error
        }),
    )
  } catch (error) {
    await calls
      .run('write', `give up ${input.Key}`, 0, ({ client, options }) =>
        client.send(new AbortMultipartUploadCommand({ ...target, UploadId }), options),
      )
      .catch(() => undefined) // an orphan, for removeOrphans; why it failed matters more to the caller
    throw error
  }

  async function uploadPart(number: number): Promise<{ PartNumber: number; ETag?: string; ChecksumSHA256: string }> {
    const body = content.subarray((number - 1) * PART_BYTES, number * PART_BYTES)
    const sha256 = sha256Of(body)
    return calls.run('write', `${doing}, part ${number}`, body.length, async ({ client, options }) => {
      const command = new UploadPartCommand({
        ...target,
        UploadId,
        PartNumber: number,
        Body: body,
        ContentLength: body.length,
        ChecksumSHA256: sha256,
      })
      const { ETag, ChecksumSHA256 } = await client.send(command, options)
      if (ChecksumSHA256 !== undefined && ChecksumSHA256 !== sha256) throw new S3DamageError(`${doing}, part ${number}`)
      calls.counts.bytesWritten += body.length
      return { PartNumber: number, ETag, ChecksumSHA256: sha256 }
    })
  }
}

/** Uploads below the prefix that began too long ago, by the store's own clock. Answers how many were removed. */
export async function removeOrphans(
  calls: S3Calls,
  place: { bucket: string; prefix: string },
  now: () => number,
  olderThanMs = ORPHAN_AFTER_MS,
): Promise<number> {
  let removed = 0
  let marker: { KeyMarker?: string; UploadIdMarker?: string } = {}
  for (let page = 0; page < PAGES_MAX; page++) {
    const answer = await calls.run('read', 'list unfinished uploads', 0, ({ client, options }) =>
      client.send(new ListMultipartUploadsCommand({ Bucket: place.bucket, Prefix: place.prefix, ...marker }), options),
    )
    const storeNowMs = now() - (calls.clockAheadMs ?? 0)
    for (const { Key, UploadId, Initiated } of answer.Uploads ?? []) {
      if (Key === undefined || Initiated === undefined || storeNowMs - Initiated.getTime() < olderThanMs) continue
      await calls
        .run('write', `remove the unfinished upload of ${Key}`, 0, ({ client, options }) =>
          client.send(new AbortMultipartUploadCommand({ Bucket: place.bucket, Key, UploadId }), options),
        )
        .catch((error: S3Error) => {
          if (error.kind !== 'missing') throw error
        })
      removed++
    }
    if (!answer.IsTruncated) break
    marker = { KeyMarker: answer.NextKeyMarker, UploadIdMarker: answer.NextUploadIdMarker }
  }
  return removed
}
