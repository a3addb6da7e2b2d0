// The tailer's signed word on one bucket, sent to every connected buck when the bucket is over, and its signed word
// that a wanted sequence exists no more. msgpack of a fixed-order array is what is signed and hashed.
//
//   Manifest  per (tailer, epoch, bucket), chained by hash to the one before, also over empty buckets (`idle`).
//             Several of one (tailer, epoch, bucket) add up: a clock that stepped back, a bucket sealed after a crash.
//   Gone      answers a `want` once; makes the sequence a hole.
import { createHash } from 'node:crypto'
import { pack } from 'msgpackr'
import { nodeId, type SigningKey, sign, verify } from './keys.ts'
import type { Bucket, Epoch, SourceName, TailerId } from './messages.ts'

/** Hashes cover fixed steps of a source, so that they do not depend on how it was cut into packets. */
export const STEP_BYTES = 1024 * 1024

export interface ManifestSource {
  source: SourceName
  host: string
  path: string
  /** Where reading of the source began (not always 0). */
  start: number
  from: number
  to: number
  events: number
  lines: number
  /** SHA-256 of each whole step [i, i + 1) · STEP_BYTES that ended in this bucket, where the tailer saw all of it. */
  steps: { step: number; sha256: Buffer }[]
  /** Lines of the range that settings dropped, by rule: blanked (shared/dropped.ts). Absent: none. */
  dropped?: DroppedByRule[]
}

export interface DroppedByRule {
  rule: string
  lines: number
  bytes: number
}

/** What was not read and why: the ledger shows it as a hole (given-up) or as released (excluded). */
export interface GivenUp {
  source: SourceName
  host: string
  path: string
  from: number
  /** Undefined: the end is not known (vanished unread). */
  to?: number
  reason: string
  kind: 'hole' | 'excluded' | 'alarm'
}

export interface Manifest {
  tailer: TailerId
  epoch: Epoch
  bucket: Bucket
  bucketSeconds: number
  host: string
  /** First and last sequence cut in this bucket; both 0 when idle. */
  first: number
  last: number
  sources: ManifestSource[]
  gaveUp: GivenUp[]
  farewell: boolean
  /** Hash of the manifest before, of this tailer: 32 bytes; zeroes for the first. */
  previous: Buffer
  boxKey: Buffer
  signKey: Buffer
  signature: Buffer
}

export interface Gone {
  tailer: TailerId
  epoch: Epoch
  sequence: number
  boxKey: Buffer
  signKey: Buffer
  signature: Buffer
}

export type Unsigned<T> = Omit<T, 'signature' | 'boxKey' | 'signKey'>

/** `boxKey` and `signKey` together are what the tailer id is the hash of: so the signature proves the id. */
export function signManifest(manifest: Unsigned<Manifest>, boxKey: Buffer, key: SigningKey): Manifest {
  return { ...manifest, boxKey, signKey: key.publicKey, signature: sign(key, manifestDigest(manifest)) }
}

export function signGone(gone: Unsigned<Gone>, boxKey: Buffer, key: SigningKey): Gone {
  return { ...gone, boxKey, signKey: key.publicKey, signature: sign(key, goneDigest(gone)) }
}

export function isManifestGenuine(manifest: Manifest): boolean {
  return isSignedBy(manifest, manifestDigest(manifest))
}

export function isGoneGenuine(gone: Gone): boolean {
  return isSignedBy(gone, goneDigest(gone))
}

/** SHA-256 of what is signed; the next manifest's `previous`. */
export function manifestDigest(m: Unsigned<Manifest>): Buffer {
  return digest([
    'bucktail manifest 1',
    m.tailer,
    m.epoch,
    m.bucket,
    m.bucketSeconds,
    m.host,
    m.first,
    m.last,
    m.sources.map(s => [
      s.source,
      s.host,
      s.path,
      s.start,
      s.from,
      s.to,
      s.events,
      s.lines,
      s.steps.map(x => [x.step, x.sha256.toString('hex')]),
      ...(s.dropped === undefined ? [] : [s.dropped.map(d => [d.rule, d.lines, d.bytes])]),
    ]),
    m.gaveUp.map(g => [g.source, g.host, g.path, g.from, g.to ?? null, g.reason, g.kind]),
    m.farewell,
    m.previous.toString('hex'),
  ])
}

function goneDigest(gone: Unsigned<Gone>): Buffer {
  return digest(['bucktail gone 1', gone.tailer, gone.epoch, gone.sequence])
}

function digest(fields: unknown[]): Buffer {
  return createHash('sha256').update(pack(fields)).digest()
}

/**
 * Words found genuine, not to be checked again: a porter hears each from every buck and from both stores, and checking a
 * signature takes longer than all else that is done with a word. Over 200 bytes each; the oldest go first.
 */
const GENUINE_MAX = 4096
const genuine = new Set<string>()

function isSignedBy(
  word: { tailer: TailerId; boxKey: Buffer; signKey: Buffer; signature: Buffer },
  digestOf: Buffer,
): boolean {
  if (nodeId(word.boxKey, word.signKey) !== word.tailer) return false
  const key = Buffer.concat([word.signKey, digestOf, word.signature]).toString('latin1')
  if (genuine.has(key)) return true
  if (!verify(word.signKey, digestOf, word.signature)) return false
  genuine.add(key)
  if (genuine.size > GENUINE_MAX) for (const oldest of genuine.values().take(1)) genuine.delete(oldest)
  return true
}
