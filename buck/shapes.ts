// The shapes of what comes in: bodies of requests, and entries of the buck's own logs. Nothing behind this trusts a
// type, a sign or a length. Bounds are far above what an honest peer sends, and far below what hurts.
import * as z from 'zod'
import { SUM_BYTES } from '../shared/messages.ts'
import { CURSOR } from './inventory.ts'

const U32_MAX = 2 ** 32 - 1
/** Sums in one run: 8 MB. */
const RUN_SUMS_MAX = 1024 * 1024
const TEXT_MAX = 64 * 1024
const LIST_MAX = 100_000
const RUNS_MAX = 10_000
/** By which lines of one source were dropped. */
const RULES_MAX = 1000

const bytes = z
  .custom<Uint8Array>(value => value instanceof Uint8Array, 'not bytes')
  .transform(value => (Buffer.isBuffer(value) ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength)))
const bytesOf = (length: number) => bytes.refine(value => value.length === length, `not ${length} bytes`)
const bytesUpTo = (max: number) => bytes.refine(value => value.length <= max, `over ${max} bytes`)
const text = z.string().max(TEXT_MAX)
const count = z.int().min(0)

export const tailerIdShape = z.string().regex(/^[0-9a-f]{32}$/)
export const epochShape = z
  .string()
  .regex(/^(0|[1-9][0-9]{0,9})-[0-9a-f]{16}$/)
  .refine(epoch => Number.parseInt(epoch, 10) <= U32_MAX, 'the count is over 32 bits')
const sequenceShape = z.int().min(1).max(U32_MAX)
/** 0: none yet. */
const lastSequence = z.int().min(0).max(U32_MAX)
const bucketShape = z.int().min(0).max(U32_MAX)
const sourceName = z.string().min(1).max(64)
const sums = bytes.refine(
  value => value.length % SUM_BYTES === 0 && value.length <= RUN_SUMS_MAX * SUM_BYTES,
  `not a whole number of sums, or over ${RUN_SUMS_MAX}`,
)
const run = z
  .object({ epoch: epochShape, first: sequenceShape, sums })
  .refine(r => r.first + r.sums.length / SUM_BYTES - 1 <= U32_MAX, 'the last sequence is over 32 bits')
const runs = z.array(run).max(RUNS_MAX)
const packetId = z.object({
  tailer: tailerIdShape,
  epoch: epochShape,
  sequence: sequenceShape,
  sum: z.string().regex(/^[0-9a-f]{16}$/),
})
const range = z.tuple([count, count]).refine(([from, to]) => from < to, 'an empty range')

const signature = { boxKey: bytesOf(32), signKey: bytesOf(32), signature: bytesOf(64) }

export const manifestShape = z.object({
  tailer: tailerIdShape,
  epoch: epochShape,
  bucket: bucketShape,
  bucketSeconds: z.number().positive().max(86_400),
  host: text,
  first: lastSequence,
  last: lastSequence,
  sources: z
    .array(
      z.object({
        source: sourceName,
        host: text,
        path: text,
        start: count,
        from: count,
        to: count,
        events: count,
        lines: count,
        steps: z.array(z.object({ step: count, sha256: bytesOf(32) })).max(LIST_MAX),
        dropped: z
          .array(z.object({ rule: text, lines: count, bytes: count }))
          .max(RULES_MAX)
          .optional(),
      }),
    )
    .max(LIST_MAX),
  gaveUp: z
    .array(
      z.object({
        source: z.string().max(64),
        host: text,
        path: text,
        from: count,
        to: count.optional(),
        reason: text,
        kind: z.enum(['hole', 'excluded', 'alarm']),
      }),
    )
    .max(LIST_MAX),
  farewell: z.boolean(),
  previous: bytesOf(32),
  ...signature,
})

export const goneShape = z.object({ tailer: tailerIdShape, epoch: epochShape, sequence: sequenceShape, ...signature })
export const goneAnswerShape = z.object({ gone: z.array(goneShape).max(LIST_MAX) })

export const sourceRecordShape = z.object({
  source: sourceName,
  tailer: tailerIdShape,
  machine: text,
  host: text,
  path: text,
  app: text,
  dev: z.number(),
  ino: z.number(),
  start: count,
  to: count,
  ranges: z.array(range).max(LIST_MAX).optional(),
  head: bytesUpTo(TEXT_MAX),
  tail: bytesUpTo(TEXT_MAX),
  parent: sourceName.optional(),
})
export const archivedEntryShape = z.tuple([tailerIdShape, epochShape, sequenceShape, sums])
export const openingEntryShape = z.tuple([tailerIdShape, text, text])

/** Bodies of the requests that a buck answers. */
export const askShapes = {
  open: z.object({
    epoch: epochShape,
    last: lastSequence,
    former: z.array(z.object({ epoch: epochShape, last: lastSequence })).max(LIST_MAX),
    machine: text,
    host: text,
    wantSources: z.boolean(),
  }),
  packet: z.object({ delivery: z.enum(['first', 'second', 'repair']), firstFailed: z.boolean().optional() }),
  manifest: z.object({ manifest: manifestShape }),
  offer: z.object({ bucket: bucketShape, runs }),
  report: z.object({
    host: text,
    epoch: epochShape,
    bucketSeconds: z.number().positive().max(86_400),
    sources: z
      .array(z.object({ source: sourceName, path: text, start: count, size: count, read: count }))
      .max(LIST_MAX),
    underReplicatedPackets: count,
    underReplicatedBytes: count,
    stopped: text.optional(),
  }),
  archived: z.object({ tailer: tailerIdShape, runs }),
  wordsArchived: z.object({
    logId: z.string().max(64),
    buckets: z.array(z.object({ bucket: bucketShape, number: count })).max(LIST_MAX),
  }),
  want: z.object({ tailer: tailerIdShape, epoch: epochShape, sequences: z.array(sequenceShape).max(LIST_MAX) }),
  ping: z.object({}),
  changes: z.object({ logId: z.string().max(64), after: count, waitMs: z.number().min(0).max(86_400_000) }),
  inventory: z.object({ bucket: bucketShape, after: z.string().regex(CURSOR).optional() }),
  fetch: z.object({ ids: z.array(packetId).max(LIST_MAX) }),
  contacts: z.object({ after: tailerIdShape.optional(), withoutReports: z.boolean().optional() }),
  sources: z.object({ after: count.optional() }),
  prune: z.object({ before: z.int().max(U32_MAX) }),
}
export type Answered = keyof typeof askShapes
