// One numbered commit of a catalogue (shared/catalogue), and the keys of all that belongs to a store.
//
//   catalogue/000000000001.json     each written create-only, by whoever comes first, and never changed or removed
//     {"format":"bucktail catalogue commit","version":1,"number":…,"previous":"<SHA-256 of the file before>",
//      "writer":…,"wallMs":…,                                         for information, and the age of what is removed
//      "added":[{"name":…,"manifestSha256":…}],"removed":[names],     segments
//      "void":[names],                                                objects of writers that died: no later commit adds them
//      "lowWater":bucket                                              packets of earlier buckets are known, not kept
//     ,"sha256":…}
//   snapshots/000000000064.bin      shared/catalogue-snapshot
//   segments/<name>.seg, .json      shared/segment, shared/segment-manifest
import type { Bucket } from './messages.ts'
import { CorruptDocumentError, decodeSealed, encodeSealed } from './sealed-json.ts'

const FORMAT = 'bucktail catalogue commit'
const VERSION = 1

export interface Commit {
  number: number
  previous: string
  writer: string
  wallMs: number
  added: { name: string; manifestSha256: string }[]
  removed: string[]
  void: string[]
  lowWater: Bucket
}

export function encodeCommit(commit: Commit): Buffer {
  return encodeSealed(FORMAT, VERSION, { ...commit })
}

export function segmentKey(name: string): string {
  return `segments/${name}.seg`
}

export function manifestKeyOf(name: string): string {
  return `segments/${name}.json`
}

export function commitKey(number: number): string {
  return `catalogue/${digits(number)}.json`
}

export function numberOf(key: string): number {
  return Number(key.slice('catalogue/'.length, -'.json'.length))
}

/** Prefix of the thousand commits around this one. */
export function commitBlock(number: number): string {
  return `catalogue/${digits(number).slice(0, -3)}`
}

export function snapshotKey(number: number): string {
  return `snapshots/${digits(number)}.bin`
}

function digits(number: number): string {
  return String(number).padStart(12, '0')
}

/** The commit of this number, or why it is none. @param previous undefined: not known */
export function decodeCommit(bytes: Buffer, number: number, previous: string | undefined): Commit | string {
  try {
    const commit = decodeSealed(bytes, FORMAT, VERSION) as unknown as Commit
    if (commit.number !== number) return `is commit ${commit.number}`
    if (previous !== undefined && commit.previous !== previous) return 'does not follow the commit before it'
    return commit
  } catch (error) {
    if (error instanceof CorruptDocumentError) return error.message
    throw error
  }
}
