// The readable document beside a segment: what it holds and the hashes to check it by, and the words of tailers that came
// with it. A document without a segment carries words, or ids of packets whose events were all held already.
// Fields: docs/formats/segment.md.
import { createHash } from 'node:crypto'
import type { HeldRun } from './held-packets.ts'
import type { Gone, Manifest } from './manifest.ts'
import type { Bucket } from './messages.ts'
import { RangeSet } from './ranges.ts'
import { CorruptDocumentError, decodeSealed, encodeSealed } from './sealed-json.ts'
import type { BlockRecord, SourcePart, WrittenSegment } from './segment-writer.ts'

const FORMAT = 'bucktail segment manifest'
const VERSION = 1

export interface Words {
  manifests: Manifest[]
  gone: Gone[]
}

/** What the catalogue keeps in memory of each segment: enough to know who need not be read. */
export interface SegmentSummary {
  /** Start of the span, seconds; undefined: ids of expired packets, of any time. */
  span?: number
  firstBucket: Bucket
  lastBucket: Bucket
  /** 0: there is no segment file. */
  bytes: number
  blocks: number
  events: number
  lines: number
  rawBytes: number
  leastNs: bigint
  greatestNs: bigint
  levels: number
  sources: SourcePart[]
  hosts?: string[]
  apps?: string[]
  wordKeys: string[]
}

export interface SegmentManifest extends SegmentSummary {
  sha256?: string
  blockRecords: BlockRecord[]
  packets: HeldRun[]
  words: Words
  writer: string
  wallMs: number
}

export function describeSegment(
  written: WrittenSegment | undefined,
  content: Pick<SegmentManifest, 'span' | 'firstBucket' | 'lastBucket' | 'packets' | 'words' | 'writer' | 'wallMs'>,
): SegmentManifest {
  return {
    ...content,
    bytes: written?.content.length ?? 0,
    blocks: written?.blocks.length ?? 0,
    events: written?.events ?? 0,
    lines: written?.lines ?? 0,
    rawBytes: written?.rawBytes ?? 0,
    leastNs: written?.leastNs ?? 0n,
    greatestNs: written?.greatestNs ?? 0n,
    levels: written?.levels ?? 0,
    sources: written?.sources ?? [],
    hosts: written ? written.hosts : [],
    apps: written ? written.apps : [],
    sha256: written?.sha256,
    blockRecords: written?.blocks ?? [],
    wordKeys: [...content.words.manifests.map(manifestKey), ...content.words.gone.map(goneKey)],
  }
}

export function encodeSegmentManifest(m: SegmentManifest): Buffer {
  return encodeSealed(FORMAT, VERSION, {
    writer: m.writer,
    wallMs: m.wallMs,
    span: m.span ?? null,
    buckets: { first: m.firstBucket, last: m.lastBucket },
    segment: m.sha256 === undefined ? null : { bytes: m.bytes, sha256: m.sha256 },
    events: m.events,
    lines: m.lines,
    rawBytes: m.rawBytes,
    leastNs: `${m.leastNs}`,
    greatestNs: `${m.greatestNs}`,
    levels: m.levels,
    hosts: m.hosts ?? null,
    apps: m.apps ?? null,
    sources: m.sources,
    blocks: m.blockRecords.map(b => ({ ...b, leastNs: `${b.leastNs}`, greatestNs: `${b.greatestNs}` })),
    packets: m.packets.map(run => ({ ...run, sums: run.sums.toString('hex') })),
    words: { manifests: m.words.manifests.map(manifestToJson), gone: m.words.gone.map(goneToJson) },
  })
}

/** Throws CorruptDocumentError. */
export function decodeSegmentManifest(bytes: Buffer): SegmentManifest {
  // biome-ignore lint/suspicious/noExplicitAny: the document's own hash says that it is what encodeSegmentManifest wrote
  const json = decodeSealed(bytes, FORMAT, VERSION) as any
  try {
    const words = {
      manifests: json.words.manifests.map(manifestFromJson) as Manifest[],
      gone: json.words.gone.map(goneFromJson) as Gone[],
    }
    return {
      writer: json.writer,
      wallMs: json.wallMs,
      span: json.span ?? undefined,
      firstBucket: json.buckets.first,
      lastBucket: json.buckets.last,
      bytes: json.segment?.bytes ?? 0,
      sha256: json.segment?.sha256,
      blocks: json.blocks.length,
      events: json.events,
      lines: json.lines,
      rawBytes: json.rawBytes,
      leastNs: BigInt(json.leastNs),
      greatestNs: BigInt(json.greatestNs),
      levels: json.levels,
      hosts: json.hosts ?? undefined,
      apps: json.apps ?? undefined,
      sources: json.sources.map((part: SourcePart) => ({ ...part, ranges: new RangeSet(part.ranges) })),
      blockRecords: json.blocks.map((b: Record<string, unknown>) => ({
        ...b,
        leastNs: BigInt(b.leastNs as string),
        greatestNs: BigInt(b.greatestNs as string),
      })),
      packets: json.packets.map((run: { sums: string }) => ({ ...run, sums: Buffer.from(run.sums, 'hex') })),
      words,
      wordKeys: [...words.manifests.map(manifestKey), ...words.gone.map(goneKey)],
    }
  } catch (cause) {
    throw new CorruptDocumentError(`fields are missing: ${(cause as Error).message}`, { cause })
  }
}

export function summaryOf(manifest: SegmentManifest): SegmentSummary {
  const { sha256, blockRecords, packets, words, writer, wallMs, ...summary } = manifest
  return summary
}

/** Equal for equal words: one that comes again is not kept again. */
export function manifestKey(manifest: Manifest): string {
  return keyOf(manifestToJson(manifest))
}

export function goneKey(gone: Gone): string {
  return keyOf(goneToJson(gone))
}

function keyOf(json: unknown): string {
  return createHash('sha256').update(JSON.stringify(json)).digest('base64url').slice(0, 16)
}

function manifestToJson(m: Manifest): Record<string, unknown> {
  // Field by field: the key above must not depend on the order in which somebody filled them in.
  return {
    tailer: m.tailer,
    epoch: m.epoch,
    bucket: m.bucket,
    bucketSeconds: m.bucketSeconds,
    host: m.host,
    first: m.first,
    last: m.last,
    sources: m.sources.map(s => ({
      source: s.source,
      host: s.host,
      path: s.path,
      start: s.start,
      from: s.from,
      to: s.to,
      events: s.events,
      lines: s.lines,
      steps: s.steps.map(({ step, sha256 }) => ({ step, sha256: sha256.toString('hex') })),
    })),
    gaveUp: m.gaveUp.map(g => ({
      source: g.source,
      host: g.host,
      path: g.path,
      from: g.from,
      ...(g.to !== undefined && { to: g.to }),
      reason: g.reason,
      kind: g.kind,
    })),
    farewell: m.farewell,
    previous: m.previous.toString('hex'),
    ...signedToJson(m),
  }
}

function manifestFromJson(json: Manifest & Record<string, unknown>): Manifest {
  return {
    ...json,
    ...signedFromJson(json),
    previous: fromHex(json.previous),
    sources: json.sources.map(source => ({
      ...source,
      steps: source.steps.map(({ step, sha256 }) => ({ step, sha256: fromHex(sha256) })),
    })),
  }
}

function goneToJson(gone: Gone): Record<string, unknown> {
  return { tailer: gone.tailer, epoch: gone.epoch, sequence: gone.sequence, ...signedToJson(gone) }
}

function goneFromJson(json: Gone): Gone {
  return { ...json, ...signedFromJson(json) }
}

type Signed = Pick<Gone, 'boxKey' | 'signKey' | 'signature'>

function signedToJson(word: Signed): Record<keyof Signed, string> {
  return {
    boxKey: word.boxKey.toString('hex'),
    signKey: word.signKey.toString('hex'),
    signature: word.signature.toString('hex'),
  }
}

function signedFromJson(json: Signed): Signed {
  return { boxKey: fromHex(json.boxKey), signKey: fromHex(json.signKey), signature: fromHex(json.signature) }
}

function fromHex(hex: unknown): Buffer {
  return Buffer.from(hex as string, 'hex')
}
