// The values of one column, read when a search asks for them, into scratch memory: valid until the next call of the same
// function.
import { VARINTS } from '../columns/core/columns.ts'
import { ENTRY_IDS, INTEGERS, STAMPS } from '../columns/core/places.ts'
import { DAY_SECONDS, KIND_CLOCK } from '../columns/core/stamps.ts'
import {
  type Column,
  type ColumnParts,
  corrupt,
  type IntegerBody,
  type LATER_STAMP,
  STAMP,
  type Stamps,
  Varints,
} from './column-parts.ts'

const NO_FORMAT = 255

let integers = new Int32Array(4096)
let moreIntegers = new Int32Array(4096)
let ids = new Uint32Array(4096)

export function integersOf(parts: ColumnParts, body: IntegerBody): Int32Array {
  if (integers.length < body.count) integers = new Int32Array(body.count * 2)
  return readIntegers(parts.stream(INTEGERS), body, integers)
}

/** For the second of two columns that are looked at side by side. */
export function moreIntegersOf(parts: ColumnParts, body: IntegerBody): Int32Array {
  if (moreIntegers.length < body.count) moreIntegers = new Int32Array(body.count * 2)
  return readIntegers(parts.stream(INTEGERS), body, moreIntegers)
}

function readIntegers(stream: Buffer, body: IntegerBody, into: Int32Array): Int32Array {
  const { at, bytes, count, planes, isDelta } = body
  if (at + bytes > stream.length) corrupt('an integer column that ends too early')
  if (planes === VARINTS) readVarints(stream, at, at + bytes, into, count)
  else {
    if (planes === 0) into.fill(0, 0, count)
    else for (let k = 0; k < count; k++) into[k] = stream[at + k]
    for (let plane = 1; plane < planes; plane++) {
      const from = at + plane * count
      const shift = plane * 8
      for (let k = 0; k < count; k++) into[k] |= stream[from + k] << shift
    }
  }
  if (isDelta) {
    let value = body.first
    for (let k = 0; k < count; k++) {
      value = (value + unzigzag(into[k])) | 0
      into[k] = value
    }
  }
  return into.subarray(0, count)
}

function readVarints(stream: Buffer, from: number, end: number, into: Int32Array, count: number): void {
  let at = from
  for (let k = 0; k < count; k++) {
    let byte = stream[at++]
    let value = byte & 127
    for (let shift = 7; byte >= 128; shift += 7) {
      if (at >= end || shift > 28) corrupt('a number of over 32 bits')
      byte = stream[at++]
      value |= (byte & 127) << shift
    }
    into[k] = value
  }
  if (at !== end) corrupt('an integer column of another length')
}

export function unzigzag(value: number): number {
  return (value >>> 1) ^ -(value & 1)
}

/** Numbers of entries, from 0 in the dictionary. */
export function entryIdsOf(parts: ColumnParts, at: number, planes: number, count: number): Uint32Array {
  const stream = parts.stream(ENTRY_IDS)
  if (at + planes * count > stream.length) corrupt('a dictionary column that ends too early')
  if (ids.length < count) ids = new Uint32Array(count * 2)
  const into = ids
  for (let k = 0; k < count; k++) into[k] = stream[at + k]
  for (let plane = 1; plane < planes; plane++) {
    const from = at + plane * count
    const shift = plane * 8
    for (let k = 0; k < count; k++) into[k] |= stream[from + k] << shift
  }
  return into.subarray(0, count)
}

/** Where the text of each value begins, from 0 in the stream; `from` and `to` are the column's. One more than there are. */
export function textStartsOf(texts: Buffer, from: number, to: number, count: number): Uint32Array {
  const starts = new Uint32Array(count + 1)
  let at = from
  for (let k = 0; k < count; k++) {
    starts[k] = at
    const end = texts.indexOf(10, at)
    if (end < 0 || end >= to) corrupt('a text column that ends too early')
    at = end + 1
  }
  starts[count] = at
  if (at !== to) corrupt('a text column of another length')
  return starts
}

/** By line: seconds and fraction of its first time stamp, 0 where it has none. Kept with the parts. */
export function firstStampsOf(parts: ColumnParts): Stamps {
  parts.firstStamps ??= readFirstStamps(parts)
  return parts.firstStamps
}

function readFirstStamps(parts: ColumnParts): Stamps {
  const formatOf = new Uint8Array(parts.templates + 1).fill(NO_FORMAT)
  for (let t = 1; t <= parts.templates; t++) {
    for (let p = parts.firstPart[t]; p < parts.firstPart[t + 1]; p++) {
      const column = parts.columns[p]
      if (column?.kind === STAMP) formatOf[t] = column.format
    }
  }
  const formatOfLine = new Uint8Array(parts.lines).fill(NO_FORMAT)
  for (let t = 1; t <= parts.templates; t++) {
    if (formatOf[t] === NO_FORMAT) continue
    const lines = parts.linesOf(t)
    for (let k = 0; k < lines.length; k++) formatOfLine[lines[k]] = formatOf[t]
  }
  const seconds = new Int32Array(parts.lines)
  const fractions = new Int32Array(parts.lines)
  const state = parts.formats.map(({ digits }) => ({ seconds: 0, fraction: 0, unit: 10 ** digits }))
  const varints = new Varints(parts.stream(STAMPS))
  for (let line = 0; line < parts.lines; line++) {
    if (formatOfLine[line] === NO_FORMAT) continue
    const of = state[formatOfLine[line]]
    const ticks = varints.next()
    if (ticks === 0) {
      of.seconds = varints.next() | 0
      of.fraction = varints.next() | 0
    } else {
      const sum = (of.fraction + unzigzag((ticks - 1) | 0)) | 0
      const elapsed = Math.floor(sum / of.unit)
      of.fraction = sum - elapsed * of.unit
      of.seconds = (of.seconds + elapsed) | 0
    }
    seconds[line] = of.seconds
    fractions[line] = of.fraction
  }
  return { seconds, fractions }
}

/** By line of the template, in order. */
export function laterStampOf(
  parts: ColumnParts,
  template: number,
  column: Column & { kind: typeof LATER_STAMP },
): Stamps {
  const lines = parts.linesOf(template)
  const first = firstStampsOf(parts)
  const own = parts.formats[column.format]
  const seconds = new Int32Array(lines.length)
  const fractions = new Int32Array(lines.length)
  const differences = integersOf(parts, column.seconds)
  for (let k = 0; k < lines.length; k++) {
    const later = (first.seconds[lines[k]] + unzigzag(differences[k])) | 0
    seconds[k] = own.kind === KIND_CLOCK ? later % DAY_SECONDS : later
  }
  const ofFirst = parts.formats[firstFormatOf(parts, template)]
  const isRelative = own.digits === ofFirst.digits
  const fractionDifferences = integersOf(parts, column.fraction)
  for (let k = 0; k < lines.length; k++) {
    const difference = unzigzag(fractionDifferences[k])
    fractions[k] = isRelative ? (first.fractions[lines[k]] + difference) | 0 : difference
  }
  return { seconds, fractions }
}

function firstFormatOf(parts: ColumnParts, template: number): number {
  for (let p = parts.firstPart[template]; p < parts.firstPart[template + 1]; p++) {
    const column = parts.columns[p]
    if (column?.kind === STAMP) return column.format
  }
  return corrupt('a later time stamp without a first')
}

/** Writes a number as the columns mean it; answers the place behind. */
export function writeNumber(into: Uint8Array, at: number, value: number, width: number): number {
  let digits = 1
  for (let power = 10; digits < 10 && value >= power; power *= 10) digits++
  const length = Math.max(digits, width)
  let rest = value
  for (let i = at + length - 1; i >= at; i--) {
    const tens = Math.floor(rest / 10)
    into[i] = 48 + rest - tens * 10
    rest = tens
  }
  return at + length
}
